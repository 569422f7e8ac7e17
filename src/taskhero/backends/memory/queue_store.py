"""The queues and what stands in them."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from taskhero.backends.memory.wakeup_queue import WakeupQueue

__all__ = ["QueueStore", "slice_of"]


def slice_of(texts: Collection[str], start: int, stop: int) -> list[str]:
    """The texts from position *start* to *stop*, both included; negative ones count from the end."""
    length = len(texts)
    first = max(start + length if start < 0 else start, 0)
    last = min(stop + length if stop < 0 else stop, length - 1)
    return list(islice(texts, first, last + 1)) if first <= last else []


class QueueStore:
    """All known queues.

    Args:
        line: Is told when a queue has new jobs, and when it has none any more.
    """

    def __init__(self, line: WakeupQueue) -> None:
        self._wakeups = line
        #: Each known queue's texts, the next one first.
        self.payloads: dict[str, deque[str]] = {}

    def put(self, queue: str, raw: str, *, front: bool = False) -> None:
        """Store a text without telling anybody."""
        payloads = self.payloads.get(queue)
        if payloads is None:
            payloads = self.payloads[queue] = deque()
        if front:
            payloads.appendleft(raw)
        else:
            payloads.append(raw)

    def release(self, queue: str, raw: str) -> None:
        """Put a text to the front, and wake one who waits for it."""
        self.put(queue, raw, front=True)
        self._wakeups.signal(queue)

    def notify(self, queue: str) -> None:
        """Wake one who waits for the queue if it holds jobs."""
        if self.payloads.get(queue):
            self._wakeups.signal(queue)

    def remove(self, queue: str, raw: str, count: int) -> int:
        """Remove texts that are equal to *raw*; see `Backend.remove`."""
        payloads = self.payloads.get(queue)
        found = payloads.count(raw) if payloads else 0
        if not payloads or not found:
            return 0
        left = found if count == 0 else min(abs(count), found)
        removed = left
        kept: deque[str] = deque()
        for text in reversed(payloads) if count < 0 else payloads:
            if left and text == raw:
                left -= 1
            else:
                kept.append(text)
        if count < 0:
            kept.reverse()
        self.payloads[queue] = kept
        if not kept:
            self._wakeups.clear(queue)
        return removed

    def forget(self, queue: str) -> int:
        """Forget a queue; return how many jobs it held."""
        self._wakeups.clear(queue)
        return len(self.payloads.pop(queue, ()))
