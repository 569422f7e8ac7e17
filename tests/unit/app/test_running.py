"""An app that runs: what starts, what a stop does, and the lifespan around it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from lifecycle_apps import QUICK, Noted

from taskhero import NotConnected, Settings, TaskHero
from taskhero.backends.memory import MemoryBackend
from taskhero.errors import (
    AlreadyRunning,
    InvalidSettings,
    NothingToRun,
)

pytestmark = pytest.mark.anyio


# --- running


PROCESSORS = {"max_task_processors": 1, "check_interval": 0.05, "timeout": 0.1, "grace": 1}


async def test_a_delayed_job_runs_in_memory_without_a_word_about_a_scheduler():
    app = TaskHero(settings=Settings(**PROCESSORS))
    done = asyncio.Queue()

    @app.task
    async def note(what):
        await done.put(what)

    async with app.running():
        assert app.scheduler is not None
        await note.enqueue_in(1, "later")
        async with asyncio.timeout(10):
            assert await done.get() == "later"


@pytest.mark.parametrize(
    ("backend", "settings"),
    [
        ("memory://", Settings(**PROCESSORS, scheduler=False)),
        ("fakeredis://", Settings(**PROCESSORS)),
        ("fakeredis://", Settings(**PROCESSORS, scheduler=False)),
    ],
)
async def test_no_scheduler_runs_if_the_settings_say_no_or_other_programs_share_the_store(backend, settings):
    async with TaskHero(backend, settings=settings).running() as app:
        assert (app.scheduler, app.multi_worker is None) == (None, False)


async def test_a_backend_of_a_third_party_can_ask_for_a_scheduler():
    class Shared(MemoryBackend):
        embedded = False

    async with TaskHero(Shared(), settings=Settings(**PROCESSORS)).running() as app:
        assert app.scheduler is None
    async with TaskHero(MemoryBackend(), settings=Settings(**PROCESSORS)).running() as app:
        assert app.scheduler is not None


async def test_running_works_jobs_and_stops_again():
    app = TaskHero(settings=QUICK)
    done = asyncio.Queue()

    @app.task
    async def note(what):
        await done.put(what)

    async with app.running() as same:
        assert same is app
        assert app.scheduler is not None
        assert app.multi_worker is not None
        await note.enqueue("now")
        async with asyncio.timeout(5):
            assert await done.get() == "now"
    assert (app.scheduler, app.multi_worker) == (None, None)
    with pytest.raises(NotConnected):
        await note.enqueue("later")


async def test_running_within_a_connected_block_leaves_it_connected():
    backend = Noted()
    app = TaskHero(backend, settings=QUICK)
    async with app:
        async with app.running():
            pass
        assert backend.notes == ["connect"]
        await app.queue.queues()
    assert backend.notes == ["connect", "close"]


async def test_running_with_nothing_to_run_names_the_settings_to_give():
    backend = Noted()
    app = TaskHero(backend)
    with pytest.raises(NothingToRun, match=r"Settings\(max_task_processors=10\), Settings\(scheduler=True\)"):
        async with app.running():
            raise AssertionError("never entered")
    assert backend.notes == []


async def test_starting_with_nothing_to_run_connects():
    app = TaskHero()
    await app.start()
    assert await app.queue.queues() == []
    assert (app.scheduler, app.multi_worker) == (None, None)
    await app.stop()
    with pytest.raises(NotConnected):
        await app.queue.queues()


@pytest.mark.parametrize(
    ("settings", "scheduler", "multi_worker"),
    [(Settings(scheduler=True), True, False), (Settings(max_task_processors=1, scheduler=False), False, True)],
)
async def test_only_what_the_settings_ask_for_runs(settings, scheduler, multi_worker):
    app = TaskHero(settings=settings)
    await app.start()
    assert (app.scheduler is not None, app.multi_worker is not None) == (scheduler, multi_worker)
    await app.stop()


async def test_it_runs_once_at_a_time():
    app = TaskHero(settings=QUICK)
    await app.start()
    with pytest.raises(AlreadyRunning, match="runs already: stop it first"):
        await app.start()
    with pytest.raises(AlreadyRunning):
        async with app.running():
            raise AssertionError("never entered")
    assert app.multi_worker is not None
    await app.stop()
    await app.stop()
    async with app.running():
        await app.stop()
        assert app.multi_worker is None


async def test_a_stop_that_comes_while_it_starts_or_stops_waits_for_its_turn():
    backend = Noted()
    app = TaskHero(backend, settings=QUICK)
    starting = asyncio.create_task(app.start())
    await asyncio.sleep(0)
    await asyncio.gather(app.stop(), app.stop(), starting)
    assert backend.notes == ["connect", "close"]
    assert app.multi_worker is None
    async with app.running():
        assert app.multi_worker is not None


async def test_a_stop_that_is_cancelled_gives_running_jobs_back_at_once():
    app = TaskHero(settings=Settings(max_task_processors=1, grace=60))
    begun = asyncio.Event()
    ended = []

    @app.task
    async def endless():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async with app, asyncio.timeout(10):
        await app.start()
        await endless.enqueue()
        await begun.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(app.stop(), 0.05)
        assert ended == [1]
        assert app.multi_worker is None
        assert await app.queue.length("default") == 1


async def test_a_task_that_stops_its_app_is_given_back():
    app = TaskHero(settings=Settings(max_task_processors=1, grace=0.01))
    given_back = asyncio.Event()
    app.on("given_back", given_back.set)

    @app.task
    async def stop():
        await app.stop()

    async with app, asyncio.timeout(20):
        await app.start()
        await stop.enqueue()
        await given_back.wait()
        await app.stop()
        assert app.multi_worker is None
        assert await app.queue.length("default") == 1


async def test_tasks_may_be_declared_while_it_runs():
    app = TaskHero(settings=QUICK)
    done = asyncio.Event()
    async with app.running():

        @app.task
        async def late():
            done.set()

        await late.enqueue()
        async with asyncio.timeout(5):
            await done.wait()


async def test_queues_of_a_callable_are_asked_for_at_the_start():
    asked = []

    async def ask():
        asked.append(1)
        return ("a", "b")

    app = TaskHero(settings=Settings(max_task_processors=1, queues=ask))
    assert asked == []
    async with app.running():
        assert asked == [1]

    broken = TaskHero(settings=Settings(max_task_processors=1, queues=list))
    with pytest.raises(InvalidSettings, match="queues is empty"):
        await broken.start()
    with pytest.raises(NotConnected):
        await broken.queue.queues()


# --- the lifespan


async def test_the_lifespan_is_entered_before_the_workers_start_and_left_after_they_stopped():
    backend = Noted()
    notes = backend.notes

    @asynccontextmanager
    async def lifespan(app):
        notes.append("enter")
        assert app.multi_worker is None
        await app.queue.enqueue("note", [])
        yield
        assert app.multi_worker is not None
        notes.append("leave")

    app = TaskHero(backend, settings=QUICK, lifespan=lifespan)
    begun = asyncio.Event()

    @app.task
    async def note():
        begun.set()
        await asyncio.sleep(0.05)
        notes.append("worked")

    @app.on("worker.end")
    def ended(worker):
        notes.append("ended")

    async with app:
        assert notes == ["connect"]
        async with app.running(), asyncio.timeout(5):
            await begun.wait()
        assert notes[:3] == ["connect", "enter", "worked"]
        assert set(notes[3:-1]) == {"ended"}
        assert notes[-1] == "leave"
    assert notes[-2:] == ["leave", "close"]


async def test_what_the_lifespan_raises_reaches_the_caller_and_nothing_is_left_behind():
    backend = Noted()

    @asynccontextmanager
    async def lifespan(app):
        raise LookupError("no pool")
        yield

    app = TaskHero(backend, settings=QUICK, lifespan=lifespan)
    for _ in range(2):
        with pytest.raises(LookupError, match="no pool"):
            await app.start()
    assert backend.notes == ["connect", "close"] * 2
    assert app.multi_worker is None


async def test_a_lifespan_that_is_no_context_manager_is_refused_with_a_sentence():
    async def generator(app):
        yield

    async def coroutine(app): ...

    for lifespan in (generator, coroutine):
        app = TaskHero(settings=QUICK, lifespan=lifespan)
        with pytest.raises(TypeError, match="put @contextlib.asynccontextmanager above it"):
            await app.start()


# --- what becomes of a job


async def test_plugins_decide_on_what_is_performed():
    from taskhero import Failure, Success, hookimpl

    class Forgive:
        @hookimpl
        def taskhero_before_perform(self, job):
            return job.args[0] != "refused"

        @hookimpl
        async def taskhero_after_perform(self, outcome):
            return Success("forgiven") if isinstance(outcome, Failure) else None

    app = TaskHero(settings=QUICK, plugins=(Forgive(),))
    results = asyncio.Queue()
    app.on("success", lambda job, result: results.put_nowait((job.args, result)))

    @app.task
    def strict(what):
        raise ValueError(what)

    async with app.running(), asyncio.timeout(5):
        await strict.enqueue("refused")
        await strict.enqueue("bad")
        assert await results.get() == (["bad"], "forgiven")
        assert await app.queue.failed_count() == 0


async def test_args_that_do_not_fit_go_to_failed_with_a_message_that_shows_both():
    app = TaskHero(settings=QUICK)
    failed = asyncio.Event()
    app.on("failure", lambda event: failed.set())

    @app.task(name="send")
    async def send(*, to: str): ...

    async with app.running(), asyncio.timeout(5):
        await app.queue.push(app.queue.job("send", {"to": "a"}).__class__("send", [{"too": "a"}], "default"))
        await failed.wait()
        (entry,) = await app.queue.failed()
        assert entry.exception == "ArgumentsMismatch"
        assert "send(*, to: str)" in entry.error
        assert "[{'too': 'a'}]" in entry.error


async def test_a_task_may_change_its_arguments_and_the_failed_entry_keeps_them():
    app = TaskHero(settings=QUICK)
    failed = asyncio.Event()
    app.on("failure", lambda event: failed.set())

    @app.task
    def spoil(numbers):
        numbers.append(3)
        numbers[0].clear()
        raise ValueError(numbers)

    async with app.running(), asyncio.timeout(5):
        await spoil.enqueue([[1], 2])
        await failed.wait()
        (entry,) = await app.queue.failed()
        assert entry.job.args == [[[1], 2]]
