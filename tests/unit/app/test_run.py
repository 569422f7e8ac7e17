"""`app.run()` and `app.reconfigure()` where they cannot be used; how it runs is tested with real processes."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

import pytest

from taskhero import Settings, TaskHero
from taskhero.errors import AlreadyRunning


def test_it_returns_when_a_burst_is_over_and_leaves_the_signals_as_they_were():
    app = TaskHero()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    app.run(burst=True)
    assert {number: signal.getsignal(number) for number in before} == before
    assert app.settings == Settings(), "what it ran was for the run only"
    app.run(burst=True)


def test_an_event_loop_must_not_run():
    async def main() -> None:
        with pytest.raises(AlreadyRunning, match=r"app\.running\(\)"):
            TaskHero().run()

    asyncio.run(main())


def test_only_the_main_thread_can_run_it():
    told: list[BaseException] = []

    def run() -> None:
        try:
            TaskHero().run()
        except RuntimeError as error:
            told.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert "main thread" in str(told[0])


def test_an_error_of_the_lifespan_ends_it():
    def lifespan(_app):
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"):
        TaskHero(lifespan=lifespan).run()


def test_an_app_is_reconfigured_before_it_is_connected_only():
    app = TaskHero(settings=Settings(queues="a"))
    app.reconfigure(backend="redis://:secret@elsewhere:1/2", settings=Settings(queues="b"))
    assert app.backend.location == "redis://elsewhere:1/2"
    assert app.queue.context.settings.queues == ("b",)
    assert app.queue.context.backend is app.backend
    app.reconfigure(backend="memory://")
    assert app.settings.queues == ("b",)

    async def main() -> None:
        async with app:
            with pytest.raises(AlreadyRunning, match=r"call reconfigure\(\) before it connects"):
                app.reconfigure(settings=Settings())
        app.reconfigure(settings=Settings())

    asyncio.run(main())


async def leave(error):
    raise error


async def leave_in_task_group(error):
    async with asyncio.TaskGroup() as group:
        group.create_task(leave(error))


async def leave_in_gather(error):
    await asyncio.gather(leave(error), asyncio.sleep(60))


async def leave_in_callback(error):
    def callback():
        raise error

    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0.01)
    await leave(error)


@pytest.mark.parametrize("uvloop", [False, True])
@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("function", [leave_in_task_group, leave_in_gather, leave_in_callback])
def test_an_exit_in_a_child_task_or_a_callback_fails_its_job_only(monkeypatch, caplog, function, error, uvloop):
    if not uvloop:
        monkeypatch.setitem(sys.modules, "uvloop", None)
        monkeypatch.setattr("taskhero.runtime.process.event_loop.importlib.util.find_spec", lambda _name: None)
    app = TaskHero(settings=Settings(max_task_processors=2))
    ended = []
    begun, left = asyncio.Event(), asyncio.Event()

    @app.task
    async def leaves():
        await begun.wait()
        await function(error)

    @app.task
    async def beside():
        begun.set()
        await asyncio.wait_for(left.wait(), 10)

    @app.on("failure")
    def failed(job, error):
        ended.append((job.name, error))
        left.set()

    app.on("success", lambda job: ended.append((job.name, None)))

    @app.on("multi_worker.start")
    async def enqueue():
        await leaves.enqueue()
        await beside.enqueue()

    app.run(burst=True)
    assert ended == [("leaves", error), ("beside", None)]
    assert f"raised {type(error).__name__}, the process continues" in caplog.text
