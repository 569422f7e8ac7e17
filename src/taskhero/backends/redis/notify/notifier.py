"""Implement `Backend.wait` and `Backend.notify`.

A push leaves one wake-up in the wake list of its queue, and one of the processes that wait for it receives it. Pushes
of other programs leave no wake-up. One process of the namespace, the holder of the tracking lease, notices them.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from redis import exceptions as redis_errors

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.protocol import Wakeup
from taskhero.backends.redis.conversions import to_bytes
from taskhero.backends.redis.notify.blocking_listener import BlockingListener
from taskhero.backends.redis.notify.tracking_listener import TrackingListener
from taskhero.backends.redis.scripts import ScriptCall
from taskhero.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Process, Subscription
    from taskhero.backends.redis.connection.connection_manager import ConnectionManager
    from taskhero.backends.redis.store import Store

__all__ = ["Notifier", "ProcessListener"]

#: The length of the tracking lease, and the interval of its renewals, in seconds.
TRACKING_LEASE = 15.0
TRACKING_RENEWAL = 5.0
#: Seconds within which the tracking process must wait again after a push. Otherwise it releases the lease.
_MAX_ABSENCE = 0.02

_BROKEN = (redis_errors.RedisError, OSError, TimeoutError)


class ProcessListener:
    """The listeners of one process, blocking and tracking, and the state of its wait.

    Attributes:
        process: The process that waits.
        generation: The generation of the server's address at the last wait.
        tracking_lease_ends: The event loop's time at which the tracking lease ends.
        next_attempt: The event loop's time of the next attempt to acquire the tracking lease.
        waiting: Whether the process waits for jobs now.
        has_schedule_wakeup: Whether the blocking listener received a wake-up for the schedule that no wait returned.
        handover: The task that releases the tracking lease, or None.
        queues: The queues of the last wait.
    """

    def __init__(
        self, process: Process, connections: ConnectionManager, on_invalidated: Callable[[ProcessListener], None]
    ) -> None:
        self.process = process
        self.generation = connections.generation
        self.blocking = BlockingListener(connections)
        self.tracking = TrackingListener(connections, lambda: on_invalidated(self))
        self.tracking_lease_ends = 0.0
        self.next_attempt = 0.0
        self.waiting = False
        self.has_schedule_wakeup = False
        self.handover: asyncio.Task[None] | None = None
        self.queues: tuple[str, ...] = ()

    async def close(self) -> None:
        """Drop both connections. No wait can follow."""
        self.blocking.closed = True
        try:
            await self.tracking.close()
        finally:
            await self.blocking.close()


class Notifier:
    """The verbs `wait` and `notify`, and the processes that wait.

    Args:
        can_track: Whether the server may support CLIENT TRACKING.

    Attributes:
        listeners: The listeners of each process that has waited, by its name.
        can_track: False if all processes must block, because the server refuses to track.
    """

    def __init__(self, store: Store, *, can_track: bool = True) -> None:
        self._store = store
        self._connections = store.connections
        self._run = store.connections.run_script
        self._keys = store.keys
        self.listeners: dict[str, ProcessListener] = {}
        self.can_track = self._may_track = can_track
        self._handovers: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """Forget all listeners, such as those of an event loop that is closed."""
        self.listeners, self._handovers, self.can_track = {}, set(), self._may_track

    async def close(self) -> None:
        """End all waits."""
        listeners = list(self.listeners.values())
        await cancel_and_wait([*self._handovers])
        for listener in listeners:
            await listener.close()
        self.reset()

    async def wait(self, process: Process, subscription: Subscription, timeout: float) -> Wakeup:
        """See `Backend.wait`."""
        listener = self.listeners.get(process.name)
        if listener is None:
            listener = self.listeners[process.name] = ProcessListener(process, self._connections, self._on_invalidated)
        if listener.handover is not None:
            await asyncio.wait({listener.handover})
        wants_jobs = bool(subscription.queues) or subscription.all_queues
        if wants_jobs:
            listener.waiting, listener.queues = True, subscription.queues
        try:
            if self._has_moved(listener):
                return Wakeup(jobs=wants_jobs, schedule=subscription.schedule)
            if wants_jobs and await self._acquire_tracking_lease(listener):
                if listener.blocking.closed:
                    # Closed while it acquired the tracking lease.
                    await listener.close()
                    return Wakeup()
                return await self._wait_tracking(listener, subscription, timeout)
            return await self._wait_blocking(listener, subscription, timeout)
        except BackendUnavailable:
            if not self._has_moved(listener):
                raise
            return Wakeup(jobs=wants_jobs, schedule=subscription.schedule)
        finally:
            listener.waiting = False

    def _has_moved(self, listener: ProcessListener) -> bool:
        """Return whether the server moved since the last wait. Wake-ups may have been missed then."""
        before, listener.generation = listener.generation, self._connections.generation
        return before != listener.generation

    async def notify(self, queues: Sequence[str]) -> None:
        """See `Backend.notify`."""
        if queues:
            call = ScriptCall("notify")
            call.number(len(queues))
            for queue in queues:
                call.key(self._keys.queue(queue), self._keys.wake(queue))
            await self._run(call)

    # blocking

    async def _wait_blocking(self, listener: ProcessListener, subscription: Subscription, timeout: float) -> Wakeup:
        keys = [self._keys.wake(queue) for queue in subscription.queues]
        if subscription.all_queues:
            keys.append(self._keys.wake_new)
        if self.can_track and keys:
            keys.append(self._tracking_lease_free)
        if subscription.schedule:
            keys.append(self._keys.wake_schedule)
        if not keys:
            await asyncio.sleep(timeout)
            return Wakeup()
        key = await listener.blocking.wait(tuple(keys), timeout)
        if key == self._tracking_lease_free:
            listener.next_attempt = 0.0
            return Wakeup(jobs=True)
        schedule = key == self._keys.wake_schedule
        jobs = key is not None and not schedule
        return Wakeup(jobs, schedule, only_named=jobs and key != self._keys.wake_new)

    # tracking

    @property
    def _tracking_lease_free(self) -> str:
        return self._keys.named("taskhero:wake-sentry")

    async def _acquire_tracking_lease(self, listener: ProcessListener) -> bool:
        """Acquire or renew the tracking lease. Return whether this process holds it and tracks."""
        if not self.can_track:
            return False
        now = asyncio.get_running_loop().time()
        if listener.tracking.active and now < listener.tracking_lease_ends - TRACKING_LEASE + TRACKING_RENEWAL:
            return True
        if now < listener.next_attempt:
            return False
        listener.next_attempt = now + TRACKING_RENEWAL
        call = ScriptCall("acquire_lease", self._keys.tracking_lease)
        call.text(self._store.script_now(), listener.process.name)
        call.number(int(TRACKING_LEASE * 1000))
        try:
            leads = await self._run(call)
        except BaseException:
            # It may hold the lease now, and no other process can acquire it then: retry at once.
            listener.next_attempt = 0.0
            raise
        if not leads:
            await listener.tracking.close()
            return False
        listener.tracking_lease_ends, listener.next_attempt = now + TRACKING_LEASE, 0.0
        if listener.tracking.active:
            listener.tracking.check()
            return True
        try:
            self.can_track = await listener.tracking.open()
        except _BROKEN as error:
            raise BackendUnavailable(f"cannot reach Redis at {self._connections.location}: {error}") from error
        if self.can_track:
            # The first `track` reports waiting jobs, but not a wake-up for the schedule that BLPOP has removed.
            if await listener.blocking.stop() == self._keys.wake_schedule:
                listener.has_schedule_wakeup = True
            await listener.blocking.close()
        else:
            await self._release_tracking_lease(listener)
        return self.can_track

    async def _wait_tracking(self, listener: ProcessListener, subscription: Subscription, timeout: float) -> Wakeup:
        if listener.has_schedule_wakeup and subscription.schedule:
            listener.has_schedule_wakeup = False
            return Wakeup(schedule=True)
        tracking = listener.tracking
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
                # The wake-up is removed last, so that a cancelled wait leaves it for the next one.
                tracking.invalidate()
                await self._connections.call("LPOP", self._keys.wake_schedule)
            if wake.jobs or wake.schedule:
                return wake
            if not await tracking.listen(deadline):
                return Wakeup()
            if schedule is None or (tracking.changed and to_bytes(schedule) not in tracking.changed):
                # Only a queue can have changed. The claim finds that out as fast as another query.
                changed = tracking.changed
                return Wakeup(jobs=True, only_named=bool(changed and to_bytes(self._keys.queues) not in changed))

    def _on_invalidated(self, listener: ProcessListener) -> None:
        if not listener.waiting:
            asyncio.get_running_loop().call_later(_MAX_ABSENCE, self._release_if_absent, listener)

    def _release_if_absent(self, listener: ProcessListener) -> None:
        """Release the tracking lease if this process does not wait again: it is too busy to claim the job."""
        if listener.waiting or listener.handover or not listener.tracking.active or not listener.tracking.invalidated:
            return
        listener.handover = task = asyncio.create_task(self._hand_over(listener), name="taskhero-release-tracking")
        self._handovers.add(task)
        task.add_done_callback(self._handovers.discard)

    async def _hand_over(self, listener: ProcessListener) -> None:
        try:
            # If Redis is away, the lease expires.
            with contextlib.suppress(BackendError):
                await self._release_tracking_lease(listener)
                await self.notify(listener.queues)
        finally:
            listener.handover = None

    async def _release_tracking_lease(self, listener: ProcessListener) -> None:
        await listener.tracking.close()
        listener.tracking_lease_ends = 0.0
        call = ScriptCall("release_lease", self._keys.tracking_lease)
        call.text(listener.process.name)
        call.key_list([self._tracking_lease_free])
        await self._run(call)

    async def stop_waiting(self, process: Process) -> None:
        """Close the listeners of a process, and release its tracking lease."""
        listener = self.listeners.pop(process.name, None)
        if listener is None:
            return
        had_lease = listener.tracking.active
        await listener.close()
        if had_lease:
            await self._release_tracking_lease(listener)
        # It may have received a wake-up for a job that it did not claim.
        await self.notify(listener.queues)
