"""The connection of the heartbeat's thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis
    from redis.connection import AbstractConnection

    from taskhero.backends.redis.connection.server_location import Address

__all__ = ["HeartbeatClient"]

_BROKEN = (redis_errors.RedisError, OSError)


class HeartbeatClient:
    """A client of its own for the heartbeat's thread, which follows the server.

    Args:
        address: Where the server is.
        connect: Makes a client, given options of its connections.
    """

    def __init__(self, address: Address, connect: Callable[..., redis.Redis]) -> None:
        self._address = address
        self._connect = connect
        self._lock = threading.Lock()
        self._client: _Client | None = None
        self._generation = -1
        #: The client that a beat uses at the moment.
        self._used: _Client | None = None
        self._uses = 0
        address.listen(self._moved)

    def run(self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
        """Run a script that may run twice, on another server too if the first one failed and is no master now.

        Raises:
            redis.exceptions.RedisError | OSError: It may or may not have run.
        """
        seen = self._address.generation
        try:
            return self._run_once(name, keys, arguments)
        except _BROKEN as error:
            if not self._moved_since(seen, refused=cannot_act(error)):
                raise
        return self._run_once(name, keys, arguments)

    def stop(self) -> None:
        """Disconnect."""
        with self._lock:
            self._uses += 1
            old, used = self._leave()
        if old is not None and not used:
            old.close()

    def _run_once(self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
        client = self._take()
        try:
            return client.run(name, keys, arguments)
        except _BROKEN:
            with self._lock:
                if self._client is client:
                    self._client = None
            raise
        finally:
            with self._lock:
                self._used = None
                dropped = self._client is not client
            if dropped:
                client.close()

    def _take(self) -> _Client:
        """A client of the current generation, for the beat that begins."""
        with self._lock:
            generation, old = self._address.generation, None
            if self._client is None or self._generation != generation:
                old, self._client = self._client, self._make(generation)
                self._generation = generation
            self._used = client = self._client
        if old is not None:
            old.close()
        return client

    def _make(self, generation: int) -> _Client:
        return _Client(self._connect, lambda: self._address.generation == generation)

    def _leave(self) -> tuple[_Client | None, bool]:
        """Give up the client; whether a beat uses it, which is woken and closes it then. The lock is held."""
        old, self._client = self._client, None
        used = old is not None and self._used is old
        if old is not None and used:
            old.wake()
        return old, used

    def _moved_since(self, seen: int, *, refused: bool) -> bool:
        try:
            return self._address.follow(seen, refused=refused)
        except _BROKEN:
            return False

    def _moved(self) -> None:
        """Go to the new place at once: the next beat may be seconds away, and one that is under way may hang."""
        with self._lock:
            old, used = self._leave()
            use = self._uses
        if old is not None:
            target, name = self._reconnect, "taskhero heartbeat follows"
            threading.Thread(target=target, args=(None if used else old, use), name=name, daemon=True).start()

    def _reconnect(self, old: _Client | None, use: int) -> None:
        if old is not None:
            old.close()
        generation = self._address.generation
        client = self._make(generation)
        with contextlib.suppress(*_BROKEN):
            client.redis.ping()
            with self._lock:
                if self._client is None and self._uses == use and self._address.generation == generation:
                    self._client, self._generation = client, generation
                    return
        client.close()


class _Client:
    """A client with one connection, which is made only as long as *is_current* says so.

    One that was left must not go back to the old server.
    """

    def __init__(self, connect: Callable[..., redis.Redis], is_current: Callable[[], bool]) -> None:
        self._is_current = is_current
        self._socket: socket.socket | None = None
        self.redis = connect(redis_connect_func=self._greet)

    def _greet(self, connection: AbstractConnection) -> None:
        # In this order: a change of the generation after the question finds the socket, and wakes who reads from it.
        self._socket = getattr(connection, "_sock", None)
        if not self._is_current():
            raise redis_errors.ConnectionError("the server moved meanwhile")
        connection.on_connect()  # type: ignore[no-untyped-call]

    def run(self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
        """Run a script; its text is sent only if the server does not know it yet."""
        wanted = script(name)
        try:
            return self.redis.evalsha(wanted.sha, len(keys), *keys, *arguments)
        except redis_errors.NoScriptError:
            return self.redis.eval(wanted.text, len(keys), *keys, *arguments)

    def wake(self) -> None:
        """Let a command that waits for its answer in another thread fail.

        The socket stays open: else another one could get its number, and that thread wait for that.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket, which takes from that thread what it reads with.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnect."""
        self.redis.close()
