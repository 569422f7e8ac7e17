"""Claiming, settling and rescuing."""

from __future__ import annotations

import time
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from taskhero.backends.protocol import (
    Claim,
    ClaimsReply,
    Failed,
    PostponedByPlugin,
    Process,
    RefusedByPlugin,
    Released,
    RescuedJob,
    Retried,
    SettleAndClaimReply,
    Succeeded,
)
from taskhero.backends.redis.commands.command_group import milliseconds, to_bytes, to_text, token_order
from taskhero.backends.redis.commands.lease_commands import LeaseCommands, read_leases
from taskhero.backends.redis.scripts import PreparedScript
from taskhero.wire.jobs import mark_rescued, rescue_count
from taskhero.wire.json import encode_any
from taskhero.wire.workers import parse_working, process_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from itertools import count

    from taskhero.backends.protocol import Lease, Leases, Settlement
    from taskhero.wire.keys import Keys
    from taskhero.wire.workers import HeldJob

__all__ = ["ClaimCommands"]

MAX_BATCH_BYTES = 4 * 1024 * 1024

_NotSucceeded = RefusedByPlugin | Failed | Released | PostponedByPlugin | Retried
_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class _SlotKeys(NamedTuple):
    """What a step says of one slot, as bytes."""

    slot: bytes
    worker: bytes
    processed: bytes


class _SlotKeysCache(dict[int, _SlotKeys]):
    """The slots of one process, each put into bytes once."""

    def __init__(self, keys: Keys, process: Process) -> None:
        super().__init__()
        self.process = process
        self._keys = keys

    def __missing__(self, slot: int) -> _SlotKeys:
        worker = self._keys.worker(self.process.worker_id(slot))
        processed = self._keys.processed_by(self.process.worker(slot))
        place = self[slot] = _SlotKeys(str(slot).encode(), to_bytes(worker), to_bytes(processed))
        return place


class ClaimCommands(LeaseCommands):
    """The verbs of worker processes that claim, settle and rescue jobs."""

    _batches: count[int]
    _last_slot_keys: _SlotKeysCache | None
    _last_claim: tuple[tuple[Process, tuple[int, ...], tuple[str, ...]], PreparedScript] | None

    # the hot path

    async def settle_and_claim(
        self, process: Process, settlements: Sequence[Settlement], free_slots: Sequence[int], queues: Sequence[str]
    ) -> SettleAndClaimReply:
        """See `Backend.settle_and_claim`."""
        if not settlements:
            return await self._claim(process, free_slots, queues)
        own = self._keys
        token = str(next(self._batches))
        keys: _Keys = [own.processes, own.pause, own.processed, own.failures, own.failed, own.queues, own.schedule]
        keys += (own.wake_schedule, own.wake_new)
        tail_keys: _Keys = []
        tail: _Arguments = []
        rows: _Arguments = []
        # One row an ending, and one a free slot without any; whether a slot is free is said once.
        places, unsaid = self._slot_keys(process), dict.fromkeys(free_slots)
        for settlement in settlements:
            claim, disposition = settlement.claim, settlement.disposition
            place = places[claim.slot]
            goes_along = settlement.release or settlement.forget or settlement.next_run is not None
            if goes_along:
                self._add_resources(settlement, tail_keys, tail)
            if isinstance(disposition, Succeeded):
                letter = "S"
                tail_keys.append(place.processed)
            else:
                letter = self._disposition(process, claim, disposition, tail_keys, tail)
            is_free = "1" if claim.slot in unsaid else "0"
            unsaid.pop(claim.slot, None)
            keys.append(place.worker)
            rows += (place.slot, f"{is_free}{letter.lower() if goes_along else letter}{claim.token}")
        for slot in unsaid:
            keys.append(places[slot].worker)
            rows += (places[slot].slot, "1-")
        for queue in queues:
            keys += (own.queue(queue), own.wake(queue))
            rows.append(_json_name(queue))
        slots = [*(settlement.claim.slot for settlement in settlements), *unsaid]
        arguments: _Arguments = [self._now(), process.name, self._prefix, len(slots), len(queues), MAX_BATCH_BYTES]
        arguments += (token, self._run_at(), *rows, *tail)
        reply = await self._run("settle_and_claim", [*keys, *tail_keys], arguments)
        return _read_reply(reply, token, slots, settlements, queues)

    async def _claim(self, process: Process, free: Sequence[int], queues: Sequence[str]) -> SettleAndClaimReply:
        """An exchange in which nothing is settled: an idle process asks so when it is woken, and a job waits for it."""
        slots = tuple(dict.fromkeys(free))
        asked = (process, slots, tuple(queues))
        last = self._last_claim
        if last is None or last[0] != asked:
            last = self._last_claim = (asked, self._prepare_claim(*asked))
        token = str(next(self._batches))
        reply = await last[1].run(self._connections, token, self._run_at())
        return _read_reply(reply, token, slots, settled=(), queues=queues)

    def _prepare_claim(self, process: Process, slots: tuple[int, ...], queues: tuple[str, ...]) -> PreparedScript:
        own, places = self._keys, self._slot_keys(process)
        keys: _Keys = [own.processes, own.pause, *(places[slot].worker for slot in slots)]
        for queue in queues:
            keys += (own.queue(queue), own.wake(queue))
        arguments: _Arguments = [process.name, len(slots), MAX_BATCH_BYTES, *slots, *map(_json_name, queues)]
        return PreparedScript("claim", keys, arguments, changing=2)

    def _run_at(self) -> str:
        return _second(int(self._clock.now() if self._clock else time.time()))

    def _slot_keys(self, process: Process) -> _SlotKeysCache:
        """The keys of the slots of *process*; a driver seldom serves more than one."""
        places = self._last_slot_keys
        if places is None or places.process is not process:
            places = self._last_slot_keys = _SlotKeysCache(self._keys, process)
        return places

    def _disposition(
        self, process: Process, claim: Claim, disposition: _NotSucceeded, keys: _Keys, arguments: _Arguments
    ) -> str:
        """The letter of an ending but `Succeeded`; what it needs is added to keys and arguments."""
        own = self._keys
        if isinstance(disposition, RefusedByPlugin):
            return "X"
        if isinstance(disposition, Failed):
            keys.append(own.failed_by(process.worker(claim.slot)))
            arguments.append(to_bytes(disposition.entry))
            return "F"
        if isinstance(disposition, Released):
            keys += (own.queue(claim.queue), own.wake(claim.queue))
            arguments += (to_bytes(disposition.raw or ""), claim.queue)
            return "B"
        if isinstance(disposition, PostponedByPlugin):
            self._spelling(disposition, keys, arguments)
            arguments.append(milliseconds(disposition.delay))
            return "P"
        self._spelling(disposition, keys, arguments)
        keys += (own.failed_by(process.worker(claim.slot)), to_bytes(own.named(disposition.counter)))
        delays = list(map(milliseconds, disposition.delays))
        arguments += (to_bytes(disposition.entry), disposition.limit, len(delays), *delays)
        if disposition.trace is None:
            arguments.append(0)
        else:
            name, text = disposition.trace
            keys.append(to_bytes(own.named(name)))
            arguments += (1, to_bytes(text))
        return "R"

    def _spelling(self, disposition: PostponedByPlugin | Retried, keys: _Keys, arguments: _Arguments) -> None:
        """Add the text to delay, and where it is noted by its meaning."""
        arguments += (to_bytes(disposition.raw or ""), int(disposition.meaning is not None))
        if disposition.meaning is not None:
            keys.append(self._keys.spelled(disposition.meaning))

    def _add_resources(self, settlement: Settlement, keys: _Keys, arguments: _Arguments) -> None:
        """Add what goes with an ending: locks, counters, and the next run of a periodic task."""
        keys += [to_bytes(self._keys.named(name)) for name in settlement.release + settlement.forget]
        arguments += (len(settlement.release), len(settlement.forget))
        next_run = settlement.next_run
        if next_run is None:
            arguments.append(0)
            return
        payloads = tuple(dict.fromkeys((next_run.raw, *next_run.equivalent_payloads)))
        keys += (self._keys.stopped, *(to_bytes(self._keys.timestamps(text)) for text in payloads))
        arguments += (len(payloads), to_bytes(next_run.name), int(next_run.frequency * 1000))
        arguments += (int(next_run.stop_if_failed), *map(to_bytes, payloads))

    async def claims(self, process: Process) -> ClaimsReply:
        """See `Backend.claims`."""
        slots = sorted(self._slots.get(process.name, {}))
        values = await self._values([process.worker_id(slot) for slot in slots])
        claims: list[Claim] = []
        unreadable: dict[str, str] = {}
        for slot in slots:
            value = values.get(process.worker_id(slot))
            if value is None:
                continue
            held = parse_working(value)
            if held is None:
                unreadable[process.worker(slot)] = value
            else:
                claims.append(Claim(slot, held.token, held.queue, held.raw))
        claims.sort(key=lambda claim: token_order(claim.token))
        return ClaimsReply(claims=claims, unreadable=unreadable)

    async def mark_exclusive(self, process: Process, claim: Claim, *, exclusive: bool = True) -> bool:
        """See `Backend.mark_exclusive`."""
        key = self._keys.worker(process.worker_id(claim.slot))
        return bool(await self._run("mark_exclusive", (key,), (claim.token, "1" if exclusive else "")))

    # rescue

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:
        """See `Backend.leases`."""
        own = self._keys
        keys = (own.processes, own.renewals, own.leases, own.workers, own.taskhero_workers)
        length = "" if lease is None else int(lease * 1000)
        last, found = await self._run("leases", keys, (self._now(), seen, length))
        return read_leases(last, found)

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[RescuedJob]:
        """See `Backend.rescue`."""
        rescued: list[RescuedJob] = []
        blocked: list[RescuedJob] = []
        for lease, ids in await self._expired(expired):
            values = await self._values(ids)
            held = [(worker_id, value, parse_working(value)) for worker_id, value in values.items()]
            found = [(worker_id, value, job) for worker_id, value, job in held if job is not None]
            # The last one claimed goes first, so that the first one claimed ends up before it.
            found.sort(key=lambda item: token_order(item[2].token), reverse=True)
            blamed = any(job.running and not rescue_count(job.raw) for _, _, job in found)
            tried, stuck = 0, len(blocked)
            while tried < len(found) and len(rescued) < limit:
                taken = found[tried : tried + limit - len(rescued)]
                for one in await self._take(lease, taken, blamed=blamed):
                    (rescued if one.problem is None else blocked).append(one)
                tried += len(taken)
            if tried == len(found) and stuck == len(blocked):
                await self._deregister_slots(lease.process, ids, end_lease=True, renewal=lease.renewal)
            if len(rescued) >= limit:
                break
        return rescued + blocked

    async def _expired(self, leases: Sequence[Lease]) -> list[tuple[Lease, list[str]]]:
        """Those of these leases that were not renewed, each with the ids of its process's workers."""
        if not leases:
            return []
        own = self._keys
        names = [text for lease in leases for text in (lease.process, lease.renewal)]
        expired, workers = await self._run("expired", (own.renewals, own.workers, own.taskhero_workers), names)
        unchanged = set(map(to_text, expired))
        ids: defaultdict[str | None, set[str]] = defaultdict(set)
        for worker_id in map(to_text, workers):
            ids[process_of(worker_id)].add(worker_id)
        return [(lease, sorted(ids[lease.process])) for lease in leases if lease.process in unchanged]

    async def _take(self, lease: Lease, found: list[tuple[str, str, HeldJob]], *, blamed: bool) -> list[RescuedJob]:
        if not found:
            return []
        own = self._keys
        keys: _Keys = [own.processes, own.queues, own.wake_new, own.renewals]
        arguments: _Arguments = [lease.process, lease.renewal]
        wanted = []
        for worker_id, value, job in found:
            raw = mark_rescued(job.raw, running=job.running, late=job.late and not blamed)
            keys += (own.worker(worker_id), own.queue(job.queue), own.wake(job.queue))
            arguments += (to_bytes(value), job.queue, to_bytes(raw))
            wanted.append(RescuedJob(job.worker, job.queue, raw, job.running))
        results: list[RescuedJob] = []
        became = await self._run("rescue", keys, arguments)
        for (_, _, job), taken, result in zip(found, wanted, became, strict=True):
            if isinstance(result, bytes):
                results.append(RescuedJob(job.worker, job.queue, job.raw, job.running, to_text(result)))
            elif result:
                results.append(taken)
        return results


@lru_cache(maxsize=1)
def _second(now: int) -> str:
    """A moment in UTC; it is asked for often within a second, and the C library looks at files for it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


_json_names: dict[str, str] = {}


def _json_name(queue: str) -> str:
    """A queue's name in JSON; the few names that a process works are remembered."""
    name = _json_names.get(queue)
    if name is None:
        if len(_json_names) > 10_000:
            _json_names.clear()
        name = _json_names[queue] = encode_any(queue)
    return name


def _read_reply(
    reply: Any, token: str, slots: Sequence[int], settled: Sequence[Settlement], queues: Sequence[str]
) -> SettleAndClaimReply:
    (registered, paused, waiting), ends, problems, claimed = reply
    claims = [
        Claim(slots[row - 1], f"{token}.{number}", queues[queue - 1], raw.decode("utf-8", "surrogateescape"))
        for row, queue, number, raw in zip(claimed[::4], claimed[1::4], claimed[2::4], claimed[3::4], strict=True)
    ]
    gone: list[Claim] = []
    unsettled: list[tuple[Claim, str]] = []
    attempts: list[tuple[Claim, int]] = []
    next_runs: list[tuple[Claim, int]] = []
    for row, text in zip(ends[::2], ends[1::2], strict=True):
        claim, what = settled[row - 1].claim, to_text(text)
        if what == "gone":
            gone.append(claim)
        elif what.startswith("attempt "):
            attempts.append((claim, int(what[8:])))
        elif what.startswith("next "):
            next_runs.append((claim, int(what[5:])))
        else:
            unsettled.append((claim, what.removeprefix("error ")))
    return SettleAndClaimReply(
        claims=claims,
        gone=gone,
        unsettled=unsettled,
        attempts=attempts,
        next_runs=next_runs,
        problems={queues[i - 1]: to_text(text) for i, text in zip(problems[::2], problems[1::2], strict=True)},
        jobs_left=bool(waiting),
        registered=bool(registered),
        paused=bool(paused),
    )
