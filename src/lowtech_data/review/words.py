"""How the review says things: codes, levels, bits, distances, and how two values compare."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from lowtech_data.model import LISTS
from lowtech_data.resolve.decisions import Change, folded

_ACCENTED = {
    "a": "à", "acces": "accès", "cles": "clés", "complete": "complété", "demenage": "déménagé",
    "demenagement": "déménagement", "desaccord": "désaccord", "different": "différent",
    "differents": "différents", "differente": "différente", "ecart": "écart", "egal": "égal",
    "egale": "égale", "egaux": "égaux", "eloigne": "éloigné", "evidence": "évidence",
    "frequence": "fréquence", "frequent": "fréquent", "hote": "hôte", "hotes": "hôtes",
    "identifiant": "identifiant", "identite": "identité", "invite": "invité",
    "itinerant": "itinérant", "meme": "même", "memes": "mêmes", "metres": "mètres",
    "numero": "numéro", "numeros": "numéros", "oppose": "opposé", "opposes": "opposés",
    "partage": "partagé", "partagee": "partagée", "precis": "précis", "precision": "précision",
    "reserve": "réserve", "reseau": "réseau", "similarite": "similarité",
    "telephone": "téléphone", "tres": "très", "verifie": "vérifié",
}  # fmt: skip
"""Accents of the words that codes are made of: codes have none, readers expect them."""

FIELDS = {
    "nom": "nom", "adresse": "adresse", "commune": "commune", "departement": "département",
    "position": "position", "site_web": "site", "courriel": "courriel", "telephone": "téléphone",
    "siret": "SIRET", "rna": "RNA",
}  # fmt: skip
"""What a decision remembers of a fiche (`decisions.traits`), as the screen calls it."""


class Part(NamedTuple):
    """One comparison of the score."""

    name: str
    level: str
    bits: float
    facts: str
    """What else the matcher noted of it."""


class Details(NamedTuple):
    """What the matcher kept of a pair."""

    rule: str | None
    parts: tuple[Part, ...]
    notes: tuple[tuple[str, str], ...]
    metres: float | None


def spoken(code: str) -> str:
    """A code as words: `meme_adresse_autre_nom` → « même adresse autre nom »."""
    return " ".join(_ACCENTED.get(word, word) for word in code.split("_") if word)


def label(list_name: str, code: str | None) -> str:
    """The French label of a code in lower case; the code itself when it is not declared."""
    return next((c.label_fr.lower() for c in LISTS[list_name] if c.code == code), code or "")


def bits(value: float) -> str:
    """« +9,2 »"""
    return f"{value:+.1f}".replace(".", ",").replace("-", "−")


def metres(value: float) -> str:
    """« 1 573 m »"""
    return f"{round(value):,} m".replace(",", "\u202f")


def address(url: str | None) -> str | None:
    """An address of the web without what all of them begin with."""
    return url and url.removeprefix("https://").removeprefix("http://")


def plain(value: object) -> str:
    """A value as one line that cannot move the cursor nor turn the text around."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, value))
    spaced = " ".join(str(value).split())
    return "".join(c for c in spaced if not unicodedata.category(c).startswith("C"))


def mark(left: str, right: str) -> str:
    """« = » the same, « ≈ » but for the writing, « ≠ » otherwise; nothing when one is missing."""
    if not left or not right:
        return " "
    if left == right:
        return "="
    return "≈" if folded(left) == folded(right) else "≠"


def own_words(text: str, other: str) -> Iterator[tuple[str, bool]]:
    """The words of a text, and whether the other text lacks them."""
    known = {folded(word) for word in other.split()}
    for word in text.split():
        yield word, folded(word) not in known


def changed(changes: Iterable[Change]) -> str:
    """« alpha:a0 : adresse, téléphone en plus ; beta:b0 : nom »"""
    by_fiche: dict[str, list[str]] = {}
    for change in changes:
        added = " en plus" if change.nature == "ajoute" else ""
        by_fiche.setdefault(change.fiche, []).append(f"{FIELDS[change.champ]}{added}")
    return " ; ".join(f"{fiche} : {', '.join(names)}" for fiche, names in by_fiche.items())


def read_details(text: str | None) -> Details:
    """Read the JSON that the matcher keeps of a pair, whatever comparisons it made.

    Any object with a number `bits` is a part, named by its key, at any depth.
    """
    parts: list[Part] = []
    notes: list[tuple[str, str]] = []
    found = json.loads(text) if text else {}
    _walk("", found, parts, notes)
    rule = found.get("regle")
    return Details(rule if isinstance(rule, str) else None, tuple(parts), tuple(notes),
                   _first_number(found, "metres"))  # fmt: skip


def _walk(name: str, value: Any, parts: list[Part], notes: list[tuple[str, str]]) -> None:
    match value:
        case {"bits": int() | float() as weight}:
            level = value.get("niveau")
            facts = {str(k): v for k, v in value.items() if k not in ("bits", "niveau")}
            said = ", ".join(
                f"{spoken(key)} {_shown(fact)}"
                for key, fact in facts.items()
                if fact not in (None, False, 0, "") and not isinstance(fact, (dict, list))
            )
            parts.append(Part(spoken(name), spoken(str(level or "")), float(weight), said))
            for key, inner in facts.items():
                if isinstance(inner, dict):
                    _walk(key, inner, parts, notes)
        case dict():
            for key, inner in value.items():
                _walk(key, inner, parts, notes)
        case list() if any(isinstance(item, dict) for item in value):
            for item in value:
                _walk(str(item.get("nom", name)) if isinstance(item, dict) else name,
                      item, parts, notes)  # fmt: skip
        case list():
            notes.append((name, " ".join(map(str, value))))
        case None | False:
            pass
        case _:
            notes.append((name, _shown(value)))


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "oui" if value is True else str(value)


def _first_number(value: Any, name: str) -> float | None:
    if not isinstance(value, Mapping):
        return None
    here = value.get(name)
    if isinstance(here, (int, float)) and not isinstance(here, bool):
        return float(here)
    inner = (_first_number(child, name) for child in value.values())
    return next((found for found in inner if found is not None), None)
