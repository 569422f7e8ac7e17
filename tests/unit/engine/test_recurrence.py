"""What a task may be declared with to run by itself."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from taskhero import TaskHero
from taskhero.engine.queue.periodic import periodic_definition
from taskhero.errors import InvalidSchedule, InvalidTask
from taskhero.plugins import DelayQueueLock, JobLock, QueueLock


def tick():
    """Declared in each test."""


def declared(function=tick, **options):
    return TaskHero().task(**options)(function)


@pytest.mark.parametrize("given", [5, 5.0, timedelta(seconds=5)])
def test_a_frequency_is_seconds_or_a_timedelta(given):
    assert declared(frequency=given).frequency == 5.0
    assert (declared().frequency, declared().cron, declared().recurrence) == (None, None, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"frequency": 0.5},
            "task 'tick': frequency=0.5 is less than a second, and due times are whole seconds",
        ),
        ({"frequency": 5000, "cron": "* * * * *"}, "task 'tick' has frequency= and cron=: keep one of them"),
        ({"timezone": "UTC"}, "task 'tick': timezone='UTC' needs cron="),
        ({"frequency": 5, "misfire": "skip"}, "task 'tick': misfire='skip' needs cron="),
        ({"reenqueue_on_error": False}, "pass frequency="),
        ({"cron": "@daily", "reenqueue_on_error": False}, "a cron task always runs at its next fire time"),
        ({"frequency": 5, "reenqueue_on_error": 1}, "reenqueue_on_error=1 is not a bool: pass True or False"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_declared(options, said):
    with pytest.raises(InvalidTask) as refused:
        declared(**options)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cron": "* * *"}, "task 'tick': cron='* * *' has 3 fields"),
        ({"cron": 5}, "task 'tick': cron=5 is not a cron expression"),
        ({"cron": "@daily", "timezone": "Berlin"}, "task 'tick': timezone='Berlin' is not a known time zone"),
        ({"cron": "@daily", "misfire": "never"}, "task 'tick': misfire='never' is not a misfire policy"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_the_tasks_name(options, said):
    with pytest.raises(InvalidSchedule) as refused:
        declared(**options)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("options", [{"frequency": 5}, {"cron": "@daily"}])
def test_a_task_that_needs_arguments_cannot_run_by_itself(options):
    def greet(name, *, loud=False):
        pass

    def send(*, to, subject):
        pass

    (option,) = options
    with pytest.raises(InvalidTask, match="both kinds|name"):
        declared(greet, **options)
    with pytest.raises(InvalidTask) as refused:
        declared(send, **options)
    assert str(refused.value) == (
        f"task 'send' has {option}=, so it runs without arguments, but to, subject are required: add a default to each"
    )


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (lambda: None, "[{}]"),
        (lambda *, day=1: None, "[{}]"),
        (lambda **more: None, "[{}]"),
        (lambda day=1: None, "[]"),
    ],
)
def test_its_job_is_actionheros_where_the_task_takes_it(function, args):
    task = declared(function, name="tick", frequency=5)
    definition = periodic_definition(task)
    assert definition.raw == f'{{"class":"tick","queue":"default","args":{args}}}'
    assert definition.raw in definition.equivalent_payloads
    assert task.signature.bind([{}] if args == "[{}]" else []) == ([], {})


def test_it_has_the_locks_that_keep_it_one_chain():
    definition = periodic_definition(declared(frequency=5))
    lock, not_delayed = definition.guards
    assert (lock.key, definition.holds) == ("lock:tick:default:[{}]", ("workerslock:tick:default:[{}]",))
    assert len(not_delayed.equivalent_payloads) == 17


def test_a_plugin_of_its_own_is_not_there_twice():
    app = TaskHero(plugins=(QueueLock(timeout=5),))
    task = app.task(frequency=5, plugins=("JobLock", QueueLock(timeout=7), DelayQueueLock()))(tick)
    definition = periodic_definition(task)
    assert [guard.timeout for guard in definition.guards if hasattr(guard, "timeout")] == [7]
    (need,) = task.scope.needs(task.job())
    assert need.otherwise.delay == JobLock().delay


def test_a_task_by_cron_has_no_locks_but_its_own_and_tells_its_schedule():
    definition = periodic_definition(
        declared(cron="*/5 9-17 * * mon-fri", timezone=ZoneInfo("Europe/Berlin"), misfire="all")
    )
    assert (definition.guards, definition.holds, definition.frequency) == ((), (), None)
    assert (definition.cron, definition.timezone, definition.misfire) == (
        "*/5 9-17 * * mon-fri",
        "Europe/Berlin",
        "all",
    )
