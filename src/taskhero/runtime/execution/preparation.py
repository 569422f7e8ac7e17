"""Acquire what plugins say that jobs need before they run, and renew the locks of running jobs."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import (
    Failed,
    HeldLock,
    LockSpec,
    Preparation,
    QueueLockGuard,
    RefusedByPlugin,
    Succeeded,
)
from taskhero.backends.records.claims import claim_key
from taskhero.hooks.needs import CountAttempts, HoldLock
from taskhero.runtime.background_loop import BackgroundLoop
from taskhero.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, Claim, Disposition, Prepared, Process
    from taskhero.backends.records.claims import ClaimKey
    from taskhero.hooks.scope import HookScope
    from taskhero.models import Job, Outcome
    from taskhero.runtime.backoff import Outage

__all__ = ["Resources", "RunPreparation"]

#: Shortest timeout of a lock, in heartbeats, so that one late heartbeat does not lose it.
_MIN_HEARTBEATS = 2


@attrs.define
class Resources:
    """The locks and counters that a claimed job has, or may have, until it is settled."""

    locks: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()


class RunPreparation(BackgroundLoop):
    """Prepares claimed jobs, batched into one step of the backend, and records the locks they hold.

    An error of the backend fails no job: the step is repeated until it succeeds.

    Args:
        backend: The store of the locks.
        process: The process that runs the jobs.
        outage: Records errors and successes of the backend.
        heartbeat: Seconds between two renewals of locks.
        new_backoff: Makes the delays after errors.

    Attributes:
        resources: The locks and counters of the jobs that have any, by claim, until `settle` returns them.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        process: Process,
        outage: Outage,
        heartbeat: float,
        new_backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(
            self._send_requests, name="preparation", owner=process.name, outage=outage, backoff=new_backoff()
        )
        self._backend = backend
        self._process = process
        self._min_timeout = math.ceil(heartbeat * _MIN_HEARTBEATS)
        self._requests: list[tuple[Preparation, asyncio.Future[Prepared]]] = []
        self.resources: dict[ClaimKey, Resources] = {}
        self._held: dict[ClaimKey, tuple[HeldLock, ...]] = {}

    @property
    def held(self) -> tuple[HeldLock, ...]:
        """The locks to renew. May be read in any thread."""
        return tuple(lock for locks in tuple(self._held.values()) for lock in locks)

    async def prepare(self, claim: Claim, job: Job, scope: HookScope) -> tuple[Outcome | None, int]:
        """Release the locks that the job held while it was queued, and acquire what it needs to run.

        Returns:
            How the job ends without running, or None if it may run; and the number of this attempt, from 1.

        Raises:
            asyncio.CancelledError: The process was taken for dead, so the job must not run here.
        """
        released = tuple(guard.key for guard in scope.guards(job) if isinstance(guard, QueueLockGuard))
        needs = scope.needs(job)
        lock_needs = tuple(need for need in needs if isinstance(need, HoldLock))
        counter_needs = tuple(need for need in needs if isinstance(need, CountAttempts))
        if not (released or lock_needs or counter_needs):
            return None, 1
        locks = tuple(LockSpec(need.key, max(need.timeout, self._min_timeout)) for need in lock_needs)
        # The reply may be lost, so the locks may be held from here on.
        resources = self.resources[claim_key(claim)] = Resources(locks=tuple(lock.key for lock in locks))
        prepared = await self._request(
            # The task's own plugins come last, so the last counter takes precedence.
            Preparation(claim, released, locks, counter_needs[-1].counter if counter_needs else None)
        )
        attempt = 1 if prepared.count is None else max(1, prepared.count + 2)
        if not prepared.is_current:
            raise asyncio.CancelledError
        if prepared.blocked_by is not None:
            resources.locks = ()
            return lock_needs[prepared.blocked_by].otherwise, attempt
        if locks:
            self._held[claim_key(claim)] = tuple(HeldLock(claim, lock) for lock in locks)
        if prepared.count is not None:
            resources.counters = tuple(
                key for count in counter_needs for key in (count.counter, count.last_error_key) if key
            )
        return None, attempt

    def settle(
        self, claim: Claim, disposition: Disposition, busy: asyncio.Future[object] | None = None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what to release with a settlement: the job's locks, and its counters unless it is retried.

        Args:
            claim: The claim of the job.
            disposition: How the job ended.
            busy: Done when the remainder of the job has ended. Its locks are renewed until then, and expire soon after
                that.
        """
        key = claim_key(claim)
        resources = self.resources.pop(key, None)
        if resources is None:
            return (), ()
        counters = resources.counters if isinstance(disposition, (Succeeded, Failed, RefusedByPlugin)) else ()
        if busy is not None and key in self._held:
            busy.add_done_callback(lambda _: self._expire_locks(key))
            return (), counters
        self._held.pop(key, None)
        return resources.locks, counters

    def _expire_locks(self, key: ClaimKey) -> None:
        """Renew the locks of a job for a few more heartbeats only, since no step of the backend releases them."""
        self._held[key] = tuple(
            HeldLock(held.claim, LockSpec(held.lock.key, self._min_timeout)) for held in self._held[key]
        )
        asyncio.get_running_loop().call_later(self._min_timeout, self._held.pop, key, None)

    async def _request(self, preparation: Preparation) -> Prepared:
        future: asyncio.Future[Prepared] = asyncio.get_running_loop().create_future()
        self._requests.append((preparation, future))
        # Jobs that were claimed together make their requests before the next step.
        self.wake()
        return await future

    async def _send_requests(self) -> float:
        """Send the requests in one step of the backend. They are kept until it has answered."""
        # Cancelled requests are not sent.
        batch = [(preparation, future) for preparation, future in self._requests if not future.done()]
        self._requests = list(batch)
        if batch:
            replies = await self._backend.prepare(self._process, [preparation for preparation, _ in batch])
            for (_, future), prepared in zip(batch, replies, strict=True):
                if not future.done():
                    future.set_result(prepared)
            del self._requests[: len(batch)]
        return math.inf
