"""The contract between the engine and any store of jobs.

A backend speaks of jobs, claims and leases, never of its own commands. Each verb is one atomic step, unless its
docstring says otherwise: it happens whole or not at all, and no other process sees it half done. Each sentence of
these docstrings has a test in the conformance kit (`taskhero.conformance`).

Rules for all verbs:

* A job is its raw text. A backend stores and returns that text exactly and never looks inside.
* The order of a queue is first in, first out; what is put at the front comes next.
* "Now" is the backend's own clock (a shared server's clock where there is one), in unix seconds.
* `BackendUnavailable` means that nothing was asked, `BackendRefused` that nothing was changed, `ReplyLost` that the
  step may or may not have happened. A backend never repeats a step by itself after it may have happened.
* One bad thing (a key of the wrong type, a counter that is no number) spoils only the item it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Backend",
    "Beat",
    "Claim",
    "Claims",
    "Delayed",
    "Done",
    "Dropped",
    "Due",
    "DueJob",
    "Ending",
    "Entry",
    "Exchange",
    "Failed",
    "FreeLock",
    "GivenBack",
    "Guard",
    "Interest",
    "Move",
    "Moved",
    "NotDelayed",
    "Process",
    "Rescued",
    "Retried",
    "Scheduled",
    "Settlement",
    "TimedEntry",
    "Wake",
]


# --- what is stored --------------------------------------------------------------------------------------------


@attrs.frozen
class FreeLock:
    """Store the job only if lock *key* is free, and take it.

    Attributes:
        key: The lock's name, such as ``lock:add:math:[1,2]``.
        timeout: Seconds until the lock lapses by itself.
    """

    key: str
    timeout: int


@attrs.frozen
class NotDelayed:
    """Store the job only if none of these texts is delayed.

    Attributes:
        forms: The raw texts that mean the same job.
    """

    forms: tuple[str, ...]


Guard: TypeAlias = FreeLock | NotDelayed


@attrs.frozen
class Entry:
    """A job to be stored in a queue.

    Attributes:
        queue: The queue's name.
        raw: The job's text.
        front: Put it before all others instead of behind them.
        guards: Conditions; the entry is stored only if all hold, and what they take is taken in the same step.
    """

    queue: str
    raw: str
    front: bool = False
    guards: tuple[Guard, ...] = ()


@attrs.frozen
class TimedEntry:
    """A job to be stored until a moment.

    Attributes:
        at: The moment, in whole unix seconds.
        queue: The queue that it goes to then.
        raw: The job's text.
        guards: As for `Entry`.
        unique: Refuse it if the same text is delayed to the same second already.
    """

    at: int
    queue: str
    raw: str
    guards: tuple[Guard, ...] = ()
    unique: bool = True


class Scheduled:
    """What became of a `TimedEntry`."""

    DELAYED = "delayed"  #: it waits for its moment
    QUEUED = "queued"  #: its moment was not in the future, so it stands in its queue
    DUPLICATE = "duplicate"  #: the same text was delayed to the same second already
    REFUSED = "refused"  #: a guard did not hold


# --- who works -------------------------------------------------------------------------------------------------


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
class Done:
    """The job succeeded: counted as processed."""


@attrs.frozen
class Dropped:
    """The job was refused before it ran: it goes, and nothing is counted."""


@attrs.frozen
class Failed:
    """The job failed: *entry* is appended to the failures, and it is counted as failed."""

    entry: str


@attrs.frozen
class GivenBack:
    """The job goes back to the front of its queue, as *raw* if that is given; nothing is counted."""

    raw: str | None = None


@attrs.frozen
class Delayed:
    """The job is delayed by *delay* seconds, counted from now and rounded up; nothing is counted."""

    delay: float


@attrs.frozen
class Retried:
    """The job failed and is delayed again until it has been tried *limit* times; then it is in the failures.

    It is counted as failed each time.

    Attributes:
        entry: The failure's text, appended when this was the last attempt.
        counter: Name of the counter of attempts; it starts at -1 as node-resque's does, and goes with the last one.
        limit: How many attempts there are in all.
        delays: Seconds before the second attempt, the third ...; the last one holds for all that follow.
    """

    entry: str
    counter: str
    limit: int
    delays: tuple[float, ...]


Ending: TypeAlias = Done | Dropped | Failed | GivenBack | Delayed | Retried


@attrs.frozen
class Settlement:
    """How a claimed job ended."""

    claim: Claim
    ending: Ending


@attrs.frozen(kw_only=True)
class Exchange:
    """Answer of `Backend.exchange`.

    Attributes:
        claims: What was claimed, in the order of the queues.
        gone: Claims that were not settled since they are no longer this process's.
        unsettled: Claims whose ending could not be recorded, with the reason; they are still held.
        attempts: For each `Retried` that was delayed again, the claim and its attempt's number (from 1).
        problems: Queues that could not be read, with the reason.
        waiting: Whether any of the queues still holds jobs.
        registered: False if the process was declared dead meanwhile; nothing was claimed then.
        paused: Whether claiming is switched off for all workers (``pause-all-workers``).
    """

    claims: Sequence[Claim] = ()
    gone: Sequence[Claim] = ()
    unsettled: Sequence[tuple[Claim, str]] = ()
    attempts: Sequence[tuple[Claim, int]] = ()
    problems: Mapping[str, str] = attrs.field(factory=dict)
    waiting: bool = False
    registered: bool = True
    paused: bool = False


@attrs.frozen(kw_only=True)
class Claims:
    """Answer of `Backend.claims`: what stands under a process's names, and what there cannot be read."""

    claims: Sequence[Claim] = ()
    unreadable: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Beat:
    """Answer of `Backend.beat`.

    Attributes:
        alive: False if the process had been declared dead, or was not registered; it is registered (again) now.
        missing: Worker names that somebody had removed; they are registered again now.
        dead: How many processes have outlived their lease.
    """

    alive: bool
    missing: tuple[str, ...]
    dead: int


@attrs.frozen
class Rescued:
    """A job that was taken from a dead process.

    Attributes:
        worker: The name of the worker that held it.
        queue: The queue to whose front it went.
        raw: Its text as it stands there now.
        running: Whether the dead process had begun it alone (`Backend.begin`).
    """

    worker: str
    queue: str
    raw: str
    running: bool


# --- time ------------------------------------------------------------------------------------------------------


@attrs.frozen
class DueJob:
    """A delayed job whose moment has come: *at* is the second, *raw* its text."""

    at: int
    raw: str


@attrs.frozen(kw_only=True)
class Due:
    """Answer of `Backend.due`.

    Attributes:
        now: The backend's time, in unix seconds.
        jobs: The first jobs that are due, by moment and then in the order stored.
        next_at: The earliest moment for which something is delayed, or None; not in the future if jobs are due.
        yielded: Whether another program's scheduler holds its lock, so that nothing may be promoted.
    """

    now: float
    jobs: Sequence[DueJob] = ()
    next_at: int | None = None
    yielded: bool = False


@attrs.frozen
class Move:
    """Where a due job goes.

    Attributes:
        job: The job as `Backend.due` gave it.
        queue: Its queue, or None if it cannot be queued at all and *failure* is set.
        guards: As for `Entry`; if one does not hold, an equal job waits already and this one is merged with it.
        failure: The text to append to the failures instead of queueing the job.
    """

    job: DueJob
    queue: str | None
    guards: tuple[Guard, ...] = ()
    failure: str | None = None


class Moved:
    """What became of a `Move`."""

    QUEUED = "queued"  #: it stands at the end of its queue
    MERGED = "merged"  #: a guard did not hold: the delayed entry is gone, an equal job waits already
    FAILED = "failed"  #: it stands in the failures
    MISSED = "missed"  #: it was no longer there, or not due, or another scheduler's lock is held: nothing was done
    REFUSED = "refused"  #: where it should go cannot take it (a key of a wrong type): nothing was done


# --- waking ----------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Interest:
    """What a process waits for.

    Attributes:
        queues: Jobs in any of these.
        everything: Jobs in queues that are new, too.
        schedule: A delayed job with an earlier moment than all others.
    """

    queues: tuple[str, ...] = ()
    everything: bool = False
    schedule: bool = False


@attrs.frozen
class Wake:
    """Why a wait ended; both False if its time was up."""

    jobs: bool = False
    schedule: bool = False


# --- the contract ----------------------------------------------------------------------------------------------


@runtime_checkable
class Backend(Protocol):
    """A store of jobs."""

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
        takes no lock. Guards are checked in turn, so an entry sees what those before it took. Each entry is one
        atomic step; the whole is too, unless it is so large that it is cut in pieces. The queue's name is known
        from then on. About one process that waits for the queue is woken, not all.
        """
        ...

    async def schedule(self, entries: Sequence[TimedEntry]) -> Sequence[str]:
        """Store jobs until their moment, in the order given; the answer is a `Scheduled` for each.

        An entry whose moment is not in the future, by the backend's clock within the step, is pushed at once. Of two
        entries of one second, the first stored is promoted first. The queue's name is not known before the job is in
        it. A lock belongs to a job in a queue: a delayed one neither needs nor takes it before it is promoted. A
        process that waits for the schedule is woken if the moment is earlier than all that were known.
        """
        ...

    # promoting

    async def due(self, limit: int) -> Due:
        """Show the first *limit* jobs whose moment has come; nothing is changed but what can never be promoted.

        A moment has come when the floor of now is not less than it: no job is ever shown early. Moments without jobs
        are cleaned up. While another program's scheduler holds its lock, `yielded` is true and no job is shown.
        """
        ...

    async def promote(self, moves: Sequence[Move]) -> Sequence[str]:
        """Move due jobs to the ends of their queues; the answer is a `Moved` for each.

        A job that is no longer where `due` saw it, is not due, or may not be promoted since another program's
        scheduler holds its lock, is missed: of two calls with the same move, one moves it. Each move is one atomic
        step: the job is in exactly one place at every instant. Waiting processes are woken as by `push`.
        """
        ...

    # working

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """Make the process and the workers of these slots visible to others, alive for *lease* seconds from now.

        A second call adds slots and renews the lease.
        """
        ...

    def beat(self, process: Process, slots: Sequence[int], lease: float, *, full: bool) -> Beat:
        """Renew the process's lease; called from a thread of its own, and the only verb that is not a coroutine.

        With *full*, it also renews what other programs take for a sign of life, and registers again those workers of
        *slots* that somebody removed. A process that was declared dead is alive again; what was taken from it is not
        given back.
        """
        ...

    async def retire(self, process: Process, slots: Sequence[int]) -> None:
        """Take the workers of these slots from view; a job that one still holds goes to the front of its queue."""
        ...

    async def deregister(self, process: Process) -> int:
        """Take the process and all its workers from view and end its lease; return how many jobs it still held.

        These go to the front of their queues in the order in which they were claimed, which is no rescue. A process
        that waits for one of its queues is woken if that holds jobs.
        """
        ...

    async def exchange(
        self,
        process: Process,
        settled: Sequence[Settlement],
        free: Sequence[int],
        queues: Sequence[str],
    ) -> Exchange:
        """Record how jobs ended, in the order given, and claim the next ones for the free slots.

        A settlement counts once: if the claim's token no longer stands under the slot, nothing is changed and the
        claim is `gone`. If one settlement cannot be recorded, it stays as it was and is told in `unsettled`; all
        others are recorded. Where a job goes (failures, delayed list, queue) and its claim ends in the same step.

        Queues are emptied in the order given, each from its front: a later queue only if the earlier ones hold no
        more or cannot be read. From one queue at most its fair share is taken: its length divided by the number of
        living processes, rounded up. A claimed job stands under its worker's own name, with a new token, from the
        instant in which it leaves the queue. A slot that still holds a job gets no other. A batch is bounded in bytes
        too, but has at least one job if there is one. If jobs remain, another waiting process is woken.

        Nothing is claimed while ``pause-all-workers`` is set, nor for a process that is not registered or was
        declared dead; its settlements still count where the claim is its own.
        """
        ...

    async def claims(self, process: Process) -> Claims:
        """Read what stands under the names of the process's workers: after a lost reply, what was really claimed."""
        ...

    async def begin(self, process: Process, claim: Claim) -> bool:
        """Mark that the process now runs this job alone, so that its death counts; False if the claim is gone."""
        ...

    async def rescue(self, limit: int) -> Sequence[Rescued]:
        """Take up to *limit* jobs from processes that outlived their lease, each to the front of its queue.

        Each job is one atomic step: it is taken only if its process is still dead in that instant, and by one rescuer
        only. Jobs of one queue keep the order in which they were claimed. The job's text is then marked as rescued
        (`taskhero.wire`), one more if it had been begun alone. A dead process without jobs is taken from view. The
        living are never touched. A worker of taskhero's whose process is unknown gets a lease before it is rescued.
        """
        ...

    # waking

    async def wait(self, process: Process, interest: Interest, timeout: float) -> Wake:
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

    async def remove(self, queue: str, raw: str, count: int = 0) -> int:
        """Remove entries with exactly this text: all if *count* is 0, else so many from the front (negative: the end).

        Returns:
            How many were removed.
        """
        ...

    async def delete_queue(self, queue: str) -> int:
        """Forget the queue and all its jobs; return how many there were."""
        ...

    async def stats(self) -> dict[str, int]:
        """All counters: ``processed``, ``failed``, and each with ``:<worker>``; one that is no number is left out."""
        ...

    async def failed_count(self) -> int:
        """How many entries the failures hold."""
        ...

    async def failed(self, start: int = 0, stop: int = -1) -> list[str]:
        """The failures' texts, oldest first, from position *start* to *stop* as for `queued`."""
        ...
