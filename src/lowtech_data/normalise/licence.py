"""Licences that fiches state, as identifiers.

A licence that is stated but not recognised permits nothing: it becomes `aucune`, with a reject. A
fiche that states none keeps nothing here, and follows its source.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data.extract.licences import MAX_CHARACTERS, read_licence
from lowtech_data.normalise.journal import change, dictionary, reject

_READ_SCHEMA = pa.schema([("v", pa.string()), ("licence", pa.string()), ("connue", pa.bool_())])


def _read(text: str) -> dict[str, Any]:
    licence, known = read_licence(text[:MAX_CHARACTERS])
    return {"licence": licence, "connue": known}


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_licence`: `licence`, for rows that state one (distinct values are few)."""
    dictionary(
        con,
        "n_licences_read",
        "SELECT licence AS v FROM n_raw WHERE NOT vide(licence)",
        _read,
        _READ_SCHEMA,
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_licence AS
        WITH lues AS MATERIALIZED (SELECT *, masque(v) AS masquee FROM n_licences_read)
        SELECT r.n, r.licence AS source, d.licence, d.connue, d.masquee
        FROM n_raw r JOIN lues d ON r.licence = d.v"""
    )
    reject(
        con,
        "licence",
        regle="'licence_inconnue'",
        value="source",
        select="FROM n_licence WHERE NOT connue",
    )
    change(
        con,
        "licence",
        regle="'code_de_licence'",
        source="masquee",
        select="FROM n_licence WHERE licence <> source",
    )
