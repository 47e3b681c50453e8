"""A thousand planted personal data go through the whole journey, and none comes out."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.conftest import Project
from tests.site.conftest import Reader

from .listings import KEPT_SOURCE, PEOPLE_SOURCE, answer, commands, files_of, in_records, plant
from .traps import PEOPLE, Control, Detector, Trap, controls, traps

ROOT = Path(__file__).parents[2]

STEWARD = """
import json, logging, sys
logging.basicConfig(filename=sys.argv[1], level=logging.DEBUG)
from lowtech_data import cli
for arguments in json.loads(sys.argv[2]):
    sys.argv = ["lowtech", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        print("sortie", end.code)
"""
"""Types several commands in one process, with every log line written to a file."""


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = answer(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: what it is asked for is checked elsewhere."""


@dataclass(frozen=True, slots=True)
class Journey:
    """What a run left behind."""

    planted: list[Trap]
    kept: list[Control]
    project: Project
    output: str
    log: Path
    release: Path

    def fiches(self, source_id: str) -> list[dict[str, Any]]:
        rows = pq.read_table(self.release / "parquet/fiches.parquet").to_pylist()
        return [row for row in rows if row["source_id"] == source_id]


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    root = tmp_path_factory.mktemp("pieges")
    (root / "curated").mkdir()
    project, planted, kept = Project(root), traps(), controls()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        plant(project, planted, kept, f"http://127.0.0.1:{server.server_port}")
        log = root / "journal.log"
        done = subprocess.run(
            [sys.executable, "-c", STEWARD, str(log), json.dumps(commands(project))],
            capture_output=True, text=True, check=False, timeout=250, cwd=ROOT,
            env={**os.environ, "LOWTECH_RESEAUX_PERMIS": "127.0.0.0/8",
                 "DAGSTER_DISABLE_TELEMETRY": "yes"},
        )  # fmt: skip
        server.shutdown()
    release = project.warehouse.current_release()
    assert release is not None, done.stdout + done.stderr
    return Journey(planted, kept, project, done.stdout + done.stderr, log, release)


@pytest.fixture(scope="module")
def detector(journey: Journey) -> Detector:
    return Detector(journey.planted)


def _texts(value: Any) -> Iterator[str]:
    """The texts of a value, at any depth; a position is not one."""
    match value:
        case None | bool():
            return
        case float() if abs(value) < 1_000:
            return
        case str():
            yield value
        case bytes():
            yield value.decode("utf-8", "replace")
        case dict():
            for key, below in value.items():
                yield str(key)
                yield from _texts(below)
        case list() | tuple():
            for item in value:
                yield from _texts(item)
        case _:
            yield str(value)


def _in_duckdb(path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=True) as con:
        for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            yield from _texts(con.sql(f'FROM "{name}"').to_arrow_table().to_pylist())


def _in_sqlite(path: Path) -> Iterator[str]:
    """Every table, those that hold the search index included."""
    with closing(sqlite3.connect(path)) as con:
        tables = con.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        for name, sql in tables:
            if "USING rtree" in (sql or "") or "_rtree" in name:
                continue
            yield from _texts(con.execute(f'SELECT * FROM "{name}"').fetchall())


def _in_csv(path: Path) -> Iterator[str]:
    csv.field_size_limit(10_000_000)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            for cell in row:
                if not re.fullmatch(r"-?\d{1,3}\.\d+", cell):
                    yield cell


def _in_json(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    documents = text.splitlines() if path.suffix == ".jsonl" else [text]
    for document in documents:
        yield from _texts(json.loads(document))


READERS = {
    ".duckdb": _in_duckdb,
    ".sqlite": _in_sqlite,
    ".csv": _in_csv,
    ".json": _in_json,
    ".jsonl": _in_json,
    ".geojson": _in_json,
    ".parquet": lambda path: _texts(pq.read_table(path).to_pylist()),
}


class Leaks:
    """What came out, and where."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.seen: set[str] = set()
        self.found: dict[Trap, str] = {}

    def read(self, where: str, text: str) -> None:
        if text not in self.seen:
            self.seen.add(text)
            for trap in self.detector.find(text):
                self.found.setdefault(trap, f"{where} : {text[:160]}")

    def told(self) -> str:
        """The first places, and how many leaks there are of each kind."""
        counts = Counter(trap.kind for trap in self.found)
        shown = [f"{t.kind} | {t.field} | {t.text[:80]!r} → {w}" for t, w in self.found.items()]
        return f"{len(self.found)} fuites : {counts}\n" + "\n".join(sorted(shown)[:400])


def test_no_needle_in_any_file_of_the_warehouse(journey: Journey, detector: Detector):
    leaks = Leaks(detector)
    read: Counter[str] = Counter()
    for path in files_of(journey.project.warehouse.root):
        where = str(path.relative_to(journey.project.warehouse.root))
        leaks.read(where, where)
        read[path.suffix] += 1
        for trap in detector.find_bytes(path.read_bytes()):
            leaks.found.setdefault(trap, f"{where} (octets)")
        for text in READERS[path.suffix](path) if path.suffix in READERS else ():
            leaks.read(where, text)
    assert {".duckdb", ".sqlite", ".parquet", ".csv", ".json", ".jsonl"} <= set(read)
    assert not leaks.found, leaks.told()
    assert len(leaks.seen) > 40_000


def test_no_needle_in_what_a_steward_is_told(journey: Journey, detector: Detector):
    leaks = Leaks(detector)
    for line in journey.output.splitlines():
        leaks.read("sortie", line)
    for line in journey.log.read_text(encoding="utf-8").splitlines():
        leaks.read("journal", line)
    assert "Traceback" not in journey.output
    assert "erreur du programme" not in journey.output
    assert not leaks.found, leaks.told()


def _initiatives(journey: Journey, *, all_of_them: bool) -> list[str]:
    """The initiatives that traps are in: all, or the first one of each spelling."""
    rows = pq.read_table(journey.release / "parquet/fiches.parquet").to_pylist()
    if all_of_them:
        return sorted({row["initiative_id"] for row in rows if row["initiative_id"]})
    known = {
        row["cle_source"]: row["initiative_id"]
        for row in rows
        if row["source_id"].startswith("pieges_")
    }
    first: dict[str, str] = {}
    for number, trap in enumerate(in_records(journey.planted)):
        if found := known.get(f"r{number}"):
            first.setdefault(trap.kind, found)
    assert len(first) > 85
    return sorted(set(first.values()))


def _visit(journey: Journey, detector: Detector, initiatives: list[str]) -> None:
    leaks = Leaks(detector)
    site = Reader(journey.project.warehouse.root)
    with closing(site), closing(sqlite3.connect(journey.release / "lowtech.sqlite")) as con:
        tables = [
            row[0]
            for row in con.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
            )
        ]
        paths = [
            "/", "/initiatives", "/initiatives?q=atelier", "/initiatives?q=contact", "/sources",
            "/sante", "/donnees", "/licences", "/lowtech", "/lowtech/rejets", "/lowtech/fiches",
            *(f"/source/{name}" for name in journey.project.blocks),
            *(f"/i/{number}" for number in initiatives),
            *(f"/lowtech/{name}.json?_size=200" for name in tables if name != "territoires"),
        ]  # fmt: skip
        for path in paths:
            page = site.get(path)
            assert page.status_code == 200, (path, page.text[:300])
            leaks.read(path, page.text)
    assert not leaks.found, leaks.told()


def test_no_needle_on_the_pages_of_each_spelling(journey: Journey, detector: Detector):
    _visit(journey, detector, _initiatives(journey, all_of_them=False))


@pytest.mark.full
def test_no_needle_on_any_page(journey: Journey, detector: Detector):
    initiatives = _initiatives(journey, all_of_them=True)
    assert len(initiatives) > 700
    _visit(journey, detector, initiatives)


def test_every_source_that_can_be_read_was_read(journey: Journey):
    sources = pq.read_table(journey.release / "parquet/sources.parquet").to_pylist()
    health = {row["id"]: row["sante"] for row in sources}
    broken = {name for name, state in health.items() if state == "cassee"}
    remote = {"absente", "ailleurs", "ici", "courriel", "encodage"}
    assert broken == {
        "introuvable",
        *(f"illisible_{number}" for number in range(8)),
        *(f"distante_{name}" for name in remote),
    }
    fiches = pq.read_table(journey.release / "parquet/fiches.parquet").num_rows
    assert fiches > 0.85 * len(journey.planted)


def test_nothing_innocent_is_lost(journey: Journey):
    fiches = {row["cle_source"]: row for row in journey.fiches(KEPT_SOURCE)}
    lost = []
    for number, control in enumerate(journey.kept):
        key = control.text if control.field == "id" else f"r{5000 + number}"
        found = fiches.get(key, {}).get(control.column)
        if control.expected != (found if isinstance(found, str) else str(found)):
            lost.append((control.kind, control.text, control.column, found))
    assert lost == []


def test_places_named_after_a_person_wait_for_review_without_an_address(journey: Journey):
    fiches = {row["nom"]: row for row in journey.fiches(PEOPLE_SOURCE)}
    shown = [
        (person.nom, fiche and (fiche["statut"], fiche["adresse"], fiche["precision_geo"]))
        for person in PEOPLE
        for fiche in [fiches.get(person.nom)]
    ]
    assert shown == [(person.nom, ("a_verifier", None, "commune")) for person in PEOPLE]


def test_a_naive_filter_would_miss_most_traps(journey: Journey, capsys: pytest.CaptureFixture[str]):
    detector = Detector(journey.planted)
    missed: Counter[str] = Counter()
    total = Counter(trap.kind for trap in journey.planted)
    for trap in journey.planted:
        left = re.sub(r"\S+@\S+|0[67]\d{8}", " ", trap.text)
        missed[trap.kind] += trap in detector.find(left)
    with capsys.disabled():
        print(f"\n{len(journey.planted)} pièges, un filtre naïf en laisse {missed.total()} :")
        for kind, count in sorted(total.items()):
            print(f"  {kind:48} {count:3} plantés, {missed[kind]:3} laissés par le filtre naïf")
    assert missed.total() > 500
