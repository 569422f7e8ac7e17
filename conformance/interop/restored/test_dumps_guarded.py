"""Locks, counts of attempts and leases that stand in a dump mean here what their writer meant."""

from __future__ import annotations

import json
from fnmatch import fnmatch

import pytest
import raw_state
from expected_state import kept, same
from polling import until
from raw_state import elements
from restored_dumps import SOON, all_dumps, dumps_in_which, dumps_with, works
from state_watcher import look

from taskhero import current
from taskhero.clock import ManualClock
from taskhero.plugins import DelayQueueLock, JobLock, QueueLock, Retry

pytestmark = pytest.mark.anyio

#: So many jobs of one moment stand for all of it.
MANY = 20


@pytest.fixture
def stage(stage):
    """Its clock is a test's."""
    stage.clock = ManualClock(SOON)
    return stage


def locked(before, kind):
    """Each lock of a kind, as node-resque names them, of a job that lies there: the job, and when it lapses."""
    found = []
    for key, value in raw_state.locks(before).items():
        name = max(
            (name for name in raw_state.names(before) if key.startswith(f"{kind}:{name}:")), key=len, default=None
        )
        queue, bracket, args = key.removeprefix(f"{kind}:{name}:").partition(":[")
        if name is not None and bracket and value.isdecimal():
            found.append((raw_state.Job(name, json.loads(f"[{args}"), queue, ""), int(value)))
    return found


def done(worked, job):
    return any(name == job.name and same(json.loads(args), job.args) for name, args in worked.get(job.queue, ()))


@dumps_in_which(lambda dump: locked(dump, "lock"))
async def test_a_lock_of_a_queued_job_refuses_an_equal_one_until_it_is_claimed_or_lapses(restored, place, stage, path):
    held = locked(restored, "lock")
    app, worked = works(stage, restored, plugins=(QueueLock(),))
    async with app:
        stage.clock.advance(min(lapses for _, lapses in held) - 1 - SOON)
        for job, _ in held:
            assert await app.queue.enqueue(job.name, job.args, job.queue) is False
        assert kept(look(place.url)) == kept(restored)
        async with app.running():
            await until(lambda: all(done(worked, job) for job, _ in held))
        for job, _ in held:
            again = (job.name, job.args, job.queue)
            assert await app.queue.enqueue(*again) is True
            assert await app.queue.enqueue(*again) is False
            stage.clock.advance(7200)
            assert await app.queue.enqueue(*again) is True


@dumps_in_which(lambda dump: locked(dump, "workerslock"))
async def test_a_job_waits_while_an_equal_one_is_performed_elsewhere(restored, place, stage, path):
    held = locked(restored, "workerslock")
    app, worked = works(stage, restored, plugins=(JobLock(delay=1),))
    async with app:
        stage.clock.advance(min(lapses for _, lapses in held) - 1 - SOON)
        for job, _ in held:
            await app.queue.enqueue(job.name, job.args, job.queue)
        async with app.running():
            await stage.happened("re_enqueue", len(held))
            await until(lambda: all(job_delayed(place, job) for job, _ in held))
            assert not any(done(worked, job) for job, _ in held)
            assert raw_state.locks(look(place.url)) == raw_state.locks(restored)
            for lock in raw_state.locks(restored):
                await app.queue.delete_lock(lock)
            stage.later(app, 10)
            await until(lambda: all(done(worked, job) for job, _ in held))
    assert [lock for lock in raw_state.locks(look(place.url)) if lock.startswith("workerslock:")] == []


def job_delayed(place, job):
    delayed = raw_state.jobs_delayed(look(place.url)).values()
    return any(one.name == job.name and same(one.args, job.args) for jobs in delayed for one in jobs)


def as_programs_write(job):
    """Whether a delayed text has the keys and order that node-resque's or resque-scheduler's own calls give it."""
    parts = raw_state.decoded(job.raw)
    in_order = list(parts) in (["class", "queue", "args"], ["class", "args", "queue"])
    return in_order and isinstance(parts["args"], list) and "," not in job.queue


@dumps_with("delayed:")
async def test_no_job_is_queued_while_an_equal_one_is_delayed(restored, place, stage, path):
    app, _ = works(stage, restored, processors=0, scheduler=False, plugins=(DelayQueueLock(),))
    jobs = [
        job for jobs in raw_state.jobs_delayed(restored).values() for job in jobs[:MANY] if job.readable and job.queue
    ]
    async with app:
        for job in filter(as_programs_write, jobs):
            if f"timestamps:{job.raw}" in restored:
                assert await app.queue.enqueue(job.name, job.args, job.queue) is False
            assert await app.queue.enqueue(job.name, [*job.args, "other"], job.queue) is True
        assert raw_state.jobs_delayed(look(place.url)) == raw_state.jobs_delayed(restored)
        for job in filter(as_programs_write, jobs):
            await app.queue.delete_delayed(job.queue, job.name, job.args)
            assert await app.queue.enqueue(job.name, job.args, job.queue) is True


def trying(stage, before, limit, **more):
    """An app whose jobs always fail and are tried again, and what attempts it saw, by arguments."""
    app = stage.app(processors=1, **more)
    attempts = {}

    def fails(name):
        @app.task(name=name, queue="default", wire="list", plugins=(Retry(limit=limit, delay=1, jitter=0),))
        async def work(*args):
            attempts.setdefault(raw_state.exact([name, *args]), []).append(current().attempt)
            raise ValueError("again")

    for name in raw_state.names(before):
        fails(name)
    return app, attempts


def is_idle(dump, now):
    """Whether nothing is queued, due or in hands."""
    due = any(at <= now and jobs for at, jobs in raw_state.jobs_delayed(dump).items())
    ours = [one for one in raw_state.workers(dump) if ".th" in one.name and one.job is not None]
    return not due and not ours and not any(raw_state.jobs_queued(dump).values())


def all_delayed(dump):
    return [job for jobs in raw_state.jobs_delayed(dump).values() for job in jobs]


def counted(dump):
    """Whether there are counts, and for each a job that waits for its next attempt."""
    counts = [key for key in dump if key.startswith("resque-retry:")]
    return counts and len(all_delayed(dump)) == len(counts) and not any(raw_state.jobs_queued(dump).values())


@dumps_in_which(counted)
async def test_attempts_that_others_counted_are_counted_on(restored, place, stage, path):
    """node-resque's count is 0 after the first failure."""
    counts = [int(value[0]) for key, (_, _, value) in restored.items() if key.startswith("resque-retry:")]
    jobs = all_delayed(restored)
    limit = max(counts) + 3
    app, attempts = trying(stage, restored, limit)
    async with app, app.running():
        while len(stage.told("failure")) < len(jobs):
            await until(lambda: is_idle(look(place.url), stage.clock.now()))
            stage.later(app, 2)
    assert sorted(attempts.values()) == sorted(list(range(count + 2, limit + 1)) for count in counts)
    after = look(place.url)
    assert [key for key in after if "resque-retry:" in key] == []
    assert len(elements(after, "failed")) == len(elements(restored, "failed")) + len(jobs)


def failed_uncounted(dump):
    return any(one and one.job.readable for one in raw_state.failures(dump)) and not with_keys("resque-retry:")(dump)


def with_keys(beginning):
    return lambda dump: any(key.startswith(beginning) for key in dump)


@dumps_in_which(failed_uncounted)
async def test_attempts_begin_anew_when_a_failure_is_retried_that_nobody_counts(restored, place, stage, path):
    app, attempts = trying(stage, restored, 3, scheduler=False)
    async with app:
        place.command("DEL", f"resque:{raw_state.PAUSE}")
        for queue in await app.queue.queues():
            await app.queue.delete_queue(queue)
        (first, *_) = [one for one in await app.queue.failed() if one.job.problem is None]
        await app.queue.retry_and_remove_failed(first)
        async with app.running():
            await stage.happened("retry")
    assert list(attempts.values()) == [[1]]


@dumps_with("resque_scheduler_leader_lock", "resque:resque_scheduler_master_lock")
async def test_our_scheduler_leads_beside_those_of_others_and_waits_for_rubys_alone(restored, place, stage, path):
    app, _ = works(stage, restored, processors=0)
    async with app:
        await app.queue.enqueue_at(SOON + 5, "later", [1], "q")
        async with app.running():
            await stage.happened("leader")
            stage.later(app, 5)
            if lock := raw_state.master_lock(restored):
                await stage.happened("yielded")
                assert elements(look(place.url), f"delayed:{SOON + 5}")
                assert elements(look(place.url), lock) == elements(restored, lock)
                place.command("DEL", f"resque:{lock}")
            await until(lambda: elements(look(place.url), "queue:q"))
            assert await app.queue.leader() == app.scheduler.name
            theirs = "resque_scheduler_leader_lock"
            assert elements(look(place.url), theirs) == elements(restored, theirs)


# --- names -------------------------------------------------------------------------------------------------------


def busy(dump):
    return [one for one in raw_state.workers(dump) if one.job is not None]


def exception(part):
    return lambda dump: any(part in one.exception for one in raw_state.failures(dump) if one)


#: What there must be in a dump, by the name of its scenario, so that the tests above had to do with it.
IMPLIED = {
    "*-enqueue*": lambda dump: any(raw_state.jobs_queued(dump).values()),
    "*-delayed": lambda dump: any(at > SOON for at in raw_state.jobs_delayed(dump)),
    "*-delayed-removed": lambda dump: [] in raw_state.jobs_delayed(dump).values(),
    "*-failed*": with_keys("failed"),
    "*-failed-retried": lambda dump: any(raw_state.jobs_queued(dump).values()),
    "*-failed-requeued": lambda dump: any(one.retried_at for one in raw_state.failures(dump) if one),
    "*-failed-dirtyexit*": exception("DirtyExit"),
    "*-failed-term": exception("TermException"),
    "*-worker-idle": lambda dump: raw_state.workers(dump) and not busy(dump),
    "*-worker-midjob*": busy,
    "*-worker-dead": busy,
    "*-worker-success": lambda dump: raw_state.workers(dump)[0].processed > 0,
    "*-worker-stopped": lambda dump: not raw_state.workers(dump) and raw_state.stats(dump)["processed"] > 0,
    "*-worker-pruned": exception("PruneDeadWorkerDirtyExit"),
    "*-forcecleaned": exception("Worker Timeout (killed manually)"),
    "*-worker-star-empty": lambda dump: [one.queues for one in raw_state.workers(dump)] == ["*"],
    "*-worker-star-*": raw_state.workers,
    "*-multiworker": lambda dump: "+" in raw_state.workers(dump)[0].name,
    "*-scheduler-leader": with_keys(("resque_scheduler_leader_lock", "resque:resque_scheduler_master_lock")),
    "*-scheduler-before-transfer": lambda dump: any(
        at < SOON and jobs for at, jobs in raw_state.jobs_delayed(dump).items()
    ),
    "*-scheduler-after-transfer": lambda dump: (
        any(raw_state.jobs_queued(dump).values()) and not raw_state.jobs_delayed(dump)
    ),
    "*-scheduler-stopped": lambda dump: not with_keys("resque")(dump),
    "*-scheduler-periodic-*": with_keys("delayed:last_enqueued_at"),
    "*-dynamic*": with_keys("persistent_schedules"),
    "*-queuelock": with_keys("lock:"),
    "*-joblock": with_keys("workerslock:"),
    "*-delayqueuelock": with_keys("delayed:"),
    "*-released": lambda dump: not raw_state.locks(dump),
    "*-retry-mid*": with_keys("resque-retry:"),
    "*-retry-exhausted": lambda dump: elements(dump, "failed") and not with_keys("resque-retry:")(dump),
    "*-paused*": raw_state.paused,
}


@all_dumps
async def test_there_is_in_a_dump_what_its_scenario_implies(restored, path):
    assert [name for name, holds in IMPLIED.items() if fnmatch(path.stem, name) and not holds(restored)] == []
