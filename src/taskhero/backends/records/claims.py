"""Processes, the jobs in their hands, and the locks that these hold."""

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
    "Dismissed",
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
        name: ``<host>.<token>:<pid>``, unique for ever.
        queues: The queues it works as declared, in priority order; ``("*",)`` for all.
    """

    name: str
    queues: tuple[str, ...]

    def worker(self, slot: int) -> str:
        """Name of the task processor in *slot* (counted from 1), as others see it."""
        return f"{self.name}+{slot}"

    def worker_id(self, slot: int) -> str:
        """What stands in the set of workers for *slot*: its name and its queues."""
        return f"{self.name}+{slot}:{','.join(self.queues)}"


@attrs.frozen
class Claim:
    """A job in the hands of one task processor.

    Attributes:
        slot: The task processor's number, from 1.
        token: Marks this claim among all that the slot ever had.
        queue: Where the job came from.
        raw: The job's text.
    """

    slot: int
    token: str
    queue: str
    raw: str


@attrs.frozen
class LockSpec:
    """A lock that a job is to hold while it runs.

    Attributes:
        key: The lock's name, such as ``workerslock:add:math:[1,2]``.
        timeout: Seconds until it lapses if `Backend.heartbeat` does not renew it.
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
        claim: The job.
        release: Locks that it held while it was queued (`QueueLockGuard`); they have no owner, so they go in any case.
        hold: Locks that it must hold while it runs.
        counter: Name of the counter of its attempts, which is read; None for none.
    """

    claim: Claim
    release: tuple[str, ...] = ()
    hold: tuple[LockSpec, ...] = ()
    counter: str | None = None


@attrs.frozen(kw_only=True)
class Prepared:
    """What became of a `Preparation`.

    Attributes:
        is_current: False if the claim is no longer the process's, or the process was declared dead; nothing was changed
            then.
        blocked_by: Which lock of `Preparation.hold` somebody else holds (its position), so that none was taken; None if
            the job holds them all.
        count: What the counter holds, or None if it holds no number.
    """

    is_current: bool = True
    blocked_by: int | None = None
    count: int | None = None


@attrs.frozen(kw_only=True)
class SettleAndClaimReply:
    """Answer of `Backend.settle_and_claim`.

    Attributes:
        claims: What was claimed, in the order of the queues.
        gone: Claims that were not settled since they are no longer this process's.
        unsettled: Claims whose ending could not be recorded, with the reason; they are still held.
        attempts: For each `Retried` that was delayed again, the claim and its attempt's number (from 1).
        next_runs: For each `NextRun` that was delayed, the claim and the moment, in whole unix seconds.
        problems: Queues that could not be read, with the reason.
        jobs_left: Whether any of the queues still holds jobs.
        registered: False if the process was declared dead meanwhile; nothing was claimed then.
        paused: Whether claiming is switched off for all workers (``pause-all-workers``).
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
    """Answer of `Backend.claims`: what stands under a process's names, and what there cannot be read."""

    claims: Sequence[Claim] = ()
    unreadable: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Lease:
    """The lease of a process, as it was at one renewal.

    Attributes:
        process: The name of the process.
        renewal: An opaque text, which is a different one after each renewal.
        length: Seconds that the process asked for at that renewal.
    """

    process: str
    renewal: str
    length: float


@attrs.frozen
class Leases:
    """Answer of `Backend.leases`.

    Attributes:
        seen: An opaque text. Pass it to the next call, which then leaves out the leases renewed after this one.
        leases: Those that went longest without a renewal come first.
    """

    seen: str = ""
    leases: tuple[Lease, ...] = ()


@attrs.frozen
class HeartbeatReply:
    """Answer of `Backend.heartbeat`.

    Attributes:
        alive: False if the process had been declared dead, or was not registered; it is registered (again) now.
        missing: Worker names that somebody had removed; they are registered again now.
        leases: The leases of other processes.
        lost: Locks that somebody else holds meanwhile.
        removed: Those of `missing` that another program removed. What they run may be written again by `restore`; what
            was taken from the others by taskhero may not.
    """

    alive: bool
    missing: tuple[str, ...] = ()
    leases: Leases = attrs.field(factory=Leases)
    lost: tuple[HeldLock, ...] = ()
    removed: tuple[str, ...] = ()


@attrs.frozen
class RescuedJob:
    """A job that was taken from a dead process, or could not be.

    Attributes:
        worker: The name of the worker that held it.
        queue: The queue to whose front it went.
        raw: Its text as it stands there now.
        running: Whether the dead process had begun it alone (`Backend.mark_exclusive`).
        problem: Why the queue cannot take the job, which stays claimed as it is; None if it was taken.
    """

    worker: str
    queue: str
    raw: str
    running: bool
    problem: str | None = None


@attrs.frozen(kw_only=True)
class Dismissed:
    """Answer of `Backend.deregister_slots` and `Backend.deregister`.

    Attributes:
        given_back: How many jobs went back to their queues.
        blocked: Claims whose queue cannot take the job, with the reason; their workers still hold them.
    """

    given_back: int = 0
    blocked: tuple[tuple[Claim, str], ...] = ()


#: A claim's slot and token, which name it among all claims of the process.
ClaimKey: TypeAlias = "tuple[int, str]"


def claim_key(claim: Claim) -> ClaimKey:
    """What names *claim* among all claims of its process."""
    return claim.slot, claim.token
