"""When things run: one schedule per cadence, one fan-in a day, one sensor on people's decisions.

Sources of one cadence share a job: one run, one process and one HTTP client, which goes from one
source to the next. A schedule per source would start thirty processes that wait for one
warehouse, and no client would know what another has just asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from lowtech_data import alerts, digest
from lowtech_data.registry import Registry
from pipelines.assets import CANDIDATE, RELEASE, WAREHOUSE, source_key
from pipelines.resources import Workspace

TIMEZONE = "Europe/Paris"
CRON = {
    "quotidienne": "17 2 * * *",
    "hebdomadaire": "17 3 * * 1",
    "mensuelle": "17 4 1 * *",
}
"""At night, and not on the hour, when everybody else's schedules start."""

PUBLISH_CRON = "17 6 * * *"
DIGEST_CRON = "47 7 * * 1"
"""On Mondays, after the weekly harvest was published."""

DIGEST_JOB = "bilan"
ALL_JOB = "tout"
PUBLISH_JOB = "publier"


def jobs(registry: Registry) -> list[dg.UnresolvedAssetJobDefinition]:
    """The whole journey, publication alone, and one harvest job per cadence in use."""
    found = [
        dg.define_asset_job(ALL_JOB, selection=dg.AssetSelection.all()),
        dg.define_asset_job(
            PUBLISH_JOB, selection=dg.AssetSelection.assets(WAREHOUSE, CANDIDATE, RELEASE)
        ),
    ]
    for cadence in CRON:
        keys = [source_key(s.id) for s in registry.active if s.frequence == cadence]
        if keys:
            found.append(
                dg.define_asset_job(f"moisson_{cadence}", selection=dg.AssetSelection.assets(*keys))
            )
    return found


def schedules(
    jobs: Sequence[dg.UnresolvedAssetJobDefinition],
) -> list[dg.ScheduleDefinition]:
    """A schedule for each job that has a time."""
    crons = {f"moisson_{cadence}": cron for cadence, cron in CRON.items()}
    crons[PUBLISH_JOB] = PUBLISH_CRON
    return [
        dg.ScheduleDefinition(
            name=f"horaire_{job.name}",
            job=job,
            cron_schedule=crons[job.name],
            execution_timezone=TIMEZONE,
        )
        for job in jobs
        if job.name in crons
    ]


def weekly_digest(registry: Registry, workspace: Workspace) -> dg.ScheduleDefinition:
    """The week told on Mondays, in the run's log and by the channels that the environment names.

    It only reads, so that it does not hold the warehouse; a mail that does not leave fails nothing.
    """

    @dg.op(name=DIGEST_JOB)
    def tell() -> None:
        log = dg.get_dagster_logger()
        today = datetime.now(UTC).date()
        text = digest.compose(
            registry,
            workspace.warehouse,
            workspace.curated,
            since=today - timedelta(days=7),
            today=today,
        )
        log.info(text)
        try:
            failures = alerts.deliver(alerts.channels(), digest.subject(today), text)
        except ValueError as error:
            failures = [str(error)]
        for failure in failures:
            log.error(f"bilan non envoyé : {failure}")

    @dg.job(name=DIGEST_JOB, description="Raconte la semaine à ceux qui veillent sur la base.")
    def weekly() -> None:
        tell()

    return dg.ScheduleDefinition(
        name=f"horaire_{DIGEST_JOB}",
        job=weekly,
        cron_schedule=DIGEST_CRON,
        execution_timezone=TIMEZONE,
    )


def curated_sensor(curated: Path) -> dg.SensorDefinition:
    """Publish again when a decision, a correction or an objection was written."""

    @dg.sensor(
        name="decisions",
        job_name=PUBLISH_JOB,
        minimum_interval_seconds=300,
        description="Publie de nouveau quand une décision, correction ou objection est ajoutée.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        digest = hashlib.sha256()
        for path in sorted(curated.glob("*.jsonl")):
            digest.update(path.name.encode() + path.read_bytes())
        state = digest.hexdigest()
        if state == context.cursor:
            return dg.SkipReason("aucune nouvelle décision")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=state)], cursor=state)

    return watch
