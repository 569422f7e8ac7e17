"""Decide which leases have expired, from what this process read and from its own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from taskhero.backends.protocol import Lease, Leases

__all__ = ["LeaseSnapshot", "LeaseWatch"]

#: How late a snapshot may be: a fraction of the heartbeat interval, and at least this number of seconds.
_TOLERANCE: Final = (0.25, 0.1)


@attrs.frozen
class LeaseSnapshot:
    """The leases in the store at one time.

    Attributes:
        at: Time of the reply, on this process's monotonic clock, in seconds.
        leases: The leases in the reply.
        since: Time of the reply whose `Leases.seen` was passed, in seconds; None if none was passed.
    """

    at: float
    leases: Leases
    since: float | None = None


class LeaseWatch:
    """Finds leases that were not renewed while this process watched them for long enough.

    A lease expires when this process saw the same renewal for `Lease.length` and for *rescue_after*, whichever is
    longer. The store's clock does not count, so a jump of that clock expires no lease.

    Time without contact to the store does not count, since the other processes may have had none either. After a gap
    between two snapshots, each lease counts as watched for two heartbeats at most. It counts for less if fewer than two
    heartbeats would remain, since the other processes need that time to renew.

    Args:
        heartbeat: Seconds between two snapshots. A longer time is a gap.
        rescue_after: Seconds for which each lease is watched at least.
    """

    def __init__(self, *, heartbeat: float, rescue_after: float) -> None:
        self._max_interval = heartbeat + max(heartbeat * _TOLERANCE[0], _TOLERANCE[1])
        self._two_heartbeats = 2 * heartbeat
        self._rescue_after = rescue_after
        self._last: float | None = None
        # When the watch of each lease began, in the order of the last snapshot.
        self._since: dict[Lease, float] = {}

    def update(self, snapshot: LeaseSnapshot) -> None:
        """Process a snapshot. Leases that it does not contain are no longer watched."""
        last = snapshot.at if self._last is None else self._last
        if snapshot.at - last > self._max_interval:
            watched = {lease: min(last - start, self._max_watched(lease)) for lease, start in self._since.items()}
            self._since = {lease: snapshot.at - seconds for lease, seconds in watched.items()}
        since = snapshot.at
        if snapshot.since is not None and snapshot.at - snapshot.since <= self._max_interval:
            since = snapshot.since
        self._since = {lease: self._since.get(lease, since) for lease in snapshot.leases.leases}
        self._last = max(last, snapshot.at)

    def expired(self, now: float) -> list[Lease]:
        """Return the expired leases; none while there is no contact to the store."""
        if self._last is None or now - self._last > self._max_interval:
            return []
        return [lease for lease, start in self._since.items() if start + self._required(lease) <= now]

    def next_expiry(self, now: float) -> float | None:
        """Return when the next lease expires after *now* if no snapshot follows; None if none does."""
        times = (start + self._required(lease) for lease, start in self._since.items())
        return min((at for at in times if at > now), default=None)

    def _required(self, lease: Lease) -> float:
        return max(self._rescue_after, lease.length)

    def _max_watched(self, lease: Lease) -> float:
        """Return the longest time for which a lease counts as watched after a gap, in seconds."""
        return max(0.0, min(self._two_heartbeats, self._required(lease) - self._two_heartbeats))
