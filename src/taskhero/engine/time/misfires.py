"""Decide which missed fire times of a cron schedule are fired late: a pure function."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from taskhero._internal.display import short_repr
from taskhero._internal.suggestions import suggestion
from taskhero.engine.time.cron import check_instant
from taskhero.engine.time.instants import duration_of
from taskhero.errors import InvalidMoment, InvalidSchedule

if TYPE_CHECKING:
    from datetime import datetime

    from taskhero.engine.time.cron import CronSchedule

__all__ = ["GRACE", "LIMIT", "Misfire", "due_fire_times", "misfire_of"]

Misfire: TypeAlias = Literal["skip", "once", "all"]

#: Default number of seconds within which a fire time counts as in time.
GRACE: Final = 60.0
#: Default maximum number of fire times that are fired at once.
LIMIT: Final = 100


def misfire_of(given: object) -> Misfire:
    """Return *given* if it is a misfire policy.

    Raises:
        InvalidSchedule: There is no such policy.
    """
    for policy in get_args(Misfire):
        if given == policy:
            return policy  # type: ignore[no-any-return]
    hint = suggestion(given, get_args(Misfire), otherwise="known")
    raise InvalidSchedule(f"misfire={short_repr(given)} is not a misfire policy{hint}")


def due_fire_times(
    schedule: CronSchedule,
    last: datetime,
    now: datetime,
    misfire: Misfire = "once",
    limit: int = LIMIT,
    *,
    grace: timedelta | float = GRACE,
) -> list[datetime]:
    """Return the fire times after *last*, up to and including *now*, that must fire now, in order and in UTC.

    A fire time that is at most *grace* old is in time and always fires. Older ones are misfires, and the policy
    decides. ``"skip"`` fires none of them. ``"once"`` fires one run for all of them: a fire time in time counts as this
    run, otherwise the latest misfire fires. ``"all"`` fires each. At most the latest *limit* fire times fire, so an
    outage of any length costs a bounded number of runs and a bounded search.

    Fire times that are skipped do not fire later: pass *now* as the next *last*.

    Args:
        schedule: The cron schedule.
        last: The cron cursor: the previous *now*, or the start of the schedule.
        now: The current time.
        misfire: The policy for misfires.
        limit: Maximum number of fire times, 1 or more.
        grace: Seconds, or a timedelta, within which a fire time is in time.

    Raises:
        InvalidSchedule: The policy, the limit or the grace is invalid.
        InvalidMoment: *last* or *now* is naive, or past the year 5000.
    """
    policy = misfire_of(misfire)
    _check_limit(limit)
    check_instant(last)
    check_instant(now)
    try:
        in_time = now - timedelta(seconds=duration_of(grace, "grace"))
    except (InvalidMoment, OverflowError) as error:
        raise InvalidSchedule(f"grace={short_repr(grace)}: {error}") from None
    # Search from the latest fire time backwards, so that the cost does not depend on the length of the outage.
    found: list[datetime] = []
    fire_time = schedule.last_until(now)
    while fire_time > last and len(found) < limit and (policy == "all" or fire_time >= in_time):
        found.append(fire_time)
        fire_time = schedule.last_until(fire_time - timedelta.resolution)
    if not found and policy == "once" and fire_time > last:
        found.append(fire_time)
    return found[::-1]


def _check_limit(given: object) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InvalidSchedule(f"limit={short_repr(given)} is not a number of fire times: pass 1 or more")
