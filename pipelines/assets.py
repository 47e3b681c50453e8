"""One asset per source, then the warehouse, the candidate and the release.

An asset of a source reports failures of that source through failed checks and returns normally, so
that the assets downstream are built from its last good data. Our own bugs still raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from lowtech_data import acceptance, refine, snapshot
from lowtech_data.publish import release
from lowtech_data.quality import gates
from lowtech_data.registry import Registry, Source
from pipelines.checks import (
    gate_results,
    gate_specs,
    source_check_results,
    source_check_specs,
)
from pipelines.resources import Workspace

Report = Callable[[str, Any], None]
"""Told of each stage as it goes: (`source`, Outcome), (`etape`, str), (`raffinage`, Refinement),
(`portes`, findings), (`version`, Path)."""

WAREHOUSE = dg.AssetKey("entrepot")
CANDIDATE = dg.AssetKey("candidat")
RELEASE = dg.AssetKey("version")


def source_key(source_id: str) -> dg.AssetKey:
    """The asset key of a source."""
    return dg.AssetKey(["moisson", source_id])


def source_asset(source: Source, registry: Registry, report: Report) -> dg.AssetsDefinition:
    """The asset that holds the last known fiches of one source."""
    key = source_key(source.id)

    @dg.asset(
        key=key,
        group_name="moisson",
        check_specs=source_check_specs(key),
        description=f"{source.nom} — {source.editeur}",
        metadata={
            "page": dg.MetadataValue.url(source.public_url),
            "licence": source.licence,
            "plateforme": source.plateforme,
        },
        tags={"cadence": source.frequence, "plateforme": source.plateforme},
    )
    def harvested(workspace: Workspace) -> dg.MaterializeResult:  # type: ignore[type-arg]
        now = workspace.now()
        with workspace.stage() as seen:
            outcome = snapshot.refresh(
                source,
                registry,
                workspace.warehouse,
                now=now,
                client=workspace.client,
            )
            seen.outcomes.append(outcome)
        report("source", outcome)
        return dg.MaterializeResult(
            metadata={
                "statut": outcome.status,
                "fiches": outcome.present,
                "donnees_du": outcome.data_date or "",
                "message": outcome.message or "",
                **outcome.counts,
            },
            check_results=source_check_results(source, outcome, now.date()),
        )

    return harvested


def downstream_assets(registry: Registry, report: Report) -> Sequence[dg.AssetsDefinition]:
    """Refinement, candidate and release: the fan-in of all sources."""

    @dg.asset(
        key=WAREHOUSE,
        deps=[source_key(source.id) for source in registry.active],
        group_name="publication",
        description="Toutes les tables publiées, dans un fichier DuckDB.",
    )
    def refined(workspace: Workspace) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with workspace.stage() as seen:
            seen.waiting = acceptance.waiting_in(registry, workspace.warehouse, workspace.curated)
            made = refine.refine(
                registry,
                workspace.warehouse,
                workspace.curated,
                release_day=workspace.release_day,
                progress=lambda step: report("etape", step),
            )
        report("raffinage", made)
        return dg.MaterializeResult(
            metadata={**made.counts, "avertissements": "\n".join(made.warnings)}
        )

    @dg.asset(
        key=CANDIDATE,
        deps=[WAREHOUSE],
        group_name="publication",
        check_specs=gate_specs(CANDIDATE),
        description="La prochaine version, construite à côté et contrôlée.",
    )
    def candidate(workspace: Workspace) -> dg.MaterializeResult:  # type: ignore[type-arg]
        report("etape", "construction de la version")
        with workspace.stage() as seen:
            built = release.build(workspace.warehouse)
            report("etape", "contrôles")
            found = [] if built.unchanged else gates.run(built.directory, built.previous)
            blocking = [str(finding) for finding in found if finding.blocking]
            seen.problems += blocking
            if not blocking:
                release.approve(workspace.warehouse)
        report("portes", found)
        return dg.MaterializeResult(
            metadata={
                "version": built.version,
                "inchangee": built.unchanged,
                **{f"lignes_{name}": count for name, count in sorted(built.counts.items())},
            },
            check_results=gate_results(found),
        )

    @dg.asset(
        key=RELEASE,
        deps=[CANDIDATE],
        group_name="publication",
        description="La version publiée.",
    )
    def published(workspace: Workspace) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with workspace.stage() as seen:
            path = release.commit(workspace.warehouse)
            seen.published = True
        report("version", path)
        return dg.MaterializeResult(metadata={"version": path.name, "chemin": str(path)})

    return [refined, candidate, published]
