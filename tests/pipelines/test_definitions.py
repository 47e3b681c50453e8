"""What Dagster sees: keys, checks, jobs, schedules. A change here is meant, or a mistake."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from pipelines.build import build_definitions
from pipelines.resources import Workspace
from tests.conftest import Project, place_rows


@pytest.fixture
def definitions(project: Project) -> dg.Definitions:
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b"), frequence="mensuelle")
    project.listing("gamma", [], etat="en_pause", motif_etat="licence à demander")
    return build_definitions(project.registry(), Workspace(curated_dir=str(project.curated)))


def test_assets_follow_the_registry(definitions: dg.Definitions):
    graph = definitions.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert keys == {"moisson/alpha", "moisson/beta", "entrepot", "candidat", "version"}
    assert graph.get(dg.AssetKey("entrepot")).parent_keys == {
        dg.AssetKey(["moisson", "alpha"]),
        dg.AssetKey(["moisson", "beta"]),
    }


def test_checks_of_sources_never_block_and_gates_always_do(definitions: dg.Definitions):
    graph = definitions.resolve_asset_graph()
    blocking = {
        (key.asset_key.to_user_string(), key.name): graph.get_check_spec(key).blocking
        for key in graph.asset_check_keys
    }
    sources = {name for (asset, name) in blocking if asset == "moisson/alpha"}
    gates = {name for (asset, name) in blocking if asset == "candidat"}
    assert sources == {"recupere", "contrat", "volume", "fraicheur"}
    assert gates == {
        "schema", "cles", "references", "codes", "identifiants", "provenance", "grappes",
        "exactitude", "volume", "donnees_personnelles", "licences", "sqlite",
    }  # fmt: skip
    assert all(blocked == (asset == "candidat") for (asset, _), blocked in blocking.items())


def test_each_cadence_in_use_has_its_schedule(definitions: dg.Definitions):
    schedules = {s.name: s.cron_schedule for s in definitions.schedules or ()}
    assert set(schedules) == {
        "horaire_moisson_hebdomadaire", "horaire_moisson_mensuelle", "horaire_publier",
    }  # fmt: skip
    assert [sensor.name for sensor in definitions.sensors or ()] == ["decisions"]


def test_the_sensor_runs_once_per_decision(definitions: dg.Definitions, project: Project):
    (sensor,) = definitions.sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)
    first = sensor(dg.build_sensor_context())
    assert isinstance(first, dg.SensorResult)
    assert len(first.run_requests or ()) == 1
    again = sensor(dg.build_sensor_context(cursor=first.cursor))
    assert isinstance(again, dg.SkipReason)
    (project.curated / "decisions.jsonl").write_text("{}\n")
    assert isinstance(sensor(dg.build_sensor_context(cursor=first.cursor)), dg.SensorResult)


def test_the_library_does_not_know_dagster():
    code = (
        "import sys, lowtech_data.cli, lowtech_data.refine, lowtech_data.snapshot, "
        "lowtech_data.publish.release, lowtech_data.quality.gates; "
        "sys.exit('dagster' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_checkout_loads():
    from pipelines import definitions as project_definitions

    assert project_definitions.defs.resolve_job_def("tout").name == "tout"
