"""``taskhero locks``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from taskhero._internal.suggestions import suggestion
from taskhero.cli.formatting import ago, pluralize, time_or_blank
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import iso, json_option, listing_options, print_json, print_table, say
from taskhero.cli.parameters import confirm, require_confirmation, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.models import LockState

__all__ = ["delete", "locks"]


@click.group(cls=ListingGroup, short_help="List the locks of queued and running jobs, and delete some.")
@target_options
@listing_options
def locks(*, app: str | None, backend: str | None, as_json: bool) -> None:
    """List queue locks (lock:...) and job locks (workerslock:...) with what releases each. `locks delete` deletes some.

    The list includes the lock of another program's scheduler, which stops the promotion of delayed jobs.

    \b
    Examples:
      taskhero locks --app shop:app
      taskhero locks delete 'lock:send_mail:mail:[{"to":"ann"}]' --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)
    found = run_connected(target, lambda app: app.queue.lock_states())
    if as_json:
        print_json({"locks": [_as_json(lock) for lock in found]})
        return
    rows = [(lock.name, _expires(lock), lock.ends, lock.owner) for lock in found]
    print_table(pluralize(len(found), "lock"), ("lock", "@expires", "released when", "owner"), rows)


@locks.command(short_help="Delete locks by name.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@yes_option
@target_options
@json_option
def delete(*, names: tuple[str, ...], yes: bool, app: str | None, backend: str | None, as_json: bool) -> None:
    """Delete locks of any owner by the names that `taskhero locks` shows.

    A lock expires. Delete one only if you know that the jobs that it blocks may be enqueued or run.

    \b
    Examples:
      taskhero locks delete 'lock:send_mail:mail:[{"to":"ann"}]' --app shop:app
      taskhero locks delete 'workerslock:report:default:[]' --yes --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    confirm(f"Delete {pluralize(len(names), 'lock')}: {', '.join(names)}?", yes=yes)

    async def remove(app: TaskHero) -> tuple[dict[str, int], list[str]]:
        deleted = {name: await app.queue.delete_lock(name) for name in names}
        return deleted, [] if all(deleted.values()) else list(await app.queue.locks())

    deleted, left = run_connected(target, remove)
    missing = [name for name, count in deleted.items() if not count]
    if as_json:
        print_json({"deleted": sum(deleted.values()), "missing": missing})
    else:
        say(f"deleted {pluralize(sum(deleted.values()), 'lock')}")
    if missing:
        raise click.ClickException(f"there is no lock {missing[0]!r}{suggestion(missing[0], left)}")


def _expires(lock: LockState) -> str:
    """Return when a lock expires."""
    if lock.expires_at is None:
        return "never"
    left = lock.expires_at.timestamp() - time.time()
    text = f"{time_or_blank(lock.expires_at)} ({'in ' + ago(left) if left >= 0 else ago(-left) + ' ago'})"
    return text if lock.has_lifetime else f"{text}, no TTL"


def _as_json(lock: LockState) -> dict[str, Any]:
    return {
        "name": lock.name,
        "kind": lock.kind,
        "value": lock.value,
        "lapses_at": iso(lock.expires_at),
        "has_lifetime": lock.has_lifetime,
        "ends": lock.ends,
        "owner": lock.owner,
    }
