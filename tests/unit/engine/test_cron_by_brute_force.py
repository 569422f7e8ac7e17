"""Cron schedules beside a slow and plain reading of the rules: every minute of a year, in zones of all kinds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import attrs
import pytest
from cron_support import fire_times
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero.engine.time.cron import CronSchedule

MINUTE = timedelta(minutes=1)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
#: Shifts by an hour, by half an hour, at midnight, in the south, of two hours at the pole, and none at all.
ZONES = (
    *("America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Antarctica/Troll"),
    "Asia/Kathmandu",
)


@attrs.frozen
class Rule:
    """A cron expression as the sets that it means."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    weekdays: frozenset[int] | None

    @property
    def expression(self) -> str:
        """As it is written."""
        fields = (self.minutes, self.hours, self.days, None, self.weekdays)
        return " ".join("*" if field is None else ",".join(map(str, sorted(field))) for field in fields)

    def fits(self, wall: datetime) -> bool:
        """Whether it fires when the wall clock shows this."""
        if wall.minute not in self.minutes or wall.hour not in self.hours:
            return False
        day = self.days is None or wall.day in self.days
        weekday = self.weekdays is None or wall.isoweekday() % 7 in self.weekdays
        either = self.days is not None and self.weekdays is not None
        return (day or weekday) if either else (day and weekday)


@cache
def minutes_of(zone: str) -> list[tuple[datetime, datetime, list[datetime]]]:
    """Each minute of the year: the moment, what the wall shows, and what it passes for the first time."""
    found = []
    furthest = (START - MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    for number in range((END - START) // MINUTE):
        moment = START + number * MINUTE
        wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        passed = [furthest + step * MINUTE for step in range(1, (wall - furthest) // MINUTE + 1)]
        furthest = max(furthest, wall)
        found.append((moment, wall, passed))
    return found


def by_brute_force(rule: Rule, zone: str) -> list[datetime]:
    """All slots of the year."""
    if rule.hours == frozenset(range(24)):
        return [moment for moment, wall, _ in minutes_of(zone) if rule.fits(wall)]
    return [moment for moment, _, passed in minutes_of(zone) if any(map(rule.fits, passed))]


def some(least: int, most: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(least, most), min_size=1, max_size=4)


rules = st.builds(
    Rule,
    minutes=some(0, 59),
    # Mostly at night, when clocks are set.
    hours=st.one_of(some(0, 3), some(0, 23), st.just(frozenset(range(24))), st.just(frozenset(range(0, 24, 2)))),
    days=st.one_of(st.none(), some(1, 31)),
    weekdays=st.one_of(st.none(), some(0, 6)),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=3, deadline=None)
@given(rule=rules)
def test_a_year_is_as_by_brute_force(zone, rule):
    wanted = by_brute_force(rule, zone)
    schedule = CronSchedule(rule.expression, zone)
    assert fire_times(schedule, START - MINUTE, END - MINUTE, len(wanted) + 1) == wanted


@pytest.mark.timeout(300)
@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=8, deadline=None)
@given(rule=rules, seconds=st.lists(st.floats(0, 364 * 86_400), min_size=1, max_size=30))
def test_from_any_moment_the_neighbours_are_as_by_brute_force(zone, rule, seconds):
    wanted = by_brute_force(rule, zone)
    schedule = CronSchedule(rule.expression, zone)
    shifts = [moment for moment, _, passed in minutes_of(zone) if len(passed) != 1]
    near = [moment + n * 13 * MINUTE for moment in shifts[:: max(len(shifts) // 6, 1)] for n in range(-6, 7)]
    for moment in [START + timedelta(seconds=number) for number in seconds] + near:
        place = bisect_right(wanted, moment)
        if place < len(wanted):
            assert schedule.next_after(moment) == wanted[place]
        if place:
            assert schedule.last_until(moment) == wanted[place - 1]
        assert bisect_left(wanted, schedule.next_after(moment)) == place
