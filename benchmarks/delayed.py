"""Delayed jobs: ``python delayed.py lateness URL SECONDS`` and ``python delayed.py promote URL JOBS [MOMENTS]``.

It prints one line of JSON. Times are taken by this machine's clock, on which the server runs too.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

from ours import new_event_loop

from taskhero import Settings, TaskHero

#: The server notes each step that takes longer than this many microseconds.
SLOW = 5000


async def lateness(url: str, seconds: int) -> object:
    """One job falls due each second, in an otherwise idle process: by how many milliseconds each begins later."""
    settings = Settings(queues=("bench",), scheduler=True, max_task_processors=50)
    app = TaskHero(url, settings=settings)
    late: list[float] = []
    full = asyncio.Event()

    @app.task(name="noop", queue="bench")
    async def noop(due: int) -> None:
        late.append(1000 * (time.time() - due))
        if len(late) == seconds:
            full.set()

    async with app.running():
        first = int(time.time()) + 2
        for due in range(first, first + seconds):
            await noop.enqueue_at(due, due)
        await full.wait()
    if min(late) < 0:
        raise RuntimeError(f"a job began {-min(late)} ms early")
    return {"late": late}


async def promote(url: str, count: int, moments: int = 1) -> object:
    """Promote jobs that are all due, delayed to so many moments; nobody works them.

    The server is filled here, past the driver, which would enqueue at once what is due.
    """
    import redis

    with redis.Redis.from_url(url) as server:
        fill(server, count, moments)
        server.config_set("slowlog-log-slower-than", SLOW)
        server.config_set("slowlog-max-len", 10**6)
        server.config_resetstat()
        server.slowlog_reset()
        app = TaskHero(url, settings=Settings(scheduler=True))
        empty = asyncio.Event()
        halves: list[float] = []
        promoted = 0
        begun = time.perf_counter()

        @app.on("transferred_job")
        def transferred() -> None:
            nonlocal promoted
            promoted += 1
            if promoted in {count // 2, count}:
                halves.append(time.perf_counter() - begun)
            if promoted == count:
                empty.set()

        async with app.running():
            await empty.wait()
        if queued(server) != count:
            raise RuntimeError("not all jobs are in their queue")
        slow, steps = server.slowlog_len(), server.info("commandstats")["cmdstat_evalsha"]["calls"]
    first, whole = halves
    return {
        "seconds": whole,
        "second_half": (whole - first) / first,
        "slow_steps": slow / steps,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def fill(server: object, count: int, moments: int) -> None:
    earliest = int(time.time()) - moments - 1
    pipe = server.pipeline(transaction=False)  # type: ignore[attr-defined]
    for number in range(count):
        at = earliest + number * moments // count
        raw = f'{{"class":"noop","queue":"bench","args":[{number}]}}'
        pipe.rpush(f"resque:delayed:{at}", raw)
        pipe.sadd(f"resque:timestamps:{raw}", f"delayed:{at}")
        pipe.zadd("resque:delayed_queue_schedule", {str(at): at})
        if number % 5000 == 4999:
            pipe.execute()
    pipe.execute()


def queued(server: object) -> int:
    return int(server.llen("resque:queue:bench"))  # type: ignore[attr-defined]


def main() -> None:
    what, url, *numbers = sys.argv[1:]
    verbs = {"lateness": lateness, "promote": promote}
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(runner.run(verbs[what](url, *map(int, numbers)))), flush=True)


if __name__ == "__main__":
    main()
