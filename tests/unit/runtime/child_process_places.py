"""Tasks for child processes in all places where programs declare them, and the results of their calls with 1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from taskhero import Task, task


def add(a: int, b: int = 0) -> int:
    return a + b


def times(factor: int) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any) -> Any:
            return factor * function(*args)

        return call

    return decorate


declare: Callable[..., Any] = functools.partial(task, run_in="process")


@declare(name="decorated")
@times(10)
def decorated(a: int) -> int:
    return a + 1


@declare(name="shadowed")
def job(a: int) -> int:
    return a + 2


DECLARED: list[Any] = [job]


@declare(name="shadowing")
def job(a: int) -> int:
    return a + 3


@times(100)
@declare(name="below_another_decorator")
def below(a: int) -> int:
    return a + 4


class Base:
    number = 50

    @classmethod
    def numbered(cls, a: int) -> int:
        return cls.number + a

    @declare(name="class_method")
    @classmethod
    def of_class(cls, a: int) -> int:
        return cls.number + a

    @classmethod
    @declare(name="class_method_above")
    def of_class_above(cls, a: int) -> int:
        return cls.number + a

    @declare(name="static_method")
    @staticmethod
    async def static(a: int) -> int:
        return a + 5

    @staticmethod
    @declare(name="static_method_above")
    def static_above(a: int) -> int:
        return a + 6

    def method(self, a: int) -> int:
        return a + 7


class Child(Base):
    number = 60


class Adder:
    def __call__(self, a: int) -> int:
        return a + 8


def made_here(number: int) -> Task[..., Any]:
    def local(a: int) -> int:
        return a + number

    made: Task[..., Any] = declare(name=f"local{number}")(local)
    return made


#: Each task, and the result of its call with 1.
CASES: list[tuple[Any, int]] = [
    (decorated, 20),
    (below.__wrapped__, 5),  # type: ignore[attr-defined]
    (job, 4),
    (declare(name="wrapped")(times(10)(add)), 10),
    (declare(name="also_wrapped")(times(100)(add)), 100),
    (declare(name="itself")(add), 1),
    (declare(name="within")(decorated.function.__wrapped__), 2),
    (declare(name="partial")(functools.update_wrapper(functools.partial(add, 100), add)), 101),
    (declare(name="bare_partial")(functools.partial(add, b=9)), 10),
    (declare(name="inherited")(Child.numbered), 61),
    (declare(name="of_base")(Base.numbered), 51),
    (Base.of_class, 51),
    (Base.of_class_above.__func__, 51),  # type: ignore[attr-defined]
    (Base.static, 6),
    (Base.static_above, 7),
    (declare(name="bound_method")(Base().method), 8),
    (declare(name="callable")(Adder()), 9),
    (declare(name="lambda")(lambda a: a + 10), 11),
    (made_here(11), 12),
    (made_here(12), 13),
]
