"""Several tasks may share a file and its helpers."""

from taskhero import task


def checked(number: int) -> int:
    """Not a task: it is not decorated."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number


@task(queue="math")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return checked(a) + checked(b)


@task(queue="math")
def double(a: int) -> int:
    """Double a number."""
    return 2 * checked(a)
