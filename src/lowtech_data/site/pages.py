"""What each page shows, read from one connection: no request, no template, no clock."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from typing import Any

from lowtech_data.model import TABLES
from lowtech_data.site.france import DotMap, dot_map
from lowtech_data.site.search import Search, counts, find, positions, territory_names

Rows = list[sqlite3.Row]
NEWEST = 8

_SHOWN_FIELDS = tuple(
    name
    for name in TABLES["initiatives"].names
    if name not in {"id", "licence", "attribution", "premiere_vue", "derniere_vue"}
)


def home(connection: sqlite3.Connection) -> dict[str, Any]:
    """Counts, territories, types, what is new and how fresh the whole is."""
    everything = Search()
    found = counts(connection, everything)
    totals = connection.execute(
        "SELECT (SELECT count(*) FROM ressources) AS ressources, "
        "(SELECT count(*) FROM sources WHERE coalesce(nb_fiches, 0) > 0) AS sources, "
        "(SELECT count(DISTINCT code_insee) FROM initiatives) AS communes, "
        "(SELECT max(derniere_vue) FROM initiatives) AS fraicheur"
    ).fetchone()
    newest = connection.execute(
        "SELECT id, nom, type, commune, premiere_vue FROM initiatives "
        "WHERE coalesce(statut, 'publie') NOT IN ('ferme', 'archive', 'retire') "
        f"ORDER BY premiere_vue DESC, id LIMIT {NEWEST}"
    ).fetchall()
    return {
        "total": find(connection, everything, 1).total,
        "totals": totals,
        "regions": _regions(connection, found),
        "types": sorted(found["type"], key=lambda pair: (-pair[1], pair[0])),
        "themes": sorted(found["theme"], key=lambda pair: (-pair[1], pair[0])),
        "newest": newest,
        "health": _health_counts(connection),
        "map": dot_map(positions(connection, everything)),
    }


def _regions(
    connection: sqlite3.Connection, found: dict[str, list[tuple[str, int]]]
) -> list[dict[str, Any]]:
    """Régions with something, by name, each with its départements."""
    names = territory_names(connection)
    parents = dict(
        connection.execute(
            "SELECT code_departement, max(code_region) FROM initiatives "
            "WHERE code_departement IS NOT NULL GROUP BY 1"
        ).fetchall()
    )
    regions = [
        {
            "code": code,
            "nom": _name(names["region"], code),
            "nb": number,
            "departements": [
                {"code": sub, "nom": _name(names["departement"], sub), "nb": count}
                for sub, count in found["departement"]
                if parents.get(sub) == code
            ],
        }
        for code, number in found["region"]
    ]
    return sorted(regions, key=lambda region: (_folded(region["nom"]), region["code"]))


def _folded(text: str) -> str:
    """A name as the alphabet orders it: accents and case aside."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def _name(names: dict[str, Any], code: str) -> str:
    return str(names[code]["nom"]) if code in names else code


def listing(connection: sqlite3.Connection, search: Search) -> dict[str, Any]:
    """One page of results. Raises `StaleCursorError` when it is no longer there."""
    return {"search": search, "page": find(connection, search)}


def beside_listing(connection: sqlite3.Connection, search: Search) -> dict[str, Any]:
    """What all pages of one search share: the choices and the map of all results."""
    names = territory_names(connection)
    return {
        "choices": counts(connection, search),
        "names": {
            level: {code: row["nom"] for code, row in rows.items()} for level, rows in names.items()
        },
        "map": dot_map(positions(connection, search)),
    }


def identifier(connection: sqlite3.Connection, initiative_id: str) -> sqlite3.Row | None:
    """What became of an id, if it was ever published."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT id, etat, remplace_par, etat_depuis, motif FROM identifiants WHERE id = ?",
        [initiative_id],
    ).fetchone()
    return row


def initiative(connection: sqlite3.Connection, initiative_id: str) -> dict[str, Any] | None:
    """Everything known of an initiative, and where each value comes from."""
    row = connection.execute(
        "SELECT i.*, r.nom AS region, d.nom AS departement FROM initiatives i "
        "LEFT JOIN territoires r ON r.code = i.code_region AND r.niveau = 'region' "
        "LEFT JOIN territoires d ON d.code = i.code_departement AND d.niveau = 'departement' "
        "WHERE i.id = ?",
        [initiative_id],
    ).fetchone()
    if row is None:
        return None
    sources = _sources_of(connection, initiative_id)
    numbers = {source["id"]: number for number, source in enumerate(sources, 1)}
    return {
        "row": row,
        "autres_noms": texts(row["noms_alternatifs"]),
        "themes": texts(row["themes"]),
        "familles": texts(row["familles"]),
        "fields": _fields(connection, initiative_id, numbers),
        "sources": sources,
        "related": _related(connection, initiative_id),
        "identifiers": connection.execute(
            "SELECT systeme, valeur FROM correspondances WHERE initiative_id = ? "
            "ORDER BY systeme, valeur",
            [initiative_id],
        ).fetchall(),
        "resources": connection.execute(
            "SELECT id, titre, nature, url FROM ressources WHERE initiative_id = ? "
            "ORDER BY titre, id LIMIT 50",
            [initiative_id],
        ).fetchall(),
        "machines": connection.execute(
            "SELECT categorie, marque, modele, quantite, acces FROM machines "
            "WHERE initiative_id = ? ORDER BY categorie, id LIMIT 50",
            [initiative_id],
        ).fetchall(),
        "history": connection.execute(
            "SELECT version, type, champs FROM changements WHERE entite_id = ? "
            "ORDER BY version DESC, type LIMIT 30",
            [initiative_id],
        ).fetchall(),
        "map": _one_dot(row),
    }


def _one_dot(row: sqlite3.Row) -> DotMap | None:
    if row["latitude"] is None or row["longitude"] is None:
        return None
    return dot_map([(row["latitude"], row["longitude"])])


def texts(value: str | None) -> list[str]:
    """The texts of a JSON array; a value that is not one is a text by itself."""
    if not value:
        return []
    try:
        found = json.loads(value)
    except ValueError:
        return [value]
    return [str(item) for item in found] if isinstance(found, list) else [value]


def _sources_of(connection: sqlite3.Connection, initiative_id: str) -> list[dict[str, Any]]:
    """Each source once, with its records of this initiative."""
    sources: dict[str, dict[str, Any]] = {}
    for row in connection.execute(
        "SELECT s.id, s.nom, s.licence, s.attribution, s.donnees_du, f.url, f.cle_source, "
        "f.derniere_vue, f.date_maj, f.absent_depuis FROM fiches f "
        "JOIN sources s ON s.id = f.source_id WHERE f.initiative_id = ? "
        "ORDER BY s.nom, s.id, f.cle_source",
        [initiative_id],
    ):
        source = sources.setdefault(row["id"], {**dict(row), "records": []})
        source["records"].append(row)
    return list(sources.values())


def _fields(
    connection: sqlite3.Connection, initiative_id: str, numbers: dict[str, int]
) -> list[dict[str, Any]]:
    """Values by field in published order: the selected ones, then the others, each with sources."""
    values: dict[str, dict[tuple[bool, str], list[int]]] = {}
    for row in connection.execute(
        "SELECT champ, valeur, source_id, retenue FROM provenances WHERE entite_id = ? "
        "ORDER BY champ, coalesce(retenue, 0) DESC, valeur, source_id",
        [initiative_id],
    ):
        said = values.setdefault(row["champ"], {})
        sources = said.setdefault((bool(row["retenue"]), row["valeur"]), [])
        number = numbers.get(row["source_id"])
        if number and number not in sources:
            sources.append(number)
    fields = []
    for name in _SHOWN_FIELDS:
        if name not in values:
            continue
        column = TABLES["initiatives"].column(name)
        kept = {value for selected, value in values[name] if selected}
        fields.append(
            {
                "name": name,
                "label": column.fr,
                "codes": column.codes,
                "values": [
                    {"value": value, "selected": selected, "sources": sources}
                    for (selected, value), sources in values[name].items()
                    if selected or value not in kept
                ],
            }
        )
    return fields


def _related(connection: sqlite3.Connection, initiative_id: str) -> Rows:
    return connection.execute(
        "SELECT i.id, i.nom, i.commune, r.predicat, 1 AS sortant FROM relations r "
        "JOIN initiatives i ON i.id = r.objet_id WHERE r.sujet_id = :id "
        "UNION ALL SELECT i.id, i.nom, i.commune, r.predicat, 0 FROM relations r "
        "JOIN initiatives i ON i.id = r.sujet_id WHERE r.objet_id = :id "
        "ORDER BY 4, 5 DESC, 2, 1 LIMIT 50",
        {"id": initiative_id},
    ).fetchall()


def sources(connection: sqlite3.Connection) -> dict[str, Any]:
    """Every source with its state."""
    return {
        "sources": connection.execute(
            "SELECT id, nom, editeur, licence, republication, etat, sante, donnees_du, "
            "nb_fiches FROM sources ORDER BY nom COLLATE NOCASE, id"
        ).fetchall(),
        "health": _health_counts(connection),
    }


def _health_counts(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    return [
        (row[0], row[1])
        for row in connection.execute(
            "SELECT sante, count(*) FROM sources WHERE sante IS NOT NULL GROUP BY 1 "
            "ORDER BY CASE sante WHEN 'ok' THEN 0 WHEN 'figee' THEN 1 "
            "WHEN 'degradee' THEN 2 ELSE 3 END"
        )
    ]


def source(connection: sqlite3.Connection, source_id: str) -> dict[str, Any] | None:
    """One source: licence, state, counts, rejects by rule, last harvests."""
    row = connection.execute("SELECT * FROM sources WHERE id = ?", [source_id]).fetchone()
    if row is None:
        return None
    return {
        "row": row,
        "copie_de": texts(row["copie_de"]),
        "numbers": connection.execute(
            "SELECT count(*) AS fiches, count(DISTINCT initiative_id) AS initiatives, "
            "sum(absent_depuis IS NOT NULL) AS absentes FROM fiches WHERE source_id = ?",
            [source_id],
        ).fetchone(),
        "rejects": connection.execute(
            "SELECT champ, regle, count(*) AS nb FROM rejets WHERE source_id = ? "
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 40",
            [source_id],
        ).fetchall(),
        "harvests": connection.execute(
            "SELECT debut, statut, nb_lus, nb_valides, nb_rejetes, message FROM moissons "
            "WHERE source_id = ? ORDER BY debut DESC LIMIT 12",
            [source_id],
        ).fetchall(),
    }


def licences(connection: sqlite3.Connection) -> dict[str, Any]:
    """Sources by licence, with the attribution each asks for."""
    return {
        "sources": connection.execute(
            "SELECT id, nom, licence, attribution, republication FROM sources "
            "ORDER BY licence, nom COLLATE NOCASE, id"
        ).fetchall()
    }


def health(connection: sqlite3.Connection) -> dict[str, Any]:
    """State of every source and its last harvest."""
    return {
        "health": _health_counts(connection),
        "sources": connection.execute(
            "SELECT s.id, s.nom, s.etat, s.sante, s.motif_etat, s.donnees_du, s.dernier_succes, "
            "s.nb_fiches, m.debut AS derniere_moisson, m.statut AS statut_moisson, m.message "
            "FROM sources s LEFT JOIN moissons m ON m.source_id = s.id AND m.debut = "
            "(SELECT max(debut) FROM moissons WHERE source_id = s.id) "
            "ORDER BY CASE s.sante WHEN 'cassee' THEN 0 WHEN 'degradee' THEN 1 "
            "WHEN 'ok' THEN 2 ELSE 3 END, s.nom COLLATE NOCASE, s.id"
        ).fetchall(),
    }


def data(connection: sqlite3.Connection) -> dict[str, Any]:
    """Rows of each published table, and the releases so far."""
    tables = [
        {
            "name": table.name,
            "label": table.fr,
            "nb": connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0],
        }
        for table in TABLES.values()
    ]
    versions = connection.execute(
        "SELECT id, date, nb_initiatives, nb_sources FROM versions ORDER BY date DESC, id LIMIT 12"
    ).fetchall()
    return {"tables": tables, "versions": versions}
