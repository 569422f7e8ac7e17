"""Convert names to snake case, and suggest known names for an unknown one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["close_names", "did_you_mean", "snake", "suggestion"]


def snake(name: str) -> str:
    """Return a name in snake case: ``checkTimeout`` as ``check_timeout``."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def close_names(name: object, known: Iterable[str], *, number: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the known names that *name* may mean, the closest first.

    Args:
        name: The unknown name. It may be of any type, since it comes from a caller.
        known: The known names.
        number: The largest number of names to return.
        cutoff: The least similarity of a name, from 0 (none) to 1 (equal).
    """
    # Only a message about a wrong name needs this module, so a correct program does not load it.
    import difflib

    return difflib.get_close_matches(str(name), set(known), n=number, cutoff=cutoff)


def did_you_mean(names: Iterable[str]) -> str:
    """Return the end of a sentence that suggests *names*, or an empty str if there are none."""
    text = " or ".join(map(repr, names))
    return f"; did you mean {text}?" if text else ""


def suggestion(
    name: object, known: Iterable[str], *, number: int = 1, cutoff: float = 0.6, otherwise: str | None = None
) -> str:
    """Return the end of a sentence that suggests the known names that *name* may mean.

    Args:
        name: The unknown name.
        known: The known names.
        number: The largest number of names to suggest.
        cutoff: The least similarity of a name, from 0 to 1.
        otherwise: The label of a list of all known names, which is returned if no name is close. Without a label, an
            empty str is returned then.
    """
    names = sorted(set(known))
    hint = did_you_mean(close_names(name, names, number=number, cutoff=cutoff))
    return hint if hint or otherwise is None else f" ({otherwise}: {', '.join(names) or 'none'})"
