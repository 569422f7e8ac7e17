"""JSON as JavaScript writes it: what is refused and why, what is read."""

from __future__ import annotations

import ast
import base64
import dataclasses
import datetime as dt
import enum
import json
import threading
import uuid
from collections import OrderedDict, UserDict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import attrs
import pytest

from taskhero.errors import InvalidArguments
from taskhero.wire import json as wire_json
from taskhero.wire.json import decode, encode, encode_any, encode_as_ruby

ROWS = json.loads(Path(__file__).with_name("encodings.json").read_text("utf-8"))["rows"]
SEEN = [pytest.param(ast.literal_eval(row["python"]), row["node"], row["ruby"], id=row["python"][:30]) for row in ROWS]


def nested(levels: int, inner: object = 1) -> Any:
    """*inner* in so many arrays."""
    value: Any = inner
    for _ in range(levels):
        value = [value]
    return value


# --- written ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "node", "ruby"), SEEN)
def test_values_are_written_as_node_and_ruby_were_seen_to_write_them(value: object, node: str, ruby: str) -> None:
    large = isinstance(value, int) and abs(value) > 2**53  # node cuts these, and no other
    for text in (encode(value), encode_any(value)):
        assert text == (str(value) if large else node)
    assert encode([{"k": value}]) == f'[{{"k":{encode(value)}}}]'
    assert encode_as_ruby(value) == ruby


@pytest.mark.parametrize("value", [2**53 + 1, -(2**64), 10**21, 10**4000])
def test_integers_are_exact_at_any_size(value: int) -> None:
    assert encode([value]) == f"[{value}]"
    assert decode(encode([value, 1.0])) == [value, 1]


def test_keys_that_look_like_indices_come_first_in_ascending_order() -> None:
    value = {"b": 1, "10": 2, "4294967295": 3, "9": 4, "4294967294": 5, "01": 6, "-1": 7, "0": 8, "a": 9, "1.0": 10}
    assert encode(value) == ('{"0":8,"9":4,"10":2,"4294967294":5,"b":1,"4294967295":3,"01":6,"-1":7,"a":9,"1.0":10}')
    assert encode_as_ruby({"b": 1, "1": 2}) == '{"b":1,"1":2}'


def test_tuples_and_named_tuples_are_arrays() -> None:
    class Point(NamedTuple):
        x: float
        y: int

    assert encode((1, (2.5, ()), Point(3.0, 4))) == "[1,[2.5,[]],[3,4]]"


def test_subclasses_are_what_they_derive_from() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "not this"

        __repr__ = __str__

    class Number(int):
        def __repr__(self) -> str:
            return "not this"

    class Ratio(float):
        def __repr__(self) -> str:
            return "not this"

    class Items(list[Any]):
        pass

    value = OrderedDict([(Text("é"), Text("ü")), ("n", Number(7)), ("r", Ratio(2.0)), ("i", Items([Ratio(0.5)]))])
    assert encode([value]) == '[{"é":"ü","n":7,"r":2,"i":[0.5]}]'


def test_a_huge_text_is_fine() -> None:
    text = "é😀x" * 500_000
    assert encode([text]) == f'["{text}"]'


def test_the_quick_and_the_exact_way_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [[], {}, [True, None, 'a\u2028\x00"\\'], {"a": [1, -2.5, {"b": ()}], "é": 1e-4}, [9999999999999998.0, 0.1]]
    quick = [(encode(value), encode_any(value)) for value in values]
    monkeypatch.setattr(wire_json, "_is_plain", lambda value, room: False)
    assert [(encode(value), encode_any(value)) for value in values] == quick


def test_threads_do_not_disturb_each_other() -> None:
    value = {f"key{number}": ["text", number, None, True, number / 7] for number in range(50)}
    expected = encode(value)
    wrong: list[object] = []

    def work() -> None:
        for _ in range(100):
            text = encode(value)
            if text != expected or decode(text) != value:
                wrong.append(text)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- refused ----------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Name(enum.StrEnum):
    MAIL = "mail"


class Pair(tuple[int, int], enum.Enum):
    __slots__ = ()
    ONE = (1, 2)


@dataclasses.dataclass
class Order:
    number: int


@attrs.frozen
class Parcel:
    number: int


class Model:
    """Looks like pydantic's."""

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        return {}


class Array:
    """Looks like numpy's."""

    def tolist(self) -> list[int]:
        return []


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


WHEN = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (WHEN, r"is datetime\.datetime\(2026, 11, 23, 0, 0, .*\), of type datetime, .*isoformat"),
        (WHEN.date(), r"of type date, which JSON does not have; pass its `\.isoformat\(\)`"),
        (WHEN.time(), r"\.isoformat\(\)"),
        (dt.timedelta(1), r"\.total_seconds\(\)"),
        (uuid.UUID(int=5), r"UUID\('00000000-0000-0000-0000-000000000005'\), of type UUID.*`str\("),
        (Colour.RED, r"<Colour\.RED: 'red'>, of type Colour.*pass its `\.value`"),
        (Level.HIGH, r"pass its `\.value`"),
        (Name.MAIL, r"pass its `\.value`"),
        (Pair.ONE, r"pass its `\.value`"),
        (b"\xff", r"is b'\\xff', of type bytes.*base64\.b64encode"),
        (bytearray(b"x"), "base64"),
        (memoryview(b"x"), "base64"),
        (Decimal("1.1"), r"Decimal\('1.1'\).*`str\("),
        (Fraction(1, 3), r"`str\("),
        (1j, "as a list"),
        ({3, 1}, r"is \{1, 3\}, of type set.*`sorted\("),
        (frozenset(), r"`sorted\("),
        (PurePosixPath("/x"), r"`str\("),
        (ValueError("x"), r"`str\("),
        (Order, "pass its name"),
        (Order(1), r"Order\(number=1\).*`dataclasses\.asdict\("),
        (Parcel(1), r"`attrs\.asdict\("),
        (Model(), r'`\.model_dump\(mode="json"\)`'),
        (Array(), r"`\.tolist\(\)`"),
        (UserDict(a=1), r"`dict\("),
        (deque([1]), r"`list\("),
        (range(3), r"is range\(0, 3\).*`list\("),
        (len, "pass its name, or what it returns"),
        (object(), "such as its id"),
        (Unshowable(), "is <Unshowable that cannot be shown>, of type Unshowable"),
        (float("nan"), "is nan, which JSON does not have; pass None"),
        (float("inf"), "is inf"),
        (float("-inf"), "is -inf"),
        ("a\ud83d", r"is a str with a lone surrogate at position 1 \('a\\ud83d'\).*UTF-8"),
        ("\udcff", "lone surrogate at position 0"),
        (10**5000, "is an integer of more than 4300 digits.*hex"),
        ({1: 2}, "has the key 1, of type int; keys must be str"),
        ({None: 2}, "has the key None, of type NoneType"),
        ({True: 2}, "has the key True, of type bool"),
        ({Name.MAIL: 2}, "has the key <Name.MAIL: 'mail'>, of type Name"),
        ({"a": 1, "\udfff": 2}, "has a key with a lone surrogate at position 0"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_cannot_be_written_is_refused_with_its_place_and_a_remedy(value: object, message: str) -> None:
    for wrapped, place in (
        ([value], r"args\[0\]"),
        ([{"user": {"born": value}}], r"args\[0\]\.user\.born"),
        ([1.0, {"first name": (None, value)}], r"args\[1\]\['first name'\]\[1\]"),
    ):
        with pytest.raises(InvalidArguments, match=rf"^{place} .*?{message.lstrip('^')}"):
            encode(wrapped)
    with pytest.raises(InvalidArguments, match=r"^payload "):
        encode(value, path="payload")


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidArguments) as caught:
        encode([Decimal("1" * 10_000)])
    assert len(str(caught.value)) < 250


def test_the_remedies_work() -> None:
    """Each advice, followed, gives what is accepted."""
    encode(
        [
            WHEN.isoformat(),
            dt.timedelta(1).total_seconds(),
            str(uuid.UUID(int=5)),
            Level.HIGH.value,
            base64.b64encode(b"\xff").decode(),
            sorted({3, 1}),
            dataclasses.asdict(Order(1)),
            attrs.asdict(Parcel(1)),
            "a\ud83d".encode("utf-8", "replace").decode(),
            hex(10**5000),
        ]
    )


def test_ninety_levels_are_written_and_ninety_one_refused() -> None:
    assert encode(nested(90)) == "[" * 90 + "1" + "]" * 90
    assert encode(nested(90, 1.0)) == encode(nested(90))
    for inner in (1, 1.0):
        with pytest.raises(InvalidArguments, match=r"^args(\[0\]){12} \.\.\. is nested deeper than 90 levels"):
            encode(nested(91, inner))


def test_what_holds_itself_is_refused() -> None:
    array: list[Any] = []
    array.append({"again": array})
    with pytest.raises(InvalidArguments, match="or contains itself"):
        encode(array)


def test_ruby_s_form_refuses_the_same() -> None:
    with pytest.raises(InvalidArguments, match=r"args\[0\] is nan"):
        encode_as_ruby([float("nan")])
