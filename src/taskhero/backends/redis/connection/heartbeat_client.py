"""Keep the connection of the heartbeat's thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.redis_py_internals import thread_socket

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from redis.connection import AbstractConnection

    from taskhero.backends.redis.connection.address import Address
    from taskhero.backends.redis.scripts import ScriptCall

__all__ = ["HeartbeatClient"]

_BROKEN = (redis_errors.RedisError, OSError)


class HeartbeatClient:
    """The Redis client of the heartbeat's thread. It follows the server when that moves.

    Args:
        address: The address of the server.
        connect: Makes a client, given the options of its connections.
    """

    def __init__(self, address: Address, connect: Callable[..., redis.Redis]) -> None:
        self._address = address
        self._connect = connect
        self._lock = threading.Lock()
        self._client: _Client | None = None
        self._generation = -1
        #: The client that a running heartbeat uses, or None.
        self._in_use: _Client | None = None
        #: Grows when `stop` is called, so that a reconnect that started earlier is dropped.
        self._stops = 0
        address.listen(self._moved)

    def run(self, call: ScriptCall) -> Any:
        """Run a script that may run twice. Run it again on the new master if the server moved.

        Raises:
            redis.exceptions.RedisError | OSError: The script may or may not have run.
        """
        seen = self._address.generation
        try:
            return self._run_once(call)
        except _BROKEN as error:
            if not self._moved_since(seen, refused=cannot_act(error)):
                raise
        return self._run_once(call)

    def stop(self) -> None:
        """Disconnect."""
        with self._lock:
            self._stops += 1
            old, in_use = self._detach()
        if old is not None and not in_use:
            old.close()

    def _run_once(self, call: ScriptCall) -> Any:
        client = self._take()
        try:
            return client.run(call)
        except _BROKEN:
            with self._lock:
                if self._client is client:
                    self._client = None
            raise
        finally:
            with self._lock:
                self._in_use = None
                detached = self._client is not client
            if detached:
                client.close()

    def _take(self) -> _Client:
        """Return a client of the current generation, for the heartbeat that begins."""
        with self._lock:
            generation, old = self._address.generation, None
            if self._client is None or self._generation != generation:
                old, self._client = self._client, self._make(generation)
                self._generation = generation
            self._in_use = client = self._client
        if old is not None:
            old.close()
        return client

    def _make(self, generation: int) -> _Client:
        return _Client(self._connect, lambda: self._address.generation == generation)

    def _detach(self) -> tuple[_Client | None, bool]:
        """Detach the client, and return it and whether a heartbeat uses it. The caller holds the lock.

        A heartbeat that uses the client fails at once and closes it.
        """
        old, self._client = self._client, None
        in_use = old is not None and self._in_use is old
        if old is not None and in_use:
            old.interrupt()
        return old, in_use

    def _moved_since(self, seen: int, *, refused: bool) -> bool:
        try:
            return self._address.follow(seen, refused=refused)
        except _BROKEN:
            return False

    def _moved(self) -> None:
        """Reconnect at once: the next heartbeat may be seconds away, and a running one may hang."""
        with self._lock:
            old, in_use = self._detach()
            stops = self._stops
        if old is not None:
            target, name = self._reconnect, "taskhero heartbeat reconnects"
            threading.Thread(target=target, args=(None if in_use else old, stops), name=name, daemon=True).start()

    def _reconnect(self, old: _Client | None, stops: int) -> None:
        if old is not None:
            old.close()
        generation = self._address.generation
        client = self._make(generation)
        with contextlib.suppress(*_BROKEN):
            client.redis.ping()
            with self._lock:
                if self._client is None and self._stops == stops and self._address.generation == generation:
                    self._client, self._generation = client, generation
                    return
        client.close()


class _Client:
    """A client with one connection, which it opens only while *is_current* returns true.

    So a detached client never connects to the old server again.
    """

    def __init__(self, connect: Callable[..., redis.Redis], is_current: Callable[[], bool]) -> None:
        self._is_current = is_current
        self._socket: socket.socket | None = None
        self.redis = connect(redis_connect_func=self._handshake)

    def _handshake(self, connection: AbstractConnection) -> None:
        # In this order: if the generation changes after the check, `interrupt` finds the socket.
        self._socket = thread_socket(connection)
        if not self._is_current():
            raise redis_errors.ConnectionError("the server moved while a connection was made")
        connection.on_connect()  # type: ignore[no-untyped-call]

    def run(self, call: ScriptCall) -> Any:
        """Run a script. Send its source only if the server does not have it."""
        send: Callable[..., Any] = self.redis.execute_command
        try:
            return send(*call.command())
        except redis_errors.NoScriptError:
            return send(*call.command(by_source=True))

    def interrupt(self) -> None:
        """Make a command fail that waits for its reply in another thread.

        If redis-py does not reveal the socket, the command fails at its timeout instead.

        The socket stays open. Otherwise a new socket could get its number, and that thread would wait for it.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The method of a TLS socket would remove the TLS state that the other thread reads with.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnect."""
        self.redis.close()
