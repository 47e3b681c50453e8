"""MediaWiki with Dokit: the wikis of the Low-tech Lab, Wikifab and their like.

Two forms of the same pages are read into the same columns:

- API answers: the members of a category, then the wikitext of the pages, whose `{{Tuto Details}}`
  template holds the metadata (MediaWiki 1.31 and later shapes, `formatversion` 1 and 2);
- saved HTML pages, in the layout of the Low-tech Lab and in the older one of Wikifab.

Areas, difficulty and units are given by their English key, which does not depend on the language of
the page. The names of authors are never read: the page, which credits them, is the attribution.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row, Unreadable
from lowtech_data.extract.decode import decode, describe, read_html
from lowtech_data.extract.licences import licence_identifier
from lowtech_data.extract.mediawiki import (
    ApiOptions,
    WikiPage,
    following,
    is_api,
    members_request,
    page_path,
    subpage_language,
    template_calls,
    wiki_pages,
)
from lowtech_data.folding import fold
from lowtech_data.registry import Source

_KEYS = {
    fold(local): key
    for key, local in (
        ("Energy", "Énergie"),
        ("Food", "Alimentation"),
        ("Habitat", "Habitat"),
        ("Tools", "Outils"),
        ("Health", "Santé"),
        ("Water", "Eau"),
        ("Hygiene", "Hygiène"),
        ("Materials", "Matériaux"),
        ("Very easy", "Très facile"),
        ("Easy", "Facile"),
        ("Medium", "Moyen"),
        ("Hard", "Difficile"),
        ("Very hard", "Très difficile"),
        ("minute(s)", "minute(s)"),
        ("hour(s)", "heure(s)"),
        ("day(s)", "jour(s)"),
        ("month(s)", "mois"),
        ("Tutorial", "Tutoriel"),
        ("Research", "Recherche"),
    )
}
"""Localised values, written by older revisions, to the key of the property."""


class Options(ApiOptions):
    """What the API is asked for; a saved page only knows `chemin_page`."""

    categorie: str = "Category:Tutorials"


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    if not is_api(source.url):
        return (Request(source.url, "text/html"),)
    return (members_request(source.url, _options(source)),)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    return following(page, _options(source)) if is_api(page.url) else ()


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    start = decode(page).text.lstrip()[:1]
    if is_api(page.url) or start in {"{", "["}:
        for item in wiki_pages(page, _options(source)):
            yield item if isinstance(item, Unreadable) else _wikitext_row(source, item)
    else:
        yield _html_row(source, page)


def _wikitext_row(source: Source, wiki: WikiPage) -> Row | Unreadable:
    calls = [call for call in template_calls(wiki.wikitext) if call.name == "Tuto Details"]
    if not calls:
        return Unreadable(wiki.pointer, "sans_fiche_tutoriel", wiki.title)
    details = {key.casefold(): value for key, value in calls[0].parameters().items()}
    if details.get("istranslation") == "1" and subpage_language(wiki.title):
        return Unreadable(wiki.pointer, "sous_page_traduction", wiki.title)
    duration = (details.get("duration"), _key(details.get("duration-type")))
    cost = (details.get("cost"), details.get("currency"))
    return _row(
        source,
        wiki.pointer,
        {
            "page_id": wiki.page_id,
            "titre": wiki.title,
            "url": wiki.url,
            "revision": wiki.revision,
            "type": _key(details.get("type")),
            "domaines": [_key(area) for area in _split(details.get("area"))],
            "mots_cles": _split(details.get("tags")),
            "description": details.get("description"),
            "difficulte": _key(details.get("difficulty")),
            "duree": " ".join(filter(None, duration)) if duration[0] else None,
            "cout": " ".join(filter(None, cost)) if cost[0] else None,
            "licence": licence_identifier(details.get("licences")),
            "date_maj": wiki.timestamp,
            "langue": details.get("language") or wiki.language,
        },
    )


def _split(text: str | None) -> list[str]:
    return [part for item in (text or "").split(",") if (part := item.strip())]


def _key(text: str | None) -> str | None:
    """The language-free key of a value, also of an unresolved one (`⧼wf-propertyvalue-area-X⧽`)."""
    if not text:
        return None
    bare = re.sub(r"^⧼wf-propertyvalue-[a-z]+-(.+)⧽$", r"\1", text.strip())
    return _KEYS.get(fold(bare), bare)


def _html_row(source: Source, page: Page) -> Row | Unreadable:
    document = read_html(page)
    config = _config(document)
    if "wgArticleId" not in config:
        raise PayloadError(f"attendu une page MediaWiki, trouvé {describe(document)}")
    name = str(config.get("wgPageName", "")).replace("_", " ")
    pointer = f"page {config['wgArticleId']}"
    details = document.select_one(".tuto-details-box")
    if details is None:
        return Unreadable(pointer, "sans_fiche_tutoriel", name)
    if config.get("wgTranslatePageTranslation") == "translation" and subpage_language(name):
        return Unreadable(pointer, "sous_page_traduction", name)
    boxes = _boxes(document)
    return _row(
        source,
        pointer,
        {
            "page_id": config["wgArticleId"],
            "titre": _string(document.select_one("h1#firstHeading")),
            "url": _page_url(document, source, page, name),
            "revision": config.get("wgRevisionId"),
            "type": _type(document),
            "domaines": _areas(document, boxes),
            "mots_cles": _tags(document),
            "description": _string(document.select_one(".tuto-details-about-title")),
            "difficulte": _keyed(boxes.get("fa-tachometer"), with_number=False),
            "duree": _keyed(boxes.get("fa-clock-o"), with_number=True),
            "cout": _string(boxes.get("fa-money")),
            "licence": licence_identifier(_licence_label(document)),
            "date_maj": _last_edit(document),
            "langue": config.get("wgPageContentLanguage"),
        },
    )


def _config(document: BeautifulSoup) -> dict[str, Any]:
    """Scalars of `mw.config.set({…})`, which MediaWiki writes as JSON into the page."""
    for script in document.select("script"):
        text = script.string or ""
        start = text.find("mw.config.set({")
        if start >= 0:
            try:
                return dict(json.JSONDecoder().raw_decode(text, text.index("{", start))[0])
            except (ValueError, RecursionError):
                # The sources of a page may hold what JSON does not: read the few names we need.
                pairs = re.findall(r'"(wg\w+)":("(?:[^"\\]|\\.)*"|\d+)', text)
                return {key: json.loads(value) for key, value in pairs}
    return {}


def _boxes(document: BeautifulSoup) -> dict[str, Tag]:
    """Values of the box of details, by the name of the icon beside them."""
    found: dict[str, Tag] = {}
    for box in document.select(".tuto-items-details-container"):
        icon = box.select_one(".tuto-items-details-container-left i[class]")
        value = box.select_one(".tuto-items-details-container-right")
        if icon and value:
            for name in icon.get_attribute_list("class"):
                found.setdefault(str(name), value)
    return found


def _keyed(box: Tag | None, *, with_number: bool) -> str | None:
    """The language-free value of a box: its hidden key, after its number if it has one."""
    if box is None:
        return None
    key = _string(box.select_one("span.propertyKey"))
    text = _string(box) or ""
    if not with_number:
        return _key(key or text)
    number, _, unit = text.partition(" ")
    return f"{number} {_key(key or unit)}" if unit else text or None


def _areas(document: BeautifulSoup, boxes: Mapping[str, Tag]) -> list[str | None]:
    # Areas are links to pages that do not exist: their target is the key, their text a translation.
    # A link to the page of a user, missing or not, is in the same line.
    targets = [
        unquote(match.group(1))
        for link in document.select("p.tuto-details-autor-revision.noprint a.new[href]")
        if (match := re.search(r"[?&]title=([^&]+)", str(link["href"])))
    ]
    keys = [_key(target.replace("_", " ")) for target in targets if ":" not in target]
    return keys or [_key(area) for area in _split(_string(boxes.get("fa-tag")))]


def _type(document: BeautifulSoup) -> str | None:
    """First word of the line of credits; the older layout has no type there, only `Auteur`."""
    line = document.select_one("p.tuto-details-autor-revision.noprint")
    words = (_string(line) or "").split()
    if not words or not re.match(r"\S+ (de|by|di|von|por)\b", " ".join(words[:2])):
        return None
    return _key(words[0])


def _tags(document: BeautifulSoup) -> list[str]:
    spans = document.select("p > span.propertyKey")
    return _split(_string(spans[0])) if spans else []


def _licence_label(document: BeautifulSoup) -> str | None:
    text = _string(document.select_one(".licence-detail")) or ""
    return text.partition(":")[2].strip() or None


def _last_edit(document: BeautifulSoup) -> str | None:
    for selector in (".lasteditdateinfo", "p.tuto-details-autor-revision"):
        text = _string(document.select_one(selector)) or ""
        if match := re.search(r"\b\d{1,2}/\d{1,2}/\d{4}\b", text):
            return match.group()
    return None


def _page_url(document: BeautifulSoup, source: Source, page: Page, name: str) -> str:
    link = document.select_one(".pageurl a[href]")
    if link:
        return str(link["href"])
    # A saved page does not know where it came from, but says where its API is.
    api = document.select_one("link[rel=EditURI][href]")
    site = str(api["href"]) if api else page.url
    return urljoin(site, page_path(name, _options(source)))


def _string(tag: Tag | None) -> str | None:
    return (" ".join(tag.get_text().split()) or None) if tag else None


def _row(source: Source, pointer: str, values: dict[str, Any]) -> Row:
    kind, host = values["type"], urlsplit(str(values["url"])).hostname
    areas = [area for area in values["domaines"] if area]
    return Row(
        pointer,
        {
            **values,
            "domaines": areas,
            "categories": [*areas, *([f"type:{kind}"] if kind else [])],
            "attribution": f"Page « {values['titre']} », {source.nom}",
            "identifiants": [f"{host}={values['page_id']}"] if host else [],
        },
    )


PLATFORM = Platform(
    name="mediawiki_dokit",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    mapping={
        "cle_source": "page_id",
        "nom": "titre",
        "description": "description",
        "url": "url",
        "date_maj": "date_maj",
        "licence": "licence",
        "attribution": "attribution",
        "categories": "categories",
        "difficulte": "difficulte",
        "duree": "duree",
        "cout": "cout",
        "langue": "langue",
        "identifiants": "identifiants",
    },
    ignored=frozenset({"domaines", "mots_cles", "revision", "type"}),
)
