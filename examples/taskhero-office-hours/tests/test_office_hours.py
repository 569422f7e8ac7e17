"""Office hours: when they are, what becomes of jobs outside of them, and the verb."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, time, timedelta

import pytest
from click.testing import CliRunner

from taskhero import PerformContext, Postponed, Settings, TaskHero
from taskhero.backends.protocol import Process, Subscription
from taskhero.errors import PluginError
from taskhero_office_hours import Hours, OfficeHours, hooks
from taskhero_office_hours.command import office_hours


def moment(text):
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def decided(at, **options):
    """What the plugin decides on a job at this moment (UTC)."""
    context = PerformContext(worker="w", queue="q", logger=logging.getLogger("test"))
    return OfficeHours(**options, clock=lambda: moment(at)).taskhero_before_perform(context)


# --- when


@pytest.mark.parametrize(
    ("hours", "at", "closes", "opens"),
    [
        # 2027-01-15 is a Friday.
        ("9-17", "2027-01-15T08:59:59", None, "2027-01-15T09:00"),
        ("9-17", "2027-01-15T09:00", "2027-01-15T17:00", None),
        ("9-17", "2027-01-15T16:59:59", "2027-01-15T17:00", None),
        ("9-17", "2027-01-15T17:00", None, "2027-01-18T09:00"),
        ("9-17", "2027-01-17T12:00", None, "2027-01-18T09:00"),
        ("8:30-17:30 sat", "2027-01-15T12:00", None, "2027-01-16T08:30"),
        ("9-17 fri-mon", "2027-01-17T12:00", "2027-01-17T17:00", None),
        ("9-17 fri-mon", "2027-01-19T12:00", None, "2027-01-22T09:00"),
        ("9-24 fri", "2027-01-15T23:59", "2027-01-16T00:00", None),
        # Berlin is one hour ahead in winter, two in summer; New York is behind.
        ("9-17 mon-fri Europe/Berlin", "2027-01-15T08:00", "2027-01-15T16:00", None),
        ("9-17 mon-fri Europe/Berlin", "2027-07-15T07:00", "2027-07-15T15:00", None),
        ("9-17 mon-fri America/New_York", "2027-01-15T13:00", None, "2027-01-15T14:00"),
        ("9-17 mon-fri Asia/Tokyo", "2027-01-15T23:30", None, "2027-01-18T00:00"),
        # Over midnight: Monday's night ends on Tuesday, and there is none on the night to Monday.
        ("22-6 mon", "2027-01-19T05:59", "2027-01-19T06:00", None),
        ("22-6 mon", "2027-01-18T05:59", None, "2027-01-18T22:00"),
        ("22-6 mon", "2027-01-18T23:00", "2027-01-19T06:00", None),
        # The night of 2027-03-28 has no 2:30 in Berlin, and the night of 2027-10-31 has it twice.
        ("22-6 mon-sun Europe/Berlin", "2027-03-27T23:00", "2027-03-28T04:00", None),
        ("2:30-6 sun Europe/Berlin", "2027-03-28T00:30", None, "2027-03-28T01:30"),
        ("2:30-6 sun Europe/Berlin", "2027-10-31T00:29", None, "2027-10-31T00:30"),
        ("2:30-6 sun Europe/Berlin", "2027-10-31T01:29", "2027-10-31T05:00", None),
        # The hour is the office's after the change of the clocks, too.
        ("9-17 mon-fri Europe/Berlin", "2027-03-26T18:00", None, "2027-03-29T07:00"),
    ],
)
def test_when_it_is_open(hours, at, closes, opens):
    """By the clock on the wall of the office."""
    known = Hours.parse(hours)
    assert known.closes(moment(at)) == (closes and moment(closes))
    if opens:
        assert known.opens(moment(at)) == moment(opens)


def test_a_closed_date_is_skipped():
    """Also before a weekend."""
    known = Hours(closed=("2026-12-25", "2026-12-24"))
    assert known.closes(moment("2026-12-25T12:00")) is None
    assert known.opens(moment("2026-12-23T18:00")) == moment("2026-12-28T09:00")


def test_times_are_hours_texts_or_times():
    """24 is the end of the day."""
    assert Hours(start="8:30", end=time(17, 45)).start == time(8, 30)
    assert str(Hours(start=0, end=24, days=("sat", "sun"))) == "00:00-24:00 sat,sun UTC"
    assert Hours.parse(str(Hours(timezone="Europe/Berlin"))) == Hours(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"start": 25}, "25 is no time of day"),
        ({"start": "nine"}, "'nine' is no time of day"),
        ({"start": True}, "True is no time of day"),
        ({"end": "17:60"}, "'17:60' is no time of day"),
        ({"start": 9, "end": 9}, "it opens and closes at 09:00"),
        ({"days": "mon-fry"}, "'mon-fry' are no days"),
        ({"days": ""}, "'' are no days"),
        ({"days": 5}, "'5' are no days"),
        ({"timezone": "Berlin"}, "'Berlin' is no time zone"),
        ({"timezone": ""}, "'' is no time zone"),
        ({"closed": ("christmas",)}, "christmas"),
    ],
)
def test_what_cannot_be_is_refused(options, sentence):
    """Where the plugin is made, not when a job comes."""
    with pytest.raises(ValueError, match=sentence):
        OfficeHours(**options)


# --- jobs


def test_a_job_outside_is_delayed_until_it_opens():
    """To the second; within office hours it runs."""
    assert decided("2027-01-15T12:00") is None
    assert decided("2027-01-15T08:59:30") == Postponed(30.0)
    assert decided("2027-01-15T07:59:30", timezone="Europe/Berlin") == Postponed(30.0)
    assert decided("2027-01-15T12:00", start=22, end=6) == Postponed(36_000.0)


def run(app, task):
    """Enqueue the task, and tell to when its job was delayed, or None if it ran."""

    async def main():
        ended = asyncio.Event()
        for event in ("success", "failure"):
            app.on(event, ended.set)
        async with app.running():
            delayed = app.backend.wait(Process("test", ()), Subscription(schedule=True), 20)
            waits = {asyncio.create_task(wait) for wait in (delayed, ended.wait())}
            await task.enqueue()
            _, others = await asyncio.wait(waits, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            for other in others:
                other.cancel()
            at = (await app.backend.due(1)).next_at
            assert ended.is_set() is (at is None)
            return None if at is None else datetime.fromtimestamp(at, UTC)

    return asyncio.run(main())


def noop():
    """Do nothing."""


@pytest.mark.parametrize("named", [False, True])
def test_a_task_has_office_hours(named):
    """By an object, or by its name with options as from a configuration file."""
    later = (datetime.now(UTC) + timedelta(hours=2)).hour
    options = {"start": later, "end": (later + 1) % 24 or 24, "days": "mon-sun"}
    app = TaskHero(settings=Settings(max_task_processors=1), plugins=(hooks,))
    if named:
        task = app.task(name="noop", plugins=("office-hours",), plugin_options={"office-hours": options})(noop)
    else:
        task = app.task(name="noop", plugins=(OfficeHours(**options),))(noop)
    at = run(app, task)
    assert at.hour == later
    assert at.minute == 0  # or a second later: the delay counts from when it is recorded


def test_all_tasks_have_office_hours_if_the_environment_says_so(monkeypatch):
    """The plugin is installed app-wide, and does nothing without the variable."""
    later = (datetime.now(UTC) + timedelta(hours=2)).hour
    app = TaskHero(settings=Settings(max_task_processors=1), plugins=(hooks,))
    task = app.task(name="noop")(noop)
    assert run(app, task) is None
    monkeypatch.setenv(hooks.VARIABLE, f"{later}-{(later + 1) % 24 or 24} mon-sun UTC")
    assert run(app, task).hour == later


def test_hours_that_cannot_be_read_let_jobs_wait(monkeypatch, caplog):
    """They neither run at night nor fail; the log says why."""
    monkeypatch.setenv(hooks.VARIABLE, "nine to five")
    context = PerformContext(worker="w", queue="q", logger=logging.getLogger("test"))
    assert hooks.taskhero_before_perform(context) == Postponed(60.0)
    (record,) = caplog.records
    assert record.getMessage().startswith("OFFICE_HOURS cannot be read, so jobs wait: 'nine to five' are no hours")


def test_a_wrong_option_fails_when_the_task_is_declared():
    """With the names of those that there are."""
    app = TaskHero(plugins=(hooks,))
    with pytest.raises(PluginError, match=r"'begin' .*its options: start, end, days, timezone, closed, clock"):
        app.task(plugins=("office-hours",), plugin_options={"office-hours": {"begin": 9}})(noop)
    with pytest.raises(PluginError, match="'Berlin' is no time zone"):
        app.task(plugins=("office-hours",), plugin_options={"office-hours": {"timezone": "Berlin"}})(noop)


# --- the verb


def told(*words, **variables):
    return CliRunner().invoke(office_hours, words, env={hooks.VARIABLE: None, **variables})


def test_the_verb_tells_when_it_opens_and_closes():
    """In the office's time."""
    hours = "9-17 mon-fri Europe/Berlin"
    assert told(hours, "--at", "2027-01-15T12:00:00+00:00").output == (
        "open until Friday 2027-01-15 17:00 CET (09:00-17:00 mon,tue,wed,thu,fri Europe/Berlin)\n"
    )
    assert told("--at", "2027-01-16T12:00:00Z", OFFICE_HOURS=hours).output.startswith(
        "closed, opens Monday 2027-01-18 09:00 CET"
    )
    assert json.loads(told(hours, "--at", "2027-01-16T12:00:00Z", "--json").output) == {
        "hours": "09:00-17:00 mon,tue,wed,thu,fri Europe/Berlin",
        "open": False,
        "changes_at": "2027-01-18T08:00:00+00:00",
    }
    assert told("0-24 mon-sun").exit_code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "which hours? Pass such as '9-17 mon-fri Europe/Berlin', or set OFFICE_HOURS"),
        (("9",), "'9' are no hours"),
        (("9-17 mon-fri UTC now",), "are no hours"),
        (("9-17 mon-fri Berlin",), "'Berlin' is no time zone"),
        (("9-17", "--at", "noon"), "noon"),
        (("9-17", "--at", "2027-01-15T12:00"), "has no time zone"),
    ],
)
def test_what_the_verb_cannot_read_is_told(words, sentence):
    """With exit code 2."""
    ran = told(*words)
    assert ran.exit_code == 2
    assert sentence in ran.output
