"""Taking jobs from dead processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from dispatcher_harness import FaultyBackend, Signals, quick, tasks_left

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Entry, Process, RescuedJob
from taskhero.clock import ManualClock
from taskhero.errors import BackendUnavailable
from taskhero.events import Emitter, WorkerCleaningWorker, WorkerError, WorkerRescue
from taskhero.runtime.backoff import Outage
from taskhero.runtime.worker.lease_watch import LeaseSnapshot
from taskhero.runtime.worker.rescuer import BATCH, Rescuer
from taskhero.wire.jobs import decode_job, encode_job, rescue_count

pytestmark = pytest.mark.anyio


class Rescues:
    """A rescuer on a backend in memory."""

    def __init__(
        self,
        *,
        looks: bool = False,
        heartbeat: float = 3.0,
        rescue_after: float = 12.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.signals = Signals()
        self.until = self.signals.until
        self.clock = ManualClock()
        self.memory = MemoryBackend(clock=self.clock)
        self.backend = FaultyBackend(self.memory, self.signals)
        self.events: list = []
        self.outages: list[str] = []
        emitter = Emitter()
        for kind in (WorkerCleaningWorker, WorkerError, WorkerRescue):
            emitter.on(kind, self._listen)
        outage = Outage(lambda who, _error: self.outages.append(who), lambda _seconds: self.outages.append("over"))
        self.now = 1000.0
        self.rescuer = Rescuer(
            backend=self.backend,
            name="host.abc:2",
            emitter=emitter,
            outage=outage,
            heartbeat=heartbeat,
            rescue_after=rescue_after,
            reads_leases=looks,
            new_backoff=quick,
            clock=clock or (lambda: self.now),
        )

    def _listen(self, event) -> None:
        self.events.append(event)
        self.signals.happen()

    def told(self, kind: type) -> list:
        return [event for event in self.events if type(event) is kind]

    async def lose(self, *names: str, begun: bool = False, lease: float = 10.0, dead: str = "host.dead:1") -> None:
        """Let a process die that has claimed jobs of these names."""
        process = Process(dead, ("default",))
        await self.memory.push([Entry("default", encode_job(name, [], "default")) for name in names])
        slots = range(1, len(names) + 1)
        await self.memory.register(process, slots, lease)
        answer = await self.memory.settle_and_claim(process, [], slots, ["default"])
        if begun:
            await self.memory.mark_exclusive(process, answer.claims[0])

    async def watch(self, seconds: float) -> None:
        """Let time pass with a look at each heartbeat, as a process has them from its beats."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 3, end)
            self.rescuer.on_leases(LeaseSnapshot(self.now, await self.memory.leases()))

    async def queued(self) -> list[tuple[str, int | None]]:
        texts = await self.memory.queued("default")
        return [(decode_job(text, "").name, rescue_count(text)) for text in texts]

    async def __aenter__(self) -> Rescues:
        await self.memory.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rescuer.stop()
        await self.rescuer.stop()
        assert not tasks_left()
        await self.memory.close()


async def test_it_rescues_what_it_saw_expire_and_tells_each_job_and_worker() -> None:
    async with Rescues() as rescues:
        await rescues.lose("a", "b")
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.backend.times["leases"] == 1)
        await rescues.watch(11.9)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (rescues.backend.times["rescue"], await rescues.queued()) == (0, []), "it only started to watch"
        await rescues.watch(0.1)
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
        await rescues.until(lambda: rescues.backend.times["leases"] == 1)
        await rescues.watch(12)
        await rescues.until(lambda: rescues.told(WorkerRescue))
        assert rescues.told(WorkerRescue)[0].running
        assert await rescues.queued() == [("killer", 1)]


async def test_it_goes_on_in_batches_until_nothing_is_left() -> None:
    async with Rescues() as rescues:
        await rescues.lose(*(f"job{number}" for number in range(2 * BATCH + 1)))
        await rescues.watch(15)
        assert await rescues.rescuer.rescue() == 2 * BATCH + 1
        assert rescues.backend.times["rescue"] == 4
        names = [name for name, _ in await rescues.queued()]
        assert sorted(names) == sorted(f"job{number}" for number in range(2 * BATCH + 1))
        assert await rescues.rescuer.rescue() == 0


async def test_what_could_not_be_rescued_is_tried_again_with_each_look_and_not_between() -> None:
    async with Rescues() as rescues:
        await rescues.lose("job")
        await rescues.watch(15)
        rescues.memory.rescue = _nothing
        for times in range(1, 4):
            assert [await rescues.rescuer.rescue() for _ in range(3)] == [0, 0, 0]
            assert rescues.backend.times["rescue"] == times
            await rescues.watch(3)


async def _nothing(_expired, _limit) -> list:
    return []


async def test_it_rescues_at_the_instant_in_which_a_lease_expires() -> None:
    """By its own timer: no look comes between."""
    async with Rescues(heartbeat=0.2, rescue_after=0.1, clock=time.monotonic) as rescues:
        await rescues.lose("job", lease=0.1)
        rescues.rescuer.start()
        begun = time.monotonic()
        await rescues.until(lambda: rescues.told(WorkerRescue))
        assert time.monotonic() - begun >= 0.1
        assert rescues.backend.times["leases"] == 1


async def test_a_lease_that_expires_during_a_rescue_is_rescued_without_another_snapshot() -> None:
    async with Rescues() as rescues:

        def late(answer: list[RescuedJob]) -> list[RescuedJob]:
            rescues.now += 3
            return answer

        await rescues.lose("first")
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.backend.times["leases"] == 1)
        await rescues.lose("second", dead="host.dead:2")
        rescues.backend.change("rescue", late)
        await rescues.watch(12)
        await rescues.until(lambda: len(rescues.told(WorkerRescue)) == 2)
        assert rescues.now == 1015.0


async def test_nothing_is_rescued_after_a_gap_before_others_had_time_to_come_back() -> None:
    async with Rescues() as rescues:
        await rescues.lose("job")
        await rescues.watch(9)
        rescues.now += 15
        assert await rescues.rescuer.rescue() == 0
        rescues.rescuer.on_leases(LeaseSnapshot(rescues.now, await rescues.memory.leases()))
        assert await rescues.rescuer.rescue() == 0
        await rescues.watch(5.9)
        assert await rescues.rescuer.rescue() == 0
        await rescues.watch(0.1)
        assert await rescues.rescuer.rescue() == 1


@pytest.mark.parametrize("looks", [False, True], ids=["beats look", "it looks"])
async def test_it_looks_at_its_start_and_where_no_heartbeat_does_again_and_again(looks) -> None:
    async with Rescues(looks=looks, heartbeat=0.005, rescue_after=10.0, clock=time.monotonic) as rescues:
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.backend.times["leases"] == (3 if looks else 1))
        seen = [args for verb, args in rescues.backend.calls if verb == "leases"]
        assert seen[0] == (), "the first look shows all leases, and the others those that were not renewed since"
        assert all(len(args) == 1 for args in seen[1:])


async def test_it_looks_for_lost_leases_when_it_is_told_so_and_now_and_then() -> None:
    async with Rescues() as rescues:
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.backend.times["leases"] == 1)
        rescues.rescuer.request_full_read()
        await rescues.until(lambda: rescues.backend.times["leases"] == 2)
        await rescues.watch(5 * 12 - 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert rescues.backend.times["leases"] == 2
        await rescues.watch(1)
        await rescues.until(lambda: rescues.backend.times["leases"] == 3)


async def test_a_job_that_cannot_be_rescued_is_told_once_and_keeps_no_other() -> None:
    async with Rescues() as rescues:
        stuck = [RescuedJob("host.dead:1+9", "bad", encode_job(name, [], "bad"), False, "no list") for name in "ab"]
        for _ in range(2):
            await rescues.lose("job")
            await rescues.watch(15)
            rescues.backend.change("rescue", lambda taken: [*taken, stuck[0]])
            rescues.backend.change("rescue", lambda _: [stuck[0]])
            assert await rescues.rescuer.rescue() == 1
        (told,) = rescues.told(WorkerError)
        assert (told.worker, told.queue, told.job.name) == ("host.abc:2", "bad", "a")
        assert "cannot be rescued yet" in str(told.error)
        assert "no list" in str(told.error)
        await rescues.lose("job")
        await rescues.watch(15)
        rescues.memory.rescue = _nothing
        rescues.backend.change("rescue", lambda _: stuck)
        await rescues.rescuer.rescue()
        assert [event.job.name for event in rescues.told(WorkerError)] == ["a", "b"]
        assert {event.job.name for event in rescues.told(WorkerRescue)} == {"job"}
        # It is repaired, and damaged again later.
        await rescues.watch(3)
        await rescues.rescuer.rescue()
        await rescues.watch(3)
        rescues.backend.change("rescue", lambda _: stuck[:1])
        await rescues.rescuer.rescue()
        assert [event.job.name for event in rescues.told(WorkerError)] == ["a", "b", "a"]


async def test_errors_do_not_end_it() -> None:
    async with Rescues() as rescues:
        await rescues.lose("job")
        rescues.backend.fail("leases", BackendUnavailable("no route"), times=2)
        rescues.rescuer.start()
        await rescues.until(lambda: rescues.backend.times["leases"] == 3)
        rescues.backend.fail("rescue", BackendUnavailable("no route"), times=3)
        rescues.backend.fail("rescue", RuntimeError("a bug"))
        await rescues.watch(12)
        await rescues.until(lambda: rescues.told(WorkerRescue))
        await rescues.until(lambda: rescues.backend.times["rescue"] == 6)
        await rescues.until(lambda: rescues.outages == ["rescuer", "over", "rescuer", "rescuer", "over"])
