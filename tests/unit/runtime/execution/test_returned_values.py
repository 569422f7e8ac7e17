"""What a function returns is the result of its job, unless the task's work remains to be done in it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest
from executor_harness import WAIT, ExecutorHarness, failure

from taskhero.backends.protocol import Succeeded
from taskhero.models import Success

pytestmark = pytest.mark.anyio

PLACES = ["loop", "loop with a timeout", "thread", "thread with a timeout"]


async def returned(harness: ExecutorHarness, where: str, make: Callable[[], Any]) -> Any:
    """Return the result of a job whose function returns a value."""

    async def on_loop() -> Any:
        return make()

    def in_thread() -> Any:
        return make()

    timeout = WAIT if "timeout" in where else None
    return await harness.run(on_loop if "loop" in where else in_thread, name="give", timeout=timeout)


def rows() -> Iterator[int]:
    yield 1


async def rows_async() -> AsyncIterator[int]:
    yield 1


async def coroutine() -> None:
    await asyncio.sleep(0)


class AwaitableObject:
    def __await__(self) -> Generator[Any, None, None]:
        yield

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


WORK: dict[str, tuple[Callable[[], Any], str]] = {
    "generator": (rows, "a generator, rows(), that is not consumed"),
    "async generator": (rows_async, "an async generator, rows_async(), that is not consumed"),
    "coroutine": (coroutine, "a coroutine, coroutine(), that is not awaited"),
    "awaitable": (AwaitableObject, "an AwaitableObject that is not awaited"),
    "map": (lambda: map(str, [1]), "a map that is not consumed"),
    "concurrent future": (concurrent.futures.Future, "a Future that is not done"),
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", WORK)
async def test_work_that_is_returned_is_a_failure(harness: ExecutorHarness, where: str, kind: str) -> None:
    make, text = WORK[kind]
    performed = await returned(harness, where, make)
    error = failure(performed)
    assert isinstance(error, TypeError)
    assert f"task 'give' returned {text}: " in str(error)


@pytest.mark.parametrize("where", PLACES)
async def test_a_pending_future_or_task_is_a_failure_and_is_cancelled(harness: ExecutorHarness, where: str) -> None:
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(asyncio.sleep(WAIT))
    for value in (future, task):
        performed = await returned(harness, where, lambda value=value: value)
        assert "that is not done: declare the task with async def, and await it there" in str(failure(performed))
        await asyncio.wait({value}, timeout=WAIT)
        assert value.cancelled(), "a retry does not run beside it"


@pytest.mark.parametrize("where", PLACES)
async def test_a_future_that_is_done_ends_the_job_as_it_did(harness: ExecutorHarness, where: str) -> None:
    good, bad = asyncio.get_running_loop().create_future(), concurrent.futures.Future[int]()
    good.set_result(7)
    bad.set_exception(LookupError("gone"))
    outcome = (await returned(harness, where, lambda: good)).outcome
    assert isinstance(outcome, Success)
    assert outcome.result == 7
    assert str(failure(await returned(harness, where, lambda: bad))) == "gone"


class NoAttributes:
    """Its attributes, its class and its repr raise."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("where", PLACES)
async def test_other_values_are_results(harness: ExecutorHarness, where: str) -> None:
    recursive: list[Any] = []
    recursive.append(recursive)
    consumed = rows()
    list(consumed)
    for value in (None, 0, "text", recursive, {"a": 1}, consumed, NoAttributes(), ValueError("a value"), iter([1])):
        performed = await returned(harness, where, lambda value=value: value)
        assert performed.disposition == Succeeded()
        assert performed.outcome.result is value
