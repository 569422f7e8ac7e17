"""The group of all verbs: each is imported when it is asked for, and each error is said in a line or two.

Installed plugins may add verbs. They are looked for only when they are needed: for the help, for completion, and for a
verb that is not taskhero's own.
"""

from __future__ import annotations

import difflib
import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from taskhero.cli.hints import command_hint, option_hint
from taskhero.errors import TaskheroError
from taskhero.hooks.command_registry import CommandRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["LazyGroup", "ListingGroup", "UsageError", "error_text"]

_MOST_LINES = 2
#: What a listing passes on to its verbs.
_PASSED_ON = {"app", "backend", "as_json"}
_ADDED = "taskhero: the commands of plugins"


def error_text(error: BaseException) -> str:
    """An error's text with what was noted of it, such as the file that was being loaded."""
    return "".join((str(error), *(f" ({note})" for note in getattr(error, "__notes__", ()))))


class LazyGroup(click.Group):
    """A group whose commands stand in modules of their own.

    An error that taskhero raises on purpose ends the program with its text and exit code 1; one in how the command was
    written ends it with 2.

    Attributes:
        places: ``module:attribute`` of each command, by its name.
        plugins: Tells the commands of plugins, given the names of ours.
    """

    places: Mapping[str, str]

    def __init__(
        self,
        *args: Any,
        places: Mapping[str, str] | None = None,
        plugins: Callable[[Collection[str]], CommandRegistry] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.places = places or {}
        self.plugins = plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*self._own(ctx), *self._added(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now, or None."""
        place = self.places.get(cmd_name)
        if place is not None:
            module, _, attribute = place.partition(":")
            command = getattr(import_module(module), attribute)
        else:
            command = super().get_command(ctx, cmd_name) or self._added(ctx).get(cmd_name)
        return command if isinstance(command, click.Command) else None

    def _own(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self.places]

    def _added(self, ctx: click.Context) -> CommandRegistry:
        """The commands of plugins, looked for once a run."""
        meta = ctx.find_root().meta
        if _ADDED not in meta:
            meta[_ADDED] = CommandRegistry() if self.plugins is None else self.plugins(self._own(ctx))
        found: CommandRegistry = meta[_ADDED]
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with."""
        _refuse_unknown(self, ctx, args)
        return super().resolve_command(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments that stand before the command."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.NoSuchOption as error:
            name = info_name or "taskhero"
            verb = next((word for word in args if word in self.places), "work")
            message = f"{name} has no option {error.option_name!r} of its own. Options of a verb stand behind it: "
            raise UsageError(f"{message}{name} {verb} {error.option_name} ...\nSee {name} --help") from error
        except click.UsageError as error:
            raise _short_help(error, info_name or "taskhero") from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except TaskheroError as error:
            lines = error_text(error).splitlines() or [type(error).__name__]
            raise click.ClickException("\n".join(lines[:_MOST_LINES])) from error
        except click.UsageError as error:
            where = ctx if error.ctx is None else error.ctx
            raise _short_help(error, where.command_path) from error


class ListingGroup(click.Group):
    """A verb that lists if it is used alone, and has verbs of its own that show and mend: ``failed``, ``failed retry``.

    ``--app``, ``--backend`` and ``--json`` may stand before such a verb or behind it. Any other option of the listing
    that stands before it is refused, since it would say nothing there: ``failed --queue mail remove --all`` must not
    remove all that is in the list.
    """

    def __init__(self, name: str | None = None, *, callback: Callable[..., Any] | None = None, **more: Any) -> None:
        more = {"invoke_without_command": True, "subcommand_metavar": "[VERB ...]", **more}
        super().__init__(name, callback=None if callback is None else _if_alone(callback), **more)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the arguments begin with."""
        _refuse_unknown(self, ctx, args)
        return super().resolve_command(ctx, args)


def _if_alone(callback: Callable[..., Any]) -> Callable[..., Any]:
    """What lists, to be called only if no verb follows."""

    @functools.wraps(callback)
    def call(**given: Any) -> Any:
        context = click.get_current_context()
        verb = context.invoked_subcommand
        if verb is None:
            return callback(**given)
        for option in context.command.params:
            name = option.name or ""
            typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            if typed and name not in _PASSED_ON:
                raise click.UsageError(
                    f"{option.opts[0]} stands before {verb!r} and says nothing there; write it behind"
                )
        return None

    return call


def _refuse_unknown(group: click.Group, ctx: click.Context, args: list[str]) -> None:
    if args and not args[0].startswith("-") and group.get_command(ctx, args[0]) is None:
        near = difflib.get_close_matches(args[0], group.list_commands(ctx), n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        if ctx.parent is None and (hint := command_hint(args[0])):
            guess = f" {hint}"
        ctx.fail(f"No such command {args[0]!r}.{guess}")


class UsageError(click.ClickException):
    """An error in how a command was written, in a line or two."""

    exit_code = 2


def _short_help(error: click.UsageError, command: str) -> click.ClickException:
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        hint = option_hint(error.option_name, error.ctx.info_name or "")
        message = f"No such option {error.option_name!r}: {hint}" if hint else message
    if "\n" in message:
        return error  # it is the help itself
    return UsageError(f"{message}\nSee {command} --help")
