"""Retry: what is counted, what is tried again, and when."""

from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta

import pytest

from taskhero import Failure, Job, Refused, Retrying, RetryLater, Success
from taskhero.errors import InvalidMoment, PluginError
from taskhero.hooks.needs import CountAttempts
from taskhero.plugins import Retry
from taskhero.wire.jobs import decode_job

JOB = Job("add", [1, 2], "math")
ERROR = ValueError("busted")
COUNTER, TRACE = "resque-retry:add:1-2", "failure-resque-retry:add:1-2"


def delays(plugin, error=ERROR):
    return plugin.taskhero_after_perform(JOB, Failure(error, 1.5)).delays


def test_a_failure_becomes_a_retry_with_all_that_the_settling_step_needs():
    plugin = Retry(3, jitter=0)
    assert plugin.taskhero_needs(JOB) == (CountAttempts(COUNTER, TRACE),)
    decision = plugin.taskhero_after_perform(JOB, Failure(ERROR, 1.5))
    assert decision == Retrying(ERROR, 1.5, COUNTER, 3, (5,), TRACE)


@pytest.mark.parametrize("outcome", [Success(1), Refused(), Retrying(ERROR, 1.0, "c", 2, (1,))])
def test_what_is_no_failure_stays(outcome):
    assert Retry(3).taskhero_after_perform(JOB, outcome) is None


def test_with_one_attempt_a_failure_stays():
    assert Retry(1).taskhero_after_perform(JOB, Failure(ERROR)) is None
    assert Retry(1).taskhero_after_perform(JOB, Failure(RetryLater(1))) is None


def test_only_those_errors_are_tried_again_that_the_plugin_names():
    plugin = Retry(3, on=(OSError, KeyError))
    assert plugin.taskhero_after_perform(JOB, Failure(ERROR)) is None
    assert isinstance(plugin.taskhero_after_perform(JOB, Failure(ConnectionError())), Retrying)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(1)])
def test_what_is_no_exception_is_tried_again_only_if_it_is_named(error):
    assert Retry(3).taskhero_after_perform(JOB, Failure(error)) is None
    assert isinstance(Retry(3, on=(BaseException,)).taskhero_after_perform(JOB, Failure(error)), Retrying)


# --- delays


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"delay": 0}, (0,)),
        ({"delay": timedelta(seconds=90)}, (90,)),
        ({"backoff": (1, 10.5, timedelta(minutes=1))}, (1, 10.5, 60)),
        ({"backoff": [1]}, (1,)),
        ({"backoff": "exponential", "delay": 2}, (2, 4, 8, 16, 32, 64, 128, 256, 512)),
        ({"backoff": "exponential", "delay": 0}, (0,)),
        ({"backoff": "exponential", "delay": 40_000}, (40_000, 80_000, 86_400)),
        ({"backoff": "exponential", "delay": timedelta(days=3)}, (86_400,)),
    ],
)
def test_delays_before_the_second_attempt_the_third_and_so_on(options, expected):
    assert delays(Retry(10, jitter=0, **options)) == expected


def test_delays_that_no_attempt_is_left_for_are_left_out():
    assert delays(Retry(3, jitter=0, backoff=(1, 2, 3, 4))) == (1, 2)
    assert delays(Retry(3, jitter=0, backoff="exponential")) == (5, 10)


def test_each_delay_varies_by_no_more_than_the_jitter():
    plugin = Retry(3, jitter=0.5, backoff=(10, 100))
    seen = [delays(plugin) for _ in range(200)]
    for place, delay in enumerate((10, 100)):
        these = [one[place] for one in seen]
        assert 0.5 * delay <= min(these) < 0.75 * delay
        assert 1.25 * delay < max(these) <= 1.5 * delay


def test_a_delay_varies_by_a_tenth_if_nothing_else_is_said():
    seen = [delays(Retry(3))[0] for _ in range(100)]
    assert 4.5 <= min(seen) < 5 < max(seen) <= 5.5


def test_a_delay_is_never_negative():
    assert min(delays(Retry(3, delay=1, jitter=1))[0] for _ in range(200)) >= 0


# --- the task's own wish


def test_a_task_says_itself_when_it_is_tried_again_whatever_the_plugin_names():
    plugin = Retry(3, on=(KeyError,), delay=5, backoff=(1, 2))
    assert delays(plugin, RetryLater(30)) == (30,)
    assert delays(plugin, RetryLater(timedelta(minutes=2))) == (120,)


def test_without_an_attempt_left_its_text_says_what_to_do():
    text = "requested a retry after 30 s, but no attempt is left: give it the plugin Retry(limit=...)"
    assert text in str(RetryLater(30))


def test_it_comes_out_of_another_process_as_it_was():
    copy = pickle.loads(pickle.dumps(RetryLater(timedelta(seconds=1.5))))
    assert (type(copy), copy.delay) == (RetryLater, 1.5)


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), True, None, "5"])
def test_a_delay_that_is_none_is_refused_where_it_is_raised(delay):
    with pytest.raises(InvalidMoment, match=r"RetryLater\(.*\): pass a timedelta, or seconds, of 0 or more"):
        RetryLater(delay)


# --- names: node-resque's own functions are the measure, in tests/integration


@pytest.mark.parametrize(
    ("args", "counter", "last_error_key"),
    [
        ([], "resque-retry:add", "failure-resque-retry:add:"),
        ([""], "resque-retry:add", "failure-resque-retry:add:"),
        ([" "], "resque-retry:add", "failure-resque-retry:add:"),
        (
            ["x y z", {"k": [1, 2]}, 1],
            'resque-retry:add:xy z-{"k":[1,2]}-1',
            'failure-resque-retry:add:xy z-{"k":[1,2]}-1',
        ),
        ([None, True, 1.0, 1e21], "resque-retry:add:null-true-1-1e+21", "failure-resque-retry:add:null-true-1-1e+21"),
        ([["a b"], "c d"], 'resque-retry:add:["ab"]-c d', 'failure-resque-retry:add:["ab"]-c d'),
    ],
)
def test_attempts_are_counted_under_node_resques_name(args, counter, last_error_key):
    assert Retry(2).taskhero_needs(Job("add", args)) == (CountAttempts(counter, last_error_key),)


def test_the_first_white_space_may_stand_in_the_tasks_name():
    (need,) = Retry(2).taskhero_needs(Job("my task", ["a b"]))
    assert need == CountAttempts("resque-retry:mytask:a b", "failure-resque-retry:mytask:a b")


def test_what_is_no_character_is_counted_as_node_resque_sends_it():
    job = decode_job(r'{"class":"add","args":["\ud800",["\ud800"]]}', "math")
    (need,) = Retry(2).taskhero_needs(job)
    assert need.counter == 'resque-retry:add:\ufffd-["\\ud800"]'


def test_a_key_names_the_counter_behind_its_prefix():
    plugin = Retry(2, key=lambda job: f"{job.queue}-{job.args[0]}")
    assert plugin.taskhero_needs(JOB) == (CountAttempts("resque-retry:math-1", "failure-resque-retry:math-1"),)
    decision = plugin.taskhero_after_perform(JOB, Failure(ERROR))
    assert (decision.counter, decision.last_error_key) == ("resque-retry:math-1", "failure-resque-retry:math-1")
    assert Retry(2, key="all").taskhero_needs(JOB)[0].counter == "resque-retry:all"


# --- options


def test_the_limit_has_no_default():
    with pytest.raises(TypeError, match="limit"):
        Retry()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"limit": 0}, "limit=0: pass the number of attempts in total, a whole number from 1 to"),
        ({"limit": 2.0}, "limit=2.0: pass the number of attempts"),
        ({"limit": True}, "limit=True: pass the number of attempts"),
        ({"limit": "3"}, "limit='3': pass the number of attempts"),
        ({"delay": -1}, "delay=-1 is negative"),
        ({"delay": True}, "delay=True is not a duration"),
        ({"delay": float("nan")}, "delay=nan is not finite"),
        ({"delay": 1_000_000}, "delay=1000000 is more than a week"),
        ({"backoff": "exponental"}, "backoff='exponental' is not known; did you mean 'exponential'"),
        ({"backoff": ()}, r"backoff=\(\): pass the delays, such as \(1, 10, 60\), or 'exponential'"),
        ({"backoff": 5}, "backoff=5: pass the delays"),
        ({"backoff": (1, -2)}, r"backoff=\(1, -2\): delay=-2 is negative"),
        ({"jitter": 1.5}, "jitter=1.5: pass the fraction by which a delay may vary, 0 to 1"),
        ({"jitter": True}, "jitter=True: "),
        ({"jitter": float("nan")}, "jitter=nan: "),
        ({"jitter": "0"}, "jitter='0': "),
        ({"on": ValueError}, r"on=<class 'ValueError'>: pass a tuple of exception classes, such as \(OSError,\)"),
        ({"on": ()}, r"on=\(\): pass a tuple"),
        ({"on": (ERROR,)}, r"on=.*: ValueError\('busted'\) is not an exception class"),
        ({"on": (int,)}, "<class 'int'> is not an exception class"),
        ({"key": ""}, "key='': pass a str that is not empty"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, sentence):
    with pytest.raises(PluginError, match=sentence):
        Retry(**{"limit": 3, **options})
