"""Backends that fail to show and promote due jobs."""

import asyncio

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import PromoteResult, QueueLockGuard
from taskhero.conformance import Concurrency, Promoting


@found_by(Promoting, "test_no_job_is_shown_early")
class PromotesEarly(MemoryBackend):
    """Round the time to the nearest second, as node-resque does."""

    async def due(self, limit):
        now = self.clock.now()
        jobs = self.store.schedule.due(round(now), limit)
        return attrs.evolve(await super().due(limit), jobs=jobs)


@found_by(Promoting, "test_what_is_not_due_is_missed")
class PromotesTheFuture(MemoryBackend):
    """Promote jobs that are not due."""

    async def promote(self, moves):
        clock = self.clock
        clock.advance(1000)
        try:
            return await super().promote(moves)
        finally:
            clock.advance(-1000)


@found_by(Promoting, "test_of_two_equal_promotions_one_promotes_it")
@found_by(Concurrency, "test_each_job_is_promoted_once")
class PromotesTwice(MemoryBackend):
    """Do not check that the job is still delayed."""

    async def promote(self, moves):
        answers = await super().promote(moves)
        for move, answer in zip(moves, answers, strict=True):
            if answer == PromoteResult.MISSED:
                self.store.queues.put(move.queue, move.job.raw)
        return [PromoteResult.QUEUED for _ in moves]


@found_by(Concurrency, "test_a_job_is_delayed_or_in_its_queue")
class MovesInTwoSteps(MemoryBackend):
    """For an instant, have a job neither delayed nor queued."""

    async def promote(self, moves):
        answers = []
        for move in moves:
            gone = self.store.schedule.remove(move.job.at, move.job.raw)
            await asyncio.sleep(0)
            if gone:
                self.store.schedule.add(move.job.at, move.job.raw)
            answers += await super().promote([move])
        return answers


@found_by(Promoting, "test_a_job_is_merged_with_an_equal_one_that_waits")
class KeepsWhatItMerged(MemoryBackend):
    """Keep the delayed entry of a merged job."""

    async def promote(self, moves):
        answers = await super().promote(moves)
        for move, answer in zip(moves, answers, strict=True):
            if answer == PromoteResult.MERGED:
                self.store.schedule.add(move.job.at, move.job.raw)
        return answers


@found_by(Promoting, "test_a_lock_that_was_left_behind_stops_no_delayed_job")
class MergesWithNothing(MemoryBackend):
    """Merge a job whose lock is held even if no equal job is queued, as ActionHero does."""

    async def promote(self, moves):
        answers = []
        for move in moves:
            waiting = [job for queue in await self.queues() for job in await self.queued(queue)]
            if self.store.acquire(move.guards, self.clock.now(), moving=move.job) is None:
                self.store.locks.free(guard.key for guard in move.guards if isinstance(guard, QueueLockGuard))
            elif move.job.raw not in waiting:
                self.store.schedule.remove(move.job.at, move.job.raw)
                answers.append(PromoteResult.MERGED)
                continue
            answers += await super().promote([move])
        return answers


@found_by(Promoting, "test_an_equal_job_may_be_written_otherwise")
class KnowsOnePayload(MemoryBackend):
    """Ignore equivalent payloads."""

    async def promote(self, moves):
        return await super().promote([attrs.evolve(move, equivalent_payloads=()) for move in moves])


@found_by(Promoting, "test_a_shared_lock_keeps_other_jobs_delayed")
class TakesSharedLocksOver(MemoryBackend):
    """Treat a shared lock as one of equal jobs."""

    async def promote(self, moves):
        return await super().promote(
            [
                attrs.evolve(
                    move,
                    guards=tuple(
                        attrs.evolve(guard, shared=False) if isinstance(guard, QueueLockGuard) else guard
                        for guard in move.guards
                    ),
                )
                for move in moves
            ]
        )


@found_by(Promoting, "test_due_jobs_are_shown_and_stay")
class ShowsOnce(MemoryBackend):
    """Remove the jobs that `due` shows."""

    async def due(self, limit):
        seen = await super().due(limit)
        for job in seen.jobs:
            self.store.schedule.remove(job.at, job.raw)
        return seen


@found_by(Promoting, "test_due_jobs_are_shown_and_stay")
class ShowsTooMuch(MemoryBackend):
    """Ignore the limit."""

    async def due(self, _limit):
        return await super().due(10**6)


@found_by(Promoting, "test_due_times_without_jobs_are_not_next")
class KeepsEmptyDueTimes(MemoryBackend):
    """Keep the first due time, so that a scheduler never sleeps."""

    first = None

    async def due(self, limit):
        seen = await super().due(limit)
        self.first = self.first or seen.next_at
        return attrs.evolve(seen, next_at=self.first)
