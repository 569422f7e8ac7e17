"""Waiting for jobs without asking for them again and again.

A push leaves one wake-up in a list of its queue, and of all processes that wait for it one gets it. One process of
the namespace, the sentry, is told by Redis itself of pushes by other programs, which leave no wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from redis import exceptions as redis_errors

from taskhero.backends.protocol import Wakeup
from taskhero.backends.redis.commands.command_group import RedisCommands, to_bytes
from taskhero.backends.redis.notify.blocking_listener import BlockingListener
from taskhero.backends.redis.notify.tracking_listener import TrackingListener
from taskhero.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Process, Subscription
    from taskhero.backends.redis.connection.connection_manager import ConnectionManager

__all__ = ["Notifier", "ProcessListener"]

TRACKING_LEASE = 15.0
TRACKING_RENEWAL = 5.0
# How long a process may take to wait again before a push that it heard of is somebody else's.
_RETURN_TIME = 0.02

_BROKEN = (redis_errors.RedisError, OSError, TimeoutError)


class ProcessListener:
    """How one process waits: in line, or as the sentry."""

    def __init__(
        self, process: Process, connections: ConnectionManager, on_invalidated: Callable[[ProcessListener], None]
    ) -> None:
        self.process = process
        self.generation = connections.generation
        self.blocking = BlockingListener(connections)
        self.tracking = TrackingListener(connections, lambda: on_invalidated(self))
        self.tracking_lease_ends = 0.0
        self.next_try = 0.0
        self.present = False
        #: A wake-up for the schedule came in line, and nobody has been told of it.
        self.has_schedule_wakeup = False
        self.departure: asyncio.Task[None] | None = None
        self.queues: tuple[str, ...] = ()

    async def close(self) -> None:
        """Drop both connections, for good."""
        self.blocking.ended = True
        try:
            await self.tracking.close()
        finally:
            await self.blocking.close()


class Notifier(RedisCommands):
    """The verbs of waiting."""

    _waits: dict[str, ProcessListener]
    _departures: set[asyncio.Task[None]]
    _tracking: bool

    async def wait(self, process: Process, subscription: Subscription, timeout: float) -> Wakeup:
        """See `Backend.wait`."""
        waiting = self._waits.get(process.name)
        if waiting is None:
            waiting = self._waits[process.name] = ProcessListener(process, self._connections, self._on_invalidated)
        if waiting.departure is not None:
            await asyncio.wait({waiting.departure})
        wants_jobs = bool(subscription.queues) or subscription.all_queues
        if wants_jobs:
            waiting.present, waiting.queues = True, subscription.queues
        try:
            if self._has_moved(waiting):
                return Wakeup(jobs=wants_jobs, schedule=subscription.schedule)
            if wants_jobs and await self._acquire_tracking_lease(waiting):
                if waiting.blocking.ended:
                    # Closed while it took the seat.
                    await waiting.close()
                    return Wakeup()
                return await self._wait_tracking(waiting, subscription, timeout)
            return await self._wait_blocking(waiting, subscription, timeout)
        except BackendUnavailable:
            if not self._has_moved(waiting):
                raise
            return Wakeup(jobs=wants_jobs, schedule=subscription.schedule)
        finally:
            waiting.present = False

    def _has_moved(self, waiting: ProcessListener) -> bool:
        """Whether the server moved since the last wait: what came to its new place meanwhile left no wake-up here."""
        before, waiting.generation = waiting.generation, self._connections.generation
        return before != waiting.generation

    async def notify(self, queues: Sequence[str]) -> None:
        """See `Backend.notify`."""
        if queues:
            keys = [key for queue in queues for key in (self._keys.queue(queue), self._keys.wake(queue))]
            await self._run("notify", keys, ())

    # in line

    async def _wait_blocking(self, waiting: ProcessListener, subscription: Subscription, timeout: float) -> Wakeup:
        keys = [self._keys.wake(queue) for queue in subscription.queues]
        if subscription.all_queues:
            keys.append(self._keys.wake_new)
        if self._tracking and keys:
            keys.append(self._tracking_lease_free)
        if subscription.schedule:
            keys.append(self._keys.wake_schedule)
        if not keys:
            await asyncio.sleep(timeout)
            return Wakeup()
        key = await waiting.blocking.wait(tuple(keys), timeout)
        if key == self._tracking_lease_free:
            waiting.next_try = 0.0
            return Wakeup(jobs=True)
        schedule = key == self._keys.wake_schedule
        return Wakeup(jobs=key is not None and not schedule, schedule=schedule)

    # as the sentry

    @property
    def _tracking_lease_free(self) -> str:
        return self._keys.named("taskhero:wake-sentry")

    async def _acquire_tracking_lease(self, waiting: ProcessListener) -> bool:
        """Whether this process is the sentry, or is now."""
        if not self._tracking:
            return False
        now = asyncio.get_running_loop().time()
        if waiting.tracking.active and now < waiting.tracking_lease_ends - TRACKING_LEASE + TRACKING_RENEWAL:
            return True
        if now < waiting.next_try:
            return False
        waiting.next_try = now + TRACKING_RENEWAL
        arguments = (self._now(), waiting.process.name, int(TRACKING_LEASE * 1000))
        try:
            leads = await self._run("lead", (self._keys.tracking_lease,), arguments)
        except BaseException:
            # It may have the seat now: then nobody else can take it.
            waiting.next_try = 0.0
            raise
        if not leads:
            await waiting.tracking.close()
            return False
        waiting.tracking_lease_ends, waiting.next_try = now + TRACKING_LEASE, 0.0
        if waiting.tracking.active:
            waiting.tracking.check()
            return True
        try:
            self._tracking = await waiting.tracking.open()
        except _BROKEN as error:
            raise BackendUnavailable(f"cannot reach Redis at {self._connections.location}: {error}") from error
        if self._tracking:
            # It waits by other means now. They show at once that there are jobs, but not that the schedule has changed.
            if await waiting.blocking.leave() == self._keys.wake_schedule:
                waiting.has_schedule_wakeup = True
            await waiting.blocking.close()
        else:
            await self._release_tracking_lease(waiting)
        return self._tracking

    async def _wait_tracking(self, waiting: ProcessListener, subscription: Subscription, timeout: float) -> Wakeup:
        if waiting.has_schedule_wakeup and subscription.schedule:
            waiting.has_schedule_wakeup = False
            return Wakeup(schedule=True)
        tracking = waiting.tracking
        queues = [self._keys.queue(queue) for queue in subscription.queues]
        names = self._keys.queues if subscription.all_queues else None
        schedule = self._keys.wake_schedule if subscription.schedule else None
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                wake = await tracking.track(queues, names, schedule)
            except _BROKEN as error:
                await tracking.follow(error)
                raise BackendUnavailable(f"the wait at Redis {self._connections.location} broke: {error}") from error
            if wake.schedule:
                # The wake-up is taken last, so that one who is cancelled leaves it for the next wait.
                tracking.invalidate()
                await self._connections.call("LPOP", self._keys.wake_schedule)
            if wake.jobs or wake.schedule:
                return wake
            if not await tracking.listen(deadline):
                return Wakeup()
            if schedule is None or (tracking.changed and to_bytes(schedule) not in tracking.changed):
                # It can only have been a queue; the step that claims finds out as fast as another look would.
                return Wakeup(jobs=True)

    def _on_invalidated(self, waiting: ProcessListener) -> None:
        if not waiting.present:
            asyncio.get_running_loop().call_later(_RETURN_TIME, self._still_absent, waiting)

    def _still_absent(self, waiting: ProcessListener) -> None:
        """A push was heard by a process that is too busy to take it: somebody else has to."""
        if waiting.present or waiting.departure or not waiting.tracking.active or not waiting.tracking.invalidated:
            return
        waiting.departure = task = asyncio.create_task(self._depart(waiting), name="taskhero-sentry-leaves")
        self._departures.add(task)
        task.add_done_callback(self._departures.discard)

    async def _depart(self, waiting: ProcessListener) -> None:
        try:
            # If Redis is away, the seat lapses by itself.
            with contextlib.suppress(BackendError):
                await self._release_tracking_lease(waiting)
                await self.notify(waiting.queues)
        finally:
            waiting.departure = None

    async def _release_tracking_lease(self, waiting: ProcessListener) -> None:
        await waiting.tracking.close()
        waiting.tracking_lease_ends = 0.0
        await self._run("resign", (self._keys.tracking_lease, self._tracking_lease_free), (waiting.process.name, "1"))

    async def _stop_waiting(self, process: Process) -> None:
        """Let go of what a process waits by."""
        waiting = self._waits.pop(process.name, None)
        if waiting is None:
            return
        had_seat = waiting.tracking.active
        await waiting.close()
        if had_seat:
            await self._release_tracking_lease(waiting)
        # It may have been woken for a job that it did not claim any more.
        await self.notify(waiting.queues)
