"""Addresses: number and street in `adresse`, everything else that helps in `complement_adresse`.

Abbreviations are published as written: they are expanded only when addresses are compared.
"""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject

MAX_CHARACTERS = 200

_STREET = (
    r"^(?:(?i:n°\s*)?\d{1,5}(?:[,\s-]|[a-zA-Z]\b|bis|ter|quater)|(?i:rue|r\.|avenue|av\.?|boulevard"
    r"|bd|bld|blvd|place|pl\.?|chemin|chem\.|route|rte|all[ée]es?|imp(?:asse|\.)|quai|cours|square"
    r"|passage|sentier|esplanade|faubourg|grand['’ -]?rue|lieu[- ]dit|za|zi|zac|zone)(?:\s|$))"
)
_LABEL = r"(?i)^[^\pL\pN]*adresse(?:\s+postale)?\s*:\s*"
_COUNTRY = r"(?i)(?:^|\s*[,\n(]\s*|\s[-–]\s)france\)?[\s.,;-]*$"
_PIECES = r"\s[-–]\s|;\s|\s/\s"
_COMMA = r"([^\d\s,])\s*,\s+"
_REGIONS = (
    r"^(?:auvergne rhone alpes|bourgogne franche comte|bretagne|centre val de loire|corse|grand est"
    r"|hauts de france|ile de france|normandie|nouvelle aquitaine|occitanie|pays de la loire"
    r"|provence alpes cote d azur|guadeloupe|martinique|guyane|la reunion|mayotte)?"
    r"(?: ?(?:fr|france))?$"
)
_BOX = r"(?i)\b(?:b\.?p\.?|c\.?s\.?|tsa|bo[iî]te postale)\s*(?:n°\s*)?\d(?: ?\d)*\b"
_CEDEX = r"(?i)\bcedex(?:\s+\d{1,2})?\b"
_TAIL = (
    r"(?i)^(.*?)[\s,–-]*\(?\b(?:f-?)?(\d{5})\)?[\s,-]+(\p{L}[\p{L}\s'’.-]*"
    r"(?:\s\d{1,2}(?:er|e|[èe]me)?)?)(?:,\s*france)?[\s.,]*$"
)
_TRIMMED = "' ,;:–-'"
_TAIL_PARTS = "['avant', 'cp', 'commune']"


def place(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_place`: what a fiche says of its commune, also when it is hidden in the address.

    The commune is read from the address only when the commune field is empty: after a postcode, or
    as the last words when a single commune of that name is near the position of the fiche.
    """
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_hidden AS
        WITH muets AS MATERIALIZED (
            SELECT t.n, t.adresse, r.code_postal FROM n_txt t JOIN n_raw r ON t.n = r.n
            WHERE t.commune IS NULL AND t.adresse IS NOT NULL AND vide(r.code_insee)),
        avec_cp AS (
            SELECT n, fin.cp AS cp, trim(fin.commune) AS commune FROM (
                SELECT n, list_filter(list_transform(string_split(adresse, chr(10)),
                        lambda x: regexp_extract(x, '{_escape(_TAIL)}', {_TAIL_PARTS})),
                    lambda x: x.cp <> '')[-1] AS fin
                FROM muets WHERE regexp_matches(adresse, '\d{{5}}'))
            WHERE fin.cp <> ''),
        mots AS MATERIALIZED (
            SELECT m.n, string_split(trim(replace(m.adresse, chr(10), ' ')), ' ') AS mots,
                p.latitude, p.longitude
            FROM muets m JOIN n_point p ON m.n = p.n AND p.refus IS NULL
            WHERE m.n NOT IN (SELECT n FROM avec_cp)),
        fins AS MATERIALIZED (
            SELECT n, latitude, longitude, k, array_to_string(mots[-k:], ' ') AS commune
            FROM mots, (SELECT unnest([1, 2, 3, 4, 5]) AS k) WHERE len(mots) > k),
        proches AS (
            SELECT f.n, f.k, any_value(f.commune) AS commune FROM fins f
            JOIN norm_noms m ON m.nom_cle = cle_commune(f.commune) AND m.courant
            JOIN norm_communes c ON m.code_actuel = c.code
            WHERE distance_km(f.latitude, f.longitude, c.latitude, c.longitude) < 15
            GROUP BY f.n, f.k HAVING count(*) = 1)
        SELECT n, cp, commune FROM avec_cp
        UNION ALL
        SELECT n, NULL, arg_max(commune, k) FROM proches GROUP BY n"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_place AS
        SELECT n, code_postal, commune, code_insee, concat(code_postal, chr(31), commune, chr(31),
            code_insee) AS cle
        FROM (
            SELECT r.n,
                CASE WHEN vide(r.code_postal) OR regexp_matches(r.code_postal, '^[0 .]+$')
                    THEN h.cp ELSE r.code_postal END AS code_postal,
                coalesce(t.commune, h.commune) AS commune,
                CASE WHEN vide(r.code_insee) THEN NULL ELSE r.code_insee END AS code_insee
            FROM n_raw r JOIN n_txt t ON r.n = t.n LEFT JOIN n_hidden h ON r.n = h.n)"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_address`: `adresse` and `complement_adresse`, once the commune is known.

    A person's address is not kept.
    """
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_streets AS
        WITH lignes AS MATERIALIZED (
            SELECT t.n, t.adresse AS t, t.adresse_regle, t.adresse_montre, t.complement_adresse,
                list_filter(list_transform(string_split(regexp_replace(regexp_replace(t.adresse,
                    '{_escape(_LABEL)}', ''), '{_escape(_COUNTRY)}', ''), chr(10)),
                    lambda x: trim(x, {_TRIMMED})), lambda x: x <> '') AS lignes
            FROM n_txt t WHERE t.adresse IS NOT NULL AND (contains(t.adresse, chr(10))
                OR regexp_matches(t.adresse, '\d{{5}}|[,;:–-] *$|^ *[,;:–-]|{_PIECES}|{_COMMA}')
                OR regexp_matches(t.adresse, '{_escape(_BOX)}|{_escape(_CEDEX)}')
                OR regexp_matches(t.adresse, '{_escape(_LABEL)}|{_escape(_COUNTRY)}')
                OR length(t.adresse) > {MAX_CHARACTERS})),
        rangs AS MATERIALIZED (
            SELECT *, coalesce(nullif(list_position(list_transform(lignes,
                lambda x: regexp_matches(x, '{_escape(_STREET)}')), true), 0), 1) AS rang
            FROM lignes),
        separes AS MATERIALIZED (
            SELECT *, lignes[rang] AS voie FROM rangs),
        fins AS MATERIALIZED (
            SELECT s.*, c.code_postal, c.commune, c.cp, cle_commune(c.commune) AS cle,
                list_transform(lignes, lambda x: CASE WHEN regexp_matches(x, '\d{{5}}')
                    THEN regexp_extract(x, '{_escape(_TAIL)}', {_TAIL_PARTS}) END) AS fins
            FROM separes s LEFT JOIN n_commune c ON s.n = c.n),
        sans_commune AS MATERIALIZED (
            SELECT *, nues[rang] AS nue, list_filter(nues, lambda x, i: i <> rang AND x <> ''
                AND (regexp_matches(x, '\d') OR coalesce(cle_commune(x) <> cle, true))) AS reste
            FROM (SELECT *, list_transform(lignes, lambda x, i:
                CASE WHEN fins[i].cp <> '' AND (fins[i].cp IN (code_postal, cp)
                        OR code_postal IS NULL)
                    AND starts_with(cle_commune(fins[i].commune), cle)
                THEN trim(fins[i].avant, {_TRIMMED}) ELSE x END) AS nues FROM fins)),
        boites AS MATERIALIZED (
            SELECT *, CASE WHEN regexp_matches(nue, '{_escape(_BOX)}|{_escape(_CEDEX)}')
                    THEN trim(regexp_replace(regexp_replace(regexp_replace(nue,
                        '{_escape(_BOX)}', '', 'g'), '{_escape(_CEDEX)}', '', 'g'),
                        ' +', ' ', 'g'), {_TRIMMED}) ELSE nue END AS courte,
                list_distinct(regexp_extract_all(nue, '{_escape(_BOX)}')
                    || regexp_extract_all(nue, '{_escape(_CEDEX)}')) AS boites
            FROM sans_commune),
        morceaux AS MATERIALIZED (
            SELECT *, list_filter(list_transform(string_split(regexp_replace(regexp_replace(courte,
                    '{_COMMA}', concat('\1', chr(10)), 'g'), '{_PIECES}', chr(10), 'g'), chr(10)),
                    lambda x: trim(x, {_TRIMMED})),
                    lambda x: x <> '' AND coalesce(cle_commune(x) <> cle, true)) AS morceaux
            FROM boites),
        comptes AS MATERIALIZED (
            SELECT *, list_transform(morceaux,
                lambda x: regexp_matches(x, '{_escape(_STREET)}')
                    AND NOT regexp_matches(x, '(?i)[ée]tage')) AS est_voie FROM morceaux),
        decoupes AS MATERIALIZED (
            SELECT * REPLACE (CASE WHEN decoupe THEN voie_seule ELSE courte END AS courte,
                CASE WHEN decoupe THEN autres || reste ELSE reste END AS reste)
            FROM (SELECT *, len(list_filter(est_voie, lambda x: x)) = 1
                    AND len(list_filter(morceaux,
                        lambda x: NOT regexp_matches(x, '\p{{L}}{{2}}'))) = 0 AS decoupe,
                morceaux[list_position(est_voie, true)] AS voie_seule,
                list_filter(morceaux, lambda x, i: NOT est_voie[i]) AS autres FROM comptes))
        SELECT n, t, adresse_regle, adresse_montre,
            nullif(CASE WHEN cle_commune(courte) = cle THEN ''
                ELSE left(courte, {MAX_CHARACTERS}) END, '') AS adresse,
            nullif(left(array_to_string(reste || list_sort(boites), ' - '),
                {MAX_CHARACTERS}), '') AS complement,
            len(lignes) > 1 AS plusieurs, nue IS DISTINCT FROM voie AS repetee,
            len(boites) > 0 AS boitee, decoupe AND len(autres) > 0 AS decoupee
        FROM decoupes"""
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_address AS
        WITH reunis AS MATERIALIZED (
            SELECT t.n,
                CASE WHEN s.n IS NOT NULL THEN s.adresse
                    WHEN t.adresse IS NOT NULL AND c.commune IS NOT NULL
                        AND NOT regexp_matches(t.adresse, '\d')
                    THEN CASE WHEN cle_commune(t.adresse) <> cle_commune(c.commune)
                        THEN t.adresse END
                    ELSE t.adresse END AS adresse,
                nullif(concat_ws(' - ', nullif(replace(t.complement_adresse, chr(10), ' - '), ''),
                    CASE WHEN NOT contains(coalesce(t.complement_adresse, ''), s.complement)
                        THEN s.complement END), '') AS complement,
                s.plusieurs, s.repetee, s.boitee, s.decoupee, s.complement AS ajoute, m.personne,
                t.adresse_montre AS ecrite
            FROM n_txt t LEFT JOIN n_streets s ON t.n = s.n LEFT JOIN n_commune c ON t.n = c.n
            JOIN n_name m ON t.n = m.n)
        SELECT n, CASE WHEN NOT personne AND NOT region
            AND regexp_matches(adresse, '[\p{{L}}\p{{N}}]') THEN adresse END AS adresse,
            CASE WHEN NOT personne THEN left(complement, {MAX_CHARACTERS}) END AS
                complement_adresse,
            plusieurs, repetee, boitee, decoupee, ajoute, personne, region, ecrite,
            personne AND coalesce(adresse, complement) IS NOT NULL AS cachee
        FROM (SELECT *, coalesce(
            NOT regexp_matches(coalesce(adresse, ecrite), '\d')
            AND regexp_matches(cle_commune(coalesce(adresse, ecrite)), '{_REGIONS}'), false)
            AS region FROM reunis)"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'adresse', 'adresse_de_personne_possible', NULL
        FROM n_address WHERE cachee"""
    )
    reject(
        con,
        "adresse",
        regle="'adresse_sans_voie'",
        value="ecrite",
        select="FROM n_address WHERE region AND NOT personne",
    )
    change(
        con,
        "adresse",
        regle="""coalesce(nullif(concat_ws('+', t.adresse_regle,
            CASE WHEN a.plusieurs THEN 'lignes_separees' END,
            CASE WHEN a.repetee THEN 'commune_retiree' END,
            CASE WHEN a.boitee THEN 'boite_postale_en_complement' END,
            CASE WHEN a.decoupee THEN 'complement_separe' END), ''),
            'adresse_remise_en_forme')""",
        source="t.adresse_montre",
        select="FROM n_address a JOIN n_txt t USING (n)"
        " WHERE a.adresse IS DISTINCT FROM t.adresse_montre"
        " AND t.adresse_montre IS NOT NULL AND NOT a.personne"
        " AND coalesce(t.adresse_regle, '') NOT LIKE '%personnelle%'",
    )
    change(
        con,
        "complement_adresse",
        regle="""concat_ws('+', t.complement_adresse_regle,
            CASE WHEN a.ajoute IS NOT NULL THEN 'tire_de_l_adresse' END)""",
        source="t.complement_adresse_montre",
        select="FROM n_address a JOIN n_txt t USING (n)"
        " WHERE a.complement_adresse IS DISTINCT FROM t.complement_adresse_montre"
        " AND a.complement_adresse IS NOT NULL AND NOT a.personne"
        " AND coalesce(t.complement_adresse_regle, '') NOT LIKE '%personnelle%'",
    )


def _escape(pattern: str) -> str:
    return pattern.replace("'", "''")
