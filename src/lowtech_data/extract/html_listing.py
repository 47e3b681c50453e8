"""Plain web pages that list records, read by CSS selectors.

A selector that matches nothing is how a changed site shows itself, so it is an error: each page
must have at least `minimum` records, and each field at least one value on the page.

With `details`, the list only says where the records are: every one has its own page, which is asked
for and read. A record is then read whole from one page, so the list gives none. A page is that of a
record when `details.fiche` is on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any
from urllib.parse import urldefrag, urljoin

import soupsieve
from bs4 import BeautifulSoup, Tag
from pydantic import Field, field_validator, model_validator

from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row, Unreadable, mask
from lowtech_data.extract.decode import describe, read_html
from lowtech_data.registry import Source, Strict

_LINKS = frozenset({"href", "src", "action", "data-src", "data-href"})

PAGE = "_page"
"""Column that holds the address of the page of a record."""


class Fields(Strict):
    """Where a record is on a page, and its fields in the record."""

    fiche: str
    """Selector of one record."""
    champs: Annotated[dict[str, str], Field(min_length=1)]
    """Column → selector inside the record; `sel@attr` for an attribute, `@attr` for one of the
    record's own element, `.` for its whole text."""

    @field_validator("fiche")
    @classmethod
    def _is_selector(cls, selector: str) -> str:
        return _checked(selector)

    @field_validator("champs")
    @classmethod
    def _are_selectors(cls, fields: dict[str, str]) -> dict[str, str]:
        for selector, _ in map(_split, fields.values()):
            if selector:
                _checked(selector)
        return fields


class Details(Fields):
    """The page of a record. `fiche` must be on these pages and never on the list."""

    lien: str
    """Where the address of this page is, in a record of the list: `h2 a@href`."""

    @field_validator("lien")
    @classmethod
    def _is_link(cls, spec: str) -> str:
        selector, attribute = _split(spec)
        if attribute not in _LINKS:
            raise ValueError(f"lien : attendu l’attribut d’un lien, comme a@href (trouvé : {spec})")
        if selector:
            _checked(selector)
        return spec


class Options(Fields):
    """Where things are on the page."""

    champs: dict[str, str] = Field(default={})
    """As for the record of a list; without them, `details` says them."""
    facultatifs: tuple[str, ...] = ()
    """Columns that a whole page may lack."""
    suivant: str | None = None
    """Selector of the link to the next page."""
    minimum: Annotated[int, Field(gt=0)] = 1
    """Records that every page has at least."""
    encodage: str | None = None
    details: Details | None = None
    """The pages of the records, when the list only leads to them."""

    @field_validator("suivant")
    @classmethod
    def _next_is_selector(cls, selector: str | None) -> str | None:
        return selector if selector is None else _checked(selector)

    @model_validator(mode="after")
    def _optional_columns_exist(self) -> Options:
        unknown = sorted(set(self.facultatifs) - set(self.champs))
        if unknown:
            raise ValueError(f"facultatifs : colonnes absentes de champs : {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _fields_are_on_one_page(self) -> Options:
        if not self.champs and not self.details:
            raise ValueError("champs : attendu au moins une colonne, ici ou dans details")
        if self.champs and self.details:
            raise ValueError(
                "champs : une fiche se lit en entier sur sa page ; les mettre dans details.champs"
            )
        return self


def _checked(selector: str) -> str:
    try:
        soupsieve.compile(selector)
    except soupsieve.SelectorSyntaxError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"sélecteur CSS incorrect {selector!r} : {reason}") from error
    return selector


def _split(spec: str) -> tuple[str, str | None]:
    """`sel@attr` → (`sel`, `attr`). An `@` inside a quoted attribute value is not a separator."""
    match = re.fullmatch(r"(.*?)@([A-Za-z_:][\w:.-]*)", spec, re.DOTALL)
    selector, attribute = (match.group(1), match.group(2)) if match else (spec, None)
    return ("" if selector.strip() == "." else selector.strip()), attribute


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    document = read_html(page, options.encodage)
    if options.details is None:
        yield from _listed(document, page, options)
    elif _is_details(source, page, document, options.details):
        yield from records(document, page, options.details)
    else:
        for index, (_, given) in enumerate(_links(document, page, options, options.details), 1):
            if given is not None:
                yield Unreadable(f"{options.fiche} [{index}]", "lien_absent", given)


def _listed(document: BeautifulSoup, page: Page, options: Options) -> Iterator[Row]:
    found = _on_list(document, options)
    base = _base(document, page)
    rows = [
        {name: _read(record, spec, base) for name, spec in options.champs.items()}
        for record in found
    ]
    for name, selector in options.champs.items():
        if name not in options.facultatifs and not any(row[name] for row in rows):
            raise PayloadError(
                f"champs.{name} : {selector!r} ne trouve rien dans les {len(rows)} fiches de la"
                " page ; corriger le sélecteur, ou l’ajouter à facultatifs"
            )
    for index, row in enumerate(rows, 1):
        yield Row(f"{options.fiche} [{index}]", row)


def _on_list(document: BeautifulSoup, options: Options) -> Sequence[Tag]:
    found = document.select(options.fiche)
    if len(found) < options.minimum:
        raise PayloadError(
            f"fiche : {options.fiche!r} trouve {len(found)} fois, attendu au moins"
            f" {options.minimum} ; la page est {describe(document)}"
        )
    return found


def records(document: BeautifulSoup, page: Page, fields: Fields) -> Iterator[Row]:
    """The records of a page that is about them; none when `fields.fiche` is not on it.

    One of these pages may lack any field: a column that no page has is told by the audit of the
    columns. `PAGE` is added to those that are found.
    """
    base = _base(document, page)
    for index, record in enumerate(document.select(fields.fiche), 1):
        read = ((name, _read(record, spec, base)) for name, spec in fields.champs.items())
        values = {name: value for name, value in read if value is not None}
        yield Row(f"{fields.fiche} [{index}]", {**values, PAGE: page.url})


def _is_details(source: Source, page: Page, document: BeautifulSoup, details: Details) -> bool:
    is_details = document.select_one(details.fiche) is not None
    if is_details and page.url == source.url:
        raise PayloadError(
            f"details.fiche : {details.fiche!r} est aussi sur la liste ; choisir un sélecteur que"
            " seules les pages des fiches ont"
        )
    return is_details


def _links(
    document: BeautifulSoup, page: Page, options: Options, details: Details
) -> Sequence[tuple[str, str | None]]:
    """The address of the page of each record, or what stands where it should be."""
    base = _base(document, page)
    links: list[tuple[str, str | None]] = []
    for record in _on_list(document, options):
        given = _read(record, details.lien, base)
        text = given[0] if isinstance(given, list) else given or ""
        is_address = text.startswith(("https://", "http://"))
        links.append((urldefrag(text).url, None) if is_address else ("", text))
    if not any(address for address, _ in links):
        raise PayloadError(
            f"details.lien : {details.lien!r} ne trouve aucune adresse dans les {len(links)} fiches"
            " de la page"
        )
    return links


def _base(document: BeautifulSoup, page: Page) -> str:
    base = document.select_one("base[href]")
    return _joined(page.url, str(base["href"])) if base else page.url


def _read(record: Tag, spec: str, base: str) -> Any:
    selector, attribute = _split(spec)
    tags = record.select(selector) if selector else [record]
    found = dict.fromkeys(value for tag in tags if (value := _value(tag, attribute, base)))
    values = list(found)
    return values[0] if len(values) == 1 else values or None


def _value(tag: Tag, attribute: str | None, base: str) -> str:
    if attribute is None:
        return " ".join(tag.get_text(" ").split())
    value = tag.get(attribute)
    text = " ".join(value) if isinstance(value, list) else (value or "").strip()
    return _joined(base, text) if text and attribute in _LINKS else text


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def _follow(source: Source, page: Page) -> Sequence[Request]:
    options = _options(source)
    if not options.suivant and not options.details:
        return ()
    document = read_html(page, options.encodage)
    if options.details is None:
        return _next(document, page, options)
    if _is_details(source, page, document, options.details):
        return ()
    links = _links(document, page, options, options.details)
    asked = dict.fromkeys(
        Request(address, "text/html", record=True) for address, _ in links if address
    )
    return [*asked, *_next(document, page, options)]


def _next(document: BeautifulSoup, page: Page, options: Options) -> Sequence[Request]:
    link = document.select_one(options.suivant) if options.suivant else None
    href = link.get("href") if link else None
    if not isinstance(href, str) or not href.strip():
        return ()
    url = urldefrag(_joined(_base(document, page), href.strip())).url
    if not url.startswith(("https://", "http://")):
        raise PayloadError(
            f"suivant : {options.suivant!r} mène à {mask(url)!r}, qui n’est pas une adresse ; la"
            " pagination passe par des scripts : chercher l’adresse qu’ils appellent"
        )
    return () if url == urldefrag(page.url).url else (Request(url, "text/html"),)


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, "text/html"),)


PLATFORM = Platform(
    name="html_listing",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    ignored=frozenset({PAGE}),
)
