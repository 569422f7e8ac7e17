"""A backend of one's own: any object that keeps the contract `taskhero.backends.protocol.Backend` will do.

This one is the backend in memory with a journal of what is stored. One that stands alone is proved by the conformance
kit; docs/backends.md says how.
"""

import asyncio
from collections.abc import Sequence

from taskhero import Settings, TaskHero
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Entry


class Journal(MemoryBackend):
    """Keeps jobs in memory and notes each that is pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    @property
    def location(self) -> str:
        """What people are shown as the place of the jobs."""
        return "a journal in memory"

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """Store jobs, and note which."""
        stored = await super().push(entries)
        self.lines += [entry.raw for entry, was_stored in zip(entries, stored, strict=True) if was_stored]
        return stored


journal = Journal()
app = TaskHero(journal, settings=Settings(max_task_processors=1))
done = asyncio.Event()


@app.task
async def greet(name: str) -> None:
    """Greet somebody."""
    print(f"Hello {name}!")
    done.set()


async def main() -> None:
    async with app:
        await greet.enqueue("Ann")
        async with app.running():
            await done.wait()
    print("noted:", *journal.lines)


asyncio.run(main())
