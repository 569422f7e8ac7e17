"""Two tasks that run each second and every two seconds, and what the log tells of them.

With a URL as its argument it works there, together with as many others as you like: each task still runs once.
"""

import asyncio
import logging
import sys
from pathlib import Path

from taskhero import Settings, TaskHero
from taskhero.settings import SCHEDULER_EVENTS, WORKER_EVENTS

URL = sys.argv[1] if len(sys.argv) > 1 else "memory://"
SCHEDULER_LINES = ("working_timestamp", "transferred_job", "re_enqueue")

logging.basicConfig(format="%(asctime)s - %(levelname)s: %(message)s", stream=sys.stdout, level=logging.DEBUG)
logging.getLogger("asyncio").setLevel(logging.WARNING)

app = TaskHero(
    URL,
    settings=Settings(
        scheduler=True,
        max_task_processors=1,
        scheduler_logging={event: "debug" if event in SCHEDULER_LINES else "off" for event in SCHEDULER_EVENTS},
        worker_logging={event: "debug" if event == "job" else "off" for event in WORKER_EVENTS},
    ),
)
app.load_tasks(Path(__file__).parent / "tasks")
hellos = asyncio.Queue[None]()


@app.on("scheduler.re_enqueue")
def count() -> None:
    """Count the runs."""
    hellos.put_nowait(None)


async def main() -> None:
    async with app.running():  # both are enqueued at once, and again at the end of each run
        for _ in range(8):
            await hellos.get()


asyncio.run(main())
