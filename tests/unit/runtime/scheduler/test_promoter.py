"""Moving delayed jobs to their queues."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from memory_view import MemoryView
from scheduler_harness import SchedulerHarness

from taskhero.backends.protocol import DueJob, DueReply, ForeignLeader, NotDelayed, PromoteResult, QueueLockGuard
from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.events import (
    SchedulerError,
    SchedulerMerged,
    SchedulerTransferredJob,
    SchedulerWorkingTimestamp,
    SchedulerYielded,
)
from taskhero.models import Job
from taskhero.runtime.scheduler.promoter import BATCH
from taskhero.wire.failures import decode_failure
from taskhero.wire.jobs import encode_job

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")


# --- promoting ---


async def test_no_job_is_promoted_before_its_moment() -> None:
    async with SchedulerHarness() as harness:
        await harness.delay("job", seconds=10)
        harness.clock.advance(9.999)
        assert await harness.promote_all() == pytest.approx(0.002, abs=0.001)
        assert await harness.queued() == []
        harness.clock.advance(0.001)
        await harness.promote_all()
        assert await harness.queued() == ["job"]


async def test_jobs_are_promoted_by_moment_and_then_in_the_order_stored() -> None:
    async with SchedulerHarness() as harness:
        await harness.delay("third", "fourth", seconds=20)
        await harness.delay("first", "second", seconds=10)
        await harness.delay("other", seconds=15, queue="elsewhere")
        harness.clock.advance(60)
        await harness.promote_all()
        assert await harness.queued() == ["first", "second", "third", "fourth"]
        assert await harness.queued("elsewhere") == ["other"]
        start = harness.now - 60
        assert [event.timestamp - start for event in harness.events_of(SchedulerWorkingTimestamp)] == [10, 15, 20]
        transferred = [
            (event.timestamp - start, event.queue, event.job.name)
            for event in harness.events_of(SchedulerTransferredJob)
        ]
        assert transferred[0] == (10, "default", "first")
        assert len(transferred) == 5


async def test_many_jobs_are_promoted_in_bounded_batches() -> None:
    async with SchedulerHarness() as harness:
        names = [f"job{number}" for number in range(2 * BATCH + 1)]
        await harness.delay(*names, seconds=1)
        harness.clock.advance(1)
        await harness.promote_all()
        assert await harness.queued() == names
        batches = [len(args[0]) for verb, args in harness.backend.calls if verb == "promote"]
        assert batches == [BATCH, BATCH, 1]


async def test_it_sleeps_until_the_next_moment_but_not_longer_than_the_timeout() -> None:
    async with SchedulerHarness(timeout=5) as harness:
        assert await harness.promote_all() == 5
        await harness.delay("later", seconds=100)
        assert await harness.promote_all() == 5
        await harness.delay("soon", seconds=3)
        assert await harness.promote_all() == pytest.approx(3, abs=0.01)


async def test_an_earlier_moment_wakes_it() -> None:
    """It would sleep for a minute; the new job is due as soon as the clock says so."""
    async with SchedulerHarness() as harness:
        await harness.delay("later", seconds=50)
        await harness.start()
        await harness.until(lambda: MemoryView(harness.memory).waiting)
        await harness.delay("soon", seconds=1)
        await harness.until(lambda: harness.backend.times["due"] >= 2)
        harness.clock.advance(1)
        harness.scheduler.request_promotion()
        await harness.until(lambda: harness.events_of(SchedulerTransferredJob))
        assert await harness.queued() == ["soon"]


async def test_two_schedulers_promote_each_job_once() -> None:
    async with SchedulerHarness() as harness:
        other = harness.hire("host.xyz:2")
        names = [f"job{number}" for number in range(300)]
        await harness.delay(*names, seconds=1)
        harness.clock.advance(1)
        answers = harness.backend.hold("due")
        both = [asyncio.create_task(scheduler.promote()) for scheduler in (harness.scheduler, other)]
        await harness.until(lambda: harness.backend.times["due"] == 2)
        answers.set()
        await asyncio.gather(*both)
        while not await harness.scheduler.promote() or not await other.promote():
            pass
        assert await harness.queued() == names
        assert len(harness.events_of(SchedulerTransferredJob)) == 300
        assert not harness.events_of(SchedulerError), "that another one was faster is no error"


async def test_what_is_no_job_becomes_a_failure_with_its_text_kept() -> None:
    async with SchedulerHarness() as harness:
        await harness.delay(raw="{this is no JSON")
        await harness.delay(raw='{"class":"homeless","args":[1]}')
        await harness.delay("good")
        harness.clock.advance(10)
        await harness.promote_all()
        assert await harness.queued() == ["good"]
        first, second = [decode_failure(text) for text in await harness.memory.failed()]
        assert first.job.args == ["{this is no JSON"]
        assert (first.exception, first.worker) == ("Undecodable", "host.abc:1")
        assert (second.job.name, second.job.args, second.exception) == ("homeless", [1], "InvalidQueueName")
        assert "does not name a queue" in second.error
        assert len(harness.events_of(SchedulerError)) == 2


async def test_a_job_of_which_an_equal_one_waits_is_merged_with_it() -> None:
    async with SchedulerHarness() as harness:
        harness.guards = lambda job: (QueueLockGuard(f"lock:{job.name}", 60),)
        await harness.delay("same", seconds=1)
        await harness.delay("same", seconds=2)
        harness.clock.advance(2)
        await harness.promote_all()
        assert await harness.queued() == ["same"]
        (merged,) = harness.events_of(SchedulerMerged)
        assert (merged.job.name, merged.queue, merged.timestamp) == ("same", "default", harness.now)


async def test_copies_that_are_delayed_do_not_hold_a_job_back() -> None:
    """Such a guard is for enqueueing: here the job itself is the delayed copy."""
    async with SchedulerHarness() as harness:
        harness.guards = lambda job: (NotDelayed((encode_job(job.name, [], job.queue),)),)
        await harness.delay("same", seconds=1)
        await harness.delay("same", seconds=9)
        harness.clock.advance(1)
        await harness.promote_all()
        assert await harness.queued() == ["same"]


async def test_a_guard_that_raises_fails_its_job_only() -> None:
    def guards(job: Job) -> tuple[()]:
        if job.name == "bad":
            raise ZeroDivisionError
        return ()

    async with SchedulerHarness() as harness:
        harness.guards = guards
        await harness.delay("bad", "good")
        harness.clock.advance(10)
        await harness.promote_all()
        assert await harness.queued() == ["good"]
        (entry,) = [decode_failure(text) for text in await harness.memory.failed()]
        assert (entry.job.name, entry.exception, entry.queue) == ("bad", "ZeroDivisionError", "default")


async def test_nothing_is_promoted_while_another_program_does() -> None:
    async with SchedulerHarness() as harness:
        await harness.delay("job", seconds=1)
        harness.clock.advance(1)
        for _ in range(2):
            harness.backend.change("due", lambda due: DueReply(now=due.now, yielded=True))
        assert 0 < await harness.scheduler.promote() <= 1
        assert 0 < await harness.scheduler.promote() <= 1
        assert harness.events_of(SchedulerYielded) == [SchedulerYielded("host.abc:1", "", "", None)]
        await harness.promote_all()
        assert await harness.queued() == ["job"]


def led_by(holder: str, *, dead: bool = False) -> Any:
    """What a backend answers while another program's scheduler holds its lock."""
    lock = ForeignLeader(key="ns:lock", holder=holder, since=1_800_000_000.0, dead=dead)
    return lambda due: attrs.evolve(due, yielded=not dead, foreign=lock)


async def test_each_holder_of_the_lock_is_told_once_with_its_name_and_since_when() -> None:
    async with SchedulerHarness() as harness:
        for holder in ("ruby:1", "ruby:1", "ruby:2"):
            harness.backend.change("due", led_by(holder))
            await harness.scheduler.promote()
        await harness.scheduler.promote()
        harness.backend.change("due", led_by("ruby:2"))
        await harness.scheduler.promote()
        since = datetime.fromtimestamp(1_800_000_000, UTC)
        assert harness.events_of(SchedulerYielded) == [
            SchedulerYielded("host.abc:1", "ns:lock", holder, since) for holder in ("ruby:1", "ruby:2", "ruby:2")
        ]


async def test_a_lock_that_counts_as_dead_is_told_once_and_stops_nothing() -> None:
    async with SchedulerHarness() as harness:
        await harness.delay("job", seconds=1)
        harness.clock.advance(1)
        for _ in range(2):
            harness.backend.change("due", led_by("ruby:1", dead=True))
            await harness.scheduler.promote()
        assert await harness.queued() == ["job"]
        (told,) = harness.events_of(SchedulerError)
        for words in ("'ns:lock'", "'ruby:1'", "counts as dead", "ignore_dead_master_lock=False"):
            assert words in str(told.error)
        assert harness.events_of(SchedulerYielded) == []


# --- jobs that cannot be promoted ---


def stuck(harness: SchedulerHarness, name: str, how: str | Exception) -> None:
    """Promoting jobs of this name is refused, or missed."""
    inner = harness.memory.promote

    async def promote(moves: Any) -> list[str]:
        if isinstance(how, Exception) and any(name in move.job.raw for move in moves):
            raise how
        return [PromoteResult.MISSED if name in move.job.raw else (await inner([move]))[0] for move in moves]

    harness.memory.promote = promote


@pytest.mark.parametrize("how", [PromoteResult.MISSED, BackendRefused("WRONGTYPE")])
async def test_a_job_that_cannot_be_promoted_does_not_hold_up_those_behind_it(how: Any) -> None:
    async with SchedulerHarness() as harness:
        stuck(harness, "stuck", how)
        await harness.delay("stuck", *(f"job{number}" for number in range(5)), seconds=1)
        await harness.delay("later", seconds=2)
        harness.clock.advance(1)
        delay = await harness.promote_all()
        assert await harness.queued() == [f"job{number}" for number in range(5)]
        assert delay <= 1.01, "what is due in the next second must not wait"
        harness.clock.advance(1)
        await harness.promote_all()
        assert (await harness.queued())[-1] == "later"


async def test_even_more_of_them_than_a_batch_hold_up_nobody() -> None:
    async with SchedulerHarness() as harness:
        stuck(harness, "stuck", PromoteResult.MISSED)
        await harness.delay(*(f"stuck{number}" for number in range(2 * BATCH + 5)), seconds=1)
        await harness.delay("good", seconds=2)
        harness.clock.advance(2)
        await harness.promote_all()
        assert await harness.queued() == ["good"]


async def test_it_is_told_once_and_promoted_as_soon_as_that_can_be() -> None:
    async with SchedulerHarness() as harness:
        inner = harness.memory.promote
        stuck(harness, "stuck", PromoteResult.MISSED)
        await harness.delay("stuck", seconds=1)
        harness.clock.advance(1)
        for _ in range(20):
            await harness.promote_all()
            harness.clock.advance(30)
        (error,) = harness.events_of(SchedulerError)
        assert "could not be moved to queue 'default'" in str(error.error)
        assert harness.backend.times["promote"] < 25
        harness.memory.promote = inner
        harness.clock.advance(60)
        await harness.promote_all()
        assert await harness.queued() == ["stuck"]
        await assert_nothing_is_missed(harness)


async def test_what_somebody_else_promoted_is_forgotten() -> None:
    async with SchedulerHarness() as harness:
        await harness.delay("job", seconds=1)
        harness.clock.advance(1)
        stale = DueJob(harness.now, encode_job("gone", [], "default"))
        harness.backend.change("due", lambda due: attrs.evolve(due, jobs=[stale, *due.jobs]))
        await harness.promote_all()
        assert await harness.queued() == ["job"]
        await assert_nothing_is_missed(harness)
        assert not harness.events_of(SchedulerError)


async def assert_nothing_is_missed(harness: SchedulerHarness) -> None:
    """A step reads past each job that was missed, so the next step shows whether any is remembered."""
    await harness.promote_all()
    assert harness.backend.calls[-1] == ("due", (BATCH,))
