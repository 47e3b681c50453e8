"""Personal data in text: every spelling of an e-mail or of a mobile number that people use.

The same patterns serve SQL (RE2) and Python, so that one place decides what is personal. They
    lean to
removing too much: a date that looks like a mobile number is a smaller loss than a person's number.
"""

from __future__ import annotations

import re

import duckdb

_DIALECTS = {
    "re2": {"WORD": r"\p{L}\p{N}_", "SPACE": r"\s\p{Z}", "DIGIT": r"\p{N}"},
    "python": {"WORD": r"\w", "SPACE": r"\s", "DIGIT": r"\d"},
}

_SEP = r"[SPACE.,:;/_·•‐‑–—()\-]{0,3}"
_AT = (
    r"(?:\s*(?:@|＠|﹫|&#0*64;?|&#x0*40;?|&commat;?|%40"
    r"|[\[({<]\s*(?:at|arr?obase|chez|a|@)\s*[\])}>])\s*"
    r"|\s+(?:at|arr?obase)\s+|[_\-](?:at|arr?obase)[_\-])"
)
_DOT = (
    r"(?:\.|\s+\.\s+|\s*(?:[\[({<]\s*(?:\.|dot|point|pt)\s*[\])}>]|&#0*46;?|%2e)\s*"
    r"|\s+(?:dot|point)\s+|[_\-](?:dot|point)[_\-])"
)
_LOCAL = (
    r"""(?:"[^"@\n]{1,60}"|[WORD.%+'’\-]+"""
    r"""(?:(?:\s+\.\s+|\s*[\[({]\s*(?:\.|dot|point)\s*[\])}]\s*|\s+dot\s+)[WORD.%+'’\-]+)*)"""
)
_MAIL = rf"(?i)(?:mailto:\s*)?{_LOCAL}{_AT}[WORD\-]+(?:{_DOT}[WORD\-]+)+"

_ABROAD = (
    r"262SEP(?:\(?0\)?SEP)?6|590SEP(?:\(?0\)?SEP)?69|594SEP(?:\(?0\)?SEP)?69"
    r"|596SEP(?:\(?0\)?SEP)?69|687SEP[7-9]|689SEP8|508SEP5|32SEP4|41SEP7|44SEP7|34SEP[67]"
    r"|49SEP1|39SEP3|352SEP6|351SEP9|212SEP[67]|213SEP[567]|216SEP[2459]|221SEP7"
)
_MOBILE = (
    r"(?i)(^|[^DIGIT])(?:"
    r"(?:\(?(?:\+|00)\s*\(?33\)?SEP(?:\(?0\)?SEP)?|33SEP(?:\(0\)SEP)?|\(?[0O]\)?SEP)"
    r"[67](?:SEP[\dO]){8}"
    rf"|\(?(?:\+|00)\s*\(?(?:{_ABROAD})(?:SEP\d){{4,9}})"
)
_HINT = (
    r"(?i)@|＠|﹫|&#|&commat|%40|arr?obase|[\[({<_\-]\s*(?:at|a|chez)\s*[\])}>_\-]|\sat\s"
    r"|[0O3]\)?SEP[67](?:SEP[\dO]){6}|(?:\+|00)SEP\d{2,3}SEP\d"
)


def _pattern(template: str, dialect: str) -> str:
    text = template.replace("SEP", _SEP)
    for token, characters in _DIALECTS[dialect].items():
        text = text.replace(token, characters)
    return text


MAIL = _pattern(_MAIL, "re2")
MOBILE = _pattern(_MOBILE, "re2")
HINT = _pattern(_HINT, "re2")
"""RE2 patterns: an e-mail, a mobile number, and a cheap sign that one of them may be there."""


_PYTHON_MAIL = re.compile(_pattern(_MAIL, "python"))
_PYTHON_MOBILE = re.compile(_pattern(_MOBILE, "python"))


def without_personal_data(text: str) -> str:
    """A text without the e-mails and mobile numbers written in it, in any spelling."""
    return _PYTHON_MOBILE.sub(" ", _PYTHON_MAIL.sub(" ", text))


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


_DATE = r"^\d{1,4}[/-]\d{1,2}[/-]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?.{0,8})?$"


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macros `indice_personnel`, `sans_courriel`, `sans_mobile` and `masque`.

    `masque(x)` is what a reject may show of a value: the value itself when it is short,
        printable and
    without any sign of an e-mail or of a number of nine digits, and otherwise its shape alone
        (letters
    become `x`, digits `•`).
    """
    con.execute(
        f"CREATE OR REPLACE TEMP MACRO indice_personnel(x) AS regexp_matches(x, {literal(HINT)})"
    )
    con.execute(
        "CREATE OR REPLACE TEMP MACRO sans_courriel(x) AS "
        f"regexp_replace(x, {literal(MAIL)}, ' ', 'g')"
    )
    con.execute(
        "CREATE OR REPLACE TEMP MACRO sans_mobile(x) AS "
        rf"regexp_replace(x, {literal(MOBILE)}, '\1 ', 'g')"
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
