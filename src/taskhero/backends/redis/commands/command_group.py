"""What all parts of the Redis driver share: the link, the keys, the time and the form of texts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from taskhero.backends.protocol import ForeignLeader, QueueLockGuard
from taskhero.backends.redis.scripts import run_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Guard
    from taskhero.backends.redis.connection.connection_manager import ConnectionManager
    from taskhero.clock import Clock
    from taskhero.wire.keys import Keys
    from taskhero.wire.workers import HeldJob

__all__ = ["RedisCommands", "claim_order", "milliseconds", "to_bytes", "to_number", "to_text", "token_order"]


def to_bytes(text: str) -> bytes:
    """The exact bytes of a raw text."""
    return text.encode("utf-8", "surrogateescape")


def to_text(raw: bytes) -> str:
    """The raw text of any bytes."""
    return raw.decode("utf-8", "surrogateescape")


def to_number(value: bytes | None) -> int | None:
    """The whole number that stands there, or None."""
    try:
        return int(value) if value is not None else None
    except ValueError:
        return None


def milliseconds(delay: float) -> int:
    """A delay in whole milliseconds, rounded up; what a float adds by itself does not count."""
    return math.ceil(delay * 1000 - 1e-6)


def token_order(token: str) -> tuple[int, int]:
    """What sorts the tokens of one process by the time of claiming."""
    batch, _, number = token.partition(".")
    return (int(batch), int(number or 0)) if batch.isdigit() and (number or "0").isdigit() else (0, 0)


def claim_order(held: HeldJob | None) -> tuple[int, int]:
    """What sorts what workers of one process hold by the time of claiming; nothing comes first."""
    return token_order(held.token) if held else (-1, 0)


class RedisCommands:
    """Base of the driver's parts."""

    _connections: ConnectionManager
    _keys: Keys
    _clock: Clock | None

    def _now(self) -> str:
        """The time for a script: milliseconds, or nothing for the server's own clock."""
        return "" if self._clock is None else str(int(self._clock.now() * 1000))

    @property
    def _prefix(self) -> str:
        """What stands before every key."""
        return self._keys.named("")

    async def _run(self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
        return await run_script(self._connections, name, keys, arguments)

    def _foreign(self, told: Sequence[Any]) -> ForeignLeader | None:
        """What a script tells of the lock of another program's scheduler."""
        if not told:
            return None
        holder, lifetime, since, dead = told
        return ForeignLeader(
            key=self._keys.ruby_master_lock,
            holder=to_text(holder),
            since=int(since) / 1000 if since else None,
            expires_in=int(lifetime) / 1000 if int(lifetime) >= 0 else None,
            dead=bool(dead),
        )

    def _guards(self, guards: Sequence[Guard]) -> tuple[list[str | bytes], list[str | bytes | int]]:
        """The keys and arguments that scripts take for guards; one key and two arguments each.

        A `NotDelayed` is one for each form, and one for its meaning.
        """
        keys: list[str | bytes] = []
        arguments: list[str | bytes | int] = []
        for guard in guards:
            if isinstance(guard, QueueLockGuard):
                keys.append(to_bytes(self._keys.named(guard.key)))
                arguments += ("S" if guard.shared else "L", guard.timeout)
            else:
                for form in guard.equivalent_payloads:
                    keys.append(to_bytes(self._keys.timestamps(form)))
                    arguments += ("D", to_bytes(form))
                if guard.meaning is not None:
                    keys.append(self._keys.spelled(guard.meaning))
                    arguments += ("M", "")
        return keys, arguments
