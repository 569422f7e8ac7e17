"""Verbs that installed plugins add to the command line. Nothing here knows click, which is an extra."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from taskhero.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["Command", "CommandRegistry"]

_VERB: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Command(Protocol):
    """A command of click: what ``@click.command()`` or ``@click.group()`` makes of a function."""

    name: str | None

    def make_context(self, info_name: str | None, args: list[str], /) -> Any:
        """What click calls to read the arguments."""
        ...


class CommandRegistry:
    """The verbs of plugins; `taskhero_register_commands` adds to it.

    Args:
        taken: The verbs of taskhero itself.

    Attributes:
        plugin: Which plugin adds to it just now.
    """

    def __init__(self, taken: Collection[str] = ()) -> None:
        self.plugin = "?"
        self._taken = taken
        self._commands: dict[str, tuple[Command, str]] = {}

    def add(self, command: Command, name: str | None = None) -> None:
        """Let ``taskhero NAME`` be this command.

        Args:
            command: A command of click.
            name: The verb; the command's own name if none is given.

        Raises:
            PluginError: It is no command, or its name is no verb, is taskhero's own or another plugin's.
        """
        given: Any = command
        if inspect.isclass(given) or not callable(getattr(given, "make_context", None)):
            raise PluginError(f"{given!r} is no command: put @click.command() above the function")
        verb = (command.name or "") if name is None else name
        if not _VERB.fullmatch(str(verb)):
            raise PluginError(f"{verb!r} is no verb: use small letters, digits and single hyphens")
        if verb in self._taken:
            raise PluginError(f"the command {verb!r} is taskhero's own, and {self.plugin} has one, too: rename it")
        if verb in self._commands and self._commands[verb][0] is not command:
            raise PluginError(f"two plugins have a command {verb!r}: {self._commands[verb][1]} and {self.plugin}")
        self._commands[verb] = (command, self.plugin)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._commands))

    def get(self, verb: str) -> Command | None:
        """The command, or None."""
        found = self._commands.get(verb)
        return None if found is None else found[0]

    def of(self, plugin: str) -> tuple[str, ...]:
        """The verbs of one plugin, sorted."""
        return tuple(verb for verb in self if self._commands[verb][1] == plugin)

    def copy(self, plugin: str) -> CommandRegistry:
        """One with the same commands, for a plugin to add to."""
        copied = CommandRegistry(self._taken)
        copied.plugin = plugin
        copied._commands.update(self._commands)
        return copied

    def adopt(self, other: CommandRegistry) -> None:
        """Take over another one's commands."""
        self._commands = dict(other._commands)
