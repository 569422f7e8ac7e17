"""What the heart of a process tells, and how a multi-worker stops."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import attrs
import pytest
from worker_pool_harness import Plant

from taskhero.backends.protocol import Process
from taskhero.errors import BackendUnavailable
from taskhero.events import MultiWorkerAction, MultiWorkerEnd, WorkerEnd, WorkerError, WorkerPing

anyio = pytest.mark.anyio

# --- the heart ---


@anyio
async def test_beats_are_told_and_so_are_the_leases_of_others() -> None:
    async with Plant(1) as plant:
        await plant.memory.register(Process("host.dead:1", ("default",)), [1], 1.0)
        await plant.multi_worker.start()
        await plant.until(lambda: plant.told(WorkerPing) and plant.looks)
        assert [lease.process for lease in plant.looks[0].leases.leases] == ["host.dead:1"]
        assert plant.losses == 0
        assert plant.told(WorkerPing)[0].worker == "host.abc:1"
        assert abs(plant.told(WorkerPing)[0].time - time.time()) < 60


@anyio
async def test_a_process_that_was_taken_for_dead_says_so() -> None:
    async with Plant(1) as plant:
        plant.backend.change("beat", lambda beat: attrs.evolve(beat, alive=False))
        await plant.multi_worker.start()
        await plant.until(lambda: plant.told(WorkerError))
        assert "taken for dead" in str(plant.told(WorkerError)[0].error)
        assert plant.losses == 1, "where one lease was lost, others may be, which heartbeats do not show"


@anyio
async def test_a_beat_under_way_does_not_bring_a_retired_processor_back() -> None:
    async with Plant(1) as plant:
        await plant.multi_worker.start()
        await plant.until(lambda: plant.told(WorkerPing))
        await plant.memory.register(plant.process, [2], 12.0)
        plant.multi_worker._on_beat(plant.memory.beat(plant.process, (1,), 12.0, full=False), (1, 2))
        await plant.until(lambda: plant.backend.times["retire"])
        await plant.until(lambda: plant.visible() == [1])


# --- the stop ---


@anyio
async def test_a_stop_without_grace_gives_jobs_back_and_takes_the_process_from_view() -> None:
    async with Plant(2) as plant:
        plant.crew.hold("a", "b")
        await plant.push("a", "b", "c")
        await plant.multi_worker.start()
        await plant.until(lambda: len(plant.crew.running) == 2)
        await plant.multi_worker.stop(0)
        assert await plant.queued() == ["a", "b", "c"]
        assert plant.visible() == []
        assert plant.memory._work._members.get(plant.process.name) is None
        assert [event.verb for event in plant.told(MultiWorkerAction)] == ["--"]
        assert len(plant.told(WorkerEnd)) == 2
        assert plant.told(MultiWorkerEnd)
        last = plant.backend.calls[-1][0]
        assert last == "deregister", "no beat may follow that would register the process again"


@anyio
async def test_a_stop_waits_for_the_beat_under_way_before_it_gives_up_the_lease() -> None:
    """A beat that came after would register the process again."""
    async with Plant(1) as plant:
        begun, go_on, order = threading.Event(), threading.Event(), []
        beat, deregister = plant.memory.beat, plant.memory.deregister

        def slow_beat(*args: Any, **kwargs: Any) -> Any:
            begun.set()
            go_on.wait(10)
            order.append("beat")
            return beat(*args, **kwargs)

        async def noted_deregister(process: Process) -> int:
            order.append("deregister")
            return await deregister(process)

        plant.memory.beat, plant.memory.deregister = slow_beat, noted_deregister
        await plant.multi_worker.start()
        await asyncio.to_thread(begun.wait, 5)
        stopping = asyncio.create_task(plant.multi_worker.stop(0))
        await plant.until(lambda: plant.told(MultiWorkerAction))
        for _ in range(20):
            await asyncio.sleep(0)
        go_on.set()
        await stopping
        assert order == ["beat", "deregister"]
        assert plant.visible() == []


@anyio
async def test_a_stop_lets_jobs_end_within_the_grace_of_the_settings() -> None:
    async with Plant(1, grace=30) as plant:
        gate = plant.crew.hold("a")
        await plant.push("a")
        await plant.multi_worker.start()
        await plant.until(lambda: plant.crew.running)
        stopping = asyncio.create_task(plant.multi_worker.stop())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.wait_for(stopping, 5)
        assert (await plant.memory.stats())["processed"] == 1
        await plant.multi_worker.stop()


@anyio
async def test_a_stop_has_a_deadline_even_if_the_backend_is_away() -> None:
    async with Plant(1) as plant:
        plant.crew.hold("a")
        await plant.push("a")
        await plant.multi_worker.start()
        await plant.until(lambda: plant.crew.running)
        plant.backend.break_down("exchange", "claims", "deregister", error=BackendUnavailable("no route"))
        begun = time.monotonic()
        await plant.multi_worker.stop(0, limit=0.3)
        assert time.monotonic() - begun < 3
        (error,) = plant.told(WorkerError)
        assert "could not be taken from view" in str(error.error)
        assert "12 s" in str(error.error)


@anyio
async def test_a_stop_has_a_deadline_even_if_the_backend_hangs() -> None:
    async with Plant(1) as plant:
        await plant.multi_worker.start()
        await plant.until(lambda: plant.told(WorkerPing))
        plant.backend.hold("exchange")
        plant.backend.hold("deregister")
        plant.multi_worker._exchanger.look()
        await plant.until(lambda: plant.backend.times["exchange"])
        await asyncio.wait_for(plant.multi_worker.stop(0, limit=0.2), 3)
