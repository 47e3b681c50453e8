"""Hostile payloads, made here, given to every platform: refused, or read as text, in time."""

import gzip
import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lowtech_data import capture
from lowtech_data.extract import PLATFORMS
from lowtech_data.extract.base import PayloadError
from lowtech_data.extract.bounded import BoundError, Reader

from .support import fiches, make_page, make_source, run

OPTIONS: dict[str, dict[str, Any]] = {
    "data_gouv": {"ressource": {"format": "csv"}},
    "html_listing": {"fiche": "li", "champs": {"id": "@data-id", "nom": "."}},
    "javascript": {"variable": "lieux"},
    "mediawiki_modele": {"categorie": "Category:A"},
    "overpass": {"filtres": {"atelier": [{"shop": "bicycle"}]}},
    "sitemap": {"pages": "/lieux/", "json_ld": {}},
    "sparql": {"requete": "SELECT ?item {}"},
}

ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "entités en cascade": f'<!DOCTYPE a [<!ENTITY e0 "ha">{ENTITIES}]><a>&e9;</a>',
    "entité répétée": f'<!DOCTYPE a [<!ENTITY e "{"x" * 50_000}">]><a>{"&e;" * 50_000}</a>',
    "DTD ailleurs": '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1:PORT/a.dtd"><a/>',
    "fichier lu": '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><a>&f;</a>',
    "inclusion": '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/hostname"/>',
}


@pytest.fixture(scope="module")
def trap() -> Iterator[socket.socket]:
    """A server that no reading may ever reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_xml_is_refused_and_reaches_neither_files_nor_network(
    bomb: str, platform: str, trap: socket.socket
) -> None:
    source = make_source(platform, options=OPTIONS.get(platform, {}))
    body = bomb.replace("PORT", str(trap.getsockname()[1]))
    with pytest.raises(PayloadError):
        run(source, make_page(body))
    with pytest.raises(BlockingIOError):
        trap.accept()


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"0" * 1_000_000)
    return buffer.getvalue()


BINARY = {
    "ZIP": zipped("../../evasion.csv"),
    "classeur XLSX": zipped("xl/workbook.xml"),
    "gzip": gzip.compress(b"id,nom\n1,a\n"),
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "XLS": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "SQLite": b"SQLite format 3\0" + bytes(100),
}


READ_AS_TEXT = sorted(PLATFORMS.keys() - {"tableur"})
"""Spreadsheets are archives: their own tests say what is refused of them."""


@pytest.mark.parametrize("platform", READ_AS_TEXT)
@pytest.mark.parametrize(("name", "body"), BINARY.items(), ids=BINARY)
def test_a_binary_file_is_named_and_never_opened(name: str, body: bytes, platform: str) -> None:
    source = make_source(platform, options=OPTIONS.get(platform, {}))
    with pytest.raises(PayloadError, match=f"attendu du texte, trouvé .*{name}.*rien n’ouvre"):
        run(source, make_page(body))


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_a_page_of_nul_characters_is_refused(platform: str) -> None:
    source = make_source(platform, options=OPTIONS.get(platform, {}))
    with pytest.raises(PayloadError):
        run(source, make_page(b"\0" * 10_000))


def test_entity_tricks_are_decoded_once_and_stay_text() -> None:
    page = (
        '<li data-id="1">&lt;script&gt;alert(1)&lt;/script&gt; &amp;lt;b&amp;gt;'
        " &#106;avascript:x<script>perdu()</script><style>p{}</style><!-- perdu --></li>"
    )
    champs = {"cle_source": "id", "nom": "nom"}
    source = make_source("html_listing", options=OPTIONS["html_listing"], champs=champs)
    name = fiches(run(source, make_page(page)))["1"]["nom"]
    assert name == "<script>alert(1)</script> &lt;b&gt; javascript:x"


def test_lone_surrogates_and_nul_do_not_stop_a_listing() -> None:
    body = '[{"id": "1", "nom": "a\\ud800b"}, {"id": "2", "nom": "c\\u0000d"}]'
    source = make_source("json", champs={"cle_source": "id", "nom": "nom"})
    found = fiches(run(source, make_page(body)))
    assert found["1"]["nom"] == "a\ufffdb"
    assert len(found["2"]["nom"].encode()) == 3


def stored(folder: Path, body: bytes) -> list[capture.HarvestedPage]:
    store = capture.Store(folder)
    with store.receive() as incoming:
        incoming.write(body)
    url, at = "https://example.org/enorme.json", "2026-11-01T00:00:00Z"
    kept = capture.Capture(url, url, incoming.sha256, len(body), at)
    return [capture.HarvestedPage(store, kept)]


def test_fifty_megabytes_of_empty_records_end_at_the_deadline(tmp_path: Path) -> None:
    pages = stored(tmp_path, b"[" + b"{}," * 17_000_000 + b"{}]")
    reader = Reader()
    source = make_source("json", champs={"cle_source": "id"}, limites={"lecture_s": 3})
    with pytest.raises(BoundError, match=r"enorme\.json : lecture arrêtée"):
        reader.extract(source, pages)
    reader.close()


def test_a_refusal_never_repeats_a_whole_payload(tmp_path: Path) -> None:
    reader = Reader()
    with pytest.raises(PayloadError) as caught:
        reader.extract(make_source("curated_tsv"), stored(tmp_path, b"x" * 200_000))
    assert len(str(caught.value)) <= 1_000
    reader.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<div>" * 20_000,
        b"<!--" * 50_000,
        b"<p " + b" ".join(b"a%d=1" % n for n in range(50_000)) + b">",
        b"<![a" * 20_000,
    ],
    ids=["nested", "comments", "attributes", "sections"],
)
def test_hostile_markup_is_refused_within_the_bound(body: bytes, tmp_path: Path) -> None:
    reader = Reader()
    source = make_source("html_listing", options=OPTIONS["html_listing"])
    with pytest.raises(PayloadError, match="'li' trouve 0 fois"):
        reader.extract(source, stored(tmp_path, body))
    reader.close()
