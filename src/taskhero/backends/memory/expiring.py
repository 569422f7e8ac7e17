"""What lapses: locks, counters of attempts, and what is kept beside these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Expiring"]

_FEW = 1000

Value = TypeVar("Value")


class Expiring(Generic[Value]):
    """Values by name, each until a moment of its own."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[Value, float]] = {}
        self._sweep_at = _FEW

    def get(self, name: str, now: float) -> Value | None:
        """The value, or None if there is none or it lapsed."""
        found = self._values.get(name)
        if found is None:
            return None
        value, until = found
        if until <= now:
            del self._values[name]
            return None
        return value

    def lifetime(self, name: str, now: float) -> float | None:
        """The seconds until a value lapses, or None if there is none."""
        return None if self.get(name, now) is None else self._values[name][1] - now

    def set(self, name: str, value: Value, *, until: float, now: float) -> None:
        """Keep a value until a moment."""
        self._values[name] = (value, until)
        if len(self._values) > self._sweep_at:
            self._values = {name: found for name, found in self._values.items() if found[1] > now}
            self._sweep_at = max(_FEW, 2 * len(self._values))

    def items(self, now: float) -> list[tuple[str, Value]]:
        """All that has not lapsed, by name."""
        return [(name, value) for name, (value, until) in sorted(self._values.items()) if until > now]

    def delete(self, name: str) -> bool:
        """Forget a value; False if there was none."""
        return self._values.pop(name, None) is not None

    def delete_if(self, wanted: Callable[[Value], bool]) -> None:
        """Forget all values for which *wanted* is true."""
        self._values = {name: found for name, found in self._values.items() if not wanted(found[0])}
