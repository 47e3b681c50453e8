"""`decisions.jsonl`: what people decided about fiches, read strictly, one line per decision.

The file is append-only. A line's `id` is the fingerprint of what it says, so a line edited after
the fact is seen. A later line undoes an earlier one (`annuler`); nothing is ever removed. When any
line is wrong, or two decisions contradict each other, nothing at all is applied.

Pairs are named by fiche keys, `source:cle_source`: decisions hold whatever clusters become, and
follow the fiches of a source that changes its keys (`following`).

A line keeps fingerprints of what was seen (`traits`). When a fiche has materially changed since,
the decision still holds, whichever it is: ids must not flap because a source mends an address, and
nobody but a person undoes what a person decided. It is `stale`, and asked again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import re
import unicodedata
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date as calendar_date
from itertools import dropwhile
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lowtech_data import files
from lowtech_data.model import codes_of

FicheKey = Annotated[str, Field(pattern=r"^[a-z0-9_]+:.+$", max_length=500)]
"""`source:cle_source`. The source holds no colon; the key may."""

PAIR_KINDS = ("identique", "distinct", "lie", "a_revoir")

SYMMETRIC = frozenset({"partenaire_de"})
"""Links that say the same in both directions."""

PresentKey = Callable[[tuple[str, str], str], tuple[str, str]]
"""(source, key) of a fiche, the day it was called so → what it is called now."""

Traits = Mapping[str, str]
"""Field → fingerprints of what it says, separated by spaces; a field without a value is absent."""

CELL_DEGREES = 0.005
"""Side of the cells that positions are compared by: 560 m from south to north."""


class DecisionError(ValueError):
    """The decisions cannot be applied. One line per problem, each naming the lines involved."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the problems apart, for those who show them one by one."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Decision(BaseModel):
    """One line. `a` is the fiche decided about; `b` the other one of a pair."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}(-[0-9]+)?$")]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?$")]
    qui: Annotated[str, Field(min_length=1, max_length=80)]
    """A role or handle, never a civil name."""
    decision: Literal[
        "identique", "distinct", "lie", "a_revoir", "corriger", "fermer", "retirer", "annuler"
    ]
    a: FicheKey | None = None
    b: FicheKey | None = None
    predicat: str | None = None
    champ: str | None = None
    valeur: str | None = None
    motif: Annotated[str, Field(min_length=1, max_length=500)]
    empreintes: dict[str, dict[str, str]] = {}
    """Fiche key → `traits` of the fiche that was seen when deciding."""
    annule: str | None = None

    @model_validator(mode="after")
    def _day_exists(self) -> Decision:
        try:
            calendar_date.fromisoformat(self.date[:10])
        except ValueError:
            raise ValueError(f"date : ce jour n’existe pas : {self.date}") from None
        return self

    @model_validator(mode="after")
    def _fields_match_the_kind(self) -> Decision:
        expected = {"a": self.decision != "annuler", "b": self.decision in PAIR_KINDS}
        expected |= {"predicat": self.decision == "lie", "champ": self.decision == "corriger"}
        expected |= {"annule": self.decision == "annuler"}
        for name, wanted in expected.items():
            given = getattr(self, name) is not None
            if wanted and not given:
                raise ValueError(f"{name} est attendu pour « {self.decision} »")
            if given and not wanted:
                raise ValueError(f"{name} n’a pas de sens pour « {self.decision} »")
        if self.valeur is not None and self.decision != "corriger":
            raise ValueError(f"valeur n’a pas de sens pour « {self.decision} »")
        if self.predicat is not None and self.predicat not in codes_of("predicat"):
            known = ", ".join(sorted(codes_of("predicat")))
            raise ValueError(f"prédicat inconnu : {self.predicat} ; attendu : {known}")
        if self.a is not None and self.a == self.b:
            raise ValueError(f"a et b sont la même fiche : {self.a}")
        return self

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two fiche keys in order, for a decision about a pair."""
        return (min(self.a, self.b), max(self.a, self.b)) if self.a and self.b else None

    @property
    def fiches(self) -> tuple[str, ...]:
        """The keys of the fiches decided about."""
        return tuple(key for key in (self.a, self.b) if key is not None)

    @property
    def answer(self) -> tuple[str | None, ...]:
        """What is said of the pair: two lines on one pair contradict each other when it differs."""
        directed = self.decision == "lie" and self.predicat not in SYMMETRIC
        return (self.decision, self.predicat, self.a if directed else None)


class Relation(NamedTuple):
    """`sujet` is tied to `objet` by `predicat`, as a person decided."""

    sujet: str
    predicat: str
    objet: str


class Change(NamedTuple):
    """A field that a fiche did not say, or said otherwise, when it was decided about."""

    fiche: str
    champ: str
    nature: Literal["modifie", "ajoute"]


class Stale(NamedTuple):
    """A decision in force, and what changed under it."""

    decision: Decision
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions in force, and the whole file behind them."""

    lines: tuple[Decision, ...] = ()
    undone: frozenset[str] = frozenset()
    source: str = "decisions.jsonl"
    _numbers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Decisions:
        """Read a file; an absent one holds no decision.

        Raises `DecisionError` when a line cannot be read, was edited, is repeated, undoes nothing,
        or when decisions in force contradict each other.
        """
        return cls.parse(_content(path), source=path.name)

    @classmethod
    def parse(cls, text: str, *, source: str = "decisions.jsonl") -> Decisions:
        """Same as `load`, from the file's text."""
        lines: list[Decision] = []
        numbers: dict[str, int] = {}
        undone: set[str] = set()
        problems: list[str] = []
        for number, raw in enumerate(text.split("\n"), start=1):
            if not raw.strip():
                continue
            try:
                decision = _read(raw)
                _check_place(decision, numbers, undone, lines)
            except ValueError as error:
                problems.append(f"{source}, ligne {number} : {error}")
                continue
            if decision.annule:
                undone.add(decision.annule)
            lines.append(decision)
            numbers[decision.id] = number
        if problems:
            raise DecisionError(problems)
        decisions = cls(tuple(lines), frozenset(undone), source, numbers)
        if contradictions := decisions._contradictions():
            raise DecisionError(contradictions)
        return decisions

    @property
    def active(self) -> tuple[Decision, ...]:
        """Decisions that no later line undid, in the order of the file."""
        return tuple(
            line for line in self.lines if line.id not in self.undone and line.decision != "annuler"
        )

    def _pairs(self, *kinds: str) -> dict[tuple[str, str], Decision]:
        return {
            line.pair: line
            for line in self.active
            if line.pair is not None and line.decision in kinds
        }

    @property
    def pairs(self) -> Mapping[tuple[str, str], Decision]:
        """Ordered pair of fiche keys → the last decision about it."""
        return self._pairs(*PAIR_KINDS)

    @property
    def must_link(self) -> tuple[tuple[str, str], ...]:
        """Pairs declared the same."""
        return tuple(pair for pair, line in self.pairs.items() if line.decision == "identique")

    @property
    def cannot_link(self) -> tuple[tuple[str, str], ...]:
        """Pairs declared different, or related: both keep two initiatives."""
        return tuple(p for p, line in self.pairs.items() if line.decision in {"distinct", "lie"})

    @property
    def relations(self) -> tuple[Relation, ...]:
        """Typed links, in the direction that was decided."""
        return tuple(
            Relation(str(line.a), str(line.predicat), str(line.b))
            for line in self.pairs.values()
            if line.decision == "lie"
        )

    @property
    def corrections(self) -> Mapping[str, Mapping[str, Decision]]:
        """Fiche key → field → the last correction (its `valeur` may be empty: no value)."""
        found: dict[str, dict[str, Decision]] = defaultdict(dict)
        for line in self.active:
            if line.decision == "corriger":
                found[str(line.a)][str(line.champ)] = line
        return dict(found)

    @property
    def closures(self) -> Mapping[str, Decision]:
        """Fiche key → the decision that its initiative is closed."""
        return {str(line.a): line for line in self.active if line.decision == "fermer"}

    @property
    def withdrawals(self) -> Mapping[str, Decision]:
        """Fiche key → the decision that it must not be published."""
        return {str(line.a): line for line in self.active if line.decision == "retirer"}

    def stale(self, present: Mapping[str, Traits]) -> tuple[Stale, ...]:
        """Decisions in force taken on a fiche that now says something else, in file order.

        `present` holds the `traits` of fiches by key; a fiche that is absent has not changed. Of
        the lines on one pair, only the last is asked again. A change is material when a value seen
        then is another one now, or when a value appeared that the other fiche of the pair has too,
        so that there is more to compare; unless it only makes fiches declared identical agree. A
        value that is no longer given contradicts nothing.
        """
        last = {line.id for line in self.pairs.values()}
        found = (
            Stale(line, tuple(_changes(line, present)))
            for line in self.active
            if line.pair is None or line.id in last
        )
        return tuple(stale for stale in found if stale.changes)

    def following(self, present_key: PresentKey) -> Decisions:
        """The same decisions on the present keys of re-keyed fiches (`Ledger.present_key`).

        A pair whose two fiches became one keeps its former keys: it is about nothing any more, and
        `orphans` tells of it. Raises `DecisionError` when decisions on two former keys contradict
        each other on the new one.
        """
        moved = replace(self, lines=tuple(_followed(line, present_key) for line in self.lines))
        if contradictions := moved._contradictions():
            raise DecisionError(contradictions)
        return moved

    def orphans(self, known: Collection[str]) -> tuple[Decision, ...]:
        """Decisions in force about a fiche that is not among the `known` keys.

        They are kept, and apply again if the fiche comes back.
        """
        return tuple(line for line in self.active if not set(line.fiches) <= set(known))

    def describe(self, line: Decision) -> str:
        """Where a line is and what it says, for people."""
        said = " / ".join(line.fiches) or str(line.annule)
        return f"ligne {self._numbers[line.id]} ({line.decision} {said}, id {line.id})"

    def _contradictions(self) -> list[str]:
        by_pair: dict[tuple[str, str], list[Decision]] = defaultdict(list)
        for line in self.active:
            if line.pair:
                by_pair[line.pair].append(line)
        problems = [
            self._explain(f"décisions opposées sur {pair[0]} et {pair[1]}", answers)
            for pair, answers in ((pair, _answers(lines)) for pair, lines in by_pair.items())
            if len({line.answer for line in answers}) > 1
        ]
        links: dict[str, list[tuple[str, Decision]]] = defaultdict(list)
        for (a, b), line in self._pairs("identique").items():
            links[a].append((b, line))
            links[b].append((a, line))
        for (a, b), line in self._pairs("distinct", "lie").items():
            chain = _chain(links, a, b)
            if len(chain) > 1:
                problems.append(
                    self._explain(
                        f"{a} et {b} : déclarées identiques de proche en proche", [*chain, line]
                    )
                )
        return problems

    def _explain(self, what: str, lines: Iterable[Decision]) -> str:
        involved = " ; ".join(map(self.describe, lines))
        return (
            f"{self.source} : {what} : {involved}. Annuler l’une de ces lignes : "
            "lowtech review undo ID"
        )


def _answers(lines: Sequence[Decision]) -> list[Decision]:
    """The lines on a pair, without the doubts that came before the first answer."""
    return list(dropwhile(lambda line: line.decision == "a_revoir", lines))


def _followed(line: Decision, present_key: PresentKey) -> Decision:
    def now(name: str) -> str:
        source, _, key = name.partition(":")
        return ":".join(present_key((source, key), line.date[:10]))

    a, b = (now(name) if name else None for name in (line.a, line.b))
    if a is not None and a == b:
        return line
    seen = {now(name): said for name, said in line.empreintes.items()}
    return line.model_copy(update={"a": a, "b": b, "empreintes": seen})


def _changes(line: Decision, present: Mapping[str, Traits]) -> Iterator[Change]:
    for key, seen in sorted(line.empreintes.items()):
        others = [present.get(other, {}) for other in line.fiches if other != key]
        for name, now in present.get(key, {}).items():
            other = others[0].get(name) if others else None
            if line.decision == "identique" and _agree(now, other):
                continue
            if name in seen and not _agree(now, seen[name]):
                yield Change(key, name, "modifie")
            elif name not in seen and other is not None:
                yield Change(key, name, "ajoute")


def _agree(one: str | None, other: str | None) -> bool:
    return bool({*(one or "").split()} & {*(other or "").split()})


def traits(fiche: Mapping[str, Any]) -> dict[str, str]:
    """What a person judges a clean fiche by: its name, its place, its contacts, its identifiers.

    Capitals, accents, spaces and punctuation are of no account, nor is what describes the activity.
    Only fingerprints are kept, short ones, so that the decisions hold no address nor number. The
    position counts when there is no street: it then has one fingerprint in each of four overlapping
    grids, of which neighbours closer than half a cell always share one.
    """
    said = {
        "nom": fiche.get("nom"),
        "adresse": fiche.get("adresse"),
        "commune": fiche.get("commune"),
        "departement": (fiche.get("code_postal") or "")[:2],
        "site_web": re.sub(r"^https?://(www\.)?", "", fiche.get("site_web") or "", flags=re.I),
        "courriel": fiche.get("courriel"),
        "telephone": fiche.get("telephone"),
        "siret": fiche.get("siret"),
        "rna": fiche.get("rna"),
    }
    found = {name: _short_hash(name, folded(value)) for name, value in said.items() if value}
    latitude, longitude = fiche.get("latitude"), fiche.get("longitude")
    if latitude is not None and longitude is not None and not fiche.get("adresse"):
        found["position"] = " ".join(
            _short_hash("position", f"{shift_y} {y} {shift_x} {x}")
            for shift_y, y in _cells(latitude)
            for shift_x, x in _cells(longitude)
        )
    return found


def _cells(degrees: float) -> list[tuple[int, int]]:
    return [(shift, math.floor(degrees / CELL_DEGREES + shift / 2)) for shift in (0, 1)]


def _short_hash(name: str, value: str) -> str:
    return hashlib.sha256(f"{name}\n{value}".encode()).hexdigest()[:8]


def folded(text: str) -> str:
    """A text without what writing alone varies: capitals, accents, spaces, punctuation."""
    plain = unicodedata.normalize("NFKD", text).casefold().replace("œ", "oe").replace("æ", "ae")
    return "".join(c for c in plain if c.isalnum()) or text.strip()


def _read(raw: str) -> Decision:
    if raw.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
        raise ValueError(
            "marque d’un conflit de fusion git : gardez les deux lots de lignes, ôtez-la"
        )
    try:
        data = json.loads(raw, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise ValueError(f"JSON illisible ({error.msg}, colonne {error.colno})") from None
    if not isinstance(data, dict):
        raise ValueError("un objet JSON est attendu")
    try:
        decision = Decision.model_validate(data)
    except ValidationError as error:
        raise ValueError(" ; ".join(_problem(item) for item in error.errors())) from None
    expected = fingerprint(data)
    if decision.id.partition("-")[0] != expected:
        raise ValueError(
            f"la ligne a été modifiée après coup (id {decision.id}, attendu {expected}) : "
            "rétablissez-la et ajoutez une ligne qui l’annule"
        )
    return decision


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object read so that no second value can hide behind the one that is signed."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("un champ y est deux fois")
    return found


_PROBLEMS = {
    "missing": "champ attendu, absent",
    "extra_forbidden": "champ inconnu",
    "literal_error": "valeur inattendue",
    "string_pattern_mismatch": "forme inattendue",
    "string_type": "texte attendu",
    "dict_type": "objet attendu",
    "string_too_short": "texte vide",
    "string_too_long": "texte trop long",
}


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":
        message = str(error["msg"]).removeprefix("Value error, ")
    else:
        message = _PROBLEMS.get(error["type"], str(error["msg"]))
    if isinstance(error["input"], str):
        message += f" (« {error['input'][:60]} »)"
    return f"{where} : {message}" if where else message


def _check_place(
    decision: Decision, numbers: Mapping[str, int], undone: set[str], lines: Sequence[Decision]
) -> None:
    if decision.id in numbers:
        raise ValueError(f"même id que la ligne {numbers[decision.id]} : {decision.id}")
    target = decision.annule
    if target is None:
        return
    if target not in numbers:
        raise ValueError(f"annule une décision qui n’est pas plus haut : {target}")
    if target in undone:
        raise ValueError(f"la décision {target} est déjà annulée")
    if any(line.id == target and line.decision == "annuler" for line in lines):
        raise ValueError(
            "une annulation ne s’annule pas : reprenez la décision par une nouvelle ligne"
        )


def _chain(
    links: Mapping[str, Sequence[tuple[str, Decision]]], start: str, goal: str
) -> list[Decision]:
    """The shortest chain of decisions between two fiches, empty when there is none."""
    queue = deque([start])
    came: dict[str, tuple[str, Decision] | None] = {start: None}
    while queue:
        here = queue.popleft()
        if here == goal:
            break
        for there, line in links.get(here, ()):
            if there not in came:
                came[there] = (here, line)
                queue.append(there)
    chain: list[Decision] = []
    step = came.get(goal)
    while step is not None:
        chain.append(step[1])
        step = came[step[0]]
    return chain[::-1]


def fingerprint(content: Mapping[str, Any]) -> str:
    """12 hexadecimal characters of the SHA-256 of a line's content, without its `id` and blanks."""
    said = {k: v for k, v in content.items() if k != "id" and v not in (None, {})}
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def new_decision(existing: Decisions, /, **content: Any) -> Decision:
    """A decision ready to be appended, with its `id`. Raises `DecisionError` if not valid."""
    base = fingerprint(content)
    taken = {line.id for line in existing.lines}
    rank = 1
    identifier = base
    while identifier in taken:
        rank += 1
        identifier = f"{base}-{rank}"
    try:
        return Decision.model_validate({"id": identifier, **content})
    except ValidationError as error:
        raise DecisionError([_problem(item) for item in error.errors()]) from None


def append(path: Path, *decisions: Decision, present_key: PresentKey | None = None) -> Decisions:
    """Add lines at the end of the file, all or none, after checking that the whole would hold.

    Returns the decisions as they now are, `following` the keys of fiches when told how. Raises
    `DecisionError`, and writes nothing, otherwise. Whoever else appends to the file waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        before = _content(path)
        if before and not before.endswith("\n"):
            before += "\n"
        after = before + "".join(_line(decision) for decision in decisions)
        parsed = Decisions.parse(after, source=path.name)
        if present_key is not None:
            parsed = parsed.following(present_key)
        files.write_bytes(path, after.encode())
    return parsed


def _line(decision: Decision) -> str:
    content = {k: v for k, v in decision.model_dump().items() if v not in (None, {})}
    return json.dumps(content, ensure_ascii=False) + "\n"


def _content(path: Path) -> str:
    data = path.read_bytes() if path.exists() else b""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise DecisionError(
            [f"{path.name}, ligne {number} : octets illisibles ; le fichier doit être en UTF-8"]
        ) from None


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold a directory: files are replaced by renaming, so that a file's own lock would not do."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
