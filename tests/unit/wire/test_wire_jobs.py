"""Jobs to text and back, and the mark of a rescued job."""

from __future__ import annotations

import enum
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero.errors import InvalidArguments, InvalidQueueName
from taskhero.models import Job
from taskhero.wire.jobs import (
    check_queue_name,
    decode_job,
    encode_job,
    equivalent_payloads,
    late_crash_count,
    mark_rescued,
    payload_queue,
    rescue_count,
    same_meaning,
    unmark,
)


class Queues(enum.StrEnum):
    MAIL = "mail"


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", ["default", "ns:with:colons", "a b", "é😀", "*", '"quoted\\', "a/b", " "])
def test_queues_can_have_these_names(queue: str) -> None:
    assert check_queue_name(queue) == queue


def test_a_queue_s_name_may_be_an_enum_of_text() -> None:
    assert type(check_queue_name(Queues.MAIL)) is str
    assert encode_job(Queues.MAIL, [], Queues.MAIL) == '{"class":"mail","queue":"mail","args":[]}'


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("", "must not be empty"),
        ("a,b", "'a,b' contains a comma at position 1"),
        ("a\nb", r"contains '\\n' at position 1"),
        ("\r", "contains"),
        ("\x00", "contains"),
        ("a\x1f", "contains"),
        ("\x7f", "contains"),
        ("\x85", "contains"),
        ("\u2028", "contains"),
        ("\u2029", "contains"),
        ("a\udcff", "contains"),
        (None, "must be a str, not None of type NoneType"),
        (5, "must be a str, not 5 of type int"),
        (b"mail", "must be a str, not b'mail' of type bytes"),
        (["mail"], "must be a str"),
    ],
)
def test_queues_cannot_have_these_names(queue: str, message: str) -> None:
    with pytest.raises(InvalidQueueName, match=message):
        check_queue_name(queue)
    with pytest.raises(InvalidQueueName, match=message):
        encode_job("add", [], queue)


@pytest.mark.parametrize("name", ["", None, 5, b"add", ["add"], "a\ud83d"])
def test_a_job_needs_a_name(name: str) -> None:
    with pytest.raises(InvalidArguments, match=r"[Jj]ob('s)? name"):
        encode_job(name, [], "math")


@pytest.mark.parametrize("args", [None, "ab", {"a": 1}, 5, iter([])])
def test_args_are_a_list_or_tuple(args: list[object]) -> None:
    with pytest.raises(InvalidArguments, match="args must be a list or tuple, not "):
        encode_job("add", args, "math")


# --- written ----------------------------------------------------------------------------------------------------


def test_a_job_is_written_as_node_resque_writes_it() -> None:
    """The text that node-resque was seen to write for these arguments."""
    assert encode_job("OkJob", ["hé", 1.0, [], None, {"k": 1}], "default") == (
        '{"class":"OkJob","queue":"default","args":["hé",1,[],null,{"k":1}]}'
    )
    assert encode_job('a"\n', ("x",), 'q"\\') == '{"class":"a\\"\\n","queue":"q\\"\\\\","args":["x"]}'


def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(InvalidArguments, match=r"^args\[0\]\.to is b'x'"):
        encode_job("send", [{"to": b"x"}], "mail")


def test_the_forms_that_other_programs_write() -> None:
    assert equivalent_payloads("OkJob", ["a", {"k": 1}], "default") == (
        '{"class":"OkJob","queue":"default","args":["a",{"k":1}]}',
        '{"class":"OkJob","args":["a",{"k":1}]}',
        '{"class":"OkJob","args":["a",{"k":1}],"queue":"default"}',
    )


def test_ruby_writes_whole_floats_in_its_own_way() -> None:
    forms = equivalent_payloads("OkJob", ["hé", 1.0, 1e21, {"b": 1, "2": 1e-7}], "default")
    assert forms[0] == '{"class":"OkJob","queue":"default","args":["hé",1,1e+21,{"2":1e-7,"b":1}]}'
    assert forms[1] == '{"class":"OkJob","args":["hé",1,1e+21,{"2":1e-7,"b":1}]}'
    assert '{"class":"OkJob","args":["hé",1.0,1.0e+21,{"b":1,"2":1.0e-07}]}' in forms
    assert '{"class":"OkJob","args":["hé",1.0,1.0e+21,{"b":1,"2":1.0e-07}],"queue":"default"}' in forms
    assert '{"class":"OkJob","queue":"default","args":["hé",1.0,1.0e+21,{"b":1,"2":1.0e-07}]}' in forms
    assert len(forms) == 6


# --- read -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "args"),
    [
        ('{"class":"A","args":[1]}', [1]),
        ('{"class":"A","queue":"default","args":[1]}', [1]),
        ('{"class":"A","args":[1],"queue":"default"}', [1]),
        ('{"class": "A", "args": [1, {"a": "b"}]}\n', [1, {"a": "b"}]),
        (r'{"class":"A","args":["\u00e9 \ud83d\ude00 <\/x>"]}', ["é 😀 </x>"]),
        ('{"class":"A","args":["é 😀"]}', ["é 😀"]),
        (r'{"class":"A","args":["\ud83d"]}', ["\ud83d"]),
        ('{"class":"A","args":[1],"queue":"default","id":"abc","meta":{"x":1},"retry":0}', [1]),
        ('{"class":"A","queue":"elsewhere","args":[1]}', [1]),
        ('{"class":"A","queue":null,"args":[1]}', [1]),
        ('{"class":"B","class":"A","args":[1],"args":[2]}', [2]),
        ('{"class":"A"}', []),
        ('{"class":"A","args":null}', []),
        ('{"class":"A","args":{}}', []),
        ('{"class":"A","args":[]}', []),
        ('{"class":"A","args":[null]}', [None]),
        ('{"class":"A","args":[{}]}', [{}]),
        ('{"class":"A","args":[[]]}', [[]]),
        ('{"class":"A","args":{"a":1,"b":2}}', [{"a": 1, "b": 2}]),
        ('{"class":"A","args":"x"}', ["x"]),
        ('{"class":"A","args":""}', [""]),
        ('{"class":"A","args":0}', [0]),
        ('{"class":"A","args":false}', [False]),
        ('{"class":"A","args":[1.0,1E21,1e-7,-0,9007199254740993,123456789012345678901234567890]}',
         [1.0, 1e21, 1e-7, 0, 9007199254740993, 123456789012345678901234567890]),
        ('{"class":"A","args":' + "[" * 98 + "]" * 98 + "}", json.loads("[" * 98 + "]" * 98)),
        ('{"class":"A","args":[1],"taskhero:rescues":2}', [1]),
    ],
)  # fmt: skip
def test_jobs_of_any_program_are_read(raw: str, args: list[object]) -> None:
    job = decode_job(raw, "mail")
    assert job == Job("A", args, "mail", raw=raw)
    assert job.problem is None
    assert [type(arg) for arg in job.args] == [type(arg) for arg in args]


@pytest.mark.parametrize("name", ["ok-job", "::OkJob", "Some::Module::Job", "myapp.tasks.send_mail", "é", "a b"])
def test_any_text_is_a_name(name: str) -> None:
    assert decode_job(json.dumps({"class": name, "args": []}), "q").name == name


GARBAGE = [
    ("", "not JSON: it is empty"),
    ("not json", "not JSON: Expecting value at position 0, near 'not json'"),
    ('\ufeff{"class":"A","args":[1]}', "not JSON"),
    ('{"class":"A","args":["a\nb"]}', "not JSON: Invalid control character"),
    ('{"class":"A","args":[1]} x', "not JSON: Extra data at position 25"),
    ('{"class":"A","args":[NaN]}', "contains NaN"),
    ('{"class":"A","args":[Infinity,-Infinity]}', "contains Infinity"),
    ('{"class":"A","args":[1e400]}', "too large for a float: '1e400'"),
    ('{"class":"A","args":[' + "1" * 5000 + "]}", "more than 4300 digits"),
    ('{"class":"A","args":["\udcff"]}', "not UTF-8: a stray byte at position 22"),
    ('{"class":"A","args":' + "[" * 1001 + "]" * 1001 + "}", "nested deeper than 500 levels"),
    ("[" * 100_000, "nested deeper than 500 levels"),
    ("null", "not a JSON object but None"),
    ("[1]", r"not a JSON object but \[1\]"),
    ('"x"', "not a JSON object but 'x'"),
    ("1", "not a JSON object but 1"),
    ("{}", "it has no class"),
    ('{"args":[1]}', "it has no class"),
    ('{"class":null,"args":[1]}', "it has no class"),
    ('{"class":5,"args":[1]}', "its class is 5, not a str"),
    ('{"class":["A"],"args":[1]}', r"its class is \['A'\], not a str"),
]


@pytest.mark.parametrize(("raw", "problem"), GARBAGE, ids=lambda value: value[:25])
def test_garbage_becomes_a_job_that_says_what_is_wrong_with_it(raw: str, problem: str) -> None:
    job = decode_job(raw, "mail")
    assert (job.name, job.args, job.queue, job.raw) == ("", [raw], "mail", raw)
    assert job.problem is not None
    assert re.search(problem, job.problem)
    assert len(job.problem) < 200


def test_a_record_of_garbage_is_not_wrapped_again() -> None:
    raw = '{"class":"","queue":"mail","args":["not json"]}'
    assert decode_job(raw, "mail") == Job("", ["not json"], "mail", raw=raw, problem="its class is empty")


def test_the_mark_of_a_rescued_garbage_is_no_part_of_its_argument() -> None:
    raw = mark_rescued("{not json}", running=False)
    job = decode_job(raw, "mail")
    assert (job.args, job.raw) == (["{not json}"], raw)


@settings(deadline=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from('{}[]",:0919eE+-. "class"args"'))))
def test_no_text_at_all_makes_reading_raise(raw: str) -> None:
    job = decode_job(raw, "q")
    assert job.raw == raw
    assert payload_queue(raw) is None or job.problem is None
    assert same_meaning(raw, job.name, job.args) is (job.problem is None)
    # A mark replaces the white space at the end.
    assert unmark(mark_rescued(raw, running=True)).rstrip() == unmark(raw).rstrip()
    assert unmark(mark_rescued(raw, running=False, late=True)).rstrip() == unmark(raw).rstrip()


@pytest.mark.parametrize(
    ("raw", "queue"),
    [
        ('{"class":"A","queue":"mail","args":[]}', "mail"),
        ('{"class":"A","args":[],"queue":"mail"}', "mail"),
        ('{"class":"A","args":[]}', None),
        ('{"class":"A","args":[],"queue":null}', None),
        ('{"class":"A","args":[],"queue":""}', None),
        ('{"class":"A","args":[],"queue":5}', None),
        ("[]", None),
        ("", None),
        ("not json", None),
    ],
)
def test_the_queue_that_a_text_names(raw: str, queue: str | None) -> None:
    assert payload_queue(raw) == queue


# --- equal jobs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "args"),
    [
        ('{"class":"A","args":[1.0,"é"]}', [1, "é"]),
        ('{"class":"A","queue":"other","x":1,"args":[1,"\\u00e9"]}', [1.0, "é"]),
        ('{"class":"A","args":[{"a":1,"b":[true,null]}]}', [{"b": (True, None), "a": 1}]),
        ('{"class":"A","args":{}}', []),
        ('{"class":"A"}', ()),
        ('{"class":"A","args":{"a":1}}', [{"a": 1}]),
        ('{"class":"A","args":[1.0e+21]}', [10**21]),
        ('{"class":"A","args":[1],"taskhero:rescues":1}', [1]),
    ],
)
def test_jobs_that_mean_the_same(raw: str, args: list[object]) -> None:
    assert same_meaning(raw, "A", args)
    assert not same_meaning(raw, "B", args)
    assert not same_meaning(raw, "A", [*args, 1])


@pytest.mark.parametrize(
    ("raw", "args"),
    [
        ('{"class":"A","args":[1]}', [True]),
        ('{"class":"A","args":[false]}', [0]),
        ('{"class":"A","args":[{"a":true}]}', [{"a": 1}]),
        ('{"class":"A","args":["1"]}', [1]),
        ('{"class":"A","args":[null]}', []),
        ('{"class":"A","args":[[]]}', [{}]),
        ('{"class":"A","args":[{}]}', [[]]),
        ('{"class":"A","args":[{"a":1}]}', [{"a": 1, "b": 2}]),
        ('{"class":"A","args":[9007199254740993]}', [9007199254740992]),
        ('{"class":"A","args":[1152921504606847000]}', [2**60]),
        (f'{{"class":"A","args":[1{"0" * 400}]}}', [2.0**60]),
        ('{"class":"","args":[]}', []),
        ("garbage", []),
    ],
)
def test_jobs_that_do_not_mean_the_same(raw: str, args: list[object]) -> None:
    assert not same_meaning(raw, "A", args)


@pytest.mark.parametrize("number", [2.0**53, 2.0**60, -(2.0**60), 123456789012345680000.0, 1e20, 1e21, 1e23, 1.5e300])
def test_a_large_whole_float_is_found_where_it_was_written(number: float) -> None:
    assert same_meaning(encode_job("A", [number, {"a": [number]}], "q"), "A", [number, {"a": [number]}])


def test_garbage_equals_nothing() -> None:
    assert not same_meaning("garbage", "", ["garbage"])


# --- the mark of a rescued job ----------------------------------------------------------------------------------

RAW = '{"class":"A","queue":"q","args":[{"a":{}}]}'


def test_marks_count_only_what_ran_alone() -> None:
    claimed = mark_rescued(RAW, running=False)
    assert claimed == RAW[:-1] + ',"taskhero:rescues":0}'
    assert mark_rescued(claimed, running=False) == claimed
    once = mark_rescued(claimed, running=True)
    assert once == RAW[:-1] + ',"taskhero:rescues":1}'
    assert mark_rescued(RAW, running=True) == once
    assert mark_rescued(once, running=False) == once
    many = once
    for _ in range(11):
        many = mark_rescued(many, running=True)
    assert [rescue_count(raw) for raw in (RAW, claimed, once, many)] == [None, 0, 1, 12]
    assert {unmark(raw) for raw in (RAW, claimed, once, many)} == {RAW}
    assert decode_job(many, "q").args == [{"a": {}}]


def test_late_deaths_are_counted_apart() -> None:
    late = mark_rescued(RAW, running=False, late=True)
    assert late == RAW[:-1] + ',"taskhero:rescues":0,"taskhero:late":1}'
    assert (rescue_count(late), late_crash_count(late)) == (0, 1)
    assert mark_rescued(late, running=False) == late
    alone = mark_rescued(late, running=True)
    assert alone == RAW[:-1] + ',"taskhero:rescues":1,"taskhero:late":1}'
    later = mark_rescued(alone, running=False, late=True)
    assert (rescue_count(later), late_crash_count(later)) == (1, 2)
    assert {unmark(raw) for raw in (late, alone, later)} == {RAW}
    assert decode_job(later, "q").args == [{"a": {}}]
    old = RAW[:-1] + ',"taskhero:rescues":2}'
    assert (rescue_count(old), late_crash_count(old)) == (2, 0)
    assert late_crash_count(RAW) == 0


def test_a_mark_that_counted_to_its_end_stays_a_mark() -> None:
    full = RAW[:-1] + ',"taskhero:rescues":9999999999,"taskhero:late":9999999999}'
    assert mark_rescued(full, running=True, late=True) == full
    assert unmark(full) == RAW


marks = st.from_regex(r',"taskhero:(rescues|late)":[0-9.+\-²e]*', fullmatch=True)


@settings(deadline=None)
@given(st.lists(st.one_of(marks, st.sampled_from([RAW[:-1], "}", "{", "]", '"', " ", "\n", "1"])), max_size=8))
def test_no_mark_at_all_makes_reading_raise(parts: list[str]) -> None:
    raw = "".join(parts)
    count, late = rescue_count(raw), late_crash_count(raw)
    for running, is_late in ((False, False), (True, False), (False, True)):
        again = mark_rescued(raw, running=running, late=is_late)
        assert unmark(again) == unmark(raw.rstrip() if again != raw else raw)
        if again != raw and not raw[-1].isspace():
            assert (rescue_count(again), late_crash_count(again)) == ((count or 0) + running, late + is_late)


@pytest.mark.parametrize("raw", ["", "garbage", '{"a":1', "[1]", ',"taskhero:rescues":1', "null"])
def test_what_does_not_end_in_a_brace_is_left_as_it_is(raw: str) -> None:
    assert mark_rescued(raw, running=True) == raw
    assert unmark(raw) == raw
    assert rescue_count(raw) is None
    assert late_crash_count(raw) == 0


@pytest.mark.parametrize(
    "raw",
    [
        '{"class":"A","args":[{"x":1,"taskhero:rescues":2}]}',
        '{"class":"A","args":{"x":1,"taskhero:rescues":2}}',
        '{"taskhero:rescues":2,"class":"A"}',
        '{"class":"A","taskhero:rescues":"2"}',
        '{"class":"A","taskhero:rescues":-2}',
        '{"class":"A","taskhero:rescues":2.0}',
        '{"class":"A","taskhero:rescues":}',
        '{"class":"A","taskhero:rescues":²}',
        '{"class":",\\"taskhero:rescues\\":2"}',
        '{"class":"A","taskhero:late":2}',
        '{"class":"A","taskhero:late":2,"taskhero:rescues":x}',
        '{"class":"A","taskhero:rescues":2,"taskhero:late":}',
        '{"class":"A","taskhero:rescues":2,"taskhero:late":-1}',
        '{"class":"A","taskhero:rescues":2,"taskhero:late":²}',
        '{"class":"A","taskhero:rescues":12345678901}',
        '{"class":"A","taskhero:rescues":2,"mine":1}',
        '{"class":"A","args":[{"taskhero:rescues":2,"taskhero:late":1}]}',
    ],
)
def test_only_the_last_key_of_the_job_itself_is_a_mark(raw: str) -> None:
    assert rescue_count(raw) is None
    marked = mark_rescued(raw, running=False)
    assert rescue_count(marked) == 0
    assert unmark(marked) == raw


@pytest.mark.parametrize("raw", ["{}", "}", "{garbage}", "gar}bage}"])
def test_marks_on_garbage_come_off_again(raw: str) -> None:
    marked = mark_rescued(raw, running=True)
    assert rescue_count(marked) == 1
    assert unmark(marked) == raw


def test_a_job_with_white_space_at_its_end_is_marked_all_the_same():
    marked = mark_rescued('{"class":"t","args":[]} \r\n', running=True)
    assert rescue_count(marked) == 1
    assert decode_job(marked, "q").problem is None
