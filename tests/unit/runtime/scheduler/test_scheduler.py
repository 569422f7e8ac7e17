"""Going on whatever happens, and leading."""

from __future__ import annotations

import pytest
from scheduler_harness import Office

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


@pytest.mark.parametrize("verb", ["due", "promote", "lead", "wait", "periodic"])
@pytest.mark.parametrize("error", [AWAY, ReplyLost("the line broke"), BackendRefused("no"), RuntimeError("a bug")])
async def test_it_survives_an_error_of_every_verb(verb: str, error: Exception) -> None:
    async with Office() as office:
        office.backend.fail(verb, error)
        await office.delay("job", seconds=1)
        office.clock.advance(1)
        await office.start()
        await office.until(lambda: office.told(SchedulerTransferredJob) and office.scheduler.leader)
        await office.until(lambda: office.backend.times[verb] > 1)
        assert await office.queued() == ["job"]


async def test_a_promotion_whose_answer_was_lost_is_not_done_twice() -> None:
    async with Office() as office:
        office.backend.fail("promote", ReplyLost("the line broke"), acted=True)
        await office.delay("a", "b", seconds=1)
        office.clock.advance(1)
        await office.start()
        await office.until(lambda: office.backend.times["due"] >= 2)
        assert await office.queued() == ["a", "b"]


async def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    async with Office() as office:
        office.backend.break_down("due", "lead", error=AWAY)
        await office.start()
        await office.until(lambda: office.backend.times["due"] > 5 and office.backend.times["lead"] > 2)
        assert len(office.troubles) == 1
        office.backend.mend()
        await office.until(lambda: office.troubles[1:] == ["over"])


# --- leading ---


async def test_one_leads_and_another_takes_over_when_its_lease_has_run_out() -> None:
    async with Office() as office:
        other = office.hire("host.xyz:2")
        assert await office.scheduler.seek_lead()
        assert not await other.seek_lead()
        assert (office.scheduler.leader, other.leader) == (True, False)
        office.clock.advance(14)
        assert not await other.seek_lead()
        office.clock.advance(1)
        assert not office.scheduler.leader, "it does not believe to lead when its lease has run out"
        assert await other.seek_lead()
        assert not await office.scheduler.seek_lead()
        assert [event.owner for event in office.told(SchedulerLeader)] == ["host.abc:1", "host.xyz:2"]
        assert await office.memory.leader() == "host.xyz:2"


async def test_a_leader_that_renews_its_lease_stays_and_is_told_once() -> None:
    async with Office() as office:
        for _ in range(5):
            assert await office.scheduler.seek_lead()
            office.clock.advance(10)
        assert len(office.told(SchedulerLeader)) == 1


async def test_that_it_leads_no_longer_is_told_once() -> None:
    """It learns so from the store: another one leads."""
    async with Office() as office:
        other = office.hire("host.xyz:2")
        await office.scheduler.seek_lead()
        assert office.told(SchedulerLeaderLost) == []
        office.clock.advance(16)
        await other.seek_lead()
        for _ in range(2):
            await office.scheduler.seek_lead()
        assert [event.owner for event in office.told(SchedulerLeaderLost)] == ["host.abc:1"]
        office.clock.advance(16)
        await office.scheduler.seek_lead()
        assert [event.owner for event in office.told(SchedulerLeader)] == ["host.abc:1", "host.xyz:2", "host.abc:1"]


async def test_a_leader_that_cannot_reach_its_store_tells_when_its_lease_is_over() -> None:
    """Whoever asks it then must not be told that it leads, though nobody else may do so."""
    async with Office() as office:
        await office.start()
        await office.until(lambda: office.told(SchedulerLeader))
        office.backend.break_down("lead", error=AWAY)
        office.clock.advance(16)
        assert not office.scheduler.leader
        office.scheduler._leading.cut()
        await office.until(lambda: office.told(SchedulerLeaderLost))
        office.backend.mend()
        await office.until(lambda: len(office.told(SchedulerLeader)) == 2)


async def test_a_stop_tells_that_it_leads_no_longer() -> None:
    async with Office() as office:
        await office.start()
        await office.until(lambda: office.scheduler.leader)
        await office.scheduler.stop()
        names = [event.name for event in office.events if event.name in {"leader", "leader_lost", "end"}]
        assert names == ["leader", "leader_lost", "end"]


async def test_a_stop_gives_up_the_lead_at_once() -> None:
    async with Office() as office:
        other = office.hire("host.xyz:2")
        await office.start()
        await office.until(lambda: office.scheduler.leader)
        await office.scheduler.stop()
        assert not office.scheduler.leader
        assert await other.seek_lead()
        assert office.told(SchedulerStart)
        assert office.told(SchedulerEnd)


async def test_a_stop_ends_even_if_the_lead_cannot_be_given_up() -> None:
    async with Office() as office:
        office.backend.fail("resign", AWAY)
        await office.start()
        await office.until(lambda: office.scheduler.leader)
        await office.scheduler.stop()
        assert office.told(SchedulerEnd)


async def test_each_look_is_told() -> None:
    async with Office() as office:
        await office.promote_all()
        assert [event.owner for event in office.told(SchedulerPoll)] == ["host.abc:1"]
