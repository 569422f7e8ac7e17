"""Who leads, whether anybody may claim, what was counted, and all of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.records.inspection import FAILED, Overview
from taskhero_sqlite.failures import failed_count
from taskhero_sqlite.steps import text

if TYPE_CHECKING:
    from taskhero_sqlite.steps import Step

__all__ = ["is_paused", "lead", "leader", "overview", "pause", "resign", "stats"]


def lead(step: Step, owner: str, lease: float) -> bool:
    """See `Backend.lead`."""
    if leader(step) not in {None, owner}:
        return False
    step.do("INSERT OR REPLACE INTO leader VALUES (1, ?, ?)", owner, step.now + lease)
    return True


def resign(step: Step, owner: str) -> bool:
    """See `Backend.resign`."""
    return leader(step) == owner and step.do("DELETE FROM leader") == 1


def leader(step: Step) -> str | None:
    """See `Backend.leader`."""
    owner: str | None = step.value("SELECT owner FROM leader WHERE until > ?", step.now)
    return owner


def pause(step: Step, *, paused: bool) -> None:
    """Let nobody claim, or let all claim again."""
    step.do("INSERT OR IGNORE INTO pause VALUES (1)" if paused else "DELETE FROM pause")


def is_paused(step: Step) -> bool:
    """Whether nobody may claim."""
    return step.value("SELECT 1 FROM pause") is not None


def stats(step: Step) -> dict[str, int]:
    """See `Backend.stats`."""
    return dict(step.rows("SELECT name, value FROM counter ORDER BY name"))


def overview(step: Step) -> Overview:
    """See `Backend.overview`."""
    totals = dict(step.rows("SELECT name, value FROM counter WHERE name IN ('processed', 'failed')"))
    return Overview(
        now=step.now,
        lengths={text(name): length for name, length in step.rows("SELECT name, length FROM queue ORDER BY name")},
        failures={FAILED: failed_count(step)},
        processed=totals.get("processed", 0),
        failed=totals.get("failed", 0),
        leader=leader(step),
        paused=is_paused(step),
    )
