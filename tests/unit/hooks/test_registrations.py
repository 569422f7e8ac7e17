"""The hooks that register: plugins by name, backends by scheme, commands by verb."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import click
import pytest

from taskhero import TaskHero, hookimpl
from taskhero.backends import registry as drivers
from taskhero.backends.memory import MemoryBackend
from taskhero.errors import PluginError, UnknownBackend
from taskhero.hooks.command_registry import CommandRegistry
from taskhero.hooks.manager import PluginManager


class Notes(MemoryBackend):
    """A driver of somebody's."""

    @classmethod
    def from_url(cls, url, *, namespace="resque"):
        backend = cls()
        backend.url = url
        return backend


class OtherNotes(Notes):
    """Another one's."""


class Registers:
    """Registers what it is given, by whatever hook."""

    def __init__(self, *what):
        self.what = what


class Backends(Registers):
    @hookimpl
    def taskhero_register_backends(self, registry):
        registry.add(*self.what)


class Commands(Registers):
    @hookimpl
    def taskhero_register_commands(self, registry):
        registry.add(*self.what)


class MoreCommands(Commands):
    """Another plugin, with a name of its own."""


@click.command()
def tidy():
    """Tidy up."""


# --- taskhero_register_plugins


def test_taskhero_register_plugins_takes_a_plugin_in_whole_or_not_at_all():
    """One whose second name is taken leaves no first one behind, nor its hooks."""

    class First:
        @hookimpl
        def taskhero_register_plugins(self, registry):
            registry.add("good", Registers)

    class Second:
        @hookimpl
        def taskhero_register_plugins(self, registry):
            registry.add("fresh", Notes)
            registry.add("good", Notes)

        @hookimpl
        def taskhero_before_enqueue(self): ...

    manager = PluginManager((First(),))
    with pytest.raises(PluginError, match=r"two plugins have the name 'good', .*Registers and .*Notes"):
        manager.register(Second())
    assert manager.registry.known() == ["good"]
    assert manager.scope.of("taskhero_before_enqueue") == ()
    assert len(manager.plugins) == 1


# --- taskhero_register_backends


def test_taskhero_register_backends_lets_an_apps_plugin_answer_to_a_scheme():
    """For its own app only, also when it is reconfigured."""
    app = TaskHero("notes://a", plugins=(Backends("notes", Notes),))
    assert (type(app.backend), app.backend.url) == (Notes, "notes://a")
    app.reconfigure(backend="notes://b")
    assert app.backend.url == "notes://b"
    with pytest.raises(UnknownBackend, match="no backend has the scheme notes://"):
        TaskHero("notes://a")


def test_taskhero_register_backends_is_asked_of_installed_plugins_when_a_scheme_is_unknown(tmp_path, monkeypatch):
    """Not before: a URL that is known loads no plugin."""
    code = "from taskhero import hookimpl\nfrom taskhero.backends.memory import MemoryBackend\n"
    code += "class Mine(MemoryBackend):\n    @classmethod\n    def from_url(cls, url, *, namespace): return cls()\n"
    code += "@hookimpl\ndef taskhero_register_backends(registry): registry.add('mine', Mine)\n"
    (tmp_path / "stores_plugin.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    points = EntryPoints([EntryPoint("stores", "stores_plugin", "taskhero")])
    monkeypatch.setattr("taskhero._internal.entry_points.metadata.entry_points", points.select)
    TaskHero("memory://")
    assert "stores_plugin" not in sys.modules
    assert type(TaskHero("mine://").backend).__name__ == "Mine"


def test_an_unknown_scheme_lists_what_plugins_registered():
    """As what entry points bring."""
    with pytest.raises(UnknownBackend, match=r"nodes://; did you mean 'notes://'\? .*memory, notes, redis"):
        TaskHero("nodes://", plugins=(Backends("notes", Notes),))


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (
            ("redis", Notes),
            r"redis:// is the scheme of taskhero.backends.redis:RedisBackend: register .*Notes for another",
        ),
        (("notes://", Notes), r"'notes://' is not a URL scheme: pass the part before '://', such as 'sqlite'"),
        (("Notes", Notes), "'Notes' is not a URL scheme"),
        ((3, Notes), "3 is not a URL scheme"),
        (("notes", int), r"the driver for notes://, builtins.int, has no method from_url"),
        (("notes", Notes.from_url), "has no method from_url"),
    ],
)
def test_what_cannot_be_a_driver_is_refused(what, sentence):
    """When the app is made."""
    with pytest.raises(PluginError, match=sentence):
        TaskHero(plugins=(Backends(*what),))


def test_two_plugins_with_one_scheme_are_refused_by_both_names():
    """The same driver twice is no conflict."""
    with pytest.raises(PluginError, match=r"notes:// has two drivers, .*\.Notes and .*\.OtherNotes: remove"):
        TaskHero(plugins=(Backends("notes", Notes), Backends("notes", OtherNotes)))
    TaskHero(plugins=(Backends("notes", Notes), Backends("notes", Notes)))


def test_a_plugin_and_an_entry_point_with_one_scheme_are_refused_by_both_names(monkeypatch):
    """Unless they are the same driver."""

    def installed(target):
        points = EntryPoints([EntryPoint("notes", f"{__name__}:{target}", drivers.GROUP)])
        monkeypatch.setattr(drivers, "entry_points", points.select)

    installed("OtherNotes")
    with pytest.raises(UnknownBackend, match=r"more than one driver: .*OtherNotes.* and .*Notes"):
        TaskHero("notes://", plugins=(Backends("notes", Notes),))
    installed("Notes")
    assert type(TaskHero("notes://", plugins=(Backends("notes", Notes),)).backend) is Notes


# --- taskhero_register_commands


def test_taskhero_register_commands_adds_verbs():
    """By the command's own name, or another one."""
    commands = PluginManager((Commands(tidy), MoreCommands(tidy, "tidy-up"))).commands()
    assert list(commands) == ["tidy", "tidy-up"]
    assert commands.get("tidy-up") is tidy
    assert commands.of("MoreCommands") == ("tidy-up",)
    assert commands.get("untidy") is None


def test_taskhero_register_commands_is_not_asked_by_an_app():
    """A worker needs no click."""

    class Explodes:
        @hookimpl
        def taskhero_register_commands(self, registry):
            raise AssertionError

    app = TaskHero(plugins=(Explodes(),))
    app.plugins.load()


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ((tidy, "work"), "the command 'work' is taskhero's own: rename the command of Commands"),
        ((tidy, "Tidy"), "'Tidy' is not a verb: use lower-case letters, digits and single hyphens"),
        ((tidy, "tidy up"), "'tidy up' is not a verb"),
        ((tidy, "--tidy"), "'--tidy' is not a verb"),
        ((tidy, ""), "'' is not a verb"),
        ((len,), "is not a command: put @click.command\\(\\) above the function"),
        ((click.Command,), "is not a command"),
    ],
)
def test_what_cannot_be_a_command_is_refused(what, sentence):
    """With the name of the plugin where it matters."""
    registry = CommandRegistry(("work",))
    registry.plugin = "Commands"
    with pytest.raises(PluginError, match=sentence):
        registry.add(*what)


def test_of_two_commands_with_one_name_the_first_stays_and_both_are_named(caplog):
    """The plugin that comes second is told of, and has none of its commands."""

    class Two:
        @hookimpl
        def taskhero_register_commands(self, registry):
            registry.add(tidy, "fresh")
            registry.add(click.Command("tidy"))

    commands = PluginManager((Commands(tidy), Two())).commands()
    assert list(commands) == ["tidy"]
    assert commands.get("tidy") is tidy
    (record,) = caplog.records
    assert "two plugins have a command 'tidy', Commands and " in record.getMessage()
    assert record.getMessage().startswith("The commands of ")


def test_the_hooks_know_no_click():
    """It is an extra of the command line."""
    code = "import sys, taskhero.hooks.manager, taskhero.hooks.command_registry; print('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
