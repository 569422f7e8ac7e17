"""The names of workers, their heartbeats and their claims."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from typing import Any

import attrs

from taskhero._internal.display import short_repr
from taskhero.errors import Undecodable
from taskhero.models import Job, Working
from taskhero.wire.dates import iso_z, parse_date, ruby_time
from taskhero.wire.jobs import decode_job, job_of
from taskhero.wire.json import decode, quote
from taskhero.wire.json_internals import make_scan
from taskhero.wire.splicing import value_text

__all__ = [
    "HeldJob",
    "decode_working",
    "iso_z",
    "new_process_name",
    "parse_worker_id",
    "parse_working",
    "process_of",
    "ruby_time",
    "working_head",
]

_HEAD = '{"token":"'
_PAYLOAD = ',"payload":'
_scan = make_scan(json.JSONDecoder())

_TOKEN = r"th[0-9a-f]{10}"  # noqa: S105 - not a secret: it makes a name unique
_WORKER = re.compile(rf"([^:]+\.{_TOKEN}:\d+)\+\d+(?::|\Z)", re.ASCII)
_NOT_IN_A_HOST = re.compile(r"[^A-Za-z0-9._-]+")


# --- names -------------------------------------------------------------------------------------------------------


def new_process_name(host: str | None = None, pid: int | None = None, token: str | None = None) -> str:
    """Return a unique name for a process, ``<host>.<token>:<pid>``.

    Args:
        host: Its host, by default this machine's name. Characters that other programs cannot parse become ``-``.
        pid: Its process id, by default that of this process.
        token: What makes it unique, by default ``th`` and ten random hexadecimal digits. `process_of` recognizes
            workers of taskhero by this form of the token.
    """
    host = _NOT_IN_A_HOST.sub("-", socket.gethostname() if host is None else host).strip("-.") or "host"
    pid = os.getpid() if pid is None else pid
    token = f"th{secrets.token_hex(5)}" if token is None else token
    return f"{host}.{token}:{pid}"


def process_of(worker_id: str) -> str | None:
    """Return the process of a worker of taskhero by its name or id, or None for another program's worker."""
    found = _WORKER.match(worker_id)
    return found[1] if found else None


def parse_worker_id(worker_id: str) -> tuple[str, str]:
    """Split a worker's id into its name and its queues: ``host:pid+1:high,low`` is ``host:pid+1``, ``high,low``.

    Either is ``""`` if the id has none. A queue's name can contain colons; a worker's name has one.
    """
    host, colon, rest = worker_id.partition(":")
    pid, _, queues = rest.partition(":")
    return f"{host}{colon}{pid}", queues


# --- claims ------------------------------------------------------------------------------------------------------


@attrs.frozen
class HeldJob:
    """A claimed job, as it is stored under the worker's key.

    Attributes:
        token: Identifies this claim among all claims of the worker.
        queue: The queue of the job.
        raw: The payload.
        running: Whether the job runs exclusively.
        worker: The worker's name.
        late: Whether its exclusive run has ended, and other jobs run beside it.
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
    """Return the part of a worker key's value before the payload. The part after it is ``}``.

    The payload is not parsed, so a claim can hold one that is not a job.

    Args:
        token: Identifies the claim; letters and digits.
        queue: The queue of the job.
        worker: The worker's name, without its queues.
        run_at: The time of the claim, in Unix seconds.
        running: Whether the job runs exclusively.
        late: Whether its exclusive run has ended, and other jobs run beside it.
    """
    flag = '"running":true,' if running else '"late":true,' if late else ""
    return f'{_HEAD}{token}",{flag}"queue":{quote(queue)},"run_at":"{iso_z(run_at)}","worker":{quote(worker)}{_PAYLOAD}'


def _split(value: str) -> tuple[dict[str, Any], str] | None:
    """Return the members of `working_head` and the payload, or None if another program wrote the value."""
    if not value.startswith(_HEAD) or value[-1] != "}":
        return None
    # Quotes within a name are escaped, so the first occurrence is the right one.
    end = value.find(_PAYLOAD)
    if end < 0:
        return None
    try:
        head, _ = _scan(f"{value[:end]}}}", 0)
    except (ValueError, StopIteration):
        return None
    return head, value[end + len(_PAYLOAD) : -1]


def parse_working(value: str) -> HeldJob | None:
    """Read the value of a worker key. Return None if a worker of another program wrote it."""
    parts = _split(value)
    if parts is None:
        return None
    head, raw = parts
    queue, worker = head.get("queue"), head.get("worker")
    if type(queue) is not str or type(worker) is not str:
        return None
    return HeldJob(head["token"], queue, raw, "running" in head, worker, "late" in head)


def decode_working(value: str, worker: str) -> Working:
    """Read the value of a worker key, of any program. Never raise.

    Args:
        value: The key's value.
        worker: The worker's name.

    Returns:
        The job that the worker runs. node-resque writes empty arrays as ``{}`` here and truncates numbers, so the
        arguments of its jobs can differ from those that were enqueued. The `raw` of another program's job is its
        payload as the value contains it.
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
