"""Entries of the list of failures, ours and those of other programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero.errors import InvalidArguments
from taskhero.models import Job
from taskhero.wire.failures import Description, decode_failure, encode_failure, retry_text
from taskhero.wire.jobs import encode_job, mark_rescued
from taskhero.wire.splicing import value_text

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 1795430191.75
MOMENT = datetime(2026, 11, 23, 10, 36, 31, tzinfo=UTC)


def failure(**changes: Any) -> str:
    values: dict[str, Any] = {
        "raw": '{"class":"add","queue":"math","args":["hé",[],1]}',
        "queue": "math",
        "worker": "vm.th0123456789:7+1",
        "exception": "ValueError",
        "error": "boom é 💥\nsecond line",
        "backtrace": ["  line 1", "  line 2"],
        "failed_at": SECONDS,
    }
    values |= changes
    description = Description(*(values.pop(key) for key in ("exception", "error", "backtrace")))
    return encode_failure(description, **values)


# --- written ----------------------------------------------------------------------------------------------------


def test_an_entry_is_written_as_all_can_read_it() -> None:
    assert failure() == (
        '{"worker":"vm.th0123456789:7+1","queue":"math",'
        '"payload":{"class":"add","queue":"math","args":["hé",[],1]},'
        '"exception":"ValueError","error":"boom é 💥\\nsecond line","backtrace":["  line 1","  line 2"],'
        '"failed_at":"2026/11/23 10:36:31 UTC"}'
    )


def test_the_payload_keeps_what_the_job_had_but_the_mark_of_its_rescues() -> None:
    raw = '{"class": "Ok",  "args": {"a": 1.0}, "meta": {"2": 1, "1": 2}}'
    late = mark_rescued(raw, running=True, late=True)
    for text in (raw, mark_rescued(raw, running=True), late, '{"taskhero:late":2,"taskhero:rescues":3,' + raw[1:]):
        payload = failure(raw=text).partition('"payload":')[2].partition(',"exception"')[0]
        assert payload == raw


SPELLED = [
    '{"class":"Div","args":[7.0,-0.0,1.0e+22,12345678901234567890.5,{"b":1,"a":2,"10":3,"2":4},"\\u00e9\\/"]}',
    ' { "args" : [ 1E+3 ] , "meta" : {"z":1.0,"a":null} , "class" : "Div" , "class":"Div" } ',
    '{"class":"Div"}',
    '{"class":"Div","args":null,"queue":null}',
    '{"class":"Div","args":{}}',
    '{"class":"Div","args":{"b":1.0,"a":2}}',
    '{"class":"Div","payload":{"args":[1]},"args":["}","\\"args\\":[2]"]}',
]


@pytest.mark.parametrize("raw", SPELLED)
def test_a_job_keeps_its_bytes_when_it_fails_and_is_retried(raw: str) -> None:
    for text in (raw, mark_rescued(raw, running=True)):
        entry = failure(raw=text)
        assert f'"payload":{raw.strip()},' in entry
        found = decode_failure(entry)
        assert found.job.raw == raw.strip()
        again = retry_text(found)
        assert value_text(again, "args") == value_text(raw, "args")
        assert value_text(again, "meta") == value_text(raw, "meta")
        assert json.loads(again) == json.loads(raw) | {"queue": "math"}


def test_a_retried_failure_of_another_program_keeps_its_bytes() -> None:
    for payload in map(str.strip, SPELLED):
        entry = f'{{"payload":5, "payload" : {payload} , "queue":"math","error":"\\"payload\\":[]"}}'
        assert decode_failure(entry).job.raw == payload
        assert value_text(retry_text(decode_failure(entry)), "args") == value_text(payload, "args")
    marked = '{"payload":{"taskhero:rescues":1,"class":"A","taskhero:late":2,"args":[]},"queue":"q"}'
    assert retry_text(decode_failure(marked)) == '{"class":"A","queue":"q","args":[]}'


@pytest.mark.parametrize("args", ['["\\ud83d"]', "[" * 95 + "]" * 95])
def test_what_would_stop_a_worker_of_ruby_is_listed_and_not_retried(args: str) -> None:
    entry = failure(raw=f'{{"class":"A","args":{args}}}').replace("\\\\ud83d", "\\ud83d")
    with pytest.raises(InvalidArguments):
        retry_text(decode_failure(entry))


@pytest.mark.parametrize("raw", ["", "not json", "null", "[1]", '{"args":[1]}', '{"class":5}', '{"class":"A"} x'])
def test_what_is_no_job_is_kept_as_the_argument_of_a_job_without_name(raw: str) -> None:
    for text in {raw, mark_rescued(raw, running=True)}:
        entry = failure(raw=text)
        assert json.loads(entry)["payload"] == {"class": "", "queue": "math", "args": [raw]}
        again = failure(raw=json.dumps(json.loads(entry)["payload"]))
        assert again == entry


def test_integers_stay_exact() -> None:
    raw = encode_job("add", [2**53 + 1, 10**30], "math")
    assert decode_failure(failure(raw=raw)).job.args == [2**53 + 1, 10**30]


def test_bytes_that_are_no_text_are_made_visible_everywhere() -> None:
    """A lone surrogate, raw or escaped, stops Ruby's programs."""
    entry = failure(
        raw='{"class":"A","args":["\\ud83d"]}',
        queue="q\udcff",
        worker="w\udcff",
        exception="E\udcff",
        error="x\udcff",
        backtrace=["l\udcff", "😀"],
    )
    entry.encode()
    data = json.loads(entry)
    assert data["payload"]["args"] == ["\\ud83d"]
    assert [data[key] for key in ("queue", "worker", "exception", "error")] == [
        "q\\udcff", "w\\udcff", "E\\udcff", "x\\udcff",
    ]  # fmt: skip
    assert data["backtrace"] == ["l\\udcff", "😀"]
    assert json.loads(failure(raw="bad \udcff"))["payload"]["args"] == ["bad \\udcff"]


texts = st.text(st.one_of(st.characters(), st.sampled_from('\u2028\x00"\\')))
safe_texts = st.text(st.characters(codec="utf-8"))


@settings(deadline=None)
@given(texts, texts, st.lists(texts), st.floats(0, 4e9))
def test_an_entry_is_stable_in_javascript(
    stringify: Callable[[str], str], error: str, raw: str, backtrace: list[str], failed_at: float
) -> None:
    """node-resque removes an entry by the bytes that it makes of it itself."""
    entry = failure(raw=raw, error=error, backtrace=backtrace, failed_at=failed_at)
    assert stringify(entry) == entry


@settings(deadline=None)
@given(safe_texts, safe_texts, st.lists(safe_texts), st.lists(st.one_of(st.integers(), safe_texts, st.none())))
def test_what_is_written_is_read(error: str, name: str, backtrace: list[str], args: list[object]) -> None:
    raw = encode_job(f"n{name}", args, "math")
    found = decode_failure(failure(raw=raw, error=error, exception=name, backtrace=backtrace))
    assert found.job == Job(f"n{name}", args, "math", raw=raw)
    assert (found.queue, found.worker) == ("math", "vm.th0123456789:7+1")
    assert (found.exception, found.error, found.backtrace) == (name, error, backtrace)
    assert (found.failed_at, found.retried_at, found.problem) == (MOMENT, None, None)


# --- read -------------------------------------------------------------------------------------------------------

NODE = (
    '{"worker":"vm:18844","queue":"default","payload":{"class":"FailJob","queue":"default","args":["hé",[],1]},'
    '"exception":"CustomError","error":"boom é 💥 <b>&\\nsecond line",'
    '"backtrace":["second line","    at Worker (x.js:1)"],'
    '"failed_at":"Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)"}'
)
NODE_NOT_AN_ERROR = (
    '{"worker":"vm:18844","queue":"default","payload":{"class":"ThrowString","queue":"default","args":[]},'
    '"backtrace":null,"failed_at":"Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)"}'
)
RUBY = (
    '{"failed_at":"2026/11/23 10:36:31 UTC","payload":{"class":"FailJob","args":["hé",[],1.0]},'
    '"exception":"FailJob::Custom","error":"boom","backtrace":["/app/jobs.rb:18:in `perform\'"],'
    '"worker":"vm:14559:default","queue":"default","retried_at":"2026/11/23 10:36:31 UTC"}'
)
RUBY_KILLED = (
    '{"failed_at":"2026/11/23 10:36:31 UTC","payload":{"class":"KillJob","args":[1]},'
    '"exception":"Resque::DirtyExit","error":"Child process received unhandled signal pid 15765 SIGKILL (signal 9)",'
    '"backtrace":[],"worker":"vm:15756:default,slow","queue":"default"}'
)


def test_node_s_entry() -> None:
    found = decode_failure(NODE)
    assert found.job == Job(
        "FailJob", ["hé", [], 1], "default", raw=NODE.partition('"payload":')[2].partition("},")[0] + "}"
    )
    assert (found.queue, found.worker, found.exception) == ("default", "vm:18844", "CustomError")
    assert found.error == "boom é 💥 <b>&\nsecond line"
    assert found.backtrace == ["second line", "    at Worker (x.js:1)"]
    assert (found.failed_at, found.retried_at, found.raw, found.problem) == (MOMENT, None, NODE, None)


def test_node_s_entry_of_what_was_no_error() -> None:
    found = decode_failure(NODE_NOT_AN_ERROR)
    assert (found.job.name, found.exception, found.error, found.backtrace) == ("ThrowString", "", "", [])
    assert found.problem is None


def test_ruby_s_entry() -> None:
    found = decode_failure(RUBY)
    assert (found.job.name, found.job.args, found.job.queue) == ("FailJob", ["hé", [], 1.0], "default")
    assert (found.worker, found.exception) == ("vm:14559:default", "FailJob::Custom")
    assert (found.failed_at, found.retried_at, found.problem) == (MOMENT, MOMENT, None)
    assert decode_failure(RUBY_KILLED).error.startswith("Child process received")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("", "not JSON: it is empty"),  # stands there for a moment while Ruby removes an entry
        ("garbage", "not JSON"),
        ("[1]", r"it is not a JSON object but [1]"),
        ("null", "it is not a JSON object but None"),
        ('{"error":"\udcff"}', "not UTF-8"),
        ("[" * 100_000, "nested deeper"),
    ],
    ids=["empty", "garbage", "array", "null", "bytes", "deep"],
)
def test_what_is_no_entry_says_so(entry: str, problem: str) -> None:
    found = decode_failure(entry)
    assert found.raw == entry
    assert problem in (found.problem or "")
    assert (found.job.name, found.job.args, found.job.problem) == ("", [entry], found.problem)
    assert (found.failed_at, found.backtrace) == (None, [])


@pytest.mark.parametrize("payload", ["null", "[1]", '"x"', "5"])
def test_an_entry_without_a_job_still_shows_the_rest(payload: str) -> None:
    found = decode_failure(f'{{"payload":{payload},"error":"boom","queue":"q","worker":null}}')
    assert (found.error, found.queue, found.worker, found.job.name, found.job.queue) == ("boom", "q", "", "", "q")
    assert found.problem is not None
    assert found.job.problem is not None
    assert decode_failure("{}").problem is not None


@pytest.mark.parametrize(
    ("field", "value", "attribute", "expected"),
    [
        ("failed_at", None, "failed_at", None),
        ("failed_at", 1795430191, "failed_at", MOMENT),
        ("failed_at", "1795430191", "failed_at", MOMENT),
        ("failed_at", "2026-11-23T10:36:31Z", "failed_at", MOMENT),
        ("failed_at", "garbage", "failed_at", None),
        ("failed_at", {}, "failed_at", None),
        ("retried_at", None, "retried_at", None),
        ("retried_at", "2026/11/23 10:36:31", "retried_at", MOMENT),
        ("worker", 5, "worker", "5"),
        ("exception", None, "exception", ""),
        ("exception", {"a": 1.0}, "exception", '{"a":1}'),
        ("error", ["x"], "error", '["x"]'),
        ("backtrace", "one\ntwo", "backtrace", ["one", "two"]),
        ("backtrace", ["one", 2, None], "backtrace", ["one", "2", ""]),
        ("backtrace", {"a": 1}, "backtrace", ['{"a":1}']),
        ("queue", None, "queue", "math"),
        ("queue", "", "queue", "math"),
        ("queue", 5, "queue", "math"),
        ("queue", "other", "queue", "other"),
    ],
)
def test_odd_fields_are_read_as_well_as_they_can_be(
    field: str, value: object, attribute: str, expected: object
) -> None:
    found = decode_failure(json.dumps(json.loads(failure()) | {field: value}))
    assert getattr(found, attribute) == expected
    assert found.problem is None
    assert found.job.queue == found.queue


def test_a_record_of_garbage_is_readable_though_its_job_is_not() -> None:
    found = decode_failure(failure(raw="garbage"))
    assert found.problem is None
    assert (found.job.name, found.job.args, found.job.problem) == ("", ["garbage"], "its class is empty")


@settings(deadline=None)
@given(st.recursive(st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), texts), st.lists))
def test_no_field_at_all_makes_reading_raise(value: object) -> None:
    fields = ("payload", "worker", "queue", "exception", "error", "backtrace", "failed_at", "retried_at")
    for field in fields:
        raw = json.dumps({field: value})
        assert decode_failure(raw).raw == raw
    assert decode_failure(json.dumps(value)).problem is not None
