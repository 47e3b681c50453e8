"""The list of initiatives: filters, counts beside them, pages by key."""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PAGE = 50
EXPORT = 1_000
"""Rows of one answer for machines; more than that is a download."""
MAX_DOTS = 20_000

FILTERS = ("q", "region", "departement", "commune", "type", "theme", "famille")
_ARGUMENTS = frozenset({*FILTERS, "apres", "version"})
_COLUMNS = {"region": "code_region", "departement": "code_departement", "type": "type"}
_LINKS = {"theme": "initiatives_themes", "famille": "initiatives_familles"}
_SHOWN = "coalesce(i.statut, 'publie') NOT IN ('ferme', 'archive', 'retire')"
_COMMUNE_CODE = re.compile(r"^(\d{5}|2[AB]\d{3})$", re.IGNORECASE)
_SAINT = re.compile(r"\b(s)(t)(e?)\b[.\s-]*", re.IGNORECASE)
_DISTRICT = re.compile(r"\s+\d{1,2}\s*(?:er|e|è|ème|eme)?\s*(?:arrondissement)?$", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")


class StaleCursorError(Exception):
    """The page asked for belongs to a release that is no longer served."""


class UnknownFilterError(Exception):
    """A parameter that is not a filter."""

    def __init__(self, name: str) -> None:
        """Name the parameter, the nearest filter and all of them."""
        near = difflib.get_close_matches(name, FILTERS, n=1, cutoff=0.4)
        hint = f" Vouliez-vous dire « {near[0]} » ?" if near else ""
        super().__init__(
            f"« {name[:40]} » n’est pas un filtre.{hint} Filtres : {', '.join(FILTERS)}."
        )


def fts_query(text: str) -> str | None:
    """A full-text question from what a person typed, whatever it is; `None` without a word.

    Every word must be there, as the beginning of a word; operators are read as words.
    """
    words = _WORD.findall(text[:300])[:10]
    return " ".join(f'"{word}"*' for word in words) or None


@dataclass(frozen=True, slots=True)
class Search:
    """A question of a reader."""

    values: dict[str, str] = field(default_factory=dict)
    """Filter name (of `FILTERS`) → value; empty ones are absent."""
    after: str | None = None
    """Id of the last row of the page before."""

    @classmethod
    def read(cls, arguments: Mapping[str, str], version: str) -> Search:
        """The question in a query string.

        Raises `StaleCursorError` for another release's page, and `UnknownFilterError` for a filter
        that does not exist: leaving it out would answer another question.
        """
        for name in arguments:
            if name not in _ARGUMENTS:
                raise UnknownFilterError(name)
        values = {
            name: arguments[name].strip()[:200]
            for name in FILTERS
            if arguments.get(name, "").strip()
        }
        after = arguments.get("apres") or None
        if after and arguments.get("version") != version:
            raise StaleCursorError
        return cls(values, after)

    def where(self, *, without: str | None = None) -> tuple[str, dict[str, str]]:
        """The SQL condition on `initiatives i`, but for one filter, and its parameters."""
        clauses, parameters = [_SHOWN], {}
        for name, value in self.values.items():
            if name == without:
                continue
            clause, bound = _clause(name, value)
            clauses.append(clause)
            if bound is not None:
                parameters[name] = bound
        return " AND ".join(clauses), parameters


def _clause(name: str, value: str) -> tuple[str, str | None]:
    if name in _COLUMNS:
        return f"i.{_COLUMNS[name]} = :{name}", value
    if name in _LINKS:
        return f"i.id IN (SELECT id FROM {_LINKS[name]} WHERE valeur = :{name})", value
    if name == "commune" and _COMMUNE_CODE.match(value):
        codes = "i.code_insee", "i.code_arrondissement", "i.code_postal"
        return f":commune IN ({', '.join(codes)})", value.upper()
    if name == "commune":
        value = _DISTRICT.sub("", _SAINT.sub(r"saint\3 ", value))
    words = fts_query(value)
    if words is None:
        return "0", None
    match = f"commune : ({words})" if name == "commune" else words
    return (
        f"i.rowid IN (SELECT rowid FROM initiatives_fts WHERE initiatives_fts MATCH :{name})",
        match,
    )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the answer."""

    rows: list[sqlite3.Row]
    total: int
    next_after: str | None
    """Cursor of the next page."""


_LISTED = (
    "i.id, i.nom, i.type, i.themes, i.adresse, i.commune, i.code_postal, i.code_departement, "
    "i.statut, i.resume, i.nb_sources, i.latitude, i.longitude, i.site_web, i.licence, "
    "i.attribution, i.derniere_vue"
)


def find(connection: sqlite3.Connection, search: Search, size: int = PAGE) -> Page:
    """One page of initiatives, by name then id: no offset, so that no row repeats or is skipped.

    Raises `StaleCursorError` when the cursor names no initiative.
    """
    where, parameters = search.where()
    total = connection.execute(
        f"SELECT count(*) FROM initiatives i WHERE {where}", parameters
    ).fetchone()[0]
    if search.after:
        if not connection.execute(
            "SELECT 1 FROM initiatives WHERE id = ?", [search.after]
        ).fetchone():
            raise StaleCursorError
        where += (
            " AND (i.nom COLLATE NOCASE, i.id) > "
            "(SELECT nom COLLATE NOCASE, id FROM initiatives WHERE id = :apres)"
        )
        parameters["apres"] = search.after
    rows = connection.execute(
        f"SELECT {_LISTED} FROM initiatives i WHERE {where} "
        f"ORDER BY i.nom COLLATE NOCASE, i.id LIMIT {size + 1}",
        parameters,
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return Page(rows, total, rows[-1]["id"] if more else None)


def positions(connection: sqlite3.Connection, search: Search) -> list[tuple[float, float]]:
    """Latitude and longitude of everything found, up to `MAX_DOTS`."""
    where, parameters = search.where()
    return [
        (row[0], row[1])
        for row in connection.execute(
            f"SELECT i.latitude, i.longitude FROM initiatives i WHERE {where} "
            f"AND i.latitude IS NOT NULL AND i.longitude IS NOT NULL LIMIT {MAX_DOTS}",
            parameters,
        )
    ]


def counts(connection: sqlite3.Connection, search: Search) -> dict[str, list[tuple[str, int]]]:
    """For each filter with choices, how many initiatives each choice would give."""
    found = _column_counts(connection, search)
    for name, table in _LINKS.items():
        where, parameters = search.where(without=name)
        rows = connection.execute(
            f"SELECT l.valeur, count(*) FROM {table} l JOIN initiatives i USING (id) "
            f"WHERE {where} GROUP BY 1 ORDER BY 1",
            parameters,
        )
        found[name] = [(row[0], row[1]) for row in rows]
    return found


def _column_counts(
    connection: sqlite3.Connection, search: Search
) -> dict[str, list[tuple[str, int]]]:
    """Counts by column: one reading for all filters left open, one more for each that is set."""
    found: dict[str, list[tuple[str, int]]] = {}
    opened = [name for name in _COLUMNS if name not in search.values]
    for names in (opened, *([name] for name in _COLUMNS if name in search.values)):
        if not names:
            continue
        where, parameters = search.where(without=names[0])
        columns = ", ".join(f"i.{_COLUMNS[name]}" for name in names)
        tallies: dict[str, Counter[str]] = {name: Counter() for name in names}
        for row in connection.execute(
            f"SELECT {columns}, count(*) FROM initiatives i WHERE {where} GROUP BY {columns}",
            parameters,
        ):
            for place, name in enumerate(names):
                if row[place] is not None:
                    tallies[name][row[place]] += row[len(names)]
        found |= {name: sorted(tally.items()) for name, tally in tallies.items()}
    return found


def territory_names(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Names of régions and départements by level then code."""
    names: dict[str, dict[str, Any]] = {"region": {}, "departement": {}}
    for row in connection.execute(
        "SELECT code, niveau, nom, parent FROM territoires "
        "WHERE niveau IN ('region', 'departement') ORDER BY niveau, code"
    ):
        names[row["niveau"]][row["code"]] = row
    return names
