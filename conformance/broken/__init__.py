"""Backends that break one promise each: what the kit is worth is what it finds in them."""

from broken import (  # noqa: F401
    bounding,
    claiming,
    dying,
    holding,
    isolating,
    leading,
    looking,
    mending,
    preparing,
    producing,
    promoting,
    recurring,
    settling,
    spoiling,
    waking,
)
from broken.registry import BROKEN

__all__ = ["BROKEN"]
