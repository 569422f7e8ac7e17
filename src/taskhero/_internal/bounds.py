"""The bounds of numbers that a backend accepts. Every backend can store each number within them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from taskhero.errors import LONGEST_DELAY, InvalidMoment

if TYPE_CHECKING:
    from collections.abc import Callable

    import attrs

__all__ = ["LATEST", "LONGEST", "MOST", "between"]

#: The first second of the year 5000. A later instant is a mistake, such as milliseconds.
LATEST: Final = 95_617_584_000
#: The longest delay, timeout or frequency, in seconds: 1000 years.
LONGEST: Final = LONGEST_DELAY
#: The largest count, such as the number of attempts.
MOST: Final = 2**31 - 1


def between(lowest: float, highest: float, *, whole: bool = False) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Return a validator for a field that holds a number, or a tuple of numbers.

    Args:
        lowest: The smallest number.
        highest: The largest number.
        whole: Whether it must be an int.
    """
    kinds = (int,) if whole else (int, float)

    def check(record: Any, field: attrs.Attribute[Any], value: Any) -> None:
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, bool) or not isinstance(number, kinds) or not lowest <= number <= highest:
                raise InvalidMoment(
                    f"{type(record).__name__}({field.name}={_shown(number)}): pass {'an int' if whole else 'a number'} "
                    f"from {lowest} to {highest}"
                )

    return check


def _shown(number: object) -> str:
    """Return the value as text. Python refuses to format a very long int."""
    if isinstance(number, int) and abs(number) > 10**40:
        return f"an int of {number.bit_length()} bits"
    return repr(number)[:80]
