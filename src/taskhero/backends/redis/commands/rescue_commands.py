"""Rescue the jobs of dead processes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from taskhero.backends.protocol import RescuedJob
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import to_text, token_order
from taskhero.backends.redis.scripts import ScriptCall
from taskhero.wire.jobs import mark_rescued, rescue_count
from taskhero.wire.workers import parse_working, process_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Lease
    from taskhero.backends.redis.commands.process_commands import ProcessCommands
    from taskhero.backends.redis.store import Store
    from taskhero.wire.workers import HeldJob

__all__ = ["RescueCommands"]


class RescueCommands(CommandGroup):
    """The verb that rescues jobs.

    Args:
        processes: Deregisters the dead processes.
    """

    def __init__(self, store: Store, processes: ProcessCommands) -> None:
        super().__init__(store)
        self._processes = processes

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[RescuedJob]:
        """See `Backend.rescue`."""
        rescued: list[RescuedJob] = []
        blocked: list[RescuedJob] = []
        for lease, ids in await self._expired(expired):
            values = await self._worker_values(ids)
            held = [(worker_id, value, parse_working(value)) for worker_id, value in values.items()]
            found = [(worker_id, value, held_job) for worker_id, value, held_job in held if held_job is not None]
            # Latest claim first: each is pushed to the front, so the queue keeps the order of the claims.
            found.sort(key=lambda item: token_order(item[2].token), reverse=True)
            attributed = any(held_job.running and not rescue_count(held_job.raw) for _, _, held_job in found)
            attempted, blocked_before = 0, len(blocked)
            while attempted < len(found) and len(rescued) < limit:
                batch = found[attempted : attempted + limit - len(rescued)]
                for job in await self._rescue_batch(lease, batch, attributed=attributed):
                    (rescued if job.problem is None else blocked).append(job)
                attempted += len(batch)
            if attempted == len(found) and blocked_before == len(blocked):
                await self._processes.deregister_workers(lease.process, ids, end_lease=True, renewal=lease.renewal)
            if len(rescued) >= limit:
                break
        return rescued + blocked

    async def _expired(self, leases: Sequence[Lease]) -> list[tuple[Lease, list[str]]]:
        """Return the leases that were not renewed, each with the worker ids of its process."""
        if not leases:
            return []
        keyspace = self._keys
        call = ScriptCall("expired_leases", keyspace.renewals, keyspace.workers, keyspace.taskhero_workers)
        call.texts([lease.process for lease in leases])
        call.texts([lease.renewal for lease in leases])
        expired, workers = await self._run(call)
        unchanged = set(map(to_text, expired))
        ids: defaultdict[str | None, set[str]] = defaultdict(set)
        for worker_id in map(to_text, workers):
            ids[process_of(worker_id)].add(worker_id)
        return [(lease, sorted(ids[lease.process])) for lease in leases if lease.process in unchanged]

    async def _rescue_batch(
        self, lease: Lease, batch: list[tuple[str, str, HeldJob]], *, attributed: bool
    ) -> list[RescuedJob]:
        """Return jobs to the front of their queues. *attributed*: the crash is attributed to a running job."""
        if not batch:
            return []
        keyspace = self._keys
        call = ScriptCall("rescue", keyspace.processes, keyspace.queues, keyspace.wake_new, keyspace.renewals)
        call.text(lease.process, lease.renewal)
        call.number(len(batch))
        jobs = []
        for worker_id, value, job in batch:
            raw = mark_rescued(job.raw, running=job.running, late=job.late and not attributed)
            call.key(keyspace.worker(worker_id), keyspace.queue(job.queue), keyspace.wake(job.queue))
            call.text(value, job.queue, raw)
            jobs.append(RescuedJob(job.worker, job.queue, raw, job.running))
        results: list[RescuedJob] = []
        replies = await self._run(call)
        for (_, _, job), rescued, result in zip(batch, jobs, replies, strict=True):
            if isinstance(result, bytes):
                results.append(RescuedJob(job.worker, job.queue, job.raw, job.running, to_text(result)))
            elif result:
                results.append(rescued)
        return results
