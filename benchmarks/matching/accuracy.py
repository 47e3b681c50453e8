"""Groups and their accuracy against the truth, in time proportional to the records."""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc


class Accuracy(NamedTuple):
    """Shares of pairs, and of records (B-cubed: the mean over records of their group's share)."""

    precision: float
    recall: float
    f1: float
    b_precision: float
    b_recall: float
    b_f1: float


_ACCURACY = """
    WITH cases AS (
        SELECT l.cluster, t.verite, count(*)::DOUBLE AS n
        FROM labels l JOIN truth t USING (rid) GROUP BY ALL
    ), groupes AS (SELECT cluster, sum(n) AS taille FROM cases GROUP BY ALL),
    vrais AS (SELECT verite, sum(n) AS taille FROM cases GROUP BY ALL)
    SELECT (SELECT sum(n * (n - 1) / 2) FROM cases),
           (SELECT sum(taille * (taille - 1) / 2) FROM groupes),
           (SELECT sum(taille * (taille - 1) / 2) FROM vrais),
           sum(n * n / g.taille) / sum(n), sum(n * n / v.taille) / sum(n)
    FROM cases JOIN groupes g USING (cluster) JOIN vrais v USING (verite)
"""


def accuracy(labels: pa.Table, truth: pa.Table) -> Accuracy:
    """Accuracy of `labels` (`rid`, `cluster`) by `truth` (`rid`, `verite`)."""
    with duckdb.connect() as con:
        con.register("labels", labels)
        con.register("truth", truth)
        row = con.execute(_ACCURACY).fetchone()
    assert row  # noqa: S101
    both, found, true, b_precision, b_recall = (float(value or 0) for value in row)
    precision = both / found if found else 1.0
    recall = both / true if true else 1.0
    return Accuracy(
        precision, recall, harmonic(precision, recall),
        b_precision, b_recall, harmonic(b_precision, b_recall),
    )  # fmt: skip


def harmonic(precision: float, recall: float) -> float:
    """The F1 of a precision and a recall."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def components(count: int, edges: pa.Table, threshold: float) -> pa.Table:
    """Groups (`rid`, `cluster`) that the edges of at least `threshold` join."""
    parents = list(range(count))
    kept = edges.filter(pc.greater_equal(edges["score"], threshold))
    for a, b in zip(kept["a"].to_pylist(), kept["b"].to_pylist(), strict=True):
        one, other = _root(parents, a), _root(parents, b)
        parents[max(one, other)] = min(one, other)
    return labelled([_root(parents, i) for i in range(count)])


def labelled(clusters: list[int]) -> pa.Table:
    """The table of groups, by record number."""
    return pa.table(
        {
            "rid": pa.array(range(len(clusters)), pa.int64()),
            "cluster": pa.array(clusters, pa.int64()),
        }
    )


def best_threshold(edges: pa.Table, truth: list[int]) -> float:
    """The score from which joining edges gives the best F1 by pairs.

    Edges are added from the highest score; each union of two groups adds the pairs of its two
    sides, of which those of one truth are counted by truth, the smaller side into the larger.
    """
    parents = list(range(len(truth)))
    inside: list[dict[int, int] | None] = [{number: 1} for number in truth]
    sizes = [1] * len(truth)
    true_pairs = _pairs_of(truth)
    found = both = 0
    best, at = 0.0, float("inf")
    ordered = edges.sort_by([("score", "descending"), ("a", "ascending"), ("b", "ascending")])
    scores = ordered["score"].to_pylist()
    numbers = zip(ordered["a"].to_pylist(), ordered["b"].to_pylist(), strict=True)
    for i, (a, b) in enumerate(numbers):
        one, other = _root(parents, a), _root(parents, b)
        if one != other:
            large, small = (one, other) if sizes[one] >= sizes[other] else (other, one)
            into, taken = inside[large], inside[small]
            assert into is not None and taken is not None  # noqa: PT018, S101
            found += sizes[large] * sizes[small]
            for number, n in taken.items():
                both += n * into.get(number, 0)
                into[number] = into.get(number, 0) + n
            inside[small] = None
            sizes[large] += sizes[small]
            parents[small] = large
        if (i + 1 == len(scores) or scores[i + 1] < scores[i]) and found:
            f1 = 2 * both / (found + true_pairs)
            if f1 > best:
                best, at = f1, scores[i]
    return at


def _pairs_of(truth: list[int]) -> int:
    sizes: dict[int, int] = {}
    for number in truth:
        sizes[number] = sizes.get(number, 0) + 1
    return sum(n * (n - 1) // 2 for n in sizes.values())


def _root(parents: list[int], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node
