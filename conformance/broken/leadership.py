"""Broken leaders."""

import asyncio

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.conformance import Leadership


@found_by(Leadership, "test_one_leads_at_a_time", "test_one_of_many_at_once_leads")
class TwoLeaders(MemoryBackend):
    """Who asks, leads."""

    async def lead(self, owner, lease):
        self._leader = (owner, self._clock.now() + lease)
        return True


@found_by(Leadership, "test_one_of_many_at_once_leads")
class LooksBeforeItLeads(MemoryBackend):
    """It looks whether the place is free, and then takes it; in between, others look."""

    async def lead(self, owner, lease):
        leading = await self.leader()
        await asyncio.sleep(0)
        if leading not in {None, owner}:
            return False
        self._leader = (owner, self._clock.now() + lease)
        return True


@found_by(Leadership, "test_nobody_else_resigns_for_the_leader", "test_one_who_led_once_takes_nothing_from_the_next")
class AnybodyResigns(MemoryBackend):
    """It does not ask who resigns."""

    async def resign(self, _owner):
        self._leader = None
        return True


@found_by(Leadership, "test_a_lease_ends")
class LeadsForEver(MemoryBackend):
    """A leader that died leads on."""

    async def lead(self, owner, _lease):
        return await super().lead(owner, 10**9)


@found_by(Leadership, "test_staying_the_leader_renews_the_lease")
class NeverRenews(MemoryBackend):
    """To lead again changes nothing."""

    async def lead(self, owner, lease):
        return await self.leader() == owner or await super().lead(owner, lease)
