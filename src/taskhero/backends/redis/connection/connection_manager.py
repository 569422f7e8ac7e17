"""Commands to one Redis whose failures say whether anything may have happened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.redis.connection.master_connections import MasterConnections
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.url_options import REPLY_TIMEOUT
from taskhero.errors import BackendError, BackendRefused, BackendTooOld, BackendUnavailable, ReplyLost, WrongType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import AbstractConnection

    from taskhero.backends.redis.connection.pipelined import HiredisConnection

_pack: Callable[[tuple[Any, ...]], bytes] | None
try:
    from hiredis import pack_command as _pack
except ImportError:
    _pack = None

__all__ = ["ConnectionManager"]

OLDEST = (6, 2)

#: What only servers of a Cluster answer.
_OF_A_CLUSTER = (redis_errors.ClusterCrossSlotError, redis_errors.MovedError)
_FAILURES = (redis_errors.RedisError, OSError, TimeoutError)


def _packed(connection: AbstractConnection, command: Sequence[Any]) -> bytes | list[bytes]:
    """A command's bytes: by hiredis if that is installed, which for long commands takes a tenth of the time."""
    if _pack is not None:
        return _pack(tuple(command))
    return connection.pack_command(*command)


class ConnectionManager(MasterConnections):
    """Commands on a pool of connections to one server.

    redis-py would repeat a command whose answer was lost, which may do it twice; here only a command is repeated that
    the server refused since it is not the master. The error tells "was not done" (BackendUnavailable, BackendRefused)
    from "may have been done" (ReplyLost).
    """

    async def _greet(self) -> None:
        """Refuse a server that is too old."""
        try:
            info: bytes = await self.call("INFO", "server")
        except BackendRefused:
            # Some servers and users have no INFO; a server that is too old shows at the first step.
            await self.call("PING")
            return
        fields = dict(line.split(":", 1) for line in info.decode("utf-8", "replace").splitlines() if ":" in line)
        version = fields.get("redis_version", "")
        try:
            numbers = tuple(int(part) for part in version.split(".")[:2])
        except ValueError:
            return
        if numbers < OLDEST:
            raise BackendTooOld(
                f"the server at {self.location} is Redis {version}; taskhero needs Redis 6.2 or newer, or Valkey"
            )

    async def call(self, *command: Any) -> Any:
        """Send one command; return its reply.

        Raises:
            BackendUnavailable: It was not sent, or the server cannot act as the master and did nothing.
            ReplyLost: It was sent, but no answer came.
            BackendRefused: The server answered with an error.
        """
        return await self._call_master(command)

    async def call_packed(self, name: str, packed: bytes) -> Any:
        """Send a command that is in the server's form already; *name* is what errors call it. Raises as `call`."""
        return await self._call_master((name,), packed)

    async def _call_master(self, command: Sequence[Any], packed: bytes | None = None) -> Any:
        """Send a command, and once more if the server did nothing and newer connections may lead to the master."""
        seen = self._address.generation
        try:
            return await self._call(command, packed)
        except BackendError as error:
            cause = error.__cause__
            if not isinstance(cause, Exception) or not cannot_act(cause) or not await self.follow(cause, seen):
                raise
        return await self._call(command, packed)

    async def _call(self, command: Sequence[Any], packed: bytes | None) -> Any:
        ready = self._pipelined
        if ready is not None and ready.lost:
            await self._end_pipelined(ready)
        elif (
            ready is not None
            and ready.idle
            and self._pool_generation == self._address.generation
            and self._loop is asyncio.get_running_loop()
        ):
            return await self._call_pipelined(ready, command, packed)
        pool, connection = await self._take()
        try:
            return await self._ask(connection, command, packed)
        finally:
            await self._release(pool, connection)

    async def _call_pipelined(self, ready: HiredisConnection, command: Sequence[Any], packed: bytes | None) -> Any:
        try:
            return await ready.ask(packed or _packed(ready.connection, command))
        except _FAILURES as error:
            if cannot_act(error) and ready.idle:
                await ready.close()
            raise self._translate_error(error, command[0]) from error
        finally:
            if ready.lost or self._queueing:
                await self._end_pipelined(ready)

    async def _ask(self, connection: AbstractConnection, command: Sequence[Any], packed: bytes | None) -> Any:
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                await connection.send_packed_command(packed or _packed(connection, command), check_health=False)
                return await connection.read_response()
        except redis_errors.ResponseError as error:
            if cannot_act(error):
                await connection.disconnect(nowait=True)
            raise self._translate_error(error, command[0]) from error
        except BaseException as error:
            # An answer that is still to come would be taken for the next one's.
            await connection.disconnect(nowait=True)
            if isinstance(error, _FAILURES):
                raise self._translate_error(error, command[0]) from error
            raise

    def _translate_error(self, error: Exception, name: str) -> BackendError:
        """What it means for a step that this came instead of its answer."""
        if cannot_act(error) and not isinstance(error, redis_errors.MovedError):
            said = " ".join(filter(None, (getattr(error, "status_code", None), str(error))))
            return BackendUnavailable(
                f"Redis at {self.location} did nothing for {name}, since it is not ready or not the master: {said}"
            )
        if isinstance(error, redis_errors.ResponseError):
            kind = WrongType if str(error).startswith("WRONGTYPE") else BackendRefused
            hint = ""
            if isinstance(error, _OF_A_CLUSTER) and "+cluster:" not in self.location:
                hint = "; it belongs to a Cluster: write redis+cluster:// instead of the URL's scheme"
            return kind(f"Redis at {self.location} refused {name}: {error}{hint}")
        if isinstance(error, redis_errors.AuthenticationError):
            # The server did nothing, and goes on doing nothing on this connection.
            return self._denied(error)
        return ReplyLost(
            f"the connection to Redis at {self.location} broke before it answered, "
            f"so the step may or may not have been done: {str(error) or type(error).__name__}"
        )
