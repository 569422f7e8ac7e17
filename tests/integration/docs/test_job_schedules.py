"""The example with a scheduler package: three processes, one of them leads, and another one takes over."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from processes import WorkerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

NODE = Path(__file__).parents[3] / "examples" / "job_schedules" / "node.py"


async def start(url):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(NODE), url, stdout=asyncio.subprocess.PIPE
    )
    return WorkerProcess(process)


def enqueued(node):
    return [line for line in node.said if line.endswith("enqueued it")]


async def first_to_lead(nodes):
    """The node that leads first of these."""
    waits = {asyncio.create_task(node.says(f"{node.pid} leads")): node for node in nodes}
    done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in others:
        wait.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    (leader,) = done
    leader.result()
    return waits[leader]


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_its_jobs_are_enqueued_by_the_leader_alone(redis_url, how):
    nodes = [await start(redis_url) for _ in range(3)]
    try:
        leader = await first_to_lead(nodes)
        others = [node for node in nodes if node is not leader]
        await leader.tells(f"{leader.pid} enqueued it", 3)
        assert [enqueued(node) for node in others] == [[], []]
        leader.send(signal.SIGKILL if how == "killed" else signal.SIGTERM)
        await leader.ended()
        assert (f"{leader.pid} leads no longer" in leader.said) is (how == "stopped")
        heir = await first_to_lead(others)
        await heir.tells(f"{heir.pid} enqueued it", 3)
        (other,) = [node for node in others if node is not heir]
        assert enqueued(other) == []
        assert any(line.startswith("hello of") for node in nodes for line in node.said)
    finally:
        for node in nodes:
            node.kill()
            await node.ended()
