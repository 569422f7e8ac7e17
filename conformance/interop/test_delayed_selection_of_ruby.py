"""What resque-scheduler 5.0 does with delayed jobs that a block selects, by the commands that its source sends."""

from __future__ import annotations

import contextlib
import json

import pytest
import redis
from state_watcher import look

pytestmark = pytest.mark.anyio


def remove_delayed_job(client, text):
    """Remove all copies of exactly this text; return how many there were."""
    removed = 0
    for bucket in client.smembers(f"resque:timestamps:{text}"):
        removed += client.lrem(f"resque:{bucket}", 0, text)
        client.srem(f"resque:timestamps:{text}", bucket)
    return removed


def selected(client):
    """The texts of all delayed jobs."""
    moments = client.zrange("resque:delayed_queue_schedule", 0, -1)
    return [text for moment in moments for text in client.lrange(f"resque:delayed:{moment}", 0, -1)]


def enqueue_delayed_selection(client):
    """Write each job anew, remove that, and enqueue as many as were removed."""
    enqueued = 0
    for text in selected(client):
        job = json.loads(text)
        own = json.dumps({"class": job["class"], "args": job["args"], "queue": job["queue"]}, separators=(",", ":"))
        for _ in range(remove_delayed_job(client, own)):
            client.rpush(f"resque:queue:{job['queue']}", json.dumps({"class": job["class"], "args": job["args"]}))
            enqueued += 1
    return enqueued


def remove_delayed_selection(client):
    """Remove each job by the bytes that were found."""
    return sum(remove_delayed_job(client, text) for text in selected(client))


@pytest.mark.parametrize(("act", "count"), [(enqueue_delayed_selection, 0), (remove_delayed_selection, 1)])
async def test_ruby_enqueues_no_selection_of_ours_and_removes_one(place, stage, act, count):
    """What it does not enqueue stays delayed, and is not lost."""
    app = stage.app(processors=1, scheduler=False)

    @app.task(name="Mail", queue="work", wire="list")
    async def mail(n):
        """Only delayed here."""

    async with app:
        await mail.enqueue_at(4_000_000_000, 1)
        with contextlib.closing(redis.Redis.from_url(place.url, decode_responses=True)) as client:
            assert act(client) == count
        assert "queue:work" not in look(place.url)
        assert len(await app.queue.scheduled_at("work", "Mail", [1])) == 1 - count
