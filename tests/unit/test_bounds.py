"""Numbers are bounded where they are given."""

from __future__ import annotations

from datetime import timedelta

import pytest

from taskhero import RetryLater, TaskHero
from taskhero._internal.bounds import LONGEST
from taskhero.errors import InvalidMoment, PluginError
from taskhero.models import Postponed, Retrying
from taskhero.plugins import JobLock, Retry

pytestmark = pytest.mark.anyio

TOO_LONG = [LONGEST + 1, 1e17, float("inf"), float("nan"), 10**5000, -1, True]


@pytest.mark.parametrize("delay", TOO_LONG, ids=["longer", "huge", "inf", "nan", "endless", "negative", "bool"])
def test_what_a_task_or_a_plugin_decides_is_bounded(delay):
    with pytest.raises(InvalidMoment):
        RetryLater(delay)
    with pytest.raises(InvalidMoment):
        Postponed(delay)
    with pytest.raises(InvalidMoment):
        Retrying(ValueError(), 1.0, "retry:a", 3, (1.0, delay))
    with pytest.raises(InvalidMoment):
        Retrying(ValueError(), 1.0, "retry:a", -1, (1.0,))


def test_what_is_within_bounds_is_taken():
    assert RetryLater(timedelta(days=3650)).delay == 315_360_000
    assert Postponed(LONGEST).delay == LONGEST


@pytest.mark.parametrize("make", [lambda delay: Retry(limit=3, delay=delay), lambda delay: JobLock(delay=delay)])
def test_the_options_of_plugins_are_bounded(make):
    with pytest.raises(PluginError, match="longer than 1000 years"):
        make(timedelta.max)


async def test_a_delay_of_an_enqueue_is_bounded_before_anything_is_stored():
    app = TaskHero("memory://")
    async with app:
        with pytest.raises(InvalidMoment, match="longer than 1000 years"):
            await app.queue.enqueue_in(timedelta.max, "task", queue="q")
        with pytest.raises(InvalidMoment, match="delay=-3 is negative: .*or use enqueue_at, which accepts a due time"):
            await app.queue.enqueue_in(-3, "task", queue="q")
        assert await app.queue.queues() == []
        assert await app.queue.timestamps() == []
