"""Backends that break one promise each, to show that the kit finds it.

Each module has the backends for some topics of the kit. `broken_backends.found_by` registers each in `BROKEN`, with
the tests that must fail on it.
"""

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
