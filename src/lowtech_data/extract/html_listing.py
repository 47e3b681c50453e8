"""Plain web pages that list records, read by CSS selectors.

A selector that matches nothing is how a changed site shows itself, so it is an error: each page
must have at least `minimum` records, and each field at least one value on the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any
from urllib.parse import urldefrag, urljoin

import soupsieve
from bs4 import BeautifulSoup, Tag
from pydantic import Field, field_validator, model_validator

from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row, mask
from lowtech_data.extract.decode import describe, read_html
from lowtech_data.registry import Source, Strict

_LINKS = frozenset({"href", "src", "action", "data-src", "data-href"})


class Options(Strict):
    """Where things are on the page."""

    fiche: str
    """Selector of one record."""
    champs: Annotated[dict[str, str], Field(min_length=1)]
    """Column → selector inside the record; `sel@attr` for an attribute, `@attr` for one of the
    record's own element, `.` for its whole text."""
    facultatifs: tuple[str, ...] = ()
    """Columns that a whole page may lack."""
    suivant: str | None = None
    """Selector of the link to the next page."""
    minimum: Annotated[int, Field(gt=0)] = 1
    """Records that every page has at least."""
    encodage: str | None = None

    @field_validator("fiche", "suivant")
    @classmethod
    def _is_selector(cls, selector: str | None) -> str | None:
        return selector if selector is None else _checked(selector)

    @field_validator("champs")
    @classmethod
    def _are_selectors(cls, fields: dict[str, str]) -> dict[str, str]:
        for selector, _ in map(_split, fields.values()):
            if selector:
                _checked(selector)
        return fields

    @model_validator(mode="after")
    def _optional_columns_exist(self) -> Options:
        unknown = sorted(set(self.facultatifs) - set(self.champs))
        if unknown:
            raise ValueError(f"facultatifs : colonnes absentes de champs : {', '.join(unknown)}")
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


def _rows(source: Source, page: Page) -> Iterator[Row]:
    options = Options.model_validate(source.options)
    document = read_html(page, options.encodage)
    records = document.select(options.fiche)
    if len(records) < options.minimum:
        raise PayloadError(
            f"fiche : {options.fiche!r} trouve {len(records)} fois, attendu au moins"
            f" {options.minimum} ; la page est {describe(document)}"
        )
    base = _base(document, page)
    rows = [
        {name: _read(record, spec, base) for name, spec in options.champs.items()}
        for record in records
    ]
    for name, selector in options.champs.items():
        if name not in options.facultatifs and not any(row[name] for row in rows):
            raise PayloadError(
                f"champs.{name} : {selector!r} ne trouve rien dans les {len(rows)} fiches de la"
                " page ; corriger le sélecteur, ou l’ajouter à facultatifs"
            )
    for index, row in enumerate(rows, 1):
        yield Row(f"{options.fiche} [{index}]", row)


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
    options = Options.model_validate(source.options)
    if not options.suivant:
        return ()
    document = read_html(page, options.encodage)
    link = document.select_one(options.suivant)
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


PLATFORM = Platform(name="html_listing", rows=_rows, options=Options, first=_first, follow=_follow)
