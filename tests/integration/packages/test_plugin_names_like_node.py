"""The names of locks and counters are those that the real node-resque gives them, byte for byte."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taskhero import Failure, Job
from taskhero.plugins import JobLock, QueueLock, Retry
from taskhero.wire.jobs import decode_job
from taskhero.wire.keys import Keys

if TYPE_CHECKING:
    from node_fixtures import StartNode

    from node import Node

KEYS = Keys("resque")


@pytest.fixture(scope="module")
def node_resque(start_node: StartNode) -> Node:
    """Says what node-resque calls things."""
    return start_node("names.mjs")


def named_by_us(job: Job) -> dict[str, bytes]:
    (lock,) = QueueLock().taskhero_guards(job)
    (job_lock,) = JobLock().taskhero_needs(job)
    (attempts,) = Retry(2).taskhero_needs(job)
    retrying = Retry(2).taskhero_after_perform(job, Failure(ValueError()))
    assert (retrying.counter, retrying.last_error_key) == (attempts.counter, attempts.last_error_key)
    names = {
        "lock": lock.key,
        "workerslock": job_lock.key,
        "counter": attempts.counter,
        "trace": attempts.last_error_key,
    }
    return {what: KEYS.named(name).encode() for what, name in names.items()}


def named_by_node(node_resque: Node, raw: str) -> dict[str, bytes]:
    return {what: base64.b64decode(name) for what, name in node_resque.ask(raw).items()}


spaces = st.sampled_from(" \t\n\v\f\r\x1c\x1f\x85\xa0\u1680\u180e\u2003\u200b\u2028\u2029\u202f\u205f\u3000\ufeff")
characters = st.one_of(st.characters(codec="utf-8"), st.characters(categories=["Cs"]), spaces, st.sampled_from("-:ab"))
texts = st.text(characters, max_size=6)
names = st.text(characters, min_size=1, max_size=6)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), texts
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(name="add", queue="math", args=[])
@example(name="add", queue="math", args=[""])
@example(name="add", queue="math", args=[" "])
@example(name="add", queue="math", args=["\ufeff", "\x85"])
@example(name="my task", queue="math", args=["a b c"])
@example(name="\n", queue=" ", args=["a b"])
@example(name="add", queue="math", args=[None, True, False, -0.0, 1.0, 1e21, 1e-7, [], {}, {"2": 1, "1": [None]}])
@example(name="add", queue="math", args=["\ud83d \ude00", ["\ud83d"]])
@example(name="\udc00", queue="\ud800", args=["x"])
@given(name=names, queue=names, args=st.lists(values, max_size=4))
def test_locks_and_counters_have_node_resques_names(node_resque, name, queue, args):
    raw = json.dumps({"class": name, "queue": queue, "args": args})
    job = decode_job(raw, json.loads(json.dumps(queue)))
    theirs = named_by_node(node_resque, raw)
    assert named_by_us(job) == {what: theirs[what] for what in ("lock", "workerslock", "counter", "trace")}


def test_a_key_of_ones_own_is_the_whole_name_as_in_node_resque(node_resque):
    """There it stands outside the namespace, unless one puts that before it; here always inside."""
    theirs = named_by_node(node_resque, '{"class":"add","queue":"math","args":[]}')
    (lock,) = QueueLock(key="lock:chosen").taskhero_guards(Job("add"))
    (job_lock,) = JobLock(key=lambda job: f"workerslock:{job.name}").taskhero_needs(Job("add"))
    assert (lock.key.encode(), job_lock.key.encode()) == (theirs["chosen_lock"], theirs["chosen_workerslock"])
