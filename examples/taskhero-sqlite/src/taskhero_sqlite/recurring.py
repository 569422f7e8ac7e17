"""The verbs about periodic tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero_sqlite import periodic
from taskhero_sqlite.base import Connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import EnsureResult, FireResult, PeriodicTask, PeriodicTasksReply

__all__ = ["PeriodicVerbs"]


class PeriodicVerbs(Connected):
    """Keeping periodic tasks going."""

    async def declare_periodic(
        self, declared: Sequence[PeriodicTask] = (), lifetime: float = 0.0
    ) -> PeriodicTasksReply:
        """See `Backend.declare_periodic`."""
        if not declared:
            return await self._ask(periodic.known)
        return await self._do(periodic.declare, declared, lifetime)

    async def ensure_periodic(
        self, tasks: Sequence[PeriodicTask], *, full_scan: bool = False
    ) -> Sequence[EnsureResult]:
        """See `Backend.ensure_periodic`."""
        return await self._do(periodic.ensure_periodic, tasks, thoroughly=full_scan)

    async def restart_periodic(self, task: PeriodicTask) -> int | None:
        """See `Backend.restart_periodic`."""
        return await self._do(periodic.restart_periodic, task)

    async def stop_periodic(self, task: PeriodicTask) -> int:
        """See `Backend.stop_periodic`."""
        return await self._do(periodic.stop_periodic, task)

    async def resume_periodic(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume_periodic`."""
        return await self._do(periodic.resume_periodic, names, failed=failed)

    async def fire_cron(
        self, task: PeriodicTask, expected_cursor: int | None, new_cursor: int, count: int
    ) -> FireResult:
        """See `Backend.fire_cron`."""
        return await self._do(periodic.fire_cron, task, expected_cursor, new_cursor, count)
