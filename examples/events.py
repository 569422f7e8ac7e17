"""Listen to what happens: a handler is called for each event of a name; docs/events.md lists them all."""

import asyncio

from taskhero import Job, Settings, TaskHero
from taskhero.events import WorkerFailure

app = TaskHero(settings=Settings(max_task_processors=2))
ended = asyncio.Queue[None]()


@app.task
async def divide(a: int, b: int) -> float:
    """Fails if b is zero."""
    return a / b


@app.on("success")
async def report_success(job: Job, result: float) -> None:
    """A handler names the fields that it wants, and may be asynchronous ..."""
    print(f"{job.name}{tuple(job.args)} = {result}")
    await ended.put(None)


@app.on("failure")
def report_failure(event: WorkerFailure) -> None:
    """... or takes the event as a whole."""
    print(f"{event.job.name}{tuple(event.job.args)} failed: {event.error}")
    ended.put_nowait(None)


async def main() -> None:
    async with app:
        await divide.enqueue(6, 3)
        await divide.enqueue(1, 0)
        async with app.running():
            for _ in range(2):
                await ended.get()

        (failed,) = await app.queue.failed()
        print("kept:", failed.exception, "in", failed.backtrace[-1].strip())


asyncio.run(main())
