"""Workers of taskhero and of other programs, as the tests of workers store them."""

from __future__ import annotations

import json

from taskhero.backends.protocol import Entry
from taskhero.conformance.steps import claim_one, registered

__all__ = ["JOB", "MULTI", "NODE", "NODE_WORKS", "RUBY", "RUBY_WORKS", "busy", "foreign"]


JOB = '{"class":"slow","queue":"math","args":[{"a":1}]}'
RUBY, NODE, MULTI = "vm:14545:math,slow", "vm:18588:math", "vm:18825+1:math"
RUBY_WORKS = '{"queue":"slow","run_at":"2026-11-23T10:32:05Z","payload":{"class":"SlowJob","args":["hé",[],1.0e+21]}}'
NODE_WORKS = (
    '{"run_at":"Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)","worker":"vm:18588",'
    '"payload":{"class":"SlowJob","args":["x",{}],"queue":"math"},"queue":"math"}'
)


async def busy(app, number=1, raw=JOB, queues=("math",)):
    """A process that holds a job, and whose second task processor is idle."""
    process = await registered(app.backend, number, slots=(1, 2), queues=queues)
    await app.backend.push([Entry("math", raw)])
    return process, await claim_one(app.backend, process, queue="math")


async def foreign(harness, app, worker_id, *, working=None, ping=None, heartbeat=None, started=None):
    """A worker of another program, or new signs of life of one."""
    name = ":".join(worker_id.split(":")[:2])
    await harness.redis(app, "SADD", "resque:workers", worker_id)
    if working is not None:
        await harness.redis(app, "SET", f"resque:worker:{worker_id}", working)
    if started is not None:
        await harness.redis(app, "SET", f"resque:worker:{worker_id}:started", started)
    if ping is not None:
        value = json.dumps({"time": ping, "name": name, "queues": "math"})
        await harness.redis(app, "SET", f"resque:worker:ping:{name}", value)
    if heartbeat is not None:
        await harness.redis(app, "HSET", "resque:workers:heartbeat", worker_id, heartbeat)
