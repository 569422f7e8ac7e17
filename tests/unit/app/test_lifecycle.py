"""An app's life: connecting, running, stopping; in one event loop at a time."""

from __future__ import annotations

import asyncio

import pytest
from lifecycle_apps import QUICK, Away, Noted

from taskhero import NotConnected, Settings, TaskHero
from taskhero.backends.memory import MemoryBackend
from taskhero.errors import (
    BackendUnavailable,
    PluginError,
    UnknownBackend,
    UnknownEvent,
)

pytestmark = pytest.mark.anyio


# --- making one


def test_an_app_needs_nothing():
    app = TaskHero()
    assert app.backend.location == "memory://"
    assert app.settings == Settings()
    assert (app.scheduler, app.multi_worker, len(app.tasks)) == (None, None, 0)
    assert repr(app) == "<TaskHero memory:// with 0 tasks>"


def test_two_apps_in_memory_share_nothing():
    assert TaskHero().backend is not TaskHero().backend


def test_what_it_is_given_is_checked_at_once():
    with pytest.raises(UnknownBackend, match="memory"):
        TaskHero("momory://")
    with pytest.raises(
        TypeError, match=r"settings=\{'scheduler': True\} is not a Settings object: pass taskhero.Settings"
    ):
        TaskHero(settings={"scheduler": True})
    with pytest.raises(PluginError, match="plugins=3 is not a sequence of plugins"):
        TaskHero(plugins=3)
    with pytest.raises(TypeError, match="lifespan=3 is not callable: pass a function that takes the app"):
        TaskHero(lifespan=3)


def test_events_are_checked_when_they_are_subscribed_to():
    app = TaskHero()
    with pytest.raises(UnknownEvent, match="failure"):
        app.on("failur")

    @app.on("failure")
    def told(job): ...

    assert callable(told)
    assert app.on("success", told) is told


# --- connecting


async def test_it_is_connected_within_the_block():
    backend = Noted()
    app = TaskHero(backend)
    async with app as same:
        assert same is app
        assert await app.queue.queues() == []
    assert backend.notes == ["connect", "close"]
    with pytest.raises(NotConnected, match="not connected: use it inside `async with app:`"):
        await app.queue.queues()


async def test_it_can_be_entered_more_than_once_and_closes_with_the_last_exit():
    backend = Noted()
    app = TaskHero(backend)

    async def use():
        async with app:
            await asyncio.sleep(0)
            await app.queue.queues()

    async with app:
        await asyncio.gather(use(), use())
        assert backend.notes == ["connect"]
        await app.queue.queues()
    await asyncio.gather(use(), use())
    assert backend.notes.count("connect") == backend.notes.count("close")
    async with app:
        await app.queue.queues()


async def test_apps_that_were_given_the_same_backend_connect_it_once_and_the_last_one_closes_it():
    backend = Noted()
    producer, worker = TaskHero(backend), TaskHero(backend, settings=QUICK)
    async with producer:
        async with worker.running():
            await producer.queue.enqueue("theirs", [1], "a")
        assert await producer.queue.queues() is not None
        with pytest.raises(NotConnected):
            await worker.queue.queues()
    assert backend.notes == ["connect", "close"]
    await asyncio.gather(producer.start(), worker.start())
    await asyncio.gather(producer.stop(), worker.stop())
    assert backend.notes == ["connect", "close"] * 2


def test_a_backend_is_used_in_one_loop_at_a_time_whatever_the_app():
    backend = MemoryBackend()

    async def leave_open():
        await TaskHero(backend).__aenter__()

    async def enter():
        async with TaskHero(backend) as app:
            return await app.queue.queues()

    async def use():
        async with TaskHero(backend):
            with pytest.raises(NotConnected, match="this backend is connected in another event loop"):
                await asyncio.to_thread(asyncio.run, enter())

    asyncio.run(leave_open())
    asyncio.run(use())
    assert asyncio.run(enter()) == []


async def test_leaving_without_having_entered_changes_nothing():
    backend = Noted()
    app = TaskHero(backend)
    await app.__aexit__(None, None, None)
    async with app:
        await app.queue.queues()
    assert backend.notes == ["connect", "close"]


async def test_it_can_be_connected_after_it_could_not_be_reached():
    app = TaskHero(Away())
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            async with app:
                raise AssertionError("never entered")
    with pytest.raises(BackendUnavailable):
        await app.start()
    with pytest.raises(NotConnected):
        await app.queue.queues()
    await app.stop()


async def test_in_another_loop_it_says_what_is_wrong():
    app = TaskHero(settings=QUICK)

    async def use():
        await app.queue.queues()

    async def enter():
        async with app:
            pass

    async with app:
        for wrong in (use, enter, app.start):
            with pytest.raises(NotConnected, match="connected in another event loop: create one app for each loop"):
                await asyncio.to_thread(asyncio.run, wrong())
        await app.queue.queues()


def test_it_can_be_used_in_one_loop_after_the_other():
    app = TaskHero(settings=QUICK)
    done = []
    app.task(name="note")(done.append)

    async def once(number):
        async with app.running():
            await app.tasks["note"].enqueue(number)
            while number not in done:
                await asyncio.sleep(0.001)

    asyncio.run(once(1))
    asyncio.run(once(2))
    assert done == [1, 2]


def test_it_can_be_used_after_a_loop_that_ended_without_closing_it():
    app = TaskHero()

    async def leave_open():
        await app.__aenter__()
        await app.queue.enqueue("theirs", [1], "a")

    async def use():
        async with app:
            return await app.queue.length("a")

    asyncio.run(leave_open())
    assert asyncio.run(use()) == 1


# --- parts of one's own


async def test_a_scheduler_and_a_multi_worker_of_ones_own():
    from taskhero.runtime.scheduler.scheduler import Scheduler
    from taskhero.runtime.worker.pool import MultiWorker

    class MyScheduler(Scheduler):
        pass

    class MyMultiWorker(MultiWorker):
        pass

    app = TaskHero(settings=QUICK, scheduler=MyScheduler, multi_worker=MyMultiWorker)
    async with app.running():
        assert type(app.scheduler) is MyScheduler
        assert type(app.multi_worker) is MyMultiWorker


async def test_a_plugin_may_make_the_scheduler_and_the_multi_worker():
    from taskhero import hookimpl
    from taskhero.runtime.scheduler.scheduler import Scheduler
    from taskhero.runtime.worker.pool import MultiWorker

    class MyScheduler(Scheduler):
        pass

    class Makes:
        @hookimpl
        def taskhero_make_scheduler(self, ctx):
            return MyScheduler(ctx)

        @hookimpl
        def taskhero_make_multi_worker(self): ...

    app = TaskHero(settings=QUICK, plugins=(Makes(),))
    async with app.running():
        assert type(app.scheduler) is MyScheduler
        assert type(app.multi_worker) is MultiWorker
