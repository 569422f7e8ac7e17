"""What all events have in common."""

from __future__ import annotations

from typing import ClassVar

import attrs

__all__ = ["Event"]


@attrs.frozen
class Event:
    """What all events have in common.

    Attributes:
        source: Who tells it: ``"worker"``, ``"multi_worker"`` or ``"scheduler"``.
        name: What it is called, such as ``"failure"``.
    """

    source: ClassVar[str]
    name: ClassVar[str]

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Names of what the event carries, in order."""
        return tuple(field.name for field in attrs.fields(cls))
