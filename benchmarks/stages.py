"""CPU seconds and peak memory of each stage on generated listings.

    python -m benchmarks.stages                # 10,000 and 100,000 fiches, table in resultats.md
    python -m benchmarks.stages 10000          # one size, printed

Each stage runs in a process of its own, so that its peak memory is its own. CPU seconds, not wall
time: machines are shared. The last column is the ratio to copying the same fiches to Parquet, which
says more than seconds of a machine that nobody else has.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.csv
import yaml

from benchmarks.cost import cost, measure
from lowtech_data import refine, snapshot
from lowtech_data.extract import load_registry
from lowtech_data.publish import release
from lowtech_data.quality import gates
from lowtech_data.warehouse import Warehouse

SIZES = (10_000, 100_000)
RESULTS = Path(__file__).with_name("resultats.md")
COLUMNS = (
    "nom", "adresse", "code_postal", "commune", "code_insee", "precision_geo", "site_web",
    "courriel", "telephone", "siret", "rna", "latitude", "longitude",
)  # fmt: skip
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def generate(root: Path, count: int) -> None:
    """Write the listings of `count` generated fiches, and the registry that declares them."""
    from benchmarks.generator import generate as generated

    table = generated(count)
    sources = []
    for name in sorted(set(table["source"].to_pylist())):
        rows = table.filter(pc.equal(table["source"], name))
        pyarrow.csv.write_csv(rows.drop_columns(["source", "verite"]), root / f"{name}.csv")
        sources.append(
            {
                "id": name,
                "nom": name,
                "editeur": name,
                "plateforme": "csv",
                "url": f"{name}.csv",
                "licence": "odbl-1.0",
                "republication": "complete",
                "preuve": "vu",
                "donnees_du": "2026-11-01",
                "champs": {"cle_source": "cle_source", **{c: c for c in COLUMNS}},
                "ignorer": ["type"],
                "limites": {"octets": 500_000_000},
            }
        )
    (root / "sources.yaml").write_text(yaml.safe_dump({"sources": sources}), encoding="utf-8")
    (root / "curated").mkdir()


def copy(root: Path) -> None:
    """The yardstick: DuckDB reads the listings and writes them to one Parquet file."""
    duckdb.sql(
        f"COPY (FROM read_csv('{root}/*.csv', all_varchar = true, union_by_name = true)) "
        f"TO '{root}/copie.parquet' (FORMAT parquet, COMPRESSION zstd)"
    )


def harvest(root: Path) -> None:
    """Capture, extract and normalise every source."""
    registry = load_registry(root / "sources.yaml")
    for source in registry.active:
        outcome = snapshot.refresh(
            source, registry, Warehouse(root / "entrepot"), now=NOW, client=None
        )
        if outcome.failed:
            raise SystemExit(f"{source.id} : {outcome.message}")


def resolve(root: Path) -> None:
    """Match, identify, fuse, and make every published table."""
    registry = load_registry(root / "sources.yaml")
    refine.refine(
        registry, Warehouse(root / "entrepot"), root / "curated",
        release_day=date.fromisoformat,
    )  # fmt: skip


def build(root: Path) -> None:
    """Write the candidate: SQLite, Parquet, CSV, index."""
    release.build(Warehouse(root / "entrepot"))


def check(root: Path) -> None:
    """Run every gate."""
    for finding in gates.run(Warehouse(root / "entrepot").candidate, None):
        raise SystemExit(str(finding))


def publish(root: Path) -> None:
    """Approve and switch."""
    release.approve(Warehouse(root / "entrepot"))
    release.commit(Warehouse(root / "entrepot"))


STAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "copy": ("copie en Parquet par DuckDB (étalon)", copy),
    "harvest": ("capture, extraction, normalisation", harvest),
    "resolve": ("rapprochement, fusion, tables", resolve),
    "build": ("SQLite, Parquet, CSV", build),
    "check": ("contrôles", check),
    "publish": ("bascule", publish),
    "again": ("seconde moisson, rien de neuf", harvest),
}


def table(count: int) -> list[str]:
    """The rows of the table for one size."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(root, count)
        costs = {
            stage: measure("benchmarks.stages", "--stage", stage, "--root", str(root))
            for stage in STAGES
        }
    yardstick = max(costs["copy"][0], 0.01)
    size = f"{count:,}".replace(",", " ")
    return [
        f"| {size} | {STAGES[stage][0]} | {cpu:.1f} | {peak:.0f} | {cpu / yardstick:.0f} |"
        for stage, (cpu, peak) in costs.items()
    ]


def main() -> None:
    """Measure the sizes asked for; without any, all of them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int)
    parser.add_argument("--stage", choices=STAGES)
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(cost(lambda: STAGES[given.stage][1](given.root))))
        return
    lines = [
        "# Coût de chaque étape",
        "",
        (
            f"`python -m benchmarks.stages`, le {datetime.now(UTC):%Y-%m-%d} : Python "
            f"{platform.python_version()}, DuckDB {version('duckdb')}, {os.cpu_count()} cœurs "
            "partagés. Secondes de processeur (non de montre), mémoire de pointe du processus de "
            "l’étape, et rapport à l’étalon de la même exécution."
        ),
        "",
        "| fiches | étape | s CPU | Mio | × étalon |",
        "|---:|---|---:|---:|---:|",
    ]
    for size in given.sizes or SIZES:
        lines += table(size)
    text = "\n".join(lines) + "\n"
    print(text)
    if not given.sizes:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
