"""Each rule about what hurts other readers finds what it is about; the prune rules are those of a Ruby worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from harm_rules import RULES, harms
from ruby_pruning import pruned

AT = 1795430191
JOB = '{"class":"OkJob","queue":"q","args":["é",1]}'
BUSY = '{"queue":"q","run_at":"2026-11-23T10:32:05Z","worker":"h:1","payload":' + JOB + "}"
FAILED = (
    '{"worker":"h:1","queue":"q","payload":' + JOB + ',"exception":"E","error":"x","backtrace":[],'
    '"failed_at":"2026/11/23 10:32:07 UTC"}'
)
PING = '{"time":1795430191,"name":"h:1","queues":"q"}'

FINE = {
    "workers": ("set", -1, ("h:1:q", "h:2+1:*", "vm:1:a,b:c")),
    "workers:heartbeat": ("hash", -1, ("h:1:q", "2026-11-23T10:32:04+00:00", "gone:1:q", "2026-11-23T10:32:04.123Z")),
    "worker:h:1:q": ("string", -1, (BUSY,)),
    "worker:h:1:q:started": ("string", -1, ("2026-11-23 10:32:04 +0000",)),
    "worker:ping:h:1": ("string", -1, (PING,)),
    "queues": ("set", -1, ("q",)),
    "queue:q": ("list", -1, (JOB,)),
    "delayed_queue_schedule": ("zset", -1, (str(AT), str(AT))),
    f"delayed:{AT}": ("list", -1, (JOB, JOB)),
    f"timestamps:{JOB}": ("set", -1, (f"delayed:{AT}",)),
    "failed": ("list", -1, (FAILED, FAILED[:-1] + ',"retried_at":"2026/11/23 10:32:08 UTC"}')),
    "stat:processed": ("string", -1, ("5",)),
    "stat:failed:h:1": ("string", -1, ("-1",)),
    "lock:OkJob:q:[]": ("string", 3600, ("1795433807",)),
    "workerslock:OkJob:q:[]": ("string", 3600, ("1795433807:h:1/5",)),
    "resque-retry:OkJob:1": ("string", 60, ("0",)),
    "failure-resque-retry:OkJob:1": ("string", 60, ("{}",)),
    "taskhero:processes": ("zset", -1, ("h.th0:1", "1795430191000")),
    "taskhero:leader": ("string", 15, ("h.th0:1",)),
}


def text(value):
    return ("string", -1, (value,))


def of(kind, *elements):
    return (kind, -1, elements)


def failed(**parts):
    return of("list", json.dumps({**json.loads(FAILED), **parts}))


POISONS = [
    ("a worker's id without", {"workers": of("set", "h:1:q", "h:1")}),
    ("a worker's id without", {"workers": of("set", "h:1:q", "h:2:")}),
    ("a worker's id without", {"workers": of("set", "h:1:q", "w")}),
    ("a slash in a worker's host", {"workers": of("set", "h:1:q", "h/x:1:q")}),
    ("a heartbeat that is not a date", {"workers:heartbeat": of("hash", "h:1:q", "1795430191")}),
    ("a heartbeat that is not a date", {"workers:heartbeat": of("hash", "h:1:q", "")}),
    ("a heartbeat that is not a date", {"workers:heartbeat": of("hash", "h:1:q", '{"time":1}')}),
    ("a worker's job that is not a JSON", {"worker:h:1:q": text("")}),
    ("a worker's job that is not a JSON", {"worker:h:1:q": text("xx")}),
    ("a worker's job that is not a JSON", {"worker:h:1:q": text('{"queue":"q","worker":"h:1"}')}),
    ("a worker's job that is not a JSON", {"worker:h:1:q": text('{"queue":"q","worker":"h:1","payload":null}')}),
    ("a worker's job that is not a JSON", {"worker:h:1:q": text(BUSY.replace("OkJob", "\udcff"))}),
    ("a worker's job that names another", {"worker:h:1:q": text(BUSY.replace('"h:1"', '"h:1:q"'))}),
    ("a worker's job that names another", {"worker:h:1:q": text(BUSY.replace('"worker":"h:1",', ""))}),
    ("a busy worker that is not registered", {"workers": of("set", "h:1:other")}),
    ("a ping that is not JSON", {"worker:ping:h:1": text("xx")}),
    ("a ping that is not JSON", {"worker:ping:h:1": text("1795430191")}),
    ("a ping that is not JSON", {"worker:ping:h:1": text('{"name":"h:1","queues":"q"}')}),
    ("a ping of a name that is no", {"worker:ping:h:9": text(PING.replace("h:1", "h:9"))}),
    ("a ping of a name that is no", {"worker:ping:h:1": text(PING.replace("h:1", "h:1:q"))}),
    ("a counter that is not an integer", {"stat:processed": text("1.5")}),
    ("a queue's name that is empty", {"queues": of("set", "q", "")}),
    ("a queue that is not in the set", {"queues": of("set", "other")}),
    ("a queued job that is not a JSON", {"queue:q": of("list", "xx")}),
    ("a queued job that is not a JSON", {"queue:q": of("list", "null")}),
    ("a queued job that is not a JSON", {"queue:q": of("list", "[1]")}),
    ("a queued job that is not a JSON", {"queue:q": of("list", JOB + " garbage")}),
    ("a queued job that is not a JSON", {"queue:q": of("list", JOB.replace("1]", "NaN]"))}),
    ("a queued job that is not a JSON", {"queue:q": of("list", JOB.replace("1]", "1e400]"))}),
    ("a queued job that is not a JSON", {"queue:q": of("list", JOB.replace("é", "\\ud83d"))}),
    ("a queued job that is not a JSON", {"queue:q": of("list", JOB.replace("é", "\udcff"))}),
    ("a queued job that is not a JSON", {"queue:q": of("list", JOB.replace("é", "\n"))}),
    ("a queued job that is not a JSON", {"queue:q": of("list", "\ufeff" + JOB)}),
    ("a queued job that is not a JSON", {"queue:q": of("list", JOB.replace("1]", "[" * 98 + "]" * 98 + "]"))}),
    ("a queued job without a class", {"queue:q": of("list", '{"args":[]}')}),
    ("a queued job without a class", {"queue:q": of("list", '{"class":null,"args":[]}')}),
    ("arguments that are not an array", {"queue:q": of("list", '{"class":"OkJob","args":{}}')}),
    ("arguments that are not an array", {"queue:q": of("list", '{"class":"OkJob"}')}),
    ("a due time that is not a whole second", {"delayed_queue_schedule": of("zset", f"{AT}", f"{AT}", "5.5", "5.5")}),
    ("a due time that is not a whole second", {"delayed_queue_schedule": of("zset", f"{AT}", f"{AT}.5")}),
    ("a list of a due time that is not", {"delayed_queue_schedule": of("zset")}),
    ("a delayed job that is not a JSON", {f"delayed:{AT}": of("list", JOB, "xx"), "timestamps:xx": of("set")}),
    ("a delayed job that is not a JSON", {f"delayed:{AT}": of("list", JOB, "")}),
    ("a delayed job without class or queue", {f"delayed:{AT}": of("list", JOB, '{"class":"OkJob","args":[]}')}),
    ("a delayed job that is not under", {f"delayed:{AT}": of("list", JOB, JOB + " ")}),
    ("timestamps of a job that is not", {f"timestamps:{JOB}": of("set", f"delayed:{AT}", "delayed:5")}),
    ("a failure that is not a JSON", {"failed": of("list", "")}),
    ("a failure that is not a JSON", {"failed": of("list", "[1]")}),
    ("a failure with a date", {"failed": failed(failed_at=1795430191)}),
    ("a failure with a date", {"failed": failed(failed_at="1795430191")}),
    ("a failure with a date", {"failed": failed(failed_at=None)}),
    ("a failure with a date", {"failed": failed(retried_at=5)}),
    ("a failure without a worker", {"failed": failed(worker=None)}),
    ("a failure without a worker", {"failed": failed(backtrace="a\nb")}),
    ("a failure without a worker", {"failed": failed(backtrace=None)}),
    ("a failure whose payload", {"failed": failed(payload=[1])}),
    ("a failure whose payload", {"failed": failed(payload=None)}),
    ("a lock that does not begin", {"lock:OkJob:q:[]": ("string", -1, ("1795433807",))}),
    ("a lock that does not begin", {"workerslock:OkJob:q:[]": ("string", 5, ("true",))}),
    ("a count of attempts", {"resque-retry:OkJob:1": ("string", 60, ("x",))}),
    ("a count of attempts", {"resque-retry:OkJob:1": ("string", -1, ("0",))}),
    ("a lock of another program's", {"resque:resque_scheduler_master_lock": ("string", 180, ("localhost:1",))}),
    ("a lock of another program's", {"resque_scheduler_leader_lock": ("string", 180, ("h:1",))}),
    ("a key that no Resque knows", {"persistent_schedules": of("hash", "x", "{}")}),
    ("a key that no Resque knows", {"pause-all-workers": text("true")}),
    ("what taskhero keeps for itself", {"taskhero:wake:q": of("list", "1")}),
]


def test_what_resque_and_node_resque_write_hurts_nobody():
    assert harms(FINE) == []


@pytest.mark.parametrize(("rule", "poison"), POISONS)
def test_a_rule_finds_what_it_is_about(rule, poison):
    found = {harm.rule for harm in harms({**FINE, **poison})}
    assert any(name.startswith(rule) for name in found), found


def test_every_rule_has_such_a_test():
    untested = [name for name in RULES if not any(name.startswith(rule) for rule, _ in POISONS)]
    assert untested == []


NOW = datetime(2026, 11, 23, 10, 40, tzinfo=UTC)


def beat(age):
    return (NOW - timedelta(seconds=age)).isoformat()


@pytest.mark.parametrize(
    ("worker", "age", "queues", "line", "gone"),
    [
        ("vm:25644:default", None, "default", "python worker.py", True),
        ("vm:25644:default", 1, "default", "python worker.py", True),
        ("vm:25644:other", None, "*", "python worker.py", True),
        ("vm:25644:other", None, "default", "python worker.py", False),
        ("vm:25644:a,b", None, "b,a", "python worker.py", True),
        ("vm:25644:default", None, "default", "resque-3.0.0: Waiting", False),
        ("vm:25644:default", None, "default", "taskhero: resque-1 worker", False),
        ("vm:25644:default", None, "default", "resque:work taskhero", False),
        ("vm:25644+1:default", None, "default", "resque-3.0.0: Waiting", True),
        ("vm/web:25644:default", None, "*", "python worker.py", False),
        ("vm:25644:*", None, "default", "python worker.py", False),
        ("otherhost:25644:default", None, "*", "python worker.py", False),
        ("otherhost:25644:default", 299, "default", "python worker.py", False),
        ("otherhost:25644:default", 302, "default", "python worker.py", True),
        ("otherhost:25644:default", 302, "zzz", "python worker.py", True),
    ],
)
def test_the_prune_rules_are_those_of_a_ruby_worker(worker, age, queues, line, gone):
    heartbeats = {} if age is None else {worker: beat(age)}
    found = pruned(
        [worker], heartbeats, now=NOW, host="vm", queues=queues.split(","), processes={"25644": line, "1": "init"}
    )
    assert found == ({worker} if gone else set())
