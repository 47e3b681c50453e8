"""Telephones in E.164: landlines and service numbers of the organisation, never a mobile."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import phonenumbers
import pyarrow as pa

from lowtech_data.normalise.journal import change, dictionary

_READ_SCHEMA = pa.schema(
    [
        ("v", pa.string()),
        ("telephone", pa.string()),
        ("mobile", pa.bool_()),
        ("invalide", pa.bool_()),
    ]
)
_KEPT = frozenset(
    {
        phonenumbers.PhoneNumberType.FIXED_LINE,
        phonenumbers.PhoneNumberType.VOIP,
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.UAN,
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
    }
)
_MAX_CHARACTERS = 200
_PLAIN = r"^\(?(?:\+33|0033|33)?[ .\-/]*(?:\(0\))?[ .\-/]*\(?0?[1-9]\)?(?:[ .\-/]*\d){8}$"
_OVERSEAS = {"262": "262", "263": "262", "269": "262", "590": "590", "594": "594", "596": "596"}
"""Three digits after the 0 of a national number → the country code of that territory."""


def _read(text: str) -> dict[str, Any]:
    """The first landline of a text with one or several numbers, and whether a mobile was there."""
    landline: str | None = None
    mobile = invalid = False
    for piece in re.split(r"[;,|\n]|\s/\s|\bou\b|\bet\b", text[:_MAX_CHARACTERS]):
        found, is_mobile = _one(piece)
        mobile |= is_mobile
        landline = landline or found
        invalid |= not found and not is_mobile and any(c.isdigit() for c in piece)
    return {"telephone": landline, "mobile": mobile, "invalide": invalid}


def _one(text: str) -> tuple[str | None, bool]:
    digits = re.sub(r"\D", "", text)
    national = re.fullmatch(r"(?:00)?(?:33)?0?([1-9]\d{8})", digits)
    if national and re.fullmatch(r"[^\d+]*[\s\d.+()/:\-]*[^\d]*", text):
        return _french(national[1])
    for match in phonenumbers.PhoneNumberMatcher(text, "FR"):
        kind = phonenumbers.number_type(match.number)
        if kind in _KEPT:
            e164 = phonenumbers.PhoneNumberFormat.E164
            return phonenumbers.format_number(match.number, e164), False
        return None, True
    return None, False


def _french(nine: str) -> tuple[str | None, bool]:
    if nine[0] in "67":
        return None, True
    return f"+{_OVERSEAS.get(nine[:3], '33')}{nine}", False


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_phone`: `telephone` (E.164 or nothing), for rows that give one."""
    dictionary(
        con,
        "n_phones_read",
        f"SELECT telephone AS v FROM n_raw WHERE telephone IS NOT NULL AND NOT vide(telephone)"
        f" AND NOT regexp_matches(telephone, '{_PLAIN}')",
        _read,
        _READ_SCHEMA,
    )
    overseas = " ".join(f"WHEN '{k}' THEN '+{v}'" for k, v in _OVERSEAS.items())
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_phone AS
        WITH simples AS MATERIALIZED (
            SELECT n, telephone AS source,
                right(translate(telephone, ' .-/()+', ''), 9) AS neuf
            FROM n_raw WHERE telephone IS NOT NULL AND regexp_matches(telephone, '{_PLAIN}'))
        SELECT n, source,
            CASE WHEN left(neuf, 1) IN ('6', '7') THEN NULL
                ELSE CASE left(neuf, 3) {overseas} ELSE '+33' END || neuf END AS telephone,
            left(neuf, 1) IN ('6', '7') AS mobile, false AS invalide
        FROM simples
        UNION ALL
        SELECT r.n, r.telephone, d.telephone, d.mobile, d.invalide
        FROM n_raw r JOIN n_phones_read d ON r.telephone = d.v"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'telephone', 'mobile_ecarte', '•• •• •• •• ••'
        FROM n_phone WHERE mobile"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'telephone', 'telephone_invalide', masque_forme(source)
        FROM n_phone WHERE invalide"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'telephone', 'telephone_illisible', masque_forme(source)
        FROM n_phone WHERE telephone IS NULL AND NOT mobile AND NOT invalide"""
    )
    change(
        con,
        "telephone",
        regle="""CASE WHEN regexp_matches(source, '^[1-9]') AND NOT starts_with(source, '33')
            THEN 'zero_initial_ajoute' ELSE 'format_e164' END""",
        source="source",
        select=r"FROM n_phone WHERE telephone <> source AND NOT mobile AND NOT invalide"
        r" AND regexp_matches(source, '^[\d .()+/-]{8,25}$')",
    )
