"""An error about an argument names the parameter of the task, for every kind of signature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from taskhero import TaskHero
from taskhero.errors import InvalidArguments

app = TaskHero()


@app.task
async def both(x: Any, y: Any = None) -> None: ...


@app.task
async def mail(*, to: Any, options: Any = None) -> None: ...


@app.task
async def rest(x: Any, *more: Any) -> None: ...


@app.task
async def anything(**values: Any) -> None: ...


@app.task(wire="object")
async def as_object(x: Any) -> None: ...


@app.task(wire="list")
async def as_list(*, x: Any, y: Any = 1) -> None: ...


@app.task
async def mixed(x: Any, *more: Any, to: Any, **others: Any) -> None: ...


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("enqueue", "path"),
    [
        (lambda: both.enqueue({1}), "task 'both': x is {1}"),
        (lambda: both.enqueue(1, {"k": [1, {2}]}), "task 'both': y.k[1] is {2}"),
        (lambda: both.enqueue(y={1}, x=1), "task 'both': y is {1}"),
        (lambda: both.enqueue({1: 2}), "task 'both': x has the key 1"),
        (lambda: both.enqueue_in(5, {1}), "task 'both': x is {1}"),
        (lambda: both.enqueue_at(2e9, {1}), "task 'both': x is {1}"),
        (lambda: mail.enqueue(to=float("nan")), "task 'mail': to is nan"),
        (lambda: mail.enqueue(to=1, options={"first name": {1}}), "task 'mail': options['first name'] is {1}"),
        (lambda: rest.enqueue(1, 2, {3}), "task 'rest': more[1] is {3}"),
        (lambda: rest.enqueue(1, {"x": {3}}), "task 'rest': more[0].x is {3}"),
        (lambda: anything.enqueue(z={3}), "task 'anything': z is {3}"),
        (lambda: as_object.enqueue(x={3}), "task 'as_object': x is {3}"),
        (lambda: as_list.enqueue(x=1, y={3}), "task 'as_list': y is {3}"),
        (lambda: mixed.enqueue(1, {2}, to=1), "task 'mixed': more[0] is {2}"),
        (lambda: mixed.enqueue(1, 2, to={1}), "task 'mixed': to is {1}"),
        (lambda: mixed.enqueue({"to": {1}}, to=1), "task 'mixed': x.to is {1}"),
        (lambda: mixed.enqueue(1, to=1, by={1}), "task 'mixed': by is {1}"),
        (lambda: app.queue.enqueue("both", [1, {2}]), "task 'both': y is {2}"),
        (lambda: app.queue.enqueue_in(3, "mail", {"to": {2}}), "task 'mail': to is {2}"),
        (lambda: app.queue.enqueue_many([both.job(1, {2})]), "task 'both': y is {2}"),
        (lambda: app.queue.enqueue("unknown", [1, {2}], "math"), "args[1] is {2}"),
    ],
)
async def test_an_argument_that_json_lacks_is_called_by_its_parameter(
    enqueue: Callable[[], Awaitable[object]], path: str
) -> None:
    async with app:
        with pytest.raises(InvalidArguments) as caught:
            await enqueue()
    assert str(caught.value).startswith(path)
    assert path.startswith("args") or "args[" not in str(caught.value)
