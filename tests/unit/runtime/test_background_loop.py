"""The base of the loops: start, stop, sleep, wake, errors and outages."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from dispatcher_harness import Signals, tasks_left

from taskhero.errors import BackendUnavailable
from taskhero.runtime.background_loop import BackgroundLoop
from taskhero.runtime.backoff import Backoff, Outage

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("away")
LONG = 3600.0


def constant(seconds: float) -> Backoff:
    """Return a backoff whose delays are all *seconds* long."""
    return Backoff(first=seconds, limit=seconds, random_number=lambda: 0.0)


class Steps:
    """A loop with a step that a test scripts: each result is a delay, an error, or a function to call."""

    def __init__(self) -> None:
        self.signals = Signals()
        self.until = self.signals.until
        self.script: list[float | Exception] = []
        self.count = 0
        self.during: Callable[[], object] = lambda: None
        self.reports: list[object] = []
        self.outage = Outage(lambda loop, error: self._report((loop, error)), lambda _seconds: self._report("over"))
        self.loops: list[BackgroundLoop] = []

    def _report(self, what: object) -> None:
        self.reports.append(what)
        self.signals.happen()

    def loop(
        self,
        *script: float | Exception,
        step: Callable[[], Awaitable[float]] | None = None,
        backoff: Backoff | None = None,
        retry: float = 0.001,
        first_delay: float = 0.0,
        at_most: float = math.inf,
    ) -> BackgroundLoop:
        """Return a loop of *step*, or of steps that end as *script* says and later wait for a wake-up."""
        self.script.extend(script)
        loop = BackgroundLoop(
            self.step if step is None else step,
            name="testing",
            owner="host:1",
            outage=self.outage,
            backoff=constant(retry) if backoff is None else backoff,
            first_delay=first_delay,
            max_retry_delay=at_most,
        )
        self.loops.append(loop)
        return loop

    async def step(self) -> float:
        self.count += 1
        self.signals.happen()
        self.during()
        result = self.script.pop(0) if self.script else math.inf
        if isinstance(result, Exception):
            raise result
        return result

    async def settle(self) -> None:
        """Let the event loop run all that is ready."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def steps() -> AsyncIterator[Steps]:
    steps = Steps()
    yield steps
    for loop in steps.loops:
        await loop.stop()
    assert not tasks_left()


async def test_a_second_start_starts_no_second_loop(steps: Steps) -> None:
    loop = steps.loop()
    loop.start()
    loop.start()
    await steps.settle()
    assert (steps.count, len(tasks_left()), loop.running) == (1, 1, True)


async def test_the_task_is_named_after_the_owner_and_the_work(steps: Steps) -> None:
    steps.loop().start()
    assert [task.get_name() for task in tasks_left()] == ["taskhero host:1 testing"]


async def test_a_stop_before_the_start_changes_nothing(steps: Steps) -> None:
    loop = steps.loop()
    await loop.stop()
    assert not loop.running
    loop.start()
    await steps.until(lambda: steps.count == 1)


async def test_a_second_stop_changes_nothing(steps: Steps) -> None:
    loop = steps.loop()
    loop.start()
    await steps.until(lambda: steps.count == 1)
    await asyncio.gather(loop.stop(), loop.stop())
    await loop.stop()
    assert not loop.running
    assert not tasks_left()


async def test_a_loop_can_be_started_again_after_its_stop(steps: Steps) -> None:
    loop = steps.loop()
    loop.start()
    await steps.until(lambda: steps.count == 1)
    await loop.stop()
    loop.start()
    await steps.until(lambda: steps.count == 2)


async def test_steps_follow_after_the_delay_that_each_returns(steps: Steps) -> None:
    steps.loop(0.001, 0.0, 0.001, LONG).start()
    await steps.until(lambda: steps.count == 4)
    await steps.settle()
    assert steps.count == 4


async def test_steps_without_a_delay_let_other_tasks_run(steps: Steps) -> None:
    steps.loop(*[0.0] * 10_000).start()
    await asyncio.wait_for(steps.settle(), 5)
    assert 0 < steps.count < 100


async def test_the_first_delay_comes_before_the_first_step_and_can_be_ended(steps: Steps) -> None:
    loop = steps.loop(first_delay=LONG)
    loop.start()
    await steps.settle()
    assert steps.count == 0
    loop.wake()
    await steps.until(lambda: steps.count == 1)


@pytest.mark.parametrize("delay", [LONG, math.inf])
async def test_a_wake_ends_the_sleep(steps: Steps, delay: float) -> None:
    loop = steps.loop(delay, delay)
    loop.start()
    await steps.settle()
    assert steps.count == 1
    loop.wake()
    await steps.until(lambda: steps.count == 2)
    await steps.settle()
    assert steps.count == 2


async def test_a_wake_ends_the_sleep_of_a_step(steps: Steps) -> None:
    sleeps = 0

    async def step() -> float:
        nonlocal sleeps
        sleeps += 1
        steps.signals.happen()
        await loop.sleep(LONG)
        return 0.0

    loop = steps.loop(step=step)
    loop.start()
    await steps.until(lambda: sleeps == 1)
    loop.wake()
    await steps.until(lambda: sleeps == 2)
    await steps.settle()
    assert sleeps == 2


async def test_a_wake_during_a_step_starts_one_more(steps: Steps) -> None:
    loop = steps.loop(LONG, LONG, LONG)
    steps.during = lambda: loop.wake() if steps.count == 1 else None
    loop.start()
    await steps.until(lambda: steps.count == 2)
    await steps.settle()
    assert steps.count == 2


async def test_a_step_does_what_an_earlier_wake_asks_for(steps: Steps) -> None:
    """A wake-up before the start, or during the delay after an error, leads to no second step."""
    loop = steps.loop(AWAY, LONG, retry=0.05)
    loop.start()
    loop.wake()
    await steps.until(lambda: steps.reports)
    loop.wake()
    await steps.until(lambda: steps.reports[1:] == ["over"])
    await steps.settle()
    assert steps.count == 2


async def test_a_wake_does_not_end_the_delay_after_an_error(steps: Steps) -> None:
    loop = steps.loop(AWAY, retry=LONG)
    loop.start()
    await steps.until(lambda: steps.reports)
    loop.wake()
    await steps.settle()
    assert steps.count == 1


async def test_an_outage_is_reported_once_and_so_is_its_end(steps: Steps) -> None:
    steps.loop(0.0, AWAY, AWAY, AWAY, 0.0, LONG).start()
    await steps.until(lambda: steps.count == 6)
    assert steps.reports == [("testing", AWAY), "over"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TimeoutError("late"), AWAY])
async def test_no_error_ends_the_loop(steps: Steps, error: Exception) -> None:
    steps.loop(error, LONG).start()
    await steps.until(lambda: steps.count == 2)
    assert steps.reports == [("testing", error), "over"]


async def test_delays_after_errors_grow_and_start_again_after_a_success(steps: Steps) -> None:
    delays: list[float] = []

    class Recorded(Backoff):
        def next(self) -> float:
            delays.append(super().next())
            return 0.0

    loop = steps.loop(
        AWAY, AWAY, AWAY, 0.0, AWAY, LONG, backoff=Recorded(first=1.0, limit=3.0, random_number=lambda: 0.0)
    )
    loop.start()
    await steps.until(lambda: steps.count == 6)
    assert delays == [1.0, 2.0, 3.0, 1.0]


async def test_no_delay_after_an_error_is_longer_than_the_limit(steps: Steps) -> None:
    steps.loop(AWAY, LONG, retry=LONG, at_most=0.001).start()
    await steps.until(lambda: steps.count == 2)


async def test_a_subclass_learns_of_each_error_before_the_delay(steps: Steps) -> None:
    class Noting(BackgroundLoop):
        errors: tuple[Exception, ...] = ()

        def on_error(self, error: Exception) -> None:
            self.errors += (error,)
            self.max_retry_delay = 0.001

    steps.script = [AWAY, AWAY, LONG]
    loop = Noting(steps.step, name="testing", owner="host:1", outage=steps.outage, backoff=constant(LONG))
    steps.loops.append(loop)
    loop.start()
    await steps.until(lambda: steps.count == 3)
    assert loop.errors == (AWAY, AWAY)


@pytest.mark.parametrize("script", [LONG, math.inf, AWAY])
async def test_a_stop_ends_every_sleep(steps: Steps, script: float | Exception) -> None:
    loop = steps.loop(script, retry=LONG)
    loop.start()
    await steps.until(lambda: steps.count == 1)
    await asyncio.wait_for(loop.stop(), 5)
    await steps.settle()
    assert steps.count == 1


async def test_an_error_of_a_cancelled_step_is_not_reported(steps: Steps) -> None:
    started = asyncio.Event()

    async def step() -> float:
        started.set()
        try:
            await asyncio.sleep(LONG)
        finally:
            raise AWAY

    loop = steps.loop(step=step)
    loop.start()
    await started.wait()
    await asyncio.wait_for(loop.stop(), 5)
    assert steps.reports == []


async def test_a_step_that_ignores_one_cancellation_is_cancelled_again(steps: Steps) -> None:
    started = asyncio.Event()

    async def step() -> float:
        started.set()
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            await asyncio.sleep(LONG)
        return 0.0

    loop = steps.loop(step=step)
    loop.start()
    await started.wait()
    await asyncio.wait_for(loop.stop(), 5)


async def test_a_stop_is_bounded_even_if_a_step_never_ends(steps: Steps, caplog: pytest.LogCaptureFixture) -> None:
    """The step may end later. The loop then ends, and starts no other step."""
    started, may_end = asyncio.Event(), asyncio.Event()
    count = 0

    async def step() -> float:
        nonlocal count
        count += 1
        started.set()
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue
        return 0.0

    loop = steps.loop(step=step)
    loop.start()
    await started.wait()
    with caplog.at_level(logging.WARNING, "taskhero.runtime"):
        await asyncio.wait_for(loop.stop(0.01), 5)
    assert "'taskhero host:1 testing' does not end 0.01 s after its cancellation" in caplog.text
    assert not loop.running
    may_end.set()
    await asyncio.wait_for(loop.stop(), 5)
    assert count == 1
