"""Errors by which a server says that it cannot act as the master."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

__all__ = ["cannot_act"]

_KINDS = (
    redis_errors.ReadOnlyError,
    redis_errors.BusyLoadingError,
    # CLUSTERDOWN, and MASTERDOWN, which redis-py takes for one of its kind.
    redis_errors.ClusterDownError,
    redis_errors.MovedError,
)
#: UNBLOCKED ends a blocking command of a master that becomes a replica. What a script says of one of its commands is
#: in another text: since Redis 7 if the script raises it, and before always.
_TEXT = re.compile(
    r"UNBLOCKED |(ERR )?(Error running script .*|user_script.*)[ -](READONLY|LOADING|MASTERDOWN|CLUSTERDOWN) "
)


def cannot_act(error: BaseException | None) -> bool:
    """Whether a server answered that it is not the master, or not ready: it has done nothing.

    New connections may lead to another server, since a Sentinel, a Cluster, a proxy or a name server says so.
    """
    return isinstance(error, _KINDS) or (
        isinstance(error, redis_errors.ResponseError) and _TEXT.match(str(error)) is not None
    )
