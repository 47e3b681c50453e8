"""The definitions executed in one process, for the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg

from lowtech_data.registry import Registry
from lowtech_data.snapshot import Outcome
from pipelines.assets import CANDIDATE, RELEASE, WAREHOUSE, Report, source_key
from pipelines.automation import ALL_JOB
from pipelines.build import build_definitions
from pipelines.resources import Workspace


def execute(
    registry: Registry,
    wanted: Sequence[str],
    *,
    warehouse: Path,
    curated: Path,
    offline: bool,
    as_of: str | None,
    report: Report,
) -> tuple[list[Outcome], Path | None, list[str]]:
    """Harvest the wanted sources, then refine, check and publish.

    Returns the outcome of each source, the published release (`None` when nothing could be) and
    what went wrong, in words. History goes to Dagster's instance when `DAGSTER_HOME` names one.
    """
    outcomes: list[Outcome] = []
    published: list[Path] = []
    problems: list[str] = []

    def listen(event: str, value: Any) -> None:
        match event:
            case "source":
                outcomes.append(value)
            case "portes":
                problems.extend(str(finding) for finding in value)
            case "version":
                published.append(value)
        report(event, value)

    workspace = Workspace(
        warehouse_dir=str(warehouse), curated_dir=str(curated), offline=offline, as_of=as_of
    )
    definitions = build_definitions(registry, workspace, listen)
    # Dagster delays Ctrl-C in the main thread, and DuckDB turns it into an error of the query.
    with ThreadPoolExecutor(1) as executor:
        result = executor.submit(_run_job, definitions, wanted).result()
    problems += _failures(result)
    return outcomes, published[0] if published else None, problems


def _run_job(definitions: dg.Definitions, wanted: Sequence[str]) -> dg.ExecuteInProcessResult:
    with _instance() as instance:
        return definitions.resolve_job_def(ALL_JOB).execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            asset_selection=[*map(source_key, wanted), WAREHOUSE, CANDIDATE, RELEASE],
            instance=instance,
            raise_on_error=False,
        )


def _instance() -> dg.DagsterInstance:
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    return dg.DagsterInstance.ephemeral()


def _failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """Why steps failed: the innermost message of each, which is the one written for people."""
    found = []
    for event in result.all_events:
        data = event.event_specific_data
        error = getattr(data, "error", None)
        if not (event.is_failure and error):
            continue
        while error.cause:
            error = error.cause
        found.append(re.sub(r"^[\w.]+: ", "", error.message.strip()))
    return list(dict.fromkeys(found))
