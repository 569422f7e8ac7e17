"""``taskhero office-hours``."""

from __future__ import annotations

import json
import os
from datetime import datetime

import click

from taskhero_office_hours import plugin
from taskhero_office_hours.hooks import VARIABLE
from taskhero_office_hours.hours import Hours

__all__ = ["office_hours"]


@click.command("office-hours", short_help="Tell whether jobs with office hours run now.")
@click.argument("hours", required=False)
@click.option("--at", metavar="TIME", help="Tell it of another moment: ISO 8601 with its zone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def office_hours(hours: str | None, at: str | None, *, as_json: bool) -> None:
    """Tell whether the office is open, and when that changes.

    HOURS are such as '9-17', '8:30-17:30 mon-sat' or '22-6 mon-sun Europe/Berlin'; by default what
    OFFICE_HOURS says. The exit code is 0 whether it is open or not.

    \b
    Examples:
      taskhero office-hours '9-17 mon-fri Europe/Berlin'
      taskhero office-hours '9-17' --at 2027-01-15T08:00:00+01:00 --json
    """
    text = hours or os.environ.get(VARIABLE)
    if not text:
        raise click.UsageError(f"which hours? Pass such as '9-17 mon-fri Europe/Berlin', or set {VARIABLE}")
    try:
        known = Hours.parse(text)
        moment = plugin.now() if at is None else datetime.fromisoformat(at)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if moment.tzinfo is None:
        raise click.UsageError(f"--at {at} has no time zone: write such as {at}+01:00 or {at}Z")
    closes = known.closes(moment)
    changes = closes or known.opens(moment)
    if as_json:
        click.echo(json.dumps({"hours": str(known), "open": closes is not None, "changes_at": changes.isoformat()}))
        return
    there = changes.astimezone(known.timezone)
    click.echo(f"{'open until' if closes else 'closed, opens'} {there:%A %Y-%m-%d %H:%M} {there.tzname()} ({known})")
