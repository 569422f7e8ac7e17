"""Backends that fail to list, remove and delete queued jobs."""

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.conformance import QueueInspection


@found_by(QueueInspection, "test_a_queue_is_deleted")
class DeletesWithoutCounting(MemoryBackend):
    """Answer 0 for a queue that held jobs."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        await super().delete_queue(queue, only_if_empty=only_if_empty)
        return 0


@found_by(QueueInspection, "test_a_queue_is_deleted")
class DeletesTheJobsOnly(MemoryBackend):
    """Keep the name of a deleted queue."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        count = await super().delete_queue(queue, only_if_empty=only_if_empty)
        self.store.queues.payloads[queue] = type(self.store.queues.payloads.get(queue, []))()
        return count


@found_by(QueueInspection, "test_a_part_of_a_queue[1..3]", "test_a_part_of_a_queue[-2..-1]")
class SlicesAsPythonDoes(MemoryBackend):
    """Exclude the end of a range."""

    async def queued(self, queue, start=0, stop=-1):
        return (await super().queued(queue))[start : None if stop == -1 and start == 0 else stop]


@found_by(QueueInspection, "test_entries_are_removed[-2-abcd-2]")
class RemovesFromTheFrontOnly(MemoryBackend):
    """Ignore the sign of a count."""

    async def remove(self, queue, removals):
        return await super().remove(queue, [attrs.evolve(removal, count=abs(removal.count)) for removal in removals])


@found_by(QueueInspection, "test_what_is_not_there_is_not_removed")
class RemovesWhatIsSimilar(MemoryBackend):
    """Ignore blanks around a payload."""

    async def remove(self, queue, removals):
        return await super().remove(queue, [attrs.evolve(removal, raw=removal.raw.strip()) for removal in removals])


@found_by(QueueInspection, "test_queues_are_sorted_and_stay_known")
class ForgetsEmptyQueues(MemoryBackend):
    """Hide empty queues."""

    async def queues(self):
        return [queue for queue in await super().queues() if await self.length(queue)]


@found_by(QueueInspection, "test_looking_changes_nothing")
class LookingTakesAway(MemoryBackend):
    """Remove the jobs that it lists."""

    async def queued(self, queue, start=0, stop=-1):
        payloads = await super().queued(queue, start, stop)
        for payload in payloads:
            self.store.queues.remove(queue, payload, 1)
        return payloads


class Removing(MemoryBackend):
    """Base of backends that change a removal."""

    def change(self, queue, removal):
        return removal

    async def remove(self, queue, removals):
        removed = []
        for removal in removals:
            removed += await super().remove(queue, [self.change(queue, removal)])
        return removed


@found_by(QueueInspection, "test_the_last_entry_releases_its_locks")
class LeaksWhatItRemoves(Removing):
    """Keep the queue lock of a removed job."""

    def change(self, queue, removal):
        return attrs.evolve(removal, release=())


@found_by(QueueInspection, "test_the_last_entry_releases_its_locks")
class ReleasesWithTheFirst(Removing):
    """Release a queue lock while an equal payload is still queued."""

    async def remove(self, queue, removals):
        removed = await super().remove(queue, removals)
        for removal, count in zip(removals, removed, strict=True):
            if count:
                self.store.locks.free(removal.release)
        return removed


@found_by(QueueInspection, "test_what_was_not_removed_releases_nothing", "test_the_last_entry_releases_its_locks")
class ReleasesWithoutRemoving(Removing):
    """Release a queue lock even if nothing was removed."""

    def change(self, queue, removal):
        if removal.raw not in self.store.queues.payloads.get(queue, ()):
            self.store.locks.free(removal.release)
        return removal


@found_by(QueueInspection, "test_many_are_removed_in_the_order_given")
class RemovesBackwards(MemoryBackend):
    """Apply the last removal first."""

    async def remove(self, queue, removals):
        return (await super().remove(queue, removals[::-1]))[::-1]


@found_by(QueueInspection, "test_an_empty_queue_only_is_deleted")
class DeletesInAnyCase(MemoryBackend):
    """Delete a queue that received a job meanwhile."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        return await super().delete_queue(queue)


@found_by(QueueInspection, "test_an_empty_queue_only_is_deleted")
class NeverDeletesEmptyQueues(MemoryBackend):
    """Keep the name of an empty queue."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        return 0 if only_if_empty else await super().delete_queue(queue)
