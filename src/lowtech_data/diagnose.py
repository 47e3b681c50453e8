"""What fails, since when, why, and what to do about it."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

from lowtech_data import reference, snapshot
from lowtech_data.acceptance import Waiting
from lowtech_data.registry import Registry, Source
from lowtech_data.snapshot import HarvestRow, State
from lowtech_data.warehouse import Warehouse

_ADVICE = {
    "erreur_acces": "ouvrir l’adresse dans un navigateur ; si la liste a fermé, etat: retiree",
    "rejetee_qualite": (
        "suivre le message ; si la liste a vraiment changé, corriger son bloc, l’essayer "
        "(lowtech sources preview), puis moissonner de nouveau"
    ),
    "rejetee_volume": (
        "si la baisse est vraie, mettre bornes.max sous l’ancien nombre, et bornes.min sous le "
        "nouveau ; sinon corriger les options"
    ),
}
_FINE = {"ok", "inchangee"}

CADENCE_DAYS = {"quotidienne": 1, "hebdomadaire": 7, "mensuelle": 31}
"""Days between two harvests; a source that has no cadence never gets old."""
_NONE_WAITS: Mapping[str, Waiting] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about one source."""

    source_id: str
    what: str
    since: str | None
    advice: str
    failing: bool


def diagnose(
    registry: Registry, warehouse: Warehouse, waiting: Mapping[str, Waiting] = _NONE_WAITS
) -> list[Finding]:
    """What there is to say of each source, in the order of the registry.

    `waiting` are the first harvests that nobody accepted yet (`acceptance.waiting_in`): a source
    may have one and fail besides.
    """
    found = []
    for source in registry:
        if first := waiting.get(source.id):
            found.append(
                Finding(source.id, first.what, first.received, first.advice, failing=False)
            )
        known = snapshot.load(warehouse, source.id)
        finding = _finding(source, known.state if known else None)
        if finding:
            found.append(finding)
    return found


def _finding(source: Source, state: State | None) -> Finding | None:
    if source.etat != "active":
        return Finding(
            source.id,
            f"{source.etat} : {source.motif_etat}",
            state.data_date if state else None,
            "repasser etat: active quand le motif est levé",
            failing=False,
        )
    if state is None or state.last is None:
        return Finding(
            source.id, "jamais moissonnée", None, f"lowtech run --only {source.id}", failing=False
        )
    last = state.last
    if last.statut in _FINE:
        if not last.message:
            return None
        return Finding(
            source.id,
            last.message,
            last.debut,
            "comparer sources.yaml à la liste (lowtech sources preview)",
            failing=False,
        )
    kept = f" ; données du {state.data_date} gardées" if state.data_date else ""
    return Finding(
        source.id,
        f"{last.statut} : {last.message}{kept}",
        _failing_since(state.harvests),
        _advice(source, state),
        failing=True,
    )


def _advice(source: Source, state: State) -> str:
    if state.last is None or state.data_date is None:
        return f"lowtech sources preview {source.id} montre ce qui est lu et ce qui est refusé"
    return _ADVICE.get(state.last.statut, "relire le message")


def _failing_since(harvests: tuple[HarvestRow, ...]) -> str | None:
    """When the present run of failures began."""
    since = None
    for row in reversed(harvests):
        if row.statut in _FINE:
            break
        since = row.debut
    return since


def stale_after(source: Source) -> int | None:
    """Days after which the data of a source is old: twice its cadence."""
    days = CADENCE_DAYS.get(source.frequence)
    return None if days is None else 2 * days


def is_stale(source: Source, data_date: str, today: date) -> bool:
    """Whether data received on `data_date` (ISO 8601) should have been replaced by now."""
    limit = stale_after(source)
    return limit is not None and (today - date.fromisoformat(data_date)).days > limit


def installation(warehouse: Warehouse) -> list[tuple[str, bool, str]]:
    """What is installed and reachable: name, whether it is fine, detail."""
    rows = [("Python", platform.python_version().startswith("3.11"), platform.python_version())]
    for name in ("duckdb", "dagster", "datasette", "pyarrow"):
        try:
            rows.append((name, True, version(name)))
        except PackageNotFoundError:
            rows.append((name, False, "absent : make run l’installe"))
    options = {row[0] for row in sqlite3.connect(":memory:").execute("PRAGMA compile_options")}
    for feature in ("ENABLE_FTS5", "ENABLE_RTREE"):
        rows.append((f"SQLite {feature}", feature in options, sqlite3.sqlite_version))
    rows.append(("référence", True, f"code officiel géographique {reference.vintage()}"))
    writable = os.access(
        warehouse.root if warehouse.root.exists() else warehouse.root.parent, os.W_OK
    )
    rows.append(("entrepôt", writable, str(warehouse.root)))
    current = warehouse.current_release()
    rows.append(("version", current is not None, current.name if current else "aucune"))
    return rows
