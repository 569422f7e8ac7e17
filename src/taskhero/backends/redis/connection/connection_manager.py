"""Send commands to one Redis, with errors that say whether the command may have been executed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.redis.connection.master_connections import MasterConnections
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.url_options import REPLY_TIMEOUT
from taskhero.backends.redis.scripts import encode_command
from taskhero.errors import BackendError, BackendRefused, BackendTooOld, BackendUnavailable, ReplyLost, WrongType

if TYPE_CHECKING:
    from taskhero.backends.redis.scripts import ScriptCall

__all__ = ["ConnectionManager"]

OLDEST = (6, 2)

#: Errors that only servers of a Cluster return.
_CLUSTER_ERRORS = (redis_errors.ClusterCrossSlotError, redis_errors.MovedError)
_FAILURES = (redis_errors.RedisError, OSError, TimeoutError)


class ConnectionManager(MasterConnections):
    """The connections of the driver, with the commands that it sends on them.

    redis-py repeats a command whose reply was lost, so the server may execute it twice. This class repeats a command
    only if the server refused it because it is not the master. `BackendUnavailable` and `BackendRefused` mean that the
    command was not executed. `ReplyLost` means that it may have been executed.
    """

    async def _handshake(self) -> None:
        """Raise `BackendTooOld` if the server is too old."""
        try:
            info: bytes = await self.call("INFO", "server")
        except BackendRefused:
            # Some servers and ACLs forbid INFO. A server that is too old then fails at the first step.
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

    async def run_script(self, call: ScriptCall) -> Any:
        """Run a script. Send its source only if the server does not have it. Raises the same errors as `send`."""
        try:
            return await self.send("EVALSHA", call.encoded or encode_command(call.command()))
        except BackendRefused as error:
            if not isinstance(error.__cause__, redis_errors.NoScriptError):
                raise
        return await self.send("EVAL", encode_command(call.command(by_source=True)))

    async def call(self, *command: Any) -> Any:
        """Send one command and return its reply. Raises the same errors as `send`."""
        return await self.send(command[0], encode_command(command))

    async def send(self, name: str, packed: bytes) -> Any:
        """Send one encoded command and return its reply. If the server moved, send it again to the new master.

        Args:
            name: The name of the command, for error messages.
            packed: The encoded command.

        Raises:
            BackendUnavailable: It was not sent, or the server cannot act as the master and did nothing.
            ReplyLost: It was sent, but no reply came.
            BackendRefused: The server answered with an error.
        """
        seen = self._address.generation
        try:
            return await self._send_once(name, packed)
        except BackendError as error:
            # The server did nothing, and a newer connection may reach the master.
            cause = error.__cause__
            if not isinstance(cause, Exception) or not cannot_act(cause) or not await self.follow(cause, seen):
                raise
        return await self._send_once(name, packed)

    async def _send_once(self, name: str, packed: bytes) -> Any:
        """Send a command on the pipelined connection if it is idle. Otherwise take a connection from the pool."""
        pipelined = self._pipelined
        if (
            pipelined is None
            or not pipelined.idle
            or self._pool_generation != self._address.generation
            or self._loop is not asyncio.get_running_loop()
        ):
            return await self._send_pooled(name, packed)
        try:
            return await pipelined.ask(packed)
        except _FAILURES as error:
            if cannot_act(error) and pipelined.idle:
                await pipelined.close()
            raise self._translate_error(error, name) from error
        finally:
            if pipelined.lost or self._queueing:
                await self._end_pipelined(pipelined)

    async def _send_pooled(self, name: str, packed: bytes) -> Any:
        if self._pipelined is not None and self._pipelined.lost:
            await self._end_pipelined(self._pipelined)
        pool, connection = await self._take()
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                await connection.send_packed_command(packed, check_health=False)
                return await connection.read_response()
        except redis_errors.ResponseError as error:
            if cannot_act(error):
                await connection.disconnect(nowait=True)
            raise self._translate_error(error, name) from error
        except BaseException as error:
            # The next command would read a reply that arrives later as its own.
            await connection.disconnect(nowait=True)
            if isinstance(error, _FAILURES):
                raise self._translate_error(error, name) from error
            raise
        finally:
            await self._release(pool, connection)

    def _translate_error(self, error: Exception, name: str) -> BackendError:
        """Return the backend error for an error that came instead of a reply."""
        if cannot_act(error) and not isinstance(error, redis_errors.MovedError):
            reason = " ".join(filter(None, (getattr(error, "status_code", None), str(error))))
            return BackendUnavailable(
                f"Redis at {self.location} did not execute {name}, since it is not ready or not the master: {reason}"
            )
        if isinstance(error, redis_errors.ResponseError):
            kind = WrongType if str(error).startswith("WRONGTYPE") else BackendRefused
            hint = ""
            if isinstance(error, _CLUSTER_ERRORS) and "+cluster:" not in self.location:
                hint = "; it belongs to a Cluster: write redis+cluster:// instead of the URL's scheme"
            return kind(f"Redis at {self.location} refused {name}: {error}{hint}")
        if isinstance(error, redis_errors.AuthenticationError):
            # The server did nothing, and will execute nothing on this connection.
            return self._denied(error)
        return ReplyLost(
            f"the connection to Redis at {self.location} broke before it answered, "
            f"so the step may or may not have been done: {str(error) or type(error).__name__}"
        )
