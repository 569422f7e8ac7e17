"""What an operator can do with the task processors of one process: pause them, and fail the jobs that they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Controlled", "WorkerControl"]


class Controlled(Protocol):
    """What has the task processors."""

    def pause(self) -> None:
        """Claim no jobs until `resume`."""
        ...

    def resume(self) -> None:
        """Claim jobs again, at once."""
        ...

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that run, each with an error of its own; return how many."""
        ...


class WorkerControl:
    """Passes on what an operator wants. It is made before the task processors, so it can be used while they start.

    All methods must be called in the event loop of the process.

    Attributes:
        paused: Whether the process claims no jobs.
    """

    def __init__(self) -> None:
        self.paused = False
        self._target: Controlled | None = None

    def attach(self, target: Controlled) -> None:
        """Control *target* from now on; it reads `paused` itself when it starts."""
        self._target = target

    def pause(self) -> bool:
        """Claim no jobs until `resume`; running jobs go on. Return False if it was paused already."""
        if self.paused:
            return False
        self.paused = True
        if self._target is not None:
            self._target.pause()
        return True

    def resume(self) -> bool:
        """Claim jobs again, at once. Return False if it was not paused."""
        if not self.paused:
            return False
        self.paused = False
        if self._target is not None:
            self._target.resume()
        return True

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that run, each with an error of its own; return how many."""
        return 0 if self._target is None else self._target.fail_running(error)
