"""JSON that other programs wrote: what is read, what is refused and why."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from taskhero.errors import InvalidArguments, Undecodable
from taskhero.wire.json import decode, encode, encode_any


def nested(levels: int, inner: object) -> Any:
    """*inner* in so many arrays."""
    value: Any = inner
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' {"a" : [ 1 , 2 ] }\r\n', {"a": [1, 2]}),
        (r'"\u00e9 \ud83d\ude00 \/ \b"', "é 😀 / \b"),
        ('{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        ("[1E5,-0,-0.0,1e-7]", [100000.0, 0, 0.0, 1e-7]),
        ('"\u2028\ufeff"', "\u2028\ufeff"),
        (r'"\ud83d"', "\ud83d"),
        ("null", None),
        ("[" * 500 + "]" * 500, nested(499, [])),
    ],
)
def test_json_in_any_spelling_is_read(text: str, value: object) -> None:
    assert decode(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: it is empty"),
        ("   ", "not JSON: Expecting value at position 3"),
        ("not json", "not JSON: Expecting value at position 0, near 'not json'"),
        ('{"a":1} x', "not JSON: Extra data at position 8"),
        ("[1,]", "not JSON"),
        ("{'a':1}", "not JSON"),
        ('\ufeff{"a":1}', "not JSON: .* at position 0"),
        ('["a\nb"]', "not JSON: Invalid control character at position 3, near"),
        ('["a', "not JSON: Unterminated string"),
        ("[NaN]", "not JSON: it contains NaN"),
        ("[Infinity]", "not JSON: it contains Infinity"),
        (" [-Infinity]", "not JSON: it contains -Infinity"),
        ("[1e400]", "too large for a float: '1e400'"),
        ("[-1e400]", "too large for a float"),
        ("[" + "9" * 5000 + ".5]", "too large for a float: '9999"),
        ("[" + "9" * 5000 + "]", "an integer of more than 4300 digits"),
        ('["\udcff"]', r"not UTF-8: a stray byte at position 2, near '\[\"\\udcff\"\]'"),
        ("[01]", "not JSON"),
        ("[.5]", "not JSON"),
        ("[\u0661]", "not JSON"),
        ("[" * 501 + "]" * 501, "nested deeper than 500 levels"),
        ('{"a":' * 501 + "1" + "}" * 501, "nested deeper than 500 levels"),
        ("[" * 200_000, "nested deeper than 500 levels"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper than 500 levels"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_not_json_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(Undecodable, match=message) as caught:
        decode(text)
    assert len(str(caught.value)) < 200


def test_many_brackets_that_are_not_deep_are_read() -> None:
    assert decode(f"[{','.join(['[]'] * 2000)}]") == [[]] * 2000
    assert decode(f'["{"[" * 2000}"]') == ["[" * 2000]


def test_what_was_read_can_be_written_again_however_deep() -> None:
    for text in ("[" * 500 + "]" * 500, '{"1":' * 499 + '{"a":0.5,"b":"\\ud83d"}' + "}" * 499):
        assert encode_any(decode(text)) == text


def test_lone_surrogates_are_escaped_or_made_visible() -> None:
    assert encode_any(["a\udcff\ud83d\ude00é"]) == '["a\\udcff😀é"]'
    assert encode_any(["a\udcff"], surrogate="\\\\u") == '["a\\\\udcff"]'


def test_numbers_that_json_does_not_have_become_null_as_in_javascript() -> None:
    assert encode_any([float("nan"), float("inf")]) == "[null,null]"


def test_the_limit_of_digits_is_the_interpreter_s() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(InvalidArguments, match="640 digits"):
            encode([10**1000])
        with pytest.raises(Undecodable, match="640 digits"):
            decode("9" * 1000)
    finally:
        sys.set_int_max_str_digits(before)
