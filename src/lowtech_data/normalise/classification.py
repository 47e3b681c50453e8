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
_KIND_WORDS = {
    "repair_cafe": "repair ?cafes?",
    "ressourcerie": "ressourceries?|recycleries?",
    "materiautheque": "materiautheques?",
    "outiltheque": "outiltheques?",
    "atelier_velo": "ateliers? (?:participatifs? |associatifs? )?(?:de |du )?velos?|cyclofficines?",
    "hackerspace": "hacker ?spaces?",
    "fablab": "fab ?labs?",
    "tiers_lieu": "tiers ?lieux?",
}
"""Type → words of a name that say it, accents folded; the first type whose word is there wins."""
_YES = "'oui', 'yes', 'true', '1', 'vrai', 'itinerant', 'itinérant', 'mobile'"
_NO = "'non', 'no', 'false', '0', 'faux', 'fixe'"


def _codes(name: str) -> str:
    return "[" + ", ".join(literal(code) for code in sorted(codes_of(name))) + "]"


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_class`: `type`, `nature`, `themes`, `familles`, `statut`, `itinerant`."""
    _kinds(con)
    statuses = " ".join(
        f"WHEN s IN ({', '.join(map(literal, words.split()))}) THEN '{code}'"
        for code, words in _STATUSES.items()
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_class AS
        WITH statuts AS MATERIALIZED (
            SELECT statut, CASE WHEN s IS NULL THEN 'publie' {statuses}
                WHEN regexp_matches(s, '^-\\d+$') THEN 'retire' END AS lu
            FROM (SELECT DISTINCT statut, lower(trim(statut)) AS s FROM n_raw)),
        itinerants AS MATERIALIZED (
            SELECT itinerant, CASE WHEN i IN ({_YES}) THEN true WHEN i IN ({_NO}) THEN false END
                AS lu
            FROM (SELECT DISTINCT itinerant, lower(trim(itinerant)) AS i FROM n_raw
                WHERE itinerant IS NOT NULL))
        SELECT t.n, t.statut AS statut_source, t.itinerant AS itinerant_source,
            k.type, k.nature, k.themes, k.familles, s.lu AS statut_lu,
            CASE WHEN m.personne AND coalesce(s.lu, 'publie') = 'publie' THEN 'a_verifier'
                ELSE coalesce(s.lu, 'publie') END AS statut,
            i.lu AS itinerant, k.nature_par_defaut, k.themes_par_defaut, k.familles_par_defaut
        FROM n_typed t JOIN n_kinds k ON t.cle = k.cle JOIN n_name m ON t.n = m.n
        LEFT JOIN statuts s ON t.statut IS NOT DISTINCT FROM s.statut
        LEFT JOIN itinerants i ON t.itinerant = i.itinerant"""
    )
    _journal(con)


def _kinds(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_typed`, by row, and `n_kinds`, by combination of codes: combinations are few."""
    said = " ".join(
        rf"WHEN regexp_matches(mots, '\b(?:{words})\b') THEN '{code}'"
        for code, words in _KIND_WORDS.items()
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_typed AS
        WITH types AS MATERIALIZED (
            SELECT type FROM (SELECT DISTINCT type FROM n_raw)
            WHERE list_contains({_codes("type")}, type)),
        nommes AS MATERIALIZED (
            SELECT n, CASE {said} END AS type FROM (
                SELECT r.n, cle_commune(m.nom) AS mots
                FROM n_raw r JOIN n_name m ON r.n = m.n
                WHERE r.entite = 'initiative'
                    AND (r.type IS NULL OR r.type NOT IN (SELECT type FROM types))))
        SELECT r.n, r.entite, r.nature, r.themes, r.familles, r.statut, r.itinerant,
            coalesce(t.type, d.type) AS type, d.type IS NOT NULL AS type_du_nom,
            concat_ws(chr(31), r.entite, coalesce(t.type, d.type, ''), coalesce(r.nature, ''),
                coalesce(array_to_string(r.themes, '|'), ''),
                coalesce(array_to_string(r.familles, '|'), '')) AS cle
        FROM n_raw r LEFT JOIN types t ON r.type = t.type LEFT JOIN nommes d ON r.n = d.n"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_kinds AS
        WITH distincts AS MATERIALIZED (
            SELECT cle, any_value(entite) AS entite, any_value(type) AS type,
                any_value(nature) AS nature, any_value(themes) AS themes,
                any_value(familles) AS familles
            FROM n_typed GROUP BY cle),
        lus AS MATERIALIZED (
            SELECT cle, entite, type,
                CASE WHEN list_contains({_codes("nature")}, nature) THEN nature END AS nature,
                list_filter(list_distinct(coalesce(themes, [])),
                    lambda x: list_contains({_codes("theme")}, x)) AS themes,
                list_filter(list_distinct(coalesce(familles, [])),
                    lambda x: list_contains({_codes("famille")}, x)) AS familles
            FROM distincts),
        defauts AS (
            SELECT l.*, CASE WHEN l.entite = 'initiative' THEN t.nature END AS nature_type,
                CASE WHEN l.entite = 'initiative' THEN t.themes END AS themes_type,
                CASE WHEN l.entite = 'initiative' THEN t.familles END AS familles_type
            FROM lus l LEFT JOIN ref_types t ON l.type = t.type)
        SELECT cle, type, coalesce(nature, nature_type) AS nature,
            list_sort(CASE WHEN len(themes) > 0 THEN themes ELSE coalesce(themes_type, []) END)
                AS themes,
            list_sort(CASE WHEN len(familles) > 0 THEN familles
                ELSE coalesce(familles_type, []) END) AS familles,
            nature IS NULL AND nature_type IS NOT NULL AS nature_par_defaut,
            len(themes) = 0 AND len(themes_type) > 0 AS themes_par_defaut,
            len(familles) = 0 AND len(familles_type) > 0 AS familles_par_defaut
        FROM defauts"""
    )


def _journal(con: duckdb.DuckDBPyConnection) -> None:
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
    for column, read in (("statut", "statut_lu"), ("itinerant", "itinerant")):
        reject(
            con,
            column,
            regle=f"'{column}_inconnu'",
            value=f"{column}_source",
            select=f"FROM n_class WHERE {read} IS NULL AND NOT vide({column}_source)",
        )
    change(
        con, "type", regle="'type_du_nom'", source="NULL", select="FROM n_typed WHERE type_du_nom"
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
