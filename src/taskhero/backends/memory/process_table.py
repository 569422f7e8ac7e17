"""The worker processes, their leases and what is in their hands."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, TypeAlias

import attrs

from taskhero.backends.protocol import Lease, Leases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskhero.backends.protocol import Claim, Process

__all__ = ["ClaimSince", "ProcessTable", "RegisteredProcess"]

#: The number of leases that are shown at once, at most.
MOST_LEASES = 1000

#: A claim and the moment in which it was made. A tuple, since one is made for every job.
ClaimSince: TypeAlias = "tuple[Claim, float]"


@attrs.define(eq=False)
class RegisteredProcess:
    """A process as others see it.

    Attributes:
        process: Its name and queues.
        lease_ends: When the time of its lease ends.
        renewal: The number of its last renewal, among all of all processes.
        length: Seconds that its lease is long.
        dead: Whether it was declared dead.
        slots: Its visible task processors: the slot, and since when.
        held: What each slot holds, in the order of claiming.
        running: The slots whose job runs alone.
        late: The slots whose job ran alone, and has others beside it by now.
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
        """Whether the claim still stands under its slot."""
        held = self.held.get(claim.slot)
        return held is not None and held[0].token == claim.token

    def release(self, slot: int) -> None:
        """Empty a slot's hands."""
        self.held.pop(slot, None)
        self.running.discard(slot)
        self.late.discard(slot)

    def latest_first(self, slots: Iterable[int] | None = None) -> list[Claim]:
        """What these slots (or all) hold, the latest claim first: put to the front in turn, they keep their order."""
        wanted = None if slots is None else set(slots)
        return [held[0] for slot, held in reversed(self.held.items()) if wanted is None or slot in wanted]


class ProcessTable:
    """All processes in view."""

    def __init__(self) -> None:
        # In the order of their last renewals.
        self._members: dict[str, RegisteredProcess] = {}
        self._renewals = count(1)
        self._last = 0

    def get(self, name: str) -> RegisteredProcess | None:
        """The process of this name, or None."""
        return self._members.get(name)

    def renew(self, process: Process, lease: float, now: float) -> RegisteredProcess:
        """Give a process a lease, and bring it into view if it is not."""
        registered = self._members.pop(process.name, None) or RegisteredProcess(process, now)
        self._members[process.name] = registered
        self._last = next(self._renewals)
        registered.process, registered.renewal, registered.length = process, self._last, lease
        registered.lease_ends, registered.dead = now + lease, False
        return registered

    def leases(self, seen: str = "", *, but: str | None = None) -> Leases:
        """The leases that were not renewed since *seen*, but for that of one process."""
        found = (
            Lease(name, str(registered.renewal), registered.length)
            for name, registered in self._members.items()
            if name != but and (not seen or registered.renewal <= int(seen))
        )
        return Leases(str(self._last), tuple(islice(found, MOST_LEASES)))

    def expired(self, leases: Iterable[Lease]) -> list[RegisteredProcess]:
        """The processes of those of these leases that were not renewed."""
        found = ((self._members.get(lease.process), lease) for lease in leases)
        return [
            registered
            for registered, lease in found
            if registered is not None and str(registered.renewal) == lease.renewal
        ]

    def remove(self, name: str) -> RegisteredProcess | None:
        """Take a process from view."""
        return self._members.pop(name, None)

    def __iter__(self) -> Iterator[RegisteredProcess]:
        return iter(list(self._members.values()))

    def alive(self) -> int:
        """How many were not declared dead."""
        return sum(not registered.dead for registered in self._members.values())
