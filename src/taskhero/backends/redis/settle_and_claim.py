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
from taskhero.backends.redis.scripts import CallPart, PreparedScript, ScriptCall
from taskhero.wire.json import encode_any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import NextRun, Settlement
    from taskhero.backends.redis.store import Store
    from taskhero.wire.keys import Keys

__all__ = ["MAX_BATCH_BYTES", "SettleAndClaim"]

#: The maximum size of a batch of claims in bytes, unless a single job is larger.
MAX_BATCH_BYTES = 4 * 1024 * 1024

_NotSucceeded = RefusedByPlugin | Failed | Released | PostponedByPlugin | Retried


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
        self._step_keys = CallPart()
        self._step_keys.key(store.keys.processes, store.keys.pause, store.keys.processed, store.keys.failures)
        self._step_keys.key(store.keys.failed, store.keys.queues, store.keys.schedule, store.keys.wake_schedule)
        self._step_keys.key(store.keys.wake_new)
        self._last_slot_keys: _SlotKeysCache | None = None
        self._last_queues: tuple[tuple[str, ...], CallPart] | None = None
        self._last_claim: tuple[tuple[Process, tuple[int, ...], tuple[str, ...]], PreparedScript] | None = None

    async def settle_and_claim(
        self, process: Process, settlements: Sequence[Settlement], free_slots: Sequence[int], queues: Sequence[str]
    ) -> SettleAndClaimReply:
        """See `Backend.settle_and_claim`."""
        if not settlements:
            return await self._claim(process, free_slots, queues)
        token = str(next(self._batches))
        rows, data = CallPart(), CallPart()
        # One row for each settlement and one for each free slot without a settlement. A slot is marked free once.
        slot_keys, unmarked = self._slot_keys(process), dict.fromkeys(free_slots)
        slots = []
        for settlement in settlements:
            claim = settlement.claim
            slot = slot_keys[claim.slot]
            slots.append(claim.slot)
            rows.keys.append(slot.worker)
            rows.arguments += (slot.number, "1" if claim.slot in unmarked else "0", claim.token)
            unmarked.pop(claim.slot, None)
            if isinstance(settlement.disposition, Succeeded):
                data.arguments.append("succeeded")
                data.keys.append(slot.processed)
            else:
                self._add_disposition(data, process, claim, settlement.disposition)
        for number in unmarked:
            slot = slot_keys[number]
            slots.append(number)
            rows.keys.append(slot.worker)
            rows.arguments += (slot.number, "1", "")
        call = ScriptCall("settle_and_claim")
        call.extend(self._step_keys)
        call.text(self._store.script_now(), self._prefix, process.name)
        call.number(MAX_BATCH_BYTES)
        call.text(token, self._run_at())
        call.number(len(slots))
        call.extend(rows)
        call.extend(self._queues_part(queues))
        self._add_resources(call, settlements)
        call.extend(data)
        return _read_reply(await self._run(call), token, slots, settlements, queues)

    def _queues_part(self, queues: Sequence[str]) -> CallPart:
        """Return the part of a call that names the queues. The last one is cached: most processes work one set."""
        names = tuple(queues)
        if self._last_queues is None or self._last_queues[0] != names:
            part = CallPart()
            part.number(len(names))
            for name in names:
                part.key(self._keys.queue(name), self._keys.wake(name))
                part.text(encode_any(name))
            self._last_queues = (names, part)
        return self._last_queues[1]

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
        slot_keys = self._slot_keys(process)
        call = ScriptCall("claim", self._keys.processes, self._keys.pause)
        call.text(process.name)
        call.number(MAX_BATCH_BYTES, len(slots))
        for slot in slots:
            call.keys.append(slot_keys[slot].worker)
            call.number(slot)
        call.extend(self._queues_part(queues))
        return PreparedScript(call, changing=2)

    def _run_at(self) -> str:
        return _format_second(int(self._store.now()))

    def _slot_keys(self, process: Process) -> _SlotKeysCache:
        """Return the keys of the slots of *process*. Only the last process is cached: most backends serve one."""
        slot_keys = self._last_slot_keys
        if slot_keys is None or slot_keys.process is not process:
            slot_keys = self._last_slot_keys = _SlotKeysCache(self._keys, process)
        return slot_keys

    def _add_disposition(self, data: CallPart, process: Process, claim: Claim, disposition: _NotSucceeded) -> None:
        """Add the kind of a disposition other than `Succeeded`, and its data."""
        keyspace = self._keys
        if isinstance(disposition, RefusedByPlugin):
            data.text("refused")
        elif isinstance(disposition, Failed):
            data.text("failed")
            data.key(keyspace.failed_by(process.worker(claim.slot)))
            data.text(disposition.entry)
        elif isinstance(disposition, Released):
            data.text("released")
            data.key(keyspace.queue(claim.queue), keyspace.wake(claim.queue))
            data.optional(disposition.raw)
            data.text(claim.queue)
        elif isinstance(disposition, PostponedByPlugin):
            data.text("postponed")
            self._add_payload(data, disposition)
            data.number(milliseconds(disposition.delay))
        else:
            data.text("retried")
            self._add_payload(data, disposition)
            data.key(keyspace.failed_by(process.worker(claim.slot)), keyspace.named(disposition.counter))
            data.text(disposition.entry)
            data.number(disposition.limit)
            data.texts([str(milliseconds(delay)) for delay in disposition.delays])
            data.flag(disposition.last_error is not None)
            if disposition.last_error is not None:
                name, error = disposition.last_error
                data.key(keyspace.named(name))
                data.text(error)

    def _add_payload(self, data: CallPart, disposition: PostponedByPlugin | Retried) -> None:
        """Add the payload to delay, and the key of the set of its meaning."""
        data.optional(disposition.raw)
        data.flag(disposition.meaning is not None)
        if disposition.meaning is not None:
            data.key(self._keys.spelled(disposition.meaning))

    def _add_resources(self, call: ScriptCall, settlements: Sequence[Settlement]) -> None:
        """Add the locks and counters that settlements release, and the next runs of periodic tasks."""
        found = [
            (position, settlement)
            for position, settlement in enumerate(settlements, 1)
            if settlement.release or settlement.forget or settlement.next_run is not None
        ]
        call.number(len(found))
        for position, settlement in found:
            call.number(position)
            call.key_list([self._keys.named(name) for name in settlement.release])
            call.key_list([self._keys.named(name) for name in settlement.forget])
            call.flag(settlement.next_run is not None)
            if settlement.next_run is not None:
                self._add_next_run(call, settlement.next_run)

    def _add_next_run(self, call: ScriptCall, next_run: NextRun) -> None:
        payloads = tuple(dict.fromkeys((next_run.raw, *next_run.equivalent_payloads)))
        call.key(self._keys.stopped)
        call.text(next_run.name)
        call.number(int(next_run.frequency * 1000))
        call.flag(next_run.stop_if_failed)
        call.texts(payloads)
        call.key_list([self._keys.timestamps(payload) for payload in payloads])


@lru_cache(maxsize=1)
def _format_second(now: int) -> str:
    """Return a time in UTC. Cached, since many calls fall into one second and the C library reads files."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


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
