"""Jobs that an operator fails while they run: as after a timeout, but with another error."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest
from executor_harness import WAIT, WORKER, ExecutorHarness, entry, failure

from taskhero.backends.protocol import Claim, Retried, Succeeded
from taskhero.errors import StoppedBySignal
from taskhero.hooks.specs import hookimpl
from taskhero.models import Success
from taskhero.plugins import Retry
from taskhero.runtime.execution.context import current
from taskhero.wire.jobs import encode_job

pytestmark = pytest.mark.anyio
LOOP = pytest.mark.parametrize("timeout", [None, WAIT])


def stopped() -> StoppedBySignal:
    return StoppedBySignal("told by a test")


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, WAIT)


def claim_of(name: str) -> Claim:
    return Claim(1, "token", "math", encode_job(name, [], "math"))


@LOOP
async def test_an_async_task_is_cancelled_and_its_job_fails(harness: ExecutorHarness, timeout: float | None) -> None:
    began = asyncio.Event()
    seen: list[Any] = []

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(WAIT)
        finally:
            await asyncio.sleep(0)
            seen.append(current().cancelled)

    running = harness.begin(harness.declare(work, timeout=timeout))
    await began.wait()
    assert harness.executor.fail(running, WORKER, stopped())
    performed = await running
    assert seen == [True], "it may clean up, and can ask why"
    assert isinstance(failure(performed), StoppedBySignal)
    failed = entry(performed)
    assert (failed.exception, failed.error) == ("StoppedBySignal", "told by a test")
    assert any("await asyncio.sleep(WAIT)" in line for line in failed.backtrace), "it tells where the task was"
    assert performed.busy is None
    assert not running.cancelling()


@LOOP
async def test_whatever_a_task_raises_or_returns_then_it_was_stopped(
    harness: ExecutorHarness, timeout: float | None
) -> None:
    async def torn() -> None:
        try:
            await asyncio.sleep(WAIT)
        except asyncio.CancelledError:
            raise ConnectionError("torn") from None

    async def polite() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(WAIT)
        return "partial"

    for function in (torn, polite):
        running = harness.begin(harness.declare(function, timeout=timeout))
        while not harness.executor.fail(running, WORKER, stopped()):
            await asyncio.sleep(0)
        assert isinstance(failure(await running), StoppedBySignal)


async def test_the_retry_plugin_takes_it_for_a_failure(harness: ExecutorHarness) -> None:
    async def work() -> None:
        await asyncio.sleep(WAIT)

    name = harness.declare(work, plugins=(OnlyAfter(),))
    running = harness.begin(name)
    while not harness.executor.fail(running, WORKER, stopped()):
        await asyncio.sleep(0)
    performed = await running
    assert isinstance(performed.disposition, Retried)
    assert entry(performed).exception == "StoppedBySignal"


class OnlyAfter:
    """The decision of `Retry`, without what it needs of a backend; it waits, as a plugin may."""

    def __init__(self) -> None:
        self.calls = 0
        self.marked: list[bool] = []

    @hookimpl
    async def taskhero_after_perform(self, job, ctx, outcome):
        self.calls += 1
        self.marked.append(current().cancelled)
        await asyncio.sleep(0)
        assert ctx.attempt == 1
        return Retry(limit=3).taskhero_after_perform(job, outcome)


async def test_a_second_order_while_plugins_decide_changes_nothing(harness: ExecutorHarness) -> None:
    deciding, go = asyncio.Event(), asyncio.Event()

    class Slow:
        @hookimpl
        async def taskhero_after_perform(self, job, outcome):
            deciding.set()
            await go.wait()
            return Retry(limit=3).taskhero_after_perform(job, outcome)

    async def work() -> None:
        await asyncio.sleep(WAIT)

    running = harness.begin(harness.declare(work, plugins=(Slow(),)))
    while not harness.executor.fail(running, WORKER, stopped()):
        await asyncio.sleep(0)
    await deciding.wait()
    assert not harness.executor.fail(running, WORKER, stopped())
    go.set()
    assert isinstance((await running).disposition, Retried)


async def test_a_success_that_plugins_still_look_at_stays_one(harness: ExecutorHarness) -> None:
    deciding, go = asyncio.Event(), asyncio.Event()

    class Slow:
        @hookimpl
        async def taskhero_after_perform(self) -> None:
            deciding.set()
            await go.wait()

    async def work() -> None: ...

    running = harness.begin(harness.declare(work, plugins=(Slow(),)))
    await deciding.wait()
    assert not harness.executor.fail(running, WORKER, stopped())
    go.set()
    assert (await running).disposition == Succeeded()


async def test_a_plugin_that_waits_before_the_task_is_stopped_with_it(harness: ExecutorHarness) -> None:
    for ignores in (False, True):
        waits, called = asyncio.Event(), []

        class Before:
            @hookimpl
            async def taskhero_before_perform(self) -> None:
                waits.set()  # noqa: B023
                with contextlib.suppress(asyncio.CancelledError if ignores else ValueError):  # noqa: B023
                    await asyncio.sleep(WAIT)

        async def work() -> None:
            called.append(True)  # noqa: B023

        running = harness.begin(harness.declare(work, plugins=(Before(),)))
        await waits.wait()
        assert harness.executor.fail(running, WORKER, stopped())
        assert isinstance(failure(await running), StoppedBySignal)
        assert not called


@LOOP
async def test_a_thread_is_flagged_and_its_job_fails_at_once_and_keeps_the_slot(
    harness: ExecutorHarness, timeout: float | None
) -> None:
    began, gate, flagged = threading.Event(), threading.Event(), []

    def work() -> None:
        me = current()
        flagged.append(me.cancelled)
        began.set()
        gate.wait(WAIT)
        flagged.append(me.cancelled)

    running = harness.begin(harness.declare(work, timeout=timeout))
    await until(began)
    assert harness.executor.fail(running, WORKER, stopped())
    performed = await running
    assert isinstance(failure(performed), StoppedBySignal)
    assert any("gate.wait(WAIT)" in line for line in entry(performed).backtrace), "it tells where the thread is"
    assert performed.busy is not None
    assert not performed.busy.done()
    assert await harness.executor.abandon(running, WORKER, claim_of("work")) is None
    gate.set()
    await asyncio.wait({performed.busy}, timeout=WAIT)
    assert flagged == [False, True]


@pytest.mark.parametrize("timeout", [0.05, None])
async def test_a_thread_is_flagged_by_its_timeout_and_by_the_stop_too(
    harness: ExecutorHarness, timeout: float | None
) -> None:
    began, gate, flagged = threading.Event(), threading.Event(), []

    def work() -> None:
        began.set()
        gate.wait(WAIT)
        flagged.append(current().cancelled)

    running = harness.begin(harness.declare(work, timeout=timeout))
    await until(began)
    if timeout is None:
        harness.executor.cancel(running, WORKER)
    await asyncio.wait({running}, timeout=WAIT)
    gate.set()
    await asyncio.to_thread(harness.threads.close)
    while not flagged:
        await asyncio.sleep(0.001)
    assert flagged == [True]


async def test_a_process_is_killed_and_its_job_fails(harness: ExecutorHarness) -> None:
    running = harness.begin(harness.declare(lambda: None, name="work", run_in="process"))
    while not harness.processes.started:
        await asyncio.sleep(0)
    assert harness.executor.fail(running, WORKER, stopped())
    performed = await running
    assert isinstance(failure(performed), StoppedBySignal)
    assert harness.processes.killed
    assert performed.busy is None


@pytest.mark.parametrize("run_in", ["thread", "process"])
async def test_what_was_done_at_the_same_moment_has_succeeded(harness: ExecutorHarness, run_in: str) -> None:
    release = threading.Event()
    running = harness.begin(harness.declare(lambda: release.wait(WAIT), name="work", run_in=run_in))
    if run_in == "process":
        while not harness.processes.started:
            await asyncio.sleep(0)
        harness.processes.future.set_result(None)
    else:
        while not (outbox := outbox_of(harness)):
            await asyncio.sleep(0)
        release.set()
        while outbox.active_calls:
            # Without a turn of the event loop, so that the job does not know yet.
            outbox._deliver()
    assert harness.executor.fail(running, WORKER, stopped())
    assert isinstance((await running).outcome, Success)
    assert not running.cancelling()


def outbox_of(harness: ExecutorHarness) -> Any:
    """What delivers the results of threads, once a call is under way."""
    outbox = harness.threads._outbox
    return outbox if outbox is not None and outbox.active_calls else None


@LOOP
async def test_a_task_that_ignores_it_has_failed_and_keeps_its_slot_until_it_ends(
    harness: ExecutorHarness, timeout: float | None
) -> None:
    began, go, plugin = asyncio.Event(), asyncio.Event(), OnlyAfter()

    async def stubborn() -> str:
        while True:
            began.set()
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()
                return "done after all"

    name = harness.declare(stubborn, timeout=timeout, plugins=(plugin,))
    running = harness.begin(name)
    await began.wait()
    assert harness.executor.fail(running, WORKER, stopped())
    abandoned = await harness.executor.abandon(running, WORKER, claim_of(name))
    # With a timeout the function has an asyncio task of its own, so that `perform` can return.
    performed = abandoned if timeout is None else await running
    assert performed is not None
    assert (abandoned is None) == (timeout is not None)
    assert isinstance(performed.disposition, Retried)
    assert entry(performed).exception == "StoppedBySignal"
    assert performed.busy is not None
    assert not performed.busy.done()
    assert not harness.executor.fail(running, WORKER, stopped()), "it has failed already"
    go.set()
    await asyncio.wait({performed.busy}, timeout=WAIT)
    assert performed.busy.done()
    assert plugin.calls == 1, "plugins decide once"
    assert plugin.marked == [True]
    if timeout is None:
        with pytest.raises(asyncio.CancelledError):
            await running
        assert any("await go.wait()" in line for line in entry(performed).backtrace), "it tells where the task is"


async def test_a_task_that_cleans_up_quickly_is_not_given_up(harness: ExecutorHarness) -> None:
    async def work() -> None:
        await asyncio.sleep(WAIT)

    name = harness.declare(work)
    running = harness.begin(name)
    while not harness.executor.fail(running, WORKER, stopped()):
        await asyncio.sleep(0)
    assert await harness.executor.abandon(running, WORKER, claim_of(name)) is None
    assert isinstance(failure(await running), StoppedBySignal)


async def test_a_plugin_that_takes_its_time_after_it_is_not_given_up(harness: ExecutorHarness) -> None:
    go = asyncio.Event()

    class Slow:
        @hookimpl
        async def taskhero_after_perform(self) -> None:
            await go.wait()

    async def work() -> None:
        await asyncio.sleep(WAIT)

    name = harness.declare(work, plugins=(Slow(),))
    running = harness.begin(name)
    while not harness.executor.fail(running, WORKER, stopped()):
        await asyncio.sleep(0)
    assert await harness.executor.abandon(running, WORKER, claim_of(name)) is None
    assert not running.done()
    go.set()
    assert isinstance(failure(await running), StoppedBySignal)


async def test_the_stop_after_it_gives_the_job_back_if_that_has_not_failed_yet(harness: ExecutorHarness) -> None:
    began = asyncio.Event()

    async def work() -> None:
        while True:
            began.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(WAIT)
                return
            if current().cancelled and len(cancelled) == 2:
                raise asyncio.CancelledError

    cancelled: list[str] = []
    running = harness.begin(harness.declare(work))
    await began.wait()
    cancelled.append("fails")
    assert harness.executor.fail(running, WORKER, stopped())
    await asyncio.sleep(0)
    cancelled.append("stops")
    harness.executor.cancel(running, WORKER)
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_has_not_begun_or_is_over_is_left_alone(harness: ExecutorHarness) -> None:
    running = harness.begin(harness.declare(lambda: None, name="work"))
    assert not harness.executor.fail(running, WORKER, stopped())
    assert (await running).disposition == Succeeded()
    assert not harness.executor.fail(running, WORKER, stopped())
    assert await harness.executor.abandon(running, WORKER, claim_of("work")) is None
    assert not harness.executor._running, "nothing is kept of what is over"


async def test_a_job_sees_its_own_flag_only(harness: ExecutorHarness) -> None:
    seen: dict[str, bool] = {}
    go = asyncio.Event()

    async def one() -> None:
        await asyncio.sleep(WAIT)

    async def other() -> None:
        await go.wait()
        seen["other"] = current().cancelled

    first, second = harness.begin(harness.declare(one)), harness.begin(harness.declare(other), worker="host.token:1+2")
    while not harness.executor.fail(first, WORKER, stopped()):
        await asyncio.sleep(0)
    assert isinstance(failure(await first), StoppedBySignal)
    go.set()
    assert (await second).disposition == Succeeded()
    assert seen == {"other": False}
