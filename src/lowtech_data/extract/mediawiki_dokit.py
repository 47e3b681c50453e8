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
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from pydantic import Field

from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row, Unreadable, fold
from lowtech_data.extract.decode import decode, describe, read_html, read_json
from lowtech_data.extract.licences import licence_identifier
from lowtech_data.registry import Source, Strict

_LANGUAGES = frozenset(
    re.findall(
        r"[a-z]{2}",
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs "
        "cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha "
        "he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn "
        "ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb "
        "nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd "
        "se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw "
        "ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu ",
    )
)
"""ISO 639-1 codes: the names of translation subpages, with or without a variant (`pt-br`)."""

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

_URL_SAFE = ";@$!*(),/~:"
"""Characters that MediaWiki leaves as they are in the path of a page."""

_API_FORMAT = {"action": "query", "format": "json", "formatversion": "2"}


class Options(Strict):
    """What the API is asked for."""

    categorie: str = "Category:Tutorials"
    """The category that holds the pages; canonical namespace names work in every language."""
    lot: Annotated[int, Field(gt=0, le=50)] = 50
    """Pages per request for contents (the API takes 50 at most)."""
    rvslots: bool = False
    """Ask for the `main` slot: MediaWiki 1.32 and later."""
    chemin_page: str = "/wiki/"
    """Path of a page on the site, before its title."""


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _is_api(url: str) -> bool:
    return urlsplit(url).path.endswith("api.php")


def _first(source: Source) -> Sequence[Request]:
    if not _is_api(source.url):
        return (Request(source.url, "text/html"),)
    return (_query(source.url, _list_parameters(_options(source))),)


def _list_parameters(options: Options) -> dict[str, str]:
    return {
        "list": "categorymembers",
        "cmtitle": options.categorie,
        "cmtype": "page",
        "cmlimit": "500",
    }


def _query(url: str, parameters: Mapping[str, str]) -> Request:
    base = url.partition("?")[0]
    return Request(f"{base}?{urlencode({**_API_FORMAT, **parameters})}", "application/json")


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if not _is_api(page.url):
        return ()
    options = _options(source)
    answer = _answer(page)
    query = answer.get("query") or {}
    requests = []
    if "categorymembers" in query:
        ids = _page_ids(query["categorymembers"])
        lots = [ids[start : start + options.lot] for start in range(0, len(ids), options.lot)]
        requests = [_query(page.url, _content_parameters(options, lot)) for lot in lots]
    if following := answer.get("continue"):
        asked = dict(_parameters(page.url))
        requests.append(_query(page.url, {**asked, **{k: str(v) for k, v in following.items()}}))
    return requests


def _page_ids(members: Any) -> list[str]:
    try:
        return [str(int(member["pageid"])) for member in members]
    except (TypeError, ValueError, LookupError) as error:
        raise PayloadError("liste de pages inattendue : membre sans « pageid »") from error


def _content_parameters(options: Options, ids: Sequence[str]) -> dict[str, str]:
    parameters = {
        "prop": "revisions|info",
        "inprop": "url",
        "rvprop": "content|timestamp|ids",
        "pageids": "|".join(ids),
    }
    return {**parameters, "rvslots": "main"} if options.rvslots else parameters


def _parameters(url: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, urlsplit(url).query.split("&")):
        key, _, value = part.partition("=")
        yield unquote(key), unquote(value.replace("+", " "))


def _answer(page: Page) -> Mapping[str, Any]:
    answer = read_json(page)
    if not isinstance(answer, Mapping):
        raise PayloadError(f"attendu un objet de l’API MediaWiki, trouvé {type(answer).__name__}")
    if error := answer.get("error"):
        parts = [error.get(k) for k in ("code", "info")] if isinstance(error, Mapping) else [error]
        reason = " : ".join(str(part)[:200] for part in parts if part)
        raise PayloadError(f"l’API MediaWiki refuse la requête : {reason}")
    is_known = any(key in answer for key in ("query", "batchcomplete", "continue"))
    if not is_known or not all(
        isinstance(answer.get(key) or {}, Mapping) for key in ("query", "continue")
    ):
        raise PayloadError(f"réponse inattendue de l’API : {', '.join(map(str, answer))[:200]}")
    return answer


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    start = decode(page).text.lstrip()[:1]
    if _is_api(page.url) or start in {"{", "["}:
        yield from _api_rows(source, page)
    else:
        yield _html_row(source, page)


def _api_rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    answer = _answer(page)
    pages = (answer.get("query") or {}).get("pages") or []
    if not isinstance(pages, Mapping | list):
        raise PayloadError(f"réponse inattendue de l’API : query.pages vaut {pages!r}"[:200])
    is_split = "continue" in answer or "continue" in dict(_parameters(page.url))
    for index, item in enumerate(pages.values() if isinstance(pages, Mapping) else pages):
        if not isinstance(item, Mapping):
            yield Unreadable(f"/query/pages/{index}", "enregistrement_inattendu")
            continue
        pointer = f"/query/pages/{item.get('pageid', index)}"
        revisions = item.get("revisions")
        if item.get("missing") is not None and item.get("missing") is not False:
            yield Unreadable(pointer, "page_supprimee")
        elif isinstance(revisions, list) and revisions and isinstance(revisions[0], Mapping):
            yield _wikitext_row(source, page, pointer, item, revisions[0])
        elif not is_split:
            yield Unreadable(pointer, "contenu_absent")
        # An answer in several parts names every page in each part, with its content in one only.


def _wikitext_row(
    source: Source, page: Page, pointer: str, item: Mapping[str, Any], revision: Mapping[str, Any]
) -> Row | Unreadable:
    title = str(item.get("title", ""))
    details = _template(_content(revision), "Tuto Details")
    if details is None:
        return Unreadable(pointer, "sans_fiche_tutoriel", title)
    if details.get("istranslation") == "1" and _is_subpage(title):
        return Unreadable(pointer, "sous_page_traduction", title)
    duration = (details.get("duration"), _key(details.get("duration-type")))
    cost = (details.get("cost"), details.get("currency"))
    path = _options(source).chemin_page + quote(title.replace(" ", "_"), safe=_URL_SAFE)
    url = item.get("fullurl") or urljoin(page.url, path)
    return _row(
        source,
        pointer,
        {
            "page_id": item.get("pageid"),
            "titre": title,
            "url": url,
            "revision": revision.get("revid"),
            "type": _key(details.get("type")),
            "domaines": [_key(area) for area in _split(details.get("area"))],
            "mots_cles": _split(details.get("tags")),
            "description": details.get("description"),
            "difficulte": _key(details.get("difficulty")),
            "duree": " ".join(filter(None, duration)) if duration[0] else None,
            "cout": " ".join(filter(None, cost)) if cost[0] else None,
            "licence": licence_identifier(details.get("licences")),
            "date_maj": revision.get("timestamp"),
            "langue": details.get("language") or item.get("pagelanguage"),
        },
    )


def _content(revision: Mapping[str, Any]) -> str:
    """Wikitext of a revision: in its slot since MediaWiki 1.32, under `*` in formatversion 1."""
    slots = revision.get("slots")
    main = slots.get("main") if isinstance(slots, Mapping) else None
    holder = main if isinstance(main, Mapping) else revision
    return str(holder.get("content", holder.get("*", "")))


def _template(wikitext: str, name: str) -> dict[str, str] | None:
    """Named parameters of the first call of a template, in lower case, markup removed."""
    text = re.sub(r"<!--.*?(?:-->|\Z)", "", wikitext, flags=re.DOTALL)
    start = re.search(r"\{\{\s*" + re.escape(name).replace(r"\ ", "[ _]") + r"\s*\|", text)
    if not start:
        return None
    depth, begin = 0, start.end()
    parts: list[str] = []
    for token in re.finditer(r"\{\{|\}\}|\[\[|\]\]|\|", text[start.end() :]):
        mark, position = token.group(), start.end() + token.start()
        if mark in {"{{", "[["}:
            depth += 1
        elif depth and mark != "|":
            depth -= 1
        elif not depth and mark in {"|", "}}"}:
            parts.append(text[begin:position])
            begin = position + 1
            if mark == "}}":
                break
    named = (part.partition("=") for part in parts)
    return {key.strip().casefold(): _plain(value) for key, equal, value in named if equal}


def _plain(wikitext: str) -> str:
    """Readable text of a wikitext: link labels kept, tags and quotes of emphasis removed."""
    # No pattern may cross an opening bracket: unclosed ones would make it quadratic.
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]", r"\1", wikitext)
    text = re.sub(r"\[https?://[^\s\[\]]+\s+([^\[\]]*)\]", r"\1", text)
    text = re.sub(r"<[^<>]*>", " ", text)
    return " ".join(BeautifulSoup(re.sub("'{2,}", "", text), "lxml").get_text().split())


def _split(text: str | None) -> list[str]:
    return [part for item in (text or "").split(",") if (part := item.strip())]


def _key(text: str | None) -> str | None:
    """The language-free key of a value, also of an unresolved one (`⧼wf-propertyvalue-area-X⧽`)."""
    if not text:
        return None
    bare = re.sub(r"^⧼wf-propertyvalue-[a-z]+-(.+)⧽$", r"\1", text.strip())
    return _KEYS.get(fold(bare), bare)


def _is_subpage(title: str) -> bool:
    code = title.rpartition("/")[2] if "/" in title else ""
    return code.partition("-")[0] in _LANGUAGES


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
    if config.get("wgTranslatePageTranslation") == "translation" and _is_subpage(name):
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
    path = _options(source).chemin_page + quote(name.replace(" ", "_"), safe=_URL_SAFE)
    return urljoin(site, path)


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
