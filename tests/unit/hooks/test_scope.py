"""The order of hooks, what they decide, and what becomes of their errors."""

from __future__ import annotations

import logging

import attrs
import pytest

from taskhero import EnqueueContext, Failure, Job, PerformContext, Postponed, Refused, Success, hookimpl
from taskhero.backends.protocol import NotDelayed, QueueLockGuard
from taskhero.errors import PluginError
from taskhero.hooks.manager import PluginManager

pytestmark = pytest.mark.anyio

JOB = Job("add", [1, 2], "math")
LOGGER = logging.getLogger("taskhero.tests")
ENQUEUE = EnqueueContext(task_name="add", queue="math", at=None, logger=LOGGER)
PERFORM = PerformContext(worker="w", queue="math", logger=LOGGER)


@attrs.frozen(eq=False)
class Sync:
    name: str
    seen: list[str]
    answer: object = None
    error: Exception | None = None

    def say(self):
        self.seen.append(self.name)
        if self.error is not None:
            raise self.error
        return self.answer

    @hookimpl
    def taskhero_before_enqueue(self, job, ctx):
        assert (job, ctx) == (JOB, ENQUEUE)
        return self.say()

    @hookimpl
    def taskhero_after_enqueue(self):
        return self.say()

    @hookimpl
    def taskhero_before_perform(self, ctx, job):
        assert (job, ctx) == (JOB, PERFORM)
        return self.say()

    @hookimpl
    def taskhero_after_perform(self, outcome, job):
        self.seen.append(outcome)
        return self.say()

    @hookimpl
    def taskhero_guards(self, job):
        return self.say()


class Async(Sync):
    @hookimpl
    async def taskhero_before_enqueue(self, ctx):
        return self.say()

    @hookimpl
    async def taskhero_after_enqueue(self, job):
        return self.say()

    @hookimpl
    async def taskhero_before_perform(self):
        return self.say()

    @hookimpl
    async def taskhero_after_perform(self, outcome):
        self.seen.append(outcome)
        return self.say()


def scope_of(plugins):
    return PluginManager(plugins).scope


async def test_app_wide_plugins_come_first_then_the_tasks_own_as_written():
    seen = []
    app = PluginManager((Async("app 1", seen), Sync("app 2", seen)))
    scope = app.task_scope("add", (Sync("task 1", seen), Async("task 2", seen), Sync("task 3", seen)))
    order = ["app 1", "app 2", "task 1", "task 2", "task 3"]
    assert await scope.before_enqueue(JOB, ENQUEUE) is True
    assert seen == order
    await scope.after_enqueue(JOB, ENQUEUE)
    assert await scope.before_perform(JOB, PERFORM) is None
    assert seen == order * 3
    seen.clear()
    assert await scope.after_perform(JOB, PERFORM, Refused()) == Refused()
    assert [one for one in seen if isinstance(one, str)] == order
    seen.clear()
    assert scope.guards(JOB) == ()
    assert seen == order


async def test_plugins_that_the_app_gets_later_reach_its_tasks_and_come_before_theirs():
    seen = []
    app = PluginManager()
    scope = app.task_scope("add", (Sync("task", seen),))
    bare = app.task_scope("bare", ())
    assert not bare.enqueues
    app.register(Sync("app", seen))
    assert bare.enqueues
    assert await scope.before_enqueue(JOB, ENQUEUE)
    assert seen == ["app", "task"]


async def test_app_wide_plugins_may_wish_to_be_first_or_last():
    seen = []

    class First(Sync):
        @hookimpl(tryfirst=True)
        def taskhero_before_enqueue(self):
            return self.say()

    class Last(Sync):
        @hookimpl(trylast=True)
        def taskhero_before_enqueue(self):
            return self.say()

    app = scope_of((Last("last", seen), Sync("a", seen), First("first", seen), Sync("b", seen)))
    assert await app.before_enqueue(JOB, ENQUEUE)
    assert seen == ["first", "a", "b", "last"]


@pytest.mark.parametrize("kind", [Sync, Async])
async def test_the_first_false_before_an_enqueue_ends_the_list(kind):
    seen = []
    scope = scope_of((kind("a", seen), kind("b", seen, answer=False), kind("c", seen)))
    assert await scope.before_enqueue(JOB, ENQUEUE) is False
    assert seen == ["a", "b"]


@pytest.mark.parametrize("answer", [None, True, 0, "", []])
async def test_anything_but_false_lets_an_enqueue_through(answer):
    assert await scope_of((Sync("a", [], answer=answer),)).before_enqueue(JOB, ENQUEUE) is True


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(False, Refused()), (Postponed(3), Postponed(3)), (Refused(), Refused()), (Success(1), Success(1))],
)
@pytest.mark.parametrize("kind", [Sync, Async])
async def test_false_or_an_outcome_before_a_performance_ends_the_list_and_the_job(kind, answer, outcome):
    seen = []
    scope = scope_of((kind("a", seen, answer=True), kind("b", seen, answer=answer), kind("c", seen)))
    assert await scope.before_perform(JOB, PERFORM) == outcome
    assert seen == ["a", "b"]


@pytest.mark.parametrize("kind", [Sync, Async])
async def test_after_a_performance_each_sees_what_those_before_it_made_of_the_outcome(kind):
    seen = []
    failure = Failure(ValueError("no"))
    scope = scope_of((kind("a", seen), kind("b", seen, answer=Success("saved")), kind("c", seen)))
    assert await scope.after_perform(JOB, PERFORM, failure) == Success("saved")
    assert seen == [failure, "a", failure, "b", Success("saved"), "c"]


CALLS = {
    "before_enqueue": lambda scope: scope.before_enqueue(JOB, ENQUEUE),
    "before_perform": lambda scope: scope.before_perform(JOB, PERFORM),
    "after_perform": lambda scope: scope.after_perform(JOB, PERFORM, Success()),
}


@pytest.mark.parametrize("hook", CALLS)
async def test_errors_of_deciding_hooks_reach_the_caller_with_the_plugins_name(hook):
    scope = scope_of((Sync("a", [], error=LookupError("gone")), Sync("b", [])))
    with pytest.raises(LookupError, match="gone") as caught:
        await CALLS[hook](scope)
    assert caught.value.__notes__ == ["raised by the plugin Sync"]


async def test_errors_after_an_enqueue_are_logged_and_stop_nobody(caplog):
    seen = []
    scope = scope_of(
        (Sync("a", seen, error=LookupError("gone")), Async("b", seen, error=OSError("too")), Sync("c", seen))
    )
    await scope.after_enqueue(JOB, ENQUEUE)
    assert seen == ["a", "b", "c"]
    assert [(record.levelname, record.plugin, record.task) for record in caplog.records] == [
        ("ERROR", "Sync", "add"),
        ("ERROR", "Async", "add"),
    ]


@pytest.mark.parametrize(("hook", "answer"), [("before_perform", "later"), ("after_perform", True)])
async def test_an_answer_that_decides_nothing_is_an_error_that_says_what_to_return(hook, answer):
    scope = scope_of((Sync("a", [], answer=answer),))
    with pytest.raises(PluginError, match=f"Sync returned {answer!r}: return .*Outcome"):
        await CALLS[hook](scope)


def test_guards_of_all_plugins_are_collected_in_order():
    lock, other, delayed = QueueLockGuard("lock:add", 60), QueueLockGuard("lock:other", 60), NotDelayed(("raw",))
    app = PluginManager((Sync("a", [], answer=[lock]),))
    scope = app.task_scope("add", (Sync("b", []), Sync("c", [], answer=(delayed, other))))
    assert scope.guards(JOB) == (lock, delayed, other)


def test_what_is_no_guard_is_an_error():
    with pytest.raises(PluginError, match="Sync: taskhero_guards returned 'lock': return a tuple of guards"):
        scope_of((Sync("a", [], answer=["lock"]),)).guards(JOB)


def test_a_scope_tells_whether_it_has_any_hook_so_that_none_is_looked_for():
    class Guards:
        @hookimpl
        def taskhero_guards(self, job): ...

    class After:
        @hookimpl
        def taskhero_after_perform(self, job): ...

    class Registers:
        @hookimpl
        def taskhero_register_plugins(self, registry): ...

    def has(*plugins):
        scope = scope_of(plugins)
        return scope.enqueues, scope.performs

    assert has() == has(Registers()) == (False, False)
    assert has(Guards()) == (True, False)
    assert has(After()) == (False, True)
    assert has(Sync("a", [])) == (True, True)
