"""What Ruby's Resque left in a Redis is read, worked or left alone; what is true of all dumps is in `test_dumps.py`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import redis_dumps
from state_watcher import look

pytestmark = pytest.mark.anyio

MAILED = [
    ["zoë 🎈", [], {}, None, 2.0, 1.5e22, 2.5e-8, 98765432109876543210],
    *([], [], []),
    [{"to": 1}],
    ["a text"],
    [5],
    ["ë/"],
]


def restore(place, name):
    """Write a dump into the server, and return what lies there then."""
    redis_dumps.restore(place.url, redis_dumps.load(redis_dumps.OWN / f"{name}.json"))
    return look(place.url)


def works(stage, **more):
    """An app that notes what its tasks are given."""
    app = stage.app(processors=1, **more)
    worked = []

    def note(name):
        async def work(*args):
            worked.append((name, list(args)))
            stage.look()

        app.task(name=name, queue="default", wire="list")(work)

    for name in ("Mailer", "Mail::Digest"):
        note(name)
    return app, worked


async def test_jobs_of_all_shapes_arrive_with_the_arguments_that_ruby_would_give_them(place, stage):
    """Missing, null and {} are none; where Ruby would splat an object into pairs, it is one argument, as in node."""
    restore(place, "ruby-jobs-of-all-shapes")
    app, worked = works(stage)
    async with app.running():
        await stage.until(lambda: len(worked) == len(MAILED) + 1)
        assert [args for name, args in worked if name == "Mailer"] == MAILED
        assert ("Mail::Digest", [1]) in worked
        await stage.happened("success", len(MAILED) + 1)
        assert await app.queue.failed_count() == 0


async def test_failures_are_read_with_their_dates_and_what_is_none_hides_no_other(place, stage):
    before = restore(place, "ruby-failures-of-all-kinds")
    app, _ = works(stage)
    async with app:
        failed = await app.queue.failed()
        found = [one for one in failed if one.problem is None]
        assert len(found) == 5
        first, east, *_, pruned = found
        assert first.failed_at == datetime(2026, 10, 3, 8, 15, 30, tzinfo=UTC)
        assert first.retried_at == datetime(2026, 10, 3, 8, 15, 31, tzinfo=UTC)
        assert (first.job.name, first.job.args, first.worker) == ("Mailer", ["zoë", [], 2.0], "web2:911:mail,slow")
        assert (first.exception, first.error) == ("Mailer::Down", "sërver ☎ says <no> &\nnothing more")
        assert east.failed_at == datetime(2026, 10, 3, 8, 15, 30, tzinfo=UTC)
        assert east.retried_at is None
        assert (pruned.job.name, pruned.job.args, pruned.backtrace) == ("Report", [], [])
        # Ruby marks with an empty text what it is about to remove.
        assert all(one.raw == "" for one in failed if one.problem is not None)
        # Another failure joins them, and none is written anew.
        app.task(name="fails", queue="default")(_fails)
        async with app.running():
            await app.queue.enqueue("fails")
            await stage.happened("failure")
        assert look(place.url)["failed"][2][:6] == before["failed"][2]
        assert await app.queue.failed_count() == 7


def _fails():
    raise ValueError


async def test_failures_by_queue_stay_where_ruby_put_them(place, stage):
    before = restore(place, "ruby-failed-multiqueue")
    app, _ = works(stage)
    (queue, _, _) = before["failed_queues"][2][0].partition("_failed")
    app.task(name="fails", queue=queue)(_fails)
    async with app.running():
        await app.queue.enqueue("fails")
        await stage.happened("failure")
    after = look(place.url)
    assert {key for key in before if key.endswith("_failed")} == set(before["failed_queues"][2]) != set()
    for key in ("failed_queues", *before["failed_queues"][2]):
        assert after[key] == before[key]
    assert len(after["failed"][2]) == 1


async def test_nobody_works_while_ruby_has_paused_all_workers(place, stage):
    restore(place, "ruby-jobs-of-all-shapes")
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
