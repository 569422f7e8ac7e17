"""The real node writes the same bytes, for whatever hypothesis thinks up."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskhero.wire.json import decode, encode, encode_any

Stringify = Callable[[str], str]

EDGES = [
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    *(edge for power in (-7, -6, -5, -4, 15, 16, 17, 20, 21, 22) for edge in (
        math.nextafter(10.0**power, 0),
        10.0**power,
        math.nextafter(10.0**power, math.inf),
    )),
    2.0**53,
    2.0**53 - 1,
    1.5,
    0.0,
]  # fmt: skip


def _from_bits(bits: int) -> float:
    value = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    return value if math.isfinite(value) else float(bits)


floats = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 2**64 - 1).map(_from_bits),
    st.floats(-2.2250738585072014e-308, 2.2250738585072014e-308),
    st.sampled_from(EDGES),
    st.sampled_from(EDGES).map(lambda value: -value),
    st.integers(-(2**70), 2**70).map(float),
)
integers = st.integers(-(2**53), 2**53)
spelled_numbers = st.builds(
    "{}{}.{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**25),
    st.text("0123456789", min_size=1, max_size=25),
    st.sampled_from(["", "e0", "E5", "e+15", "E-3", "e-0017", "E020", "e-330", "e250"]),
)
characters = st.one_of(
    st.characters(codec="utf-8"),
    st.characters(max_codepoint=0x9F),
    st.characters(min_codepoint=0x10000),
    st.sampled_from("\u2028\u2029\ufeff\ufffe\x00\x1f\x7f\"\\/<>&'"),
)
texts = st.text(characters, max_size=20)
broken_texts = st.text(st.one_of(characters, st.characters(categories=["Cs"])), max_size=20)
indices = st.one_of(
    st.integers(0, 20).map(str),
    st.integers(2**32 - 4, 2**32 + 2).map(str),
    st.sampled_from(["0", "00", "01", "-1", "1.0", "1e3", " 1", "", "٣", "9" * 10, "9" * 11, "__proto__", "length"]),
)


def _documents(texts: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    keys = st.one_of(texts, indices)
    return st.recursive(
        st.one_of(st.none(), st.booleans(), integers, floats, texts),
        lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(keys, inner, max_size=6)),
        max_leaves=25,
    )


quickly = settings(max_examples=400, deadline=None)


@quickly
@given(_documents(texts))
@example(-0.0)
@example({"b": 1, "10": 2, "9": 3, "4294967294": 4, "4294967295": 5, "a": 6, "0": 7})
@example([{"1": [{"0": 1.0, "x": {}}]}])
def test_what_programs_enqueue_is_written_as_node_writes_it(stringify: Stringify, value: object) -> None:
    expected = stringify(json.dumps(value))
    assert encode(value) == expected
    assert encode_any(value) == expected


@quickly
@given(_documents(broken_texts), st.sampled_from([None, 1]))
@example("\ud83d", None)
@example({"\udc00\ud800": ["\ud83d\ude00", "a\udfffb"]}, 1)
def test_what_was_read_is_written_again_as_node_writes_it(
    stringify: Stringify, value: object, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    assert encode_any(decode(text)) == stringify(text)


@quickly
@given(st.lists(spelled_numbers, max_size=5))
def test_numbers_in_any_spelling_are_read_and_written_as_by_node(stringify: Stringify, numbers: list[str]) -> None:
    text = f"[{','.join(numbers)}]"
    assert encode_any(decode(text)) == stringify(text)


def test_floats_of_every_magnitude(stringify: Stringify) -> None:
    """Twenty thousand bit patterns, all powers of ten and their neighbours, all powers of two."""
    dice = random.Random(20261123)
    values = [_from_bits(dice.getrandbits(64)) for _ in range(20_000)]
    values += [value for power in range(-323, 309) for value in _neighbours(float(f"1e{power}"))]
    values += [math.ldexp(1.0, power) for power in range(-1074, 1024)]
    values += [dice.randrange(10**17) * 10.0 ** dice.randrange(-25, 8) for _ in range(10_000)]
    expected = stringify(json.dumps(values)).strip("[]").split(",")
    assert [encode(value) for value in values] == expected
    assert encode(values) == f"[{','.join(expected)}]"


def _neighbours(value: float) -> list[float]:
    both = [math.nextafter(value, 0), value, math.nextafter(value, math.inf)]
    return [one for one in both if math.isfinite(one)]


@pytest.mark.parametrize("levels", [1, 89, 90])
def test_deep_documents(stringify: Stringify, levels: int) -> None:
    value: object = 1.0
    for level in range(levels):
        value = {"7": value, "3": level} if level % 2 else [value]
    assert encode(value) == stringify(json.dumps(value))
