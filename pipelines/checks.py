"""What Dagster shows of a source's health and of a candidate's gates.

Checks of sources never block: a source that fails must not stop the others. Gates of the candidate
always do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg

from lowtech_data import diagnose
from lowtech_data.quality import gates
from lowtech_data.registry import Source
from lowtech_data.snapshot import Outcome

SOURCE_CHECKS = {
    "recupere": "La source a répondu, dans les limites et avec l’accord de robots.txt.",
    "contrat": "La réponse a la forme attendue de sa plateforme.",
    "volume": "Le nombre de fiches est dans les bornes et proche du précédent.",
    "fraicheur": "Les données ne sont pas plus vieilles que deux fois leur cadence.",
}

_FAILED_BY = {
    "erreur_acces": "recupere",
    "rejetee_qualite": "contrat",
    "rejetee_volume": "volume",
}


def source_check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of one source asset."""
    return [
        dg.AssetCheckSpec(name, asset=key, description=description)
        for name, description in SOURCE_CHECKS.items()
    ]


def source_check_results(
    source: Source, outcome: Outcome, today: date
) -> list[dg.AssetCheckResult]:
    """The four checks of one harvest, explained by its outcome."""
    failed = _FAILED_BY.get(outcome.status)
    results = []
    for name in ("recupere", "contrat", "volume"):
        warned = bool({"volume": outcome.warnings, "contrat": outcome.drift}.get(name))
        results.append(
            dg.AssetCheckResult(
                check_name=name,
                passed=name != failed and not warned,
                severity=dg.AssetCheckSeverity.WARN if warned else dg.AssetCheckSeverity.ERROR,
                metadata={"message": outcome.message or ""},
            )
        )
    day = outcome.data_date
    age = (today - date.fromisoformat(day)).days if day else -1
    results.append(
        dg.AssetCheckResult(
            check_name="fraicheur",
            passed=day is not None and not diagnose.is_stale(source, day, today),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"age_jours": age, "limite_jours": diagnose.stale_after(source) or 0},
        )
    )
    return results


def gate_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The blocking checks of the candidate."""
    return [
        dg.AssetCheckSpec(name, asset=key, blocking=True, description=gates.describe(name))
        for name in gates.names()
    ]


def gate_results(findings: Sequence[gates.Finding]) -> list[dg.AssetCheckResult]:
    """One result per gate, with what it found; what does not block passes, and is told."""
    results = []
    for name in gates.names():
        found = [finding for finding in findings if finding.gate == name]
        results.append(
            dg.AssetCheckResult(
                check_name=name,
                passed=not any(finding.blocking for finding in found),
                metadata={"anomalies": "\n".join(map(str, found))},
            )
        )
    return results
