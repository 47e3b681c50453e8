"""Gates: what a candidate must hold before it may replace the published release.

They read the candidate's own files, as the public would, never the tables they were made from. Each
gate says what it found, how often, with examples; one blocking finding keeps the previous release.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lowtech_data.model import LISTS, TABLES, Kind
from lowtech_data.publish.release import read_index
from lowtech_data.publish.tables import scan

EXAMPLES = 5
MAX_LOSS = 0.30
"""Share of published initiatives that may vanish in one release without a person's word."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a candidate."""

    gate: str
    message: str
    count: int
    examples: tuple[str, ...] = ()
    blocking: bool = True
    """Whether it keeps the candidate from being published, or is only to be known."""

    def __str__(self) -> str:
        """The finding as one line."""
        shown = f" (par exemple : {', '.join(self.examples)})" if self.examples else ""
        return f"{self.gate} : {self.message}{shown}"


@dataclass(frozen=True, slots=True)
class _Gate:
    check: Callable[[duckdb.DuckDBPyConnection, Path], Iterator[Finding]]
    label: str


def names() -> tuple[str, ...]:
    """Every gate, in the order they run."""
    return tuple(_GATES)


def run(candidate: Path, previous: Path | None, only: str | None = None) -> list[Finding]:
    """Run the gates (or one of them) on a candidate directory."""
    with duckdb.connect() as con:
        for name in TABLES:
            con.execute(f'CREATE VIEW "{name}" AS FROM {scan(candidate, name)}')
        _previous_views(con, previous)
        return [
            finding
            for name, gate in _GATES.items()
            if only in {None, name}
            for finding in gate.check(con, candidate)
        ]


def describe(gate: str) -> str:
    """What a gate looks at, in words."""
    return _GATES[gate].label


def _previous_views(con: duckdb.DuckDBPyConnection, previous: Path | None) -> None:
    for name in ("initiatives", "identifiants"):
        rows = scan(previous, name) if previous else f"{name} WHERE false"
        con.execute(f"CREATE VIEW avant_{name} AS FROM {rows}")


def _finding(
    con: duckdb.DuckDBPyConnection, gate: str, message: str, query: str
) -> Iterator[Finding]:
    """A finding when `query` (one text column) gives any row."""
    rows = con.execute(f"SELECT q.*, count(*) OVER () FROM ({query}) q LIMIT {EXAMPLES}").fetchall()
    if rows:
        examples = tuple(str(row[0]) for row in rows)
        yield Finding(gate, f"{message} : {rows[0][1]}", int(rows[0][1]), examples)


def _schema(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    for table in TABLES.values():
        found = [row[0] for row in con.execute(f'DESCRIBE "{table.name}"').fetchall()]
        if found != list(table.names):
            odd = sorted(set(found) ^ set(table.names)) or ["ordre"]
            yield Finding(
                "schema", f"{table.name} : colonnes autres que déclarées", len(odd), tuple(odd)
            )


def _keys(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    for table in TABLES.values():
        key = ", ".join(f'"{name}"' for name in table.key)
        text = " || '/' || ".join(f"coalesce(CAST(\"{n}\" AS VARCHAR), '')" for n in table.key)
        yield from _finding(
            con,
            "cles",
            f"{table.name} : clés répétées",
            f'SELECT any_value({text}) FROM "{table.name}" GROUP BY {key} HAVING count(*) > 1',
        )
        for column in table.columns:
            if column.required:
                yield from _finding(
                    con,
                    "cles",
                    f"{table.name}.{column.name} : valeurs manquantes",
                    f'SELECT {text} FROM "{table.name}" WHERE "{column.name}" IS NULL',
                )


_TERRITORY_LEVELS = {
    "code_insee": "commune",
    "code_epci": "epci",
    "code_departement": "departement",
    "code_region": "region",
}
"""Columns that name a territory: its code is only unique within its level."""


def _references(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    for table in TABLES.values():
        for column in table.columns:
            if not column.references:
                continue
            target, key = column.references.split(".")
            yield from _finding(
                con,
                "references",
                f"{table.name}.{column.name} : absents de {column.references}",
                f'SELECT DISTINCT t."{column.name}" FROM "{table.name}" t '
                f'ANTI JOIN "{target}" r ON r."{key}" = t."{column.name}" '
                f'WHERE t."{column.name}" IS NOT NULL',
            )

    for name in ("initiatives", "fiches"):
        for code, level in _TERRITORY_LEVELS.items():
            yield from _finding(
                con,
                "references",
                f"{name}.{code} : absents de territoires au niveau {level}",
                f'SELECT DISTINCT t."{code}" FROM "{name}" t ANTI JOIN territoires r '
                f"ON r.niveau = '{level}' AND r.code = t.\"{code}\" "
                f'WHERE t."{code}" IS NOT NULL ORDER BY 1',
            )


def _codes(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    for table in TABLES.values():
        for column in table.columns:
            if not column.codes:
                continue
            known = ", ".join(f"'{code.code}'" for code in LISTS[column.codes])
            value = f'unnest("{column.name}")' if column.kind is Kind.LIST else f'"{column.name}"'
            yield from _finding(
                con,
                "codes",
                f"{table.name}.{column.name} : hors de la liste {column.codes}",
                f'SELECT DISTINCT v FROM (SELECT {value} AS v FROM "{table.name}") '
                f"WHERE v NOT IN ({known}) ORDER BY v",
            )


def _identifiers(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    yield from _finding(
        con,
        "identifiants",
        "initiatives ou ressources sans identifiant actif",
        "SELECT id FROM (SELECT id FROM initiatives UNION SELECT id FROM ressources) p "
        "WHERE id NOT IN (SELECT id FROM identifiants WHERE etat = 'actif') ORDER BY id",
    )
    yield from _finding(
        con,
        "identifiants",
        "identifiants publiés un jour et oubliés",
        "SELECT a.id FROM avant_identifiants a ANTI JOIN identifiants i USING (id) ORDER BY a.id",
    )
    yield from _finding(
        con,
        "identifiants",
        "redirections qui ne mènent pas à un identifiant actif",
        "SELECT i.id FROM identifiants i LEFT JOIN identifiants c ON c.id = i.remplace_par "
        "WHERE i.etat = 'fusionne' AND coalesce(c.etat, '') NOT IN ('actif', 'retire') "
        "ORDER BY i.id",
    )


def _provenance(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    fields = [c for c in TABLES["fiches"].columns if c.name in TABLES["initiatives"].names]
    derived = {"premiere_vue", "derniere_vue", "regle_selection", "statut", "licence"}
    for column in fields:
        if column.name in derived | {"attribution"}:
            continue
        value = f'unnest("{column.name}")' if column.kind is Kind.LIST else f'"{column.name}"'
        yield from _finding(
            con,
            "provenance",
            f"initiatives.{column.name} : valeurs sans provenance retenue",
            f"SELECT v.id FROM (SELECT id, CAST({value} AS VARCHAR) AS valeur FROM initiatives) v "
            f"ANTI JOIN (SELECT entite_id, valeur FROM provenances "
            f"WHERE champ = '{column.name}' AND retenue) p "
            f"ON p.entite_id = v.id AND p.valeur = v.valeur "
            f"WHERE v.valeur IS NOT NULL ORDER BY v.id",
        )
    yield from _finding(
        con,
        "provenance",
        "fiches dont la capture n’est pas connue",
        "SELECT f.source_id || ':' || f.cle_source FROM fiches f "
        "ANTI JOIN captures c ON c.empreinte = f.capture AND c.source_id = f.source_id ORDER BY 1",
    )


MAX_CLUSTER = 20
"""Fiches of one initiative above which a person must have confirmed it."""


def _clusters(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    yield from _finding(
        con,
        "grappes",
        f"initiatives de plus de {MAX_CLUSTER} fiches, qu’aucune décision ne confirme",
        f"""
        SELECT f.initiative_id FROM fiches f
        LEFT JOIN paires p ON p.decide_par = 'humain' AND p.decision = 'identique'
            AND f.source_id || ':' || f.cle_source IN (p.a, p.b)
        WHERE f.initiative_id IS NOT NULL
        GROUP BY ALL
        HAVING count(DISTINCT (f.source_id, f.cle_source)) > {MAX_CLUSTER} AND count(p.a) = 0
        ORDER BY 1
        """,
    )


def _volume(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    row = con.execute(
        "SELECT (SELECT count(*) FROM initiatives WHERE statut <> 'archive'), "
        "(SELECT count(*) FROM avant_initiatives WHERE statut <> 'archive')"
    ).fetchone()
    now, before = row or (0, 0)
    if now == 0:
        yield Finding("volume", "aucune initiative à publier", 0)
    elif now < before * (1 - MAX_LOSS):
        yield Finding("volume", f"{now} initiatives contre {before} dans la version en place", now)


_MOBILE = r"(?:\+33|0033|\b0)[ .\-]?(?:\(0\)[ .\-]?)?[67](?:[ .\-]?\d\d){4}\b"
_FREE_MAIL = (
    r"[\w.+\-]+@(?:gmail|hotmail|outlook|live|msn|yahoo|ymail|icloud|orange|wanadoo|free|sfr|neuf"
    r"|laposte|bbox|aol|protonmail|proton|gmx|numericable|club-internet)\.[a-z.]{2,6}\b"
)


def _personal(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    """Mobile numbers and free-mail addresses in any text of what people wrote."""
    for name in ("initiatives", "ressources", "machines", "fiches", "provenances", "rejets"):
        table = TABLES[name]
        for column in table.columns:
            if column.kind not in {Kind.TEXT, Kind.LIST, Kind.JSON}:
                continue
            if column.name in {"empreinte", "capture", "id", "pointeur", "siret", "siren"}:
                continue
            key = " || '/' || ".join(f'CAST("{n}" AS VARCHAR)' for n in table.key)
            text = f'CAST("{column.name}" AS VARCHAR)'
            yield from _finding(
                con,
                "donnees_personnelles",
                f"{name}.{column.name} : mobile ou courriel de particulier",
                f'SELECT {key} FROM "{name}" '
                f"WHERE regexp_matches({text}, '{_MOBILE}|{_FREE_MAIL}', 'i') ORDER BY 1",
            )


def _licences(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    yield from _finding(
        con,
        "licences",
        "fiches d’une source qui ne peut être republiée",
        "SELECT f.source_id || ':' || f.cle_source FROM fiches f JOIN sources s "
        "ON s.id = f.source_id WHERE s.republication IN ('comptage', 'interdite') ORDER BY 1",
    )
    yield from _finding(
        con,
        "licences",
        "sources publiées sans licence",
        "SELECT id FROM sources WHERE coalesce(licence, '') = '' AND nb_fiches > 0 ORDER BY id",
    )


def _sqlite(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    database = sqlite3.connect(f"file:{candidate / 'lowtech.sqlite'}?mode=ro", uri=True)
    try:
        problems = [row[0] for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
        problems += [str(row) for row in database.execute("PRAGMA foreign_key_check")]
        for table in TABLES:
            (rows,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            (expected,) = con.execute(f'SELECT count(*) FROM "{table}"').fetchone() or (0,)
            if rows != expected:
                problems.append(f"{table} : {rows} lignes, {expected} dans le Parquet")
    finally:
        database.close()
    if problems:
        yield Finding(
            "sqlite", "base SQLite incohérente", len(problems), tuple(problems[:EXAMPLES])
        )


MIN_PRECISION = 0.97
"""Share of right merges, on the labelled pairs, under which a release is refused."""
MIN_FOUND = 0.80
"""Share of the pairs labelled the same that are merged or shown to people, likewise."""

_WAYS = {"tous_les_champs": "avec tous les champs", "masque": "sans identifiants ni contacts"}


def _accuracy(con: duckdb.DuckDBPyConnection, candidate: Path) -> Iterator[Finding]:
    """The figures that the build measured, in the index, against their floors."""
    measured = read_index(candidate)["exactitude"]
    if measured is None:
        yield Finding(
            "exactitude",
            "non mesurée : le projet installé n’a pas les paires étiquetées (tests/evaluation)",
            0,
            blocking=False,
        )
        return
    for way, label in _WAYS.items():
        figures = measured[way]
        wrong = figures["fusions_fausses"]
        if figures["precision"] < MIN_PRECISION:
            yield Finding(
                "exactitude",
                f"précision {label} de {_decimal(figures['precision'])}, {_decimal(MIN_PRECISION)} "
                f"attendue au moins ; paires étiquetées fusionnées à tort : {' ; '.join(wrong)}",
                len(wrong),
            )
        if (found := figures["rappel_avec_relecture"]) < MIN_FOUND:
            yield Finding(
                "exactitude",
                f"rappel {label}, file de revue comprise, de {_decimal(found)}, "
                f"{_decimal(MIN_FOUND)} attendu au moins",
                figures["identiques"],
            )


def _decimal(value: float) -> str:
    return f"{value:.3f}".replace(".", ",")


_GATES: dict[str, _Gate] = {
    "schema": _Gate(_schema, "Les colonnes sont celles du modèle."),
    "cles": _Gate(_keys, "Les clés sont uniques, les champs obligatoires remplis."),
    "references": _Gate(_references, "Les renvois mènent à une ligne."),
    "codes": _Gate(_codes, "Les codes sont dans leur liste."),
    "identifiants": _Gate(_identifiers, "Chaque identifiant publié un jour se résout."),
    "provenance": _Gate(_provenance, "Chaque valeur publiée mène à une fiche et à des octets."),
    "grappes": _Gate(_clusters, "Aucune grappe démesurée sans l’accord d’une personne."),
    "exactitude": _Gate(_accuracy, "L’appariement n’est pas en dessous de ses planchers."),
    "volume": _Gate(_volume, "Le nombre d’initiatives ne s’effondre pas."),
    "donnees_personnelles": _Gate(_personal, "Aucun mobile, aucun courriel de particulier."),
    "licences": _Gate(_licences, "Rien d’une source qui ne peut être republiée."),
    "sqlite": _Gate(_sqlite, "La base SQLite est intègre et complète."),
}
