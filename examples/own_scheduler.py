"""A scheduler of one's own: while the house is closed for maintenance, what is due waits."""

import asyncio

from taskhero import Scheduler, SchedulerContext, Settings, TaskHero


class PatientScheduler(Scheduler):
    """Promotes nothing while it is held back."""

    def __init__(self, context: SchedulerContext) -> None:
        super().__init__(context)
        self.held_back = False

    async def promote(self) -> float:
        """Promote what is due, or tell after how many seconds to ask again."""
        if self.held_back:
            return 60.0
        return await super().promote()

    def go_on(self) -> None:
        """Promote again, at once."""
        self.held_back = False
        self.request_promotion()


app = TaskHero(settings=Settings(max_task_processors=1, scheduler=True), scheduler=PatientScheduler)
done = asyncio.Event()


@app.task
async def remind(whom: str) -> None:
    """Remind somebody."""
    print("reminded", whom)
    done.set()


async def main() -> None:
    async with app.running():
        scheduler = app.scheduler
        assert isinstance(scheduler, PatientScheduler)
        scheduler.held_back = True
        await remind.enqueue_in(1, "Ann")
        await asyncio.sleep(2.5)
        print("after more than two seconds:", "reminded" if done.is_set() else "not yet")
        scheduler.go_on()
        await done.wait()


asyncio.run(main())
