"""Data Fair datasets: data.ademe.fr, data.pointsapport.ademe.fr, koumoul.com…

`GET …/api/v1/datasets/{id}/lines` gives `{"total", "next", "results": […]}`. `next` is there when a
page is full and only then, even when nothing follows; `total` on the first page, and on the others
in older versions. Names of columns belong to each dataset: `champs` says what they are. Besides
them, rows hold:

| column | holds |
|---|---|
| `_id` | the server's own key of the line |
| `_latitude`, `_longitude` | the two halves of `_geopoint` |
| `_presences` | the names of those of `colonnes_presence` that are not empty |
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import Field, field_validator

from lowtech_data.extract.base import (
    Lost,
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    columns_of,
    mask,
    next_page,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import Source, Strict

_FILTER = re.compile(
    r"[^&=#]+_(?:eq|neq|in|nin|gte?|lte?|starts|contains|search|exists|nexists)"
    r"|bbox|geo_distance|qs"
)
_COMPUTED = frozenset({"_latitude", "_longitude", "_presences"})
_SEPARATOR = "|"


class Options(Strict):
    """What the server is asked for, and how the cells of a dataset are written."""

    lot: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    """Lines per page: the server gives 12 when it is not told, and 10,000 at most."""
    filtres: dict[str, str | int | list[str]] = Field(default_factory=dict)
    """Filters applied by the server: `{colonne_in: [a, b]}`, `bbox`, `geo_distance`, `qs`."""
    toutes_colonnes: bool = False
    """Ask for every column, not only for those that are read: shows the ones that were added."""
    geopoint: bool = True
    """Whether the dataset has positions (`_geopoint`)."""
    colonnes_multiples: tuple[str, ...] = ()
    """Columns whose cells hold several values between `|`."""
    colonnes_presence: tuple[str, ...] = ()
    """Columns that say something by not being empty, such as one per gesture."""
    colonnes_json: tuple[str, ...] = ()
    """Columns whose cells hold JSON written as a text; paths lead inside (`colonne.cle`)."""

    @field_validator("filtres")
    @classmethod
    def _known_filters(cls, filters: dict[str, Any]) -> dict[str, Any]:
        for name in filters:
            if not _FILTER.fullmatch(name):
                raise ValueError(
                    f"filtre inconnu {name!r} : attendu colonne_eq, colonne_in, colonne_exists…,"
                    " bbox, geo_distance ou qs (q est une recherche approchée)"
                )
        return filters


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    if source.is_local:
        return (Request(source.url),)
    options = _options(source)
    parts = urlsplit(source.url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["size"] = str(options.lot)
    if columns := _select(source, options):
        query["select"] = ",".join(columns)
    query |= {name: _joined(value) for name, value in options.filtres.items()}
    return (Request(urlunsplit(parts._replace(query=urlencode(query))), "application/json"),)


def _select(source: Source, options: Options) -> list[str]:
    """The columns to ask for; none when all of them are wanted."""
    if options.toutes_colonnes or not source.champs:
        return []
    read = columns_of(source)
    asked = (read - _COMPUTED - set(source.ecarter)) | set(options.colonnes_presence)
    if "cle_source" not in source.champs:
        asked.add("_id")
    if options.geopoint and ("latitude" not in source.champs or "_latitude" in read):
        asked.add("_geopoint")
    return sorted(asked)


def _joined(value: str | int | list[str]) -> str:
    """Values of a filter between commas, in quotes when they hold one."""
    if not isinstance(value, list):
        return str(value)
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(value)
    return line.getvalue()


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if source.is_local:
        return ()
    following = _envelope(page).get("next")
    return (next_page(page, following, "next"),) if following else ()


def _envelope(page: Page) -> Mapping[str, Any]:
    """The document of a page. Raises `PayloadError` when lines are missing with no way on."""
    document = read_json(page)
    if not isinstance(document, Mapping) or not isinstance(document.get("results"), list):
        raise PayloadError(f"attendu « results » (une liste) ; trouvé : {_told(document)}")
    if not document.get("next"):
        _check_last(page, document)
    return document


def _told(document: Any) -> str:
    """What an answer without lines says: errors come as a text, or as an object with a message."""
    if not isinstance(document, Mapping):
        return mask(str(document)) if isinstance(document, str) else type(document).__name__
    message = document.get("message") or document.get("error") or document.get("results")
    keys = ", ".join(map(str, document))[:100] or "objet vide"
    return f"{keys} ({mask(str(message))})" if message else keys


def _check_last(page: Page, document: Mapping[str, Any]) -> None:
    met, total = len(document["results"]), document.get("total")
    asked = parse_qs(urlsplit(page.url).query)
    is_first = not {"after", "page"} & set(asked)
    if is_first and isinstance(total, int):
        if total > met:
            raise PayloadError(
                f"{total} lignes annoncées, {met} données, et pas d’adresse « next »"
            )
    elif met and asked.get("size") == [str(met)]:
        raise PayloadError(f"page pleine ({met} lignes) sans adresse « next »")


def _announced(page: Page) -> int | None:
    """The total, read around the lines: a page of them weighs megabytes."""
    start, end = page.body.find(b'"results"'), page.body.rfind(b"]")
    around = (page.body[: max(start, 0)], page.body[end:] if end >= 0 else b"")
    found = (re.search(rb'"total"\s*:\s*(\d{1,12})\b', part) for part in around)
    return next((int(match.group(1)) for match in found if match), None)


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    for index, line in enumerate(_envelope(page)["results"]):
        pointer = f"/results/{index}"
        if isinstance(line, Mapping):
            yield _row(pointer, dict(line), options)
        else:
            yield Unreadable(pointer, "enregistrement_inattendu", type(line).__name__)


def _row(pointer: str, values: dict[str, Any], options: Options) -> Row:
    lost: list[Lost] = []
    _place(values, lost)
    for column in options.colonnes_json:
        values[column] = _parsed(column, values.get(column), lost)
    if options.colonnes_presence:
        values["_presences"] = [name for name in options.colonnes_presence if values.get(name)]
        for name in options.colonnes_presence:
            values.pop(name, None)
    for column in options.colonnes_multiples:
        if isinstance(text := values.get(column), str):
            values[column] = [part for cell in text.split(_SEPARATOR) if (part := cell.strip())]
    return Row(pointer, values, tuple(lost))


def _place(values: dict[str, Any], lost: list[Lost]) -> None:
    text = values.get("_geopoint")
    if text in (None, ""):
        return
    latitude, comma, longitude = text.partition(",") if isinstance(text, str) else ("", "", "")
    if comma and "," not in longitude:
        values |= {"_latitude": latitude.strip(), "_longitude": longitude.strip()}
    else:
        lost.append(Lost("_geopoint", "geometrie_illisible", str(text)))


def _parsed(column: str, cell: Any, lost: list[Lost]) -> Any:
    if not isinstance(cell, str) or not cell.strip():
        return cell or None
    try:
        return read_json(Page("", cell.encode(), ""))
    except ValueError:
        lost.append(Lost(column, "json_illisible", cell))
        return None


PLATFORM = Platform(
    name="data_fair",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    announced=_announced,
    mapping={"cle_source": "_id", "latitude": "_latitude", "longitude": "_longitude"},
    ignored=frozenset(
        {
            "_attachment_url",
            "_geo_distance",
            "_geocorners",
            "_geopoint",
            "_geoshape*",
            "_highlight*",
            "_i",
            "_presences",
            "_rand",
            "_score",
            "_updatedAt",
        }
    ),
    personal=frozenset({"_updatedBy", "_updatedByName"}),
)
