"""Define the part of a server that one backend works on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from taskhero.backends.redis.connection.connection_manager import ConnectionManager
    from taskhero.clock import Clock
    from taskhero.wire.keys import Keys

__all__ = ["Store"]


@attrs.frozen
class Store:
    """One namespace of one Redis. All parts of a backend share it.

    Attributes:
        connections: The connections to the server.
        keys: The names of the keys of the namespace.
        clock: For tests: the clock of all steps, or None for the server's.
    """

    connections: ConnectionManager
    keys: Keys
    clock: Clock | None = None

    def now(self) -> float:
        """Return the time by the clock, or by this computer's where only the server knows its own."""
        return time.time() if self.clock is None else self.clock.now()

    def script_now(self) -> str:
        """Return the time for a script in milliseconds, or an empty string for the server's clock."""
        return "" if self.clock is None else str(int(self.clock.now() * 1000))
