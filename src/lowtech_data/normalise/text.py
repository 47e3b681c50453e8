"""Free text: encodings, entities, tags, invisible characters, spaces, and personal data in it.

Only values that show a sign of trouble are worked on, each once: they are gathered in a dictionary
of distinct values (`n_text`), and every text column is read through it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

import duckdb
import ftfy
import pyarrow as pa

from lowtech_data.normalise.journal import dictionary
from lowtech_data.normalise.personal import HINT, literal

TEXT_COLUMNS = (
    "nom",
    "description",
    "adresse",
    "complement_adresse",
    "commune",
    "attribution",
)
"""Raw columns read as text; `noms_alternatifs` goes through the same dictionary."""

MAX_CHARACTERS = 20_000
"""A longer text is cut before anything is read: no listing describes a place in more."""

_INVISIBLE = (
    (0x00, 0x08),
    (0x0E, 0x1F),
    (0x7F, 0x84),
    (0x86, 0x9F),
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xE000, 0xF8FF),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE007F),
)
_LINE = r"\n\r\x{b}\x{c}\x{85}\x{2028}\x{2029}"
_SPACE = r"\t \x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}"
_RE2_INVISIBLE = "".join(rf"\x{{{a:x}}}-\x{{{b:x}}}" for a, b in _INVISIBLE)
_COMBINING = r"\x{300}-\x{36f}\x{37e}\x{387}\x{1f00}-\x{1fff}\x{2126}\x{212a}\x{212b}"
_MOJIBAKE = r"[ÂÃÄÅÐâ][\x{80}-\x{bf}\x{152}-\x{2122}]"
_WIDE = r"\x{ff01}-\x{ff5e}\x{660}-\x{669}\x{6f0}-\x{6f9}\x{966}-\x{96f}\x{1d7ce}-\x{1d7ff}"
_TAG = r"<[a-zA-Z/!?][^>]*(?:>|$)"
_ODD = rf"&[#A-Za-z]|{_MOJIBAKE}|[{_WIDE}]"
_SUSPECT = (
    rf"[{_RE2_INVISIBLE}{_LINE}\t\x{{a0}}\x{{1680}}\x{{2000}}-\x{{200a}}\x{{202f}}\x{{205f}}"
    rf"\x{{3000}}{_COMBINING}]|<[a-zA-Z/!?]|^ | $|  |^$|{_ODD}|{HINT}"
)

_PYTHON_INVISIBLE = re.compile("[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in _INVISIBLE) + "]")
_WIDE_CHARACTER = re.compile(
    "[\uff01-\uff5e\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\U0001d7ce-\U0001d7ff]"
)
_ENTITY = re.compile(r"&[#A-Za-z]")
_MOJIBAKE_PYTHON = re.compile("[ÂÃÄÅÐâ][\x80-\xbf\u0152-\u2122]")
_MAX_ROUNDS = 8
_LOST_CHARACTER = 0xFFFD

_READ_SCHEMA = pa.schema([("v", pa.string()), ("t", pa.string()), ("regle", pa.string())])


def _repair(text: str) -> dict[str, Any]:
    """Entities, mojibake and wide characters undone until nothing is left to undo.

    Entities are decoded to the end: a text whose escapes are decoded only once would change again
    the next time it is read, and could become markup.
    """
    text = text[:MAX_CHARACTERS]
    rules: list[str] = []

    def step(rule: str, after: str, before: str) -> str:
        if after != before and rule not in rules:
            rules.append(rule)
        return after

    for _ in range(_MAX_ROUNDS):
        start = text
        if _MOJIBAKE_PYTHON.search(text):
            fixed = ftfy.fix_encoding(text)
            if "\ufffd" not in fixed:
                text = step("encodage_repare", fixed, text)
        if _ENTITY.search(text):
            text = step("entites_decodees", html.unescape(text), text)
        text = step("caracteres_invisibles_retires", _PYTHON_INVISIBLE.sub("", text), text)
        if _WIDE_CHARACTER.search(text):
            narrow = _WIDE_CHARACTER.sub(lambda m: _narrow(m[0]), text)
            text = step("caracteres_larges", narrow, text)
        if text == start:
            break
    else:
        text = text.replace("&", " ")
    return {"t": text, "regle": "+".join(rules) or None}


def _narrow(character: str) -> str:
    # Decimal digits of other scripts have no compatibility form.
    digit = unicodedata.decimal(character, None)
    return unicodedata.normalize("NFKC", character) if digit is None else str(digit)


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macros of this kind: `texte_suspect`, `sans_balises`, `espaces_simples`."""
    con.execute(
        f"CREATE OR REPLACE TEMP MACRO texte_suspect(x) AS regexp_matches(x, {literal(_SUSPECT)})"
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP MACRO sans_balises(x) AS
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(x,
            '(?is)<(?:script|style)[^>]*>.*?</(?:script|style)[^>]*>', ' ', 'g'),
            '(?i)</?(?:b|i|u|em|strong|span|a|font|small|sup|sub)(?:\s[^>]*)?>', '', 'g'),
            '{_TAG}', chr(10), 'g'), '<([a-zA-Z/!?])', '< \1', 'g')"""
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP MACRO espaces_simples(x) AS
        trim(regexp_replace(regexp_replace(x, '[{_SPACE}]+', ' ', 'g'),
            '[{_LINE} ]*[{_LINE}][{_LINE} ]*', chr(10), 'g'), chr(10) || ' ')"""
    )
    con.execute(
        r"""CREATE OR REPLACE TEMP MACRO reste_propre(x) AS
        trim(espaces_simples(regexp_replace(regexp_replace(regexp_replace(espaces_simples(x),
            '\(\s*\)|\[\s*\]|<\s*>', '', 'g'),
            '(?i)(?:^|[\s,;|–—-])(?:e-?mails?|mails?|courriels?|m[ée]l|mailto|t[ée]l(?:[ée]phone)?'
            || '|portable|mobile|port|gsm|contact)\s*\.?\s*[:=]\s*($|\n)', '\1', 'g'),
            '[ ,;:|/–—-]+($|\n)', '\1', 'g')), chr(10) || ' ,;:|/')"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Read every text column of `n_raw`: makes `n_text` (distinct values) and `n_txt` (rows).

    `n_txt` has, for each text column `c`, `c` (clean, lines kept), `c_regle` (what was done, or
    nothing) and `c_montre` (what the source wrote, without personal data).
    """
    values = " UNION ALL ".join(
        f"SELECT {c} AS v FROM n_raw WHERE {c} IS NOT NULL AND texte_suspect({c})"
        for c in TEXT_COLUMNS
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_suspects AS SELECT DISTINCT v FROM ({values}
        UNION ALL SELECT v FROM (SELECT unnest(noms_alternatifs) AS v FROM n_raw
            WHERE len(noms_alternatifs) > 0) WHERE v IS NOT NULL AND texte_suspect(v))"""
    )
    dictionary(
        con,
        "n_read",
        f"SELECT v FROM n_suspects WHERE regexp_matches(v, {literal(_ODD)})",
        _repair,
        _READ_SCHEMA,
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_text AS
        WITH
        lus AS MATERIALIZED (
            SELECT s.v, coalesce(r.t, left(s.v, {MAX_CHARACTERS})) AS t, r.regle
            FROM n_suspects s LEFT JOIN n_read r ON s.v = r.v),
        visibles AS MATERIALIZED (
            SELECT *, CASE WHEN regexp_matches(t, '[{_RE2_INVISIBLE}]')
                THEN regexp_replace(t, '[{_RE2_INVISIBLE}]', '', 'g') ELSE t END AS t1 FROM lus),
        nus AS MATERIALIZED (
            SELECT *, CASE WHEN regexp_matches(t1, '<[a-zA-Z/!?]') THEN sans_balises(t1)
                ELSE t1 END AS t2 FROM visibles),
        composes AS MATERIALIZED (
            SELECT *, CASE WHEN regexp_matches(t2, '[{_COMBINING}]') THEN nfc_normalize(t2)
                ELSE t2 END AS t3 FROM nus),
        espaces AS MATERIALIZED (
            SELECT *, regexp_replace(espaces_simples(t3), '&(#?\w+;)', '& \1', 'g') AS t4
            FROM composes),
        courriels AS MATERIALIZED (
            SELECT *, CASE WHEN indice_personnel(t4) THEN sans_courriel(t4) ELSE t4 END AS t5
            FROM espaces),
        mobiles AS MATERIALIZED (
            SELECT *, CASE WHEN indice_personnel(t5) THEN sans_mobile(t5) ELSE t5 END AS t6
            FROM courriels),
        encore AS MATERIALIZED (
            SELECT *, CASE WHEN t6 IS NOT DISTINCT FROM t4 THEN t6
                WHEN indice_personnel(t6) THEN reste_propre(sans_mobile(sans_courriel(t6)))
                ELSE reste_propre(t6) END AS t6b FROM mobiles),
        restes AS MATERIALIZED (
            SELECT *, CASE WHEN t6 IS DISTINCT FROM t4 AND indice_personnel(t6b)
                THEN reste_propre(sans_mobile(sans_courriel(t6b))) ELSE t6b END AS t7 FROM encore)
        SELECT v,
            nullif(t7, '') AS propre,
            t5 IS DISTINCT FROM t4 AS courriel,
            t6 IS DISTINCT FROM t5 AS mobile,
            CASE WHEN t6 IS DISTINCT FROM t4 THEN t7 || ' […]' ELSE v END AS montre,
            nullif(concat_ws('+', regle,
                CASE WHEN t1 <> t THEN 'caracteres_invisibles_retires' END,
                CASE WHEN t2 <> t1 THEN 'balises_retirees' END,
                CASE WHEN t3 <> t2 THEN 'unicode_nfc' END,
                CASE WHEN t4 <> t3 THEN 'espaces' END,
                CASE WHEN t6 <> t4 THEN 'donnee_personnelle_retiree' END), '') AS regle
        FROM restes"""
    )
    _rows(con)
    _personal_rejects(con)
    _lost_characters(con)


def _rows(con: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(
        f"CASE WHEN {c}_d.v IS NULL THEN r.{c} ELSE {c}_d.propre END AS {c}, "
        f"{c}_d.regle AS {c}_regle, coalesce({c}_d.montre, r.{c}) AS {c}_montre"
        for c in TEXT_COLUMNS
    )
    joins = " ".join(f"LEFT JOIN n_text {c}_d ON r.{c} = {c}_d.v" for c in TEXT_COLUMNS)
    con.execute(f"CREATE OR REPLACE TEMP TABLE n_txt AS SELECT r.n, {columns} FROM n_raw r {joins}")


def _personal_rejects(con: duckdb.DuckDBPyConnection) -> None:
    for column in TEXT_COLUMNS:
        for flag, shown in (("courriel", "…@…"), ("mobile", "•• •• •• •• ••")):
            con.execute(
                f"""INSERT INTO n_rejects SELECT r.n, '{column}', '{flag}_retire', '{shown}'
                FROM n_raw r JOIN n_text d ON r.{column} = d.v WHERE d.{flag}"""
            )


def _lost_characters(con: duckdb.DuckDBPyConnection) -> None:
    """Tell of the sign that a wrong decoding leaves: no rule can know what it stood for."""
    found = " UNION ALL ".join(
        f"SELECT n, '{c}', 'caracteres_perdus', {c}_montre FROM n_txt"
        f" WHERE contains({c}, chr({_LOST_CHARACTER}))"
        for c in TEXT_COLUMNS
    )
    con.execute(f"INSERT INTO n_refused {found}")
