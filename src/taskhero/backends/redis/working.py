"""Claiming, settling, and staying alive."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import exceptions as redis_errors

from taskhero.backends.protocol import (
    Beat,
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
from taskhero.errors import BackendUnavailable
from taskhero.wire.jobs import mark_rescued
from taskhero.wire.jsjson import encode_any
from taskhero.wire.workers import parse_worker_id, parse_working, process_of

from .base import Part, to_bytes, to_text
from .scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from itertools import count

    import redis

    from taskhero.backends.protocol import Settlement
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


class Working(Part):
    """The verbs of worker processes."""

    _batches: count[int]
    _slots: dict[str, dict[int, Process]]
    _last_places: _Places | None
    _lease: float
    _incomplete: bool = False
    _beating: redis.Redis | None
    _connect_beating: Callable[[], redis.Redis]

    # alive or dead

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """See `Backend.register`."""
        keys, arguments = self._beat_request(process, slots, lease)
        await self._run("beat", keys, arguments)

    def beat(self, process: Process, slots: Sequence[int], lease: float, *, full: bool) -> Beat:
        """See `Backend.beat`."""
        if self._beating is None:
            self._beating = self._connect_beating()
        wanted = script("beat")
        full = full or self._incomplete
        keys, arguments = self._beat_request(process, slots if full else (), lease)
        if slots and not full:
            arguments.append(process.worker_id(slots[0]))
        try:
            try:
                reply: Any = self._beating.evalsha(wanted.sha, len(keys), *keys, *arguments)
            except redis_errors.NoScriptError:
                reply = self._beating.eval(wanted.text, len(keys), *keys, *arguments)
        except (redis_errors.RedisError, OSError) as error:
            # The next beat looks anew where the server is.
            self._stop_beating()
            raise BackendUnavailable(f"cannot renew the lease in Redis at {self._link.location}: {error}") from error
        alive, dead, *missing = reply
        self._incomplete = bool(missing) and not full
        if self._incomplete:
            # Somebody deleted a set of workers: the next beat is a full one, so that our jobs could be rescued.
            return Beat(bool(alive), (), int(dead))
        names = {process.worker_id(slot): process.worker(slot) for slot in slots}
        gone = tuple(names.get(to_text(worker_id), "") for worker_id in missing)
        return Beat(bool(alive), gone, int(dead))

    def _stop_beating(self) -> None:
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.close()

    def _beat_request(self, process: Process, slots: Sequence[int], lease: float) -> tuple[_Keys, _Arguments]:
        own = self._keys
        self._lease = lease
        known = self._slots.setdefault(process.name, {})
        known.update((slot, process) for slot in slots)
        keys: _Keys = [own.processes, own.workers, own.heartbeats, own.own_workers]
        queues = encode_any(",".join(process.queues))
        arguments: _Arguments = [self._now(), process.name, int(lease * 1000), queues]
        for slot in slots:
            keys += (own.ping(process.worker(slot)), own.started(process.worker_id(slot)))
            arguments += (process.worker(slot), process.worker_id(slot))
        return keys, arguments

    async def retire(self, process: Process, slots: Sequence[int]) -> None:
        """See `Backend.retire`."""
        await self._retire(process.name, [process.worker_id(slot) for slot in slots], end_lease=False)
        known = self._slots.get(process.name, {})
        for slot in slots:
            known.pop(slot, None)

    async def deregister(self, process: Process) -> int:
        """See `Backend.deregister`."""
        known = self._slots.get(process.name, {})
        given_back = await self._retire(process.name, [process.worker_id(slot) for slot in known], end_lease=True)
        self._slots.pop(process.name, None)
        return given_back

    async def _retire(self, process: str, ids: list[str], *, end_lease: bool, dead: bool = False) -> int:
        own = self._keys
        while True:
            values = await self._values(ids)
            held = {worker_id: parse_working(value) for worker_id, value in values.items()}
            keys: _Keys = [own.processes, own.workers, own.heartbeats, own.queues, own.wake_new, own.own_workers]
            arguments: _Arguments = [self._now(), process, "dead" if dead else "living", "1" if end_lease else ""]
            for worker_id in sorted(ids, key=lambda worker_id: _claim_order(held.get(worker_id)), reverse=True):
                job = held.get(worker_id)
                queue = job.queue if job else ""
                name = parse_worker_id(worker_id)[0]
                keys += (own.worker(worker_id), own.started(worker_id), own.ping(name), own.processed_by(name))
                keys += (own.failed_by(name), own.queue(queue), own.wake(queue))
                value = to_bytes(values.get(worker_id, ""))
                arguments += (worker_id, value, to_bytes(job.raw) if job else b"", queue)
            result = int(await self._run("retire", keys, arguments))
            if result != -2:
                return result

    async def _values(self, ids: Sequence[str]) -> dict[str, str]:
        """What stands under workers, of those that hold something."""
        if not ids:
            return {}
        values = await self._link.call("MGET", *(self._keys.worker(worker_id) for worker_id in ids))
        return {worker_id: to_text(value) for worker_id, value in zip(ids, values, strict=True) if value}

    # the hot path

    async def exchange(
        self, process: Process, settled: Sequence[Settlement], free: Sequence[int], queues: Sequence[str]
    ) -> Exchange:
        """See `Backend.exchange`."""
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
            if isinstance(ending, Done):
                letter = "D"
                tail_keys.append(place.processed)
            else:
                letter = self._ending(process, claim, ending, tail_keys, tail)
            is_free = "1" if claim.slot in unsaid else "0"
            unsaid.pop(claim.slot, None)
            keys.append(place.worker)
            rows += (place.slot, f"{is_free}{letter}{claim.token}")
        for slot in unsaid:
            keys.append(places[slot].worker)
            rows += (places[slot].slot, "1-")
        for queue in queues:
            keys += (own.queue(queue), own.wake(queue))
            rows += (queue, _json_name(queue))
        slots = [*(settlement.claim.slot for settlement in settled), *unsaid]
        run_at = _second(int(self._clock.now() if self._clock else time.time()))
        arguments: _Arguments = [self._now(), process.name, self._prefix, len(slots), len(queues), MAX_BATCH_BYTES]
        arguments += (token, run_at, *rows, *tail)
        reply = await self._run("exchange", [*keys, *tail_keys], arguments)
        return _read_exchange(reply, token, slots, settled, queues)

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
            arguments.append(int(ending.delay * 1000))
            return "L"
        keys += (own.failed_by(process.worker(claim.slot)), to_bytes(own.named(ending.counter)))
        delays = [int(delay * 1000) for delay in ending.delays]
        arguments += (to_bytes(ending.entry), ending.limit, len(delays), *delays)
        return "R"

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
        claims.sort(key=lambda claim: _token_order(claim.token))
        return Claims(claims=claims, unreadable=unreadable)

    async def begin(self, process: Process, claim: Claim, *, alone: bool = True) -> bool:
        """See `Backend.begin`."""
        key = self._keys.worker(process.worker_id(claim.slot))
        return bool(await self._run("begin", (key,), (claim.token, "1" if alone else "")))

    # rescue

    async def rescue(self, limit: int) -> Sequence[Rescued]:
        """See `Backend.rescue`."""
        rescued: list[Rescued] = []
        for process, ids in (await self._dead()).items():
            values = await self._values(ids)
            held = [(worker_id, value, parse_working(value)) for worker_id, value in values.items()]
            found = [(worker_id, value, job) for worker_id, value, job in held if job is not None]
            # The last one claimed goes first, so that the first one claimed ends up before it.
            found.sort(key=lambda item: _token_order(item[2].token), reverse=True)
            taken = found[: limit - len(rescued)]
            rescued += await self._take(process, taken)
            if len(taken) == len(found):
                await self._retire(process, ids, end_lease=True, dead=True)
            if len(rescued) >= limit:
                break
        return rescued

    async def _dead(self) -> dict[str, list[str]]:
        """The dead processes and their workers' ids."""
        keys = (self._keys.processes, self._keys.workers, self._keys.own_workers)
        lease = int(self._lease * 1000)
        dead, workers, known = await self._run("dead", keys, (self._now(), lease))
        owners = {to_text(worker_id): process_of(to_text(worker_id)) for worker_id in workers}
        unknown = {name for name in owners.values() if name} - {to_text(name) for name in known}
        if unknown:
            await self._run("dead", keys, (self._now(), lease, *sorted(unknown)))
        return {
            to_text(name): sorted(worker_id for worker_id, owner in owners.items() if owner == to_text(name))
            for name in dead
        }

    async def _take(self, process: str, found: list[tuple[str, str, Held]]) -> list[Rescued]:
        if not found:
            return []
        own = self._keys
        keys: _Keys = [own.processes, own.queues, own.wake_new]
        arguments: _Arguments = [self._now()]
        rescued = []
        for worker_id, value, job in found:
            raw = mark_rescued(job.raw, running=job.running)
            keys += (own.worker(worker_id), own.queue(job.queue), own.wake(job.queue))
            arguments += (process, to_bytes(value), job.queue, to_bytes(raw))
            rescued.append(Rescued(job.worker, job.queue, raw, job.running))
        taken = await self._run("rescue", keys, arguments)
        return [job for job, was_taken in zip(rescued, taken, strict=True) if was_taken]


def _token_order(token: str) -> tuple[int, int]:
    batch, _, number = token.partition(".")
    return (int(batch), int(number or 0)) if batch.isdigit() and (number or "0").isdigit() else (0, 0)


def _claim_order(held: Held | None) -> tuple[int, int]:
    return _token_order(held.token) if held else (-1, 0)


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
    for row, text in zip(ends[::2], ends[1::2], strict=True):
        claim, what = settled[row - 1].claim, to_text(text)
        if what == "gone":
            gone.append(claim)
        elif what.startswith("attempt "):
            attempts.append((claim, int(what[8:])))
        else:
            unsettled.append((claim, what.removeprefix("error ")))
    return Exchange(
        claims=claims,
        gone=gone,
        unsettled=unsettled,
        attempts=attempts,
        problems={queues[i - 1]: to_text(text) for i, text in zip(problems[::2], problems[1::2], strict=True)},
        waiting=bool(waiting),
        registered=bool(registered),
        paused=bool(paused),
    )
