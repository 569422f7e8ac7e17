"""Which backends are installed, and which of them can be used."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import attrs

from taskhero._internal.entry_points import BROKEN, Origin, entry_points_of, origin_of, reason
from taskhero.backends.registry import BUILT_IN, GROUP
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
    state, error = _tried(point, times)
    return FoundBackend(scheme=point.name, origin=origin_of(point), state=state, error=error)


def _tried(point: EntryPoint, times: Mapping[str, int]) -> tuple[Literal["loaded", "off", "failed"], str]:
    """Whether a driver can be used, and if not, why."""
    scheme = point.name
    if scheme in BUILT_IN and point.value != BUILT_IN[scheme]:
        return "failed", f"{scheme}:// is taskhero's own, {BUILT_IN[scheme]}"
    if times[scheme] > 1 and scheme not in BUILT_IN:
        return "failed", f"{times[scheme]} distributions bring a driver for {scheme}://: keep one of them installed"
    try:
        driver = point.load()
    except UnknownBackend as lacking:
        # A driver that says itself which optional package it needs.
        return "off", str(lacking)
    except BROKEN as broken:
        return "failed", reason(broken)
    if not callable(getattr(driver, "from_url", None)):
        return "failed", f"{point.value} has no method from_url(url, *, namespace)"
    return "loaded", ""
