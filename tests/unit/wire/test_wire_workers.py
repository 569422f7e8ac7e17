"""Workers' names, pings and what they are busy with."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero.backends.protocol import Process
from taskhero.models import Job
from taskhero.wire.jobs import encode_job
from taskhero.wire.workers import (
    HeldJob,
    decode_working,
    new_process_name,
    parse_worker_id,
    parse_working,
    process_of,
    working_head,
)

WORKER = "vm.th0123456789:7+1"
MOMENT = datetime(2026, 11, 23, 10, 36, 31, tzinfo=UTC)
SECONDS = 1795430191.75


# --- names ------------------------------------------------------------------------------------------------------


def test_a_process_s_name_is_unique_and_has_the_parts_that_ruby_splits() -> None:
    names = {new_process_name() for _ in range(100)}
    assert len(names) == 100
    for name in names:
        host, pid = name.split(":")
        assert pid == str(os.getpid())
        assert host
        assert not set(host) & set("/, \t\n*+")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("web-1.example.com", "web-1.example.com"),
        ("a:b/c,d e\tf\ng", "a-b-c-d-e-f-g"),
        ("bücher", "b-cher"),
        ("a+b*", "a-b"),
        ("", "host"),
        ("::", "host"),
        ("\udcff", "host"),
    ],
)
def test_hosts_are_cleaned_of_what_other_programs_trip_over(host: str, expected: str) -> None:
    assert new_process_name(host, 7, "th0123456789") == f"{expected}.th0123456789:7"


def test_our_workers_are_told_from_others() -> None:
    process = Process(new_process_name("web.example.com"), ("ns:q", "b"))
    assert process_of(process.worker_id(1)) == process.name
    assert process_of(process.worker(12)) == process.name
    assert process_of(process.name) is None


@pytest.mark.parametrize(
    "worker_id",
    [
        "", "vm", "vm:1", "vm:14545:default,slow", "vm:18825+1:default,slow", "vm.example.com:18825+1:default",
        "web.thailand:1+1:*", "web.th0123456789:x+1:*", "web.th0123456789:1+x:*", "web.th0123456789:1:*",
        "web.th0123456789ab:1+1:*", "th0123456789:1+1:*", "web.th0123456789:1+1x",
    ],
)  # fmt: skip
def test_other_programs_workers_are_not_ours(worker_id: str) -> None:
    assert process_of(worker_id) is None


@pytest.mark.parametrize(
    ("worker_id", "parts"),
    [
        ("vm:14545:default,slow", ("vm:14545", "default,slow")),
        ("vm:18825+1:default,slow", ("vm:18825+1", "default,slow")),
        ("h:1:*", ("h:1", "*")),
        ("h:1:ns:q,b", ("h:1", "ns:q,b")),
        ("h:1:", ("h:1", "")),
        ("h:1", ("h:1", "")),
        ("w", ("w", "")),
        ("", ("", "")),
        (f"{WORKER}:a", (WORKER, "a")),
    ],
)
def test_ids_are_split_into_name_and_queues(worker_id: str, parts: tuple[str, str]) -> None:
    assert parse_worker_id(worker_id) == parts


# --- what we write ----------------------------------------------------------------------------------------------


def written(raw: str, *, queue: str = "math", running: bool = False, late: bool = False) -> str:
    head = working_head(token="t0k3n", queue=queue, worker=WORKER, run_at=SECONDS, running=running, late=late)
    return f"{head}{raw}}}"


def test_what_a_worker_is_busy_with_can_be_read_by_all() -> None:
    raw = encode_job("add", [1, []], "math")
    assert written(raw) == (
        '{"token":"t0k3n","queue":"math","run_at":"2026-11-23T10:36:31Z","worker":"vm.th0123456789:7+1",'
        '"payload":{"class":"add","queue":"math","args":[1,[]]}}'
    )
    assert written(raw, running=True).startswith('{"token":"t0k3n","running":true,"queue":"math",')
    assert written(raw, late=True).startswith('{"token":"t0k3n","late":true,"queue":"math",')


TRICKY = [
    "math", 'a","payload":{"x', ',"payload":', '"', "\\", '\\"', "ns:q", "é😀", "\udcff", "}", "\u2028",
    '"running":true,', '"late":true,',
]  # fmt: skip
RAWS = [
    encode_job("add", [{"payload": ',"payload":'}], "math"), "", "garbage", "}", "{", '"', ',"payload":', "null",
    '{"class":"A"} ', "\udcff", '{"token":"x","payload":{}}',
]  # fmt: skip


@pytest.mark.parametrize("queue", TRICKY)
@pytest.mark.parametrize("raw", RAWS)
@pytest.mark.parametrize("running", [False, True])
def test_any_job_of_any_queue_comes_back_as_it_was(queue: str, raw: str, running: bool) -> None:
    value = written(raw, queue=queue, running=running)
    assert parse_working(value) == HeldJob("t0k3n", queue, raw, running, WORKER)
    assert parse_working(written(raw, queue=queue, late=True)) == HeldJob("t0k3n", queue, raw, False, WORKER, late=True)
    working = decode_working(value, "name")
    assert (working.worker, working.queue, working.run_at, working.raw) == ("name", queue, MOMENT, value)
    assert (working.job.raw, working.job.queue) == (raw, queue)


anything = st.text(st.characters(categories=["L", "N", "P", "S", "Z", "C", "Cs"]))


@settings(deadline=None)
@given(anything, anything, st.booleans())
def test_any_text_at_all_comes_back_as_it_was(queue: str, raw: str, running: bool) -> None:
    held = parse_working(written(raw, queue=queue, running=running))
    assert held == HeldJob("t0k3n", queue, raw, running, WORKER)


def test_garbage_in_a_worker_s_hands_is_shown() -> None:
    working = decode_working(written("gar}bage"), WORKER)
    assert (working.job.name, working.job.args, working.queue) == ("", ["gar}bage"], "math")
    assert working.job.problem is not None


# --- what others write ------------------------------------------------------------------------------------------

RUBY = (
    '{"queue":"slow","run_at":"2026-11-23T10:36:31Z",'
    '"payload":{"class":"SlowJob","args":["hé 😀",[],{},null,1.0,1.0e+21,12345678901234567890]}}'
)
NODE = (
    '{"run_at":"Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)","worker":"vm:18588",'
    '"payload":{"class":"SlowJob","args":["hé <\\/script>",{},1e+21,1e-07,9.007199254741e+15,true],"queue":"slow"},'
    '"queue":"slow"}'
)
NODE_WITHOUT_ARGS = (
    '{"run_at":"Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)","worker":"hostB:2",'
    '"payload":{"class":"LockedJob","args":{},"queue":"default"},"queue":"default"}'
)


def test_ruby_s_worker() -> None:
    working = decode_working(RUBY, "vm:14545")
    assert (working.worker, working.queue, working.run_at, working.raw) == ("vm:14545", "slow", MOMENT, RUBY)
    assert (working.job.name, working.job.queue, working.job.problem) == ("SlowJob", "slow", None)
    assert working.job.args == ["hé 😀", [], {}, None, 1.0, 1e21, 12345678901234567890]
    assert parse_working(RUBY) is None


def test_node_s_worker() -> None:
    working = decode_working(NODE, "vm:18588")
    assert (working.queue, working.run_at) == ("slow", MOMENT)
    assert working.job.args == ["hé </script>", {}, 1e21, 1e-7, 9007199254741000, True]
    assert decode_working(NODE_WITHOUT_ARGS, "hostB:2").job.args == []
    assert parse_working(NODE) is None


@pytest.mark.parametrize(
    "value",
    [
        "", "garbage", "null", "[1]", "5", "{}", '{"payload":null}', '{"payload":[1],"queue":5}', "\udcff",
        '{"token":"', '{"token":"t"}', '{"token":"t","payload":{"class":"A"}}', '{"token":"t","queue":5,"payload":{}}',
        '{"token":"t","queue":"q","payload":{"class":"A"}', '{"token":"t",garbage,"payload":{}}',
        '{"token":"t","queue":"q","worker":null,"payload":{}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_nothing_that_stands_under_a_worker_s_key_makes_reading_raise(value: str) -> None:
    assert parse_working(value) is None
    working = decode_working(value, "w")
    assert (working.worker, working.raw) == ("w", value)
    assert working.job.problem is not None or working.job.name == "A"


def test_the_job_s_own_queue_is_used_if_the_worker_names_none() -> None:
    working = decode_working('{"payload":{"class":"A","queue":"q"}}', "w")
    assert (working.queue, working.job, working.run_at) == (
        "q", Job("A", [], "q", raw='{"class":"A","queue":"q"}'), None,
    )  # fmt: skip
