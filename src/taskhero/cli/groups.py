"""Groups of verbs that import a verb on its first use and print an error in one or two lines.

Installed plugins may add verbs. They are loaded only for the help, for completion, and for a verb that is not
taskhero's own.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from taskhero._internal.escaping import escape
from taskhero._internal.suggestions import suggestion
from taskhero.cli.hints import command_hint, option_hint
from taskhero.cli.streams import end_without_output
from taskhero.errors import TaskheroError
from taskhero.hooks.command_registry import CommandRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["LazyGroup", "ListingGroup", "UsageError", "error_text"]

_MAX_LINES = 2
#: Options that a listing passes on to its verbs.
_INHERITED = {"app", "backend", "as_json", "wide", "utc"}
_PLUGIN_COMMANDS = "taskhero: the commands of plugins"


def error_text(error: BaseException) -> str:
    """Return an error's text with its notes, such as the name of the file that was loaded."""
    return "".join((str(error), *(f" ({note})" for note in getattr(error, "__notes__", ()))))


class LazyGroup(click.Group):
    """A group of commands that are imported on their first use.

    A `TaskheroError` ends the program with the error's text and exit code 1, a usage error with exit code 2.

    Attributes:
        import_paths: ``module:attribute`` of each command, by its name.
        plugins: Returns the commands of plugins. Its argument is the names of the built-in commands.
    """

    import_paths: Mapping[str, str]

    def __init__(
        self,
        *args: Any,
        import_paths: Mapping[str, str] | None = None,
        plugins: Callable[[Collection[str]], CommandRegistry] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.import_paths = import_paths or {}
        self.plugins = plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, sorted."""
        return sorted({*self._builtin_names(ctx), *self._plugin_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of this name, or return None."""
        path = self.import_paths.get(cmd_name)
        if path is not None:
            module, _, attribute = path.partition(":")
            command = getattr(import_module(module), attribute)
        else:
            command = super().get_command(ctx, cmd_name) or self._plugin_commands(ctx).get(cmd_name)
        return command if isinstance(command, click.Command) else None

    def _builtin_names(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self.import_paths]

    def _plugin_commands(self, ctx: click.Context) -> CommandRegistry:
        """Return the commands of plugins, which are loaded once for each run."""
        meta = ctx.find_root().meta
        if _PLUGIN_COMMANDS not in meta:
            meta[_PLUGIN_COMMANDS] = (
                CommandRegistry() if self.plugins is None else self.plugins(self._builtin_names(ctx))
            )
        found: CommandRegistry = meta[_PLUGIN_COMMANDS]
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments begin with."""
        _fail_if_unknown(self, ctx, args)
        return super().resolve_command(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments before the command."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.NoSuchOption as error:
            name = info_name or "taskhero"
            verb = next((word for word in args if word in self.import_paths), "work")
            message = f"{name} itself has no option {error.option_name!r}. Write a verb's options after the verb: "
            raise UsageError(f"{message}{name} {verb} {error.option_name} ...\nSee {name} --help") from error
        except click.UsageError as error:
            raise _short_help(error, info_name or "taskhero") from error
        except BrokenPipeError as error:
            end_without_output(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and turn its errors into short messages."""
        try:
            return super().invoke(ctx)
        except TaskheroError as error:
            lines = error_text(error).splitlines() or [type(error).__name__]
            raise click.ClickException(escape("\n".join(lines[:_MAX_LINES]), keep="\n")) from error
        except click.UsageError as error:
            context = ctx if error.ctx is None else error.ctx
            raise _short_help(error, context.command_path) from error
        except click.ClickException as error:
            error.message = escape(error.message, keep="\n")  # type: ignore[misc] # its class decides how it is shown
            raise
        except BrokenPipeError as error:
            # click itself would exit with code 1, which means a failure.
            end_without_output(error)


class ListingGroup(click.Group):
    """A verb that lists entries, and has sub-verbs that show or change them: ``failed``, ``failed retry``.

    ``--app``, ``--backend`` and ``--json`` may come before or after the sub-verb. Any other option of the listing
    before a sub-verb is an error: ``failed --queue mail remove --all`` must not remove the whole list.
    """

    def __init__(self, name: str | None = None, *, callback: Callable[..., Any] | None = None, **more: Any) -> None:
        more = {"invoke_without_command": True, "subcommand_metavar": "[VERB ...]", **more}
        super().__init__(name, callback=None if callback is None else _list_unless_verb(callback), **more)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the sub-verb that the arguments begin with."""
        _fail_if_unknown(self, ctx, args)
        return super().resolve_command(ctx, args)


def _list_unless_verb(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callback that lists only if no sub-verb follows."""

    @functools.wraps(callback)
    def call(**params: Any) -> Any:
        context = click.get_current_context()
        verb = context.invoked_subcommand
        if verb is None:
            return callback(**params)
        for option in context.command.params:
            name = option.name or ""
            typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            if typed and name not in _INHERITED:
                raise click.UsageError(f"{option.opts[0]} has no effect before {verb!r}: write it after {verb!r}")
        return None

    return call


def _fail_if_unknown(group: click.Group, ctx: click.Context, args: list[str]) -> None:
    if args and not args[0].startswith("-") and group.get_command(ctx, args[0]) is None:
        hint = suggestion(args[0], group.list_commands(ctx)) or "."
        if ctx.parent is None and (known := command_hint(args[0])):
            hint = f". {known}"
        ctx.fail(f"No such command {args[0]!r}{hint}")


class UsageError(click.ClickException):
    """A usage error of one or two lines."""

    exit_code = 2


def _short_help(error: click.UsageError, command: str) -> click.ClickException:
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        hint = option_hint(error.option_name, error.ctx.info_name or "")
        message = f"No such option {error.option_name!r}: {hint}" if hint else message
    if "\n" in message:
        return error  # the message is the help itself
    message = escape(message, keep="\n")
    return UsageError(f"{message}\nSee {command} --help")
