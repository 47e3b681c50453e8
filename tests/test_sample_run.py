"""The bundled sample through the real command, as `make run` does it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lowtech_data.capture import Store
from lowtech_data.model import codes_of
from lowtech_data.publish import release
from lowtech_data.warehouse import Warehouse

ROOT = Path(__file__).parents[1]
LOWTECH = [sys.executable, "-m", "lowtech_data"]

SHUFFLED = """
import random, sys
import duckdb
connect = duckdb.connect
def one_thread(*args, **kwargs):
    kwargs["config"] = {**kwargs.get("config", {}), "threads": 1}
    return connect(*args, **kwargs)
duckdb.connect = one_thread

from lowtech_data import extract, registry
load = extract.load_registry
def other_order(path):
    found = load(path)
    shuffled = random.Random(7).sample(found.sources, len(found.sources))
    return registry.Registry(found.path, tuple(shuffled))
import lowtech_data.cli as cli
cli.load_registry = other_order
sys.argv[0] = "lowtech"
cli.main()
"""


def lowtech(*arguments: str, program: list[str] = LOWTECH, **environment: str):
    return subprocess.run(
        [*program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        cwd=ROOT,
        env={**os.environ, "DAGSTER_DISABLE_TELEMETRY": "yes", **environment},
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("echantillon")
    done = lowtech("run", "--sample", "--warehouse", str(folder), PYTHONHASHSEED="1", TZ="UTC")
    return done, Warehouse(folder)


@pytest.fixture(scope="module")
def published(ran) -> Path:
    path = ran[1].current_release()
    assert path is not None, ran[0].stderr
    return path


@pytest.fixture(scope="module")
def table(published: Path) -> Callable[[str], list[dict]]:
    return lambda name: pq.read_table(published / "parquet" / f"{name}.parquet").to_pylist()


def test_the_command_ends_well_with_a_summary_per_source(ran, published: Path):
    done, _ = ran
    assert done.returncode == 0, done.stderr
    sources = {s["id"] for s in pq.read_table(published / "parquet/sources.parquet").to_pylist()}
    assert len(sources) >= 8
    assert all(source in done.stdout for source in sources)
    assert str(published) in done.stdout


def test_the_sample_shows_what_the_base_is_for(table):
    initiatives = table("initiatives")
    assert len(initiatives) >= 300
    assert len({i["code_region"] for i in initiatives if i["code_region"]}) >= 13
    assert sum(1 for i in initiatives if i["nb_sources"] > 1) >= 50
    decisions = {p["decision"] for p in table("paires")}
    assert decisions == {"identique", "lie", "a_revoir", "distinct"}
    assert {p["decide_par"] for p in table("paires")} == {"regle", "humain"}
    assert len(table("relations")) >= 10
    rejects = table("rejets")
    assert len(rejects) >= 10
    assert {r["regle"] for r in rejects} <= codes_of("rejet_regle")
    assert all(code["libelle_fr"] and code["label_en"] for code in table("codes"))
    assert len(table("ressources")) >= 50


def test_a_thousand_published_values_lead_to_their_bytes(ran, published: Path, table):
    store = Store(ran[1].captures)
    initiatives = {i["id"]: i for i in table("initiatives")}
    fiches = {(f["source_id"], f["cle_source"]): f for f in table("fiches")}
    captures = {(c["empreinte"], c["source_id"]): c for c in table("captures")}
    retained = [p for p in table("provenances") if p["retenue"] and p["capture"]]
    for value in random.Random(2026).sample(retained, 1_000):
        published_value = initiatives[value["entite_id"]][value["champ"]]
        if isinstance(published_value, list):
            assert value["valeur"] in published_value
        elif isinstance(published_value, float):
            assert float(value["valeur"]) == published_value
        elif isinstance(published_value, bool):
            assert (value["valeur"] == "true") is published_value
        elif value["champ"] != "statut":
            assert value["valeur"] == published_value
        fiche = fiches[value["source_id"], value["cle_source"]]
        capture = captures[fiche["capture"], value["source_id"]]
        assert hashlib.sha256(store.read(capture["empreinte"])).hexdigest() == fiche["capture"]


def test_other_hash_seed_threads_time_zone_and_order_give_the_same_bytes(
    published: Path, tmp_path: Path
):
    done = lowtech(
        "run", "--sample", "--warehouse", str(tmp_path), program=[sys.executable, "-c", SHUFFLED],
        PYTHONHASHSEED="4242", TZ="Pacific/Auckland", LC_ALL="C",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    other = Warehouse(tmp_path).current_release()
    assert other is not None
    assert other.name == published.name
    assert (other / "index.json").read_bytes() == (published / "index.json").read_bytes()
    assert release.verify(other) == []


def test_a_second_run_publishes_nothing_new(ran, published: Path):
    done = lowtech("run", "--sample", "--warehouse", str(ran[1].root))
    assert done.returncode == 0, done.stderr
    assert ran[1].current_release() == published
    assert "inchangée" in done.stdout


def test_captures_are_a_closed_zone(ran, published: Path):
    assert ran[1].captures.stat().st_mode & 0o777 == 0o700
    assert published.stat().st_mode & 0o055 == 0o055


def test_a_run_dirties_no_tracked_file(ran):
    status = subprocess.run(
        ["git", "status", "--porcelain", "--", "warehouse"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if status.returncode:
        pytest.skip("pas une copie de travail git")
    assert "warehouse/sample" not in status.stdout


def test_commands_read_what_was_published(ran, published: Path):
    where = ("--warehouse", str(ran[1].root))
    assert published.name in lowtech("release", "list", *where).stdout
    assert "conformes" in lowtech("release", "verify", *where).stdout
    review = lowtech("review", "list", "--limit", "3", *where)
    assert "paires à revoir" in review.stdout
    index = json.loads((published / "index.json").read_text())
    assert index["licence"]["id"] == "ODbL-1.0"
    assert {"lowtech.sqlite", "registre.jsonl"} <= {f["chemin"] for f in index["fichiers"]}


def test_only_limits_the_harvest_and_a_wrong_name_is_explained(ran):
    where = ("--warehouse", str(ran[1].root))
    done = lowtech("run", "--sample", "--only", "bzh_fablab", "transiscope", *where)
    assert done.returncode == 0, done.stderr
    assert "transiscope" in done.stdout
    assert "cget2019" not in done.stdout
    wrong = lowtech("run", "--sample", "--only", "bzh_fablb", *where)
    assert wrong.returncode == 1
    assert "bzh_fablab" in wrong.stderr
    assert "Traceback" not in wrong.stderr
