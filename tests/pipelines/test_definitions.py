"""What Dagster sees: keys, checks, jobs, schedules. A change here is meant, or a mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

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
    assert schedules == {
        "horaire_moisson_hebdomadaire": "17 3 * * 1",
        "horaire_moisson_mensuelle": "17 4 1 * *",
        "horaire_publier": "17 6 * * *",
        "horaire_bilan": "47 7 * * 1",
    }
    assert [sensor.name for sensor in definitions.sensors or ()] == ["decisions"]


def test_a_source_is_harvested_by_the_job_of_its_cadence_alone(definitions: dg.Definitions):
    harvested = {
        name: {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        for name in ("moisson_hebdomadaire", "moisson_mensuelle", "publier")
        if (job := definitions.resolve_job_def(name))
    }
    assert harvested == {
        "moisson_hebdomadaire": {"moisson/alpha"},
        "moisson_mensuelle": {"moisson/beta"},
        "publier": {"entrepot", "candidat", "version"},
    }


def test_the_digest_of_a_week_only_reads(project: Project, definitions: dg.Definitions):
    workspace = Workspace(
        warehouse_dir=str(project.warehouse.root), curated_dir=str(project.curated)
    )
    definitions = build_definitions(project.registry(), workspace)
    with (
        project.warehouse.writing("une exécution", datetime.now(UTC)),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        job = definitions.resolve_job_def("bilan")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert result.success


def test_one_source_is_harvested_alone_and_never_beside_another_run(
    project: Project, tmp_path: Path
):
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b"), donnees_du="2026-11-01")
    (tmp_path / "essai.py").write_text(
        "from lowtech_data.extract import load_registry\n"
        "from pathlib import Path\n"
        "from pipelines.build import build_definitions\n"
        "from pipelines.resources import Workspace\n"
        f"root = Path({str(project.root)!r})\n"
        "workspace = Workspace(warehouse_dir=str(root / 'entrepot'), "
        "curated_dir=str(root / 'curated'))\n"
        "defs = build_definitions(load_registry(root / 'sources.yaml'), workspace)\n"
    )

    def materialize() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "dagster"), "asset", "materialize",
             "--select", "key:moisson/alpha", "-f", str(tmp_path / "essai.py")],
            capture_output=True, text=True, timeout=200, check=False,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "DAGSTER_DISABLE_TELEMETRY": "yes"},
        )  # fmt: skip

    with project.warehouse.writing("lowtech run", datetime.now(UTC)):
        refused = materialize()
    assert refused.returncode != 0
    assert "déjà en cours d’écriture par « lowtech run »" in refused.stdout + refused.stderr
    assert not project.warehouse.snapshot_link("alpha").exists()

    done = materialize()
    assert done.returncode == 0, done.stderr[-2000:]
    assert project.warehouse.snapshot_link("alpha").exists()
    assert not project.warehouse.snapshot_link("beta").exists()
    assert not project.warehouse.database.exists()


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
        "lowtech_data.publish.release, lowtech_data.quality.gates, lowtech_data.alerts, "
        "lowtech_data.digest, lowtech_data.live; "
        "sys.exit('dagster' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_checkout_loads():
    from pipelines import definitions as project_definitions

    assert project_definitions.defs.resolve_job_def("tout").name == "tout"
