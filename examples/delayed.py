"""Enqueue jobs for later: in so many seconds, or at a moment. None starts early."""

import asyncio
from datetime import UTC, datetime, timedelta

from taskhero import Settings, TaskHero

app = TaskHero(settings=Settings(scheduler=True, max_task_processors=1))
done: asyncio.Queue[str] = asyncio.Queue()


@app.task
async def remind(about: str) -> None:
    """Say what is due, and when."""
    await done.put(f"{datetime.now(UTC):%H:%M:%S} {about}")


async def main() -> None:
    async with app:
        print(f"{datetime.now(UTC):%H:%M:%S} it is now")
        await remind.enqueue_in(timedelta(seconds=2), "the kettle")
        await remind.enqueue_in(1, "the toast")  # a bare number is seconds
        await remind.enqueue_at(datetime.now(UTC) + timedelta(days=300), "the taxes")
        print("in their queue now:", await app.queue.length("default"))

        async with app.running():  # the scheduler promotes what is due, the processor works it
            print(await done.get())
            print(await done.get())


asyncio.run(main())
