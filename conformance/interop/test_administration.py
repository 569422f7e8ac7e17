"""Each side deletes, retries and finds the jobs that the other wrote: queued, delayed and failed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from any_args import AnyArgs, meaning

from taskhero.errors import NotInFailures

pytestmark = pytest.mark.anyio

#: 1.0, 1e21, -0.0, texts that are not ASCII and all that was trouble somewhere, then what comes by chance.
SOME = AnyArgs(20261124).lists(80)
LATER = 4_000_000_000
#: What is delayed to two moments.
AT = [LATER, LATER + 60]
MOMENTS = [datetime.fromtimestamp(at, UTC) for at in AT]


def same(left, right):
    assert meaning(left) == meaning(right)


def works(stage, **more):
    """An app with `note`, and `fail`, which fails."""
    app = stage.app(scheduler=False, **{"processors": 1, "settings": {"queues": ("jobs",)}, **more})

    @app.task(name="note", queue="jobs", wire="list")
    async def note(*args): ...

    @app.task(name="fail", queue="jobs", wire="list")
    async def fail(*args):
        raise ValueError("é 😀 </script> \u2028")

    return app


# --- queued jobs -------------------------------------------------------------------------------------------------


async def test_node_deletes_what_is_queued_here(stage, resque):
    app = works(stage)
    async with app:
        await app.queue.enqueue_many([app.queue.job("note", args) for args in [*SOME, *SOME]])
        assert await resque("calls", [["del", "jobs", "note", args, 1] for args in SOME[::2]]) == [1] * 40
        assert await resque("calls", [["del", "jobs", "note", args, -1] for args in SOME[::2]]) == [1] * 40
        assert await resque("calls", [["del", "jobs", "note", args] for args in SOME[1::2]]) == [2] * 40
        assert await app.queue.length("jobs") == 0
        await app.queue.enqueue_many([app.queue.job(name, args) for args in SOME for name in ("note", "fail")])
        assert await resque.queue("delByFunction", "jobs", "fail") == 80
        left = await app.queue.queued("jobs")
        assert {job.name for job in left} == {"note"}
        same([job.args for job in left], SOME)


async def test_what_node_queued_is_deleted_here(stage, resque):
    app = works(stage)
    async with app:
        await resque("calls", [["enqueue", "jobs", "note", args] for args in [*SOME, *SOME]])
        assert [await app.queue.delete("jobs", "note", args, 1) for args in SOME[::2]] == [1] * 40
        assert [await app.queue.delete("jobs", "note", args, -1) for args in SOME[::2]] == [1] * 40
        assert [await app.queue.delete("jobs", "note", args) for args in SOME[1::2]] == [2] * 40
        assert await resque.queue("length", "jobs") == 0
        await resque("calls", [["enqueue", "jobs", name, args] for args in SOME for name in ("note", "fäil 😀")])
        assert await app.queue.delete_by_name("jobs", "fäil 😀") == 80
        left = await resque.queue("queued", "jobs", 0, -1)
        assert {job["class"] for job in left} == {"note"}
        same([job["args"] for job in left], SOME)


# --- delayed jobs ------------------------------------------------------------------------------------------------


async def test_node_finds_and_deletes_what_is_delayed_here(stage, resque):
    app = works(stage)
    async with app:
        for args in SOME:
            for at in AT:
                assert await app.queue.enqueue_at(at, "note", args)
        of_each = [["jobs", "note", args] for args in SOME]
        found = await resque("calls", [["scheduledAt", *job] for job in of_each])
        assert [sorted(moments) for moments in found] == [AT] * 80
        deleted = await resque("calls", [["delDelayed", *job] for job in of_each])
        assert [sorted(moments) for moments in deleted] == [AT] * 80
        assert await resque("calls", [["scheduledAt", *job] for job in of_each]) == [[]] * 80
        assert await app.queue.all_delayed() == {}
        assert (await app.queue.details()).delayed == 0
        assert await stage.redis(app, "KEYS", "resque:delayed:*") == []
        assert await stage.redis(app, "KEYS", "resque:timestamps:*") == []
        # What node-resque forgot to take from the schedule is in nobody's way.
        assert await app.queue.enqueue_at(LATER, "note", SOME[0])
        assert await resque.queue("scheduledAt", "jobs", "note", SOME[0]) == [LATER]


async def test_what_node_delayed_is_found_and_deleted_here(stage, resque):
    app = works(stage)
    async with app:
        await resque("calls", [["enqueueAt", at * 1000, "jobs", "note", args] for args in SOME for at in AT])
        assert (await app.queue.details()).delayed == 160
        assert [await app.queue.scheduled_at("jobs", "note", args) for args in SOME] == [MOMENTS] * 80
        assert await app.queue.scheduled_at("other", "note", SOME[0]) == []
        assert [await app.queue.delete_delayed("jobs", "note", args) for args in SOME] == [MOMENTS] * 80
        assert await resque.queue("timestamps") == []
        assert await stage.redis(app, "KEYS", "resque:delayed*") == []
        assert await stage.redis(app, "KEYS", "resque:timestamps:*") == []
        # Nothing of them refuses an equal one.
        assert await resque.queue("enqueueAt", LATER * 1000, "jobs", "note", SOME[0]) is True


# --- failures ----------------------------------------------------------------------------------------------------

#: As Ruby writes a job, and what is none.
ODD = [
    '{"class":"fail","args":["ruby",1.0,1.0e+21,-0.0,"\\u00e9"]}',
    '{"args": [true, null], "class": "fail", "more": {"a": 1.0}}',
    "no job: é",
    "[1.0]",
]


async def test_node_removes_and_retries_what_failed_here(place, stage, resque):
    app = works(stage)
    total = len(SOME) + len(ODD)
    async with app.running():
        await app.queue.enqueue_many([app.queue.job("fail", args) for args in SOME])
        for text in ODD:
            place.command("RPUSH", "resque:queue:jobs", text)
        await stage.happened("failure", total)
        listed = await app.queue.failed()
        assert len(listed) == total
        theirs = await resque.queue("failed", 0, -1)
        assert {entry["error"] for entry in theirs[:80]} == {"é 😀 </script> \u2028"}
        gone, retried, odd = theirs[1:80:2], theirs[:80:2], theirs[80:]
        assert await resque("calls", [["removeFailed", entry] for entry in gone]) == [1] * 40
        # A job of another spelling keeps its bytes, and node-resque looks for those that it would write itself.
        assert await resque("calls", [["removeFailed", entry] for entry in odd]) == [0, 0, 1, 1]
        for entry in odd[:2]:
            with pytest.raises(resque.Refused, match="not in failed queue"):
                await resque.queue("retryAndRemoveFailed", entry)
        for text, failed in zip(ODD[:2], listed[80:82], strict=True):
            assert text in failed.raw
            assert await app.queue.remove_failed(failed) == 1
        with pytest.raises(resque.Refused, match="not in failed queue"):
            await resque.queue("retryAndRemoveFailed", gone[0])
        with pytest.raises(NotInFailures):
            await app.queue.retry_and_remove_failed(listed[1])
        stage.events.clear()
        assert await resque("calls", [["retryAndRemoveFailed", entry] for entry in retried]) == [True] * 40
        again = await stage.happened("failure", 40)
        same([event.job.args for event in again], SOME[::2])
        assert await app.queue.failed_count() == 40


async def test_what_node_failed_is_removed_and_retried_here(stage, resque):
    app = works(stage, processors=0)
    await resque("declare", {"fail": {"does": "fail"}})
    async with app:
        await resque("calls", [["enqueue", "jobs", "fail", args] for args in SOME])
        await resque("start", "worker", "worker", {"queues": ["jobs"]})
        await resque("told", "failure", 80)
        await resque("stop", "worker")
        listed = await app.queue.failed()
        same([failed.job.args for failed in listed], SOME)
        # Of entries with one text, one goes.
        await stage.redis(app, "LPUSH", "resque:failed", listed[1].raw)
        assert [await app.queue.remove_failed(failed) for failed in listed[1::2]] == [1] * 40
        assert await app.queue.remove_failed(listed[1]) == 1
        assert await app.queue.remove_failed(listed[1]) == 0
        theirs = await resque.queue("failed", 0, -1)
        same([entry["payload"]["args"] for entry in theirs], SOME[::2])
        assert [await app.queue.retry_and_remove_failed(failed) for failed in listed[::2]] == [True] * 40
        with pytest.raises(NotInFailures):
            await app.queue.retry_and_remove_failed(listed[0])
        with pytest.raises(resque.Refused, match="not in failed queue"):
            await resque.queue("retryAndRemoveFailed", theirs[0])
        assert await resque.queue("failedCount") == 0
        # They stand there byte for byte as node-resque writes them, which finds a job so.
        same([job["args"] for job in await resque.queue("queued", "jobs", 0, -1)], SOME[::2])
        assert await resque("calls", [["del", "jobs", "fail", args] for args in SOME[::2]]) == [1] * 40


async def test_an_integer_that_javascript_cannot_hold_is_mended_here_and_left_alone_by_node(stage, resque):
    app = works(stage)
    async with app.running():
        await app.queue.enqueue("fail", [2**53 + 1])
        await stage.happened("failure")
        (theirs,) = await resque.queue("failed", 0, -1)
        assert theirs["payload"]["args"] == [2**53]
        assert await resque.queue("removeFailed", theirs) == 0
        with pytest.raises(resque.Refused, match="not in failed queue"):
            await resque.queue("retryAndRemoveFailed", theirs)
        (listed,) = await app.queue.failed()
        assert listed.job.args == [2**53 + 1]
        assert await app.queue.retry_and_remove_failed(listed)
        assert (await stage.happened("failure", 2))[1].job.args == [2**53 + 1]
