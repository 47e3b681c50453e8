"""Every real listing, read as in production: each record is a fiche or a reject with its reason.

`sources.yaml` declares one source per file; it is copied beside copies of the files. The communes
are compared with those that were judged by hand (`communes_jugees.tsv`, see README.md).
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from lowtech_data import capture, extract, snapshot
from lowtech_data.extract.base import Row, Unreadable
from lowtech_data.reference import REFERENCE_DIR
from lowtech_data.registry import Registry, Source
from lowtech_data.warehouse import Warehouse

HERE = Path(__file__).parent
LISTINGS = Path(os.environ.get("LOWTECH_LISTINGS", "/nonexistent")) / "real"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

LABELS_RIGHT = 97
"""Of the hundred judged communes, how many must be found."""

KEPT_SHARE = 0.95
"""Of the records of France of a file, how many must be fiches."""

UNKNOWN_CODES_SHARE = 0.05
"""Of the fiches of a file, how many may have a code that `sources.yaml` does not translate."""

REFUSALS = frozenset({"nom_absent", "hors_france"})
"""Rules of cleaning that refuse a whole fiche."""

SOURCES = [
    block["id"]
    for block in yaml.safe_load((HERE / "sources.yaml").read_text(encoding="utf-8"))["sources"]
]

WEST_SOUTH_EAST_NORTH = (
    (-5.3, 41.2, 9.7, 51.2),
    (-63.3, 14.3, -60.7, 18.2),
    (-56.5, 46.7, -56.1, 47.2),
    (-54.7, 2.1, -51.5, 5.9),
    (44.9, -21.5, 55.9, -12.5),
    (158.0, -23.0, 172.0, -17.0),
    (-178.5, -28.0, -134.0, -7.0),
)
"""Boxes that hold France and its overseas territories, and much around them."""

# Each source is cleaned apart, as in production: a few seconds each, more on a busy machine.
pytestmark = [
    pytest.mark.skipif(not LISTINGS.is_dir(), reason="LOWTECH_LISTINGS n’est pas défini"),
    pytest.mark.timeout(1800),
]


@dataclass(frozen=True)
class Reading:
    """One file: its records in order, what was extracted from them, and the fiches stored."""

    source: Source
    outcome: snapshot.Outcome
    extraction: extract.Extraction
    records: Sequence[Row | Unreadable]
    fiches: Sequence[Mapping[str, Any]]
    rejects: Sequence[Mapping[str, Any]]

    @cached_property
    def raw_by_pointer(self) -> Mapping[str, Mapping[str, Any]]:
        return {row["pointeur"]: row for row in self.extraction.fiches.to_pylist()}

    @cached_property
    def fiche_by_pointer(self) -> Mapping[str, Mapping[str, Any]]:
        return {row["pointeur"]: row for row in self.fiches}

    def refused(self, rule: str | None = None) -> int:
        """Fiches that cleaning refused, by one rule or by any."""
        rules = {rule} if rule else REFUSALS
        return sum(row["champ"] == "*" and row["regle"] in rules for row in self.rejects)

    def table(self) -> str:
        """Rejects by reason, for whoever reads the report of the tests."""
        counts = Counter((row["regle"], row["champ"]) for row in self.rejects)
        lines = [
            f"  {count:5}  {rule} ({field})" for (rule, field), count in sorted(counts.items())
        ]
        kept, read = len(self.fiches), self.extraction.read
        return "\n".join([f"\n{self.source.url} : {kept} fiches sur {read} lus", *lines])


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reading]:
    root = tmp_path_factory.mktemp("listes")
    shutil.copytree(LISTINGS, root / "real")
    registry = extract.load_registry(
        Path(shutil.copy(HERE / "sources.yaml", root / "real" / "sources.yaml"))
    )
    warehouse = Warehouse(root / "entrepot")
    return {source.id: read(source, registry, warehouse) for source in registry}


def read(source: Source, registry: Registry, warehouse: Warehouse) -> Reading:
    outcome = snapshot.refresh(source, registry, warehouse, now=NOW, client=None)
    assert outcome.status == "ok", (source.id, outcome.message)
    platform = extract.PLATFORMS[source.plateforme]
    store = capture.Store(warehouse.captures)
    pages = capture.harvest(source, platform, registry, store, None, now=NOW).bodies
    known = snapshot.load(warehouse, source.id)
    assert known is not None
    return Reading(
        source=source,
        outcome=outcome,
        extraction=extract.extract(source, platform, pages),
        records=[record for page in pages for record in platform.rows(source, page)],
        fiches=known.fiches().to_pylist(),
        rejects=known.rejects().to_pylist(),
    )


@pytest.mark.parametrize("source_id", SOURCES)
def test_every_record_is_accounted_for(source_id: str, readings: dict[str, Reading]):
    reading = readings[source_id]
    print(reading.table())
    extraction = reading.extraction
    lost = [
        row
        for row in extraction.rejects.to_pylist()
        if row["champ"] == "*" or row["regle"] == "cle_absente"
    ]
    repeated = [
        row
        for row in extraction.rejects.to_pylist()
        if row["regle"] in {"cle_repetee", "cle_reemployee"}
    ]
    assert reading.outcome.row is not None
    assert reading.outcome.row.nb_lus == extraction.read == len(reading.records)
    assert extraction.read == (
        len(reading.fiches)
        + extraction.left_out
        + extraction.unreadable
        + extraction.repeated
        + reading.refused()
    )
    # One row per record lost; of a repeated one, a row per key and kind of repetition.
    assert len(lost) == extraction.unreadable
    assert bool(repeated) == bool(extraction.repeated)
    assert len(repeated) <= extraction.repeated


@pytest.mark.parametrize("source_id", SOURCES)
def test_nearly_every_record_is_a_fiche(source_id: str, readings: dict[str, Reading]):
    reading = readings[source_id]
    raw = reading.extraction.fiches.to_pylist()
    french = reading.extraction.read - sum(map(is_abroad, raw))
    print(f"\n{reading.source.url} : {len(reading.fiches)} fiches, {french} lignes de France")
    assert len(reading.fiches) >= KEPT_SHARE * french, reading.table()


def is_abroad(raw: Mapping[str, Any]) -> bool:
    """Whether a record says that it is abroad: the code of another country, or a far point."""
    # The list of supermarkets has one column for départements (`06`, `2A`) and countries (`IE_N`).
    if re.fullmatch(r"[A-Z]{2}(_[A-Z])?", raw["pays"] or "") and raw["pays"] != "FR":
        return True
    try:
        longitude, latitude = float(raw["longitude"]), float(raw["latitude"])
    except (TypeError, ValueError):
        return False
    said = raw["code_postal"] or raw["commune"] or raw["code_insee"]
    return not said and not any(
        west <= longitude <= east and south <= latitude <= north
        for west, south, east, north in WEST_SOUTH_EAST_NORTH
    )


@pytest.mark.parametrize("source_id", SOURCES)
def test_every_column_and_nearly_every_code_is_declared(
    source_id: str, readings: dict[str, Reading]
):
    reading = readings[source_id]
    rules = Counter(row["regle"] for row in reading.rejects)
    assert not rules["colonne_non_declaree"], reading.outcome.drift
    assert not rules["colonne_absente"], reading.outcome.drift
    unknown = {row["cle_source"] for row in reading.rejects if row["regle"] == "code_inconnu"}
    assert len(unknown) <= UNKNOWN_CODES_SHARE * len(reading.fiches), reading.outcome.drift


def test_a_region_is_not_a_commune(readings: dict[str, Reading]):
    found = {
        fiche["nom"]: fiche["code_insee"]
        for fiche in readings["scop_numeriques"].fiches
        if fiche["code_insee"] or fiche["commune"] or fiche["latitude"]
    }
    # The only one that gives an address: 94120 Fontenay-sous-Bois.
    assert list(found.values()) == ["94033"]


@dataclass(frozen=True)
class Judged:
    """One judged row, and what was made of it."""

    label: Mapping[str, str]
    found: str
    baseline: str

    @property
    def is_right(self) -> bool:
        return self.found == self.label["code_insee"]

    def __str__(self) -> str:
        label = self.label
        wanted = label["code_insee"] or "aucune"
        return (
            f"{label['fichier']}, rang {label['rang']} ({label['raison']}) : "
            f"{self.found or 'aucune'} au lieu de {wanted}"
        )


def test_judged_communes_are_found(readings: dict[str, Reading]):
    by_file = {reading.source.url: reading for reading in readings.values()}
    first = first_commune_of_postcodes()
    with (HERE / "communes_jugees.tsv").open(encoding="utf-8", newline="") as file:
        labels = list(csv.DictReader(file, delimiter="\t"))
    judged = [judge(label, by_file[label["fichier"]], first) for label in labels]

    missed = [str(row) for row in judged if not row.is_right]
    by_postcode = sum(row.baseline == row.label["code_insee"] for row in judged)
    print(f"\ncommunes jugées : {len(judged) - len(missed)} justes sur {len(judged)}")
    print(f"première commune du code postal : {by_postcode} justes sur {len(judged)}")
    assert len(judged) == 100
    # A rule that anyone could write must not be enough, or the labels would show nothing.
    assert by_postcode < LABELS_RIGHT
    assert len(judged) - len(missed) >= LABELS_RIGHT, "\n" + "\n".join(missed)


def judge(label: Mapping[str, str], reading: Reading, first: Mapping[str, str]) -> Judged:
    record = reading.records[int(label["rang"])]
    assert isinstance(record, Row)
    hashes = {hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts(record.values)}
    assert label["cle"] in hashes, f"{label['fichier']}, rang {label['rang']} : un autre nom"
    fiche = reading.fiche_by_pointer.get(record.pointer, {})
    raw = reading.raw_by_pointer.get(record.pointer, {})
    said = [raw.get("code_postal"), *re.findall(r"\b\d{5}\b", raw.get("adresse") or "")]
    postcode = next(filter(None, said), "").zfill(5)
    return Judged(label, fiche.get("code_insee") or "", first.get(postcode, ""))


def texts(value: Any) -> Iterator[str]:
    """Every text of a record, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from texts(below)
    elif isinstance(value, list):
        for below in value:
            yield from texts(below)


def first_commune_of_postcodes() -> dict[str, str]:
    rows = duckdb.execute(
        "SELECT code_postal, min(code_insee) FROM read_parquet(?) GROUP BY code_postal",
        [str(REFERENCE_DIR / "codes_postaux.parquet")],
    ).fetchall()
    return dict(rows)
