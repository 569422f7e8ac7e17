"""Failures, delayed jobs, locks and dead workers of other programs are mended one by one, and nothing is lost of it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
import raw_state
from expected_state import Expected, freed, kept, same, without_workers
from polling import until
from raw_state import elements, exact
from restored_dumps import SOON, dumps_with, harmless, works
from state_watcher import look

from taskhero.clock import ManualClock
from taskhero.errors import CannotRetry

pytestmark = pytest.mark.anyio

AGE = 3600
#: So many jobs of one moment stand for all of it.
MANY = 20


@pytest.fixture
def stage(stage):
    """Its clock is a test's."""
    stage.clock = ManualClock(SOON)
    return stage


def utc(second):
    return datetime.fromtimestamp(second, UTC)


def arrived(place, told, times=1):
    """That a job stands in its queue, in as many copies."""
    queued = raw_state.jobs_queued(look(place.url))[told.queue]
    assert sum(one.name == told.name and same(one.args, told.args) for one in queued) == times


def mends(place, stage, before):
    """An app that looks and mends; Ruby's switch and lock, which are not its matter here, are gone."""
    place.command("DEL", f"resque:{raw_state.PAUSE}", f"resque:{raw_state.master_lock(before)}")
    return works(stage, before)


@dumps_with("failed")
async def test_each_failure_is_retried_by_its_bytes_and_arrives(restored, place, stage, path):
    app, worked = mends(place, stage, restored)
    queue = app.queue
    async with app:
        for source in raw_state.failed_lists(restored):
            left = list(elements(restored, source))
            for failed, told in zip(
                await queue.failed(source=source), raw_state.failures(restored, source), strict=True
            ):
                if told is None or not told.job.readable:
                    with pytest.raises(CannotRetry):
                        await queue.retry_and_remove_failed(failed)
                    continue
                was = len(raw_state.jobs_queued(look(place.url)).get(told.queue, ()))
                assert await queue.retry_and_remove_failed(failed) is True
                left.remove(failed.raw)
                assert list(elements(look(place.url), source)) == left
                stored = raw_state.jobs_queued(look(place.url))[told.queue]
                assert len(stored) == was + 1
                assert (stored[-1].name, same(stored[-1].args, told.job.args)) == (told.job.name, True)
        harmless(restored, place)
        expected = Expected(look(place.url), SOON)
        async with app.running():
            await until(lambda: expected.is_done(look(place.url)))
        expected.check(worked, look(place.url))


@dumps_with("failed")
async def test_each_failure_is_removed_by_its_bytes(restored, place, stage, path):
    app, _ = works(stage, restored, processors=0, scheduler=False)
    async with app:
        for source in raw_state.failed_lists(restored):
            left = list(elements(restored, source))
            # From the middle outwards, so that none is found by where it stands.
            listed = await app.queue.failed(source=source)
            for failed in sorted(listed, key=lambda one: exact(one.raw[::-1])):
                assert await app.queue.remove_failed(failed) == 1
                left.reverse()
                left.remove(failed.raw)
                left.reverse()
                assert list(elements(look(place.url), source)) == left
    gone = raw_state.failed_lists(restored)
    assert kept(look(place.url)) == {key: value for key, value in kept(restored).items() if key not in gone}


@dumps_with("delayed:")
async def test_each_delayed_job_is_found_and_deleted(restored, place, stage, path):
    app, _ = works(stage, restored, processors=0, scheduler=False)
    left = raw_state.jobs_delayed(restored)
    async with app:
        for told in [job for jobs in left.values() for job in jobs[:MANY] if job.readable and job.queue]:

            def meant(job, told=told):
                return job.name == told.name and job.queue in {told.queue, ""} and same(job.args, told.args)

            moments = [utc(at) for at, jobs in left.items() if any(map(meant, jobs))]
            given = (told.queue, told.name, told.args)
            assert await app.queue.scheduled_at(*given) == moments
            assert await app.queue.delete_delayed(*given) == moments
            assert await app.queue.scheduled_at(*given) == []
            left = {at: [job for job in jobs if not meant(job)] for at, jobs in left.items()}
            assert await app.queue.all_delayed() == {
                utc(at): await app.queue.delayed_at(utc(at)) for at, jobs in left.items() if jobs
            }
    after = look(place.url)
    assert {at: jobs for at, jobs in raw_state.jobs_delayed(after).items() if jobs} == {
        at: j for at, j in left.items() if j
    }
    of_delayed = ("delayed", "timestamps:")
    assert {key: value for key, value in kept(after).items() if not key.startswith(of_delayed)} == {
        key: value for key, value in kept(restored).items() if not key.startswith(of_delayed)
    }
    harmless(restored, place)


@dumps_with("lock:", "workerslock:")
async def test_each_lock_is_deleted(restored, place, stage, path):
    app, _ = works(stage, restored, processors=0, scheduler=False)
    gone = raw_state.locks(restored)
    async with app:
        for lock in gone:
            assert await app.queue.delete_lock(lock) == 1
            assert await app.queue.delete_lock(lock) == 0
        assert await app.queue.locks() == {}
    assert kept(look(place.url)) == {key: value for key, value in kept(restored).items() if key not in gone}


# --- workers that died -------------------------------------------------------------------------------------------


async def clean(how, queue, stage, names):
    if how == "by force":
        answers = {name: await queue.force_clean_worker(name) for name in names}
        return {name: failed for name, failed in answers.items() if failed is not None}, stage.clock.now()
    if how == "by their timestamps":
        stage.clock.advance(3 * 86_400)
        cleaned, at = await queue.clean_old_workers(10), stage.clock.now()
        # An idle worker without a timestamp is watched first.
        for _ in await queue.workers():
            stage.clock.advance(10)
            assert await queue.clean_old_workers(10) == {}
        return cleaned, at
    # Nothing is known of how long they were silent before the first check.
    assert await queue.sweep_workers(AGE, watched_only=True) == []
    stage.clock.advance(AGE - 1)
    assert await queue.sweep_workers(AGE, watched_only=True) == []
    stage.clock.advance(1)
    return await queue.clean_old_workers(AGE), stage.clock.now()


@dumps_with("workers")
@pytest.mark.parametrize("how", ["by force", "by age", "by their timestamps"])
async def test_workers_that_died_are_cleaned_and_what_they_held_is_retried(restored, place, stage, path, how):
    app, worked = mends(place, stage, restored)
    told = raw_state.workers(restored)
    busy = {one.name: one.job for one in told if one.job is not None}
    async with app:
        cleaned, at = await clean(how, app.queue, stage, [one.name for one in told])
        assert cleaned.keys() == busy.keys()
        assert await app.queue.workers() == {}
        after, left = look(place.url), without_workers(freed(restored))
        texts = elements(restored, "failed")
        assert elements(after, "failed")[: len(texts)] == texts
        listed = raw_state.failures(after)[len(texts) :]
        for failed in listed:
            assert (failed.job.name, failed.queue) == (busy[failed.worker].name, busy[failed.worker].queue)
            assert same(failed.job.args, busy[failed.worker].args)
            assert failed.failed_at == utc(int(at))
        assert Counter(failed.worker for failed in listed) == Counter(list(busy))
        assert raw_state.stats(after).get("failed", 0) == raw_state.stats(restored).get("failed", 0) + len(busy)
        counted = {"failed", "stat:failed"}
        assert {k: v for k, v in kept(after).items() if k not in counted} == {
            k: v for k, v in kept(left).items() if k not in counted
        }
        harmless(restored, place)
        was_stuck = sum(
            one is not None and "queue#forceCleanWorker" in one.backtrace for one in raw_state.failures(after)
        )
        assert await app.queue.retry_stuck_jobs() == was_stuck >= len(busy)
        for job in busy.values():
            arrived(place, job)
        expected = Expected(look(place.url), stage.clock.now())
        async with app.running():
            await until(lambda: expected.is_done(look(place.url)))
        expected.check(worked, look(place.url))
