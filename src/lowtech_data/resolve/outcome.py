"""From scored pairs to clusters, to the pairs that are told and asked, and to warnings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from lowtech_data.resolve.blocking import Blocking
from lowtech_data.resolve.cluster import (
    ERROR_SIZE,
    WARNING_SIZE,
    Clusters,
    Edge,
    cluster_records,
)
from lowtech_data.resolve.decisions import Decision, Decisions
from lowtech_data.resolve.incremental import State
from lowtech_data.resolve.score import TOLD

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


@dataclass(frozen=True, slots=True)
class Matching:
    """What matching found. Pairs are ordered, `a` before `b`, by (source, key)."""

    pairs: pa.Table
    """Pairs that are the same, related, to review, or distinct but near (`PAIRS_SCHEMA`)."""
    clusters: pa.Table
    """`source`, `cle_source`, `cluster`: 0, 1… by the smallest key of the cluster."""
    warnings: list[str]
    blocking: Blocking


def conclude(
    con: duckdb.DuckDBPyConnection,
    blocking: Blocking,
    decisions: Decisions,
    state: State | None = None,
) -> Matching:
    """Cluster the records of `res_fiche` by their pairs in `res_score`, and tell what was found. Of
    a `state` that was resumed, only the clusters that a change may have reached are made again.
    """
    numbers = _numbers(con, decisions)
    _cluster(con, decisions, numbers, state)
    return Matching(
        pairs=_pairs(con, decisions, numbers),
        clusters=_clusters(con),
        warnings=_warnings(con, decisions, numbers, blocking),
        blocking=blocking,
    )


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
    con: duckdb.DuckDBPyConnection,
    decisions: Decisions,
    numbers: dict[str, int],
    state: State | None,
) -> None:
    """Make `res_groupe` (rid, label) of the records that are with others, labelled by the smallest,
    and `res_refus` (a, b, refus) of the pairs decided the same that were not followed.
    """
    decided = set(_numbered(tuple(decisions.pairs), numbers))
    must = _numbered(decisions.must_link, numbers)
    if state:
        state.disturb(sorted(numbers.values()), must)
    within = "AND a IN (SELECT rid FROM res_trouble)" if state and state.resumed else ""
    same = con.execute(
        f"SELECT a, b FROM res_score WHERE decision = 'identique' {within}"
    ).fetchall()
    alone, crowded = _components([edge for edge in same if edge not in decided], must)
    _table(con, "res_foule", rid=list(crowded), groupe=list(crowded.values()))
    rows = con.execute(
        """
        SELECT a, b, score, decision = 'identique', conflit FROM res_score
        JOIN res_foule x ON x.rid = a JOIN res_foule y ON y.rid = b
        WHERE x.groupe = y.groupe
        """
    ).fetchall()
    clusters = cluster_records(
        [Edge(*row) for row in rows if (row[0], row[1]) not in decided],
        must=must,
        cannot=_numbered(decisions.cannot_link, numbers),
    )
    clusters.labels |= {record: a for a, b in alone for record in (a, b)}
    _write(con, clusters)
    if state:
        state.keep_groups()


def _write(con: duckdb.DuckDBPyConnection, clusters: Clusters) -> None:
    labels, refused = clusters.labels, clusters.refused
    _table(con, "res_groupe", rid=list(labels), label=list(labels.values()))
    _table(con, "res_refus", a=[a for a, _ in refused], b=[b for _, b in refused],
           refus=list(refused.values()))  # fmt: skip


def _table(con: duckdb.DuckDBPyConnection, name: str, **columns: list[int] | list[str]) -> None:
    """Make a temporary table; columns are numbers of records, but for `refus`."""
    kinds = {"refus": pa.string()}
    given = pa.table(
        {column: pa.array(values, kinds.get(column, pa.int64()))
         for column, values in columns.items()}
    )  # fmt: skip
    con.register("res_donnees", given)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM res_donnees")
    con.unregister("res_donnees")


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
    con: duckdb.DuckDBPyConnection, decisions: Decisions, numbers: dict[str, int]
) -> pa.Table:
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
    con.register("res_humain", decided)
    con.execute(f"CREATE OR REPLACE TEMP TABLE res_finale AS {_outcomes_sql()}")
    con.unregister("res_humain")
    lots = con.execute("SELECT DISTINCT lot FROM res_finale ORDER BY lot").fetchall()
    told = [con.sql(_told_sql(lot)).to_arrow_table().cast(PAIRS_SCHEMA) for (lot,) in lots]
    return pa.concat_tables(told) if told else PAIRS_SCHEMA.empty_table()


_LOT = 100_000
"""Pairs that are put in order at once: explanations are long, and sorting copies them."""


def _outcomes_sql() -> str:
    """SQL of the pairs that are told, with what is finally decided of them, in lots that follow
    each other.
    """
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
        FROM toutes t
        LEFT JOIN res_groupe la ON la.rid = t.a LEFT JOIN res_groupe lb ON lb.rid = t.b
    ), rangs AS (
        SELECT a, b, row_number() OVER (ORDER BY score DESC, a, b) AS rang
        FROM situees WHERE voulue = 'a_revoir' AND humain IS NULL
    ), premieres AS (
        SELECT rid, min(rang) AS rang FROM (
            SELECT a AS rid, rang FROM rangs UNION ALL SELECT b, rang FROM rangs)
        GROUP BY rid
    ), file AS (
        SELECT coalesce(max(rang), 0) AS dernier FROM (
            SELECT rang, sum(count(*)) OVER (ORDER BY rang) AS fiches FROM premieres GROUP BY rang)
        WHERE fiches <= greatest({MIN_QUEUE}, {QUEUE_SHARE} * (SELECT count(*) FROM res_fiche))
    ), finales AS (
        SELECT s.*, rang, dernier,
               CASE WHEN rang > dernier THEN 'distinct' ELSE voulue END AS finale
        FROM situees s LEFT JOIN rangs r ON r.a = s.a AND r.b = s.b, file
    )
    SELECT a, b, score, finale AS decision,
           CASE WHEN humain IS NOT NULL THEN 'humain' ELSE 'regle' END AS decide_par,
           CASE WHEN humain IS NOT NULL THEN humain_predicat
                WHEN finale IN ('lie', 'a_revoir') THEN predicat END AS predicat,
           CASE WHEN humain IS NOT NULL THEN humain_motif
                WHEN refus IS NOT NULL THEN refus
                WHEN rang > dernier THEN 'hors_file'
                WHEN finale <> decision THEN 'meme_groupe' ELSE motif END AS motif,
           (row_number() OVER (ORDER BY a, b) - 1) // {_LOT} AS lot
    FROM finales
    """


def _told_sql(lot: int) -> str:
    """SQL of one lot in order, with keys and explanations."""
    return f"""
    SELECT x.source AS source_a, x.cle AS cle_a, y.source AS source_b, y.cle AS cle_b,
           p.score, p.decision, p.decide_par, p.predicat, p.motif, d.details
    FROM (SELECT * FROM res_finale WHERE lot = {lot}) p
    LEFT JOIN res_details d ON d.a = p.a AND d.b = p.b
    JOIN (SELECT rid, source, cle FROM res_fiche) x ON x.rid = p.a
    JOIN (SELECT rid, source, cle FROM res_fiche) y ON y.rid = p.b
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


def _clusters(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return con.sql(
        """
        SELECT source, cle AS cle_source,
               (dense_rank() OVER (ORDER BY coalesce(label, rid)) - 1)::BIGINT AS cluster
        FROM (SELECT rid, source, cle FROM res_fiche) LEFT JOIN res_groupe USING (rid) ORDER BY rid
        """
    ).to_arrow_table()


def _warnings(
    con: duckdb.DuckDBPyConnection,
    decisions: Decisions,
    numbers: dict[str, int],
    blocking: Blocking,
) -> list[str]:
    """Sentences for people; those that begin with « erreur » should stop a publication."""
    found: list[str] = []
    allowed = {record for pair in _numbered(decisions.must_link, numbers) for record in pair}
    groups = con.execute(
        f"""
        SELECT f.source, f.cle, f.nom, g.membres
        FROM (SELECT label, list(rid) AS membres FROM res_groupe GROUP BY label
              HAVING count(*) > {WARNING_SIZE}) g
        JOIN res_fiche f ON f.rid = g.label ORDER BY g.label
        """
    ).fetchall()
    for source, key, name, members in groups:
        serious = len(members) > ERROR_SIZE and allowed.isdisjoint(members)
        found.append(
            f"{'erreur' if serious else 'avertissement'} : groupe de {len(members)} fiches"
            f" autour de {source}:{key} « {name} »"
        )
    found += [
        f"avertissement : {n} clés « {kind} » écartées, trop partagées pour distinguer"
        for kind, n in blocking.dropped.items()
    ]
    return found
