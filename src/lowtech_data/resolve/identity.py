"""Permanent identifiers: the founder ledger.

An id is minted at first sight from its *founder*, the smallest fiche of a new cluster, and then
follows it. The rules, applied to every release in this order:

1. *Re-keying.* A source that changed its keys declares former key → new key. All pairs declared
   for one release hold at once (two keys may be swapped), and what the ledger knows under a former
   key it knows under the new one from then on. A former key that its source gives later to another
   place is another fiche.
2. *Withdrawal.* An id is retired for ever, with the reason, when every fiche that it last stood for
   was taken out on request and its founder is not present.
3. *Claims.* Every id that is not retired claims at most one cluster: the one that holds its
   founder; when the founder is gone, the one that holds most of its last known members; among
   equals, the one that holds the smallest of these.
4. *Merge.* A cluster keeps the oldest of the ids that claim it (by first release, then id); the
   others redirect to it.
5. *Undo, return.* So a merge that is undone gives both ids back, and a fiche that comes back finds
   its id again: the ledger remembers which id each absent fiche last had.
6. *Birth.* A cluster that no id claims founds one. An id that was ever issued is never issued
   again, not even to the same founder.
7. *Disappearance.* An id that claims nothing stays what it was.
8. *One hop.* A redirection leads to an active id. When the id that it led to is retired, the one
   that redirected, whose own fiches nobody withdrew, is given back.

The ledger is a list of events, only ever added to. Everything else is computed from it: with the
fiches of the same release it is all that the next release needs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from lowtech_data import files

Key = tuple[str, str]
"""A fiche: source and key at the source."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, lower case: no i, l, o, u."""

CHECK_MODULUS = 31
"""32 is 1 modulo 31: any one wrong character is seen, but `0` for `z`; a swap is not."""

ID_PATTERN = r"^lt-[0-9a-hjkmnp-tv-z]{10}[0-9a-hjkmnp-tv-y]$"
"""What a published id looks like: prefix, 10 characters of value, 1 of control."""

UNDONE = "fusion défaite"
"""Reason for which a redirected id stands for itself again: its fiches are a cluster of theirs."""

GIVEN_BACK = "l’identifiant qui le remplaçait a été retiré"
"""Reason for which a redirected id stands for itself again without any fiche."""

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


_Kind = Literal["naissance", "fusion", "retour", "retrait", "depart", "cle"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the ledger."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    evenement: _Kind
    version: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d")]
    """Date of the release, perhaps with more behind it; versions sort as text."""
    id: str | None = None
    fondateur: Key | None = None
    """For a birth."""
    remplace_par: str | None = None
    """For a merge."""
    membres: tuple[Key, ...] = ()
    """For a merge, the last known members of the id that gives way. For a departure, the fiches of
    this id that are nowhere any more."""
    ancienne: Key | None = None
    nouvelle: Key | None = None
    lot: int | None = None
    """For a re-keying, its rank: pairs of one rank hold at once, ranks one after the other."""
    motif: str | None = None

    def line(self) -> str:
        """The event as one line of JSON."""
        said = ((name, getattr(self, name)) for name in _EVENT_FIELDS)
        return json.dumps({k: v for k, v in said if v not in (None, ())}, ensure_ascii=False)


_EVENT_FIELDS = tuple(item.name for item in fields(Event))
_EVENT = TypeAdapter(Event)


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
    """The last known members of an id that redirects."""
    motif: str | None = None
    lot: int = 0
    """The re-keyings, by rank, that the keys written here already know."""

    @property
    def age(self) -> tuple[str, str]:
        """Sort key: the oldest id first."""
        return (self.cree_le, self.id)


@dataclass(slots=True)
class _Moves:
    """Re-keyings, by former key."""

    versions: list[str] = field(default_factory=list)
    """Release of each rank, from 1 on."""
    known: dict[Key, tuple[tuple[int, Key], ...]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return len(self.versions)

    def follow(self, key: Key, rank: int) -> Key:
        """What a fiche, known after the re-keyings of `rank`, is called after the last ones."""
        while key in self.known:
            later = next((move for move in self.known[key] if move[0] > rank), None)
            if later is None:
                break
            rank, key = later
        return key

    def pairs(self) -> set[tuple[Key, Key]]:
        return {(old, new) for old, moves in self.known.items() for _, new in moves}


@dataclass(slots=True)
class _State:
    """What the events so far amount to."""

    identities: dict[str, Identity] = field(default_factory=dict)
    absent: dict[Key, str] = field(default_factory=dict)
    """The id that a fiche had when it left, by present key. One that came back stays here: what
    the last release says of it goes before."""
    moves: _Moves = field(default_factory=_Moves)

    def copy(self) -> _State:
        moves = _Moves(list(self.moves.versions), dict(self.moves.known))
        return _State(dict(self.identities), dict(self.absent), moves)

    def apply(self, event: Event) -> None:
        """Raises `LedgerError` when the event cannot follow what was said before."""
        if event.id is None or event.lot is not None:
            raise LedgerError(f"« {event.evenement} » attend un id, et pas de lot")
        known = self.identities.get(event.id)
        if event.evenement == "naissance":
            if known is not None:
                raise LedgerError(f"{event.id} est attribué une deuxième fois")
            self.identities[event.id] = _born(event, event.id, self.moves.last)
        elif known is None:
            raise LedgerError(f"{event.id} n’a jamais été attribué")
        elif known.etat == "retire":
            raise LedgerError(f"{event.id} est déjà retiré")
        elif event.evenement == "depart":
            self.absent |= dict.fromkeys(event.membres, event.id)
        else:
            self.identities[event.id] = self._changed(known, event)

    def rekey(self, rank: int, events: Iterable[Event]) -> None:
        """Apply the re-keyings of one rank, all at once."""
        if rank != self.moves.last + 1:
            raise LedgerError(f"lot {rank}, {self.moves.last + 1} attendu")
        moved: dict[Key, str] = {}
        for event in events:
            old, new = event.ancienne, event.nouvelle
            if event.evenement != "cle" or old is None or new is None:
                raise LedgerError("un lot n’est fait que de « cle », chacune avec ses deux clés")
            if rank > self.moves.last:
                self.moves.versions.append(event.version)
            self.moves.known[old] = (*self.moves.known.get(old, ()), (rank, new))
            if old in self.absent:
                moved[new] = self.absent.pop(old)
        self.absent |= moved

    def _changed(self, known: Identity, event: Event) -> Identity:
        if event.evenement == "fusion" and event.remplace_par not in self.identities:
            raise LedgerError(f"« fusion » attend en remplace_par un id attribué : {event.id}")
        state = _STATES[event.evenement]
        since = known.etat_depuis if known.etat == state else event.version
        written, lot = (event.membres, self.moves.last) if event.membres else (known.membres, None)
        founder = known.fondateur
        if lot is not None:
            founder = self.moves.follow(founder, known.lot)
        return replace(
            known,
            fondateur=founder,
            etat=state,
            etat_depuis=since,
            remplace_par=event.remplace_par,
            membres=written,
            motif=event.motif,
            lot=known.lot if lot is None else lot,
        )


_STATES: Mapping[str, Literal["actif", "fusionne", "retire"]] = {
    "fusion": "fusionne",
    "retour": "actif",
    "retrait": "retire",
}


def _born(event: Event, identifier: str, lot: int) -> Identity:
    if event.fondateur is None:
        raise LedgerError(f"« naissance » attend un fondateur : {identifier}")
    return Identity(identifier, event.fondateur, event.version, etat_depuis=event.version, lot=lot)


@dataclass(frozen=True)
class Ledger:
    """Every id ever issued, as a list of events."""

    events: tuple[Event, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read a ledger, such as the one that is part of a release; an absent file is an empty one.

        Raises `LedgerError` naming the line that cannot be read, or cannot follow the lines before.
        """
        if not path.exists():
            return cls()
        events: list[Event] = []
        # Not `splitlines`: a key may hold characters that it takes for the end of a line.
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            try:
                events.append(_EVENT.validate_json(line))
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise LedgerError(f"{path}, ligne {number} : {reason}") from None
        ledger = cls(tuple(events))
        try:
            _ = ledger._state
        except LedgerError as error:
            raise LedgerError(f"{path}, {error}") from None
        return ledger

    def save(self, path: Path) -> None:
        """Write the whole ledger beside, then rename. Raises `LedgerError` when the file holds
        events that this ledger does not begin with: a ledger is only ever added to.
        """
        content = "".join(f"{event.line()}\n" for event in self.events).encode()
        if path.exists() and not content.startswith(path.read_bytes()):
            raise LedgerError(f"{path} : le registre sur disque n’est pas le début de celui-ci")
        files.write_bytes(path, content)

    @cached_property
    def _state(self) -> _State:
        state = _State()
        number = 1
        for rank, group in groupby(self.events, key=lambda event: event.lot):
            events = list(group)
            try:
                if rank is not None:
                    state.rekey(rank, events)
                    number += len(events)
                    continue
                for event in events:
                    state.apply(event)
                    number += 1
            except LedgerError as error:
                raise LedgerError(f"ligne {number} : {error}") from None
        for known in state.identities.values():
            if known.remplace_par and state.identities[known.remplace_par].etat != "actif":
                raise LedgerError(
                    f"fin : {known.id} renvoie à {known.remplace_par}, qui n’est pas actif"
                )
        return state

    @property
    def identities(self) -> Mapping[str, Identity]:
        """Id → what is known of it now."""
        return self._state.identities

    @property
    def former_keys(self) -> frozenset[Key]:
        """Keys that a source once gave up for others. It may use one again for another place."""
        return frozenset(self._state.moves.known)

    def present_key(self, key: Key, since: str = "") -> Key:
        """What a fiche that had this key at the release `since` is called now."""
        moves = self._state.moves
        rank = sum(version < since for version in moves.versions)
        return moves.follow(key, rank)

    def rekeyed(self, renamed: Mapping[Key, Key], version: str) -> Ledger:
        """The ledger with these re-keyings (former → new) noted, those noted before left out."""
        before = self._state.moves
        pairs = before.pairs()
        fresh = {(old, new) for old, new in renamed.items() if old != new} - pairs
        events = (
            Event("cle", version, ancienne=old, nouvelle=new, lot=before.last + 1)
            for old, new in sorted(fresh)
        )
        return self._with(events)

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

    def _with(self, events: Iterable[Event]) -> Ledger:
        added = tuple(events)
        return Ledger((*self.events, *added)) if added else self


@dataclass(slots=True)
class _Release:
    """The work of one release: a state, and the events that change it."""

    version: str
    state: _State
    events: list[Event] = field(default_factory=list)

    def add(self, kind: _Kind, **content: Any) -> None:
        """Note an event other than a re-keying."""
        event = Event(kind, self.version, **content)
        self.events.append(event)
        self.state.apply(event)

    def fiches(
        self, known: Identity, members: Mapping[str, Sequence[Key]]
    ) -> tuple[Key, Sequence[Key]]:
        """Founder and last known members of an id, under their present keys."""
        follow = self.state.moves.follow
        founder = follow(known.fondateur, known.lot)
        last = members.get(known.id) if known.etat == "actif" else None
        return founder, last or [follow(key, known.lot) for key in known.membres]


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

    `clusters` partition the fiches of this release, that of `version`. `previous_members` is the id
    of each fiche of the last release, as `advance` gave it then; the last id of fiches seen before
    may be there too, but is known from the ledger, and must not be when sources change keys.
    `renamed` maps former keys to new ones, and may go on saying what it said for earlier releases;
    `withdrawn` maps fiches taken out on request, by their present keys, to the reason. No order is
    of any account.

    Returns the id of each fiche, and the ledger with the new events: none when nothing changed.
    Raises `LedgerError` when two clusters share a fiche, when a withdrawn fiche is in one, when a
    former key is there beside the new one, or when `previous_members` names an unknown id.
    """
    withdrawn = withdrawn or {}
    groups = sorted(sorted(set(cluster)) for cluster in clusters if cluster)
    home = _homes(groups, withdrawn)
    rekeyed = ledger.rekeyed(renamed or {}, version)
    noted = list(rekeyed.events[len(ledger.events) :])
    _check_gone(noted, home)
    work = _Release(version, rekeyed._state.copy(), noted)
    members = _last_members(work, previous_members, ledger._state.moves.last, home, withdrawn)
    _withdraw(work, members, home, withdrawn)
    assigned = _settle(work, groups, _claims(work, home, members), members)
    _shorten(work)
    return assigned, ledger._with(work.events)


def _homes(groups: Sequence[Sequence[Key]], withdrawn: Collection[Key]) -> dict[Key, int]:
    home: dict[Key, int] = {}
    for number, group in enumerate(groups):
        for key in group:
            if key in home:
                raise LedgerError(f"la fiche {key[0]}:{key[1]} est dans deux groupes")
            if key in withdrawn:
                raise LedgerError(f"la fiche {key[0]}:{key[1]} est retirée, mais dans un groupe")
            home[key] = number
    return home


def _check_gone(rekeyings: Sequence[Event], home: Mapping[Key, int]) -> None:
    """A former key may only be present when it is itself the new key of another fiche."""
    arrived = {event.nouvelle for event in rekeyings}
    for event in rekeyings:
        old, new = event.ancienne, event.nouvelle
        if old and new and old in home and old not in arrived:
            raise LedgerError(
                f"{old[0]}:{old[1]} est déclarée renommée en {new[0]}:{new[1]}, mais existe encore"
            )


def _last_members(
    work: _Release,
    previous: Mapping[Key, str],
    rank: int,
    home: Mapping[Key, int],
    withdrawn: Collection[Key],
) -> dict[str, list[Key]]:
    """The last known fiches of each id, by present key; the ledger is told of those that leave.

    `rank` is that of the keys of `previous`.
    """
    follow = work.state.moves.follow
    absent = dict(work.state.absent)
    members: dict[str, list[Key]] = defaultdict(list)
    left: dict[str, list[Key]] = defaultdict(list)
    for former, identifier in previous.items():
        key = follow(former, rank)
        members[identifier].append(key)
        if absent.pop(key, None) != identifier and key not in home and key not in withdrawn:
            left[identifier].append(key)
    for key, identifier in absent.items():
        members[identifier].append(key)
    if unknown := min(members.keys() - work.state.identities.keys(), default=None):
        raise LedgerError(
            f"{unknown} : identifiant inconnu du registre, qui n’est donc pas celui de la version "
            "précédente"
        )
    for identifier in sorted(left):
        if work.state.identities[identifier].etat != "retire":
            work.add("depart", id=identifier, membres=tuple(sorted(left[identifier])))
    return members


def _withdraw(
    work: _Release,
    members: Mapping[str, Sequence[Key]],
    home: Mapping[Key, int],
    withdrawn: Mapping[Key, str],
) -> None:
    if not withdrawn:
        return
    for identifier, known in sorted(work.state.identities.items()):
        founder, last = work.fiches(known, members)
        stood_for = set(last) or {founder}
        if known.etat != "retire" and founder not in home and stood_for <= withdrawn.keys():
            work.add("retrait", id=identifier, motif=withdrawn[min(stood_for)])


def _claims(
    work: _Release, home: Mapping[Key, int], members: Mapping[str, Sequence[Key]]
) -> dict[int, list[Identity]]:
    claims: dict[int, list[Identity]] = defaultdict(list)
    for known in work.state.identities.values():
        if known.etat == "retire":
            continue
        founder, last = work.fiches(known, members)
        target = home.get(founder)
        if target is None:
            target = _majority(last, home)
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
    work: _Release,
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
                work.add("retour", id=keeper, motif=UNDONE)
        else:
            keeper = mint(*group[0], taken=work.state.identities)
            work.add("naissance", id=keeper, fondateur=group[0])
        for other in claimants[1:]:
            if other.etat == "actif":
                founder, last = work.fiches(other, members)
                fiches = tuple(sorted(last)) or (founder,)
                work.add("fusion", id=other.id, remplace_par=keeper, membres=fiches)
            elif other.remplace_par != keeper:
                work.add("fusion", id=other.id, remplace_par=keeper)
        for key in group:
            assigned[key] = keeper
    return assigned


def _shorten(work: _Release) -> None:
    """Make every redirection lead, in one hop, to an active id."""
    identities = work.state.identities
    redirected = sorted(known.id for known in identities.values() if known.remplace_par)
    for identifier in redirected:
        target = first = str(identities[identifier].remplace_par)
        while known := identities[target].remplace_par:
            target = known
        if identities[target].etat == "retire":
            work.add("retour", id=identifier, motif=GIVEN_BACK)
        elif target != first:
            work.add("fusion", id=identifier, remplace_par=target)
