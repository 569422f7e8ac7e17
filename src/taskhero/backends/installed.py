"""Which backends are installed, and which of them can be used."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import attrs

from taskhero.backends.registry import BUILT_IN, GROUP
from taskhero.distributions import BROKEN, Origin, entry_points_of, origin_of, reason
from taskhero.errors import UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

__all__ = ["FoundBackend", "found_backends"]


@attrs.frozen(kw_only=True)
class FoundBackend:
    """An installed backend.

    Attributes:
        scheme: What stands before ``://`` in its URLs.
        origin: The distribution that brings it.
        state: Whether it can be used, lacks an optional package, or failed.
        error: What it lacks, or why it failed, else ``""``.
    """

    scheme: str
    origin: Origin
    state: Literal["loaded", "off", "failed"]
    error: str = ""


def found_backends() -> list[FoundBackend]:
    """All backends that distributions bring as entry points, by scheme; each is imported for it."""
    points = entry_points_of(GROUP)
    times = Counter(point.name for point in points)
    return [_found(point, times) for point in points]


def _found(point: EntryPoint, times: Mapping[str, int]) -> FoundBackend:
    origin = origin_of(point)
    if point.name in BUILT_IN and point.value != BUILT_IN[point.name]:
        error = f"{point.name}:// is taskhero's own, {BUILT_IN[point.name]}"
        return FoundBackend(scheme=point.name, origin=origin, state="failed", error=error)
    if times[point.name] > 1 and point.name not in BUILT_IN:
        error = f"{times[point.name]} distributions bring a driver for {point.name}://: keep one of them installed"
        return FoundBackend(scheme=point.name, origin=origin, state="failed", error=error)
    try:
        driver = point.load()
    except UnknownBackend as lacking:
        # A driver that says itself which optional package it needs.
        return FoundBackend(scheme=point.name, origin=origin, state="off", error=str(lacking))
    except BROKEN as error:
        return FoundBackend(scheme=point.name, origin=origin, state="failed", error=reason(error))
    if not callable(getattr(driver, "from_url", None)):
        error = f"{point.value} has no method from_url(url, *, namespace)"
        return FoundBackend(scheme=point.name, origin=origin, state="failed", error=error)
    return FoundBackend(scheme=point.name, origin=origin, state="loaded")
