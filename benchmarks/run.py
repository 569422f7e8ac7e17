"""The benchmarks: ``make bench``. Everything runs on this machine, in turns, and only ratios within one run mean much.

``python benchmarks/run.py [--rounds N] [--jobs N] [WORD...]`` runs those rows whose title has one of the words.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

from servers import Server, start  # noqa: E402

PYTHON = (sys.executable,)
OURS = (*PYTHON, HERE / "ours.py")
DELAYED = (*PYTHON, HERE / "delayed.py")
TRACKED = (*PYTHON, HERE / "tracked.py")
NODE_RESQUE = ("node", HERE / "node_resque.mjs")
BULLMQ = ("node", HERE / "bullmq.mjs")


def told(line: bytes, program: subprocess.Popen[bytes]) -> dict:
    if not line:
        raise SystemExit(f"{program.args} ended without an answer (exit code {program.wait(10)})")
    return json.loads(line)


def run(program: tuple, *words: object) -> dict:
    """Run a program to its end; return what it printed."""
    with subprocess.Popen([*map(str, program), *map(str, words)], stdout=subprocess.PIPE) as running:
        return told(running.stdout.read(), running)


def send(connection: socket.socket, *words: object) -> bytes:
    """One command, and the first line of its reply."""
    parts = [str(word).encode() for word in words]
    text = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    connection.sendall(text)
    reply = connection.recv(65536)
    if reply.startswith(b"-"):
        raise RuntimeError(reply.decode())
    return reply


class Bench:
    """A server, and what is measured on it; each measure empties the server first."""

    def __init__(self, server: Server, jobs: int) -> None:
        self.server = server
        self.jobs = jobs
        self.connection = socket.create_connection((server.host, server.port))

    def empty(self) -> None:
        send(self.connection, "FLUSHALL")

    def fill(self, count: int) -> None:
        self.empty()
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            raws = [f'{{"class":"noop","queue":"bench","args":[{number}]}}' for number in numbers]
            send(self.connection, "RPUSH", "resque:queue:bench", *raws)
        send(self.connection, "SADD", "resque:queues", "bench")

    def drain(self, program: tuple, count: int) -> float:
        """Jobs a second of one worker process with 50 processors."""
        self.fill(count)
        where = self.server.url if program is OURS else self.server.port
        seconds = run(program, "drain", where, count)["seconds"]
        if program is NODE_RESQUE:
            processed = send(self.connection, "GET", "resque:stat:processed").split(b"\r\n")[1]
            if int(processed) != count:
                raise SystemExit(f"node-resque counted {processed!r} instead of {count}")
        return count / seconds

    def drain_bullmq(self) -> float:
        self.empty()
        count = self.jobs // 2
        return count / run(BULLMQ, "drain", self.server.port, count)["seconds"]

    def drain_memory(self) -> float:
        return 2 * self.jobs / run(OURS, "drain", "memory://", 2 * self.jobs)["seconds"]

    def cost(self, verb: str, place: str, clock: str) -> float:
        """Microseconds a job of one worker process that drains: of its time (``seconds``) or its ``cpu``'s."""
        count = 2 * self.jobs
        self.fill(0 if place == "memory" else count)
        url = "memory://" if place == "memory" else self.server.url
        return 1e6 * run(OURS, verb, url, count)[clock] / count

    def produce(self, program: tuple, verb: str) -> float:
        """Jobs a second of one producer."""
        self.empty()
        where = self.server.url if program is OURS else self.server.port
        return self.jobs / run(program, verb, where, self.jobs)["seconds"]

    def pick_up(self, program: tuple) -> float:
        """The median of the milliseconds from a plain RPUSH of another program to the start of the job."""
        self.empty()
        with subprocess.Popen([*map(str, program), self.server.url, "200"], stdout=subprocess.PIPE) as running:
            told(running.stdout.readline(), running)
            for number in range(200):
                time.sleep(random.uniform(0.01, 0.02))
                payload = f'{{"class":"noop","queue":"bench","args":[{time.perf_counter()!r}]}}'
                send(self.connection, "RPUSH", f"resque:queue:bench{number % 5}", payload)
            return 1000 * median(told(running.stdout.readline(), running)["delays"])

    def idle(self) -> float:
        """Commands a second as clients send them: those that scripts call are not counted, nor those of MONITOR."""
        self.empty()
        seconds = 30
        with subprocess.Popen([*map(str, OURS), "idle", self.server.url, str(seconds)], stdout=subprocess.PIPE) as own:
            told(own.stdout.readline(), own)
            with closing(socket.create_connection((self.server.host, self.server.port))) as monitor:
                monitor.sendall(b"MONITOR\r\n")
                text, end = b"", time.monotonic() + seconds - 1
                while (left := end - time.monotonic()) > 0:
                    monitor.settimeout(left)
                    try:
                        text += monitor.recv(65536)
                    except TimeoutError:
                        break
            told(own.stdout.readline(), own)
        sources = re.findall(rb"^\+[\d.]+ \[\d+ (\S+)\]", text, re.MULTILINE)
        return sum(source != b"lua" for source in sources) / (seconds - 1)

    def lateness(self) -> list[float]:
        """Milliseconds after its second in which each of a few delayed jobs began."""
        self.empty()
        return run(DELAYED, "lateness", self.server.url, 20)["late"]

    def promoted(self, moments: int) -> dict:
        """What it costs to promote 50 times as many delayed jobs as a round has, of so many moments."""
        self.empty()
        return run(DELAYED, "promote", self.server.url, 50 * self.jobs, moments)


class Row:
    """One comparison: both sides are measured in turns, and their medians compared.

    Without a goal it only tells; with *difference*, what counts is by how much ours is more than theirs.
    """

    def __init__(
        self,
        title: str,
        unit: str,
        ours: Callable[[Bench], float],
        theirs: Callable[[Bench], float] | None,
        goal: float | None,
        *,
        least: bool = True,
        difference: bool = False,
    ) -> None:
        self.title, self.unit, self.ours, self.theirs = title, unit, ours, theirs
        self.goal, self.least, self.difference = goal, least, difference

    def measure(self, bench: Bench, rounds: int) -> tuple[str, bool | None]:
        """The row as text, and whether the goal was reached, if there is one."""
        own, peer = [], []
        for _ in range(rounds if self.theirs else 1):
            own.append(self.ours(bench))
            if self.theirs:
                peer.append(self.theirs(bench))
        here = median(own)
        there = median(peer) if peer else 1.0
        result = here - there if self.difference else here / there
        times = "x" if peer and not self.difference else " "
        text = f"{self.title:<50}{figure(here):>9}{figure(there) if peer else '':>9} {self.unit:<5}{result:7.2f}{times}"
        if self.goal is None:
            return text, None
        reached = result >= self.goal if self.least else result <= self.goal
        sign = ">=" if self.least else "<="
        return f"{text} {sign} {self.goal:g}{times.strip():<3} {'yes' if reached else 'NO'}", reached


def plugins_row(title: str, verb: str, place: str, clock: str, goal: float | None = None) -> Row:
    """What plugins cost: a drain with them against one without."""
    return Row(
        title, "us", lambda b: b.cost(verb, place, clock), lambda b: b.cost("drain", place, clock), goal,
        least=False, difference=True,
    )  # fmt: skip


def figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2f}"


ROWS = [
    Row(
        "drain, against node-resque", "/s",
        lambda b: b.drain(OURS, 2 * b.jobs), lambda b: b.drain(NODE_RESQUE, b.jobs // 2), 4,
    ),
    Row("drain, against BullMQ", "/s", lambda b: b.drain(OURS, 2 * b.jobs), Bench.drain_bullmq, 2),
    Row("drain of memory://, against Redis", "/s", Bench.drain_memory, lambda b: b.drain(OURS, 2 * b.jobs), 1),
    Row(
        "enqueue_many, against BullMQ's addBulk", "/s",
        lambda b: b.produce(OURS, "enqueue_many"), lambda b: b.produce(BULLMQ, "enqueue_many"), 2,
    ),
    Row(
        "100 concurrent enqueue, against node-resque", "/s",
        lambda b: b.produce(OURS, "enqueue"), lambda b: b.produce(NODE_RESQUE, "enqueue"), 1,
    ),
    Row(
        "pick-up of a foreign RPUSH, against a bare loop", "ms",
        lambda b: b.pick_up((*OURS, "pick_up")), lambda b: b.pick_up(TRACKED), 1.5, least=False,
    ),
    plugins_row("three plugins with hooks, memory://", "drain_with_hooks", "memory", "seconds", 15),
    plugins_row("three plugins with hooks, memory://, CPU", "drain_with_hooks", "memory", "cpu", 15),
    plugins_row("three plugins with hooks, Redis", "drain_with_hooks", "redis", "seconds", 15),
    plugins_row("three plugins with hooks, Redis, CPU", "drain_with_hooks", "redis", "cpu", 15),
    plugins_row("a plugin with a queue-lock, Redis", "drain_with_queue_lock", "redis", "seconds"),
    plugins_row("a plugin with a job-lock, Redis", "drain_with_job_lock", "redis", "seconds"),
    plugins_row("a plugin that retries, Redis", "drain_with_retry", "redis", "seconds"),
    Row("idle process with 20 queues: commands", "/s", Bench.idle, None, 1, least=False),
    Row("delayed job: median after its second", "ms", lambda b: median(b.lateness()), None, 5, least=False),
    Row("delayed job: latest of 20 after its second", "ms", lambda b: max(b.lateness()), None, 50, least=False),
    *(
        Row(f"delayed, {which}: {what}", unit, lambda b, m=moments, v=value: v(b.promoted(m)), None, goal, least=False)
        for which, moments in (("one moment", 1), ("each its own", 1_000_000))
        for what, unit, value, goal in (
            ("slow steps of Redis in 100", "", lambda told: 100 * told["slow_steps"], 1),
            ("cost of the second half", "x", lambda told: told["second_half"], 1.25),
            ("memory of the scheduler", "MB", lambda told: told["megabytes"], 100),
        )
    ),
]  # fmt: skip


@contextmanager
def redis7():
    server = start("redis7")
    try:
        yield server
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; the median counts")
    parser.add_argument("--jobs", type=int, default=20_000, help="the measure of how many jobs a round has")
    parser.add_argument("words", nargs="*", help="only the rows whose title has one of these words")
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.words or any(word in row.title for word in options.words)]
    with redis7() as server:
        bench = Bench(server, options.jobs)
        print(f"50 processors in one worker process, medians of {options.rounds}; taskhero, the other, ratio, goal\n")
        results = []
        for row in rows:
            text, reached = row.measure(bench, options.rounds)
            print(text, flush=True)
            if reached is not None:
                results.append(reached)
        bench.connection.close()
    print(f"\n{sum(results)} of {len(results)} goals reached")


if __name__ == "__main__":
    main()
