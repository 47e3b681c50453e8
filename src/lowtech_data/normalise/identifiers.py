"""SIRET, SIREN and RNA numbers: only those whose own check says that they can exist."""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal

LA_POSTE = "356000000"
"""SIREN of La Poste, whose establishments sum to a multiple of five instead of Luhn's ten."""

_RNA = r"^W(?:\d{9}|2[AB]\d{7})$"
_LABEL = r"^\s*(?:N[°ºO]?\s*)?(?:(?:DE )?(?:SIRET|SIREN|RNA|TVA)\s*(?:N[°ºO]\s*)?[:=]?\s*)?"
_FLOAT = r"^\s*(\d)(?:[.,](\d+))?[eE]\+?(\d+)\s*$"
"""A number that a spreadsheet wrote in powers of ten: what it rounded is lost."""

_KNOWN_SYSTEMS = {
    "siret": r"\d{14}",
    "siren": r"\d{9}",
    "rna": _RNA.strip("^$"),
    "wikidata": r"Q[1-9]\d*",
    "osm": r"(?:node|way|relation)/[1-9]\d*",
}
"""Forms of identifiers whose authority is known; others are kept as their source writes them."""

_PAIR = r"^[a-z][a-z0-9_.-]{0,63}=\S[^\n\x{0}-\x{1f}]{0,199}$"

_PLAIN = r"^[a-z][a-z0-9_.-]{0,63}=(?:[a-z]{0,12}[/:-]?(?:[1-58-9]\d{0,19}|[a-z][a-z-]{0,60}))$"
"""One pair that cannot hold anything personal: most of them."""


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macros `luhn(digits)` and `siret_valide(digits)`."""
    con.execute(
        """CREATE OR REPLACE TEMP MACRO luhn(x) AS list_sum(list_transform(
            string_split(reverse(x), ''), lambda c, i:
            CASE WHEN i % 2 = 1 THEN c::INT
                ELSE (c::INT * 2) // 10 + (c::INT * 2) % 10 END)) % 10 = 0"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP MACRO siret_valide(x) AS luhn(x) OR (starts_with(x, '{LA_POSTE}')
            AND list_sum(list_transform(string_split(x, ''), lambda c: c::INT)) % 5 = 0)"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_ids` (`siret`, `rna`) and `n_identifiers` for rows that give any.

    A SIREN given alone, or in a VAT number, becomes `siren=…` among the identifiers.
    """
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_sirets AS
        WITH lus AS MATERIALIZED (
            SELECT n, siret AS source, regexp_replace(regexp_replace(upper(siret),
                {literal(_LABEL + "|[.]0+$")}, '', 'g'), '[\s\p{{Z}}.\-]', '', 'g') AS brut,
                regexp_extract(siret, {literal(_FLOAT)}, ['chiffres', 'decimales', 'puissance'])
                    AS flottant
            FROM n_raw WHERE siret IS NOT NULL AND NOT vide(siret)),
        nets AS MATERIALIZED (
            SELECT n, source, flottant.puissance <> '' AS est_flottant,
                CASE WHEN flottant.puissance = '13' AND length(flottant.decimales) = 13
                    THEN flottant.chiffres || flottant.decimales
                    WHEN regexp_matches(brut, '^FR\d{{11}}$')
                        AND (12 + 3 * (right(brut, 9)::INTEGER % 97)) % 97
                            = substr(brut, 3, 2)::INTEGER
                    THEN right(brut, 9)
                    ELSE brut END AS x
            FROM lus)
        SELECT n, source,
            CASE WHEN regexp_matches(x, '^0+$') THEN 'aucun'
                WHEN est_flottant AND NOT regexp_matches(x, '^\d{{14}}$') THEN 'chiffres_perdus'
                WHEN regexp_matches(x, '^\d{{14}}$') THEN
                    CASE WHEN siret_valide(x) THEN 'siret' ELSE 'siret_invalide' END
                WHEN regexp_matches(x, '^\d{{9}}$') AND luhn(x) THEN 'siren'
                ELSE 'siret_invalide' END AS cas, x
        FROM nets"""
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_rnas AS
        SELECT n, source, x, regexp_matches(x, {literal(_RNA)}) AS valide FROM (
            SELECT n, rna AS source, regexp_replace(
                regexp_replace(upper(rna), {literal(_LABEL)}, ''), '[\s\p{{Z}}.\-]', '', 'g') AS x
            FROM n_raw WHERE rna IS NOT NULL AND NOT vide(rna))
        WHERE NOT regexp_matches(x, '^W?0+$')"""
    )
    forms = "|".join(f"{system}={form}" for system, form in _KNOWN_SYSTEMS.items())
    known = f"^(?:{forms})$"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_pairs AS
        WITH vus AS (
            SELECT n, unnest(identifiants) AS v, generate_subscripts(identifiants, 1) AS rang
            FROM n_raw WHERE len(identifiants) > 0
                AND n NOT IN (SELECT n FROM n_sirets WHERE cas = 'siren')
                AND (NOT regexp_matches(array_to_string(identifiants, chr(10)), {literal(_PLAIN)})
                    OR regexp_matches(identifiants[1], '^(?:{"|".join(_KNOWN_SYSTEMS)})='))
            UNION ALL
            SELECT s.n, unnest(['siren=' || s.x] || coalesce(r.identifiants, [])),
                generate_subscripts(['siren=' || s.x] || coalesce(r.identifiants, []), 1)
            FROM n_sirets s JOIN n_raw r ON s.n = r.n WHERE s.cas = 'siren')
        SELECT n, trim(v) AS v, rang, regexp_matches(trim(v), {literal(_PAIR)})
            AND NOT coalesce(regexp_matches(trim(v), '^(?:{"|".join(_KNOWN_SYSTEMS)})=')
                AND NOT regexp_matches(trim(v), {literal(known)}), false)
            AND CASE WHEN regexp_matches(trim(v), '^siren=\\d{{9}}$') THEN luhn(substr(trim(v), 7))
                WHEN regexp_matches(trim(v), '^siret=\\d{{14}}$')
                THEN siret_valide(substr(trim(v), 7)) ELSE true END
            AND NOT regexp_matches(v, '@|%40|(?:^|\\D)(?:0|33)[67]\\d{{8}}(?:\\D|$)')
            AND NOT (indice_personnel(v) AND (sans_mobile(v) <> v OR sans_courriel(v) <> v)) AS
                valide
        FROM vus WHERE v IS NOT NULL AND trim(v) <> ''"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_identifiers AS
        SELECT n, list(v ORDER BY rang) AS identifiants FROM (
            SELECT n, v, min(rang) AS rang FROM n_pairs WHERE valide GROUP BY n, v) GROUP BY n
        UNION ALL
        SELECT n, identifiants FROM n_raw
        WHERE len(identifiants) > 0 AND n NOT IN (SELECT n FROM n_pairs)"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_ids AS
        SELECT coalesce(s.n, a.n) AS n, CASE WHEN s.cas = 'siret' THEN s.x END AS siret,
            CASE WHEN a.valide THEN a.x END AS rna
        FROM n_sirets s FULL JOIN n_rnas a ON s.n = a.n"""
    )
    reject(
        con,
        "siret",
        regle="cas",
        value="masque_forme(source)",
        select="FROM n_sirets WHERE cas IN ('siret_invalide', 'chiffres_perdus')",
    )
    reject(
        con,
        "rna",
        regle="'rna_invalide'",
        value="masque_forme(source)",
        select="FROM n_rnas WHERE NOT valide",
    )
    reject(
        con,
        "identifiants",
        regle="'identifiant_invalide'",
        value="masque_forme(v)",
        select="FROM n_pairs WHERE NOT valide",
    )
    for column, table, accepted in (
        ("siret", "n_sirets", "cas = 'siret'"),
        ("rna", "n_rnas", "valide"),
    ):
        change(
            con,
            column,
            regle="'numero_remis_en_forme'",
            source="source",
            select=f"FROM {table} WHERE {accepted} AND x <> source AND length(source) < 30",
        )
