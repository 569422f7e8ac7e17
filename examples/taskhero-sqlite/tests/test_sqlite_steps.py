"""What the kit leaves open, and this backend promises."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib

import attrs
import pytest

from taskhero.backends.protocol import (
    DelayedJobEntry,
    EnsureResult,
    Entry,
    Failed,
    LockSpec,
    PeriodicTask,
    Preparation,
    Process,
    Settlement,
)
from taskhero.backends.records.inspection import FailedEntry, StoredDelayedJob
from taskhero.clock import ManualClock
from taskhero_sqlite import SqliteBackend

pytestmark = pytest.mark.anyio

RAW = '{"class":"tick","queue":"q","args":[]}'
RESCUED = '{"class":"tick","queue":"q","args":[],"taskhero:rescues":0}'
#: It begins as a rescued copy does, and is another job.
OTHER = '{"class":"tick","queue":"q","args":[],"taskhero:rescues":0,"mine":1}'
TICK = PeriodicTask(name="tick", queue="q", raw=RAW, equivalent_payloads=(RAW,), frequency=10)


@pytest.fixture
def clock():
    return ManualClock(1_000_000.25)


@pytest.fixture
async def backend(path, clock):
    backend = SqliteBackend(path, clock=clock)
    await backend.connect()
    yield backend
    await backend.close()


def change(path, sql, *values):
    """Change the file behind the backend's back."""
    with sqlite3.connect(path) as connection:
        connection.execute(sql, values)
    connection.close()


# --- periodic tasks


@pytest.mark.parametrize("how", ["stop_periodic", "restart_periodic"])
async def test_rescued_copies_of_a_periodic_task_go_too(backend, how):
    """Who stops a task since it kills its processes does not want to see it once more."""
    await backend.push([Entry("q", raw) for raw in (RESCUED, OTHER, RAW)])
    await backend.schedule([DelayedJobEntry(1_000_100, "q", raw) for raw in (OTHER, RESCUED)])
    answer = await getattr(backend, how)(TICK)
    assert await backend.queued("q") == [OTHER]
    assert await backend.delayed(1_000_100) == [OTHER]
    assert answer == (3 if how == "stop_periodic" else 1_000_010)


async def test_a_rescued_copy_that_is_delayed_is_the_next_run(backend):
    """None is enqueued beside it."""
    await backend.schedule([DelayedJobEntry(1_000_005, "q", RESCUED)])
    assert await backend.ensure_periodic([TICK]) == [EnsureResult.DELAYED]
    assert await backend.length("q") == 0


async def test_a_queue_that_is_empty_after_a_stop_wakes_nobody(backend, path):
    """The news of its job goes with the job."""
    await backend.push([Entry("q", RAW)])
    assert await backend.stop_periodic(TICK) == 1
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM news").fetchall() == []


@pytest.mark.parametrize(
    "definition",
    ["", "no JSON", "null", '{"name":"tick"}', json.dumps({**attrs.asdict(TICK), "guards": [{"new": 1}]})],
)
async def test_a_definition_of_another_version_spoils_no_other(backend, path, definition):
    """It is passed over, until who knows it is up again."""
    await backend.declare_periodic([TICK], 60)
    change(path, "INSERT INTO periodic VALUES (?, ?, 2e9)", b"new", definition.encode())
    assert [known.task for known in (await backend.declare_periodic()).tasks] == [TICK]


async def test_a_definition_may_have_more_fields(backend, path):
    """As newer versions may write them."""
    await backend.declare_periodic([TICK], 60)
    newer = json.dumps({**attrs.asdict(TICK), "new": 1}).encode()
    change(path, "UPDATE periodic SET definition = ?", newer)
    assert [known.task for known in (await backend.declare_periodic()).tasks] == [TICK]


async def test_a_definition_comes_back_exactly(backend):
    """Also what is no Unicode: two halves of a character that are not one."""
    odd = PeriodicTask(
        name="\ud83d\ude00",
        queue="q",
        raw="\udcff",
        equivalent_payloads=("\udcff", "\ud83d\ude00"),
        frequency=0.1 + 0.2,
    )
    await backend.declare_periodic([odd], 60)
    assert [known.task for known in (await backend.declare_periodic()).tasks] == [odd]


# --- looking, and mending


async def test_failures_with_one_digest_are_not_mistaken(backend):
    """They are found by a number that different texts may share."""
    payloads = ["plumless", "buckeroo"]
    assert len({zlib.crc32(text.encode()) for text in payloads}) == 1
    process = Process("p", ("q",))
    await backend.register(process, (1, 2), 60)
    await backend.push([Entry("q", "a"), Entry("q", "b")])
    claims = (await backend.settle_and_claim(process, (), (1, 2), ("q",))).claims
    settled = [Settlement(claim, Failed(text)) for claim, text in zip(claims, payloads, strict=True)]
    await backend.settle_and_claim(process, settled, (), ())
    assert await backend.remove_failed([FailedEntry("plumless"), FailedEntry("plumless")]) == [True, False]
    assert await backend.failed() == ["buckeroo"]


async def test_pages_stay_right_while_others_remove(backend):
    """A page begins where the last one ended, not at a number of entries."""
    at = 1_000_100
    await backend.schedule([DelayedJobEntry(at, "q", text) for text in "abcdef"])
    page = await backend.search_delayed(limit=3)
    await backend.remove_delayed([StoredDelayedJob(at, text) for text in "acd"])
    rest = await backend.search_delayed(limit=3, after=page.after)
    assert [[entry.raw for entry in found.entries] for found in (page, rest)] == [["a", "b", "c"], ["e", "f"]]


async def test_a_lock_tells_its_holder_after_its_claim_is_settled(backend):
    """As that of a thread that outlived its job's timeout."""
    process = Process("p", ("q",))
    await backend.register(process, (1,), 60)
    await backend.push([Entry("q", "a")])
    (claim,) = (await backend.settle_and_claim(process, (), (1,), ("q",))).claims
    await backend.prepare(process, [Preparation(claim, hold=(LockSpec("workerslock:a", 30),))])
    await backend.settle_and_claim(process, [Settlement(claim, Failed("slow"))], (), ())
    assert await backend.locks() == {"workerslock:a": f"1000031:p+1/{claim.token}"}


async def test_a_worker_out_of_view_that_holds_a_job_is_shown_to_who_asks_for_it(backend):
    """A slot that was never registered, or was cleaned, and took a job all the same."""
    process = Process("p", ("q", "other"))
    await backend.register(process, (), 60)
    await backend.push([Entry("q", RAW)])
    await backend.settle_and_claim(process, (), (1,), ("q",))
    assert await backend.workers() == []
    (entry,) = await backend.workers(["p+1:q,other"])
    assert RAW in entry.working
    assert entry.started is None


# --- items that cannot be stored


async def test_a_queue_that_takes_no_job_keeps_no_other_one_from_its_own(backend, path, clock):
    """What the dead and the leaving hold of it stays theirs, and comes back when it takes jobs again."""
    first, second = Process("host.a:1", ("q", "bad")), Process("host.b:2", ("q", "bad"))
    for process in (first, second):
        await backend.register(process, (1, 2), 10.0)
        await backend.push([Entry("q", RAW), Entry("bad", OTHER)])
        for slot, queue in enumerate(("q", "bad"), 1):
            assert len((await backend.settle_and_claim(process, (), (slot,), (queue,))).claims) == 1
    full = "SELECT RAISE(ABORT, 'bad is full')"
    change(path, f"CREATE TRIGGER full BEFORE INSERT ON job WHEN CAST(NEW.queue AS TEXT) = 'bad' BEGIN {full}; END")
    left = await backend.deregister(first)
    assert (left.released, [(claim.queue, why) for claim, why in left.blocked]) == (1, [("bad", "bad is full")])
    expired = (await backend.leases()).leases
    rescued = await backend.rescue(expired, 100)
    assert sorted((one.worker, one.queue, one.problem) for one in rescued) == [
        ("host.a:1+2", "bad", "bad is full"),
        ("host.b:2+1", "q", None),
        ("host.b:2+2", "bad", "bad is full"),
    ]
    assert [claim.raw for claim in (await backend.claims(second)).claims] == [OTHER]
    change(path, "DROP TRIGGER full")
    assert [one.problem for one in await backend.rescue(expired, 100)] == [None, None]
    assert await backend.length("bad") == 2
