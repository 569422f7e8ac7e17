"""`app.plugins` is a plugin manager of pluggy: what a user of pluggy knows works, for plugins of tasks as well."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from importlib import metadata

import attrs
import pluggy
import pytest

from taskhero import TaskHero, hookimpl
from taskhero._internal import entry_points as distributions
from taskhero.errors import PluginError
from taskhero.hooks import PluginManager
from taskhero.plugins import QueueLock, Retry

pytestmark = pytest.mark.anyio


@attrs.frozen  # with equality, so that pluggy itself takes equal ones for one
class Says:
    word: str
    said: list = attrs.field(factory=list, eq=False)

    @hookimpl
    def taskhero_before_enqueue(self, job):
        self.said.append((self.word, job.name))


def app_with(*plugins, **tasks):
    app = TaskHero(plugins=plugins)
    for name, own in tasks.items():
        app.task(name=name, plugins=own)(lambda: None)
    return app


async def said(app, *names):
    """Enqueue these tasks, and return what the plugins said, each list of words once."""
    lists = {id(one.plugin.said): one.plugin.said for _, one in app.plugins.list_name_plugin() if one and says(one)}
    for words in lists.values():
        words.clear()
    async with app:
        for name in names:
            await app.queue.enqueue(name, queue="any")
    return [word for words in lists.values() for word in words]


def says(registered):
    return isinstance(registered.plugin, Says)


# --- list


def test_each_plugin_is_listed_under_a_name_of_its_own():
    app = app_with(Says("all"), Says("all"), add=(Says("own"), Retry(limit=3), Retry(limit=4)), sub=(Says("own"),))
    names = dict(app.plugins.list_name_plugin())
    assert list(names) == [
        "taskhero.plugins.shipped_plugins",
        "Says",
        "Says#2",
        "add:Says",
        "add:Retry",
        "add:Retry#2",
        "sub:Says",
    ]
    assert app.plugins.get_plugins() == set(names.values())
    one = app.plugins.get_plugin("add:Retry#2")
    assert (one.plugin.limit, one.task, one.name, one.label) == (4, "add", "add:Retry#2", "Retry")
    assert one.hooks == ("taskhero_after_perform", "taskhero_needs")
    assert repr(one).startswith("<RegisteredPlugin 'add:Retry#2': Retry(limit=4")


async def test_equal_plugins_on_two_tasks_are_two_plugins():
    words = []
    app = app_with(add=(Says("equal", words),), sub=(Says("equal", words),))
    assert await said(app, "add", "sub") == [("equal", "add"), ("equal", "sub")]


async def test_one_object_may_be_app_wide_and_of_a_task():
    both = Says("both")
    app = app_with(both, add=(both,), sub=())
    assert await said(app, "add", "sub") == [("both", "add"), ("both", "add"), ("both", "sub")]
    assert app.plugins.is_registered(both)
    assert app.plugins.get_name(both) == "Says"
    assert [caller.name for caller in app.plugins.get_hookcallers(both)] == ["taskhero_before_enqueue"]


def test_what_is_not_registered_has_no_name():
    """Not even if it is equal to what is."""
    manager = PluginManager((Says("equal"),))
    assert manager.get_name(Says("equal")) is manager.get_hookcallers(Says("equal")) is None
    assert not manager.is_registered(Says("equal"))
    assert manager.get_canonical_name(Says("equal")) == "Says"
    assert manager.get_canonical_name(manager.get_plugin("Says")) == "Says"


def test_a_plugin_with_attributes_named_as_ours_keeps_its_hooks():
    class Tricky:
        @hookimpl(specname="taskhero_before_enqueue")
        def plugin(self, job): ...

        @hookimpl(specname="taskhero_before_enqueue")
        def task(self, job): ...

        @hookimpl(optionalhook=True)
        def name(self, anything): ...

    manager = PluginManager((tricky := Tricky(),))
    assert manager.get_plugin(tricky.__class__.__qualname__).plugin is tricky
    assert len(manager.scope.of("taskhero_before_enqueue")) == 2
    manager.unregister(tricky)
    assert manager.scope.of("taskhero_before_enqueue") == ()


# --- block, unregister, register


async def test_a_plugin_of_a_task_that_is_blocked_stops_to_act_for_this_task_only():
    app = app_with(add=(Says("add"),), sub=(Says("sub"),))
    app.plugins.set_blocked("add:Says")
    assert app.plugins.is_blocked("add:Says")
    assert not app.tasks["add"].scope.enqueues
    assert await said(app, "add", "sub") == [("sub", "sub")]


async def test_a_plugin_that_is_blocked_before_it_is_given_never_acts():
    app = app_with()
    app.plugins.set_blocked("Says")
    app.plugins.set_blocked("add:Says")
    says = Says("no")
    assert app.plugins.register(says) is None
    app.task(name="add", plugins=(says,))(lambda: None)
    assert not app.plugins.is_registered(says)
    async with app:
        await app.queue.enqueue("add")
    assert says.said == []
    assert app.plugins.unblock("Says")
    assert app.plugins.register(says) == "Says"
    assert await said(app, "add") == [("no", "add")]


async def test_an_app_wide_plugin_that_is_unregistered_stops_to_act_for_all_tasks():
    gone, kept = Says("gone"), Says("kept")
    app = app_with(gone, kept, add=(), sub=(Says("own"),))
    assert app.plugins.unregister(gone) is gone
    assert app.plugins.plugins == [kept]
    assert await said(app, "add", "sub") == [("kept", "add"), ("kept", "sub"), ("own", "sub")]
    assert app.plugins.unregister(name="Says#2").plugin is kept
    assert app.plugins.unregister(name="Says#2") is None
    assert not app.tasks["add"].scope.enqueues


async def test_an_object_is_unregistered_for_the_app_and_all_tasks_unless_a_name_says_which():
    both = Says("both")
    app = app_with(both, add=(both,), sub=(both,))
    assert app.plugins.unregister(both, "sub:Says") is both
    assert await said(app, "add", "sub") == [("both", "add"), ("both", "add"), ("both", "sub")]
    with pytest.raises(PluginError, match="is not registered as 'sub:Says': see list_name_plugin"):
        app.plugins.unregister(both, "sub:Says")
    app.plugins.unregister(both)
    with pytest.raises(PluginError, match=r"Says\(.*\) is not registered: see list_name_plugin\(\)"):
        app.plugins.unregister(both)
    assert list(dict(app.plugins.list_name_plugin())) == ["taskhero.plugins.shipped_plugins"]


async def test_a_plugin_that_is_registered_later_acts():
    """For all tasks, or for one, which may be declared even later."""
    app = app_with(add=(), sub=())
    assert app.plugins.register(Says("all"), "mine") == "mine"
    assert app.plugins.register(Says("sub"), task="sub") == "sub:Says"
    assert app.plugins.register(Says("div"), task="div") == "div:Says"
    app.task(name="div")(lambda: None)
    assert await said(app, "add", "sub", "div", "unknown") == [
        ("all", "add"),
        ("all", "sub"),
        ("all", "div"),
        ("all", "unknown"),
        ("sub", "sub"),
        ("div", "div"),
    ]
    with pytest.raises(ValueError, match="mine"):
        app.plugins.register(Says("other"), "mine")


async def test_what_was_unregistered_by_name_can_be_registered_again_as_it_was():
    app = app_with(add=(Says("own"),), sub=())
    gone = app.plugins.unregister(name="add:Says")
    assert not app.tasks["add"].scope.enqueues
    assert app.plugins.register(gone) == "add:Says"
    assert await said(app, "add", "sub") == [("own", "add")]


def test_a_plugin_that_is_refused_changes_nothing():
    class Misspelt:
        @hookimpl
        def taskhero_before_enque(self, job): ...

    app = app_with(Says("all"))
    before = app.plugins.list_name_plugin()
    with pytest.raises(PluginError, match="did you mean 'taskhero_before_enqueue'"):
        app.plugins.register(Misspelt())
    with pytest.raises(PluginError, match="did you mean 'taskhero_before_enqueue'"):
        app.plugins.task_scope("add", (QueueLock(), Misspelt()))
    assert app.plugins.list_name_plugin() == before
    assert len(app.plugins.scope.of("taskhero_before_enqueue")) == 1
    assert app.plugins.of_task("add") == []


def test_names_that_an_unregistered_plugin_registered_are_gone():
    """But not those that another plugin registered, too."""

    @attrs.frozen(eq=False)
    class Names:
        names: tuple

        @hookimpl
        def taskhero_register_plugins(self, registry):
            for name in self.names:
                registry.add(name, Says)

    app = app_with(one := Names(("one", "both")), Names(("both",)))
    app.plugins.unregister(one)
    assert app.plugins.registry.known() == [
        "both",
        "delay-queue-lock",
        "job-lock",
        "noop",
        "queue-lock",
        "retry",
    ]


# --- check_pending and specifications of others


def test_check_pending_suggests_the_hook_that_is_meant():
    """`register` refuses such a plugin already, so this one is registered past it."""

    class Misspelt:
        @hookimpl
        def taskhero_before_enque(self, job): ...

    class Newer:
        @hookimpl(optionalhook=True)
        def taskhero_before_lunch(self, menu): ...

        @hookimpl
        def taskhero_before_enqueue(self, job): ...

    manager = PluginManager((Newer(),))
    manager.check_pending()
    pluggy.PluginManager.register(manager, Misspelt(), "mine")
    with pytest.raises(
        pluggy.PluginValidationError,
        match=r"mine.taskhero_before_enque is not a hook of taskhero; did you mean 'taskhero_before_enqueue'\?",
    ):
        manager.check_pending()


def test_a_plugin_may_bring_hooks_of_its_own_for_other_plugins():
    module = types.ModuleType("their_specs")

    @pluggy.HookspecMarker("taskhero")
    def menu_of_the_day(day): ...

    module.menu_of_the_day = menu_of_the_day

    class Cook:
        @hookimpl
        def menu_of_the_day(self, day):
            return f"soup on {day}"

    class Wrong:
        @hookimpl
        def menu_of_the_day(self, week): ...

    manager = PluginManager()
    with pytest.raises(PluginError, match="Cook.menu_of_the_day is not a hook of taskhero"):
        manager.register(Cook())
    manager.add_hookspecs(module)
    manager.register(Cook())
    registered = manager.list_name_plugin()
    with pytest.raises(PluginError, match=r"is not a valid plugin: (?s:.*)week"):
        manager.register(Wrong())
    assert manager.list_name_plugin() == registered
    assert manager.hook.menu_of_the_day(day="monday") == ["soup on monday"]
    manager.check_pending()


# --- installed plugins


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Two installed plugins, ``one`` and ``two``."""
    text = "from taskhero import hookimpl\n@hookimpl\ndef taskhero_before_enqueue(job): return None\n"
    for name in ("one_of_pluggy", "two_of_pluggy"):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (info := tmp_path / "both-1.0.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: both\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[taskhero]\none = one_of_pluggy\ntwo = two_of_pluggy\n")
    points = [point for point in metadata.Distribution.at(info).entry_points if point.group == "taskhero"]
    monkeypatch.setattr(distributions.metadata, "entry_points", lambda *, group: points if group == "taskhero" else [])
    monkeypatch.delenv("TASKHERO_PLUGINS", raising=False)


def imported():
    return {"one_of_pluggy", "two_of_pluggy"} & set(sys.modules)


def states(app):
    return {found.name: found.state for found in app.plugins.found}


async def test_installed_plugins_have_the_names_of_their_entry_points_once_the_app_connects(installed):
    app = app_with()
    assert not app.plugins.has_plugin("one")
    assert imported() == set()
    async with app:
        assert app.plugins.get_plugin("one").plugin is sys.modules["one_of_pluggy"]
        assert app.plugins.get_plugin("two").label == "two_of_pluggy"
        app.plugins.set_blocked("one")
        assert states(app) == {"one": "off", "two": "loaded"}
        assert len(app.plugins.scope.of("taskhero_before_enqueue")) == 1


async def test_a_blocked_entry_point_is_not_even_imported(installed):
    app = app_with()
    app.plugins.set_blocked("one")
    async with app:
        assert states(app) == {"one": "off", "two": "loaded"}
    assert imported() == {"two_of_pluggy"}


async def test_pluggys_own_loading_of_entry_points_loads_each_once(installed):
    app = app_with()
    assert app.plugins.load_setuptools_entrypoints("taskhero", "one") == 1
    assert imported() == {"one_of_pluggy"}
    async with app:
        assert states(app) == {"one": "loaded", "two": "loaded"}
        assert len(app.plugins.scope.of("taskhero_before_enqueue")) == 2
    assert [dist.project_name for _, dist in app.plugins.list_plugin_distinfo()] == ["both"]


# --- memory


def test_the_plugins_go_with_the_app():
    class Mine(Says): ...

    app = app_with(one := Mine("all"), add=(two := Mine("own"),))
    app.plugins.add_hookcall_monitoring(print, print)
    app.plugins.unregister(name=app.plugins.get_name(one))
    gone = [weakref.ref(it) for it in (app.plugins, one, two)]
    del app, one, two
    gc.collect()
    assert [ref() for ref in gone] == [None, None, None]
