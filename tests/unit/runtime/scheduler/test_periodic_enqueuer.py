"""The leader's look at the periodic tasks of all apps."""

from __future__ import annotations

import attrs
import pytest

from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import EnsureResult, PeriodicTask
from taskhero.clock import ManualClock
from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.events import EVENTS, Emitter
from taskhero.runtime.scheduler.periodic_enqueuer import PeriodicEnqueuer

pytestmark = pytest.mark.anyio

TICK = PeriodicTask(name="tick", queue="q", raw="{}", equivalent_payloads=("{}",), frequency=60)
NIGHTLY = PeriodicTask(name="nightly", queue="q", raw="[]", equivalent_payloads=("[]",), cron="0 3 * * *")


class Room:
    """A keeper that leads, on a backend in memory; other apps have declared tasks."""

    def __init__(self):
        self.clock = ManualClock(1_800_000_000)  # 8:00 in UTC
        self.backend = MemoryBackend(clock=self.clock)
        self.told = []
        emitter = Emitter()
        for kind in EVENTS:
            emitter.on(kind, self.told.append)
        self.keeper = PeriodicEnqueuer(backend=self.backend, emitter=emitter, owner="me", admin=None)

    async def look(self, *, leads=True):
        return await self.keeper.step(leads=lambda: leads)

    def names(self):
        return [event.name for event in self.told]


@pytest.fixture
async def room():
    room = Room()
    await room.backend.connect()
    yield room
    await room.backend.close()


async def test_who_does_not_lead_leaves_other_apps_tasks_alone(room):
    await room.backend.declare_periodic([TICK], 1000)
    assert await room.look(leads=False) > 10
    assert await room.backend.length("q") == 0
    assert await room.look() == 3
    assert await room.backend.length("q") == 1


async def test_a_task_that_vanishes_at_once_is_enqueued_once_a_frequency(room):
    """As one that no worker knows any more: it fails, and no next run is delayed."""
    await room.backend.declare_periodic([TICK], 1000)
    for _ in range(30):
        await room.look()
        await room.backend.delete_queue("q")
        room.clock.advance(3)
    assert room.names() == ["enqueue", "enqueue"]


async def test_a_queue_that_cannot_take_its_job_is_told_once(room, monkeypatch):
    await room.backend.declare_periodic([TICK], 1000)

    async def refuse(tasks, *, full_scan):
        return [EnsureResult.WRONG_TYPE for _ in tasks]

    monkeypatch.setattr(room.backend, "ensure_periodic", refuse)
    for _ in range(3):
        await room.look()
    (event,) = room.told
    assert (event.name, "key of queue 'q' is not a list" in str(event.error)) == ("error", True)


@pytest.mark.parametrize(
    ("change", "said"), [({"timezone": "Mars/Phobos"}, "Mars/Phobos"), ({"misfire": "later"}, "later")]
)
async def test_what_cannot_be_fired_here_keeps_nothing_else_from_it(room, change, said):
    """Another app may know more time zones, or policies, than this one."""
    strange = attrs.evolve(NIGHTLY, name="a-strange-one", **change)
    await room.backend.declare_periodic([strange, NIGHTLY], 10**6)
    room.clock.advance(19 * 3600)
    for _ in range(3):
        await room.look()
    assert sorted(room.names()) == ["enqueue", "error"]
    assert said in str(next(event.error for event in room.told if event.name == "error"))


async def test_a_task_whose_queue_is_spoilt_keeps_no_other_from_being_fired(room, monkeypatch):
    """It is told once, and fired when its queue is repaired."""
    spoilt = attrs.evolve(NIGHTLY, name="a-spoilt-one", queue="bad")
    await room.backend.declare_periodic([spoilt, NIGHTLY], 10**6)
    room.clock.advance(19 * 3600)
    fire = room.backend.fire_cron

    async def refuse(task, *given):
        if task.queue == "bad":
            raise BackendRefused("no list")
        return await fire(task, *given)

    with monkeypatch.context() as patch:
        patch.setattr(room.backend, "fire_cron", refuse)
        for _ in range(3):
            await room.look()
    assert sorted(room.names()) == ["enqueue", "error"]
    await room.look()
    assert sorted(room.names()) == ["enqueue", "enqueue", "error"]


async def test_an_error_of_the_store_is_the_callers(room, monkeypatch):
    await room.backend.declare_periodic([NIGHTLY], 10**6)
    room.clock.advance(19 * 3600)

    async def away(*_):
        raise BackendUnavailable("nobody listens")

    with monkeypatch.context() as patch:
        patch.setattr(room.backend, "fire_cron", away)
        with pytest.raises(BackendUnavailable):
            await room.look()
    await room.look()
    assert room.names() == ["enqueue"]


async def test_nothing_is_written_between_two_slots(room, monkeypatch):
    await room.backend.declare_periodic([NIGHTLY], 10**6)
    fired = []
    fire = room.backend.fire_cron

    async def count(*given):
        fired.append(given)
        return await fire(*given)

    monkeypatch.setattr(room.backend, "fire_cron", count)
    for _ in range(20):
        await room.look()
        room.clock.advance(3)
    assert fired == []


async def test_it_looks_for_locks_that_were_left_behind_once_a_minute(room, monkeypatch):
    """It is told by the store's clock: each look goes through whole queues."""
    await room.backend.declare_periodic([attrs.evolve(TICK, frequency=1)], 10**6)
    asked = []
    ensure = room.backend.ensure_periodic

    async def note(tasks, *, full_scan):
        asked.append(full_scan)
        return await ensure(tasks, full_scan=full_scan)

    monkeypatch.setattr(room.backend, "ensure_periodic", note)
    for _ in range(41):
        await room.look()
        room.clock.advance(3)
    assert asked.count(True) == 3
