"""From a URL to a backend: drivers are found by the URL's scheme and imported when they are asked for."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from taskhero.backends.protocol import Backend
from taskhero.backends.urls import without_secrets
from taskhero.errors import TaskheroError, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint

    from taskhero.settings import Settings

__all__ = ["GROUP", "known_schemes", "open_backend"]

#: Entry-point group of third parties' drivers: the name is the URL's scheme, the object a class with `from_url`.
GROUP: Final = "taskhero.backends"

# Our own are known without the package's metadata, and found without reading that of all other packages.
_REDIS = "taskhero.backends.redis:RedisBackend"
_BUILT_IN: Final = {
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
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_EXAMPLES = "such as 'redis://localhost:6379/0' or 'memory://'"
_VERBS: Final = tuple(sorted(name for name in vars(Backend) if not name.startswith("_")))


def open_backend(where: str | Backend, *, settings: Settings | None = None) -> Backend:
    """Make the backend that a URL names; a backend that is one already is returned as it is.

    Nothing is connected yet.

    Args:
        where: A URL such as ``redis://localhost:6379/0``, or a backend.
        settings: Where the `namespace` comes from that stands before each name in a store which others share; a
            backend that is one already has its own.

    Raises:
        UnknownBackend: No driver answers to the URL's scheme, or it cannot be used; or *where* is no backend. The
            message never shows a URL's password.
    """
    if not isinstance(where, str):
        return _checked(where)
    scheme = _scheme_of(where)
    driver = _find_driver(scheme)
    make = getattr(driver, "from_url", None)
    if make is None:
        raise UnknownBackend(
            f"the driver for {scheme}://, {_name_of(driver)}, has no method from_url(url, *, namespace) to make it with"
        )
    try:
        backend = make(where, namespace=_NAMESPACE if settings is None else settings.namespace)
    except TaskheroError:
        raise
    except ValueError as error:
        # Its own text and context may quote the URL.
        raise UnknownBackend(f"the {scheme}:// URL cannot be read: {without_secrets(str(error), where)}") from None
    return _checked(backend)


def known_schemes() -> tuple[str, ...]:
    """The schemes for which there is a driver here, sorted; none is imported."""
    return tuple(sorted({*_BUILT_IN, *entry_points(group=GROUP).names}))


def _scheme_of(url: str) -> str:
    found = _SCHEME.match(url)
    if found is None:
        raise UnknownBackend(
            f"a backend is named by a URL {_EXAMPLES}; this text of {len(url)} characters has no scheme and '://' at "
            "its start (it is not shown, since it may hold a password)"
        )
    return found[1].lower()


def _find_driver(scheme: str) -> Any:
    own = _BUILT_IN.get(scheme)
    if own is not None:
        return _load_own(scheme, own)
    found = entry_points(group=GROUP, name=scheme)
    if len({entry_point.value for entry_point in found}) > 1:
        raise UnknownBackend(
            f"more than one package brings a driver for {scheme}://: {_brought_by(found)}; keep one of them installed"
        )
    for entry_point in found:
        return _load_foreign(scheme, entry_point)
    raise UnknownBackend(_unknown(scheme))


def _load_own(scheme: str, target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        package = _INSTALL.get(error.name or "", error.name)
        raise UnknownBackend(
            f"{scheme}:// needs the package {error.name!r}, which is not installed: pip install '{package}'"
        ) from error


def _load_foreign(scheme: str, entry_point: EntryPoint) -> Any:
    try:
        return entry_point.load()
    except (ImportError, AttributeError) as error:
        raise UnknownBackend(
            f"the driver for {scheme}://, {entry_point.value}, cannot be imported: {error}; "
            f"install what it needs, or repair or remove what brings it ({_brought_by([entry_point])})"
        ) from error


def _brought_by(found: Iterable[EntryPoint]) -> str:
    return ", ".join(sorted({f"{point.dist.name if point.dist else 'a package'} ({point.value})" for point in found}))


def _unknown(scheme: str) -> str:
    known = known_schemes()
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
