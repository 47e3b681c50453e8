"""Kind, themes, families and status of a fiche: published codes only, defaults by type."""

from __future__ import annotations

import duckdb

from lowtech_data.model import codes_of
from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal

_STATUSES = {
    "publie": "publie publié published active actif ouvert open corona 1 oui true ok valide validé",
    "a_verifier": "a_verifier planned prévu prevu projet pending en_attente 0 2 non false",
    "ferme": "ferme fermé fermée fermee closed inactive inactif disused abandoned",
    "archive": "archive archivé archived",
    "retire": "retire retiré deleted removed refused refusé",
}
_YES = "'oui', 'yes', 'true', '1', 'vrai', 'itinerant', 'itinérant', 'mobile'"
_NO = "'non', 'no', 'false', '0', 'faux', 'fixe'"


def _codes(name: str) -> str:
    return "[" + ", ".join(literal(code) for code in sorted(codes_of(name))) + "]"


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_class`: `type`, `nature`, `themes`, `familles`, `statut`, `itinerant`."""
    statuses = " ".join(
        f"WHEN s IN ({', '.join(map(literal, words.split()))}) THEN '{code}'"
        for code, words in _STATUSES.items()
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_class AS
        WITH lus AS MATERIALIZED (
            SELECT n, entite, statut, itinerant,
                CASE WHEN list_contains({_codes("type")}, type) THEN type END AS type,
                CASE WHEN list_contains({_codes("nature")}, nature) THEN nature END AS nature,
                CASE WHEN len(themes) > 0 THEN list_filter(list_distinct(themes),
                    lambda x: list_contains({_codes("theme")}, x)) END AS themes,
                CASE WHEN len(familles) > 0 THEN list_filter(list_distinct(familles),
                    lambda x: list_contains({_codes("famille")}, x)) END AS familles,
                lower(trim(statut)) AS s, lower(trim(itinerant)) AS i
            FROM n_raw)
        SELECT l.n, l.type, l.statut AS statut_source, l.itinerant AS itinerant_source,
            coalesce(l.nature, CASE WHEN l.entite = 'initiative' THEN t.nature END) AS nature,
            list_sort(CASE WHEN len(l.themes) > 0 THEN l.themes WHEN l.entite = 'initiative'
                THEN coalesce(t.themes, []) ELSE [] END) AS themes,
            list_sort(CASE WHEN len(l.familles) > 0 THEN l.familles WHEN l.entite = 'initiative'
                THEN coalesce(t.familles, []) ELSE [] END) AS familles,
            CASE WHEN s IS NULL THEN 'publie' {statuses}
                WHEN regexp_matches(s, '^-\\d+$') THEN 'retire' END AS statut,
            CASE WHEN i IN ({_YES}) THEN true WHEN i IN ({_NO}) THEN false END AS itinerant,
            len(coalesce(l.themes, [])) = 0 AND len(t.themes) > 0 AND l.entite = 'initiative'
                AS themes_par_defaut,
            len(coalesce(l.familles, [])) = 0 AND len(t.familles) > 0 AND l.entite = 'initiative'
                AS familles_par_defaut,
            l.nature IS NULL AND t.nature IS NOT NULL AND l.entite = 'initiative'
                AS nature_par_defaut
        FROM lus l LEFT JOIN ref_types t ON l.type = t.type"""
    )
    for column in ("type", "nature"):
        reject(
            con,
            column,
            regle=f"'{column}_inconnu'",
            value=column,
            select=f"FROM n_raw WHERE {column} IS NOT NULL"
            f" AND NOT list_contains({_codes(column)}, {column})",
        )
    for column, codes in (("themes", "theme"), ("familles", "famille")):
        reject(
            con,
            column,
            regle=f"'{codes}_inconnu'",
            value="v",
            select=f"FROM (SELECT n, unnest({column}) AS v FROM n_raw WHERE len({column}) > 0)"
            f" WHERE NOT list_contains({_codes(codes)}, v)",
        )
    for column in ("statut", "itinerant"):
        reject(
            con,
            column,
            regle=f"'{column}_inconnu'",
            value=f"{column}_source",
            select=f"FROM n_class WHERE {column} IS NULL AND {column}_source IS NOT NULL",
        )
    for column in ("nature", "themes", "familles"):
        change(
            con,
            column,
            regle="'defaut_du_type'",
            source="NULL",
            select=f"FROM n_class WHERE {column}_par_defaut",
        )
    change(
        con,
        "statut",
        regle="'code_de_statut'",
        source="masque(statut_source)",
        select="FROM n_class WHERE statut_source IS NOT NULL AND statut <> statut_source",
    )
