"""Delays after errors, sleeps that can be cut, outages that are told once."""

from __future__ import annotations

import asyncio

import pytest

from taskhero._internal.async_helpers import InterruptibleSleep
from taskhero.errors import BackendDenied, BackendRefused, BackendUnavailable, ReplyLost
from taskhero.runtime.backoff import Backoff, Outage


def test_delays_double_up_to_the_limit_and_start_again_after_a_success() -> None:
    backoff = Backoff(first=0.1, limit=0.5, random_number=lambda: 0.0)
    assert [backoff.next() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    backoff.reset()
    assert backoff.next() == 0.1


def test_after_the_longest_outage_the_next_try_is_a_second_away_at_most() -> None:
    """So work goes on within a second of a return, however long that took."""
    backoff = Backoff(random_number=lambda: 0.0)
    assert max(backoff.next() for _ in range(100)) == 1.0


def test_chance_takes_up_to_half_of_a_delay() -> None:
    assert Backoff(first=1.0, random_number=lambda: 1.0).next() == 0.5


@pytest.mark.anyio
async def test_a_sleep_can_be_cut_short() -> None:
    pause = InterruptibleSleep()
    sleeping = asyncio.create_task(pause.sleep(60))
    await asyncio.sleep(0)
    pause.wake()
    await asyncio.wait_for(sleeping, 1)


@pytest.mark.anyio
async def test_a_cut_before_the_sleep_ends_just_that_one() -> None:
    pause = InterruptibleSleep()
    pause.wake()
    await asyncio.wait_for(pause.sleep(60), 1)
    sleeping = asyncio.create_task(pause.sleep(60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not sleeping.done()
    sleeping.cancel()


@pytest.mark.anyio
async def test_a_cut_that_was_used_does_not_cut_the_next_sleep() -> None:
    pause = InterruptibleSleep()
    first = asyncio.create_task(pause.sleep(60))
    await asyncio.sleep(0)
    pause.wake()
    await first
    second = asyncio.create_task(pause.sleep(60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not second.done()
    second.cancel()


def test_an_outage_begins_with_the_first_loop_in_trouble_and_ends_with_the_last() -> None:
    told: list[object] = []
    now = [100.0]
    outage = Outage(lambda who, error: told.append((who, str(error))), told.append, clock=lambda: now[0])
    outage.failed("dispatcher", BackendUnavailable("no route"))
    outage.failed("listener", ReplyLost("the line broke"))
    outage.failed("dispatcher", BackendUnavailable("still no route"))
    assert outage.active
    now[0] = 107.5
    outage.worked("dispatcher")
    outage.worked("dispatcher")
    assert outage.active
    outage.worked("listener")
    assert not outage.active
    assert told == [("dispatcher", "no route"), 7.5]


def test_an_error_of_another_kind_is_told_within_an_outage() -> None:
    told: list[str] = []
    outage = Outage(lambda who, _error: told.append(who), lambda _seconds: None)
    outage.failed("dispatcher", BackendUnavailable("no route"))
    outage.failed("rescuer", BackendRefused("no permission"))
    outage.failed("rescuer", BackendRefused("no permission"))
    assert told == ["dispatcher", "rescuer"]


def test_that_the_password_is_the_reason_is_told_within_an_outage_once() -> None:
    told: list[str] = []
    outage = Outage(lambda _who, error: told.append(str(error)), lambda _seconds: None)
    outage.failed("dispatcher", BackendUnavailable("no route"))
    outage.failed("dispatcher", BackendDenied("wrong password"))
    outage.failed("listener", BackendDenied("wrong password, too"))
    outage.failed("listener", BackendUnavailable("no route"))
    assert told == ["no route", "wrong password"]
