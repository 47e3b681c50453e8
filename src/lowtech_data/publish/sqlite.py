"""The SQLite file of a release: tables with keys, link tables, full text, R*Tree, indexes.

Same tables in, same bytes out: rows are inserted in key order into a fresh file that is vacuumed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from lowtech_data.model import TABLES, Column, Kind, Table

BATCH = 10_000

LINKED_TABLES = ("initiatives",)
"""Tables whose list columns get link tables, because people filter by them."""

TOKENIZER = "unicode61 remove_diacritics 2"


def write(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write every published table of a DuckDB database to a new SQLite file.

    `con` holds a table per entry of `model.TABLES`, with its columns. `path` must not exist.
    """
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA page_size = 4096")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        for table in TABLES.values():
            _copy(con, database, table)
        for name in LINKED_TABLES:
            _link_tables(database, TABLES[name])
        for table in TABLES.values():
            _indexes(database, table)
            if table.full_text:
                _full_text(database, table)
        _rtree(database)
        database.execute("COMMIT")
        database.execute("ANALYZE")
        database.execute("VACUUM")
    finally:
        database.close()


def _copy(con: duckdb.DuckDBPyConnection, database: sqlite3.Connection, table: Table) -> None:
    database.execute(table.sqlite_ddl())
    columns = ", ".join(f'"{name}"' for name in table.names)
    order = ", ".join(f'"{name}"' for name in table.key)
    marks = ", ".join("?" * len(table.columns))
    cursor = con.cursor().execute(f'SELECT {columns} FROM "{table.name}" ORDER BY {order}')
    encode = [_encoder(column) for column in table.columns]
    statement = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'
    for rows in _batches(cursor):
        database.executemany(
            statement, ([f(v) for f, v in zip(encode, row, strict=True)] for row in rows)
        )


def _batches(cursor: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(BATCH):
        yield rows


def _encoder(column: Column) -> Callable[[Any], Any]:
    match column.kind:
        case Kind.LIST:
            return lambda v: None if v is None else json.dumps(v, ensure_ascii=False)
        case Kind.BOOLEAN:
            return lambda v: None if v is None else int(v)
        case _:
            return lambda v: v


def _link_tables(database: sqlite3.Connection, table: Table) -> None:
    for column in table.lists:
        name = f"{table.name}_{column.name}"
        database.execute(
            f'CREATE TABLE "{name}" (id TEXT NOT NULL REFERENCES "{table.name}"(id), '
            "valeur TEXT NOT NULL, PRIMARY KEY (valeur, id)) STRICT, WITHOUT ROWID"
        )
        database.execute(
            f'INSERT OR IGNORE INTO "{name}" (id, valeur) '
            f'SELECT t.id, j.value FROM "{table.name}" t, json_each(t."{column.name}") j '
            "ORDER BY j.value, t.id"
        )
        database.execute(f'CREATE INDEX "{name}_id" ON "{name}" (id)')


def _indexes(database: sqlite3.Connection, table: Table) -> None:
    for columns in table.indexes:
        name = f"{table.name}_par_{'_'.join(columns)}"
        listed = ", ".join(f'"{column}"' for column in columns)
        database.execute(f'CREATE INDEX "{name}" ON "{table.name}" ({listed})')


def _full_text(database: sqlite3.Connection, table: Table) -> None:
    columns = ", ".join(f'"{name}"' for name in table.full_text)
    name = f"{table.name}_fts"
    database.execute(
        f'CREATE VIRTUAL TABLE "{name}" USING fts5({columns}, content="{table.name}", '
        f"tokenize='{TOKENIZER}')"
    )
    database.execute(f'INSERT INTO "{name}" ("{name}") VALUES (\'rebuild\')')
    database.execute(f'INSERT INTO "{name}" ("{name}") VALUES (\'optimize\')')


def _rtree(database: sqlite3.Connection) -> None:
    database.execute(
        "CREATE VIRTUAL TABLE initiatives_rtree USING rtree"
        "(rowid, min_lat, max_lat, min_lon, max_lon)"
    )
    database.execute(
        "INSERT INTO initiatives_rtree SELECT rowid, latitude, latitude, longitude, longitude "
        "FROM initiatives WHERE latitude IS NOT NULL AND longitude IS NOT NULL ORDER BY rowid"
    )
