"""The week of the base on one screen, for the people who look after it.

Read from what runs left in the warehouse; nothing is asked of anybody, and nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from lowtech_data import acceptance, diagnose, review, snapshot
from lowtech_data.acceptance import Waiting
from lowtech_data.model import LISTS
from lowtech_data.publish import changes, release
from lowtech_data.quality import reports
from lowtech_data.redact import redacted
from lowtech_data.registry import Registry
from lowtech_data.snapshot import Snapshot
from lowtech_data.warehouse import Warehouse

LINES_SHOWN = 6
"""Lines of one section: the whole fits a screen however bad the week was."""

WIDTH = 100

_CHANGES = {code.code: code.label_fr.lower() for code in LISTS["changement"]}
_CADENCES = {code.code: code.label_fr.lower() for code in LISTS["frequence"]}


def compose(
    registry: Registry, warehouse: Warehouse, curated: Path, *, since: date, today: date
) -> str:
    """What fails and since when, what is old, what came and left, and what waits for a person.

    `since` is the first day told of, `today` the last. No personal data. Raises what reading the
    curated files raises (`acceptance.AcceptanceError`, `resolve.decisions.DecisionError`).
    """
    snapshots = {
        source.id: known for source in registry if (known := snapshot.load(warehouse, source.id))
    }
    waiting = acceptance.waiting(
        registry, snapshots, acceptance.accepted(curated / acceptance.FILE)
    )
    findings = diagnose.diagnose(registry, warehouse)
    sections = [
        ("En panne", [f"{f.source_id} : depuis le {_day(f.since)} ; {f.what}"
                      for f in findings if f.failing]),
        ("Données anciennes", list(_stale(registry, snapshots, today))),
        ("Moissons", list(_harvests(snapshots, since))),
        ("Initiatives", list(_initiatives(warehouse, since))),
        ("Enregistrements non repris", list(_lost(snapshots))),
        ("À faire par une personne", list(_to_do(warehouse, curated, waiting))),
    ]  # fmt: skip
    told = [_section(title, lines) for title, lines in sections]
    head = f"lowtech-data, du {since.isoformat()} au {today.isoformat()}"
    return "\n\n".join([head, _sources(registry, snapshots), *filter(None, told)]) + "\n"


def subject(today: date) -> str:
    """The subject of the mail that carries it."""
    return f"[lowtech-data] bilan de la semaine, {today.isoformat()}"


def _sources(registry: Registry, snapshots: Mapping[str, Snapshot]) -> str:
    health = Counter(
        snapshot.health(source, known.state if (known := snapshots.get(source.id)) else None)
        for source in registry.active
    )
    labels = {code.code: code.label_fr.lower() for code in LISTS["sante"]}
    told = ", ".join(f"{labels[code]} : {count}" for code, count in sorted(health.items()))
    return f"Sources actives : {len(registry.active)} ({told})"


def _section(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = [f"  {_fitting(line)}" for line in lines[:LINES_SHOWN]]
    if len(lines) > LINES_SHOWN:
        shown.append(f"  et {len(lines) - LINES_SHOWN} autres")
    return "\n".join([f"{title} ({len(lines)})", *shown])


def _fitting(line: str) -> str:
    clean = redacted(line)
    return clean if len(clean) <= WIDTH else f"{clean[: WIDTH - 1]}…"


def _day(moment: str | None) -> str:
    return (moment or "?")[:10]


def _stale(registry: Registry, snapshots: Mapping[str, Snapshot], today: date) -> Iterator[str]:
    for source in registry.active:
        known = snapshots.get(source.id)
        day = known.state.data_date if known else None
        if day and diagnose.is_stale(source, day, today):
            yield f"{source.id} : données du {day}, cadence {_CADENCES[source.frequence]}"


def _harvests(snapshots: Mapping[str, Snapshot], since: date) -> Iterator[str]:
    """What each source brought and took away over the period, the most moved first."""
    found = []
    for name, known in snapshots.items():
        rows = [row for row in known.state.harvests if row.debut[:10] >= since.isoformat()]
        came, left, changed = (
            sum(getattr(row, column) or 0 for row in rows)
            for column in ("nb_nouveaux", "nb_absents", "nb_modifies")
        )
        if came or left or changed:
            told = f"{name} : arrivées {came}, parties {left}, modifiées {changed}"
            found.append((-(came + left + changed), told))
    yield from (told for _, told in sorted(found))


def _initiatives(warehouse: Warehouse, since: date) -> Iterator[str]:
    current = warehouse.current_release()
    if current is None:
        yield "aucune version publiée"
        return
    known = release.versions(current)
    yield f"version {current.name} : {known[0]['nb_initiatives']} initiatives"
    before = next(
        (
            folder
            for row in known
            if str(row["date"])[:10] < since.isoformat()
            and (folder := warehouse.releases / row["id"]).is_dir()
        ),
        None,
    )
    if before and before != current:
        _, *rows = changes.between(before, current)
        counts = Counter(row[0] for row in rows)
        told = ", ".join(f"{_CHANGES[kind]} : {n}" for kind, n in counts.most_common())
        yield f"depuis {before.name} : {told or 'aucun changement'}"


def _lost(snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
    """Records that the last harvest of a source could not take, the most first, and why."""
    found = []
    for name, known in snapshots.items():
        lost = [r for r in reports.refusals(known.rejects()) if r.loses_records]
        total = sum(refusal.count for refusal in lost)
        if total:
            why = ", ".join(f"{refusal.label.lower()} ({refusal.count})" for refusal in lost[:2])
            found.append((-total, f"{name} : {total} ; {why}"))
    yield from (told for _, told in sorted(found))


def _to_do(warehouse: Warehouse, curated: Path, waiting: Mapping[str, Waiting]) -> Iterator[str]:
    for name, first in waiting.items():
        yield f"{name} : {first.fiches} fiches à accepter (lowtech sources accept {name})"
    if not warehouse.database.is_file():
        return
    decisions = review.load(warehouse, curated / "decisions.jsonl")
    pairs = review.queue(warehouse, decisions)
    if pairs:
        yield f"doublons incertains à relire : {len(pairs)} (lowtech review)"
