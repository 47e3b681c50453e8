"""Runs the engines on the sets asked for, prints the measures, and keeps them with `--write`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.generator import generate
from benchmarks.matching.accuracy import accuracy, best_threshold, components
from benchmarks.matching.engines import DEDUPE_LABELS, ENGINES
from benchmarks.matching.records import prepare
from benchmarks.worlds import worlds

ROOT = Path(__file__).parents[2]
MEASURES = Path(__file__).with_name("mesures.json")
PAGE = ROOT / "docs" / "comparaison-rapprochement.md"
PACKAGES = ("splink", "dedupe", "recordlinkage", "rapidfuzz", "duckdb")
POLL_SECONDS = 0.5
KIB = 1024

Measure = dict[str, Any]


def main() -> None:
    """Measure; see the page of the package."""
    given = _arguments()
    if given.run:
        _run(given.run, given.folder)
        return
    measures: list[Measure] = []
    for name, make in _sets(given):
        with tempfile.TemporaryDirectory() as folder:
            measures += _measure_set(name, make, Path(folder), given)
        if given.write:
            _keep(measures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matching", description="Compare les moteurs de rapprochement."
    )
    parser.add_argument("--count", type=int, nargs="*", default=[], help="tailles du jeu français")
    parser.add_argument(
        "--world", nargs="*", default=[], help=f"autres jeux engendrés, parmi {', '.join(worlds())}"
    )
    parser.add_argument("--world-count", type=int, default=5000, help="taille des autres jeux")
    parser.add_argument("--set", type=Path, nargs="*", default=[], help="fichiers Parquet")
    parser.add_argument("--seed", type=int, default=0, help="graine des jeux engendrés")
    parser.add_argument("--engines", default=",".join(ENGINES), help="moteurs, par des virgules")
    parser.add_argument("--max-minutes", type=float, default=30, help="durée admise par moteur")
    parser.add_argument("--max-gib", type=float, default=6, help="mémoire admise par moteur")
    parser.add_argument("--write", action="store_true", help="garde les mesures, écrit la page")
    parser.add_argument("--run", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _sets(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], pa.Table]]]:
    seed = f", graine {given.seed}" if given.seed else ""
    for count in given.count:
        yield f"français{seed}, {_grouped(count)}", partial(generate, count, given.seed)
    for world in given.world:
        make = partial(worlds()[world], given.world_count, given.seed)
        yield f"{world}{seed}, {_grouped(given.world_count)}", make
    for path in given.set:
        yield path.stem, partial(pq.read_table, path)


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _measure_set(
    name: str, make: Callable[[], pa.Table], folder: Path, given: argparse.Namespace
) -> list[Measure]:
    prepare(make(), folder)
    _write_labels(folder)
    truth = pq.read_table(folder / "truth.parquet")
    print(f"\n{name}", flush=True)
    found = []
    for engine in given.engines.split(","):
        measure = {
            "set": name,
            "records": truth.num_rows,
            "engine": engine,
            "day": f"{datetime.now(UTC):%Y-%m-%d}",
            **_measure(engine, folder, truth, given),
        }
        found.append(measure)
        for line in _lines(measure):
            print(line, flush=True)
    return found


def _measure(engine: str, folder: Path, truth: pa.Table, given: argparse.Namespace) -> Measure:
    """What the engine cost in a process of its own, and how right it was."""
    out = folder / engine
    out.mkdir()
    command = [
        sys.executable,
        "-m",
        "benchmarks.matching",
        "--run",
        engine,
        "--folder",
        str(folder),
    ]
    with (out / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        refused = _watch(process, given.max_minutes * 60, given.max_gib * KIB)
    if refused or process.returncode:
        return {"failed": refused or _last_line(out / "log")}
    measure: Measure = json.loads((out / "cost.json").read_text())
    labels = pq.read_table(out / "clusters.parquet")
    measure["default"] = {"setting": measure.pop("setting"), **_scores(labels, truth)}
    if (out / "edges.parquet").exists():
        edges = pq.read_table(out / "edges.parquet")
        threshold = best_threshold(edges, truth["verite"].to_pylist())
        joined = components(truth.num_rows, edges, threshold)
        measure["best"] = {"setting": f"score ≥ {threshold:.4g}", **_scores(joined, truth)}
    for path in sorted(out.glob("variant-*.parquet")):
        setting = f"seuil {path.stem.removeprefix('variant-')}"
        scores = {"setting": setting, **_scores(pq.read_table(path), truth)}
        if scores["f1"] > measure.get("best", {"f1": -1})["f1"]:
            measure["best"] = scores
    return measure


def _scores(labels: pa.Table, truth: pa.Table) -> dict[str, float]:
    return {key: round(value, 5) for key, value in accuracy(labels, truth)._asdict().items()}


def _watch(process: subprocess.Popen[bytes], seconds: float, mebibytes: float) -> str | None:
    """Wait for the engine; end it, and say why, beyond its time or memory."""
    end = time.monotonic() + seconds
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        refused = None
        if time.monotonic() > end:
            refused = f"arrêté après {seconds / 60:g} min"
        elif _memory(process.pid, "VmRSS") > mebibytes:
            refused = f"arrêté au-delà de {mebibytes / KIB:g} Gio"
        if refused:
            process.kill()
            process.wait()
            return refused
    return None


def _memory(pid: int | str, field: str) -> float:
    """A memory figure (MiB) of a process; `VmHWM`, its peak, does not count its parent's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    for line in status.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / KIB
    return 0.0


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    said = [line for line in lines if "Error" in line or "Exception" in line] or lines
    return f"échec : {said[-1][:200]}" if said else "échec sans message"


def _run(engine: str, folder: Path) -> None:
    """The work of one engine, its import counted, and what it cost."""
    outcome = ENGINES[engine][1](folder)
    spent = sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    peak = _memory("self", "VmHWM")
    out = folder / engine
    pq.write_table(outcome.clusters, out / "clusters.parquet")
    if outcome.edges is not None:
        pq.write_table(outcome.edges, out / "edges.parquet")
    for setting, clusters in outcome.variants.items():
        pq.write_table(clusters, out / f"variant-{setting}.parquet")
    cost = {
        "cpu": round(spent, 2), "mib": round(peak),
        "setting": outcome.default, "note": outcome.note,
    }  # fmt: skip
    (out / "cost.json").write_text(json.dumps(cost))


def _write_labels(folder: Path) -> None:
    """Pairs of the truth for the engine that needs them: same, near but distinct, any distinct."""
    half, quarter = DEDUPE_LABELS // 2, DEDUPE_LABELS // 4
    with duckdb.connect() as con:
        con.execute(
            f"""
            CREATE TABLE fiches AS
            SELECT rid, verite, cp_cle, md5(rid::VARCHAR) AS tirage,
                   row_number() OVER (ORDER BY md5(rid::VARCHAR)) AS rang
            FROM '{folder / "records.parquet"}' JOIN '{folder / "truth.parquet"}' USING (rid)
            """
        )
        con.execute(
            f"""
            COPY (
                FROM (SELECT x.rid AS a, y.rid AS b, true AS same
                      FROM fiches x JOIN fiches y USING (verite) WHERE x.rid < y.rid
                      ORDER BY md5(x.tirage || y.tirage) LIMIT {half})
                UNION ALL
                FROM (SELECT x.rid, y.rid, false
                      FROM (FROM fiches ORDER BY rang LIMIT 5000) x JOIN fiches y USING (cp_cle)
                      WHERE x.rid <> y.rid AND x.verite <> y.verite
                      ORDER BY md5(x.tirage || y.tirage) LIMIT {quarter})
                UNION ALL
                FROM (SELECT x.rid, y.rid, false FROM fiches x JOIN fiches y
                      ON y.rang = x.rang + 1 AND x.verite <> y.verite
                      ORDER BY x.rang LIMIT {quarter})
                ORDER BY ALL
            ) TO '{folder / "labels.parquet"}'
            """
        )


def _keep(measures: list[Measure]) -> None:
    """Replace what was kept of the same set and engine, and write the page again."""
    kept = json.loads(MEASURES.read_text()) if MEASURES.exists() else {"measures": []}
    fresh = {(measure["set"], measure["engine"]) for measure in measures}
    others = [m for m in kept["measures"] if (m["set"], m["engine"]) not in fresh]
    order = list(ENGINES)
    everything = sorted(
        [*others, *measures],
        key=lambda m: (
            *(not m["set"].startswith("français"), m["records"], m["set"]),
            order.index(m["engine"]),
        ),
    )
    text = json.dumps({"measures": everything}, ensure_ascii=False, indent=1)
    MEASURES.write_text(text + "\n", encoding="utf-8")
    PAGE.write_text(_page(everything), encoding="utf-8")


_INTRODUCTION = """# Comparaison des moteurs de rapprochement

Les mêmes fiches, dans la même exécution, chaque moteur dans son processus ; la vérité n’est donnée
qu’à `dedupe`, qui doit apprendre. Tous lisent les mêmes colonnes nettoyées
(`benchmarks/matching/records.py`) ; leurs réglages sont ceux de `benchmarks/matching/engines.py`.

Précision, rappel et F1 sont ceux des paires ; B³ pèse chaque fiche du même poids. « Défaut » est ce
qu’obtient qui n’a pas d’étiquettes ; « au mieux » est le seuil choisi sur la vérité, donc hors de
portée en pratique : il dit ce que vaut le score, non le moteur. Le seuil de `lowtech match` est
cherché sur le score de ses paires, relations écartées ; celui de « un identifiant partagé » est
l’opposé du nombre de fiches au-delà duquel une valeur ne compte plus. Secondes de processeur,
importations comprises, et mémoire de pointe (VmHWM). Les jeux sont engendrés : les écarts entre
moteurs comptent, non les valeurs absolues.

À savoir avant de comparer : `lowtech match` a été mis au point en regardant ces jeux, parmi
d’autres, sauf celui de graine 23, et les réglages de Splink et de la somme en SQL ont été repris
après un premier essai. Les colonnes nettoyées que tous partagent suivent les usages français : hors
de France, elles aident peu les autres moteurs.
"""

_TITLES = {
    "français": "Initiatives françaises",
    "restaurants_us": "Restaurants des États-Unis",
    "schools_fr": "Écoles françaises",
    "schools_uk": "Écoles britanniques",
    "companies_de": "Entreprises allemandes",
    "companies_uk_noaddr": "Entreprises britanniques, sans adresse",
    "shops_jp": "Commerces japonais",
    "shops_gr": "Commerces grecs",
    "associations_single_source": "Associations d’une seule liste",
}
_HEADER = (
    "| moteur | réglage | précision | rappel | F1 | B³ préc. | B³ rappel | B³ F1 | s CPU | Mio |",
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
)


def _page(measures: list[Measure]) -> str:
    lines = [_INTRODUCTION]
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    lines.append(
        f"Python {platform.python_version()}, {versions}, {os.cpu_count()} cœurs partagés."
    )
    names = list(dict.fromkeys(measure["set"] for measure in measures))
    lines += ["", "## F1 au réglage par défaut", "", *_summary(names, measures)]
    for name in names:
        of_set = [measure for measure in measures if measure["set"] == name]
        lines += ["", f"## {_title(name)} fiches", "", *_HEADER]
        for measure in of_set:
            lines += _lines(measure)
        notes = [f"{ENGINES[m['engine']][0]} : {m['note']}." for m in of_set if m.get("note")]
        days = sorted({measure["day"] for measure in of_set})
        lines += ["", " ".join([f"Mesuré le {' et le '.join(days)}.", *notes])]
    return "\n".join(lines) + "\n"


def _title(name: str) -> str:
    kind, comma, rest = name.partition(",")
    return f"{_TITLES.get(kind, kind)}{comma}{rest}"


def _summary(names: list[str], measures: list[Measure]) -> list[str]:
    """A row for each set, a column for each engine: F1 at the default setting, the best in bold."""
    told = {(m["set"], m["engine"]): m["default"]["f1"] for m in measures if "default" in m}
    lines = [f"| jeu | {' | '.join(name for name, _ in ENGINES.values())} |",
             f"|---|{'---:|' * len(ENGINES)}"]  # fmt: skip
    for name in names:
        best = max(told.get((name, engine), 0) for engine in ENGINES)
        shown = []
        for engine in ENGINES:
            f1 = told.get((name, engine))
            text = "" if f1 is None else f"{f1:.3f}"
            shown.append(f"**{text}**" if f1 == best else text)
        lines.append(f"| {_title(name)} | {' | '.join(shown)} |")
    return lines


def _lines(measure: Measure) -> list[str]:
    name = ENGINES[measure["engine"]][0]
    if "failed" in measure:
        return [f"| {name} | {measure['failed']} | | | | | | | | |"]
    lines = []
    for kind, said in (("default", "défaut"), ("best", "au mieux")):
        if kind in measure:
            values = measure[kind]
            shown = " | ".join(
                f"{values[key]:.4f}"
                for key in ("precision", "recall", "f1", "b_precision", "b_recall", "b_f1")
            )
            cost = f"{measure['cpu']:.1f} | {measure['mib']}" if kind == "default" else " | "
            lines.append(f"| {name} | {said} : {values['setting']} | {shown} | {cost} |")
    return lines


if __name__ == "__main__":
    main()
