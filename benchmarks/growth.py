"""What matching costs as records grow in number, and when one in a hundred has changed.

    python -m benchmarks.growth                     # 10,000 to 3 million, table in rapprochement.md
    python -m benchmarks.growth 10000 100000        # these sizes, printed

Each run is `match_file`, from a Parquet file to clusters and pairs, in a process of its own. A
resumed run follows the change of one record in a hundred: 4 in a thousand other telephones, 2 other
names, 2 deleted, 2 added.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from benchmarks.cost import cost, measure
from benchmarks.generator import generate
from lowtech_data.resolve.files import match_file

SIZES = (10_000, 100_000, 1_000_000, 3_000_000)
MAX_RESUMED = 1_000_000
RESULTS = Path(__file__).with_name("rapprochement.md")


def write(folder: Path, size: int) -> None:
    """Write the records before (`avant.parquet`) and after (`apres.parquet`) the change."""
    added = size // 500
    pq.write_table(generate(size + added), folder / "tout.parquet")
    with duckdb.connect() as con:
        con.execute(
            f"""
            CREATE VIEW tout AS
            SELECT * EXCLUDE (verite), hash(source, cle_source) % 1000 AS sort,
                   row_number() OVER (ORDER BY hash(cle_source, source)) > {size} AS nouvelle
            FROM '{folder}/tout.parquet';
            COPY (SELECT * EXCLUDE (sort, nouvelle) FROM tout WHERE NOT nouvelle)
            TO '{folder}/avant.parquet';
            COPY (
                SELECT * EXCLUDE (sort, nouvelle) REPLACE (
                    CASE WHEN sort < 4 AND NOT nouvelle
                         THEN '01' || right((hash(nom) % 100000000)::VARCHAR, 8)
                         ELSE telephone END AS telephone,
                    CASE WHEN sort IN (4, 5) AND NOT nouvelle
                         THEN 'Atelier ' || reverse(nom) ELSE nom END AS nom)
                FROM tout WHERE nouvelle OR sort NOT IN (6, 7)
            ) TO '{folder}/apres.parquet'
            """
        )


def matched(folder: Path, records: str, state: str) -> None:
    """Match a file as the command does."""
    match_file(
        folder / f"{records}.parquet",
        folder / f"{records}-groupes.parquet",
        pairs=folder / f"{records}-paires.parquet",
        state=folder / "etat" if state else None,
    )


def _job(folder: Path, *arguments: str) -> tuple[float, float]:
    return measure("benchmarks.growth", "--folder", str(folder), "--job", *arguments)


def _moved(folder: Path, before: Path) -> int:
    """How many pairs are together in one of two tables of clusters only."""
    pairs = (
        "SELECT x.source, x.cle_source, y.source, y.cle_source FROM '{0}' x JOIN '{0}' y"
        " USING (cluster) WHERE (x.source, x.cle_source) < (y.source, y.cle_source)"
    )
    one, other = (pairs.format(path) for path in (folder / "apres-groupes.parquet", before))
    row = duckdb.sql(
        f"SELECT count(*) FROM ((({one}) EXCEPT ({other})) UNION ALL (({other}) EXCEPT ({one})))"
    ).fetchone()
    return int(row[0]) if row else 0


def rows(size: int, folder: Path) -> list[tuple[str, float, float, str]]:
    """(run, CPU seconds, MiB, what is to be known) of each run at a size."""
    command = [sys.executable, "-m", "benchmarks.growth", str(size), "--folder", str(folder)]
    subprocess.run([*command, "--job", "write"], check=True, stdout=subprocess.DEVNULL)
    found = [("entier", *_job(folder, "avant", ""), "")]
    if size > MAX_RESUMED:
        return found
    found.append(("entier, gardé", *_job(folder, "avant", "etat"), ""))
    resumed = _job(folder, "apres", "etat")
    kept = folder / "repris.parquet"
    (folder / "apres-groupes.parquet").rename(kept)
    again = _job(folder, "apres", "")
    share = f"{resumed[0] / again[0]:.0%} du suivant".replace("%", " %")
    found.append(("repris, un centième changé", *resumed, share))
    moved = f"{_moved(folder, kept)} paires autrement groupées que par la reprise"
    found.append(("entier, sur les mêmes fiches", *again, moved))
    return found


def page(sizes: list[int]) -> str:
    """Measure all, and say so in a Markdown page."""
    lines = [
        "# Coût du rapprochement",
        "",
        (
            f"`python -m benchmarks.growth`, le {datetime.now(UTC):%Y-%m-%d} : Python "
            f"{platform.python_version()}, DuckDB {version('duckdb')}, {os.cpu_count()} cœurs "
            "partagés. D’un fichier Parquet aux groupes et aux paires, chaque passage dans son "
            "processus : secondes de processeur, mémoire de pointe."
        ),
        "",
        "| fiches | passage | s CPU | Mio | |",
        "|---:|---|---:|---:|---|",
    ]
    whole: dict[int, float] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for name, seconds, peak, note in rows(size, Path(folder)):
                whole.setdefault(size, seconds)
                shown = f"{size:,}".replace(",", " ")
                lines.append(f"| {shown} | {name} | {seconds:.1f} | {peak:.0f} | {note} |")
                print(lines[-1], flush=True)
    first, last = min(sizes), max(sizes)
    if first < last:
        exponent = math.log(whole[last] / whole[first]) / math.log(last / first)
        said = f"De {first} à {last} fiches, le temps croît comme leur nombre à la puissance"
        lines += ["", f"{said} {exponent:.2f}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure; without sizes, all of `SIZES`, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--job", nargs="+")
    given = parser.parse_args()
    if given.job == ["write"]:
        write(given.folder, given.sizes[0])
    elif given.job:
        print(json.dumps(cost(lambda: matched(given.folder, *given.job))))
    else:
        text = page(given.sizes or list(SIZES))
        print(text)
        if not given.sizes:
            RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
