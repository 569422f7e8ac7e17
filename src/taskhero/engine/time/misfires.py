"""Which slots of a cron schedule are fired when nobody could fire them in time: a pure function."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from taskhero._internal.display import short_repr
from taskhero._internal.suggestions import closest_name
from taskhero.engine.time.cron import check_instant
from taskhero.engine.time.instants import duration_of
from taskhero.errors import InvalidMoment, InvalidSchedule

if TYPE_CHECKING:
    from datetime import datetime

    from taskhero.engine.time.cron import CronSchedule

__all__ = ["GRACE", "LIMIT", "Misfire", "due_fire_times", "misfire_of"]

Misfire: TypeAlias = Literal["skip", "once", "all"]

#: Seconds within which a slot counts as fired in time, unless one says otherwise.
GRACE: Final = 60.0
#: How many slots are fired at once at most, unless one says otherwise.
LIMIT: Final = 100


def misfire_of(given: object) -> Misfire:
    """The policy, checked.

    Raises:
        InvalidSchedule: There is no such policy.
    """
    for policy in get_args(Misfire):
        if given == policy:
            return policy  # type: ignore[no-any-return]
    raise InvalidSchedule(f"misfire={short_repr(given)} is no policy{closest_name(str(given), get_args(Misfire))}")


def due_fire_times(
    schedule: CronSchedule,
    last: datetime,
    now: datetime,
    misfire: Misfire = "once",
    limit: int = LIMIT,
    *,
    grace: timedelta | float = GRACE,
) -> list[datetime]:
    """The slots after *last*, up to and including *now*, that are to be fired now; in order, in UTC.

    A slot that is not older than *grace* is in time and is fired in any case. Those that are older were missed, and
    the policy decides: ``"skip"`` leaves them out; ``"once"`` makes up for all of them with one run, for which one that
    is in time will do, else the youngest missed one; ``"all"`` fires each. Never more than the youngest *limit* slots
    are fired: however long nobody looked, the work is bounded, and so is this search.

    What is left out is not due later either: pass *now* as the next *last*.

    Args:
        schedule: When it fires.
        last: Until when slots were fired or left out: the last *now*, or the moment at which the schedule began.
        now: The moment of this look.
        misfire: What becomes of missed slots.
        limit: How many slots at most, 1 or more.
        grace: Seconds, or a timedelta, for which a slot is in time.

    Raises:
        InvalidSchedule: The policy, the limit or the grace make no sense.
        InvalidMoment: A moment is naive, or past the year 5000.
    """
    policy = misfire_of(misfire)
    _check_limit(limit)
    check_instant(last)
    check_instant(now)
    try:
        in_time = now - timedelta(seconds=duration_of(grace, "grace"))
    except (InvalidMoment, OverflowError) as error:
        raise InvalidSchedule(f"grace={short_repr(grace)}: {error}") from None
    # From the youngest backwards: an outage of years costs no more than one of minutes.
    found: list[datetime] = []
    slot = schedule.last_until(now)
    while slot > last and len(found) < limit and (policy == "all" or slot >= in_time):
        found.append(slot)
        slot = schedule.last_until(slot - timedelta.resolution)
    if not found and policy == "once" and slot > last:
        found.append(slot)
    return found[::-1]


def _check_limit(given: object) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InvalidSchedule(f"limit={short_repr(given)} is no number of slots: pass 1 or more")
