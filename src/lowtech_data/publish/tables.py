"""Parquet and CSV files of a release, one per published table, in key order."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import duckdb

from lowtech_data.model import TABLES, Kind, Table

ROW_GROUP = 100_000


def write_parquet(con: duckdb.DuckDBPyConnection, directory: Path) -> None:
    """Write `<table>.parquet` for every published table of the database."""
    directory.mkdir()
    for table in TABLES.values():
        con.execute(
            f"COPY ({_ordered(table, table.names)}) TO '{_quoted(directory / table.name)}.parquet' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )


def write_csv(
    con: duckdb.DuckDBPyConnection, directory: Path, tables: Collection[str] = tuple(TABLES)
) -> None:
    """Write `<table>.csv` for each named table: UTF-8, comma, RFC 4180 quotes, lists by `|`."""
    directory.mkdir(exist_ok=True)
    for table in (TABLES[name] for name in tables):
        columns = [
            f'array_to_string("{c.name}", \'|\') AS "{c.name}"'
            if c.kind is Kind.LIST
            else f'"{c.name}"'
            for c in table.columns
        ]
        con.execute(
            f"COPY ({_ordered(table, columns)}) TO '{_quoted(directory / table.name)}.csv' "
            "(FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"')"
        )


def _ordered(table: Table, columns: tuple[str, ...] | list[str]) -> str:
    selected = ", ".join(c if '"' in c else f'"{c}"' for c in columns)
    order = ", ".join(f't."{name}"' for name in table.key)
    return f'SELECT {selected} FROM "{table.name}" t ORDER BY {order}'


def scan(release: Path, name: str) -> str:
    """SQL that reads one table of a release's Parquet files, to stand after `FROM`."""
    return f"read_parquet('{_quoted(release / 'parquet' / name)}.parquet')"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
