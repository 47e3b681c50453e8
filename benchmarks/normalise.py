"""CPU seconds and peak memory of normalising generated fiches, and of copying them to Parquet.

    python -m benchmarks.normalise             # a million fiches, table in normalisation.md
    python -m benchmarks.normalise 100000      # one size, printed
    python -m benchmarks.normalise --profile 100000    # where the time goes, by stage

The fiches are those of `generator`, with what real listings add to them: descriptions (some with
markup, entities, damaged accents, an e-mail or a mobile number), hours, dates and pages. Both
measures are taken in processes of their own on the same file, in the same run; machines are shared,
so the ratio says more than the seconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.cost import cost, measure
from benchmarks.generator import generate
from lowtech_data import normalise
from lowtech_data.extract.base import LIST_FIELDS, RAW_SCHEMA, REJECT_SCHEMA
from lowtech_data.model import CLEAN_SCHEMA, TRANSFORMATION_SCHEMA

SIZE = 1_000_000
CHUNK = 100_000
MAX_RATIO = 20
MAX_MIB = 2048
RESULTS = Path(__file__).with_name("normalisation.md")
STAGES = (
    "text", "name", "coordinates", "address", "commune", "phone", "mail", "web", "identifiers",
    "dates", "hours", "classification", "licence", "summary", "resource",
)  # fmt: skip

_SENTENCES = """
On y répare ensemble ce qui peut l’être. Ouvert à tous, sans inscription. Des bénévoles vous
accueillent chaque semaine. Collecte, tri et vente d’objets de réemploi. Machines partagées : tour,
fraiseuse, découpe laser. Stages de construction de poêles et de fours solaires. Entretien et
réparation de vélos, pièces d’occasion. Une cantine et un jardin partagés. Ateliers pour les
scolaires et les centres sociaux. Formations à la soudure et à la menuiserie. Conception locale,
plans libres.
""".replace("\n", " ").split(". ")
_DIRT = (
    "<p>{}</p><p>{}</p>", "{}<br />{}", "{} &amp; {}", "{}\u00a0{}", "{}  {}\n\n{}",
    "{} Contact : jean.dupont{}@exemple.fr", "{} Tél. 06 39 98 {:02d} {:02d}",
    "{} RÃ©paration et rÃ©emploi", "{}\u200b{}",
)  # fmt: skip
_HOURS = (
    "Lundi au vendredi 9h-12h / 14h-18h", "mercredi 10h00-18h00  samedi 10h00-18h00",
    "Mo-Fr 09:00-12:30,14:00-17:30", "sur rendez-vous", "du mardi au samedi de 10h à 19h",
    "Sa 14:00-18:00", "1er samedi du mois 14h-17h", "ouvert toute l’année",
)  # fmt: skip


def raw_fiches(count: int) -> Iterator[pa.Table]:
    """Raw fiches by chunks, the same for the same `count`."""
    for start in range(0, count, CHUNK):
        yield _chunk(min(CHUNK, count - start), start)


def _chunk(count: int, start: int) -> pa.Table:
    records = generate(count, seed=start)
    random_ = random.Random(start)
    columns: dict[str, list[Any]] = {
        "description": [_description(random_) for _ in range(count)],
        "horaires": [
            random_.choice(_HOURS) if random_.random() < 0.4 else None for _ in range(count)
        ],
        "date_maj": [_date(random_) for _ in range(count)],
        "url": [f"https://exemple.org/fiche/{start + i}" for i in range(count)],
        "cle_source": [str(start + i) for i in range(count)],
        "pointeur": [f"/data/{start + i}" for i in range(count)],
    }
    constants = {
        "entite": "initiative", "nature": "lieu", "capture": "0" * 64, "regle_selection": "liste",
    }  # fmt: skip
    for field in RAW_SCHEMA:
        if field.name in columns:
            continue
        if field.name in constants:
            columns[field.name] = [constants[field.name]] * count
        elif field.name == "source_id":
            columns[field.name] = records["source"].to_pylist()
        elif field.name in records.schema.names:
            columns[field.name] = [
                None if value is None else str(value) for value in records[field.name].to_pylist()
            ]
        elif field.name in (*LIST_FIELDS, "themes", "familles"):
            columns[field.name] = [[]] * count
        else:
            columns[field.name] = [None] * count
    return pa.Table.from_pydict(columns, RAW_SCHEMA)


def _description(random_: random.Random) -> str | None:
    draw = random_.random()
    if draw < 0.3:
        return None
    said = f"{'. '.join(random_.choices(_SENTENCES, k=3))}. Fondé en {random_.randint(1950, 2025)}."
    if draw > 0.92:
        one, two = random_.randint(0, 99), random_.randint(0, 99)
        return random_.choice(_DIRT).format(said, one, two)
    return said


def _date(random_: random.Random) -> str | None:
    if random_.random() < 0.4:
        return None
    year, month, day = random_.randint(2012, 2025), random_.randint(1, 12), random_.randint(1, 28)
    pattern = random_.choice(
        ("{0}-{1:02d}-{2:02d}", "{2:02d}/{1:02d}/{0}", "{0}-{1:02d}-{2:02d}T09:41:45+01:00")
    )
    return pattern.format(year, month, day)


def write(path: Path, count: int) -> None:
    """Write the raw fiches to one Parquet file."""
    with pq.ParquetWriter(path, RAW_SCHEMA, compression="zstd") as writer:
        for chunk in raw_fiches(count):
            writer.write_table(chunk)


def copy(path: Path) -> None:
    """The yardstick: DuckDB reads the raw fiches and writes them to another Parquet file."""
    target = path.with_name("copie.parquet")
    duckdb.sql(f"COPY (FROM '{path}') TO '{target}' (FORMAT parquet)")


def clean(path: Path) -> None:
    """Normalise the raw fiches, writing them as they come, as a harvest does."""
    raw = pq.read_table(path)
    found = 0
    with (
        duckdb.connect() as con,
        pq.ParquetWriter(path.with_name("fiches_nettes.parquet"), CLEAN_SCHEMA) as fiches,
        pq.ParquetWriter(path.with_name("transfo.parquet"), TRANSFORMATION_SCHEMA) as changes,
        pq.ParquetWriter(path.with_name("rejets.parquet"), REJECT_SCHEMA) as rejects,
    ):
        for part in normalise.batches(con, raw, as_of=datetime.now(UTC).date()):
            fiches.write_table(part.fiches)
            changes.write_table(part.transformations)
            rejects.write_table(part.rejects)
            found += part.fiches.num_rows
    if not 0.99 * raw.num_rows < found <= raw.num_rows:
        raise SystemExit(f"{found} fiches sur {raw.num_rows}")


JOBS = {"write": None, "copy": copy, "clean": clean}


def profile(path: Path) -> None:
    """Print the CPU seconds spent in each stage of the normalisation."""
    spent: Counter[str] = Counter()

    def timed(name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            before = time.process_time()
            answer = stage(*args)
            spent[name] += time.process_time() - before  # type: ignore[assignment]
            return answer

        return run

    for name in STAGES:
        module = importlib.import_module(f"lowtech_data.normalise.{name}")
        for function in ("install", "parse", "place", "stage"):
            if hasattr(module, function):
                setattr(module, function, timed(f"{name}.{function}", getattr(module, function)))
    total, peak = cost(lambda: clean(path))
    for name, seconds in spent.most_common():
        print(f"{seconds:8.2f}  {name}")
    print(f"{total - sum(spent.values()):8.2f}  le reste (lecture, clés, assemblage)")
    print(f"{total:8.2f}  en tout, {peak:.0f} Mio")


def report(count: int, path: Path) -> str:
    """Measure both, and say so in a Markdown page."""
    yardstick = measure("benchmarks.normalise", "--job", "copy", "--file", str(path))
    cleaned = measure("benchmarks.normalise", "--job", "clean", "--file", str(path))
    size = f"{count:,}".replace(",", " ")
    lines = [
        "# Coût de la normalisation",
        "",
        (
            f"`python -m benchmarks.normalise`, le {datetime.now(UTC):%Y-%m-%d} : Python "
            f"{platform.python_version()}, DuckDB {version('duckdb')}, {os.cpu_count()} cœurs "
            "partagés. Secondes de processeur et mémoire de pointe, chacune dans son processus. "
            f"À tenir : {MAX_RATIO} fois la copie, {MAX_MIB} Mio."
        ),
        "",
        "| fiches | travail | s CPU | Mio | × copie |",
        "|---:|---|---:|---:|---:|",
    ]
    for work, (seconds, peak) in (
        ("copie en Parquet par DuckDB", yardstick),
        ("normalisation", cleaned),
    ):
        ratio = seconds / yardstick[0]
        lines.append(f"| {size} | {work} | {seconds:.1f} | {peak:.0f} | {ratio:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure; without a size, a million fiches, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", type=int)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--job", choices=JOBS)
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    if given.job:
        job = JOBS[given.job] or (lambda path: write(path, given.size))
        print(json.dumps(cost(lambda: job(given.file))))
        return
    size = given.size or SIZE
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "fiches.parquet"
        if not path.exists():
            command = [sys.executable, "-m", "benchmarks.normalise", str(size)]
            subprocess.run(
                [*command, "--job", "write", "--file", str(path)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        if given.profile:
            profile(path)
            return
        text = report(size, path)
    print(text)
    if given.size is None:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
