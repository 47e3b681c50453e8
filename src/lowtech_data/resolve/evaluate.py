"""How right matching is, on pairs that people labelled, beside two rules that anyone could write.

Lists of labelled pairs are not exhaustive: a pair that is not in the list is neither right nor
wrong. So precision is that of the labelled pairs that end in one cluster, recall that of the
pairs labelled the same. A place that moved is one initiative, but people should decide: merged or
not, it counts only as found or missed by the review queue.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from lowtech_data.resolve import Matching, match
from lowtech_data.resolve.features import prepare

Key = tuple[str, str]

MASKED = ("siret", "rna", "telephone", "courriel", "site_web")
"""Columns blanked to measure what name and place alone can do: positives of many labelled sets were
found through these very columns.
"""

APART = frozenset({"distinct", "heberge_par", "antenne_de"})


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
        return (
            f"| {self.method} | {self.precision:.3f} | {self.recall:.3f} |"
            f" {self.recall_with_review:.3f} | {len(self.merged_apart)}/{self.apart} |"
            f" {self.moved_seen}/{self.moved} | {self.reviewed}/{self.records} |"
        )


HEADER = (
    "| méthode | précision | rappel | rappel avec relecture | fusions fausses | déménagements vus"
    " | fiches à relire |\n|---|---|---|---|---|---|---|"
)


def read_pairs(path: Path) -> list[Labelled]:
    """Labelled pairs from a CSV with `source_a, cle_a, source_b, cle_b, etiquette`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Labelled(
                (row["source_a"], row["cle_a"]), (row["source_b"], row["cle_b"]), row["etiquette"]
            )
            for row in csv.DictReader(file)
        ]


def load_records(con: duckdb.DuckDBPyConnection, path: Path, *, table: str = "fiches") -> str:
    """Records of a CSV, all text, as a table of the connection."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS"
        f" SELECT * FROM read_csv('{path}', all_varchar = true, header = true)"
    )
    return table


def masked(con: duckdb.DuckDBPyConnection, records: str) -> str:
    """A view of the records without the columns of `MASKED`."""
    present = [row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {records}").fetchall()]
    kept = ", ".join(name for name in present if name not in MASKED)
    con.execute(f"CREATE OR REPLACE TEMP VIEW {records}_masque AS SELECT {kept} FROM {records}")
    return f"{records}_masque"


def evaluate(
    con: duckdb.DuckDBPyConnection, records: str, labelled: Sequence[Labelled]
) -> list[Evaluation]:
    """The engine and both baselines on one table of records, the engine first."""
    matching = match(con, records)
    return [_of_engine(matching, labelled), *_baselines(con, records, labelled)]


def _of_engine(matching: Matching, labelled: Sequence[Labelled]) -> Evaluation:
    cluster: dict[Key, int] = {
        (row["source"], row["cle_source"]): row["cluster"] for row in matching.clusters.to_pylist()
    }
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
    not_merged = [pair for pair in same if not merged(pair.a, pair.b)]
    missed = [pair for pair in not_merged if not in_review(pair.a, pair.b)]
    return Evaluation(
        method,
        same=len(same),
        apart=len(apart),
        moved=len(moved),
        merged_same=len(same) - len(not_merged),
        merged_apart=tuple(pair for pair in apart if merged(pair.a, pair.b)),
        reviewed_same=len(not_merged) - len(missed),
        missed=tuple(missed),
        moved_seen=sum(merged(p.a, p.b) or in_review(p.a, p.b) for p in moved),
        reviewed=reviewed,
        records=records,
    )
