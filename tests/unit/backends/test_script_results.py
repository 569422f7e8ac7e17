"""The Redis driver turns the replies of scripts into results, and reports a reply that it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis_view import connections_of

from taskhero.backends.protocol import (
    DelayedJobEntry,
    DueJob,
    EnsureResult,
    Entry,
    FireResult,
    PeriodicTask,
    PromoteResult,
    PromotionTarget,
    ScheduleResult,
)
from taskhero.backends.records.inspection import (
    FailedEntry,
    FailedRetry,
    RemoveWorkerResult,
    RetryResult,
    WorkerRemoval,
)
from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.errors import BackendError, BackendRefused, PartlyRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from enum import StrEnum

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[]}'
TICK = PeriodicTask(name="tick", queue="q", raw=RAW, equivalent_payloads=(RAW,), frequency=60)
LATER = DelayedJobEntry(2**40, "q", RAW)

#: For each verb that returns results: the kind, whether the script replies with a list, and a call.
VERBS: dict[str, tuple[type[StrEnum], bool, Callable[[FakeRedisBackend], Awaitable[Any]]]] = {
    "schedule": (ScheduleResult, True, lambda backend: backend.schedule([LATER])),
    "promote": (PromoteResult, True, lambda backend: backend.promote([PromotionTarget(DueJob(1, RAW), "q")])),
    "ensure_periodic": (EnsureResult, True, lambda backend: backend.ensure_periodic([TICK])),
    "fire_cron": (FireResult, False, lambda backend: backend.fire_cron(TICK, None, 1, 1)),
    "retry_failed": (
        RetryResult,
        True,
        lambda backend: backend.retry_failed([FailedRetry(FailedEntry("{}"), Entry("q", RAW))]),
    ),
    "remove_worker": (RemoveWorkerResult, False, lambda backend: backend.remove_worker(WorkerRemoval(id="host:1:q"))),
}


def replying(monkeypatch: pytest.MonkeyPatch, *replies: bytes, in_list: bool) -> FakeRedisBackend:
    """Return a backend whose scripts reply with these values."""

    async def run(*_: object) -> bytes | list[bytes]:
        return list(replies) if in_list else replies[0]

    backend = FakeRedisBackend("fakeredis://script-results")
    monkeypatch.setattr(connections_of(backend), "send", run)
    return backend


@pytest.mark.parametrize("verb", VERBS)
async def test_each_known_reply_becomes_the_member_of_its_enum(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    kind, in_list, call = VERBS[verb]
    for expected in kind:
        answer = await call(replying(monkeypatch, expected.value.encode(), in_list=in_list))
        (result,) = answer if in_list else (answer,)
        assert result is expected


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("reply", [b"Queued", b"", b"\xff"])
async def test_an_unknown_reply_is_an_error_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, verb: str, reply: bytes
) -> None:
    kind, in_list, call = VERBS[verb]
    with pytest.raises(BackendError) as caught:
        await call(replying(monkeypatch, reply, in_list=in_list))
    assert not isinstance(caught.value, BackendRefused), "the script may have changed data"
    for part in (repr(reply), f"the script {verb!r}", *kind):
        assert part in str(caught.value)


async def test_an_error_reply_of_one_job_leaves_the_results_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = replying(monkeypatch, b"delayed", b"error WRONGTYPE \xff", b"duplicate", in_list=True)
    with pytest.raises(PartlyRefused) as caught:
        await backend.schedule([LATER] * 3)
    assert caught.value.answers == (ScheduleResult.DELAYED, None, ScheduleResult.DUPLICATE)
    assert caught.value.problems == {1: "WRONGTYPE \ufffd"}


async def test_an_error_reply_without_any_stored_job_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = replying(monkeypatch, b"error WRONGTYPE", in_list=True)
    with pytest.raises(BackendRefused, match="could not store the job: WRONGTYPE"):
        await backend.schedule([LATER])


async def test_an_error_reply_to_cron_jobs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = replying(monkeypatch, b"error WRONGTYPE", in_list=False)
    with pytest.raises(BackendRefused, match="could not store the job: WRONGTYPE"):
        await backend.fire_cron(TICK, None, 1, 1)
