"""Look at a memory backend as its tests do, and change it as another program would change a store.

Only this module knows the parts of the memory backend. Its verbs are enough for all other tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskhero.backends.memory import MemoryBackend
    from taskhero.backends.protocol import Process

__all__ = ["MemoryView"]


class MemoryView:
    """What a memory backend holds, without its event loop.

    Args:
        backend: The backend.
    """

    def __init__(self, backend: MemoryBackend) -> None:
        self._store = backend.store
        self._processes = backend.claim_store.processes

    @property
    def waiting(self) -> int:
        """Return the number of processes that wait."""
        return len(self._store.wakeups.waiting)

    @property
    def counters(self) -> dict[str, int]:
        """Return a copy of all counters."""
        return dict(self._store.counters)

    @property
    def jobs(self) -> int:
        """Return the number of queued and delayed jobs."""
        lists = (*self._store.queues.payloads.values(), *self._store.schedule.payloads.values())
        return sum(map(len, lists))

    def queue_without_wakeup(self, queue: str, raw: str) -> None:
        """Queue a job that wakes no process, as if its wake-up was lost."""
        self._store.queues.put(queue, raw)

    def is_registered(self, process: Process) -> bool:
        """Return whether a process is registered."""
        return self._processes.get(process.name) is not None

    def slots_of(self, process: Process) -> list[int]:
        """Return the registered slots of a process."""
        registered = self._processes.get(process.name)
        return [] if registered is None else sorted(registered.slots)

    def exclusive_slots_of(self, process: Process) -> set[int]:
        """Return the slots of a registered process whose job runs exclusively."""
        registered = self._processes.get(process.name)
        assert registered is not None, f"{process.name} is not registered"
        return set(registered.running)

    def delete_claims(self, process: Process) -> None:
        """Delete the claims of a registered process, as Ruby's Resque does when it removes workers."""
        registered = self._processes.get(process.name)
        assert registered is not None, f"{process.name} is not registered"
        for slot in list(registered.held):
            registered.release(slot)
