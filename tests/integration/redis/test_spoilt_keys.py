"""Keys of a wrong type, as apps see them: each affects only its own jobs, which come back when it is repaired."""

from __future__ import annotations

import asyncio

import pytest
from redis_view import connections_of, run_command

from taskhero import Settings, TaskHero
from taskhero.backends.protocol import Entry, Process
from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.errors import BackendRefused, PartlyRefused
from taskhero.events import WorkerError, WorkerSuccess
from taskhero.wire.jobs import encode_job
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(request):
    """A store of its own, by its URL."""
    return f"fakeredis://spoilt-{request.node.name}"


async def spoil(backend, key):
    await run_command(backend, "SET", f"resque:{key}", "spoilt")


async def test_jobs_of_the_dead_are_rescued_past_a_spoilt_queue(store):
    """The blocked one is told once, and runs when its queue is repaired."""
    done, errors, happened = [], [], asyncio.Event()
    settings = Settings(
        queues=("a", "b"), max_task_processors=1, grace=0.0, heartbeat_interval=0.5, rescue_after=1.5, timeout=0.1
    )
    app = TaskHero(store, settings=settings)
    app.task(name="job")(lambda: None)

    def note(found):
        def listen(event):
            found.append(event)
            happened.set()

        return listen

    async def until(condition):
        async with asyncio.timeout(20):
            while not condition():
                happened.clear()
                await happened.wait()

    app.on(WorkerSuccess, note(done))
    app.on(WorkerError, note(errors))
    backend = FakeRedisBackend(store)
    await backend.connect()
    try:
        for number, queue in enumerate("ab", 1):
            dead = Process(new_process_name("dead", number, f"th{number:010x}"), (queue,))
            await backend.push([Entry(queue, encode_job("job", [], queue))])
            await backend.register(dead, (1,), 60.0)
            assert len((await backend.settle_and_claim(dead, (), (1,), (queue,))).claims) == 1
            await backend.register(dead, (1,), 0.001)
        await spoil(backend, "queue:a")
        async with app.running():
            await until(lambda: [event.queue for event in done] == ["b"])
            blocked = [event for event in errors if "cannot be rescued yet" in str(event.error)]
            assert [(event.queue, event.job.name) for event in blocked] == [("a", "job")]
            await backend.delete_queue("a")
            await until(lambda: [event.queue for event in done] == ["b", "a"])
        assert len([event for event in errors if "cannot be rescued yet" in str(event.error)]) == 1
    finally:
        await backend.close()


async def test_many_jobs_are_stored_but_for_those_of_a_spoilt_queue(store):
    """Each of these is named by its place, in whatever piece of the whole; hooks run for what is stored."""
    app = TaskHero(store)
    async with app:
        await spoil(app.backend, "queue:bad")
        jobs = [app.queue.job("job", [number], "bad" if number % 1000 == 7 else "q") for number in range(2500)]
        with pytest.raises(PartlyRefused, match="3 of 2500 jobs could not be stored, 2497 were stored: ") as refused:
            await app.queue.enqueue_many(jobs)
        assert list(refused.value.problems) == [7, 1007, 2007]
        assert await app.queue.length("q") == 2497
        with pytest.raises(BackendRefused):
            await app.queue.enqueue_many(app.queue.job("job", [number], "bad") for number in range(2))


async def test_a_piece_that_cannot_be_stored_at_all_keeps_no_other(store):
    """A whole thousand of jobs may be of one queue."""
    app = TaskHero(store)
    async with app:
        await spoil(app.backend, "queue:bad")
        jobs = (app.queue.job("job", [number], "bad" if number < 1000 else "q") for number in range(1500))
        with pytest.raises(PartlyRefused) as refused:
            await app.queue.enqueue_many(jobs)
        assert list(refused.value.problems) == list(range(1000))
        assert await app.queue.length("q") == 500


async def test_a_fraction_of_a_second_does_not_meet_a_spoilt_one(store):
    """Another program's member `12.5` goes to a whole second; if that is spoilt, to the next one."""
    app = TaskHero(store)
    async with app:
        call = connections_of(app.backend).call
        await call("ZADD", "resque:delayed_queue_schedule", "12.5", "12.5")
        await call("RPUSH", "resque:delayed:12.5", encode_job("job", [], "q"))
        await spoil(app.backend, "delayed:13")
        found = [*(await app.backend.due(10)).jobs, *(await app.backend.due(10)).jobs]
        assert [(job.at, job.raw) for job in found] == [(14, encode_job("job", [], "q"))]
