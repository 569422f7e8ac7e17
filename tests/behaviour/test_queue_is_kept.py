"""A job that waits among the delayed keeps the queue from which it was claimed, whoever wrote it."""

from __future__ import annotations

import asyncio

import pytest

from taskhero.backends.protocol import Entry
from taskhero.plugins import DelayQueueLock, JobLock, Retry
from taskhero.wire.jobs import unmark

pytestmark = pytest.mark.anyio
ON_SQLITE_TOO = True

# As claimed from the queue "math", and as it waits among the delayed.
TEXTS = {
    "ruby": ('{"class":"work","args":[1.0]}', '{"class":"work","queue":"math","args":[1.0]}'),
    "no-args": ('{"class":"work"}', '{"class":"work","queue":"math"}'),
    "foreign": ('{"class":"work","args":[1],"queue":"other"}', '{"class":"work","args":[1],"queue":"math"}'),
    "null": ('{"queue":null,"args":[1],"class":"work"}', '{"queue":"math","args":[1],"class":"work"}'),
    "blanks": ('{ "class" : "work" , "x" : "}" }', '{ "class" : "work","queue":"math" , "x" : "}" }'),
    "ours": ('{"class":"work","queue":"math","args":[1]}',) * 2,
    "resque-scheduler": ('{"class":"work","args":[1e0],"queue":"math"}',) * 2,
}
_texts = pytest.mark.parametrize("text", TEXTS)


@_texts
async def test_a_job_is_tried_as_often_as_the_limit_says(harness, text):
    app = harness.app()
    ran = []

    @app.task(name="work", queue="elsewhere", plugins=[Retry(limit=3, delay=10, jitter=0)])
    async def work(*args):
        ran.append(args)
        raise ValueError("again")

    async with app.running():
        claimed, kept = TEXTS[text]
        await app.backend.push([Entry("math", claimed)])
        for attempt in (1, 2):
            await harness.happened("retry", attempt)
            assert [job.raw for jobs in (await app.queue.all_delayed()).values() for job in jobs] == [kept]
            harness.later(app, 11)
        (failure,) = await harness.happened("failure")
        assert failure.queue == "math"
        assert len(ran) == 3
        assert await app.queue.failed_count() == 1
        assert await app.queue.queues() == ["math"]


@_texts
async def test_a_postponed_job_comes_back_to_its_queue(harness, text):
    app = harness.app()
    go_on, ran = asyncio.Event(), []

    @app.task(name="work", queue="elsewhere", plugins=[JobLock(delay=5)])
    async def work(*args):
        ran.append(args)
        await go_on.wait()

    async with app.running():
        claimed, kept = TEXTS[text]
        await app.backend.push([Entry("math", claimed)] * 2)
        await harness.happened("re_enqueue")
        assert [unmark(job.raw) for jobs in (await app.queue.all_delayed()).values() for job in jobs] == [kept]
        go_on.set()
        await harness.happened("success")
        harness.later(app, 6)
        await harness.happened("success", 2)
        assert len(ran) == 2
        assert await app.queue.failed_count() == 0
        assert await app.queue.queues() == ["math"]


async def test_a_job_that_waits_is_found_by_what_it_means(harness):
    app = harness.app(scheduler=False)

    @app.task(name="work", queue="math", plugins=[DelayQueueLock(), Retry(limit=3, delay=60, jitter=0)])
    async def work(*args):
        raise ValueError("again")

    async with app.running():
        # A whole float, and a key order, that this program does not write.
        await app.backend.push([Entry("math", '{"args":[7.0,{"b":1,"a":2e0}],"class":"work"}')])
        await app.backend.push([Entry("math", '{"class":"work","args":[8.0]}')])
        await harness.happened("retry", 2)
        meant = [7, {"a": 2, "b": 1}]
        assert len(await app.queue.scheduled_at("math", "work", meant)) == 1
        assert len(await app.queue.scheduled_at("math", "work", [8])) == 1
        assert not await work.enqueue(8), "an equal job waits"
        assert not await work.enqueue(*meant), "an equal job waits"
        assert await work.enqueue(9)
        assert await work.options(queue="other").enqueue(8)
        assert len(await app.queue.delete_delayed("math", "work", meant)) == 1
        assert await work.enqueue(*meant)
        assert len(await app.queue.delete_delayed("math", "work", [8])) == 1
        assert await work.enqueue(8)
