"""Whatever Ruby and node-resque left in a Redis is read as it stands there, and worked as it is meant.

Each dump (see `redis_dumps.py`) is restored into a real server. What must become of it is computed from what lies
there, by `raw_state.py` and `expected_state.py`, so that any dump can be held against taskhero: TASKHERO_DUMPS names
its folder.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import raw_state
import store_inspection
from expected_state import Expected, freed, kept
from polling import until
from raw_state import elements, exact
from redis_dumps import load
from restored_dumps import MUCH_LATER, SOON, all_dumps, harmless, works
from state_watcher import look

from taskhero.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def stage(stage):
    """Its clock is a test's."""
    stage.clock = ManualClock(SOON)
    return stage


# --- read --------------------------------------------------------------------------------------------------------


def same_job(job, told):
    assert (job.name, exact(job.args), job.problem is None) == (told.name, exact(told.args), told.readable)


def utc(second):
    return datetime.fromtimestamp(second, UTC)


@all_dumps
async def test_all_of_it_is_read_as_it_stands_there(restored, place, stage, path):
    app, _ = works(stage, restored)
    async with app:
        await store_inspection.inspect_all(app)
        await the_jobs_are_those(app.queue, restored)
        await the_failures_are_those(app.queue, restored, load(path).tz)
        await the_workers_are_those(app.queue, restored)
        details = await app.queue.details()
        assert await app.queue.stats() == raw_state.stats(restored)
        assert details.stats == {name: raw_state.stats(restored).get(name, 0) for name in ("processed", "failed")}
        assert await app.queue.locks() == raw_state.locks(restored)
        assert details.paused is raw_state.paused(restored)
        assert await app.queue.leader() is None
    assert kept(look(place.url)) == kept(restored)


async def the_jobs_are_those(queue, before):
    queued, delayed = raw_state.jobs_queued(before), raw_state.jobs_delayed(before)
    assert (await queue.details()).queues == {name: len(jobs) for name, jobs in queued.items()}
    for name, told in queued.items():
        jobs = await queue.queued(name)
        assert [job.raw for job in jobs] == list(elements(before, f"queue:{name}"))
        for job, one in zip(jobs, told, strict=True):
            assert job.queue == name
            same_job(job, one)
    listed = await queue.all_delayed()
    assert list(listed) == [utc(at) for at, told in delayed.items() if told]
    assert set(listed) <= set(await queue.timestamps()) <= set(map(utc, delayed))
    for at, told in delayed.items():
        for job, one in zip(listed.get(utc(at), ()), told, strict=True):
            assert (job.raw, job.queue) == (one.raw, one.queue)
            same_job(job, one)


async def the_failures_are_those(queue, before, tz):
    sources = raw_state.failed_lists(before)
    assert await queue.failed_lists() == sources
    total = 0
    for source in sources:
        listed, told = await queue.failed(source=source), raw_state.failures(before, source, tz)
        assert [failed.raw for failed in listed] == list(elements(before, source))
        assert await queue.failed_count(source) == len(told)
        total += len(told)
        for failed, one in zip(listed, told, strict=True):
            assert (failed.problem is None) is (one is not None)
            if one is not None:
                same_job(failed.job, one.job)
                assert (failed.queue, failed.worker, failed.exception, failed.error) == one[1:5]
                assert (failed.backtrace, failed.failed_at, failed.retried_at) == one[5:]
    assert (await queue.details()).failed == total


async def the_workers_are_those(queue, before):
    told = raw_state.workers(before)
    assert await queue.workers() == {one.name: one.queues for one in told}
    at_work = await queue.all_working_on()
    states = {f"{state.name}:{state.queues}": state for state in (await queue.details()).workers}
    assert states.keys() == {one.id for one in told}
    for one in told:
        state, working = states[one.id], at_work[one.name]
        assert (state.program, state.started_at, state.seen_at) == (one.program, one.started, one.seen_at)
        assert (state.processed, state.failed) == (one.processed, one.failed)
        assert working == state.working == await queue.working_on(one.name, one.queues)
        assert (working is None) is (one.job is None)
        if working is not None:
            assert (working.worker, working.queue, working.run_at) == (one.name, one.job.queue, one.run_at)
            same_job(working.job, one.job)


# --- worked ------------------------------------------------------------------------------------------------------


async def let_go(place, stage, app, before, worked):
    """Take away what keeps taskhero from working, when it was seen to keep it."""
    if lock := raw_state.master_lock(before):
        await stage.happened("yielded")
        now = look(place.url)
        assert {key: now.get(key) for key in before if key.startswith("delayed")} == {
            key: value for key, value in before.items() if key.startswith("delayed")
        }
        place.command("DEL", f"resque:{lock}")
        stage.later(app, 0)
    if raw_state.paused(before):
        await stage.happened("pause")
        assert worked == {}
        place.command("DEL", f"resque:{raw_state.PAUSE}")


@all_dumps
async def test_all_of_it_is_worked_once_and_nothing_else_is_touched(restored, place, stage, path):
    app, worked = works(stage, restored)
    before = freed(restored)
    async with app:
        for wait in (0, MUCH_LATER - SOON):
            stage.clock.advance(wait)
            expected = Expected(before, stage.clock.now())
            async with app.running():
                await let_go(place, stage, app, {} if wait else restored, worked)
                await until(lambda e=expected: e.is_done(look(place.url)))
                harmless(restored, place)
            before = look(place.url)
            expected.check(worked, before)
            worked.clear()
    harmless(restored, place)
