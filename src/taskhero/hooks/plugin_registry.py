"""Names under which plugins and their options can be given, for configuration files."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.errors import PluginError, UnknownPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["PluginRegistry", "Renamed"]


@attrs.frozen
class Renamed:
    """What another name of an option stands for.

    Attributes:
        option: The option's own name.
        convert: Makes the option's value of what is given under the other name, such as seconds of milliseconds; None
            if it is the same. What it refuses, it refuses with `ValueError`, `TypeError` or `PluginError`.
    """

    option: str
    convert: Callable[[Any], Any] | None = None


@attrs.frozen
class _Named:
    """A plugin that has a name."""

    name: str
    factory: Callable[..., object]
    renamed: Mapping[str, Renamed]

    def known(self) -> list[str]:
        """The names of its options."""
        return list(inspect.signature(self.factory).parameters)

    def takes_any(self) -> bool:
        """Whether the factory takes any option."""
        return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(self.factory).parameters.values())

    def described(self) -> str:
        """Its options in words."""
        also = f"; also {', '.join(self.renamed)}" if self.renamed else ""
        return f"(its options: {', '.join(self.known()) or 'none'}{also})"


class PluginRegistry:
    """Names under which plugins can be given, for configuration files."""

    def __init__(self) -> None:
        self._named: dict[str, _Named] = {}

    def add(
        self,
        name: str,
        factory: Callable[..., object],
        *aliases: str,
        options: Mapping[str, Renamed] | None = None,
    ) -> None:
        """Let *name* (and *aliases*) stand for what *factory* makes; the factory's keywords are the options.

        Args:
            name: The plugin's name, as messages have it.
            factory: The plugin's class, or a function that makes the plugin.
            aliases: Other names of it.
            options: Other names of options, and what they stand for.

        Raises:
            PluginError: Another plugin has one of the names already.
        """
        named = _Named(name, factory, dict(options or {}))
        for each in (name, *aliases):
            other = self._named.get(each)
            if other is not None and other.factory is not factory:
                raise PluginError(f"two plugins are called {each!r}: {_place(other.factory)} and {_place(factory)}")
        self._named.update(dict.fromkeys((name, *aliases), named))

    def copy(self) -> PluginRegistry:
        """One with the same plugins."""
        copied = PluginRegistry()
        copied.adopt(self)
        return copied

    def adopt(self, other: PluginRegistry) -> None:
        """Take over another one's plugins."""
        self._named = dict(other._named)

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def known(self) -> list[str]:
        """The names, sorted, without aliases."""
        return sorted({named.name for named in self._named.values()})

    def renamed(self, name: str) -> dict[str, Renamed]:
        """Other names of a plugin's options.

        Raises:
            UnknownPlugin: The plugin's name is not known.
        """
        return dict(self._find(name).renamed)

    def build(self, plugins: Iterable[object], options: Mapping[str, Mapping[str, Any]]) -> tuple[object, ...]:
        """Make plugins of those that are names, with their options; the others stay as they are.

        Raises:
            UnknownPlugin: A name is not known.
            PluginError: A plugin is named twice, or options are given for one that is not there, are given twice, or do
                not fit.
        """
        given = tuple(plugins)
        meant = self._meant((one for one in given if isinstance(one, str)), "plugins names")
        for_each = self._meant(options, "plugin_options has options for")
        for name, spelled in for_each.items():
            if name not in meant:
                raise PluginError(f"plugin_options has options for {spelled!r}, which plugins does not name")
        return tuple(
            self._make(one, options.get(for_each.get(self._named[one].name, ""), {})) if isinstance(one, str) else one
            for one in given
        )

    def _meant(self, given: Iterable[str], who: str) -> dict[str, str]:
        """The plugins' own names, each with how it was spelled."""
        meant: dict[str, str] = {}
        for spelled in given:
            name = self._find(spelled).name
            if name in meant:
                raise PluginError(f"{who} {meant[name]!r} and {spelled!r}, which are the same plugin: keep one")
            meant[name] = spelled
        return meant

    def _find(self, name: str) -> _Named:
        named = self._named.get(name)
        if named is None:
            known = ", ".join(self.known()) or "none"
            raise UnknownPlugin(f"no plugin is called {name!r}{_hint(name, self._named)} (known: {known})")
        return named

    def _make(self, name: str, given: Mapping[str, Any]) -> object:
        named = self._find(name)
        try:
            its = _options(named, given)
            inspect.signature(named.factory).bind(**its)
            return named.factory(**its)
        except (TypeError, ValueError, PluginError) as error:
            raise PluginError(f"plugin {name!r} cannot be made: {error} {named.described()}") from error


def _options(named: _Named, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options under their own names."""
    known = named.known()
    spelled: dict[str, str] = {}
    options: dict[str, Any] = {}
    for name, value in given.items():
        renamed = named.renamed.get(name, Renamed(name))
        if renamed.option not in known and not named.takes_any():
            raise PluginError(f"it has no option {name!r}{_hint(name, [*known, *named.renamed])}")
        if renamed.option in options:
            raise PluginError(f"{spelled[renamed.option]!r} and {name!r} are the same option: keep one")
        spelled[renamed.option] = name
        try:
            options[renamed.option] = value if renamed.convert is None else renamed.convert(value)
        except (TypeError, ValueError, PluginError) as error:
            raise PluginError(f"{name}={value!r}: {error}") from error
    return options


def _hint(name: str, known: Iterable[str]) -> str:
    """What one may have meant, if anything is near."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _place(factory: Callable[..., object]) -> str:
    return f"{getattr(factory, '__module__', '?')}.{getattr(factory, '__qualname__', repr(factory))}"
