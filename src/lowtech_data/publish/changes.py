"""What changed since the previous release, one row per entity, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from lowtech_data.model import TABLES, Column
from lowtech_data.publish.tables import scan

_NOT_NEWS = frozenset(
    {"id", "derniere_vue", "score_fraicheur", "score_completude", "licence", "attribution"}
)
"""Columns that move by themselves and would drown what changed."""


def between(before: Path, after: Path) -> list[tuple[str, str, str, str]]:
    """What differs from one release to another: change, id, name and fields, header first."""
    with duckdb.connect() as con:
        for name in ("initiatives", "identifiants"):
            con.execute(f"CREATE VIEW {name} AS FROM {scan(after, name)}")
        con.execute(TABLES["changements"].duckdb_ddl())
        write(con, after.name, before)
        rows = con.execute(
            """
            SELECT c.type, c.entite_id, coalesce(i.nom, b.nom, ''),
                   coalesce(array_to_string(c.champs, ' '), '')
            FROM changements c LEFT JOIN initiatives i ON i.id = c.entite_id
            LEFT JOIN avant_initiatives b ON b.id = c.entite_id ORDER BY ALL
            """
        ).fetchall()
    return [("changement", "id", "nom", "champs"), *rows]


def write(con: duckdb.DuckDBPyConnection, version: str, previous: Path | None) -> None:
    """Fill the table `changements` from `initiatives`, `identifiants` and the previous release."""
    if previous is None:
        return
    for name in ("initiatives", "identifiants"):
        con.execute(f"CREATE OR REPLACE TEMP VIEW avant_{name} AS FROM {scan(previous, name)}")
    columns = [c for c in TABLES["initiatives"].columns if c.name not in _NOT_NEWS]
    fields = ", ".join(
        f'CASE WHEN a."{c.name}" IS DISTINCT FROM b."{c.name}" THEN \'{c.name}\' END'
        for c in columns
    )
    before, after = (_object(columns, side) for side in ("b", "a"))
    con.execute(
        f"""
        INSERT INTO changements
        SELECT $version, id, type, champs, avant, apres FROM (
            SELECT a.id, 'ajout' AS type, NULL::VARCHAR[] AS champs, NULL AS avant, NULL AS apres
            FROM initiatives a ANTI JOIN avant_initiatives b USING (id)
            UNION ALL
            SELECT id,
                   CASE WHEN b_statut <> a_statut AND a_statut = 'archive' THEN 'archivage'
                        WHEN b_statut <> a_statut AND b_statut = 'archive' THEN 'reactivation'
                        WHEN b_statut <> a_statut AND a_statut = 'ferme' THEN 'fermeture'
                        ELSE 'modification' END,
                   champs, avant, apres
            FROM (SELECT a.id, a.statut AS a_statut, b.statut AS b_statut,
                         list_filter([{fields}], lambda x: x IS NOT NULL) AS champs,
                         {before} AS avant, {after} AS apres
                  FROM initiatives a JOIN avant_initiatives b USING (id))
            WHERE len(champs) > 0
            UNION ALL
            SELECT i.id, CASE i.etat WHEN 'fusionne' THEN 'fusion' WHEN 'scinde' THEN 'scission'
                                     ELSE 'retrait' END,
                   NULL, NULL, CASE WHEN i.remplace_par IS NOT NULL
                               THEN json_object('remplace_par', i.remplace_par)::VARCHAR END
            FROM identifiants i JOIN avant_identifiants b USING (id)
            WHERE i.etat <> b.etat AND i.etat <> 'actif')
        """,
        {"version": version},
    )


def _object(columns: Sequence[Column], side: str) -> str:
    """SQL for the JSON object of the changed columns, as they are on one side (`a` or `b`)."""
    parts = ", ".join(
        f'CASE WHEN a."{c.name}" IS DISTINCT FROM b."{c.name}" '
        f"THEN '\"{c.name}\":' || coalesce(to_json({side}.\"{c.name}\")::VARCHAR, 'null') END"
        for c in columns
    )
    return f"'{{' || array_to_string(list_filter([{parts}], lambda x: x IS NOT NULL), ',') || '}}'"
