"""Which workers a Ruby worker removes when it starts, as Resque 3.0 was seen to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

__all__ = ["pruned"]

#: Seconds without a sign of life.
PRUNE_INTERVAL = 300
#: The command lines that Ruby's workers have, by which it tells which processes are its own.
_RUBY = re.compile(r"resque:work|resque:\sStarting|resque-[0-9]")


def pruned(
    workers: Iterable[str],
    heartbeats: Mapping[str, str],
    *,
    now: datetime,
    host: str,
    queues: Iterable[str],
    processes: Mapping[str, str],
) -> set[str]:
    """The ids that a Ruby worker takes out of the set of workers.

    Args:
        workers: The ids in the set.
        heartbeats: Id to sign of life.
        now: The server's time.
        host: Where the Ruby worker starts.
        queues: Its queues.
        processes: What runs on the host: pid to command line.
    """
    ruby = {pid for pid, line in processes.items() if _RUBY.search(line)}
    mine = set(queues)
    gone = set()
    for worker in workers:
        their_host, pid, theirs = worker.split(":", 2)
        beat = heartbeats.get(worker)
        stale = beat is not None and (now - datetime.fromisoformat(beat)).total_seconds() > PRUNE_INTERVAL
        same = "*" in mine or set(theirs.split(",")) == mine
        if stale or (their_host == host and same and pid not in ruby):
            gone.add(worker)
    return gone
