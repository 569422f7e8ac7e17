"""Hold locks, and values that expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskhero.backends.protocol import Claim, HeldLock, LockSpec, Process

__all__ = ["ExpiringMap", "LockStore", "Owner", "owner_of"]

_SWEEP_THRESHOLD = 1000

Value = TypeVar("Value")


class ExpiringMap(Generic[Value]):
    """Values by name, each with its own expiry time."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[Value, float]] = {}
        self._sweep_at = _SWEEP_THRESHOLD

    def get(self, name: str, now: float) -> Value | None:
        """Return the value, or None if there is none or it has expired."""
        found = self._values.get(name)
        if found is None:
            return None
        value, until = found
        if until <= now:
            del self._values[name]
            return None
        return value

    def lifetime(self, name: str, now: float) -> float | None:
        """Return the seconds until a value expires, or None if there is none."""
        return None if self.get(name, now) is None else self._values[name][1] - now

    def set(self, name: str, value: Value, *, until: float, now: float) -> None:
        """Store a value until *until*, in unix seconds."""
        self._values[name] = (value, until)
        if len(self._values) > self._sweep_at:
            self._values = {name: found for name, found in self._values.items() if found[1] > now}
            self._sweep_at = max(_SWEEP_THRESHOLD, 2 * len(self._values))

    def items(self, now: float) -> list[tuple[str, Value]]:
        """Return all values that have not expired, sorted by name."""
        return [(name, value) for name, (value, until) in sorted(self._values.items()) if until > now]

    def delete(self, name: str) -> bool:
        """Delete a value. Return False if there was none."""
        return self._values.pop(name, None) is not None

    def delete_if(self, predicate: Callable[[Value], bool]) -> None:
        """Delete all values for which *predicate* is true."""
        self._values = {name: found for name, found in self._values.items() if not predicate(found[0])}


#: The owner of a job lock: a worker and the token of its claim. A queue lock has no owner.
Owner: TypeAlias = "tuple[str, str] | None"


def owner_of(process: Process, claim: Claim) -> Owner:
    """Return the owner of the locks that this claim holds."""
    return (process.worker(claim.slot), claim.token)


class LockStore:
    """All locks, each until it expires. The caller must hold `Store.guard`."""

    def __init__(self) -> None:
        # The owner, and the number that node-resque writes: the second after which it regards a lock as expired.
        self._held: ExpiringMap[tuple[Owner, int]] = ExpiringMap()

    def get(self, key: str, now: float) -> tuple[Owner, int] | None:
        """Return the owner of a lock and the second that node-resque reads, or None if it is free."""
        return self._held.get(key, now)

    def lifetime(self, key: str, now: float) -> float | None:
        """Return the seconds until a lock expires, or None if it is free."""
        return self._held.lifetime(key, now)

    def take(self, key: str, owner: Owner, until: float, now: float) -> None:
        """Take a lock until *until*, even if another owner holds it."""
        self._held.set(key, (owner, int(until) + 1), until=until, now=now)

    def listing(self, now: float) -> dict[str, str]:
        """Return all locks, with the values that they have in Redis."""
        return {
            key: str(number) if owner is None else f"{number}:{'/'.join(owner)}"
            for key, (owner, number) in self._held.items(now)
        }

    def free(self, keys: Iterable[str]) -> None:
        """Free locks, with any owner."""
        for key in keys:
            self._held.delete(key)

    def release(self, keys: Iterable[str], owner: Owner, now: float) -> None:
        """Free these locks if *owner* holds them."""
        self.free([key for key in keys if self._is_held(key, owner, now)])

    def free_of(self, process: str) -> None:
        """Free all locks that the jobs of a process hold."""
        self._held.delete_if(lambda held: held[0] is not None and held[0][0].rpartition("+")[0] == process)

    def hold(self, locks: Sequence[LockSpec], owner: Owner, now: float) -> int | None:
        """Take all locks or none. Return the position of the first one that another owner holds, or None."""
        for position, lock in enumerate(locks):
            if self.is_taken(lock.key, owner, now):
                return position
        for lock in locks:
            self.take(lock.key, owner, now + lock.timeout, now)
        return None

    def renew(self, held: HeldLock, owner: Owner, now: float, *, ours: bool) -> bool:
        """Renew a lock, or take a free one if the claim is *ours*. Return False if another owner holds it."""
        if self.is_taken(held.lock.key, owner, now):
            return False
        if ours or self._is_held(held.lock.key, owner, now):
            self.hold((held.lock,), owner, now)
        return True

    def is_taken(self, key: str, owner: Owner, now: float) -> bool:
        """Return whether another owner holds a lock."""
        found = self._held.get(key, now)
        return found is not None and found[0] != owner

    def _is_held(self, key: str, owner: Owner, now: float) -> bool:
        found = self._held.get(key, now)
        return found is not None and found[0] == owner
