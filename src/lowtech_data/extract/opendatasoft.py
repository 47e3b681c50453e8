"""Opendatasoft datasets, through the Explore API v2.1.

`GET …/api/explore/v2.1/catalog/datasets/{id}/records` gives `{"total_count", "results": […]}`, a
hundred records at most, and none beyond the first 10,000. `…/exports/json` gives a plain list of
all records in one piece. Names of columns belong to each dataset: `champs` says what they are.
Besides them, rows hold:

| column | holds |
|---|---|
| `_latitude`, `_longitude` | the two halves of the point (`position`), in degrees |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import Field

from lowtech_data.extract.base import (
    Lost,
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    mask,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import Source, Strict

MAX_RECORDS = 10_000
"""Highest `offset + limit` that the records route accepts."""

_ROUTES = ("/records", "/exports/json")
_INTERRUPTED = b"Streaming interrupted"


class Options(Strict):
    """What the server is asked for, and by which route."""

    export: bool = False
    """Ask for everything in one piece: for datasets of more than `MAX_RECORDS` records."""
    lot: Annotated[int, Field(ge=1, le=100)] = 100
    """Records per page; an export has no pages."""
    select: tuple[str, ...] = ()
    """Columns to ask for; all of them when none is named."""
    where: str | None = None
    """Filter, in the query language of the platform (ODSQL)."""
    refine: dict[str, str | list[str]] = Field(default_factory=dict)
    """Facet → value, or values that must all hold."""
    order_by: str | None = None
    """Order asked for: pages of a listing without one may overlap."""
    position: str = "geo_point_2d"
    """Column that holds the point, when the dataset names it otherwise."""


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    if source.is_local:
        return (Request(source.url),)
    options = _options(source)
    parts = urlsplit(source.url)
    path = parts.path.rstrip("/")
    for route in _ROUTES:
        path = path.removesuffix(route)
    query = parse_qsl(parts.query, keep_blank_values=True) + _query(options)
    path += _ROUTES[options.export]
    return (_request(urlunsplit(parts._replace(path=path, query=urlencode(query)))),)


def _query(options: Options) -> list[tuple[str, str]]:
    asked = {
        "select": ",".join(options.select),
        "where": options.where,
        "order_by": options.order_by,
        "limit": "" if options.export else str(options.lot),
    }
    facets = [
        ("refine", f"{facet}:{value}")
        for facet, values in options.refine.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return [(name, value) for name, value in asked.items() if value] + facets


def _request(url: str) -> Request:
    return Request(url, "application/json")


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if source.is_local or (document := _document(page)) is None:
        return ()
    reached = _offset(page) + len(document["results"])
    if reached >= document["total_count"]:
        return ()
    if not document["results"]:
        raise PayloadError(
            f"page vide après {reached} enregistrements sur {document['total_count']} annoncés"
        )
    parts = urlsplit(page.url)
    query = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in {"offset", "limit"}
    ]
    limit = min(_options(source).lot, MAX_RECORDS - reached)
    query += [("limit", str(limit)), ("offset", str(reached))]
    return (_request(urlunsplit(parts._replace(query=urlencode(query)))),)


def _offset(page: Page) -> int:
    given = parse_qs(urlsplit(page.url).query).get("offset", ["0"])[-1]
    return int(given) if given.isdecimal() else 0


def _is_export(page: Page) -> bool:
    return page.body[:100].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _document(page: Page) -> Mapping[str, Any] | None:
    """A page of the records route, with its list and its count; `None` for an export."""
    if _is_export(page):
        return None
    document = read_json(page)
    if not isinstance(document, Mapping) or not isinstance(document.get("results"), list):
        raise PayloadError(
            f"attendu « results » (une liste) ou un export JSON ; trouvé : {_told(document)}"
        )
    total = document.get("total_count")
    if isinstance(total, bool) or not isinstance(total, int):
        raise PayloadError(f"« total_count » : attendu un nombre, trouvé {type(total).__name__}")
    if total > MAX_RECORDS:
        raise PayloadError(
            f"{total} enregistrements annoncés, et cette voie n’en donne que {MAX_RECORDS} :"
            " mettre l’option export à true, ou restreindre par where ou refine"
        )
    return document


def _told(document: Any) -> str:
    """What an answer without records says: errors are `{error_code, message}`."""
    if not isinstance(document, Mapping):
        return mask(document) if isinstance(document, str) else type(document).__name__
    if "error_code" in document:
        said = mask(str(document.get("message") or "sans message"))
        return f"l’erreur {mask(str(document['error_code']))} ({said})"
    return mask(", ".join(map(str, document))) or "objet vide"


def _announced(page: Page) -> int | None:
    document = _document(page)
    return None if document is None else document["total_count"]


def _records(page: Page) -> tuple[str, list[Any]]:
    """Where the records are, and they."""
    document = _document(page)
    if document is not None:
        return "/results", document["results"]
    # An export that breaks half-way says so in the body, after a good status.
    start = page.body.find(_INTERRUPTED, max(len(page.body) - 4_000, 0))
    if start >= 0:
        reason = mask(page.body[start:].decode(errors="replace"))
        raise PayloadError(f"export interrompu par le serveur ({reason}) ; moissonner de nouveau")
    return "", read_json(page)


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    where, records = _records(page)
    for index, record in enumerate(records):
        pointer = f"{where}/{index}"
        if isinstance(record, Mapping):
            yield _row(pointer, dict(record), options.position)
        else:
            yield Unreadable(pointer, "enregistrement_inattendu", type(record).__name__)


def _row(pointer: str, values: dict[str, Any], column: str) -> Row:
    match values.get(column):
        case None:
            return Row(pointer, values)
        case {"lat": int() | float() as latitude, "lon": int() | float() as longitude}:
            pass
        case [int() | float() as latitude, int() | float() as longitude]:
            pass
        case other:
            return Row(pointer, values, (Lost(column, "geometrie_illisible", str(other)),))
    return Row(pointer, {**values, "_latitude": latitude, "_longitude": longitude})


PLATFORM = Platform(
    name="opendatasoft",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    announced=_announced,
    mapping={"latitude": "_latitude", "longitude": "_longitude"},
    ignored=frozenset({"geo_point_2d", "geo_shape", "_links"}),
)
