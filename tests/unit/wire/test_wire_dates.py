"""Dates in all the forms that were seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskhero.wire.dates import format_ruby_utc, iso_z, parse_date, ruby_time
from taskhero.wire.failures import format_ruby_utc as from_failures

SECONDS = 1795430191  # Mon Nov 23 2026 10:36:31 UTC
MOMENT = datetime(2026, 11, 23, 10, 36, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026/11/23 10:36:31 UTC", MOMENT),
        ("2026/11/23 10:36:31", MOMENT),
        ("2026/11/23 10:36:31 EST", MOMENT + timedelta(hours=5)),
        ("2026/11/23 10:36:31 IST", MOMENT - timedelta(hours=5.5)),
        ("2026/11/23 10:36:31 -03", MOMENT + timedelta(hours=3)),
        ("2026/11/23 10:36:31 +0530", MOMENT - timedelta(hours=5.5)),
        ("2026/11/23 10:36:31 CEST", MOMENT - timedelta(hours=2)),
        ("2026-11-23 10:36:31 +0000", MOMENT),
        ("2026-11-23 10:36:31 -0330", MOMENT + timedelta(hours=3.5)),
        ("2026-11-23T10:36:31Z", MOMENT),
        ("2026-11-23T10:36:31", MOMENT),
        ("2026-11-23T10:36:31+00:00", MOMENT),
        ("2026-11-23T10:36:31-05:00", MOMENT + timedelta(hours=5)),
        ("2026-11-23T10:36:31.250Z", MOMENT + timedelta(milliseconds=250)),
        ("2026-11-23T10:36:31.123456789+01:00", MOMENT + timedelta(microseconds=123456) - timedelta(hours=1)),
        ("Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)", MOMENT),
        ("Mon Nov 23 2026 16:06:31 GMT+0530 (India Standard Time)", MOMENT),
        ("Mon Nov 23 2026 05:36:31 GMT-0500 (Eastern Standard Time)", MOMENT),
        ("Mon Nov 23 2026 10:36:31 GMT+0000", MOMENT),
        ("1795430191", MOMENT),
        ("1795430191.5", MOMENT + timedelta(milliseconds=500)),
        ("1795430191000", MOMENT),
        (" 1795430191\n", MOMENT),
        ("-1", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (1795430191, MOMENT),
        (1795430191.25, MOMENT + timedelta(milliseconds=250)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_utc(text: object, moment: datetime) -> None:
    found = parse_date(text)
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        None, True, [], {}, "", "garbage", "2026/13/23 10:36:31 UTC", "2026-02-30T10:36:31Z", "2026-11-23T25:00:00Z",
        "2026/11/23 10:36:31 XYZ", "2026-11-23T10:36:31+99:00", "Mon Foo 23 2026 10:36:31 GMT+0000", "9" * 17, "9" * 50,
        "2026-11-23T10:36:31Z and more", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", float("nan"),
        float("inf"), 10**400, "٢٠٢٦-11-23T10:36:31Z", "\udcff",
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(text: object) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize("seconds", [SECONDS, SECONDS + 0.0, SECONDS + 0.999999])
def test_moments_are_written_in_each_program_s_form_and_never_rounded_up(seconds: float) -> None:
    assert iso_z(seconds) == "2026-11-23T10:36:31Z"
    assert ruby_time(seconds) == "2026-11-23 10:36:31 +0000"
    assert format_ruby_utc(seconds) == "2026/11/23 10:36:31 UTC"
    assert from_failures is format_ruby_utc


@pytest.mark.parametrize("write", [iso_z, ruby_time, format_ruby_utc])
@pytest.mark.parametrize("seconds", [0, SECONDS, 4102444800, 1582934400])
def test_what_is_written_is_read(write: object, seconds: int) -> None:
    assert callable(write)
    assert parse_date(write(seconds)) == datetime.fromtimestamp(seconds, UTC)
