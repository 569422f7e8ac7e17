"""Tasks of one subject; `@task` needs no app, the app that loads the folder adopts them."""

from taskhero import current, task


@task(queue="mail")
async def send_welcome_email(*, to: str) -> str:
    """Send a new user a welcome email."""
    current().logger.info("welcome", extra={"to": to})
    return f"welcomed {to}"
