"""Claims that another program deleted while their jobs run."""

from __future__ import annotations

import pytest
from dispatcher_harness import Floor

from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.events import WorkerError, WorkerGone, WorkerSuccess
from taskhero.wire.jobs import encode_job, mark_rescued

pytestmark = pytest.mark.anyio


def delete_claims(floor: Floor) -> None:
    """Do to the store what Ruby's Resque does when it removes workers."""
    member = floor.memory._work._members.get(floor.process.name)
    for slot in list(member.held):
        member.let_go(slot)


def restore(floor: Floor, *slots: int) -> None:
    """Tell the exchanger what a beat tells it."""
    floor.exchanger.restorer.ask(slots)
    floor.exchanger.look()


async def held(floor: Floor) -> list[int]:
    return sorted(claim.slot for claim in (await floor.memory.claims(floor.process)).claims)


async def test_a_running_job_is_claimed_again_and_settled_once() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long")
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun)
        delete_claims(floor)
        restore(floor, 1, 2, 9)
        await floor.until(lambda: floor.backend.times["restore"] == 1)
        assert await held(floor) == [1]
        gate.set()
        await floor.until(lambda: floor.told(WorkerSuccess))
        assert (await floor.stats(), floor.told(WorkerGone)) == ({"processed": 1, "failed": 0}, [])


async def test_an_idle_processor_has_nothing_to_restore() -> None:
    async with Floor("default") as floor:
        await floor.start(1)
        await floor.idle()
        asked = floor.backend.times["exchange"]
        restore(floor, 1)
        await floor.until(lambda: floor.backend.times["exchange"] > asked)
        assert not floor.exchanger.restorer.wanted
        assert floor.backend.times["restore"] == 0


@pytest.mark.parametrize("slots", [None, (1,)])
async def test_what_taskhero_took_is_never_restored(slots: tuple[int, ...] | None) -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        floor.exchanger.restorer.disown(slots)
        delete_claims(floor)
        restore(floor, 1)
        gate.set()
        await floor.until(lambda: floor.told(WorkerGone))
        # The next job of the same slot is another claim.
        gate = floor.crew.hold("next")
        await floor.push("next")
        await floor.until(lambda: "next" in floor.crew.begun)
        delete_claims(floor)
        restore(floor, 1)
        await floor.until(lambda: floor.backend.times["restore"] == 1)
        assert await held(floor) == [1]
        gate.set()


async def test_a_job_that_runs_alone_is_marked_again() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("suspect")
        await floor.push(raw=mark_rescued(encode_job("suspect", [], "default"), running=True))
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        delete_claims(floor)
        restore(floor, 1)
        await floor.until(lambda: floor.backend.times["begin"] == 2)
        assert set(floor.memory._work._members.get(floor.process.name).running) == {1}
        gate.set()
        await floor.until(lambda: floor.told(WorkerSuccess))


async def test_an_outage_delays_it_and_a_refusal_is_told() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        delete_claims(floor)
        floor.backend.fail("restore", BackendUnavailable("away"), times=2)
        restore(floor, 1)
        await floor.until(lambda: floor.backend.times["restore"] == 3)
        assert await held(floor) == [1]
        floor.backend.fail("restore", BackendRefused("no permission"))
        restore(floor, 1)
        await floor.until(lambda: floor.told(WorkerError))
        assert "no permission" in str(floor.told(WorkerError)[0].error)
        gate.set()
        await floor.until(lambda: floor.told(WorkerSuccess))
