"""Opening hours: kept when they are OpenStreetMap syntax, otherwise not published.

The syntax is the common part of https://wiki.openstreetmap.org/wiki/Key:opening_hours: months,
    days, nth
days of the month, holidays, times, `off`, `24/7`. Comments in quotes are free text, and refused.
"""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal

_DAY = r"(?:Mo|Tu|We|Th|Fr|Sa|Su|PH|SH)(?:\[-?\d(?:,-?\d)*\])?"
_DAYS = rf"{_DAY}(?:-{_DAY})?(?:, ?{_DAY}(?:-{_DAY})?)*"
_TIME = r"(?:[01]?\d|2[0-6]):[0-5]\d"
_TIMES = rf"{_TIME}(?:-{_TIME}\+?|\+)(?:, ?{_TIME}(?:-{_TIME}\+?|\+))*"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?: \d{1,2})?"
_MONTHS = rf"{_MONTH}(?:-{_MONTH})?(?:, ?{_MONTH}(?:-{_MONTH})?)*"
_RULE = rf"(?:24/7|(?:{_MONTHS}:? ?)?(?:{_DAYS}:? ?)?(?:{_TIMES}|off|closed)|{_MONTHS}|{_DAYS})"
OSM_SYNTAX = rf"^{_RULE}(?:\s*(?:;|,|\|\|)\s*{_RULE})*$"
"""RE2 pattern of the accepted syntax."""


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_hours`: `horaires` in OpenStreetMap syntax, for rows that give any."""
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_hours AS
        WITH nets AS MATERIALIZED (
            SELECT n, horaires AS source, CASE WHEN regexp_matches(horaires, {literal(OSM_SYNTAX)})
                THEN horaires ELSE trim(regexp_replace(horaires, '\s+', ' ', 'g'), ' ;') END AS x
            FROM n_raw WHERE NOT vide(horaires))
        SELECT n, source, CASE WHEN length(x) <= 500
            AND regexp_matches(x, {literal(OSM_SYNTAX)}) THEN x END AS horaires
        FROM nets WHERE x <> ''"""
    )
    reject(
        con,
        "horaires",
        regle="'horaires_libres'",
        value="masque_forme(source)",
        select="FROM n_hours WHERE horaires IS NULL",
    )
    change(
        con,
        "horaires",
        regle="'espaces'",
        source="source",
        select="FROM n_hours WHERE horaires <> source",
    )
