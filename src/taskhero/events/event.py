"""The base class of all events."""

from __future__ import annotations

from typing import ClassVar

import attrs

__all__ = ["Event"]


@attrs.frozen
class Event:
    """The base class of all events.

    Attributes:
        source: The emitting part: ``"worker"``, ``"multi_worker"`` or ``"scheduler"``.
        name: The name to subscribe to, such as ``"failure"``.
    """

    source: ClassVar[str]
    name: ClassVar[str]

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of the event's fields, in order."""
        return tuple(field.name for field in attrs.fields(cls))
