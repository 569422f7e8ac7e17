"""Measuring how late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from taskhero.runtime.worker.autoscale import LoopDelay

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that a test sets, and that tells when it is read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.read = asyncio.Event()

    def __call__(self) -> float:
        self.read.set()
        return self.now

    async def read_at(self, now: float) -> None:
        """Set the time, and wait until it is read."""
        self.now = now
        self.read.clear()
        await asyncio.wait_for(self.read.wait(), 5)


async def test_a_loop_that_is_held_up_shows_by_how_much() -> None:
    measuring = LoopDelay(0.001)
    measuring.start()
    time.sleep(0.03)  # noqa: ASYNC251 - this is what it is to notice
    assert 0.025 < measuring.take() < 1, "what is overdue counts before the timer has run"
    measuring.stop()


async def test_the_worst_delay_is_told_once() -> None:
    clock = Clock()
    measuring = LoopDelay(0.01, clock=clock)
    measuring.start()
    await clock.read_at(0.41)
    await clock.read_at(0.52)
    assert measuring.take() == pytest.approx(0.4)
    assert measuring.take() == 0.0
    measuring.stop()


async def test_a_loop_in_time_has_no_delay() -> None:
    measuring = LoopDelay(60.0)
    measuring.start()
    assert measuring.take() == 0.0
    measuring.stop()


async def test_nothing_is_left_in_the_loop_after_a_stop() -> None:
    clock, later = Clock(), asyncio.Event()
    measuring = LoopDelay(0.001, clock=clock)
    measuring.start()
    measuring.stop()
    measuring.stop()
    clock.read.clear()
    # A timer that was left would end first.
    asyncio.get_running_loop().call_later(0.01, later.set)
    await asyncio.wait_for(later.wait(), 5)
    assert not clock.read.is_set()
    assert measuring.take() == 0.0
