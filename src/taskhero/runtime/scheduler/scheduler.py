"""What promotes delayed jobs, and leads all schedulers if no other does."""

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

#: Seconds that giving up the lead takes at most when the scheduler stops.
STOP_LIMIT = 2.0


def _no_guards(_job: Job) -> tuple[Guard, ...]:
    return ()


@attrs.frozen(kw_only=True)
class SchedulerContext:
    """What a `Scheduler` works with.

    Attributes:
        backend: The store of jobs.
        settings: How often it looks, and how long the lease is.
        emitter: Is told what happens.
        name: Its name, as the lease's owner.
        listener: Tells when a job with an earlier moment was delayed.
        outage: Is told how the backend fares.
        guards: Tells what must hold for a job to be queued.
        periodic: The app's periodic tasks, or None if it has none to tell of.
        clock: Tells seconds that only ever grow.
        rest: What bounds the delays after errors.
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
    """Promotes delayed jobs when their moment has come; any number of schedulers may do so side by side.

    One of them leads: it holds a lease that it renews, and that another one takes over when it runs out. The leader
    sees to the periodic tasks of all apps on the store. No error ends the scheduler.

    To change it, derive from it and give the class to the app, ``TaskHero(scheduler=MyScheduler)``.

    Args:
        context: What it works with.
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
        # Until when the lease holds, by our own clock, which started to count before the backend's did.
        self._leads_until = 0.0
        self._announced_leader = False
        self._periodic = PeriodicEnqueuer(
            backend=context.backend, emitter=context.emitter, owner=context.name, admin=context.periodic
        )
        self._adoption = OrphanAdoption(context.backend, context.clock)
        self._asleep = InterruptibleSleep()
        self._resting = InterruptibleSleep()
        self._leading = InterruptibleSleep()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def leader(self) -> bool:
        """Whether this scheduler leads just now."""
        return self._clock() < self._leads_until

    async def start(self) -> None:
        """Start to promote, and to seek the lead."""
        self._listener.on_schedule = self.wake
        self._emitter.emit(SchedulerStart(self.name))
        self._tasks = [
            asyncio.create_task(self._promote(), name=f"taskhero {self.name} promotes"),
            asyncio.create_task(self._lead(), name=f"taskhero {self.name} leads"),
            asyncio.create_task(self._run_periodic(), name=f"taskhero {self.name} keeps periodic tasks going"),
        ]

    async def stop(self) -> None:
        """Promote no more and give up the lead; a second call changes nothing."""
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
        except (Exception, TimeoutError) as error:  # noqa: BLE001 - the lease runs out by itself
            self._outage.failed("resigning", error)
        self._emitter.emit(SchedulerEnd(self.name))

    def wake(self) -> None:
        """There may be something to promote, or an earlier moment to wait for."""
        self._asleep.wake()

    def look(self) -> None:
        """There may be something to do for periodic tasks: a new one is declared, or the time of a slot has come."""
        self._resting.wake()

    async def promote(self) -> float:
        """Promote one batch of what is due; return the seconds until there may be more, 0 if there may be at once.

        Raises:
            BackendError: The backend could not do it.
        """
        return await self._promoter.step()

    async def enqueue_periodic(self) -> float:
        """See to the periodic tasks once: this app's, and those of all apps if this scheduler leads.

        A leader also looks for delayed jobs that other programs left without their moments.

        Returns:
            Seconds until it is to be done again.

        Raises:
            BackendError: The backend could not do it.
        """
        if self.leader:
            await self._adoption.step()
        return await self._periodic.step(leads=lambda: self.leader)

    async def seek_lead(self) -> bool:
        """Become or stay the leader, if no other leads; return whether this scheduler leads now.

        Raises:
            BackendError: The backend could not tell.
        """
        lease, begun = self.settings.leader_lock_timeout, self._clock()
        self._emit_leader(leads=self._announced_leader and self.leader)
        leads = await self._backend.lead(self.name, lease)
        self._leads_until = begun + lease if leads else 0.0
        self._emit_leader(leads=leads)
        return leads

    def _emit_leader(self, *, leads: bool) -> None:
        """Tell when it changes whether this scheduler leads."""
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
                await self._asleep.sleep(delay)
            else:
                # A backend in memory never lets go of the event loop.
                await asyncio.sleep(0)

    async def _lead(self) -> None:
        every = self.settings.leader_lock_timeout / 3
        backoff = self.context.rest()
        while True:
            try:
                await self.seek_lead()
            except Exception as error:  # noqa: BLE001 - no error ends the scheduler
                self._outage.failed("leading", error)
                self._emit_leader(leads=self._announced_leader and self.leader)
                await asyncio.sleep(min(backoff.next(), every))
            else:
                self._outage.worked("leading")
                backoff.reset()
                await self._leading.sleep(every)

    async def _run_periodic(self) -> None:
        backoff = self.context.rest()
        while True:
            try:
                delay = await self.enqueue_periodic()
            except Exception as error:  # noqa: BLE001 - no error ends the scheduler
                self._outage.failed("keeping", error)
                await asyncio.sleep(backoff.next())
            else:
                self._outage.worked("keeping")
                backoff.reset()
                await self._resting.sleep(delay)
