"""Backends that break one promise each: what the kit is worth is what it finds in them."""

from broken import (  # noqa: F401
    administration,
    claiming,
    damaged_data,
    extreme_numbers,
    held_locks,
    isolated_items,
    leadership,
    leases,
    periodic_chains,
    preparing,
    producing,
    promoting,
    queue_inspection,
    settling,
    waiting,
)
from broken.broken_backends import BROKEN

__all__ = ["BROKEN"]
