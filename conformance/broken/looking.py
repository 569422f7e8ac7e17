"""Broken ways to look."""

import attrs

from broken.registry import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.conformance import Inspection


@found_by(Inspection, "test_a_queue_is_deleted")
class DeletesWithoutCounting(MemoryBackend):
    """It forgets how many jobs there were."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        await super().delete_queue(queue, only_if_empty=only_if_empty)
        return 0


@found_by(Inspection, "test_a_queue_is_deleted")
class DeletesTheJobsOnly(MemoryBackend):
    """The queue stays known."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        count = await super().delete_queue(queue, only_if_empty=only_if_empty)
        self._store.queues.texts[queue] = type(self._store.queues.texts.get(queue, []))()
        return count


@found_by(Inspection, "test_a_part_of_a_queue[1..3]", "test_a_part_of_a_queue[-2..-1]")
class SlicesAsPythonDoes(MemoryBackend):
    """The end is not included."""

    async def queued(self, queue, start=0, stop=-1):
        return (await super().queued(queue))[start : None if stop == -1 and start == 0 else stop]


@found_by(Inspection, "test_a_part_of_the_failures[1..3]")
class ShowsTheNewestFirst(MemoryBackend):
    """The failures are in the order in which people would like to read them."""

    async def failed(self, start=0, stop=-1):
        self._store.failures.reverse()
        try:
            return await super().failed(start, stop)
        finally:
            self._store.failures.reverse()


@found_by(Inspection, "test_entries_are_removed[-2-abcd-2]")
class RemovesFromTheFrontOnly(MemoryBackend):
    """A negative count is as good as a positive one."""

    async def remove(self, queue, removals):
        return await super().remove(queue, [attrs.evolve(each, count=abs(each.count)) for each in removals])


@found_by(Inspection, "test_what_is_not_there_is_not_removed")
class RemovesWhatIsSimilar(MemoryBackend):
    """It does not care for blanks."""

    async def remove(self, queue, removals):
        return await super().remove(queue, [attrs.evolve(each, raw=each.raw.strip()) for each in removals])


@found_by(Inspection, "test_queues_are_sorted_and_stay_known")
class ForgetsEmptyQueues(MemoryBackend):
    """An empty queue is none."""

    async def queues(self):
        return [queue for queue in await super().queues() if await self.length(queue)]


@found_by(Inspection, "test_looking_changes_nothing")
class LookingTakesAway(MemoryBackend):
    """What was shown is gone."""

    async def queued(self, queue, start=0, stop=-1):
        texts = await super().queued(queue, start, stop)
        for text in texts:
            self._store.queues.remove(queue, text, 1)
        return texts
