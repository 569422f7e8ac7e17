"""What plugins say that jobs need before they run, and the locks that running jobs hold."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import attrs

from taskhero._internal.async_helpers import InterruptibleSleep, cancel_and_wait
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
from taskhero.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, Claim, Disposition, Prepared, Process
    from taskhero.backends.records.claims import ClaimKey
    from taskhero.hooks.scope import HookScope
    from taskhero.models import Job, Outcome
    from taskhero.runtime.backoff import Outage

__all__ = ["RunPreparation"]

_NAME = "preparation"

#: A lock lasts for so many heartbeats at least, so that one that comes late does not lose it.
_HEARTBEATS = 2


@attrs.define
class _Resources:
    """What a claimed job has or may have until it is settled: locks, and counters that end with it."""

    locks: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()


class RunPreparation:
    """Prepares claimed jobs, all of one moment in one step of the backend, and keeps account of what they hold.

    An error of the backend fails no job: it is asked again until it answers.

    Args:
        backend: Where the locks lie.
        process: Whose jobs they are.
        outage: Is told how the backend fares.
        heartbeat: Seconds between two renewals of locks.
        new_backoff: What bounds the delays after errors.
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
        self._backend = backend
        self._process = process
        self._outage = outage
        self._min_timeout = math.ceil(heartbeat * _HEARTBEATS)
        self._backoff = new_backoff()
        self._pause = InterruptibleSleep()
        self._requests: list[tuple[Preparation, asyncio.Future[Prepared]]] = []
        self._task: asyncio.Task[None] | None = None
        self._resources: dict[ClaimKey, _Resources] = {}
        self._held: dict[ClaimKey, tuple[HeldLock, ...]] = {}

    @property
    def has_resources(self) -> bool:
        """Whether any job has something that goes with its end."""
        return bool(self._resources)

    @property
    def held(self) -> tuple[HeldLock, ...]:
        """The locks that are to be renewed; may be read in any thread."""
        return tuple(lock for locks in tuple(self._held.values()) for lock in locks)

    async def prepare(self, claim: Claim, job: Job, scope: HookScope) -> tuple[Outcome | None, int]:
        """Release what the job held while it was queued, and take what it needs to run.

        Returns:
            How it ends without running, or None if it may run; and the number of this attempt, from 1.

        Raises:
            asyncio.CancelledError: The process was taken for dead, so the job is not to run here.
        """
        released = tuple(guard.key for guard in scope.guards(job) if isinstance(guard, QueueLockGuard))
        needs = scope.needs(job)
        holds = tuple(need for need in needs if isinstance(need, HoldLock))
        counts = tuple(need for need in needs if isinstance(need, CountAttempts))
        if not (released or holds or counts):
            return None, 1
        locks = tuple(LockSpec(hold.key, max(hold.timeout, self._min_timeout)) for hold in holds)
        # The answer may be lost: from now on the locks may be held.
        kept = self._resources[claim_key(claim)] = _Resources(locks=tuple(lock.key for lock in locks))
        prepared = await self._request(
            # The task's own plugins come last, and their word counts.
            Preparation(claim, released, locks, counts[-1].counter if counts else None)
        )
        attempt = 1 if prepared.count is None else max(1, prepared.count + 2)
        if not prepared.is_current:
            raise asyncio.CancelledError
        if prepared.blocked_by is not None:
            kept.locks = ()
            return holds[prepared.blocked_by].otherwise, attempt
        if locks:
            self._held[claim_key(claim)] = tuple(HeldLock(claim, lock) for lock in locks)
        if prepared.count is not None:
            kept.counters = tuple(name for count in counts for name in (count.counter, count.trace) if name)
        return None, attempt

    def settle(
        self, claim: Claim, disposition: Disposition, busy: asyncio.Future[object] | None = None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What goes with the end of a job: its locks, and its counters if it will not be tried again.

        Args:
            claim: The job.
            disposition: How it ended.
            busy: Done when nothing of it runs any more; its locks are renewed until then, and expire soon after that.
        """
        name = claim_key(claim)
        kept = self._resources.pop(name, None)
        if kept is None:
            return (), ()
        forgotten = kept.counters if isinstance(disposition, (Succeeded, Failed, RefusedByPlugin)) else ()
        if busy is not None and name in self._held:
            busy.add_done_callback(lambda _: self._let_lapse(name))
            return (), forgotten
        self._held.pop(name, None)
        return kept.locks, forgotten

    def _let_lapse(self, name: ClaimKey) -> None:
        """Renew the locks of a job for a few heartbeats only: no step of the backend releases them any more."""
        self._held[name] = tuple(
            HeldLock(held.claim, LockSpec(held.lock.key, self._min_timeout)) for held in self._held[name]
        )
        asyncio.get_running_loop().call_later(self._min_timeout, self._held.pop, name, None)

    async def stop(self) -> None:
        """Ask the backend no more."""
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait([task])

    async def _request(self, preparation: Preparation) -> Prepared:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Prepared] = loop.create_future()
        self._requests.append((preparation, answer))
        if self._task is None:
            # Jobs that were claimed together ask before it runs.
            self._task = loop.create_task(self._run(), name=f"taskhero {self._process.name} preparation")
        return await answer

    async def _run(self) -> None:
        try:
            while True:
                # Those that were cancelled meanwhile do not ask any more.
                batch = [(asked, answer) for asked, answer in self._requests if not answer.done()]
                self._requests = []
                if not batch:
                    return
                try:
                    answers = await self._backend.prepare(self._process, [asked for asked, _ in batch])
                    for (_, answer), prepared in zip(batch, answers, strict=True):
                        if not answer.done():
                            answer.set_result(prepared)
                except Exception as error:  # noqa: BLE001 - whatever a driver raises is no job's fault
                    self._requests[:0] = batch
                    self._outage.failed(_NAME, error)
                    await self._pause.sleep(self._backoff.next())
                else:
                    self._backoff.reset()
                    self._outage.worked(_NAME)
        finally:
            self._task = None
