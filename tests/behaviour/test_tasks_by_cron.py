"""Tasks by cron: each slot once per cluster, on the wall clocks of their zone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from app_harness import AppHarness

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")


class Slots:
    """When a task ran."""

    def __init__(self, harness, start):
        self.stage = harness
        self.runs = []
        harness.clock.advance(start.timestamp() - harness.clock.now())

    def declare(self, app, **options):
        @app.task(name="report", **options)
        async def report():
            self.runs.append(datetime.fromtimestamp(self.stage.clock.now(), UTC))
            self.stage.look()

        return report

    async def live(self, app, until, step=60):
        """Let time pass step by step, and let the leader look at each."""
        while (now := self.stage.clock.now()) < until.timestamp():
            self.stage.clock.advance(min(step, until.timestamp() - now))
            await app.scheduler.enqueue_periodic()
            fired = len(self.stage.told("scheduler.enqueue"))
            await self.stage.until(lambda fired=fired: len(self.stage.told("worker.success")) == fired)


def at(*parts, zone=UTC):
    return datetime(*parts, tzinfo=zone)


def on_the_wall(runs, zone):
    return [f"{run.astimezone(zone):%d %H:%M}" for run in runs]


async def test_each_slot_is_one_run_and_none_is_early(harness):
    app = harness.app()
    slots = Slots(harness, at(2026, 6, 1, 8, 58, 30))
    slots.declare(app, cron="*/5 9-17 * * mon-fri")
    async with app.running():
        await harness.until(lambda: app.scheduler.leader)
        await slots.live(app, at(2026, 6, 1, 9, 11), step=30)
        assert slots.runs == [at(2026, 6, 1, 9, 0), at(2026, 6, 1, 9, 5), at(2026, 6, 1, 9, 10)]
        assert await app.scheduler.enqueue_periodic() <= 3


async def test_the_leader_sleeps_until_the_next_slot(harness):
    app = harness.app()
    slots = Slots(harness, at(2026, 6, 1, 8, 59, 59))
    slots.declare(app, cron="0 * * * *")
    async with app.running():
        await harness.until(lambda: app.scheduler.leader)
        assert 1.0 < await app.scheduler.enqueue_periodic() < 1.1
        harness.clock.advance(0.75)
        assert 0.25 < await app.scheduler.enqueue_periodic() < 0.3
        assert harness.told("scheduler.enqueue") == []


async def test_many_leaders_fire_each_slot_once(harness):
    """As when one was away for a while, and does not know that another leads."""
    apps = [harness.app() for _ in range(3)]
    slots = Slots(harness, at(2026, 6, 1, 9, 0, 30))
    for app in apps:
        slots.declare(app, cron="* * * * *")
        await app.start()
    try:
        await asyncio.gather(*(app.scheduler.enqueue_periodic() for app in apps))
        for minute in range(1, 6):
            harness.clock.advance(60)
            for app in apps:
                app.scheduler._leads_until = float("inf")
            await asyncio.gather(*(app.scheduler.enqueue_periodic() for app in apps))
            await harness.until(lambda minute=minute: len(slots.runs) >= minute)
        await asyncio.gather(*(app.scheduler.enqueue_periodic() for app in apps))
        assert len(slots.runs) == 5
        assert len(harness.told("scheduler.enqueue")) == 5
    finally:
        for app in apps:
            await app.stop()


@pytest.mark.parametrize(("misfire", "runs"), [("skip", 0), ("once", 1), ("all", 3)])
async def test_slots_that_nobody_could_fire_are_for_the_policy(harness, misfire, runs):
    """Nothing ran from half past nine to ten past one."""
    app = harness.app()
    slots = Slots(harness, at(2026, 6, 1, 9, 30))
    slots.declare(app, cron="30 * * * *", misfire=misfire)
    async with app:
        async with app.running():
            await harness.until(lambda: app.scheduler.leader)
            await app.scheduler.enqueue_periodic()
        harness.clock.advance(3600 * 3 + 2400)
        async with app.running():
            await harness.until(lambda: app.scheduler.leader)
            await app.scheduler.enqueue_periodic()
            await harness.until(lambda: len(slots.runs) == runs)
            await app.scheduler.enqueue_periodic()
            await slots.live(app, at(2026, 6, 1, 13, 31), step=600)
            assert len(slots.runs) == runs + 1


async def test_a_stopped_task_fires_nothing_and_makes_up_for_nothing(harness):
    app = harness.app()
    slots = Slots(harness, at(2026, 6, 1, 9, 30))
    report = slots.declare(app, cron="0 * * * *", misfire="all")
    async with app.running():
        await harness.until(lambda: app.scheduler.leader)
        await app.scheduler.enqueue_periodic()
        assert await app.queue.stop_recurrent("report") == 0
        await slots.live(app, at(2026, 6, 1, 12, 30), step=1800)
        assert slots.runs == []
        assert await app.queue.enqueue_recurrent("report") is True
        await slots.live(app, at(2026, 6, 1, 13, 30), step=1800)
        assert len(slots.runs) == 1
        await app.queue.stop_recurrent("report")
        assert await report.enqueue() is True
        await harness.until(lambda: len(slots.runs) == 2)
        await slots.live(app, at(2026, 6, 1, 14, 30), step=1800)
        await harness.until(lambda: len(slots.runs) == 3)


async def test_it_is_not_enqueued_at_the_start(harness):
    app = harness.app()
    slots = Slots(harness, at(2026, 6, 1, 9, 30))
    slots.declare(app, cron="0 * * * *")
    async with app.running():
        assert await app.queue.enqueue_all_recurrent() == []
        await app.scheduler.enqueue_periodic()
        assert (slots.runs, await app.queue.length("default")) == ([], 0)


@pytest.mark.parametrize(
    ("cron", "zone", "start", "hours", "runs"),
    [
        # Clocks go from 2:00 to 3:00 on 29 March: the time that does not exist is made up for at the shift.
        ("30 2 * * *", "Europe/Berlin", at(2026, 3, 28, 12), 36, ["29 03:00"]),
        # From 3:00 back to 2:00 on 25 October: what occurs twice fires once.
        ("30 2 * * *", "Europe/Berlin", at(2026, 10, 24, 12), 36, ["25 02:30"]),
        # Every real hour goes on through both shifts.
        ("0 * * * *", "Europe/Berlin", at(2026, 10, 24, 23, 30), 4, ["25 02:00", "25 02:00", "25 03:00", "25 04:00"]),
        ("0 * * * *", "Europe/Berlin", at(2026, 3, 28, 23, 30), 3, ["29 01:00", "29 03:00", "29 04:00"]),
        # Lord Howe's shift is half an hour: 2:00 to 2:30.
        ("15 2 * * *", "Australia/Lord_Howe", at(2026, 10, 3, 2), 24, ["04 02:30"]),
        ("0 12 29 2 *", "UTC", at(2028, 2, 28, 0), 60, ["29 12:00"]),
    ],
)
async def test_daylight_saving_and_leap_days(memory_stage, cron, zone, start, hours, runs):
    harness = memory_stage
    app = harness.app()
    slots = Slots(harness, start)
    slots.declare(app, cron=cron, timezone=zone)
    async with app.running():
        await harness.until(lambda: app.scheduler.leader)
        await app.scheduler.enqueue_periodic()
        await slots.live(app, start + timedelta(hours=hours), step=900)
        assert on_the_wall(slots.runs, ZoneInfo(zone)) == runs


@pytest.fixture
def memory_stage():
    """Where one store will do: the schedule is none of its business."""
    return AppHarness("memory")
