"""A multi-worker of one's own: it adds task processors one by one, and keeps those that it has."""

import asyncio

from taskhero import Load, MultiWorker, Settings, TaskHero


class SteadyMultiWorker(MultiWorker):
    """Grows slowly and never shrinks."""

    def decide(self, load: Load) -> int:
        """How many task processors to add."""
        busy = load.working == load.workers
        return 1 if busy and load.backlog and not load.blocked and load.workers < load.maximum else 0


app = TaskHero(
    settings=Settings(min_task_processors=1, max_task_processors=4, check_interval=0.05, max_event_loop_delay=1),
    multi_worker=SteadyMultiWorker,
)
together = asyncio.Barrier(4)
counts: list[int] = []
guests = 12
done: asyncio.Queue[None] = asyncio.Queue()


@app.on("multi_worker_action")
def note(count: int) -> None:
    """Note how many task processors there are."""
    if count and (not counts or counts[-1] != count):
        counts.append(count)


@app.on("success")
def count_done() -> None:
    """Note that a job is done."""
    done.put_nowait(None)


@app.task
async def meet() -> None:
    """Wait until four jobs run at the same time."""
    await together.wait()


async def main() -> None:
    async with app:
        await app.queue.enqueue_many([meet.job() for _ in range(guests)])
        async with app.running():
            for _ in range(guests):
                await done.get()
    print("processors:", ", ".join(map(str, counts)))


asyncio.run(main())
