"""The order of hooks as pluggy's marks change it, wrappers around hooks, and monitors of hook calls."""

from __future__ import annotations

import attrs
import pytest

from taskhero import Queue, Success, TaskHero, hookimpl
from taskhero.errors import AmbiguousOverride, PluginError
from taskhero.plugins import QueueLock

pytestmark = pytest.mark.anyio


@attrs.frozen(eq=False)
class Says:
    word: str
    said: list = attrs.field(factory=list)

    @hookimpl
    def taskhero_before_enqueue(self, job):
        self.said.append(self.word)


def app_with(*plugins, **tasks):
    app = TaskHero(plugins=plugins)
    for name, own in tasks.items():
        app.task(name=name, plugins=own)(lambda: None)
    return app


# --- order and wrappers


async def test_tryfirst_and_trylast_order_the_plugins_of_the_app_and_then_those_of_the_task():
    words = []

    class First(Says):
        @hookimpl(tryfirst=True)
        def taskhero_before_enqueue(self, job):
            self.said.append(self.word)

    class Last(Says):
        @hookimpl(trylast=True)
        def taskhero_before_enqueue(self, job):
            self.said.append(self.word)

    def some(where):
        kinds = {"last": Last, "a": Says, "first": First, "b": Says, "last 2": Last, "first 2": First}
        return [kind(f"{where} {name}", words) for name, kind in kinds.items()]

    app = app_with(*some("app"), add=some("task"))
    async with app:
        await app.queue.enqueue("add")
    order = ["first", "first 2", "a", "b", "last", "last 2"]
    assert words == [f"{where} {name}" for where in ("app", "task") for name in order]


@attrs.frozen(eq=False)
class Wraps:
    name: str
    seen: list
    answer: object = None

    def steps(self):
        self.seen.append(f"{self.name} begins")
        try:
            result = yield
        except LookupError as error:
            self.seen.append(f"{self.name}: {error}")
            result = "rescued"
        else:
            self.seen.append((self.name, result))
        return result if self.answer is None else self.answer

    @hookimpl(wrapper=True)
    def taskhero_before_enqueue(self, job):
        return (yield from self.steps())

    @hookimpl(wrapper=True)
    def taskhero_before_perform(self):
        return (yield from self.steps())

    @hookimpl(wrapper=True)
    def taskhero_after_perform(self, outcome):
        return (yield from self.steps())

    @hookimpl(wrapper=True)
    def taskhero_guards(self):
        return (yield from self.steps())


class WrapsQueue(Wraps):
    @hookimpl(wrapper=True)
    def taskhero_make_queue(self):
        return (yield from self.steps())


class OldStyle:
    @hookimpl(hookwrapper=True)
    def taskhero_before_enqueue(self, job):
        outcome = yield
        if outcome.excinfo is not None:
            outcome.force_result(False)


@attrs.frozen(eq=False)
class Fails:
    error: Exception

    @hookimpl
    async def taskhero_before_enqueue(self):
        raise self.error


async def test_wrappers_surround_a_hook_that_is_awaited_the_apps_outside_the_tasks():
    seen = []
    app = app_with(Wraps("app", seen), Says("x"), add=(Wraps("task", seen),))
    async with app:
        assert await app.queue.enqueue("add") is True
    assert seen[:4] == ["app begins", "task begins", ("task", True), ("app", True)]
    assert seen[4:] == ["app begins", "task begins", ("task", ()), ("app", ())]


async def test_a_wrapper_may_change_the_decision():
    app = app_with(add=(Wraps("w", [], answer=False),))
    async with app:
        assert await app.queue.enqueue("add") is False


async def test_a_wrapper_gets_the_error_and_may_end_it():
    seen = []
    app = app_with(add=(Wraps("w", seen), Fails(LookupError("gone"))))
    async with app:
        assert await app.queue.enqueue("add") is True
        assert seen[:2] == ["w begins", "w: gone"]
    app = app_with(add=(OldStyle(), Fails(LookupError("gone"))))
    async with app:
        assert await app.queue.enqueue("add") is False


async def test_an_error_passes_wrappers_with_the_name_of_the_plugin_that_raised_it():
    app = app_with(Wraps("w", []), add=(Fails(OSError("disk")),))
    async with app:
        with pytest.raises(OSError, match="disk") as caught:
            await app.queue.enqueue("add")
    assert caught.value.__notes__ == ["raised by the plugin Fails"]


@pytest.mark.parametrize(("style", "count"), [("wrapper", 0), ("wrapper", 2), ("hookwrapper", 0), ("hookwrapper", 2)])
async def test_a_wrapper_that_does_not_yield_once_is_an_error_that_names_it(style, count):
    class Wrong:
        @hookimpl(**{style: True})
        def taskhero_before_enqueue(self):
            for _ in range(count):
                yield

    app = app_with(add=(Wrong(),))
    async with app:
        with pytest.raises(PluginError, match=r"Wrong: a wrapper (returned before its|has a second) yield"):
            await app.queue.enqueue("add")


async def test_an_error_of_a_wrapper_itself_has_its_plugins_name():
    class Wrong:
        @hookimpl(wrapper=True)
        def taskhero_before_enqueue(self, job):
            yield
            raise OSError(job.name)

    class Sooner:
        @hookimpl(wrapper=True)
        def taskhero_before_enqueue(self, job):
            raise OSError(job.name)
            yield

    for plugin in (Wrong(), Sooner()):
        app = app_with(add=(plugin,))
        async with app:
            with pytest.raises(OSError, match="add") as caught:
                await app.queue.enqueue("add")
        assert caught.value.__notes__ == [f"raised by the plugin {type(plugin).__qualname__}"]


def test_a_wrapper_of_an_override_gets_the_part():
    class MyQueue(Queue): ...

    class Makes:
        @hookimpl
        def taskhero_make_queue(self, ctx):
            return MyQueue(ctx)

    seen = []
    app = app_with(Makes(), WrapsQueue("w", seen))
    assert type(app.queue) is MyQueue
    assert seen == ["w begins", ("w", app.queue)]


def test_overrides_answer_pluggy_with_the_first_result_and_the_app_with_an_error_for_two():
    @attrs.frozen(eq=False)
    class Makes:
        made: object

        @hookimpl
        def taskhero_make_queue(self, ctx):
            return self.made

    class Too(Makes): ...

    app = app_with(Makes("a"), Makes(None), Too("b"))
    assert app.plugins.hook.taskhero_make_queue(ctx=None) == "b"
    with pytest.raises(AmbiguousOverride, match="Makes and .*Too each answer taskhero_make_queue"):
        _ = app.queue
    app.plugins.set_blocked(app.plugins.get_canonical_name(app.plugins.plugins[2]))
    with pytest.raises(PluginError, match="queue is 'a': return an instance"):
        _ = app.queue


# --- monitoring


@attrs.define
class Monitored:
    calls: list = attrs.field(factory=list)

    def before(self, name, impls, arguments):
        self.calls.append(("before", name, [impl.plugin_name for impl in impls], sorted(arguments)))

    def after(self, outcome, name, impls, arguments):
        self.calls.append(("after", name, outcome.exception or outcome.get_result()))


async def test_monitoring_sees_the_hooks_that_are_awaited_and_the_others():
    class Performs:
        @hookimpl
        async def taskhero_before_perform(self, job): ...

        @hookimpl
        def taskhero_after_perform(self, outcome):
            return Success("changed")

    app = app_with(Says("all"), add=(performs := Performs(), QueueLock()))
    name = app.plugins.get_name(performs)
    lock = "add:QueueLock"
    seen = Monitored()
    end = app.plugins.add_hookcall_monitoring(seen.before, seen.after)
    job = app.tasks["add"].job()
    scope = app.tasks["add"].scope
    async with app:
        await app.tasks["add"].enqueue()
    assert await scope.before_perform(job, None) is None
    await scope.after_perform(job, None, Success(1))
    guards = scope.guards(job)
    guarded = [("before", "taskhero_guards", [lock], ["job"]), ("after", "taskhero_guards", guards)]
    assert seen.calls == [
        ("before", "taskhero_before_enqueue", ["Says"], ["ctx", "job"]),
        ("after", "taskhero_before_enqueue", True),
        *guarded,
        ("before", "taskhero_before_perform", [name], ["ctx", "job"]),
        ("after", "taskhero_before_perform", None),
        ("before", "taskhero_after_perform", [name], ["ctx", "job", "outcome"]),
        ("after", "taskhero_after_perform", Success("changed")),
        *guarded,
    ]
    seen.calls.clear()
    end()
    end()
    assert scope.guards(job) == guards
    assert seen.calls == []


def test_monitoring_sees_overrides_and_registrations():
    class Registers:
        @hookimpl
        def taskhero_register_plugins(self, registry): ...

        @hookimpl
        def taskhero_make_queue(self): ...

    app = app_with()
    seen = Monitored()
    app.plugins.add_hookcall_monitoring(seen.before, seen.after)
    app.plugins.register(Registers(), "mine")
    _ = app.queue
    assert seen.calls == [
        ("before", "taskhero_register_plugins", ["mine"], ["registry"]),
        ("after", "taskhero_register_plugins", []),
        ("before", "taskhero_make_queue", ["mine"], ["ctx"]),
        ("after", "taskhero_make_queue", None),
    ]


async def test_monitors_see_errors_and_the_last_one_is_outermost():
    order = []
    app = app_with(add=(Fails(error := OSError("disk")),))
    seen = Monitored()
    app.plugins.add_hookcall_monitoring(seen.before, seen.after)
    for name in "ab":
        app.plugins.add_hookcall_monitoring(
            lambda *_, name=name: order.append(name), lambda *_, name=name: order.append(name.upper())
        )
    async with app:
        with pytest.raises(OSError, match="disk"):
            await app.tasks["add"].enqueue()
    assert seen.calls[-1] == ("after", "taskhero_before_enqueue", error)
    assert order == ["b", "a", "A", "B"]


async def test_tracing_shows_calls():
    app = app_with(add=(Says("x"),))
    lines = []
    app.plugins.trace.root.setwriter(lines.append)
    app.plugins.enable_tracing()
    async with app:
        await app.tasks["add"].enqueue()
    assert "taskhero_before_enqueue" in "".join(lines)
    assert "finish taskhero_before_enqueue --> True" in "".join(lines)


def test_without_monitors_and_wrappers_the_calls_are_the_plugins_own():
    app = app_with(Says("a"), add=(Says("b"),))
    scope = app.tasks["add"].scope
    plain = scope._hooks["taskhero_before_enqueue"]
    assert plain == scope.of("taskhero_before_enqueue")
    end = app.plugins.add_hookcall_monitoring(lambda *_: None, lambda *_: None)
    assert len(scope._hooks["taskhero_before_enqueue"]) == 1
    assert scope._hooks["taskhero_needs"] == ()
    end()
    assert len(scope._hooks["taskhero_before_enqueue"]) == 2
