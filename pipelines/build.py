"""The definitions as one pure function, for tests and the command line to call with their parts."""

from __future__ import annotations

from typing import Any

import dagster as dg

from lowtech_data.registry import Registry
from pipelines import assets, automation
from pipelines.resources import Workspace


def _silent(event: str, value: Any) -> None:
    return None


def build_definitions(
    registry: Registry, workspace: Workspace, report: assets.Report = _silent
) -> dg.Definitions:
    """Assets, checks, jobs, schedules and the sensor for one registry and one workspace."""
    jobs = automation.jobs(registry)
    return dg.Definitions(
        assets=[
            *(assets.source_asset(source, registry, report) for source in registry.active),
            *assets.downstream_assets(registry, report),
        ],
        jobs=jobs,
        schedules=[
            *automation.schedules(jobs),
            automation.weekly_digest(registry, workspace),
        ],
        sensors=[automation.curated_sensor(workspace.curated)],
        resources={"workspace": workspace},
        # A process per tiny step costs fifty times the step; politeness lives in the HTTP client.
        executor=dg.in_process_executor,
    )
