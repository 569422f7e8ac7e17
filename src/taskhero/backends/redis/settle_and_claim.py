"""Settle jobs and claim the next ones, in one round trip."""

from __future__ import annotations

import time
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from taskhero.backends.protocol import (
    Claim,
    Failed,
    PostponedByPlugin,
    Process,
    RefusedByPlugin,
    Released,
    Retried,
    SettleAndClaimReply,
    Succeeded,
)
from taskhero.backends.redis.conversions import milliseconds, to_bytes, to_text
from taskhero.backends.redis.scripts import PreparedScript, ScriptCall
from taskhero.wire.json import encode_any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Settlement
    from taskhero.backends.redis.store import Store
    from taskhero.wire.keys import Keys

__all__ = ["MAX_BATCH_BYTES", "SettleAndClaim"]

#: The maximum size of a batch of claims in bytes, unless a single job is larger.
MAX_BATCH_BYTES = 4 * 1024 * 1024

_NotSucceeded = RefusedByPlugin | Failed | Released | PostponedByPlugin | Retried
_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class _SlotKeys(NamedTuple):
    """The number of a slot, its worker key and its counter of processed jobs, as bytes."""

    number: bytes
    worker: bytes
    processed: bytes


class _SlotKeysCache(dict[int, _SlotKeys]):
    """The keys of the slots of one process, each encoded once."""

    def __init__(self, keys: Keys, process: Process) -> None:
        super().__init__()
        self.process = process
        self._keys = keys

    def __missing__(self, slot: int) -> _SlotKeys:
        worker = self._keys.worker(self.process.worker_id(slot))
        processed = self._keys.processed_by(self.process.worker(slot))
        slot_keys = self[slot] = _SlotKeys(str(slot).encode(), to_bytes(worker), to_bytes(processed))
        return slot_keys


class SettleAndClaim:
    """The verb `settle_and_claim`.

    It numbers the batches of claims, and keeps the encoded keys of the last process and its last claim.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._run = store.connections.run_script
        self._keys = store.keys
        self._prefix = store.keys.named("")
        self._batches = count(1)
        self._last_slot_keys: _SlotKeysCache | None = None
        self._last_claim: tuple[tuple[Process, tuple[int, ...], tuple[str, ...]], PreparedScript] | None = None

    async def settle_and_claim(
        self, process: Process, settlements: Sequence[Settlement], free_slots: Sequence[int], queues: Sequence[str]
    ) -> SettleAndClaimReply:
        """See `Backend.settle_and_claim`."""
        if not settlements:
            return await self._claim(process, free_slots, queues)
        keyspace = self._keys
        token = str(next(self._batches))
        keys: _Keys = [
            keyspace.processes,
            keyspace.pause,
            keyspace.processed,
            keyspace.failures,
            keyspace.failed,
            keyspace.queues,
            keyspace.schedule,
        ]
        keys += (keyspace.wake_schedule, keyspace.wake_new)
        tail_keys: _Keys = []
        tail: _Arguments = []
        rows: _Arguments = []
        # One row for each settlement and one for each free slot without a settlement. A slot is marked free once.
        slot_keys, unmarked = self._slot_keys(process), dict.fromkeys(free_slots)
        for settlement in settlements:
            claim, disposition = settlement.claim, settlement.disposition
            slot = slot_keys[claim.slot]
            has_resources = settlement.release or settlement.forget or settlement.next_run is not None
            if has_resources:
                self._add_resources(settlement, tail_keys, tail)
            if isinstance(disposition, Succeeded):
                letter = "S"
                tail_keys.append(slot.processed)
            else:
                letter = self._disposition(process, claim, disposition, tail_keys, tail)
            is_free = "1" if claim.slot in unmarked else "0"
            unmarked.pop(claim.slot, None)
            keys.append(slot.worker)
            rows += (slot.number, f"{is_free}{letter.lower() if has_resources else letter}{claim.token}")
        for number in unmarked:
            keys.append(slot_keys[number].worker)
            rows += (slot_keys[number].number, "1-")
        for queue in queues:
            keys += (keyspace.queue(queue), keyspace.wake(queue))
            rows.append(_json_name(queue))
        slots = [*(settlement.claim.slot for settlement in settlements), *unmarked]
        arguments: _Arguments = [
            self._store.script_now(),
            process.name,
            self._prefix,
            len(slots),
            len(queues),
            MAX_BATCH_BYTES,
        ]
        arguments += (token, self._run_at(), *rows, *tail)
        reply = await self._run(ScriptCall("settle_and_claim", [*keys, *tail_keys], arguments))
        return _read_reply(reply, token, slots, settlements, queues)

    async def _claim(self, process: Process, free: Sequence[int], queues: Sequence[str]) -> SettleAndClaimReply:
        """Claim jobs without a settlement. An idle process that is woken does this, so it is prepared for speed."""
        slots = tuple(dict.fromkeys(free))
        request = (process, slots, tuple(queues))
        last = self._last_claim
        if last is None or last[0] != request:
            last = self._last_claim = (request, self._prepare_claim(*request))
        token = str(next(self._batches))
        reply = await self._run(last[1].with_last(token, self._run_at()))
        return _read_reply(reply, token, slots, settled=(), queues=queues)

    def _prepare_claim(self, process: Process, slots: tuple[int, ...], queues: tuple[str, ...]) -> PreparedScript:
        keyspace, slot_keys = self._keys, self._slot_keys(process)
        keys: _Keys = [keyspace.processes, keyspace.pause, *(slot_keys[slot].worker for slot in slots)]
        for queue in queues:
            keys += (keyspace.queue(queue), keyspace.wake(queue))
        arguments: _Arguments = [process.name, len(slots), MAX_BATCH_BYTES, *slots, *map(_json_name, queues)]
        return PreparedScript(ScriptCall("claim", keys, arguments), changing=2)

    def _run_at(self) -> str:
        return _format_second(int(self._store.now()))

    def _slot_keys(self, process: Process) -> _SlotKeysCache:
        """Return the keys of the slots of *process*. Only the last process is cached: most backends serve one."""
        slot_keys = self._last_slot_keys
        if slot_keys is None or slot_keys.process is not process:
            slot_keys = self._last_slot_keys = _SlotKeysCache(self._keys, process)
        return slot_keys

    def _disposition(
        self, process: Process, claim: Claim, disposition: _NotSucceeded, keys: _Keys, arguments: _Arguments
    ) -> str:
        """Return the letter of a disposition other than `Succeeded`, and add its keys and arguments."""
        keyspace = self._keys
        if isinstance(disposition, RefusedByPlugin):
            return "X"
        if isinstance(disposition, Failed):
            keys.append(keyspace.failed_by(process.worker(claim.slot)))
            arguments.append(to_bytes(disposition.entry))
            return "F"
        if isinstance(disposition, Released):
            keys += (keyspace.queue(claim.queue), keyspace.wake(claim.queue))
            arguments += (to_bytes(disposition.raw or ""), claim.queue)
            return "B"
        if isinstance(disposition, PostponedByPlugin):
            self._add_payload(disposition, keys, arguments)
            arguments.append(milliseconds(disposition.delay))
            return "P"
        self._add_payload(disposition, keys, arguments)
        keys += (keyspace.failed_by(process.worker(claim.slot)), to_bytes(keyspace.named(disposition.counter)))
        delays = list(map(milliseconds, disposition.delays))
        arguments += (to_bytes(disposition.entry), disposition.limit, len(delays), *delays)
        if disposition.last_error is None:
            arguments.append(0)
        else:
            name, text = disposition.last_error
            keys.append(to_bytes(keyspace.named(name)))
            arguments += (1, to_bytes(text))
        return "R"

    def _add_payload(self, disposition: PostponedByPlugin | Retried, keys: _Keys, arguments: _Arguments) -> None:
        """Add the payload to delay, and the key of the set of its meaning."""
        arguments += (to_bytes(disposition.raw or ""), int(disposition.meaning is not None))
        if disposition.meaning is not None:
            keys.append(self._keys.spelled(disposition.meaning))

    def _add_resources(self, settlement: Settlement, keys: _Keys, arguments: _Arguments) -> None:
        """Add the locks and counters that a settlement releases, and the next run of a periodic task."""
        keys += [to_bytes(self._keys.named(name)) for name in settlement.release + settlement.forget]
        arguments += (len(settlement.release), len(settlement.forget))
        next_run = settlement.next_run
        if next_run is None:
            arguments.append(0)
            return
        payloads = tuple(dict.fromkeys((next_run.raw, *next_run.equivalent_payloads)))
        keys += (self._keys.stopped, *(to_bytes(self._keys.timestamps(payload)) for payload in payloads))
        arguments += (len(payloads), to_bytes(next_run.name), int(next_run.frequency * 1000))
        arguments += (int(next_run.stop_if_failed), *map(to_bytes, payloads))


@lru_cache(maxsize=1)
def _format_second(now: int) -> str:
    """Return a time in UTC. Cached, since many calls fall into one second and the C library reads files."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


_json_names: dict[str, str] = {}


def _json_name(queue: str) -> str:
    """Return the name of a queue in JSON. The names are cached, since a process works few queues."""
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
    for row, raw_result in zip(ends[::2], ends[1::2], strict=True):
        claim, result = settled[row - 1].claim, to_text(raw_result)
        if result == "gone":
            gone.append(claim)
        elif result.startswith("attempt "):
            attempts.append((claim, int(result[8:])))
        elif result.startswith("next "):
            next_runs.append((claim, int(result[5:])))
        else:
            unsettled.append((claim, result.removeprefix("error ")))
    return SettleAndClaimReply(
        claims=claims,
        gone=gone,
        unsettled=unsettled,
        attempts=attempts,
        next_runs=next_runs,
        problems={queues[i - 1]: to_text(reason) for i, reason in zip(problems[::2], problems[1::2], strict=True)},
        jobs_left=bool(waiting),
        registered=bool(registered),
        paused=bool(paused),
    )
