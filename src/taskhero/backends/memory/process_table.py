"""Hold the registered processes, their leases and their claims."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, TypeAlias

import attrs

from taskhero.backends.protocol import Lease, Leases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskhero.backends.protocol import Claim, Process

__all__ = ["ClaimSince", "ProcessTable", "RegisteredProcess"]

#: The maximum number of leases in one reply.
MAX_LEASES = 1000

#: A claim and its time in unix seconds. A tuple, since one is made for every job.
ClaimSince: TypeAlias = "tuple[Claim, float]"


@attrs.define(eq=False)
class RegisteredProcess:
    """A registered process.

    Attributes:
        process: Its name and queues.
        lease_ends: The end of its lease, in unix seconds.
        renewal: The number of its last renewal, in the order of the renewals of all processes.
        length: The length of its lease in seconds.
        dead: Whether it was declared dead.
        slots: Its registered slots, and the time of each registration in unix seconds.
        held: The claim of each slot, in the order of claiming.
        running: The slots whose job runs exclusively.
        late: The slots whose job ran exclusively, and now runs beside others.
    """

    process: Process
    lease_ends: float
    renewal: int = 0
    length: float = 0.0
    dead: bool = False
    slots: dict[int, float] = attrs.field(factory=dict)
    held: dict[int, ClaimSince] = attrs.field(factory=dict)
    running: set[int] = attrs.field(factory=set)
    late: set[int] = attrs.field(factory=set)

    def holds(self, claim: Claim) -> bool:
        """Return whether the slot of the claim still holds it."""
        held = self.held.get(claim.slot)
        return held is not None and held[0].token == claim.token

    def release(self, slot: int) -> None:
        """Remove the claim of a slot."""
        self.held.pop(slot, None)
        self.running.discard(slot)
        self.late.discard(slot)

    def latest_first(self, slots: Iterable[int] | None = None) -> list[Claim]:
        """Return the claims of these slots (or all), the latest first. Pushed to the front, they keep their order."""
        wanted = None if slots is None else set(slots)
        return [held[0] for slot, held in reversed(self.held.items()) if wanted is None or slot in wanted]


class ProcessTable:
    """All registered processes."""

    def __init__(self) -> None:
        # In the order of their last renewals.
        self._by_name: dict[str, RegisteredProcess] = {}
        self._renewals = count(1)
        self._last = 0

    def get(self, name: str) -> RegisteredProcess | None:
        """Return the process of this name, or None."""
        return self._by_name.get(name)

    def renew(self, process: Process, lease: float, now: float) -> RegisteredProcess:
        """Renew the lease of a process, and register the process if necessary."""
        registered = self._by_name.pop(process.name, None) or RegisteredProcess(process, now)
        self._by_name[process.name] = registered
        self._last = next(self._renewals)
        registered.process, registered.renewal, registered.length = process, self._last, lease
        registered.lease_ends, registered.dead = now + lease, False
        return registered

    def leases(self, seen: str = "", *, but: str | None = None) -> Leases:
        """Return the leases that were not renewed since *seen*, except the one of process *but*."""
        found = (
            Lease(name, str(registered.renewal), registered.length)
            for name, registered in self._by_name.items()
            if name != but and (not seen or registered.renewal <= int(seen))
        )
        return Leases(str(self._last), tuple(islice(found, MAX_LEASES)))

    def expired(self, leases: Iterable[Lease]) -> list[RegisteredProcess]:
        """Return the processes of these leases that have not renewed them."""
        found = ((self._by_name.get(lease.process), lease) for lease in leases)
        return [
            registered
            for registered, lease in found
            if registered is not None and str(registered.renewal) == lease.renewal
        ]

    def remove(self, name: str) -> RegisteredProcess | None:
        """Remove a process."""
        return self._by_name.pop(name, None)

    def __iter__(self) -> Iterator[RegisteredProcess]:
        return iter(list(self._by_name.values()))

    def alive(self) -> int:
        """Return the number of processes that were not declared dead."""
        return sum(not registered.dead for registered in self._by_name.values())
