"""The shipped plugins by name, with taskhero's options and with node-resque's."""

from __future__ import annotations

from importlib import metadata

import pytest

from taskhero import Failure, Job, Postponed, Refused, TaskHero, hookimpl, task
from taskhero.backends.protocol import NotDelayed, QueueLockGuard
from taskhero.errors import PluginError, UnknownPlugin
from taskhero.hooks import installed
from taskhero.hooks.needs import CountAttempts, HoldLock
from taskhero.plugins import JobLock, QueueLock, Retry

ERROR = ValueError("busted")


def add(a: int, b: int) -> int:
    return a + b


def job(name="add"):
    return Job(name, [1, 2], "math")


def scope(plugin, options=None, **more):
    app = TaskHero()
    return app.task(queue="math", plugins=(plugin,), plugin_options={plugin: options or {}, **more})(add).scope


def retrying(plugin, options):
    (impl,) = scope(plugin, options).of("taskhero_after_perform")
    return impl.call(job(), None, Failure(ERROR))


@pytest.mark.parametrize("name", ["queue-lock", "QueueLock", "queueLock"])
def test_queue_lock_has_its_own_name_and_those_of_actionhero(name):
    assert scope(name, {"timeout": 60}).guards(job()) == (QueueLockGuard("lock:add:math:[1,2]", 60),)
    assert scope(name, {"lockTimeout": 60, "key": "lock:x"}).guards(job()) == (
        QueueLockGuard("lock:x", 60, shared=True),
    )


@pytest.mark.parametrize("name", ["delay-queue-lock", "DelayQueueLock", "delayQueueLock"])
def test_delay_queue_lock_has_its_own_name_and_those_of_actionhero(name):
    (guard,) = scope(name).guards(job())
    assert isinstance(guard, NotDelayed)


@pytest.mark.parametrize("name", ["job-lock", "JobLock", "jobLock"])
def test_job_lock_has_its_own_name_and_those_of_actionhero(name):
    key = "workerslock:add:math:[1,2]"
    assert scope(name, {"timeout": 60, "delay": 2}).needs(job()) == (HoldLock(key, 60, Postponed(2)),)
    theirs = {"lockTimeout": 60, "enqueueTimeout": 1500}
    assert scope(name, theirs).needs(job()) == (HoldLock(key, 60, Postponed(1.5)),)
    assert scope(name, {"reEnqueue": False}).needs(job()) == (HoldLock(key, 3600, Refused()),)


@pytest.mark.parametrize("name", ["retry", "Retry"])
def test_retry_has_its_own_name_and_that_of_actionhero(name):
    assert scope(name, {"limit": 3}).needs(job()) == (
        CountAttempts("resque-retry:add:1-2", "failure-resque-retry:add:1-2"),
    )
    ours = retrying(name, {"limit": 3, "delay": 2, "jitter": 0})
    theirs = retrying(name, {"retryLimit": 3, "retryDelay": 2000, "jitter": 0})
    assert ours == theirs
    assert (ours.limit, ours.delays) == (3, (2,))
    theirs = {"retryLimit": 5, "backoffStrategy": [1000, 2500, 60_000], "jitter": 0}
    assert retrying(name, theirs).delays == (1, 2.5, 60)
    assert retrying(name, {"retryLimit": 5, "backoffStrategy": None, "jitter": 0}).delays == (5,)


@pytest.mark.parametrize("name", ["noop", "Noop"])
def test_noop_has_its_own_name_and_that_of_actionhero(name):
    seen = []
    (impl,) = scope(name, {"logger": seen.append}).of("taskhero_after_perform")
    impl.call(job(), None, Failure(ERROR))
    assert seen == [ERROR]


def test_options_may_be_given_under_any_of_a_plugins_names():
    """ActionHero writes ``plugins: ['JobLock'], pluginOptions: {jobLock: {...}}``."""
    options = {"retry": {"limit": 3}, "jobLock": {"reEnqueue": False}}
    declared = TaskHero().task(plugins=("job-lock", "Retry"), plugin_options=options)(add)
    assert [type(need) for need in declared.scope.needs(job())] == [HoldLock, CountAttempts]


RETRY = r"\(its options: limit, delay, backoff, jitter, on, key; also retryLimit, retryDelay, backoffStrategy\)"


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("retry", {}, rf"plugin 'retry' cannot be created: missing a required argument: 'limit' {RETRY}"),
        ("retry", {"retryLimits": 3}, rf"it has no option 'retryLimits'; did you mean 'retryLimit'\? {RETRY}"),
        ("retry", {"limit": 0}, rf"plugin 'retry' cannot be created: limit=0: pass the number of attempts .* {RETRY}"),
        ("retry", {"limit": 3, "retryLimit": 3}, "'limit' and 'retryLimit' are the same option: keep one"),
        ("retry", {"retryLimit": 3, "limit": 3}, "'retryLimit' and 'limit' are the same option: keep one"),
        ("retry", {"limit": 3, "retryDelay": "5s"}, "retryDelay='5s': pass milliseconds as a number"),
        ("retry", {"limit": 3, "retryDelay": True}, "retryDelay=True: pass milliseconds as a number"),
        ("retry", {"limit": 3, "backoffStrategy": 5}, "backoffStrategy=5: pass a list of milliseconds"),
        ("retry", {"limit": 3, "backoffStrategy": [1, "x"]}, "backoffStrategy=.*: pass milliseconds as a number"),
        ("Retry", {"limit": 3, "delay": -1}, "plugin 'Retry' cannot be created: delay=-1 is negative"),
        ("job-lock", {"lockTimeout": 0}, "timeout=0: a lock expires after whole seconds"),
        ("job-lock", {"requeue": True, "reEnqueue": True}, "'requeue' and 'reEnqueue' are the same option"),
        (
            "queue-lock",
            {"requeue": True},
            r"it has no option 'requeue' \(its options: timeout, key; also lockTimeout\)",
        ),
        ("delay-queue-lock", {"timeout": 1}, r"it has no option 'timeout' \(its options: none\)"),
        ("noop", {"loger": print}, "it has no option 'loger'; did you mean 'logger'"),
        ("noop", {"logger": 1}, "logger=1: pass a logging.Logger"),
    ],
)
def test_an_option_that_cannot_be_fails_when_the_task_is_declared(name, options, sentence):
    with pytest.raises(PluginError, match=sentence):
        scope(name, options)


def test_a_class_of_the_shipped_ones_is_no_plugin():
    with pytest.raises(PluginError, match=r"JobLock is a class: pass an instance, JobLock\(...\)"):
        TaskHero().task(plugins=(JobLock,))(add)
    with pytest.raises(PluginError, match=r"QueueLock is a class: pass an instance, QueueLock\(...\)"):
        TaskHero(plugins=(QueueLock,))


def test_a_plugin_and_its_name_are_two_plugins_but_options_are_for_the_name():
    with pytest.raises(PluginError, match="plugin_options has options for 'retry', which plugins does not name"):
        TaskHero().task(plugins=(Retry(3),), plugin_options={"retry": {"limit": 4}})(add)


# --- without an app


def test_names_of_a_task_without_an_app_are_read_when_one_adopts_it():
    free = task(plugins=("retry",), plugin_options={"Retry": {"retryLimit": 3}})(add)
    adopted = TaskHero().tasks.adopt(free)
    assert isinstance(adopted.scope.needs(job())[0], CountAttempts)


@pytest.mark.parametrize(
    ("plugins", "options", "error", "sentence"),
    [
        (("rety",), None, UnknownPlugin, "no plugin has the name 'rety'; did you mean 'retry'"),
        (("retry",), None, PluginError, "plugin 'retry' cannot be created: missing .*'limit'"),
        (("retry",), {"retry": {"limit": 3, "dely": 1}}, PluginError, "it has no option 'dely'; did you mean 'delay'"),
    ],
)
def test_a_mistake_in_names_of_a_task_without_an_app_fails_when_one_adopts_it(plugins, options, error, sentence):
    app = TaskHero()
    free = task(plugins=plugins, plugin_options=options)(add)
    with pytest.raises(error, match=sentence):
        app.tasks.adopt(free)
    assert "add" not in app.tasks


# --- beside third parties


def test_the_shipped_names_are_there_when_installed_plugins_are_switched_off(monkeypatch):
    monkeypatch.setenv(installed.SWITCH, "none")
    assert scope("queue-lock").guards(job())


def test_the_shipped_plugins_need_no_search_for_installed_ones(monkeypatch):
    def searched(**_):
        raise AssertionError("the names of installed plugins were looked for")

    monkeypatch.setattr(metadata, "entry_points", searched)
    assert scope("queue-lock").guards(job())


def test_a_third_party_cannot_take_a_shipped_name():
    class Theirs:
        @hookimpl
        def taskhero_register_plugins(self, registry):
            registry.add("retry", JobLock)

    with pytest.raises(PluginError, match=r"two plugins have the name 'retry', .*\.Retry and .*\.JobLock"):
        TaskHero(plugins=(Theirs(),))


def test_an_app_wide_plugin_may_be_a_shipped_name():
    app = TaskHero(plugins=("job-lock",))
    declared = app.task(queue="math")(add)
    assert [type(need) for need in declared.scope.needs(job())] == [HoldLock]
