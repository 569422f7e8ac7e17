"""Declaring tasks: what they take over from the function, what is refused, and tasks without an app."""

from __future__ import annotations

import functools
from datetime import timedelta

import pytest

from taskhero import Job, Task, TaskHero, task
from taskhero.errors import InvalidQueueName, InvalidTask, UnknownTask

pytestmark = pytest.mark.anyio


@pytest.fixture
def app():
    return TaskHero()


def stand_alone(a: int = 1) -> int:
    """Stands at the top of a module, so another process finds it."""
    return a


# --- what a declaration says


def test_bare_and_with_options(app):
    @app.task
    def bare(a, b=2):
        """Adds two numbers
        with care.

        And more.
        """
        return a + b

    @app.task(
        name="other-name",
        queue="mail",
        description="Something else.",
        timeout=timedelta(seconds=1.5),
        wire="object",
    )
    async def with_options(a): ...

    assert (bare.name, bare.queue, bare.description) == ("bare", "default", "Adds two numbers with care.")
    assert (bare.timeout, bare.run_in, bare.is_async) == (None, "thread", False)
    assert (with_options.name, with_options.queue, with_options.description) == (
        "other-name",
        "mail",
        "Something else.",
    )
    assert (with_options.timeout, with_options.run_in, with_options.is_async) == (1.5, "loop", True)
    assert with_options.signature.wire == "object"
    assert app.tasks["bare"] is app.tasks.get("bare") is bare
    assert [one.name for one in app.tasks] == ["bare", "other-name"]
    assert len(app.tasks) == 2
    assert "other-name" in app.tasks
    assert "with_options" not in app.tasks


async def test_calling_a_task_calls_the_function(app):
    @app.task
    def add(a, b=2):
        return a + b

    @app.task
    async def greet(*, to):
        return f"hello {to}"

    assert add(1) == 3
    assert add(1, b=5) == 6
    assert await greet(to="you") == "hello you"
    assert add.options(queue="slow")(1) == 3


def test_run_in_is_derived_and_may_be_said(app):
    app.task(name="a", run_in="thread")(stand_alone)
    app.task(name="b", run_in="process")(stand_alone)
    assert app.tasks["b"].run_in == "process"

    @app.task(run_in="loop")
    async def c(): ...

    assert c.run_in == "loop"


async def coroutine(): ...
def generator():
    yield


async def async_generator():
    yield


class Callable:
    def __call__(self, a): ...


class AsyncCallable:
    async def __call__(self, a): ...


@pytest.mark.parametrize(
    ("function", "options", "sentence"),
    [
        (Callable, {}, "task 'Callable' is a class: declare a function"),
        (3, {"name": "three"}, "task 'three' is 3, which is not callable"),
        (generator, {}, "task 'generator' is a generator"),
        (async_generator, {}, "task 'async_generator' is a generator"),
        (functools.partial(generator), {"name": "part"}, "task 'part' is a generator"),
        (lambda: None, {}, "has no name: pass name="),
        (Callable(), {}, "has no name"),
        (coroutine, {"name": ""}, "'' is not a valid task name"),
        (coroutine, {"name": 3}, "3 is not a valid task name"),
        (coroutine, {"run_in": "thread"}, "run_in='thread' needs a def"),
        (stand_alone, {"run_in": "loop"}, "would block the event loop: run_in='loop' needs an async def"),
        (stand_alone, {"run_in": "elsewhere"}, "run_in='elsewhere' is invalid: pass None or 'process'"),
        (stand_alone, {"timeout": 0}, "timeout=0 leaves no time to run"),
        (stand_alone, {"timeout": -1}, "task 'stand_alone': timeout=-1 is negative"),
        (stand_alone, {"timeout": True}, "timeout=True is not a duration"),
        (stand_alone, {"timeout": float("nan")}, "is not finite"),
        (stand_alone, {"wire": "text"}, "wire='text' is invalid"),
        (lambda: None, {"name": "here", "run_in": "process"}, "a lambda"),
    ],
)
@pytest.mark.parametrize("declare", ["app", "free"])
def test_what_cannot_be_a_task_is_refused_at_declaration(app, declare, function, options, sentence):
    def run():
        return app.task(**options)(function) if declare == "app" else app.tasks.adopt(task(**options)(function))

    with pytest.raises(InvalidTask, match=sentence):
        run()
    assert len(app.tasks) == 0


def test_a_queue_that_cannot_be_is_refused_at_declaration(app):
    with pytest.raises(InvalidQueueName, match="comma"):
        app.task(queue="a,b")(stand_alone)


def test_unknown_options_are_a_type_error(app):
    with pytest.raises(TypeError, match="retries"):
        app.task(retries=3)
    with pytest.raises(TypeError, match="retries"):
        task(retries=3)
    with pytest.raises(TypeError, match="priority"):
        app.task(stand_alone).options(priority=3)


def test_callable_objects_are_tasks_if_they_are_named(app):
    assert app.task(name="one")(Callable()).is_async is False
    assert app.task(name="two")(AsyncCallable()).is_async is True
    assert app.task(name="three")(functools.partial(stand_alone, 3))() == 3


def test_one_name_for_two_tasks_is_refused_naming_both_places(app):
    @app.task
    def add(a): ...

    with pytest.raises(InvalidTask) as caught:

        @app.task(name="add")
        def other(a): ...

    first, second = add.function.__code__, other_line(caught)
    assert f"{first.co_filename}:{first.co_firstlineno}" in str(caught.value)
    assert f"{first.co_filename}:{second}" in str(caught.value)
    assert app.tasks["add"] is add


def other_line(caught):
    return caught.traceback[0].lineno + 1


def test_unknown_tasks_are_told_with_near_names(app):
    app.task(name="send_mail")(stand_alone)
    with pytest.raises(UnknownTask, match=r"declare a task 'send_mial'; did you mean 'send_mail'\?"):
        app.tasks["send_mial"]
    with pytest.raises(UnknownTask, match=r"does not declare a task 'zzz' \(declared: send_mail\)"):
        app.tasks["zzz"]


# --- jobs of calls


def test_a_job_is_bound_to_the_signature_first(app):
    add = app.task(name="add", queue="math")(lambda a, b=2, c=3: None)
    assert add.job(1) == Job("add", [1], "math")
    assert add.job(b=5, a=1) == Job("add", [1, 5], "math")
    assert add.options(queue="slow").job(1, c=7) == Job("add", [1, 2, 7], "slow")
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        add.job()


def test_parameters_may_have_any_name(app):
    @app.task
    def odd(*, self, task, when, delay, queue, args, kwargs): ...

    names = dict.fromkeys(("self", "task", "when", "delay", "queue", "args", "kwargs"), 1)
    assert odd.job(**names).args == [names]


async def test_options_hold_for_one_call_and_can_be_added_to(app):
    add = app.task(name="add", queue="math")(lambda a: None)
    slow = add.options(queue="slow")
    assert slow.options(suppress_duplicate=True).job(1).queue == "slow"
    assert add.job(1).queue == "math"
    with pytest.raises(InvalidQueueName):
        add.options(queue="")


# --- tasks without an app


async def test_a_free_task_says_that_no_app_has_it():
    free = task(stand_alone)
    assert free(4) == 4
    assert free.job(4) == Job("stand_alone", [4], "default")
    with pytest.raises(InvalidTask, match=r"test_tasks.py:\d+\) does not belong to an app: declare it with @app.task"):
        await free.enqueue(4)
    with pytest.raises(InvalidTask, match="app.load_tasks"):
        await free.options(queue="a").enqueue_in(1, 4)


async def test_an_adopted_task_speaks_for_its_app(app):
    free = task(queue="math", timeout=3)(stand_alone)
    adopted = app.tasks.adopt(free)
    assert app.tasks["stand_alone"] is adopted
    assert (adopted.queue, adopted.timeout, adopted.function) == ("math", 3, stand_alone)
    assert app.tasks.adopt(free) is app.tasks.adopt(adopted) is adopted
    async with app:
        assert await free.enqueue(1)
        assert await adopted.enqueue(2)
        assert await free.options(queue="slow").enqueue(3)
        assert [job.args for job in await app.queue.queued("math")] == [[1], [2]]
        assert await app.queue.length("slow") == 1


async def test_a_free_task_of_two_apps_speaks_for_the_last_and_is_a_task_of_each(app):
    free = task(stand_alone)
    app.tasks.adopt(free)
    async with TaskHero() as other:
        other.tasks.adopt(free)
        assert await free.enqueue(1)
        assert await other.queue.length("default") == 1
    async with app:
        assert await app.tasks["stand_alone"].enqueue(2)
        assert [job.args for job in await app.queue.queued("default")] == [[2]]


def test_another_task_of_the_name_is_not_adopted(app):
    app.task(name="stand_alone")(lambda: None)
    with pytest.raises(InvalidTask, match="two tasks have the name 'stand_alone'"):
        app.tasks.adopt(task(stand_alone))


def test_a_task_of_another_app_is_not_adopted(app):
    foreign = TaskHero().task(stand_alone)
    with pytest.raises(InvalidTask, match="was declared with @app.task of another app: declare it with @task"):
        app.tasks.adopt(foreign)


def test_declaring_a_task_again_says_how_to_adopt_it(app):
    with pytest.raises(InvalidTask, match=r"is already declared at .*: adopt it with app.tasks.adopt"):
        app.task(task(stand_alone))


def test_a_task_is_recognised_by_its_class_and_shows_its_signature(app):
    declared = app.task(stand_alone)
    assert isinstance(declared, Task)
    assert repr(declared) == "<Task stand_alone(a: int = 1) -> int queue='default'>"


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"retries": 3}, TypeError, r"task\(\) has no option 'retries' \(known: name, queue"),
        ({"time_out": 3}, TypeError, "task\\(\\) has no option 'time_out'; did you mean 'timeout'"),
        ({"run_in": []}, InvalidTask, r"run_in=\[\] is invalid: pass None or 'process'"),
        ({"description": 3}, InvalidTask, "description=3 is not a str: pass a str"),
        ({"plugin_options": 3}, InvalidTask, "plugin_options=3 is invalid: pass a mapping for each plugin"),
        ({"plugin_options": {"retry": 3}}, InvalidTask, "pass a mapping for each plugin"),
        ({"plugins": None}, InvalidTask, r"plugins=None is not a sequence: pass a tuple, such as \(JobLock\(\),\)"),
        ({"timeout": 10**5000}, InvalidTask, "is more than a year: pass seconds, or None for no timeout"),
    ],
)
def test_a_wrong_option_is_refused_with_a_sentence(options, error, why):
    def function(): ...

    with pytest.raises(error, match=why):
        task(**options)(function)


@pytest.mark.parametrize("given", ["mail", 3])
def test_an_option_given_as_the_function_is_refused_with_how_it_is_written(given):
    with pytest.raises(InvalidTask, match=rf"{given!r} is not a function: .* as in @app.task\(queue='mail'\)"):
        task(given)
