"""Sites that list their pages in a sitemap (sitemaps.org): JSON-LD or selectors on each page.

`url` is a sitemap or an index of sitemaps, compressed (`.gz`) or not. The pages whose address
matches `pages` are asked for; a record is read whole from its page, and the sitemaps give none. A
page that holds no record is a reject, not a failure: a pattern also matches pages of other kinds.

A sitemap has no use for a DTD: one that has any is refused before it is parsed.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import etree
from pydantic import field_validator, model_validator

from lowtech_data.extract import html_listing
from lowtech_data.extract import json_ld as linked_data
from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row, Unreadable
from lowtech_data.extract.decode import decode, read_html, refuse_markup
from lowtech_data.registry import FirstOf, Source, Strict

PAGE = html_listing.PAGE

_ROOT = re.compile(r"<(?:\w+:)?(urlset|sitemapindex)[\s/>]")
_PROLOGUE = 4_000
"""Characters in which the root is looked for: comments and style sheets come before it."""

_GZIP = b"\x1f\x8b"


class Options(Strict):
    """Which pages, and how their records are read: `json_ld` or `selecteurs`."""

    pages: str
    """Regular expression, found anywhere in the address of the pages to read."""
    plans: str | None = None
    """The same for the sitemaps of an index; without it, all of them are read."""
    depuis: date | None = None
    """Pages that the sitemap dates before (`lastmod`) are not asked for; those without date are."""
    json_ld: linked_data.Options | None = None
    """The options of the platform of this name."""
    selecteurs: html_listing.Fields | None = None
    """`fiche` and `champs`, as in the platform `html_listing`."""
    encodage: str | None = None

    @field_validator("pages", "plans")
    @classmethod
    def _is_expression(cls, given: str | None) -> str | None:
        try:
            re.compile(given or "")
        except re.error as error:
            raise ValueError(f"expression incorrecte {given!r} : {error}") from error
        return given

    @model_validator(mode="after")
    def _one_way_of_reading(self) -> Options:
        if (self.json_ld is None) == (self.selecteurs is None):
            raise ValueError("attendu json_ld ou selecteurs, et un seul des deux")
        return self


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    if _sitemap(source, page) is not None:
        return
    try:
        rows = list(_records(page, options))
    except PayloadError as error:
        yield Unreadable("page", "page_sans_fiche", str(error))
        return
    if not rows:
        yield Unreadable("page", "page_sans_fiche")
    yield from rows


def _records(page: Page, options: Options) -> Iterator[Row | Unreadable]:
    if options.json_ld:
        for row in linked_data.records(page, options.json_ld):
            yield (
                Row(row.pointer, {**row.values, PAGE: page.url}, row.lost)
                if isinstance(row, Row)
                else row
            )
    elif options.selecteurs:
        document = read_html(page, options.encodage)
        yield from html_listing.records(document, page, options.selecteurs)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    root = _sitemap(source, page)
    if root is None:
        return ()
    options = _options(source)
    if _local(root) == "sitemapindex":
        addresses = [address for address, _ in _entries(root, page)]
        return [Request(a, "application/xml") for a in addresses if _found(options.plans, a)]
    asked = [
        address
        for address, modified in _entries(root, page)
        if _found(options.pages, address) and not _is_before(modified, options.depuis)
    ]
    if len(asked) > source.limites.pages:
        raise PayloadError(
            f"{len(asked)} adresses correspondent à {options.pages!r}, plus que limites.pages"
            f" ({source.limites.pages}) ; préciser options.pages, ou augmenter cette limite"
        )
    return [Request(address, "text/html", record=True) for address in asked]


def _found(pattern: str | None, address: str) -> bool:
    return pattern is None or re.search(pattern, address) is not None


def _is_before(modified: str, day: date | None) -> bool:
    """Whether a W3C date, complete or not, is surely before a day."""
    return bool(day and modified and modified[:10] < day.isoformat()[: len(modified[:10])])


def _entries(root: etree._Element, page: Page) -> Iterator[tuple[str, str]]:
    """Address and `lastmod` of each entry, an address once; entries without one are passed over."""
    seen = set()
    for entry in root.iterchildren(tag=etree.Element):
        found = {_local(child): (child.text or "").strip() for child in entry.iterchildren("{*}*")}
        try:
            address = urldefrag(urljoin(page.url, found.get("loc") or "")).url
        except ValueError:
            continue
        if found.get("loc") and address not in seen and address.startswith(("https:", "http:")):
            seen.add(address)
            yield address, found.get("lastmod", "")


def _local(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def _sitemap(source: Source, page: Page) -> etree._Element | None:
    """The root of a sitemap; `None` for any other page than the one that `url` names.

    Raises `PayloadError` when it cannot be parsed, or holds a DTD.
    """
    text = decode(replace(page, body=_inflated(source, page))).text
    if not _ROOT.search(text[:_PROLOGUE]):
        if page.url != source.url:
            return None
        refuse_markup(text, "un plan de site (sitemap)")
        raise PayloadError("attendu un plan de site (sitemap), trouvé un texte sans balise")
    if re.search(r"<!(?:DOCTYPE|ENTITY)", text):
        raise PayloadError("plan de site refusé : il contient une DTD, dont un plan n’a que faire")
    # The text is decoded: whatever encoding it declares does not count any more.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise PayloadError(f"plan de site illisible : {error.msg}") from error


def _inflated(source: Source, page: Page) -> bytes:
    """The bytes of a page; those of a `.gz` file are inflated, up to `limites.octets`."""
    if not (urlsplit(page.url).path.endswith(".gz") and page.body.startswith(_GZIP)):
        return page.body
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    limit = source.limites.octets
    try:
        body = inflater.decompress(page.body, limit)
    except zlib.error as error:
        raise PayloadError(f"plan de site compressé illisible : {error}") from error
    if inflater.unconsumed_tail:
        raise PayloadError(f"plan de site refusé : plus de {limit} octets une fois décompressé")
    if not inflater.eof:
        raise PayloadError("plan de site compressé incomplet ; moissonner de nouveau")
    return body


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, "application/xml"),)


PLATFORM = Platform(
    name="sitemap",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    mapping={
        **linked_data.PLATFORM.mapping,
        "cle_source": FirstOf(premier_de=["@id", PAGE]),
        "url": PAGE,
    },
    ignored=linked_data.PLATFORM.ignored | {PAGE},
    personal=linked_data.PLATFORM.personal,
)
