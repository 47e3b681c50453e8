"""What a source's last harvest refused, for the steward and for the producer of the listing.

Reasons and what would mend them come from the list of codes `rejet_regle`; values are shown only as
`rejets` has them, masked.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from lowtech_data.model import LISTS
from lowtech_data.registry import Source
from lowtech_data.snapshot import State

WHOLE_RECORD = "*"
"""The `champ` of a reject that is a whole record."""

HEALTHY = frozenset({"ok", "inchangee", "partielle"})
"""The `statut` of a harvest whose fiches are the present ones."""

EXAMPLES = 3

_CODES = {code.code: code for code in LISTS["rejet_regle"]}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Everything that one rule refused in one field of one source."""

    rule: str
    field: str
    count: int
    label: str
    meaning: str
    """What happened, then what would mend it; empty for a rule without a definition."""
    examples: tuple[tuple[str, str], ...]
    """Key of the record and masked value, a few of each, the first by key."""

    @property
    def loses_records(self) -> bool:
        """Whether the records themselves are missing from the base, not only a value."""
        return self.field == WHOLE_RECORD


def refusals(rejects: pa.Table) -> list[Refusal]:
    """Rejects (`REJECT_SCHEMA`) by rule and field: lost records first, then the most frequent."""
    ordered = rejects.sort_by(
        [(name, "ascending") for name in ("regle", "champ", "cle_source", "valeur_masquee")]
    )
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in ordered.select(["regle", "champ", "cle_source", "valeur_masquee"]).to_pylist():
        group = groups.setdefault((row["regle"], row["champ"]), [])
        group.append((row["cle_source"], row["valeur_masquee"] or ""))
    found = [
        Refusal(
            rule=rule,
            field=field,
            count=len(rows),
            label=_CODES[rule].label_fr if rule in _CODES else rule,
            meaning=(_CODES[rule].definition or "") if rule in _CODES else "",
            examples=_examples(rows),
        )
        for (rule, field), rows in groups.items()
    ]
    return sorted(found, key=lambda r: (not r.loses_records, -r.count, r.rule, r.field))


def _examples(rows: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Different values rather than the same one again."""
    by_value: dict[str, tuple[str, str]] = {}
    for key, value in rows:
        by_value.setdefault(value, (key, value))
    return tuple(list(by_value.values())[:EXAMPLES])


def markdown(source: Source, state: State, found: Sequence[Refusal]) -> str:
    """A page to send to the producer of a listing: what could not be used, and how to mend it."""
    counts = [row.nb_lus for row in state.harvests if row.nb_lus is not None]
    lines = [
        f"# {source.nom} : ce qui n’a pas pu être repris",
        "",
        (
            f"{counts[-1] if counts else 0} enregistrements lus, données du "
            f"{state.data_date or '–'}. Les valeurs qui pourraient être celles d’une personne sont "
            "masquées."
        ),
        "",
    ]
    last = state.last
    if last and last.statut not in HEALTHY:
        kept = f" Ce qui suit date du {state.data_date}." if state.data_date else ""
        lines += [f"**La moisson du {last.debut[:10]} a échoué** : {last.message}.{kept}", ""]
        if not state.data_date:
            return "\n".join(lines)
    if not found:
        return "\n".join([*lines, "Tout a été repris.", ""])
    for refusal in found:
        where = "fiches entières" if refusal.loses_records else f"champ `{refusal.field}`"
        lines += [f"## {refusal.label} ({refusal.count}, {where})", ""]
        if refusal.meaning:
            lines += [refusal.meaning, ""]
        for key, value in refusal.examples:
            lines.append(f"- `{_inline(key)}` : {_inline(value) or '–'}")
        others = refusal.count - len(refusal.examples)
        lines += [f"- et {others} autre{'s' * (others > 1)}"] * (others > 0) + [""]
    return "\n".join(lines)


def _inline(text: str) -> str:
    """A text that stays inside its line and its code span."""
    return " ".join(text.replace("`", "'").split())


def table(rejects: pa.Table) -> str:
    """Every reject as CSV: `cle_source,champ,regle,sens,valeur_masquee`, `sens` in words."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("cle_source", "champ", "regle", "sens", "valeur_masquee"))
    for row in rejects.to_pylist():
        rule = row["regle"]
        meaning = _CODES[rule].definition if rule in _CODES else None
        writer.writerow(
            (row["cle_source"], row["champ"], rule, meaning or "", row["valeur_masquee"] or "")
        )
    return out.getvalue()
