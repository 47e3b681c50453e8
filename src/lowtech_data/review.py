"""The queue of uncertain pairs: reading it, and writing what people decide."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from lowtech_data.resolve import decisions as decisions_file
from lowtech_data.resolve.decisions import Decision, Decisions
from lowtech_data.warehouse import Warehouse

SHOWN = (
    "nom", "type", "adresse", "code_postal", "commune", "latitude", "longitude", "precision_geo",
    "site_web", "courriel", "telephone", "siret", "rna", "date_maj", "url", "initiative_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """Two fiches that may be the same initiative."""

    a: str
    b: str
    names: tuple[str, str]
    score: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """Two fiches side by side."""

    fields: tuple[tuple[str, str | None, str | None], ...]
    parts: tuple[tuple[str, str], ...]
    """Each part of the score and its weight in bits."""


def queue(warehouse: Warehouse) -> list[Pair]:
    """Pairs to review, the most probable first. Raises `FileNotFoundError` before the first run."""
    with _open(warehouse) as con:
        rows = con.execute(
            """
            SELECT p.a, p.b, fa.nom, fb.nom, p.score FROM paires p
            JOIN fiches fa ON fa.source_id || ':' || fa.cle_source = p.a
            JOIN fiches fb ON fb.source_id || ':' || fb.cle_source = p.b
            WHERE p.decision = 'a_revoir' ORDER BY p.score DESC, p.a, p.b
            """
        ).fetchall()
    return [Pair(a, b, (left, right), score or 0.0) for a, b, left, right, score in rows]


def show(warehouse: Warehouse, a: str, b: str) -> Sheet:
    """Two fiches, field by field, and the parts of their score. Raises `KeyError`."""
    with _open(warehouse) as con:
        left, right = _fiche(con, a), _fiche(con, b)
        found = con.execute(
            "SELECT details FROM paires WHERE (a, b) IN ((?, ?), (?, ?))", [a, b, b, a]
        ).fetchone()
    fields = tuple((name, _text(left[name]), _text(right[name])) for name in SHOWN)
    return Sheet(fields, _parts(found[0] if found else None))


def decide(
    warehouse: Warehouse,
    path: Path,
    a: str,
    b: str,
    decision: str,
    *,
    predicate: str | None,
    reason: str,
    who: str,
    day: date,
) -> Decision:
    """Append a decision on two fiches, with the fingerprints of what was seen.

    Raises `decisions.DecisionError`, and writes nothing, when it is invalid or contradicts one.
    """
    with _open(warehouse) as con:
        seen = {key: decisions_file.traits(_fiche(con, key)) for key in (a, b)}
    line = decisions_file.new_decision(
        Decisions.load(path),
        date=day.isoformat(),
        qui=who,
        decision=decision,
        a=a,
        b=b,
        motif=reason,
        empreintes=seen,
        **({"predicat": predicate} if predicate else {}),
    )
    decisions_file.append(path, line)
    return line


def undo(path: Path, identifier: str, *, reason: str, who: str, day: date) -> Decision:
    """Append the line that undoes a decision. Raises `decisions.DecisionError`."""
    known = Decisions.load(path)
    if identifier not in {line.id for line in known.active}:
        raise KeyError(f"{path} : aucune décision en vigueur n’a l’identifiant {identifier}")
    line = decisions_file.new_decision(
        known,
        date=day.isoformat(),
        qui=who,
        decision="annuler",
        annule=identifier,
        motif=reason,
    )
    decisions_file.append(path, line)
    return line


def _open(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    if not warehouse.database.is_file():
        raise FileNotFoundError(
            f"{warehouse.database} : pas encore de données. Commencer par : lowtech run --sample"
        )
    return duckdb.connect(str(warehouse.database), read_only=True)


def _fiche(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    source, _, key = name.partition(":")
    cursor = con.execute(
        "SELECT * FROM fiches WHERE source_id = ? AND cle_source = ?", [source, key]
    )
    row = cursor.fetchone()
    if row is None:
        raise KeyError(f"fiche inconnue : {name} (attendu source:clé)")
    return dict(zip([column[0] for column in cursor.description or ()], row, strict=True))


def _parts(details: str | None) -> tuple[tuple[str, str], ...]:
    """The comparisons of a pair with their weight, then what else the matcher noted."""
    if not details:
        return ()
    weighed, noted = [], []
    for name, value in json.loads(details).items():
        match value:
            case {"bits": bits, **rest}:
                seen = ", ".join(f"{v:g}" if isinstance(v, float) else str(v)
                                 for v in rest.values() if v is not None)  # fmt: skip
                weighed.append((f"{name} ({seen})" if seen else name, f"{bits:+.1f}"))
            case list():
                noted.append((name, " ".join(map(str, value))))
            case None | False:
                pass
            case _:
                noted.append((name, str(value)))
    return (*weighed, *noted)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
