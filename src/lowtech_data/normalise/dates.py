"""Dates as ISO days, from the ways that listings write them; no clock is read."""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject

MIN_YEAR, MAX_YEAR = 1990, 2100
"""Outside, a date is a mistake: no listing of initiatives is older, none is of next century."""

_COLUMNS = ("date_maj", "date_publication")
_PLAIN = (
    r"^(?:199\d|20\d\d)-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$"
)


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macro `jour(text)`: the day that a text means, or nothing."""
    con.execute(
        r"""CREATE OR REPLACE TEMP MACRO jour(x) AS CASE
        WHEN regexp_matches(x, '^\d{4}-\d{2}-\d{2}(?:[T ].{0,30})?$') THEN try_cast(left(x, 10)
            AS DATE)
        WHEN regexp_matches(x, '\b\d{1,2}/\d{1,2}/\d{4}\b') THEN
            try_strptime(regexp_extract(x, '\b(\d{1,2}/\d{1,2}/\d{4})\b', 1), '%d/%m/%Y')::DATE
        WHEN regexp_matches(x, '^\d{1,2}[-.]\d{1,2}[-.]\d{4}$') THEN
            try_strptime(replace(x, '.', '-'), '%d-%m-%Y')::DATE
        WHEN regexp_matches(x, '^\d{8}$') THEN try_strptime(x, '%Y%m%d')::DATE
        WHEN regexp_matches(x, '^\d{9,10}(?:\.\d+)?$') THEN
            make_timestamp(try_cast(floor(x::DOUBLE) AS BIGINT) * 1000000)::DATE
        WHEN regexp_matches(x, '^\d{12,13}$') THEN make_timestamp(x::BIGINT * 1000)::DATE
        END"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_dates`: `date_maj` and `date_publication`, as ISO days."""
    columns = ", ".join(
        f"""CASE WHEN regexp_matches({c}, '{_PLAIN}') THEN left({c}, 10)
            WHEN NOT vide({c}) THEN strftime(jour(trim({c})), '%Y-%m-%d') END AS {c}_lu"""
        for c in _COLUMNS
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_dates_read AS
        SELECT n, date_maj, date_publication, {columns} FROM n_raw
        WHERE date_maj IS NOT NULL OR date_publication IS NOT NULL"""
    )
    in_bounds = f"try_cast(left({{0}}_lu, 4) AS INT) BETWEEN {MIN_YEAR} AND {MAX_YEAR}"
    kept = ", ".join(
        f"CASE WHEN {in_bounds.format(c)} THEN {c}_lu END AS {c}, {c} AS {c}_source, {c}_lu"
        for c in _COLUMNS
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE n_dates AS SELECT n, {kept} FROM n_dates_read")
    for column in _COLUMNS:
        reject(
            con,
            column,
            regle=f"""CASE WHEN {column}_lu IS NULL THEN 'date_illisible'
                ELSE 'date_hors_bornes' END""",
            value=f"{column}_source",
            select=f"FROM n_dates WHERE {column} IS NULL AND NOT vide({column}_source)"
            f" AND {column}_lu IS DISTINCT FROM '1970-01-01'",
        )
        change(
            con,
            column,
            regle="'date_iso'",
            source=f"masque({column}_source)",
            select=f"FROM n_dates WHERE {column} <> {column}_source",
        )
