"""Backends that break one promise each: what the kit is worth is what it finds in them."""

from broken import claiming, dying, leading, looking, producing, promoting, settling, spoiling, waking  # noqa: F401
from broken.registry import BROKEN

__all__ = ["BROKEN"]
