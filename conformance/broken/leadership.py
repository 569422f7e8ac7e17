"""Backends that fail to keep one leader."""

import asyncio

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.conformance import Leadership


@found_by(Leadership, "test_one_leads_at_a_time", "test_one_of_many_at_once_leads")
class TwoLeaders(MemoryBackend):
    """Make every caller the leader."""

    async def lead(self, owner, lease):
        await self.resign(await self.leader())
        return await super().lead(owner, lease)


@found_by(Leadership, "test_one_of_many_at_once_leads")
class LooksBeforeItLeads(MemoryBackend):
    """Check that there is no leader, yield to other callers, and then lead."""

    async def lead(self, owner, lease):
        leading = await self.leader()
        await asyncio.sleep(0)
        if leading not in {None, owner}:
            return False
        await self.resign(await self.leader())
        return await super().lead(owner, lease)


@found_by(Leadership, "test_no_other_owner_resigns_for_the_leader", "test_a_former_leader_takes_nothing_from_the_next")
class AnybodyResigns(MemoryBackend):
    """Let any caller resign for the leader."""

    async def resign(self, _owner):
        await super().resign(await self.leader())
        return True


@found_by(Leadership, "test_a_lease_ends")
class LeadsForever(MemoryBackend):
    """Never end the lease of a leader."""

    async def lead(self, owner, _lease):
        return await super().lead(owner, 10**9)


@found_by(Leadership, "test_staying_the_leader_renews_the_lease")
class NeverRenews(MemoryBackend):
    """Do not renew the leader's lease."""

    async def lead(self, owner, lease):
        return await self.leader() == owner or await super().lead(owner, lease)
