"""One member of a JSON object is changed in its text, and no other byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskhero.wire.jobs import encode_job, mark_rescued, payload_queue, rescue_count, unmark
from taskhero.wire.splicing import keep_queue, value_text, visible, without

# --- the queue --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        encode_job("add", [1], "math"),
        '{"class":"add","args":[1.0],"queue":"math"}',
        ' { "queue" : "m\\u0061th" , "class":"add"} \n',
        '{"\\u0071ueue":"math","class":"add"}',
        '{"queue":"other","class":"add","queue":"math"}',
    ],
    ids=["ours", "resque-scheduler", "escapes", "escaped-key", "the-last-one-wins"],
)
def test_a_job_whose_queue_is_right_keeps_all_its_bytes(text: str) -> None:
    assert keep_queue(text, "math") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"class":"add","args":[1.0]}', '{"class":"add","queue":"math","args":[1.0]}'),
        ('{"class":"add"}', '{"class":"add","queue":"math"}'),
        ('{ "args" : [ ] , "class" : "add" }', '{ "args" : [ ] , "class" : "add","queue":"math" }'),
        ('{"class":"add","args":[1],"queue":null}', '{"class":"add","args":[1],"queue":"math"}'),
        ('{"queue": 5 ,"class":"add"}', '{"queue": "math" ,"class":"add"}'),
        ('{"queue":{"queue":"math"},"class":"add"}', '{"queue":"math","class":"add"}'),
        ('{"queue":"","class":"add"}', '{"queue":"math","class":"add"}'),
        (
            '{"queue":"other","class":"add","\\u0071ueue":"a","args":["queue"]}',
            '{"queue":"math","class":"add","\\u0071ueue":"math","args":["queue"]}',
        ),
        ('{"class":"a","class":"add"}', '{"class":"a","class":"add","queue":"math"}'),
        ('{"class":"\\"queue\\":\\"math\\"}"}', '{"class":"\\"queue\\":\\"math\\"}","queue":"math"}'),
        ('{"args":[{"queue":"math"}],"class":"a"}', '{"args":[{"queue":"math"}],"class":"a","queue":"math"}'),
        ("{}", '{"queue":"math"}'),
        ('{"args":[]}', '{"queue":"math","args":[]}'),
    ],
)
def test_a_job_gets_the_queue_that_it_was_claimed_from(text: str, expected: str) -> None:
    assert keep_queue(text, "math") == expected
    assert payload_queue(expected) == "math"


@pytest.mark.parametrize(
    "text",
    ["", "null", "[1]", '{"class":"a"', '{"class":"a"} x', '{"a":1,}', '{"a" 1}', "{5:1}", "[" * 10**5, "\ufeff{}"],
)
def test_what_is_no_object_stays_as_it_is(text: str) -> None:
    assert keep_queue(text, "math") == text
    assert without(text, {"class"}) == text
    assert value_text(text, "class") is None


def test_a_queue_whose_name_is_no_text_is_not_written() -> None:
    assert keep_queue('{"class":"a"}', "m\udcff") == '{"class":"a"}'
    assert keep_queue('{"class":"a"}', '"é😀\\') == '{"class":"a","queue":"\\"é😀\\\\"}'


def test_numbers_of_any_length_are_passed_over() -> None:
    number = "9" * 10_000
    assert keep_queue(f'{{"class":"a","args":[{number}]}}', "q") == f'{{"class":"a","queue":"q","args":[{number}]}}'


@pytest.mark.parametrize("late", [False, True])
def test_the_mark_of_a_rescue_is_still_found(late: bool) -> None:
    for text in ('{"class":"a","args":[1.0]}', '{"args":[],"class":"a"}', '{"queue":"other","class":"a"}'):
        marked = keep_queue(mark_rescued(text, running=True, late=late), "q")
        assert rescue_count(marked) == 1
        assert unmark(marked) == keep_queue(text, "q")


# --- other members ----------------------------------------------------------------------------------------------


def test_the_text_of_a_value_is_as_it_is_written() -> None:
    text = '{"args":1, "a\\u0072gs" : [ 7.0,-0.0, 1E+22,"\\u00e9\\/}" ] ,"b":{"args":2}}'
    assert value_text(text, "args") == '[ 7.0,-0.0, 1E+22,"\\u00e9\\/}" ]'
    assert value_text(text, "c") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1,"b":2,"c":3}', '{"a":1,"c":3}'),
        ('{"b":1 , "x":2, "c":3}', '{"c":3}'),
        ('{"a":1, "b":{"b":1}, "x":[]}', '{"a":1}'),
        ('{"b":1}', "{}"),
        ('{ "b" : 1 }', "{  }"),
        ('{"b":1,"b":2}', "{}"),
        ('{"a":{"b":1}}', '{"a":{"b":1}}'),
    ],
)
def test_members_are_left_out(text: str, expected: str) -> None:
    assert without(text, {"b", "x"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'["\ud83d"]', r'["\\ud83d"]'),
        (r'["\ud83d\uDE00"]', r'["\ud83d\uDE00"]'),
        (r'["\uDE00\ud83d\ud83d\ude00"]', r'["\\uDE00\\ud83d\ud83d\ude00"]'),
        (r'["\\ud83d\n\"\ud7ff"]', r'["\\ud83d\n\"\ud7ff"]'),
        ('["é"]', '["é"]'),
    ],
)
def test_lone_surrogates_become_visible(text: str, expected: str) -> None:
    assert visible(text) == expected


# --- any object -------------------------------------------------------------------------------------------------

keys = st.one_of(st.sampled_from(["class", "queue", "args", "b"]), st.text(max_size=4))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
members = st.lists(st.tuples(keys, values), max_size=5)
blanks = st.sampled_from(["", " ", "\n\t "])


def written(pairs: list[tuple[str, object]], blank: str, ascii_only: bool) -> str:
    def one(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    inner = f"{blank},{blank}".join(f"{one(key)}{blank}:{blank}{one(value)}" for key, value in pairs)
    return f"{blank}{{{blank}{inner}{blank}}}{blank}"


@settings(deadline=None)
@given(members, blanks, st.booleans(), st.text(min_size=1, max_size=5))
def test_only_the_queue_changes(pairs: list[tuple[str, object]], blank: str, ascii_only: bool, queue: str) -> None:
    text = written(pairs, blank, ascii_only)
    kept = keep_queue(text, queue)
    assert json.loads(kept) == json.loads(text) | {"queue": queue}
    assert keep_queue(kept, queue) == kept
    for key in {key for key, _ in pairs} - {"queue"}:
        assert value_text(kept, key) == value_text(text, key)
        assert json.loads(value_text(text, key) or "") == json.loads(text)[key]
    assert json.loads(without(text, {"b", "args"})) == {
        key: value for key, value in json.loads(text).items() if key not in {"b", "args"}
    }
