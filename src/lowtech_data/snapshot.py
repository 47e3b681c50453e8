"""One source, from its bytes to its last known fiches.

A harvest that succeeds replaces the snapshot of its source; one that fails leaves the fiches as
they were and writes down what happened, so that the published base can say how old they are and
why. A snapshot is a directory named by its content, and a link switched in one rename.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lowtech_data import capture, extract, files, normalise, reference
from lowtech_data.extract.base import REJECT_SCHEMA, PayloadError
from lowtech_data.extract.bounded import READER, ReaderBugError
from lowtech_data.model import CLEAN_SCHEMA, LISTS, SNAPSHOT_SCHEMA, TRANSFORMATION_SCHEMA
from lowtech_data.quality import canary
from lowtech_data.quality import drift as drifts
from lowtech_data.redact import redacted
from lowtech_data.registry import Registry, Source
from lowtech_data.warehouse import Warehouse

_log = logging.getLogger(__name__)

MAX_LOSS = 0.30
"""Share of a source's fiches that may vanish in one harvest before it is refused: a listing that
shrinks by a third is broken far more often than it is true."""

MAX_GROWTH = 4.0
"""Growth of a source in one harvest, as a factor, that is published with a warning."""

DRIFT_SHOWN = 5
"""Names given in a message; all of them are rows of `rejets`."""

HARVESTS_KEPT = 52
"""Rows of `moissons` kept per source: a year of weekly harvests."""


@dataclass(frozen=True, slots=True)
class HarvestRow:
    """A row of `moissons`, without its source."""

    debut: str
    fin: str | None
    statut: str
    nb_lus: int | None = None
    nb_valides: int | None = None
    nb_rejetes: int | None = None
    nb_nouveaux: int | None = None
    nb_modifies: int | None = None
    nb_absents: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a source besides its fiches."""

    recipe: str | None = None
    """Hash of everything the fiches were made from: bytes, declaration, code, reference data."""
    data_date: str | None = None
    """Day on which the published bytes were received."""
    last_success: str | None = None
    captures: tuple[str, ...] = ()
    licence: str | None = None
    """Licence declared by the payload itself, when it declares one."""
    harvests: tuple[HarvestRow, ...] = ()
    declaration: str | None = None
    """Hash of the block of the source that the published fiches were read by."""
    rules: str | None = None
    """Hash of the code and reference data that they were made by."""
    written: Mapping[str, int] = field(default_factory=dict)
    """How often each field was filled in the payload (`quality.drift.written`)."""

    @property
    def last(self) -> HarvestRow | None:
        """The newest harvest, whatever came of it."""
        return self.harvests[-1] if self.harvests else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last known state of one source, as stored."""

    directory: Path
    state: State

    def fiches(self) -> pa.Table:
        """Columns of `SNAPSHOT_SCHEMA`, ordered by key."""
        return _read(self.directory / "fiches.parquet", SNAPSHOT_SCHEMA)

    def present(self) -> int:
        """Number of fiches that the source still lists."""
        return int(self.fiches()["absent_depuis"].null_count)

    def transformations(self) -> pa.Table:
        """Columns of `TRANSFORMATION_SCHEMA`."""
        return _read(self.directory / "transformations.parquet", TRANSFORMATION_SCHEMA)

    def rejects(self) -> pa.Table:
        """Columns of `REJECT_SCHEMA`."""
        return _read(self.directory / "rejets.parquet", REJECT_SCHEMA)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of refreshing one source, for people and for checks."""

    source_id: str
    status: str
    """A code of `moisson_statut`."""
    present: int
    """Fiches now known and present."""
    row: HarvestRow | None = None
    rejects: int = 0
    """Rows of `rejets` that go with these fiches."""
    warnings: tuple[str, ...] = ()
    """What is odd about how many there are."""
    drift: tuple[str, ...] = ()
    """What is odd about their shape: columns gone, columns new, codes unknown."""
    data_date: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the source gave nothing usable this time: its last good data stays."""
        return self.status in {"erreur_acces", "rejetee_qualite", "rejetee_volume"}

    @property
    def message(self) -> str | None:
        """Why, when there is something to say."""
        return self.row.message if self.row else None


def load(warehouse: Warehouse, source_id: str) -> Snapshot | None:
    """The stored snapshot of a source; `None` when it was never harvested."""
    link = warehouse.snapshot_link(source_id)
    if not link.exists():
        return None
    directory = link.resolve()
    document = json.loads((directory / "etat.json").read_text(encoding="utf-8"))
    harvests = tuple(HarvestRow(**row) for row in document.pop("harvests"))
    captures = tuple(document.pop("captures"))
    return Snapshot(directory, State(**document, captures=captures, harvests=harvests))


def refresh(
    source: Source,
    registry: Registry,
    warehouse: Warehouse,
    *,
    now: datetime,
    client: capture.Client | None,
) -> Outcome:
    """Harvest one source and store what it says; without a client, from the bytes already kept.

    Failures of the source (network, refusal, payload, volume) are outcomes, never exceptions: other
    sources go on, and the last good fiches stay. So is a bug that a payload wakes in the code that
    reads it, which is logged with its traceback, and a reading that meets a bound of
    `extract.bounded`. Faults of this machine are raised.
    """
    previous = load(warehouse, source.id)
    store = capture.Store(warehouse.captures)
    platform = READER.following(extract.PLATFORMS[source.plateforme])
    started = _instant(now)
    try:
        harvest = capture.harvest(source, platform, registry, store, client, now=now)
    except capture.CaptureError as error:
        return _failure(source, warehouse, previous, started, "erreur_acces", str(error))

    recipe = _recipe(source, [page.sha256 for page in harvest.pages])
    if previous and previous.state.recipe == recipe:
        return _unchanged(source, warehouse, previous, harvest)
    others = _other_pages(harvest)
    try:
        found = _read_and_clean(source, harvest, warehouse)
    except (PayloadError, capture.CaptureError) as error:
        reason = " ; ".join([*others, str(error)])
        return _failure(source, warehouse, previous, harvest.started, "rejetee_qualite", reason)
    except OSError:
        raise
    except Exception as error:
        bug = ReaderBugError.of(error)
        _log.error("source %s: %s", source.id, redacted(f"{bug}\n{bug.trace}"))
        return _failure(source, warehouse, previous, harvest.started, "rejetee_qualite", str(bug))
    verdict = _judged(source, found, previous, others)
    if verdict.refused:
        status, reason = verdict.refused
        return _failure(source, warehouse, previous, harvest.started, status, reason)
    warnings, drift = verdict.warnings, verdict.drift

    day = harvest.started[:10]
    fiches, counts = _merge(previous.fiches() if previous else None, found.fiches, day)
    row = HarvestRow(
        debut=harvest.started,
        fin=harvest.ended,
        statut="ok",
        nb_lus=found.read,
        nb_valides=found.fiches.num_rows,
        nb_rejetes=found.read - found.left_out - found.fiches.num_rows,
        **counts,
        message=" ; ".join([*warnings, *drift]) or None,
    )
    state = State(
        recipe=recipe,
        data_date=day,
        last_success=harvest.ended,
        captures=tuple(page.sha256 for page in harvest.pages),
        harvests=_append(previous, row),
        declaration=_declaration(source),
        rules=_rules_fingerprint(),
        written=found.written,
    )
    _save(warehouse, source.id, state, fiches, found.transformations, found.rejects)
    return Outcome(
        source.id,
        "ok",
        found.fiches.num_rows,
        row,
        rejects=found.rejects.num_rows,
        warnings=warnings,
        drift=drift,
        data_date=day,
        counts=counts,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What one harvest says, clean, with the number of records met and of those left out."""

    read: int
    left_out: int
    fiches: pa.Table
    transformations: pa.Table
    rejects: pa.Table
    written: Mapping[str, int]


def _read_and_clean(
    source: Source,
    harvest: capture.Harvest,
    warehouse: Warehouse,
) -> _Found:
    """Raw and clean fiches are never both held in memory: what is clean is written as it comes."""
    extraction = READER.extract(source, harvest.pages)
    read, left_out = extraction.read, extraction.left_out
    written = drifts.written(extraction.fiches)
    with (
        normalise.workbench() as con,
        files.new_directory(warehouse.snapshot_link(source.id).parent) as parts,
    ):
        rejects = normalise.showable(con, extraction.rejects)
        as_of = date.fromisoformat(harvest.started[:10])
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(pq.ParquetWriter(parts / name, schema))
                for name, schema in _CLEAN.items()
            }
            for part in normalise.batches(con, extraction.fiches, as_of=as_of):
                for name, writer in writers.items():
                    writer.write_table(getattr(part, name))
        del extraction
        clean = {name: _read(parts / name, schema) for name, schema in _CLEAN.items()}
    clean["rejects"] = pa.concat_tables([rejects, clean["rejects"]])
    return _Found(read, left_out, **clean, written=written)


OTHER_PAGES = 0.10
"""Share of pages that are something else than the listing from which the harvest is suspect."""


def _other_pages(harvest: capture.Harvest) -> list[str]:
    """What pages of a harvest are in the place of the listing, when there are many, in words."""
    told = Counter(
        what
        for page in harvest.pages
        if canary.is_markup(page.head()) and (what := canary.told(page.page()))
    )
    if sum(told.values()) < OTHER_PAGES * len(harvest.pages):
        return []
    return [f"à la place de la liste : {what}" for what, _ in told.most_common(drifts.SHOWN)]


def _expected(previous: Snapshot | None) -> float:
    """Fiches from which a listing was surely read, whatever its pages look like."""
    return previous.present() / 2 if previous else drifts.MIN_FICHES


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Whether the fiches of a harvest may replace the last ones, and what is odd about them."""

    refused: tuple[str, str] | None
    """A code of `moisson_statut`, and why."""
    warnings: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()


def _judged(
    source: Source, found: _Found, previous: Snapshot | None, others: Sequence[str]
) -> _Verdict:
    """`others` are what its pages seem to be instead of the listing."""
    refusal, warnings = _volume(source, found, previous)
    if others and (refusal or found.fiches.num_rows < _expected(previous)):
        return _Verdict(("rejetee_qualite", " ; ".join([*others, *filter(None, [refusal])])))
    if refusal:
        return _Verdict(("rejetee_volume", refusal))
    findings = _compared(source, found, previous)
    if refused := [finding for finding in findings if finding.refused]:
        status = "rejetee_volume" if refused[0].concerns == "volume" else "rejetee_qualite"
        return _Verdict((status, " ; ".join([*map(str, refused), _ADMITTED])))
    counted = (str(finding) for finding in findings if finding.concerns == "volume")
    odd = (str(finding) for finding in findings if finding.concerns != "volume")
    return _Verdict(None, (*warnings, *counted), (*others, *odd, *_drift(found.rejects)))


_ADMITTED = (
    "si la liste a bien changé ainsi, revoir son bloc dans sources.yaml (champs, bornes…) : un bloc"
    " modifié depuis la dernière bonne moisson fait admettre la suivante, avec un avertissement"
)


def _compared(
    source: Source, found: _Found, previous: Snapshot | None
) -> tuple[drifts.Finding, ...]:
    """What is odd beside the last good harvest. It is refused under the same declaration only: a
    block that was changed since, or rules of ours, may well be what changed the fiches.
    """
    now = drifts.Side(found.fiches, found.transformations, found.rejects, found.read, found.written)
    findings = drifts.findings(now, _last_good(previous) if previous else None)
    state = previous.state if previous else State()
    is_declared = state.declaration == _declaration(source)
    is_ours = state.rules == _rules_fingerprint()
    return tuple(
        finding if is_declared and (is_ours or finding.concerns == "cles") else finding.as_warning()
        for finding in findings
    )


def _last_good(previous: Snapshot) -> drifts.Side:
    fiches = previous.fiches()
    good = [row.nb_lus for row in previous.state.harvests if row.statut == "ok"]
    return drifts.Side(
        fiches.filter(pc.is_null(fiches["absent_depuis"])),
        previous.transformations(),
        previous.rejects(),
        good[-1] if good else None,
        previous.state.written or None,
    )


_CLEAN = {
    "fiches": CLEAN_SCHEMA,
    "transformations": TRANSFORMATION_SCHEMA,
    "rejects": REJECT_SCHEMA,
}


_DRIFT = {
    "colonne_absente": "colonnes déclarées que rien ne remplit",
    "colonne_non_declaree": "colonnes ni déclarées ni ignorées",
    "code_inconnu": "codes inconnus",
}
"""Rules of `rejets` that tell of a listing that changed shape, and how to say so."""


def _drift(rejects: pa.Table) -> tuple[str, ...]:
    told = []
    for rule, label in _DRIFT.items():
        rows = rejects.filter(pc.equal(rejects["regle"], rule))
        column = "valeur_masquee" if rule == "code_inconnu" else "champ"
        names = sorted({name for name in rows[column].to_pylist() if name})
        if rows.num_rows:
            shown = ", ".join(names[:DRIFT_SHOWN]) + ("…" if len(names) > DRIFT_SHOWN else "")
            told.append(f"{label} : {shown}")
    return tuple(told)


def _volume(
    source: Source, harvested: _Found, previous: Snapshot | None
) -> tuple[str | None, list[str]]:
    """Why the number of fiches is refused, if it is, and what to say about it otherwise."""
    before = previous.present() if previous else 0
    found = harvested.fiches.num_rows
    if found == 0:
        return f"aucune fiche sur {harvested.read} lues{_why_none(harvested)}", []
    if found < source.bornes.min:
        return f"{found} fiches, {source.bornes.min} attendues au moins (bornes.min)", []
    # A maximum under the former number is a steward's word that the listing did shrink.
    expected = source.bornes.max is not None and source.bornes.max < before
    if found < before * (1 - MAX_LOSS) and not expected:
        loss = 100 * (before - found) / before
        return f"{found} fiches contre {before} auparavant (−{loss:.0f} %)", []
    warnings = []
    if source.bornes.max is not None and found > source.bornes.max:
        warnings.append(f"{found} fiches, {source.bornes.max} attendues au plus (bornes.max)")
    if before and found > before * MAX_GROWTH:
        warnings.append(f"{found} fiches contre {before} auparavant")
    return None, warnings


def _why_none(harvested: _Found) -> str:
    """The most frequent reasons for which records were lost, in words."""
    whole = pc.is_in(harvested.rejects["champ"], pa.array(["*", "cle_source"]))
    rules = Counter(harvested.rejects.filter(whole)["regle"].to_pylist())
    told = [f"{_REFUSALS.get(rule, rule)} ({count})" for rule, count in rules.most_common(3)]
    if harvested.left_out:
        told.append(f"hors sujet ({harvested.left_out})")
    return f" : {', '.join(told)}" if told else " : la liste a changé de forme ou de place"


_REFUSALS = {code.code: code.label_fr.lower() for code in LISTS["rejet_regle"]}


def _merge(before: pa.Table | None, found: pa.Table, day: str) -> tuple[pa.Table, dict[str, int]]:
    """Present fiches with their dates, then those that are no longer listed.

    A clock that was put back since never makes a fiche last seen before it was first seen.
    """
    with duckdb.connect() as con:
        con.register("found", found)
        con.register("before", before if before is not None else SNAPSHOT_SCHEMA.empty_table())
        columns = ", ".join(f'f."{name}"' for name in found.schema.names)
        kept = ", ".join(f'b."{name}"' for name in found.schema.names)
        merged = con.sql(
            f"""
            SELECT {columns}, least(b.premiere_vue, $day) AS premiere_vue,
                   $day AS derniere_vue, NULL::VARCHAR AS absent_depuis
            FROM found f LEFT JOIN before b USING (source_id, cle_source)
            UNION ALL
            SELECT {kept}, b.premiere_vue, b.derniere_vue,
                   coalesce(b.absent_depuis, greatest(b.derniere_vue, $day))
            FROM before b ANTI JOIN found f USING (source_id, cle_source)
            ORDER BY source_id, cle_source
            """,
            params={"day": day},
        ).to_arrow_table()
        counts = con.execute(
            """
            SELECT count(*) FILTER (f.cle_source IS NOT NULL AND b.cle_source IS NULL),
                   count(*) FILTER (f.empreinte <> b.empreinte),
                   count(*) FILTER (f.cle_source IS NULL AND b.absent_depuis IS NULL)
            FROM found f FULL JOIN before b USING (source_id, cle_source)
            """
        ).fetchone()
    names = ("nb_nouveaux", "nb_modifies", "nb_absents")
    return merged.cast(SNAPSHOT_SCHEMA), dict(zip(names, counts or (0, 0, 0), strict=True))


def _unchanged(
    source: Source, warehouse: Warehouse, previous: Snapshot, harvest: capture.Harvest
) -> Outcome:
    """Same bytes, same recipe: only the dates move, and only when the source was asked again."""
    present = previous.present()
    last = previous.state.last
    if last and last.debut >= harvest.started and last.statut in {"ok", "inchangee"}:
        return Outcome(
            source.id,
            "inchangee",
            present,
            last,
            rejects=previous.rejects().num_rows,
            data_date=previous.state.data_date,
        )
    day = harvest.started[:10]
    fiches = previous.fiches()
    absent = fiches["absent_depuis"]
    seen = pc.if_else(pc.is_null(absent), pa.scalar(day), fiches["derniere_vue"])
    fiches = fiches.set_column(fiches.schema.get_field_index("derniere_vue"), "derniere_vue", seen)
    row = HarvestRow(
        debut=harvest.started,
        fin=harvest.ended,
        statut="inchangee",
        nb_valides=present,
        nb_nouveaux=0,
        nb_modifies=0,
        nb_absents=0,
    )
    state = replace(
        previous.state,
        data_date=day,
        last_success=harvest.ended,
        harvests=_append(previous, row),
    )
    previous_rejects = previous.rejects()
    _save(warehouse, source.id, state, fiches, previous.transformations(), previous_rejects)
    rejects = previous_rejects.num_rows
    return Outcome(source.id, "inchangee", present, row, rejects=rejects, data_date=day)


def _failure(
    source: Source,
    warehouse: Warehouse,
    previous: Snapshot | None,
    started: str,
    status: str,
    message: str,
) -> Outcome:
    row = HarvestRow(debut=started, fin=started, statut=status, message=redacted(message))
    state = replace(previous.state if previous else State(), harvests=_append(previous, row))
    if previous:
        tables = (previous.fiches(), previous.transformations(), previous.rejects())
    else:
        tables = (
            SNAPSHOT_SCHEMA.empty_table(),
            TRANSFORMATION_SCHEMA.empty_table(),
            REJECT_SCHEMA.empty_table(),
        )
    present = previous.present() if previous else 0
    _save(warehouse, source.id, state, *tables)
    rejects = tables[2].num_rows
    return Outcome(source.id, status, present, row, rejects=rejects, data_date=state.data_date)


def _append(previous: Snapshot | None, row: HarvestRow) -> tuple[HarvestRow, ...]:
    """The harvests so far and this one; a replay of the same moment replaces its row."""
    rows = previous.state.harvests if previous else ()
    return (*(r for r in rows if r.debut != row.debut), row)[-HARVESTS_KEPT:]


def _save(
    warehouse: Warehouse,
    source_id: str,
    state: State,
    fiches: pa.Table,
    transformations: pa.Table,
    rejects: pa.Table,
) -> None:
    """Store a snapshot under the hash of its content, switch the link, drop the former one."""
    link = warehouse.snapshot_link(source_id)
    former = link.resolve() if link.exists() else None
    with files.new_directory(link.parent) as partial:
        document = json.dumps(asdict(state), ensure_ascii=False, indent=1, sort_keys=True)
        (partial / "etat.json").write_text(document, encoding="utf-8")
        for name, table in (
            ("fiches", fiches),
            ("transformations", transformations.sort_by(_ascending(transformations))),
            ("rejets", rejects.sort_by(_ascending(rejects))),
        ):
            pq.write_table(table, partial / f"{name}.parquet", compression="zstd")
        final = files.commit_directory(partial, link.parent / files.content_address(partial))
    files.switch_link(link, final.name)
    if former and former != final.resolve():
        files.remove_tree(former)


def _ascending(table: pa.Table) -> list[tuple[str, str]]:
    return [(name, "ascending") for name in table.schema.names]


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    return pq.read_table(path).cast(schema)


def _recipe(source: Source, captures: Sequence[str]) -> str:
    """Hash of what the fiches depend on: an unchanged one means there is nothing to do again."""
    declared = source.model_dump_json(exclude={"note", "motif_etat", "limites", "frequence"})
    parts = [*captures, declared, _code_fingerprint(), _reference_fingerprint()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


_READ_BY = frozenset(
    {
        "plateforme",
        "url",
        "entite",
        "options",
        "champs",
        "ignorer",
        "ecarter",
        "codes",
        "defauts",
        "selection",
        "bornes",
    }
)
"""Keys of a source's block that say what is read, and what to expect."""


def _declaration(source: Source) -> str:
    return hashlib.sha256(source.model_dump_json(include=set(_READ_BY)).encode()).hexdigest()


@cache
def _rules_fingerprint() -> str:
    parts = _code_fingerprint() + _reference_fingerprint()
    return hashlib.sha256(parts.encode()).hexdigest()


@cache
def _code_fingerprint() -> str:
    """Hash of the code that makes fiches out of bytes: changed rules are applied to kept bytes."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for folder in ("extract", "normalise", "model"):
        for path in sorted((package / folder).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def _reference_fingerprint() -> str:
    return files.sha256_file(reference.REFERENCE_DIR / "reference.json")


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def health(source: Source, state: State | None) -> str:
    """The `sante` of a source: what its last harvest, or its declared state, says of its data."""
    if source.etat != "active" or source.frequence == "ponctuelle":
        return "figee"
    last = state.last if state else None
    if last is None or last.statut in {"erreur_acces", "rejetee_qualite", "rejetee_volume"}:
        return "cassee"
    return "degradee" if last.message else "ok"


def as_rows(source: Source, state: State | None) -> list[dict[str, Any]]:
    """Rows of `moissons` for one source."""
    return [{"source_id": source.id, **asdict(row)} for row in (state.harvests if state else ())]
