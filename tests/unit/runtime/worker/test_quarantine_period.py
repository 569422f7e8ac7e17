"""For how long a job is kept alone that may have killed its process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskhero.runtime.worker.jobs.quarantine import MAX_PERIOD, quarantine_period
from taskhero.wire.jobs import mark_rescued

RAW = '{"class":"A","queue":"q","args":[]}'


def late(times: int) -> str:
    raw = mark_rescued(RAW, running=False)
    for _ in range(times):
        raw = mark_rescued(raw, running=False, late=True)
    return raw


def test_it_grows_with_each_late_death_up_to_a_bound() -> None:
    assert [quarantine_period(late(times), 12.0) for times in range(6)] == [12.0, 48.0, 192.0, 600.0, 600.0, 600.0]


def test_a_death_while_it_ran_alone_makes_it_no_longer() -> None:
    assert quarantine_period(mark_rescued(late(1), running=True), 12.0) == 48.0


def test_who_is_taken_for_dead_late_only_keeps_it_as_long_at_least() -> None:
    assert [quarantine_period(late(times), 3600.0) for times in range(3)] == [3600.0] * 3


@pytest.mark.parametrize("count", [9999999999, 10**20, "²", "", "-1", "1e9", "null"])
def test_whatever_stands_in_the_mark_it_has_a_bound(count: object) -> None:
    assert 12.0 <= quarantine_period(f'{RAW[:-1]},"taskhero:rescues":0,"taskhero:late":{count}}}', 12.0) <= MAX_PERIOD


@given(st.text(), st.floats(0.001, 3600.0))
def test_no_text_makes_it_raise(raw: str, least: float) -> None:
    assert quarantine_period(raw, least) == least
