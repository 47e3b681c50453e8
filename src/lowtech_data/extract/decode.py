"""Bytes to text, JSON and HTML, strictly: what was decided is told, what is doubtful is refused.

Payloads are written by other people's software. A page that is not what was asked for (a login
form, a maintenance notice) is refused with a message that says what was found.
"""

from __future__ import annotations

import codecs
import html
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from bs4 import BeautifulSoup

from lowtech_data.extract.base import Page, PayloadError, mask

MAX_DAMAGED = 0.001
"""Share of U+FFFD (characters already lost) above which a text is refused."""

MAX_DEPTH = 100
"""Nesting of a JSON document; the deepest real listing has 8 levels."""

MAX_TAGS = 300_000
"""Tags of one HTML page: parsing that many takes about five seconds."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# As browsers do (WHATWG Encoding): latin-1 and ASCII labels mean windows-1252, and an unmarked
# UTF-16 is little-endian. UTF-7 is absent on purpose: it hides markup from every filter.
_CODECS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16-le",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "cp1252": "cp1252",
    "iso8859-15": "iso8859-15",
    "mac-roman": "mac-roman",
    "cp850": "cp850",
}

_FORMATS = (
    (b"\x1f\x8b", "une archive gzip"),
    (b"PK\x03\x04", "une archive ZIP (ou un classeur XLSX ou ODS : plateforme tableur)"),
    (b"PK\x05\x06", "une archive ZIP vide"),
    (b"7z\xbc\xaf\x27\x1c", "une archive 7z"),
    (b"Rar!\x1a\x07", "une archive RAR"),
    (b"BZh", "une archive bzip2"),
    (b"\xfd7zXZ\0", "une archive xz"),
    (b"\x28\xb5\x2f\xfd", "une archive zstd"),
    (b"%PDF-", "un document PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "un fichier Office ancien (XLS ou DOC)"),
    (b"SQLite format 3\0", "une base SQLite"),
    (b"PAR1", "un fichier Parquet"),
    (b"\x89PNG\r\n\x1a\n", "une image PNG"),
    (b"\xff\xd8\xff", "une image JPEG"),
    (b"GIF8", "une image GIF"),
)
"""First bytes of what is sent instead of text, and its name."""

_META = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE
)

_TAG = re.compile(r"(<[/!?a-zA-Z][^<>]*>)")
_CODE = re.compile(r"</?(?:script|style)\b", re.IGNORECASE)

Evidence = Literal["bom", "http", "option", "meta", "utf-8", "cp1252"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and why it was read so."""

    text: str
    encoding: str
    evidence: Evidence
    damaged: int
    """How many characters were already lost (U+FFFD)."""


def decode(page: Page, option: str | None = None) -> Decoded:
    """Text of a page, by the first of: byte order mark, HTTP charset, `option` (declared in
    `sources.yaml`), HTML `meta`, UTF-8, windows-1252.

    A charset that the bytes contradict is passed over. Raises `PayloadError` when more than
    `MAX_DAMAGED` of the characters are lost, or when the bytes are not text: an archive is named,
    never unpacked.
    """
    _refuse_binary(page.body)
    for mark, marked in _BOMS:
        if page.body.startswith(mark):
            text = page.body[len(mark) :].decode(marked, "replace")
            return _checked(Decoded(text, marked, "bom", text.count("\ufffd")))
    meta = _META.search(page.body[:4096]) if page.body.lstrip().startswith(b"<") else None
    candidates: list[tuple[Evidence, str | None]] = [
        ("http", page.charset),
        ("option", option),
        ("meta", meta.group(1).decode("ascii") if meta else None),
        ("utf-8", "utf-8"),
        ("cp1252", "cp1252"),
    ]
    for evidence, label in candidates:
        encoding = _codec(label)
        if encoding and (found := _try(page.body, encoding, evidence)):
            return _checked(found)
    text = page.body.decode("cp1252", "replace")
    return _checked(Decoded(text, "cp1252", "cp1252", text.count("\ufffd")))


def read_json(page: Page, option: str | None = None) -> Any:
    """The JSON document of a page.

    Raises `PayloadError` for anything but one document of RFC 8259 without repeated keys, `NaN` or
    `Infinity`, deeper than `MAX_DEPTH` or with integers of more than 4,300 digits.
    """
    text = decode(page, option).text
    refuse_markup(text, "du JSON")
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        where = f"JSON illisible, ligne {error.lineno}, colonne {error.colno} ({error.msg})"
        if error.pos >= len(text.rstrip()):
            raise PayloadError(f"{where} : tronqué après {len(text)} caractères") from error
        raise PayloadError(f"{where} : la réponse commence par {mask(text[:60])!r}") from error
    except RecursionError as error:
        raise PayloadError(_too_deep()) from error
    except PayloadError:
        raise
    except ValueError as error:
        # The only other one: the interpreter's own bound on the digits of an integer.
        raise PayloadError("JSON refusé : un entier de plus de 4 300 chiffres") from error
    _check_depth(document)
    return document


def read_html(page: Page, option: str | None = None) -> BeautifulSoup:
    """The parsed page. lxml only: the other parsers take quadratic time on hostile input.

    Raises `PayloadError` when the page is not HTML or has more than `MAX_TAGS` tags.
    """
    text = decode(page, option).text
    if not text.lstrip().startswith("<"):
        raise PayloadError(f"attendu une page HTML, trouvé {_kind(text)}")
    if _is_xml(text):
        raise PayloadError("attendu une page HTML, trouvé du XML")
    if text.count("<") > MAX_TAGS:
        raise PayloadError(f"page HTML refusée : plus de {MAX_TAGS} balises")
    return BeautifulSoup(text, "lxml")


def plain_text(markup: str) -> str:
    """Text of a piece of HTML, with its entities decoded, on one line and without its scripts.

    A parser takes a millisecond for each, a listing has ten thousand.
    """
    first, *parts = _TAG.split(markup)
    texts, is_code = [first], False
    for tag, text in zip(parts[::2], parts[1::2], strict=True):
        if _CODE.match(tag):
            is_code = not tag.startswith("</")
        texts.append("" if is_code else text)
    return " ".join(html.unescape(" ".join(texts)).split())


def binary_format(body: bytes) -> str | None:
    """What the first bytes are those of, in French; `None` when no known format has them."""
    return next((name for first, name in _FORMATS if body.startswith(first)), None)


def refuse_markup(text: str, expected: str) -> None:
    """Raise `PayloadError` when a web page came instead of `expected`, and say which page."""
    if not text[:2000].lstrip().startswith("<"):
        return
    if _is_xml(text):
        raise PayloadError(f"attendu {expected}, trouvé du XML")
    page = BeautifulSoup(text[:200_000], "lxml")
    raise PayloadError(f"attendu {expected}, trouvé {describe(page)}")


def _is_xml(text: str) -> bool:
    start = text[:2000].lstrip()
    if "<html" in start.casefold():
        return False
    return bool(re.match(r"<(\?xml|[a-z]+:|!DOCTYPE\s+(?!html\b)\w+)", start, re.IGNORECASE))


def describe(page: BeautifulSoup) -> str:
    """What an unexpected HTML page seems to be, in French, with its title.

    Used in messages only: nothing is decided by it.
    """
    title = " ".join((page.title or page.new_tag("title")).get_text(" ").split())[:80]
    words = page.get_text(" ")[:5000].casefold()
    if page.select_one("input[type=password]"):
        guess = "page de connexion"
    elif "maintenance" in words:
        guess = "page de maintenance"
    elif re.search(r"captcha|just a moment|un instant…|are you a robot", words):
        guess = "contrôle anti-robot"
    elif re.search(r"domaine est à vendre|domain (?:name )?is for sale|parked domain", words):
        guess = "page de domaine à vendre"
    elif page.find("script") and len(page.get_text("").strip()) < 200:
        guess = "page vide que des scripts remplissent"
    else:
        guess = "page HTML"
    return f"une {guess} « {title} »" if title else f"une {guess} sans titre"


def _refuse_binary(body: bytes) -> None:
    if name := binary_format(body):
        raise PayloadError(
            f"attendu du texte, trouvé {name}, que rien n’ouvre ici ; demander à la source une"
            " adresse qui donne du texte, ou convertir le fichier à la main"
        )


def _codec(label: str | None) -> str | None:
    try:
        return _CODECS.get(codecs.lookup(label.strip()).name) if label else None
    except LookupError:
        return None


def _try(body: bytes, encoding: str, evidence: Evidence) -> Decoded | None:
    try:
        text = body.decode(encoding)
        return Decoded(text, encoding, evidence, text.count("\ufffd"))
    except UnicodeDecodeError:
        if encoding != "utf-8":
            return None
    # A few broken bytes in a text that otherwise holds valid sequences: damaged UTF-8, while an
    # 8-bit text has next to no valid sequence.
    text = body.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    valid = sum(1 for c in text if c > "\x7f") - damaged
    return Decoded(text, encoding, evidence, damaged) if valid > damaged else None


def _checked(decoded: Decoded) -> Decoded:
    size = max(len(decoded.text), 1)
    if decoded.damaged / size > MAX_DAMAGED:
        raise PayloadError(
            f"texte abîmé : {decoded.damaged} caractères perdus sur {size} en le lisant comme"
            f" {decoded.encoding} (indice : {decoded.evidence}) ; déclarer le bon encodage"
        )
    if decoded.text.count("\0") / size > 0.2:
        raise PayloadError(
            "attendu du texte, trouvé des octets nuls (UTF-16 sans marque, binaire ?)"
        )
    return decoded


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise PayloadError(f"JSON refusé : clé répétée {twice[:60]!r} dans un même objet")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadError(f"JSON refusé : {name} n’est pas un nombre")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise PayloadError(f"JSON refusé : nombre hors limites {digits[:20]}")
    return value


def _check_depth(document: Any) -> None:
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
    if level:
        raise PayloadError(_too_deep())


def _too_deep() -> str:
    return f"JSON refusé : plus de {MAX_DEPTH} niveaux d’imbrication"


def _kind(text: str) -> str:
    start = text.lstrip()[:1]
    if not start:
        return "une réponse vide"
    return "du JSON" if start in "{[" else "un texte sans balise"
