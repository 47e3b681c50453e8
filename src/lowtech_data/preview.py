"""A dry run of one source: what it would give, without storing a fiche or publishing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from lowtech_data import capture, extract, normalise, resolve, snapshot
from lowtech_data.extract.bounded import READER
from lowtech_data.model import CLEAN_SCHEMA
from lowtech_data.quality import reports
from lowtech_data.recognise import bounds
from lowtech_data.registry import Registry, Source
from lowtech_data.warehouse import Warehouse

EXAMPLES = 8

DUPLICATES_SHOWN = 5

MAX_BASE = 50_000
"""Fiches of other sources that are compared whole, in seconds; of a larger base, only those of the
same départements are, and those whose département is unknown."""

_PLUMBING = frozenset(
    {"source_id", "cle_source", "entite", "capture", "pointeur", "empreinte", "regle_selection"}
)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A fiche that speaks of the same initiative as one of another source."""

    key: str
    name: str
    other_source: str
    other_key: str
    other_name: str
    score: float
    """In bits, as in the table `paires`."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What the fiches have in common with the last known ones of the other sources."""

    compared: int
    """Fiches of the other sources that they were compared with."""
    merging: int
    """Fiches that would join an initiative that another source already lists."""
    to_review: int
    """Fiches of which a person would be asked."""
    examples: tuple[Duplicate, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes from the last known fiches of the source, present ones, by their key."""

    known: int
    gained: int
    lost: int
    changed: int
    changed_fields: tuple[tuple[str, int], ...]
    """How many fiches change in each field, the most frequent first."""
    lost_examples: tuple[str, ...]
    """Names of a few of those that are lost."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a source would give: `read` is the sum of the five counts that follow it."""

    read: int
    fiches: int
    left_out: int
    """Outside the subject, by the source's selection."""
    left_out_by: tuple[tuple[str, int], ...]
    """How many by each rule (`Extraction.left_out_by`), the most frequent first."""
    unreadable: int
    repeated: int
    refused: int
    """Read, but not publishable: no name, outside France."""
    filled: tuple[tuple[str, float], ...]
    """Share of fiches that have each field, the fullest first."""
    refusals: tuple[reports.Refusal, ...]
    """What was refused, records first, then the most frequent."""
    examples: tuple[str, ...]
    """A few fiches, from the first to the last by key."""
    bounds: dict[str, int] | None
    """`bornes` around what was found; nothing when no fiche was."""
    effect: Effect | None
    """Nothing when the source was never harvested."""
    duplicates: Duplicates | None
    """Nothing when no other source has fiches, or when they were not asked for."""


def preview(
    source: Source,
    registry: Registry,
    warehouse: Warehouse,
    *,
    now: datetime,
    client: capture.Client | None,
    duplicates: bool = True,
) -> Preview:
    """Capture (or replay, without a client), extract and normalise one source, of any state.

    Fiches are compared with the last known ones of the source, and with those of the others of the
    registry when `duplicates` are asked for, which takes seconds.

    The bytes are kept like those of any capture. Raises `capture.CaptureError`, or
    `extract.base.PayloadError` when the payload is not what its platform gives or takes too much to
    read.
    """
    store = capture.Store(warehouse.captures)
    platform = READER.following(extract.PLATFORMS[source.plateforme])
    harvest = capture.harvest(source, platform, registry, store, client, now=now)
    extraction = READER.extract(source, harvest.pages)
    with normalise.workbench() as con:
        clean = normalise.normalise(con, extraction.fiches, as_of=now.date())
        unread = normalise.showable(con, extraction.rejects)
    fiches = clean.fiches.num_rows
    lost = extraction.left_out + extraction.unreadable + extraction.repeated
    return Preview(
        read=extraction.read,
        fiches=fiches,
        left_out=extraction.left_out,
        left_out_by=tuple(Counter(extraction.left_out_by).most_common()),
        unreadable=extraction.unreadable,
        repeated=extraction.repeated,
        refused=extraction.read - lost - fiches,
        filled=_filled(clean.fiches),
        refusals=tuple(reports.refusals(pa.concat_tables([unread, clean.rejects]))),
        examples=_examples(clean.fiches),
        bounds=bounds(fiches),
        effect=_effect(source, warehouse, clean.fiches),
        duplicates=_duplicates(source, registry, warehouse, clean.fiches) if duplicates else None,
    )


_CONTENT = [name for name in CLEAN_SCHEMA.names if name not in _PLUMBING]


def _effect(source: Source, warehouse: Warehouse, fiches: pa.Table) -> Effect | None:
    known = snapshot.load(warehouse, source.id)
    if known is None or not known.present():
        return None
    with duckdb.connect() as con:
        con.register("found", fiches)
        con.register("stored", known.fiches())
        con.execute("CREATE VIEW before AS FROM stored WHERE absent_depuis IS NULL")
        changes = ", ".join(
            f'count(*) FILTER (f."{name}" IS DISTINCT FROM b."{name}")' for name in _CONTENT
        )
        both = "FROM found f JOIN before b USING (cle_source) WHERE f.empreinte <> b.empreinte"
        by_field = con.execute(f"SELECT {changes} {both}").fetchone() or ()
        counts = con.execute(
            f"""
            SELECT (SELECT count(*) FROM before),
                   (SELECT count(*) FROM found ANTI JOIN before USING (cle_source)),
                   (SELECT count(*) FROM before ANTI JOIN found USING (cle_source)),
                   (SELECT count(*) {both})
            """
        ).fetchone()
        lost = con.execute(
            "SELECT nom FROM before ANTI JOIN found USING (cle_source) ORDER BY cle_source LIMIT ?",
            [DUPLICATES_SHOWN],
        ).fetchall()
    fields = [(name, n) for name, n in zip(_CONTENT, by_field, strict=False) if n]
    total, gained, missing, changed = counts or (0, 0, 0, 0)
    return Effect(
        known=total,
        gained=gained,
        lost=missing,
        changed=changed,
        changed_fields=tuple(sorted(fields, key=lambda item: (-item[1], item[0]))),
        lost_examples=tuple(name for (name,) in lost),
    )


def _duplicates(
    source: Source, registry: Registry, warehouse: Warehouse, fiches: pa.Table
) -> Duplicates | None:
    others = [
        warehouse.snapshot_link(other.id) / "fiches.parquet"
        for other in registry
        if other.id != source.id and other.republication in {"complete", "faits_et_lien"}
    ]
    stored = [path for path in others if path.is_file()]
    if source.entite != "initiative" or not stored or not fiches.num_rows:
        return None
    with duckdb.connect() as con:
        con.register("found", fiches)
        compared = _base(con, stored)
        if not compared:
            return None
        matching = resolve.match(con, "a_rapprocher")
        return _in_common(con, source, matching, compared)


def _base(con: duckdb.DuckDBPyConnection, stored: Sequence[Path]) -> int:
    """Make `a_rapprocher`, the fiches and those of the other sources; how many the latter are."""
    con.execute(
        f"CREATE VIEW connues AS FROM read_parquet({_quoted(stored)}, union_by_name => true) "
        "WHERE absent_depuis IS NULL AND entite = 'initiative'"
    )
    count = "SELECT count(*) FROM "
    (total,) = con.execute(f"{count} connues").fetchone() or (0,)
    near = "true" if total <= MAX_BASE else (
        "code_departement IS NULL OR code_departement IN (SELECT code_departement FROM found)"
    )  # fmt: skip
    columns = ", ".join(f'"{name}"' for name in CLEAN_SCHEMA.names if name != "source_id")
    con.execute(f"CREATE VIEW autres AS SELECT source_id, {columns} FROM connues WHERE {near}")
    con.execute(
        f"CREATE VIEW a_rapprocher AS SELECT source_id AS source, {columns} FROM found "
        f"UNION ALL SELECT source_id, {columns} FROM autres"
    )
    (compared,) = con.execute(f"{count} autres").fetchone() or (0,)
    return int(compared)


def _quoted(paths: Sequence[Path]) -> str:
    """A list of file names, as SQL writes it: a view takes no parameter."""
    names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"[{names}]"


def _in_common(
    con: duckdb.DuckDBPyConnection, source: Source, matching: resolve.Matching, compared: int
) -> Duplicates:
    con.register("groupes", matching.clusters)
    con.register("paires", matching.pairs)
    con.execute(
        """
        CREATE TEMP TABLE communes_paires AS
        SELECT CASE WHEN source_a = $source THEN cle_a ELSE cle_b END AS cle,
               CASE WHEN source_a = $source THEN source_b ELSE source_a END AS source_autre,
               CASE WHEN source_a = $source THEN cle_b ELSE cle_a END AS cle_autre,
               score, decision
        FROM paires WHERE (source_a = $source) <> (source_b = $source)
        """,
        {"source": source.id},
    )
    (merging,) = con.execute(
        "SELECT count(*) FROM groupes WHERE source = $1 AND cluster IN "
        "(SELECT cluster FROM groupes WHERE source <> $1)",
        [source.id],
    ).fetchone() or (0,)
    (to_review,) = con.execute(
        "SELECT count(DISTINCT cle) FROM communes_paires WHERE decision = 'a_revoir'"
    ).fetchone() or (0,)
    rows = con.execute(
        """
        SELECT p.cle, f.nom, p.source_autre, p.cle_autre, a.nom, p.score
        FROM communes_paires p
        JOIN found f ON f.cle_source = p.cle
        JOIN autres a ON a.source_id = p.source_autre AND a.cle_source = p.cle_autre
        WHERE p.decision = 'identique'
        ORDER BY p.score DESC, p.cle, p.source_autre, p.cle_autre
        LIMIT $1
        """,
        [DUPLICATES_SHOWN],
    ).fetchall()
    return Duplicates(compared, merging, to_review, tuple(Duplicate(*row) for row in rows))


def _examples(fiches: pa.Table) -> tuple[str, ...]:
    step = max(1, fiches.num_rows // EXAMPLES)
    rows = range(0, fiches.num_rows, step)[:EXAMPLES]
    chosen = (fiches.slice(row, 1).to_pylist()[0] for row in rows)
    return tuple(
        " · ".join(filter(None, (row["nom"], row["adresse"], row["commune"], row["type"])))
        for row in chosen
    )


def _filled(fiches: pa.Table) -> tuple[tuple[str, float], ...]:
    total = max(fiches.num_rows, 1)
    shares = [
        (name, sum(1 for value in fiches[name].to_pylist() if value not in (None, [])) / total)
        for name in fiches.schema.names
        if name not in _PLUMBING
    ]
    return tuple(sorted(shares, key=lambda item: (-item[1], item[0])))
