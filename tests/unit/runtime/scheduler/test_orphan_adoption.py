"""Looking for delayed jobs that other programs left without their moments."""

from __future__ import annotations

import logging

import pytest
from scheduler_harness import SchedulerHarness

from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.runtime.scheduler.orphan_adoption import INTERVAL_FACTOR, MAX_INTERVAL, MIN_INTERVAL, OrphanAdoption

pytestmark = pytest.mark.anyio


async def test_the_leader_looks_at_once_and_then_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    async with SchedulerHarness() as harness:
        harness.backend.change("adopt", lambda _none: 3)
        await harness.start()
        await harness.until(lambda: harness.backend.times["adopt"] == 1)
        await harness.until(lambda: harness.scheduler.leader)
        assert "adopted 3 delayed jobs" in caplog.text
        for _ in range(2):
            await harness.scheduler.enqueue_periodic()
        assert harness.backend.times["adopt"] == 1
        harness.clock.advance(MIN_INTERVAL)
        await harness.scheduler.seek_lead()
        await harness.scheduler.enqueue_periodic()
        assert harness.backend.times["adopt"] == 2


async def test_who_does_not_lead_looks_for_nothing() -> None:
    async with SchedulerHarness() as harness:
        await harness.memory.lead("another", 60)
        await harness.scheduler.enqueue_periodic()
        assert harness.backend.times["adopt"] == 0


@pytest.mark.parametrize(("seconds", "pause"), [(0.001, MIN_INTERVAL), (1.0, INTERVAL_FACTOR), (60.0, MAX_INTERVAL)])
async def test_the_longer_a_look_takes_the_longer_is_the_pause(seconds: float, pause: float) -> None:
    async with SchedulerHarness() as harness:
        adoption = OrphanAdoption(harness.backend, harness.clock.now)
        harness.backend.change("adopt", lambda _none: harness.clock.advance(seconds) or 0)
        await adoption.step()
        harness.clock.advance(pause - 0.01)
        await adoption.step()
        assert harness.backend.times["adopt"] == 1
        harness.clock.advance(0.02)
        await adoption.step()
        assert harness.backend.times["adopt"] == 2


async def test_a_store_that_refuses_is_asked_later_and_one_that_is_away_soon(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with SchedulerHarness() as harness:
        adoption = OrphanAdoption(harness.backend, harness.clock.now)
        harness.backend.fail("adopt", BackendUnavailable("away"))
        with pytest.raises(BackendUnavailable):
            await adoption.step()
        harness.backend.fail("adopt", BackendRefused("no permission to scan"))
        with caplog.at_level(logging.WARNING):
            await adoption.step()
        assert "no permission to scan" in caplog.text
        await adoption.step()
        assert harness.backend.times["adopt"] == 2
        harness.clock.advance(MAX_INTERVAL)
        await adoption.step()
        assert harness.backend.times["adopt"] == 3
