"""What Datasette says of the database, its tables, columns and questions, from the model."""

from __future__ import annotations

from typing import Any

from lowtech_data.model import TABLES
from lowtech_data.site.queries import NamedQuery

LINKED = {
    "initiatives_themes": ("Thèmes d’une initiative", "Themes of an initiative"),
    "initiatives_familles": ("Familles d’une initiative", "Families of an initiative"),
    "initiatives_piliers": ("Piliers d’une initiative", "Pillars of an initiative"),
    "initiatives_principes": ("Principes d’une initiative", "Principles of an initiative"),
}
LICENCE = "ODbL 1.0"
LICENCE_URL = "https://opendatacommons.org/licenses/odbl/1-0/"


def both(french: str, english: str) -> str:
    """A label in both languages."""
    return french if french == english else f"{french} / {english}"


def metadata(database: str) -> dict[str, Any]:
    """Datasette's metadata for the release's database."""
    tables: dict[str, Any] = {
        table.name: {
            "title": table.fr,
            "description": table.en,
            "columns": {column.name: both(column.fr, column.en) for column in table.columns},
            **({"label_column": table.label} if table.label else {}),
        }
        for table in TABLES.values()
    }
    tables["initiatives"]["fts_table"] = "initiatives_fts"
    tables["ressources"]["fts_table"] = "ressources_fts"
    for name, (french, english) in LINKED.items():
        tables[name] = {
            "title": french,
            "description": english,
            "columns": {"id": "Initiative", "valeur": "Code"},
        }
    hidden = {"hidden": True}
    for name in ("initiatives_rtree", "initiatives_fts", "ressources_fts"):
        tables[name] = hidden
    return {
        "title": "Données low-tech",
        "license": LICENCE,
        "license_url": LICENCE_URL,
        "source": "Sources et licences",
        "source_url": "/sources",
        "databases": {
            database: {
                "title": "La base : tables, SQL et JSON",
                "description": "Initiatives low-tech en France : tables, questions prêtes, SQL. / "
                "Low-tech initiatives in France: tables, named queries, SQL.",
                "tables": tables,
            }
        },
    }


def canned(queries: dict[str, NamedQuery]) -> dict[str, dict[str, Any]]:
    """The named questions as Datasette takes them."""
    return {
        query.name: {
            "sql": query.sql,
            "title": query.title_fr,
            "description": f"{query.description} / {query.title_en}.",
            "params": list(query.params),
        }
        for query in queries.values()
    }
