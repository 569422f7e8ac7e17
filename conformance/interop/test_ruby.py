"""What Ruby's Resque and resque-scheduler left in a Redis is read, worked or left alone, as each state wants it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from ruby_states import MASTER_LOCK, STATES, WORKER, entry, restore
from watching import look

pytestmark = pytest.mark.anyio

MAILED = [
    ["hé 😀", [], {}, None, 1.0, 1e21, 1e-7, 12345678901234567890],
    *([], [], []),
    [{"a": 1}],
    ["scalar"],
    [5],
    ["é/"],
]


def works(stage, **more):
    """An app that notes what its tasks are given."""
    app = stage.app(processors=1, **more)
    worked = []

    def note(name):
        async def work(*args):
            worked.append((name, list(args)))
            stage.look()

        app.task(name=name, queue="default", wire="list")(work)

    for name in ("Mailer", "Some::Module::Job", "Slow", "Cron"):
        note(name)
    return app, worked


async def test_jobs_of_all_shapes_arrive_with_the_arguments_that_ruby_would_give_them(place, stage):
    """Missing, null and {} are none; where Ruby would splat an object into pairs, it is one argument, as in node."""
    restore(place.url, "jobs of all shapes")
    app, worked = works(stage)
    async with app.running():
        await stage.until(lambda: len(worked) == len(MAILED) + 1)
        assert [args for name, args in worked if name == "Mailer"] == MAILED
        assert ("Some::Module::Job", [1]) in worked
        await stage.happened("success", len(MAILED) + 1)
        assert await app.queue.failed_count() == 0


async def test_a_ruby_worker_and_what_it_holds_are_left_as_they_are(place, stage):
    restore(place.url, "a busy worker")
    before = look(place.url)
    app, worked = works(stage, settings={"stuck_worker_timeout": 1, "retry_stuck_jobs": True})
    async with app.running():
        await app.queue.enqueue("Mailer", [1])
        await stage.happened("success")
        during = look(place.url)
        assert WORKER in during["workers"][2]
    after = look(place.url)
    changed = {key for key in before if after.get(key) != before[key]}
    assert changed <= {"stat:processed", "queues"}
    assert worked == [("Mailer", [1])]


async def test_failures_are_read_with_their_dates_and_what_is_none_hides_no_other(place, stage):
    restore(place.url, "failures")
    app, _ = works(stage)
    async with app:
        failed = await app.queue.failed()
        found = [one for one in failed if one.problem is None]
        assert len(found) == 5
        first, east, *_, pruned = found
        assert first.failed_at == datetime(2026, 11, 23, 10, 32, 7, tzinfo=UTC)
        assert first.retried_at == datetime(2026, 11, 23, 10, 32, 8, tzinfo=UTC)
        assert (first.job.name, first.job.args, first.worker) == ("Mailer", ["hé", [], 1.0], "web1:14559:default,slow")
        assert (first.exception, first.error) == ("Mailer::Down", "boom é 💥 <b>&\nsecond line")
        assert east.failed_at == datetime(2026, 11, 23, 10, 32, 7, tzinfo=UTC)
        assert east.retried_at is None
        assert (pruned.job.name, pruned.job.args, pruned.backtrace) == ("Slow", [], [])
        # Ruby marks with an empty text what it is about to remove.
        assert all(one.raw == "" for one in failed if one.problem is not None)
        # Another failure joins them, and none is written anew.
        app.task(name="fails", queue="default")(_fails)
        async with app.running():
            await app.queue.enqueue("fails")
            await stage.happened("failure")
        assert list(look(place.url)["failed"][2][:6]) == STATES["failures"]["failed"]
        assert await app.queue.failed_count() == 7


def _fails():
    raise ValueError


async def test_failures_by_queue_stay_where_ruby_put_them(place, stage):
    restore(place.url, "failures by queue")
    before = look(place.url)
    app, _ = works(stage)
    app.task(name="fails", queue="slow")(_fails)
    async with app.running():
        await app.queue.enqueue("fails")
        await stage.happened("failure")
    after = look(place.url)
    assert {key: after[key] for key in before} == before
    assert len(after["failed"][2]) == 1


async def test_delayed_jobs_are_worked_once_each_and_nothing_of_them_stays(place, stage):
    """One without a queue, which Ruby loses unless it knows the class, is listed as failed."""
    restore(place.url, "delayed jobs")
    app, worked = works(stage)
    async with app.running():
        await stage.happened("success", 6)
        problems = await app.queue.failed()
    expected = [["a"], ["a"], [], [], [1], ["scalar"]]
    assert sorted((args for _, args in worked), key=repr) == sorted(expected, key=repr)
    (without,) = problems
    assert (without.exception, without.job.name, without.job.args) == ("InvalidQueueName", "Mailer", ["null"])
    end = look(place.url)
    assert [key for key in end if key.startswith(("delayed", "timestamps:"))] == []


async def test_dynamic_schedules_are_left_alone(place, stage):
    restore(place.url, "dynamic schedules", "delayed jobs")
    app, worked = works(stage)
    async with app.running():
        await stage.until(lambda: len(worked) >= 6)
    end = look(place.url)
    for key, value in STATES["dynamic schedules"].items():
        kind, _, elements = end[key]
        if kind == "hash":
            elements = dict(zip(elements[::2], elements[1::2], strict=True))
        assert (type(value)(elements)) == value
    assert not any(name == "Cron" for name, _ in worked)


async def test_nobody_works_while_ruby_has_paused_all_workers(place, stage):
    restore(place.url, "jobs of all shapes")
    app, worked = works(stage)
    async with app:
        await stage.redis(app, "SET", "resque:pause-all-workers", "True")
        async with app.running():
            await stage.happened("pause")
            await app.queue.enqueue("Mailer", [1])
            await stage.happened("pause", 3)
            assert worked == []
            await stage.redis(app, "DEL", "resque:pause-all-workers")
            await stage.until(lambda: len(worked) == len(MAILED) + 2)


async def test_nothing_is_promoted_while_rubys_scheduler_leads(place, stage):
    restore(place.url, "delayed jobs")
    app, worked = works(stage)
    async with app:
        await stage.redis(app, "SET", MASTER_LOCK, "localhost:15788", "EX", 180)
        async with app.running():
            await stage.happened("yielded")
            assert worked == []
            assert look(place.url)["delayed:1700000000"][2] == tuple(STATES["delayed jobs"]["delayed:1700000000"])
            await stage.redis(app, "DEL", MASTER_LOCK)
            async with asyncio.timeout(1.0 + 0.5):
                await stage.until(lambda: len(worked) >= 6)


def test_a_failure_of_ruby_has_its_keys_in_rubys_order():
    assert entry().startswith('{"failed_at":"2026/11/23 10:32:07 UTC","payload":{"class":')
