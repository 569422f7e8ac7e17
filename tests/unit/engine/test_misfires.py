"""Which slots are fired when some were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cron_support import fire_times
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero.engine.time.cron import CronSchedule
from taskhero.engine.time.misfires import due_fire_times, misfire_of
from taskhero.errors import InvalidMoment, InvalidSchedule

HOURLY = CronSchedule("0 * * * *")
EVERY_MINUTE = CronSchedule("* * * * *")
DAILY = CronSchedule("30 1 * * *", "America/New_York")
MISSING = CronSchedule("*/20 2 * * *", "America/New_York")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def due(*args, **more) -> list[str]:
    return [f"{slot:%d %H:%M}" for slot in due_fire_times(*args, **more)]


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_a_slot_in_time_is_fired_whatever_the_policy(misfire):
    assert due(HOURLY, at("11-23 09:59:59"), at("11-23 10:00:01"), misfire) == ["23 10:00"]
    assert due(HOURLY, at("11-23 09:59:59"), at("11-23 10:00"), misfire) == ["23 10:00"]
    assert due(HOURLY, at("11-23 10:00"), at("11-23 10:59:59"), misfire) == []
    assert due(HOURLY, at("11-23 10:00"), at("11-23 10:00"), misfire) == []


@pytest.mark.parametrize(
    ("misfire", "slots"), [("skip", []), ("once", ["23 13:00"]), ("all", ["23 11:00", "23 12:00", "23 13:00"])]
)
def test_missed_slots_are_left_out_or_made_up_for_once_or_all_fired(misfire, slots):
    assert due(HOURLY, at("11-23 10:00"), at("11-23 13:30"), misfire) == slots


@pytest.mark.parametrize(
    ("misfire", "slots"),
    [("skip", ["23 13:00"]), ("once", ["23 13:00"]), ("all", ["23 11:00", "23 12:00", "23 13:00"])],
)
def test_a_slot_in_time_makes_up_for_missed_ones(misfire, slots):
    assert due(HOURLY, at("11-23 10:00"), at("11-23 13:00:30"), misfire) == slots


def test_the_grace_says_what_is_in_time():
    last, now = at("11-23 10:00"), at("11-23 13:30")
    assert due(HOURLY, last, now, "skip", grace=1800) == ["23 13:00"]
    assert due(HOURLY, last, now, "skip", grace=1799.9) == []
    assert due(HOURLY, last, now, "skip", grace=timedelta(hours=2)) == ["23 12:00", "23 13:00"]
    assert due(HOURLY, last, now, "once", grace=timedelta(hours=2)) == ["23 12:00", "23 13:00"]
    assert due(HOURLY, last, at("11-23 13:00"), "skip", grace=0) == ["23 13:00"]


def test_the_youngest_are_kept_within_the_limit():
    assert due(HOURLY, at("11-20 10:00"), at("11-23 13:30"), "all", 2) == ["23 12:00", "23 13:00"]
    assert due(HOURLY, at("11-20 10:00"), at("11-23 13:30"), "skip", 1, grace=86_400) == ["23 13:00"]
    assert len(due_fire_times(HOURLY, at("01-01 00:00"), at("11-23 13:30"), "all")) == 100


def test_an_outage_of_centuries_costs_no_more_than_one_of_minutes():
    long_ago = datetime(1, 1, 2, tzinfo=UTC)
    assert due(EVERY_MINUTE, long_ago, at("11-23 13:30:30"), "once") == ["23 13:30"]
    assert due(EVERY_MINUTE, long_ago, at("11-23 13:30:30"), "all", 2) == ["23 13:29", "23 13:30"]


def test_clocks_that_were_set_back_bring_no_slot_again():
    """At 1:30 for the second time, and after it."""
    fired = DAILY.next_after(at("11-01 05:00"))
    assert fired == at("11-01 05:30")
    for now in ("11-01 06:29", "11-01 06:30", "11-01 06:31", "11-01 12:00"):
        assert due(DAILY, fired, at(now), "all", grace=86_400) == []
    assert due(DAILY, at("10-30 12:00"), at("11-02 12:00"), "all") == ["31 05:30", "01 05:30", "02 06:30"]


def test_times_that_do_not_exist_are_due_together_once_at_the_shift():
    assert due(MISSING, at("03-08 06:59:59"), at("03-08 07:00"), "all") == ["08 07:00"]
    assert due(MISSING, at("03-08 07:00"), at("03-08 12:00"), "all") == []


def test_clocks_that_go_back_bring_nothing():
    """The next leader's clock may be behind."""
    assert due(HOURLY, at("11-23 13:00"), at("11-23 11:30"), "all") == []


@settings(max_examples=60, deadline=None)
@given(
    schedule=st.sampled_from([HOURLY, CronSchedule("*/7 * * * *"), DAILY, MISSING]),
    start=st.floats(0, 330 * 86_400).map(lambda seconds: at("01-01 00:00") + timedelta(seconds=seconds)),
    gaps=st.lists(st.floats(0, 200_000), min_size=1, max_size=6),
    misfire=st.sampled_from(["skip", "once", "all"]),
    limit=st.integers(1, 5),
    grace=st.floats(0, 10_000),
)
def test_no_slot_is_due_twice_and_each_look_stays_within_its_bounds(schedule, start, gaps, misfire, limit, grace):
    fired: list[datetime] = []
    last = start
    for gap in gaps:
        now = last + timedelta(seconds=gap)
        found = due_fire_times(schedule, last, now, misfire, limit, grace=grace)
        slots = fire_times(schedule, last, now, 100_000)
        in_time = [slot for slot in slots if slot >= now - timedelta(seconds=grace)]
        wanted = {"skip": in_time, "once": in_time or slots[-1:], "all": slots}[misfire]
        assert found == wanted[-limit:]
        fired += found
        last = now
    assert fired == sorted(set(fired))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"misfire": "none"}, "misfire='none' is not a misfire policy"),
        ({"misfire": "al"}, "did you mean 'all'"),
        ({"misfire": None}, "misfire=None is not a misfire policy"),
        ({"limit": 0}, "limit=0 is not a number of fire times"),
        ({"limit": True}, "limit=True"),
        ({"limit": 2.5}, "limit=2.5"),
        ({"grace": -1}, "negative"),
        ({"grace": float("inf")}, "not finite"),
        ({"grace": 1e300}, "grace=1e"),
        ({"grace": "1"}, "not a duration"),
    ],
)
def test_what_makes_no_sense_is_refused(more, said):
    with pytest.raises(InvalidSchedule, match=said):
        due_fire_times(HOURLY, at("11-23 10:00"), at("11-23 13:30"), **more)


def test_naive_moments_are_refused():
    naive = datetime(2026, 11, 23, 13)  # noqa: DTZ001
    with pytest.raises(InvalidMoment, match="naive"):
        due_fire_times(HOURLY, at("11-23 10:00"), naive)
    with pytest.raises(InvalidMoment, match="naive"):
        due_fire_times(HOURLY, naive, at("11-23 10:00"))


def test_a_policy_is_one_of_three():
    assert [misfire_of(name) for name in ("skip", "once", "all")] == ["skip", "once", "all"]
