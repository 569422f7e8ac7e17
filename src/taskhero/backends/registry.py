"""Make backends from URLs: find the driver of a URL's scheme, and import it when it is used.

A driver has one of three origins: taskhero, the entry points of installed distributions, or a plugin that registers it
for its app.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import attrs

from taskhero._internal.display import without_secrets
from taskhero._internal.entry_points import BROKEN, Origin, entry_points_of, error_reason, origin_of
from taskhero._internal.registry import Registry
from taskhero._internal.suggestions import close_names, did_you_mean
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

#: Entry-point group for drivers of third parties: the name is the URL's scheme, the object has `from_url`.
GROUP: Final = "taskhero.backends"

_REDIS = "taskhero.backends.redis:RedisBackend"
#: taskhero's drivers by scheme. They are listed here, since reading the metadata of all installed packages is slow.
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
#: Names that users try for schemes of taskhero, for the hint in an error message.
_ALIASES: Final = {
    "valkey": "redis",
    "valkeys": "rediss",
    "redis+unix": "unix",
    "redis+socket": "unix",
    "mem": "memory",
}
#: The requirement to install for a module that a driver of taskhero needs.
_INSTALL: Final = {"fakeredis": "taskhero[fakeredis]", "lupa": "taskhero[fakeredis]"}

_NAMESPACE: Final = "resque"
#: Settings, with their defaults, that a driver gets if it accepts them. They matter if Ruby programs share the store.
_RUBY_SETTINGS: Final = {"resque_scheduler_prefix": "", "ignore_dead_master_lock": True}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEME_NAME = re.compile(r"[a-z][a-z0-9+.-]*")
_EXAMPLES = "such as 'redis://localhost:6379/0' or 'memory://'"
_VERBS: Final = tuple(
    sorted(
        name for name in {**vars(Inspectable), **vars(PeriodicTaskVerbs), **vars(Backend)} if not name.startswith("_")
    )
)


class Driver(Protocol):
    """An object that makes backends from URLs, such as a backend's class."""

    def from_url(self, url: str, *, namespace: str) -> Backend:
        """Return the backend that the URL names, not yet connected.

        Raises:
            ValueError: The URL is not valid.
        """
        ...


class BackendRegistry(Registry[Driver]):
    """The drivers that an app's plugins register, by URL scheme; the hook `taskhero_register_backends` adds them.

    Args:
        fill: Called when a scheme is unknown. It may add drivers.
    """

    def __init__(self, fill: Callable[[], object] | None = None) -> None:
        super().__init__()
        self._fill = fill

    def add(self, scheme: str, driver: Driver) -> None:
        """Register *driver* for URLs that begin with ``scheme://``.

        Args:
            scheme: The part before ``://``, in lower case.
            driver: An object, or a class, with the method ``from_url(url, *, namespace)``.

        Raises:
            PluginError: *scheme* is not a URL scheme, *driver* is not a driver, or the scheme has another driver.
        """
        if not _SCHEME_NAME.fullmatch(str(scheme)):
            raise PluginError(f"{scheme!r} is not a URL scheme: pass the part before '://', such as 'sqlite'")
        if not callable(getattr(driver, "from_url", None)):
            raise PluginError(
                f"the driver for {scheme}://, {_name_of(driver)}, has no method from_url(url, *, namespace): add one"
            )
        if scheme in BUILT_IN:
            raise PluginError(
                f"{scheme}:// is the scheme of {BUILT_IN[scheme]}: register {_name_of(driver)} for another scheme"
            )
        other = self._entries.get(scheme, driver)
        if other is not driver:
            raise PluginError(
                f"{scheme}:// has two drivers, {_name_of(other)} and {_name_of(driver)}: remove one of the plugins"
            )
        self._entries[scheme] = driver

    def schemes(self) -> tuple[str, ...]:
        """Return the registered schemes, sorted."""
        return tuple(self)

    def get(self, scheme: str) -> Driver | None:
        """Return the scheme's driver, or None."""
        return self._entries.get(scheme)

    def find(self, scheme: str) -> Driver | None:
        """Return the scheme's driver, or None; call `fill` first if the scheme is unknown."""
        if scheme not in self._entries and self._fill is not None:
            self._fill()
        return self._entries.get(scheme)


def open_backend(
    where: str | Backend, *, settings: Settings | None = None, registry: BackendRegistry | None = None
) -> Backend:
    """Return the backend that a URL names, or *where* if it is a backend.

    The backend is not connected yet.

    Args:
        where: A URL such as ``redis://localhost:6379/0``, or a backend.
        settings: The source of `namespace`, the prefix of each key in a shared store. It does not change a backend that
            is passed as *where*.
        registry: The drivers that plugins registered.

    Raises:
        UnknownBackend: The URL's scheme has no driver, the driver cannot be used, or *where* is not a backend. The
            message never shows a URL's password.
    """
    if not isinstance(where, str):
        return _checked(where)
    scheme = _scheme_of(where)
    driver = _find_driver(scheme, registry or BackendRegistry())
    make = getattr(driver, "from_url", None)
    if make is None:
        raise UnknownBackend(
            f"the driver for {scheme}://, {_name_of(driver)}, has no method from_url(url, *, namespace): add one"
        )
    options: dict[str, Any] = {"namespace": _NAMESPACE if settings is None else settings.namespace}
    for name, default in _RUBY_SETTINGS.items():
        value = default if settings is None else getattr(settings, name)
        if value != default and _accepts(make, name):
            options[name] = value
    try:
        return _checked(make(where, **options))
    except TaskheroError:
        raise
    except ValueError as error:
        message = f"the {scheme}:// URL is not valid: {without_secrets(str(error), where)}"
    # Raised outside the handler: the caught error may quote a password and must not become this error's context.
    raise UnknownBackend(message)


def _accepts(make: Callable[..., Backend], option: str) -> bool:
    """Return whether a driver's ``from_url`` has this parameter."""
    try:
        return option in inspect.signature(make).parameters
    except (TypeError, ValueError):
        return False


def known_schemes(registry: BackendRegistry | None = None) -> tuple[str, ...]:
    """Return the schemes that have a driver, sorted, without importing any driver."""
    added = () if registry is None else registry.schemes()
    return tuple(sorted({*BUILT_IN, *entry_points(group=GROUP).names, *added}))


def _scheme_of(url: str) -> str:
    found = _SCHEME.match(url)
    if found is None:
        raise UnknownBackend(
            f"this string of {len(url)} characters does not begin with a scheme and '://', as a backend's URL does: "
            f"pass a URL {_EXAMPLES} (the string is not shown, since it may contain a password)"
        )
    return found[1].lower()


def _find_driver(scheme: str, registry: BackendRegistry) -> Any:
    built_in = BUILT_IN.get(scheme)
    if built_in is not None:
        return _load_built_in(scheme, built_in)
    points = {point.value.replace(" ", ""): point for point in entry_points(group=GROUP, name=scheme)}
    added = registry.get(scheme) if points else registry.find(scheme)
    origins = [_origin_text(point) for point in points.values()]
    if added is not None and _import_path(added) not in points:
        origins.append(f"a plugin of this app ({_import_path(added)})")
    if len(origins) > 1:
        raise UnknownBackend(
            f"{scheme}:// has more than one driver: {' and '.join(sorted(origins))}; keep one of them installed"
        )
    if added is not None:
        return added
    for point in points.values():
        return _load_entry_point(scheme, point)
    raise UnknownBackend(_unknown(scheme, registry))


def _load_built_in(scheme: str, target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        package = _INSTALL.get(error.name or "", error.name)
        raise UnknownBackend(
            f"{scheme}:// needs the package {error.name!r}, which is not installed: pip install '{package}'"
        ) from error


def _load_entry_point(scheme: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except BROKEN as error:
        raise UnknownBackend(
            f"the driver for {scheme}://, {point.value}, cannot be imported: {error_reason(error)}; "
            f"install what it needs, or repair or remove its package ({_origin_text(point)})"
        ) from error


def _origin_text(point: EntryPoint) -> str:
    """Return the distribution and the object of an entry point, for messages."""
    return f"{origin_of(point).name or 'a package'} ({point.value})"


def _unknown(scheme: str, registry: BackendRegistry) -> str:
    known = known_schemes(registry)
    similar = [_ALIASES[scheme]] if scheme in _ALIASES else close_names(scheme, known, cutoff=0.75)
    hint = did_you_mean(f"{name}://" for name in similar) or "."
    return (
        f"no backend has the scheme {scheme}://{hint} Known schemes are {', '.join(known)}. "
        f"Install the package with its driver (an entry point {scheme!r} in the group {GROUP!r}), "
        f"or pass a URL {_EXAMPLES}."
    )


def _checked(backend: object) -> Backend:
    """Return the object if it is a backend; the error names the verbs that it lacks."""
    if isinstance(backend, type):
        raise UnknownBackend(f"{_name_of(backend)} is a class: pass an instance of it, or a URL {_EXAMPLES}")
    if isinstance(backend, Backend):
        return backend
    missing = [name for name in _VERBS if not hasattr(backend, name)]
    if len(missing) == len(_VERBS):
        raise UnknownBackend(f"{_name_of(type(backend))} is not a backend: pass a URL {_EXAMPLES}, or a backend object")
    raise UnknownBackend(
        f"{_name_of(type(backend))} is not a backend: implement its missing verbs {', '.join(missing)}"
    )


def _name_of(driver: object) -> str:
    return f"{getattr(driver, '__module__', '?')}.{getattr(driver, '__qualname__', repr(driver))}"


def _import_path(driver: object) -> str:
    """Return a driver's module and name in the form of an entry point."""
    return f"{getattr(driver, '__module__', '?')}:{getattr(driver, '__qualname__', type(driver).__qualname__)}"


@attrs.frozen(kw_only=True)
class FoundBackend:
    """An installed backend.

    Attributes:
        scheme: The part before ``://`` in its URLs.
        origin: The distribution that contains it.
        state: ``"loaded"`` if it can be used, ``"off"`` if it lacks an optional package, ``"failed"`` otherwise.
        error: The missing package or the reason of the failure, else ``""``.
    """

    scheme: str
    origin: Origin
    state: Literal["loaded", "off", "failed"]
    error: str = ""


def found_backends() -> list[FoundBackend]:
    """Import all backends that distributions declare as entry points, and return them sorted by scheme."""
    points = entry_points_of(GROUP)
    counts = Counter(point.name for point in points)
    return [_found(point, counts) for point in points]


def _found(point: EntryPoint, counts: Mapping[str, int]) -> FoundBackend:
    state, error = _load_state(point, counts)
    return FoundBackend(scheme=point.name, origin=origin_of(point), state=state, error=error)


def _load_state(point: EntryPoint, counts: Mapping[str, int]) -> tuple[Literal["loaded", "off", "failed"], str]:
    """Return whether a driver can be used, and the reason if it cannot."""
    scheme = point.name
    if scheme in BUILT_IN and point.value != BUILT_IN[scheme]:
        return "failed", f"{scheme}:// is the scheme of {BUILT_IN[scheme]}: use another scheme"
    if counts[scheme] > 1 and scheme not in BUILT_IN:
        return "failed", f"{counts[scheme]} distributions have a driver for {scheme}://: keep one of them installed"
    try:
        driver = point.load()
    except UnknownBackend as error:
        # The driver raises this to name the optional package that it needs.
        return "off", str(error)
    except BROKEN as error:
        return "failed", error_reason(error)
    if not callable(getattr(driver, "from_url", None)):
        return "failed", f"{point.value} has no method from_url(url, *, namespace)"
    return "loaded", ""
