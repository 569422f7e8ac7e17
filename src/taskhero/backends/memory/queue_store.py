"""Hold the queues and their jobs."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from taskhero.backends.memory.wakeup_queue import WakeupQueue

__all__ = ["QueueStore", "slice_of"]


def slice_of(items: Collection[str], start: int, stop: int) -> list[str]:
    """Return the items from *start* to *stop*, both included. Negative positions count from the end."""
    length = len(items)
    first = max(start + length if start < 0 else start, 0)
    last = min(stop + length if stop < 0 else stop, length - 1)
    return list(islice(items, first, last + 1)) if first <= last else []


class QueueStore:
    """All known queues.

    Args:
        wakeups: Receives a signal when a queue has new jobs, and is cleared when it has none left.
    """

    def __init__(self, wakeups: WakeupQueue) -> None:
        self._wakeups = wakeups
        #: The payloads of each known queue, the next one first.
        self.payloads: dict[str, deque[str]] = {}

    def put(self, queue: str, raw: str, *, front: bool = False) -> None:
        """Store a payload without a wake-up."""
        payloads = self.payloads.get(queue)
        if payloads is None:
            payloads = self.payloads[queue] = deque()
        if front:
            payloads.appendleft(raw)
        else:
            payloads.append(raw)

    def release(self, queue: str, raw: str) -> None:
        """Return a payload to the front, and wake one process that waits for the queue."""
        self.put(queue, raw, front=True)
        self._wakeups.signal(queue)

    def notify(self, queue: str) -> None:
        """Wake one process that waits for the queue, if it holds jobs."""
        if self.payloads.get(queue):
            self._wakeups.signal(queue)

    def remove(self, queue: str, raw: str, count: int) -> int:
        """Remove payloads that are equal to *raw*. See `Backend.remove`."""
        payloads = self.payloads.get(queue)
        found = payloads.count(raw) if payloads else 0
        if not payloads or not found:
            return 0
        remaining = found if count == 0 else min(abs(count), found)
        removed = remaining
        kept: deque[str] = deque()
        for payload in reversed(payloads) if count < 0 else payloads:
            if remaining and payload == raw:
                remaining -= 1
            else:
                kept.append(payload)
        if count < 0:
            kept.reverse()
        self.payloads[queue] = kept
        if not kept:
            self._wakeups.clear(queue)
        return removed

    def forget(self, queue: str) -> int:
        """Delete a queue, and return the number of jobs that it held."""
        self._wakeups.clear(queue)
        return len(self.payloads.pop(queue, ()))
