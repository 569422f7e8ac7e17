"""The locks: which conditions and needs they state, under which names."""

from __future__ import annotations

import json
from datetime import timedelta
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero import Job, Postponed, Refused
from taskhero.backends.protocol import NotDelayed, QueueLockGuard
from taskhero.errors import PluginError
from taskhero.hooks.needs import HoldLock
from taskhero.plugins import DelayQueueLock, JobLock, QueueLock, Retry
from taskhero.wire.jobs import decode_job, equivalent_payloads, meaning_of

JOB = Job("add", [1, "zwei", {"k": [1.0]}], "math")


def test_queue_lock_is_a_guard_on_node_resques_lock():
    assert QueueLock().taskhero_guards(JOB) == (QueueLockGuard('lock:add:math:[1,"zwei",{"k":[1]}]', 3600),)
    assert QueueLock().taskhero_guards(Job("add")) == (QueueLockGuard("lock:add:default:[]", 3600),)


def test_job_lock_is_held_under_node_resques_name():
    key = 'workerslock:add:math:[1,"zwei",{"k":[1]}]'
    assert JobLock().taskhero_needs(JOB) == (HoldLock(key, 3600, Postponed(1)),)


def test_a_job_that_finds_its_job_lock_held_is_postponed_or_dropped():
    assert JobLock(delay=timedelta(minutes=1)).taskhero_needs(JOB)[0].otherwise == Postponed(60)
    assert JobLock(requeue=False).taskhero_needs(JOB)[0].otherwise == Refused()


def test_delay_queue_lock_looks_for_all_forms_that_mean_the_same():
    (guard,) = DelayQueueLock().taskhero_guards(JOB)
    assert guard == NotDelayed(equivalent_payloads("add", JOB.args, "math"), meaning_of("add", JOB.args, "math"))
    assert '{"class":"add","args":[1,"zwei",{"k":[1.0]}],"queue":"math"}' in guard.equivalent_payloads


@pytest.mark.parametrize("args", [r'["\ud800"]', f"[{'[' * 120}{']' * 120}]"])
def test_what_others_wrote_and_we_would_not_is_locked_all_the_same(args):
    """Guards and needs are asked of jobs that were claimed, too, and may not fail on what stands in the store."""
    raw = f'{{"class":"add","queue":"math","args":{args}}}'
    job = decode_job(raw, "math")
    assert job.problem is None
    assert QueueLock().taskhero_guards(job)[0].key == f"lock:add:math:{args}"
    assert JobLock().taskhero_needs(job)[0].key == f"workerslock:add:math:{args}"
    assert DelayQueueLock().taskhero_guards(job) == (NotDelayed((raw,), meaning_of(job.name, job.args, job.queue)),)
    job_without_text = Job(job.name, job.args, job.queue)
    assert DelayQueueLock().taskhero_guards(job_without_text) == ()


@pytest.mark.parametrize("timeout", [60, 60.0, timedelta(minutes=1)])
def test_a_locks_timeout_is_in_seconds_or_a_timedelta(timeout):
    (guard,) = QueueLock(timeout).taskhero_guards(JOB)
    (need,) = JobLock(timeout).taskhero_needs(JOB)
    assert (guard.timeout, type(guard.timeout)) == (need.timeout, type(need.timeout)) == (60, int)


class Name(StrEnum):
    NIGHTLY = "lock:nightly"


def test_a_key_replaces_the_whole_name():
    assert QueueLock(key="lock:one").taskhero_guards(JOB)[0].key == "lock:one"
    assert JobLock(key=lambda job: f"workerslock:{job.args[1]}").taskhero_needs(JOB)[0].key == "workerslock:zwei"
    assert QueueLock(key="lock:\ud800").taskhero_guards(JOB)[0].key == "lock:\ufffd"
    assert type(QueueLock(key=Name.NIGHTLY).taskhero_guards(JOB)[0].key) is str
    assert type(QueueLock(key=lambda _: Name.NIGHTLY).taskhero_guards(JOB)[0].key) is str


@pytest.mark.parametrize("answer", ["", None, 7, b"x"])
def test_a_key_that_is_none_is_told_with_the_job(answer):
    with pytest.raises(PluginError, match=r"returned .* for a job of 'add': return a str that is not empty"):
        QueueLock(key=lambda _: answer).taskhero_guards(JOB)


WHOLE = r"a lock expires after whole seconds: pass 1 to"
KEY = "pass a str that is not empty, or a function of the job"


@pytest.mark.parametrize("kind", [QueueLock, JobLock])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timeout": 0}, rf"timeout=0: {WHOLE}"),
        ({"timeout": 1.5}, rf"timeout=1.5: {WHOLE}"),
        ({"timeout": timedelta(milliseconds=1500)}, WHOLE),
        ({"timeout": 10**9}, WHOLE),
        ({"timeout": -1}, "timeout=-1 is negative"),
        ({"timeout": float("nan")}, "timeout=nan is not finite"),
        ({"timeout": True}, "timeout=True is not a duration: pass a timedelta, or seconds"),
        ({"timeout": "60"}, "timeout='60' is not a duration"),
        ({"timeout": None}, "timeout=None is not a duration"),
        ({"key": ""}, rf"key='': {KEY}"),
        ({"key": 7}, rf"key=7: {KEY}"),
        ({"key": str}, rf"key=<class 'str'>: {KEY}"),
    ],
)
def test_an_option_that_cannot_be_is_refused(kind, options, sentence):
    with pytest.raises(PluginError, match=sentence):
        kind(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"requeue": 0}, "requeue=0: pass True or False"),
        ({"requeue": "no"}, "requeue='no': pass True or False"),
        ({"delay": -1}, "delay=-1 is negative"),
        ({"delay": True}, "delay=True is not a duration"),
        ({"delay": float("inf")}, "delay=inf is not finite"),
        ({"delay": 1_000_000}, "delay=1000000 is more than a week in seconds"),
    ],
)
def test_an_option_of_job_lock_that_cannot_be_is_refused(options, sentence):
    with pytest.raises(PluginError, match=sentence):
        JobLock(**options)


texts = st.text(st.characters(categories=["L", "N", "P", "Z", "Cc", "Cs"]), max_size=5)
atoms = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


@settings(deadline=None)
@given(name=texts.filter(bool), queue=texts.filter(bool), args=st.lists(values, max_size=3))
def test_whatever_stands_in_a_queue_can_be_asked_about(name, queue, args):
    """An exception here would fail the job, or keep a delete from releasing its locks; a name needs a UTF-8 form."""
    job = decode_job(json.dumps({"class": name, "args": args}), queue)
    (guard,) = QueueLock().taskhero_guards(job)
    (need,) = JobLock().taskhero_needs(job)
    (attempts,) = Retry(2).taskhero_needs(job)
    (delayed,) = DelayQueueLock().taskhero_guards(job)
    assert delayed.equivalent_payloads
    for key in (guard.key, need.key, attempts.counter, attempts.last_error_key):
        assert key.encode().decode() == key
