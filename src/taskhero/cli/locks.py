"""``taskhero locks``."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.entries import ago, counted, local
from taskhero.cli.given import confirm, near, want_yes, yes_option
from taskhero.cli.output import iso, json_option, print_json, print_table, shown
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.cli.verbs import Listing
from taskhero.engine.moments import to_datetime

if TYPE_CHECKING:
    from datetime import datetime

    from taskhero.app import TaskHero

__all__ = ["delete", "locks"]

_VALUE = re.compile(r"(\d{1,11})(?:\.\d+)?(?::(.*))?", re.ASCII | re.DOTALL)


@click.group(cls=Listing, short_help="List the locks of queued and running jobs, and delete some.")
@target_options
@json_option
def locks(*, app: str | None, backend: str | None, as_json: bool) -> None:
    """List the locks of queued jobs (lock:...) and running ones (workerslock:...), with their owners; or delete some.

    \b
    Examples:
      taskhero locks --app shop:app
      taskhero locks delete 'lock:send_mail:mail:[{"to":"ann"}]' --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)
    found = run_connected(target, lambda app: app.queue.locks())
    if as_json:
        print_json({"locks": [_as_json(name, value) for name, value in sorted(found.items())]})
        return
    rows = [(name, _lapses(value), _parts(value)[1]) for name, value in sorted(found.items())]
    print_table(counted(len(found), "lock"), ("lock", "lapses", "owner"), rows)


@locks.command(short_help="Delete locks by their names.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@yes_option
@target_options
@json_option
def delete(*, names: tuple[str, ...], yes: bool, app: str | None, backend: str | None, as_json: bool) -> None:
    """Delete locks, whoever holds them, by the names that `taskhero locks` shows.

    A lock lapses by itself; delete one only if you know that what it keeps out may begin.

    \b
    Examples:
      taskhero locks delete 'lock:send_mail:mail:[{"to":"ann"}]' --app shop:app
      taskhero locks delete 'workerslock:report:default:[]' --yes --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    want_yes(yes=yes)
    note_if_private(target)
    confirm(f"Delete {counted(len(names), 'lock')}: {', '.join(shown(name).plain for name in names)}?", yes=yes)

    async def remove(app: TaskHero) -> tuple[dict[str, int], list[str]]:
        deleted = {name: await app.queue.delete_lock(name) for name in names}
        return deleted, [] if all(deleted.values()) else list(await app.queue.locks())

    deleted, left = run_connected(target, remove)
    missing = [name for name, count in deleted.items() if not count]
    if as_json:
        print_json({"deleted": sum(deleted.values()), "missing": missing})
    else:
        click.echo(f"deleted {counted(sum(deleted.values()), 'lock')}")
    if missing:
        raise click.ClickException(f"there is no lock {missing[0]!r}{near(missing[0], left)}")


def _parts(value: str) -> tuple[datetime | None, str | None]:
    """When a lock lapses, and who holds it, as far as that stands there."""
    found = _VALUE.fullmatch(value)
    return (None, None) if found is None else (to_datetime(int(found[1])), found[2])


def _lapses(value: str) -> str:
    moment, _ = _parts(value)
    if moment is None:
        return f"(unreadable: {value})"
    left = moment.timestamp() - time.time()
    return f"{local(moment)} ({'in ' + ago(left) if left >= 0 else ago(-left) + ' ago'})"


def _as_json(name: str, value: str) -> dict[str, Any]:
    moment, owner = _parts(value)
    return {"name": name, "value": value, "lapses_at": iso(moment), "owner": owner}
