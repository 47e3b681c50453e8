"""Any JSON that holds a list of records, or an object of records keyed by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit, urlunsplit

from pydantic import Field, model_validator

from lowtech_data.extract.base import (
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    pointer_step,
    value_at,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import Source, Strict

KEY = "_cle"
"""Column that holds the key of a record, when records are the values of an object."""


class Offset(Strict):
    """Paging by a position in the query string, until a page is empty."""

    parametre: str = "offset"
    parametre_nombre: str | None = "limit"
    nombre: Annotated[int, Field(gt=0)] = 100
    unite: Literal["enregistrement", "page"] = "enregistrement"
    """What `parametre` counts."""
    premier: Annotated[int, Field(ge=0)] = 0


class Options(Strict):
    """Where the records are, and how the next ones are asked for."""

    chemin: str | None = None
    """Dotted path to the records; nothing when the document itself holds them."""
    encodage: str | None = None
    suivant: str | None = None
    """Dotted path to the address of the next page, when the payload gives it."""
    decalage: Offset | None = None
    latitude_longitude: str | None = None
    """Dotted path to a text such as `"47.2, -1.5"`, split into `latitude` and `longitude`."""

    @model_validator(mode="after")
    def _one_way_of_paging(self) -> Options:
        if self.suivant and self.decalage:
            raise ValueError("suivant et decalage s’excluent : garder celui de la source")
        return self


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    records = _records(read_json(page, options.encodage), options)
    prefix = "".join(f"/{pointer_step(part)}" for part in (options.chemin or "").split(".") if part)
    for key, record in records:
        pointer = f"{prefix}/{pointer_step(str(key))}"
        if not isinstance(record, Mapping):
            yield Unreadable(pointer, "enregistrement_inattendu", type(record).__name__)
            continue
        values = {KEY: key, **record} if isinstance(key, str) else dict(record)
        yield Row(pointer, {**values, **_position(values, options.latitude_longitude)})


def _records(document: Any, options: Options) -> Sequence[tuple[int | str, Any]]:
    found = value_at(document, options.chemin) if options.chemin else document
    if isinstance(found, list):
        return list(enumerate(found))
    if isinstance(found, Mapping):
        return list(found.items())
    where = f"sous « {options.chemin} »" if options.chemin else "à la racine"
    keys = ", ".join(document) if isinstance(document, Mapping) else type(document).__name__
    raise PayloadError(
        f"attendu une liste ou un objet d’enregistrements {where} ; trouvé : {keys[:300]}"
    )


def _position(values: Mapping[str, Any], path: str | None) -> dict[str, str]:
    text = value_at(values, path) if path else None
    latitude, comma, longitude = text.partition(",") if isinstance(text, str) else ("", "", "")
    if not comma or "," in longitude:
        return {}
    return {"latitude": latitude.strip(), "longitude": longitude.strip()}


def _first(source: Source) -> Sequence[Request]:
    offset = _options(source).decalage
    url = _at(source.url, offset, offset.premier) if offset else source.url
    return (Request(url, "application/json"),)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    options = _options(source)
    if options.suivant:
        following = value_at(read_json(page, options.encodage), options.suivant)
        url = urljoin(page.url, following) if isinstance(following, str) and following else page.url
    elif options.decalage:
        url = _next_offset(page, options, options.decalage)
    else:
        return ()
    return () if url == page.url else (Request(url, "application/json"),)


def _next_offset(page: Page, options: Options, offset: Offset) -> str:
    met = len(_records(read_json(page, options.encodage), options))
    # More than asked for: the server ignores paging and has given everything.
    if not met or met > offset.nombre:
        return page.url
    given = parse_qs(urlsplit(page.url).query).get(offset.parametre, [str(offset.premier)])[0]
    return _at(page.url, offset, int(given) + (met if offset.unite == "enregistrement" else 1))


def _at(url: str, offset: Offset, position: int) -> str:
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query, True).items()}
    query[offset.parametre] = str(position)
    if offset.parametre_nombre:
        query[offset.parametre_nombre] = str(offset.nombre)
    return urlunsplit(parts._replace(query=urlencode(query)))


PLATFORM = Platform(
    name="json",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    ignored=frozenset({KEY}),
)
