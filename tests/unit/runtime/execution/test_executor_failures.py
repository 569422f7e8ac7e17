"""Whatever a task raises, its job is a valid entry of the failures."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from executor_harness import WAIT, WORKER, ExecutorHarness, entry, failure, raiser

from taskhero.backends.protocol import Succeeded
from taskhero.hooks.specs import hookimpl

pytestmark = pytest.mark.anyio


# --- what a task raises -------------------------------------------------------------------------------------------


class BadStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class BadEverything(Exception):
    __traceback__ = property(lambda self: 1 / 0)  # type: ignore[assignment]
    __cause__ = property(lambda self: 1 / 0)  # type: ignore[assignment]
    __notes__ = property(lambda self: 1 / 0)  # type: ignore[assignment]

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__

    def __setattr__(self, name: str, value: object) -> None:
        raise KeyboardInterrupt


def deep() -> Any:
    return deep() + 1


ODD = [
    ValueError("plain"),
    asyncio.CancelledError("by itself"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopIteration(1),
    StopAsyncIteration(),
    BaseException("base"),
    ExceptionGroup("both", [ValueError("one"), KeyError("two")]),
    BaseExceptionGroup("hard", [SystemExit(1)]),
    BadStr(),
    BadEverything(),
    ValueError("\ud800 lone"),
    ValueError("x" * 1_000_000),
    TimeoutError("its own"),
    MemoryError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
]


@pytest.mark.parametrize("where", ["loop", "loop with a timeout", "thread", "thread with a timeout"])
@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
async def test_whatever_a_task_raises_is_a_valid_entry_and_the_worker_goes_on(
    harness: ExecutorHarness, where: str, error: BaseException
) -> None:
    fail = raiser(error)

    async def on_loop() -> None:
        await asyncio.sleep(0)
        fail()

    timeout = WAIT if "timeout" in where else None
    performed = await harness.run(on_loop if "loop" in where else fail, name="fail", timeout=timeout)
    raised = failure(performed)
    if isinstance(error, StopIteration) and "loop" in where:
        assert isinstance(raised, RuntimeError), "Python makes it one in a coroutine"
    else:
        assert raised is error
        assert entry(performed).exception == type(error).__name__
    assert performed.disposition.entry.encode()  # type: ignore[union-attr]
    assert len(performed.disposition.entry) < 300_000  # type: ignore[union-attr]
    assert (await harness.run(lambda: 1, name="next")).disposition == Succeeded()


async def test_the_entry_of_a_failure(harness: ExecutorHarness) -> None:
    async def fail(a: int) -> None:
        raise LookupError(f"no {a}")

    performed = await harness.run(fail, 7)
    raw = json.loads(performed.disposition.entry)  # type: ignore[union-attr]
    assert {key: raw[key] for key in ("worker", "queue", "exception", "error", "failed_at", "payload")} == {
        "worker": WORKER,
        "queue": "math",
        "exception": "LookupError",
        "error": "no 7",
        "failed_at": "2027/01/15 08:00:00 UTC",
        "payload": {"class": "fail", "queue": "math", "args": [7]},
    }
    first, where, *_, last = raw["backtrace"]
    assert first == "Traceback (most recent call last):"
    assert __file__ in where, "no frame of taskhero stands before the task's"
    assert last == "LookupError: no 7"


@pytest.mark.parametrize("where", ["loop", "loop with a timeout", "thread", "hook"])
async def test_backtraces_begin_in_the_task_or_the_plugin(harness: ExecutorHarness, where: str) -> None:
    async def on_loop() -> None:
        raise ValueError

    class Plugin:
        @hookimpl
        def taskhero_before_perform(self) -> None:
            raise ValueError

    if where == "thread":
        performed = await harness.run(raiser(ValueError()))
    elif where == "hook":
        performed = await harness.run(on_loop, plugins=(Plugin(),))
    else:
        performed = await harness.run(on_loop, timeout=WAIT if "timeout" in where else None)
    assert not any("taskhero/runtime" in line or "taskhero/hooks" in line for line in entry(performed).backtrace)
    assert "tests/unit/runtime" in entry(performed).backtrace[1]


async def test_backtraces_of_groups_show_what_is_in_them(harness: ExecutorHarness) -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(raiser(ValueError("one"))))

    lines = "\n".join(entry(await harness.run(fail)).backtrace)
    assert "ExceptionGroup" in lines
    assert "ValueError: one" in lines


async def test_endless_recursion_is_a_failure_with_a_backtrace_of_sensible_size(harness: ExecutorHarness) -> None:
    failed = entry(await harness.run(deep))
    assert failed.exception == "RecursionError"
    assert sum(map(len, failed.backtrace)) < 70_000


async def test_huge_texts_are_cut_and_say_so(harness: ExecutorHarness) -> None:
    failed = entry(await harness.run(raiser(ValueError("x" * 100_000))))
    assert failed.error.startswith("x" * 65_536)
    assert failed.error.endswith("(34464 more characters)")
    assert all(len(line) < 5000 for line in failed.backtrace)


async def test_a_text_that_cannot_be_had_says_why(harness: ExecutorHarness) -> None:
    assert entry(await harness.run(raiser(BadStr()))).error == "(its text cannot be shown: str() raised RuntimeError)"


async def test_a_task_that_cancels_itself_has_failed_and_what_comes_after_is_not_cancelled(
    harness: ExecutorHarness,
) -> None:
    class Plugin:
        @hookimpl
        async def taskhero_after_perform(self) -> None:
            await asyncio.sleep(0)
            seen.append(asyncio.current_task().cancelling())  # type: ignore[union-attr]

    seen: list[int] = []

    async def cancel_itself() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    performed = await harness.run(cancel_itself, plugins=(Plugin(),))
    assert isinstance(failure(performed), asyncio.CancelledError)
    assert seen == [0]
