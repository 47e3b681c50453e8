"""Web addresses: `http` or `https` only, without credentials, tracking or personal data."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa

from lowtech_data.normalise.journal import change, dictionary
from lowtech_data.normalise.personal import without_personal_data

MAX_CHARACTERS = 500
_MAX_READ = 2_000

SOCIAL = (
    "facebook.com",
    "fb.com",
    "fb.me",
    "instagram.com",
    "twitter.com",
    "x.com",
    "linkedin.com",
    "youtube.com",
    "youtu.be",
    "tiktok.com",
    "discord.gg",
    "discord.com",
    "t.me",
    "threads.net",
    "pinterest.com",
    "pinterest.fr",
)
"""Hosts of social pages: a site only when a record has nothing better."""

_PLAIN = (
    r"^https?://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}(?:/[A-Za-z0-9_~!$*+=:%/.-]*)?$"
)
_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,24}|xn--[a-z0-9-]{2,59})"
)
_TRACKING = re.compile(
    r"utm_\w*|fbclid|gclid|dclid|msclkid|yclid|igshid|igsh|mc_[ce]id|_ga|_gl|mtm_\w*|pk_\w*|si"
    r"|ref_src|sessionid|phpsessid|jsessionid|sid|token|access_token|password|mdp|email|e-mail|mail|courriel"
    r"|tel|telephone|phone|mobile|portable",
    re.IGNORECASE,
)
"""Parameters that never identify a page, and those that hold a secret or a person."""

_TOP_DOMAINS = frozenset(
    """
    academy agency alsace app archi art asso associates bike bio biz blog bzh cafe camp care cat
    center city cloud club community com coop corsica design dev earth eco education energy farm
    fund garden green group help house info jobs land life live media mobi museum name net network
    news one ong online ooo org page paris photo place pro rocks sarl school shop site social
    solar solutions space store studio team tech today tools top tours town training vision wiki
    work works world xyz zone
    """.split()  # noqa: SIM905 — a list of words reads better as words
)
"""Last labels, besides those of two letters, by which a name without a scheme is a site."""

_RESERVED = ("local", "localhost", "localdomain", "internal", "intranet", "lan", "test", "invalid")
"""Last labels that no public site has (RFC 2606, RFC 6762)."""

_DOUBT = (
    r"%40|%3[aA]|(?:^|[^0-9])(?:0|33)[67](?:(?:[._-]|%20)?[0-9]){8}|[_-](?:at|arobase)[_-]"
    rf"|://(?:www[.])?[a-z0-9-]+(?:/|$)|[.](?:{'|'.join(_RESERVED)})(?:/|$)"
)
"""Signs that an address which looks plain must be read all the same."""

_MISTYPED = re.compile(
    r"(?<![a-z])[htp]{2,6}(s?)\s*(?:\\[:;c]?|[:;.])*\s*[/\\]{2,}\s*", re.IGNORECASE
)
"""`http\\c//`, `htpp://`, `ttp://`, `http;//`, `http:// `…"""

_ADDRESS = re.compile(r"https?://[^\s<>\"'|]+", re.IGNORECASE)
_JOINED = re.compile(
    r"\s*\|\s*|\s+|;\s*(?=https?:|www\.|(?:[\w-]+\.)+[a-z]{2,}(?:[/;\s]|$)|null\b|none\b|$)"
    r"|,\s*(?=https?:|www\.)|(?<=[a-z])(?=https?://)",
    re.IGNORECASE,
)
"""Between the addresses of a list; a `;` or a `,` may belong to one."""

_SCHEMES = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_EMPTY = frozenset(
    {
        *("", "null", "none", "http", "https", "http//www.", "https//www.", "www", "www."),
        *("n/a", "na", "nc", "-", "--", "?", "x", "non", "sans", "aucun", "aucune", "néant"),
        *("neant", "nan", "hidden", "tbd", "undefined", "en cours", "pas de site"),
    }
)

_READ_SCHEMA = pa.schema(
    [
        ("v", pa.string()),
        ("adresse_web", pa.string()),
        ("regle", pa.string()),
        ("refus", pa.string()),
        ("montrable", pa.bool_()),
    ]
)


class RefusedUrlError(ValueError):
    """An address that is not published; the message is the rule that refuses it."""


def clean_url(text: str) -> tuple[str | None, list[str]]:
    """One address made clean (nothing when it is empty), and the rules applied.

    Raises `RefusedUrlError` when it is not the address of a public page.
    """
    url = re.sub(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\ufeff]+", "", _tidied(text))
    url = _bare(url.replace("\\", "/"))
    if _is_empty(url):
        return None, []
    url, rules = _with_scheme(url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as error:
        raise RefusedUrlError("adresse_illisible") from error
    if not _is_public(host, guessed=bool(rules) and not host.startswith("www.")):
        raise RefusedUrlError("hote_invalide")
    if parts.username is not None or parts.password is not None:
        rules.append("identifiants_retires")
    query = "&".join(pair for pair in parts.query.split("&") if _is_kept(pair))
    if query != parts.query:
        rules.append("parametres_retires")
    clean = "".join(
        (
            f"{parts.scheme.lower()}://{host}",
            f":{port}" if port and port not in (80, 443) else "",
            _quote(re.sub(r";jsessionid=[^/]*", "", parts.path, flags=re.IGNORECASE)),
            f"?{_quote(query)}" if query else "",
            f"#{_quote(parts.fragment)}"
            if parts.fragment and not _personal(parts.fragment)
            else "",
        )
    )
    if _personal(clean.partition("://")[2]):
        raise RefusedUrlError("donnee_personnelle_dans_adresse")
    if len(clean) > MAX_CHARACTERS:
        raise RefusedUrlError("adresse_trop_longue")
    return clean, rules or (["adresse_remise_en_forme"] if clean != text else [])


def _tidied(text: str) -> str:
    """A text whose entities are decoded, and whose schemes are spelled as they should be."""
    while (plain := html.unescape(text)) != text:
        text = plain
    text = _MISTYPED.sub(r"http\1://", text.strip())
    return re.sub(r"^https?://(?:www\.)?(?=https?:/)", "", text, flags=re.IGNORECASE)


def _bare(url: str) -> str:
    """An address without the punctuation of the sentence around it."""
    url = url.strip("<>\"'«»,;[]{} ")
    return url if "(" in url.strip("()") else url.strip("()")


def _is_empty(url: str) -> bool:
    return url.lower().rstrip(":/") in _EMPTY or url.lower().replace(":", "") in _EMPTY


def _is_public(host: str, *, guessed: bool) -> bool:
    """Whether a host can be one of the web; stricter when it was not written as an address."""
    last = host.rpartition(".")[2]
    return (
        bool(_HOST.fullmatch(host))
        and "." in host.removeprefix("www.")
        and last not in _RESERVED
        and (not guessed or len(last) == 2 or last in _TOP_DOMAINS)
    )


def _with_scheme(url: str) -> tuple[str, list[str]]:
    url = re.sub(r"^(https?):?/*(?=https?:)", "", url, flags=re.IGNORECASE)
    url = re.sub(r"^(https?)(?::/*|/+)", r"\1://", url, flags=re.IGNORECASE)
    if url.lower().startswith(("http://", "https://")):
        return url, []
    if re.match(r"/(?!/)|\.{1,2}/|[?#]", url):
        raise RefusedUrlError("adresse_relative")
    if _SCHEMES.match(url) and not re.match(r"[a-z0-9.-]+:\d{1,5}(?:/|$)", url, re.IGNORECASE):
        raise RefusedUrlError("schema_refuse")
    if "@" in url.partition("/")[0]:
        raise RefusedUrlError("hote_invalide")
    return "https://" + url.lstrip("/"), ["schema_ajoute"]


def _is_kept(pair: str) -> bool:
    key, _, value = pair.partition("=")
    return bool(pair) and not _TRACKING.fullmatch(key) and not _personal(value)


def _quote(text: str) -> str:
    return re.sub(r"[\"'<>`{}|^\\]", lambda m: f"%{ord(m[0]):02X}", text)


_URL_MOBILE = re.compile(r"(?<!\d)(?:\+|00)?(?:0|33\(?0?\)?)[67](?:[._\- ]?\d){8}")
_URL_MAIL = re.compile(
    r"[\w.%+-]+\s*(?:@|[\[({]\s*(?:at|arobase|@)\s*[\])}])\s*[\w-]+(?:\.[\w-]+)+", re.IGNORECASE
)


def _personal(text: str) -> bool:
    decoded = html.unescape(unquote(unquote(text)).replace("+", " "))
    return bool(
        _URL_MOBILE.search(unquote(text))
        or _URL_MOBILE.search(decoded)
        or _URL_MAIL.search(decoded)
    )


def _is_social(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return any(host == social or host.endswith("." + social) for social in SOCIAL)


def _pieces(text: str) -> tuple[list[str], bool]:
    """The addresses of a text, and whether personal data was taken out from between them."""
    if _is_empty(text):
        return [], False
    known = without_personal_data(text) if re.search(r"\s", text) else text
    if re.match(r"https?://", known, re.IGNORECASE) or not _ADDRESS.search(known):
        return _JOINED.split(known), known != text
    return [piece for found in _ADDRESS.findall(known) for piece in _JOINED.split(found)], (
        known != text
    )


def _read(text: str) -> dict[str, Any]:
    """The address to keep among those of a text: the first that is not a social page."""
    read = text[:_MAX_READ]
    pieces, hidden = _pieces(_tidied(read))
    kept: list[str] = []
    rules: list[str] = ["liste_partagee"] if len([p for p in pieces if p]) > 1 else []
    refusal: str | None = "donnee_personnelle_dans_adresse" if hidden else None
    for piece in pieces[:10]:
        try:
            url, applied = clean_url(piece)
        except RefusedUrlError as error:
            refusal = refusal or str(error)
            continue
        if url:
            kept.append(url)
            rules += [rule for rule in applied if rule not in rules]
    best = next((url for url in kept if not _is_social(url)), kept[0] if kept else None)
    secret = "identifiants_retires" in rules or "parametres_retires" in rules
    return {
        "adresse_web": best,
        "regle": "+".join(rules) or "adresse_remise_en_forme",
        "refus": refusal if best is None or refusal == "donnee_personnelle_dans_adresse" else None,
        "montrable": not secret and refusal is None and read == text and not _personal(read),
    }


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_web`: `site_web` and `url`, one row per fiche."""
    dictionary(
        con,
        "n_web_read",
        " UNION ALL ".join(
            f"SELECT {c} AS v FROM n_raw WHERE {c} IS NOT NULL"
            f" AND (NOT regexp_matches({c}, '{_PLAIN}')"
            f" OR regexp_matches({c}, '{_DOUBT}') OR length({c}) > {MAX_CHARACTERS})"
            for c in ("site_web", "url")
        ),
        _read,
        _READ_SCHEMA,
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_web AS
        SELECT r.n,
            CASE WHEN s.v IS NULL THEN r.site_web ELSE s.adresse_web END AS site_web,
            CASE WHEN u.v IS NULL THEN r.url ELSE u.adresse_web END AS url
        FROM n_raw r
        LEFT JOIN n_web_read s ON r.site_web = s.v LEFT JOIN n_web_read u ON r.url = u.v"""
    )
    for column in ("site_web", "url"):
        con.execute(
            f"""INSERT INTO n_rejects SELECT r.n, '{column}', d.refus, masque_forme(d.v)
            FROM n_raw r JOIN n_web_read d ON r.{column} = d.v WHERE d.refus IS NOT NULL"""
        )
        change(
            con,
            column,
            regle="d.regle",
            source="CASE WHEN d.montrable THEN d.v END",
            select=f"FROM n_raw r JOIN n_web_read d ON r.{column} = d.v"
            " WHERE d.adresse_web IS NOT NULL AND d.adresse_web <> d.v",
        )
