"""The queue of uncertain pairs: reading it, and writing what people decide.

`open_session` is the terminal, one key per decision; the other functions are for scripts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lowtech_data.resolve import decisions as decisions_file
from lowtech_data.resolve.decisions import Decision, Decisions, PresentKey
from lowtech_data.resolve.identity import Ledger
from lowtech_data.review import desk, words
from lowtech_data.review.desk import Desk, Pair
from lowtech_data.review.session import Session, Terminal
from lowtech_data.review.words import bits, changed, mark
from lowtech_data.warehouse import Warehouse

__all__ = [
    "Desk",
    "Pair",
    "Session",
    "Sheet",
    "Terminal",
    "bits",
    "changed",
    "decide",
    "load",
    "mark",
    "open_session",
    "queue",
    "show",
    "undo",
]

SHOWN = (
    "nom", "type", "adresse", "code_postal", "commune", "latitude", "longitude", "precision_geo",
    "site_web", "courriel", "telephone", "siret", "rna", "date_maj", "url", "initiative_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """Two fiches side by side."""

    fields: tuple[tuple[str, str | None, str | None], ...]
    parts: tuple[tuple[str, str], ...]
    """Each part of the score and its weight in bits, then the rule and what else was noted."""


def present_key(warehouse: Warehouse) -> PresentKey:
    """What fiches are called now, by the ledger that goes with the last refinement."""
    candidate = warehouse.candidate_ledger
    return Ledger.load(candidate if candidate.is_file() else warehouse.ledger).present_key


def load(warehouse: Warehouse, path: Path) -> Decisions:
    """The decisions, on the present keys of fiches. Raises `decisions.DecisionError`."""
    return Decisions.load(path).following(present_key(warehouse))


def open_session(
    warehouse: Warehouse, path: Path, terminal: Terminal, *, who: str, day: date
) -> Session:
    """A review of the queue, in a terminal; `Session.run` asks.

    Raises `FileNotFoundError` before the first run, `decisions.DecisionError` when the file of
    decisions cannot be applied.
    """
    now = present_key(warehouse)
    decisions = Decisions.load(path).following(now)
    return Session(Desk.of(warehouse, decisions), decisions, path, now, who, day, terminal)


def queue(warehouse: Warehouse, decisions: Decisions | None = None) -> list[Pair]:
    """Pairs to review, the most valuable first, less those that `decisions` answer already.

    Raises `FileNotFoundError` before the first run.
    """
    known = decisions or Decisions()
    return Desk.of(warehouse, known).waiting(known)


def show(warehouse: Warehouse, a: str, b: str) -> Sheet:
    """Two fiches, field by field, and the parts of their score. Raises `KeyError`."""
    with desk.connect(warehouse) as con:
        case = desk.read_case(con, Pair(a, b, ("", ""), 0.0), Decisions())
    fields = tuple((name, _text(case.left[name]), _text(case.right[name])) for name in SHOWN)
    weighed = [
        (f"{part.name} ({part.level})" if part.level else part.name, words.bits(part.bits))
        for part in case.details.parts
    ]
    rule = [("règle", words.sentence(case.details.rule))] if weighed else []
    return Sheet(fields, (*weighed, *rule, *case.details.notes))


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
    with desk.connect(warehouse) as con:
        case = desk.read_case(con, Pair(a, b, ("", ""), 0.0), Decisions())
    line = decisions_file.new_decision(
        Decisions.load(path),
        date=day.isoformat(),
        qui=who,
        decision=decision,
        a=a,
        b=b,
        motif=reason,
        empreintes=case.seen,
        **({"predicat": predicate} if predicate else {}),
    )
    decisions_file.append(path, line, present_key=present_key(warehouse))
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


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
