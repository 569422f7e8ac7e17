"""What the heart of a process tells, and how a multi-worker stops."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import attrs
import pytest
from memory_view import MemoryView
from worker_pool_harness import WorkerPoolHarness

from taskhero.backends.protocol import Process
from taskhero.errors import BackendUnavailable
from taskhero.events import MultiWorkerAction, MultiWorkerEnd, WorkerEnd, WorkerError, WorkerPing

anyio = pytest.mark.anyio

# --- the heart ---


@anyio
async def test_beats_are_told_and_so_are_the_leases_of_others() -> None:
    async with WorkerPoolHarness(1) as harness:
        await harness.memory.register(Process("host.dead:1", ("default",)), [1], 1.0)
        await harness.multi_worker.start()
        await harness.until(lambda: harness.events_of(WorkerPing) and harness.looks)
        assert [lease.process for lease in harness.looks[0].leases.leases] == ["host.dead:1"]
        assert harness.losses == 0
        assert harness.events_of(WorkerPing)[0].worker == "host.abc:1"
        assert abs(harness.events_of(WorkerPing)[0].time - time.time()) < 60


@anyio
async def test_a_process_that_was_taken_for_dead_says_so() -> None:
    async with WorkerPoolHarness(1) as harness:
        harness.backend.change("heartbeat", lambda beat: attrs.evolve(beat, alive=False))
        await harness.multi_worker.start()
        await harness.until(lambda: harness.events_of(WorkerError))
        assert "taken for dead" in str(harness.events_of(WorkerError)[0].error)
        assert harness.losses == 1, "where one lease was lost, others may be, which heartbeats do not show"


@anyio
async def test_a_beat_under_way_does_not_bring_a_retired_processor_back() -> None:
    async with WorkerPoolHarness(1) as harness:
        await harness.multi_worker.start()
        await harness.until(lambda: harness.events_of(WorkerPing))
        await harness.memory.register(harness.process, [2], 12.0)
        harness.multi_worker._on_heartbeat(harness.memory.heartbeat(harness.process, (1,), 12.0, full=False), (1, 2))
        await harness.until(lambda: harness.backend.times["deregister_slots"])
        await harness.until(lambda: harness.visible() == [1])


# --- the stop ---


@anyio
async def test_a_stop_without_grace_gives_jobs_back_and_takes_the_process_from_view() -> None:
    async with WorkerPoolHarness(2) as harness:
        harness.executor.hold("a", "b")
        await harness.push("a", "b", "c")
        await harness.multi_worker.start()
        await harness.until(lambda: len(harness.executor.running) == 2)
        await harness.multi_worker.stop(0)
        assert await harness.queued() == ["a", "b", "c"]
        assert harness.visible() == []
        assert not MemoryView(harness.memory).is_registered(harness.process)
        assert [event.verb for event in harness.events_of(MultiWorkerAction)] == ["--"]
        assert len(harness.events_of(WorkerEnd)) == 2
        assert harness.events_of(MultiWorkerEnd)
        last = harness.backend.calls[-1][0]
        assert last == "deregister", "no beat may follow that would register the process again"


@anyio
async def test_a_stop_waits_for_the_beat_under_way_before_it_gives_up_the_lease() -> None:
    """A beat that came after would register the process again."""
    async with WorkerPoolHarness(1) as harness:
        begun, go_on, order = threading.Event(), threading.Event(), []
        beat, deregister = harness.memory.heartbeat, harness.memory.deregister

        def slow_beat(*args: Any, **kwargs: Any) -> Any:
            begun.set()
            go_on.wait(10)
            order.append("heartbeat")
            return beat(*args, **kwargs)

        async def noted_deregister(process: Process) -> int:
            order.append("deregister")
            return await deregister(process)

        harness.memory.heartbeat, harness.memory.deregister = slow_beat, noted_deregister
        await harness.multi_worker.start()
        await asyncio.to_thread(begun.wait, 5)
        stopping = asyncio.create_task(harness.multi_worker.stop(0))
        await harness.until(lambda: harness.events_of(MultiWorkerAction))
        for _ in range(20):
            await asyncio.sleep(0)
        go_on.set()
        await stopping
        assert order == ["heartbeat", "deregister"]
        assert harness.visible() == []


@anyio
async def test_a_stop_lets_jobs_end_within_the_grace_of_the_settings() -> None:
    async with WorkerPoolHarness(1, grace=30) as harness:
        gate = harness.executor.hold("a")
        await harness.push("a")
        await harness.multi_worker.start()
        await harness.until(lambda: harness.executor.running)
        stopping = asyncio.create_task(harness.multi_worker.stop())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.wait_for(stopping, 5)
        assert (await harness.memory.stats())["processed"] == 1
        await harness.multi_worker.stop()


@anyio
async def test_a_stop_has_a_deadline_even_if_the_backend_is_away() -> None:
    async with WorkerPoolHarness(1) as harness:
        harness.executor.hold("a")
        await harness.push("a")
        await harness.multi_worker.start()
        await harness.until(lambda: harness.executor.running)
        harness.backend.break_down("settle_and_claim", "claims", "deregister", error=BackendUnavailable("no route"))
        begun = time.monotonic()
        await harness.multi_worker.stop(0, limit=0.3)
        assert time.monotonic() - begun < 3
        (error,) = harness.events_of(WorkerError)
        assert "could not be deregistered" in str(error.error)
        assert "12 s" in str(error.error)


@anyio
async def test_a_stop_has_a_deadline_even_if_the_backend_hangs() -> None:
    async with WorkerPoolHarness(1) as harness:
        await harness.multi_worker.start()
        await harness.until(lambda: harness.events_of(WorkerPing))
        harness.backend.hold("settle_and_claim")
        harness.backend.hold("deregister")
        harness.multi_worker._parts.rounds.request_claim()
        await harness.until(lambda: harness.backend.times["settle_and_claim"])
        await asyncio.wait_for(harness.multi_worker.stop(0, limit=0.2), 3)
