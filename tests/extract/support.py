"""Pages and sources for extractor tests."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from lowtech_data.extract import PLATFORMS, Extraction, Page, extract
from lowtech_data.registry import Source

FIXTURES = Path(__file__).parent / "fixtures"


def make_source(platform: str = "json", **changes: Any) -> Source:
    fields = {
        "id": "essai",
        "nom": "Wiki d’essai",
        "editeur": "Essai",
        "plateforme": platform,
        "url": "https://example.org/liste",
        "licence": "odbl-1.0",
        "republication": "complete",
        "preuve": "vu",
    }
    return Source.model_validate(fields | changes)


def make_page(
    content: bytes | str | Path, url: str = "https://example.org/liste", **more: Any
) -> Page:
    if isinstance(content, Path):
        content = content.read_bytes()
    body = content.encode() if isinstance(content, str) else content
    return Page(url, body, hashlib.sha256(body).hexdigest(), **more)


def run(source: Source, *pages: Page) -> Extraction:
    extraction = extract(source, PLATFORMS[source.plateforme], pages)
    assert_accounted(extraction)
    return extraction


def assert_accounted(extraction: Extraction) -> None:
    """Every record met is somewhere, and only once."""
    assert extraction.read == (
        extraction.fiches.num_rows
        + extraction.left_out
        + extraction.unreadable
        + extraction.repeated
    )
    assert sum(extraction.left_out_by.values()) == extraction.left_out


def fiches(extraction: Extraction) -> dict[str, dict[str, Any]]:
    return {row["cle_source"]: row for row in extraction.fiches.to_pylist()}


def rejected(extraction: Extraction) -> list[tuple[str, str, str]]:
    return [(r["cle_source"], r["champ"], r["regle"]) for r in extraction.rejects.to_pylist()]


def rules(extraction: Extraction) -> Counter[str]:
    return Counter(rule for _, _, rule in rejected(extraction))


def everything(extraction: Extraction) -> str:
    """All text of an extraction, to look for what must not be there."""
    return str(extraction.fiches.to_pylist()) + str(extraction.rejects.to_pylist())
