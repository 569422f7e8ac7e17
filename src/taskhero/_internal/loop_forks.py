"""Detach an event loop from the loop of the parent process after a fork."""

from __future__ import annotations

import os
import select
import selectors
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from taskhero._internal.interpreter import selector_of

if TYPE_CHECKING:
    import asyncio

__all__ = ["detach_after_fork", "keep"]

_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
#: Objects of the parent process. Their finalizers would close connections that the parent uses.
_kept: list[Any] = []


def detach_after_fork(loop: asyncio.AbstractEventLoop) -> None:
    """Give the loop's copy in a forked process an epoll of its own. Otherwise both processes change the same one."""
    _loops.add(loop)


def keep(*objects: Any) -> None:
    """Keep objects of the parent process alive until this process ends."""
    _kept.extend(objects)


def _detach_all() -> None:
    for loop in list(_loops):
        selector = selector_of(loop)  # uvloop does the same by itself
        if hasattr(select, "epoll") and isinstance(selector, selectors.EpollSelector):
            _detach(selector)


def _detach(selector: selectors.EpollSelector) -> None:
    with select.epoll() as own:
        for key in (selector.get_map() or {}).values():
            reads, writes = key.events & selectors.EVENT_READ, key.events & selectors.EVENT_WRITE
            own.register(key.fd, (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if writes else 0))
        os.dup2(own.fileno(), selector.fileno(), inheritable=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_detach_all)
