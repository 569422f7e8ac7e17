"""Where a task runs: `async def` in the event loop, `def` in a thread, `run_in="process"` in a process of its own.

A task in a process must stand in a module that the other process can import, so the program's work is under
`if __name__ == "__main__"`.
"""

import asyncio
import os
import threading
import time

from taskhero import Job, Settings, TaskHero, current

app = TaskHero(settings=Settings(max_task_processors=3))
answers: asyncio.Queue[str] = asyncio.Queue()


@app.task
async def on_the_loop() -> str:
    """Asynchronous: beside everything else that the loop does."""
    await asyncio.sleep(0.1)
    return f"{current().job.name}: thread {threading.current_thread().name}"


@app.task
def in_a_thread() -> str:
    """May block: the loop goes on meanwhile."""
    time.sleep(0.1)
    return f"{current().job.name}: another thread is {threading.current_thread() is not threading.main_thread()}"


@app.task(run_in="process", timeout=20)
def in_a_process(parent: int) -> str:
    """Has a processor core to itself, and can be killed at its timeout."""
    return f"in_a_process: another process is {os.getpid() != parent}"


@app.task(run_in="process", timeout=0.5)
def never_ends() -> None:
    """Is killed."""
    while True:
        pass


async def main() -> None:
    @app.on("success")
    def succeeded(result: str) -> None:
        answers.put_nowait(result)

    @app.on("failure")
    def failed(job: Job, error: Exception) -> None:
        answers.put_nowait(f"{job.name}: {error}")

    async with app:
        await on_the_loop.enqueue()
        await in_a_thread.enqueue()
        await in_a_process.enqueue(os.getpid())
        await never_ends.enqueue()
        async with app.running():
            for _ in range(4):
                print(await answers.get())


if __name__ == "__main__":
    asyncio.run(main())
