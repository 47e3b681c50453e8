"""Raw fiches for tests, and clean fiches written back as raw ones."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data.extract.base import LIST_FIELDS, RAW_SCHEMA
from lowtech_data.normalise import Normalised, normalise

AS_OF = date(2026, 11, 21)

_CONNECTION = duckdb.connect()

_DEFAULTS = {
    "source_id": "essai",
    "entite": "initiative",
    "capture": "0" * 64,
    "regle_selection": "liste",
    "nom": "Atelier des Communs",
    "themes": [],
    "familles": [],
    **{name: [] for name in LIST_FIELDS},
}


def raw_table(*rows: dict[str, Any]) -> pa.Table:
    """Raw fiches: what is not given is empty, keys are `0`, `1`…"""
    return pa.Table.from_pylist(
        [
            {
                **dict.fromkeys(RAW_SCHEMA.names),
                **_DEFAULTS,
                "cle_source": str(number),
                "pointeur": f"/{number}",
                **row,
            }
            for number, row in enumerate(rows)
        ],
        RAW_SCHEMA,
    )


def clean(*rows: dict[str, Any]) -> Normalised:
    return normalise(_CONNECTION, raw_table(*rows), as_of=AS_OF)


def one(**row: Any) -> dict[str, Any]:
    """The clean fiche of one raw fiche."""
    (fiche,) = clean(row).fiches.to_pylist()
    return fiche


def rules(**row: Any) -> set[tuple[str, str]]:
    """Field and rule of every reject of one raw fiche."""
    return {(r["champ"], r["regle"]) for r in clean(row).rejects.to_pylist()}


def each(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The clean fiche of each raw fiche, from one call; an empty one when it was refused."""
    fiches = {fiche["cle_source"]: fiche for fiche in clean(*rows).fiches.to_pylist()}
    return [fiches.get(str(number), {}) for number in range(len(rows))]


def rules_of_each(*rows: dict[str, Any]) -> list[set[tuple[str, str]]]:
    """Field and rule of the rejects of each raw fiche, from one call."""
    found: list[set[tuple[str, str]]] = [set() for _ in rows]
    for reject in clean(*rows).rejects.to_pylist():
        found[int(reject["cle_source"])].add((reject["champ"], reject["regle"]))
    return found


def read(field: str, column: str, cases: Sequence[tuple[Any, Any]], **others: Any) -> list[Any]:
    """What each case gives, beside what it was written as: to compare with the cases."""
    fiches = each(*({field: written, **others} for written, _ in cases))
    return [(case[0], fiche.get(column)) for case, fiche in zip(cases, fiches, strict=True)]


def as_raw(fiches: pa.Table) -> pa.Table:
    """Clean fiches as if a source had written them: numbers written out, units stated."""
    rows = []
    for fiche in fiches.to_pylist():
        row = {name: fiche.get(name) for name in RAW_SCHEMA.names}
        row["description"] = fiche["resume"]
        for name in ("latitude", "longitude"):
            row[name] = None if fiche[name] is None else repr(fiche[name])
        if fiche["itinerant"] is not None:
            row["itinerant"] = "oui" if fiche["itinerant"] else "non"
        row["duree"] = None if fiche["duree_h"] is None else f"{fiche['duree_h']} h"
        row["cout"] = None if fiche["cout_eur"] is None else f"{fiche['cout_eur']} EUR"
        rows.append(row)
    return pa.Table.from_pylist(rows, RAW_SCHEMA)


def again(fiches: pa.Table) -> pa.Table:
    return normalise(_CONNECTION, as_raw(fiches), as_of=AS_OF).fiches
