"""The connection of the heartbeat's thread."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from .refusals import cannot_act
from .scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis

    from .places import Address

__all__ = ["Beating"]

_BROKEN = (redis_errors.RedisError, OSError)


class Beating:
    """A client of its own for the heartbeat's thread, which follows the server.

    Args:
        address: Where the server is.
        connect: Makes a client.
    """

    def __init__(self, address: Address, connect: Callable[[], redis.Redis]) -> None:
        self._address = address
        self._connect = connect
        self._lock = threading.Lock()
        self._client: redis.Redis | None = None
        self._generation = -1
        self._uses = 0
        address.listen(self._moved)

    def run(self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
        """Run a script that may run twice, on another server too if the first one failed and is no master now.

        Raises:
            redis.exceptions.RedisError | OSError: It may or may not have run.
        """
        seen, client = self._current()
        try:
            return _evaluate(client, name, keys, arguments)
        except _BROKEN as error:
            self._drop(client)
            if not self._moved_since(seen, refused=cannot_act(error)):
                raise
        _, client = self._current()
        try:
            return _evaluate(client, name, keys, arguments)
        except _BROKEN:
            self._drop(client)
            raise

    def stop(self) -> None:
        """Disconnect."""
        with self._lock:
            self._uses += 1
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _current(self) -> tuple[int, redis.Redis]:
        """A client of the current generation, and that generation."""
        with self._lock:
            generation = self._address.generation
            old = None
            if self._client is None or self._generation != generation:
                old, self._client = self._client, self._connect()
                self._generation = generation
            client = self._client
        if old is not None:
            old.close()
        return generation, client

    def _drop(self, client: redis.Redis) -> None:
        with self._lock:
            if self._client is client:
                self._client = None
        client.close()

    def _moved_since(self, seen: int, *, refused: bool) -> bool:
        try:
            return self._address.follow(seen, refused=refused)
        except _BROKEN:
            return False

    def _moved(self) -> None:
        """Go to the new place at once: the next beat may be seconds away, and one that is under way may hang."""
        with self._lock:
            old, self._client = self._client, None
            use = self._uses
        if old is not None:
            threading.Thread(
                target=self._reconnect, args=(old, use), name="taskhero heartbeat follows", daemon=True
            ).start()

    def _reconnect(self, old: redis.Redis, use: int) -> None:
        old.close()
        generation = self._address.generation
        client = self._connect()
        with contextlib.suppress(*_BROKEN):
            client.ping()
            with self._lock:
                if self._client is None and self._uses == use and self._address.generation == generation:
                    self._client, self._generation = client, generation
                    return
        client.close()


def _evaluate(
    client: redis.Redis, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]
) -> Any:
    wanted = script(name)
    try:
        return client.evalsha(wanted.sha, len(keys), *keys, *arguments)
    except redis_errors.NoScriptError:
        return client.eval(wanted.text, len(keys), *keys, *arguments)
