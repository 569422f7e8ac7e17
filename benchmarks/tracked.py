"""The least that picks up pushed jobs: ``python tracked.py URL JOBS``, to compare taskhero with.

One connection asks which of its queues hold something, is told by Redis when any of them changes (CLIENT TRACKING), and
takes the job. It keeps no record, so a job is lost with its process; a worker cannot be this quick.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from ours import new_event_loop
from redis.asyncio.connection import Connection


async def pick_up(url: str, count: int) -> list[float]:
    queues = [f"resque:queue:bench{n}" for n in range(5)]
    port = int(url.rpartition(":")[2].partition("/")[0])
    connection = Connection(host="127.0.0.1", port=port, protocol=3, socket_timeout=None)
    await connection.connect()
    delays: list[float] = []

    async def ask(*command: str) -> object:
        """The reply to a command; what Redis tells meanwhile is found by the next look at the queues."""
        await connection.send_command(*command)
        return await connection.read_response()

    await ask("CLIENT", "TRACKING", "ON", "NOLOOP")
    print(json.dumps({"ready": True}), flush=True)
    while len(delays) < count:
        if not await ask("EXISTS", *queues):
            await connection.read_response(push_request=True)
        for queue in queues:
            raw = await ask("LPOP", queue)
            if raw is not None:
                (pushed,) = json.loads(raw)["args"]
                delays.append(time.perf_counter() - pushed)
                break
    await connection.disconnect()
    return delays


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps({"delays": runner.run(pick_up(sys.argv[1], int(sys.argv[2])))}), flush=True)
