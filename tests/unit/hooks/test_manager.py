"""Installed plugins: when they are loaded, which are, and what becomes of broken ones; and overrides."""

from __future__ import annotations

import logging
import sys
from importlib import metadata

import pytest

from taskhero import Queue, TaskHero, hookimpl
from taskhero._internal import entry_points as distributions
from taskhero.errors import AmbiguousOverride, PluginError, UnknownPlugin
from taskhero.hooks import installed

pytestmark = pytest.mark.anyio

MODULES = {
    "one_plugin": "from taskhero import hookimpl\n@hookimpl\ndef taskhero_before_enqueue(job): return None\n",
    "another_plugin": "from taskhero import hookimpl\n@hookimpl\ndef taskhero_before_enqueue(job): return False\n",
    "names_plugin": (
        "from taskhero import hookimpl\n"
        "class Strict:\n"
        "    @hookimpl\n"
        "    def taskhero_before_perform(self, job): ...\n"
        "@hookimpl\n"
        "def taskhero_register_plugins(registry): registry.add('strict', Strict)\n"
    ),
    "broken_plugin": "raise ImportError('no module named gone')\n",
    "misspelt_plugin": "from taskhero import hookimpl\n@hookimpl\ndef taskhero_before_enque(job): ...\n",
    "class_plugin": "class Plugin: ...\n",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install plugins as entry points: name to what it stands for."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    asked = []

    def install(**points):
        def entry_points(*, group):
            asked.append(group)
            return [metadata.EntryPoint(name, value, group) for name, value in points.items() if group == "taskhero"]

        monkeypatch.setattr(distributions.metadata, "entry_points", entry_points)
        return asked

    monkeypatch.delenv(installed.SWITCH, raising=False)
    return install


async def test_installed_plugins_are_loaded_when_the_app_connects_not_before(install):
    asked = install(one="one_plugin")
    app = TaskHero()
    add = app.task(name="add")(lambda: None)
    assert asked == []
    assert "one_plugin" not in sys.modules
    async with app:
        assert asked == ["taskhero"]
        assert len(add.scope.of("taskhero_before_enqueue")) == 1
    async with app:
        assert asked == ["taskhero"]


async def test_a_broken_plugin_stops_nobody_and_is_kept_for_display(install, caplog):
    install(b="broken_plugin", c="misspelt_plugin", d="class_plugin:Plugin", e="gone_plugin", a="one_plugin")
    async with TaskHero() as app:
        assert [(found.name, found.state) for found in app.plugins.found] == [
            ("a", "loaded"),
            ("b", "failed"),
            ("c", "failed"),
            ("d", "failed"),
            ("e", "failed"),
        ]
        errors = {found.name: found.error for found in app.plugins.found}
        assert errors["b"] == "ImportError: no module named gone"
        assert "did you mean 'taskhero_before_enqueue'?" in errors["c"]
        assert "Plugin is a class" in errors["d"]
        assert len(app.plugins.scope.of("taskhero_before_enqueue")) == 1
    assert [(record.levelno, record.plugin) for record in caplog.records] == [
        (logging.WARNING, name) for name in ("b", "c", "d", "e")
    ]


def test_installed_plugins_come_behind_those_given_and_in_the_order_of_their_names(install):
    install(z="one_plugin", y="another_plugin")

    class Given:
        @hookimpl
        def taskhero_before_enqueue(self, job): ...

    app = TaskHero(plugins=(Given(),))
    app.plugins.load()
    order = [impl.plugin.rpartition(".")[2] for impl in app.plugins.scope.of("taskhero_before_enqueue")]
    assert order == ["Given", "another_plugin", "one_plugin"]


@pytest.mark.parametrize(
    ("switch", "states"),
    [
        ("none", {"a": "off", "b": "off"}),
        ("NONE", {"a": "off", "b": "off"}),
        ("a", {"a": "loaded", "b": "off"}),
        ("b, a", {"a": "loaded", "b": "loaded"}),
        ("", {"a": "loaded", "b": "loaded"}),
    ],
)
def test_the_environment_says_which_are_loaded(install, monkeypatch, switch, states):
    install(a="one_plugin", b="another_plugin")
    monkeypatch.setenv("TASKHERO_PLUGINS", switch)
    app = TaskHero()
    app.plugins.load()
    assert {found.name: found.state for found in app.plugins.found} == states
    assert ("one_plugin" in sys.modules) is (states["a"] == "loaded")


def test_a_name_in_the_environment_that_is_not_installed_is_told(install, monkeypatch, caplog):
    install(a="one_plugin")
    monkeypatch.setenv("TASKHERO_PLUGINS", "a,zzz")
    TaskHero().plugins.load()
    assert [record.getMessage() for record in caplog.records] == [
        "TASKHERO_PLUGINS names 'zzz', but no such plugin is installed"
    ]


def test_a_task_may_name_a_plugin_that_only_an_installed_one_registers(install):
    asked = install(names="names_plugin")
    app = TaskHero()
    app.task(name="plain")(lambda: None)
    assert asked == []
    strict = app.task(name="strict", plugins=("strict",))(lambda: None)
    assert len(strict.scope.of("taskhero_before_perform")) == 1
    with pytest.raises(UnknownPlugin, match=r"no plugin has the name 'strictly'; did you mean 'strict'"):
        app.task(name="other", plugins=("strictly",))(lambda: None)


# --- overrides


class MyQueue(Queue):
    pass


class TheirQueue(Queue):
    pass


class Makes:
    @hookimpl
    def taskhero_make_queue(self, ctx):
        return MyQueue(ctx)


class MakesToo:
    @hookimpl
    def taskhero_make_queue(self, ctx):
        return TheirQueue(ctx)


class MakesNone:
    @hookimpl
    def taskhero_make_queue(self): ...


def test_a_hook_beats_the_default():
    assert type(TaskHero(plugins=(MakesNone(),)).queue) is Queue
    assert type(TaskHero(plugins=(MakesNone(), Makes())).queue) is MyQueue


def test_an_argument_beats_a_hook():
    assert type(TaskHero(queue=TheirQueue, plugins=(Makes(),)).queue) is TheirQueue
    assert type(TaskHero(queue=TheirQueue, plugins=(Makes(), MakesToo())).queue) is TheirQueue


async def test_two_that_both_answer_are_an_error_that_names_both():
    app = TaskHero(plugins=(Makes(), MakesToo()))
    with pytest.raises(AmbiguousOverride, match=r"Makes and MakesToo each answer taskhero_make_queue"):
        _ = app.queue
    with pytest.raises(AmbiguousOverride, match="Makes and MakesToo"):
        async with app:
            pass


def test_what_is_no_queue_is_refused():
    class MakesText:
        @hookimpl
        def taskhero_make_queue(self, ctx):
            return "queue"

    with pytest.raises(PluginError, match="'queue': return an instance of a class derived from taskhero.Queue"):
        _ = TaskHero(plugins=(MakesText(),)).queue
    with pytest.raises(PluginError, match="None: return an instance of a class derived"):
        _ = TaskHero(queue=lambda context: None).queue
    with pytest.raises(PluginError, match="queue=.* is not callable: pass the class"):
        TaskHero(queue=TaskHero().queue)
    with pytest.raises(PluginError, match="scheduler=3 is not callable"):
        TaskHero(scheduler=3)
