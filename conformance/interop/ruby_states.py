"""States in which Ruby's Resque 3.0 and resque-scheduler 5.0 leave a Redis, and how to restore one.

They have the form and the oddities of the real ones: dates of three kinds, floats such as 1.0e+21, arguments that are
no array, empty texts among the failures.
"""

from __future__ import annotations

import json
from typing import Any, Final

import redis

__all__ = ["MASTER_LOCK", "STATES", "WORKER", "entry", "restore"]

MASTER_LOCK: Final = "resque:resque:resque_scheduler_master_lock"
DUE: Final = 1_700_000_000


def entry(**parts: Any) -> str:
    """A failure as Ruby writes it; a part that is None is left out."""
    told = {
        "failed_at": "2026/11/23 10:32:07 UTC",
        "payload": {"class": "Mailer", "args": ["hé", [], 1.0]},
        "exception": "Mailer::Down",
        "error": "boom é 💥 <b>&\nsecond line",
        "backtrace": ["/app/jobs.rb:18:in `perform'"],
        "worker": "web1:14559:default,slow",
        "queue": "default",
        **parts,
    }
    kept = {part: value for part, value in told.items() if value is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


WORKER: Final = "web1:14545:default,slow"
STATES: Final[dict[str, dict[str, Any]]] = {
    "jobs of all shapes": {
        "queues": {"default", "name:with:colons"},
        "queue:default": [
            '{"class":"Mailer","args":["hé 😀",[],{},null,1.0,1.0e+21,1.0e-07,12345678901234567890]}',
            '{"class":"Mailer"}',
            '{"class":"Mailer","args":null}',
            '{"class":"Mailer","args":{}}',
            '{"class":"Mailer","args":{"a":1}}',
            '{"class":"Mailer","args":"scalar"}',
            '{ "args": [5], "meta": {"x": 1}, "queue": null, "class": "Mailer" }',
            '{"class":"Nobody","class":"Mailer","args":["\\u00e9\\/"]}',
        ],
        "queue:name:with:colons": ['{"class":"Some::Module::Job","args":[1]}'],
    },
    "a busy worker": {
        "workers": {WORKER},
        "workers:heartbeat": {WORKER: "2026-11-23T10:32:04+00:00"},
        f"worker:{WORKER}": '{"queue":"slow","run_at":"2026-11-23T10:32:05Z","payload":{"class":"Slow","args":[1.0]}}',
        f"worker:{WORKER}:started": "2026-11-23 10:32:04 +0000",
        f"stat:processed:{WORKER}": "2",
        "stat:processed": "2",
        "pruning_dead_workers_in_progress": WORKER,
        "queues": {"slow"},
    },
    "failures": {
        "failed": [
            entry(retried_at="2026/11/23 10:32:08 UTC"),
            entry(failed_at="2026/11/23 05:32:07 EST"),
            "",
            entry(exception="Resque::DirtyExit", error="Child process received unhandled signal pid 1", backtrace=[]),
            entry(exception="Resque::TermException", error="SIGTERM"),
            entry(exception="Resque::PruneDeadWorkerDirtyExit", payload={"class": "Slow", "args": {}}, backtrace=[]),
        ],
        "stat:failed": "5",
    },
    "failures by queue": {
        "failed_queues": {"slow_failed"},
        "slow_failed": [entry(queue="slow", retried_at="2026/11/23 10:32:08")],
    },
    "delayed jobs": {
        "delayed_queue_schedule": [(DUE, str(DUE)), (DUE + 1, str(DUE + 1)), (DUE + 2, str(DUE + 2))],
        f"delayed:{DUE}": ['{"class":"Mailer","args":["a"],"queue":"default"}'] * 2,
        f"delayed:{DUE + 1}": [
            '{"class":"Mailer","args":["null"],"queue":null}',
            '{"class":"Mailer","queue":"mail","args":{}}',
            '{"class":"Mailer","queue":"mail","args":"scalar"}',
            '{"class":"Mailer","queue":"mail"}',
            '{"class":"Mailer","queue":"mail","args":[1],"meta":{"x":1}}',
        ],
        'timestamps:{"class":"Mailer","args":["a"],"queue":"default"}': {f"delayed:{DUE}"},
        'timestamps:{"class":"Mailer","queue":"mail"}': {f"delayed:{DUE + 1}"},
    },
    "dynamic schedules": {
        "persistent_schedules": {
            "nightly": '{"class":"Cron","cron":"0 3 * * * UTC","queue":"cron","args":[]}',
            "dyn é": '{"class":"Cron","every":["1s",{"first_in":"0s"}],"queue":"cron","args":["a",{"b":[]}]}',
        },
        "schedules_changed": {"nightly", "dyn é", "gone"},
        "delayed:last_enqueued_at": {"dyn é": "2026-11-23 10:34:23 +0000"},
    },
}


def restore(url: str, *names: str) -> None:
    """Write the keys of these states, each by its type: str, list, set, dict (hash), or pairs (sorted set)."""
    client = redis.Redis.from_url(url)
    for name in names:
        for key, value in STATES[name].items():
            _write(client, f"resque:{key}", value)
    client.close()


def _write(client: Any, key: str, value: Any) -> None:
    if isinstance(value, str):
        client.set(key, value)
    elif isinstance(value, set):
        client.sadd(key, *value)
    elif isinstance(value, dict):
        client.hset(key, mapping=value)
    elif isinstance(value[0], tuple):
        client.zadd(key, {member: score for score, member in value})
    else:
        client.rpush(key, *value)
