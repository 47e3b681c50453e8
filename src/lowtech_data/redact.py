"""What is personal in a text: every spelling of an e-mail or of a mobile number that people use.

The same patterns serve SQL (RE2) and Python, so that one place decides. They lean to removing too
much: a sentence that loses a few words is a smaller loss than a person's number.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final
from urllib.parse import unquote

_DIALECTS = {
    "re2": {"START": "", "WORD": r"\p{L}\p{N}_", "SPACE": r"\s\p{Z}", "DIGIT": r"\p{N}"},
    # Python backtracks: without a start, a long word would take a time quadratic in its length.
    "python": {"START": r"(?<![WORD.%+'’\-])", "WORD": r"\w", "SPACE": r"\s", "DIGIT": r"\d"},
}

_SEP = r"(?:[SPACE.,:;/_·•‐‑–—()\-]|%20|\\u00a0){0,3}"
_AT = (
    r"(?:\s*(?:@|＠|﹫|&#0*64;?|&#x0*40;?|&commat;?|%(?:25)*40|\\+u0040"
    r"|[\[({<]\s*(?:at|arr?obase|chez|a|@)\s*[\])}>])\s*"
    r"|\s+(?:at|arr?obase)\s+|[_\-](?:at|arr?obase)[_\-])"
)
_DOT = (
    r"(?:\.|\s+\.\s+|\s*(?:[\[({<]\s*(?:\.|dot|point|pt)\s*[\])}>]|&#0*46;?|&period;?|%(?:25)*2e)\s*"
    r"|\s+(?:dot|point)\s+|[_\-](?:dot|point)[_\-])"
)
_LOCAL = (
    r"""(?:"[^"@\n]{1,60}"|START[WORD.%+'’\-]+"""
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
    r"(?:\(?(?:\+|00)SEP\(?33\)?SEP(?:\(?0\)?SEP)?|33SEP(?:\(0\)SEP)?|\(?[0O]\)?SEP)"
    r"[67](?:SEP[\dO]){8}"
    rf"|\(?(?:\+|00)\s*\(?(?:{_ABROAD})(?:SEP\d){{4,9}})"
)
_HINT = (
    r"(?i)@|＠|﹫|&#|&commat|%(?:25)*40|\\u0040|arr?obase"
    r"|[\[({<_\-]\s*(?:at|a|chez)\s*[\])}>_\-]|\sat\s"
    r"|[0O3]\)?SEP[67](?:SEP[\dO]){6}|(?:\+|00)SEP\d{2,3}SEP\d"
)


def _pattern(template: str, dialect: str) -> str:
    text = template.replace("SEP", _SEP)
    for token, characters in _DIALECTS[dialect].items():
        text = text.replace(token, characters)
    return text


MAIL: Final = _pattern(_MAIL, "re2")
MOBILE: Final = _pattern(_MOBILE, "re2")
HINT: Final = _pattern(_HINT, "re2")
"""RE2 patterns: an e-mail, a mobile number, and a cheap sign that one of them may be there."""

_END = r"(?:[^\d./-]|[./-](?:\D|$)|$)"
DATE: Final = (
    rf"(^|[^\d./-])(?:([0-3]?\d[./-])([01]?\d[./-])((?:19|20)\d{{2}}{_END})"
    rf"|((?:19|20)\d{{2}}[./-])([01]\d[./-])([0-3]\d{_END}))"
)
"""A day written with its four-digit year, first or last, and no other digits beside it."""

SHIELD: Final = "\ue000"
"""A date such as `06.07.2019 18h30` has the digits of a mobile number: this character, of private
use, is put after each of its parts while numbers are looked for."""

SHIELDED_DATE: Final = rf"\1\2\5{SHIELD}\3\6{SHIELD}\4\7{SHIELD}"
"""What stands for a date while numbers are looked for."""

CHARACTERS_READ: Final = 2_000
"""More than any message or key holds; the patterns are quadratic on hostile text."""

_PYTHON_MAIL = re.compile(_pattern(_MAIL, "python"))
_PYTHON_MOBILE = re.compile(_pattern(_MOBILE, "python"))
_PYTHON_DATE = re.compile(DATE, re.ASCII)
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*(?:>|$)")
_ATTRIBUTE = re.compile(r"<[^<>]*[=:]")
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_CUT_MAIL = re.compile(r"\S*@\S*")
_ROUNDS = 8


def without_personal_data(text: str, mail: str = " ", number: str = " ") -> str:
    """A text without the e-mails and mobile numbers written in it; `mail` and `number` stay."""
    shielded = _PYTHON_DATE.sub(SHIELDED_DATE, text.replace(SHIELD, ""))
    found = _PYTHON_MOBILE.sub(rf"\g<1>{number}", _PYTHON_MAIL.sub(mail, shielded))
    return found.replace(SHIELD, "")


def decoded(text: str) -> str:
    """A text as it would be read once every escape, invisible character and odd digit is undone.

    Entities, percent and JSON escapes, to the end; compatibility forms; digits of all scripts.
    """
    for _ in range(_ROUNDS):
        before = text
        text = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), unquote(html.unescape(text)))
        text = unicodedata.normalize("NFKC", text)
        text = "".join(_readable(c) for c in text)
        if text == before:
            break
    return text


def _readable(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) in {"Cf", "Cs", "Co"} or character == "\u034f":
        return ""
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


def _holds(text: str) -> bool:
    return without_personal_data(text) != text


def redacted(text: str) -> str:
    """A text fit for a message, a log or a name: e-mails become `…@…`, mobile numbers `••`.

    It is changed only when it holds one, in any spelling, or markup, where one may be encoded.
    """
    head, tail = text[:CHARACTERS_READ], text[CHARACTERS_READ:]
    read = decoded(head)
    bare = _TAG.sub("", read)
    if not any(map(_holds, (head, read, bare))):
        return text if bare == read else bare + ("…" if tail else "")
    clean = without_personal_data(bare, "…@…", "••")
    # Twice: a number may appear where an address was cut out.
    clean = _CUT_MAIL.sub("…@…", without_personal_data(clean, "…@…", "••"))
    return clean + ("…" if tail else "")


def without_mails(text: str) -> str:
    """A short text, every escape undone, without markup or e-mails; its numbers stay."""
    text = decoded(text)
    while (bare := _TAG.sub("", text)) != text:
        text = bare
    return _CUT_MAIL.sub("…@…", _PYTHON_MAIL.sub("…@…", text))


def is_personal(text: str) -> bool:
    """Whether a text holds an e-mail or a mobile number, in any spelling.

    Markup alone says nothing, but an attribute may hold one in a code that is not read here; a
    text too long to be read is taken for personal.
    """
    if len(text) > CHARACTERS_READ:
        return True
    read = decoded(text)
    return bool(_ATTRIBUTE.search(read)) or any(map(_holds, (text, read, _TAG.sub("", read))))
