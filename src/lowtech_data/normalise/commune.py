"""The commune of a fiche, in the official geographic code, and everything that follows from it.

In this order, and only when a single commune answers: the INSEE code that the source gives;
postcode and name; name within the département of the postcode; the commune of the postcode whose
name begins like the one given; the only commune of the postcode when the name is missing or no
commune's; name near the position; name alone when one commune of France has it. Names of former,
delegated and associated communes lead to the present one. In Paris, Lyon and Marseille the commune
is the city, and `code_arrondissement` the district.
"""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject

MAX_KM_TO_NAME = 30
"""How far from its position a commune of that name may be."""

_CITIES = "paris|lyon|marseille"
_CITY_CODES = "CASE ville WHEN 'paris' THEN 75100 WHEN 'lyon' THEN 69380 ELSE 13200 END"
_CITY_SIZE = "CASE ville WHEN 'paris' THEN 20 WHEN 'lyon' THEN 9 ELSE 16 END"


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Prepare the tables of reference that look-ups join: `norm_communes`, `norm_codes`…"""
    con.execute(
        """CREATE OR REPLACE TEMP TABLE norm_communes AS
        SELECT code, nom, code_departement, code_region, code_epci, codes_postaux, latitude,
            longitude
        FROM ref_communes WHERE nature IN ('commune', 'com')"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE norm_codes AS
        SELECT code, code_actuel,
            CASE WHEN nature = 'arrondissement' THEN code END AS arrondissement
        FROM ref_communes
        QUALIFY row_number() OVER (PARTITION BY code
            ORDER BY nature NOT IN ('commune', 'com', 'arrondissement'), nature, code_actuel) = 1"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE norm_noms AS
        SELECT nom_cle, code_actuel, bool_or(nature IN ('commune', 'com')) AS courant,
            any_value(c.code_departement) AS departement
        FROM ref_communes r JOIN norm_communes c ON r.code_actuel = c.code
        WHERE r.nature <> 'arrondissement' GROUP BY nom_cle, code_actuel"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE norm_cp AS
        SELECT p.code_postal, k.code_actuel,
            CASE WHEN count(DISTINCT p.code_arrondissement) = 1 THEN min(p.code_arrondissement) END
                AS code_arrondissement
        FROM ref_codes_postaux p JOIN norm_codes k ON p.code_insee = k.code GROUP BY ALL"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE norm_departements AS
        SELECT code_departement AS code, min(latitude) - 0.15 AS sud, max(latitude) + 0.15 AS nord,
            min(longitude) - 0.15 AS ouest, max(longitude) + 0.15 AS est
        FROM norm_communes WHERE latitude IS NOT NULL GROUP BY ALL"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP MACRO sans_article(x) AS
        regexp_replace(x, '^(?:le|la|les|l) ', '')"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP MACRO departements_du_cp(cp) AS CASE
        WHEN left(cp, 2) = '20' THEN ['2A', '2B']
        WHEN left(cp, 2) IN ('97', '98') THEN [left(cp, 3)] ELSE [left(cp, 2)] END"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_commune` from `n_place` (what the fiche says) and `n_point`.

    Columns: `code_insee`, `commune`, `code_arrondissement`, `code_postal`, `code_departement`,
    `code_region`, `code_epci`, `regle`, `refus`.
    """
    _keys(con)
    _candidates(con)
    _near(con)
    _result(con)
    _journal(con)


def _keys(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        r"""CREATE OR REPLACE TEMP TABLE n_keys AS
        WITH distincts AS MATERIALIZED (
            SELECT DISTINCT cle, code_postal, commune, code_insee FROM n_place),
        nets AS MATERIALIZED (
            SELECT cle,
                regexp_extract(regexp_replace(coalesce(code_postal, ''), '\.0$', ''),
                    '^(?:[A-Za-z]{1,3}[- ])?\s*(\d[\d ]{2,5}\d)(?:\D.*)?$', 1) AS cp,
                cle_commune(commune) AS nom,
                upper(regexp_replace(coalesce(code_insee, ''), '\s|\.0$', '', 'g')) AS insee
            FROM distincts),
        codes AS MATERIALIZED (
            SELECT cle, replace(cp, ' ', '') AS cp, nom,
                CASE WHEN length(insee) = 4 AND regexp_matches(insee, '^\d{4}$')
                    THEN '0' || insee ELSE insee END AS insee
            FROM nets),
        postaux AS MATERIALIZED (
            SELECT cle, insee,
                CASE WHEN length(cp) = 4 THEN '0' || cp WHEN length(cp) = 5 THEN cp END AS cp_donne,
                regexp_extract(nom, '\b(\d{5})\b', 1) AS cp_nom,
                trim(regexp_replace(regexp_replace(
                    regexp_replace(nom, '\bcedex\b.*$', ''), '\b\d{5}\b', ''), ' france$', ''))
                        AS nom
            FROM codes),
        villes AS MATERIALIZED (
            SELECT cle, insee, nullif(nullif(coalesce(nullif(cp_donne, '00000'), cp_nom), ''),
                '00000')
                    AS cp,
                regexp_extract(nom, '^("""
        + _CITIES
        + r""")\b', 1) AS ville,
                try_cast(regexp_extract(nom, '^(?:"""
        + _CITIES
        + r""") (\d{1,2})'
                    || '(?: ?(?:er|e|eme|nd|nde))?(?: (?:arr|arrdt|arrondissement))?$', 1) AS
                        INT) AS rang,
                nom
            FROM postaux)
        SELECT cle, CASE WHEN NOT regexp_matches(insee, '^0*$') THEN insee END AS insee,
            CASE WHEN regexp_matches(cp, '^(?:0[1-9]|[1-8]\d|9[0-5]|97[1-8]|98[4-8])')
                THEN cp END AS cp,
            CASE WHEN rang BETWEEN 1 AND """
        + _CITY_SIZE
        + r""" THEN ville
                ELSE nullif(trim(regexp_replace(nom, ' (?:\d{1,3}|2[ab])$', '')), '') END AS nom,
            CASE WHEN rang BETWEEN 1 AND """
        + _CITY_SIZE
        + r"""
                THEN ("""
        + _CITY_CODES
        + r""" + rang)::VARCHAR END AS arrondissement
        FROM villes"""
    )


def _candidates(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_candidates AS
        WITH reponses AS (
            SELECT k.cle, 10 AS rang, c.code_actuel AS code
            FROM n_keys k JOIN norm_codes c ON k.insee = c.code
            UNION ALL
            SELECT k.cle, CASE WHEN m.courant THEN 20 ELSE 21 END, m.code_actuel
            FROM n_keys k JOIN norm_cp p ON k.cp = p.code_postal
            JOIN norm_noms m ON m.nom_cle = k.nom AND m.code_actuel = p.code_actuel
            UNION ALL
            SELECT k.cle, CASE WHEN m.courant THEN 30 ELSE 31 END, m.code_actuel
            FROM n_keys k JOIN norm_noms m
                ON m.nom_cle = k.nom AND list_contains(departements_du_cp(k.cp), m.departement)
            WHERE k.cp IS NOT NULL
            UNION ALL
            SELECT k.cle, 35, p.code_actuel FROM n_keys k JOIN norm_cp p ON k.cp = p.code_postal
            JOIN norm_noms m ON m.code_actuel = p.code_actuel
            WHERE starts_with(sans_article(k.nom) || ' ', sans_article(m.nom_cle) || ' ')
                OR starts_with(sans_article(m.nom_cle) || ' ', sans_article(k.nom) || ' ')
            UNION ALL
            SELECT k.cle, 40, p.code_actuel FROM n_keys k JOIN norm_cp p ON k.cp = p.code_postal
            WHERE k.nom IS NULL OR k.nom NOT IN (SELECT nom_cle FROM norm_noms)
            UNION ALL
            SELECT k.cle, 50, m.code_actuel FROM n_keys k JOIN norm_noms m ON m.nom_cle = k.nom
            WHERE k.cp IS NULL),
        comptes AS (
            SELECT cle, rang, min(code) AS code, count(DISTINCT code) AS nb
            FROM reponses GROUP BY cle, rang)
        SELECT cle, arg_min(code, rang) FILTER (nb = 1) AS code, min(rang) FILTER (nb = 1) AS rang,
            coalesce(min(code) FILTER (rang = 10)
                <> arg_min(code, rang) FILTER (rang IN (20, 21) AND nb = 1), false) AS contredit
        FROM comptes GROUP BY cle"""
    )


def _near(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_near AS
        SELECT l.n, min(m.code_actuel) AS code
        FROM n_place l JOIN n_point p ON l.n = p.n AND p.refus IS NULL
        JOIN n_keys k ON l.cle = k.cle
        LEFT JOIN n_candidates c ON l.cle = c.cle
        JOIN norm_noms m ON m.nom_cle = k.nom
        JOIN norm_communes o ON m.code_actuel = o.code
        WHERE (c.rang IS NULL OR c.rang >= 50)
            AND distance_km(p.latitude, p.longitude, o.latitude, o.longitude) < {MAX_KM_TO_NAME}
        GROUP BY l.n HAVING count(DISTINCT m.code_actuel) = 1"""
    )


def _result(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_commune AS
        WITH choisis AS MATERIALIZED (
            SELECT l.n, k.cp, k.nom, k.insee, k.arrondissement, c.rang, c.contredit,
                coalesce(v.code, c.code) AS code,
                CASE WHEN v.code IS NOT NULL THEN 'nom_et_position'
                    WHEN c.rang = 10 THEN 'code_insee_donne'
                    WHEN c.rang IN (20, 21) THEN 'code_postal_et_nom'
                    WHEN c.rang IN (30, 31) THEN 'nom_dans_le_departement'
                    WHEN c.rang = 35 THEN 'code_postal_et_debut_du_nom'
                    WHEN c.rang = 40 THEN 'seule_commune_du_code_postal'
                    WHEN c.rang = 50 THEN 'nom_unique_en_france' END AS regle
            FROM n_place l JOIN n_keys k ON l.cle = k.cle
            LEFT JOIN n_candidates c ON l.cle = c.cle LEFT JOIN n_near v ON l.n = v.n),
        verifies AS MATERIALIZED (
            SELECT h.*, o.latitude AS cla, o.longitude AS clo,
                h.regle = 'nom_unique_en_france' AND p.n IS NOT NULL AND p.refus IS NULL
                AND distance_km(p.latitude, p.longitude, o.latitude, o.longitude)
                    > {MAX_KM_TO_NAME} AS contraire
            FROM choisis h LEFT JOIN norm_communes o ON h.code = o.code
            LEFT JOIN n_point p ON h.n = p.n),
        places AS MATERIALIZED (
            SELECT v.*, o.code AS code_insee, o.nom AS commune, o.code_departement, o.code_region,
                o.code_epci, o.codes_postaux,
                CASE WHEN o.code IN ('75056', '69123', '13055') THEN coalesce(
                    v.arrondissement, a.code_arrondissement, i.arrondissement) END
                    AS code_arrondissement
            FROM verifies v
            LEFT JOIN norm_communes o
                ON o.code = CASE WHEN NOT coalesce(v.contraire, false) THEN v.code END
            LEFT JOIN norm_cp a ON a.code_postal = v.cp AND a.code_actuel = o.code
            LEFT JOIN norm_codes i ON v.insee = i.code)
        SELECT n, regle, insee, cp, nom AS nom_cle, coalesce(contredit, false) AS contredit,
            code_insee, commune, code_departement, code_region, code_epci, code_arrondissement,
            CASE
                WHEN cp IS NOT NULL AND (code_insee IS NULL
                    OR list_contains(departements_du_cp(cp), code_departement)
                    OR list_contains(codes_postaux, cp)) THEN cp
                WHEN len(codes_postaux) = 1 THEN codes_postaux[1]
                WHEN code_arrondissement IS NOT NULL THEN left(code_arrondissement, 2) || '0'
                    || CASE WHEN starts_with(code_arrondissement, '6938')
                        THEN '0' || right(code_arrondissement, 1)
                        ELSE right(code_arrondissement, 2) END
                END AS code_postal,
            cp IS NOT NULL AND code_insee IS NOT NULL
                AND NOT list_contains(departements_du_cp(cp), code_departement)
                AND NOT list_contains(codes_postaux, cp) AS cp_contredit,
            CASE WHEN code_insee IS NOT NULL OR (nom IS NULL AND cp IS NULL) THEN NULL
                WHEN contraire THEN 'commune_contredite_par_la_position'
                WHEN nom IS NOT NULL AND nom NOT IN (SELECT nom_cle FROM norm_noms)
                THEN 'commune_inconnue' ELSE 'commune_ambigue' END AS refus
        FROM places"""
    )


def _journal(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """UPDATE n_commune SET commune = left(replace(t.commune, chr(10), ' '), 100)
        FROM n_place t WHERE n_commune.n = t.n AND n_commune.refus IS NOT NULL"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_commune_said AS
        SELECT c.*, t.commune AS dite, t.commune_montre AS commune_source, t.commune_regle,
            r.code_postal AS cp_source, r.code_insee AS insee_source
        FROM n_commune c JOIN n_txt t ON c.n = t.n JOIN n_raw r ON c.n = r.n"""
    )
    reject(
        con,
        "commune",
        regle="refus",
        value="nullif(concat_ws(' ', cp, coalesce(commune_source, nom_cle)), '')",
        select="FROM n_commune_said WHERE refus IS NOT NULL",
    )
    reject(
        con,
        "code_insee",
        regle="CASE WHEN contredit THEN 'code_insee_contredit' ELSE 'code_insee_inconnu' END",
        value="insee_source",
        select="FROM n_commune_said WHERE contredit OR (insee IS NOT NULL"
        " AND insee NOT IN (SELECT code FROM norm_codes))",
    )
    reject(
        con,
        "code_postal",
        regle="CASE WHEN cp_contredit THEN 'code_postal_contredit' ELSE 'code_postal_invalide' END",
        value="cp_source",
        select="FROM n_commune_said WHERE cp_contredit OR"
        " (NOT vide(cp_source) AND cp IS NULL AND NOT regexp_matches(cp_source, '^[0 .]+$'))",
    )
    change(
        con,
        "commune",
        regle="concat_ws('+', commune_regle, 'nom_officiel')",
        source="commune_source",
        select="FROM n_commune_said WHERE dite IS NOT NULL AND code_insee IS NOT NULL"
        " AND commune_source <> commune",
    )
    change(
        con,
        "commune",
        regle="regle",
        source="NULL",
        select="FROM n_commune_said WHERE dite IS NULL AND code_insee IS NOT NULL",
    )
    change(
        con,
        "code_insee",
        regle="regle",
        source="masque(insee_source)",
        select="FROM n_commune_said WHERE code_insee IS NOT NULL"
        " AND insee_source IS DISTINCT FROM code_insee",
    )
    change(
        con,
        "code_postal",
        regle="""CASE WHEN vide(cp_source) OR regexp_matches(cp_source, '^[0 .]+$')
            THEN 'code_postal_de_la_commune' ELSE 'code_postal_remis_en_forme' END""",
        source="masque(cp_source)",
        select="FROM n_commune_said WHERE code_postal IS NOT NULL"
        " AND cp_source IS DISTINCT FROM code_postal",
    )
