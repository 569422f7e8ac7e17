"""Name the queues that a process claims from, in priority order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import Backend
    from taskhero.runtime.worker.problems import ProblemReporter

__all__ = ["STAR", "QueueOrder"]

#: In a list of queues: all queues that the list does not name, sorted.
STAR = "*"


class QueueOrder:
    """The queues to claim from, in priority order. All queues that are not declared replace ``*``, sorted.

    Args:
        declared: The queues as the settings name them.
        backend: The store of the queues.
        problems: Receives the error if the backend refuses to name the queues.

    Attributes:
        current: The names as of the last `update`.
        star: Whether ``*`` is declared, so that `update` has an effect.
        complete: Whether the queues for ``*`` are known.
    """

    __slots__ = ("_after", "_backend", "_before", "_known", "_problems", "complete", "current", "star")

    def __init__(self, declared: Sequence[str], *, backend: Backend, problems: ProblemReporter) -> None:
        self._backend = backend
        self._problems = problems
        self.star = STAR in declared
        place = declared.index(STAR) if self.star else len(declared)
        self._before = tuple(declared[:place])
        self._after = tuple(declared[place + 1 :])
        self._known: list[str] = []
        self.complete = not self.star
        self.current: tuple[str, ...] = self._before + self._after

    async def read(self) -> bool:
        """Read the names of all existing queues. Return whether `current` changed.

        The known queues can be used without it, so a refusal is only reported.

        Raises:
            BackendError: The backend cannot be reached.
        """
        try:
            known = await self._backend.queues()
        except BackendRefused as error:
            self._problems.report(STAR, f"cannot read the names of the queues: {error}")
            return False
        return (known != self._known or not self.complete) and self.update(known)

    def update(self, known: Iterable[str]) -> bool:
        """Set the names of all existing queues to *known*. Return whether `current` changed."""
        if not self.star:
            return False
        self._known, self.complete = list(known), True
        named = {*self._before, *self._after}
        others = sorted(name for name in self._known if name not in named)
        before, self.current = self.current, (*self._before, *others, *self._after)
        return self.current != before
