"""A lost reply loses nothing and doubles nothing: of the verbs of those who look and mend."""

from __future__ import annotations

import pytest
from lost_reply_cases import RAW, Case, P, a_claim, a_queued_job, case_id, counted, direct, keys, lossy, sha

from taskhero.backends.protocol import DelayedJobEntry, Entry, Failed, QueueLockGuard, Settlement
from taskhero.backends.records.inspection import FailedEntry, FailedRetry, StoredDelayedJob, WorkerRemoval
from taskhero.errors import ReplyLost

__all__ = ["direct", "lossy"]  # fixtures

pytestmark = pytest.mark.anyio

MOMENT = 4_000_000_000


async def a_failure(straight, other):
    claim = await a_claim(straight, other)
    await other.settle_and_claim(P, [Settlement(claim, Failed("no"))], [], [])


async def a_delayed_job(straight, other):
    await straight.schedule([DelayedJobEntry(MOMENT, "q", RAW)])


async def a_busy_worker(straight, other):
    await a_claim(straight, other)
    (entry,) = await straight.workers([P.worker_id(1)])
    return WorkerRemoval(id=entry.id, seen=entry.working, failure="stuck")


async def a_lock(straight, other):
    await straight.push([Entry("q", RAW, guards=(QueueLockGuard("lock:a", 60),))])


def retry(backend, _):
    return backend.retry_failed([FailedRetry(FailedEntry("no"), Entry("q", RAW))])


CASES = [
    Case("retry_failed", a_failure, retry, sha("retry_failed"), keys),
    Case("remove_failed", a_failure, lambda b, _: b.remove_failed([FailedEntry("no")]), sha("remove_failed"), keys),
    Case(
        "remove_delayed",
        a_delayed_job,
        lambda b, _: b.remove_delayed([StoredDelayedJob(MOMENT, RAW)]),
        sha("remove_delayed"),
        keys,
    ),
    Case("remove_worker", a_busy_worker, lambda b, cleaning: b.remove_worker(cleaning), sha("remove_worker"), keys),
    Case("delete_lock", a_lock, lambda b, _: b.delete_lock("lock:a"), "DEL", keys),
]
READING = {
    "overview": (lambda b: b.overview(), sha("overview")),
    "due_times": (lambda b: b.due_times(), sha("due_times")),
    "delayed": (lambda b: b.delayed(MOMENT), "LRANGE"),
    "search_delayed": (lambda b: b.search_delayed(), sha("search_delayed")),
    "failed_lists": (lambda b: b.failed_lists(), sha("overview")),
    "locks": (lambda b: b.locks(), "SCAN"),
    "workers": (lambda b: b.workers(), sha("workers")),
    "heartbeat_ages": (lambda b: b.heartbeat_ages(), sha("heartbeat_ages")),
}


@pytest.mark.parametrize("case", CASES, ids=case_id)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_asked_again_after_a_lost_answer_is_done_once(case, when, lossy, direct):
    backend, proxy = lossy
    given = await case.prepare(direct, backend)
    before = await case.effect(direct)
    proxy.lose(when, case.request)
    with pytest.raises(ReplyLost, match="may or may not"):
        await case.call(backend, given)
    assert proxy.cut.is_set()
    assert (await case.effect(direct) != before) is (when == "after")
    await case.call(backend, given)
    done = await case.effect(direct)
    assert done != before
    await case.call(backend, given)
    assert await case.effect(direct) == done
    assert await counted(direct) <= 1


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_reading_verb_whose_answer_is_lost_says_so_and_works_again(name, when, lossy, direct):
    backend, proxy = lossy
    await a_queued_job(direct, backend)
    call, request = READING[name]
    proxy.lose(when, request)
    with pytest.raises(ReplyLost):
        await call(backend)
    assert proxy.cut.is_set()
    await call(backend)
