"""Each undocumented part of Python's json library can be missing."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from renamed import names_read

from taskhero.wire import json_internals

NAMES = names_read(json_internals, "getattr")
ROWS = json.loads(Path(__file__).with_name("encodings.json").read_text("utf-8"))["rows"]
VALUES = [
    *(ast.literal_eval(row["python"]) for row in ROWS),
    {"a": [1, -2.5, True, None, 'é\u2028\x00"\\'], "b": ({}, [])},
    [float("nan")],
    [object()],
    "\ud800",
]
TEXTS = [
    *(row["node"] for row in ROWS),
    *(f"[{row['ruby']}] 5" for row in ROWS),
    *("", " 1", "[1", '{"a" 1}', "NaN", "[1e999]", '"\\ud800"', '"\x00"', "tru", "1" * 5000, "[" * 100_000),
]


class Outcome:
    """What a call returns, or the kind of its error."""

    def __init__(self, call: Any, *args: Any) -> None:
        try:
            self.value = repr(call(*args))
        except StopIteration:
            self.value = "ValueError"
        except (ValueError, TypeError, RecursionError) as error:
            self.value = "ValueError" if isinstance(error, ValueError) else type(error).__name__


def _outcomes() -> list[tuple[str, str]]:
    quote, dump = json_internals.make_quote(), json_internals.make_dump()
    scans = [
        json_internals.make_scan(json.JSONDecoder()),
        json_internals.make_scan(json.JSONDecoder(parse_float=len, parse_int=len)),
    ]
    return [
        *((f"dump {value!r:.60}", Outcome(dump, value).value) for value in VALUES),
        *((f"quote {value!r:.60}", Outcome(quote, value).value) for value in VALUES if isinstance(value, str)),
        *(
            (f"scan {text!r:.60} {at}", Outcome(scan, text, at).value)
            for scan in scans
            for text in TEXTS
            for at in (0, 1)
        ),
    ]


@pytest.fixture
def without(monkeypatch):
    """Remove a part, as our module sees the library."""

    def remove(name: str) -> None:
        parts = {part: dict(vars(getattr(json, part))) for part in ("encoder", "scanner")}
        assert [part.pop(name) for part in parts.values() if name in part], "it is there today"
        modules = {part: SimpleNamespace(**names) for part, names in parts.items()}
        seen = SimpleNamespace(JSONEncoder=json.JSONEncoder, JSONDecoder=json.JSONDecoder, **modules)
        monkeypatch.setattr(json_internals, "json", seen)

    return remove


def test_the_names_are_found():
    assert NAMES == ["c_make_encoder", "encode_basestring", "make_scanner"]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_part_the_bytes_are_the_same(without, name):
    expected = _outcomes()
    assert len(expected) > 100
    without(name)
    assert _outcomes() == expected


@pytest.mark.parametrize(
    "part",
    [
        lambda *_: None,
        lambda *_, **__: None,
        lambda *_, **__: lambda *_: ["other bytes"],
        lambda *_, **__: lambda *_: iter([b"bytes"]),
    ],
    ids=["other-arguments", "no-function", "other-bytes", "other-type"],
)
def test_an_encoder_of_another_shape_is_not_used(monkeypatch, part):
    with monkeypatch.context() as patch:
        patch.setattr(json.encoder, "c_make_encoder", part)
        dump = json_internals.make_dump()
    assert dump({"a": [1, "é", None]}) == '{"a":[1,"é",null]}'


def test_the_encoder_in_c_is_used():
    """Otherwise each value would cost twice the time."""
    assert json_internals.make_dump().__name__ == "<lambda>"
