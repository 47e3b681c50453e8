"""Whoever starts a run, people are told at its end what it changed."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from lowtech_data import alerts
from pipelines.build import build_definitions
from pipelines.resources import Workspace
from tests.conftest import Project, place_rows
from tests.test_alerts import Listener, listener

__all__ = ["listener"]


@pytest.fixture
def told(
    project: Project, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> list[list[tuple[str, str | None]]]:
    """A project with one listing that works and one that does not; what is posted, by run."""
    monkeypatch.setenv("LOWTECH_WEBHOOK", listener.environ["LOWTECH_WEBHOOK"])
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", [], donnees_du="2026-11-01")
    return listener.posts


def said(posts: list) -> list[tuple[str, str | None]]:
    return [(a["type"], a["source"]) for _, post in posts for a in post["alertes"]]


def test_the_command_tells_once_what_breaks_and_what_is_refused(project: Project, told: list):
    project.run("2026-11-20")
    assert said(told) == [("panne", "beta")]
    (project.curated / "decisions.jsonl").write_text("{pas du json\n")
    for day in ("2026-11-21", "2026-11-22"):
        project.run(day)
    assert said(told[1:]) == [("refus", None)]
    assert "ligne 1" in json.dumps(told[1])
    (project.curated / "decisions.jsonl").unlink()
    project.listing("beta", place_rows("b"), donnees_du="2026-11-02")
    project.run("2026-11-23")
    assert said(told[2:]) == [("retablie", "beta")]
    assert alerts.load(project.warehouse).refused is None


def test_a_scheduled_harvest_of_one_source_tells_too(project: Project, told: list):
    workspace = Workspace(
        warehouse_dir=str(project.warehouse.root), curated_dir=str(project.curated)
    )
    definitions = build_definitions(project.registry(), workspace)
    job = definitions.resolve_job_def("moisson_hebdomadaire")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert result.success
    assert said(told) == [("panne", "beta")]
