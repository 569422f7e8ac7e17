"""Define what all groups of commands share: connections, keys and clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from taskhero.backends.protocol import ForeignLeader, QueueLockGuard
from taskhero.backends.redis.conversions import to_text
from taskhero.backends.redis.scripts import CallPart
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from enum import StrEnum

    from taskhero.backends.protocol import Guard
    from taskhero.backends.redis.scripts import ScriptCall
    from taskhero.backends.redis.store import Store

__all__ = ["CommandGroup"]

#: The number of keys that one SCAN visits.
_SCAN_COUNT = 1000

_Result = TypeVar("_Result", bound="StrEnum")


class CommandGroup:
    """The base class of all groups of commands. A group has no state of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connections = store.connections
        self._run = store.connections.run_script
        self._now = store.script_now
        self._keys = store.keys
        self._prefix = store.keys.named("")

    async def _worker_values(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the values of the worker keys, without workers that hold nothing."""
        if not ids:
            return {}
        values = await self._connections.call("MGET", *(self._keys.worker(worker_id) for worker_id in ids))
        return {worker_id: to_text(value) for worker_id, value in zip(ids, values, strict=True) if value}

    async def _scan(self, prefix: str, pattern: str = "*") -> AsyncIterator[bytes]:
        """Yield all keys with this prefix and pattern. The wire format has no index of counters and locks."""
        pattern = "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in prefix) + pattern
        cursor: Any = b"0"
        while True:
            cursor, names = await self._connections.call("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            for name in names:
                yield name
            if int(cursor) == 0:
                return

    def _result(self, kind: type[_Result], script: str, reply: bytes) -> _Result:
        """Return the result that the reply of a script names. The script has run, so an unknown reply is not refused.

        Raises:
            BackendError: The reply names no result of this kind.
        """
        try:
            return kind(reply.decode("utf-8", "replace"))
        except ValueError:
            raise BackendError(
                f"Redis at {self._connections.location} answered {reply!r} to the script {script!r}, which may have "
                f"changed data; expected one of {', '.join(kind)}; report this as a bug of taskhero"
            ) from None

    def _foreign(self, row: Sequence[Any]) -> ForeignLeader | None:
        """Return the holder of the master lock of resque-scheduler from a script's reply, or None."""
        if not row:
            return None
        holder, lifetime, since, dead = row
        return ForeignLeader(
            key=self._keys.ruby_master_lock,
            holder=to_text(holder),
            since=int(since) / 1000 if since else None,
            expires_in=int(lifetime) / 1000 if int(lifetime) >= 0 else None,
            dead=bool(dead),
        )

    def _add_guards(self, call: ScriptCall, guards: Sequence[Guard]) -> None:
        """Add guards, as `read_guards` in ``_guards.lua`` reads them.

        A `NotDelayed` is one condition for each equivalent payload, and one for its meaning.
        """
        conditions = CallPart()
        count = 0
        for guard in guards:
            if isinstance(guard, QueueLockGuard):
                conditions.text("lock")
                conditions.key(self._keys.named(guard.key))
                conditions.number(guard.timeout)
                conditions.flag(guard.shared)
                count += 1
                continue
            for payload in guard.equivalent_payloads:
                conditions.text("payload", payload)
                conditions.key(self._keys.timestamps(payload))
                count += 1
            if guard.meaning is not None:
                conditions.text("meaning")
                conditions.key(self._keys.spelled(guard.meaning))
                count += 1
        call.number(count)
        call.extend(conditions)
