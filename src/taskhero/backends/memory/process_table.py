"""The worker processes, their leases and what is in their hands."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, TypeAlias

import attrs

from taskhero.backends.protocol import Lease, Leases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskhero.backends.protocol import Claim, Process

__all__ = ["Held", "Member", "Members"]

#: The number of leases that are shown at once, at most.
MOST_LEASES = 1000

#: A claim and the moment in which it was made. A tuple, since one is made for every job.
Held: TypeAlias = "tuple[Claim, float]"


@attrs.define(eq=False)
class Member:
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
    held: dict[int, Held] = attrs.field(factory=dict)
    running: set[int] = attrs.field(factory=set)
    late: set[int] = attrs.field(factory=set)

    def holds(self, claim: Claim) -> bool:
        """Whether the claim still stands under its slot."""
        held = self.held.get(claim.slot)
        return held is not None and held[0].token == claim.token

    def let_go(self, slot: int) -> None:
        """Empty a slot's hands."""
        self.held.pop(slot, None)
        self.running.discard(slot)
        self.late.discard(slot)

    def latest_first(self, slots: Iterable[int] | None = None) -> list[Claim]:
        """What these slots (or all) hold, the latest claim first: put to the front in turn, they keep their order."""
        wanted = None if slots is None else set(slots)
        return [held[0] for slot, held in reversed(self.held.items()) if wanted is None or slot in wanted]


class Members:
    """All processes in view."""

    def __init__(self) -> None:
        # In the order of their last renewals.
        self._members: dict[str, Member] = {}
        self._renewals = count(1)
        self._last = 0

    def get(self, name: str) -> Member | None:
        """The process of this name, or None."""
        return self._members.get(name)

    def renew(self, process: Process, lease: float, now: float) -> Member:
        """Give a process a lease, and bring it into view if it is not."""
        member = self._members.pop(process.name, None) or Member(process, now)
        self._members[process.name] = member
        self._last = next(self._renewals)
        member.process, member.renewal, member.length = process, self._last, lease
        member.lease_ends, member.dead = now + lease, False
        return member

    def leases(self, seen: str = "", *, but: str | None = None) -> Leases:
        """The leases that were not renewed since *seen*, but for that of one process."""
        found = (
            Lease(name, str(member.renewal), member.length)
            for name, member in self._members.items()
            if name != but and (not seen or member.renewal <= int(seen))
        )
        return Leases(str(self._last), tuple(islice(found, MOST_LEASES)))

    def expired(self, leases: Iterable[Lease]) -> list[Member]:
        """The processes of those of these leases that were not renewed."""
        found = ((self._members.get(lease.process), lease) for lease in leases)
        return [member for member, lease in found if member is not None and str(member.renewal) == lease.renewal]

    def remove(self, name: str) -> Member | None:
        """Take a process from view."""
        return self._members.pop(name, None)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def living(self) -> int:
        """How many were not declared dead."""
        return sum(not member.dead for member in self._members.values())
