"""From pairs to clusters: strongest first, never against a decision, never by one weak link.

Union-find, with a look at both groups before each union: no known pair between them may be in
conflict, the mean of the known pairs must hold, and two groups of several records need more than
one link, or a very strong one. The result depends on the pairs alone, not on their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

WARNING_SIZE = 6
ERROR_SIZE = 20
STRONG_BITS = 9.0
"""A single link this strong may join two groups of several records."""
MEAN_BITS = -3.0
"""Least mean score of the known pairs between two groups that are joined."""


class Edge(NamedTuple):
    """A compared pair of record numbers."""

    a: int
    b: int
    score: float
    same: bool
    """Decided the same by rule."""
    conflict: bool
    """Can never be in one cluster."""


@dataclass(slots=True)
class Clusters:
    """A partition of the records, and what was refused on the way."""

    labels: dict[int, int]
    """Record number → smallest record number of its cluster; a record that is not here is alone."""
    refused: dict[tuple[int, int], str] = field(default_factory=dict)
    """Pairs decided the same that were not followed, and why."""

    @property
    def groups(self) -> list[list[int]]:
        """Members of each cluster that is told, by smallest member."""
        found: dict[int, list[int]] = defaultdict(list)
        for record, label in sorted(self.labels.items()):
            found[label].append(record)
        return [found[label] for label in sorted(found)]


def cluster_records(
    edges: Iterable[Edge],
    must: Collection[tuple[int, int]] = (),
    cannot: Collection[tuple[int, int]] = (),
) -> Clusters:
    """Group the records that pairs name. `must` and `cannot` are decisions of people: they win."""
    work = _Work(cannot)
    ordered = sorted(edges, key=lambda edge: (-edge.score, edge.a, edge.b))
    for edge in ordered:
        work.known[edge.a][edge.b] = edge
        work.known[edge.b][edge.a] = edge
    for a, b in sorted(must):
        work.join(a, b)
    result = Clusters({})
    waiting = [edge for edge in ordered if edge.same]
    while waiting:
        # A union may bring the second link that an earlier pair lacked: try again until none moves.
        left = [edge for edge in waiting if (reason := work.follow(edge)) is not None]
        if len(left) == len(waiting):
            break
        waiting = left
    for edge in waiting:
        reason = work.follow(edge)
        if reason is not None:
            result.refused[edge.a, edge.b] = reason
    named = {*work.known, *(record for pair in must for record in pair)}
    result.labels = {record: work.label(record) for record in sorted(named)}
    return result


class _Work:
    def __init__(self, cannot: Collection[tuple[int, int]]) -> None:
        self.parent: dict[int, int] = {}
        self.members: dict[int, list[int]] = {}
        self.known: dict[int, dict[int, Edge]] = defaultdict(dict)
        self.apart: dict[int, set[int]] = defaultdict(set)
        for a, b in cannot:
            self.apart[a].add(b)
            self.apart[b].add(a)

    def root(self, record: int) -> int:
        while (up := self.parent.setdefault(record, record)) != record:
            self.parent[record] = record = self.parent[up]
        return record

    def group(self, root: int) -> list[int]:
        return self.members.get(root, [root])

    def label(self, record: int) -> int:
        return min(self.group(self.root(record)))

    def join(self, a: int, b: int) -> None:
        first, second = sorted((self.root(a), self.root(b)))
        if first == second:
            return
        self.members[first] = self.group(first) + self.group(second)
        self.members.pop(second, None)
        self.parent[second] = first

    def follow(self, edge: Edge) -> str | None:
        """Join the two groups of a pair, or say why not."""
        first, second = self.root(edge.a), self.root(edge.b)
        if first == second:
            return None
        left, right = self.group(first), self.group(second)
        if len(left) > len(right):
            left, right = right, left
        reason = self._objection(left, set(right), edge)
        if reason is None:
            self.join(first, second)
        return reason

    def _objection(self, left: list[int], right: set[int], edge: Edge) -> str | None:
        if any(not right.isdisjoint(self.apart[record]) for record in left if record in self.apart):
            return "decision_contraire"
        between = [
            known
            for record in left
            for other, known in self.known[record].items()
            if other in right
        ]
        if any(known.conflict for known in between):
            return "conflit_dans_le_groupe"
        if sum(round(known.score * 100) for known in between) < MEAN_BITS * 100 * len(between):
            return "moyenne_faible"
        links = sum(known.same for known in between)
        if len(left) > 1 and links < 2 and edge.score < STRONG_BITS:
            return "un_seul_lien"
        return None
