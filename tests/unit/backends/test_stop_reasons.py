"""A stored reason of a stop that another version wrote."""

from __future__ import annotations

import pytest
from redis_view import keys_of, run_command

from taskhero.backends.protocol import PeriodicTask, StopReason
from taskhero.backends.records.periodic_tasks import decode_stop_reason
from taskhero.backends.redis.fake import FakeRedisBackend

pytestmark = pytest.mark.anyio

RAW = '{"class":"tick","queue":"q","args":[]}'
TICK = PeriodicTask(name="tick", queue="q", raw=RAW, equivalent_payloads=(RAW,), frequency=60)


@pytest.mark.parametrize("reason", StopReason)
def test_each_reason_is_read_as_it_was_stored(reason: StopReason) -> None:
    assert decode_stop_reason(reason.value) is reason


async def test_a_task_that_is_stopped_for_an_unknown_reason_counts_as_stopped_on_request() -> None:
    """`resume_periodic` with *failed* does not resume it."""
    backend = FakeRedisBackend("fakeredis://stop-reasons")
    await backend.connect()
    try:
        await run_command(backend, "HSET", keys_of(backend).stopped, "tick", "paused")
        reply = await backend.declare_periodic([TICK], 60)
        assert [known.stopped for known in reply.tasks] == [StopReason.ASKED]
        assert reply.stopped == {"tick": StopReason.ASKED}
        assert await backend.resume_periodic(["tick"], failed=True) == 0
        assert await backend.resume_periodic(["tick"]) == 1
    finally:
        await backend.close()
