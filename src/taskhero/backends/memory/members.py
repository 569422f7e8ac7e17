"""The worker processes, their leases and what is in their hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskhero.backends.protocol import Claim, Process

__all__ = ["Held", "Member", "Members"]

#: A claim and the moment in which it was made. A tuple, since one is made for every job.
Held: TypeAlias = "tuple[Claim, float]"


@attrs.define(eq=False)
class Member:
    """A process as others see it.

    Attributes:
        process: Its name and queues.
        lease_ends: Until when it is taken for alive.
        slots: Its visible task processors: the slot, and since when.
        held: What each slot holds, in the order of claiming.
        running: The slots whose job runs alone.
        late: The slots whose job ran alone, and has others beside it by now.
    """

    process: Process
    lease_ends: float
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
        self._members: dict[str, Member] = {}

    def get(self, name: str) -> Member | None:
        """The process of this name, or None."""
        return self._members.get(name)

    def renew(self, process: Process, lease_ends: float) -> Member:
        """Give a process a lease, and bring it into view if it is not."""
        member = self._members.get(process.name)
        if member is None:
            member = self._members[process.name] = Member(process, lease_ends)
        member.process = process
        member.lease_ends = lease_ends
        return member

    def remove(self, name: str) -> Member | None:
        """Take a process from view."""
        return self._members.pop(name, None)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def living(self, now: float) -> int:
        """How many have a lease."""
        return sum(member.lease_ends > now for member in self._members.values())

    def dead(self, now: float) -> list[Member]:
        """Those that outlived their lease."""
        return [member for member in self._members.values() if member.lease_ends <= now]
