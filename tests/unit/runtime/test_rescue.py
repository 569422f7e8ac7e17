"""Taking jobs from dead processes."""

from __future__ import annotations

import asyncio

import pytest
from floor import Faulty, Signals, quick, tasks_left

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Entry, Process, Rescued
from taskhero.clock import ManualClock
from taskhero.errors import BackendUnavailable
from taskhero.runtime.backoff import Outage
from taskhero.runtime.events import Emitter, WorkerCleaningWorker, WorkerError, WorkerRescue
from taskhero.runtime.rescue import BATCH, Rescuer
from taskhero.wire.jobs import decode_job, encode_job, rescues

pytestmark = pytest.mark.anyio


class Rescues:
    """A rescuer on a backend in memory."""

    def __init__(self, every: float | None = None) -> None:
        self.signals = Signals()
        self.until = self.signals.until
        self.clock = ManualClock()
        self.memory = MemoryBackend(clock=self.clock)
        self.backend = Faulty(self.memory, self.signals)
        self.events: list = []
        self.outages: list[str] = []
        emitter = Emitter()
        for kind in (WorkerCleaningWorker, WorkerError, WorkerRescue):
            emitter.on(kind, self._listen)
        outage = Outage(lambda who, _error: self.outages.append(who), lambda _seconds: self.outages.append("over"))
        self.rescuer = Rescuer(
            backend=self.backend, name="host.abc:2", emitter=emitter, outage=outage, every=every, rest=quick
        )

    def _listen(self, event) -> None:
        self.events.append(event)
        self.signals.happen()

    def told(self, kind: type) -> list:
        return [event for event in self.events if type(event) is kind]

    async def lose(self, *names: str, begun: bool = False) -> None:
        """Let a process die that has claimed jobs of these names."""
        dead = Process("host.dead:1", ("default",))
        await self.memory.push([Entry("default", encode_job(name, [], "default")) for name in names])
        slots = range(1, len(names) + 1)
        await self.memory.register(dead, slots, 10.0)
        answer = await self.memory.exchange(dead, [], slots, ["default"])
        if begun:
            await self.memory.begin(dead, answer.claims[0])
        self.clock.advance(60)

    async def queued(self) -> list[tuple[str, int | None]]:
        texts = await self.memory.queued("default")
        return [(decode_job(text, "").name, rescues(text)) for text in texts]

    async def __aenter__(self) -> Rescues:
        await self.memory.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rescuer.stop()
        await self.rescuer.stop()
        assert not tasks_left()
        await self.memory.close()


async def test_it_rescues_at_its_start_and_tells_each_job_and_worker() -> None:
    async with Rescues() as rescues:
        await rescues.lose("a", "b")
        rescues.rescuer.start()
        await rescues.until(lambda: len(rescues.told(WorkerRescue)) == 2)
        assert await rescues.queued() == [("a", 0), ("b", 0)]
        assert {event.worker for event in rescues.told(WorkerCleaningWorker)} == {"host.dead:1+1", "host.dead:1+2"}
        assert {(event.job.name, event.queue, event.running) for event in rescues.told(WorkerRescue)} == {
            ("a", "default", False),
            ("b", "default", False),
        }


async def test_a_job_that_had_begun_alone_is_told_so() -> None:
    async with Rescues() as rescues:
        await rescues.lose("killer", begun=True)
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.told(WorkerRescue))
        assert rescues.told(WorkerRescue)[0].running
        assert await rescues.queued() == [("killer", 1)]


async def test_it_goes_on_in_batches_until_nothing_is_left() -> None:
    async with Rescues() as rescues:
        await rescues.lose(*(f"job{number}" for number in range(2 * BATCH + 1)))
        assert await rescues.rescuer.rescue() == 2 * BATCH + 1
        assert rescues.backend.times["rescue"] == 4
        names = [name for name, _ in await rescues.queued()]
        assert sorted(names) == sorted(f"job{number}" for number in range(2 * BATCH + 1))


async def test_it_rescues_when_it_is_told_that_somebody_died_and_not_otherwise() -> None:
    async with Rescues() as rescues:
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.backend.times["rescue"] == 1)
        await rescues.lose("late")
        for _ in range(20):
            await asyncio.sleep(0)
        assert rescues.backend.times["rescue"] == 1
        rescues.rescuer.wake()
        await rescues.until(lambda: rescues.told(WorkerRescue))


async def test_unasked_it_looks_now_and_then() -> None:
    async with Rescues(every=0.005) as rescues:
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.backend.times["rescue"] == 2)
        await rescues.lose("late")
        await rescues.until(lambda: rescues.told(WorkerRescue))


async def test_a_job_that_cannot_be_rescued_is_told_once_and_keeps_no_other() -> None:
    async with Rescues() as rescues:
        stuck = [Rescued("host.dead:1+9", "bad", encode_job(name, [], "bad"), False, "no list") for name in "ab"]
        for _ in range(2):
            await rescues.lose("job")
            rescues.backend.change("rescue", lambda taken: [*taken, stuck[0]])
            rescues.backend.change("rescue", lambda _: [stuck[0]])
            assert await rescues.rescuer.rescue() == 1
        (told,) = rescues.told(WorkerError)
        assert (told.worker, told.queue, told.job.name) == ("host.abc:2", "bad", "a")
        assert "cannot be rescued yet" in str(told.error)
        assert "no list" in str(told.error)
        rescues.backend.change("rescue", lambda _: stuck)
        await rescues.rescuer.rescue()
        assert [event.job.name for event in rescues.told(WorkerError)] == ["a", "b"]
        assert {event.job.name for event in rescues.told(WorkerRescue)} == {"job"}
        # It is repaired, and damaged again later.
        await rescues.rescuer.rescue()
        rescues.backend.change("rescue", lambda _: stuck[:1])
        await rescues.rescuer.rescue()
        assert [event.job.name for event in rescues.told(WorkerError)] == ["a", "b", "a"]


async def test_errors_do_not_end_it() -> None:
    async with Rescues() as rescues:
        await rescues.lose("job")
        rescues.backend.fail("rescue", BackendUnavailable("nobody listens"), times=3)
        rescues.backend.fail("rescue", RuntimeError("a bug"))
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.told(WorkerRescue))
        await rescues.until(lambda: rescues.backend.times["rescue"] == 6)
        await asyncio.sleep(0)
        assert rescues.outages == ["rescuing", "rescuing", "over"]
