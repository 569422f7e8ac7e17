"""Settings: defaults, bounds, and sentences for what can only be a mistake."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta

import attrs
import pytest

from taskhero import Settings
from taskhero.errors import InvalidSettings

pytestmark = pytest.mark.anyio


def test_defaults_are_those_of_the_table():
    given = attrs.asdict(
        Settings(), recurse=False, filter=lambda field, _: field.name not in {"worker_logging", "scheduler_logging"}
    )
    assert given == {
        "scheduler": False,
        "queues": ("*",),
        "min_task_processors": 0,
        "max_task_processors": 0,
        "check_interval": 0.5,
        "max_event_loop_delay": 0.05,
        "timeout": 5.0,
        "stuck_worker_timeout": 3600.0,
        "retry_stuck_jobs": False,
        "heartbeat_interval": 3.0,
        "rescue_after": 12.0,
        "rescue_limit": 3,
        "leader_lock_timeout": 15.0,
        "grace": 25.0,
        "filtered_params": (),
        "namespace": "resque",
        "resque_scheduler_prefix": "",
        "ignore_dead_master_lock": True,
    }


def test_it_is_frozen_and_can_be_compared_copied_and_pickled():
    settings = Settings(max_task_processors=3, worker_logging={"poll": "info"})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.timeout = 1
    assert pickle.loads(pickle.dumps(settings)) == settings == copy.deepcopy(settings)
    assert hash(settings) == hash(copy.deepcopy(settings))
    assert settings != Settings(max_task_processors=3)


def test_durations_may_be_timedeltas_and_are_seconds_when_read():
    settings = Settings(timeout=timedelta(milliseconds=1500), check_interval=1)
    assert (settings.timeout, settings.check_interval) == (1.5, 1.0)
    assert isinstance(settings.check_interval, float)


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [({}, 0, 0), ({"max": 4}, 1, 4), ({"min": 0, "max": 1}, 1, 1), ({"min": 2, "max": 4}, 2, 4)],
)
def test_a_minimum_of_0_with_a_maximum_above_it_means_1(given, least, most):
    settings = Settings(**{f"{bound}_task_processors": number for bound, number in given.items()})
    assert (settings.min_task_processors, settings.max_task_processors) == (least, most)


def test_a_minimum_that_was_derived_goes_with_its_maximum():
    """A copy with another maximum does not inherit what nobody gave."""
    settings = pickle.loads(pickle.dumps(Settings(max_task_processors=5)))
    none = attrs.evolve(settings, max_task_processors=0)
    assert (none.min_task_processors, none.max_task_processors) == (0, 0)
    again = attrs.evolve(none, max_task_processors=3)
    assert (again.min_task_processors, again.max_task_processors) == (1, 3)
    assert again == Settings(max_task_processors=3)
    assert "min_task_processors=1," in repr(again)
    assert "min_task_processors" not in attrs.evolve(settings, grace=1).given
    with pytest.raises(InvalidSettings, match="min_task_processors=1 is above max_task_processors=0"):
        attrs.evolve(Settings(min_task_processors=1, max_task_processors=5), max_task_processors=0)


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ("mail", ("mail",)),
        (["high", "low"], ("high", "low")),
        (("high", "*"), ("high", "*")),
        (lambda: "mail", ("mail",)),
        (lambda: ["high", "low"], ("high", "low")),
    ],
)
async def test_queues_may_be_a_name_a_list_or_a_callable(given, resolved):
    assert await Settings(queues=given).resolve_queues() == resolved


async def test_queues_may_be_asked_for_asynchronously_and_only_when_resolved():
    asked = []

    async def ask():
        asked.append(1)
        return ["a", "b"]

    settings = Settings(queues=ask)
    assert asked == []
    assert await settings.resolve_queues() == ("a", "b")


async def test_what_a_callable_answers_is_checked_too():
    with pytest.raises(InvalidSettings, match="queues is empty"):
        await Settings(queues=list).resolve_queues()
    with pytest.raises(InvalidSettings, match="not a list of queues"):
        await Settings(queues=lambda: 3).resolve_queues()
    with pytest.raises(InvalidSettings, match="not a list of names"):
        await Settings(queues=lambda: lambda: "a").resolve_queues()


# --- what is refused, and how


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"timeout": 5000}, "timeout=5000 is beyond its maximum of 300 seconds; pass seconds, not milliseconds"),
        ({"timeout": timedelta(minutes=6)}, "timeout=360 is beyond its maximum of 300 seconds"),
        ({"check_interval": 500}, "check_interval=500 is beyond its maximum of 60 seconds"),
        ({"max_event_loop_delay": 5}, "max_event_loop_delay=5 is beyond its maximum of 1 seconds"),
        ({"stuck_worker_timeout": 3_600_000}, "stuck_worker_timeout=3.6e"),
        ({"heartbeat_interval": 3000}, "heartbeat_interval=3000 is beyond"),
        ({"grace": 25_000}, "grace=25000 is beyond"),
        ({"timeout": -1}, "timeout=-1 is too small: pass more than 0 seconds"),
        ({"timeout": 0}, "timeout=0 is too small: pass more than 0 seconds"),
        ({"grace": -1}, "grace=-1 is too small: pass 0 seconds or more"),
        ({"timeout": float("nan")}, "timeout=nan is not finite"),
        ({"timeout": float("inf")}, "timeout=inf is not finite"),
        ({"timeout": True}, "timeout=True is not a duration: pass seconds as a number, or a timedelta"),
        ({"timeout": "5"}, "timeout='5' is not a duration"),
        ({"timeout": None}, "timeout=None is not a duration"),
        ({"max_task_processors": True}, "max_task_processors=True is not a whole number"),
        ({"max_task_processors": 2.0}, "max_task_processors=2.0 is not a whole number"),
        ({"max_task_processors": -1}, "max_task_processors=-1 is out of its bounds: pass a number from 0"),
        ({"min_task_processors": 3, "max_task_processors": 2}, "min_task_processors=3 is above max_task_processors=2"),
        ({"min_task_processors": 1}, "pass max_task_processors=1 or more"),
        ({"rescue_limit": 0}, "rescue_limit=0 is out of its bounds: pass a number from 1"),
        ({"rescue_after": 5}, "rescue_after=5 is less than twice heartbeat_interval=3"),
        ({"scheduler": 1}, "scheduler=1 is neither True nor False"),
        ({"retry_stuck_jobs": "no"}, "retry_stuck_jobs='no' is neither"),
        ({"queues": ()}, "queues is empty"),
        ({"queues": ""}, "queues holds ''"),
        ({"queues": ("a", 3)}, "queues holds 3"),
        ({"queues": "high,low"}, r"pass separate names, as \('high', 'low'\)"),
        ({"queues": ("a", "b", "a")}, "queues names 'a' twice"),
        ({"queues": 3}, "queues=3 is not a list of queues"),
        ({"namespace": "a b"}, "namespace='a b' is not a name"),
        ({"namespace": None}, "namespace=None is not a name"),
        ({"filtered_params": ("card..number",)}, "filtered_params holds 'card..number', which is not a name"),
        ({"namespace": "resque:"}, "ends in a colon"),
        ({"resque_scheduler_prefix": "a b"}, "resque_scheduler_prefix='a b' is not a name"),
    ],
)
def test_a_value_that_can_only_be_a_mistake_is_refused_with_a_sentence(given, sentence):
    with pytest.raises(InvalidSettings, match=sentence):
        Settings(**given)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("minTaskProcessors", "it is min_task_processors here"),
        ("maxEventLoopDelay", "it is max_event_loop_delay here, durations in seconds"),
        ("checkTimeout", "it is check_interval here"),
        ("toDisconnectProcessors", "no counterpart: processors share connections"),
        ("resque_overrides", r"TaskHero\(queue="),
        ("connectionOptions", "namespace to Settings"),
        ("qeues", "did you mean 'queues'"),
        ("colour", "known: check_interval, filtered_params"),
    ],
)
def test_an_unknown_setting_is_refused_naming_ours(name, sentence):
    with pytest.raises(InvalidSettings, match=sentence):
        Settings(**{name: 1})


def test_zero_grace_and_an_empty_namespace_are_allowed():
    settings = Settings(grace=0, namespace="")
    assert (settings.grace, settings.namespace) == (0, "")


# --- logging


def test_log_levels_are_those_of_actionhero_by_default():
    settings = Settings()
    worker = {
        "failure": "error",
        "success": "info",
        "start": "info",
        "end": "info",
        "cleaning_worker": "info",
        "poll": "debug",
        "job": "debug",
        "pause": "debug",
        "internal_error": "error",
        "multi_worker_action": "debug",
        "re_enqueue": "debug",
    }
    scheduler = {
        "start": "info",
        "end": "info",
        "poll": "debug",
        "enqueue": "debug",
        "re_enqueue": "debug",
        "working_timestamp": "debug",
        "transferred_job": "debug",
    }
    assert worker.items() <= settings.worker_logging.items()
    assert scheduler.items() <= settings.scheduler_logging.items()


def test_levels_that_are_given_are_merged_over_the_defaults():
    levels = Settings(worker_logging={"success": None, "reEnqueue": "WARN", "failure": "off"}).worker_logging
    assert (levels["success"], levels["re_enqueue"], levels["failure"]) == ("off", "warning", "off")
    assert levels["start"] == "info"
    assert len(levels) == len(Settings().worker_logging)


@pytest.mark.parametrize("name", ["internalError", "internal_error", "error"])
def test_actionheros_internal_error_is_our_error(name):
    levels = Settings(worker_logging={name: "off"}).worker_logging
    assert (levels["error"], levels["internal_error"]) == ("off", "off")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sucess": "info"}, "worker_logging has no event 'sucess'; did you mean 'success'"),
        ({3: "info"}, "worker_logging has no event 3"),
        ({"success": "loud"}, r"worker_logging\['success'\]='loud' is not a level"),
        ("info", "is not a mapping"),
    ],
)
def test_levels_and_events_that_do_not_exist_are_refused(given, sentence):
    with pytest.raises(InvalidSettings, match=sentence):
        Settings(worker_logging=given)


def test_settings_read_nothing_from_outside(monkeypatch):
    monkeypatch.setenv("TASKHERO_TIMEOUT", "7")
    monkeypatch.setenv("TASKHERO_QUEUES", "other")
    assert (Settings().timeout, Settings().queues) == (5.0, ("*",))


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_number_too_large_for_a_duration_is_refused_as_any_other(number):
    with pytest.raises(InvalidSettings, match="timeout=-?inf is not finite"):
        Settings(timeout=number)
