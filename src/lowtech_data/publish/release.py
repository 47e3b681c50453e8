"""A release: built beside the published one, checked, then switched by one rename.

A version is a date and a short hash of the content; when nothing changed there is no new release.
The date is an argument, the content has no clock in it: the same warehouse gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from dataclasses import dataclass
from importlib.metadata import version as package_version
from itertools import chain, count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from lowtech_data import files, settings
from lowtech_data.model import SCHEMA_VERSION, TABLES
from lowtech_data.publish import changes, sqlite, tables
from lowtech_data.resolve.evaluate import Accuracy, measure
from lowtech_data.warehouse import Warehouse

LICENCE = "ODbL-1.0"
LICENCE_URL = "https://opendatacommons.org/licenses/odbl/1-0/"
ATTRIBUTION = "lowtech-data et les sources citées dans la table « sources »"
LEDGER_FILE = "registre.jsonl"
DATABASE_FILE = "lowtech.sqlite"
INDEX_FILE = "index.json"

_OUTSIDE_CONTENT = frozenset({"versions", "changements"})
"""Tables that speak of the release itself, and so cannot be part of its name."""

_MEDIA_TYPES = {
    ".sqlite": "application/vnd.sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".jsonl": "application/x-ndjson",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release that is built but not published."""

    directory: Path
    version: str
    previous: Path | None
    unchanged: bool
    """Whether the published release already holds exactly this; `directory` is then that one."""
    counts: dict[str, int]


class NotApprovedError(RuntimeError):
    """There is no candidate that passed its gates."""


def build(warehouse: Warehouse, *, evaluation: Path = settings.EVALUATION) -> Candidate:
    """Build the candidate release from the warehouse's database and its ledger.

    The candidate replaces a former one; once its gates have passed, `approve` then `commit` publish
    it. Its accuracy is measured on the labelled pairs of `evaluation`, and is unknown without them.
    """
    previous = warehouse.current_release()
    _remove_orphans(warehouse, previous)
    directory = warehouse.candidate
    files.remove_tree(directory)
    directory.mkdir(parents=True)
    with duckdb.connect() as con:
        as_of = _attach(con, warehouse.database)
        tables.write_csv(con, directory / "csv", [t for t in TABLES if t not in _OUTSIDE_CONTENT])
        content = _content_hash(directory / "csv")
        version = _new_name(f"{as_of}-{content[:8]}", previous)
        counts = {name: _count(con, name) for name in TABLES if name not in _OUTSIDE_CONTENT}
        if previous and read_index(previous)["contenu"] == content:
            files.remove_tree(directory)
            return Candidate(previous, previous.name, previous, True, counts)
        changes.write(con, version, previous)
        accuracy = measure(evaluation)
        _write_versions(con, version, as_of, previous, accuracy)
        tables.write_csv(con, directory / "csv", _OUTSIDE_CONTENT)
        tables.write_parquet(con, directory / "parquet")
        sqlite.write(con, directory / DATABASE_FILE)
        files.write_bytes(directory / LEDGER_FILE, warehouse.candidate_ledger.read_bytes())
        counts |= {name: _count(con, name) for name in _OUTSIDE_CONTENT}
    _write_index(directory, version, as_of, content, counts, accuracy)
    return Candidate(directory, version, previous, False, counts)


def approve(warehouse: Warehouse) -> None:
    """Record that the candidate, as it is now, passed every gate."""
    index = warehouse.candidate / INDEX_FILE
    if index.is_file():
        files.write_bytes(_approval(warehouse), files.sha256_file(index).encode())


def commit(warehouse: Warehouse) -> Path:
    """Publish the approved candidate: one rename of its directory, one of the link.

    Returns the published release: the current one when there is nothing new. Raises
    `NotApprovedError` for a candidate that did not pass its gates, or when there is none at all.
    """
    index = warehouse.candidate / INDEX_FILE
    current = warehouse.current_release()
    if not index.is_file():
        if current is None:
            raise NotApprovedError(f"{warehouse.releases} : aucune version candidate à publier")
        return current
    approval = _approval(warehouse)
    if not approval.is_file() or approval.read_text() != files.sha256_file(index):
        raise NotApprovedError(
            f"{warehouse.candidate} : la version candidate n’a pas passé les contrôles"
        )
    version = str(read_index(warehouse.candidate)["version"])
    final = files.commit_directory(warehouse.candidate, warehouse.releases / version)
    files.switch_link(warehouse.current_link, final.name)
    approval.unlink()
    files.write_bytes(warehouse.ledger, (final / LEDGER_FILE).read_bytes())
    return final


def _approval(warehouse: Warehouse) -> Path:
    return warehouse.candidate.with_suffix(".approuvee")


def read_index(release: Path) -> dict[str, Any]:
    """The `index.json` of a release."""
    document: dict[str, Any] = json.loads((release / INDEX_FILE).read_text(encoding="utf-8"))
    return document


def versions(release: Path) -> list[dict[str, Any]]:
    """The rows of `versions` that a release knows, the newest first.

    Releases of one day are told apart by when their folders, beside this one, were made.
    """
    rows: list[dict[str, Any]] = pq.read_table(release / "parquet" / "versions.parquet").to_pylist()

    def age(row: dict[str, Any]) -> tuple[str, float]:
        folder = release.parent / row["id"]
        return row["date"], folder.stat().st_mtime if folder.exists() else 0.0

    return sorted(rows, key=age, reverse=True)


def verify(release: Path) -> list[str]:
    """What differs between a release's files and its index, in words; empty when nothing does."""
    problems = []
    listed = {entry["chemin"]: entry for entry in read_index(release)["fichiers"]}
    for path, entry in listed.items():
        file = release / path
        if not file.is_file():
            problems.append(f"{path} : fichier absent")
        elif files.sha256_file(file) != entry["sha256"]:
            problems.append(f"{path} : les octets ne sont pas ceux de l’index")
    present = {p.relative_to(release).as_posix() for p in release.rglob("*") if p.is_file()}
    problems += [
        f"{path} : fichier qui n’est pas dans l’index"
        for path in sorted(present - set(listed) - {INDEX_FILE})
    ]
    return problems


def _new_name(name: str, previous: Path | None) -> str:
    """The name of a new release: a content that comes back on its day is still another release."""
    known = {row["id"] for row in versions(previous)} if previous else set()
    names = chain([name], (f"{name}-{rank}" for rank in count(2)))
    return next(candidate for candidate in names if candidate not in known)


def _attach(con: duckdb.DuckDBPyConnection, database: Path) -> str:
    """Make the published tables readable, and return the day of the refinement."""
    quoted = str(database).replace("'", "''")
    con.execute(f"ATTACH '{quoted}' AS entrepot (READ_ONLY)")
    for name, table in TABLES.items():
        if name in _OUTSIDE_CONTENT:
            con.execute(table.duckdb_ddl())
        else:
            con.execute(f'CREATE VIEW "{name}" AS FROM entrepot."{name}"')
    row = con.execute("SELECT jour FROM entrepot.raffinage").fetchone()
    return str(row[0]) if row else ""


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    row = con.execute(f'SELECT count(*) FROM "{name}"').fetchone()
    return int(row[0]) if row else 0


def _content_hash(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.csv")):
        digest.update(f"{path.name} {files.sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _write_versions(
    con: duckdb.DuckDBPyConnection,
    version: str,
    as_of: str,
    previous: Path | None,
    accuracy: Accuracy | None,
) -> None:
    """All releases so far, with the sums of the earlier ones, and this one."""
    measured = accuracy.all_columns.document() if accuracy else {}
    if previous:
        con.execute(f"INSERT INTO versions FROM {tables.scan(previous, 'versions')}")
        sums = {e["chemin"]: e["sha256"] for e in read_index(previous)["fichiers"]}
        con.execute(
            "UPDATE versions SET sommes = $sums WHERE id = $id",
            {"sums": json.dumps(sums, sort_keys=True), "id": previous.name},
        )
    con.execute(
        """
        INSERT INTO versions BY NAME SELECT
            $id AS id, $schema AS schema_version, $code AS code_version, $date AS date,
            (SELECT count(*) FROM initiatives) AS nb_initiatives,
            (SELECT count(*) FROM ressources) AS nb_ressources,
            (SELECT count(*) FROM fiches) AS nb_fiches,
            (SELECT count(*) FROM sources) AS nb_sources,
            CAST($precision AS DOUBLE) AS precision, CAST($recall AS DOUBLE) AS rappel
        """,
        {
            "id": version,
            "schema": SCHEMA_VERSION,
            "code": package_version("lowtech-data"),
            "date": as_of,
            "precision": measured.get("precision"),
            "recall": measured.get("rappel"),
        },
    )


def _write_index(
    directory: Path,
    version: str,
    as_of: str,
    content: str,
    counts: dict[str, int],
    accuracy: Accuracy | None,
) -> None:
    entries = [
        {
            "chemin": path.relative_to(directory).as_posix(),
            "octets": path.stat().st_size,
            "sha256": files.sha256_file(path),
            "type": _MEDIA_TYPES[path.suffix],
        }
        for path in sorted(p for p in directory.rglob("*") if p.is_file())
    ]
    index = {
        "version": version,
        "date": as_of,
        "contenu": content,
        "titre": "Base nationale des initiatives low-tech",
        "licence": {"id": LICENCE, "url": LICENCE_URL, "attribution": ATTRIBUTION},
        "schema_version": SCHEMA_VERSION,
        "code_version": package_version("lowtech-data"),
        "produit_avec": {
            "python": sys.version.split()[0],
            "duckdb": package_version("duckdb"),
            "sqlite": sqlite3.sqlite_version,
        },
        "exactitude": accuracy.document() if accuracy else None,
        "lignes": dict(sorted(counts.items())),
        "fichiers": entries,
    }
    text = json.dumps(index, ensure_ascii=False, indent=1) + "\n"
    files.write_bytes(directory / INDEX_FILE, text.encode())


def _remove_orphans(warehouse: Warehouse, previous: Path | None) -> None:
    """Drop directories that were renamed but never became current: a run died in between."""
    if not warehouse.releases.is_dir():
        return
    known = {row["id"] for row in versions(previous)} if previous else set()
    for directory in warehouse.releases.iterdir():
        if directory.is_dir() and not directory.is_symlink() and directory.name not in known:
            files.remove_tree(directory)
