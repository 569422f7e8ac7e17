"""Looks at everything in Redis again and again while something runs."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Self

import redis
from harm_rules import DUMP, Harm, harms, read_dump

if TYPE_CHECKING:
    from collections.abc import Callable

    from harm_rules import Dump

__all__ = ["Watcher", "look"]


def look(url: str) -> Dump:
    """Everything that lies in Redis now, read in one step."""
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        return read_dump(client.eval(DUMP, 0))


class Watcher:
    """Reads everything after each change that anybody makes, from a thread of its own; use it in a ``with``.

    Attributes:
        seen: The states that were seen and differ from the one before.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._problem: Exception | None = None
        self.seen: list[Dump] = []

    def _watch(self) -> None:
        try:
            with contextlib.closing(redis.Redis.from_url(self._url)) as client:
                dump = client.register_script(DUMP)
                last = None
                while not self._ended.is_set():
                    # It leaves room for those whom it watches.
                    self._ended.wait(0.001)
                    reply = dump()
                    if reply != last:
                        self.seen.append(read_dump(reply))
                        last = reply
        except Exception as problem:
            self._problem = problem

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(20)
        if self._problem is not None:
            raise self._problem

    def harms(self, *, but: frozenset[str] = frozenset()) -> set[Harm]:
        """What would have hurt somebody in any of the states."""
        return {harm for dump in self.seen for harm in harms(dump, but=but)}

    def was(self, condition: Callable[[Dump], object]) -> bool:
        """Whether there was such a state."""
        return any(condition(dump) for dump in self.seen)
