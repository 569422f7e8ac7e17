"""Everything that people decorate with ``@app.task`` works as they expect, or is refused at the declaration."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import pydoc
import typing

import pytest

from taskhero import Settings, Task, TaskHero, task
from taskhero.errors import InvalidTask

pytestmark = pytest.mark.anyio


@pytest.fixture
def app():
    return TaskHero(settings=Settings(max_task_processors=1))


async def run(app, declared, *args, **kwargs):
    """Return the result of a job of a task."""
    results = asyncio.Queue()
    app.on("success", lambda result: results.put_nowait(result))  # noqa: PLW0108 -- by its name
    app.on("failure", lambda error: results.put_nowait(error))  # noqa: PLW0108
    async with app.running():
        assert await declared.enqueue(*args, **kwargs)
        return await asyncio.wait_for(results.get(), 10)


def traced(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return "traced", function(*args, **kwargs)

    return call


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


async def add_async(a, b=2):
    """Add later."""
    return a + b


class Adder:
    """Adds."""

    def __init__(self, number=10):
        self.number = number

    def __call__(self, a):
        return self.number + a

    def method(self, a):
        return self.number + a

    async def method_async(self, a):
        return self.number + a


class AsyncAdder:
    async def __call__(self, a):
        return a + 20


free = task


class Jobs:
    number = 30

    @free(name="inner-static")
    @staticmethod
    def static(a):
        """Static."""
        return a + 1

    @staticmethod
    @free
    def static_above(a):
        return a + 1

    @free
    @staticmethod
    async def static_async(a):
        return a + 1

    @staticmethod
    @free
    async def static_async_above(a):
        return a + 1

    @free
    @classmethod
    def of_class(cls, a, *, b=0):
        """Of the class."""
        return cls.number + a + b

    @classmethod
    @free
    def of_class_above(cls, a, *, b=0):
        """Of the class, too."""
        return cls.number + a + b

    @free
    @classmethod
    async def of_class_async(cls, a, *, b=0):
        return cls.number + a + b

    @classmethod
    @free
    async def of_class_async_above(cls, a, *, b=0):
        return cls.number + a + b

    @free
    def of_class_undecorated(cls, a, *, b=0):
        return cls.number + a + b

    @free
    def namespaced(a):
        return a + 1

    class Inner:
        @free
        @staticmethod
        def nested(a):
            return a + 1


STATIC = ("static", "static_above", "static_async", "static_async_above", "namespaced")
OF_CLASS = ("of_class", "of_class_above", "of_class_async", "of_class_async_above", "of_class_undecorated")


# --- what works


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (traced(add), ("traced", 3)),
        (functools.partial(add, 5), 6),
        (functools.partial(add, b=5), 6),
        (functools.partial(functools.partial(add_async), b=5), 6),
        (functools.partial(Adder().method_async), 11),
        (functools.partial(AsyncAdder()), 21),
        (Adder().method, 11),
        (Adder().method_async, 11),
        (Adder(), 11),
        (AsyncAdder(), 21),
        (functools.lru_cache(add), 3),
        (lambda a: a, 1),
        (staticmethod(add_async), 3),
    ],
)
async def test_callables_run(app, function, result):
    assert await run(app, app.task(name="t")(function), 1) == result


@pytest.mark.parametrize("name", STATIC)
async def test_static_methods_run_in_either_order(app, name):
    declared = getattr(Jobs, name)
    assert await run(app, app.tasks.adopt(declared), 1) == 2
    called = declared(1)
    assert (await called if inspect.isawaitable(called) else called) == 2
    assert getattr(Jobs(), name).job(1).args == [1]


@pytest.mark.parametrize("name", OF_CLASS)
async def test_class_methods_run_with_their_class_in_either_order(app, name):
    declared = getattr(Jobs, name)
    adopted = app.tasks.adopt(getattr(declared, "__func__", declared))
    assert await run(app, adopted, 1, b=3) == 34
    assert declared.job(1).args == [1, {}]
    for direct in (declared, getattr(Jobs(), name)):
        called = direct(1, b=2)
        assert (await called if inspect.isawaitable(called) else called) == 33
        assert list(inspect.signature(direct).parameters) == ["a", "b"]
    assert str(adopted.signature) == f"{name}(a, *, b=0)"


async def test_class_methods_of_a_class_inside_a_function_run_if_task_is_above(app):
    class Local:
        number = 5

        @app.task
        @classmethod
        def found(cls, a):
            return cls.number + a

    assert Local.found(1) == 6
    assert await run(app, Local.found, 1) == 6
    with pytest.raises(
        InvalidTask, match="class that is defined inside a function: write @app.task above @classmethod"
    ):

        class Other:
            @classmethod
            @app.task
            def lost(cls, a): ...


def test_tasks_in_classes_of_a_folder_are_found(app, tmp_path):
    (tmp_path / "class_tasks.py").write_text(
        "from taskhero import task\nclass Jobs:\n    @task\n    @classmethod\n    def one(cls): ...\n"
        "    @staticmethod\n    @task\n    def two(): ...\n"
        "    class Inner:\n        @task\n        @staticmethod\n        def three(): ...\nJobs.Inner.again = Jobs\n"
    )
    assert sorted(found.name for found in app.load_tasks(tmp_path)) == ["one", "three", "two"]


# --- what is refused


class Wrong:
    def method(self, a): ...

    @functools.wraps(method)
    def wrapped(*args): ...

    @classmethod
    def nothing(): ...


def generator(a):
    yield


async def generator_async(a):
    yield


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (
            Wrong.method,
            r"task 't' is a method of instances, and a job has no value for 'self': .*app.task\(obj.method\)",
        ),
        (Wrong.wrapped, "is a method of instances"),
        (traced(Wrong.method), "is a method of instances"),
        (vars(Wrong)["nothing"], "is a class method without a parameter for its class: add cls"),
        (contextlib.contextmanager(generator), "is a context manager, which runs nothing when called"),
        (contextlib.asynccontextmanager(generator_async), "is a context manager, which runs nothing when called"),
        (functools.lru_cache(generator), "is a generator function"),
        (functools.partial(generator_async, 1), "is a generator function"),
        (staticmethod(generator), "is a generator function"),
        (classmethod(generator), "is a generator function"),
        (functools.cache(add_async), "is an async def below functools.cache"),
        (property(add), "which is not callable"),
        (functools.cached_property(add), "which is not callable"),
        (Adder, "is a class: declare a function"),
        (staticmethod(task(add)), "task 'add' is already declared"),
        (Jobs.of_class_above, "task 'of_class_above' is already declared"),
    ],
)
def test_what_makes_no_sense_as_a_task_is_refused(app, function, sentence):
    with pytest.raises(InvalidTask, match=sentence):
        app.task(name="t")(function)
    assert len(app.tasks) == 0


def test_a_method_is_refused_in_the_body_of_its_class(app):
    with pytest.raises(InvalidTask, match="task 'send' is a method of instances"):

        class Mailer:
            @app.task
            def send(self, to): ...


# --- a task looks like its function


def test_a_task_has_the_attributes_of_its_function(app):
    declared = app.task(name="other")(add)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(declared, name) == getattr(add, name)
    assert declared.__wrapped__ is inspect.unwrap(declared) is add
    assert inspect.signature(declared) == inspect.signature(add)
    assert typing.get_type_hints(declared) == {"a": int, "b": int, "return": int}
    assert inspect.getsource(declared) == inspect.getsource(add)
    assert Task.__doc__.startswith("A declared function.")
    assert Task.__name__ == "Task"


def test_an_adopted_task_has_them_too(app):
    adopted = app.tasks.adopt(task(add))
    assert (adopted.__name__, adopted.__doc__, adopted.__wrapped__) == ("add", "Add two numbers.", add)


def test_attributes_of_the_function_do_not_replace_those_of_the_task(app):
    def marked(): ...

    marked.name = marked.queue = marked.enqueue = "mark"
    declared = app.task(marked)
    assert (declared.name, declared.queue) == ("marked", "default")
    assert callable(declared.enqueue)


def test_help_shows_the_signature_and_the_docstring(app):
    def undocumented(a, *, b): ...

    text = pydoc.render_doc(app.task(add), renderer=pydoc.plaintext)
    assert "add(a: 'int', b: 'int' = 2)" in text or "add(a: int, b: int = 2)" in text
    assert "Add two numbers." in text
    assert "undocumented(a, *, b)" in pydoc.render_doc(app.task(undocumented), renderer=pydoc.plaintext)
    assert "of_class(a, *, b=0)" in pydoc.render_doc(Jobs.of_class, renderer=pydoc.plaintext)


def test_callables_without_a_name_keep_what_they_have(app):
    assert app.task(name="t")(Adder()).description == ""
    part = app.task(name="part")(functools.partial(add, 1))
    assert (part.description, part.where) == ("Add two numbers.", app.task(add).where)
    assert inspect.signature(part) == inspect.signature(functools.partial(add, 1))


def test_an_async_task_counts_as_a_coroutine_function(app):
    assert asyncio.iscoroutinefunction(app.task(add_async))
    assert not asyncio.iscoroutinefunction(app.task(add))
