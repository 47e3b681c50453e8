"""Licences as identifiers (`odbl-1.0`, `lov2`, `cc-by-4.0`, `cc-by` when no version is stated).

What payloads write is read here, once for extraction and for cleaning: the address of a legal text,
a wiki's own label, a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from lowtech_data.registry import LICENCE

NONE = "aucune"
"""What is stated is not a known permission to reuse."""

MAX_CHARACTERS = 500
"""Only the start of a longer text is read."""

_IDENTIFIER = re.compile(LICENCE)
_RESERVED = re.compile(
    r"tous droits reserves|all rights reserved|copyright|©|no licen[cs]e|sans licence"
)
_SUFFIXES = (
    ("-nc", re.compile(r"\bnc\b|non ?-?commercial|pas d.utilisation commerciale")),
    ("-sa", re.compile(r"\bsa\b|share ?-?alike|partage (?:dans|a) (?:les|l.)")),
    ("-nd", re.compile(r"\bnd\b|no ?-?deriv|pas de modification")),
)


def read_licence(text: str) -> tuple[str, bool]:
    """The identifier of a licence as written (name, sentence, address), and whether it is known."""
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c)).strip()
    if _IDENTIFIER.fullmatch(plain):
        return plain, True
    if _RESERVED.search(plain):
        return NONE, True
    words = re.sub(r"[_/\s-]+", " ", plain)
    for pattern, read in _READERS:
        if pattern.search(words):
            return read(words), True
    return NONE, False


def licence_identifier(text: str | None) -> str | None:
    """The identifier of a licence that is known to permit something; any other text as it is, so
    that nobody takes it for no licence."""
    text = (text or "").strip()[:300]
    if not text:
        return None
    licence, _ = read_licence(text)
    return text if licence == NONE else licence


def _open_licence(words: str) -> str:
    version = re.search(r"\b(?:v|lov|version )?([12])(?:\.0)?\b", words)
    return "lov1" if version and version[1] == "1" else "lov2"


def _creative_commons(words: str) -> str:
    suffix = "".join(code for code, pattern in _SUFFIXES if pattern.search(words))
    version = re.search(r"\b([1-4]\.[05])\b", words)
    return f"cc-by{suffix}" + (f"-{version[1]}" if version else "")


_READERS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (
        re.compile(r"\bodbl\b|open (?:data ?commons )?database licen"),
        lambda words: "odbl-1.0",
    ),
    (re.compile(r"opendatacommons\.org licenses by\b"), lambda words: "odc-by-1.0"),
    (
        re.compile(r"licence ouverte|open licen[cs]e|\betalab\b|\blov?\s?[12]\b"),
        _open_licence,
    ),
    (re.compile(r"\bcc ?0\b|publicdomain zero"), lambda words: "cc0-1.0"),
    (re.compile(r"domaine public|public domain"), lambda words: "domaine_public"),
    (
        re.compile(r"\bcc by\b|creative ?commons.*\bby\b|creative commons attribution"),
        _creative_commons,
    ),
    (
        re.compile(r"\bcern\b.*\b(?:ohl|ohs|hardware)"),
        lambda words: "cern-ohl-1.2" if "1.2" in words else "cern-ohl",
    ),
    (re.compile(r"\b(?:gnu )?gpl ?v?3\b"), lambda words: "gpl-3.0"),
)
"""What the words of a licence look like, and how its identifier follows; the first one wins."""
