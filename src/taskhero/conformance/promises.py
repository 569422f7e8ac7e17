"""Which sentence of the contract a test proves, and what it needs to prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["needs", "needs_of", "promise", "promises_of"]

_PROMISES: Final = "__taskhero_promises__"
_NEEDS: Final = "__taskhero_needs__"

Test = TypeVar("Test", bound="Callable[..., Any]")


def promise(subject: str, *sentences: str) -> Callable[[Test], Test]:
    """Say which sentences a test proves.

    Args:
        subject: The verb of `Backend`, or the class, whose docstring holds them; ``"all"`` for the rules for all verbs.
        sentences: Each sentence, or how it begins.
    """

    def mark(test: Test) -> Test:
        setattr(test, _PROMISES, (*getattr(test, _PROMISES, ()), *((subject, sentence) for sentence in sentences)))
        return test

    return mark


def needs(*capabilities: str) -> Callable[[Test], Test]:
    """Say which `Capabilities` a test cannot do without."""

    def mark(test: Test) -> Test:
        setattr(test, _NEEDS, (*getattr(test, _NEEDS, ()), *capabilities))
        return test

    return mark


def needs_of(test: object) -> tuple[str, ...]:
    """What `needs` said of a test."""
    found: tuple[str, ...] = getattr(test, _NEEDS, ())
    return found


def promises_of(suite: type) -> Iterator[tuple[str, str, str]]:
    """What the tests of a suite prove: subject, sentence, and the test's name."""
    for name in dir(suite):
        if name.startswith("test"):
            for subject, sentence in getattr(getattr(suite, name), _PROMISES, ()):
                yield subject, sentence, name
