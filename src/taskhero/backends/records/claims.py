"""Records of processes, their leases, the jobs that they claimed, and the locks of these jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from taskhero._internal.bounds import LONGEST, between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = [
    "Claim",
    "ClaimKey",
    "ClaimsReply",
    "DeregisterReply",
    "HeartbeatReply",
    "HeldLock",
    "Lease",
    "Leases",
    "LockSpec",
    "Preparation",
    "Prepared",
    "Process",
    "RescuedJob",
    "SettleAndClaimReply",
    "claim_key",
]


@attrs.frozen
class Process:
    """A worker process and the names of its task processors.

    Attributes:
        name: ``<host>.<token>:<pid>``; never used for another process.
        queues: The queues that it works, as declared, in priority order; ``("*",)`` for all.
    """

    name: str
    queues: tuple[str, ...]

    def worker(self, slot: int) -> str:
        """Return the worker name of *slot* (counted from 1), as other programs see it."""
        return f"{self.name}+{slot}"

    def worker_id(self, slot: int) -> str:
        """Return the entry for *slot* in the set of workers: its name and its queues."""
        return f"{self.name}+{slot}:{','.join(self.queues)}"


@attrs.frozen
class Claim:
    """A job that one slot holds.

    Attributes:
        slot: The number of the slot, from 1.
        token: Distinguishes this claim from all other claims of the slot.
        queue: The queue from which the job was claimed.
        raw: The job's payload.
    """

    slot: int
    token: str
    queue: str
    raw: str


@attrs.frozen
class LockSpec:
    """A lock that a job must hold while it runs.

    Attributes:
        key: The lock's name, such as ``workerslock:add:math:[1,2]``.
        timeout: Seconds until the lock expires if `Backend.heartbeat` does not renew it.
    """

    key: str
    timeout: int = attrs.field(validator=between(1, LONGEST, whole=True))


@attrs.frozen
class HeldLock:
    """A lock that a claimed job holds."""

    claim: Claim
    lock: LockSpec


@attrs.frozen
class Preparation:
    """What a claimed job needs before it runs.

    Attributes:
        claim: The claim of the job.
        release: Locks of the queued job (`QueueLockGuard`). They have no owner, so they are always released.
        hold: Locks that the job must hold while it runs.
        counter: Name of the counter of its attempts to read; None for none.
    """

    claim: Claim
    release: tuple[str, ...] = ()
    hold: tuple[LockSpec, ...] = ()
    counter: str | None = None


@attrs.frozen(kw_only=True)
class Prepared:
    """The result of a `Preparation`.

    Attributes:
        is_current: False if the process no longer owns the claim, or was declared dead. Nothing changed in that case.
        blocked_by: Position of the lock in `Preparation.hold` that has another owner, so that no lock was taken; None
            if the job holds them all.
        count: The value of the counter, or None if it is not a number.
    """

    is_current: bool = True
    blocked_by: int | None = None
    count: int | None = None


@attrs.frozen(kw_only=True)
class SettleAndClaimReply:
    """Reply of `Backend.settle_and_claim`.

    Attributes:
        claims: The new claims, in the order of the queues.
        gone: Claims that were not settled, since this process no longer owns them.
        unsettled: Claims whose settlement could not be recorded, with the reason. Their slots still hold them.
        attempts: For each `Retried` that was delayed again, the claim and the number of its attempt (from 1).
        next_runs: For each `NextRun` that was delayed, the claim and the due time in whole Unix seconds.
        problems: Queues that could not be read, with the reason.
        jobs_left: Whether any of the queues still holds jobs.
        registered: False if the process was declared dead. Nothing was claimed in that case.
        paused: Whether claiming is paused for all workers (``pause-all-workers``).
    """

    claims: Sequence[Claim] = ()
    gone: Sequence[Claim] = ()
    unsettled: Sequence[tuple[Claim, str]] = ()
    attempts: Sequence[tuple[Claim, int]] = ()
    next_runs: Sequence[tuple[Claim, int]] = ()
    problems: Mapping[str, str] = attrs.field(factory=dict)
    jobs_left: bool = False
    registered: bool = True
    paused: bool = False


@attrs.frozen(kw_only=True)
class ClaimsReply:
    """Reply of `Backend.claims`.

    Attributes:
        claims: The claims that are stored for the workers of the process.
        unreadable: Stored values that cannot be read, by the name of the worker.
    """

    claims: Sequence[Claim] = ()
    unreadable: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Lease:
    """The lease of a process, as it was at one renewal.

    Attributes:
        process: The name of the process.
        renewal: An opaque string that differs after each renewal.
        length: Seconds that the process requested at that renewal.
    """

    process: str
    renewal: str
    length: float


@attrs.frozen
class Leases:
    """Reply of `Backend.leases`.

    Attributes:
        seen: An opaque string. Pass it to the next call, which then omits the leases renewed after this one.
        leases: The leases, those with the oldest renewal first.
    """

    seen: str = ""
    leases: tuple[Lease, ...] = ()


@attrs.frozen
class HeartbeatReply:
    """Reply of `Backend.heartbeat`.

    Attributes:
        alive: False if the process had been declared dead, or was not registered. It is registered now.
        missing: Names of workers that had been removed. They are registered again now.
        leases: The leases of other processes.
        lost: Locks that have another owner now.
        removed: Those of `missing` that another program removed. `restore` may write their claims again, but not the
            claims of workers that taskhero removed.
    """

    alive: bool
    missing: tuple[str, ...] = ()
    leases: Leases = attrs.field(factory=Leases)
    lost: tuple[HeldLock, ...] = ()
    removed: tuple[str, ...] = ()


@attrs.frozen
class RescuedJob:
    """A job of a dead process that was rescued, or could not be rescued.

    Attributes:
        worker: The name of the worker that held it.
        queue: The queue to whose front it moved.
        raw: Its payload as it is stored there now.
        running: Whether the job was marked as exclusive (`Backend.mark_exclusive`).
        problem: The reason why the queue cannot take the job, which stays claimed; None if it was rescued.
    """

    worker: str
    queue: str
    raw: str
    running: bool
    problem: str | None = None


@attrs.frozen(kw_only=True)
class DeregisterReply:
    """Reply of `Backend.deregister_slots` and `Backend.deregister`.

    Attributes:
        released: The number of jobs that returned to their queues.
        blocked: Claims whose queue cannot take the job, with the reason. Their workers still hold them.
    """

    released: int = 0
    blocked: tuple[tuple[Claim, str], ...] = ()


#: A claim's slot and token, which identify it among all claims of the process.
ClaimKey: TypeAlias = "tuple[int, str]"


def claim_key(claim: Claim) -> ClaimKey:
    """Return the key that identifies *claim* among all claims of its process."""
    return claim.slot, claim.token
