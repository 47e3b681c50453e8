"""What stands between SQL written by strangers and the machine that runs it.

SQLite's time limit is checked between instructions of its virtual machine: one call of one function
can outlast it. So every value is bounded in length, functions that make large values are refused,
a watchdog interrupts by the wall clock, and few questions run at once.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from datasette.database import Database

logger = logging.getLogger("lowtech_data.site")
Result = TypeVar("Result")

LIMITS: dict[int, int] = {
    sqlite3.SQLITE_LIMIT_LENGTH: 200_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 60,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    # Labels of one page of foreign keys are fetched with one parameter per row.
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1_010,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
"""SQLite's own limits (https://www.sqlite.org/limits.html), far above what our pages need.

One call is not interrupted, and the slowest that remain, `instr` and `replace` of a needle in a
haystack, take the square of the length of a value: a second at this one.
"""

HEAP_BYTES = 256_000_000
"""Most memory that SQLite may take in this process."""

DENIED_FUNCTIONS = frozenset(
    {
        "printf",
        "format",
        "zeroblob",
        "randomblob",
        "load_extension",
        "fts3_tokenizer",
        "fts5",
        "sqlite_version",
        "sqlite_source_id",
        "sqlite_compileoption_get",
        "sqlite_compileoption_used",
        "sqlite_log",
    }
)
DENIED_TABLES = frozenset(
    {
        "pragma_database_list",
        "pragma_compile_options",
        "dbstat",
        "sqlite_dbpage",
        "sqlite_stmt",
        "bytecode",
        "tables_used",
    }
)
ALLOWED_PRAGMAS = frozenset(
    {
        "data_version",
        "foreign_key_list",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "max_page_count",
        "page_count",
        "page_size",
        "schema_version",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
"""What Datasette, the full-text and the spatial index ask; none tells of the machine."""

_DENIED_ACTIONS = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


def authorize(
    action: int, first: str | None, second: str | None, _database: str | None, _by: str | None
) -> int:
    """SQLite's authorizer: refuse what reads the machine or makes values without bound."""
    if (
        action in _DENIED_ACTIONS
        or (
            action == sqlite3.SQLITE_FUNCTION
            and second is not None
            and second.lower() in DENIED_FUNCTIONS
        )
        or (action == sqlite3.SQLITE_READ and first is not None and first.lower() in DENIED_TABLES)
        or (
            action == sqlite3.SQLITE_PRAGMA
            and first is not None
            and first.lower() not in ALLOWED_PRAGMAS
        )
    ):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def guard_connection(connection: sqlite3.Connection) -> None:
    """Put limits, pragmas and authorizer on a connection that strangers will use."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute(f"PRAGMA hard_heap_limit = {HEAP_BYTES}")
    for category, limit in LIMITS.items():
        connection.setlimit(category, limit)
    connection.set_authorizer(authorize)


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def for_log(text: str, length: int = 300) -> str:
    """A text of a stranger as it may enter a log: one line, short, no control character."""
    line = _UNPRINTABLE.sub(" ", text)
    return line if len(line) <= length else line[:length] + "…"


class Watchdog:
    """Interrupts every connection that works for longer than a limit of wall-clock time."""

    def __init__(self, limit_s: float) -> None:
        """Start watching; `limit_s` is the longest that one job may last, in seconds."""
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._stopped = False
        self._running: dict[int, tuple[float, sqlite3.Connection]] = {}
        self._thread = threading.Thread(target=self._watch, name="lowtech-watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def watching(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Watch what the connection does inside the block."""
        key = id(connection)
        with self._lock:
            self._running[key] = (time.monotonic() + self._limit_s, connection)
        self._work.set()
        try:
            yield
        finally:
            with self._lock:
                del self._running[key]

    def stop(self) -> None:
        """End the watch; what still runs is no longer interrupted."""
        self._stopped = True
        self._work.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped:
            self._work.wait()
            with self._lock:
                now = time.monotonic()
                for deadline, connection in self._running.values():
                    if now >= deadline:
                        connection.interrupt()
                if not self._running and not self._stopped:
                    self._work.clear()
            time.sleep(0.05)


class GuardedDatabase(Database):  # type: ignore[misc]  # datasette has no types
    """A Datasette database whose work is watched and whose refusals are logged soberly."""

    def __init__(self, datasette: Any, path: str, watchdog: Watchdog) -> None:
        """The immutable database at `path`."""
        super().__init__(datasette, path=path, is_mutable=False)
        self._watchdog = watchdog

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `fn` on a connection of this thread, under the watchdog."""

        def watched(connection: sqlite3.Connection) -> Result:
            with self._watchdog.watching(connection):
                return fn(connection)

        result: Result = await super().execute_fn(watched)
        return result

    async def execute(
        self,
        sql: str,
        params: Any = None,
        truncate: bool = False,
        custom_time_limit: int | None = None,
        page_size: int | None = None,
        log_sql_errors: bool = True,
    ) -> Any:
        """As Datasette's, but a failing statement reaches the log short and on one line."""
        try:
            return await super().execute(
                sql,
                params,
                truncate=truncate,
                custom_time_limit=custom_time_limit,
                page_size=page_size,
                log_sql_errors=False,
            )
        except sqlite3.Error as error:
            if log_sql_errors:
                logger.info("sql_refused reason=%s sql=%s", for_log(str(error)), for_log(sql))
            raise

    async def attached_databases(self) -> list[Any]:
        """None: nothing can be attached, and asking SQLite would tell paths."""
        return []


class BusyError(Exception):
    """Too many questions at once: the client is asked to come back."""


class SqlTurns:
    """One free SQL question at a time per client, few in all, and a short queue."""

    def __init__(self, *, running: int = 3, waiting: int = 8, patience_s: float = 2.0) -> None:
        """How many run and wait at once, and for how many seconds one waits."""
        self._slots = asyncio.Semaphore(running)
        self._waiting_limit = waiting
        self._patience_s = patience_s
        self._waiting = 0
        self._clients: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for one's turn. Raises `BusyError` when the queue is full or too slow."""
        if self._waiting >= self._waiting_limit:
            raise BusyError
        lock = self._clients.setdefault(client, asyncio.Lock())
        self._users[client] += 1
        try:
            await self._wait(lock)
            try:
                yield
            finally:
                self._slots.release()
                lock.release()
        finally:
            self._users[client] -= 1
            if not self._users[client]:
                del self._users[client]
                del self._clients[client]

    async def _wait(self, lock: asyncio.Lock) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await lock.acquire()
                try:
                    await self._slots.acquire()
                except BaseException:
                    lock.release()
                    raise
        except TimeoutError:
            raise BusyError from None
        finally:
            self._waiting -= 1
