"""What node-resque enqueues, taskhero works, and what taskhero enqueues, node-resque works: once, equal, in order."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from any_args import AnyArgs, meaning

pytestmark = pytest.mark.anyio

JOBS = 1000
AT_ONCE = 700
SEED = 20261123
#: Far enough that all are stored before the first is due.
AHEAD = 2


def works(stage, **settings):
    """An app that notes what it is given, one job after the other."""
    app = stage.app(processors=1, settings=settings)
    worked = []

    @app.task(name="note", queue="jobs", wire="list")
    async def note(*args):
        worked.append(list(args))
        stage.look()

    @app.task(name="later", queue="delayed", wire="list")
    async def later(*args):
        worked.append(list(args))
        stage.look()

    return app, worked


def same(worked, produced):
    """Whether each was performed once, with equal arguments, and in the order in which they were enqueued."""
    assert [args[0] for args in worked] == [args[0] for args in produced]
    for theirs, ours in zip(worked, produced, strict=True):
        assert meaning(theirs) == meaning(ours)


async def test_what_node_enqueues_is_worked_here(stage, resque):
    produced = AnyArgs(SEED, halves=True).lists(JOBS)
    at = (int(time.time()) + AHEAD) * 1000
    now, later = produced[:AT_ONCE], produced[AT_ONCE:]
    calls = [["enqueue", "jobs", "note", args] for args in now]
    calls += [["enqueueAt", at, "delayed", "later", args] for args in later[:150]]
    calls += [["enqueueIn", AHEAD * 1000, "delayed", "later", args] for args in later[150:]]
    app, worked = works(stage)
    async with app.running():
        await resque("calls", calls)
        await stage.until(lambda: len(worked) == JOBS)
        same([args for args in worked if args[0] < AT_ONCE], now)
        # Those of one call's kind keep their order; node rounds a moment, so one kind may be a second before the other.
        same([args for args in worked if AT_ONCE <= args[0] < AT_ONCE + 150], later[:150])
        same([args for args in worked if args[0] >= AT_ONCE + 150], later[150:])
        assert await app.queue.failed() == []
        assert (await app.queue.stats())["processed"] == JOBS
        assert await stage.redis(app, "KEYS", "resque:delayed*") == []
        assert await stage.redis(app, "KEYS", "resque:timestamps:*") == []


async def test_scalars_and_objects_that_node_wraps_arrive_as_node_itself_would_perform_them(stage, resque):
    given = [None, {"a": 1}, "x", 5, False, [], [None], [[1, 2]], [{}]]
    app, worked = works(stage)
    async with app.running():
        await resque("calls", [["enqueue", "jobs", "note", args] for args in given])
        await stage.until(lambda: len(worked) == len(given))
    assert worked == [[None], [{"a": 1}], ["x"], [5], [False], [], [None], [[1, 2]], [{}]]


@pytest.mark.parametrize("kind", ["worker", "multi"])
async def test_what_is_enqueued_here_is_worked_by_node(stage, resque, kind):
    produced = AnyArgs(SEED + 1).lists(JOBS)
    now, later = produced[:AT_ONCE], produced[AT_ONCE:]
    app = stage.app(processors=0, scheduler=False)
    async with app:
        at = int(time.time()) + AHEAD
        # By name, since only the other side knows these tasks.
        await app.queue.enqueue_many([app.queue.job("note", args, "jobs") for args in now[:600]])
        for args in now[600:]:
            assert await app.queue.enqueue("note", args, "jobs")
        for args in later[:150]:
            assert await app.queue.enqueue_at(at, "later", args, "delayed")
        for args in later[150:]:
            assert await app.queue.enqueue_in(timedelta(seconds=AHEAD), "later", args, "delayed")
        await resque("declare", {"note": {}, "later": {}})
        await resque("start", "scheduler", "scheduler")
        await resque("start", "worker", kind, {"queues": ["jobs", "delayed"], "maxTaskProcessors": 1})
        performed = await resque("performed", JOBS)
        await resque("stop", "worker")
        await resque("stop", "scheduler")
        same([args for name, args in performed if name == "note"], now)
        worked = [args for name, args in performed if name == "later"]
        same([args for args in worked if args[0] < AT_ONCE + 150], later[:150])
        same([args for args in worked if args[0] >= AT_ONCE + 150], later[150:])
        assert await app.queue.failed() == []
        assert await resque("told", "error", 0) == []
        assert (await app.queue.stats())["processed"] == JOBS
        assert await stage.redis(app, "KEYS", "resque:delayed*") == []
        assert await stage.redis(app, "KEYS", "resque:timestamps:*") == []
