"""The contract between the engine and any store of jobs.

The verbs of a backend name jobs, claims and leases, not the commands of a store. Unless its docstring says otherwise,
each verb is one atomic step: it happens completely or not at all, and no other process sees a partial result. Each
sentence of these docstrings has a test in the conformance kit (`taskhero.conformance`).

Rules for all verbs:

* A job is its payload, a string. A backend stores and returns the payload exactly and never decodes it. A move changes
  the payload in two cases only: a rescue marks it, and a disposition may replace it.
* A queue is first in, first out. A job that is put at the front comes next.
* "Now" is the time of the backend's own clock in Unix seconds: the clock of a shared server where there is one.
* `BackendUnavailable` means that the backend did nothing. `BackendRefused` means that the backend changed nothing.
  `ReplyLost` means that the step may or may not have happened. A backend never repeats a step that may have happened.
* Damaged data (a key of the wrong type, a counter that is not a number) affects only the item it belongs to.
* Records reject numbers that are out of bounds (`taskhero._internal.bounds`). A step with any other number happens
  completely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from taskhero.backends.inspection_protocol import Inspectable
from taskhero.backends.periodic_protocol import PeriodicTaskVerbs
from taskhero.backends.records import (
    Claim,
    ClaimsReply,
    DelayedJobEntry,
    DeregisterReply,
    Disposition,
    DueJob,
    DueReply,
    Entry,
    Failed,
    ForeignLeader,
    Guard,
    HeartbeatReply,
    HeldLock,
    Lease,
    Leases,
    LockSpec,
    NotDelayed,
    PostponedByPlugin,
    Preparation,
    Prepared,
    Process,
    PromoteResult,
    PromotionTarget,
    QueueLockGuard,
    RefusedByPlugin,
    Released,
    Removal,
    RescuedJob,
    Retried,
    ScheduleResult,
    SettleAndClaimReply,
    Settlement,
    Subscription,
    Succeeded,
    Wakeup,
)
from taskhero.backends.records.periodic_tasks import (
    EnsureResult,
    FireResult,
    KnownPeriodicTask,
    NextRun,
    PeriodicTask,
    PeriodicTasksReply,
    StopReason,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Backend",
    "Claim",
    "ClaimsReply",
    "DelayedJobEntry",
    "DeregisterReply",
    "Disposition",
    "DueJob",
    "DueReply",
    "EnsureResult",
    "Entry",
    "Failed",
    "FireResult",
    "ForeignLeader",
    "Guard",
    "HeartbeatReply",
    "HeldLock",
    "KnownPeriodicTask",
    "Lease",
    "Leases",
    "LockSpec",
    "NextRun",
    "NotDelayed",
    "PeriodicTask",
    "PeriodicTasksReply",
    "PostponedByPlugin",
    "Preparation",
    "Prepared",
    "Process",
    "PromoteResult",
    "PromotionTarget",
    "QueueLockGuard",
    "RefusedByPlugin",
    "Released",
    "Removal",
    "RescuedJob",
    "Retried",
    "ScheduleResult",
    "SettleAndClaimReply",
    "Settlement",
    "StopReason",
    "Subscription",
    "Succeeded",
    "Wakeup",
]


@runtime_checkable
class Backend(Inspectable, PeriodicTaskVerbs, Protocol):
    """A store of jobs.

    `PeriodicTaskVerbs` and `Inspectable` declare the verbs for periodic tasks and for inspection and repair.
    """

    @property
    def location(self) -> str:
        """Return where the backend keeps its jobs, as text for people and without passwords."""
        ...

    async def connect(self) -> None:
        """Connect the backend in the running event loop.

        A second call without a close in between changes nothing. If the event loop in which the backend was connected
        has ended, the backend connects anew.

        Raises:
            NotConnected: The backend is connected in another event loop that has not ended.
            BackendUnavailable: The backend cannot be reached. The message shows the address that was tried.
            BackendTooOld: The server is older than the oldest supported version.
        """
        ...

    async def close(self) -> None:
        """Close all connections and end all waits.

        Stored data stays. A second call changes nothing. The backend can be connected again.
        """
        ...

    # producers

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """Store jobs in their queues, in the order given.

        Return for each entry whether it was stored. An entry whose guards do not all hold is not stored and takes no
        lock. Guards are checked in the order of the entries, so an entry sees the locks of earlier ones. If some
        entries cannot be stored, the backend stores the others and raises `PartlyRefused`, which names each. Each entry
        is one atomic step. The whole call is one too, unless it is so large that the backend splits it. From then on
        the name of the queue is known. The push wakes about one process that waits for the queue, not all.
        """
        ...

    async def schedule(self, entries: Sequence[DelayedJobEntry]) -> Sequence[ScheduleResult]:
        """Store jobs until their due times, in the order given, and return a `ScheduleResult` for each.

        For an entry with a delay, the due time is the backend's now within the step plus the delay. It is rounded up to
        a whole second, which is the one that `unique` compares. An entry whose due time is not in the future, by the
        same clock, is pushed immediately. Of two entries of one second, the first stored is promoted first. The name of
        the queue becomes known when the job enters it. A lock belongs to a queued job: a delayed job neither needs nor
        takes it before its promotion. If the due time is earlier than all others, the step wakes a process that waits
        for the schedule. If some entries cannot be stored, the backend stores the others and raises `PartlyRefused`,
        which names each.
        """
        ...

    # promotion

    async def due(self, limit: int) -> DueReply:
        """Return the first *limit* jobs that are due.

        The step changes only data that can never be promoted. A job is due when the floor of now is at least its due
        time, so no job is returned early. Due times without jobs are deleted. While another program's scheduler holds
        its lock, `yielded` is true and `jobs` is empty. `foreign` says who holds that lock and since when `due` has
        seen it. If that lock has no lifetime, it counts as dead after 10 minutes without a change. The 10 minutes count
        only if `due` saw the lock at least once a minute.
        """
        ...

    async def adopt(self) -> int:
        """Register delayed jobs that another program stored without their due times, and return their number.

        From then on they are promoted, listed and removed like all others. A job whose due time is not a whole second
        is delayed to the next whole second. Intact data does not change.
        """
        ...

    async def promote(self, moves: Sequence[PromotionTarget]) -> Sequence[PromoteResult]:
        """Move due jobs to the ends of their queues, and return a `PromoteResult` for each.

        A job that is no longer where `due` found it, or is not due, is `MISSED`. A job is also `MISSED` while another
        program's scheduler holds its lock. Of two calls with the same target, one moves the job. Each promotion is one
        atomic step: the job is in exactly one place at every instant. Waiting processes wake up as after `push`.
        """
        ...

    # processes and claims

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """Register the process and the workers of these slots, and give the process a lease.

        Other programs see these workers. A second call adds slots and renews the lease. The lease holds until
        `deregister` or `rescue` ends it. The backend's clock never ends it, even if that clock jumps. Other processes
        read *lease*, in seconds, as `Lease.length`.
        """
        ...

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
        """Renew the lease of the process.

        This verb is the only one that is not a coroutine, since a separate thread calls it. With *full*, the step also
        renews the heartbeats that other programs read. With *full*, it also registers those workers of *slots* again
        that were removed. A process that was declared dead is alive again. What was taken from it is not returned.

        A lock in *locks* that its claim still owns is renewed for its timeout, even if the job has been settled. A free
        lock is taken again for its timeout if the claim is still current. A lock with another owner is `lost` and keeps
        that owner.

        The reply contains the leases of other processes, as `leases` returns them.
        """
        ...

    async def deregister_slots(self, process: Process, slots: Sequence[int]) -> DeregisterReply:
        """Deregister the workers of these slots.

        A job that a worker still holds moves to the front of its queue. A worker whose queue cannot take its job stays
        registered and keeps the job, and the reply names the claim.
        """
        ...

    async def deregister(self, process: Process) -> DeregisterReply:
        """Deregister the process and all its workers, and end its lease.

        The reply says how many jobs the process still held. These jobs move to the front of their queues in the order
        of their claims. That does not count as a rescue. If one of its queues holds jobs, a process that waits for that
        queue wakes up. A worker whose queue cannot take its job stays registered and keeps the job, and the reply names
        the claim. In that case the process counts as dead immediately, so that other processes can rescue the job
        later.
        """
        ...

    async def settle_and_claim(
        self,
        process: Process,
        settlements: Sequence[Settlement],
        free_slots: Sequence[int],
        queues: Sequence[str],
    ) -> SettleAndClaimReply:
        """Record how jobs ended, in the order given, and claim the next jobs for the free slots.

        A settlement counts once. If the slot no longer holds the claim's token, nothing changes and the claim is
        `gone`. If a settlement cannot be recorded, the claim stays as it was and `unsettled` lists it. All other
        settlements are recorded. One step stores the job at its destination (failed list, delayed set or queue) and
        ends its claim. That step releases those locks of `Settlement.release` that the claim still owns, even if the
        claim is `gone`. It deletes the counters of `Settlement.forget`, but not if the claim is `gone`. If the
        settlement cannot be recorded, its locks and counters stay.

        Jobs are claimed queue by queue in the order given, each queue from its front. A later queue is used only if the
        earlier ones hold no more jobs or cannot be read. A call takes at most its fair share of a queue: the queue's
        length divided by the number of live processes, rounded up. A process is live while it has a lease and was not
        declared dead. A claimed job is stored under its worker's name, with a new token, from the instant it leaves the
        queue. A slot that still holds a job gets no other job. A batch is also bounded in bytes, but contains at least
        one job if there is one. If jobs remain, another waiting process wakes up.

        Nothing is claimed while ``pause-all-workers`` is set. Nothing is claimed for a process that is not registered
        or was declared dead. The settlements of such a process still count where it owns the claim.
        """
        ...

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """Prepare claimed jobs for their runs, and return a `Prepared` for each, in the order given.

        The locks of the queued job are released. Of the locks to hold, all are taken or none. A lock is free if it does
        not exist. Its owner is the claim, so a claim that asks again already holds it. A lock expires after its
        timeout, unless `heartbeat` renews it. A lock is also free once its process has no lease or was declared dead.
        Each claim is one atomic step. Nothing changes for a claim that the process no longer owns. Nothing changes for
        any claim if the process is not registered or was declared dead. The counter of attempts is read, whether the
        locks were taken or not. A lock of the wrong type counts as held by another owner. A lock that another program
        left without a lifetime is free 60 seconds after the second that its value begins with.
        """
        ...

    async def claims(self, process: Process) -> ClaimsReply:
        """Return the claims that are stored for the workers of the process.

        After a lost reply, they show what was really claimed.
        """
        ...

    async def restore(self, process: Process, claims: Sequence[Claim]) -> Sequence[bool]:
        """Write claims again that another program deleted, and return for each whether its worker holds it now.

        Each claim is one atomic step. Nothing is written if the worker holds another job or is not registered. Nothing
        is written for a process that is not registered or was declared dead.
        """
        ...

    async def mark_exclusive(self, process: Process, claim: Claim, *, exclusive: bool = True) -> bool:
        """Mark that the job runs exclusively, so that a crash of its process is attributed to it.

        Return False if the claim is gone. With *exclusive* false, remove the mark, since other jobs run beside it from
        now on. A crash of the process then counts only as a late crash.
        """
        ...

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:
        """Return the leases of all processes, those with the oldest renewal first.

        `Lease.renewal` is a different string after each renewal. With *seen* of an earlier reply, leases that were
        renewed after that reply are omitted. The reply contains at most 1000 leases. With *lease*, a taskhero worker
        whose process is unknown gets a lease of that length, so that it can be rescued.
        """
        ...

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[RescuedJob]:
        """Move up to *limit* jobs of the processes of these leases to the front of their queues.

        The engine passes a lease only after it saw the same renewal for the longer of `Lease.length` and its own
        `rescue_after`. It measures that with its own monotonic clock (`taskhero.runtime.worker.lease_watch`). Time
        without contact to the backend for longer than a heartbeat interval does not count.

        Each job is one atomic step. It is taken only if the lease is still exactly the one given, and by one rescuer
        only. The same step declares the process dead until its next `heartbeat` or `register`. Jobs of one queue keep
        the order of their claims. The payload is marked as rescued (`taskhero.wire`). Its count of crashes increases by
        one if the job was marked exclusive. If that mark was removed again, the count of late crashes increases by one.
        If another exclusive job of the process has no counted crash yet, the crash counts for that job instead. A dead
        process without jobs is deregistered. A process that renewed its lease is never changed.

        A job whose queue cannot take it stays claimed, and the reply says why. It does not count for *limit* and does
        not prevent the rescue of other jobs.
        """
        ...

    # wake-ups

    async def wait(self, process: Process, subscription: Subscription, timeout: float) -> Wakeup:
        """Wait until there may be jobs or an earlier due time, for at most *timeout* seconds.

        The call returns immediately if a wake-up arrived since the last wait of the process. A wake-up may be late or
        spurious, but is never lost for longer than *timeout*. A job wakes about one waiting process. A wake-up for a
        new queue is not marked as `Wakeup.only_named`. The call can be cancelled.
        """
        ...

    async def notify(self, queues: Sequence[str]) -> None:
        """Forward a wake-up: wake one waiting process for each of these queues that holds jobs."""
        ...

    # leader

    async def lead(self, owner: str, lease: float) -> bool:
        """Acquire or renew the leader lease for *lease* seconds.

        Return False while another owner leads.
        """
        ...

    async def resign(self, owner: str) -> bool:
        """Release the leader lease.

        Return False and change nothing if *owner* does not hold it.
        """
        ...

    async def leader(self) -> str | None:
        """Return the owner of the leader lease, or None."""
        ...
