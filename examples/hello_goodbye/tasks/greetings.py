"""Two periodic tasks in one file."""

from taskhero import current, task


@task(frequency=1)
async def say_hello() -> None:
    """I say hello."""
    current().logger.info("hello")


@task(frequency=2)
async def say_goodbye() -> None:
    """I say goodbye."""
    current().logger.info("goodbye")
