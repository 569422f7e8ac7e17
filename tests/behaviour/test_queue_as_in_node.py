"""What node-resque's tests of its queue ask, on every store; more of it stands in the files beside this one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from taskhero import AlreadyScheduled, Job
from taskhero.errors import InvalidMoment, NotConnected

pytestmark = pytest.mark.anyio


def raw(args="[]", name="someJob", queue="q"):
    return f'{{"class":"{name}","queue":"{queue}","args":{args}}}'


async def test_connect_and_end(harness):
    """A queue answers only while its app is connected."""
    app = harness.app(scheduler=False)
    with pytest.raises(NotConnected):
        await app.queue.queues()
    async with app:
        assert await app.queue.queues() == []
    with pytest.raises(NotConnected):
        await app.queue.queues()


async def test_a_normal_job(harness):
    """A queue counts and lists its jobs in order; one argument becomes a list of one, and none an empty list."""
    app = harness.app(scheduler=False)
    async with app:
        assert await app.queue.length("q") == 0
        assert await app.queue.enqueue("someJob", [1, 2, 3], "q") is True
        assert await app.queue.enqueue("someJob", 1, "q") is True
        assert await app.queue.enqueue("someJob", queue="q") is True
        assert await app.queue.length("q") == 3
        jobs = [
            Job("someJob", args, "q", raw=raw(text))
            for args, text in (([1, 2, 3], "[1,2,3]"), ([1], "[1]"), ([], "[]"))
        ]
        assert await app.queue.queued("q") == jobs
        assert await app.queue.queued("q", 1, 1) == [jobs[1]]


async def test_a_delayed_job_once_a_second(harness):
    """An equal job for the same second raises an error, or returns False with `suppress_duplicate`."""
    app = harness.app(scheduler=False)
    async with app:
        moment = datetime(2100, 1, 1, tzinfo=UTC)
        assert await app.queue.enqueue_at(moment, "someJob", [1], "q") is True
        with pytest.raises(AlreadyScheduled):
            await app.queue.enqueue_at(moment, "someJob", [1], "q")
        assert await app.queue.enqueue_at(moment, "someJob", [1], "q", suppress_duplicate=True) is False
        assert await app.queue.all_delayed() == {moment: [Job("someJob", [1], "q", raw=raw("[1]"))]}


async def test_numbers_as_texts_are_refused(harness):
    """node-resque accepts them. Here a str as a time can only be a mistake."""
    app = harness.app(scheduler=False)
    async with app:
        with pytest.raises(InvalidMoment, match="not an instant"):
            await app.queue.enqueue_at("10000", "someJob", [], "q")
        with pytest.raises(InvalidMoment, match="not a duration"):
            await app.queue.enqueue_in("5000", "someJob", [], "q")
        assert await app.queue.timestamps() == []


async def test_jobs_are_deleted(harness):
    """The first call returns the number of deleted jobs, the second one returns 0."""
    app = harness.app(scheduler=False)
    async with app:
        for args in ([1, 2, 3], (), ()):
            await app.queue.enqueue("someJob", args, "q")
        assert await app.queue.delete("q", "someJob", [1, 2, 3]) == 1
        assert [await app.queue.delete("q", "someJob"), await app.queue.delete("q", "someJob")] == [2, 0]
        assert (await app.queue.length("q"), await app.queue.delete_queue("q"), await app.queue.queues()) == (0, 0, [])


async def test_a_job_is_delayed_and_enqueued_by_many_at_once(harness):
    """One of them delays it."""
    app = harness.app(scheduler=False)
    async with app:
        moment = datetime(2100, 1, 1, tzinfo=UTC)
        answers = await asyncio.gather(
            *(app.queue.enqueue_at(moment, "someJob", [1], "q", suppress_duplicate=True) for _ in range(10))
        )
        assert sorted(answers) == [False] * 9 + [True]
        assert await app.queue.scheduled_at("q", "someJob", [1]) == [moment]
