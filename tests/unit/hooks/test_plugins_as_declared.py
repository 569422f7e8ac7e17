"""What a plugin may look like: each mistake fails where the plugin is given, and the message names what is known."""

from __future__ import annotations

import types

import attrs
import pytest

from taskhero import Job, TaskHero, hookimpl, task
from taskhero.errors import PluginError, UnknownPlugin
from taskhero.hooks.manager import PluginManager
from taskhero.hooks.plugin_reader import HOOKS


@attrs.frozen(eq=False)
class Good:
    answer: object = None

    @hookimpl
    def taskhero_before_enqueue(self, job):
        return self.answer


class Misspelt:
    @hookimpl
    def taskhero_before_enque(self, job): ...


class Unmarked:
    def taskhero_before_enqueue(self, job): ...


class WrongArgument:
    @hookimpl
    def taskhero_before_enqueue(self, job, context): ...


class Defaulted:
    @hookimpl
    def taskhero_before_enqueue(self, job, ctx=None): ...


class AsyncWrapper:
    @hookimpl(wrapper=True)
    async def taskhero_before_perform(self, job):
        yield


class NoWrapper:
    @hookimpl(hookwrapper=True)
    def taskhero_before_perform(self, job): ...


class TwoWrappers:
    @hookimpl(wrapper=True, hookwrapper=True)
    def taskhero_before_perform(self, job):
        yield


class AsyncGuards:
    @hookimpl
    async def taskhero_guards(self, job): ...


class Override:
    @hookimpl
    def taskhero_make_queue(self, ctx): ...


class Nothing:
    pass


MISTAKES = [
    (Good, r"Good is a class: pass an instance, Good\(\.\.\.\)"),
    (
        Misspelt(),
        r"Misspelt.taskhero_before_enque is not a hook of taskhero; did you mean 'taskhero_before_enqueue'\?",
    ),
    (Unmarked(), "Unmarked.taskhero_before_enqueue has the name of a hook but is not marked: put @hookimpl above it"),
    (WrongArgument(), r"takes 'context', which taskhero_before_enqueue does not pass \(it passes: job, ctx\)"),
    (Defaulted(), "has a default for 'ctx'"),
    (AsyncWrapper(), "AsyncWrapper.taskhero_before_perform is a wrapper without a yield: write it with a plain def"),
    (NoWrapper(), "NoWrapper.taskhero_before_perform is a wrapper without a yield: write it with a plain def"),
    (TwoWrappers(), "TwoWrappers.taskhero_before_perform is marked as wrapper and as hookwrapper: keep wrapper=True"),
    (AsyncGuards(), "AsyncGuards.taskhero_guards is async, but this hook is not awaited"),
    (Nothing(), "Nothing has no hooks: mark functions with @hookimpl .known: taskhero_after_enqueue"),
    (None, "NoneType has no hooks"),
]
MISTAKES_ON_A_TASK = [
    (Override(), r"Override.taskhero_make_queue works app-wide only: pass the plugin to TaskHero\(plugins="),
]


def add(a: int, b: int) -> int:
    return a + b


def hooks_of(plugin):
    manager = PluginManager((plugin,))
    return manager.app_wide()[0].hooks


@pytest.mark.parametrize(("plugin", "sentence"), MISTAKES + MISTAKES_ON_A_TASK)
def test_a_mistake_on_a_task_fails_when_the_task_is_declared(plugin, sentence):
    app = TaskHero()
    with pytest.raises(PluginError, match=sentence):
        app.task(plugins=(plugin,))(add)
    assert "add" not in app.tasks
    with pytest.raises(PluginError, match=sentence):
        task(plugins=(plugin,))(add)


@pytest.mark.parametrize(("plugin", "sentence"), MISTAKES)
def test_a_mistake_in_an_app_wide_plugin_fails_when_the_app_is_made(plugin, sentence):
    with pytest.raises(PluginError, match=sentence):
        TaskHero(plugins=(plugin,))


def test_a_hook_may_go_by_another_name_and_that_is_checked_too():
    class Renamed:
        @hookimpl(specname="taskhero_before_enqueue")
        def check(self, job): ...

    class Wrong:
        @hookimpl(specname="taskhero_enqueue")
        def check(self, job): ...

    assert hooks_of(Renamed()) == ("taskhero_before_enqueue",)
    with pytest.raises(PluginError, match="Wrong.check is not a hook of taskhero"):
        hooks_of(Wrong())


def test_a_hook_of_another_version_may_be_marked_as_optional():
    class Newer(Good):
        @hookimpl(optionalhook=True)
        def taskhero_before_lunch(self, menu): ...

    assert hooks_of(Newer()) == ("taskhero_before_enqueue",)


def test_a_module_is_a_plugin_too():
    module = types.ModuleType("their_plugin")

    @hookimpl
    def taskhero_after_enqueue(job): ...

    module.taskhero_after_enqueue = taskhero_after_enqueue
    assert hooks_of(module) == ("taskhero_after_enqueue",)


def test_equal_plugins_are_two_plugins_whatever_their_class_says():
    @attrs.frozen  # with equality, which the docs advise against
    class Equal:
        @hookimpl
        def taskhero_before_enqueue(self, job): ...

    app = TaskHero(plugins=(Equal(), Equal()))
    assert len(app.plugins.scope.of("taskhero_before_enqueue")) == 2


def test_every_hook_is_known_with_its_arguments():
    assert HOOKS["taskhero_before_enqueue"] == ("job", "ctx")
    assert HOOKS["taskhero_after_enqueue"] == ("job", "ctx")
    assert HOOKS["taskhero_before_perform"] == ("job", "ctx")
    assert HOOKS["taskhero_after_perform"] == ("job", "ctx", "outcome")
    assert HOOKS["taskhero_guards"] == ("job",)
    assert {name for name in HOOKS if "make" in name} == {
        "taskhero_make_queue",
        "taskhero_make_scheduler",
        "taskhero_make_multi_worker",
    }


# --- plugins by name

KNOWN = "delay-queue-lock, good, job-lock, limit, noop, queue-lock, retry"


@attrs.frozen(eq=False)
class Limit:
    limit: int
    delay: float = 5.0

    def __attrs_post_init__(self):
        if self.limit < 1:
            raise ValueError("limit must be 1 or more")

    @hookimpl
    def taskhero_before_perform(self, job):
        return self


class Names:
    @hookimpl
    def taskhero_register_plugins(self, registry):
        registry.add("limit", Limit, "Limit", "rateLimit")
        registry.add("good", Good)


def declared(plugins, options=None):
    app = TaskHero(plugins=(Names(),))
    task = app.task(plugins=plugins, plugin_options=options)(add)
    (impl,) = task.scope.of("taskhero_before_perform") or task.scope.of("taskhero_before_enqueue")
    return impl.call(Job("add"), None)


@pytest.mark.parametrize("name", ["limit", "Limit", "rateLimit"])
@pytest.mark.parametrize("key", ["limit", "Limit"])
def test_a_plugin_may_be_given_by_a_name_with_options(name, key):
    plugin = declared((name,), {key: {"limit": 3}})
    assert (type(plugin), plugin.limit, plugin.delay) == (Limit, 3, 5.0)


@pytest.mark.parametrize(
    ("plugins", "options", "error", "sentence"),
    [
        (("limt",), None, UnknownPlugin, rf"no plugin has the name 'limt'; did you mean 'limit'\? \(known: {KNOWN}\)"),
        (("job_lock",), None, UnknownPlugin, r"no plugin has the name 'job_lock'; did you mean 'job-lock'\?"),
        (("zzz",), None, UnknownPlugin, rf"no plugin has the name 'zzz' \(known: {KNOWN}\)"),
        (
            ("limit",),
            None,
            PluginError,
            r"plugin 'limit' cannot be created: missing .*'limit' \(its options: limit, delay\)",
        ),
        (
            ("limit",),
            {"limit": {"limit": 3, "dealy": 1}},
            PluginError,
            "it has no option 'dealy'; did you mean 'delay'",
        ),
        (("limit",), {"limit": {"limit": 3, 1: 1}}, PluginError, r"it has no option 1 \(its options: limit, delay\)"),
        (("limit",), {"limit": {"limit": 0}}, PluginError, "limit must be 1 or more"),
        (("good",), {"limit": {"limit": 3}}, PluginError, "options for 'limit', which plugins does not name"),
        (("good",), {"zzz": {}}, UnknownPlugin, "no plugin has the name 'zzz'"),
        (("good",), {Good: {}}, UnknownPlugin, "no plugin has the name <class"),
        (
            ("limit", "rateLimit"),
            {"limit": {"limit": 3}},
            PluginError,
            "names 'limit' and 'rateLimit', which are the same",
        ),
        (
            ("limit",),
            {"limit": {"limit": 3}, "Limit": {"limit": 4}},
            PluginError,
            "plugin_options has options for 'limit' and 'Limit', which are the same plugin: keep one",
        ),
    ],
)
def test_a_wrong_name_or_option_fails_when_the_task_is_declared(plugins, options, error, sentence):
    with pytest.raises(error, match=sentence):
        declared(plugins, options)


def test_two_plugins_of_one_name_are_refused():
    class Other:
        @hookimpl
        def taskhero_register_plugins(self, registry):
            registry.add("limit", Good)

    with pytest.raises(PluginError, match=r"two plugins have the name 'limit', .*Limit and .*Good"):
        TaskHero(plugins=(Names(), Other()))


def test_an_app_wide_plugin_may_be_given_by_a_name_that_one_before_it_registered():
    app = TaskHero(plugins=(Names(), "good"))
    assert len(app.plugins.scope.of("taskhero_before_enqueue")) == 1


def test_a_str_is_no_sequence_of_plugins():
    with pytest.raises(ValueError, match=r"plugins='retry' is not a sequence: pass a tuple, such as \('retry',\)"):
        TaskHero().task(plugins="retry")(add)
    with pytest.raises(PluginError, match="plugins='retry' is not a sequence of plugins"):
        TaskHero(plugins="retry")
