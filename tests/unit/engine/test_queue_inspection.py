"""Looking at queues and failures, and deleting jobs by what they mean."""

from __future__ import annotations

import pytest

from taskhero import TaskHero
from taskhero.backends.protocol import Entry
from taskhero.engine.queue import queued

pytestmark = pytest.mark.anyio

NODE = '{"class":"add","queue":"math","args":[1,2]}'
RUBY = '{"class":"add","args":[1,2]}'
RESQUE_SCHEDULER = '{"class":"add","args":[1,2],"queue":"math"}'
SPACED = '{ "queue": "math", "args": [1.0, 2], "class": "\\u0061dd", "more": true }'
OTHER_ARGS = '{"class":"add","queue":"math","args":[2,1]}'
OTHER_CLASS = '{"class":"sub","queue":"math","args":[1,2]}'
GARBAGE = "garbage"

ALL = [NODE, OTHER_ARGS, RUBY, GARBAGE, RESQUE_SCHEDULER, OTHER_CLASS, SPACED, NODE]


@pytest.fixture
async def app():
    app = TaskHero()
    app.task(name="nothing", queue="math")(lambda: None)
    async with app:
        await app.backend.push([Entry("math", raw) for raw in ALL])
        yield app


async def left(app):
    return await app.backend.queued("math")


async def test_queues_lengths_and_jobs(app):
    await app.queue.enqueue("theirs", [], "a")
    assert await app.queue.queues() == ["a", "math"]
    assert (await app.queue.length("math"), await app.queue.length("unknown")) == (8, 0)
    jobs = await app.queue.queued("math")
    assert [job.raw for job in jobs] == ALL
    assert {job.queue for job in jobs} == {"math"}
    assert [job.raw for job in await app.queue.queued("math", 1, 2)] == ALL[1:3]
    assert [job.raw for job in await app.queue.queued("math", -2)] == ALL[-2:]


async def test_positions_are_whole_numbers_however_large(app):
    assert [job.raw for job in await app.queue.queued("math", -(10**30), 10**30)] == ALL
    assert await app.queue.failed(10**30, -(10**30)) == []
    for wrong in ("0", 1.5, True, None):
        with pytest.raises(TypeError, match=f"start={wrong!r} is not a position: pass an int"):
            await app.queue.queued("math", wrong)
        with pytest.raises(TypeError, match=f"stop={wrong!r} is not a position"):
            await app.queue.failed(0, wrong)


async def test_a_queue_is_deleted_with_its_jobs(app):
    assert await app.queue.delete_queue("math") == 8
    assert await app.queue.queues() == []
    assert await app.queue.delete_queue("math") == 0


async def test_all_that_mean_the_same_are_deleted_whoever_wrote_them(app):
    assert await app.queue.delete("math", "add", [1, 2]) == 5
    assert await left(app) == [OTHER_ARGS, GARBAGE, OTHER_CLASS]
    assert await app.queue.delete("math", "add", [1, 2]) == 0


async def test_the_first_so_many_are_deleted(app):
    assert await app.queue.delete("math", "add", (1, 2), 2) == 2
    assert await left(app) == [OTHER_ARGS, GARBAGE, RESQUE_SCHEDULER, OTHER_CLASS, SPACED, NODE]


async def test_the_last_so_many_are_deleted(app):
    assert await app.queue.delete("math", "add", (1, 2), -2) == 2
    assert await left(app) == [NODE, OTHER_ARGS, RUBY, GARBAGE, RESQUE_SCHEDULER, OTHER_CLASS]


@pytest.mark.parametrize("count", [9, -9])
async def test_no_more_are_deleted_than_there_are(app, count):
    assert await app.queue.delete("math", "add", [1, 2], count) == 5


@pytest.mark.parametrize("page", [1, 2, 3, 8])
@pytest.mark.parametrize(("count", "deleted"), [(0, 5), (3, 3), (-3, 3)])
async def test_a_queue_is_searched_page_by_page(app, monkeypatch, page, count, deleted):
    whole = TaskHero()
    async with whole:
        await whole.backend.push([Entry("math", raw) for raw in ALL])
        await whole.queue.delete("math", "add", [1, 2], count)
        monkeypatch.setattr(queued, "_PAGE", page)
        assert await app.queue.delete("math", "add", [1, 2], count) == deleted
        assert await left(app) == await left(whole)


@pytest.mark.parametrize("args", [(), {}, None, [None]])
async def test_every_form_of_no_arguments_is_deleted_of_a_task_that_needs_none(app, args):
    forms = [f'{{"class":"nothing","queue":"math","args":{form}}}' for form in ("[]", "[null]", "[{}]", "[0]")]
    await app.queue.delete_queue("math")
    await app.backend.push([Entry("math", raw) for raw in forms])
    assert await app.queue.delete("math", "nothing", args) == 3
    assert await left(app) == forms[3:]


@pytest.mark.parametrize("args", [(), {}, None])
async def test_of_a_foreign_task_only_the_given_form_is_deleted(app, args):
    forms = [f'{{"class":"theirs","queue":"math","args":{form}}}' for form in ("[]", "[null]", "[{}]")]
    await app.queue.delete_queue("math")
    await app.backend.push([Entry("math", raw) for raw in forms])
    assert await app.queue.delete("math", "theirs", args) == 1


@pytest.mark.parametrize("count", [True, 1.0, None])
async def test_a_count_must_be_a_whole_number(app, count):
    with pytest.raises(TypeError, match="is not an int: pass 0 for all"):
        await app.queue.delete("math", "add", [1, 2], count)


async def test_failures_and_stats_of_a_fresh_store_are_empty(app):
    assert await app.queue.failed() == []
    assert await app.queue.failed_count() == 0
    assert {name: number for name, number in (await app.queue.stats()).items() if number} == {}


@pytest.mark.parametrize("verb", ["each_failed", "retry_all_failed", "remove_all_failed"])
async def test_a_condition_on_failed_jobs_that_does_not_exist_is_an_error(app, verb):
    async with app:
        with pytest.raises(TypeError, match=r"no condition 'tsk'; did you mean 'task'\? \(known: queue, task,"):
            await anext(getattr(app.queue, verb)(tsk="add"))
