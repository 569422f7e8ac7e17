"""A thread that renews the process's lease, so that a task that blocks the event loop does not end the lease."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from taskhero.runtime.worker.lease_watch import LeaseSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, HeartbeatReply, HeldLock, Process

__all__ = ["Heartbeat"]

#: Seconds between two full heartbeats, which also renew the heartbeats that other programs read.
FULL_INTERVAL = 30.0
#: Longest time between two attempts while heartbeats fail, in seconds.
RETRY_INTERVAL = 1.0


class Heartbeat:
    """Calls `Backend.heartbeat` every *interval* seconds from its own thread.

    Replies are passed to the event loop in which `start` was called. No error ends the thread.

    Args:
        backend: The store of the lease.
        process: The process whose lease is renewed.
        interval: Seconds between two heartbeats.
        lease: Length of the lease in seconds, counted from when another process sees its last renewal.
        slots: Returns the slots to name in a heartbeat. Called in the thread.
        locks: Returns the locks to renew. Called in the thread.
        on_reply: Called in the event loop with each reply and the slots that the heartbeat named.
        on_leases: Called in the event loop with the leases of other processes in each reply.
        on_error: Called in the event loop with the error of a failed heartbeat.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        process: Process,
        interval: float,
        lease: float,
        slots: Callable[[], tuple[int, ...]],
        locks: Callable[[], tuple[HeldLock, ...]] = tuple,
        on_reply: Callable[[HeartbeatReply, tuple[int, ...]], None],
        on_leases: Callable[[LeaseSnapshot], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._backend = backend
        self._process = process
        self._interval = interval
        self._lease = lease
        self._slots = slots
        self._locks = locks
        self._on_reply = on_reply
        self._on_leases = on_leases
        self._on_error = on_error
        self._stopping = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Start the thread, with a full heartbeat at once."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"taskhero {self._process.name} heartbeat", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send no heartbeat after the current one. May be called from any thread, and repeatedly."""
        self._stopping = True
        self._wake.set()

    async def stop(self, limit: float) -> bool:
        """Send no heartbeat after the current one, and wait for that one, *limit* seconds at most.

        Returns:
            Whether the thread has ended. A thread that waits for an unreachable backend may end later. It is a daemon
            thread, so it never delays the exit of the program.
        """
        self.end()
        if self._ended is None or self._thread is None:
            return True
        await asyncio.wait({self._ended}, timeout=limit)
        if not self._ended.done():
            return False
        # The loop of the thread is over, so it ends at once.
        self._thread.join(1)
        return True

    def _run(self) -> None:
        next_full = 0.0
        snapshot: LeaseSnapshot | None = None
        while not self._stopping:
            started = time.monotonic()
            self._wake.clear()
            full = started >= next_full
            slots = self._slots()
            if self._stopping:
                break
            try:
                seen = "" if snapshot is None else snapshot.leases.seen
                locks = self._locks()
                reply = self._backend.heartbeat(self._process, slots, self._lease, full=full, locks=locks, seen=seen)
            except Exception as error:  # noqa: BLE001 - without heartbeats the jobs are rescued
                self._call_in_loop(self._on_error, error)
                # Before the next interval: other processes watch the lease.
                self._wake.wait(min(self._interval / 3, RETRY_INTERVAL))
                continue
            if full:
                next_full = started + FULL_INTERVAL
            snapshot = LeaseSnapshot(time.monotonic(), reply.leases, None if snapshot is None else snapshot.at)
            self._call_in_loop(self._on_leases, snapshot)
            self._call_in_loop(self._on_reply, reply, slots)
            self._wake.wait(max(0.0, started + self._interval - time.monotonic()))
        self._call_in_loop(self._end)

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _call_in_loop(self, function: Callable[..., None], *args: object) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            # The event loop is closed, so no job runs and the lease is not needed.
            self._stopping = True
