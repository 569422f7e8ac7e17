"""Names of plugins and of their options, for configuration files."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import attrs

from taskhero._internal.registry import Registry
from taskhero._internal.suggestions import suggestion
from taskhero.errors import PluginError, UnknownPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["PluginRegistry", "Renamed"]


@attrs.frozen
class Renamed:
    """The option that another name stands for.

    Attributes:
        option: The option's own name.
        convert: A function that converts a value of the other name, such as milliseconds to seconds, or None. It raises
            `ValueError`, `TypeError` or `PluginError` for a wrong value.
    """

    option: str
    convert: Callable[[Any], Any] | None = None


@attrs.frozen
class _Named:
    """A registered plugin with its factory and the other names of its options."""

    name: str
    factory: Callable[..., object]
    renamed: Mapping[str, Renamed]

    def known(self) -> list[str]:
        """Return the names of its options."""
        return list(inspect.signature(self.factory).parameters)

    def takes_any(self) -> bool:
        """Return whether the factory accepts any option."""
        return any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(self.factory).parameters.values()
        )

    def described(self) -> str:
        """Return its options as the end of a message."""
        also = f"; also {', '.join(self.renamed)}" if self.renamed else ""
        return f"(its options: {', '.join(self.known()) or 'none'}{also})"


class PluginRegistry(Registry[_Named]):
    """The names of plugins. Implementations of `taskhero_register_plugins` add to it."""

    def add(
        self,
        name: str,
        factory: Callable[..., object],
        *aliases: str,
        options: Mapping[str, Renamed] | None = None,
    ) -> None:
        """Register *factory* under *name* and *aliases*. The factory's keywords are the options.

        Args:
            name: The plugin's name, also in messages.
            factory: The plugin's class, or a function that returns the plugin.
            aliases: Other names of the plugin.
            options: Other names of options.

        Raises:
            PluginError: Another plugin has one of the names.
        """
        named = _Named(name, factory, dict(options or {}))
        for key in (name, *aliases):
            other = self._entries.get(key)
            if other is not None and other.factory is not factory:
                first, second = _full_name(other.factory), _full_name(factory)
                raise PluginError(f"two plugins have the name {key!r}, {first} and {second}: rename one of them")
        self._entries.update(dict.fromkeys((name, *aliases), named))

    def known(self) -> list[str]:
        """Return the names, sorted, without aliases."""
        return sorted({named.name for named in self._entries.values()})

    def renamed(self, name: str) -> dict[str, Renamed]:
        """Return the other names of a plugin's options.

        Raises:
            UnknownPlugin: The plugin's name is not registered.
        """
        return dict(self._find(name).renamed)

    def build(self, plugins: Iterable[object], options: Mapping[str, Mapping[str, Any]]) -> tuple[object, ...]:
        """Replace names by plugins with their options, and keep the other entries.

        Args:
            plugins: Plugins and names of plugins.
            options: The options of named plugins, by name.

        Raises:
            UnknownPlugin: A name is not registered.
            PluginError: A plugin is named twice. Or options are passed for a plugin that is not named, are passed
                twice, or are not valid.
        """
        entries = tuple(plugins)
        named = self._own_names((entry for entry in entries if isinstance(entry, str)), "plugins names")
        configured = self._own_names(options, "plugin_options has options for")
        for name, alias in configured.items():
            if name not in named:
                raise PluginError(f"plugin_options has options for {alias!r}, which plugins does not name")

        def options_of(alias: str) -> Mapping[str, Any]:
            return options.get(configured.get(self._entries[alias].name, ""), {})

        return tuple(self._make(entry, options_of(entry)) if isinstance(entry, str) else entry for entry in entries)

    def _own_names(self, aliases: Iterable[str], prefix: str) -> dict[str, str]:
        """Return the plugins' own names, each with the alias that is used."""
        used: dict[str, str] = {}
        for alias in aliases:
            name = self._find(alias).name
            if name in used:
                raise PluginError(f"{prefix} {used[name]!r} and {alias!r}, which are the same plugin: keep one")
            used[name] = alias
        return used

    def _find(self, name: str) -> _Named:
        named = self._entries.get(name)
        if named is None:
            known = ", ".join(self.known()) or "none"
            raise UnknownPlugin(f"no plugin has the name {name!r}{suggestion(name, self._entries)} (known: {known})")
        return named

    def _make(self, name: str, values: Mapping[str, Any]) -> object:
        named = self._find(name)
        try:
            options = _options(named, values)
            inspect.signature(named.factory).bind(**options)
            return named.factory(**options)
        except (TypeError, ValueError, PluginError) as error:
            raise PluginError(f"plugin {name!r} cannot be created: {error} {named.described()}") from error


def _options(named: _Named, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under their own names."""
    known = named.known()
    aliases: dict[str, str] = {}
    options: dict[str, Any] = {}
    for name, value in values.items():
        renamed = named.renamed.get(name, Renamed(name))
        if renamed.option not in known and not named.takes_any():
            raise PluginError(f"it has no option {name!r}{suggestion(name, [*known, *named.renamed])}")
        if renamed.option in options:
            raise PluginError(f"{aliases[renamed.option]!r} and {name!r} are the same option: keep one")
        aliases[renamed.option] = name
        try:
            options[renamed.option] = value if renamed.convert is None else renamed.convert(value)
        except (TypeError, ValueError, PluginError) as error:
            raise PluginError(f"{name}={value!r}: {error}") from error
    return options


def _full_name(factory: Callable[..., object]) -> str:
    return f"{getattr(factory, '__module__', '?')}.{getattr(factory, '__qualname__', repr(factory))}"
