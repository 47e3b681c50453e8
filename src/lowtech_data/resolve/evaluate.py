"""How right matching is, on pairs that people labelled, beside two rules that anyone could write.

Lists of labelled pairs are not exhaustive: a pair that is not in the list is neither right nor
wrong. So precision is that of the labelled pairs that end in one cluster, recall that of the
pairs labelled the same. A place that moved is one initiative, but people should decide: merged or
not, it counts only as found or missed by the review queue.

Pairs that share a fiche are right or wrong together, so each share comes with an interval for
observations in groups: see `clustered_wilson`.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import duckdb

from lowtech_data import files
from lowtech_data.resolve import Decisions, Matching, match
from lowtech_data.resolve.features import prepare

Key = tuple[str, str]
Interval = tuple[float, float]

RECORDS_FILE = "fiches.csv"
PAIRS_FILE = "paires.csv"
MEASURED_PART = "mesure"
"""The `part` of the labelled pairs that no rule may be fitted on."""

MASKED = ("siret", "rna", "telephone", "courriel", "site_web")
"""Columns blanked to measure what name and place alone can do: positives of many labelled sets were
found through these very columns.
"""

APART = frozenset({"distinct", "heberge_par", "antenne_de"})
LABELS = APART | {"identique", "demenage", "incertain"}

_Z = NormalDist().inv_cdf(0.975)


class LabelError(ValueError):
    """A file of labelled pairs cannot be read; the message names the file and the line."""


class Labelled(NamedTuple):
    """Two fiches and what people say of them: `decision` or `predicat` code, or `incertain`."""

    a: Key
    b: Key
    etiquette: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Counts of one method on one labelled set."""

    method: str
    same: int
    """Pairs labelled the same."""
    apart: int
    """Pairs labelled distinct or related."""
    moved: int
    merged_same: int
    merged_apart: tuple[Labelled, ...]
    reviewed_same: int
    missed: tuple[Labelled, ...]
    """Pairs labelled the same, neither merged nor in the review queue."""
    moved_seen: int
    """Pairs labelled moved that are merged, or in the review queue."""
    precision_interval: Interval
    recall_interval: Interval
    recall_with_review_interval: Interval
    reviewed: int = 0
    """Fiches in the review queue."""
    records: int = 0

    @property
    def precision(self) -> float:
        """Share of merged labelled pairs that are right; 1 when nothing is merged."""
        merged = self.merged_same + len(self.merged_apart)
        return self.merged_same / merged if merged else 1.0

    @property
    def recall(self) -> float:
        """Share of pairs labelled the same that are merged."""
        return self.merged_same / self.same if self.same else 1.0

    @property
    def recall_with_review(self) -> float:
        """Share of pairs labelled the same that are merged, or shown to people."""
        return (self.merged_same + self.reviewed_same) / self.same if self.same else 1.0

    def line(self) -> str:
        """One row of a Markdown table, under `HEADER`."""
        shares = (
            (self.precision, self.precision_interval),
            (self.recall, self.recall_interval),
            (self.recall_with_review, self.recall_with_review_interval),
        )
        told = " | ".join(f"{value:.3f} ({low:.3f}–{high:.3f})" for value, (low, high) in shares)
        return (
            f"| {self.method} | {told} | {len(self.merged_apart)}/{self.apart} |"
            f" {self.moved_seen}/{self.moved} | {self.reviewed}/{self.records} |"
        )

    def document(self) -> dict[str, Any]:
        """The figures as a release's index gives them, shares and bounds to four decimals."""
        return {
            "precision": round(self.precision, 4),
            "precision_95": _rounded(self.precision_interval),
            "rappel": round(self.recall, 4),
            "rappel_95": _rounded(self.recall_interval),
            "rappel_avec_relecture": round(self.recall_with_review, 4),
            "rappel_avec_relecture_95": _rounded(self.recall_with_review_interval),
            "identiques": self.same,
            "distinctes_ou_liees": self.apart,
            "demenagements": self.moved,
            "demenagements_vus": self.moved_seen,
            "fusions_justes": self.merged_same,
            "fusions_fausses": [
                f"{':'.join(pair.a)} / {':'.join(pair.b)} ({pair.etiquette})"
                for pair in self.merged_apart
            ],
        }


HEADER = (
    "| méthode | précision (95 %) | rappel (95 %) | rappel avec relecture (95 %) | fusions fausses"
    " | déménagements vus | fiches à relire |\n|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What the engine is worth on the held-out pairs of one folder."""

    all_columns: Evaluation
    masked: Evaluation

    def document(self) -> dict[str, Any]:
        """The `exactitude` of a release's index."""
        return {
            "tous_les_champs": self.all_columns.document(),
            "masque": {"colonnes": list(MASKED), **self.masked.document()},
        }


def measure(folder: Path) -> Accuracy | None:
    """Run the engine, without any decision of people, on the held-out pairs of a folder.

    The folder holds `fiches.csv` and `paires.csv`; every fiche is matched, the pairs of the part
    `mesure` are counted. `None` when the folder has no labelled pairs. Raises `LabelError` when
    they cannot be read. The same files are measured once per process.
    """
    paths = folder / RECORDS_FILE, folder / PAIRS_FILE
    if not all(path.is_file() for path in paths):
        return None
    return _measure(folder, *map(files.sha256_file, paths))


@lru_cache(maxsize=4)
def _measure(folder: Path, *_sums: str) -> Accuracy:
    labelled = read_pairs(folder / PAIRS_FILE, part=MEASURED_PART)
    if not any(pair.etiquette == "identique" for pair in labelled):
        raise LabelError(f"{folder / PAIRS_FILE} : aucune paire identique de part « mesure »")
    with duckdb.connect() as con:
        table = load_records(con, folder / RECORDS_FILE)
        return Accuracy(
            _of_engine(match(con, table), labelled),
            _of_engine(match(con, masked(con, table)), labelled),
        )


def read_pairs(path: Path, *, part: str | None = None) -> list[Labelled]:
    """Labelled pairs from a CSV with `source_a, cle_a, source_b, cle_b, etiquette`.

    With `part`, only those whose column `part` says so. Raises `LabelError` for a missing column
    or an unknown label.
    """
    expected = {"source_a", "cle_a", "source_b", "cle_b", "etiquette"} | (
        {"part"} if part else set()
    )
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if lacking := sorted(expected - set(rows.fieldnames or ())):
            raise LabelError(f"{path} : colonnes absentes : {', '.join(lacking)}")
        pairs = []
        for row in rows:
            if row["etiquette"] not in LABELS:
                raise LabelError(
                    f"{path}, ligne {rows.line_num} : étiquette « {row['etiquette']} », attendue "
                    f"parmi {', '.join(sorted(LABELS))}"
                )
            if part in {None, row.get("part")}:
                a, b = (row["source_a"], row["cle_a"]), (row["source_b"], row["cle_b"])
                pairs.append(Labelled(a, b, row["etiquette"]))
    return pairs


def groups(labelled: Iterable[Labelled]) -> dict[Key, Key]:
    """The group of each fiche: the smallest of those it is tied to by pairs, whatever they say."""
    root: dict[Key, Key] = {}

    def find(key: Key) -> Key:
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    for pair in labelled:
        first, second = sorted((find(pair.a), find(pair.b)))
        root[second] = first
    return {key: find(key) for key in list(root)}


def clustered_wilson(counts: Iterable[tuple[int, int]]) -> Interval:
    """95 % interval of a share observed in groups, each (successes, observations).

    Wilson's score interval (1927) on the effective number of observations n / deff (Kish 1965;
    Korn and Graubard 1998; compared with others by Dean and Pagano 2015). The design effect deff is
    the variance of the ratio estimator, G/(G-1) · Σ(xᵢ - p·nᵢ)² / n², over that of independent
    observations, p(1-p)/n, and at least 1. Where it cannot be estimated (a share of 0 or 1, or one
    group) each group counts as one observation, the most cautious reading. (0, 1) without any.
    """
    seen = [(x, n) for x, n in counts if n]
    total = sum(n for _, n in seen)
    if not total:
        return 0.0, 1.0
    share = sum(x for x, _ in seen) / total
    effective = float(len(seen))
    if 0 < share < 1 and len(seen) > 1:
        spread = sum((x - share * n) ** 2 for x, n in seen) / total**2
        variance = spread * len(seen) / (len(seen) - 1)
        effective = min(total, share * (1 - share) / variance) if variance else total
    squared = _Z**2 / effective
    centre = (share + squared / 2) / (1 + squared)
    half = _Z / (1 + squared) * sqrt(share * (1 - share) / effective + squared / (4 * effective))
    return max(0.0, centre - half), min(1.0, centre + half)


def _rounded(interval: Interval) -> list[float]:
    return [round(bound, 4) for bound in interval]


def load_records(con: duckdb.DuckDBPyConnection, path: Path, *, table: str = "fiches") -> str:
    """Records of a CSV, all text, as a table of the connection."""
    quoted = str(path).replace("'", "''")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS"
        f" SELECT * FROM read_csv('{quoted}', all_varchar = true, header = true)"
    )
    return table


def masked(con: duckdb.DuckDBPyConnection, records: str) -> str:
    """A view of the records without the columns of `MASKED`."""
    present = [row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {records}").fetchall()]
    kept = ", ".join(name for name in present if name not in MASKED)
    con.execute(f"CREATE OR REPLACE TEMP VIEW {records}_masque AS SELECT {kept} FROM {records}")
    return f"{records}_masque"


def evaluate(
    con: duckdb.DuckDBPyConnection,
    records: str,
    labelled: Sequence[Labelled],
    *,
    decisions: Decisions | None = None,
) -> list[Evaluation]:
    """The engine and both baselines on one table of records, the engine first."""
    matching = match(con, records, decisions=decisions)
    return [_of_engine(matching, labelled), *_baselines(con, records, labelled)]


def _of_engine(matching: Matching, labelled: Sequence[Labelled]) -> Evaluation:
    cluster: dict[Key, int] = {
        (row["source"], row["cle_source"]): row["cluster"] for row in matching.clusters.to_pylist()
    }
    if unknown := sorted({k for p in labelled for k in (p.a, p.b)} - cluster.keys()):
        named = ", ".join(":".join(key) for key in unknown[:5])
        raise LabelError(f"paires étiquetées : fiches absentes ({len(unknown)}) : {named}")
    review = {
        ((row["source_a"], row["cle_a"]), (row["source_b"], row["cle_b"]))
        for row in matching.pairs.to_pylist()
        if row["decision"] == "a_revoir"
    }
    return _count(
        "appariement",
        labelled,
        lambda a, b: cluster[a] == cluster[b],
        lambda a, b: (min(a, b), max(a, b)) in review,
        reviewed=len({key for pair in review for key in pair}),
        records=len(cluster),
    )


def _baselines(
    con: duckdb.DuckDBPyConnection, records: str, labelled: Sequence[Labelled]
) -> Iterable[Evaluation]:
    """Exact folded name in one postcode; any identifier in common."""
    prepare(con, records)
    rows = con.execute(
        "SELECT source, cle, noyau, cp, siret, tel, mail, hote FROM res_fiche"
    ).fetchall()
    fields: dict[Key, tuple[str | None, ...]] = {(row[0], row[1]): row[2:] for row in rows}

    def name_and_postcode(a: Key, b: Key) -> bool:
        return fields[a][:2] == fields[b][:2] and fields[a][1] is not None

    def any_identifier(a: Key, b: Key) -> bool:
        return any(
            x == y and x is not None for x, y in zip(fields[a][2:], fields[b][2:], strict=True)
        )

    yield _count("nom exact et code postal", labelled, name_and_postcode, records=len(fields))
    yield _count("un identifiant partagé", labelled, any_identifier, records=len(fields))


def _count(
    method: str,
    labelled: Sequence[Labelled],
    merged: Callable[[Key, Key], bool],
    in_review: Callable[[Key, Key], bool] = lambda a, b: False,
    *,
    reviewed: int = 0,
    records: int = 0,
) -> Evaluation:
    same = [pair for pair in labelled if pair.etiquette == "identique"]
    apart = [pair for pair in labelled if pair.etiquette in APART]
    moved = [pair for pair in labelled if pair.etiquette == "demenage"]
    merged_same = [pair for pair in same if merged(pair.a, pair.b)]
    merged_apart = [pair for pair in apart if merged(pair.a, pair.b)]
    reviewed_same = [p for p in same if not merged(p.a, p.b) and in_review(p.a, p.b)]
    found = [*merged_same, *reviewed_same]
    group = groups(labelled)
    return Evaluation(
        method,
        same=len(same),
        apart=len(apart),
        moved=len(moved),
        merged_same=len(merged_same),
        merged_apart=tuple(merged_apart),
        reviewed_same=len(reviewed_same),
        missed=tuple(p for p in same if not (merged(p.a, p.b) or in_review(p.a, p.b))),
        moved_seen=sum(merged(p.a, p.b) or in_review(p.a, p.b) for p in moved),
        precision_interval=_interval(group, merged_same, [*merged_same, *merged_apart]),
        recall_interval=_interval(group, merged_same, same),
        recall_with_review_interval=_interval(group, found, same),
        reviewed=reviewed,
        records=records,
    )


def _interval(
    group: Mapping[Key, Key], right: Iterable[Labelled], observed: Iterable[Labelled]
) -> Interval:
    counts: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for rank, pairs in enumerate((right, observed)):
        for pair in pairs:
            counts[group[pair.a]][rank] += 1
    return clustered_wilson((x, n) for x, n in counts.values())
