"""Cron schedules on virtual time: the calendar, daylight saving, and what is refused."""

from __future__ import annotations

import pickle
import sys
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cron_support import fire_times
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero.engine.time.cron import CronSchedule
from taskhero.errors import InvalidMoment, InvalidSchedule, InvalidTask

NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"
CAIRO, SANTIAGO, HAVANA = "Africa/Cairo", "America/Santiago", "America/Havana"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(expression: str, zone: str, after: str, until: str) -> list[str]:
    """The slots, as text in UTC; the same whether one looks forward or back."""
    schedule = CronSchedule(expression, zone)
    forward = fire_times(schedule, utc(after), utc(until), 1000)
    back: list[datetime] = []
    slot = schedule.last_until(utc(until))
    while slot > utc(after):
        back.append(slot)
        slot = schedule.last_until(slot - timedelta.resolution)
    assert back[::-1] == forward
    assert all(slot.tzinfo is UTC for slot in forward)
    return [f"{slot:%m-%d %H:%M:%S}".removesuffix(":00") for slot in forward]


SHIFTS = {
    "spring: what does not exist fires once, at the shift": (
        ("30 2 * * *", NEW_YORK, "2026-03-07 12:00", "2026-03-09 12:00"),
        ["03-08 07:00", "03-09 06:30"],
    ),
    "autumn: what occurs twice fires once, the first time": (
        ("30 1 * * *", NEW_YORK, "2026-10-31 12:00", "2026-11-02 12:00"),
        ["11-01 05:30", "11-02 06:30"],
    ),
    "autumn: every hour goes on every real hour": (
        ("0 * * * *", NEW_YORK, "2026-11-01 04:30", "2026-11-01 08:30"),
        ["11-01 05:00", "11-01 06:00", "11-01 07:00", "11-01 08:00"],
    ),
    "spring: every hour goes on every real hour": (
        ("0 * * * *", NEW_YORK, "2026-03-08 05:30", "2026-03-08 08:30"),
        ["03-08 06:00", "03-08 07:00", "03-08 08:00"],
    ),
    "autumn: every half hour as well": (
        ("*/30 * * * *", NEW_YORK, "2026-11-01 05:10", "2026-11-01 07:10"),
        ["11-01 05:30", "11-01 06:00", "11-01 06:30", "11-01 07:00"],
    ),
    "every hour, written as a range": (
        ("0 0-23 * * *", NEW_YORK, "2026-11-01 04:30", "2026-11-01 08:30"),
        ["11-01 05:00", "11-01 06:00", "11-01 07:00", "11-01 08:00"],
    ),
    "Lord Howe, spring: half an hour is missing": (
        ("15 2 * * *", LORD_HOWE, "2026-10-03 00:00", "2026-10-05 00:00"),
        ["10-03 15:30", "10-04 15:15"],
    ),
    "Lord Howe, spring: what stands behind the half hour": (
        ("45 2 * * *", LORD_HOWE, "2026-10-03 00:00", "2026-10-05 00:00"),
        ["10-03 15:45", "10-04 15:45"],
    ),
    "Lord Howe, autumn: half an hour occurs twice": (
        ("45 1 * * *", LORD_HOWE, "2026-04-04 00:00", "2026-04-06 00:00"),
        ["04-04 14:45", "04-05 15:15"],
    ),
    "Lord Howe, autumn: what stands before the half hour": (
        ("15 1 * * *", LORD_HOWE, "2026-04-04 00:00", "2026-04-06 00:00"),
        ["04-04 14:15", "04-05 14:45"],
    ),
    "Lord Howe, spring: every hour, when the wall shows its minute": (
        ("45 * * * *", LORD_HOWE, "2026-10-03 14:30", "2026-10-03 17:00"),
        ["10-03 15:15", "10-03 15:45", "10-03 16:45"],
    ),
    "Lord Howe, autumn: every hour, when the wall shows its minute": (
        ("45 * * * *", LORD_HOWE, "2026-04-04 13:00", "2026-04-04 16:30"),
        ["04-04 13:45", "04-04 14:45", "04-04 15:15", "04-04 16:15"],
    ),
    "every second hour is not every hour": (
        ("0 */2 * * *", BERLIN, "2026-10-24 21:30", "2026-10-25 04:00"),
        ["10-24 22:00", "10-25 00:00", "10-25 03:00"],
    ),
    "every second hour loses none in spring": (
        ("0 */2 * * *", BERLIN, "2026-03-28 22:30", "2026-03-29 03:00"),
        ["03-28 23:00", "03-29 01:00", "03-29 02:00"],
    ),
    "several times that do not exist fire once together": (
        ("*/15 2 * * *", NEW_YORK, "2026-03-07 12:00", "2026-03-08 12:00"),
        ["03-08 07:00"],
    ),
    "and once with the time of the shift itself": (
        ("0,30 2,3 * * *", NEW_YORK, "2026-03-07 12:00", "2026-03-08 12:00"),
        ["03-08 07:00", "03-08 07:30"],
    ),
    "several times that occur twice fire once each": (
        ("*/30 1 * * *", NEW_YORK, "2026-10-31 12:00", "2026-11-01 12:00"),
        ["11-01 05:00", "11-01 05:30"],
    ),
    "a midnight that does not exist": (
        ("0 0 * * *", CAIRO, "2026-04-22 23:00", "2026-04-25 00:00"),
        ["04-23 22:00", "04-24 21:00"],
    ),
    "a midnight that does not exist, on its day of the week": (
        ("0 0 * * fri", CAIRO, "2026-04-22 23:00", "2026-04-25 00:00"),
        ["04-23 22:00"],
    ),
    "every hour of a day that begins at one": (
        ("30 * * * sun", SANTIAGO, "2026-09-06 03:00", "2026-09-06 06:00"),
        ["09-06 04:30", "09-06 05:30"],
    ),
    "a midnight that occurs twice": (
        ("0 0 * * *", HAVANA, "2026-10-31 12:00", "2026-11-02 12:00"),
        ["11-01 04:00", "11-02 05:00"],
    ),
    "leap days": (
        ("0 0 29 2 *", NEW_YORK, "2026-01-01 00:00", "2033-01-01 00:00"),
        ["02-29 05:00", "02-29 05:00"],
    ),
    "a leap day is skipped in 2100": (
        ("0 0 29 2 *", "UTC", "2095-01-01 00:00", "2105-01-01 00:00"),
        ["02-29 00:00", "02-29 00:00"],
    ),
    "a Samoan day that was skipped": (
        ("30 2 * * *", "Pacific/Apia", "2011-12-29 00:00", "2012-01-01 00:00"),
        ["12-29 12:30", "12-30 10:00", "12-30 12:30", "12-31 12:30"],
    ),
    "a zone without shifts": (
        ("15 5 * * *", "Asia/Kathmandu", "2026-03-07 12:00", "2026-03-09 12:00"),
        ["03-07 23:30", "03-08 23:30"],
    ),
}


@pytest.mark.parametrize(("asked", "slots"), SHIFTS.values(), ids=SHIFTS)
def test_slots(asked, slots):
    assert between(*asked) == slots


def test_asked_within_the_repeated_hour_it_does_not_go_back():
    """A scheduler that starts between 1:00 and 2:00 for the second time."""
    daily = CronSchedule("30 1 * * *", NEW_YORK)
    assert daily.next_after(utc("2026-11-01 05:10")) == utc("2026-11-01 05:30")
    assert daily.next_after(utc("2026-11-01 06:10")) == utc("2026-11-02 06:30")
    assert daily.last_until(utc("2026-11-01 06:10")) == utc("2026-11-01 05:30")


@pytest.mark.parametrize(
    ("expression", "after", "slot"),
    [
        ("*/5 9-17 * * mon-fri", "2026-11-20 17:55", "2026-11-23 09:00"),
        ("*/5 9-17 * * MON-FRI", "2026-11-23 09:00", "2026-11-23 09:05"),
        ("0 0 1 jan,Jul *", "2026-02-01 00:00", "2026-07-01 00:00"),
        ("5/20 * * * *", "2026-02-01 00:05", "2026-02-01 00:25"),
        ("0 12 * * 7", "2026-11-23 00:00", "2026-11-29 12:00"),
        ("0 12 * * 0", "2026-11-23 00:00", "2026-11-29 12:00"),
        ("0 0 13 * fri", "2026-11-14 00:00", "2026-11-20 00:00"),  # either kind of day, as in Vixie cron
        ("0 0 */2 * fri", "2026-11-14 00:00", "2026-11-27 00:00"),  # both, since one begins with a star
        ("0 0 L * *", "2027-02-01 00:00", "2027-02-28 00:00"),
        ("0 0 LW * *", "2027-02-01 00:00", "2027-02-26 00:00"),
        ("0 9 * * mon#2", "2026-11-23 00:00", "2026-12-14 09:00"),
        ("0 9 * * 5L", "2026-11-23 00:00", "2026-11-27 09:00"),
        ("@hourly", "2026-11-23 00:00", "2026-11-23 01:00"),
        ("@Daily", "2026-11-23 00:00", "2026-11-24 00:00"),
        ("@midnight", "2026-11-23 00:00", "2026-11-24 00:00"),
        ("@weekly", "2026-11-23 00:00", "2026-11-29 00:00"),
        ("@monthly", "2026-11-23 00:00", "2026-12-01 00:00"),
        ("@yearly", "2026-11-23 00:00", "2027-01-01 00:00"),
        ("  0  0\t* * *\n", "2026-11-23 00:00", "2026-11-24 00:00"),
        ("0 0 * 2 mon#5", "2026-11-23 00:00", "2044-02-29 00:00"),  # rare, but not never
        ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"),
    ],
)
def test_the_calendar(expression, after, slot):
    assert CronSchedule(expression).next_after(utc(after)) == utc(slot)


def test_fractions_of_a_second_count():
    every_minute = CronSchedule("* * * * *")
    second = timedelta(seconds=1)
    slot = utc("2026-11-23 10:00")
    assert every_minute.next_after(slot) == slot + 60 * second
    assert every_minute.next_after(slot - timedelta.resolution) == slot
    assert every_minute.next_after(slot + timedelta.resolution) == slot + 60 * second
    assert every_minute.last_until(slot) == slot
    assert every_minute.last_until(slot + timedelta.resolution) == slot
    assert every_minute.last_until(slot - timedelta.resolution) == slot - 60 * second


def test_a_moment_in_any_zone_will_do():
    moment = datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert CronSchedule("30 * * * *", BERLIN).next_after(moment) == utc("2026-11-23 10:30")


def test_slots_end_at_the_limit_and_include_the_end():
    hourly = CronSchedule("@hourly")
    start = utc("2026-11-23 10:00")
    assert fire_times(hourly, start, start + timedelta(hours=2), 10) == [start + timedelta(hours=n) for n in (1, 2)]
    assert fire_times(hourly, start, start + timedelta(days=900), 3)[-1] == start + timedelta(hours=3)
    assert fire_times(hourly, start, start, 3) == []
    assert fire_times(hourly, start, start + timedelta(days=900), 0) == []


def test_it_is_a_value():
    one, two = CronSchedule("0  0 * * *", BERLIN), CronSchedule("0 0 * * *", zoneinfo.ZoneInfo(BERLIN))
    assert one == two
    assert hash(one) == hash(two)
    assert one != CronSchedule("0 0 * * *")
    assert CronSchedule("0 0 * * *", UTC) == CronSchedule("0 0 * * *")
    assert str(one) == "0 0 * * * (Europe/Berlin)"
    assert repr(one) == "CronSchedule(expression='0 0 * * *', timezone='Europe/Berlin')"
    copy = pickle.loads(pickle.dumps(one))
    assert copy.next_after(utc("2026-11-23 10:00")) == utc("2026-11-23 23:00")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "has 0 fields, but 5 are needed: minute, hour, day of the month, month, day of the week"),
        ("* * * *", "has 4 fields"),
        ("*/5 * * * * *", "has 6 fields, but 5 are needed: .*; for seconds, use frequency="),
        ("60 * * * *", "'60' is not a valid minute: pass .*; values are 0-59"),
        ("* 24 * * *", "'24' is not a valid hour: .*; values are 0-23"),
        ("* * 0 * *", "'0' is not a valid day of the month: .*; values are 1-31"),
        ("* * * 13 *", "'13' is not a valid month: .*; values are 1-12 or jan-dec"),
        ("* * * * 8", "'8' is not a valid day of the week: .*; values are 0-7 or sun-sat"),
        ("* * * * sat-sun", "'sat-sun' is not a valid day of the week: .*1-5 that does not begin after its end"),
        ("* * * * funday", "'funday' is not a valid day of the week"),
        ("*/0 * * * *", r"'\*/0' is not a valid minute"),
        ("1,,2 * * * *", "'1,,2' is not a valid minute"),
        ("0 0 ? * *", r"'\?' is not a valid day of the month"),
        ("-5 * * * *", "'-5' is not a valid minute"),
        ("٣ * * * *", "'٣' is not a valid minute"),
        ("0 0 30 2 *", "cron='0 0 30 2 [*]' never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 */15 * mon#2", "never fires"),
        ("@reboot", "enqueue the task when your program starts"),
        ("@fortnightly", "the macros are @yearly, @annually, @monthly"),
        ("* " * 200, "has 400 characters"),
        (5, "cron=5 is not a cron expression: pass a str"),
        (None, "cron=None is not a cron expression"),
    ],
)
def test_an_expression_that_cannot_be_meant_is_refused_with_what_is_allowed(expression, said):
    with pytest.raises(InvalidSchedule, match=said):
        CronSchedule(expression)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Berln", "timezone='Europe/Berln' is not a known time zone; did you mean 'Europe/Berlin'"),
        ("berlin", "did you mean 'Europe/Berlin'"),
        ("america/new york", "did you mean 'America/New_York'"),
        ("Nowhere", "not a known time zone(; did you mean|: pass an IANA name)"),
        ("Europe", "is not a known time zone"),
        ("", "is not a known time zone"),
        ("../etc/passwd", "is not a known time zone"),
        ("/etc/localtime", "is not a known time zone"),
        ("a\0b", "is not a known time zone"),
        (timezone(timedelta(hours=1)), "is not the name of a time zone: pass an IANA name such as 'Europe/Berlin'"),
        (None, "timezone=None is not the name"),
        (2, "timezone=2 is not the name"),
    ],
)
def test_an_unknown_zone_is_refused_with_those_near_it(zone, said):
    with pytest.raises(InvalidSchedule, match=said) as told:
        CronSchedule("@daily", zone)
    assert isinstance(told.value, InvalidTask)


def test_a_machine_without_zones_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(InvalidSchedule, match="pip install tzdata"):
        CronSchedule("@daily", "Europe/Nowhere")
    CronSchedule("@daily", "UTC")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(InvalidSchedule, match=r"pip install 'taskhero\[cron\]'"):
        CronSchedule("@daily")


@pytest.mark.parametrize("ask", ["next_after", "last_until"])
def test_a_moment_that_can_only_be_a_mistake_is_refused(ask):
    schedule = CronSchedule("@daily")
    with pytest.raises(InvalidMoment, match="naive"):
        getattr(schedule, ask)(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidMoment, match="year 5000"):
        getattr(schedule, ask)(utc("5000-01-01 00:00"))
    with pytest.raises(InvalidMoment, match="not an instant"):
        getattr(schedule, ask)("tomorrow")


@settings(deadline=None)
@given(st.text("0123456789*/,-#LWmonjaufricd @", max_size=24))
def test_any_text_is_either_a_schedule_or_refused_as_one(text):
    try:
        schedule = CronSchedule(text, BERLIN)
    except InvalidSchedule:
        return
    moment = utc("2026-11-23 10:00")
    assert schedule.last_until(moment) <= moment < schedule.next_after(moment)
