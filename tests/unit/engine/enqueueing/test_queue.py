"""Enqueueing: by call, by name, now and for later, one and many."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from stored_jobs import NOW, raws

from taskhero import Job, NotConnected, Queue, TaskHero, UnknownTask
from taskhero.errors import ArgumentsMismatch, InvalidArguments, InvalidQueueName

pytestmark = pytest.mark.anyio


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


def entry(queue, raw):
    from taskhero.backends.protocol import Entry

    return Entry(queue, raw)


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
