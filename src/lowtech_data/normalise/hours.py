"""Opening hours in OpenStreetMap syntax: kept when a source writes it, read from French text.

The syntax is the common part of https://wiki.openstreetmap.org/wiki/Key:opening_hours: months,
days, nth days of the month, holidays, times, `off`, `24/7`. Of comments in quotes only
"sur rendez-vous" is kept: others are free text.
"""

from __future__ import annotations

import re
from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data.normalise.french_hours import APPOINTMENT, opening_hours, shown
from lowtech_data.normalise.journal import change, dictionary
from lowtech_data.normalise.personal import literal

MAX_CHARACTERS = 500
"""A longer value is not published: no page could show it."""

_DAY = r"(?:Mo|Tu|We|Th|Fr|Sa|Su|PH|SH)(?:\[-?[1-5](?:,-?[1-5])*\])?"
_DAYS = rf"{_DAY}(?:-{_DAY})?(?:, ?{_DAY}(?:-{_DAY})?)*"
_TIME = r"(?:[01]\d|2[0-6]):[0-5]\d"
_TIMES = rf"{_TIME}(?:-{_TIME}\+?|\+)(?:, ?{_TIME}(?:-{_TIME}\+?|\+))*"
_DATE = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?: (?:0?[1-9]|[12]\d|3[01]))?"
_DATES = rf"{_DATE}(?:-{_DATE})?(?:, ?{_DATE}(?:-{_DATE})?)*"
_STATE = rf"(?:(?:{_TIMES}|off|closed)(?: {APPOINTMENT})?|{APPOINTMENT})"
_RULE = rf"(?:24/7|(?:{_DATES}:? ?)?(?:{_DAYS}:? ?)?{_STATE}|{_DATES}|{_DAYS})"
OSM_SYNTAX = rf"^{_RULE}(?:\s*(?:;|,|\|\|)\s*{_RULE})*$"
"""Pattern of the accepted syntax, the same for RE2 and Python."""

_READ_SCHEMA = pa.schema([("v", pa.string()), ("lu", pa.string()), ("montre", pa.string())])
_PYTHON_SYNTAX = re.compile(OSM_SYNTAX, re.ASCII)


def is_osm(text: str) -> bool:
    """Whether a text is in the accepted syntax."""
    return bool(_PYTHON_SYNTAX.fullmatch(text))


def _read(text: str) -> dict[str, Any]:
    found = opening_hours(text)
    if found and (len(found) > MAX_CHARACTERS or not is_osm(found)):
        found = None
    return {"lu": found, "montre": None if found else shown(text)}


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_hours`: `horaires` in OpenStreetMap syntax, for rows that give any."""
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_hours_said AS
        WITH dits AS MATERIALIZED (
            SELECT n, horaires AS source, CASE WHEN regexp_matches(horaires, {literal(OSM_SYNTAX)})
                THEN horaires ELSE trim(regexp_replace(regexp_replace(horaires, '\s+', ' ', 'g'),
                    '\b(\d):([0-5]\d)\b', '0\1:\2', 'g'), ' ;') END AS x
            FROM n_raw WHERE NOT vide(horaires))
        SELECT n, source, CASE WHEN length(x) <= {MAX_CHARACTERS}
            AND regexp_matches(x, {literal(OSM_SYNTAX)}) THEN x END AS osm
        FROM dits WHERE x <> ''"""
    )
    dictionary(
        con,
        "n_hours_read",
        "SELECT source AS v FROM n_hours_said WHERE osm IS NULL",
        _read,
        _READ_SCHEMA,
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_hours AS
        SELECT h.n, h.source, coalesce(h.osm, d.lu) AS horaires, d.lu IS NOT NULL AS lus, d.montre
        FROM n_hours_said h LEFT JOIN n_hours_read d ON h.source = d.v"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'horaires', 'horaires_non_compris', montre
        FROM n_hours WHERE horaires IS NULL"""
    )
    change(
        con,
        "horaires",
        regle="CASE WHEN lus THEN 'horaires_en_syntaxe_osm' ELSE 'espaces' END",
        source="CASE WHEN indice_personnel(source) THEN masque_forme(source) ELSE source END",
        select="FROM n_hours WHERE horaires <> source",
    )
