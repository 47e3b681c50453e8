"""A year of weekly runs through the real matching: ids stay where nothing happened.

Fiches of several listings are corrected, reworded, added and dropped, and some come back; one
source changes all its keys and says so, another does not; people merge, split, take both back, and
have fiches withdrawn. Beside the ledger stand two ids that need none, which the same year breaks.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest

from benchmarks.generator import generate
from lowtech_data.resolve import Decisions, match
from lowtech_data.resolve.decisions import append, new_decision
from lowtech_data.resolve.identity import Key, Ledger, advance

WEEKS = 52
LOST = 0.001
"""Share of untouched initiatives that may lose their id in a week, by matching alone."""

MERGED, MERGE_UNDONE, SPLIT, SPLIT_UNDONE = 8, 14, 18, 25
DECLARED, SILENT, WITHDRAWN = 30, 38, 45
"""Weeks of what people and sources do once."""

Row = dict[str, Any]
Named = Callable[[list[Key]], str]


def smallest_key(cluster: list[Key]) -> str:
    return "/".join(min(cluster))


def hash_of_members(cluster: list[Key]) -> str:
    return hashlib.sha256(repr(sorted(cluster)).encode()).hexdigest()


BASELINES: dict[str, Named] = {
    "plus petite clé": smallest_key,
    "empreinte des membres": hash_of_members,
}


@dataclass
class World:
    """The fiches listed now. A fiche is followed by its number, whatever its key becomes."""

    rows: dict[int, Row]
    pool: dict[int, Row]
    schema: pa.Schema
    draw: random.Random
    gone: dict[int, Row] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    """Fiches that say something else than the week before."""
    settled: set[int] = field(default_factory=set)
    """Initiatives that people decide about: nothing else happens to these."""

    @classmethod
    def made(cls, count: int, seed: int) -> World:
        later = count // 4
        table = generate(count + later, seed)
        rows = dict(enumerate(table.to_pylist()))
        pool = {n: rows.pop(n) for n in range(later)}
        return cls(rows, pool, table.schema, random.Random(seed))

    def key(self, number: int) -> Key:
        return self.rows[number]["source"], self.rows[number]["cle_source"]

    def pick(self, share: float) -> list[int]:
        free = [n for n in sorted(self.rows) if self.rows[n]["verite"] not in self.settled]
        return self.draw.sample(free, max(1, round(len(free) * share)))

    def live(self) -> None:
        """One week of ordinary changes."""
        self.changed = set()
        for number in self.pick(0.012):
            self.rows[number] = reworded(self.rows[number], self.draw)
            self.changed.add(number)
        for number in self.pick(0.003):
            self.gone[number] = self.rows.pop(number)
        for shelf in (self.gone, self.pool):
            for number in self.draw.sample(sorted(shelf), min(len(shelf), len(self.rows) // 300)):
                row = shelf.pop(number)
                if row["verite"] in self.settled:
                    shelf[number] = row
                else:
                    self.rows[number] = row

    def rekey(self, source: str) -> dict[Key, Key]:
        """Give every fiche of a source another key."""
        moved = {}
        for number, row in sorted(self.rows.items()):
            if row["source"] == source:
                old = self.key(number)
                self.rows[number] = row | {"cle_source": f"n{number * 7919 % 100_003}-{number}"}
                moved[old] = self.key(number)
        return moved

    def truths(self) -> dict[int, frozenset[int]]:
        """Fiches of each true initiative."""
        found: dict[int, set[int]] = defaultdict(set)
        for number, row in self.rows.items():
            found[row["verite"]].add(number)
        return {truth: frozenset(fiches) for truth, fiches in found.items()}


def reworded(row: Row, draw: random.Random) -> Row:
    """A fiche after its listing was corrected."""
    kind = draw.randrange(4)
    name, street = row["nom"], row["adresse"]
    if kind == 0:
        at = draw.randrange(len(name))
        return row | {"nom": name[: at + 1] + name[at:]}
    if kind == 1:
        return row | {"nom": name.title() if name.isupper() else name.upper()}
    if kind == 2 and street:
        return row | {"adresse": street.replace("rue", "r.").replace("avenue", "av.") + " (cour)"}
    return row | {"telephone": f"01990{draw.randrange(100_000):05}"}


class Tally(NamedTuple):
    """Initiatives to which nothing happened, and those that lost their id all the same."""

    count: int
    lost: int

    @property
    def good(self) -> bool:
        """A base of less than a thousand may lose one: matching learns from what changes."""
        return self.lost <= max(1, LOST * self.count)


@dataclass
class Year:
    """What was measured, by week."""

    kept: list[Tally] = field(default_factory=list)
    baselines: dict[str, list[Tally]] = field(default_factory=lambda: defaultdict(list))
    silent: Tally = field(default_factory=lambda: Tally(0, 0))
    """Initiatives of a source that changed its keys without a word."""
    issued: set[str] = field(default_factory=set)
    resolved: float = 0.0
    """Share of the ids of the best baseline that still stand for something at the end."""


def clustered(world: World, extra: Iterable[Row], decisions: Decisions) -> list[list[Key]]:
    rows = [world.rows[number] for number in sorted(world.rows)]
    table = pa.Table.from_pylist([*rows, *extra], world.schema).drop_columns("verite")
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("recues", table)
        con.execute("CREATE TABLE fiches_recues AS FROM recues")
        found = match(con, "fiches_recues", decisions=decisions).clusters
    groups: dict[int, list[Key]] = defaultdict(list)
    for row in found.to_pylist():
        groups[row["cluster"]].append((row["source"], row["cle_source"]))
    return list(groups.values())


def run(count: int, folder: Any, seed: int = 5) -> Year:
    world, year = World.made(count, seed), Year()
    path = folder / "decisions.jsonl"
    decisions, told = Decisions(), []
    ledger, members = Ledger(), {}
    stale: list[Row] = []
    withdrawn: dict[Key, str] = {}
    named: dict[str, dict[int, str]] = {}
    ever: dict[str, set[str]] = defaultdict(set)
    before: dict[int, str] = {}
    truths: dict[int, frozenset[int]] = {}
    decided: dict[int, str] = {}

    def decide(kind: str, **content: str) -> None:
        nonlocal decisions
        line = new_decision(
            decisions, date="2026-01-01", qui="relecture", decision=kind, motif="vu", **content
        )
        told.append(line)
        decisions = append(path, line)

    def name(number: int) -> str:
        return ":".join(world.key(number))

    for week in range(WEEKS + 1):
        renamed: dict[Key, Key] = {}
        touched: set[int] = set()
        if week:
            world.live()
        if week == 1:
            alone, twins = undisputed(members, world)
            world.settled = {world.rows[n]["verite"] for n in (*alone, *sum(twins, ()))}
            world.changed -= {n for n in world.changed if world.rows[n]["verite"] in world.settled}
        if week == MERGED:
            decided = {n: before[n] for n in (*alone, *sum(twins, ()))}
            for a, b in zip(alone[::2], alone[1::2], strict=True):
                decide("identique", a=name(a), b=name(b))
        if week == SPLIT:
            for a, b in twins:
                decide("distinct", a=name(a), b=name(b))
        if week in {MERGE_UNDONE, SPLIT_UNDONE}:
            for line in told:
                decide("annuler", annule=line.id) if line.decision != "annuler" else None
            told.clear()
        if week in {MERGED, MERGE_UNDONE, SPLIT, SPLIT_UNDONE}:
            touched |= world.settled
        if week == DECLARED:
            renamed = world.rekey("fablabs")
        if week == SILENT:
            # A source's former fiches stay in the base as absent: matching ties them to the new.
            stale = [dict(row) for row in world.rows.values() if row["source"] == "gogocarto_a"]
            silent = {n for n, row in world.rows.items() if row["source"] == "gogocarto_a"}
            world.rekey("gogocarto_a")
        if week == WITHDRAWN:
            for number in world.pick(0.002):
                withdrawn[world.key(number)] = "opposition"
                del world.rows[number]
        clusters = clustered(world, stale, decisions)
        previous = ledger
        version = f"20{26 + week // 48:02}-{week % 48 // 4 + 1:02}-{week % 4 * 7 + 1:02}"
        members, ledger = advance(
            ledger, clusters, members, version, renamed=renamed, withdrawn=withdrawn
        )
        fresh = {e.id for e in ledger.events[len(previous.events) :] if e.evenement == "naissance"}
        assert not fresh & year.issued, "aucun identifiant ne ressert"
        year.issued |= fresh
        assert year.issued == ledger.identities.keys()
        for identifier in year.issued:
            target = ledger.resolve(identifier)
            assert target is None or ledger.resolve(target) == target
            assert target is not None or ledger.identities[identifier].motif
        after = {number: members[world.key(number)] for number in world.rows}
        now = world.truths()
        unmoved = {
            truth
            for truth, fiches in now.items()
            if truths.get(truth) == fiches and truth not in touched and not fiches & world.changed
        }
        calm = untouched(before, world, unmoved)
        if week == SILENT:
            moved = [fiches for fiches in calm if fiches & silent]
            year.silent = tally(moved, before, after)
            shaken = {world.rows[n]["verite"] for n in silent}
            calm = [f for f in calm if not any(world.rows[n]["verite"] in shaken for n in f)]
        bases = {}
        for label, call in BASELINES.items():
            ids = {key: call(cluster) for cluster in clusters for key in cluster}
            bases[label] = {number: ids[world.key(number)] for number in world.rows}
            ever[label] |= set(ids.values())
        if week:
            year.kept.append(tally(calm, before, after))
            for label, ids in bases.items():
                year.baselines[label].append(tally(calm, named[label], ids))
        if week in {MERGE_UNDONE, SPLIT_UNDONE}:
            assert {n: after[n] for n in decided} == decided, "les deux identifiants sont rendus"
        if week in {MERGED, SPLIT}:
            assert {n: after[n] for n in decided} != decided
        before, truths, named = after, now, bases
    year.resolved = max(
        len(ever[label] & set(ids.values())) / len(ever[label]) for label, ids in named.items()
    )
    return year


def undisputed(members: dict[Key, str], world: World) -> tuple[list[int], list[tuple[int, int]]]:
    """Fiches that are alone, and pairs that matching found, in truth as in the clusters."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number in sorted(world.rows):
        if number not in world.changed and world.key(number) in members:
            groups[members[world.key(number)]].append(number)
    sizes = defaultdict(int)
    for identifier in members.values():
        sizes[identifier] += 1
    truths = world.truths()
    right = [
        fiches
        for identifier, fiches in sorted(groups.items())
        if sizes[identifier] == len(fiches)
        and truths[world.rows[fiches[0]]["verite"]] == set(fiches)
    ]
    alone = [fiches[0] for fiches in right if len(fiches) == 1]
    twins = [(fiches[0], fiches[1]) for fiches in right if len(fiches) == 2]
    return alone[:12], twins[:6]


def untouched(before: dict[int, str], world: World, unmoved: set[int]) -> list[set[int]]:
    """Published initiatives of the week before whose fiches say today what they said then, and
    that gain none: nothing happened to any true initiative that they speak of.
    """
    groups: dict[str, set[int]] = defaultdict(set)
    for number, identifier in before.items():
        groups[identifier].add(number)
    return [
        fiches
        for fiches in groups.values()
        if all(n in world.rows and world.rows[n]["verite"] in unmoved for n in fiches)
    ]


def tally(initiatives: list[set[int]], before: dict[int, str], after: dict[int, str]) -> Tally:
    """How many of these initiatives there are, and of how many some fiche lost the id it had."""
    lost = sum(any(before[n] != after[n] for n in fiches) for fiches in initiatives)
    return Tally(len(initiatives), lost)


def check(year: Year) -> None:
    print(f"\nregistre : {described(year.kept)} ; {len(year.issued)} identifiants, tous résolus")
    print(f"clés changées sans le dire : {described([year.silent])}")
    for label, weeks in year.baselines.items():
        print(f"{label} : {described(weeks)}")
    print(f"identifiants sans registre encore résolus : {year.resolved:.4f}")
    assert all(week.good for week in year.kept)
    assert sum(week.lost for week in year.kept) <= LOST * sum(week.count for week in year.kept)
    assert year.silent.lost <= 0.05 * year.silent.count
    for weeks in year.baselines.values():
        assert not all(week.good for week in weeks), "sans registre, l’année se passe mal"
    assert year.resolved < 1


def described(weeks: list[Tally]) -> str:
    worst = max(weeks, key=lambda week: week.lost / max(week.count, 1))
    lost, count = sum(week.lost for week in weeks), sum(week.count for week in weeks)
    return f"{lost} perdus sur {count}, pire semaine {worst.lost} sur {worst.count}"


def test_a_year_of_weekly_runs_keeps_every_untouched_id(tmp_path):
    check(run(400, tmp_path))


@pytest.mark.full
def test_a_year_of_a_larger_base(tmp_path):
    check(run(4_000, tmp_path))
