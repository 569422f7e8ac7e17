"""The leader lease: one process leads at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero.conformance.promises import needs, promise
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Leadership"]


class Leadership(Suite):
    """`Backend.lead`, `resign` and `leader`."""

    @promise("lead", "Acquire or renew the leader lease for *lease* seconds.")
    @promise("lead", "Return False while another owner leads.")
    @promise("leader", "Return the owner of the leader lease, or None.")
    async def test_one_leads_at_a_time(self, backend: Backend, views: Views) -> None:
        """The first to ask, which may ask again. The others get False."""
        other = await views()
        assert await backend.leader() is None
        assert await backend.lead("a:1", 60)
        assert not await other.lead("b:2", 60)
        assert await backend.lead("a:1", 60)
        assert not await other.lead("a:10", 60)
        assert await other.leader() == await backend.leader() == "a:1"

    @promise("lead", "Acquire or renew the leader lease for *lease* seconds.")
    @promise("lead", "Return False while another owner leads.")
    async def test_one_of_many_at_once_leads(self, backend: Backend, views: Views) -> None:
        """That one is the leader."""
        other = await views()
        names = [f"host:{number}" for number in range(20)]
        answers = await asyncio.gather(
            *(view.lead(name, 60) for view, name in zip([backend, other] * 10, names, strict=True))
        )
        assert [name for name, leads in zip(names, answers, strict=True) if leads] == [await backend.leader()]

    @promise("lead", "Acquire or renew the leader lease for *lease* seconds.")
    @promise("lead", "Return False while another owner leads.")
    @promise("leader", "Return the owner of the leader lease, or None.")
    @needs("clock")
    async def test_a_lease_ends(self, backend: Backend, clock: ManualClock) -> None:
        """Then there is no leader, and any process may lead."""
        await backend.lead("a:1", 10)
        clock.advance(9.9)
        assert not await backend.lead("b:2", 10)
        assert await backend.leader() == "a:1"
        clock.advance(0.2)
        assert await backend.leader() is None
        assert await backend.lead("b:2", 10)
        assert not await backend.lead("a:1", 10)

    @promise("lead", "Acquire or renew the leader lease for *lease* seconds.")
    @promise("lead", "Return False while another owner leads.")
    @needs("clock")
    async def test_staying_the_leader_renews_the_lease(self, backend: Backend, clock: ManualClock) -> None:
        """From now, with the length given now."""
        for _ in range(3):
            assert await backend.lead("a:1", 10)
            clock.advance(9)
        assert await backend.lead("a:1", 100)
        clock.advance(99)
        assert await backend.leader() == "a:1"
        clock.advance(2)
        assert await backend.leader() is None

    @promise("resign", "Release the leader lease.", "Return False and change nothing if *owner* does not hold it.")
    async def test_the_leader_resigns(self, backend: Backend) -> None:
        """Another process may then lead at once. A second resignation changes nothing."""
        await backend.lead("a:1", 60)
        assert await backend.resign("a:1")
        assert await backend.leader() is None
        assert not await backend.resign("a:1")
        assert await backend.lead("b:2", 60)

    @promise("resign", "Release the leader lease.", "Return False and change nothing if *owner* does not hold it.")
    async def test_no_other_owner_resigns_for_the_leader(self, backend: Backend, views: Views) -> None:
        """Neither a different name nor a similar one."""
        await backend.lead("a:1", 60)
        other = await views()
        for stranger in ("b:2", "a:10", "a", ""):
            assert not await other.resign(stranger)
        assert await backend.leader() == "a:1"
        assert not await other.lead("b:2", 60)

    @promise("resign", "Release the leader lease.", "Return False and change nothing if *owner* does not hold it.")
    @needs("clock")
    async def test_a_former_leader_takes_nothing_from_the_next(self, backend: Backend, clock: ManualClock) -> None:
        """Its own lease ended before."""
        await backend.lead("a:1", 10)
        clock.advance(11)
        await backend.lead("b:2", 10)
        assert not await backend.resign("a:1")
        assert await backend.leader() == "b:2"
