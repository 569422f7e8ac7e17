"""Enqueueing: by call, by name, now and for later, one and many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskhero import AlreadyScheduled, Job, NotConnected, Queue, TaskHero, UnknownTask
from taskhero.backends.memory import MemoryBackend
from taskhero.clock import ManualClock
from taskhero.engine.queue import queue as queue_module
from taskhero.engine.time.instants import to_datetime
from taskhero.errors import ArgumentsMismatch, InvalidArguments, InvalidMoment, InvalidQueueName

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.25


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
async def app(clock):
    """An app in memory whose time stands still, with a task of each kind."""
    app = TaskHero(MemoryBackend(clock=clock), clock=clock)

    @app.task(queue="mail")
    async def send(*, to, copies=1): ...

    @app.task(queue="math")
    def add(a, b=2, c=3): ...

    @app.task
    def nothing(): ...

    async with app:
        yield app


async def raws(app, queue):
    return await app.backend.queued(queue)


async def delayed(app):
    """What is delayed, as (second, text), when all is due."""
    clock = app.queue.context.clock
    clock.advance(10**9)
    due = await app.backend.due(1000)
    clock.advance(-(10**9))
    return [(job.at, job.raw) for job in due.jobs]


# --- what lies on the wire


async def test_keyword_only_tasks_store_one_object(app):
    assert await app.tasks["send"].enqueue(to="a@example.com") is True
    assert await raws(app, "mail") == ['{"class":"send","queue":"mail","args":[{"to":"a@example.com"}]}']


async def test_positional_tasks_store_a_list(app):
    await app.tasks["add"].enqueue(1)
    await app.tasks["add"].enqueue(1, c=5)
    assert await raws(app, "math") == [
        '{"class":"add","queue":"math","args":[1]}',
        '{"class":"add","queue":"math","args":[1,2,5]}',
    ]


async def test_tasks_without_parameters_store_an_empty_list(app):
    await app.tasks["nothing"].enqueue()
    assert await raws(app, "default") == ['{"class":"nothing","queue":"default","args":[]}']


async def test_options_of_one_call_name_another_queue(app):
    await app.tasks["add"].options(queue="slow").enqueue(1, 2)
    assert await raws(app, "slow") == ['{"class":"add","queue":"slow","args":[1,2]}']
    assert await app.queue.queues() == ["slow"]


async def test_whole_numbers_are_stored_exactly_at_any_size(app):
    await app.tasks["add"].enqueue(10**30, -(2**64))
    assert await raws(app, "math") == [f'{{"class":"add","queue":"math","args":[{10**30},{-(2**64)}]}}']


# --- wrong calls


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("send", (), {}),
        ("send", ("a",), {}),
        ("send", (), {"too": "a"}),
        ("add", (), {}),
        ("add", (1, 2, 3, 4), {}),
        ("nothing", (1,), {}),
    ],
)
async def test_a_wrong_call_is_a_type_error_in_the_caller_and_stores_nothing(app, name, args, kwargs):
    task = app.tasks[name]
    for call in (task.enqueue, task.job):
        with pytest.raises(TypeError, match=name):
            await call(*args, **kwargs)
    with pytest.raises(TypeError, match=name):
        await task.enqueue_in(10, *args, **kwargs)
    with pytest.raises(TypeError, match=name):
        await task.enqueue_at(NOW + 10, *args, **kwargs)
    assert await app.queue.queues() == []


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("send", ()),
        ("send", {"too": "a"}),
        ("send", "a"),
        ("send", ["a"]),
        ("add", ()),
        ("add", (1, 2, 3, 4)),
        ("nothing", 1),
        ("nothing", {"a": 1}),
    ],
)
async def test_a_wrong_call_by_name_is_a_type_error_too_if_the_task_is_declared(app, name, args):
    for enqueue in (
        lambda: app.queue.enqueue(name, args),
        lambda: app.queue.enqueue(name, args, "elsewhere"),
        lambda: app.queue.enqueue_in(10, name, args),
        lambda: app.queue.enqueue_at(NOW + 10, name, args),
    ):
        with pytest.raises(TypeError, match="these args do not fit") as caught:
            await enqueue()
        assert not isinstance(caught.value, ArgumentsMismatch)
    assert await app.queue.queues() == []


async def test_arguments_that_cannot_be_written_are_refused_before_anything_is_stored(app):
    with pytest.raises(InvalidArguments, match="to"):
        await app.tasks["send"].enqueue(to=datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidArguments):
        await app.queue.enqueue("add", [float("nan")])
    assert await app.queue.queues() == []


# --- by name


@pytest.mark.parametrize(
    ("args", "stored"),
    [
        ({"to": "a"}, '[{"to":"a"}]'),
        ([1, 2], "[1,2]"),
        ((1, 2), "[1,2]"),
        ((), "[]"),
        ("ab", '["ab"]'),
        (3, "[3]"),
        (None, "[null]"),
    ],
)
async def test_by_name_a_mapping_is_one_object_a_list_the_list_and_anything_else_a_list_of_one(app, args, stored):
    assert await app.queue.enqueue("theirs", args, "other")
    assert await raws(app, "other") == [f'{{"class":"theirs","queue":"other","args":{stored}}}']


async def test_by_name_a_declared_task_goes_to_its_own_queue(app):
    await app.queue.enqueue("send", {"to": "a"})
    await app.queue.enqueue("add", [1])
    assert await app.queue.queues() == ["mail", "math"]


@pytest.mark.parametrize("args", [(), [], {}, None, [None], [{}]])
async def test_no_arguments_by_name_are_stored_as_the_tasks_own_call_stores_them(app, args):
    await app.queue.enqueue("nothing", args)
    await app.tasks["nothing"].enqueue()
    assert len(set(await raws(app, "default"))) == 1


async def test_an_unknown_name_needs_a_queue(app):
    with pytest.raises(
        UnknownTask, match=r"does not declare a task 'ad'; did you mean 'add'\?; if another program runs it"
    ):
        await app.queue.enqueue("ad", [1])
    with pytest.raises(UnknownTask):
        await app.queue.enqueue_in(10, "ad", [1])
    assert await app.queue.enqueue("ad", [1], "other")
    assert await app.queue.enqueue_in(10, "ad", [1], "other")


@pytest.mark.parametrize("queue", ["", "a,b", "a\nb", "a\x00b"])
async def test_a_queue_name_that_cannot_be_is_refused_before_writing(app, queue):
    for enqueue in (
        lambda: app.queue.enqueue("theirs", [], queue),
        lambda: app.queue.enqueue("add", [1], queue),
        lambda: app.queue.enqueue_in(10, "add", [1], queue),
        lambda: app.queue.push(Job("add", [1], queue)),
    ):
        with pytest.raises(InvalidQueueName):
            await enqueue()
    assert await app.queue.queues() == []
    assert await app.queue.length(queue) == 0, "other programs may have such queues, so one can look"


async def test_a_name_must_be_text(app):
    with pytest.raises(TypeError, match="is not the name of a task: pass a str, or use the task's methods"):
        await app.queue.enqueue(app.tasks["add"], [1])


# --- jobs


async def test_job_and_push_are_what_enqueue_is_made_of(app):
    job = app.queue.job("add", (1, 2))
    assert job == Job("add", [1, 2], "math")
    assert await app.queue.push(job) is True
    assert await app.queue.push(app.queue.job("add", [0]), front=True) is True
    assert [job.args for job in await app.queue.queued("math")] == [[0], [1, 2]]


async def test_a_job_from_a_listing_can_be_pushed_again_elsewhere(app):
    await app.backend.push([entry("math", '{"args":[1],"class":"add","extra":1}')])
    (job,) = await app.queue.queued("math")
    await app.queue.push(Job(job.name, job.args, "other"))
    assert await raws(app, "other") == ['{"class":"add","queue":"other","args":[1]}']


def entry(queue, raw):
    from taskhero.backends.protocol import Entry

    return Entry(queue, raw)


async def test_an_entry_that_cannot_be_read_is_listed_with_its_text_but_not_pushed(app):
    await app.backend.push([entry("math", "garbage")])
    (job,) = await app.queue.queued("math")
    assert (job.name, job.raw, job.queue) == ("", "garbage", "math")
    assert job.problem
    with pytest.raises(InvalidArguments, match="cannot be enqueued, because it cannot be decoded"):
        await app.queue.push(job)


async def test_what_is_no_job_is_refused(app):
    for wrong in ("add", ("add", [1]), None):
        with pytest.raises(TypeError, match=r"is not a Job: create one with task.job\(\.\.\.\)"):
            await app.queue.push(wrong)
        with pytest.raises(TypeError, match="is not a Job"):
            await app.queue.enqueue_many([wrong])


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


# --- before connecting


async def test_all_use_before_connecting_is_an_error_that_says_what_to_do():
    app = TaskHero()
    add = app.task(name="add")(lambda a: None)
    queue = app.queue
    uses = [
        lambda: add.enqueue(1),
        lambda: add.enqueue_in(1, 1),
        lambda: add.options(queue="a").enqueue_at(NOW, 1),
        lambda: queue.enqueue("add", 1),
        lambda: queue.enqueue_many([add.job(1)]),
        lambda: queue.push(add.job(1)),
        lambda: queue.enqueue_in(1, "add", 1),
        queue.queues,
        lambda: queue.length("a"),
        lambda: queue.queued("a"),
        queue.stats,
        queue.failed,
        queue.failed_count,
        lambda: queue.delete("a", "add"),
        lambda: queue.delete_queue("a"),
    ]
    for use in uses:
        with pytest.raises(NotConnected, match="`async with app:`"):
            await use()
    async with app:
        assert app.queue is queue
        assert await add.enqueue(1)
    with pytest.raises(NotConnected):
        await add.enqueue(1)


# --- a queue of one's own


class FrontQueue(Queue):
    async def enqueue_front(self, name, args=(), queue=None):
        return await self.push(self.job(name, args, queue), front=True)


async def test_a_queue_of_ones_own_stands_at_the_app():
    app = TaskHero(queue=FrontQueue)
    add = app.task(name="add")(lambda a: None)
    async with app:
        await add.enqueue(1)
        assert await app.queue.enqueue_front("add", [0]) is True
        assert [job.args for job in await app.queue.queued("default")] == [[0], [1]]


async def test_a_queue_of_ones_own_gets_all_it_needs_and_hears_of_calls_by_task():
    class Noted(Queue):
        def __init__(self, context):
            super().__init__(context)
            self.pushed = []

        async def push(self, job, *, front=False):
            self.pushed.append((job.name, self.context.settings.namespace))
            return await super().push(job, front=front)

    app = TaskHero(queue=Noted)
    add = app.task(name="add")(lambda a: None)
    async with app:
        await add.enqueue(1)
        await app.queue.enqueue("add", [2])
        assert app.queue.pushed == [("add", "resque")] * 2
