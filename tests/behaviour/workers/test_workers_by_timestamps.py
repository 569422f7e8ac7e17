"""Cleaning the workers of other programs by the timestamps that they store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from worker_entries import NODE, NODE_WORKS, RUBY, RUBY_WORKS, foreign

from taskhero.wire.dates import iso_z, ruby_time

pytestmark = pytest.mark.anyio


def stamps(seconds):
    """The timestamps that other programs store, each *seconds* before the test's present."""
    return {
        "heartbeat": {"heartbeat": datetime.fromtimestamp(int(seconds), UTC).isoformat()},
        "ping": {"ping": int(seconds)},
        "started by node": {"started": str(int(seconds))},
        "started by ruby": {"started": ruby_time(seconds)},
        "run_at": {"working": RUBY_WORKS.replace("2026-11-23T10:32:05Z", iso_z(seconds))},
        "run_at by node": {"working": NODE_WORKS.replace("Mon Nov 23 2026 10:36:31", js_date(seconds))},
    }


def js_date(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %b %d %Y %H:%M:%S")


STAMPS = list(stamps(0))


@pytest.mark.parametrize("stamp", STAMPS)
async def test_one_call_cleans_a_worker_that_died_before_any_process_watched_it(harness, stamp):
    """As after a restored dump. Its newest timestamp is older than the age and than three heartbeats of Ruby."""
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        now = harness.clock.now()
        await foreign(harness, app, "recent:1:math", **stamps(now - 170)[stamp])
        await foreign(harness, app, "dead:1:math", **stamps(now - 190)[stamp])
        await foreign(harness, app, "days:1:math", **stamps(now - 3 * 86_400)[stamp])
        assert set(await app.queue.clean_old_workers(3600)) == ({"days:1"} if "run_at" in stamp else set())
        assert set(await app.queue.workers()) == {"recent:1", "dead:1"}
        (cleaned,) = await app.queue.sweep_workers(10)
        assert (cleaned.name, cleaned.silent_for) == ("dead:1", pytest.approx(190, abs=2))
        assert set(await app.queue.workers()) == {"recent:1"}
        jobs = 2 if "run_at" in stamp else 0
        assert (await app.queue.failed_count(), await app.queue.stats()) == (jobs, {"failed": jobs} if jobs else {})


@pytest.mark.parametrize("stamp", [stamp for stamp in STAMPS if stamp != "run_at by node"])
async def test_the_newest_timestamp_counts(harness, stamp):
    """A worker that started days ago is alive if any timestamp is recent."""
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        now = harness.clock.now()
        old = {key: value for each in stamps(now - 3 * 86_400).values() for key, value in each.items()}
        await foreign(harness, app, RUBY, **{**old, **stamps(now - 100)[stamp]})
        assert await app.queue.sweep_workers(10) == []
        assert list(await app.queue.workers()) == ["vm:14545"]


@pytest.mark.parametrize(
    "signs",
    [
        {},
        {"started": "whenever"},
        {"heartbeat": "no date", "started": "946684800"},
        {"ping": "no number", "started": "946684800"},
        {"ping": 10**10, "started": "946684800"},
        {"started": "9999999999", "heartbeat": "2001-01-01T00:00:00+00:00"},
    ],
)
async def test_a_worker_without_a_usable_timestamp_is_watched(harness, signs):
    """It has none, one that cannot be read, or one in the future. It is cleaned after nothing changed for the age."""
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        await foreign(harness, app, RUBY, **signs)
        assert await app.queue.sweep_workers(10) == []
        harness.clock.advance(9)
        assert await app.queue.sweep_workers(10) == []
        harness.clock.advance(2)
        assert [worker.name for worker in await app.queue.sweep_workers(10)] == ["vm:14545"]


async def test_a_worker_that_was_seen_to_change_is_only_watched(harness):
    """Its clock is years behind. A second app knows what the first one saw."""
    if not harness.is_redis:
        return
    app, other = harness.app(scheduler=False), harness.app(scheduler=False)
    async with app, other:
        await foreign(harness, app, NODE, working=NODE_WORKS.replace("2026", "2001"), ping=1)
        assert await app.queue.sweep_workers(300, watched_only=True) == []
        await foreign(harness, app, NODE, ping=6)
        assert await other.queue.clean_old_workers(300) == {}
        harness.clock.advance(290)
        assert await other.queue.clean_old_workers(300) == {}
        harness.clock.advance(11)
        assert list(await other.queue.clean_old_workers(300)) == ["vm:18588"]


async def test_a_worker_that_pings_while_it_is_cleaned_is_kept(harness):
    """The step that removes it compares its data with what was read."""
    if not harness.is_redis:
        return
    app, other = harness.app(scheduler=False), harness.app(scheduler=False)
    async with app, other:
        await foreign(harness, app, NODE, working=NODE_WORKS, ping=1)
        remove = app.backend.remove_worker

        async def late(removal):
            await foreign(harness, app, NODE, ping=6)
            await other.backend.heartbeat_ages()
            return await remove(removal)

        app.backend.remove_worker = late
        harness.clock.advance(10 * 365 * 86_400)
        assert await app.queue.clean_old_workers(10) == {}
        assert list(await app.queue.workers()) == ["vm:18588"]
        assert await app.queue.failed_count() == 0
