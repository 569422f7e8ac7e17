"""Define what all groups of commands share: connections, keys, clock, and the encoding of payloads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from taskhero.backends.protocol import ForeignLeader, QueueLockGuard
from taskhero.backends.redis.scripts import run_script
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

    from taskhero.backends.protocol import Guard
    from taskhero.backends.redis.connection.connection_manager import ConnectionManager
    from taskhero.clock import Clock
    from taskhero.wire.keys import Keys
    from taskhero.wire.workers import HeldJob

__all__ = [
    "RedisCommands",
    "claim_order",
    "milliseconds",
    "problem_in",
    "to_bytes",
    "to_number",
    "to_text",
    "token_order",
]

_Result = TypeVar("_Result", bound="StrEnum")


def to_bytes(text: str) -> bytes:
    """Return the exact bytes of a payload."""
    return text.encode("utf-8", "surrogateescape")


def to_text(raw: bytes) -> str:
    """Return any bytes as text, so that `to_bytes` restores them exactly."""
    return raw.decode("utf-8", "surrogateescape")


def to_number(value: bytes | None) -> int | None:
    """Return the whole number in *value*, or None if there is none."""
    try:
        return int(value) if value is not None else None
    except ValueError:
        return None


def problem_in(reply: bytes) -> str | None:
    """Return the message of a script's reply ``error <message>``, or None for all other replies."""
    return reply[6:].decode("utf-8", "replace") if reply.startswith(b"error ") else None


def milliseconds(delay: float) -> int:
    """Return a delay of *delay* seconds in whole milliseconds, rounded up. Float errors below 1 ns do not count."""
    return math.ceil(delay * 1000 - 1e-6)


def token_order(token: str) -> tuple[int, int]:
    """Return a sort key that orders the tokens of one process by the time of their claims."""
    batch, _, number = token.partition(".")
    return (int(batch), int(number or 0)) if batch.isdigit() and (number or "0").isdigit() else (0, 0)


def claim_order(held: HeldJob | None) -> tuple[int, int]:
    """Return a sort key that orders the claims of one process by their time. No claim comes first."""
    return token_order(held.token) if held else (-1, 0)


class RedisCommands:
    """The base class of all groups of commands."""

    _connections: ConnectionManager
    _keys: Keys
    _clock: Clock | None

    def _now(self) -> str:
        """Return the time for a script in milliseconds, or an empty string for the server's clock."""
        return "" if self._clock is None else str(int(self._clock.now() * 1000))

    @property
    def _prefix(self) -> str:
        """Return the prefix of every key."""
        return self._keys.named("")

    async def _run(self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
        return await run_script(self._connections, name, keys, arguments)

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

    def _guards(self, guards: Sequence[Guard]) -> tuple[list[str | bytes], list[str | bytes | int]]:
        """Return the keys and arguments of guards for a script: one key and two arguments per condition.

        A `NotDelayed` is one condition for each equivalent payload, and one for its meaning.
        """
        keys: list[str | bytes] = []
        arguments: list[str | bytes | int] = []
        for guard in guards:
            if isinstance(guard, QueueLockGuard):
                keys.append(to_bytes(self._keys.named(guard.key)))
                arguments += ("S" if guard.shared else "L", guard.timeout)
            else:
                for payload in guard.equivalent_payloads:
                    keys.append(to_bytes(self._keys.timestamps(payload)))
                    arguments += ("D", to_bytes(payload))
                if guard.meaning is not None:
                    keys.append(self._keys.spelled(guard.meaning))
                    arguments += ("M", "")
        return keys, arguments
