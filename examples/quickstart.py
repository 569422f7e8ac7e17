"""Declare a task, enqueue it, and let this program's own event loop work it.

Run it with `python examples/quickstart.py`; with a Redis URL behind it, the jobs lie there instead.
"""

import asyncio
import sys

from taskhero import Settings, TaskHero

backend = sys.argv[1] if len(sys.argv) > 1 else "memory://"
app = TaskHero(backend, settings=Settings(max_task_processors=5))
sent: asyncio.Queue[str] = asyncio.Queue()


@app.task(queue="mail")
async def send_welcome_email(*, to: str) -> None:
    """Send a new user a welcome email."""
    await sent.put(to)


async def main() -> None:
    async with app:  # connected: jobs can be enqueued and looked at
        await send_welcome_email.enqueue(to="ann@example.com")
        await send_welcome_email.enqueue(to="bob@example.com")
        print("waiting:", await app.queue.length("mail"))

        async with app.running():  # task processors in this event loop
            for _ in range(2):
                print("sent to", await sent.get())

        print("waiting:", await app.queue.length("mail"))


asyncio.run(main())
