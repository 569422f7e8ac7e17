"""How often a periodic task runs, and from when it counts."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskhero.engine.time.instants import frequency_of, next_run
from taskhero.errors import InvalidTask


@pytest.mark.parametrize(
    ("ended", "frequency", "again"),
    [
        (100.0, 5, 105),
        (100.4, 5, 105),
        (100.5, 5, 106),
        (100.999, 1, 102),
        (100.0, 1, 101),
        (100.2, 1.2, 101),
        (1_800_000_000.25, 0.25 + 3600, 1_800_003_601),
    ],
)
def test_it_counts_from_the_end_of_a_run_and_rounds_to_the_nearest_second(ended, frequency, again):
    assert next_run(ended, frequency) == again


def test_a_frequency_of_a_second_runs_about_each_second():
    """What ends shortly after it was due is due again in the very next second."""
    assert [next_run(100 + n + 0.01, 1) for n in range(3)] == [101, 102, 103]


@given(ended=st.floats(1e9, 4e9), frequency=st.floats(1, 366 * 24 * 3600))
def test_it_is_never_the_second_in_which_the_run_ended_and_never_off_by_more_than_half_a_second(ended, frequency):
    again = next_run(ended, frequency)
    assert again >= math.floor(ended) + 1
    assert abs(again - (ended + frequency)) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(1, 1.0), (2.5, 2.5), (timedelta(minutes=5), 300.0), (timedelta(days=30), 2_592_000.0), (604_800, 604_800.0)],
)
def test_a_frequency_is_seconds_or_a_timedelta(given, seconds):
    assert frequency_of(given, "clean") == seconds


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (0, "or omit it"),
        (0.999, "frequency=0.999 is less than a second"),
        (timedelta(milliseconds=500), "less than a second"),
        (-1, "negative"),
        (math.inf, "not finite"),
        (math.nan, "not finite"),
        (True, "not a duration"),
        ("5", "pass a timedelta, or seconds"),
        (None, "not a duration"),
        (86_400_000, "milliseconds"),
        (604_801, "pass a timedelta"),
        (timedelta(days=367), "more than a year"),
    ],
)
def test_what_is_no_frequency_is_refused_with_the_reason(given, reason):
    with pytest.raises(InvalidTask, match="task 'clean': ") as told:
        frequency_of(given, "clean")
    assert reason in str(told.value)
