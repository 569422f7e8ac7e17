"""Moving delayed jobs to their queues."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from scheduler_harness import Office

from taskhero.backends.protocol import Due, DueJob, ForeignLeader, FreeLock, Moved, NotDelayed
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
    async with Office() as office:
        await office.delay("job", seconds=10)
        office.clock.advance(9.999)
        assert await office.promote_all() == pytest.approx(0.002, abs=0.001)
        assert await office.queued() == []
        office.clock.advance(0.001)
        await office.promote_all()
        assert await office.queued() == ["job"]


async def test_jobs_are_promoted_by_moment_and_then_in_the_order_stored() -> None:
    async with Office() as office:
        await office.delay("third", "fourth", seconds=20)
        await office.delay("first", "second", seconds=10)
        await office.delay("other", seconds=15, queue="elsewhere")
        office.clock.advance(60)
        await office.promote_all()
        assert await office.queued() == ["first", "second", "third", "fourth"]
        assert await office.queued("elsewhere") == ["other"]
        start = office.now - 60
        assert [event.timestamp - start for event in office.told(SchedulerWorkingTimestamp)] == [10, 15, 20]
        transferred = [
            (event.timestamp - start, event.queue, event.job.name) for event in office.told(SchedulerTransferredJob)
        ]
        assert transferred[0] == (10, "default", "first")
        assert len(transferred) == 5


async def test_many_jobs_are_promoted_in_bounded_batches() -> None:
    async with Office() as office:
        names = [f"job{number}" for number in range(2 * BATCH + 1)]
        await office.delay(*names, seconds=1)
        office.clock.advance(1)
        await office.promote_all()
        assert await office.queued() == names
        batches = [len(args[0]) for verb, args in office.backend.calls if verb == "promote"]
        assert batches == [BATCH, BATCH, 1]


async def test_it_sleeps_until_the_next_moment_but_not_longer_than_the_timeout() -> None:
    async with Office(timeout=5) as office:
        assert await office.promote_all() == 5
        await office.delay("later", seconds=100)
        assert await office.promote_all() == 5
        await office.delay("soon", seconds=3)
        assert await office.promote_all() == pytest.approx(3, abs=0.01)


async def test_an_earlier_moment_wakes_it() -> None:
    """It would sleep for a minute; the new job is due as soon as the clock says so."""
    async with Office() as office:
        await office.delay("later", seconds=50)
        await office.start()
        await office.until(lambda: office.memory._store.line._places)
        await office.delay("soon", seconds=1)
        await office.until(lambda: office.backend.times["due"] >= 2)
        office.clock.advance(1)
        office.scheduler.wake()
        await office.until(lambda: office.told(SchedulerTransferredJob))
        assert await office.queued() == ["soon"]


async def test_two_schedulers_promote_each_job_once() -> None:
    async with Office() as office:
        other = office.hire("host.xyz:2")
        names = [f"job{number}" for number in range(300)]
        await office.delay(*names, seconds=1)
        office.clock.advance(1)
        answers = office.backend.hold("due")
        both = [asyncio.create_task(scheduler.promote()) for scheduler in (office.scheduler, other)]
        await office.until(lambda: office.backend.times["due"] == 2)
        answers.set()
        await asyncio.gather(*both)
        while not await office.scheduler.promote() or not await other.promote():
            pass
        assert await office.queued() == names
        assert len(office.told(SchedulerTransferredJob)) == 300
        assert not office.told(SchedulerError), "that another one was faster is no error"


async def test_what_is_no_job_becomes_a_failure_with_its_text_kept() -> None:
    async with Office() as office:
        await office.delay(raw="{this is no JSON")
        await office.delay(raw='{"class":"homeless","args":[1]}')
        await office.delay("good")
        office.clock.advance(10)
        await office.promote_all()
        assert await office.queued() == ["good"]
        first, second = [decode_failure(text) for text in await office.memory.failed()]
        assert first.job.args == ["{this is no JSON"]
        assert (first.exception, first.worker) == ("Undecodable", "host.abc:1")
        assert (second.job.name, second.job.args, second.exception) == ("homeless", [1], "InvalidQueueName")
        assert "names no queue" in second.error
        assert len(office.told(SchedulerError)) == 2


async def test_a_job_of_which_an_equal_one_waits_is_merged_with_it() -> None:
    async with Office() as office:
        office.guards = lambda job: (FreeLock(f"lock:{job.name}", 60),)
        await office.delay("same", seconds=1)
        await office.delay("same", seconds=2)
        office.clock.advance(2)
        await office.promote_all()
        assert await office.queued() == ["same"]
        (merged,) = office.told(SchedulerMerged)
        assert (merged.job.name, merged.queue, merged.timestamp) == ("same", "default", office.now)


async def test_copies_that_are_delayed_do_not_hold_a_job_back() -> None:
    """Such a guard is for enqueueing: here the job itself is the delayed copy."""
    async with Office() as office:
        office.guards = lambda job: (NotDelayed((encode_job(job.name, [], job.queue),)),)
        await office.delay("same", seconds=1)
        await office.delay("same", seconds=9)
        office.clock.advance(1)
        await office.promote_all()
        assert await office.queued() == ["same"]


async def test_a_guard_that_raises_fails_its_job_only() -> None:
    def guards(job: Job) -> tuple[()]:
        if job.name == "bad":
            raise ZeroDivisionError
        return ()

    async with Office() as office:
        office.guards = guards
        await office.delay("bad", "good")
        office.clock.advance(10)
        await office.promote_all()
        assert await office.queued() == ["good"]
        (entry,) = [decode_failure(text) for text in await office.memory.failed()]
        assert (entry.job.name, entry.exception, entry.queue) == ("bad", "ZeroDivisionError", "default")


async def test_nothing_is_promoted_while_another_program_does() -> None:
    async with Office() as office:
        await office.delay("job", seconds=1)
        office.clock.advance(1)
        for _ in range(2):
            office.backend.change("due", lambda due: Due(now=due.now, yielded=True))
        assert 0 < await office.scheduler.promote() <= 1
        assert 0 < await office.scheduler.promote() <= 1
        assert office.told(SchedulerYielded) == [SchedulerYielded("host.abc:1", "", "", None)]
        await office.promote_all()
        assert await office.queued() == ["job"]


def led_by(holder: str, *, dead: bool = False) -> Any:
    """What a backend answers while another program's scheduler holds its lock."""
    lock = ForeignLeader(key="ns:lock", holder=holder, since=1_800_000_000.0, dead=dead)
    return lambda due: attrs.evolve(due, yielded=not dead, foreign=lock)


async def test_each_holder_of_the_lock_is_told_once_with_its_name_and_since_when() -> None:
    async with Office() as office:
        for holder in ("ruby:1", "ruby:1", "ruby:2"):
            office.backend.change("due", led_by(holder))
            await office.scheduler.promote()
        await office.scheduler.promote()
        office.backend.change("due", led_by("ruby:2"))
        await office.scheduler.promote()
        since = datetime.fromtimestamp(1_800_000_000, UTC)
        assert office.told(SchedulerYielded) == [
            SchedulerYielded("host.abc:1", "ns:lock", holder, since) for holder in ("ruby:1", "ruby:2", "ruby:2")
        ]


async def test_a_lock_that_counts_as_dead_is_told_once_and_stops_nothing() -> None:
    async with Office() as office:
        await office.delay("job", seconds=1)
        office.clock.advance(1)
        for _ in range(2):
            office.backend.change("due", led_by("ruby:1", dead=True))
            await office.scheduler.promote()
        assert await office.queued() == ["job"]
        (told,) = office.told(SchedulerError)
        for words in ("'ns:lock'", "'ruby:1'", "counts as dead", "ignore_dead_master_lock=False"):
            assert words in str(told.error)
        assert office.told(SchedulerYielded) == []


# --- jobs that cannot be promoted ---


def stuck(office: Office, name: str, how: str | Exception) -> None:
    """Promoting jobs of this name is refused, or missed."""
    inner = office.memory.promote

    async def promote(moves: Any) -> list[str]:
        if isinstance(how, Exception) and any(name in move.job.raw for move in moves):
            raise how
        return [Moved.MISSED if name in move.job.raw else (await inner([move]))[0] for move in moves]

    office.memory.promote = promote


@pytest.mark.parametrize("how", [Moved.MISSED, BackendRefused("WRONGTYPE")])
async def test_a_job_that_cannot_be_promoted_does_not_hold_up_those_behind_it(how: Any) -> None:
    async with Office() as office:
        stuck(office, "stuck", how)
        await office.delay("stuck", *(f"job{number}" for number in range(5)), seconds=1)
        await office.delay("later", seconds=2)
        office.clock.advance(1)
        delay = await office.promote_all()
        assert await office.queued() == [f"job{number}" for number in range(5)]
        assert delay <= 1.01, "what is due in the next second must not wait"
        office.clock.advance(1)
        await office.promote_all()
        assert (await office.queued())[-1] == "later"


async def test_even_more_of_them_than_a_batch_hold_up_nobody() -> None:
    async with Office() as office:
        stuck(office, "stuck", Moved.MISSED)
        await office.delay(*(f"stuck{number}" for number in range(2 * BATCH + 5)), seconds=1)
        await office.delay("good", seconds=2)
        office.clock.advance(2)
        await office.promote_all()
        assert await office.queued() == ["good"]


async def test_it_is_told_once_and_promoted_as_soon_as_that_can_be() -> None:
    async with Office() as office:
        inner = office.memory.promote
        stuck(office, "stuck", Moved.MISSED)
        await office.delay("stuck", seconds=1)
        office.clock.advance(1)
        for _ in range(20):
            await office.promote_all()
            office.clock.advance(30)
        (error,) = office.told(SchedulerError)
        assert "could not be put into queue 'default'" in str(error.error)
        assert office.backend.times["promote"] < 25
        office.memory.promote = inner
        office.clock.advance(60)
        await office.promote_all()
        assert await office.queued() == ["stuck"]
        assert not office.scheduler._promotion._missed


async def test_what_somebody_else_promoted_is_forgotten() -> None:
    async with Office() as office:
        await office.delay("job", seconds=1)
        office.clock.advance(1)
        stale = DueJob(office.now, encode_job("gone", [], "default"))
        office.backend.change("due", lambda due: attrs.evolve(due, jobs=[stale, *due.jobs]))
        await office.promote_all()
        assert await office.queued() == ["job"]
        assert not office.scheduler._promotion._missed
        assert not office.told(SchedulerError)
