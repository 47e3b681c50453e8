"""Dates as ISO days in UTC, from the ways that listings write them; no clock is read."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb

from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal

MIN_YEAR = 1990
"""Before, a date is a mistake: no listing of initiatives is older."""

DEFAULT_DAYS = ("1970-01-01", "1900-01-01", "0001-01-01", "1899-12-30")
"""Days that programs write when they have none: the zero of their calendars."""

_COLUMNS = ("date_maj", "date_publication")
_PLAIN = (
    r"^(?:199\d|20\d\d)-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?$"
)
"""A day that is one in every month, without an offset: most of them, read without any work."""
_ISO = (
    r"^(\d{4}-\d\d-\d\d)"
    r"(?:[t ](\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)? ?(?:z|utc|([+-]\d\d):?(\d\d))?)?$"
)
_NUMERIC = r"\b(\d{1,2}[/.]\d{1,2}[/.]\d{4})\b"
_MONTHS = (
    ("janvier", "janv"),
    ("fevrier", "fevr", "fev"),
    ("mars",),
    ("avril", "avr"),
    ("mai",),
    ("juin",),
    ("juillet", "juil"),
    ("aout",),
    ("septembre", "sept"),
    ("octobre", "oct"),
    ("novembre", "nov"),
    ("decembre", "dec"),
)
_MONTH_WORDS = "|".join(word for words in _MONTHS for word in words)
_WORDS = rf"\b(\d{{1,2}})(?:er)? ({_MONTH_WORDS})\.? (\d{{4}})\b"
_PARTIAL = rf"^(?:\d{{4}}|\d{{4}}-\d\d|\d\d?/\d{{4}}|(?:{_MONTH_WORDS})\.? \d{{4}})$"
_ZERO = r"^0+$|^0000-00-00|^00/00/0000|-0001(?:\D|$)|^-0001"


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macro `jour(text)`: the day that a folded text means, or nothing.

    A text with two days means neither.
    """
    months = " ".join(
        " ".join(f"WHEN '{word}' THEN '{number:02}'" for word in words)
        for number, words in enumerate(_MONTHS, 1)
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP MACRO jour(x) AS CASE
        WHEN regexp_matches(x, '{_ISO}') THEN CAST(
            try_cast(concat(regexp_extract(x, '{_ISO}', 1), ' ',
                coalesce(nullif(regexp_extract(x, '{_ISO}', 2), ''), '00:00')) AS TIMESTAMP)
            - to_minutes(coalesce(
                try_cast(regexp_extract(x, '{_ISO}', 3) AS INTEGER) * 60
                + try_cast(concat(left(regexp_extract(x, '{_ISO}', 3), 1),
                    regexp_extract(x, '{_ISO}', 4)) AS INTEGER), 0)) AS DATE)
        WHEN regexp_matches(x, '{_NUMERIC}') THEN
            CASE WHEN len(list_distinct(regexp_extract_all(x, '{_NUMERIC}'))) = 1 THEN
                try_strptime(replace(regexp_extract(x, '{_NUMERIC}', 1), '.', '/'),
                    '%d/%m/%Y')::DATE END
        WHEN regexp_matches(x, '^\d{{1,2}}-\d{{1,2}}-\d{{4}}$') THEN
            try_strptime(x, '%d-%m-%Y')::DATE
        WHEN regexp_matches(x, '{_WORDS}') THEN
            CASE WHEN len(list_distinct(regexp_extract_all(x, '{_WORDS}'))) = 1 THEN
                try_strptime(concat(regexp_extract(x, '{_WORDS}', 1), '/',
                    CASE regexp_extract(x, '{_WORDS}', 2) {months} END, '/',
                    regexp_extract(x, '{_WORDS}', 3)), '%d/%m/%Y')::DATE END
        WHEN regexp_matches(x, '^\d{{8}}$') THEN try_strptime(x, '%Y%m%d')::DATE
        WHEN regexp_matches(x, '^\d{{9,10}}(?:\.\d+)?$') THEN
            make_timestamp(try_cast(floor(x::DOUBLE) AS BIGINT) * 1000000)::DATE
        WHEN regexp_matches(x, '^\d{{12,13}}$') THEN make_timestamp(x::BIGINT * 1000)::DATE
        END"""
    )


def stage(con: duckdb.DuckDBPyConnection, as_of: date) -> None:
    """Make `n_dates`: `date_maj` and `date_publication`, as ISO days.

    A day after `as_of` is refused, but for the next one, which has begun elsewhere.
    """
    latest = literal((as_of + timedelta(days=1)).isoformat())
    plain = ", ".join(
        f"CASE WHEN regexp_matches({c}, '{_PLAIN}') THEN left({c}, 10) END AS {c}_net"
        for c in _COLUMNS
    )
    folded = ", ".join(
        f"""CASE WHEN {c}_net IS NULL AND NOT vide({c})
            THEN trim(strip_accents(lower({c})), ' .') END AS {c}_x"""
        for c in _COLUMNS
    )
    said = ", ".join(
        f"coalesce({c}_net, strftime(jour({c}_x), '%Y-%m-%d')) AS {c}_lu" for c in _COLUMNS
    )
    defaults = ", ".join(map(literal, DEFAULT_DAYS))
    rules = ", ".join(
        f"""CASE WHEN ({c}_lu IS NULL AND {c}_x IS NULL) THEN NULL
            WHEN {c}_lu IN ({defaults}) OR regexp_matches({c}_x, '{_ZERO}') THEN 'date_par_defaut'
            WHEN {c}_lu IS NULL AND regexp_matches({c}_x, '{_PARTIAL}') THEN 'date_incomplete'
            WHEN {c}_lu IS NULL THEN 'date_illisible'
            WHEN {c}_lu NOT BETWEEN '{MIN_YEAR}' AND {latest}
                THEN 'date_hors_bornes' END AS {c}_refus"""
        for c in _COLUMNS
    )
    kept = ", ".join(
        f"{c} AS {c}_source, {c}_refus, CASE WHEN {c}_refus IS NULL THEN {c}_lu END AS {c}"
        for c in _COLUMNS
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_dates AS
        WITH nets AS MATERIALIZED (
            SELECT n, date_maj, date_publication, {plain} FROM n_raw
            WHERE date_maj IS NOT NULL OR date_publication IS NOT NULL),
        plies AS MATERIALIZED (SELECT *, {folded} FROM nets),
        lus AS MATERIALIZED (SELECT *, {said} FROM plies),
        juges AS (SELECT *, {rules} FROM lus)
        SELECT n, {kept} FROM juges"""
    )
    for column in _COLUMNS:
        reject(
            con,
            column,
            regle=f"{column}_refus",
            value=f"{column}_source",
            select=f"FROM n_dates WHERE {column}_refus IS NOT NULL",
        )
        change(
            con,
            column,
            regle="'date_iso'",
            source=f"masque({column}_source)",
            select=f"FROM n_dates WHERE {column} <> {column}_source",
        )
