"""GoGoCarto maps: Transiscope, CartEco, Makery, Près de chez nous…

`GET …/api/elements.json` gives one dump: `{"licence", "ontology", "data": […]}`, in the full
ontology (`ontology=gogofull`). Its elements have a common core and the fields that each map adds;
the client of Transiscope reshapes them (`title`, `address.street`, `location`) into a bare list.
Both are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lowtech_data.extract.base import Lost, Page, PayloadError, Platform, Row, Unreadable
from lowtech_data.extract.decode import read_json
from lowtech_data.extract.geojson import position
from lowtech_data.extract.licences import licence_identifier
from lowtech_data.registry import FirstOf, Source

_NOTHING = frozenset({"hidden", "NULL", "null"})
"""What maps write for a withheld or empty value."""

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    document = read_json(page)
    prefix, elements = _elements(document)
    for index, element in enumerate(elements):
        pointer = f"{prefix}/{index}"
        if not isinstance(element, Mapping):
            yield Unreadable(pointer, "enregistrement_inattendu", type(element).__name__)
        elif _is_refused(element.get("status")):
            yield Unreadable(pointer, "statut_refuse", f"statut {element['status']}")
        else:
            yield _row(pointer, element)


def _elements(document: Any) -> tuple[str, list[Any]]:
    if isinstance(document, list):
        return "", document
    if not isinstance(document, Mapping):
        raise PayloadError("attendu un objet avec « data » ou une liste d’éléments GoGoCarto")
    if document.get("ontology") == "gogocompact" or "mapping" in document:
        raise PayloadError("ontologie compacte : demander ontology=gogofull dans l’adresse")
    elements = document.get("data")
    if not isinstance(elements, list):
        keys = ", ".join(map(str, document)) or "aucune"
        raise PayloadError(f"attendu une liste sous « data » ; clés trouvées : {keys[:200]}")
    return "/data", elements


def _is_refused(status: Any) -> bool:
    # 0 is pending and positive values are published; negative ones were refused or deleted.
    return bool(re.fullmatch(r"-\s*[1-9]\d{0,3}", str(status).strip()))


def _row(pointer: str, element: Mapping[str, Any]) -> Row:
    values = _element(element)
    lost = []
    if not any(isinstance(values.get(point), Mapping) for point in ("geo", "location")):
        # Lines and areas have their shape instead of a point.
        try:
            values |= _shape(values.get("geoJSONFeature"))
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            lost.append(Lost("geoJSONFeature", "geometrie_illisible", type(error).__name__))
    return Row(pointer, values, lost)


def _shape(feature: Any) -> dict[str, Any]:
    found = json.loads(feature) if isinstance(feature, str) and feature else feature
    geometry = found.get("geometry", found) if isinstance(found, Mapping) else found
    where = position(geometry or None)
    return {f"_forme_{name.removeprefix('_')}": value for name, value in where.items()}


def _element(element: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: _known(value) for key, value in element.items()}
    if "title" in values and "name" not in values and "url" in values:
        # In the reshaped form, `url` is the page of the record on the map that it comes from; in
        # the native one it is whatever the map calls so, most often the website of the place.
        values["_fiche"] = values.pop("url")
    values["categories"] = (
        _names(values.get("categories"))
        or _names(values.get("categoriesFull"))
        or _options(values.get("optionValues"))
        or _options(values.get("taxonomy"))
    )
    hours = values.get("openHours")
    if isinstance(hours, Mapping):
        values["_horaires"] = "; ".join(f"{d} {hours[d]}" for d in _DAYS if hours.get(d))
    address = values.get("address")
    if isinstance(address, str):
        values["_adresse_libre"] = values.pop("address")
    elif isinstance(address, Mapping) and not any(
        address.get(part) for part in ("streetAddress", "street", "streetNumber")
    ):
        values["_adresse_libre"] = address.get("customFormatedAddress")
    return values


def _known(value: Any) -> Any:
    if isinstance(value, str):
        return None if value.strip() in _NOTHING else value
    if isinstance(value, Mapping):
        return {key: _known(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return value


def _names(categories: Any) -> list[str]:
    items = categories if isinstance(categories, list) else [categories]
    names = [item.get("name") if isinstance(item, Mapping) else item for item in items]
    return [str(name) for name in names if name not in (None, "")]


def _options(chosen: Any) -> list[str]:
    """Numbers of options, as maps of the first ontology give them instead of names."""
    items = chosen if isinstance(chosen, list) else []
    numbers = [item.get("optionId") if isinstance(item, Mapping) else item for item in items]
    return [str(number) for number in numbers if number not in (None, "")]


def _licence(page: Page) -> str | None:
    """The envelope's licence, read around the elements: a dump weighs tens of megabytes."""
    start, end = page.body.find(b'"data"'), page.body.rfind(b"]")
    if start < 0:
        return None
    for part in (page.body[:start], page.body[end:]):
        if match := re.search(rb'"licen[cs]e"\s*:\s*"([^"]*)"', part):
            return licence_identifier(
                match.group(1).replace(rb"\/", b"/").decode("utf-8", "replace")
            )
    return None


PLATFORM = Platform(
    name="gogocarto",
    rows=_rows,
    licence=_licence,
    mapping={
        "cle_source": "id",
        "nom": FirstOf(premier_de=["name", "title"]),
        "description": [
            "summary",
            "abstract",
            "description_courte",
            "description_activite",
            "description",
            "descriptionMore",
            "commitment",
        ],
        "url": "_fiche",
        "adresse": [
            "address.streetNumber",
            "address.streetAddress",
            "address.street",
            "_adresse_libre",
        ],
        "code_postal": "address.postalCode",
        "commune": FirstOf(premier_de=["address.addressLocality", "address.city"]),
        "pays": FirstOf(premier_de=["address.addressCountry", "address.country"]),
        "latitude": FirstOf(premier_de=["geo.latitude", "location.lat", "_forme_latitude"]),
        "longitude": FirstOf(premier_de=["geo.longitude", "location.lon", "_forme_longitude"]),
        "precision_geo": "_forme_precision",
        "site_web": FirstOf(premier_de=["website", "site_web", "web"]),
        "courriel": "email",
        "telephone": FirstOf(premier_de=["telephone", "phone"]),
        "horaires": FirstOf(premier_de=["_horaires", "openHoursString"]),
        "date_maj": "updatedAt",
        "categories": "categories",
    },
    ignored=frozenset(
        {
            "address.location*",
            "address.customFormatedAddress",
            "categoriesFull*",
            "createdAt",
            "files*",
            "fullAddress",
            "geoJSONFeature*",
            "images*",
            "isFullyLoaded",
            "moderationState",
            "openHours*",
            "optionValues*",
            "searchScore",
            "sourceKey",
            "stamps*",
            "status",
            "taxonomy*",
        }
    ),
    personal=frozenset({"subscriberEmails", "subscriberProperties", "userOwnerEmail"}),
)
