"""Measuring how late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from taskhero.runtime.worker.autoscale import LoopDelay

pytestmark = pytest.mark.anyio


async def test_a_loop_that_is_held_up_shows_by_how_much() -> None:
    measuring = LoopDelay(0.001)
    measuring.start()
    time.sleep(0.03)  # noqa: ASYNC251 - this is what it is to notice
    assert 0.025 < measuring.take() < 1, "what is overdue counts before the timer has run"
    measuring.stop()


async def test_the_worst_delay_is_told_once() -> None:
    now = [0.0]
    measuring = LoopDelay(10.0, clock=lambda: now[0])
    measuring.start()
    now[0] = 10.4
    measuring._measure()
    now[0] = 20.5
    measuring._measure()
    assert measuring.take() == pytest.approx(0.4)
    assert measuring.take() == 0.0
    measuring.stop()


async def test_a_loop_in_time_has_no_delay() -> None:
    measuring = LoopDelay(60.0)
    measuring.start()
    assert measuring.take() == 0.0
    measuring.stop()


async def test_nothing_is_left_in_the_loop_after_a_stop() -> None:
    measuring = LoopDelay(0.001)
    measuring.start()
    timer = measuring._timer
    assert timer is not None
    measuring.stop()
    measuring.stop()
    assert timer.cancelled()
    await asyncio.sleep(0)
    assert measuring.take() == 0.0
