"""Communes, postcodes and territories of France, bundled as Parquet, and what each type implies.

The files are made by `lowtech_data.reference.build`; `warehouse/reference/README.md` says where
their content comes from, of which year it is and under which licence.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lowtech_data.reference import position

REFERENCE_DIR = Path(
    os.environ.get("LOWTECH_REFERENCE")
    or Path(__file__).resolve().parents[3] / "warehouse" / "reference"
)
"""The folder of the bundled files: `LOWTECH_REFERENCE`, or the project's own."""

CLE_COMMUNE_MACRO = r"""
CREATE OR REPLACE TEMP MACRO cle_commune(nom) AS trim(regexp_replace(
    regexp_replace(
        strip_accents(replace(replace(lower(nom), 'œ', 'oe'), 'æ', 'ae')),
        '[^a-z0-9]+', ' ', 'g'
    ),
    '\bst(e?s?)\b', 'saint\1', 'g'
))
"""
"""SQL macro `cle_commune(text)`: a commune's name without what people write in several ways.

Lower case, no accents, œ and æ in two letters, anything but letters and digits as one space, and
`st`, `ste`, `sts`, `stes` in full. Two spellings of one name have the same key.
"""

_PARQUET_TABLES = ("communes", "codes_postaux", "territoires")


class ReferenceMissingError(FileNotFoundError):
    """A bundled file is not where it should be; the message says which, and what to do."""


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macro `cle_commune` and the tables of reference in a connection.

    Temporary tables, so that nothing of them stays in a database file: `ref_communes`,
    `ref_codes_postaux`, `ref_territoires` with the columns of the Parquet files of the same name,
    `ref_types` (`type`, `nature`, `themes VARCHAR[]`, `familles VARCHAR[]`), and the index by
    position that `position.locate` and `position.around` read. They belong to this connection: its
    cursors do not see them.

    Raises `ReferenceMissingError` when a file is missing.
    """
    con.execute(CLE_COMMUNE_MACRO)
    for name in _PARQUET_TABLES:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE ref_{name} AS SELECT * FROM read_parquet(?)",
            [str(_file(f"{name}.parquet"))],
        )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE ref_types AS
        SELECT
            type,
            nature,
            coalesce(string_split(themes, '|'), []) AS themes,
            coalesce(string_split(familles, '|'), []) AS familles
        FROM read_csv(?, header = true, all_varchar = true, delim = ',', quote = '"')
        ORDER BY type
        """,
        [str(_file("types.csv"))],
    )
    position.install(con, _file("contours.parquet"))


def territories() -> pa.Table:
    """The published table `territoires`: communes, EPCI, départements, régions and the country.

    Codes are the official ones, unique within a level: département `01` is the Ain, région `01` is
    Guadeloupe. Rows are sorted by `niveau`, then `code`.
    """
    return pq.read_table(_file("territoires.parquet"))


def vintage() -> int:
    """The year of the official geographic code (on 1 January) that the bundled communes follow."""
    return int(json.loads(_file("reference.json").read_text(encoding="utf-8"))["annee_cog"])


def _file(name: str) -> Path:
    path = REFERENCE_DIR / name
    if not path.is_file():
        raise ReferenceMissingError(
            f"Fichier de référence absent : {path}. Le dossier attendu est warehouse/reference du "
            "projet, ou celui que nomme la variable LOWTECH_REFERENCE."
        )
    return path
