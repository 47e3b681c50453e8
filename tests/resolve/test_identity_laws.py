"""Laws of permanent identifiers, over any history of releases.

The ledger is held against `Model`, the rules written as plainly as they can be: everything ever
seen is kept, nothing is indexed, and every rule looks at all of it.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowtech_data.resolve.identity import Key, Ledger, advance, mint

FICHES = 7
NAMES: list[Key] = [("s", name) for name in "abcdefghij"]
"""More keys than fiches: one that was given up may serve again."""

ABSENT = -1
LABELS = st.lists(st.integers(ABSENT, 3), min_size=FICHES, max_size=FICHES).map(tuple)


def version(number: int) -> str:
    return f"2026-{number // 28 + 1:02}-{number % 28 + 1:02}"


@dataclass
class Known:
    """An id, in the model."""

    id: str
    founder: Key
    born: str
    state: str = "actif"
    target: str | None = None
    at_merge: set[Key] = field(default_factory=set)


@dataclass
class Model:
    """The rules, one after the other, on everything that was ever seen."""

    ids: dict[str, Known] = field(default_factory=dict)
    last: dict[Key, str] = field(default_factory=dict)
    """Fiches of the last release."""
    left: dict[Key, str] = field(default_factory=dict)
    """Fiches that once went by themselves."""

    def release(
        self,
        clusters: list[list[Key]],
        number: int,
        renamed: dict[Key, Key],
        withdrawn: dict[Key, str],
    ) -> dict[Key, str]:
        def new(key: Key) -> Key:
            return renamed.get(key, key)

        self.last = {new(key): known for key, known in self.last.items()}
        moved = {key: self.left.pop(old) for old, key in renamed.items() if old in self.left}
        self.left |= moved
        for known in self.ids.values():
            known.founder = new(known.founder)
            known.at_merge = {new(key) for key in known.at_merge}

        here = {key: n for n, cluster in enumerate(clusters) for key in cluster}
        for known in self.ids.values():
            stood_for = self.members(known) or {known.founder}
            if known.founder not in here and stood_for <= withdrawn.keys():
                known.state, known.target = "retire", None
        claims: dict[int, list[Known]] = {}
        for known in self.ids.values():
            place = self.place(known, clusters, here)
            if place is not None and known.state != "retire":
                claims.setdefault(place, []).append(known)

        assigned: dict[Key, str] = {}
        members = {known.id: self.members(known) for known in self.ids.values()}
        for n, cluster in sorted(enumerate(clusters), key=lambda item: min(item[1])):
            found = sorted(claims.get(n, []), key=lambda known: (known.born, known.id))
            if not found:
                identifier = mint(*min(cluster), taken=self.ids)
                found = [Known(identifier, min(cluster), version(number))]
                self.ids[identifier] = found[0]
            for other in found[1:]:
                if other.state == "actif":
                    other.at_merge = members[other.id] or {other.founder}
                other.state, other.target = "fusionne", found[0].id
            found[0].state, found[0].target = "actif", None
            assigned |= dict.fromkeys(cluster, found[0].id)
        self.lead_in_one_hop()
        self.remember(assigned, withdrawn)
        return assigned

    def members(self, known: Known) -> set[Key]:
        if known.state == "fusionne":
            return known.at_merge
        last = self.left | self.last
        return {key for key, identifier in last.items() if identifier == known.id} or known.at_merge

    def place(self, known: Known, clusters: list[list[Key]], here: dict[Key, int]) -> int | None:
        if known.founder in here:
            return here[known.founder]
        shares = [(self.members(known) & set(cluster), n) for n, cluster in enumerate(clusters)]
        held = [(-len(share), min(share), n) for share, n in shares if share]
        return min(held)[2] if held else None

    def lead_in_one_hop(self) -> None:
        ends = {}
        for known in self.ids.values():
            end = known
            while end.target is not None:
                end = self.ids[end.target]
            ends[known.id] = end
        for known in self.ids.values():
            if known.target is not None:
                gone = ends[known.id].state == "retire"
                known.state = "actif" if gone else "fusionne"
                known.target = None if gone else ends[known.id].id

    def remember(self, assigned: dict[Key, str], withdrawn: dict[Key, str]) -> None:
        went = self.last.keys() - assigned.keys() - withdrawn.keys()
        self.left |= {key: self.last[key] for key in went}
        self.last = assigned

    def resolve(self, identifier: str) -> str | None:
        known = self.ids[identifier]
        return None if known.state == "retire" else known.target or identifier


@dataclass(frozen=True)
class Week:
    """What happens before a release: keys that change, fiches withdrawn, then the partition."""

    labels: tuple[int, ...]
    new_keys: tuple[int, ...] = ()
    """For the first fiches, an index in `NAMES`; the source says so when `declared`."""
    declared: bool = True
    withdrawn: frozenset[int] = frozenset()


WEEKS = st.lists(
    st.builds(
        Week,
        labels=LABELS,
        new_keys=st.one_of(
            st.just(()), st.permutations(range(len(NAMES))).map(lambda p: tuple(p[:FICHES]))
        ),
        declared=st.booleans(),
        withdrawn=st.frozensets(st.integers(0, FICHES - 1), max_size=2),
    ),
    max_size=9,
)


@dataclass
class History:
    """A sequence of weeks as what `advance` is told, with the ledger and the model beside."""

    keys: list[Key] = field(default_factory=lambda: NAMES[:FICHES])
    said: dict[Key, Key] = field(default_factory=dict)
    pairs: set[tuple[Key, Key]] = field(default_factory=set)
    ledger: Ledger = field(default_factory=Ledger)
    members: dict[Key, str] = field(default_factory=dict)
    model: Model = field(default_factory=Model)
    number: int = 0

    def rename(self, week: Week) -> dict[Key, Key]:
        """Move fiches to other keys; a re-keying that was declared once is not declared again."""
        wanted = dict(zip(range(FICHES), (NAMES[n] for n in week.new_keys), strict=False))
        moves = {self.keys[n]: key for n, key in wanted.items() if key != self.keys[n]}
        if week.declared and any(pair in self.pairs for pair in moves.items()):
            return {}
        for n, key in wanted.items():
            self.keys[n] = key
        if not week.declared:
            return {}
        self.pairs |= set(moves.items())
        return moves

    def clusters(self, week: Week) -> list[list[Key]]:
        groups: dict[int, list[Key]] = {}
        for n, label in enumerate(week.labels):
            if label != ABSENT and n not in week.withdrawn:
                groups.setdefault(label, []).append(self.keys[n])
        return list(groups.values())


def shuffled(clusters: list[list[Key]], seed: int) -> list[list[Key]]:
    random_ = random.Random(seed)
    mixed = [random_.sample(cluster, len(cluster)) for cluster in clusters]
    random_.shuffle(mixed)
    return mixed


@settings(max_examples=400, deadline=None)
@given(WEEKS)
@example(  # Given back when the id that replaced it was retired, then told the same again.
    [
        Week((0,) * FICHES),
        Week((0, 0, 0, 0, 1, 0, 0)),
        Week((0, 0, 0, 1, 1, 0, 0)),
        Week((1, 1, 0, 1, 1, 1, 0), new_keys=(3, 1, 0, 2, 5, 6, 4), declared=False),
        Week((ABSENT, 0, 0, 0, 0, 0, 0), withdrawn=frozenset({2, 6})),
    ]
)
@example(  # Two keys swapped.
    [Week((0, 1, 2, 3, 4, 5, 6)), Week((0, 1, 2, 3, 4, 5, 6), new_keys=(1, 0, 2, 3, 4, 5, 6))]
)
@example(  # A key given up, then used for another place.
    [
        Week((0, 1, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT)),
        Week((0, 1, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT), new_keys=(7, 1, 2, 3, 4, 5, 6)),
        Week(
            (0, 1, 2, ABSENT, ABSENT, ABSENT, ABSENT),
            new_keys=(7, 1, 0, 3, 4, 5, 6),
            declared=False,
        ),
        Week((0, 1, 2, ABSENT, ABSENT, ABSENT, ABSENT)),
    ]
)
@example(  # The founder changed its key after a merge; another member is withdrawn.
    [
        Week((0, 1, 1, ABSENT, ABSENT, ABSENT, ABSENT)),
        Week((0, 0, 0, ABSENT, ABSENT, ABSENT, ABSENT)),
        Week((0, 0, 0, ABSENT, ABSENT, ABSENT, ABSENT), new_keys=(0, 7, 2, 3, 4, 5, 6)),
        Week((0, 0, 0, ABSENT, ABSENT, ABSENT, ABSENT), withdrawn=frozenset({2})),
        Week((0, 1, 1, ABSENT, ABSENT, ABSENT, ABSENT), withdrawn=frozenset({2})),
    ]
)
@example(  # All go, the founder for good; what returns a release later finds its id.
    [
        Week((0, 0, 0, ABSENT, ABSENT, ABSENT, ABSENT)),
        Week((ABSENT,) * FICHES),
        Week((ABSENT,) * FICHES),
        Week((ABSENT, 0, 0, ABSENT, ABSENT, ABSENT, ABSENT)),
    ]
)
def test_every_history_follows_the_rules(weeks: list[Week]):
    history = History()
    for week in weeks:
        history.number += 1
        renamed = history.rename(week)
        withdrawn = {history.keys[n]: "opposition" for n in week.withdrawn}
        clusters = history.clusters(week)
        told = (clusters, history.members, version(history.number))
        options = {"renamed": renamed, "withdrawn": withdrawn}

        expected = history.model.release(clusters, history.number, renamed, withdrawn)
        assigned, ledger = advance(history.ledger, *told, **options)
        assert assigned == expected

        mixed = dict(sorted(history.members.items(), reverse=True))
        again = advance(
            history.ledger, shuffled(clusters, history.number), mixed, told[2], **options
        )
        assert again == (assigned, ledger), "l’ordre de l’entrée ne compte pas"

        same = advance(ledger, clusters, assigned, version(history.number + 1), **options)
        assert same == (assigned, ledger), "rien n’a changé : aucun événement"

        assert ledger.events[: len(history.ledger.events)] == history.ledger.events
        issued = [event.id for event in ledger.events if event.evenement == "naissance"]
        assert len(issued) == len(set(issued)), "aucun identifiant n’est attribué deux fois"
        assert set(assigned.values()) <= set(issued)
        assert len(set(assigned.values())) == len(clusters)
        states = {row["id"]: row for row in ledger.table()}
        assert states.keys() == set(issued)
        for identifier, row in states.items():
            target = ledger.resolve(identifier)
            assert target == history.model.resolve(identifier)
            if target is None:
                assert (row["etat"], row["motif"]) == ("retire", "opposition")
            else:
                assert states[target]["etat"] == "actif", "un seul saut"
        assert all(ledger.resolve(known) == known for known in assigned.values())
        history.ledger, history.members = ledger, assigned


def partition(labels: tuple[int, ...]) -> list[list[Key]]:
    groups: dict[int, list[Key]] = {}
    for key, label in zip(NAMES, labels, strict=False):
        if label != ABSENT:
            groups.setdefault(label, []).append(key)
    return list(groups.values())


def release(
    ledger: Ledger, clusters: list[list[Key]], members: dict[Key, str], number: int, **options
) -> tuple[dict[Key, str], Ledger]:
    return advance(ledger, clusters, members, version(number), **options)


@given(LABELS, LABELS)
def test_a_wrong_merge_undone_gives_every_id_back(labels, merge):
    before = partition(labels)
    ids, ledger = release(Ledger(), before, {}, 1)
    merged: dict[int, list[Key]] = {}
    for group, label in zip(before, merge, strict=False):
        merged.setdefault(label, []).extend(group)
    together, ledger = release(ledger, list(merged.values()), ids, 2)
    undone, ledger = release(ledger, before, together, 3)
    assert undone == ids
    assert all(ledger.resolve(known) == known for known in ids.values())


@given(LABELS, LABELS)
def test_a_split_taken_back_restores_the_id_and_redirects_what_was_born(labels, cut):
    before = partition(labels)
    ids, ledger = release(Ledger(), before, {}, 1)
    pieces: dict[tuple[int, int], list[Key]] = {}
    for number, group in enumerate(before):
        for key in group:
            pieces.setdefault((number, cut[NAMES.index(key)]), []).append(key)
    split, ledger = release(ledger, list(pieces.values()), ids, 2)
    whole, ledger = release(ledger, before, split, 3)
    assert whole == ids
    assert all(ledger.resolve(split[key]) == ids[key] for key in ids)


@given(LABELS, st.lists(st.frozensets(st.sampled_from(NAMES[:FICHES])), max_size=4))
def test_what_disappears_and_returns_finds_its_id(labels, absences):
    before = partition(labels)
    ids, ledger = release(Ledger(), before, {}, 1)
    members = ids
    for number, gone in enumerate(absences, start=2):
        left = [[key for key in group if key not in gone] for group in before]
        members, ledger = release(ledger, left, members, number)
        assert members == {key: known for key, known in ids.items() if key not in gone}
        assert all(ledger.resolve(known) == known for known in ids.values())
    back, ledger = release(ledger, before, members, len(absences) + 2)
    assert back == ids
    assert {row["etat"] for row in ledger.table()} <= {"actif"}


@given(LABELS, st.permutations(range(len(NAMES))), LABELS)
def test_a_declared_rekeying_changes_no_id(labels, order, after):
    new = {key: NAMES[n] for key, n in zip(NAMES, order, strict=True)}
    renamed = {old: key for old, key in new.items() if old != key}
    before = partition(labels)
    ids, ledger = release(Ledger(), before, {}, 1)
    there = [[new[key] for key in group] for group in before]
    moved, rekeyed = release(ledger, there, ids, 2, renamed=renamed)
    assert moved == {new[key]: known for key, known in ids.items()}
    assert {event.evenement for event in rekeyed.events[len(ledger.events) :]} <= {"cle"}
    for key in NAMES:
        assert rekeyed.present_key(key, since=version(1)) == new[key]
        assert rekeyed.present_key(new[key], since=version(3)) == new[key]
    # What happens next is what would have happened under the former keys, births aside.
    later, _ = release(
        rekeyed, [[new[key] for key in group] for group in partition(after)], moved, 3
    )
    plain, _ = release(ledger, partition(after), ids, 3)
    inherited = {key: known for key, known in plain.items() if known in ids.values()}
    founders_present = all(
        known.fondateur in plain for known in ledger.identities.values()
    )  # Without a founder the smallest key decides, and keys are not what they were.
    if founders_present:
        assert inherited == {
            key: later[new[key]] for key in plain if later[new[key]] in ids.values()
        }


@given(st.lists(LABELS, max_size=8))
def test_the_last_release_is_all_that_needs_to_be_remembered(weeks):
    """Beside the ledger: nothing more would be known from all releases so far."""
    ledger, members, ever = Ledger(), {}, {}
    for number, labels in enumerate(weeks, start=1):
        clusters = partition(labels)
        expected = release(ledger, clusters, ever, number)
        members, ledger = release(ledger, clusters, members, number)
        assert (members, ledger) == expected
        ever |= members


TEXT = st.text(
    st.one_of(
        st.sampled_from('\u2028\u2029\x85\x0b\x0c\x1c\r\n\t"\\:é\u202e\x00'),
        st.characters(codec="utf-8"),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=4))
@example([["a\u2028b"], ["a\x85b"], ["a\x0cb"]])
def test_a_ledger_reads_back_whatever_the_keys(names):
    clusters: list[list[Key]] = []
    seen: set[Key] = set()
    for group in names:
        clusters.append([("s", name) for name in dict.fromkeys(group) if ("s", name) not in seen])
        seen |= set(clusters[-1])
    ids, ledger = release(Ledger(), clusters, {}, 1)
    merged, ledger = release(ledger, [sorted(seen)], ids, 2)
    renamed = {min(seen): ("t", "nouvelle")}
    rest = [key for key in sorted(seen) if key != min(seen)]
    moved, ledger = release(ledger, [[("t", "nouvelle")], rest[1:]], merged, 3, renamed=renamed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registre.jsonl"
        ledger.save(path)
        read = Ledger.load(path)
        read.save(path)
    assert read == ledger
    assert read.table() == ledger.table()
    assert release(read, clusters, moved, 4) == release(ledger, clusters, moved, 4)
