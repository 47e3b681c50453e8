"""The commune of a fiche, in the official geographic code, and everything that follows from it.

In this order, and only when a single commune answers: the INSEE code that the source gives;
postcode and name; name within the département that the postcode or the text says; the commune of
the postcode whose name begins like the one given, or differs by a letter; the only commune of the
postcode when the name is missing or no commune's; name alone when one commune of France has it.

A position then settles what the text leaves open: among the communes of that name, the one near the
point; a misspelt name, when a commune around has nearly that one; the commune of the postcode
around the point; and the commune that certainly holds the point when nothing else is said. A point
that many unrelated names share is nobody's, and settles nothing.

Names of former, delegated and associated communes lead to the present one. The name of a region or
a country is no commune's, unless a postcode says so. In Paris, Lyon and Marseille the commune is
the city, and `code_arrondissement` the district.
"""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal
from lowtech_data.reference import position

MAX_KM_TO_NAME = 30
"""How far from its position the centre of a commune of that name may be."""

KM_AROUND = 5.0
"""How far from its position the contour of a commune of nearly that name may be."""

KM_OF_POSTCODE = 0.5
"""How far from its position the contour of a commune of that postcode may be."""

MAX_LETTERS = 2
"""How many letters a misspelt name may have wrong, and no more than one in five."""

_CITIES = "paris|lyon|marseille"
_CITY_CODES = "CASE ville WHEN 'paris' THEN 75100 WHEN 'lyon' THEN 69380 ELSE 13200 END"
_CITY_SIZE = "CASE ville WHEN 'paris' THEN 20 WHEN 'lyon' THEN 9 ELSE 16 END"
_ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx"
_DISTRICT = (
    rf"^(?:{_CITIES}) (\d{{1,2}}|[ivx]+?)(?: ?(?:er|e|eme|nd|nde))?"
    r"(?: (?:arr|arrdt|arrt|ardt|arrondissement))?$"
)
_WIDER = (
    "france|fr|france metropolitaine|metropole|europe|reunion|guyane francaise|paca|idf|aura"
    "|region sud|auvergne|rhone alpes|aquitaine|limousin|poitou charentes|midi pyrenees"
    "|languedoc roussillon|lorraine|alsace|champagne ardenne|picardie|nord pas de calais"
    "|bourgogne|franche comte|haute normandie|basse normandie|centre"
    "|belgique|suisse|luxembourg|espagne|italie|allemagne"
)
"""Countries, and regions under the names that the official code does not have, folded."""


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
        f"""CREATE OR REPLACE TEMP TABLE norm_vastes AS
        SELECT cle_commune(nom) AS nom_cle FROM ref_territoires
            WHERE niveau = 'pays' OR (niveau = 'region' AND length(code) = 2)
        UNION SELECT unnest(string_split('{_WIDER}', '|'))"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE norm_departements AS
        SELECT code, cle_commune(nom) AS nom_cle FROM ref_territoires WHERE niveau = 'departement'
        UNION SELECT '974', 'reunion'"""
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
    con.execute(
        f"""CREATE OR REPLACE TEMP MACRO presque(a, b) AS
        damerau_levenshtein(a, b) <= least({MAX_LETTERS}, length(a) // 5)"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP MACRO commence_comme(a, b) AS
        starts_with(sans_article(a) || ' ', sans_article(b) || ' ')
        OR starts_with(sans_article(b) || ' ', sans_article(a) || ' ')"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_commune` from `n_place` (what the fiche says) and `n_point`.

    Columns: `code_insee`, `commune`, `code_arrondissement`, `code_postal`, `code_departement`,
    `code_region`, `code_epci`, `regle`, `refus`.
    """
    _keys(con)
    _names(con)
    _candidates(con)
    _positions(con)
    _result(con)
    _journal(con)


def _keys(con: duckdb.DuckDBPyConnection) -> None:
    """Read each distinct writing once (`n_keys`), and number it (`n_said`: `n`, `k`)."""
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_keys AS
        WITH distincts AS MATERIALIZED (
            SELECT cle, any_value(code_postal) AS code_postal, any_value(commune) AS commune,
                any_value(code_insee) AS code_insee, row_number() OVER (ORDER BY cle)::INT AS k
            FROM n_place GROUP BY cle),
        nets AS MATERIALIZED (
            SELECT k, cle, commune, trim(coalesce(code_postal, '')) AS poste,
                regexp_extract(regexp_replace(poste, '\.0$', ''),
                    '^(?:[A-Za-z]{{1,3}}[- ])?\s*(\d[\d ]{{2,5}}\d)(?:\D.*)?$', 1) AS cp,
                CASE WHEN regexp_matches(commune, '\pL') THEN cle_commune(commune)
                    WHEN regexp_matches(poste, '\pL{{3}}') THEN cle_commune(
                        regexp_replace(poste, '\d', '', 'g')) || ' ' || coalesce(commune, '')
                    ELSE cle_commune(commune) END AS nom,
                upper(regexp_replace(coalesce(code_insee, ''), '\s|\.0$', '', 'g')) AS insee
            FROM distincts),
        codes AS MATERIALIZED (
            SELECT k, cle, commune, nom, replace(cp, ' ', '') AS cp,
                CASE WHEN regexp_matches(insee, '^\d{{4}}$') THEN '0' || insee ELSE insee END
                    AS insee,
                upper(regexp_extract(poste,
                    '^(\d{{2}}|2[ABab]|97\d)(?:[xX*._]{{1,3}})?$', 1)) AS dep_cp
            FROM nets),
        postaux AS MATERIALIZED (
            SELECT k, cle, commune, insee, dep_cp,
                CASE WHEN length(cp) = 4 THEN '0' || cp WHEN length(cp) = 5 THEN cp END AS cp_donne,
                regexp_extract(nom, '\b(\d{{5}})\b', 1) AS cp_nom,
                trim(regexp_replace(regexp_replace(regexp_replace(nom, '\bcedex\b.*$', ''),
                    '\b\d{{5}}\b', ''), ' (?:france|fr)$', '')) AS nom
            FROM codes),
        villes AS MATERIALIZED (
            SELECT k, cle, commune, insee, dep_cp, nom,
                nullif(nullif(coalesce(nullif(cp_donne, '00000'), cp_nom), ''), '00000') AS cp,
                regexp_extract(nom, '^({_CITIES})\b', 1) AS ville,
                regexp_extract(nom, {literal(_DISTRICT)}, 1) AS ecrit,
                coalesce(try_cast(ecrit AS INT),
                    list_position(string_split('{_ROMAN}', ' '), nullif(ecrit, ''))) AS rang
            FROM postaux),
        lus AS MATERIALIZED (
            SELECT *, coalesce(rang BETWEEN 1 AND {_CITY_SIZE}, false) AS district,
                CASE WHEN NOT district THEN coalesce(nullif(dep_cp, ''), nullif(upper(coalesce(
                    nullif(regexp_extract(nom, '^(\d{{2,3}}|2[ab]) \D', 1), ''),
                    regexp_extract(nom, ' (\d{{2,3}}|2[ab])$', 1))), '')) END AS dep,
                CASE WHEN district THEN ville ELSE nullif(trim(regexp_replace(regexp_replace(nom,
                    ' (?:\d{{1,3}}|2[ab])$', ''), '^(?:\d{{2,3}}|2[ab]) ', '')), '') END AS nu
            FROM villes)
        SELECT k, cle, commune, CASE WHEN NOT regexp_matches(insee, '^0*$') THEN insee END AS insee,
            CASE WHEN regexp_matches(cp, '^(?:0[1-9]|[1-8]\d|9[0-5]|97[1-8]|98[4-8])')
                THEN cp END AS cp,
            nu AS nom, dep,
            CASE WHEN district THEN ({_CITY_CODES} + rang)::VARCHAR END AS arrondissement,
            coalesce(regexp_replace(nu, '^region ', '') IN (SELECT nom_cle FROM norm_vastes)
                OR nu IN (SELECT nom_cle FROM norm_vastes), false) AS vaste
        FROM lus"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_said AS
        SELECT l.n, k.k FROM n_place l JOIN n_keys k ON l.cle = k.cle"""
    )


def _names(con: duckdb.DuckDBPyConnection) -> None:
    """The names that a writing may hold (`n_names`) and the départements it says (`n_deps`).

    A name that is no commune's as it is written is read again: abbreviations in full, without
    « mairie de », and by parts, where the others may say the département.
    """
    con.execute(
        r"""CREATE OR REPLACE TEMP TABLE n_parts AS
        WITH inconnus AS MATERIALIZED (
            SELECT k, nom, commune FROM n_keys k
            WHERE nom IS NOT NULL AND NOT vaste AND nom NOT IN (SELECT nom_cle FROM norm_noms)),
        lus AS (
            SELECT k, regexp_replace(regexp_replace(regexp_replace(regexp_replace(
                regexp_replace(nom, '^(?:mairie|ville|commune) (?:de |du |des |d )?', ''),
                '\bs\b', 'sur'), '\bss\b', 'sous'), '\bfd$', 'ferrand'), '\bpce$', 'provence')
                AS part
            FROM inconnus
            UNION ALL
            SELECT k, trim(regexp_replace(cle_commune(part), '\bcedex\b.*$|\b\d{5}\b', '', 'g'))
            FROM (SELECT k, unnest(regexp_split_to_array(commune, '[,/;|()\n]| [-–] ')) AS part
                FROM inconnus WHERE regexp_matches(commune, '[,/;|()\n]| [-–] ')
                    AND NOT regexp_matches(commune, '(?i)\bs{1,2}/')))
        SELECT DISTINCT k, part FROM lus WHERE part <> ''"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_names AS
        SELECT k, nom, nom IN (SELECT nom_cle FROM norm_noms) AS connu FROM n_keys
        WHERE nom IS NOT NULL
        UNION
        SELECT k, part, true FROM n_parts p WHERE part IN (SELECT nom_cle FROM norm_noms)
            AND part NOT IN (SELECT nom_cle FROM norm_vastes)
            AND (part NOT IN (SELECT nom_cle FROM norm_departements) OR NOT EXISTS (
                FROM n_parts a WHERE a.k = p.k AND a.part <> p.part
                    AND a.part IN (SELECT nom_cle FROM norm_noms)))"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_deps AS
        SELECT k, unnest(departements_du_cp(cp)) AS departement FROM n_keys WHERE cp IS NOT NULL
        UNION
        SELECT k, d.code FROM n_keys k JOIN norm_departements d
            ON starts_with(d.code, CASE WHEN k.dep = '20' THEN '2' ELSE k.dep END)
                AND (length(d.code) = length(k.dep) OR k.dep = '97')
                AND (k.dep <> '20' OR d.code IN ('2A', '2B'))
        WHERE k.cp IS NULL
        UNION
        SELECT p.k, d.code FROM n_parts p JOIN norm_departements d ON p.part = d.nom_cle
        JOIN n_keys k ON p.k = k.k
        WHERE k.cp IS NULL AND k.dep IS NULL AND EXISTS (
            FROM n_names m WHERE m.k = p.k AND m.connu AND m.nom <> p.part)"""
    )


def _candidates(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_exact AS
        WITH cp_et_nom AS (
            SELECT k.k, CASE WHEN m.courant THEN 20 ELSE 21 END AS rang, m.code_actuel AS code
            FROM n_keys k JOIN norm_cp p ON k.cp = p.code_postal JOIN n_names s ON k.k = s.k
            JOIN norm_noms m ON m.nom_cle = s.nom AND m.code_actuel = p.code_actuel),
        dans_le_departement AS (
            SELECT s.k, CASE WHEN m.courant THEN 30 ELSE 31 END AS rang, m.code_actuel AS code
            FROM n_names s JOIN n_keys k ON s.k = k.k AND NOT k.vaste
            JOIN n_deps d ON s.k = d.k
            JOIN norm_noms m ON m.nom_cle = s.nom AND m.departement = d.departement),
        seuls AS (
            SELECT s.k, 50 AS rang, m.code_actuel AS code
            FROM n_names s JOIN n_keys k ON s.k = k.k AND NOT k.vaste AND k.cp IS NULL
            JOIN norm_noms m ON m.nom_cle = s.nom WHERE s.k NOT IN (SELECT k FROM n_deps))
        SELECT k.k, 10 AS rang, c.code_actuel AS code
        FROM n_keys k JOIN norm_codes c ON k.insee = c.code
        UNION ALL FROM cp_et_nom UNION ALL FROM dans_le_departement UNION ALL FROM seuls"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_candidates AS
        WITH ouverts AS MATERIALIZED (
            SELECT k, cp, nom, vaste FROM n_keys WHERE cp IS NOT NULL
                AND k NOT IN (SELECT k FROM n_exact WHERE rang < 35)),
        voisins AS (
            SELECT o.k, m.nom_cle, o.nom, p.code_actuel AS code
            FROM ouverts o JOIN norm_cp p ON o.cp = p.code_postal
            JOIN norm_noms m ON m.code_actuel = p.code_actuel WHERE o.nom IS NOT NULL
                AND NOT o.vaste),
        reponses AS (
            FROM n_exact
            UNION ALL
            SELECT k, 35, code FROM voisins WHERE commence_comme(nom, nom_cle)
            UNION ALL
            SELECT k, 36, code FROM voisins WHERE presque(nom, nom_cle)
            UNION ALL
            SELECT o.k, 40, p.code_actuel FROM ouverts o JOIN norm_cp p ON o.cp = p.code_postal
            WHERE o.vaste OR o.k NOT IN (SELECT k FROM n_names WHERE connu)),
        comptes AS (
            SELECT k, rang, min(code) AS code, count(DISTINCT code) AS nb
            FROM reponses GROUP BY k, rang)
        SELECT k, arg_min(code, rang) FILTER (nb = 1) AS code, min(rang) FILTER (nb = 1) AS rang,
            coalesce(min(code) FILTER (rang = 10)
                <> arg_min(code, rang) FILTER (rang IN (20, 21) AND nb = 1), false) AS contredit
        FROM comptes GROUP BY k"""
    )


def _positions(con: duckdb.DuckDBPyConnection) -> None:
    """What positions settle, for the fiches whose text did not (`n_settled`)."""
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_open AS
        SELECT l.n, l.k, p.latitude, p.longitude, c.rang
        FROM n_said l JOIN n_point p ON l.n = p.n AND p.refus IS NULL AND NOT p.empile
        LEFT JOIN n_candidates c ON l.k = c.k WHERE c.rang IS NULL OR c.rang >= 50"""
    )
    position.locate(con, "n_open", "n_located")
    position.around(
        con,
        "SELECT o.latitude, o.longitude FROM n_open o JOIN n_keys k ON o.k = k.k"
        " WHERE o.rang IS NULL AND (k.nom IS NOT NULL OR k.cp IS NOT NULL) AND NOT k.vaste",
        "n_around",
        KM_AROUND,
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_settled AS
        WITH exacts AS (
            SELECT DISTINCT o.n, m.code_actuel AS code,
                coalesce(m.code_actuel = l.code_insee, false) AS dedans
            FROM n_open o JOIN n_keys k ON o.k = k.k AND NOT k.vaste JOIN n_names s ON o.k = s.k
            JOIN norm_noms m ON m.nom_cle = s.nom JOIN norm_communes c ON m.code_actuel = c.code
            LEFT JOIN n_located l ON o.latitude = l.latitude AND o.longitude = l.longitude
            WHERE distance_km(o.latitude, o.longitude, c.latitude, c.longitude) < {MAX_KM_TO_NAME}),
        proches AS (
            SELECT o.n, a.code_insee AS code, min(damerau_levenshtein(k.nom, m.nom_cle)) AS ecart
            FROM n_open o JOIN n_keys k ON o.k = k.k AND NOT k.vaste
            JOIN n_around a ON o.latitude = a.latitude AND o.longitude = a.longitude
            JOIN norm_noms m ON a.code_insee = m.code_actuel
            WHERE o.rang IS NULL AND (presque(k.nom, m.nom_cle)
                OR starts_with(m.nom_cle, k.nom || ' ')) GROUP BY ALL),
        du_cp AS (
            SELECT DISTINCT o.n, a.code_insee AS code,
                coalesce(l.certain AND a.code_insee = l.code_insee, false) AS dedans
            FROM n_open o JOIN n_keys k ON o.k = k.k
            LEFT JOIN n_located l ON o.latitude = l.latitude AND o.longitude = l.longitude
            JOIN norm_cp p ON k.cp = p.code_postal
            JOIN n_around a ON o.latitude = a.latitude AND o.longitude = a.longitude
                AND a.code_insee = p.code_actuel AND a.km <= {KM_OF_POSTCODE}
            WHERE o.rang IS NULL AND o.k NOT IN (SELECT k FROM n_names WHERE connu)),
        seuls AS (
            SELECT o.n, l.code_insee AS code, l.code_arrondissement
            FROM n_open o JOIN n_keys k ON o.k = k.k
            JOIN n_located l ON o.latitude = l.latitude AND o.longitude = l.longitude AND l.certain
            JOIN norm_communes c ON l.code_insee = c.code
            WHERE k.nom IS NULL AND k.insee IS NULL AND CASE WHEN k.cp IS NULL THEN k.dep IS NULL
                ELSE k.cp NOT IN (SELECT code_postal FROM norm_cp)
                    AND list_contains(departements_du_cp(k.cp), c.code_departement) END),
        reponses AS (
            SELECT n, 1 AS ordre, 'nom_et_position' AS regle,
                CASE WHEN count(*) = 1 THEN min(code) WHEN count(*) FILTER (dedans) = 1
                    THEN min(code) FILTER (dedans) END AS code, NULL AS code_arrondissement
            FROM exacts GROUP BY n
            UNION ALL
            SELECT n, 2, 'nom_approche_et_position', min(code), NULL
            FROM (FROM proches QUALIFY ecart = min(ecart) OVER (PARTITION BY n))
            GROUP BY n HAVING count(*) = 1
            UNION ALL
            SELECT n, 3, 'code_postal_et_position',
                CASE WHEN count(*) = 1 THEN min(code) WHEN count(*) FILTER (dedans) = 1
                    THEN min(code) FILTER (dedans) END, NULL FROM du_cp GROUP BY n
            UNION ALL
            SELECT n, 4, 'position', code, code_arrondissement FROM seuls)
        SELECT n, regle, code, code_arrondissement FROM reponses WHERE code IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY n ORDER BY ordre) = 1"""
    )


def _result(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_commune AS
        WITH choisis AS MATERIALIZED (
            SELECT l.n, l.k, k.cp, k.nom, k.insee, k.vaste, k.dep,
                coalesce(k.arrondissement, v.code_arrondissement) AS arrondissement,
                c.rang, c.contredit, coalesce(v.code, c.code) AS code,
                CASE WHEN v.code IS NOT NULL THEN v.regle
                    WHEN c.rang = 10 THEN 'code_insee_donne'
                    WHEN c.rang IN (20, 21) THEN 'code_postal_et_nom'
                    WHEN c.rang IN (30, 31) THEN 'nom_dans_le_departement'
                    WHEN c.rang = 35 THEN 'code_postal_et_debut_du_nom'
                    WHEN c.rang = 36 THEN 'code_postal_et_nom_approche'
                    WHEN c.rang = 40 THEN 'seule_commune_du_code_postal'
                    WHEN c.rang = 50 THEN 'nom_unique_en_france' END AS regle
            FROM n_said l JOIN n_keys k ON l.k = k.k
            LEFT JOIN n_candidates c ON l.k = c.k LEFT JOIN n_settled v ON l.n = v.n),
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
        SELECT n, k, dep, regle, insee, cp, nom AS nom_cle, coalesce(contredit, false) AS contredit,
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
                WHEN nom IS NOT NULL
                    AND (vaste OR k NOT IN (SELECT k FROM n_names WHERE connu))
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
        " (NOT vide(cp_source) AND cp IS NULL AND dep IS NULL"
        " AND NOT regexp_matches(cp_source, '^[0 .]+$'))",
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
