"""The file: connections to it, and steps on them in threads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypeVar

from taskhero.errors import BackendRefused, BackendUnavailable, ReplyLost
from taskhero_sqlite.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.clock import Clock
    from taskhero_sqlite.address import Address

__all__ = ["Database"]

Result = TypeVar("Result")

#: Marks a file as ours ("TkHo"), so that jobs are not stored among an application's own tables.
APPLICATION_ID: Final = 0x546B486F
#: What `schema.sql` makes.
SCHEMA_VERSION: Final = 2


class Database:
    """A file with two connections: one for the verbs, in a thread of its own, and one for signs of life.

    Those have their own, since they come from another thread and must not wait for the verbs.

    Args:
        address: The file and how it is used.
        clock: Tells the time of each step.
    """

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None
        self._verbs: sqlite3.Connection | None = None
        self._signs: sqlite3.Connection | None = None
        self._guard = threading.Lock()

    async def open(self) -> None:
        """Open the file, and make what is missing in it.

        Raises:
            BackendUnavailable: It cannot be opened, or is not ours.
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="taskhero-sqlite")
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file when the step under way, if there is one, is done."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)

    async def step(self, work: Callable[[Step], Result], *, reads: bool = False) -> tuple[Result, bool]:
        """Do *work* as one step; return what it returns, and whether there is news for those who wait.

        Args:
            work: What to do, in another thread.
            reads: It changes nothing, so it need not wait for those who do.

        Raises:
            BackendUnavailable: Others did not let it begin in time: nothing was done.
            BackendRefused: It could not be done, and is undone.
            ReplyLost: The disk did not say whether it is done.
        """
        if self._thread is None:
            raise BackendUnavailable(f"{self._address.url} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._step, work, reads)

    def sign(self, work: Callable[[Step], Result]) -> Result:
        """Do *work* as one step, in the calling thread."""
        with self._guard:
            if self._signs is None:
                raise BackendUnavailable(f"{self._address.url} is closed")
            return self._transact(self._signs, work, "BEGIN IMMEDIATE")[0]

    # in the thread

    def _step(self, work: Callable[[Step], Result], reads: bool) -> tuple[Result, bool]:
        if self._verbs is None:
            raise BackendUnavailable(f"{self._address.url} is closed")
        return self._transact(self._verbs, work, "BEGIN" if reads else "BEGIN IMMEDIATE")

    def _transact(
        self, connection: sqlite3.Connection, work: Callable[[Step], Result], begin: str
    ) -> tuple[Result, bool]:
        try:
            connection.execute(begin)
        except sqlite3.Error as error:
            raise BackendUnavailable(f"{self._address.url} could not be used: {error}") from error
        step = Step(connection, self._clock.now())
        try:
            result = work(step)
            connection.execute("COMMIT")
        except BaseException as error:
            undone = _undo(connection)
            if not isinstance(error, sqlite3.Error):
                raise
            if undone:
                raise BackendRefused(f"{self._address.url}: {error}") from error
            raise ReplyLost(f"{self._address.url}: {error}; it may or may not be stored") from error
        return result, step.rang

    def _open(self) -> None:
        try:
            self._verbs = self._connect()
            self._make(self._verbs)
            with self._guard:
                self._signs = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise BackendUnavailable(f"{self._address.url} cannot be opened: {error}") from error

    def _close(self) -> None:
        with self._guard:
            for connection in (self._verbs, self._signs):
                if connection is not None:
                    connection.close()
            self._verbs = self._signs = None

    def _connect(self) -> sqlite3.Connection:
        address = self._address
        connection = sqlite3.connect(
            address.path, timeout=address.timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA synchronous = {address.synchronous}")
        return connection

    def _make(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and found != APPLICATION_ID:
            raise BackendUnavailable(f"{self._address.url} holds something else: give the jobs a file of their own")
        if version > SCHEMA_VERSION:
            raise BackendUnavailable(
                f"{self._address.url} was made by a newer version (schema {version}, this one knows {SCHEMA_VERSION}): "
                "pip install --upgrade taskhero-sqlite"
            )
        self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        if version < SCHEMA_VERSION:
            schema = files(__package__).joinpath("schema.sql").read_text("utf-8")
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            self._patiently(lambda: connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\n{marks}\nCOMMIT;"))

    def _patiently(self, work: Callable[[], object]) -> None:
        """Do what SQLite refuses at once, without its own patience, while another process does the same."""
        until = time.monotonic() + self._address.timeout
        while True:
            try:
                work()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return


def _undo(connection: sqlite3.Connection) -> bool:
    """Roll back; False if SQLite had ended the transaction by itself."""
    if not connection.in_transaction:
        return False
    try:
        connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True
