"""Enqueueing many jobs in one call, and enqueueing for later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from stored_jobs import NOW, delayed

from taskhero import AlreadyScheduled
from taskhero.engine.queue import queue as queue_module
from taskhero.engine.time.instants import to_datetime
from taskhero.errors import InvalidArguments, InvalidMoment

pytestmark = pytest.mark.anyio


# --- many


@pytest.mark.parametrize("kind", [list, tuple, iter])
async def test_many_are_stored_in_order_with_few_steps(app, monkeypatch, kind):
    sizes = []
    push = app.backend.push

    async def counted(entries):
        sizes.append(len(entries))
        return await push(entries)

    monkeypatch.setattr(app.backend, "push", counted)
    add = app.tasks["add"]
    assert await app.queue.enqueue_many(kind([add.job(n) for n in range(2500)])) == 2500
    assert sizes == [1000, 1000, 500]
    assert [job.args[0] for job in await app.queue.queued("math")] == list(range(2500))


async def test_none_are_stored_of_none(app):
    assert await app.queue.enqueue_many([]) == 0


async def test_of_a_list_nothing_is_stored_if_one_cannot_be_written(app, monkeypatch):
    monkeypatch.setattr(queue_module, "_CHUNK", 2)
    add = app.tasks["add"]
    jobs = [add.job(1), add.job(2), add.job(3), add.job(float("inf"))]
    with pytest.raises(InvalidArguments):
        await app.queue.enqueue_many(jobs)
    assert await app.queue.length("math") == 0
    with pytest.raises(InvalidArguments):
        await app.queue.enqueue_many(iter(jobs))
    assert await app.queue.length("math") == 2


# --- later


@pytest.mark.parametrize(
    ("when", "at"),
    [
        (NOW + 10, 1_800_000_011),
        (1_800_000_010, 1_800_000_010),
        (to_datetime(NOW + 10), 1_800_000_011),
        (to_datetime(1_800_000_010), 1_800_000_010),
    ],
)
async def test_a_moment_is_rounded_up_to_the_second(app, when, at):
    assert await app.tasks["add"].enqueue_at(when, 1) is True
    assert await app.queue.enqueue_at(when, "send", {"to": "a"}) is True
    assert await delayed(app) == [
        (at, '{"class":"add","queue":"math","args":[1]}'),
        (at, '{"class":"send","queue":"mail","args":[{"to":"a"}]}'),
    ]
    assert await app.queue.queues() == []


@pytest.mark.parametrize(
    ("delay", "at"), [(10, 1_800_000_011), (9.75, 1_800_000_010), (timedelta(days=8), 1_800_000_000 + 8 * 86_400 + 1)]
)
async def test_a_delay_counts_from_the_apps_clock_and_is_rounded_up(app, delay, at):
    assert await app.tasks["add"].enqueue_in(delay, 1) is True
    assert await app.queue.enqueue_in(delay, "add", [2], "slow") is True
    assert await delayed(app) == [
        (at, '{"class":"add","queue":"math","args":[1]}'),
        (at, '{"class":"add","queue":"slow","args":[2]}'),
    ]


@pytest.mark.parametrize("when", [NOW, NOW - 1, 0, to_datetime(NOW), datetime(1969, 1, 1, tzinfo=UTC)])
async def test_what_is_not_in_the_future_is_enqueued_at_once(app, when):
    assert await app.tasks["add"].enqueue_at(when, 1) is True
    assert await app.queue.enqueue_at(when, "add", [1]) is True
    assert await app.queue.length("math") == 2
    assert await delayed(app) == []


@pytest.mark.parametrize("delay", [0, 0.0, timedelta(0)])
async def test_no_delay_is_at_once(app, delay):
    assert await app.tasks["add"].enqueue_in(delay, 1) is True
    assert await app.queue.length("math") == 1


@pytest.mark.parametrize(
    "when",
    [datetime(2027, 1, 1), NOW * 1000, -1, float("nan"), float("inf"), True, "10000", None],  # noqa: DTZ001
)
async def test_a_moment_that_can_only_be_a_mistake_is_refused(app, when):
    with pytest.raises(InvalidMoment, match="pass|add"):
        await app.tasks["add"].enqueue_at(when, 1)
    with pytest.raises(InvalidMoment, match="pass|add"):
        await app.queue.enqueue_at(when, "add", [1])


@pytest.mark.parametrize("delay", [700_000, -1, timedelta(seconds=-1), float("nan"), float("inf"), False, "10", None])
async def test_a_delay_that_can_only_be_a_mistake_is_refused(app, delay):
    with pytest.raises(InvalidMoment, match="pass"):
        await app.tasks["add"].enqueue_in(delay, 1)
    with pytest.raises(InvalidMoment, match="pass"):
        await app.queue.enqueue_in(delay, "add", [1])


async def test_an_equal_job_at_the_same_second_is_an_error_or_is_left_out(app):
    add = app.tasks["add"]
    when = to_datetime(NOW + 60)
    assert await add.enqueue_at(when, 1)
    with pytest.raises(
        AlreadyScheduled, match="'add' with the same arguments is already delayed to 2027-01-15T08:01:01"
    ):
        await add.enqueue_at(when, 1)
    with pytest.raises(AlreadyScheduled):
        await app.queue.enqueue_at(when, "add", [1])
    assert await app.queue.enqueue_at(when, "add", [1], suppress_duplicate=True) is False
    assert await add.options(suppress_duplicate=True).enqueue_at(when, 1) is False
    assert await add.options(suppress_duplicate=True).enqueue_in(60, 1) is False
    assert await app.queue.enqueue_in(60, "add", [1], suppress_duplicate=True) is False
    assert await add.enqueue_at(when, 2)
    assert await add.enqueue_in(61, 1)
    assert len(await delayed(app)) == 3
