"""Durations and moments: what is refused with which sentence, and how whole seconds are made of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskhero.engine.time.instants import (
    LATEST,
    delay_of,
    due_time_after,
    duration_of,
    instant_of,
    second_of,
    to_datetime,
)
from taskhero.errors import InvalidMoment

NOW = 1_800_000_000.25


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        (1_800_000_010, 1_800_000_010),
        (1_800_000_010.0, 1_800_000_010),
        (1_800_000_010.0001, 1_800_000_011),
        (1_800_000_010.9999, 1_800_000_011),
        (datetime(2027, 1, 15, 8, 0, 10, tzinfo=UTC), 1_800_000_010),
        (datetime(2027, 1, 15, 8, 0, 10, 1, tzinfo=UTC), 1_800_000_011),
        (datetime(2027, 1, 15, 9, 0, 10, tzinfo=timezone(timedelta(hours=1))), 1_800_000_010),
        (datetime(2027, 1, 15, 9, 0, 10, tzinfo=ZoneInfo("Europe/Berlin")), 1_800_000_010),
    ],
)
def test_a_moment_is_rounded_up_to_whole_seconds(when, seconds):
    assert second_of(when) == seconds


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        (NOW, NOW),
        (to_datetime(NOW), NOW),
        (1_799_999_999.9, 1_799_999_999.9),
        (0, 0),
        (datetime(1969, 1, 1, tzinfo=UTC), 0),
    ],
)
def test_a_moment_keeps_its_fraction_so_that_the_store_sees_whether_it_has_passed(when, seconds):
    assert instant_of(when) == seconds


@given(st.datetimes(datetime(2027, 2, 1), datetime(4999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_no_datetime_becomes_an_earlier_second(when):
    at = to_datetime(second_of(when))
    assert when <= at < when + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        (datetime(2027, 1, 1), "is naive: add a time zone, as in datetime.now"),  # noqa: DTZ001
        (1_800_000_000_000, "past the year 5000: it looks like milliseconds, pass seconds"),
        (LATEST, "past the year 5000"),
        (10**400, "past the year 5000"),
        (datetime(5000, 1, 1, tzinfo=UTC), "past the year 5000"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))), "past the year 5000"),
        (-1, "is negative"),
        (float("nan"), "is not finite"),
        (float("inf"), "is not finite"),
        (True, "is not an instant: pass an aware datetime, or Unix seconds"),
        ("10000", "is not an instant"),
        (None, "is not an instant"),
        (date(2027, 1, 1), "is not an instant"),
        (timedelta(seconds=3), "is not an instant"),
    ],
)
def test_a_moment_that_can_only_be_a_mistake_is_refused_with_a_sentence(when, sentence):
    with pytest.raises(InvalidMoment, match=sentence):
        instant_of(when)


def test_the_last_second_before_the_year_5000_is_a_moment():
    assert instant_of(LATEST - 1) == LATEST - 1
    assert to_datetime(LATEST) == datetime(5000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [(0, 0), (2.5, 2.5), (604_800, 604_800), (timedelta(days=30), 2_592_000), (timedelta(microseconds=1), 0.000001)],
)
def test_a_delay_is_a_timedelta_or_seconds(delay, seconds):
    assert delay_of(delay) == seconds


@pytest.mark.parametrize(
    ("delay", "sentence"),
    [
        (604_801, "more than a week in seconds.*pass a timedelta if you mean this delay"),
        (10**400, "more than a week"),
        (-1, "is negative"),
        (timedelta(seconds=-1), "is negative"),
        (timedelta(days=366_000), "is longer than 1000 years"),
        (float("nan"), "is not finite"),
        (float("inf"), "is not finite"),
        (True, "is not a duration: pass a timedelta, or seconds"),
        ("10", "is not a duration"),
        (None, "is not a duration"),
    ],
)
def test_a_delay_that_can_only_be_a_mistake_is_refused_with_a_sentence(delay, sentence):
    with pytest.raises(InvalidMoment, match=f"delay=.*{sentence}"):
        delay_of(delay)


def test_a_duration_is_called_by_its_name_in_messages():
    with pytest.raises(InvalidMoment, match="timeout=-2 is negative"):
        duration_of(-2, "timeout")


@pytest.mark.parametrize(
    ("delay", "now", "at"), [(10, 100.0, 110), (10, 100.001, 111), (0.001, 100.0, 101), (0, 100.9, 100)]
)
def test_the_end_of_a_delay_is_rounded_up_and_no_delay_is_now(delay, now, at):
    assert due_time_after(delay, now) == at


def test_a_delay_may_not_end_past_the_year_5000():
    with pytest.raises(InvalidMoment, match="ends past the year 5000"):
        due_time_after(timedelta(days=1_200_000).total_seconds(), NOW)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_too_long_to_be_shown_is_refused_all_the_same(sign):
    number = sign * 10**5000
    with pytest.raises(InvalidMoment):
        instant_of(number)
    with pytest.raises(InvalidMoment):
        delay_of(number)


@pytest.mark.parametrize("delay", [-1, -0.5, timedelta(seconds=-3)])
def test_a_negative_delay_is_shown_with_what_to_do_instead(delay):
    with pytest.raises(InvalidMoment) as refused:
        delay_of(delay, instead="enqueue_at takes a moment")
    assert repr(delay) in str(refused.value)
    assert str(refused.value).endswith("of 0 or more; enqueue_at takes a moment")
