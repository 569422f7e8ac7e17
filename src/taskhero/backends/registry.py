"""From a URL to a backend: drivers are found by the URL's scheme and imported when they are asked for.

A driver comes from three places: taskhero's own, the entry points of installed distributions, and what plugins register
for their app.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import attrs

from taskhero._internal.display import without_secrets
from taskhero._internal.entry_points import BROKEN, Origin, entry_points_of, error_reason, origin_of
from taskhero.backends.inspection_protocol import Inspectable
from taskhero.backends.periodic_protocol import PeriodicTaskVerbs
from taskhero.backends.protocol import Backend
from taskhero.errors import PluginError, TaskheroError, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.metadata import EntryPoint

    from taskhero.settings import Settings

__all__ = [
    "BUILT_IN",
    "GROUP",
    "BackendRegistry",
    "Driver",
    "FoundBackend",
    "found_backends",
    "known_schemes",
    "open_backend",
]

#: Entry-point group of third parties' drivers: the name is the URL's scheme, the object a class with `from_url`.
GROUP: Final = "taskhero.backends"

_REDIS = "taskhero.backends.redis:RedisBackend"
#: Our own drivers by scheme. They are known without the package's metadata, and found without reading that of all other
#: packages.
BUILT_IN: Final = {
    "fakeredis": "taskhero.backends.redis.fake:FakeRedisBackend",
    "memory": "taskhero.backends.memory:MemoryBackend",
    "redis": _REDIS,
    "redis+cluster": _REDIS,
    "redis+sentinel": _REDIS,
    "rediss": _REDIS,
    "rediss+cluster": _REDIS,
    "rediss+sentinel": _REDIS,
    "unix": _REDIS,
}
#: What people call it, who mean a driver of ours.
_SAME_AS: Final = {
    "valkey": "redis",
    "valkeys": "rediss",
    "redis+unix": "unix",
    "redis+socket": "unix",
    "mem": "memory",
}
#: What brings a module that a driver of ours needs.
_INSTALL: Final = {"fakeredis": "taskhero[fakeredis]", "lupa": "taskhero[fakeredis]"}

_NAMESPACE: Final = "resque"
#: Settings that a driver is given if it knows them: they mean nothing to a store that Ruby's programs do not share.
_RUBYS: Final = {"resque_scheduler_prefix": "", "ignore_dead_master_lock": True}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEME_NAME = re.compile(r"[a-z][a-z0-9+.-]*")
_EXAMPLES = "such as 'redis://localhost:6379/0' or 'memory://'"
_VERBS: Final = tuple(
    sorted(
        name for name in {**vars(Inspectable), **vars(PeriodicTaskVerbs), **vars(Backend)} if not name.startswith("_")
    )
)


class Driver(Protocol):
    """What makes backends of URLs, such as a backend's class."""

    def from_url(self, url: str, *, namespace: str) -> Backend:
        """The backend that the URL names; nothing is connected yet.

        Raises:
            ValueError: The URL cannot be read.
        """
        ...


class BackendRegistry:
    """The URL schemes that an app's plugins answer to; `taskhero_register_backends` adds to it.

    Args:
        fill: Called when a scheme is not known yet; it may add some.
    """

    def __init__(self, fill: Callable[[], object] | None = None) -> None:
        self._drivers: dict[str, Driver] = {}
        self._fill = fill

    def add(self, scheme: str, driver: Driver) -> None:
        """Let *driver* make the backends of URLs that begin with ``scheme://``.

        Args:
            scheme: The part before ``://``, in small letters.
            driver: An object, or a class, with the method ``from_url(url, *, namespace)``.

        Raises:
            PluginError: It is no scheme or no driver, or another driver answers to the scheme.
        """
        if not _SCHEME_NAME.fullmatch(str(scheme)):
            raise PluginError(f"{scheme!r} is no URL scheme: pass what stands before '://', such as 'sqlite'")
        if not callable(getattr(driver, "from_url", None)):
            raise PluginError(
                f"the driver for {scheme}://, {_name_of(driver)}, has no method from_url(url, *, namespace)"
            )
        if scheme in BUILT_IN:
            raise PluginError(
                f"{scheme}:// is taskhero's own, {BUILT_IN[scheme]}: {_name_of(driver)} needs another scheme"
            )
        other = self._drivers.get(scheme, driver)
        if other is not driver:
            raise PluginError(f"two drivers answer to {scheme}://: {_name_of(other)} and {_name_of(driver)}")
        self._drivers[scheme] = driver

    def schemes(self) -> tuple[str, ...]:
        """The schemes that were added, sorted."""
        return tuple(sorted(self._drivers))

    def get(self, scheme: str) -> Driver | None:
        """The scheme's driver, or None."""
        return self._drivers.get(scheme)

    def find(self, scheme: str) -> Driver | None:
        """The scheme's driver, or None; who may know more is asked before."""
        if scheme not in self._drivers and self._fill is not None:
            self._fill()
        return self._drivers.get(scheme)

    def copy(self) -> BackendRegistry:
        """One with the same drivers."""
        copied = BackendRegistry()
        copied._drivers.update(self._drivers)
        return copied

    def adopt(self, other: BackendRegistry) -> None:
        """Take over another one's drivers."""
        self._drivers = dict(other._drivers)


def open_backend(
    where: str | Backend, *, settings: Settings | None = None, registry: BackendRegistry | None = None
) -> Backend:
    """Make the backend that a URL names; a backend that is one already is returned as it is.

    Nothing is connected yet.

    Args:
        where: A URL such as ``redis://localhost:6379/0``, or a backend.
        settings: Where the `namespace` comes from that stands before each name in a store which others share; a
            backend that is one already has its own.
        registry: The drivers that plugins bring.

    Raises:
        UnknownBackend: No driver answers to the URL's scheme, or it cannot be used; or *where* is no backend. The
            message never shows a URL's password.
    """
    if not isinstance(where, str):
        return _checked(where)
    scheme = _scheme_of(where)
    driver = _find_driver(scheme, registry or BackendRegistry())
    make = getattr(driver, "from_url", None)
    if make is None:
        raise UnknownBackend(
            f"the driver for {scheme}://, {_name_of(driver)}, has no method from_url(url, *, namespace) to make it with"
        )
    options: dict[str, Any] = {"namespace": _NAMESPACE if settings is None else settings.namespace}
    for name, default in _RUBYS.items():
        given = default if settings is None else getattr(settings, name)
        if given != default and _takes(make, name):
            options[name] = given
    try:
        return _checked(make(where, **options))
    except TaskheroError:
        raise
    except ValueError as error:
        message = f"the {scheme}:// URL cannot be read: {without_secrets(str(error), where)}"
    # Not in the handler, since the error that was caught may quote a password, and would be this one's context.
    raise UnknownBackend(message)


def _takes(make: Callable[..., Backend], option: str) -> bool:
    """Whether a driver knows this option."""
    try:
        return option in inspect.signature(make).parameters
    except (TypeError, ValueError):
        return False


def known_schemes(registry: BackendRegistry | None = None) -> tuple[str, ...]:
    """The schemes for which there is a driver here, sorted; none is imported."""
    added = () if registry is None else registry.schemes()
    return tuple(sorted({*BUILT_IN, *entry_points(group=GROUP).names, *added}))


def _scheme_of(url: str) -> str:
    found = _SCHEME.match(url)
    if found is None:
        raise UnknownBackend(
            f"a backend is named by a URL {_EXAMPLES}; this text of {len(url)} characters has no scheme and '://' at "
            "its start (it is not shown, since it may hold a password)"
        )
    return found[1].lower()


def _find_driver(scheme: str, registry: BackendRegistry) -> Any:
    own = BUILT_IN.get(scheme)
    if own is not None:
        return _load_own(scheme, own)
    points = {point.value.replace(" ", ""): point for point in entry_points(group=GROUP, name=scheme)}
    added = registry.get(scheme) if points else registry.find(scheme)
    brought = [_brought_by(point) for point in points.values()]
    if added is not None and _place_of(added) not in points:
        brought.append(f"a plugin of this app ({_place_of(added)})")
    if len(brought) > 1:
        raise UnknownBackend(
            f"more than one package brings a driver for {scheme}://: {' and '.join(sorted(brought))}; "
            "keep one of them installed"
        )
    if added is not None:
        return added
    for point in points.values():
        return _load_foreign(scheme, point)
    raise UnknownBackend(_unknown(scheme, registry))


def _load_own(scheme: str, target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        package = _INSTALL.get(error.name or "", error.name)
        raise UnknownBackend(
            f"{scheme}:// needs the package {error.name!r}, which is not installed: pip install '{package}'"
        ) from error


def _load_foreign(scheme: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except BROKEN as error:
        raise UnknownBackend(
            f"the driver for {scheme}://, {point.value}, cannot be imported: {error_reason(error)}; "
            f"install what it needs, or repair or remove what brings it ({_brought_by(point)})"
        ) from error


def _brought_by(point: EntryPoint) -> str:
    return f"{origin_of(point).name or 'a package'} ({point.value})"


def _unknown(scheme: str, registry: BackendRegistry) -> str:
    known = known_schemes(registry)
    close = get_close_matches(scheme, known, n=1, cutoff=0.75)
    meant = _SAME_AS.get(scheme) or (close[0] if close else None)
    guess = f", did you mean {meant}://?" if meant else "."
    return (
        f"no backend answers to {scheme}://{guess} Known are {', '.join(known)}. "
        f"Install the package that brings it (an entry point {scheme!r} in the group {GROUP!r}), "
        f"or pass a URL {_EXAMPLES}."
    )


def _checked(backend: object) -> Backend:
    """The object as a backend, or an error that says what it lacks."""
    if isinstance(backend, type):
        raise UnknownBackend(f"{_name_of(backend)} is a class; pass one of its instances, or a URL {_EXAMPLES}")
    if isinstance(backend, Backend):
        return backend
    missing = [name for name in _VERBS if not hasattr(backend, name)]
    if len(missing) == len(_VERBS):
        raise UnknownBackend(f"a backend is a URL {_EXAMPLES}, or an object like one; not {_name_of(type(backend))}")
    raise UnknownBackend(f"{_name_of(type(backend))} is no backend: it lacks {', '.join(missing)}")


def _name_of(driver: object) -> str:
    return f"{getattr(driver, '__module__', '?')}.{getattr(driver, '__qualname__', repr(driver))}"


def _place_of(driver: object) -> str:
    """Where a driver stands, as an entry point says it."""
    return f"{getattr(driver, '__module__', '?')}:{getattr(driver, '__qualname__', type(driver).__qualname__)}"


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
        return "failed", error_reason(broken)
    if not callable(getattr(driver, "from_url", None)):
        return "failed", f"{point.value} has no method from_url(url, *, namespace)"
    return "loaded", ""
