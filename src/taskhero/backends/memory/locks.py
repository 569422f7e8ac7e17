"""Locks, and values that expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskhero.backends.protocol import Claim, HeldLock, LockSpec, Process

__all__ = ["ExpiringMap", "LockStore", "Owner", "owner_of"]

_SWEEP_THRESHOLD = 1000

Value = TypeVar("Value")


class ExpiringMap(Generic[Value]):
    """Values by name, each until a moment of its own."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[Value, float]] = {}
        self._sweep_at = _SWEEP_THRESHOLD

    def get(self, name: str, now: float) -> Value | None:
        """The value, or None if there is none or it lapsed."""
        found = self._values.get(name)
        if found is None:
            return None
        value, until = found
        if until <= now:
            del self._values[name]
            return None
        return value

    def lifetime(self, name: str, now: float) -> float | None:
        """The seconds until a value lapses, or None if there is none."""
        return None if self.get(name, now) is None else self._values[name][1] - now

    def set(self, name: str, value: Value, *, until: float, now: float) -> None:
        """Keep a value until a moment."""
        self._values[name] = (value, until)
        if len(self._values) > self._sweep_at:
            self._values = {name: found for name, found in self._values.items() if found[1] > now}
            self._sweep_at = max(_SWEEP_THRESHOLD, 2 * len(self._values))

    def items(self, now: float) -> list[tuple[str, Value]]:
        """All that has not lapsed, by name."""
        return [(name, value) for name, (value, until) in sorted(self._values.items()) if until > now]

    def delete(self, name: str) -> bool:
        """Forget a value; False if there was none."""
        return self._values.pop(name, None) is not None

    def delete_if(self, wanted: Callable[[Value], bool]) -> None:
        """Forget all values for which *wanted* is true."""
        self._values = {name: found for name, found in self._values.items() if not wanted(found[0])}


#: Whose a lock is: a worker and its claim's token; None for a queued job's lock, which is anybody's.
Owner: TypeAlias = "tuple[str, str] | None"


def owner_of(process: Process, claim: Claim) -> Owner:
    """Who holds what this claim holds."""
    return (process.worker(claim.slot), claim.token)


class LockStore:
    """All locks, each until it lapses. The caller sees to it that one thread at a time is here."""

    def __init__(self) -> None:
        # Beside the owner stands the number that node-resque writes: the second after which it takes a lock for lapsed.
        self._held: ExpiringMap[tuple[Owner, int]] = ExpiringMap()

    def get(self, key: str, now: float) -> tuple[Owner, int] | None:
        """Who holds a lock, and the second that node-resque reads there; None if it is free."""
        return self._held.get(key, now)

    def lifetime(self, key: str, now: float) -> float | None:
        """For how many seconds a lock is held from now on; None if it is free."""
        return self._held.lifetime(key, now)

    def take(self, key: str, owner: Owner, until: float, now: float) -> None:
        """Hold a lock from now on until a moment, whoever held it."""
        self._held.set(key, (owner, int(until) + 1), until=until, now=now)

    def listing(self, now: float) -> dict[str, str]:
        """All locks with what would stand there on the wire."""
        return {
            key: str(number) if owner is None else f"{number}:{'/'.join(owner)}"
            for key, (owner, number) in self._held.items(now)
        }

    def free(self, keys: Iterable[str]) -> None:
        """Free locks, whoever holds them."""
        for key in keys:
            self._held.delete(key)

    def release(self, keys: Iterable[str], owner: Owner, now: float) -> None:
        """Free those of these locks that are the owner's."""
        self.free([key for key in keys if self._is_held(key, owner, now)])

    def free_of(self, process: str) -> None:
        """Free what the jobs of a process hold that is dead, or leaves."""
        self._held.delete_if(lambda held: held[0] is not None and held[0][0].rpartition("+")[0] == process)

    def hold(self, locks: Sequence[LockSpec], owner: Owner, now: float) -> int | None:
        """Take locks, all or none; return which of them somebody else holds, or None."""
        for position, lock in enumerate(locks):
            if self._is_taken(lock.key, owner, now):
                return position
        for lock in locks:
            self.take(lock.key, owner, now + lock.timeout, now)
        return None

    def renew(self, held: HeldLock, owner: Owner, now: float, *, ours: bool) -> bool:
        """Hold a lock longer, also one that is free if the claim is *ours*; False if somebody else holds it."""
        if self._is_taken(held.lock.key, owner, now):
            return False
        if ours or self._is_held(held.lock.key, owner, now):
            self.hold((held.lock,), owner, now)
        return True

    def _is_held(self, key: str, owner: Owner, now: float) -> bool:
        found = self._held.get(key, now)
        return found is not None and found[0] == owner

    def _is_taken(self, key: str, owner: Owner, now: float) -> bool:
        found = self._held.get(key, now)
        return found is not None and found[0] != owner
