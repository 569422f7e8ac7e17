"""The contract between the engine and any store of jobs.

A backend speaks of jobs, claims and leases, never of its own commands. Each verb is one atomic step, unless its
docstring says otherwise: it happens whole or not at all, and no other process sees it half done. Each sentence of
these docstrings has a test in the conformance kit (`taskhero.conformance`).

Rules for all verbs:

* A job is its raw text. A backend stores and returns that text exactly and never looks inside. It changes no byte when
  a job moves, but for the mark of a rescue and where an ending gives another text.
* The order of a queue is first in, first out; what is put at the front comes next.
* "Now" is the backend's own clock (a shared server's clock where there is one), in unix seconds.
* `BackendUnavailable` means that nothing was done, `BackendRefused` that nothing was changed, `ReplyLost` that the
  step may or may not have happened. A backend never repeats a step by itself after it may have happened.
* One bad thing (a key of the wrong type, a counter that is no number) spoils only the item it belongs to.
* Records refuse numbers that are out of their bounds (`taskhero._internal.bounds`). A step with any other number
  happens whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from taskhero.backends.inspection_protocol import Inspectable
from taskhero.backends.periodic_protocol import PeriodicTaskVerbs
from taskhero.backends.records import (
    Claim,
    ClaimsReply,
    DelayedJobEntry,
    Dismissed,
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
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Backend",
    "Claim",
    "ClaimsReply",
    "DelayedJobEntry",
    "Dismissed",
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
    "Subscription",
    "Succeeded",
    "Wakeup",
]


# --- the contract ----------------------------------------------------------------------------------------------


@runtime_checkable
class Backend(Inspectable, PeriodicTaskVerbs, Protocol):
    """A store of jobs; the verbs of those who look and mend are in `taskhero.backends.inspection_protocol`."""

    @property
    def location(self) -> str:
        """Where it keeps its jobs, for people; without passwords."""
        ...

    async def connect(self) -> None:
        """Make it usable in the running event loop.

        A second call without a close between changes nothing. If the event loop in which it was connected has ended
        meanwhile, it is connected anew.

        Raises:
            NotConnected: It is connected in another event loop, which has not ended.
            BackendUnavailable: It cannot be reached; the message says where it looked.
            BackendTooOld: The server is older than what is supported.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections and end all waits; what is stored stays.

        A second call changes nothing. The backend can be connected again.
        """
        ...

    # producing

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """Store jobs in their queues, in the order given.

        The answer says for each entry whether it was stored; an entry of which a guard does not hold is not, and
        takes no lock. Guards are checked in turn, so an entry sees what those before it took. If some entries cannot be
        stored, the others are, and `PartlyRefused` tells of each. Each entry is one atomic step; the whole is too,
        unless it is so large that it is cut in pieces. The queue's name is known from then on. About one process that
        waits for the queue is woken, not all.
        """
        ...

    async def schedule(self, entries: Sequence[DelayedJobEntry]) -> Sequence[str]:
        """Store jobs until their moment, in the order given; the answer is a `ScheduleResult` for each.

        The moment of an entry with a delay is now plus the delay, by the backend's clock within the step. It is rounded
        up to a whole second, which is the one that `unique` means. An entry whose moment is not in the future, by the
        same clock, is pushed at once. Of two entries of one second, the first stored is promoted first. The queue's
        name is not known before the job is in it. A lock belongs to a job in a queue: a delayed one neither needs nor
        takes it before it is promoted. A process that waits for the schedule is woken if the moment is earlier than
        all that were known. If some entries cannot be stored, the others are, and `PartlyRefused` tells of each.
        """
        ...

    # promoting

    async def due(self, limit: int) -> DueReply:
        """Show the first *limit* jobs whose moment has come; nothing is changed but what can never be promoted.

        A moment has come when the floor of now is not less than it: no job is ever shown early. Moments without jobs
        are cleaned up. While another program's scheduler holds its lock, `yielded` is true and no job is shown.
        `foreign` tells who holds it and since when that was seen. Such a lock without a lifetime counts as dead after
        10 minutes in which it did not change and this verb saw it at least once a minute.
        """
        ...

    async def adopt(self) -> int:
        """Make delayed jobs known that another program stored without their moments; return how many there were.

        They are promoted, shown and removed like all others from then on. One whose moment is no whole second is
        delayed to the next one. What is in order stays as it is.
        """
        ...

    async def promote(self, moves: Sequence[PromotionTarget]) -> Sequence[str]:
        """Move due jobs to the ends of their queues; the answer is a `PromoteResult` for each.

        A job that is no longer where `due` saw it, is not due, or may not be promoted since another program's
        scheduler holds its lock, is missed: of two calls with the same move, one moves it. Each move is one atomic
        step: the job is in exactly one place at every instant. Waiting processes are woken as by `push`.
        """
        ...

    # working

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """Make the process and the workers of these slots visible to others, and give the process a lease.

        A second call adds slots and renews the lease. The lease holds until `deregister` or `rescue` ends it: no clock
        of the backend does, however it jumps. *lease* is what others read in `Lease.length`.
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
        """Renew the process's lease; called from a thread of its own, and the only verb that is not a coroutine.

        With *full*, it also renews what other programs take for a sign of life, and registers again those workers of
        *slots* that somebody removed. A process that was declared dead is alive again; what was taken from it is not
        given back.

        Each of *locks* that is still its claim's own is held from now on for its timeout, even if the job has been
        settled. So is one that is free, if the claim still stands. One that somebody else holds is `lost` and stays
        theirs.

        It shows the leases of other processes as `leases` does.
        """
        ...

    async def deregister_slots(self, process: Process, slots: Sequence[int]) -> Dismissed:
        """Take the workers of these slots from view; a job that one still holds goes to the front of its queue.

        A worker whose queue cannot take its job stays in view and holds it, and the answer names the claim.
        """
        ...

    async def deregister(self, process: Process) -> Dismissed:
        """Take the process and all its workers from view and end its lease; return how many jobs it still held.

        These go to the front of their queues in the order in which they were claimed, which is no rescue. A process
        that waits for one of its queues is woken if that holds jobs. A worker whose queue cannot take its job stays in
        view and holds it, and the answer names the claim. Then the process counts as dead at once, so that others
        rescue the job when they can.
        """
        ...

    async def settle_and_claim(
        self,
        process: Process,
        settlements: Sequence[Settlement],
        free_slots: Sequence[int],
        queues: Sequence[str],
    ) -> SettleAndClaimReply:
        """Record how jobs ended, in the order given, and claim the next ones for the free slots.

        A settlement counts once: if the claim's token no longer stands under the slot, nothing is changed and the
        claim is `gone`. If one settlement cannot be recorded, it stays as it was and is told in `unsettled`; all
        others are recorded. Where a job goes (failures, delayed list, queue) and its claim ends in the same step. In
        that step, locks that are to be released go if they are still the claim's own, even if the claim is `gone`.
        Counters that are to be forgotten go, too, but not if the claim is gone. Of what cannot be recorded, both stay.

        Queues are emptied in the order given, each from its front: a later queue only if the earlier ones hold no
        more or cannot be read. From one queue at most its fair share is taken: its length divided by the number of
        living processes, rounded up. A process lives while it has a lease and was not declared dead. A claimed job
        stands under its worker's own name, with a new token, from the instant in which it leaves the queue. A slot that
        still holds a job gets no other. A batch is bounded in bytes too, but has at least one job if there is one. If
        jobs remain, another waiting process is woken.

        Nothing is claimed while ``pause-all-workers`` is set, nor for a process that is not registered or was
        declared dead; its settlements still count where the claim is its own.
        """
        ...

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """Give claimed jobs what they need before they run; the answer is a `Prepared` for each, in the order given.

        The locks of the queued job go. The locks to hold are taken, all or none; a lock is free if it does not exist,
        and its owner is the claim, which holds it already if it asks again. A lock expires after its timeout, unless
        `heartbeat` renews it. It is free, too, once its process has no lease or was declared dead. Each claim is one
        atomic step; for one that is no longer the process's, nothing is changed, nor for any if the process is not
        registered or was declared dead. The counter of attempts is read, whether the locks were taken or not. A lock of
        the wrong type counts as held by somebody else. One that another program left without a lifetime is free 60
        seconds after the second that its text begins with.
        """
        ...

    async def claims(self, process: Process) -> ClaimsReply:
        """Read what stands under the names of the process's workers: after a lost reply, what was really claimed."""
        ...

    async def restore(self, process: Process, claims: Sequence[Claim]) -> Sequence[bool]:
        """Write claims again that another program deleted under their workers; True for each that its worker holds now.

        Each claim is one atomic step. Nothing is written where the worker holds another job or is not in view, nor for
        a process that is not registered or was declared dead.
        """
        ...

    async def mark_exclusive(self, process: Process, claim: Claim, *, exclusive: bool = True) -> bool:
        """Mark that the process now runs this job alone, so that its death counts; False if the claim is gone.

        With *exclusive* false the mark is taken back: others run beside it from now on, so that a death of its process
        is only a late one.
        """
        ...

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:
        """Show the leases of all processes, those first that went longest without a renewal.

        `Lease.renewal` is a different text after each renewal. With *seen* of an earlier answer, leases that were
        renewed after that answer are left out. At most a thousand leases are shown. With *lease*, a worker of
        taskhero's whose process is unknown gets a lease of that length, so that it can be rescued.
        """
        ...

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[RescuedJob]:
        """Take up to *limit* jobs from the processes of these leases, each to the front of its queue.

        The engine passes a lease only after it saw the same renewal for `Lease.length` and for its own `rescue_after`,
        whichever is longer. It measures that with its own monotonic clock, while it reaches the backend without a gap
        longer than a heartbeat interval (`taskhero.runtime.worker.lease_watch`).

        Each job is one atomic step: it is taken only if the lease is still exactly the one given, and by one rescuer
        only. The process is declared dead in the same step, until it beats again or is registered again. Jobs of one
        queue keep the order in which they were claimed. The job's text is then marked as rescued (`taskhero.wire`), one
        more if it had been begun alone. If that was taken back, it has one late death more, unless another job that the
        process holds is begun alone and has no death counted yet: then that one is to blame. A dead process without
        jobs is taken from view. A process that renewed its lease is never touched.

        A job whose queue cannot take it stays claimed as it is, and the answer says why. It does not count for *limit*
        and keeps no other job from its rescue.
        """
        ...

    # waking

    async def wait(self, process: Process, subscription: Subscription, timeout: float) -> Wakeup:
        """Wait until there may be something to do, *timeout* seconds at most.

        It returns at once if a wake-up came since the process's last wait. A wake-up may be late or spurious, never
        lost for longer than *timeout*; about one waiting process is woken for a job. It may be cancelled.
        """
        ...

    async def notify(self, queues: Sequence[str]) -> None:
        """Pass a wake-up on: of each of these queues that holds jobs, one waiting process is told."""
        ...

    # the leader

    async def lead(self, owner: str, lease: float) -> bool:
        """Become or stay the leader for *lease* seconds; False while another one leads."""
        ...

    async def resign(self, owner: str) -> bool:
        """Stop leading; False, and nothing is changed, if *owner* did not lead."""
        ...

    async def leader(self) -> str | None:
        """Who leads, or None."""
        ...

    # inspecting

    async def queues(self) -> list[str]:
        """Names of all known queues, sorted; a queue stays known when it is empty."""
        ...

    async def length(self, queue: str) -> int:
        """How many jobs stand in the queue; 0 if it is unknown."""
        ...

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[str]:
        """The texts from position *start* to *stop*, both included, from 0; negative ones count from the end."""
        ...

    async def remove(self, queue: str, removals: Sequence[Removal]) -> Sequence[int]:
        """Remove entries by their exact texts; each removal is one atomic step, together with the locks it releases.

        These go if an entry was removed and none of its text is left, whoever holds them.

        Returns:
            For each removal how many entries it removed.
        """
        ...

    async def delete_queue(self, queue: str, *, only_if_empty: bool = False) -> int:
        """Forget the queue and all its jobs; return how many there were.

        With *only_if_empty*, a queue that holds jobs, or cannot be read, stays as it is, and the answer is 0.
        """
        ...

    async def stats(self) -> dict[str, int]:
        """All counters: ``processed``, ``failed``, and each with ``:<worker>``; one that is no number is left out."""
        ...
