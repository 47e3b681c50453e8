"""Pages that a site serves with 200 in the place of its listing.

A login page, a check that the visitor is no robot, a notice of maintenance or a domain that is for
sale are read without an error by a lax selector. They are told apart from listings by words and
structure together, on a page that says little else: a real listing may well have a login box in
its corner, a captcha under its contact form, or a workshop that does the maintenance of bicycles.

Only regular expressions in linear time look at the page, and at its beginning: what it holds is
not trusted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lowtech_data.extract.base import Page, PayloadError
from lowtech_data.extract.decode import decode, plain_text
from lowtech_data.folding import fold

READ_CHARACTERS = 200_000
"""Of a page, how much is looked at: these pages are short, or say it at their top."""

MAX_WORDS = 150
"""Words that are seen on such a page, at most. Menus and footers included, those of the field have
under a hundred; a listing of ten places has more."""

_DATA = re.compile(r"\b(json|csv|zip|spreadsheetml|tab-separated)\b")
"""Media types of data: a page served as such that is none is refused when it is read."""

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,300})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A kind of page, and what gives it away: its markup, or its words (folded)."""

    label: str
    markup: re.Pattern[str] | None
    words: re.Pattern[str]

    def seen(self, markup: str, words: str) -> bool:
        has_markup = bool(self.markup and self.markup.search(markup))
        has_words = bool(self.words.search(words))
        return has_markup or has_words


_SIGNS = (
    _Sign(
        "contrôle anti-robot",
        re.compile(
            r"cf-chl-|challenges\.cloudflare\.com|/cdn-cgi/challenge|class=[\"']?(?:g-recaptcha"
            r"|h-captcha|frc-captcha)|_incapsula_|captcha-delivery|anubis_challenge|sgcaptcha",
            re.IGNORECASE,
        ),
        re.compile(
            r"\bcaptcha\b|just a moment|un instant(?:\.\.\.|…)|are you a robot|vous n'etes pas un"
            r" robot|verif\w+ (?:que )?vous etes (?:un |bien )?(?:un )?humain|you are (?:a )?human"
            r"|checking your browser|unusual traffic|trafic inhabituel|attention required"
        ),
    ),
    _Sign(
        "page de connexion",
        re.compile(r"<input\b[^>]{0,400}\btype\s*=\s*[\"']?password", re.IGNORECASE),
        re.compile(
            r"\b(?:veuillez|vous devez|merci de|please|must) (?:vous |you )?(?:etre |be )?"
            r"(?:identifier|connecte|connecter|log in|sign in|logged in)\b"
        ),
    ),
    _Sign(
        "page de maintenance",
        None,
        re.compile(
            r"(?:site|service|serveur|plateforme|page|actuellement|temporairement|cours de|en|under"
            r"|for|scheduled|mode) maintenance\b|maintenance (?:mode|en cours|programmee)"
            r"|temporairement indisponible|momentanement indisponible|temporarily unavailable"
            r"|be right back|de retour bientot|site en (?:construction|travaux)|under construction"
        ),
    ),
    _Sign(
        "page de domaine à vendre",
        re.compile(r"sedoparking|parkingcrew|bodis\.com|dan\.com/buy|afternic", re.IGNORECASE),
        re.compile(
            r"(?:nom de )?domaine (?:[\w.-]+ )?(?:est |peut etre )?(?:a vendre|en vente|expire"
            r"|achete)|domain (?:name )?(?:[\w.-]+ )?(?:is |may be )?(?:for sale|parked|expired)"
            r"|parked domain|buy this domain|acheter ce domaine|this domain (?:has|was) "
            r"|domaine (?:est )?parque|domaine (?:a|vient d')ete enregistre"
        ),
    ),
    _Sign(
        "page d’hébergeur sans site",
        None,
        re.compile(
            r"welcome to nginx|apache2 \w* ?default page|it works!|compte suspendu"
            r"|account (?:has been )?suspended|site (?:n'est pas|pas encore) (?:installe|configure)"
            r"|index of /"
        ),
    ),
)


def told(page: Page) -> str | None:
    """What a page is instead of a listing, with its title, in French; `None` for anything else.

    `page` is a response as captured. Only HTML is looked at.
    """
    markup = _markup(page)
    text = plain_text(markup)
    if len(text.split()) > MAX_WORDS:
        return None
    words = fold(text)
    label = next((sign.label for sign in _SIGNS if sign.seen(markup, words)), None)
    if label is None:
        return None
    found = _TITLE.search(markup)
    title = plain_text(found.group(1))[:80] if found else ""
    return f"{label} « {title} »" if title else f"{label} sans titre"


def is_markup(page: Page) -> bool:
    """Whether a page may be HTML by its declared type: others need not be read to be looked at."""
    return not (page.media_type and _DATA.search(page.media_type))


def _markup(page: Page) -> str:
    """The beginning of an HTML page; nothing for data, XML and what is no text."""
    if not is_markup(page) or not page.body[:2000].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return ""
    try:
        markup = decode(page).text[:READ_CHARACTERS]
    except PayloadError:
        return ""
    head = markup[:2000].casefold()
    is_xml = head.lstrip().startswith("<?xml") and "<html" not in head
    return "" if is_xml else markup
