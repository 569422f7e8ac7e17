"""The rules that keep it unsurprising, by the surface: what is enqueued here is performed here."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextvars import ContextVar

import pytest

from taskhero import Settings, TaskHero, current, task
from taskhero.errors import NotRunningATask

pytestmark = pytest.mark.anyio

SETTINGS = Settings(max_task_processors=2, timeout=0.2, grace=1)


@task(run_in="process")
def whereabouts(number):
    return os.getpid(), current().job.args, number


class Results:
    """How jobs ended, in the order in which they did."""

    def __init__(self, app):
        self.ended = asyncio.Queue()
        app.on("success", lambda job, result: self.ended.put_nowait((job.name, result)))
        app.on("failure", lambda job, error: self.ended.put_nowait((job.name, error)))

    async def next(self):
        async with asyncio.timeout(20):
            return await self.ended.get()


@pytest.fixture
async def app():
    app = TaskHero(settings=SETTINGS)
    app.results = Results(app)
    async with app.running():
        yield app


async def test_def_tasks_run_in_threads_and_async_ones_on_the_loop(app):
    @app.task
    def in_a_thread():
        return threading.current_thread() is threading.main_thread()

    @app.task
    async def on_the_loop():
        return threading.current_thread() is threading.main_thread(), asyncio.get_running_loop()

    await in_a_thread.enqueue()
    assert await app.results.next() == ("in_a_thread", False)
    await on_the_loop.enqueue()
    assert await app.results.next() == ("on_the_loop", (True, asyncio.get_running_loop()))


async def test_run_in_process_runs_in_another_process(app):
    app.tasks.adopt(whereabouts)
    await whereabouts.enqueue(3)
    name, (pid, args, number) = await app.results.next()
    assert (name, args, number) == ("whereabouts", [3], 3)
    assert pid != os.getpid()


async def test_a_timeout_fails_the_job_with_a_clear_error(app):
    released = threading.Event()

    @app.task(timeout=0.05)
    async def slow():
        await asyncio.sleep(60)

    @app.task(timeout=0.05)
    def stuck():
        released.wait(20)

    await slow.enqueue()
    name, error = await app.results.next()
    assert (name, isinstance(error, TimeoutError)) == ("slow", True)
    assert "ran longer than its timeout of 0.05 s" in str(error)
    await stuck.enqueue()
    name, error = await app.results.next()
    assert (name, isinstance(error, TimeoutError)) == ("stuck", True)
    released.set()


async def test_current_tells_the_running_task_its_job_worker_app_and_logger(app):
    @app.task(queue="mail")
    async def ask(*, to):
        here = current()
        return here.job.name, here.job.args, here.job.queue, here.worker, here.app is app, here.logger.extra["task"]

    @app.task
    def ask_in_a_thread():
        return current().job.name

    await ask.enqueue(to="a")
    _, (name, args, queue, worker, same, logged) = await app.results.next()
    assert (name, args, queue, same, logged) == ("ask", [{"to": "a"}], "mail", True, "ask")
    assert worker in {one.name for one in app.multi_worker.workers}
    await ask_in_a_thread.enqueue()
    assert await app.results.next() == ("ask_in_a_thread", "ask_in_a_thread")
    with pytest.raises(NotRunningATask):
        current()


@pytest.mark.parametrize("args", [(), {}, None])
async def test_every_form_of_no_arguments_runs_a_task_that_needs_none(app, args):
    @app.task
    async def nothing():
        return "nothing"

    @app.task
    async def optional(*, copies=1):
        return copies

    for name in ("nothing", "optional"):
        # As another program would write it.
        job = app.queue.job(name, args)
        await app.backend.push([entry(name, args)])
        assert await app.results.next() == (name, "nothing" if name == "nothing" else 1)
        await app.queue.push(job)
        await app.results.next()


def entry(name, args):
    from taskhero.backends.protocol import Entry
    from taskhero.engine.task.signature import wire_args
    from taskhero.wire.jobs import encode_job

    return Entry("default", encode_job(name, wire_args(args), "default"))


async def test_defaults_are_those_of_the_worker_not_of_the_enqueuer(app):
    first = TaskHero(app.backend)

    @first.task(name="greet")
    async def greet(*, to, words="old"): ...

    @app.task(name="greet")
    async def greet_newer(*, to, words="new"):
        return f"{words} {to}"

    await app.queue.push(greet.job(to="you"))
    assert await app.results.next() == ("greet", "new you")


async def test_a_worker_that_meets_an_unknown_name_fails_the_job_and_goes_on(app):
    @app.task
    async def known():
        return "done"

    await app.queue.enqueue("unknown", [1], "default")
    await known.enqueue()
    name, error = await app.results.next()
    assert name == "unknown"
    assert "No job defined for class 'unknown'" in str(error)
    assert await app.results.next() == ("known", "done")
    (failed,) = await app.queue.failed()
    assert (failed.job.name, failed.job.args, failed.queue) == ("unknown", [1], "default")
    assert await app.queue.failed_count() == 1
    assert (await app.queue.stats())["processed"] == 1


async def test_a_delayed_job_never_starts_before_its_time():
    app = TaskHero(settings=Settings(max_task_processors=1, scheduler=True, timeout=0.2))
    results = Results(app)

    @app.task
    async def when():
        return time.time()

    async with app.running():
        at = time.time() + 0.3
        await when.enqueue_at(at)
        _, begun = await results.next()
        assert at <= begun < at + 3


@pytest.mark.parametrize("timeout", [None, 5])
async def test_a_coroutine_that_a_task_returns_instead_of_awaiting_it_is_a_failure(app, timeout):
    async def send(): ...

    def undecorated(*args):
        return send(*args)

    async def forgetful():
        return send()

    for function in (undecorated, forgetful):
        await app.task(timeout=timeout)(function).enqueue()
        name, error = await app.results.next()
        assert name == function.__name__
        assert isinstance(error, TypeError)
        assert f"task {name!r} returned a coroutine" in str(error)
        assert "send(), that is not awaited: declare the task with async def" in str(error)


tenant: ContextVar[str | None] = ContextVar("tenant", default=None)


@pytest.mark.parametrize("kind", ["loop", "thread", "handler of the end"])
async def test_context_variables_of_a_job_end_with_it(app, kind):
    async def in_the_loop(name):
        before = tenant.get()
        if kind != "handler of the end":
            tenant.set(name)
        return before

    def in_a_thread(name):
        before = tenant.get()
        tenant.set(name)
        return before

    work = app.task(name="work")(in_a_thread if kind == "thread" else in_the_loop)
    if kind == "handler of the end":
        app.on("success", lambda job: tenant.set(job.args[0]))
    for name in ("ann", "bob", "eve"):
        await work.enqueue(name)
        assert await app.results.next() == ("work", None)
