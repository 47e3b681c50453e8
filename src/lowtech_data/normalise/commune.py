"""The commune of a fiche, in the official geographic code, and everything that follows from it.

In this order, and only when a single commune answers: the INSEE code that the source gives;
postcode and name; name within the département that the postcode or the text says; the commune of
the postcode whose name begins like the one given, or differs by a letter; the name within the
département, but for its article or its small words; the only commune of the postcode when the name
is missing or no commune's; name alone when one commune of France has it.

A position then settles what the text leaves open: among the communes of that name, the one near the
point; a misspelt name, when a commune around has nearly that one; the commune of the postcode
around the point; and the commune that certainly holds the point when nothing else is said. A point
that many unrelated names share is nobody's, and settles nothing.

Two of the name, the postcode and the point outweigh the third: a postcode and the point a name, a
postcode and a name in the address the bare name of a city, and the name and the point a code.

Names of former, delegated and associated communes lead to the present one. The name of a region or
a country is no commune's, unless a postcode says so. In Paris, Lyon and Marseille the commune is
the city, and `code_arrondissement` the district.
"""

from __future__ import annotations

import duckdb

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

MIN_LETTERS = 8
"""A name without its small words must have as many letters to be looked for in a département."""

MAX_KM_TO_CODE = 10
"""How far its position may be from the extent of the commune of a code that no name confirms."""

MIN_KM_TO_CENTRE = 2
"""Nearer to the centre of a large city, a point without a street is where the city itself is."""

_RULES = {
    10: "code_insee_donne",
    20: "code_postal_et_nom",
    21: "code_postal_et_nom",
    30: "nom_dans_le_departement",
    31: "nom_dans_le_departement",
    35: "code_postal_et_debut_du_nom",
    36: "code_postal_et_nom_approche",
    37: "nom_approche_dans_le_departement",
    38: "nom_approche_dans_le_departement",
    40: "seule_commune_du_code_postal",
    50: "nom_unique_en_france",
}
"""Rules of the text by rank, the surest first; the second of a pair is for names of the past."""

_DOUBTFUL = 50
"""Rank from which an answer of the text is checked by the position."""

_LARGE_CITIES = "'75056', '69123', '13055'"
"""Paris, Lyon and Marseille: the communes with districts."""

_CITIES = "paris|lyon|marseille"
_CITY_CODES = "CASE ville WHEN 'paris' THEN 75100 WHEN 'lyon' THEN 69380 ELSE 13200 END"
_CITY_SIZE = "CASE ville WHEN 'paris' THEN 20 WHEN 'lyon' THEN 9 ELSE 16 END"
_ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx"
_DISTRICT = (
    rf"^(?:{_CITIES}) (\d{{1,2}}|[ivx]+?)(?: ?(?:er|e|eme|nd|nde))?"
    r"(?: (?:arr|arrdt|arrt|ardt|arrondissement))?$"
)
_SMALL_WORDS = "a|au|aux|d|de|des|du|en|et|l|la|le|les|lez|sous|sur"
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
        """CREATE OR REPLACE TEMP MACRO sans_article(x) AS
        regexp_replace(x, '^(?:le|la|les|l) ', '')"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP MACRO racine(x) AS
        regexp_replace(regexp_replace(' ' || replace(x, ' ', '  ') || ' ',
            ' (?:{_SMALL_WORDS}) ', '', 'g'), 's? ', '', 'g')"""
    )
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
            any_value(c.code_departement) AS departement, racine(nom_cle) AS racine,
            sans_article(nom_cle) AS sans_article
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
    """Make `n_commune` from `n_place` (what the fiche says), `n_txt` and `n_point`.

    Columns: `code_insee`, `commune`, `code_arrondissement`, `code_postal`, `code_departement`,
    `code_region`, `code_epci`. Many fiches say the same place with the same words: each writing is
    judged once (`n_keys`), and only what a position or an address changes is kept apart.
    """
    _keys(con)
    _names(con)
    _candidates(con)
    _addresses(con)
    _positions(con)
    _exceptions(con)
    _verdicts(con)
    _journal(con)


def _keys(con: duckdb.DuckDBPyConnection) -> None:
    """Read each distinct writing once (`n_keys`), and number it (`n_said`: `n`, `k`).

    A name written with the postcode is taken only when it is a commune's: what else may be in that
    column is not known.
    """
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_keys AS
        WITH cles AS MATERIALIZED (
            SELECT *, row_number() OVER ()::INT AS k,
                upper(regexp_replace(code_insee, '\s|\.0$', '', 'g')) AS insee
            FROM (SELECT cle, any_value(code_postal) AS code_postal, any_value(commune) AS commune,
                any_value(code_insee) AS code_insee FROM n_place GROUP BY cle)),
        lus AS MATERIALIZED (
            SELECT commune, cle_commune(commune) AS lu
            FROM (SELECT DISTINCT commune FROM cles WHERE commune IS NOT NULL)),
        nets AS MATERIALIZED (
            SELECT commune, regexp_extract(lu, '\b(\d{{5}})\b', 1) AS cp_nom,
                CASE WHEN regexp_matches(lu, '\d|\bcedex\b| fr(?:ance)?$')
                    THEN trim(regexp_replace(regexp_replace(regexp_replace(lu, '\bcedex\b.*$', ''),
                        '\b\d{{5}}\b', ''), ' (?:france|fr)$', '')) ELSE lu END AS nom,
                regexp_extract(nom, '^({_CITIES})\b', 1) AS ville,
                CASE WHEN ville <> '' THEN regexp_extract(nom, {literal(_DISTRICT)}, 1) END AS ecrit
            FROM lus),
        rangs AS MATERIALIZED (
            SELECT *, coalesce(try_cast(ecrit AS INT),
                    list_position(string_split('{_ROMAN}', ' '), nullif(ecrit, ''))) AS rang,
                coalesce(rang BETWEEN 1 AND {_CITY_SIZE}, false) AS district FROM nets),
        noms AS MATERIALIZED (
            SELECT commune, cp_nom,
                CASE WHEN NOT district AND regexp_matches(nom, '\d') THEN nullif(upper(coalesce(
                    nullif(regexp_extract(nom, '^(\d{{2,3}}|2[ab]) \D', 1), ''),
                    regexp_extract(nom, ' (\d{{2,3}}|2[ab])$', 1))), '') END AS dep_nom,
                CASE WHEN district THEN ville WHEN regexp_matches(nom, '\d')
                    THEN nullif(trim(regexp_replace(regexp_replace(nom,
                        ' (?:\d{{1,3}}|2[ab])$', ''), '^(?:\d{{2,3}}|2[ab]) ', '')), '')
                    ELSE nullif(nom, '') END AS nom,
                CASE WHEN district THEN ({_CITY_CODES} + rang)::VARCHAR END AS arrondissement
            FROM rangs),
        codes AS MATERIALIZED (
            SELECT code_postal, trim(code_postal) AS poste, CASE
                WHEN regexp_matches(poste, '^\d{{5}}$') THEN poste
                ELSE replace(regexp_extract(regexp_replace(poste, '\.0$', ''),
                    '^(?:[A-Za-z]{{1,3}}[- ])?\s*(\d[\d ]{{2,5}}\d)(?:\D+(?:\d{{1,2}}\D*)?)?$', 1),
                    ' ', '') END AS cp,
                upper(regexp_extract(poste,
                    '^(\d{{2}}|2[ABab]|97\d)(?:[xX*._]{{1,3}})?$', 1)) AS dep_cp,
                CASE WHEN regexp_matches(poste, '\pL') THEN trim(regexp_replace(regexp_replace(
                    cle_commune(poste), '\bcedex\b.*$', ''), '\b\d{{5}}\b', '')) END AS ecrit
            FROM (SELECT DISTINCT code_postal FROM cles WHERE code_postal IS NOT NULL)),
        postes AS MATERIALIZED (
            SELECT code_postal, nullif(dep_cp, '') AS dep_cp,
                CASE WHEN length(cp) = 4 THEN '0' || cp WHEN length(cp) = 5 THEN cp END AS cp,
                CASE WHEN ecrit IN (SELECT nom_cle FROM norm_noms) THEN ecrit END AS nom_poste
            FROM codes),
        reunis AS MATERIALIZED (
            SELECT c.k, c.cle, c.code_postal, c.commune, c.code_insee,
                CASE WHEN regexp_matches(c.insee, '^\d{{4}}$') THEN '0' || c.insee
                    WHEN NOT regexp_matches(c.insee, '^0*$') THEN c.insee END AS insee,
                nullif(coalesce(nullif(p.cp, '00000'), m.cp_nom), '') AS cp,
                coalesce(m.nom, p.nom_poste) AS nom, m.arrondissement,
                CASE WHEN m.arrondissement IS NULL THEN coalesce(p.dep_cp, m.dep_nom) END AS dep
            FROM cles c LEFT JOIN noms m ON c.commune = m.commune
            LEFT JOIN postes p ON c.code_postal = p.code_postal)
        SELECT r.* REPLACE (CASE WHEN regexp_matches(cp,
                '^(?:0[1-9]|[1-8]\d|9[0-5]|97[1-8]|98[4-8])') THEN cp END AS cp),
            coalesce(regexp_replace(nom, '^region ', '') IN (SELECT nom_cle FROM norm_vastes)
                OR nom IN (SELECT nom_cle FROM norm_vastes), false) AS vaste,
            coalesce(nom IN (SELECT nom_cle FROM norm_noms), false) AS connu
        FROM reunis r"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_said AS
        SELECT l.n, k.k FROM n_place l JOIN n_keys k ON l.cle = k.cle"""
    )


def _names(con: duckdb.DuckDBPyConnection) -> None:
    """The names that a writing may hold (`n_called`) and the départements it says (`n_deps`).

    A name that is no commune's as it is written is read again: abbreviations in full, without
    « mairie de », and by parts, where the others may say the département.
    """
    con.execute(
        r"""CREATE OR REPLACE TEMP TABLE n_parts AS
        WITH inconnus AS MATERIALIZED (
            SELECT k, nom, commune FROM n_keys WHERE nom IS NOT NULL AND NOT vaste AND NOT connu),
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
        SELECT DISTINCT k, part, part IN (SELECT nom_cle FROM norm_noms) AS connu,
            part IN (SELECT nom_cle FROM norm_departements) AS departement
        FROM lus WHERE part <> ''"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_called AS
        SELECT k, nom, connu FROM n_keys WHERE nom IS NOT NULL
        UNION
        SELECT k, part, true FROM n_parts p
        WHERE connu AND part NOT IN (SELECT nom_cle FROM norm_vastes)
            AND (NOT departement OR NOT EXISTS (
                FROM n_parts a WHERE a.k = p.k AND a.part <> p.part AND a.connu))"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_deps AS
        SELECT k, unnest(departements_du_cp(cp)) AS departement FROM n_keys WHERE cp IS NOT NULL
        UNION ALL
        SELECT k, d.code FROM n_keys k JOIN norm_departements d
            ON starts_with(d.code, CASE WHEN k.dep = '20' THEN '2' ELSE k.dep END)
                AND (length(d.code) = length(k.dep) OR k.dep = '97')
                AND (k.dep <> '20' OR d.code IN ('2A', '2B'))
        WHERE k.cp IS NULL AND k.dep IS NOT NULL
        UNION
        SELECT p.k, d.code FROM n_parts p JOIN norm_departements d ON p.part = d.nom_cle
        JOIN n_keys k ON p.k = k.k
        WHERE k.cp IS NULL AND k.dep IS NULL AND EXISTS (
            FROM n_called m WHERE m.k = p.k AND m.connu AND m.nom <> p.part)"""
    )


def _candidates(con: duckdb.DuckDBPyConnection) -> None:
    """The commune that the text alone says (`n_candidates`), by which rule (`rang`).

    `contredit` says that postcode and name are another commune's than the code; `autre` is what
    the text says without the code.
    """
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_exact AS
        WITH nommes AS MATERIALIZED (
            SELECT s.k, m.code_actuel AS code, m.courant, m.departement
            FROM n_called s JOIN norm_noms m ON m.nom_cle = s.nom)
        SELECT k.k, 10 AS rang, c.code_actuel AS code
        FROM n_keys k JOIN norm_codes c ON k.insee = c.code
        UNION ALL
        SELECT s.k, CASE WHEN s.courant THEN 20 ELSE 21 END, s.code
        FROM nommes s JOIN n_keys k ON s.k = k.k
        JOIN norm_cp p ON p.code_postal = k.cp AND p.code_actuel = s.code
        UNION ALL
        SELECT s.k, CASE WHEN s.courant THEN 30 ELSE 31 END, s.code
        FROM nommes s JOIN n_keys k ON s.k = k.k AND NOT k.vaste
        JOIN n_deps d ON s.k = d.k AND s.departement = d.departement
        UNION ALL
        SELECT s.k, 50, s.code FROM nommes s JOIN n_keys k ON s.k = k.k
        WHERE NOT k.vaste AND k.cp IS NULL AND s.k NOT IN (SELECT k FROM n_deps)"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_candidates AS
        WITH ouverts AS MATERIALIZED (
            SELECT k, cp, nom, racine(nom) AS racine, vaste, connu FROM n_keys
            WHERE (cp IS NOT NULL OR dep IS NOT NULL)
                AND k NOT IN (SELECT k FROM n_exact WHERE rang < 35)),
        voisins AS (
            SELECT o.k, m.nom_cle, o.nom, m.racine = o.racine AS meme_racine, p.code_actuel AS code
            FROM ouverts o JOIN norm_cp p ON o.cp = p.code_postal
            JOIN norm_noms m ON m.code_actuel = p.code_actuel WHERE o.nom IS NOT NULL
                AND NOT o.vaste),
        mal_ecrits AS (
            SELECT o.k, o.nom, o.racine, d.departement FROM ouverts o JOIN n_deps d ON o.k = d.k
            WHERE NOT o.vaste AND NOT o.connu),
        reponses AS (
            FROM n_exact
            UNION ALL
            SELECT k, 35, code FROM voisins WHERE commence_comme(nom, nom_cle)
            UNION ALL
            SELECT k, 36, code FROM voisins WHERE presque(nom, nom_cle) OR meme_racine
            UNION ALL
            SELECT o.k, 37, m.code_actuel FROM mal_ecrits o
            JOIN norm_noms m ON m.sans_article = o.nom AND m.departement = o.departement
            UNION ALL
            SELECT o.k, 38, m.code_actuel FROM mal_ecrits o
            JOIN norm_noms m ON m.racine = o.racine AND m.departement = o.departement
            WHERE length(o.racine) >= {MIN_LETTERS}
            UNION ALL
            SELECT o.k, 40, p.code_actuel FROM ouverts o JOIN norm_cp p ON o.cp = p.code_postal
            WHERE o.vaste OR o.k NOT IN (SELECT k FROM n_called WHERE connu)),
        comptes AS (
            SELECT k, rang, min(code) AS code, count(DISTINCT code) AS nb
            FROM reponses GROUP BY k, rang)
        SELECT k, arg_min(code, rang) FILTER (nb = 1) AS code, min(rang) FILTER (nb = 1) AS rang,
            arg_min(code, rang) FILTER (nb = 1 AND rang > 10) AS autre,
            min(rang) FILTER (nb = 1 AND rang > 10) AS autre_rang,
            coalesce(min(code) FILTER (rang = 10)
                <> arg_min(code, rang) FILTER (rang IN (20, 21) AND nb = 1), false) AS contredit
        FROM comptes GROUP BY k"""
    )


def _addresses(con: duckdb.DuckDBPyConnection) -> None:
    """Postcodes beside their commune's name in addresses (`n_tails`), where they may matter."""
    con.execute(
        r"""CREATE OR REPLACE TEMP TABLE n_tails AS
        WITH lus AS MATERIALIZED (
            SELECT l.n, ' ' || cle_commune(regexp_replace(t.adresse, '\b(\d\d) (\d\d\d)\b', '\1\2',
                'g')) || ' ' AS x
            FROM n_txt t JOIN n_said l ON t.n = l.n JOIN n_keys k ON l.k = k.k
            LEFT JOIN n_candidates c ON l.k = c.k
            WHERE regexp_matches(t.adresse, '\d\d ?\d\d\d')
                AND (c.rang IS NULL OR c.rang >= 30 OR (c.rang >= 20 AND t.commune IS NULL))),
        codes AS (
            SELECT n, x, unnest(list_distinct(regexp_extract_all(x, '\b\d{5}\b'))) AS cp FROM lus)
        SELECT c.n, c.cp, m.code_actuel AS code
        FROM codes c JOIN norm_cp p ON c.cp = p.code_postal
        JOIN norm_noms m ON m.code_actuel = p.code_actuel
        WHERE contains(x, ' ' || cp || ' ' || m.nom_cle || ' ')
            OR contains(x, ' ' || m.nom_cle || ' ' || cp || ' ')
        QUALIFY length(m.nom_cle) = max(length(m.nom_cle)) OVER (PARTITION BY c.n, c.cp)"""
    )


def _positions(con: duckdb.DuckDBPyConnection) -> None:
    """What positions say (`n_located`, `n_around`) of the fiches whose text leaves a doubt.

    `n_open`: those fiches; `dit` is what the text says, without a code that the name contradicts
    and that is far from the point (`refute`).
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_open AS
        WITH motifs AS MATERIALIZED (
            SELECT k.k, k.cp, c.code, c.rang, c.autre, c.autre_rang,
                coalesce(c.rang = 10, false) AS douteux
            FROM n_keys k LEFT JOIN n_candidates c ON k.k = c.k
            WHERE c.rang IS NULL OR c.rang >= {_DOUBTFUL}
                OR (c.rang IN (30, 31, 37, 38) AND k.cp IN (SELECT code_postal FROM norm_cp))
                OR (c.rang = 10 AND k.nom IS NOT NULL AND NOT k.vaste AND NOT EXISTS (
                    FROM n_called s JOIN norm_noms m ON m.nom_cle = s.nom
                    WHERE s.k = k.k AND m.code_actuel = c.code))
                OR (c.code IN ({_LARGE_CITIES}) AND k.arrondissement IS NULL
                    AND k.cp NOT IN (SELECT code_postal FROM norm_cp
                        WHERE code_arrondissement IS NOT NULL))
                OR (c.code IN ({_LARGE_CITIES}) AND k.arrondissement IS NULL AND k.cp IS NULL)),
        ouverts AS (
            SELECT l.n, l.k, p.latitude, p.longitude, m.code, m.rang, m.autre, m.autre_rang,
                m.douteux AND km_hors_emprise(p.latitude, p.longitude, e.sud, e.nord, e.ouest,
                    e.est) > {MAX_KM_TO_CODE}
                    AND NOT coalesce(list_contains(departements_du_cp(m.cp), c.code_departement),
                        false) AS refute
            FROM n_said l JOIN n_point p ON l.n = p.n AND p.refus IS NULL AND NOT p.empile
            JOIN motifs m ON l.k = m.k
            LEFT JOIN norm_communes c ON m.code = c.code
            LEFT JOIN ref_emprises e ON m.code = e.code_insee
            UNION ALL
            SELECT l.n, l.k, p.latitude, p.longitude, c.code, c.rang, NULL, NULL, false
            FROM (SELECT DISTINCT n FROM n_tails) t JOIN n_said l ON t.n = l.n
            JOIN n_point p ON l.n = p.n AND p.refus IS NULL AND NOT p.empile
            LEFT JOIN n_candidates c ON l.k = c.k WHERE l.k NOT IN (SELECT k FROM motifs))
        SELECT n, k, latitude, longitude, coalesce(refute, false) AS refute,
            CASE WHEN refute THEN autre ELSE code END AS dit,
            CASE WHEN refute THEN autre_rang ELSE rang END AS rang
        FROM ouverts WHERE rang IS DISTINCT FROM 10 OR refute OR code IN ({_LARGE_CITIES})"""
    )
    position.locate(con, "n_open", "n_located")
    position.around(
        con,
        f"""SELECT o.latitude, o.longitude,
            max(CASE WHEN k.nom IS NULL THEN {KM_OF_POSTCODE} ELSE {KM_AROUND} END) AS km
        FROM n_open o JOIN n_keys k ON o.k = k.k
        WHERE o.rang IS NULL AND (k.nom IS NOT NULL OR k.cp IS NOT NULL) AND NOT k.vaste
        GROUP BY ALL""",
        "n_around",
        "km",
    )


def _exceptions(con: duckdb.DuckDBPyConnection) -> None:
    """The fiches whose commune is not that of their words alone (`n_exceptions`).

    `code` is empty when the words are contradicted and nothing else answers.
    """
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_settled AS
        WITH lieux AS MATERIALIZED (
            SELECT o.*, k.cp, k.nom, k.vaste, l.code_insee AS ici,
                coalesce(l.certain, false) AS certain,
                CASE WHEN l.arrondissement_certain THEN l.code_arrondissement END AS arrondissement
            FROM n_open o JOIN n_keys k ON o.k = k.k
            LEFT JOIN n_located l ON o.latitude = l.latitude AND o.longitude = l.longitude),
        adresses AS (
            SELECT t.n, CASE WHEN count(DISTINCT t.code) = 1 THEN min(t.code)
                    ELSE min(t.code) FILTER (t.code = o.ici) END AS code,
                coalesce(min(t.cp) FILTER (t.code = o.ici), min(t.cp)) AS cp,
                any_value(o.ici) AS ici
            FROM n_tails t LEFT JOIN lieux o ON t.n = o.n GROUP BY t.n),
        exacts AS (
            SELECT DISTINCT o.n, m.code_actuel AS code, coalesce(m.code_actuel = o.ici, false)
                AS dedans
            FROM lieux o JOIN n_called s ON o.k = s.k
            JOIN norm_noms m ON m.nom_cle = s.nom JOIN norm_communes c ON m.code_actuel = c.code
            WHERE NOT o.vaste AND coalesce(o.rang >= {_DOUBTFUL}, true)
                AND distance_km(o.latitude, o.longitude, c.latitude, c.longitude)
                    < {MAX_KM_TO_NAME}),
        proches AS (
            SELECT o.n, a.code_insee AS code, min(damerau_levenshtein(o.nom, m.nom_cle)) AS ecart
            FROM lieux o
            JOIN n_around a ON o.latitude = a.latitude AND o.longitude = a.longitude
            JOIN norm_noms m ON a.code_insee = m.code_actuel
            WHERE o.rang IS NULL AND NOT o.vaste AND (presque(o.nom, m.nom_cle)
                OR m.racine = racine(o.nom) OR starts_with(m.nom_cle, o.nom || ' ')
                OR (a.code_insee = o.ici AND (starts_with(o.nom, m.nom_cle || ' ')
                    OR ends_with(o.nom, ' ' || m.nom_cle)))) GROUP BY ALL),
        du_cp AS (
            SELECT DISTINCT o.n, a.code_insee AS code, o.certain AND a.code_insee = o.ici AS dedans
            FROM lieux o JOIN norm_cp p ON o.cp = p.code_postal
            JOIN n_around a ON o.latitude = a.latitude AND o.longitude = a.longitude
                AND a.code_insee = p.code_actuel AND a.km <= {KM_OF_POSTCODE}
            WHERE o.rang IS NULL AND o.k NOT IN (SELECT k FROM n_called WHERE connu)),
        arrondissements AS (
            SELECT o.n, o.ici AS code, o.arrondissement
            FROM lieux o JOIN norm_communes c ON o.ici = c.code JOIN n_txt t ON o.n = t.n
            WHERE o.arrondissement IS NOT NULL AND coalesce(o.ici = o.dit, o.dit IS NULL)
                AND (regexp_matches(t.adresse, '\d') OR distance_km(o.latitude, o.longitude,
                    c.latitude, c.longitude) > {MIN_KM_TO_CENTRE})),
        reponses AS (
            SELECT a.n, 0 AS ordre, 'adresse' AS regle, a.code, a.cp
            FROM adresses a JOIN n_said l ON a.n = l.n JOIN n_keys k ON l.k = k.k
            LEFT JOIN n_candidates c ON l.k = c.k
            WHERE a.code IS DISTINCT FROM c.code AND (coalesce(a.ici = a.code, false)
                OR (c.code IS NOT NULL AND k.cp IS NULL AND coalesce(a.ici <> c.code, true))
                OR (c.code IS NULL AND a.ici IS NULL))
            UNION ALL
            SELECT n, 1, 'nom_et_position',
                CASE WHEN count(*) = 1 THEN min(code) WHEN count(*) FILTER (dedans) = 1
                    THEN min(code) FILTER (dedans) END, NULL
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
            SELECT o.n, 3, 'code_postal_et_position', p.code_actuel, NULL
            FROM lieux o JOIN norm_cp p ON o.cp = p.code_postal AND o.ici = p.code_actuel
            WHERE o.certain AND o.rang IN (30, 31, 37, 38)
            UNION ALL
            SELECT o.n, 4, 'position', o.ici, NULL
            FROM lieux o JOIN n_keys k ON o.k = k.k JOIN norm_communes c ON o.ici = c.code
            WHERE o.certain AND o.rang IS NULL AND k.insee IS NULL AND o.nom IS NULL
                AND CASE WHEN k.cp IS NULL THEN k.dep IS NULL
                    ELSE k.cp NOT IN (SELECT code_postal FROM norm_cp)
                        AND list_contains(departements_du_cp(k.cp), c.code_departement) END
            UNION ALL
            SELECT a.n, 5, NULL, o.dit, NULL
            FROM arrondissements a JOIN lieux o ON a.n = o.n AND a.code = o.dit)
        SELECT r.n, r.regle, r.code, r.cp, a.arrondissement
        FROM reponses r LEFT JOIN arrondissements a ON r.n = a.n AND r.code = a.code
        WHERE r.code IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY r.n ORDER BY r.ordre) = 1"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_exceptions AS
        SELECT coalesce(s.n, o.n) AS n, -row_number() OVER ()::INT AS q,
            coalesce(s.code, CASE WHEN NOT contraire THEN o.dit END) AS code,
            coalesce(s.regle, {_rule_of("o.rang")}) AS regle, s.arrondissement, s.cp,
            coalesce(o.refute, false) AS refute, s.n IS NULL AND coalesce(contraire, false)
                AS contraire
        FROM n_settled s FULL JOIN (
            SELECT o.*, coalesce(o.rang >= {_DOUBTFUL} AND distance_km(o.latitude, o.longitude,
                c.latitude, c.longitude) > {MAX_KM_TO_NAME}, false) AS contraire
            FROM n_open o LEFT JOIN norm_communes c ON o.dit = c.code) o ON s.n = o.n
        WHERE s.n IS NOT NULL OR o.refute OR o.contraire"""
    )


def _rule_of(rank: str) -> str:
    """The name of a rule of the text, in SQL, from its rank."""
    return (
        f"CASE {rank} " + " ".join(f"WHEN {r} THEN '{rule}'" for r, rule in _RULES.items()) + " END"
    )


def _verdicts(con: duckdb.DuckDBPyConnection) -> None:
    """The commune of each writing and exception (`n_verdicts`), then of each fiche."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_verdicts AS
        WITH juges AS MATERIALIZED (
            SELECT k.k AS q, k.k, k.cp, c.code, {_rule_of("c.rang")} AS regle,
                NULL AS arrondissement, coalesce(c.contredit, false) AS contredit,
                false AS contraire
            FROM n_keys k LEFT JOIN n_candidates c ON k.k = c.k
            UNION ALL
            SELECT e.q, k.k, coalesce(e.cp, k.cp), e.code, e.regle, e.arrondissement, e.refute,
                e.contraire
            FROM n_exceptions e JOIN n_said l ON e.n = l.n JOIN n_keys k ON l.k = k.k),
        places AS MATERIALIZED (
            SELECT j.q, j.cp, j.regle, j.contredit, j.contraire, k.k, k.nom, k.dep, k.insee,
                k.vaste, k.code_postal AS cp_ecrit, k.commune AS ecrite, k.code_insee AS code_ecrit,
                o.code AS code_insee, o.nom AS officiel, o.code_departement, o.code_region,
                o.code_epci, o.codes_postaux, i.code IS NULL AS code_inconnu,
                coalesce((j.cp <> o.code
                        AND list_contains(departements_du_cp(j.cp), o.code_departement))
                    OR list_contains(o.codes_postaux, j.cp), o.code IS NULL) AS cp_possible,
                CASE WHEN o.code IN ({_LARGE_CITIES}) THEN coalesce(k.arrondissement,
                    a.code_arrondissement, i.arrondissement, j.arrondissement) END
                    AS code_arrondissement
            FROM juges j JOIN n_keys k ON j.k = k.k
            LEFT JOIN norm_communes o ON j.code = o.code
            LEFT JOIN norm_cp a ON a.code_postal = j.cp AND a.code_actuel = o.code
            LEFT JOIN norm_codes i ON k.insee = i.code)
        SELECT q, regle, nom, ecrite, cp, code_insee, code_departement, code_region, code_epci,
            code_arrondissement,
            CASE WHEN code_insee IS NOT NULL OR (nom IS NULL AND cp IS NULL) THEN NULL
                WHEN contraire OR contredit THEN 'commune_contredite_par_la_position'
                WHEN nom IS NOT NULL
                    AND (vaste OR k NOT IN (SELECT k FROM n_called WHERE connu))
                THEN 'commune_inconnue' ELSE 'commune_ambigue' END AS refus,
            CASE WHEN code_insee IS NOT NULL THEN officiel
                WHEN nom IS NOT NULL OR cp IS NOT NULL
                THEN left(replace(ecrite, chr(10), ' '), 100) END AS commune,
            CASE WHEN cp IS NOT NULL AND cp_possible THEN cp
                WHEN len(codes_postaux) = 1 THEN codes_postaux[1]
                WHEN code_arrondissement IS NOT NULL THEN left(code_arrondissement, 2) || '0'
                    || CASE WHEN starts_with(code_arrondissement, '6938')
                        THEN '0' || right(code_arrondissement, 1)
                        ELSE right(code_arrondissement, 2) END
                END AS code_postal,
            CASE WHEN contredit THEN 'code_insee_contredit'
                WHEN insee IS NOT NULL AND code_inconnu THEN 'code_insee_inconnu' END
                AS refus_du_code,
            CASE WHEN cp IS NOT NULL AND NOT cp_possible THEN 'code_postal_contredit'
                WHEN cp_ecrit IS NOT NULL AND cp IS NULL AND dep IS NULL
                THEN 'code_postal_invalide' END AS refus_du_cp,
            ecrite IS DISTINCT FROM officiel AS autre_nom,
            code_ecrit IS DISTINCT FROM code_insee AS autre_code
        FROM places"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_commune AS
        SELECT l.n, v.q, v.cp, v.code_insee, v.commune, v.code_arrondissement, v.code_postal,
            v.code_departement, v.code_region, v.code_epci
        FROM n_said l LEFT JOIN n_exceptions e ON l.n = e.n
        JOIN n_verdicts v ON v.q = coalesce(e.q, l.k)"""
    )


def _journal(con: duckdb.DuckDBPyConnection) -> None:
    """Write what was refused and changed; codes are masked, names are already cleaned text."""
    con.execute(
        """INSERT INTO n_refused
        WITH refus AS MATERIALIZED (
            SELECT c.n, v.refus, v.refus_du_code, v.refus_du_cp,
                nullif(concat_ws(' ', v.cp, coalesce(v.ecrite, v.nom)), '') AS dit
            FROM n_verdicts v JOIN n_commune c ON v.q = c.q
            WHERE v.refus IS NOT NULL OR v.refus_du_code IS NOT NULL OR v.refus_du_cp IS NOT NULL)
        SELECT n, 'commune', refus, dit FROM refus WHERE refus IS NOT NULL
        UNION ALL
        SELECT f.n, 'code_insee', f.refus_du_code, r.code_insee
        FROM refus f JOIN n_raw r ON f.n = r.n WHERE f.refus_du_code IS NOT NULL
        UNION ALL
        SELECT f.n, 'code_postal', f.refus_du_cp, r.code_postal
        FROM refus f JOIN n_raw r ON f.n = r.n WHERE f.refus_du_cp IS NOT NULL"""
    )
    con.execute(
        r"""INSERT INTO n_changes
        WITH changes AS MATERIALIZED (
            SELECT c.n, v.regle, v.commune, v.autre_nom, v.autre_code, v.code_insee,
                v.code_postal
            FROM n_verdicts v JOIN n_commune c ON v.q = c.q),
        codes AS (
            SELECT c.n, 'code_insee' AS champ, c.regle, r.code_insee AS ecrit
            FROM changes c JOIN n_raw r ON c.n = r.n
            WHERE c.autre_code AND c.code_insee IS NOT NULL
            UNION ALL
            SELECT c.n, 'code_postal', CASE WHEN vide(r.code_postal)
                    OR regexp_matches(r.code_postal, '^[0 .]+$')
                THEN 'code_postal_de_la_commune' ELSE 'code_postal_remis_en_forme' END,
                r.code_postal
            FROM changes c JOIN n_raw r ON c.n = r.n
            WHERE c.code_postal IS NOT NULL AND r.code_postal IS DISTINCT FROM c.code_postal)
        SELECT n, champ, regle, CASE WHEN ecrit IS NOT NULL THEN left(masque(ecrit), 500) END
        FROM codes
        UNION ALL
        SELECT c.n, 'commune', CASE WHEN t.commune IS NULL THEN c.regle
            ELSE concat_ws('+', t.commune_regle, 'nom_officiel') END,
            CASE WHEN t.commune IS NOT NULL THEN left(t.commune_montre, 500) END
        FROM changes c JOIN n_txt t ON c.n = t.n
        WHERE c.code_insee IS NOT NULL AND (t.commune IS NULL OR t.commune_montre <> c.commune)
            AND (c.autre_nom OR t.commune IS NULL OR t.commune_regle IS NOT NULL)"""
    )
