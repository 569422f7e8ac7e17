"""An app whose tasks stand in the files of a folder, as in ActionHero."""

import asyncio
from pathlib import Path
from typing import Any

from taskhero import Settings, TaskHero

app = TaskHero(settings=Settings(max_task_processors=2))
app.load_tasks(Path(__file__).parent / "tasks")
results: asyncio.Queue[Any] = asyncio.Queue()


@app.on("success")
def keep(result: Any) -> None:
    """Keep what the task returned."""
    results.put_nowait(result)


async def main() -> None:
    async with app:
        await app.queue.enqueue("send_welcome_email", {"to": "ann@example.com"})
        await app.queue.enqueue("add", [1, 2])
        await app.queue.enqueue("double", [21])
        async with app.running():
            for answer in sorted([str(await results.get()) for _ in range(3)]):
                print(answer)


asyncio.run(main())
