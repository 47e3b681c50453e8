"""`decisions.jsonl`: what people decided about fiches, read strictly, one line per decision.

The file is append-only. A line's `id` is the fingerprint of what it says, so a line edited after
the fact is seen. A later line undoes an earlier one (`annuler`); nothing is ever removed. When any
line is wrong, or two decisions contradict each other, nothing at all is applied.

Pairs are named by fiche keys, `source:cle_source`: decisions hold whatever clusters become.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lowtech_data import files
from lowtech_data.model import codes_of

FicheKey = Annotated[str, Field(pattern=r"^[a-z0-9_]+:.+$", max_length=500)]
"""`source:cle_source`. The source holds no colon; the key may."""

PAIR_KINDS = ("identique", "distinct", "lie", "a_revoir")


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
    empreintes: dict[str, str] = {}
    """Fiche key → fingerprint of the fiche that was seen when deciding."""
    annule: str | None = None

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
            raise ValueError(f"prédicat inconnu : {self.predicat}")
        if self.a is not None and self.a == self.b:
            raise ValueError(f"a et b sont la même fiche : {self.a}")
        return self

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two fiche keys in order, for a decision about a pair."""
        return (min(self.a, self.b), max(self.a, self.b)) if self.a and self.b else None


class Relation(NamedTuple):
    """`sujet` is tied to `objet` by `predicat`, as a person decided."""

    sujet: str
    predicat: str
    objet: str


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
        if not path.exists():
            return cls(source=path.name)
        return cls.parse(path.read_text(encoding="utf-8"), source=path.name)

    @classmethod
    def parse(cls, text: str, *, source: str = "decisions.jsonl") -> Decisions:
        """Same as `load`, from the file's text."""
        lines: list[Decision] = []
        numbers: dict[str, int] = {}
        undone: set[str] = set()
        problems: list[str] = []
        for number, raw in enumerate(text.splitlines(), start=1):
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

    def stale(self, fingerprints: Mapping[str, str]) -> tuple[Decision, ...]:
        """Decisions in force taken on a fiche that now says something else.

        `fingerprints` are the present ones by fiche key; a fiche that is absent is not stale.
        """
        return tuple(
            line
            for line in self.active
            if any(fingerprints.get(key, seen) != seen for key, seen in line.empreintes.items())
        )

    def _contradictions(self) -> list[str]:
        by_pair: dict[tuple[str, str], list[Decision]] = defaultdict(list)
        for line in self.active:
            if line.pair:
                by_pair[line.pair].append(line)
        problems = [
            self._explain(f"deux décisions opposées sur {pair[0]} et {pair[1]}", lines)
            for pair, lines in by_pair.items()
            if len({(line.decision, line.predicat) for line in lines}) > 1
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
        involved = "; ".join(
            f"ligne {self._numbers[line.id]} ({line.decision} {line.a} / {line.b})"
            for line in lines
        )
        return f"{self.source} : {what} : {involved}. Annulez l’une de ces lignes."


def _read(raw: str) -> Decision:
    if raw.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
        raise ValueError(
            "marque d’un conflit de fusion git : gardez les deux lots de lignes, ôtez-la"
        )
    try:
        data = json.loads(raw)
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


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
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


def append(path: Path, decision: Decision) -> Decisions:
    """Add one line at the end of the file, after checking that the whole would still hold.

    Returns the decisions as they now are. Raises `DecisionError`, and writes nothing, otherwise.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    content = decision.model_dump(exclude_none=True)
    if not content["empreintes"]:
        del content["empreintes"]
    after = before + json.dumps(content, ensure_ascii=False) + "\n"
    decisions = Decisions.parse(after, source=path.name)
    files.write_bytes(path, after.encode())
    return decisions
