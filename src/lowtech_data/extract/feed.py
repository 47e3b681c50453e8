"""Feeds: RSS 2.0, RSS 1.0 and Atom.

A feed holds the newest records of a site, not all of them; one that leads to a next page
(`link rel="next"`, RFC 5005) is read to its end. Elements become columns under the prefix that
their namespace usually has (`dc:subject`), whatever this feed calls it. An element that holds
others is an object, an empty one the object of its attributes. Besides them, rows hold what the
formats say each in its way:

| column | holds |
|---|---|
| `_cle` | `guid`, `id` or `rdf:about`; the link when there is none |
| `_titre`, `_resume` | the title, and `description` or `summary`, as plain text |
| `_lien` | the address of the page of the record |
| `_categories` | names of its categories and subjects |
| `_publication`, `_modification` | dates; those written as in mails are in ISO |
| `_latitude`, `_longitude` | the point of GeoRSS or of W3C Basic Geo |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urldefrag, urljoin

from lxml import etree

from lowtech_data.extract.base import Lost, Page, PayloadError, Platform, Request, Row, mask
from lowtech_data.extract.decode import decode, plain_text, refuse_markup
from lowtech_data.extract.licences import licence_identifier
from lowtech_data.registry import Source

_NAMESPACES = {
    "atom": "http://www.w3.org/2005/Atom",
    "cc": "http://web.resource.org/cc/",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "creativeCommons": "http://backend.userland.com/creativeCommonsRssModule",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "geo": "http://www.w3.org/2003/01/geo/wgs84_pos#",
    "georss": "http://www.georss.org/georss",
    "gml": "http://www.opengis.net/gml",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "media": "http://search.yahoo.com/mrss/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rss1": "http://purl.org/rss/1.0/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
    "wfw": "http://wellformedweb.org/CommentAPI/",
    "xhtml": "http://www.w3.org/1999/xhtml",
}
_PREFIXES = {namespace: prefix for prefix, namespace in _NAMESPACES.items()}

_FORMATS = {
    "rss": ("channel", "channel/item", ""),
    "atom:feed": (".", "atom:entry", "atom:"),
    "rdf:RDF": ("rss1:channel", "rss1:item", "rss1:"),
}
"""Root of a document → where what it says of itself is, its records, and the prefix of its own
elements, which their columns do not have."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML cannot hold and that say nothing: word processors leave them."""

_MAX_NESTING = 8
"""Levels of elements that are objects; of what is below, only the text is kept."""

_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.9"


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, _ACCEPT),)


def _document(page: Page) -> tuple[str, etree._Element]:
    """The text of a page and its root. No entity is ever replaced, no DTD read."""
    declared = re.match(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]{1,40})", page.body[:300])
    text = decode(page, declared.group(1).decode() if declared else None).text
    if not text.lstrip().startswith("<"):
        found = f"un texte qui commence par {mask(text[:60])!r}" if text.strip() else "rien"
        raise PayloadError(f"attendu un flux RSS ou Atom, trouvé {found}")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        body = _CONTROLS.sub("", text).strip().encode()
        root = etree.fromstring(body, parser, base_url=page.url)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        reason = mask(str(error.msg).rpartition(", line")[0] or str(error.msg))
        _refuse(text, f"XML illisible, ligne {line}, colonne {column} ({reason})")
    if root.getroottree().docinfo.internalDTD is not None:
        _refuse(text, "XML refusé : déclaration DOCTYPE, qui peut définir des entités")
    return text, root


def _refuse(text: str, reason: str) -> NoReturn:
    if re.search(r"<!doctype\s+html|<html", text[:2000], re.IGNORECASE):
        refuse_markup(text, "un flux RSS ou Atom")
    raise PayloadError(reason)


def _name(element: etree._Element) -> str:
    name = etree.QName(element)
    if not name.namespace:
        return name.localname
    return f"{_PREFIXES.get(name.namespace) or element.prefix or 'autre'}:{name.localname}"


@dataclass(frozen=True, slots=True)
class _Feed:
    """A feed of any of the formats."""

    head: etree._Element
    items: Sequence[etree._Element]
    own: str
    """The prefix of the format's own elements."""


def _read(page: Page) -> _Feed:
    text, root = _document(page)
    kind = _name(root)
    head, items, own = _FORMATS.get(kind, (None, "", ""))
    found = root.find(head, _NAMESPACES) if head else None
    if found is None:
        _refuse(text, f"attendu un flux RSS ou Atom, trouvé un document XML <{mask(kind)}>")
    return _Feed(found, root.findall(items, _NAMESPACES), own)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if source.is_local:
        return ()
    url = urldefrag(_linked(_read(page).head, "next") or page.url).url
    return () if url == urldefrag(page.url).url else (Request(url, _ACCEPT),)


def _linked(element: etree._Element, *relations: str) -> str | None:
    """Address of the first Atom link that has one of these relations."""
    for link in element.iterfind("atom:link", _NAMESPACES):
        if link.get("href") and link.get("rel", "alternate") in relations:
            return _joined(link, link.get("href"))
    return None


def _joined(element: etree._Element, address: str | None) -> str:
    try:
        return urljoin(element.base or "", (address or "").strip())
    except ValueError:
        return address or ""


def _licence(page: Page) -> str | None:
    head = _read(page).head
    stated = _linked(head, "license")
    for path in ("creativeCommons:license", "cc:license"):
        element = head.find(path, _NAMESPACES)
        if element is not None:
            stated = stated or element.text or element.get(f"{{{_NAMESPACES['rdf']}}}resource")
    return licence_identifier(stated)


def _rows(source: Source, page: Page) -> Iterator[Row]:
    feed = _read(page)
    for number, item in enumerate(feed.items, 1):
        yield _row(f"/{_name(item)}[{number}]", item, feed.own)


def _row(pointer: str, item: etree._Element, own: str) -> Row:
    lost: list[Lost] = []
    values = _children(item, own)
    link = _link(item, own)
    values |= {
        "_cle": _first_text(item, own, "guid", "id")
        or item.get(f"{{{_NAMESPACES['rdf']}}}about")
        or link,
        "_titre": _plain(item, own, "title"),
        "_resume": _plain(item, own, "description") or _plain(item, own, "summary"),
        "_lien": link,
        "_categories": _categories(item, own),
        "_publication": _date(item, own, "pubDate", "published", "dc:date", "dcterms:issued"),
        "_modification": _date(item, own, "updated", "atom:updated", "dcterms:modified"),
        **_position(item, lost),
    }
    return Row(pointer, values, tuple(lost))


def _children(element: etree._Element, own: str, level: int = 1) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for child in element.iterchildren(etree.Element):
        found.setdefault(_name(child).removeprefix(own), []).append(_content(child, own, level))
    return {name: each[0] if len(each) == 1 else each for name, each in found.items()}


def _content(element: etree._Element, own: str, level: int) -> Any:
    if len(element) and level < _MAX_NESTING and element.get("type") != "xhtml":
        return _children(element, own, level + 1)
    text = " ".join(_text(element).split())
    return text or {str(name): str(value) for name, value in element.attrib.items()} or None


def _text(element: etree._Element) -> str:
    return "".join(map(str, element.itertext())).strip()


def _find(item: etree._Element, own: str, name: str) -> etree._Element | None:
    return item.find(name if ":" in name else f"{own}{name}", _NAMESPACES)


def _first_text(item: etree._Element, own: str, *names: str) -> str | None:
    """Text of the first of these elements that has any."""
    for name in names:
        element = _find(item, own, name)
        if element is not None and (text := _text(element)):
            return text
    return None


def _plain(item: etree._Element, own: str, name: str) -> str | None:
    element = _find(item, own, name)
    text = _first_text(item, own, name)
    if element is None or text is None:
        return None
    # RSS does not say whether a text is HTML, and most often it is; Atom does.
    is_text = own == "atom:" and element.get("type", "text") in {"text", "xhtml"}
    return " ".join(text.split()) if is_text else plain_text(text)


def _link(item: etree._Element, own: str) -> str | None:
    element = _find(item, own, "link") if own != "atom:" else None
    if element is not None and (element.text or "").strip():
        return _joined(element, element.text)
    if found := _linked(item, "alternate"):
        return found
    guid = item.find("guid")
    if guid is None or guid.get("isPermaLink") == "false":
        return None
    address = (guid.text or "").strip()
    return address if address.startswith(("https://", "http://")) else None


def _categories(item: etree._Element, own: str) -> list[str]:
    found = [
        *item.iterfind(f"{own}category", _NAMESPACES),
        *item.iterfind("dc:subject", _NAMESPACES),
    ]
    names = (_text(e) or e.get("label") or e.get("term") or "" for e in found)
    return [name for written in names if (name := plain_text(written))]


def _date(item: etree._Element, own: str, *names: str) -> str | None:
    text = _first_text(item, own, *names)
    try:
        return parsedate_to_datetime(text or "").isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return text


def _position(item: etree._Element, lost: list[Lost]) -> dict[str, str]:
    for path in ("georss:point", "georss:where/gml:Point/gml:pos"):
        text = (item.findtext(path, None, _NAMESPACES) or "").strip()
        parts = re.split(r"[\s,]+", text)
        if len(parts) == 2:
            return {"_latitude": parts[0], "_longitude": parts[1]}
        if text:
            lost.append(Lost(path.partition("/")[0], "geometrie_illisible", text))
    for prefix in ("", "geo:Point/"):
        latitude, longitude = (
            (item.findtext(f"{prefix}geo:{axis}", None, _NAMESPACES) or "").strip()
            for axis in ("lat", "long")
        )
        if latitude and longitude:
            return {"_latitude": latitude, "_longitude": longitude}
    return {}


PLATFORM = Platform(
    name="flux",
    rows=_rows,
    first=_first,
    follow=_follow,
    licence=_licence,
    mapping={
        "cle_source": "_cle",
        "nom": "_titre",
        "description": "_resume",
        "url": "_lien",
        "categories": "_categories",
        "date_maj": "_modification",
        "date_publication": "_publication",
        "latitude": "_latitude",
        "longitude": "_longitude",
        "langue": "dc:language",
    },
    ignored=frozenset(
        {
            "atom:link",
            "atom:updated",
            "category",
            "comments",
            "content",
            "content:encoded",
            "dc:date",
            "dc:subject",
            "dcterms:issued",
            "dcterms:modified",
            "description",
            "enclosure",
            "geo:*",
            "georss:*",
            "guid",
            "id",
            "link",
            "media:*",
            "pubDate",
            "published",
            "slash:*",
            "summary",
            "title",
            "updated",
            "wfw:*",
        }
    ),
    personal=frozenset(
        {
            "atom:author",
            "atom:contributor",
            "author",
            "contributor",
            "creator",
            "dc:contributor",
            "dc:creator",
            "dc:publisher",
            "dcterms:contributor",
            "dcterms:creator",
            "itunes:author",
            "itunes:owner",
            "media:credit",
            "media:group.media:credit",
            "source",
        }
    ),
)
