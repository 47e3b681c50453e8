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

_PLAIN = r"^https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z]{2,24}(?:/[A-Za-z0-9_~!$*+=:%/.-]*)?$"
_DOUBT = r"%40|%3[aA]|(?:^|[^0-9])(?:0|33)[67](?:(?:[._-]|%20)?[0-9]){8}|[_-](?:at|arobase)[_-]"
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

_SCHEMES = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_EMPTY = frozenset(
    {"", "null", "none", "http", "https", "n/a", "na", "-", "aucun", "nan", "hidden"}
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
    url = re.sub(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\ufeff]+", "", text)
    url = url.replace("\\", "/").strip("<>\"'«»,;")
    if url.lower().rstrip(":/") in _EMPTY:
        return None, []
    url, rules = _with_scheme(url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as error:
        raise RefusedUrlError("adresse_illisible") from error
    if not _HOST.fullmatch(host):
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


def _with_scheme(url: str) -> tuple[str, list[str]]:
    url = re.sub(r"^(https?):?/*(?=https?:)", "", url, flags=re.IGNORECASE)
    url = re.sub(r"^(https?):?/+", r"\1://", url, flags=re.IGNORECASE)
    if url.lower().startswith(("http://", "https://")):
        return url, []
    if url.startswith("/") and not url.startswith("//"):
        raise RefusedUrlError("adresse_relative")
    if _SCHEMES.match(url) and not re.match(r"[a-z0-9.-]+:\d{1,5}(?:/|$)", url, re.IGNORECASE):
        raise RefusedUrlError("schema_refuse")
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


def _read(text: str) -> dict[str, Any]:
    """The address to keep among those of a text: the first that is not a social page."""
    pieces = [text]
    if re.search(r"[;|\s,]", text.strip()):
        known = without_personal_data(text) if re.search(r"\s", text.strip()) else text
        pieces = re.split(r"\s*[;|]\s*|\s+|,\s*(?=http)", known.strip())
    kept: list[str] = []
    rules: list[str] = ["liste_partagee"] if len([p for p in pieces if p]) > 1 else []
    refusal: str | None = None
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
        "regle": "+".join(rules) or None,
        "refus": refusal if best is None or refusal == "donnee_personnelle_dans_adresse" else None,
        "montrable": not secret and refusal is None and not _personal(text),
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
