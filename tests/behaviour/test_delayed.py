"""Looking at what is delayed, and deleting it: the same on every store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis_view import count_commands

from taskhero import Job
from taskhero.backends.protocol import DelayedJobEntry, Entry
from taskhero.backends.redis import RedisBackend
from taskhero.errors import InvalidMoment

pytestmark = pytest.mark.anyio

NODE = '{"class":"add","queue":"math","args":[1,{"é":1}]}'
RUBY = '{"class":"add","args":[1.0,{"é":1}],"queue":"math"}'
RAILS = '{"class":"add","args":[1,{"\\u00e9":1.0e+00}],"queue":"math"}'
SPACED = '{ "args": [1, {"\\u00e9": 1}], "class": "\\u0061dd", "queue": "math", "more": "<\\/b>" }'
NO_QUEUE = '{"class":"add","args":[1,{"é":1}]}'
OTHER_ARGS = '{"class":"add","queue":"math","args":[1]}'
OTHER_QUEUE = '{"class":"add","queue":"more","args":[1,{"é":1}]}'
OTHER_CLASS = '{"class":"adds","queue":"math","args":[1,{"é":1}]}'
GARBAGE = 'add "add" \\u0061 garbage'
SAME = [NODE, RUBY, RAILS, SPACED, NO_QUEUE]
OTHERS = [OTHER_ARGS, OTHER_QUEUE, OTHER_CLASS, GARBAGE, ""]


def at(harness, seconds):
    """A moment so many whole seconds from now."""
    return datetime.fromtimestamp(int(harness.clock.now()) + seconds, UTC)


async def delay(app, harness, seconds, *raws):
    moment = int(harness.clock.now()) + seconds
    entries = [DelayedJobEntry(moment, "math", raw, unique=False) for raw in raws]
    assert await app.backend.schedule(entries) == ["delayed"] * len(raws)


async def test_nothing_is_delayed_at_first(harness):
    """Each listing of a new store is empty."""
    app = harness.app(scheduler=False)
    async with app:
        assert await app.queue.scheduled_at("math", "add") == []
        assert await app.queue.timestamps() == []
        assert await app.queue.all_delayed() == {}
        assert await app.queue.delayed_at(at(harness, 60)) == []
        assert await app.queue.delete_delayed("math", "add") == []


async def test_delayed_jobs_are_seen_at_their_moments(harness):
    """The due times are in order, and the jobs of each due time are in the order of their enqueues."""
    app = harness.app(scheduler=False)
    add = app.task(name="add", queue="math")(lambda a, b: None)
    async with app:
        moment = at(harness, 10)
        far = datetime(2300, 1, 1, tzinfo=UTC)
        assert await add.enqueue_at(far, 5, 6)
        assert await add.enqueue_at(moment, 1, 2)
        assert await app.queue.enqueue_at(moment.timestamp(), "sub", {"a": [1]}, "more")
        assert await add.enqueue_in(timedelta(seconds=100), 1, 2)
        later = datetime.fromtimestamp(-(-(harness.clock.now() + 100) // 1), UTC)
        assert await app.queue.timestamps() == [moment, later, far]
        first = Job("add", [1, 2], "math", raw='{"class":"add","queue":"math","args":[1,2]}')
        second = Job("sub", [{"a": [1]}], "more", raw='{"class":"sub","queue":"more","args":[{"a":[1]}]}')
        third = Job("add", [5, 6], "math", raw='{"class":"add","queue":"math","args":[5,6]}')
        assert await app.queue.delayed_at(moment) == [first, second]
        assert await app.queue.delayed_at(moment.timestamp() - 0.5) == [first, second]
        assert await app.queue.all_delayed() == {moment: [first, second], later: [first], far: [third]}
        assert list(await app.queue.all_delayed()) == [moment, later, far]
        assert await app.queue.scheduled_at("math", "add", [1, 2]) == [moment, later]
        assert await app.queue.scheduled_at("more", "sub", {"a": [1]}) == [moment]
        # Other arguments or another queue match nothing.
        assert await app.queue.scheduled_at("math", "add", [1, 3]) == []
        assert await app.queue.scheduled_at("more", "add", [1, 2]) == []


async def test_a_delayed_job_is_deleted_from_all_its_moments(harness):
    """`delete_delayed` returns the due times that `scheduled_at` listed, and nothing the second time."""
    app = harness.app(scheduler=False)
    add = app.task(name="add", queue="math")(lambda a, b: None)
    async with app:
        for seconds in (10, 20, 30):
            await add.enqueue_at(at(harness, seconds), 1, 2)
        await add.enqueue_at(at(harness, 20), 3, 4)
        before = await app.queue.scheduled_at("math", "add", (1, 2))
        assert before == [at(harness, 10), at(harness, 20), at(harness, 30)]
        assert await app.queue.delete_delayed("math", "add", (1, 2)) == before
        assert await app.queue.delete_delayed("math", "add", (1, 2)) == []
        assert await app.queue.timestamps() == [at(harness, 20)]
        assert await app.queue.delete_delayed("math", "add", (3, 4)) == [at(harness, 20)]
        assert await app.queue.all_delayed() == {}
        assert await add.enqueue_at(at(harness, 10), 1, 2) is True, "nothing is left of the first one"


async def test_jobs_are_matched_by_meaning_in_every_spelling(harness):
    app = harness.app(scheduler=False)
    async with app:
        for seconds, raw in enumerate([*SAME, *OTHERS], 10):
            await delay(app, harness, seconds, raw)
        moments = [at(harness, 10 + number) for number in range(len(SAME))]
        assert await app.queue.scheduled_at("math", "add", [1, {"é": 1}]) == moments
        assert await app.queue.delete_delayed("math", "add", [1, {"é": 1}]) == moments
        left = await app.queue.all_delayed()
        assert [job.raw for jobs in left.values() for job in jobs] == OTHERS


async def test_several_copies_of_one_moment_are_one_moment_and_all_go(harness):
    """Ruby delays equal jobs to one second twice."""
    app = harness.app(scheduler=False)
    async with app:
        await delay(app, harness, 10, NODE, OTHER_ARGS, RUBY, NODE, RUBY)
        assert await app.queue.scheduled_at("math", "add", [1, {"é": 1}]) == [at(harness, 10)]
        assert await app.queue.delete_delayed("math", "add", [1, {"é": 1}]) == [at(harness, 10)]
        assert [job.raw for job in await app.queue.delayed_at(at(harness, 10))] == [OTHER_ARGS]


async def test_no_arguments_in_every_form(harness):
    """A single argument becomes a list of one, and no arguments become an empty list."""
    app = harness.app(scheduler=False)
    app.task(name="nothing", queue="math")(lambda: None)
    async with app:
        for seconds, args in ((10, "[]"), (20, "[null]"), (30, "[{}]"), (40, "{}")):
            await delay(app, harness, seconds, f'{{"class":"nothing","queue":"math","args":{args}}}')
        await app.queue.enqueue_at(at(harness, 50), "theirs", 1, "math")
        await app.queue.enqueue_at(at(harness, 60), "theirs", queue="math")
        assert [job.args for jobs in (await app.queue.all_delayed()).values() for job in jobs] == [
            [],
            [None],
            [{}],
            [],
            [1],
            [],
        ]
        assert len(await app.queue.delete_delayed("math", "nothing")) == 4
        assert await app.queue.delete_delayed("math", "theirs") == [at(harness, 60)]
        assert await app.queue.delete_delayed("math", "theirs", 1) == [at(harness, 50)]


async def test_what_cannot_be_read_is_shown_as_such(harness):
    app = harness.app(scheduler=False)
    async with app:
        await delay(app, harness, 10, GARBAGE, "[1]", NODE)
        jobs = await app.queue.delayed_at(at(harness, 10))
        assert [(job.name, job.args, job.problem is None) for job in jobs] == [
            ("", [GARBAGE], False),
            ("", ["[1]"], False),
            ("add", [1, {"é": 1}], True),
        ]
        assert await app.queue.all_delayed() == {at(harness, 10): jobs}
        assert await app.queue.scheduled_at("math", "add", [1, {"é": 1}]) == [at(harness, 10)]


async def test_a_moment_that_is_none_is_refused(harness):
    app = harness.app(scheduler=False)
    async with app:
        naive = datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        for wrong in (naive, "10000", float("nan"), True, 4102444800000):
            with pytest.raises(InvalidMoment):
                await app.queue.delayed_at(wrong)


async def test_jobs_are_deleted_by_name(harness):
    """All jobs of the task in this queue go with their locks, whatever their arguments. The others stay."""
    from taskhero.plugins import QueueLock

    app = harness.app(scheduler=False)
    add = app.task(name="add", queue="math", plugins=(QueueLock(),))(lambda a, b: None)
    async with app:
        assert await add.enqueue(1, 2)
        await app.backend.push([Entry("math", raw) for raw in (SPACED, GARBAGE, OTHER_CLASS, NODE, SPACED)])
        assert await add.options(queue="more").enqueue(1, 2)
        assert await app.queue.delete_by_name("math", "add") == 4
        assert [job.raw for job in await app.queue.queued("math")] == [GARBAGE, OTHER_CLASS]
        assert await app.queue.delete_by_name("math", "add") == 0
        assert await app.queue.delete_by_name("math", "") == 0
        assert await app.queue.length("more") == 1
        assert await app.queue.locks() == {
            name: value for name, value in (await app.queue.locks()).items() if name == "lock:add:more:[1,2]"
        }
        assert [await add.enqueue(1, 2), await add.options(queue="more").enqueue(1, 2)] == [True, False]


async def test_many_delayed_jobs_come_in_few_round_trips(harness):
    """2,500 moments, 5,000 jobs."""
    app = harness.app(scheduler=False)
    async with app:
        now = int(harness.clock.now())
        entries = [
            DelayedJobEntry(now + 10 + n // 2, "math", f'{{"class":"t","queue":"math","args":[{n}]}}')
            for n in range(5000)
        ]
        await app.backend.schedule(entries)
        asked = count(app)
        found = await app.queue.all_delayed()
        assert [job.args for jobs in found.values() for job in jobs] == [[n] for n in range(5000)]
        assert asked() <= 6
        assert await app.queue.scheduled_at("math", "t", [4321]) == [at(harness, 10 + 4321 // 2)]
        assert asked() <= 3
        assert len(await app.queue.timestamps()) == 2500
        assert asked() <= 2
        assert await app.queue.delete_delayed("math", "t", [4321]) == [at(harness, 10 + 4321 // 2)]
        assert asked() <= 4


def count(app):
    """Count the commands to a server; a function that tells how many there were since it was last called."""
    return count_commands(app.backend) if isinstance(app.backend, RedisBackend) else lambda: 0


# --- what only other programs leave ------------------------------------------------------------------------------


async def test_rubys_key_of_its_scheduler_and_moments_that_are_none_are_passed_over(harness):
    """node-resque turns Ruby's ``delayed:last_enqueued_at`` into the timestamp NaN."""
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        await delay(app, harness, 10, NODE)
        await harness.redis(app, "HSET", "resque:delayed:last_enqueued_at", "tick", "2026-11-23 10:34:20 +0000")
        moment = int(harness.clock.now()) + 20
        for member in ("last_enqueued_at", f"{moment}.5", "-5", "", "1e3", "99999999999999999999999"):
            await harness.redis(app, "ZADD", "resque:delayed_queue_schedule", moment, member)
        await harness.redis(app, "ZADD", "resque:delayed_queue_schedule", moment, moment)
        assert await app.queue.timestamps() == [at(harness, 10)]
        assert list(await app.queue.all_delayed()) == [at(harness, 10)]
        await harness.redis(app, "SET", f"resque:delayed:{moment}", "no list")
        assert await app.queue.timestamps() == [at(harness, 10)]
        assert list(await app.queue.all_delayed()) == [at(harness, 10)]
        (spoilt,) = await app.queue.delayed_at(at(harness, 20))
        assert "WRONGTYPE" in spoilt.problem


async def test_milliseconds_that_another_program_took_for_seconds_are_shown_and_can_be_deleted(harness):
    app = harness.app(scheduler=False)
    async with app:
        await app.backend.schedule(
            [DelayedJobEntry(4102444800000, "math", NODE), DelayedJobEntry(10**11, "math", OTHER_ARGS)]
        )
        farthest = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        year_5138 = datetime.fromtimestamp(0, UTC) + timedelta(seconds=10**11)
        assert await app.queue.timestamps() == [year_5138, farthest]
        assert [job.raw for job in await app.queue.delayed_at(farthest)] == [NODE]
        assert [job.raw for job in await app.queue.delayed_at(year_5138)] == [OTHER_ARGS]
        assert await app.queue.delete_delayed("math", "add", [1, {"é": 1}]) == [farthest]
        assert await app.queue.timestamps() == [year_5138]


async def test_deleting_leaves_nothing_in_redis(harness):
    """Other libraries leave the due time, or a stale index entry that makes them refuse the job without end."""
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        await delay(app, harness, 10, NODE, RUBY)
        assert await app.queue.delete_delayed("math", "add", [1, {"é": 1}]) == [at(harness, 10)]
        assert await harness.redis(app, "KEYS", "resque:*delayed*") == []
        assert await harness.redis(app, "KEYS", "resque:timestamps:*") == []
