"""Recognize the errors of a server that cannot act as the master."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

__all__ = ["cannot_act"]

_KINDS = (
    redis_errors.ReadOnlyError,
    redis_errors.BusyLoadingError,
    # CLUSTERDOWN and MASTERDOWN: redis-py raises the same class for both.
    redis_errors.ClusterDownError,
    redis_errors.MovedError,
)
#: UNBLOCKED ends a blocking command when a master becomes a replica. Redis 7 wraps the error of a command in a script
#: if the script raises it. Older versions always wrap it.
_MESSAGE = re.compile(
    r"UNBLOCKED |(ERR )?(Error running script .*|user_script.*)[ -](READONLY|LOADING|MASTERDOWN|CLUSTERDOWN) "
)


def cannot_act(error: BaseException | None) -> bool:
    """Return whether a server answered that it is not the master, or not ready. Then it has done nothing.

    New connections may reach another server, which a Sentinel, a Cluster, a proxy or a name server names.
    """
    return isinstance(error, _KINDS) or (
        isinstance(error, redis_errors.ResponseError) and _MESSAGE.match(str(error)) is not None
    )
