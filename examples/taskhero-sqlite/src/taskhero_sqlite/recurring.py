"""The verbs about periodic tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero_sqlite import periodic
from taskhero_sqlite.base import Connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Periodic, Periodics

__all__ = ["Recurring"]


class Recurring(Connected):
    """Keeping periodic tasks going."""

    async def periodic(self, declared: Sequence[Periodic] = (), lifetime: float = 0.0) -> Periodics:
        """See `Backend.periodic`."""
        if not declared:
            return await self._ask(periodic.known)
        return await self._do(periodic.declare, declared, lifetime)

    async def ensure(self, tasks: Sequence[Periodic], *, thoroughly: bool = False) -> Sequence[str]:
        """See `Backend.ensure`."""
        return await self._do(periodic.ensure, tasks, thoroughly=thoroughly)

    async def restart(self, task: Periodic) -> int | None:
        """See `Backend.restart`."""
        return await self._do(periodic.restart, task)

    async def stop_periodic(self, task: Periodic) -> int:
        """See `Backend.stop_periodic`."""
        return await self._do(periodic.stop_periodic, task)

    async def resume(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume`."""
        return await self._do(periodic.resume, names, failed=failed)

    async def fire(self, task: Periodic, since: int | None, until: int, times: int) -> str:
        """See `Backend.fire`."""
        return await self._do(periodic.fire, task, since, until, times)
