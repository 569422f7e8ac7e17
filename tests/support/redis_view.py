"""Look at a Redis backend as its tests do: its keys, its server and its connections.

Only this module knows where a backend has them. Tests that imitate another program send commands with `run_command`.
"""

from __future__ import annotations

__all__ = [
    "connections_of",
    "count_commands",
    "ignores_dead_master_locks",
    "is_listening",
    "is_tracking",
    "keys_of",
    "pipelined_connection_of",
    "run_command",
    "set_tracking",
    "tracking_listener_of",
]


def connections_of(backend):
    """Return the connection manager of a backend."""
    return backend._connections


def ignores_dead_master_locks(backend):
    """Return whether a backend takes a master lock without an expiry for dead after some time."""
    return backend._scheduler.ignore_dead_master_lock


def keys_of(backend):
    """Return the names of a backend's keys."""
    return backend._keys


def pipelined_connection_of(backend):
    """Return the connection on which a backend pipelines its commands, or None."""
    return connections_of(backend)._pipelined


async def run_command(backend, *command):
    """Send one command to the server of a backend, as another program would. Return the reply."""
    return await connections_of(backend).call(*command)


def set_tracking(backend, *, enabled):
    """Let a backend wait as the tracking listener, or only with blocking commands, as where tracking is refused."""
    backend._notifier.can_track = enabled


def tracking_listener_of(backend, process):
    """Return the tracking listener of a process, or None before its first wait."""
    waiting = backend._notifier.listeners.get(process.name)
    return None if waiting is None else waiting.tracking


def is_tracking(backend, process):
    """Return whether a process is the tracking listener of its namespace."""
    listener = tracking_listener_of(backend, process)
    return listener is not None and listener.active


def is_listening(backend, process):
    """Return whether a process waits for an invalidation on its tracking connection."""
    listener = tracking_listener_of(backend, process)
    return listener is not None and bool(listener._listeners)


def count_commands(backend):
    """Count the commands of a Redis backend. Return a function that returns the number since its last call."""
    connections, sent = connections_of(backend), []
    connections.send = _noting(connections.send, sent)

    def since():
        number = len(sent)
        sent.clear()
        return number

    return since


def _noting(send, sent):
    async def noted(name, packed):
        # EVAL only loads a script that the server does not know yet.
        if name != "EVAL":
            sent.append(name)
        return await send(name, packed)

    return noted
