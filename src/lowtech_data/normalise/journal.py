"""Where every rule writes what it changed and what it refused, while a batch is being cleaned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import duckdb
import pyarrow as pa


def open_journal(con: duckdb.DuckDBPyConnection) -> None:
    """Create the empty tables `n_changes`, `n_rejects` and `n_refused`, by row of a fiche (`n`).

    What `n_refused` holds is masked once, when the journal is read: the patterns that decide what
    may be shown cost more to compile than to apply.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE n_changes"
        " (n BIGINT, champ VARCHAR, regle VARCHAR, valeur_source VARCHAR)"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE n_rejects"
        " (n BIGINT, champ VARCHAR, regle VARCHAR, valeur_masquee VARCHAR)"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE n_refused"
        " (n BIGINT, champ VARCHAR, regle VARCHAR, valeur VARCHAR)"
    )


def change(
    con: duckdb.DuckDBPyConnection, champ: str, *, regle: str, source: str, select: str
) -> None:
    """Record changed values of a field.

    `regle` and `source` are SQL expressions over the rows of `select` (`… FROM … WHERE …`).
    """
    con.execute(f"INSERT INTO n_changes SELECT n, '{champ}', {regle}, left({source}, 500) {select}")


def reject(
    con: duckdb.DuckDBPyConnection, champ: str, *, regle: str, value: str, select: str
) -> None:
    """Record refused values of a field: `regle` as in `change`; `value` will be masked."""
    con.execute(f"INSERT INTO n_refused SELECT n, '{champ}', {regle}, {value} {select}")


def dictionary(
    con: duckdb.DuckDBPyConnection,
    name: str,
    values: str,
    read: Callable[[str], dict[str, Any]],
    schema: pa.Schema,
) -> None:
    """Apply a Python function to distinct values, and keep the answers as the table `name`.

    `values` is a query of one column `v`; `read` gives the other columns of `schema`.
    """
    found = con.execute(f"SELECT DISTINCT v FROM ({values}) WHERE v IS NOT NULL").fetchall()
    rows: Iterable[dict[str, Any]] = ({"v": v, **read(v)} for (v,) in found)
    con.register("n_answers", pa.Table.from_pylist(list(rows), schema))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM n_answers")
    con.unregister("n_answers")
