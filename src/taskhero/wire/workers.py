"""Workers: their names, their signs of life, and what they are busy with."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from json.scanner import make_scanner
from typing import TYPE_CHECKING, Any

import attrs

from taskhero._internal.display import short_repr
from taskhero.errors import Undecodable
from taskhero.models import Job, Working
from taskhero.wire.dates import iso_offset, iso_z, parse_date, ruby_time
from taskhero.wire.jobs import decode_job, job_of
from taskhero.wire.json import decode, quote
from taskhero.wire.splicing import value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "HeldJob",
    "decode_working",
    "iso_offset",
    "iso_z",
    "new_process_name",
    "parse_worker_id",
    "parse_working",
    "ping_value",
    "process_of",
    "ruby_time",
    "working_head",
]

_HEAD = '{"token":"'
_PAYLOAD = ',"payload":'
_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]

_TOKEN = r"th[0-9a-f]{10}"  # noqa: S105 - no secret: it makes a name unique
_WORKER = re.compile(rf"([^:]+\.{_TOKEN}:\d+)\+\d+(?::|\Z)", re.ASCII)
_NOT_IN_A_HOST = re.compile(r"[^A-Za-z0-9._-]+")


# --- names -------------------------------------------------------------------------------------------------------


def new_process_name(host: str | None = None, pid: int | None = None, token: str | None = None) -> str:
    """Make a process's name, ``<host>.<token>:<pid>``, that no process had before or will have.

    Args:
        host: Where it runs, else this machine's name. What other programs would trip over becomes ``-``.
        pid: Its number there, else this process's.
        token: What makes it unique, else ``th`` and ten random hexadecimal digits. `process_of` knows our workers by
            this form of the token.
    """
    host = _NOT_IN_A_HOST.sub("-", socket.gethostname() if host is None else host).strip("-.") or "host"
    pid = os.getpid() if pid is None else pid
    token = f"th{secrets.token_hex(5)}" if token is None else token
    return f"{host}.{token}:{pid}"


def process_of(worker_id: str) -> str | None:
    """The process of a worker of ours, given the worker's name or id, or None if it is another program's."""
    found = _WORKER.match(worker_id)
    return found[1] if found else None


def parse_worker_id(worker_id: str) -> tuple[str, str]:
    """Split a worker's id into its name and its queues: ``host:pid+1:high,low`` is ``host:pid+1``, ``high,low``.

    Either is ``""`` if the id has none. A queue's name may hold colons, a worker's name has one.
    """
    host, colon, rest = worker_id.partition(":")
    pid, _, queues = rest.partition(":")
    return f"{host}{colon}{pid}", queues


def ping_value(*, time: float, name: str, queues: Sequence[str]) -> str:
    """The sign of life that node-resque understands.

    Args:
        time: Now, in unix seconds.
        name: The worker's name.
        queues: Its queues.
    """
    return f'{{"time":{int(time)},"name":{quote(name)},"queues":{quote(",".join(queues))}}}'


# --- what a worker is busy with ----------------------------------------------------------------------------------


@attrs.frozen
class HeldJob:
    """A job in a worker's hands, as it stands under the worker's key.

    Attributes:
        token: Marks this claim among all that the worker ever had.
        queue: The queue the job came from.
        raw: The job's text.
        running: Whether the process runs this job alone.
        worker: The worker's name.
        late: Whether the process ran it alone, and runs others beside it by now.
    """

    token: str
    queue: str
    raw: str
    running: bool
    worker: str
    late: bool = False


def working_head(
    *, token: str, queue: str, worker: str, run_at: float, running: bool = False, late: bool = False
) -> str:
    """All that stands before the job's text under a worker's key; behind the text stands ``}``.

    The text is not looked at, so what is no job survives too.

    Args:
        token: Marks the claim; letters and digits.
        queue: The queue the job came from.
        worker: The worker's name, without its queues.
        run_at: When it was claimed, in unix seconds.
        running: Whether the process runs this job alone.
        late: Whether it did, and runs others beside it by now.
    """
    alone = '"running":true,' if running else '"late":true,' if late else ""
    return (
        f'{_HEAD}{token}",{alone}"queue":{quote(queue)},"run_at":"{iso_z(run_at)}","worker":{quote(worker)}{_PAYLOAD}'
    )


def _split(value: str) -> tuple[dict[str, Any], str] | None:
    """What `working_head` wrote and the job's text, or None if the value does not begin as it does."""
    if not value.startswith(_HEAD) or value[-1] != "}":
        return None
    # Quotes within a name are escaped, so the first place is the right one.
    end = value.find(_PAYLOAD)
    if end < 0:
        return None
    try:
        head, _ = _scan(f"{value[:end]}}}", 0)
    except (ValueError, StopIteration):
        return None
    return head, value[end + len(_PAYLOAD) : -1]


def parse_working(value: str) -> HeldJob | None:
    """Read what `working_head` began; None if a worker of another program wrote it."""
    parts = _split(value)
    if parts is None:
        return None
    head, raw = parts
    queue, worker = head.get("queue"), head.get("worker")
    if type(queue) is not str or type(worker) is not str:
        return None
    return HeldJob(head["token"], queue, raw, "running" in head, worker, "late" in head)


def decode_working(value: str, worker: str) -> Working:
    """Read what stands under a worker's key, whoever wrote it; never raises.

    Args:
        value: The key's value.
        worker: The worker's name.

    Returns:
        What it is busy with. node-resque writes empty arrays as ``{}`` here and cuts numbers, so the arguments of its
        jobs may differ from what was enqueued. The text of another program's job is its payload as the value holds it.
    """
    parts, held = _split(value), parse_working(value)
    if parts is not None and held is not None:
        job = decode_job(held.raw, held.queue)
        return Working(worker=worker, queue=held.queue, job=job, run_at=parse_date(parts[0].get("run_at")), raw=value)
    try:
        data = decode(value)
    except Undecodable as error:
        return _unreadable(value, worker, str(error))
    if not isinstance(data, dict):
        return _unreadable(value, worker, f"it is not a JSON object but {short_repr(data)}")
    payload = data.get("payload")
    queue = _first_text(data.get("queue"), payload.get("queue") if isinstance(payload, dict) else None)
    job = job_of(payload, queue, "" if payload is None else value_text(value, "payload") or "")
    return Working(worker=worker, queue=queue, job=job, run_at=parse_date(data.get("run_at")), raw=value)


def _unreadable(value: str, worker: str, problem: str) -> Working:
    return Working(worker=worker, queue="", job=Job("", [value], "", raw=value, problem=problem), raw=value)


def _first_text(*values: Any) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")
