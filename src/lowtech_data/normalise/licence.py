"""Licences as identifiers (`odbl-1.0`, `lov2`, `cc-by-4.0`, `cc-by` when no version is stated).

A licence that is stated but not recognised permits nothing: it becomes `aucune`, with a reject.
    A fiche
that states none keeps nothing here, and follows its source.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data.normalise.journal import change, dictionary, reject

NONE = "aucune"
"""What is stated is not a known permission to reuse."""

_READ_SCHEMA = pa.schema([("v", pa.string()), ("licence", pa.string()), ("connue", pa.bool_())])
_IDENTIFIER = re.compile(
    r"cc-by(?:-nc)?(?:-sa|-nd)?(?:-[1-4]\.[05])?|cc0(?:-1\.0)?|odbl-1\.0|lov[12]|mit"
    r"|cern-ohl(?:-1\.2)?|cern-ohl-[swp]-2\.0|gfdl(?:-1\.3)?|gpl-3\.0|domaine_public|par_fiche|aucune"
)
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
    words = re.sub(r"[_/\s-]+", " ", plain)
    for pattern, read in _READERS:
        if pattern.search(words):
            return read(words), True
    return NONE, bool(_RESERVED.search(plain))


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
)
"""What the words of a licence look like, and how its identifier follows; the first one wins."""


def _read(text: str) -> dict[str, Any]:
    licence, known = read_licence(text[:500])
    return {"licence": licence, "connue": known}


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_licence`: `licence`, for rows that state one (distinct values are few)."""
    dictionary(
        con,
        "n_licences_read",
        "SELECT licence AS v FROM n_raw WHERE NOT vide(licence)",
        _read,
        _READ_SCHEMA,
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_licence AS
        WITH lues AS MATERIALIZED (SELECT *, masque(v) AS masquee FROM n_licences_read)
        SELECT r.n, r.licence AS source, d.licence, d.connue, d.masquee
        FROM n_raw r JOIN lues d ON r.licence = d.v"""
    )
    reject(
        con,
        "licence",
        regle="'licence_inconnue'",
        value="source",
        select="FROM n_licence WHERE NOT connue",
    )
    change(
        con,
        "licence",
        regle="'code_de_licence'",
        source="masquee",
        select="FROM n_licence WHERE licence <> source",
    )
