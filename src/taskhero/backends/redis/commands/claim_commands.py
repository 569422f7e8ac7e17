"""Claiming, settling and rescuing."""

from __future__ import annotations

import time
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from taskhero.backends.protocol import (
    Claim,
    Claims,
    Delayed,
    Done,
    Dropped,
    Exchange,
    Failed,
    GivenBack,
    Process,
    Rescued,
    Retried,
)
from taskhero.backends.redis.commands.base import milliseconds, to_bytes, to_text, token_order
from taskhero.backends.redis.commands.lease_commands import Living, read_leases
from taskhero.backends.redis.scripts import Repeated
from taskhero.wire.jobs import mark_rescued, rescues
from taskhero.wire.json import encode_any
from taskhero.wire.workers import parse_working, process_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from itertools import count

    from taskhero.backends.protocol import Lease, Leases, Settlement
    from taskhero.wire.keys import Keys
    from taskhero.wire.workers import Held

__all__ = ["Working"]

MAX_BATCH_BYTES = 4 * 1024 * 1024

_NotDone = Dropped | Failed | GivenBack | Delayed | Retried
_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class _Place(NamedTuple):
    """What a step says of one slot, as bytes."""

    slot: bytes
    worker: bytes
    processed: bytes


class _Places(dict[int, _Place]):
    """The slots of one process, each put into bytes once."""

    def __init__(self, keys: Keys, process: Process) -> None:
        super().__init__()
        self.process = process
        self._keys = keys

    def __missing__(self, slot: int) -> _Place:
        worker = self._keys.worker(self.process.worker_id(slot))
        processed = self._keys.processed_by(self.process.worker(slot))
        place = self[slot] = _Place(str(slot).encode(), to_bytes(worker), to_bytes(processed))
        return place


class Working(Living):
    """The verbs of worker processes that claim, settle and rescue jobs."""

    _batches: count[int]
    _last_places: _Places | None
    _last_claim: tuple[tuple[Process, tuple[int, ...], tuple[str, ...]], Repeated] | None

    # the hot path

    async def exchange(
        self, process: Process, settled: Sequence[Settlement], free: Sequence[int], queues: Sequence[str]
    ) -> Exchange:
        """See `Backend.exchange`."""
        if not settled:
            return await self._claim(process, free, queues)
        own = self._keys
        token = str(next(self._batches))
        keys: _Keys = [own.processes, own.pause, own.processed, own.failures, own.failed, own.queues, own.schedule]
        keys += (own.wake_schedule, own.wake_new)
        tail_keys: _Keys = []
        tail: _Arguments = []
        rows: _Arguments = []
        # One row an ending, and one a free slot without any; whether a slot is free is said once.
        places, unsaid = self._places(process), dict.fromkeys(free)
        for settlement in settled:
            claim, ending = settlement.claim, settlement.ending
            place = places[claim.slot]
            goes_along = settlement.release or settlement.forget or settlement.next is not None
            if goes_along:
                self._go_along(settlement, tail_keys, tail)
            if isinstance(ending, Done):
                letter = "D"
                tail_keys.append(place.processed)
            else:
                letter = self._ending(process, claim, ending, tail_keys, tail)
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
        slots = [*(settlement.claim.slot for settlement in settled), *unsaid]
        arguments: _Arguments = [self._now(), process.name, self._prefix, len(slots), len(queues), MAX_BATCH_BYTES]
        arguments += (token, self._run_at(), *rows, *tail)
        reply = await self._run("exchange", [*keys, *tail_keys], arguments)
        return _read_exchange(reply, token, slots, settled, queues)

    async def _claim(self, process: Process, free: Sequence[int], queues: Sequence[str]) -> Exchange:
        """An exchange in which nothing is settled: an idle process asks so when it is woken, and a job waits for it."""
        slots = tuple(dict.fromkeys(free))
        asked = (process, slots, tuple(queues))
        last = self._last_claim
        if last is None or last[0] != asked:
            last = self._last_claim = (asked, self._claiming(*asked))
        token = str(next(self._batches))
        reply = await last[1].run(self._link, token, self._run_at())
        return _read_exchange(reply, token, slots, settled=(), queues=queues)

    def _claiming(self, process: Process, slots: tuple[int, ...], queues: tuple[str, ...]) -> Repeated:
        own, places = self._keys, self._places(process)
        keys: _Keys = [own.processes, own.pause, *(places[slot].worker for slot in slots)]
        for queue in queues:
            keys += (own.queue(queue), own.wake(queue))
        arguments: _Arguments = [process.name, len(slots), MAX_BATCH_BYTES, *slots, *map(_json_name, queues)]
        return Repeated("claim", keys, arguments, changing=2)

    def _run_at(self) -> str:
        return _second(int(self._clock.now() if self._clock else time.time()))

    def _places(self, process: Process) -> _Places:
        """The keys of the slots of *process*; a driver seldom serves more than one."""
        places = self._last_places
        if places is None or places.process is not process:
            places = self._last_places = _Places(self._keys, process)
        return places

    def _ending(self, process: Process, claim: Claim, ending: _NotDone, keys: _Keys, arguments: _Arguments) -> str:
        """The letter of an ending but `Done`; what it needs is added to keys and arguments."""
        own = self._keys
        if isinstance(ending, Dropped):
            return "X"
        if isinstance(ending, Failed):
            keys.append(own.failed_by(process.worker(claim.slot)))
            arguments.append(to_bytes(ending.entry))
            return "F"
        if isinstance(ending, GivenBack):
            keys += (own.queue(claim.queue), own.wake(claim.queue))
            arguments += (to_bytes(ending.raw or ""), claim.queue)
            return "B"
        if isinstance(ending, Delayed):
            self._spelling(ending, keys, arguments)
            arguments.append(milliseconds(ending.delay))
            return "L"
        self._spelling(ending, keys, arguments)
        keys += (own.failed_by(process.worker(claim.slot)), to_bytes(own.named(ending.counter)))
        delays = list(map(milliseconds, ending.delays))
        arguments += (to_bytes(ending.entry), ending.limit, len(delays), *delays)
        if ending.trace is None:
            arguments.append(0)
        else:
            name, text = ending.trace
            keys.append(to_bytes(own.named(name)))
            arguments += (1, to_bytes(text))
        return "R"

    def _spelling(self, ending: Delayed | Retried, keys: _Keys, arguments: _Arguments) -> None:
        """Add the text to delay, and where it is noted by its meaning."""
        arguments += (to_bytes(ending.raw or ""), int(ending.meaning is not None))
        if ending.meaning is not None:
            keys.append(self._keys.spelled(ending.meaning))

    def _go_along(self, settlement: Settlement, keys: _Keys, arguments: _Arguments) -> None:
        """Add what goes with an ending: locks, counters, and the next run of a periodic task."""
        keys += [to_bytes(self._keys.named(name)) for name in settlement.release + settlement.forget]
        arguments += (len(settlement.release), len(settlement.forget))
        following = settlement.next
        if following is None:
            arguments.append(0)
            return
        texts = tuple(dict.fromkeys((following.raw, *following.forms)))
        keys += (self._keys.stopped, *(to_bytes(self._keys.timestamps(text)) for text in texts))
        arguments += (len(texts), to_bytes(following.name), int(following.frequency * 1000))
        arguments += (int(following.stop_if_failed), *map(to_bytes, texts))

    async def claims(self, process: Process) -> Claims:
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
        return Claims(claims=claims, unreadable=unreadable)

    async def begin(self, process: Process, claim: Claim, *, alone: bool = True) -> bool:
        """See `Backend.begin`."""
        key = self._keys.worker(process.worker_id(claim.slot))
        return bool(await self._run("begin", (key,), (claim.token, "1" if alone else "")))

    # rescue

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:
        """See `Backend.leases`."""
        own = self._keys
        keys = (own.processes, own.renewals, own.leases, own.workers, own.own_workers)
        length = "" if lease is None else int(lease * 1000)
        last, found = await self._run("leases", keys, (self._now(), seen, length))
        return read_leases(last, found)

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[Rescued]:
        """See `Backend.rescue`."""
        rescued: list[Rescued] = []
        blocked: list[Rescued] = []
        for lease, ids in await self._expired(expired):
            values = await self._values(ids)
            held = [(worker_id, value, parse_working(value)) for worker_id, value in values.items()]
            found = [(worker_id, value, job) for worker_id, value, job in held if job is not None]
            # The last one claimed goes first, so that the first one claimed ends up before it.
            found.sort(key=lambda item: token_order(item[2].token), reverse=True)
            blamed = any(job.running and not rescues(job.raw) for _, _, job in found)
            tried, stuck = 0, len(blocked)
            while tried < len(found) and len(rescued) < limit:
                taken = found[tried : tried + limit - len(rescued)]
                for one in await self._take(lease, taken, blamed=blamed):
                    (rescued if one.problem is None else blocked).append(one)
                tried += len(taken)
            if tried == len(found) and stuck == len(blocked):
                await self._retire(lease.process, ids, end_lease=True, renewal=lease.renewal)
            if len(rescued) >= limit:
                break
        return rescued + blocked

    async def _expired(self, leases: Sequence[Lease]) -> list[tuple[Lease, list[str]]]:
        """Those of these leases that were not renewed, each with the ids of its process's workers."""
        if not leases:
            return []
        own = self._keys
        names = [text for lease in leases for text in (lease.process, lease.renewal)]
        expired, workers = await self._run("expired", (own.renewals, own.workers, own.own_workers), names)
        unchanged = set(map(to_text, expired))
        ids: defaultdict[str | None, set[str]] = defaultdict(set)
        for worker_id in map(to_text, workers):
            ids[process_of(worker_id)].add(worker_id)
        return [(lease, sorted(ids[lease.process])) for lease in leases if lease.process in unchanged]

    async def _take(self, lease: Lease, found: list[tuple[str, str, Held]], *, blamed: bool) -> list[Rescued]:
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
            wanted.append(Rescued(job.worker, job.queue, raw, job.running))
        results: list[Rescued] = []
        became = await self._run("rescue", keys, arguments)
        for (_, _, job), taken, result in zip(found, wanted, became, strict=True):
            if isinstance(result, bytes):
                results.append(Rescued(job.worker, job.queue, job.raw, job.running, to_text(result)))
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


def _read_exchange(
    reply: Any, token: str, slots: Sequence[int], settled: Sequence[Settlement], queues: Sequence[str]
) -> Exchange:
    (registered, paused, waiting), ends, problems, claimed = reply
    claims = [
        Claim(slots[row - 1], f"{token}.{number}", queues[queue - 1], raw.decode("utf-8", "surrogateescape"))
        for row, queue, number, raw in zip(claimed[::4], claimed[1::4], claimed[2::4], claimed[3::4], strict=True)
    ]
    gone: list[Claim] = []
    unsettled: list[tuple[Claim, str]] = []
    attempts: list[tuple[Claim, int]] = []
    nexts: list[tuple[Claim, int]] = []
    for row, text in zip(ends[::2], ends[1::2], strict=True):
        claim, what = settled[row - 1].claim, to_text(text)
        if what == "gone":
            gone.append(claim)
        elif what.startswith("attempt "):
            attempts.append((claim, int(what[8:])))
        elif what.startswith("next "):
            nexts.append((claim, int(what[5:])))
        else:
            unsettled.append((claim, what.removeprefix("error ")))
    return Exchange(
        claims=claims,
        gone=gone,
        unsettled=unsettled,
        attempts=attempts,
        nexts=nexts,
        problems={queues[i - 1]: to_text(text) for i, text in zip(problems[::2], problems[1::2], strict=True)},
        waiting=bool(waiting),
        registered=bool(registered),
        paused=bool(paused),
    )
