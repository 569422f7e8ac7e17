"""Let an operator pause the task processors of a process and fail the jobs that they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ControlTarget", "WorkerControl"]


class ControlTarget(Protocol):
    """The owner of the task processors."""

    def pause(self) -> None:
        """Claim no jobs until `resume`."""
        ...

    def resume(self) -> None:
        """Claim jobs again, at once."""
        ...

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all running jobs, each with an error that *error* makes. Return their number."""
        ...


class WorkerControl:
    """Passes an operator's commands to the task processors.

    It is made before the task processors, so commands are accepted while they start. Call all methods in the event loop
    of the process.

    Attributes:
        paused: Whether the process claims no jobs.
    """

    def __init__(self) -> None:
        self.paused = False
        self._target: ControlTarget | None = None

    def attach(self, target: ControlTarget) -> None:
        """Control *target* from now on. The target reads `paused` when it starts."""
        self._target = target

    def pause(self) -> bool:
        """Claim no jobs until `resume`. Running jobs continue. Return False if it was paused already."""
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
        """Fail all running jobs, each with an error that *error* makes. Return their number."""
        return 0 if self._target is None else self._target.fail_running(error)
