"""Personal data in SQL: macros that find and remove it, and what may be shown of a refused value.

What is personal is decided in `lowtech_data.redact`.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data.normalise.journal import dictionary
from lowtech_data.redact import (
    DATE,
    HINT,
    MAIL,
    MOBILE,
    SHIELD,
    SHIELDED_DATE,
    is_personal,
    redacted,
    without_personal_data,
)

__all__ = ["HINT", "MAIL", "MOBILE", "install", "known", "literal", "without_personal_data"]

_READ_SCHEMA = pa.schema([("v", pa.string()), ("personnel", pa.bool_()), ("montre", pa.string())])
_ODD = (
    r"[\x00-\x1f\x7f-\xa0\xad<>%&\\]|\pM|\p{Cf}|[\x{2000}-\x{200f}\x{2028}-\x{206f}]|[\x{e000}-\x{f8ff}]"
    r"|[\x{660}-\x{669}\x{6f0}-\x{6f9}\x{ff00}-\x{ff5e}]"
)
"""Signs that a short text may hide an e-mail or a number: escapes, or characters that break it."""

_DATE = r"^\d{1,4}[/-]\d{1,2}[/-]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?.{0,8})?$"


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macros `indice_personnel`, `sans_courriel`, `sans_mobile`, `est_douteux`,
    `masque_forme`, `masque` and `montrable`.

    `masque(x)` is what a reject may show of a value: the value itself when it is short, printable
    and without any sign of an e-mail or of a number of nine digits, and otherwise its shape alone
    (letters become `x`, digits `•`). `montrable(x)` is what a source wrote, or nothing when that
    may hold more than what cleaning has seen.
    """
    bare = f"replace(x, '{SHIELD}', '')"
    shielded = f"regexp_replace({bare}, '{DATE}', '{SHIELDED_DATE}', 'g')"
    con.execute(
        f"CREATE OR REPLACE TEMP MACRO indice_personnel(x) AS regexp_matches(x, {literal(HINT)})"
    )
    con.execute(
        "CREATE OR REPLACE TEMP MACRO sans_courriel(x) AS "
        f"regexp_replace(x, {literal(MAIL)}, ' ', 'g')"
    )
    con.execute(
        "CREATE OR REPLACE TEMP MACRO sans_mobile(x) AS replace("
        rf"regexp_replace({shielded}, {literal(MOBILE)}, '\1 ', 'g'), '{SHIELD}', '')"
    )
    con.execute(
        "CREATE OR REPLACE TEMP MACRO est_douteux(x) AS "
        f"regexp_matches(x, '{_ODD}') OR indice_personnel(x)"
    )
    con.execute(
        r"""CREATE OR REPLACE TEMP MACRO masque_forme(x) AS regexp_replace(regexp_replace(
            regexp_replace(left(x, 80), '\p{L}', 'x', 'g'), '\p{N}', '•', 'g'),
            '[^\x20-\x7e•]', '?', 'g')"""
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP MACRO masque(x) AS CASE
            WHEN regexp_matches(x, {literal(_DATE)}) THEN x
            WHEN regexp_matches(x, '^[\x20-\x7e\x{{a0}}-\x{{17f}}’–—…°€]*$')
                AND NOT indice_personnel(x) AND NOT regexp_matches(x, '[&<>%]')
                AND NOT regexp_matches(x, '(?:\d\D{{0,3}}){{9}}')
            THEN left(x, 80) ELSE masque_forme(x) END"""
    )
    con.execute(
        r"""CREATE OR REPLACE TEMP MACRO montrable(x) AS CASE
            WHEN regexp_matches(x, '<[^<>]*[=@:]|[%\\&]|[\x{ad}\x{660}-\x{669}\x{6f0}-\x{6f9}]'
                || '|[\x{200b}-\x{200f}\x{2060}-\x{206f}\x{feff}\x{ff00}-\x{ff5e}]')
                AND regexp_matches(x, '(?i)@|＠|&#x?0*(?:40|64)\b|commat|%(?:25)*40|u0040'
                    || '|<[^<>]*[=:]|(?:\pN\PN*){8}')
            THEN NULL
            WHEN indice_personnel(x) AND sans_mobile(sans_courriel(x)) <> x THEN NULL
            ELSE x END"""
    )


def known(con: duckdb.DuckDBPyConnection, name: str, values: str) -> None:
    """Judge short texts (keys, pointers, names of columns): makes the table `name`.

    `values` is a query of one column `v`. Only those that hold personal data have a row: `v`, and
    `montre`, the text without it.
    """
    dictionary(
        con,
        name,
        f"SELECT v FROM ({values}) WHERE est_douteux(v)",
        _judged,
        _READ_SCHEMA,
    )
    con.execute(f"DELETE FROM {name} WHERE NOT personnel")


def _judged(text: str) -> dict[str, Any]:
    return {"personnel": is_personal(text), "montre": redacted(text)}
