"""The sentences of the contract that a test proves, and the capabilities that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["needs", "needs_of", "promise", "promises_of"]

_PROMISES: Final = "__taskhero_promises__"
_NEEDS: Final = "__taskhero_needs__"

Test = TypeVar("Test", bound="Callable[..., Any]")


def promise(subject: str, *sentences: str) -> Callable[[Test], Test]:
    """Declare which sentences a test proves.

    Args:
        subject: The verb of `Backend`, or the class, whose docstring contains them. ``"all"`` means the rules for all
            verbs.
        sentences: Each sentence, or its beginning.
    """

    def mark(test: Test) -> Test:
        setattr(test, _PROMISES, (*getattr(test, _PROMISES, ()), *((subject, sentence) for sentence in sentences)))
        return test

    return mark


def needs(*capabilities: str) -> Callable[[Test], Test]:
    """Declare which `Capabilities` a test requires."""

    def mark(test: Test) -> Test:
        setattr(test, _NEEDS, (*getattr(test, _NEEDS, ()), *capabilities))
        return test

    return mark


def needs_of(test: object) -> tuple[str, ...]:
    """Return the capabilities that `needs` declared for a test."""
    found: tuple[str, ...] = getattr(test, _NEEDS, ())
    return found


def promises_of(suite: type) -> Iterator[tuple[str, str, str]]:
    """Yield what the tests of a suite prove: subject, sentence, and the test's name."""
    for name in dir(suite):
        if name.startswith("test"):
            for subject, sentence in getattr(getattr(suite, name), _PROMISES, ()):
                yield subject, sentence, name
