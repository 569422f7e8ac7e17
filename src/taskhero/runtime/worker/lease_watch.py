"""Which leases are expired, by what this process saw of them and by its own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from taskhero.backends.protocol import Lease, Leases

__all__ = ["LeaseWatch", "Look"]

#: A look may come so much later than a heartbeat interval after the one before, as a part of it and in seconds.
_LATE: Final = (0.25, 0.1)


@attrs.frozen
class Look:
    """A look at the leases in the store.

    Attributes:
        at: When its answer came, by this process's monotonic clock.
        leases: What it saw.
        since: When the answer came whose `Leases.seen` was passed; None if none was.
    """

    at: float
    leases: Leases
    since: float | None = None


class LeaseWatch:
    """Tells which leases are expired: they were not renewed while this process watched for long enough.

    A lease is expired when this process saw the same renewal for `Lease.length` and for *rescue_after*, whichever is
    longer. The clock of the store does not count, so a jump of that clock expires nothing.

    The time without contact to the store does not count either, since the other processes may have had none. After a
    gap between two looks, the watch of each lease goes back to two heartbeats at most. It goes back further if less
    than two heartbeats would be left, since the other processes need that time to renew their leases.

    Args:
        heartbeat: Seconds between two looks; a longer time is a gap.
        rescue_after: Seconds that each lease is watched at least.
    """

    def __init__(self, *, heartbeat: float, rescue_after: float) -> None:
        self._longest = heartbeat + max(heartbeat * _LATE[0], _LATE[1])
        self._heartbeats = 2 * heartbeat
        self._rescue_after = rescue_after
        self._last: float | None = None
        # Since when each lease was watched, in the order of the last look.
        self._since: dict[Lease, float] = {}

    def look(self, look: Look) -> None:
        """Take in what a look saw: leases that it did not show are watched no more."""
        last = look.at if self._last is None else self._last
        if look.at - last > self._longest:
            self._since = {
                lease: look.at - min(last - begun, self._kept(lease)) for lease, begun in self._since.items()
            }
        since = look.since if look.since is not None and look.at - look.since <= self._longest else look.at
        self._since = {lease: self._since.get(lease, since) for lease in look.leases.leases}
        self._last = max(last, look.at)

    def expired(self, now: float) -> list[Lease]:
        """The leases that are expired; none while there is no contact to the store."""
        if self._last is None or now - self._last > self._longest:
            return []
        return [lease for lease, begun in self._since.items() if begun + self._needed(lease) <= now]

    def next_at(self, now: float) -> float | None:
        """When the next lease expires that is not expired *now*, if nothing comes between; None if there is none."""
        times = (begun + self._needed(lease) for lease, begun in self._since.items())
        return min((at for at in times if at > now), default=None)

    def _needed(self, lease: Lease) -> float:
        return max(self._rescue_after, lease.length)

    def _kept(self, lease: Lease) -> float:
        """For how many seconds a lease counts as watched after a gap, at most."""
        return max(0.0, min(self._heartbeats, self._needed(lease) - self._heartbeats))
