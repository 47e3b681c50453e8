"""Fields of reports, tools and tutorials: difficulty, duration, cost, language, steps."""

from __future__ import annotations

import duckdb

from lowtech_data.model import codes_of
from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal

_DIFFICULTIES = {
    "tres_facile": ("tres_facile", "très facile", "tres facile", "very easy"),
    "facile": ("facile", "easy"),
    "moyen": ("moyen", "moyenne", "medium", "intermédiaire"),
    "difficile": ("difficile", "hard", "difficult"),
    "tres_difficile": ("tres_difficile", "très difficile", "tres difficile", "very hard", "expert"),
}
_HOURS = {"min": 1 / 60, "h": 1, "d": 24, "j": 24, "w": 168, "s": 168, "mo": 720}
"""Hours in a unit, by its first letters. A day is a calendar day of 24 hours, a month 30 days: the
unit that a source chose says how long the work spans, not how many hours are spent at it."""

_LANGUAGES = {
    "fr": "fr fra fre french français francais",
    "en": "en eng english anglais",
    "es": "es spa spanish español espagnol",
    "de": "de deu ger german deutsch allemand",
    "it": "it ita italian italiano italien",
    "pt": "pt por portuguese português portugais",
    "nl": "nl nld dut dutch nederlands néerlandais",
    "br": "br bre breton brezhoneg",
    "eu": "eu eus basque euskara",
    "oc": "oc oci occitan",
    "co": "co cos corse corsu",
    "ca": "ca cat catalan",
}
_COLUMNS = {
    "difficulte": "difficulte",
    "duree": "duree_h",
    "cout": "cout_eur",
    "langue": "langue",
    "nature_ressource": "nature_ressource",
}
"""Raw column → clean column."""
_UNIT = r"(min|h|d|j|w|s|mo)[a-zé]*(?:\(s\))?\.?"
_DURATION = rf"^(\d+(?:[.,]\d+)?)\s*{_UNIT}(?:\s+{_UNIT})?$"
"""A number and a unit; some wikis write the unit a second time, in their other language."""
_CLOCK = r"^(\d{1,3}) ?h ?([0-5]\d)(?: ?mi?n?)?$"
_SAME_UNIT = {"d": "j", "w": "s"}
_AMOUNT = r"\d[\d ]*(?:[.,]\d{1,2})?"
_EURO = (
    rf"^(?:(?:€|eur)\s*({_AMOUNT})(?:\s*(?:-|–|à|a)\s*({_AMOUNT}))?"
    rf"|({_AMOUNT})(?:\s*(?:-|–|à|a)\s*({_AMOUNT}))?\s*(?:€|eur|euros?)(?:\s*\(€\))?)$"
)
"""An amount in euros, or two with the smaller first."""


def _cases(words: dict[str, tuple[str, ...]], value: str) -> str:
    return " ".join(
        f"WHEN {value} IN ({', '.join(map(literal, names))}) THEN '{code}'"
        for code, names in words.items()
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_resource`: what a report, a tool or a tutorial says of itself.

    Columns: `nature_ressource`, `etapes`, `difficulte`, `duree_h`, `cout_eur`, `langue`. A range
    of costs gives its lower bound; a cost in another currency gives nothing.
    """
    steps = ", ".join(map(literal, sorted(codes_of("etape"))))
    natures = ", ".join(map(literal, sorted(codes_of("nature_ressource"))))
    languages = {code: tuple(words.split()) for code, words in _LANGUAGES.items()}
    units = " ".join(f"WHEN '{unit}' THEN {hours!r}" for unit, hours in _HOURS.items())
    same = " ".join(f"WHEN '{other}' THEN '{unit}'" for other, unit in _SAME_UNIT.items())
    first, second = (
        f"CASE regexp_extract(t, {literal(_DURATION)}, {group}) WHEN '' THEN NULL {same}"
        f" ELSE regexp_extract(t, {literal(_DURATION)}, {group}) END"
        for group in (2, 3)
    )
    lower, upper = (
        f"nombre(replace(nullif(concat(regexp_extract(c, {literal(_EURO)}, {before}),"
        f" regexp_extract(c, {literal(_EURO)}, {after})), ''), ' ', ''))"
        for before, after in ((1, 3), (2, 4))
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_resource AS
        WITH dits AS MATERIALIZED (
            SELECT n, nature_ressource, etapes, difficulte, duree, cout, langue,
                lower(trim(difficulte)) AS d, lower(trim(duree)) AS t, lower(trim(cout)) AS c,
                split_part(replace(lower(trim(langue)), '_', '-'), '-', 1) AS l
            FROM n_raw
            WHERE coalesce(nature_ressource, difficulte, duree, cout, langue) IS NOT NULL
                OR len(etapes) > 0)
        SELECT n, nature_ressource AS nature_ressource_source, difficulte AS difficulte_source,
            duree AS duree_source, cout AS cout_source, langue AS langue_source,
            CASE WHEN nature_ressource IN ({natures}) THEN nature_ressource END AS nature_ressource,
            list_filter(etapes, lambda x: x IN ({steps})) AS etapes,
            CASE {_cases(_DIFFICULTIES, "d")} END AS difficulte,
            nullif(round(CASE
                WHEN regexp_matches(t, {literal(_CLOCK)}) THEN
                    regexp_extract(t, {literal(_CLOCK)}, 1)::INTEGER
                    + regexp_extract(t, {literal(_CLOCK)}, 2)::INTEGER / 60
                WHEN {first} = {second} OR {second} IS NULL THEN
                    nombre(regexp_extract(t, {literal(_DURATION)}, 1))
                    * CASE regexp_extract(t, {literal(_DURATION)}, 2) {units} END END, 2), 0.0)
                AS duree_h,
            CASE WHEN c IN ('gratuit', 'free', '0') THEN 0.0
                WHEN {upper} IS NULL OR {lower} <= {upper} THEN {lower} END AS cout_eur,
            CASE {_cases(languages, "l")} END AS langue
        FROM dits"""
    )
    for column, target in _COLUMNS.items():
        reject(
            con,
            target,
            regle=f"'{column}_illisible'",
            value=f"{column}_source",
            select=f"FROM n_resource WHERE {target} IS NULL AND NOT vide({column}_source)",
        )
    reject(
        con,
        "etapes",
        regle="'etape_inconnue'",
        value="v",
        select="FROM (SELECT n, unnest(etapes) AS v FROM n_raw WHERE len(etapes) > 0)"
        f" WHERE v NOT IN ({steps})",
    )
    for column, target in _COLUMNS.items():
        change(
            con,
            target,
            regle=f"'{column}_en_unite_publiee'" if column != target else f"'code_de_{column}'",
            source=f"masque({column}_source)",
            select=f"FROM n_resource WHERE {target} IS NOT NULL"
            f" AND {target}::VARCHAR <> {column}_source",
        )
