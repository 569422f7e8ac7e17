"""The scheduler: promotes delayed jobs and, as leader, serves the periodic tasks of all apps."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import attrs

from taskhero.events import SchedulerEnd, SchedulerLeader, SchedulerLeaderLost, SchedulerStart
from taskhero.runtime.background_loop import BackgroundLoop
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.scheduler.orphan_adoption import OrphanAdoption
from taskhero.runtime.scheduler.periodic_enqueuer import PeriodicEnqueuer
from taskhero.runtime.scheduler.promoter import Promoter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskhero.backends.protocol import Backend, Guard
    from taskhero.engine.queue.periodic import PeriodicAdmin
    from taskhero.events import Emitter
    from taskhero.models import Job
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.worker.listener import WakeupListener
    from taskhero.settings import Settings

__all__ = ["Scheduler", "SchedulerContext"]

#: Maximum number of seconds for releasing the leader lease when the scheduler stops.
STOP_LIMIT = 2.0


def _no_guards(_job: Job) -> tuple[Guard, ...]:
    return ()


@attrs.frozen(kw_only=True)
class SchedulerContext:
    """The collaborators of a `Scheduler`.

    Attributes:
        backend: The store of jobs.
        settings: The poll interval (`timeout`) and the length of the leader lease, in seconds.
        emitter: Receives the events.
        name: The scheduler's name, which owns the leader lease.
        listener: Reports when a job with an earlier due time was stored.
        outage: Records failures and recoveries of the backend.
        guards: Returns the conditions on queueing a job.
        periodic: The app's periodic tasks, or None if it has none.
        clock: Monotonic clock, in seconds.
        rest: Makes the delays after errors.
    """

    backend: Backend
    settings: Settings
    emitter: Emitter
    name: str
    listener: WakeupListener
    outage: Outage
    guards: Callable[[Job], tuple[Guard, ...]] = _no_guards
    periodic: PeriodicAdmin | None = None
    clock: Callable[[], float] = time.monotonic
    rest: Callable[[], Backoff] = Backoff


class Scheduler:
    """Promotes delayed jobs when they are due. Any number of schedulers may promote on the same store.

    One of them is the leader: it holds a lease and renews it. Another scheduler takes over when the lease expires. The
    leader serves the periodic tasks of all apps on the store. No error ends the scheduler.

    To change it, derive from it and pass the class to the app, ``TaskHero(scheduler=MyScheduler)``.

    Args:
        context: The scheduler's collaborators.
    """

    def __init__(self, context: SchedulerContext) -> None:
        self.context = context
        self.name = context.name
        self.settings = context.settings
        self._backend = context.backend
        self._emitter = context.emitter
        self._listener = context.listener
        self._outage = context.outage
        self._clock = context.clock
        self._promoter = Promoter(
            backend=context.backend,
            emitter=context.emitter,
            owner=context.name,
            guards=context.guards,
            timeout=context.settings.timeout,
            clock=context.clock,
        )
        # When the lease expires by this process's clock. It counts from before the request, so it is never too late.
        self._leads_until = 0.0
        self._announced_leader = False
        self._periodic = PeriodicEnqueuer(
            backend=context.backend, emitter=context.emitter, owner=context.name, admin=context.periodic
        )
        self._adoption = OrphanAdoption(context.backend, context.clock)
        self._lead_interval = context.settings.leader_lock_timeout / 3
        self._promotion = self._loop(self.promote, "promoting")
        self._leading = self._loop(self._renew_lead, "leading", max_retry_delay=self._lead_interval)
        self._periodic_steps = self._loop(self.enqueue_periodic, "enqueueing periodic tasks")
        self._loops = (self._promotion, self._leading, self._periodic_steps)

    @property
    def leader(self) -> bool:
        """Return whether this scheduler holds the leader lease now."""
        return self._clock() < self._leads_until

    async def start(self) -> None:
        """Start to promote jobs and to request the leader lease."""
        self._listener.on_schedule = self.request_promotion
        self._emitter.emit(SchedulerStart(self.name))
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """Stop to promote and release the leader lease. A second call changes nothing."""
        if not self._promotion.running:
            return
        self._listener.on_schedule = None
        await asyncio.gather(*(loop.stop() for loop in self._loops))
        self._leads_until = 0.0
        self._emit_leader(leads=False)
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await self._backend.resign(self.name)
        except (Exception, TimeoutError) as error:  # noqa: BLE001 - the lease expires anyway
            self._outage.failed("resigning", error)
        self._emitter.emit(SchedulerEnd(self.name))

    def request_promotion(self) -> None:
        """Start the next promotion at once: a job is due, or an earlier due time was stored."""
        self._promotion.wake()

    def request_periodic(self) -> None:
        """Start the next step for periodic tasks at once: a task was declared, or a fire time is due."""
        self._periodic_steps.wake()

    async def promote(self) -> float:
        """Promote one batch of due jobs; return the seconds until more may be due, 0 if more may be due now.

        Raises:
            BackendError: The backend failed.
        """
        return await self._promoter.step()

    async def enqueue_periodic(self) -> float:
        """Serve the periodic tasks once: this app's, and those of all apps if this scheduler leads.

        A leader also searches for delayed jobs that other programs stored without a due time in the schedule.

        Returns:
            Seconds until the next step.

        Raises:
            BackendError: The backend failed.
        """
        if self.leader:
            await self._adoption.step()
        return await self._periodic.step(leads=lambda: self.leader)

    async def seek_lead(self) -> bool:
        """Acquire or renew the leader lease unless another scheduler holds it; return whether this one leads.

        Raises:
            BackendError: The backend failed.
        """
        lease, started = self.settings.leader_lock_timeout, self._clock()
        self._emit_leader(leads=self._announced_leader and self.leader)
        leads = await self._backend.lead(self.name, lease)
        self._leads_until = started + lease if leads else 0.0
        self._emit_leader(leads=leads)
        return leads

    async def _renew_lead(self) -> float:
        try:
            await self.seek_lead()
        finally:
            # Also after an error: the lease may have expired meanwhile.
            self._emit_leader(leads=self._announced_leader and self.leader)
        return self._lead_interval

    def _emit_leader(self, *, leads: bool) -> None:
        """Emit an event if this scheduler became the leader or lost the lease."""
        if leads is self._announced_leader:
            return
        self._announced_leader = leads
        self._emitter.emit(SchedulerLeader(self.name) if leads else SchedulerLeaderLost(self.name))
        if leads:
            self.request_periodic()

    def _loop(
        self, step: Callable[[], Awaitable[float]], name: str, max_retry_delay: float = math.inf
    ) -> BackgroundLoop:
        return BackgroundLoop(
            step,
            name=name,
            owner=self.name,
            outage=self._outage,
            backoff=self.context.rest(),
            max_retry_delay=max_retry_delay,
        )
