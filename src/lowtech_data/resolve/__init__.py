"""Which records speak of one initiative: pairs, clusters, decisions of people, permanent ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from lowtech_data.resolve.blocking import Blocking, block, key_names
from lowtech_data.resolve.cluster import (
    ERROR_SIZE,
    WARNING_SIZE,
    Clusters,
    Edge,
    cluster_records,
)
from lowtech_data.resolve.compare import compare_pairs
from lowtech_data.resolve.decisions import Decision, Decisions
from lowtech_data.resolve.features import prepare
from lowtech_data.resolve.incremental import opened
from lowtech_data.resolve.score import (
    TOLD,
    Model,
    explain_pairs,
    score_pairs,
    settle_rivals,
)

__all__ = ["PAIRS_SCHEMA", "Decisions", "MatchError", "Matching", "match"]

PAIRS_SCHEMA = pa.schema(
    [
        ("source_a", pa.string()),
        ("cle_a", pa.string()),
        ("source_b", pa.string()),
        ("cle_b", pa.string()),
        ("score", pa.float64()),
        ("decision", pa.string()),
        ("decide_par", pa.string()),
        ("predicat", pa.string()),
        ("motif", pa.string()),
        ("details", pa.string()),
    ]
)
"""A compared pair: codes of the model, the score in bits, its parts in JSON (`details`)."""

QUEUE_SHARE = 0.02
MIN_QUEUE = 110
"""People are asked about this share of the records at most, or this many when that is more: the
pairs that are most likely the same first. The others stay distinct, with the reason `hors_file`.
"""

Progress = Callable[[str], None]

Scoring = Callable[[duckdb.DuckDBPyConnection], Model]
"""Makes `res_score` from what `prepare` and `block` have made, and returns the fitted model."""


class MatchError(ValueError):
    """The table of records cannot be matched: no name, no key, a key twice."""


@dataclass(frozen=True, slots=True)
class Matching:
    """What matching found. Pairs are ordered, `a` before `b`, by (source, key)."""

    pairs: pa.Table
    """Pairs that are the same, related, to review, or distinct but near (`PAIRS_SCHEMA`)."""
    clusters: pa.Table
    """`source`, `cle_source`, `cluster`: 0, 1… by the smallest key of the cluster."""
    warnings: list[str]
    blocking: Blocking


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
            blocking, model = _compared(con, records_table, scoring or _score, tell)
            if kept:
                kept.keep(records_table, model)
        return _concluded(con, blocking, decisions, tell)


def _compared(
    con: duckdb.DuckDBPyConnection, records_table: str, scoring: Scoring, tell: Progress
) -> tuple[Blocking, Model]:
    """Make `res_score` and `res_details` from all records."""
    tell("préparation")
    prepare(con, records_table)
    tell("paires candidates")
    blocking = block(con)
    tell(f"comparaison de {blocking.pairs} paires")
    model = scoring(con)
    settle_rivals(con)
    explain_pairs(con, model, key_names("cles"))
    return blocking, model


def _concluded(
    con: duckdb.DuckDBPyConnection, blocking: Blocking, decisions: Decisions, tell: Progress
) -> Matching:
    tell("groupes")
    numbers = _numbers(con, decisions)
    clusters = _cluster(con, decisions, numbers)
    result = Matching(
        pairs=_pairs(con, clusters, decisions, numbers),
        clusters=_clusters(con, clusters),
        warnings=_warnings(con, clusters, decisions, numbers, blocking),
        blocking=blocking,
    )
    _drop(con)
    return result


def _score(con: duckdb.DuckDBPyConnection) -> Model:
    compare_pairs(con)
    return score_pairs(con)


def _check(con: duckdb.DuckDBPyConnection, records: str) -> None:
    present = {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {records}").fetchall()}
    missing = [name for name in ("source", "cle_source", "nom") if name not in present]
    if missing:
        raise MatchError(f"{records} : colonnes manquantes : {', '.join(missing)}")
    for name in ("source", "cle_source", "nom"):
        row = con.execute(
            f"SELECT count(*) FROM {records} WHERE coalesce(trim(CAST({name} AS VARCHAR)), '') = ''"
        ).fetchone()
        if row and row[0]:
            raise MatchError(f"{records} : {row[0]} fiches sans {name}")
    twice = con.execute(
        f"SELECT source, cle_source FROM {records} GROUP BY ALL HAVING count(*) > 1"
        " ORDER BY ALL LIMIT 1"
    ).fetchone()
    if twice:
        raise MatchError(f"{records} : clé répétée : {twice[0]}:{twice[1]}")


def _numbers(con: duckdb.DuckDBPyConnection, decisions: Decisions) -> dict[str, int]:
    """Fiche key → record number, for the fiches that decisions name and that are present."""
    keys = sorted({key for pair in decisions.pairs for key in pair})
    if not keys:
        return {}
    rows = con.execute(
        "SELECT source || ':' || cle, rid FROM res_fiche"
        " WHERE source || ':' || cle IN (SELECT unnest($1::VARCHAR[]))",
        [keys],
    ).fetchall()
    return {str(key): int(rid) for key, rid in rows}


def _numbered(pairs: tuple[tuple[str, str], ...], numbers: dict[str, int]) -> list[tuple[int, int]]:
    found = [(numbers[a], numbers[b]) for a, b in pairs if a in numbers and b in numbers]
    return sorted((min(pair), max(pair)) for pair in found)


def _cluster(
    con: duckdb.DuckDBPyConnection, decisions: Decisions, numbers: dict[str, int]
) -> Clusters:
    decided = set(_numbered(tuple(decisions.pairs), numbers))
    must = _numbered(decisions.must_link, numbers)
    same = con.execute("SELECT a, b FROM res_score WHERE decision = 'identique'").fetchall()
    alone, crowded = _components([edge for edge in same if edge not in decided], must)
    con.register(
        "res_foule_arrow",
        pa.table({"rid": list(crowded), "groupe": list(crowded.values())},
                 pa.schema([("rid", pa.int64()), ("groupe", pa.int64())])),
    )  # fmt: skip
    rows = con.execute(
        """
        SELECT a, b, score, decision = 'identique', conflit FROM res_score
        JOIN res_foule_arrow x ON x.rid = a JOIN res_foule_arrow y ON y.rid = b
        WHERE x.groupe = y.groupe
        """
    ).fetchall()
    con.unregister("res_foule_arrow")
    clusters = cluster_records(
        [Edge(*row) for row in rows if (row[0], row[1]) not in decided],
        must=must,
        cannot=_numbered(decisions.cannot_link, numbers),
    )
    clusters.labels |= {record: a for a, b in alone for record in (a, b)}
    return clusters


def _components(
    same: list[tuple[int, int]], must: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """Pairs that nothing else touches, and the other records that links tie, each with the smallest
    of its component: only these need a look at more than one pair.
    """
    parent: dict[int, int] = {}

    def root(record: int) -> int:
        while (up := parent.setdefault(record, record)) != record:
            parent[record] = record = parent[up]
        return record

    for a, b in (*same, *must):
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    sizes = Counter(map(root, parent))
    alone = [(a, b) for a, b in same if sizes[root(a)] == 2]
    crowded = {record: root(record) for record in sorted(parent) if sizes[root(record)] > 2}
    decided = {record for pair in must for record in pair}
    crowded |= {record: root(record) for record in decided}
    return [pair for pair in alone if decided.isdisjoint(pair)], crowded


def _pairs(
    con: duckdb.DuckDBPyConnection,
    clusters: Clusters,
    decisions: Decisions,
    numbers: dict[str, int],
) -> pa.Table:
    refused = pa.table(
        {
            "a": pa.array([a for a, _ in clusters.refused], pa.int64()),
            "b": pa.array([b for _, b in clusters.refused], pa.int64()),
            "refus": pa.array(list(clusters.refused.values()), pa.string()),
        }
    )
    decided = pa.Table.from_pylist(
        _decided(decisions, numbers),
        pa.schema(
            [
                ("a", pa.int64()),
                ("b", pa.int64()),
                ("humain", pa.string()),
                ("humain_predicat", pa.string()),
                ("humain_motif", pa.string()),
            ]
        ),
    )
    labels = pa.table(
        {
            "rid": pa.array(clusters.labels.keys(), pa.int64()),
            "label": pa.array(clusters.labels.values(), pa.int64()),
        }
    )
    con.register("res_refus", refused)
    con.register("res_humain", decided)
    con.register("res_label_arrow", labels)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE res_label AS SELECT rid, coalesce(label, rid) AS label"
        " FROM (SELECT rid FROM res_fiche) LEFT JOIN res_label_arrow USING (rid)"
    )
    table = con.sql(_pairs_sql()).to_arrow_table()
    for name in ("res_refus", "res_humain", "res_label_arrow"):
        con.unregister(name)
    return table.cast(PAIRS_SCHEMA)


def _pairs_sql() -> str:
    return f"""
    WITH toutes AS (
        SELECT coalesce(s.a, h.a) AS a, coalesce(s.b, h.b) AS b, s.* EXCLUDE (a, b),
               r.refus, h.humain, h.humain_predicat, h.humain_motif
        FROM (SELECT a, b, score, decision, predicat, motif FROM res_score WHERE {TOLD}) s
        LEFT JOIN res_refus r ON r.a = s.a AND r.b = s.b
        FULL JOIN res_humain h ON h.a = s.a AND h.b = s.b
    ), situees AS (
        SELECT t.*, CASE WHEN humain IS NOT NULL THEN humain
                         WHEN refus IS NOT NULL THEN 'a_revoir'
                         WHEN decision IN ('a_revoir', 'distinct') AND la.label = lb.label
                             THEN 'identique'
                         ELSE decision END AS voulue
        FROM toutes t JOIN res_label la ON la.rid = t.a JOIN res_label lb ON lb.rid = t.b
    ), rangees AS (
        SELECT *, CASE WHEN voulue = 'a_revoir' AND humain IS NULL THEN row_number() OVER (
                      PARTITION BY voulue, humain IS NULL ORDER BY score DESC, a, b) END AS rang
        FROM situees
    ), premieres AS (
        SELECT rid, min(rang) AS rang FROM (
            SELECT a AS rid, rang FROM rangees WHERE rang IS NOT NULL
            UNION ALL SELECT b, rang FROM rangees WHERE rang IS NOT NULL)
        GROUP BY rid
    ), file AS (
        SELECT coalesce(max(rang), 0) AS dernier FROM (
            SELECT rang, sum(count(*)) OVER (ORDER BY rang) AS fiches FROM premieres GROUP BY rang)
        WHERE fiches <= greatest({MIN_QUEUE}, {QUEUE_SHARE} * (SELECT count(*) FROM res_fiche))
    ), finales AS (
        SELECT *, CASE WHEN rang > dernier THEN 'distinct' ELSE voulue END AS finale
        FROM rangees, file
    )
    SELECT x.src AS source_a, x.cle AS cle_a, y.src AS source_b, y.cle AS cle_b,
           p.score, p.finale AS decision,
           CASE WHEN p.humain IS NOT NULL THEN 'humain' ELSE 'regle' END AS decide_par,
           CASE WHEN p.humain IS NOT NULL THEN p.humain_predicat
                WHEN p.finale IN ('lie', 'a_revoir') THEN p.predicat END AS predicat,
           CASE WHEN p.humain IS NOT NULL THEN p.humain_motif
                WHEN p.refus IS NOT NULL THEN p.refus
                WHEN p.rang > dernier THEN 'hors_file'
                WHEN p.finale <> p.decision THEN 'meme_groupe' ELSE p.motif END AS motif,
           d.details
    FROM finales p LEFT JOIN res_details d ON d.a = p.a AND d.b = p.b
    JOIN (SELECT rid, source AS src, cle FROM res_fiche) x ON x.rid = p.a
    JOIN (SELECT rid, source AS src, cle FROM res_fiche) y ON y.rid = p.b
    ORDER BY p.a, p.b
    """


def _decided(decisions: Decisions, numbers: dict[str, int]) -> list[dict[str, object]]:
    """Pairs decided by people, with the last line that says so."""
    rows: list[dict[str, object]] = []
    for (a, b), line in decisions.pairs.items():
        if a in numbers and b in numbers:
            first, second = sorted((numbers[a], numbers[b]))
            rows.append(_decided_row(first, second, line))
    return rows


def _decided_row(a: int, b: int, line: Decision) -> dict[str, object]:
    return {
        "a": a,
        "b": b,
        "humain": line.decision,
        "humain_predicat": line.predicat,
        "humain_motif": line.motif,
    }


def _clusters(con: duckdb.DuckDBPyConnection, clusters: Clusters) -> pa.Table:
    return con.sql(
        """
        SELECT source, cle AS cle_source,
               (dense_rank() OVER (ORDER BY label) - 1)::BIGINT AS cluster
        FROM res_fiche JOIN res_label USING (rid) ORDER BY rid
        """
    ).to_arrow_table()


def _warnings(
    con: duckdb.DuckDBPyConnection,
    clusters: Clusters,
    decisions: Decisions,
    numbers: dict[str, int],
    blocking: Blocking,
) -> list[str]:
    """Sentences for people; those that begin with « erreur » should stop a publication."""
    found: list[str] = []
    allowed = {record for pair in _numbered(decisions.must_link, numbers) for record in pair}
    for group in clusters.groups:
        if len(group) <= WARNING_SIZE:
            continue
        row = con.execute("SELECT source, cle, nom FROM res_fiche WHERE rid = $1", [group[0]])
        source, key, name = row.fetchone() or ("", "", "")
        serious = len(group) > ERROR_SIZE and allowed.isdisjoint(group)
        found.append(
            f"{'erreur' if serious else 'avertissement'} : groupe de {len(group)} fiches"
            f" autour de {source}:{key} « {name} »"
        )
    found += [
        f"avertissement : {n} clés « {kind} » écartées, trop partagées pour distinguer"
        for kind, n in blocking.dropped.items()
    ]
    return found


def _drop(con: duckdb.DuckDBPyConnection) -> None:
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
        con.execute(f"DROP {kind} {name}")
