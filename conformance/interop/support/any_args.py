"""Arguments of every kind that JSON and the numbers of JavaScript can carry, the same ones for the same seed."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

__all__ = ["EDGES", "AnyArgs", "meaning"]

LARGEST = 2**53

#: Those that were trouble somewhere: in an encoder, in a Lua script, in a driver.
EDGES: tuple[Any, ...] = (
    *(None, True, False, "", [], {}, [[]], [{}], {"": None}, {"a": []}, 0, -0.0, 1.0, -1, 0.1, 1e15, 1e16, 1e20, 1e21),
    *(1e-5, 1e-6, 1e-7, 5e-324, 1.7976931348623157e308, 123456789.12345679, LARGEST - 1, LARGEST, -LARGEST, 2.0**60),
    *(
        "é 😀 日本語",
        "👩\u200d👧",
        "\0",
        "\x1b\x7f\x85",
        "\u2028\u2029\ufeff",
        "\\",
        '"',
        "/",
        "</script>",
        "\t\n\r\b\f",
    ),
    *(
        "\t\n\r\b\f",
        "null",
        "1",
        "NaN",
        "{}",
        "%s {0} ${x}",
        "\uffff\ue000",
        "\U0010ffff",
        "e\u0301",
        "\u202eabc",
        "a" * 3000,
    ),
    *({"10": 1, "9": 2, "b": 3, "a": 4}, {"__proto__": 1}, {"constructor": {"prototype": 2}}, {"toString": "x"}),
    *({"class": "x", "args": [1], "queue": "y"}, {"payload": {"token": "z"}}, '{"class":"x"}', "undefined"),
)


class AnyArgs:
    """Makes lists of arguments.

    Args:
        seed: The same one makes the same lists.
        halves: Whether texts may hold half a surrogate pair, which JavaScript's texts can and taskhero does not write.
    """

    def __init__(self, seed: int, *, halves: bool = False) -> None:
        self._random = random.Random(seed)
        self._halves = halves

    def lists(self, count: int) -> list[list[Any]]:
        """So many lists; the first element of each is its number, so that no two are equal."""
        deep: Any = "deep"
        for _ in range(85):
            deep = [deep]
        first = [[number, edge] for number, edge in enumerate((*EDGES, deep, list(EDGES)))]
        rest = [[number, *self._list(4)] for number in range(len(first), count)]
        return [*first, *rest][:count]

    def _list(self, most: int) -> list[Any]:
        return [self._value() for _ in range(self._random.randint(0, most))]

    def _value(self, depth: int = 4) -> Any:
        kind = self._random.randrange(10 if depth else 7)
        if kind < 2:
            return self._text()
        if kind < 4:
            return self._number()
        if kind < 7:
            return self._random.choice(EDGES)
        items = range(self._random.randint(0, 3))
        if kind == 7:
            return {self._text(): self._value(depth - 1) for _ in items}
        return [self._value(depth - 1) for _ in items]

    def _text(self) -> str:
        pick = self._random
        letters = []
        for _ in range(pick.randint(0, 8)):
            top = pick.choice((0x7F, 0xFF, 0xFFFF, 0x10FFFF))
            letter = pick.randint(0, top)
            if 0xD800 <= letter < 0xE000 and not self._halves:
                letter = 0xFFFD
            letters.append(chr(letter))
        return "".join(letters)

    def _number(self) -> float:
        pick = self._random
        kind = pick.randrange(4)
        if kind == 0:
            return pick.randint(-LARGEST, LARGEST)
        if kind == 1:
            return pick.randint(-1000, 1000)
        if kind == 2:
            return pick.uniform(-1000, 1000)
        while True:
            (number,) = struct.unpack("d", pick.randbytes(8))
            if math.isfinite(number):
                return number


def meaning(value: Any) -> Any:
    """What a value is to both languages: numbers are doubles and zero has no sign, but True is no number."""
    if isinstance(value, bool) or value is None:
        return ("atom", value)
    if isinstance(value, int | float):
        return float(value) + 0.0
    if isinstance(value, str):
        # Two halves that stand together are one letter, however they were written.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, dict):
        return {meaning(key): meaning(item) for key, item in value.items()}
    return [meaning(item) for item in value]
