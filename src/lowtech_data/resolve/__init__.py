"""Which records speak of one initiative: pairs, clusters, decisions of people, permanent ids."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path

import duckdb

from lowtech_data.resolve.blocking import block, key_names
from lowtech_data.resolve.compare import compare_pairs
from lowtech_data.resolve.decisions import Decisions
from lowtech_data.resolve.features import prepare
from lowtech_data.resolve.incremental import StateError, opened
from lowtech_data.resolve.outcome import PAIRS_SCHEMA, Matching, conclude
from lowtech_data.resolve.score import Model, explain_pairs, score_pairs, settle_rivals

__all__ = ["PAIRS_SCHEMA", "Decisions", "MatchError", "Matching", "StateError", "match"]

Progress = Callable[[str], None]

Scoring = Callable[[duckdb.DuckDBPyConnection], Model]
"""Makes `res_score` from what `prepare` and `block` have made, and returns the fitted model."""


class MatchError(ValueError):
    """The table of records cannot be matched: no name, no key, a key twice."""


def match(
    con: duckdb.DuckDBPyConnection,
    records_table: str,
    *,
    decisions: Decisions | None = None,
    progress: Progress | None = None,
    scoring: Scoring | None = None,
    state: Path | None = None,
) -> Matching:
    """Match the records of a DuckDB table or view.

    Columns are those of `features.COLUMNS`; `source`, `cle_source` and `nom` must be there.
    `decisions` win over rules. Temporary tables `res_*` are made in the connection and dropped.
    `scoring` compares and scores elsewhere than in the connection (`spark.score_on_spark`). `state`
    is a file where this run is kept, and that of the former one when there is one: what has not
    changed since is then not compared again (`incremental`).

    Raises `MatchError` when a name or key is missing or a key is repeated.
    """
    tell = progress or (lambda _: None)
    decisions = decisions or Decisions()
    _check(con, records_table)
    with ExitStack() as stack:
        kept = stack.enter_context(opened(con, state)) if state else None
        blocking = kept.resume(records_table, tell) if kept else None
        if blocking is None:
            tell("préparation")
            prepare(con, records_table)
            tell("paires candidates")
            blocking = block(con)
            if kept is None:
                con.execute("DROP TABLE res_cle; DROP TABLE res_part")
            tell(f"comparaison de {blocking.pairs} paires")
            model = (scoring or _score)(con)
            settle_rivals(con)
            explain_pairs(con, model, key_names("cles"))
            if kept:
                kept.keep(records_table, model)
            # What is told next is built in memory, where these would leave no room.
            _drop(con, but=_CONCLUDED_FROM)
        tell("groupes")
        matching = conclude(con, blocking, decisions, kept)
        _drop(con)
        return matching


def _score(con: duckdb.DuckDBPyConnection) -> Model:
    compare_pairs(con)
    return score_pairs(con)


_NEEDED = ("source", "cle_source", "nom")


def _check(con: duckdb.DuckDBPyConnection, records: str) -> None:
    present = {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {records}").fetchall()}
    missing = [name for name in _NEEDED if name not in present]
    if missing:
        raise MatchError(f"{records} : colonnes manquantes : {', '.join(missing)}")
    blank = ", ".join(
        f"count(*) FILTER (coalesce(trim(CAST({name} AS VARCHAR)), '') = '')" for name in _NEEDED
    )
    counts = con.execute(f"SELECT {blank} FROM {records}").fetchone() or ()
    for name, count in zip(_NEEDED, counts, strict=True):
        if count:
            raise MatchError(f"{records} : {count} fiches sans {name}")
    twice = con.execute(
        f"SELECT source, cle_source FROM {records} GROUP BY ALL HAVING count(*) > 1"
        " ORDER BY ALL LIMIT 1"
    ).fetchone()
    if twice:
        raise MatchError(f"{records} : clé répétée : {twice[0]}:{twice[1]}")


_CONCLUDED_FROM = ("res_fiche", "res_score", "res_details")


def _drop(con: duckdb.DuckDBPyConnection, but: Collection[str] = ()) -> None:
    names = con.execute(
        """
        SELECT 'VIEW', view_name FROM duckdb_views()
        WHERE temporary AND starts_with(view_name, 'res_')
        UNION ALL
        SELECT 'TABLE', table_name FROM duckdb_tables()
        WHERE temporary AND starts_with(table_name, 'res_') ORDER BY ALL
        """
    ).fetchall()
    for kind, name in names:
        if name not in but:
            con.execute(f"DROP {kind} {name}")
