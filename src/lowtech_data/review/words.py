"""How the review says things: codes, levels, bits, distances, and how two values compare."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from lowtech_data.model import LISTS, codes_of
from lowtech_data.resolve.decisions import Change, folded

FIELDS = {
    "nom": "nom", "adresse": "adresse", "commune": "commune", "departement": "département",
    "position": "position", "site_web": "site", "courriel": "courriel", "telephone": "téléphone",
    "siret": "SIRET", "rna": "RNA",
}  # fmt: skip
"""What a decision remembers of a fiche (`decisions.traits`), as the screen calls it."""


LEAST_BITS = 0.05
"""Bits that are not nought once rounded."""


class Part(NamedTuple):
    """One comparison of the score."""

    name: str
    level: str
    bits: float

    @property
    def weighs(self) -> bool:
        """Whether the bits show, once rounded."""
        return abs(self.bits) >= LEAST_BITS


class Details(NamedTuple):
    """What the matcher kept of a pair, in words."""

    rule: str | None
    """Code of the rule that decided (`motif_paire`)."""
    against: str | None
    """Code of the story that the bits are against (`histoire`)."""
    parts: tuple[Part, ...]
    notes: tuple[tuple[str, str], ...]


def label(list_name: str, code: str | None) -> str:
    """The French label of a code, as inside a sentence; the code itself when it is not declared."""
    found = next((c.label_fr for c in LISTS[list_name] if c.code == code), code or "")
    return found if found[1:2].isupper() else found[:1].lower() + found[1:]


def sentence(rule: str | None) -> str:
    """What a rule found, in one sentence."""
    said = next((c.definition for c in LISTS["motif_paire"] if c.code == rule), None)
    return said or rule or "aucune"


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


def read_details(
    text: str | None, rule: str | None = None, fiches: tuple[str, str] = ("a", "b")
) -> Details:
    """Read the JSON that the matcher keeps of a pair.

    An object with a number `bits` is a part, named by its key. `rule` is the code of the rule that
    decided; without it (a person decided since), the veto that held, or the likeliest story.
    `fiches` are the keys of the pair, in the order in which it was compared.
    """
    found: Mapping[str, Any] = json.loads(text) if text else {}
    parts = tuple(
        Part(label("comparaison", name), _level(name, said.get("niveau")), float(said["bits"]))
        for name, said in found.items()
        if isinstance(said, dict) and "bits" in said
    )
    notes = tuple(
        (_NOTES.get(name, name), _shown(name, said, fiches))
        for name, said in found.items()
        if said is not None and not isinstance(said, dict) and name != "contre"
    )
    against = found.get("contre")
    return Details(rule or found.get("veto") or against, against, parts, notes)


def _level(comparison: str, level: str | None) -> str:
    code = f"{comparison}_{level}"
    known = codes_of("niveau_comparaison")
    return label("niveau_comparaison", code) if code in known else level or ""


_NOTES = {"cles": "clés communes", "veto": "veto", "metres": "mètres", "hote": "hôte probable"}


def _shown(name: str, value: object, fiches: tuple[str, str]) -> str:
    match name, value:
        case "veto", str():
            return label("motif_paire", value)
        case "hote", "a" | "b":
            return fiches["ab".index(value)]
        case _, list():
            return " ".join(map(str, value))
        case _, float():
            return f"{value:g}"
        case _:
            return str(value)
