"""What worker processes do: stay alive, claim jobs, prepare them, and take those of the dead."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from taskhero.backends.protocol import (
    Claim,
    ClaimsReply,
    DeregisterReply,
    HeartbeatReply,
    Lease,
    Leases,
    Prepared,
    RescuedJob,
    SettleAndClaimReply,
)
from taskhero.wire.jobs import mark_rescued, rescue_count
from taskhero_sqlite import locks, queues
from taskhero_sqlite.leading import is_paused
from taskhero_sqlite.settling import held_by, settle
from taskhero_sqlite.steps import blob, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from taskhero.backends.protocol import HeldLock, Preparation, Process, Settlement
    from taskhero_sqlite.steps import Step

__all__ = [
    "MAX_BATCH",
    "claims",
    "deregister",
    "deregister_slots",
    "dismiss",
    "leases",
    "mark_exclusive",
    "may_hold_jobs_of_the_dead",
    "prepare",
    "renew",
    "rescue",
    "restore",
    "settle_and_claim",
]

#: A batch of claims holds no more bytes than this, unless one job alone does.
MAX_BATCH = 4 * 1024 * 1024
#: Seconds for which a process that is late with its lease may be dead, and hold any job.
_FRESH = 60.0
#: The number of leases that are shown at once, at most.
_MOST_LEASES = 1000


# --- being there


def renew(
    step: Step,
    process: Process,
    slots: Sequence[int],
    lease: float,
    *,
    held: Sequence[HeldLock] = (),
    seen: str = "",
) -> HeartbeatReply:
    """Give a process a lease, bring these slots into view and renew these locks; see `Backend.heartbeat`."""
    alive, ends = _lives(step, process), step.now + lease
    step.do("INSERT OR REPLACE INTO process VALUES (?, ?, ?)", process.name, blob(",".join(process.queues)), ends)
    step.do("INSERT OR REPLACE INTO lease (process, length) VALUES (?, ?)", process.name, lease)
    missing = tuple(
        process.worker(slot)
        for slot in slots
        if step.do("INSERT OR IGNORE INTO worker VALUES (?, ?, ?)", process.name, slot, step.now)
    )
    lost = tuple(one for one in held if not _renew_lock(step, process, one))
    return HeartbeatReply(alive, missing, leases(step, seen, but=process.name), lost)


def _renew_lock(step: Step, process: Process, held: HeldLock) -> bool:
    ours = held_by(step, process, held.claim) is not None
    owner = locks.owner_of(process.worker(held.claim.slot), held.claim.token)
    return locks.renew(step, held.lock, owner, ours=ours)


def _lives(step: Step, process: Process) -> bool:
    """Whether the process has a lease and was not declared dead."""
    return step.value("SELECT 1 FROM lease WHERE process = ? AND NOT dead", process.name) is not None


def leases(step: Step, seen: str = "", *, but: str = "") -> Leases:
    """See `Backend.leases`; with *but*, not the lease of that process."""
    sql = "SELECT process, renewal, length FROM lease WHERE process != ? AND renewal <= ? ORDER BY renewal LIMIT ?"
    last = step.value("SELECT seq FROM sqlite_sequence WHERE name = 'lease'") or 0
    rows = step.rows(sql, but, int(seen or last), _MOST_LEASES)
    return Leases(str(last), tuple(Lease(process, str(renewal), length) for process, renewal, length in rows))


def deregister_slots(step: Step, process: Process, slots: Sequence[int]) -> DeregisterReply:
    """See `Backend.deregister_slots`."""
    wanted = set(slots)
    answer = _dismiss(step, process, [held for held in _latest_first(step, process.name) if held[1] in wanted])
    dismiss(step, process.name, wanted - {claim.slot for claim, _ in answer.blocked})
    return answer


def deregister(step: Step, process: Process) -> DeregisterReply:
    """See `Backend.deregister`."""
    answer = _dismiss(step, process, _latest_first(step, process.name))
    _forget(step, process.name, {claim.slot for claim, _ in answer.blocked})
    # A wake-up that it had and did not use is for somebody else.
    queues.notify(step, queues.queues(step) if "*" in process.queues else process.queues)
    locks.sweep(step)
    return answer


def _dismiss(step: Step, process: Process, held: Sequence[tuple[int, int, str, str]]) -> DeregisterReply:
    """Give jobs back, each by itself, so that one that cannot be stored keeps no other one."""
    blocked = []
    for token, slot, queue, raw in held:
        problem = _give_back(step, process.worker(slot), token, queue, raw)
        if problem is not None:
            blocked.append((Claim(slot, str(token), queue, raw), problem))
    return DeregisterReply(released=len(held) - len(blocked), blocked=tuple(blocked))


def _latest_first(step: Step, process: str) -> list[tuple[int, int, str, str]]:
    """What a process holds, the latest claim first: put to the front in turn, it keeps its order."""
    rows = step.rows("SELECT token, slot, queue, raw FROM claim WHERE process = ? ORDER BY token DESC", process)
    return [(token, slot, text(queue), text(raw)) for token, slot, queue, raw in rows]


def _give_back(step: Step, worker: str, token: int, queue: str, raw: str) -> str | None:
    """Put a job back into its queue; return why that cannot be done, and then nothing is changed."""
    try:
        with step.part():
            queues.release(step, queue, raw)
            locks.free_claims(step, locks.owner_of(worker, token))
            step.do("DELETE FROM claim WHERE token = ?", token)
    except sqlite3.Error as error:
        return str(error)
    return None


def _forget(step: Step, process: str, but: Collection[int] = ()) -> None:
    """Take a process and its workers from view; with workers that stay, only end its lease."""
    slots = [slot for (slot,) in step.rows("SELECT slot FROM worker WHERE process = ?", process)]
    dismiss(step, process, [slot for slot in slots if slot not in but])
    locks.free_of(step, process)
    if but:
        # Others rescue what is left once its queue can take it.
        step.do("UPDATE lease SET dead = 1 WHERE process = ?", process)
        return
    for table, column in (("process", "name"), ("lease", "process")):
        step.do(f"DELETE FROM {table} WHERE {column} = ?", process)


def dismiss(step: Step, process: str, slots: Iterable[int]) -> None:
    """Take workers from view, with what was counted for them."""
    for slot in slots:
        step.do("DELETE FROM worker WHERE process = ? AND slot = ?", process, slot)
        for name in ("processed", "failed"):
            step.do("DELETE FROM counter WHERE name = ?", f"{name}:{process}+{slot}")


# --- the hot path


def settle_and_claim(
    step: Step, process: Process, settled: Sequence[Settlement], free: Sequence[int], names: Sequence[str]
) -> SettleAndClaimReply:
    """See `Backend.settle_and_claim`."""
    answer = settle(step, process, settled)
    registered = _lives(step, process)
    paused = is_paused(step)
    claimed = _claim(step, process, free, names) if registered and free and not paused else []
    return SettleAndClaimReply(
        claims=claimed,
        gone=answer.gone,
        unsettled=answer.unsettled,
        attempts=answer.attempts,
        next_runs=answer.nexts,
        jobs_left=any(queues.length_of(step, queue) for queue in names),
        registered=registered,
        paused=paused,
    )


def _claim(step: Step, process: Process, free: Sequence[int], names: Sequence[str]) -> list[Claim]:
    busy = {slot for (slot,) in step.rows("SELECT slot FROM claim WHERE process = ?", process.name)}
    slots = [slot for slot in dict.fromkeys(free) if slot not in busy]
    living = step.value("SELECT count(*) FROM lease WHERE NOT dead")
    taken: list[Claim] = []
    room = MAX_BATCH
    for queue in names:
        length = queues.length_of(step, queue)
        if not length or len(taken) == len(slots):
            continue
        share = min(-(-length // living), len(slots) - len(taken))
        found = step.rows(
            "SELECT id, length(raw) FROM job WHERE queue = ? ORDER BY position LIMIT ?", blob(queue), share
        )
        for number, size in found:
            room -= size
            if room < 0 and taken:
                break
            taken.append(_take(step, process, slots[len(taken)], queue, number))
        if queues.length_of(step, queue):
            # What is left here comes before all later queues.
            step.ring(queue)
            break
        step.hush(queue)
    return taken


def _take(step: Step, process: Process, slot: int, queue: str, number: int) -> Claim:
    """Move a job from its queue to a worker's hands."""
    raw = step.value("SELECT raw FROM job WHERE id = ?", number)
    token = step.insert(
        "INSERT INTO claim (process, slot, queue, raw, since) VALUES (?, ?, ?, ?, ?)",
        *(process.name, slot, blob(queue), raw, step.now),
    )
    step.do("DELETE FROM job WHERE id = ?", number)
    return Claim(slot, str(token), queue, text(raw))


def claims(step: Step, process: Process) -> ClaimsReply:
    """See `Backend.claims`."""
    rows = step.rows("SELECT slot, token, queue, raw FROM claim WHERE process = ? ORDER BY token", process.name)
    return ClaimsReply(claims=[Claim(slot, str(token), text(queue), text(raw)) for slot, token, queue, raw in rows])


def prepare(step: Step, process: Process, preparations: Sequence[Preparation]) -> list[Prepared]:
    """See `Backend.prepare`."""
    alive = _lives(step, process)
    return [_prepare(step, process, preparation, alive=alive) for preparation in preparations]


def _prepare(step: Step, process: Process, preparation: Preparation, *, alive: bool) -> Prepared:
    claim = preparation.claim
    if not alive or held_by(step, process, claim) is None:
        return Prepared(is_current=False)
    locks.free(step, preparation.release)
    owner = locks.owner_of(process.worker(claim.slot), claim.token)
    blocked_by = locks.hold(step, preparation.hold, owner)
    count = None
    if preparation.counter is not None:
        name = blob(preparation.counter)
        count = step.value("SELECT count FROM attempts WHERE name = ? AND until > ?", name, step.now)
    return Prepared(blocked_by=blocked_by, count=count)


def restore(step: Step, process: Process, wanted: Sequence[Claim]) -> list[bool]:
    """See `Backend.restore`."""
    return [_restore(step, process, claim) for claim in wanted]


def _restore(step: Step, process: Process, claim: Claim) -> bool:
    in_view = "SELECT 1 FROM worker WHERE process = ? AND slot = ?"
    if _lives(step, process) and step.value(in_view, process.name, claim.slot):
        step.do(
            "INSERT OR IGNORE INTO claim (token, process, slot, queue, raw, since) VALUES (?, ?, ?, ?, ?, ?)",
            *(int(claim.token), process.name, claim.slot, blob(claim.queue), blob(claim.raw), step.now),
        )
    return held_by(step, process, claim) is not None


def mark_exclusive(step: Step, process: Process, claim: Claim, *, alone: bool) -> bool:
    """See `Backend.mark_exclusive`."""
    if held_by(step, process, claim) is None:
        return False
    # 2: it ran alone, and others run beside it by now.
    sql = "UPDATE claim SET alone = ? WHERE token = ? AND alone >= ?"
    step.do(sql, *((1, int(claim.token), 0) if alone else (2, int(claim.token), 1)))
    return True


# --- rescue


def may_hold_jobs_of_the_dead(step: Step) -> bool:
    """Whether the time of a lease is over for less than a minute."""
    sql = "SELECT 1 FROM process WHERE lease_ends <= ? AND lease_ends > ?"
    return step.value(sql, step.now, step.now - _FRESH) is not None


def rescue(step: Step, expired: Sequence[Lease], limit: int) -> list[RescuedJob]:
    """See `Backend.rescue`."""
    rescued: list[RescuedJob] = []
    blocked: list[RescuedJob] = []
    for lease in expired:
        name = lease.process
        if len(rescued) >= limit or not step.do(
            "UPDATE lease SET dead = 1 WHERE process = ? AND renewal = ?", name, int(lease.renewal)
        ):
            continue
        locks.free_of(step, name)
        held = _latest_first(step, name)
        begun = dict(step.rows("SELECT token, alone FROM claim WHERE process = ? AND alone > 0", name))
        blamed = any(begun.get(token) == 1 and not rescue_count(raw) for token, _, _, raw in held)
        for token, slot, queue, raw in held:
            if len(rescued) >= limit:
                break
            alone, worker = begun.get(token) == 1, f"{name}+{slot}"
            marked = mark_rescued(raw, running=alone, late=begun.get(token) == 2 and not blamed)
            problem = _give_back(step, worker, token, queue, marked)
            if problem is None:
                rescued.append(RescuedJob(worker, queue, marked, alone))
            else:
                blocked.append(RescuedJob(worker, queue, raw, alone, problem))
        if not step.value("SELECT 1 FROM claim WHERE process = ?", name):
            _forget(step, name)
    locks.sweep(step)
    return rescued + blocked
