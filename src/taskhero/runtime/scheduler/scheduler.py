"""The scheduler: promotes delayed jobs and, as leader, serves the periodic tasks of all apps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import attrs

from taskhero._internal.async_helpers import InterruptibleSleep, cancel_and_wait
from taskhero.events import SchedulerEnd, SchedulerLeader, SchedulerLeaderLost, SchedulerStart
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.scheduler.orphan_adoption import OrphanAdoption
from taskhero.runtime.scheduler.periodic_enqueuer import PeriodicEnqueuer
from taskhero.runtime.scheduler.promoter import Promoter

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self._promote_sleep = InterruptibleSleep()
        self._periodic_sleep = InterruptibleSleep()
        self._lead_sleep = InterruptibleSleep()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def leader(self) -> bool:
        """Return whether this scheduler holds the leader lease now."""
        return self._clock() < self._leads_until

    async def start(self) -> None:
        """Start to promote jobs and to request the leader lease."""
        self._listener.on_schedule = self.wake
        self._emitter.emit(SchedulerStart(self.name))
        self._tasks = [
            asyncio.create_task(self._promote(), name=f"taskhero {self.name} promotes"),
            asyncio.create_task(self._lead(), name=f"taskhero {self.name} leads"),
            asyncio.create_task(self._run_periodic(), name=f"taskhero {self.name} enqueues periodic tasks"),
        ]

    async def stop(self) -> None:
        """Stop to promote and release the leader lease. A second call changes nothing."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        self._listener.on_schedule = None
        await cancel_and_wait(tasks)
        self._leads_until = 0.0
        self._emit_leader(leads=False)
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await self._backend.resign(self.name)
        except (Exception, TimeoutError) as error:  # noqa: BLE001 - the lease expires anyway
            self._outage.failed("resigning", error)
        self._emitter.emit(SchedulerEnd(self.name))

    def wake(self) -> None:
        """Start the next promotion at once: a job is due, or an earlier due time was stored."""
        self._promote_sleep.wake()

    def look(self) -> None:
        """Start the next step for periodic tasks at once: a task was declared, or a fire time is due."""
        self._periodic_sleep.wake()

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

    def _emit_leader(self, *, leads: bool) -> None:
        """Emit an event if this scheduler became the leader or lost the lease."""
        if leads is self._announced_leader:
            return
        self._announced_leader = leads
        self._emitter.emit(SchedulerLeader(self.name) if leads else SchedulerLeaderLost(self.name))
        if leads:
            self.look()

    async def _promote(self) -> None:
        backoff = self.context.rest()
        while True:
            try:
                delay = await self.promote()
            except Exception as error:  # noqa: BLE001 - no error ends the scheduler
                self._outage.failed("promoting", error)
                await asyncio.sleep(backoff.next())
                continue
            self._outage.worked("promoting")
            backoff.reset()
            if delay > 0:
                await self._promote_sleep.sleep(delay)
            else:
                # A memory backend never suspends, so the event loop needs a chance to run.
                await asyncio.sleep(0)

    async def _lead(self) -> None:
        interval = self.settings.leader_lock_timeout / 3
        backoff = self.context.rest()
        while True:
            try:
                await self.seek_lead()
            except Exception as error:  # noqa: BLE001 - no error ends the scheduler
                self._outage.failed("leading", error)
                self._emit_leader(leads=self._announced_leader and self.leader)
                await asyncio.sleep(min(backoff.next(), interval))
            else:
                self._outage.worked("leading")
                backoff.reset()
                await self._lead_sleep.sleep(interval)

    async def _run_periodic(self) -> None:
        backoff = self.context.rest()
        while True:
            try:
                delay = await self.enqueue_periodic()
            except Exception as error:  # noqa: BLE001 - no error ends the scheduler
                self._outage.failed("enqueueing periodic tasks", error)
                await asyncio.sleep(backoff.next())
            else:
                self._outage.worked("enqueueing periodic tasks")
                backoff.reset()
                await self._periodic_sleep.sleep(delay)
