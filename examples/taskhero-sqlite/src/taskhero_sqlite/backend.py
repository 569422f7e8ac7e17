"""The backend: each verb is one step on the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from taskhero_sqlite import leading, schedule, work
from taskhero_sqlite.inspecting import InspectionVerbs
from taskhero_sqlite.queues import notify, push
from taskhero_sqlite.recurring import PeriodicVerbs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import (
        Backend,
        Claim,
        ClaimsReply,
        DelayedJobEntry,
        DeregisterReply,
        DueReply,
        Entry,
        HeartbeatReply,
        HeldLock,
        Lease,
        Leases,
        Preparation,
        Prepared,
        Process,
        PromoteResult,
        PromotionTarget,
        RescuedJob,
        ScheduleResult,
        SettleAndClaimReply,
        Settlement,
        Subscription,
        Wakeup,
    )

__all__ = ["SqliteBackend"]


class SqliteBackend(PeriodicVerbs, InspectionVerbs):
    """Jobs in a SQLite file, shared by the processes of one machine; see `Connected` for how it is made.

    Those who look and mend find their verbs in `Inspecting`, periodic tasks theirs in `Recurring`.
    """

    #: No other program schedules for this file, so an app runs a scheduler beside its task processors.
    embedded: ClassVar[bool] = True

    # producing

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """See `Backend.push`."""
        return await self._do(push, entries)

    async def schedule(self, entries: Sequence[DelayedJobEntry]) -> Sequence[ScheduleResult]:
        """See `Backend.schedule`."""
        return await self._do(schedule.schedule, entries)

    # promoting

    async def due(self, limit: int) -> DueReply:
        """See `Backend.due`."""
        return await self._ask(schedule.due, limit)

    async def adopt(self) -> int:
        """See `Backend.adopt`: each delayed job is one row, so none can lack its moment."""
        self._here()
        return 0

    async def promote(self, moves: Sequence[PromotionTarget]) -> Sequence[PromoteResult]:
        """See `Backend.promote`."""
        return await self._do(schedule.promote, moves)

    # working

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """See `Backend.register`."""
        await self._do(work.renew, process, slots, lease)

    def heartbeat(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        *,
        full: bool,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
    ) -> HeartbeatReply:
        """See `Backend.heartbeat`."""
        named = slots if full else ()
        return self._sign(work.renew, process, named, lease, held=locks, seen=seen)

    async def deregister_slots(self, process: Process, slots: Sequence[int]) -> DeregisterReply:
        """See `Backend.deregister_slots`."""
        return await self._do(work.deregister_slots, process, slots)

    async def deregister(self, process: Process) -> DeregisterReply:
        """See `Backend.deregister`."""
        return await self._do(work.deregister, process)

    async def settle_and_claim(
        self,
        process: Process,
        settlements: Sequence[Settlement],
        free_slots: Sequence[int],
        queues: Sequence[str],
    ) -> SettleAndClaimReply:
        """See `Backend.settle_and_claim`."""
        return await self._do(work.settle_and_claim, process, settlements, free_slots, queues)

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """See `Backend.prepare`."""
        return await self._do(work.prepare, process, preparations)

    async def claims(self, process: Process) -> ClaimsReply:
        """See `Backend.claims`."""
        return await self._ask(work.claims, process)

    async def restore(self, process: Process, claims: Sequence[Claim]) -> Sequence[bool]:
        """See `Backend.restore`."""
        return await self._do(work.restore, process, claims)

    async def mark_exclusive(self, process: Process, claim: Claim, *, exclusive: bool = True) -> bool:
        """See `Backend.mark_exclusive`."""
        return await self._do(work.mark_exclusive, process, claim, alone=exclusive)

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:  # noqa: ARG002 - none is unknown
        """See `Backend.leases`."""
        return await self._ask(work.leases, seen)

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[RescuedJob]:
        """See `Backend.rescue`."""
        return await self._do(work.rescue, expired, limit)

    async def pause_all_workers(self, paused: bool = True) -> None:
        """Let nobody claim jobs until this is called with False."""
        await self._do(leading.pause, paused=paused)

    # waking

    async def wait(self, process: Process, subscription: Subscription, timeout: float) -> Wakeup:  # noqa: ARG002
        """See `Backend.wait`."""
        return await self._here().wait(subscription, timeout)

    async def notify(self, queues: Sequence[str]) -> None:
        """See `Backend.notify`."""
        await self._do(notify, queues)

    # the leader

    async def lead(self, owner: str, lease: float) -> bool:
        """See `Backend.lead`."""
        return await self._do(leading.lead, owner, lease)

    async def resign(self, owner: str) -> bool:
        """See `Backend.resign`."""
        return await self._do(leading.resign, owner)

    async def leader(self) -> str | None:
        """See `Backend.leader`."""
        return await self._ask(leading.leader)


if TYPE_CHECKING:
    _kept: type[Backend] = SqliteBackend  # mypy compares it with the contract
