"""Let an operator pause the task processors of a process and fail the jobs that they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Claiming", "Running", "WorkerControl"]


class Claiming(Protocol):
    """Claims jobs for the task processors."""

    def pause(self) -> None:
        """Claim no jobs until `resume`."""
        ...

    def resume(self) -> None:
        """Claim jobs again, at once."""
        ...


class Running(Protocol):
    """Runs the jobs of the task processors."""

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all running jobs, each with an error that *error* makes. Return their number."""
        ...


class WorkerControl:
    """Passes an operator's commands to the parts of a worker process.

    It is made before the task processors, so commands are accepted while they start. Call all methods in the event loop
    of the process.

    Attributes:
        paused: Whether the process claims no jobs.
    """

    def __init__(self) -> None:
        self.paused = False
        self._claiming: Claiming | None = None
        self._running: Running | None = None

    def attach(self, claiming: Claiming, running: Running) -> None:
        """Control these parts from now on. They are paused at once if the process is paused."""
        self._claiming, self._running = claiming, running
        if self.paused:
            claiming.pause()

    def pause(self) -> bool:
        """Claim no jobs until `resume`. Running jobs continue. Return False if it was paused already."""
        if self.paused:
            return False
        self.paused = True
        if self._claiming is not None:
            self._claiming.pause()
        return True

    def resume(self) -> bool:
        """Claim jobs again, at once. Return False if it was not paused."""
        if not self.paused:
            return False
        self.paused = False
        if self._claiming is not None:
            self._claiming.resume()
        return True

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all running jobs, each with an error that *error* makes. Return their number."""
        return 0 if self._running is None else self._running.fail_running(error)
