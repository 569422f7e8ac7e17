"""Waiting for jobs without asking for them again and again.

A push leaves one wake-up in a list of its queue, and of all processes that wait for it one gets it. One process of
the namespace, the sentry, is told by Redis itself of pushes by other programs, which leave no wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from redis import exceptions as redis_errors

from taskhero.backends.protocol import Wake
from taskhero.backends.redis.commands.base import Part, to_bytes
from taskhero.backends.redis.notify.blocking_listener import Line
from taskhero.backends.redis.notify.tracking_listener import Sentry
from taskhero.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Interest, Process
    from taskhero.backends.redis.connection.manager import Link

__all__ = ["Waiting", "Waking"]

SEAT_LEASE = 15.0
SEAT_RENEWAL = 5.0
# How long a process may take to wait again before a push that it heard of is somebody else's.
_ABSENCE = 0.02

_BROKEN = (redis_errors.RedisError, OSError, TimeoutError)


class Waiting:
    """How one process waits: in line, or as the sentry."""

    def __init__(self, process: Process, link: Link, on_heard: Callable[[Waiting], None]) -> None:
        self.process = process
        self.generation = link.generation
        self.line = Line(link)
        self.sentry = Sentry(link, lambda: on_heard(self))
        self.seat_until = 0.0
        self.next_try = 0.0
        self.present = False
        #: A wake-up for the schedule came in line, and nobody has been told of it.
        self.owes_schedule = False
        self.departure: asyncio.Task[None] | None = None
        self.queues: tuple[str, ...] = ()

    async def close(self) -> None:
        """Drop both connections, for good."""
        self.line.ended = True
        try:
            await self.sentry.close()
        finally:
            await self.line.close()


class Waking(Part):
    """The verbs of waiting."""

    _waits: dict[str, Waiting]
    _departures: set[asyncio.Task[None]]
    _tracking: bool

    async def wait(self, process: Process, interest: Interest, timeout: float) -> Wake:
        """See `Backend.wait`."""
        waiting = self._waits.get(process.name)
        if waiting is None:
            waiting = self._waits[process.name] = Waiting(process, self._link, self._heard)
        if waiting.departure is not None:
            await asyncio.wait({waiting.departure})
        wants_jobs = bool(interest.queues) or interest.everything
        if wants_jobs:
            waiting.present, waiting.queues = True, interest.queues
        try:
            if self._has_moved(waiting):
                return Wake(jobs=wants_jobs, schedule=interest.schedule)
            if wants_jobs and await self._has_seat(waiting):
                if waiting.line.ended:
                    # Closed while it took the seat.
                    await waiting.close()
                    return Wake()
                return await self._wait_as_sentry(waiting, interest, timeout)
            return await self._wait_in_line(waiting, interest, timeout)
        except BackendUnavailable:
            if not self._has_moved(waiting):
                raise
            return Wake(jobs=wants_jobs, schedule=interest.schedule)
        finally:
            waiting.present = False

    def _has_moved(self, waiting: Waiting) -> bool:
        """Whether the server moved since the last wait: what came to its new place meanwhile left no wake-up here."""
        before, waiting.generation = waiting.generation, self._link.generation
        return before != waiting.generation

    async def notify(self, queues: Sequence[str]) -> None:
        """See `Backend.notify`."""
        if queues:
            keys = [key for queue in queues for key in (self._keys.queue(queue), self._keys.wake(queue))]
            await self._run("notify", keys, ())

    # in line

    async def _wait_in_line(self, waiting: Waiting, interest: Interest, timeout: float) -> Wake:
        keys = [self._keys.wake(queue) for queue in interest.queues]
        if interest.everything:
            keys.append(self._keys.wake_new)
        if self._tracking and keys:
            keys.append(self._seat_free)
        if interest.schedule:
            keys.append(self._keys.wake_schedule)
        if not keys:
            await asyncio.sleep(timeout)
            return Wake()
        key = await waiting.line.wait(tuple(keys), timeout)
        if key == self._seat_free:
            waiting.next_try = 0.0
            return Wake(jobs=True)
        schedule = key == self._keys.wake_schedule
        return Wake(jobs=key is not None and not schedule, schedule=schedule)

    # as the sentry

    @property
    def _seat_free(self) -> str:
        return self._keys.named("taskhero:wake-sentry")

    async def _has_seat(self, waiting: Waiting) -> bool:
        """Whether this process is the sentry, or is now."""
        if not self._tracking:
            return False
        now = asyncio.get_running_loop().time()
        if waiting.sentry.active and now < waiting.seat_until - SEAT_LEASE + SEAT_RENEWAL:
            return True
        if now < waiting.next_try:
            return False
        waiting.next_try = now + SEAT_RENEWAL
        arguments = (self._now(), waiting.process.name, int(SEAT_LEASE * 1000))
        try:
            leads = await self._run("lead", (self._keys.sentry,), arguments)
        except BaseException:
            # It may have the seat now: then nobody else can take it.
            waiting.next_try = 0.0
            raise
        if not leads:
            await waiting.sentry.close()
            return False
        waiting.seat_until, waiting.next_try = now + SEAT_LEASE, 0.0
        if waiting.sentry.active:
            waiting.sentry.check()
            return True
        try:
            self._tracking = await waiting.sentry.open()
        except _BROKEN as error:
            raise BackendUnavailable(f"cannot reach Redis at {self._link.location}: {error}") from error
        if self._tracking:
            # It waits by other means now. They show at once that there are jobs, but not that the schedule has changed.
            if await waiting.line.leave() == self._keys.wake_schedule:
                waiting.owes_schedule = True
            await waiting.line.close()
        else:
            await self._leave_seat(waiting)
        return self._tracking

    async def _wait_as_sentry(self, waiting: Waiting, interest: Interest, timeout: float) -> Wake:
        if waiting.owes_schedule and interest.schedule:
            waiting.owes_schedule = False
            return Wake(schedule=True)
        sentry = waiting.sentry
        queues = [self._keys.queue(queue) for queue in interest.queues]
        names = self._keys.queues if interest.everything else None
        schedule = self._keys.wake_schedule if interest.schedule else None
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                wake = await sentry.watch(queues, names, schedule)
            except _BROKEN as error:
                await sentry.follow(error)
                raise BackendUnavailable(f"the wait at Redis {self._link.location} broke: {error}") from error
            if wake.schedule:
                # The wake-up is taken last, so that one who is cancelled leaves it for the next wait.
                sentry.doubt()
                await self._link.call("LPOP", self._keys.wake_schedule)
            if wake.jobs or wake.schedule:
                return wake
            if not await sentry.listen(deadline):
                return Wake()
            if schedule is None or (sentry.changed and to_bytes(schedule) not in sentry.changed):
                # It can only have been a queue; the step that claims finds out as fast as another look would.
                return Wake(jobs=True)

    def _heard(self, waiting: Waiting) -> None:
        if not waiting.present:
            asyncio.get_running_loop().call_later(_ABSENCE, self._still_absent, waiting)

    def _still_absent(self, waiting: Waiting) -> None:
        """A push was heard by a process that is too busy to take it: somebody else has to."""
        if waiting.present or waiting.departure or not waiting.sentry.active or not waiting.sentry.heard:
            return
        waiting.departure = task = asyncio.create_task(self._depart(waiting), name="taskhero-sentry-leaves")
        self._departures.add(task)
        task.add_done_callback(self._departures.discard)

    async def _depart(self, waiting: Waiting) -> None:
        try:
            # If Redis is away, the seat lapses by itself.
            with contextlib.suppress(BackendError):
                await self._leave_seat(waiting)
                await self.notify(waiting.queues)
        finally:
            waiting.departure = None

    async def _leave_seat(self, waiting: Waiting) -> None:
        await waiting.sentry.close()
        waiting.seat_until = 0.0
        await self._run("resign", (self._keys.sentry, self._seat_free), (waiting.process.name, "1"))

    async def _stop_waiting(self, process: Process) -> None:
        """Let go of what a process waits by."""
        waiting = self._waits.pop(process.name, None)
        if waiting is None:
            return
        had_seat = waiting.sentry.active
        await waiting.close()
        if had_seat:
            await self._leave_seat(waiting)
        # It may have been woken for a job that it did not claim any more.
        await self.notify(waiting.queues)
