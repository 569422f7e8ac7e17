"""The plugin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from taskhero import Outcome, Postponed, hookimpl
from taskhero_office_hours.hours import Hours, options_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero import PerformContext

__all__ = ["OfficeHours", "now"]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@attrs.frozen(eq=False)
class OfficeHours:
    """Runs jobs within office hours; one whose turn comes outside of them is delayed until the office opens.

    Attributes:
        start: When it opens: an hour, or a text such as ``"8:30"``.
        end: When it closes, 24 for midnight; before *start*, it is on the next day.
        days: The days on which it opens, as ``"mon-fri"`` or ``"sat,sun"``.
        timezone: Where the office is, such as ``"Europe/Berlin"``.
        closed: Dates on which it does not open, as ``("2026-12-25",)``.
        clock: For tests: tells the time.
        hours: All this together.

    Raises:
        ValueError: One of these cannot be.
    """

    start: int | str = 9
    end: int | str = 17
    days: str | Sequence[str] = "mon-fri"
    timezone: str = "UTC"
    closed: Sequence[str] = ()
    clock: Callable[[], datetime] = attrs.field(default=now, repr=False)
    hours: Hours = attrs.field(init=False, repr=False)

    @hours.default
    def _together(self) -> Hours:
        return Hours(self.start, self.end, self.days, self.timezone, self.closed)

    @classmethod
    def parse(cls, text: str) -> OfficeHours:
        """Read such as ``"9-17"``, ``"8:30-17:30 mon-sat"`` or ``"22-6 mon-sun Europe/Berlin"``.

        Raises:
            ValueError: It cannot be read.
        """
        return cls(*options_of(text))

    @hookimpl
    def taskhero_before_perform(self, ctx: PerformContext) -> Outcome | None:
        """Let the job run, or delay it."""
        moment = self.clock()
        if self.hours.closes(moment) is not None:
            return None
        opens = self.hours.opens(moment)
        ctx.logger.info("outside of office hours, delayed until %s", opens.isoformat())
        return Postponed((opens - moment).total_seconds())
