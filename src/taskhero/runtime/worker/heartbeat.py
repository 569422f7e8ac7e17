"""A thread that renews the process's lease, so that a task which hogs the event loop is not taken for dead."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from taskhero.runtime.worker.lease_watch import Look

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, HeartbeatReply, HeldLock, Process

__all__ = ["Heartbeat"]

#: Seconds between two beats that also renew what other programs take for a sign of life.
FULL_INTERVAL = 30.0
#: Seconds between two tries at most while beats fail.
RETRY_INTERVAL = 1.0


class Heartbeat:
    """Calls `Backend.heartbeat` every *interval* seconds from a thread of its own.

    What a beat says is handed to the event loop in which the heart was started. No error ends it.

    Args:
        backend: Where the lease lies.
        process: The process that is to stay alive.
        interval: Seconds between two beats.
        lease: Seconds after which others may take the process for dead, from when they see the last beat.
        slots: Tells, in the heart's thread, which slots the beat is to name.
        locks: Tells, in the heart's thread, which locks the beat is to renew.
        on_reply: Called in the event loop with each answer and the slots that were named in the beat.
        on_look: Called in the event loop with the leases of other processes that each answer shows.
        on_error: Called in the event loop with the error of a beat that failed.
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
        on_look: Callable[[Look], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._backend = backend
        self._process = process
        self._interval = interval
        self._lease = lease
        self._slots = slots
        self._locks = locks
        self._on_reply = on_reply
        self._on_look = on_look
        self._on_error = on_error
        self._stopping = False
        self._full = True
        self._nudge = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Start to beat, at once and in full."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"taskhero {self._process.name} heart", daemon=True)
        self._thread.start()

    def request_full(self) -> None:
        """Beat in full as soon as possible; may be called from any thread."""
        self._full = True
        self._nudge.set()

    def end(self) -> None:
        """Beat no more after the beat that is under way; may be called from any thread, and again."""
        self._stopping = True
        self._nudge.set()

    async def stop(self, limit: float) -> bool:
        """Beat no more, and wait for the beat that is under way, *limit* seconds at most.

        Returns:
            Whether the thread has ended; one that waits for an unreachable backend may end later. A daemon thread, it
            never holds up the program's exit.
        """
        self.end()
        if self._ended is None or self._thread is None:
            return True
        await asyncio.wait({self._ended}, timeout=limit)
        if not self._ended.done():
            return False
        # It has nothing left to do but to end.
        self._thread.join(1)
        return True

    def _run(self) -> None:
        next_full = 0.0
        looked: Look | None = None
        while not self._stopping:
            begun = time.monotonic()
            self._nudge.clear()
            full, self._full = self._full or begun >= next_full, False
            slots = self._slots()
            if self._stopping:
                break
            try:
                seen = "" if looked is None else looked.leases.seen
                locks = self._locks()
                beat = self._backend.heartbeat(self._process, slots, self._lease, full=full, locks=locks, seen=seen)
            except Exception as error:  # noqa: BLE001 - a heart that stops kills its process's jobs
                self._full = self._full or full
                self._call_in_loop(self._on_error, error)
                # Sooner than usual: others watch the lease meanwhile.
                self._nudge.wait(min(self._interval / 3, RETRY_INTERVAL))
                continue
            if full:
                next_full = begun + FULL_INTERVAL
            looked = Look(time.monotonic(), beat.leases, None if looked is None else looked.at)
            self._call_in_loop(self._on_look, looked)
            self._call_in_loop(self._on_reply, beat, slots)
            self._nudge.wait(max(0.0, begun + self._interval - time.monotonic()))
        self._call_in_loop(self._end)

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _call_in_loop(self, call: Callable[..., None], *args: object) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            # The event loop is closed: there is nobody left to tell, nor anything to keep alive.
            self._stopping = True
