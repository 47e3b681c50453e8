"""The short text of a fiche: its description on one line, cut at a word."""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change

MAX_CHARACTERS = 300


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_summary`: `resume` (300 characters at most) and `attribution` on one line."""
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_summary AS
        WITH lignes AS MATERIALIZED (
            SELECT n, CASE WHEN contains(description, chr(10))
                    THEN replace(description, chr(10), ' ') ELSE description END AS t,
                description_regle, description_montre, attribution, attribution_regle,
                attribution_montre
            FROM n_txt WHERE description IS NOT NULL OR attribution IS NOT NULL)
        SELECT n, t, description_regle, description_montre, attribution_regle, attribution_montre,
            CASE WHEN length(t) > {MAX_CHARACTERS}
                THEN regexp_replace(left(t, {MAX_CHARACTERS - 1}), '[\s,;:.(–-]+\S*$', '') || '…'
                ELSE t END AS resume,
            left(replace(attribution, chr(10), ' '), 200) AS attribution
        FROM lignes"""
    )
    change(
        con,
        "resume",
        regle=f"""concat_ws('+', description_regle,
            CASE WHEN length(t) > {MAX_CHARACTERS} THEN 'resume_coupe' END)""",
        source="description_montre",
        select="FROM n_summary WHERE description_regle IS NOT NULL"
        f" OR length(t) > {MAX_CHARACTERS}",
    )
    change(
        con,
        "attribution",
        regle="attribution_regle",
        source="attribution_montre",
        select="FROM n_summary WHERE attribution_regle IS NOT NULL",
    )
