"""Memory, time and resumption of two large harvests, from requests to last known fiches.

    python -m benchmarks.harvest                   # both listings, table in moisson.md
    python -m benchmarks.harvest 40000 5000        # sizes of one's own, printed

A server in a process of its own makes a paged listing (the shape of Data Fair) and a dump in one
piece (the shape of GoGoCarto). Another process harvests and normalises one of them with
`snapshot.refresh`, as a run does, reader included. Memory is the peak of its resident memory plus
that of its reader, each at its own highest: no less than what both held at one time. The time of
the requests alone is measured beside, on the same server, so that the ratio says what reading
costs. The paged harvest is also killed half-way and taken up again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from benchmarks.generator import generate
from lowtech_data import capture, snapshot
from lowtech_data.extract import PLATFORMS
from lowtech_data.registry import Registry, Source
from lowtech_data.warehouse import Warehouse

LINES = 400_000
ELEMENTS = 95_000
PAGE = 10_000
MAX_MIB = 500
POLL_S = 0.02
PAUSE_S = 0.1
RESULTS = Path(__file__).with_name("moisson.md")
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)

LISTING = "/data-fair/api/v1/datasets/lieux/lines"
DUMP = "/api/elements.json"

_MARK = "§§"
"""Stands in a page made once for its number: pages then differ in every record, and cost the server
next to nothing."""

_SAID = (
    "On y répare ensemble ce qui peut l’être, avec des outils partagés. Ouvert à tous, sans"
    " inscription ; des bénévoles accueillent chaque semaine celles et ceux qui viennent réparer"
    " un vélo, une radio ou un meuble, ou apprendre à le faire."
)


def _records(count: int) -> list[dict[str, Any]]:
    """Places with addresses of real communes, each with the mark in what identifies it."""
    return [
        {**row, "cle_source": f"{_MARK}-{rank}", "nom": f"{row['nom']} {_MARK}"}
        for rank, row in enumerate(generate(count, seed=1).to_pylist())
    ]


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "identifiant": row["cle_source"],
        "nom": row["nom"],
        "description": _SAID[: 40 + len(row["nom"])],
        "adresse": f"{_MARK} {row['adresse'] or ''}",
        "code_postal": row["code_postal"],
        "ville": row["commune"],
        "latitude": row["latitude"],
        "longitude": row["longitude"],
        "site_web": row["site_web"],
        "type_de_services": "recyclerie",
    }


def _element(row: dict[str, Any]) -> dict[str, Any]:
    street = f"{_MARK} {row['adresse'] or ''}"
    town, postcode = row["commune"], row["code_postal"]
    return {
        "id": row["cle_source"],
        "name": row["nom"],
        "status": 1,
        "createdAt": "2020-01-08T09:00:00+01:00",
        "updatedAt": "2024-03-11T09:41:45+01:00",
        "geo": {"latitude": row["latitude"], "longitude": row["longitude"]},
        "address": {
            "streetAddress": street,
            "addressLocality": town,
            "postalCode": postcode,
            "addressCountry": "FR",
            "customFormatedAddress": f"{street}, {postcode} {town}",
        },
        "categories": ["Atelier"],
        "categoriesFull": [{"id": 3, "name": "Atelier", "index": 0}],
        "description": _SAID,
        "website": row["site_web"],
        "email": "hidden",
        "images": [],
    }


def _text(records: Sequence[dict[str, Any]]) -> str:
    return ",".join(json.dumps(record, ensure_ascii=False) for record in records)


class _Server(ThreadingHTTPServer):
    """Serves both listings, and prints the position that each request asks for."""

    daemon_threads = True

    def __init__(self, lines: int, elements: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        records = _records(PAGE)
        self.count = lines
        self.lines = [json.dumps(_line(row), ensure_ascii=False) for row in records]
        page = _text([_element(row) for row in records])
        pages, rest = divmod(elements, PAGE)
        parts = [page.replace(_MARK, str(number)) for number in range(pages)]
        parts.append(_text([_element(row) for row in records[:rest]]).replace(_MARK, str(pages)))
        head = '{"licence":"https://opendatacommons.org/licenses/odbl/summary/","data":['
        self.dump = f"{head}{','.join(filter(None, parts))}]}}".encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed hangs up: that is what one of the measures is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        content = b""
        if known := parts.path in {LISTING, DUMP}:
            print(query.get("after", "0"), flush=True)
            content = self._page(query) if parts.path == LISTING else self.server.dump
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _page(self, query: dict[str, str]) -> bytes:
        size, after = int(query["size"]), int(query.get("after", 0))
        met = min(size, self.server.count - after)
        lines = ",".join(self.server.lines[:met]).replace(_MARK, str(after // PAGE))
        host = f"http://127.0.0.1:{self.server.server_port}{LISTING}"
        more = urlencode({**query, "after": after + size})
        following = f'"next":"{host}?{more}",' if met == size else ""
        total = "" if after else f'"total":{self.server.count},'
        return f'{{{total}{following}"results":[{lines}]}}'.encode()

    def log_message(self, *args: Any) -> None:
        """Standard output has the positions."""


@dataclass(frozen=True, slots=True)
class _Site:
    origin: str
    asked: list[int]
    """Positions asked for so far, in order."""


@contextmanager
def _served(lines: int, elements: int) -> Iterator[_Site]:
    """The server in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--serve", str(lines), str(elements)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        out = process.stdout
        assert out is not None  # noqa: S101 (a pipe was asked for)
        site = _Site(f"http://127.0.0.1:{int(out.readline())}", [])
        threading.Thread(
            target=lambda: site.asked.extend(int(line) for line in out), daemon=True
        ).start()
        try:
            yield site
        finally:
            process.terminate()


def _serve(lines: int, elements: int) -> None:
    server = _Server(lines, elements)
    print(server.server_port, flush=True)
    server.serve_forever()


def _source(origin: str, kind: str) -> Source:
    shared = {
        "id": kind,
        "nom": kind,
        "editeur": "Banc d’essai",
        "plateforme": kind,
        "licence": "odbl-1.0",
        "republication": "complete",
        "preuve": "vu",
        "defauts": {"type": "ressourcerie", "nature": "lieu"},
        "limites": {"pause_s": PAUSE_S, "octets": 200_000_000, "delai_s": 600},
    }
    if kind == "gogocarto":
        return Source.model_validate({**shared, "url": origin + DUMP})
    fields = {
        "cle_source": "identifiant", "nom": "nom", "description": "description",
        "adresse": "adresse", "code_postal": "code_postal", "commune": "ville",
        "latitude": "latitude", "longitude": "longitude", "site_web": "site_web",
        "categories": "type_de_services",
    }  # fmt: skip
    own = {"url": origin + LISTING, "champs": fields, "codes": {"recyclerie": {}}}
    return Source.model_validate({**shared, **own, "options": {"geopoint": False}})


def _harvest(origin: str, kind: str, folder: Path, *, is_read: bool) -> None:
    """One source, as a run refreshes it, or its pages alone; the outcome on standard output."""
    source = _source(origin, kind)
    loopback = [ip_network("127.0.0.1/32")]
    client = capture.Client(contact="banc@exemple.test", allowed_networks=loopback)
    registry, warehouse = Registry(folder / "sources.yaml", (source,)), Warehouse(folder)
    if is_read:
        outcome = snapshot.refresh(source, registry, warehouse, now=NOW, client=client)
        said = {"statut": outcome.status, "nombre": outcome.present, "dit": outcome.message}
    else:
        store = capture.Store(warehouse.captures)
        found = capture.harvest(source, PLATFORMS[kind], registry, store, client, now=NOW)
        said = {"statut": "ok", "nombre": len(found.pages), "dit": None}
    print(json.dumps(said))


@dataclass(frozen=True, slots=True)
class _Taken:
    """What one harvest took."""

    fiches: int
    seconds: float
    parent_mib: int
    reader_mib: int

    @property
    def mib(self) -> int:
        return self.parent_mib + self.reader_mib


def _started(site: _Site, kind: str, folder: Path, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __spec__.name, mode, site.origin, kind, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _number(process: subprocess.Popen[str]) -> int:
    """What a harvest says that it found. Exits when it did not succeed."""
    said = (process.communicate()[0].splitlines() or ['{"statut": "interrompu"}'])[-1]
    if json.loads(said)["statut"] != "ok":
        raise SystemExit(said)
    return int(json.loads(said)["nombre"])


def _watched(site: _Site, kind: str, folder: Path) -> _Taken:
    start = time.monotonic()
    process = _started(site, kind, folder, "--refresh")
    peaks: Counter[int] = Counter()
    while process.poll() is None:
        for pid in (process.pid, *_children(process.pid)):
            peaks[pid] = max(peaks[pid], _peak_kib(pid))
        time.sleep(POLL_S)
    seconds = time.monotonic() - start
    parent = peaks.pop(process.pid)
    return _Taken(_number(process), seconds, parent // 1024, max(peaks.values()) // 1024)


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _peak_kib(pid: int) -> int:
    """Highest resident memory of a process since it is the program that it is."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(next(found, 0))


def _fetched(site: _Site, kind: str) -> tuple[float, int]:
    """Seconds and bytes of the requests alone, one after another, with the same pauses."""
    start, size = time.monotonic(), 0
    url: str | None = site.origin + DUMP
    if kind == "data_fair":
        url = f"{site.origin}{LISTING}?size={PAGE}"
    while url:
        body = requests.get(url, timeout=600).content
        size += len(body)
        url = json.loads(body).get("next") if kind == "data_fair" else None
        time.sleep(PAUSE_S)
    return time.monotonic() - start, size


def _taken_up(site: _Site, folder: Path, pages: int) -> tuple[int, int, int]:
    """Kill a paged harvest half-way, and take it up: pages asked for before it was killed, those
    of them that were asked for again, and pages in the end.
    """
    site.asked.clear()
    process = _started(site, "data_fair", folder, "--capture")
    while len(site.asked) < pages // 2 and process.poll() is None:
        time.sleep(POLL_S)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = set(site.asked)
    site.asked.clear()
    found = _number(_started(site, "data_fair", folder, "--capture"))
    return len(before), len(before & set(site.asked)), found


def _report(lines: int, elements: int) -> str:
    pages = lines // PAGE + 1
    with _served(lines, elements) as site, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        killed, again, found = _taken_up(site, folder / "reprise", pages)
        rows = []
        for kind, label in (("data_fair", f"{pages} pages"), ("gogocarto", "une réponse")):
            seconds, size = _fetched(site, kind)
            taken = _watched(site, kind, folder / kind)
            fiches = f"{taken.fiches:_}".replace("_", " ")
            rows.append(
                f"| {kind}, {label} | {fiches} | {size / 1e6:.0f} | {taken.parent_mib} |"
                f" {taken.reader_mib} | {taken.mib} | {seconds:.0f} | {taken.seconds:.0f} |"
                f" {taken.seconds / seconds:.1f} |"
            )
    table = "\n".join(rows)
    return f"""\
# Coût d’une grande moisson

`python -m benchmarks.harvest`, le {datetime.now(UTC).date()} : Python \
{platform.python_version()}, DuckDB {version("duckdb")}, {os.cpu_count()} cœurs partagés. Un \
serveur local donne une liste paginée et une liste d’un seul tenant ; `snapshot.refresh` les \
moissonne, les lit, les normalise et garde les fiches. Mémoire : pointe du processus et pointe de \
son lecteur, additionnées. À tenir : {MAX_MIB} Mio.

| liste | fiches | Mo | Mio, moisson | Mio, lecteur | Mio, total | s, requêtes | s, tout | × |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{table}

La liste paginée, tuée (SIGKILL) après {killed} pages demandées, puis reprise : {again} demandée \
une seconde fois, {found} pages à la fin.
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("lines", nargs="?", type=int, default=LINES)
    parser.add_argument("elements", nargs="?", type=int, default=ELEMENTS)
    parser.add_argument("--serve", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--refresh", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--capture", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(*given.serve)
    elif asked := given.refresh or given.capture:
        origin, kind, folder = asked
        _harvest(origin, kind, Path(folder), is_read=bool(given.refresh))
    else:
        text = _report(given.lines, given.elements)
        print(text)
        if (given.lines, given.elements) == (LINES, ELEMENTS):
            RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
