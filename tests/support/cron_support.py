"""Several fire times of a cron schedule."""

from __future__ import annotations

from datetime import datetime

from taskhero.engine.time.cron import CronSchedule

__all__ = ["fire_times"]


def fire_times(schedule: CronSchedule, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """Return the first *limit* fire times after *after*, up to and including *until*."""
    found: list[datetime] = []
    fire_time = after
    while len(found) < limit and (fire_time := schedule.next_after(fire_time)) <= until:
        found.append(fire_time)
    return found
