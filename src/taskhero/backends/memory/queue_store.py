"""The queues and what stands in them."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from taskhero.backends.memory.wakeup_queue import Line

__all__ = ["Queues", "part_of"]


def part_of(texts: Collection[str], start: int, stop: int) -> list[str]:
    """The texts from position *start* to *stop*, both included; negative ones count from the end."""
    length = len(texts)
    first = max(start + length if start < 0 else start, 0)
    last = min(stop + length if stop < 0 else stop, length - 1)
    return list(islice(texts, first, last + 1)) if first <= last else []


class Queues:
    """All known queues.

    Args:
        line: Is told when a queue has new jobs, and when it has none any more.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        #: Each known queue's texts, the next one first.
        self.texts: dict[str, deque[str]] = {}

    def put(self, queue: str, raw: str, *, front: bool = False) -> None:
        """Store a text without telling anybody."""
        texts = self.texts.get(queue)
        if texts is None:
            texts = self.texts[queue] = deque()
        if front:
            texts.appendleft(raw)
        else:
            texts.append(raw)

    def give_back(self, queue: str, raw: str) -> None:
        """Put a text to the front, and wake one who waits for it."""
        self.put(queue, raw, front=True)
        self._line.ring(queue)

    def notify(self, queue: str) -> None:
        """Wake one who waits for the queue if it holds jobs."""
        if self.texts.get(queue):
            self._line.ring(queue)

    def remove(self, queue: str, raw: str, count: int) -> int:
        """Remove texts that are equal to *raw*; see `Backend.remove`."""
        texts = self.texts.get(queue)
        found = texts.count(raw) if texts else 0
        if not texts or not found:
            return 0
        left = found if count == 0 else min(abs(count), found)
        removed = left
        kept: deque[str] = deque()
        for text in reversed(texts) if count < 0 else texts:
            if left and text == raw:
                left -= 1
            else:
                kept.append(text)
        if count < 0:
            kept.reverse()
        self.texts[queue] = kept
        if not kept:
            self._line.hush(queue)
        return removed

    def forget(self, queue: str) -> int:
        """Forget a queue; return how many jobs it held."""
        self._line.hush(queue)
        return len(self.texts.pop(queue, ()))
