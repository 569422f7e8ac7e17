"""Convert names to snake case, and suggest a known name for an unknown one."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["closest_name", "snake"]


def snake(name: str) -> str:
    """Return a name in snake case: ``checkTimeout`` as ``check_timeout``."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def closest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that *name* may mean, as the end of a sentence."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f" (known: {', '.join(names)})"
