"""Jobs that are ended from outside: by their timeout or by the stop."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from executor_harness import WAIT, WORKER, ExecutorHarness, entry, failure

from taskhero.backends.protocol import Claim, Succeeded
from taskhero.errors import JobTimeout, ProcessDied
from taskhero.models import Success
from taskhero.wire.jobs import encode_job

pytestmark = pytest.mark.anyio


# --- timeouts -----------------------------------------------------------------------------------------------------


async def test_an_async_task_beyond_its_timeout_is_cancelled_and_may_clean_up(harness: ExecutorHarness) -> None:
    seen: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(WAIT)
        finally:
            await asyncio.sleep(0)
            seen.append("cleaned up")

    performed = await harness.run(slow, timeout=0.01)
    assert seen == ["cleaned up"]
    assert isinstance(failure(performed), JobTimeout)
    failed = entry(performed)
    assert (failed.exception, failed.error) == ("JobTimeout", "task 'slow' ran longer than its timeout of 0.01 s")
    assert any("await asyncio.sleep(WAIT)" in line for line in failed.backtrace), "it tells where the task stood"
    assert performed.busy is None


async def test_a_task_that_ignores_its_timeout_has_failed_and_its_slot_stays_taken_until_it_ends(
    harness: ExecutorHarness,
) -> None:
    go = asyncio.Event()

    async def stubborn() -> str:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()
                return "done after all"

    performed = await harness.run(stubborn, timeout=0.01)
    assert isinstance(failure(performed), JobTimeout)
    assert performed.busy is not None
    assert not performed.busy.done()
    go.set()
    await asyncio.wait({performed.busy}, timeout=WAIT)
    assert performed.busy.done()


async def test_a_task_that_turns_its_cancellation_into_a_result_has_still_timed_out(harness: ExecutorHarness) -> None:
    async def polite() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(WAIT)
        return "partial"

    performed = await harness.run(polite, timeout=0.01)
    assert isinstance(failure(performed), JobTimeout)
    assert performed.busy is None


async def test_a_thread_beyond_its_timeout_fails_its_job_and_keeps_the_slot(harness: ExecutorHarness) -> None:
    gate = threading.Event()

    def slow() -> None:
        gate.wait(WAIT)

    performed = await harness.run(slow, timeout=0.05)
    assert isinstance(failure(performed), JobTimeout)
    assert any("gate.wait(WAIT)" in line for line in entry(performed).backtrace), "it tells where the thread stands"
    assert performed.busy is not None
    assert not performed.busy.done()
    gate.set()
    await asyncio.wait_for(performed.busy, WAIT)


async def test_a_timeout_that_the_task_meets_itself_is_told_from_ours(harness: ExecutorHarness) -> None:
    async def impatient() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(WAIT)

    performed = await harness.run(impatient, timeout=WAIT)
    assert type(failure(performed)) is TimeoutError


@pytest.mark.parametrize("threaded", [False, True])
async def test_within_its_timeout_a_task_succeeds(harness: ExecutorHarness, threaded: bool) -> None:
    async def quick() -> int:
        await asyncio.sleep(0)
        return 1

    performed = await harness.run((lambda: 1) if threaded else quick, name="quick", timeout=WAIT)
    assert isinstance(performed.outcome, Success)


# --- the stop -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, WAIT])
async def test_a_job_that_the_stop_cancels_is_given_back(harness: ExecutorHarness, timeout: float | None) -> None:
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        await asyncio.sleep(WAIT)

    running = harness.begin(harness.declare(work, timeout=timeout))
    await began.wait()
    harness.executor.cancel(running, WORKER)
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("timeout", [None, WAIT])
async def test_whatever_a_task_raises_when_the_stop_cancels_it_it_is_given_back(
    harness: ExecutorHarness, timeout: float | None
) -> None:
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(WAIT)
        except asyncio.CancelledError:
            raise ConnectionError("torn") from None

    running = harness.begin(harness.declare(work, timeout=timeout))
    await began.wait()
    harness.executor.cancel(running, WORKER)
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("timeout", [None, WAIT])
async def test_a_task_that_succeeds_in_spite_of_the_stop_has_succeeded(
    harness: ExecutorHarness, timeout: float | None
) -> None:
    began = asyncio.Event()

    async def work() -> str:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(WAIT)
        return "done"

    running = harness.begin(harness.declare(work, timeout=timeout))
    await began.wait()
    harness.executor.cancel(running, WORKER)
    assert (await running).disposition == Succeeded()


@pytest.mark.parametrize("timeout", [None, WAIT])
async def test_a_task_that_ignores_the_stop_can_be_cancelled_again(
    harness: ExecutorHarness, timeout: float | None
) -> None:
    began, again = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(WAIT)
        again.set()
        await asyncio.sleep(WAIT)

    running = harness.begin(harness.declare(work, timeout=timeout))
    await began.wait()
    harness.executor.cancel(running, WORKER)
    await again.wait()
    harness.executor.cancel(running, WORKER)
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("timeout", [None, WAIT])
async def test_a_job_in_a_thread_is_given_back_at_once(harness: ExecutorHarness, timeout: float | None) -> None:
    began, gate = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait(WAIT)

    running = harness.begin(harness.declare(work, timeout=timeout))
    while not began.is_set():
        await asyncio.sleep(0)
    harness.executor.cancel(running, WORKER)
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.set()


async def test_a_job_in_a_process_that_was_done_before_the_stop_has_succeeded(harness: ExecutorHarness) -> None:
    running = harness.begin(harness.declare(lambda: None, name="work", run_in="process"))
    while not harness.processes.started:
        await asyncio.sleep(0)
    harness.processes.future.set_result(None)
    harness.executor.cancel(running, WORKER)
    assert (await running).disposition == Succeeded()
    assert not harness.processes.killed


async def test_a_job_in_a_process_is_given_back_and_its_process_killed(harness: ExecutorHarness) -> None:
    running = harness.begin(harness.declare(lambda: None, name="work", run_in="process"))
    while not harness.processes.started:
        await asyncio.sleep(0)
    harness.executor.cancel(running, WORKER)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert harness.processes.killed


async def test_a_job_in_a_process_that_died_has_failed(harness: ExecutorHarness) -> None:
    running = harness.begin(harness.declare(lambda: None, name="work", run_in="process"))
    while not harness.processes.started:
        await asyncio.sleep(0)
    harness.processes.error = ProcessDied("exited")
    harness.processes.future.set_result(None)
    assert failure(await running) is harness.processes.error


async def test_cancelling_what_is_over_changes_nothing(harness: ExecutorHarness) -> None:
    running = harness.begin(harness.declare(lambda: None, name="work"))
    await running
    harness.executor.cancel(running, WORKER)
    assert running.result().disposition == Succeeded()


async def test_a_coroutine_that_is_thrown_away_ends_without_a_word(harness: ExecutorHarness) -> None:
    async def work() -> None:
        await asyncio.sleep(WAIT)

    claim = Claim(1, "t", "math", encode_job(harness.declare(work), [], "math"))
    performing = harness.executor.perform(claim, WORKER)
    performing.send(None)
    performing.close()
