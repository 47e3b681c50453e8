"""What waits for a person, in which order, and everything that is known of one pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import duckdb

from lowtech_data.resolve.decisions import Decision, Decisions, Stale, Traits, traits
from lowtech_data.resolve.identity import mint
from lowtech_data.review import words
from lowtech_data.warehouse import Warehouse

EARTH_METRES = 6_371_000
_FICHE = "source_id || ':' || cle_source"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two fiches that a person is asked about."""

    a: str
    b: str
    names: tuple[str, str]
    score: float
    initiatives: tuple[str | None, str | None] = (None, None)
    """The initiative that each fiche belongs to today."""
    fiches: int = 2
    """Fiches of these initiatives: what the answer moves."""
    sources: int = 2
    value: float = 0.0
    """Likelihood of a duplicate × fiches and sources that the answer touches."""
    stale: Stale | None = None
    """The decision in force, when its fiches have materially changed since."""
    doubted: bool = False
    """A person has looked already, and could not tell."""

    @property
    def key(self) -> tuple[str, str]:
        """The two fiche keys in the order of decisions."""
        return (min(self.a, self.b), max(self.a, self.b))


@dataclass(frozen=True, slots=True)
class Consequence:
    """What an answer would do at the next run."""

    answer: str
    effect: str


@dataclass(frozen=True, slots=True)
class Case:
    """A pair with all that is known of it."""

    pair: Pair
    left: Mapping[str, Any]
    right: Mapping[str, Any]
    details: words.Details
    predicate: str | None
    """The link that the matcher has in mind."""
    metres: float | None
    consequences: tuple[Consequence, ...]

    @property
    def seen(self) -> dict[str, dict[str, str]]:
        """The fingerprints of what is shown, for the decision."""
        return {self.pair.a: traits(self.left), self.pair.b: traits(self.right)}


@dataclass(frozen=True, slots=True)
class _Fiche:
    name: str
    initiative: str | None
    traits: Traits


@dataclass(frozen=True, slots=True)
class Desk:
    """The queue of a warehouse, read once; `waiting` says what remains of it."""

    warehouse: Warehouse
    rows: tuple[tuple[str, str, float | None, str], ...]
    fiches: Mapping[str, _Fiche]
    initiatives: Mapping[str, tuple[int, frozenset[str]]]
    """Initiative → number of fiches, sources."""

    @classmethod
    def of(cls, warehouse: Warehouse, decisions: Decisions) -> Desk:
        """Read the pairs to review, and the fiches of decisions in force.

        Raises `FileNotFoundError` before the first run.
        """
        with connect(warehouse) as con:
            rows = con.execute(
                "SELECT a, b, score, decision FROM paires "
                "WHERE decision = 'a_revoir' OR decide_par = 'humain' ORDER BY a, b"
            ).fetchall()
            named = {key for row in rows for key in row[:2]}
            named |= {key for line in decisions.active for key in line.fiches}
            found = rows_of(con, f"{_FICHE} IN (SELECT unnest($1::VARCHAR[]))", sorted(named))
            fiches = {key: _Fiche(row["nom"], row["initiative_id"], traits(row))
                      for key, row in found.items()}  # fmt: skip
            groups = con.execute(
                "SELECT initiative_id, count(*), list(DISTINCT source_id) FROM fiches "
                "WHERE initiative_id IN (SELECT unnest($1::VARCHAR[])) GROUP BY 1",
                [sorted({f.initiative for f in fiches.values() if f.initiative})],
            ).fetchall()
        initiatives = {name: (count, frozenset(sources)) for name, count, sources in groups}
        return cls(warehouse, tuple(rows), fiches, initiatives)

    def waiting(self, decisions: Decisions) -> list[Pair]:
        """Pairs to ask about, the most valuable first.

        First the decisions whose fiches have changed; last the pairs that someone has doubted
        already. In between, and within these, by `Pair.value`. A pair that `decisions` answer, by
        itself or because its initiatives are declared identical, waits no more.
        """
        present = {key: fiche.traits for key, fiche in self.fiches.items()}
        stale = {s.decision.pair: s for s in decisions.stale(present) if s.decision.pair}
        decided = decisions.pairs
        scores = {(min(a, b), max(a, b)): score for a, b, score, _ in self.rows}
        asked = {
            (min(a, b), max(a, b)): (a, b) for a, b, _, code in self.rows if code == "a_revoir"
        }
        asked |= {pair: pair for pair in stale}
        joined = self._joined(decisions.must_link)
        middle = median([s for s in scores.values() if s is not None] or [0.0])
        found = []
        for key, (a, b) in asked.items():
            line = decided.get(key)
            if a not in self.fiches or b not in self.fiches:
                continue
            pair = self._pair(a, b, scores.get(key), middle)
            answered = not _doubts(line) if line else _same(joined, pair.initiatives)
            if key in stale or not answered:
                found.append(replace(pair, stale=stale.get(key), doubted=_doubts(line)))
        return sorted(
            found, key=lambda p: (p.stale is None, p.stale is None and p.doubted, -p.value, p.key)
        )

    def orphans(self, decisions: Decisions) -> tuple[Decision, ...]:
        """Decisions about fiches that the warehouse does not hold."""
        return decisions.orphans(self.fiches.keys())

    def case(self, pair: Pair, decisions: Decisions) -> Case:
        """Everything about one pair."""
        with connect(self.warehouse) as con:
            return read_case(con, pair, decisions)

    def _pair(self, a: str, b: str, score: float | None, middle: float) -> Pair:
        names = (self.fiches[a].name, self.fiches[b].name)
        initiatives = (self.fiches[a].initiative, self.fiches[b].initiative)
        groups = [self.initiatives[i] for i in sorted({i for i in initiatives if i})]
        fiches = sum(count for count, _ in groups) or 2
        sources = len(frozenset().union(*(sources for _, sources in groups))) or 1
        likelihood = 0.5 if score is None else 1 / (1 + 2 ** (middle - score))
        value = likelihood * (fiches + sources)
        return Pair(a, b, names, score or 0.0, initiatives, fiches, sources, value)

    def _joined(self, must_link: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Initiative → one that stands for all those declared identical to it."""
        found: dict[str, str] = {}
        for pair in must_link:
            ids = [self.fiches[key].initiative for key in pair if key in self.fiches]
            roots = sorted({_root(found, identifier) for identifier in ids if identifier})
            found |= dict.fromkeys(roots[1:], roots[0]) if roots else {}
        return {identifier: _root(found, identifier) for identifier in found}


def _root(found: Mapping[str, str], identifier: str) -> str:
    while identifier in found:
        identifier = found[identifier]
    return identifier


def _same(joined: Mapping[str, str], initiatives: tuple[str | None, str | None]) -> bool:
    a, b = initiatives
    return a is not None and b is not None and a != b and joined.get(a, a) == joined.get(b, b)


def connect(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    """Open the last refinement, read only. Raises `FileNotFoundError` before the first run."""
    if not warehouse.database.is_file():
        raise FileNotFoundError(
            f"{warehouse.database} : pas encore de données. Commencer par : lowtech run --sample"
        )
    return duckdb.connect(str(warehouse.database), read_only=True)


def rows_of(
    con: duckdb.DuckDBPyConnection, condition: str, parameter: object
) -> dict[str, dict[str, Any]]:
    """Fiche key → its published row, for the fiches that a condition on one parameter holds for."""
    cursor = con.execute(f"SELECT * FROM fiches WHERE {condition} ORDER BY ALL", [parameter])
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {f"{row['source_id']}:{row['cle_source']}": row for row in rows}


def read_case(con: duckdb.DuckDBPyConnection, pair: Pair, decisions: Decisions) -> Case:
    """Everything about two fiches. Raises `KeyError` naming one that is not there."""
    found = rows_of(con, f"{_FICHE} IN (SELECT unnest($1::VARCHAR[]))", [pair.a, pair.b])
    for key in (pair.a, pair.b):
        if key not in found:
            raise KeyError(f"fiche inconnue : {key} (attendu source:clé)")
    compared = con.execute(
        "SELECT details, predicat, CASE WHEN decide_par = 'regle' THEN motif END, a, b FROM paires "
        "WHERE (a, b) IN (($1, $2), ($2, $1))",
        [pair.a, pair.b],
    ).fetchone()
    text, predicate, rule, *order = compared or (None, None, None, pair.a, pair.b)
    left, right = found[pair.a], found[pair.b]
    return Case(
        pair,
        left,
        right,
        words.read_details(text, rule, (order[0], order[1])),
        predicate,
        _distance(left, right),
        tuple(_consequences(con, pair, decisions)),
    )


def _distance(left: Mapping[str, Any], right: Mapping[str, Any]) -> float | None:
    places = [(fiche["latitude"], fiche["longitude"]) for fiche in (left, right)]
    if any(degree is None for place in places for degree in place):
        return None
    (y1, x1), (y2, x2) = (tuple(map(math.radians, place)) for place in places)
    haversine = (
        math.sin((y2 - y1) / 2) ** 2 + math.cos(y1) * math.cos(y2) * math.sin((x2 - x1) / 2) ** 2
    )
    return 2 * EARTH_METRES * math.asin(math.sqrt(haversine))


def _consequences(
    con: duckdb.DuckDBPyConnection, pair: Pair, decisions: Decisions
) -> list[Consequence]:
    ids = sorted({identifier for identifier in pair.initiatives if identifier})
    members = rows_of(con, "initiative_id IN (SELECT unnest($1::VARCHAR[]))", ids)
    known = dict(
        con.execute(
            "SELECT id, coalesce(cree_le, '') FROM identifiants "
            "WHERE etat <> 'retire' AND id IN (SELECT unnest($1::VARCHAR[]))",
            [[*ids, *(_founded(key) for key in (pair.a, pair.b))]],
        ).fetchall()
    )
    if len(ids) == 1:
        return _parting(pair, ids[0], list(members), known)
    return _joining(pair, members, known, decisions) if ids else []


def _joining(
    pair: Pair,
    members: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, str],
    decisions: Decisions,
) -> list[Consequence]:
    kept, given_up = sorted((str(i) for i in pair.initiatives), key=lambda i: (known.get(i, ""), i))
    side = {str(pair.initiatives[0]): "gauche", str(pair.initiatives[1]): "droite"}
    joined = (
        f"{len(members)} fiches, une seule initiative : {kept} ({side[kept]}) reste, "
        f"{given_up} ({side[given_up]}) y redirige"
    )
    found = [Consequence("identique", joined)]
    apart = "deux initiatives, comme aujourd’hui ; lié y ajoute le lien"
    found.append(Consequence("distinct", apart))
    found += [
        Consequence("attention", f"{decisions.describe(line)} sépare déjà ces initiatives")
        for key, line in decisions.pairs.items()
        if line.decision in {"distinct", "lie"}
        and key != pair.key
        and _across(key, pair.initiatives, members)
    ]
    return found


def _across(
    key: tuple[str, str],
    initiatives: tuple[str | None, str | None],
    members: Mapping[str, Mapping[str, Any]],
) -> bool:
    homes = {members[fiche]["initiative_id"] for fiche in key if fiche in members}
    return homes == set(initiatives)


def _parting(
    pair: Pair, identifier: str, members: Sequence[str], known: Mapping[str, str]
) -> list[Consequence]:
    founder = next((key for key in members if _founded(key) == identifier), None)
    stays = f"{identifier} reste avec {founder or 'le plus grand groupe de ses fiches'}"
    other = pair.a if founder == pair.b else pair.b
    former = _founded(other)
    becomes = f"{other} retrouve {former}" if former in known else f"{other} reçoit un identifiant"
    return [
        Consequence("identique", f"les {len(members)} fiches restent ensemble : {identifier}"),
        Consequence("distinct, lié", f"le groupe se sépare : {stays}, {becomes}"),
    ]


def _founded(key: str) -> str:
    source, _, rest = key.partition(":")
    return mint(source, rest, taken=())


def _doubts(line: Decision | None) -> bool:
    return line is not None and line.decision == "a_revoir"
