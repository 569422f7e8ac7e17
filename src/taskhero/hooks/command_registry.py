"""The verbs that installed plugins add to the command line. It does not import click, which is an extra."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from taskhero._internal.registry import Registry
from taskhero.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Command", "CommandRegistry"]

_VERB: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Command(Protocol):
    """A command of click, as ``@click.command()`` or ``@click.group()`` returns it."""

    name: str | None

    def make_context(self, info_name: str | None, args: list[str], /) -> Any:
        """Parse the arguments, as click's method of this name does."""
        ...


class CommandRegistry(Registry[tuple[Command, str]]):
    """The verbs of plugins. Implementations of `taskhero_register_commands` add to it.

    Args:
        taken: The verbs of taskhero itself.

    Attributes:
        plugin: The plugin that adds verbs now.
    """

    def __init__(self, taken: Collection[str] = ()) -> None:
        super().__init__()
        self.plugin = "?"
        self._taken = taken

    def add(self, command: Command, name: str | None = None) -> None:
        """Register *command* as ``taskhero NAME``.

        Args:
            command: A command of click.
            name: The verb, or None for the command's own name.

        Raises:
            PluginError: It is not a command, or its name is not a verb, is taskhero's own or another plugin's.
        """
        value: Any = command
        if inspect.isclass(value) or not callable(getattr(value, "make_context", None)):
            raise PluginError(f"{value!r} is not a command: put @click.command() above the function")
        verb = (command.name or "") if name is None else name
        if not _VERB.fullmatch(str(verb)):
            raise PluginError(f"{verb!r} is not a verb: use lower-case letters, digits and single hyphens")
        if verb in self._taken:
            raise PluginError(f"the command {verb!r} is taskhero's own: rename the command of {self.plugin}")
        if verb in self._entries and self._entries[verb][0] is not command:
            raise PluginError(
                f"two plugins have a command {verb!r}, {self._entries[verb][1]} and {self.plugin}: rename one of them"
            )
        self._entries[verb] = (command, self.plugin)

    def get(self, verb: str) -> Command | None:
        """Return the command, or None."""
        found = self._entries.get(verb)
        return None if found is None else found[0]

    def of(self, plugin: str) -> tuple[str, ...]:
        """Return the verbs of one plugin, sorted."""
        return tuple(verb for verb in self if self._entries[verb][1] == plugin)
