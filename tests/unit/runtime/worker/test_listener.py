"""The one wait of a process, for its processors and its scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from dispatcher_harness import FaultyBackend, Signals, quick
from memory_view import MemoryView

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import DelayedJobEntry, Entry, Process, Subscription, Wakeup
from taskhero.clock import ManualClock
from taskhero.errors import BackendUnavailable
from taskhero.runtime.backoff import Backoff, Outage
from taskhero.runtime.worker.listener import MAX_FRUITLESS_WAKEUPS, WakeupListener

pytestmark = pytest.mark.anyio

PROCESS = Process("host.abc:1", ("default",))


class Waits:
    """A waiter on a backend in memory, and what it told."""

    def __init__(self, timeout: float = 60.0) -> None:
        self.signals = Signals()
        self.until = self.signals.until
        self.clock = ManualClock()
        self.memory = MemoryBackend(clock=self.clock)
        self.backend = FaultyBackend(self.memory, self.signals)
        self.told: list[str] = []
        self.outages: list[str] = []
        outage = Outage(lambda who, _error: self.report(who), lambda _seconds: self.report("over"))
        self.waiter = WakeupListener(
            backend=self.backend, process=PROCESS, timeout=timeout, outage=outage, new_backoff=quick
        )
        self.waiter.on_jobs = lambda _wakeup: self.tell("jobs")

    def tell(self, what: str) -> None:
        self.told.append(what)
        self.signals.happen()

    def report(self, outage: str) -> None:
        self.outages.append(outage)
        self.signals.happen()

    @property
    def interests(self) -> list[Subscription]:
        """What was waited for, in turn."""
        return [args[1] for verb, args in self.backend.calls if verb == "wait"]


@pytest.fixture
async def waits() -> AsyncIterator[Waits]:
    waits = Waits()
    await waits.memory.connect()
    waits.waiter.start()
    yield waits
    await waits.waiter.stop()
    await waits.waiter.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("taskhero")]
    await waits.memory.close()


def listen(waits: Waits, *, found: bool = True) -> None:
    waits.waiter.resume(("default",), all_queues=False, found=found)


class Recorded(Backoff):
    """Records its delays, which take no time."""

    def __init__(self, delays: list[float]) -> None:
        super().__init__()
        self._delays = delays

    def next(self) -> float:
        self._delays.append(super().next())
        return 0.0


async def test_it_asks_for_nothing_as_long_as_nobody_wants_anything(waits: Waits) -> None:
    for _ in range(20):
        await asyncio.sleep(0)
    assert waits.backend.calls == []


async def test_a_job_wakes_who_listens(waits: Waits) -> None:
    listen(waits)
    await waits.until(lambda: waits.interests)
    assert waits.interests == [Subscription(queues=("default",))]
    await waits.memory.push([Entry("default", "{}")])
    await waits.until(lambda: waits.told == ["jobs"])


async def test_after_a_wakeup_it_does_not_wait_before_it_is_told_to(waits: Waits) -> None:
    listen(waits)
    await waits.until(lambda: waits.interests)
    await waits.memory.push([Entry("default", "{}")])
    await waits.until(lambda: waits.told == ["jobs"])
    await waits.memory.push([Entry("default", "{}")])
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(waits.interests) == 1
    listen(waits)
    await waits.until(lambda: waits.told == ["jobs", "jobs"])


async def test_a_scheduler_is_woken_by_an_earlier_moment_and_goes_on_waiting(waits: Waits) -> None:
    waits.waiter.on_schedule = lambda: waits.tell("schedule")
    waits.waiter.wake()
    await waits.until(lambda: waits.interests)
    at = int(waits.clock.now()) + 100
    await waits.memory.schedule([DelayedJobEntry(at, "default", "{}")])
    await waits.until(lambda: waits.told == ["schedule"])
    await waits.until(lambda: len(waits.interests) == 2)
    await waits.memory.schedule([DelayedJobEntry(at - 1, "default", "{}")])
    await waits.until(lambda: waits.told == ["schedule"] * 2)
    assert set(waits.interests) == {Subscription(schedule=True)}


async def test_a_wait_for_the_schedule_is_replaced_when_a_processor_becomes_free(waits: Waits) -> None:
    waits.waiter.on_schedule = lambda: waits.tell("schedule")
    waits.waiter.wake()
    await waits.until(lambda: waits.interests == [Subscription(schedule=True)])
    listen(waits)
    await waits.until(lambda: len(waits.interests) == 2)
    assert waits.interests[1] == Subscription(queues=("default",), schedule=True)
    await waits.memory.push([Entry("default", "{}")])
    await waits.until(lambda: waits.told == ["jobs"])
    waits.waiter.suspend()
    await waits.until(lambda: len(waits.interests) == 3)
    assert waits.interests[2] == Subscription(schedule=True)


async def test_no_wait_is_begun_and_cancelled_between_a_wakeup_and_its_answer(waits: Waits) -> None:
    """With a scheduler in the process, too: to replace a wait costs a store round trips."""
    waits.waiter.on_schedule = lambda: waits.tell("schedule")
    listen(waits)
    await waits.until(lambda: waits.interests)
    await waits.memory.push([Entry("default", "{}")])
    await waits.until(lambda: waits.told == ["jobs"])
    for _ in range(20):
        await asyncio.sleep(0)
    waits.waiter.suspend()
    for _ in range(20):
        await asyncio.sleep(0)
    listen(waits)
    await waits.until(lambda: len(waits.interests) == 2)
    assert all(interest.queues for interest in waits.interests)


async def test_even_if_the_answer_takes_long(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskhero.runtime.worker.listener.SCHEDULE_ONLY_DELAY", 0.0)
    waits.waiter.on_schedule = lambda: waits.tell("schedule")
    listen(waits)
    await waits.until(lambda: waits.interests)
    await waits.memory.push([Entry("default", "{}")])
    await waits.until(lambda: waits.told == ["jobs"])
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(waits.interests) == 1
    waits.waiter.suspend()
    await waits.until(lambda: len(waits.interests) == 2)
    assert waits.interests[1] == Subscription(schedule=True)


async def test_there_is_only_one_wait_at_a_time(waits: Waits) -> None:
    waits.waiter.on_schedule = lambda: waits.tell("schedule")
    for _ in range(5):
        listen(waits)
        await asyncio.sleep(0)
    await waits.until(lambda: waits.interests)
    for _ in range(20):
        await asyncio.sleep(0)
    assert MemoryView(waits.memory).waiting == 1


async def test_it_hushes_so_that_another_process_gets_the_wakeup(waits: Waits) -> None:
    listen(waits)
    await waits.until(lambda: waits.interests)
    other = asyncio.create_task(waits.memory.wait(Process("other:1", ("default",)), waits.interests[0], 5))
    await asyncio.sleep(0)
    waits.waiter.stop_jobs()
    for _ in range(5):
        await asyncio.sleep(0)
    assert MemoryView(waits.memory).waiting == 1
    await waits.memory.push([Entry("default", "{}")])
    assert await asyncio.wait_for(other, 1) == Wakeup(jobs=True)
    assert waits.told == []


async def test_a_pause_between_a_wakeup_and_its_answer_starts_the_wait_for_the_schedule(waits: Waits) -> None:
    """It does not wait for the dispatcher, which claims nothing now."""
    waits.waiter.on_schedule = lambda: waits.tell("schedule")
    listen(waits)
    await waits.until(lambda: waits.interests)
    await waits.memory.push([Entry("default", "{}")])
    await waits.until(lambda: waits.told == ["jobs"])
    for _ in range(20):
        await asyncio.sleep(0)
    waits.waiter.stop_jobs()
    await waits.until(lambda: len(waits.interests) == 2)
    assert waits.interests[1] == Subscription(schedule=True)


async def test_a_pause_during_the_delay_after_fruitless_wakeups_takes_no_wakeup(waits: Waits) -> None:
    entered = asyncio.Event()

    class Delayed(Backoff):
        def next(self) -> float:
            entered.set()
            return 0.01

    waits.waiter.fruitless_backoff = Delayed()
    waits.waiter.fruitless = MAX_FRUITLESS_WAKEUPS + 1
    waits.waiter.on_schedule = lambda: waits.tell("schedule")
    listen(waits, found=False)
    await asyncio.wait_for(entered.wait(), 5)
    waits.waiter.stop_jobs()
    await waits.until(lambda: waits.interests)
    assert waits.interests == [Subscription(schedule=True)]


async def test_a_wakeup_is_passed_on_by_a_notification(waits: Waits) -> None:
    waits.waiter.forward(("default",))
    waits.waiter.forward(("default",))
    await waits.until(lambda: waits.backend.times["notify"])
    for _ in range(5):
        await asyncio.sleep(0)
    assert waits.backend.calls == [("notify", (("default",),))]
    waits.waiter.forward(("default",))
    await waits.until(lambda: waits.backend.times["notify"] == 2)


async def test_errors_do_not_end_it_and_are_told_once(waits: Waits) -> None:
    waits.backend.fail("wait", BackendUnavailable("nobody listens"), times=5)
    waits.backend.fail("notify", BackendUnavailable("nobody listens"))
    waits.waiter.forward(("default",))
    listen(waits)
    await waits.until(lambda: len(waits.interests) == 6)
    await waits.memory.push([Entry("default", "{}")])
    await waits.until(lambda: waits.told == ["jobs"])
    await waits.until(lambda: waits.outages == ["listener", "over"])


async def test_time_that_is_up_is_no_wakeup() -> None:
    waits = Waits(timeout=0.001)
    await waits.memory.connect()
    waits.waiter.start()
    listen(waits)
    await waits.until(lambda: len(waits.interests) > 3)
    assert waits.told == []
    await waits.waiter.stop()


async def test_wakeups_for_nothing_are_believed_less_and_less(waits: Waits) -> None:
    """A store that wakes without end does not make the process spin."""
    slept: list[float] = []

    waits.waiter.fruitless_backoff = Recorded(slept)
    waits.waiter.on_jobs = lambda _wakeup: listen(waits, found=False)
    waits.memory.wait = _at_once
    listen(waits)
    await waits.until(lambda: len(waits.interests) >= 10)
    assert len(slept) >= 5
    listen(waits, found=True)
    assert waits.waiter.fruitless == 0


async def test_wakeups_whose_jobs_take_all_slots_are_not_fruitless(waits: Waits) -> None:
    slept: list[float] = []

    def fill_slots(_wakeup: Wakeup) -> None:
        """The claim took a job, so no slot is free; the next round settles it, and finds no other job."""
        waits.waiter.suspend()
        listen(waits, found=False)

    waits.waiter.fruitless_backoff = Recorded(slept)
    waits.waiter.on_jobs = fill_slots
    waits.memory.wait = _at_once
    listen(waits)
    await waits.until(lambda: len(waits.interests) >= 10)
    assert slept == []


async def _at_once(*_args: object) -> Wakeup:
    await asyncio.sleep(0)
    return Wakeup(jobs=True)


async def test_a_wait_is_replaced_when_there_are_other_queues_to_wait_for(waits: Waits) -> None:
    listen(waits)
    await waits.until(lambda: waits.interests)
    listen(waits)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(waits.interests) == 1
    waits.waiter.resume(("default", "new"), all_queues=False, found=True)
    await waits.until(lambda: len(waits.interests) == 2)
    assert waits.interests[1] == Subscription(queues=("default", "new"))
