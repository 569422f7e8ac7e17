"""What a job needs while it runs, as plugins state it."""

from __future__ import annotations

import attrs
import pytest

from taskhero import Job, PerformContext, Postponed, Refused, Success, TaskHero, hookimpl
from taskhero.backends.protocol import NotDelayed, QueueLockGuard
from taskhero.errors import PluginError
from taskhero.hooks.manager import PluginManager
from taskhero.hooks.needs import CountAttempts, HoldLock
from taskhero.hooks.plugin_reader import HOOKS
from taskhero.hooks.scope import HookScope

JOB = Job("add", [1, 2], "math")
ONE = HoldLock("workerslock:one", 60, Postponed(1))
TWO = HoldLock("workerslock:two", 60, Refused())
COUNT = CountAttempts("resque-retry:add:1-2", "failure-resque-retry:add:1-2")


@attrs.frozen(eq=False)
class Needing:
    answer: object

    @hookimpl
    def taskhero_needs(self, job):
        assert job is JOB
        return self.answer


class Guarding:
    @hookimpl
    def taskhero_guards(self):
        return (QueueLockGuard("lock:add", 5),)


class Performing:
    @hookimpl
    def taskhero_before_perform(self): ...


def test_taskhero_needs_is_known_with_its_arguments():
    assert HOOKS["taskhero_needs"] == ("job",)


def test_needs_are_those_of_app_wide_plugins_and_then_the_tasks_own_as_written():
    app = PluginManager([Needing((ONE,))])
    task = app.task_scope("add", [Needing([COUNT]), Needing(None), Needing((TWO,))])
    assert task.needs(JOB) == (ONE, COUNT, TWO)
    assert app.scope.needs(JOB) == (ONE,)
    assert HookScope().needs(JOB) == ()


@pytest.mark.parametrize("answer", [ONE, "workerslock:one", 1, {ONE}, iter((ONE,))])
def test_needs_are_several_in_a_sequence(answer):
    with pytest.raises(
        PluginError, match="Needing: taskhero_needs returned .*: return a tuple, even of one item, or None"
    ):
        PluginManager([Needing(answer)]).scope.needs(JOB)


class Breaking:
    @hookimpl
    def taskhero_needs(self, job):
        return job.args[7]

    @hookimpl
    def taskhero_guards(self, job):
        return job.args[7]


@pytest.mark.parametrize("ask", [HookScope.needs, HookScope.guards])
def test_what_a_plugin_raises_comes_through_with_its_name(ask):
    with pytest.raises(IndexError) as raised:
        ask(PluginManager([Breaking()]).scope, JOB)
    assert raised.value.__notes__ == ["raised by the plugin Breaking"]


def test_guards_are_several_in_a_sequence():
    class Guarding:
        @hookimpl
        def taskhero_guards(self):
            return QueueLockGuard("lock:add", 5)

    with pytest.raises(
        PluginError, match="Guarding: taskhero_guards returned QueueLockGuard.*: return a tuple, even of one"
    ):
        PluginManager([Guarding()]).scope.guards(JOB)


def test_what_is_no_need_is_refused():
    with pytest.raises(PluginError, match="Needing: taskhero_needs returned QueueLockGuard.*: return a tuple of needs"):
        PluginManager([Needing((QueueLockGuard("lock:add", 5),))]).scope.needs(JOB)


@pytest.mark.parametrize(
    ("plugins", "prepares", "performs"),
    [((), False, False), ((Guarding(),), True, False), ((Needing(()),), True, False), ((Performing(),), False, True)],
)
def test_a_job_is_prepared_only_if_there_is_a_guard_or_a_need(plugins, prepares, performs):
    app = PluginManager(plugins)
    child = app.task_scope("add", ())
    assert (app.scope.prepares, app.scope.performs) == (child.prepares, child.performs) == (prepares, performs)


def test_a_plugin_that_comes_later_makes_tasks_prepare():
    app = PluginManager()
    child = app.task_scope("add", ())
    app.register(Needing((ONE,)))
    assert child.prepares
    assert child.needs(JOB) == (ONE,)


def test_needs_cannot_be_async():
    class Late:
        @hookimpl
        async def taskhero_needs(self, job): ...

    with pytest.raises(PluginError, match="Late.taskhero_needs is async, but this hook is not awaited"):
        TaskHero(plugins=(Late(),))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: HoldLock("", 1, Refused()), r"HoldLock\(key=''\): pass a str that is not empty"),
        (lambda: HoldLock(b"x", 1, Refused()), r"HoldLock\(key=b'x'\)"),
        (lambda: HoldLock("x", 0, Refused()), r"HoldLock\(timeout=0\): pass whole seconds, 1 or more"),
        (lambda: HoldLock("x", 1.5, Refused()), r"HoldLock\(timeout=1.5\)"),
        (lambda: HoldLock("x", True, Refused()), r"HoldLock\(timeout=True\)"),
        (lambda: HoldLock("x", 1, None), r"HoldLock\(otherwise=None\): pass Postponed\(seconds\) or Refused\(\)"),
        (lambda: HoldLock("x", 1, Success()), r"HoldLock\(otherwise=Success"),
        (lambda: CountAttempts(""), r"CountAttempts\(counter=''\): pass a str that is not empty"),
        (lambda: CountAttempts("x", 1), r"CountAttempts\(last_error_key=1\)"),
    ],
)
def test_a_need_that_cannot_be_is_refused_where_it_is_made(make, sentence):
    with pytest.raises(PluginError, match=sentence):
        make()


def test_a_job_is_in_its_first_attempt_if_nobody_counts():
    assert PerformContext(worker="w", queue="q", logger=None).attempt == 1


def test_of_two_needs_of_one_lock_the_later_plugins_counts():
    longer = HoldLock(ONE.key, 600, Refused())
    app = PluginManager([Needing((ONE, COUNT))])
    assert app.task_scope("add", [Needing((longer, TWO, COUNT))]).needs(JOB) == (longer, COUNT, TWO, COUNT)


def test_of_two_guards_on_one_lock_the_later_plugins_counts():
    @attrs.frozen(eq=False)
    class Guarding:
        guards: tuple

        @hookimpl
        def taskhero_guards(self):
            return self.guards

    app = PluginManager([Guarding((QueueLockGuard("lock:add", 3600), NotDelayed(("x",))))])
    task = app.task_scope("add", [Guarding((QueueLockGuard("lock:add", 60),))])
    assert task.guards(JOB) == (QueueLockGuard("lock:add", 60), NotDelayed(("x",)))
