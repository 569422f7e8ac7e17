"""Claims that another program deleted while their jobs run."""

from __future__ import annotations

import pytest
from dispatcher_harness import DispatcherHarness
from memory_view import MemoryView

from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.events import WorkerError, WorkerGone, WorkerSuccess
from taskhero.wire.jobs import encode_job, mark_rescued

pytestmark = pytest.mark.anyio


def delete_claims(harness: DispatcherHarness) -> None:
    """Do to the store what Ruby's Resque does when it removes workers."""
    MemoryView(harness.memory).delete_claims(harness.process)


def restore(harness: DispatcherHarness, *slots: int) -> None:
    """Tell the exchanger what a beat tells it."""
    harness.parts.recovery.request(slots)
    harness.parts.rounds.request_claim()


async def held(harness: DispatcherHarness) -> list[int]:
    return sorted(claim.slot for claim in (await harness.memory.claims(harness.process)).claims)


async def test_a_running_job_is_claimed_again_and_settled_once() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long")
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun)
        delete_claims(harness)
        restore(harness, 1, 2, 9)
        await harness.until(lambda: harness.backend.times["restore"] == 1)
        assert await held(harness) == [1]
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        assert (await harness.stats(), harness.events_of(WorkerGone)) == ({"processed": 1, "failed": 0}, [])


async def test_an_idle_processor_has_nothing_to_restore() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.start(1)
        await harness.idle()
        asked = harness.backend.times["settle_and_claim"]
        restore(harness, 1)
        await harness.until(lambda: harness.backend.times["settle_and_claim"] > asked)
        assert not harness.parts.recovery.pending
        assert harness.backend.times["restore"] == 0


@pytest.mark.parametrize("slots", [None, (1,)])
async def test_what_taskhero_took_is_never_restored(slots: tuple[int, ...] | None) -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        harness.parts.recovery.exclude(slots)
        delete_claims(harness)
        restore(harness, 1)
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerGone))
        # The next job of the same slot is another claim.
        gate = harness.executor.hold("next")
        await harness.push("next")
        await harness.until(lambda: "next" in harness.executor.begun)
        delete_claims(harness)
        restore(harness, 1)
        await harness.until(lambda: harness.backend.times["restore"] == 1)
        assert await held(harness) == [1]
        gate.set()


async def test_a_job_that_runs_alone_is_marked_again() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("quarantined")
        await harness.push(raw=mark_rescued(encode_job("quarantined", [], "default"), running=True))
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        delete_claims(harness)
        restore(harness, 1)
        await harness.until(lambda: harness.backend.times["mark_exclusive"] == 2)
        assert MemoryView(harness.memory).exclusive_slots_of(harness.process) == {1}
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerSuccess))


async def test_an_outage_delays_it_and_a_refusal_is_told() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        delete_claims(harness)
        harness.backend.fail("restore", BackendUnavailable("away"), times=2)
        restore(harness, 1)
        await harness.until(lambda: harness.backend.times["restore"] == 3)
        assert await held(harness) == [1]
        harness.backend.fail("restore", BackendRefused("no permission"))
        restore(harness, 1)
        await harness.until(lambda: harness.events_of(WorkerError))
        assert "no permission" in str(harness.events_of(WorkerError)[0].error)
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerSuccess))
