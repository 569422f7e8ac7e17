"""Going on whatever happens, and leading."""

from __future__ import annotations

import pytest
from scheduler_harness import SchedulerHarness

from taskhero.errors import BackendRefused, BackendUnavailable, ReplyLost
from taskhero.events import (
    SchedulerEnd,
    SchedulerLeader,
    SchedulerLeaderLost,
    SchedulerPoll,
    SchedulerStart,
    SchedulerTransferredJob,
)

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")


# --- nothing stops it ---


@pytest.mark.parametrize("verb", ["due", "promote", "lead", "wait", "declare_periodic"])
@pytest.mark.parametrize("error", [AWAY, ReplyLost("the line broke"), BackendRefused("no"), RuntimeError("a bug")])
async def test_it_survives_an_error_of_every_verb(verb: str, error: Exception) -> None:
    async with SchedulerHarness() as harness:
        harness.backend.fail(verb, error)
        await harness.delay("job", seconds=1)
        harness.clock.advance(1)
        await harness.start()
        await harness.until(lambda: harness.events_of(SchedulerTransferredJob) and harness.scheduler.leader)
        await harness.until(lambda: harness.backend.times[verb] > 1)
        assert await harness.queued() == ["job"]


async def test_a_promotion_whose_answer_was_lost_is_not_done_twice() -> None:
    async with SchedulerHarness() as harness:
        harness.backend.fail("promote", ReplyLost("the line broke"), acted=True)
        await harness.delay("a", "b", seconds=1)
        harness.clock.advance(1)
        await harness.start()
        await harness.until(lambda: harness.backend.times["due"] >= 2)
        assert await harness.queued() == ["a", "b"]


async def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    async with SchedulerHarness() as harness:
        harness.backend.break_down("due", "lead", error=AWAY)
        await harness.start()
        await harness.until(lambda: harness.backend.times["due"] > 5 and harness.backend.times["lead"] > 2)
        assert len(harness.troubles) == 1
        harness.backend.mend()
        await harness.until(lambda: harness.troubles[1:] == ["over"])


# --- leading ---


async def test_one_leads_and_another_takes_over_when_its_lease_has_run_out() -> None:
    async with SchedulerHarness() as harness:
        other = harness.hire("host.xyz:2")
        assert await harness.scheduler.seek_lead()
        assert not await other.seek_lead()
        assert (harness.scheduler.leader, other.leader) == (True, False)
        harness.clock.advance(14)
        assert not await other.seek_lead()
        harness.clock.advance(1)
        assert not harness.scheduler.leader, "it does not believe to lead when its lease has run out"
        assert await other.seek_lead()
        assert not await harness.scheduler.seek_lead()
        assert [event.owner for event in harness.events_of(SchedulerLeader)] == ["host.abc:1", "host.xyz:2"]
        assert await harness.memory.leader() == "host.xyz:2"


async def test_a_leader_that_renews_its_lease_stays_and_is_told_once() -> None:
    async with SchedulerHarness() as harness:
        for _ in range(5):
            assert await harness.scheduler.seek_lead()
            harness.clock.advance(10)
        assert len(harness.events_of(SchedulerLeader)) == 1


async def test_that_it_leads_no_longer_is_told_once() -> None:
    """It learns so from the store: another one leads."""
    async with SchedulerHarness() as harness:
        other = harness.hire("host.xyz:2")
        await harness.scheduler.seek_lead()
        assert harness.events_of(SchedulerLeaderLost) == []
        harness.clock.advance(16)
        await other.seek_lead()
        for _ in range(2):
            await harness.scheduler.seek_lead()
        assert [event.owner for event in harness.events_of(SchedulerLeaderLost)] == ["host.abc:1"]
        harness.clock.advance(16)
        await harness.scheduler.seek_lead()
        assert [event.owner for event in harness.events_of(SchedulerLeader)] == [
            "host.abc:1",
            "host.xyz:2",
            "host.abc:1",
        ]


async def test_a_leader_that_cannot_reach_its_store_tells_when_its_lease_is_over() -> None:
    """Whoever asks it then must not be told that it leads, though nobody else may do so."""
    async with SchedulerHarness() as harness:
        await harness.start()
        await harness.until(lambda: harness.events_of(SchedulerLeader))
        harness.backend.break_down("lead", error=AWAY)
        harness.clock.advance(16)
        assert not harness.scheduler.leader
        harness.scheduler._leading.wake()
        await harness.until(lambda: harness.events_of(SchedulerLeaderLost))
        harness.backend.mend()
        await harness.until(lambda: len(harness.events_of(SchedulerLeader)) == 2)


async def test_a_stop_tells_that_it_leads_no_longer() -> None:
    async with SchedulerHarness() as harness:
        await harness.start()
        await harness.until(lambda: harness.scheduler.leader)
        await harness.scheduler.stop()
        names = [event.name for event in harness.events if event.name in {"leader", "leader_lost", "end"}]
        assert names == ["leader", "leader_lost", "end"]


async def test_a_stop_gives_up_the_lead_at_once() -> None:
    async with SchedulerHarness() as harness:
        other = harness.hire("host.xyz:2")
        await harness.start()
        await harness.until(lambda: harness.scheduler.leader)
        await harness.scheduler.stop()
        assert not harness.scheduler.leader
        assert await other.seek_lead()
        assert harness.events_of(SchedulerStart)
        assert harness.events_of(SchedulerEnd)


async def test_a_stop_ends_even_if_the_lead_cannot_be_given_up() -> None:
    async with SchedulerHarness() as harness:
        harness.backend.fail("resign", AWAY)
        await harness.start()
        await harness.until(lambda: harness.scheduler.leader)
        await harness.scheduler.stop()
        assert harness.events_of(SchedulerEnd)


async def test_each_look_is_told() -> None:
    async with SchedulerHarness() as harness:
        await harness.promote_all()
        assert [event.owner for event in harness.events_of(SchedulerPoll)] == ["host.abc:1"]
