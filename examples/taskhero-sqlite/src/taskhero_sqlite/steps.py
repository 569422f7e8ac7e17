"""One step: a transaction, and the small statements that all verbs are made of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

__all__ = ["SCHEDULE", "Step", "blob", "marked", "text"]

#: Under this name stands news of the schedule, since no queue has it.
SCHEDULE = ""


def blob(given: str) -> bytes:
    """Any text of Python as the bytes that are stored."""
    return given.encode("utf-8", "surrogatepass")


def text(stored: bytes) -> str:
    """The text that was stored."""
    return stored.decode("utf-8", "surrogatepass")


def marked(given: str) -> tuple[bytes, bytes]:
    """Between which two bounds a job's text stands, and with it those that differ from it by a mark of rescues.

    Such a mark comes before the last brace. Other texts may stand between them as well.
    """
    start = blob(given)[:-1]
    return start, start + b"\xff"  # no text holds that byte


@attrs.define(eq=False)
class Step:
    """A transaction under way.

    Attributes:
        connection: Where it is.
        now: The time in which all of it happens, in unix seconds.
        rang: Whether there is news for those who wait.
    """

    connection: sqlite3.Connection
    now: float
    rang: bool = False

    def do(self, sql: str, *values: Any) -> int:
        """Change rows; return how many."""
        return self.connection.execute(sql, values).rowcount

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found: tuple[Any, ...] | None = self.connection.execute(sql, values).fetchone()
        return found

    def value(self, sql: str, *values: Any) -> Any:
        """The first row's first value, or None."""
        found = self.row(sql, *values)
        return None if found is None else found[0]

    def insert(self, sql: str, *values: Any) -> int:
        """Insert one row; return its number."""
        number = self.connection.execute(sql, values).lastrowid
        assert number is not None
        return number

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part that is undone alone if it raises."""
        self.connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK TO part")
            raise
        finally:
            self.connection.execute("RELEASE part")

    # news

    def ring(self, queue: str) -> None:
        """Leave word that there may be jobs in a queue."""
        self.do("INSERT OR IGNORE INTO news VALUES (?)", blob(queue))
        self.rang = True

    def ring_schedule(self) -> None:
        """Leave word that there is an earlier moment."""
        self.ring(SCHEDULE)

    def hush(self, queue: str) -> None:
        """Take back what was said of a queue, since it is empty."""
        self.do("DELETE FROM news WHERE queue = ?", blob(queue))

    # counters

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        self.do("INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value", name, by)
