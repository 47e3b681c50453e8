"""Permanent identifiers: the founder ledger.

An id is minted at first sight from its *founder*, the smallest fiche of a new cluster, and then
follows it. From one release to the next every id claims at most one cluster: the one that holds its
founder, or, when the founder is gone, the one that holds most of its last known members. A cluster
keeps the oldest of the ids that claim it (by first release, then id); the others redirect to it. So
a merge that is undone gives both ids back, a split leaves the id with its founder, and an id that
claims nothing stays what it was.

The ledger is a list of events, only ever added to. Everything else is computed from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lowtech_data import files

Key = tuple[str, str]
"""A fiche: source and key at the source."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, lower case: no i, l, o, u."""

CHECK_MODULUS = 31
"""32 is 1 modulo 31: any one wrong character is seen, but `0` for `z`; a swap is not."""

ID_PATTERN = r"^lt-[0-9a-hjkmnp-tv-z]{10}[0-9a-hjkmnp-tv-y]$"
"""What a published id looks like: prefix, 10 characters of value, 1 of control."""

_BODY = 10
_BITS = 50


class LedgerError(ValueError):
    """The ledger cannot be read, or is asked something impossible."""


def mint(source_id: str, key: str, taken: Collection[str]) -> str:
    """The id founded by a fiche: 50 bits of SHA-256 over source, newline and key, and a check
    character. When that id is taken, the next 50 bits, and so on.
    """
    digest = hashlib.sha256(f"{source_id}\n{key}".encode()).digest()
    while True:
        bits = int.from_bytes(digest, "big")
        for start in range(0, 256 - _BITS + 1, _BITS):
            candidate = encode((bits >> (256 - _BITS - start)) & ((1 << _BITS) - 1))
            if candidate not in taken:
                return candidate
        digest = hashlib.sha256(digest).digest()


def encode(value: int) -> str:
    """The id of a 50-bit value."""
    body = "".join(ALPHABET[(value >> shift) & 31] for shift in range(_BITS - 5, -1, -5))
    return f"lt-{body}{ALPHABET[value % CHECK_MODULUS]}"


def is_valid_id(text: str) -> bool:
    """Whether a text is shaped like an id and its check character holds."""
    if not re.fullmatch(ID_PATTERN, text):
        return False
    value = 0
    for character in text[3 : 3 + _BODY]:
        value = value * 32 + ALPHABET.index(character)
    return encode(value) == text


class Event(BaseModel):
    """One line of the ledger."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    evenement: Literal["naissance", "fusion", "retour", "retrait", "cle"]
    version: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d")]
    """Date of the release, perhaps with more behind it; versions sort as text."""
    id: str | None = None
    fondateur: Key | None = None
    remplace_par: str | None = None
    membres: tuple[Key, ...] = ()
    """For a merge: the last known members of the id that gives way."""
    ancienne: Key | None = None
    nouvelle: Key | None = None
    motif: str | None = None

    def line(self) -> str:
        """The event as one line of JSON."""
        return json.dumps(
            {k: v for k, v in self.model_dump().items() if v not in (None, ())}, ensure_ascii=False
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """What the ledger says of one id now."""

    id: str
    fondateur: Key
    cree_le: str
    """First release."""
    etat: Literal["actif", "fusionne", "retire"] = "actif"
    etat_depuis: str = ""
    remplace_par: str | None = None
    membres: tuple[Key, ...] = ()
    motif: str | None = None

    @property
    def age(self) -> tuple[str, str]:
        """Sort key: the oldest id first."""
        return (self.cree_le, self.id)


@dataclass(frozen=True)
class Ledger:
    """Every id ever issued, as a list of events."""

    events: tuple[Event, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read a ledger; an absent file is an empty one. Raises `LedgerError` naming the line."""
        if not path.exists():
            return cls()
        events: list[Event] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                events.append(Event.model_validate_json(line))
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise LedgerError(f"{path}, ligne {number} : {reason}") from None
        ledger = cls(tuple(events))
        try:
            _ = ledger.identities
        except KeyError as error:
            raise LedgerError(f"{path} : un événement parle d’un id inconnu : {error}") from None
        return ledger

    def save(self, path: Path) -> None:
        """Write the whole ledger beside, then rename. Raises `LedgerError` when the file holds
        events that this ledger does not begin with: a ledger is only ever added to.
        """
        before = Ledger.load(path).events
        if self.events[: len(before)] != before:
            raise LedgerError(f"{path} : le registre sur disque n’est pas le début de celui-ci")
        files.write_bytes(path, "".join(f"{event.line()}\n" for event in self.events).encode())

    @cached_property
    def identities(self) -> Mapping[str, Identity]:
        """Id → what is known of it now."""
        found: dict[str, Identity] = {}
        for event in self.events:
            if event.evenement == "cle":
                continue
            known = found.get(str(event.id))
            found[str(event.id)] = _apply(known, event)
        return found

    @cached_property
    def renamed(self) -> Mapping[Key, Key]:
        """Former fiche key → present one, for sources that changed their keys."""
        moves: dict[Key, Key] = {}
        for event in self.events:
            if event.evenement == "cle" and event.ancienne and event.nouvelle:
                moves[event.ancienne] = event.nouvelle
        return {old: _follow(moves, old) for old in moves}

    def resolve(self, identifier: str) -> str | None:
        """The id that stands for this one today: itself, the one that replaced it, or `None` when
        it was withdrawn. Raises `KeyError` for an id never issued.
        """
        known = self.identities[identifier]
        if known.etat == "retire":
            return None
        return known.remplace_par or identifier

    def table(self) -> list[dict[str, str | None]]:
        """Rows of the published table `identifiants`, by id."""
        return [
            {
                "id": known.id,
                "etat": known.etat,
                "remplace_par": known.remplace_par,
                "cree_le": known.cree_le[:10],
                "etat_depuis": known.etat_depuis[:10],
                "motif": known.motif,
            }
            for _, known in sorted(self.identities.items())
        ]


def _apply(known: Identity | None, event: Event) -> Identity:
    if event.evenement == "naissance":
        assert event.id is not None  # noqa: S101 - for the type checker
        founder = event.fondateur or ("", "")
        return Identity(event.id, founder, event.version, etat_depuis=event.version)
    if known is None:
        raise KeyError(str(event.id))
    states: dict[str, Literal["actif", "fusionne", "retire"]] = {
        "fusion": "fusionne",
        "retour": "actif",
        "retrait": "retire",
    }
    return replace(
        known,
        etat=states[event.evenement],
        etat_depuis=event.version,
        remplace_par=event.remplace_par,
        membres=event.membres or known.membres,
        motif=event.motif,
    )


def _follow(moves: Mapping[Key, Key], key: Key) -> Key:
    seen = {key}
    while key in moves and moves[key] not in seen:
        key = moves[key]
        seen.add(key)
    return key


@dataclass(slots=True)
class _Advance:
    """The work of one release, on plain dictionaries."""

    version: str
    identities: dict[str, Identity]
    events: list[Event] = field(default_factory=list)

    def add(self, **content: Any) -> None:
        event = Event(version=self.version, **content)
        self.events.append(event)
        if event.id is not None:
            self.identities[event.id] = _apply(self.identities.get(event.id), event)


def advance(
    ledger: Ledger,
    clusters: Iterable[Collection[Key]],
    previous_members: Mapping[Key, str],
    version: str,
    *,
    renamed: Mapping[Key, Key] | None = None,
    withdrawn: Mapping[Key, str] | None = None,
) -> tuple[dict[Key, str], Ledger]:
    """Give every cluster its id, and say what happened since the last release.

    `clusters` partition the fiches of this release; `previous_members` is the id that each fiche
    last had, absent fiches included; `renamed` maps former keys to present ones; `withdrawn` maps
    fiches taken out on request to the reason. The order of `clusters` and of their members is of no
    account.

    Returns the id of each fiche, and the ledger with the new events. Raises `LedgerError` when two
    clusters share a fiche, or a former key is present beside the new one.
    """
    groups = sorted(sorted(set(cluster)) for cluster in clusters if cluster)
    home = _homes(groups)
    work = _Advance(version, dict(ledger.identities))
    moves = _record_moves(ledger, work, renamed or {}, home)
    members = _last_members(previous_members, moves)
    _withdraw(work, withdrawn or {}, members, home)
    claims = _claims(work.identities.values(), home, members, lambda key: _follow(moves, key))
    assigned = _settle(work, groups, claims, members)
    _shorten(work)
    return assigned, Ledger((*ledger.events, *work.events))


def _homes(groups: Sequence[Sequence[Key]]) -> dict[Key, int]:
    home: dict[Key, int] = {}
    for number, group in enumerate(groups):
        for key in group:
            if key in home:
                raise LedgerError(f"la fiche {key[0]}:{key[1]} est dans deux groupes")
            home[key] = number
    return home


def _record_moves(
    ledger: Ledger, work: _Advance, renamed: Mapping[Key, Key], home: Mapping[Key, int]
) -> Mapping[Key, Key]:
    moves = dict(ledger.renamed)
    for old, new in sorted(renamed.items()):
        if old == new or moves.get(old) == new:
            continue
        if old in home:
            raise LedgerError(
                f"{old[0]}:{old[1]} est déclarée renommée en {new[0]}:{new[1]}, mais existe encore"
            )
        work.add(evenement="cle", ancienne=old, nouvelle=new)
        moves[old] = new
    return moves


def _last_members(
    previous: Mapping[Key, str], moves: Mapping[Key, Key]
) -> dict[str, tuple[Key, ...]]:
    found: dict[str, set[Key]] = defaultdict(set)
    for key, identifier in previous.items():
        found[identifier].add(_follow(moves, key))
    return {identifier: tuple(sorted(keys)) for identifier, keys in found.items()}


def _withdraw(
    work: _Advance,
    withdrawn: Mapping[Key, str],
    members: Mapping[str, Sequence[Key]],
    home: Mapping[Key, int],
) -> None:
    """Retire the ids whose every known fiche was withdrawn."""
    for identifier, known in sorted(work.identities.items()):
        fiches = {known.fondateur, *members.get(identifier, ()), *known.membres}
        gone = [key for key in fiches if key in withdrawn]
        alive = [key for key in fiches if key in home and key not in withdrawn]
        if gone and not alive and known.etat != "retire":
            work.add(evenement="retrait", id=identifier, motif=withdrawn[min(gone)])


def _claims(
    identities: Iterable[Identity],
    home: Mapping[Key, int],
    members: Mapping[str, Sequence[Key]],
    present: Callable[[Key], Key],
) -> dict[int, list[Identity]]:
    claims: dict[int, list[Identity]] = defaultdict(list)
    for known in identities:
        if known.etat == "retire":
            continue
        founder = present(known.fondateur)
        last = known.membres if known.etat == "fusionne" else members.get(known.id, ())
        target = home.get(founder)
        if target is None:
            target = _majority([present(key) for key in last], home)
        if target is not None:
            claims[target].append(known)
    return claims


def _majority(keys: Sequence[Key], home: Mapping[Key, int]) -> int | None:
    """The cluster of most of these fiches; among equals, the one with the smallest of them."""
    votes: Counter[int] = Counter()
    smallest: dict[int, Key] = {}
    for key in keys:
        if key in home:
            votes[home[key]] += 1
            smallest[home[key]] = min(key, smallest.get(home[key], key))
    return min(votes, key=lambda group: (-votes[group], smallest[group]), default=None)


def _settle(
    work: _Advance,
    groups: Sequence[Sequence[Key]],
    claims: Mapping[int, Sequence[Identity]],
    members: Mapping[str, Sequence[Key]],
) -> dict[Key, str]:
    assigned: dict[Key, str] = {}
    for number, group in enumerate(groups):
        claimants = sorted(claims.get(number, ()), key=lambda known: known.age)
        if claimants:
            keeper = claimants[0].id
            if claimants[0].etat != "actif":
                work.add(evenement="retour", id=keeper, motif="fusion défaite")
        else:
            keeper = mint(*group[0], taken=work.identities)
            work.add(evenement="naissance", id=keeper, fondateur=group[0])
        for other in claimants[1:]:
            if other.etat == "actif":
                last = tuple(members.get(other.id, ())) or (other.fondateur,)
                work.add(evenement="fusion", id=other.id, remplace_par=keeper, membres=last)
            elif other.remplace_par != keeper:
                work.add(evenement="fusion", id=other.id, remplace_par=keeper)
        assigned |= dict.fromkeys(group, keeper)
    return assigned


def _shorten(work: _Advance) -> None:
    """Make every redirection lead, in one hop, to an id that is not itself redirected."""
    for identifier, known in sorted(work.identities.items()):
        if known.remplace_par is None:
            continue
        target = work.identities[known.remplace_par]
        while target.remplace_par is not None:
            target = work.identities[target.remplace_par]
        if target.etat == "retire":
            work.add(evenement="retrait", id=identifier, motif=target.motif)
        elif target.id != known.remplace_par:
            work.add(evenement="fusion", id=identifier, remplace_par=target.id)
