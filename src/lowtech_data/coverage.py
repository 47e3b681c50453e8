"""What exists in each territory, and where nothing was found although someone looked.

A gap is only a gap where sources look: a territory that no source covers is `non_observe`, never
empty.
"""

from __future__ import annotations

import duckdb

LEVELS = {"departement": "code_departement", "region": "code_region"}


def measure(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table `couverture` from `initiatives`, `fiches` and `territoires`.

    One row per territory (département, région) and family, then per territory and type that exists
    there. `nb_sources_couvrant` counts the sources with at least one fiche in the territory.
    """
    parts = []
    for level, column in LEVELS.items():
        parts += [_rows(level, column, "famille"), _rows(level, column, "type")]
    con.execute(
        f"CREATE TABLE couverture AS {' UNION ALL '.join(parts)} "
        "ORDER BY niveau, territoire, famille, type"
    )


def _rows(level: str, column: str, axis: str) -> str:
    exploded = "unnest(familles)" if axis == "famille" else "type"
    values = "SELECT code AS v FROM codes WHERE liste = 'famille'" if axis == "famille" else None
    pairs = (
        f"SELECT t.code, t.population, f.v FROM territoires t, ({values}) f "
        f"WHERE t.niveau = '{level}'"
        if values
        else f"SELECT DISTINCT t.code, t.population, i.type AS v FROM territoires t "
        f"JOIN initiatives i ON i.{column} = t.code "
        f"WHERE t.niveau = '{level}' AND i.type IS NOT NULL"
    )
    return f"""
        SELECT '{level}' AS niveau, p.code AS territoire,
               {"p.v" if axis == "famille" else "NULL"}::VARCHAR AS famille,
               {"p.v" if axis == "type" else "NULL"}::VARCHAR AS type,
               coalesce(n.nb, 0) AS nb,
               round(coalesce(n.nb, 0) * 100000.0 / nullif(p.population, 0), 2) AS nb_pour_100k,
               NULL::DOUBLE AS distance_mediane_km,
               coalesce(s.nb, 0) AS nb_sources_couvrant,
               CASE WHEN coalesce(n.nb, 0) > 0 THEN 'couvert'
                    WHEN coalesce(s.nb, 0) > 0 THEN 'vide_observe'
                    ELSE 'non_observe' END AS diagnostic
        FROM ({pairs}) p
        LEFT JOIN (
            SELECT code, v, count(*) AS nb FROM (
                SELECT {column} AS code, {exploded} AS v FROM initiatives
                WHERE statut NOT IN ('archive', 'ferme', 'retire'))
            GROUP BY ALL) n ON n.code = p.code AND n.v = p.v
        LEFT JOIN (
            SELECT {column} AS code, count(DISTINCT source_id) AS nb FROM fiches GROUP BY ALL
        ) s ON s.code = p.code
    """
