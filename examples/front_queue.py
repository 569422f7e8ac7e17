"""A queue of one's own: `enqueue_front` puts a job before all that wait."""

import asyncio
from typing import Any

from taskhero import Queue, Settings, TaskHero


class FrontQueue(Queue):
    """Can put a job at the front of its queue."""

    async def enqueue_front(self, name: str, args: Any = (), queue: str | None = None) -> bool:
        """Like `enqueue`, hooks and all, but the job comes next."""
        return await self.push(self.job(name, args, queue), front=True)


app = TaskHero(settings=Settings(max_task_processors=1), queue=FrontQueue)
order: asyncio.Queue[str] = asyncio.Queue()


@app.task
async def serve(guest: str) -> None:
    """Serve a guest."""
    await order.put(guest)


async def main() -> None:
    async with app:
        await serve.enqueue("Ann")
        await serve.enqueue("Bob")
        assert isinstance(app.queue, FrontQueue)
        await app.queue.enqueue_front("serve", ["the king"])

        async with app.running():
            print(", ".join([await order.get() for _ in range(3)]))


asyncio.run(main())
