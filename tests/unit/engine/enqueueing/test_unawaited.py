"""An enqueue that is not awaited is reported, and otherwise its coroutine is like any other."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import logging
import threading
from collections.abc import Coroutine
from types import CoroutineType
from unittest import mock

import anyio
import pytest

from taskhero import Queue, Settings, TaskHero
from taskhero.models import FailedJob, Job

pytestmark = pytest.mark.anyio
here = __file__


@pytest.fixture
def app():
    return TaskHero(settings=Settings(max_task_processors=1))


@pytest.fixture
def add(app):
    return app.task(name="add", queue="math")(lambda a, b=0: a + b)


@pytest.fixture
def errors(caplog):
    caplog.set_level(logging.ERROR)

    def found():
        gc.collect()
        return [record.getMessage() for record in caplog.records if record.name == "taskhero.queue"]

    return found


def line_of(text):
    """Return the line of this file with a text."""
    with open(here) as file:  # noqa: PTH123
        return next(number for number, line in enumerate(file, 1) if text in line and "line_of" not in line)


# --- not awaited


def test_an_enqueue_that_is_not_awaited_is_an_error_with_the_line_of_the_call(add, errors):
    def on_commit(callback):
        callback()

    on_commit(lambda: add.enqueue(1))  # the call
    (message,) = errors()
    assert message.startswith(
        f"add.enqueue(...) at {here}:{line_of('# the call')} was not awaited, so nothing is stored"
    )
    assert "write `await` before it; in synchronous code, pass it to the event loop of the app" in message


@pytest.mark.parametrize(
    ("call", "title"),
    [
        (lambda app, task: task.enqueue(1), "add.enqueue(...)"),
        (lambda app, task: task.enqueue_in(1, 1), "add.enqueue_in(...)"),
        (lambda app, task: task.enqueue_at(1, 1), "add.enqueue_at(...)"),
        (lambda app, task: task.options(queue="slow").enqueue(1), "add.enqueue(...)"),
        (lambda app, task: app.queue.enqueue("add", [1]), "app.queue.enqueue(...)"),
        (lambda app, task: app.queue.enqueue_in(1, "add", [1]), "app.queue.enqueue_in(...)"),
        (lambda app, task: app.queue.enqueue_at(1, "add", [1]), "app.queue.enqueue_at(...)"),
        (lambda app, task: app.queue.enqueue_many([task.job(1)]), "app.queue.enqueue_many(...)"),
        (lambda app, task: app.queue.push(task.job(1)), "app.queue.push(...)"),
        (lambda app, task: app.queue.push_in(1, task.job(1)), "app.queue.push_in(...)"),
        (lambda app, task: app.queue.push_at(1, task.job(1)), "app.queue.push_at(...)"),
        (lambda app, task: app.queue.enqueue_recurrent("add"), "app.queue.enqueue_recurrent(...)"),
        (lambda app, task: app.queue.enqueue_all_recurrent(), "app.queue.enqueue_all_recurrent(...)"),
        (
            lambda app, task: app.queue.retry_and_remove_failed(mock.Mock(FailedJob)),
            "app.queue.retry_and_remove_failed(...)",
        ),
        (lambda app, task: app.queue.retry_stuck_jobs(), "app.queue.retry_stuck_jobs(...)"),
    ],
)
def test_every_method_that_stores_is_reported_and_has_no_truth_value(app, add, errors, call, title):
    pending = call(app, add)
    with pytest.raises(TypeError) as caught:
        bool(pending)
    assert str(caught.value).startswith(f"{title} has no truth value, because it is not awaited: write `await`")
    assert repr(pending) == f"<coroutine {title}>"
    assert errors() == []
    del pending, caught
    (message,) = errors()
    assert message.startswith(f"{title} at {here}:")


async def test_a_task_of_asyncio_that_never_starts_is_reported(add, errors):
    def run():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        loop.create_task(add.enqueue(1))  # noqa: RUF006
        loop.close()

    await asyncio.to_thread(run)
    (message,) = errors()
    assert "add.enqueue(...) at " in message


async def test_a_task_that_returns_an_enqueue_without_await_fails(app, add, errors):
    failures = asyncio.Queue()
    app.on("failure", lambda error: failures.put_nowait(error))  # noqa: PLW0108 -- by its name
    lazy = app.task(name="lazy")(lambda: add.enqueue(1))
    async with app.running():
        await lazy.enqueue()
        failure = await asyncio.wait_for(failures.get(), 10)
        assert await app.queue.length("math") == 0
    assert "returned a coroutine, ConfiguredTask.enqueue(), that is not awaited" in str(failure)
    assert errors() == []


# --- awaited


def starlette_calls_it_async(function):
    """Check as starlette.background does."""
    while isinstance(function, functools.partial):
        function = function.func
    return asyncio.iscoroutinefunction(function)


async def test_it_works_wherever_a_coroutine_does(app, add, errors):
    async with app:
        assert await add.enqueue(1) is True
        assert await asyncio.create_task(add.enqueue(2)) is True
        assert await asyncio.gather(add.enqueue(3), app.queue.enqueue("add", [4])) == [True, True]
        assert await asyncio.wait_for(add.enqueue(5), 10) is True
        assert await asyncio.ensure_future(add.enqueue_at(1, 6)) is True
        assert await asyncio.shield(add.enqueue(7)) is True
        async with asyncio.TaskGroup() as group:
            group.create_task(add.enqueue(8))
        async with anyio.create_task_group() as group:
            group.start_soon(add.enqueue, 9)
            group.start_soon(app.queue.enqueue, "add", [10])
        (done,), _ = await asyncio.wait([asyncio.ensure_future(add.enqueue(11))])
        assert done.result() is True
        loop = asyncio.get_running_loop()
        from_thread = functools.partial(asyncio.run_coroutine_threadsafe, loop=loop)
        assert await asyncio.to_thread(lambda: from_thread(add.enqueue(12)).result(10)) is True
        assert sorted(job.args[0] for job in await app.queue.queued("math")) == list(range(1, 13))
    assert errors() == []


def run_in_new_loop(pending):
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(pending)


@pytest.mark.parametrize("run", [asyncio.run, run_in_new_loop])
def test_an_event_loop_runs_it(add, errors, run):
    queue = mock.Mock(push=mock.AsyncMock(return_value=True))
    add.owner = mock.Mock(queue=queue)
    results = []
    thread = threading.Thread(target=lambda: results.append(run(add.enqueue(1))))
    thread.start()
    thread.join(10)
    assert results == [True]
    queue.push.assert_awaited_once_with(Job("add", [1], "math"))
    assert errors() == []


def test_it_is_a_coroutine_for_every_check(app, add):
    for pending in (add.enqueue(1), app.queue.enqueue("add", [1])):
        assert isinstance(pending, Coroutine)
        assert isinstance(pending, CoroutineType)
        assert asyncio.iscoroutine(pending)
        assert inspect.iscoroutine(pending)
        assert inspect.isawaitable(pending)
        assert inspect.getcoroutinestate(pending) == "CORO_CREATED"
        assert pending.__qualname__.endswith(".enqueue")
        pending.close()
        assert inspect.getcoroutinestate(pending) == "CORO_CLOSED"
    for verb in (add.enqueue, add.enqueue_in, app.queue.enqueue, app.queue.push, functools.partial(add.enqueue, 1)):
        assert starlette_calls_it_async(verb)
    assert list(inspect.signature(add.enqueue_in).parameters) == ["delay", "args", "kwargs"]
    assert list(inspect.signature(app.queue.enqueue).parameters) == ["name", "args", "queue"]
    assert add.enqueue.__doc__.startswith("Store a job of this call")


async def test_one_that_is_closed_or_cancelled_is_not_reported(add, errors):
    add.enqueue(1).close()
    cancelled = asyncio.create_task(add.enqueue(1))
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with pytest.raises(KeyError):
        add.enqueue(1).throw(KeyError("no"))
    del cancelled
    assert errors() == []


async def test_a_wrong_call_raises_where_it_is_awaited_and_is_not_reported(app, add, errors):
    async with app:
        with pytest.raises(TypeError, match="too many positional"):
            await add.enqueue(1, 2, 3)
        pending = add.enqueue(1)
        assert await pending
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await pending
    assert errors() == []


async def test_overrides_of_the_queue_call_it_as_before(errors):
    class Counting(Queue):
        count = 0

        async def push(self, job, *, front=False):
            self.count += 1
            return await super().push(job, front=front)

    app = TaskHero(queue=Counting)
    add = app.task(name="add")(lambda a: a)
    async with app:
        assert await add.enqueue(1)
        assert await app.queue.enqueue("add", [2])
        assert app.queue.count == 2
    assert errors() == []
