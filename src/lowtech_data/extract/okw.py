"""Open Know-Where (OKW 1.0): where things can be made.

The standard fixes the properties, not the format. Two shapes are read from JSON: the tables of the
Internet of Production Alliance joined into one object per facility (`facility`, `address`,
`region`, `geocoding`), and a facility with the properties of the standard. The second may spell
them as labels (`Facility Status`), in camel case or in snake case: all become snake case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowtech_data.extract.base import (
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    value_at,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import FirstOf, Source, Strict

_STATUSES = {
    "active": "publie",
    "planned": "a_verifier",
    "temporary closure": "a_verifier",
    "closed": "ferme",
}
"""`Facility Status` (section 4.6 of the standard) → ours."""


class Options(Strict):
    """Where the facilities are."""

    chemin: str | None = None
    """Dotted path to the list of facilities; nothing when the document is the list."""
    encodage: str | None = None


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = Options.model_validate(source.options)
    document = read_json(page, options.encodage)
    facilities = value_at(document, options.chemin) if options.chemin else document
    if not isinstance(facilities, list):
        keys = ", ".join(document) if isinstance(document, Mapping) else type(document).__name__
        where = f"sous « {options.chemin} »" if options.chemin else "à la racine"
        raise PayloadError(
            f"attendu une liste d’ateliers Open Know-Where {where} ; trouvé : {keys[:300]}"
        )
    prefix = "".join(f"/{part}" for part in (options.chemin or "").split(".") if part)
    for index, facility in enumerate(facilities):
        pointer = f"{prefix}/{index}"
        if isinstance(facility, Mapping):
            values = _snake_case(facility)
            yield Row(
                pointer, {**values, **_position(values), **_street(values), **_status(values)}
            )
        else:
            yield Unreadable(pointer, "enregistrement_inattendu", type(facility).__name__)


def _snake_case(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_snake(key): _snake_case(item) for key, item in value.items()}
    return [_snake_case(item) for item in value] if isinstance(value, list) else value


def _snake(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", "_", words.strip()).strip("_").lower() or name


def _position(values: Mapping[str, Any]) -> dict[str, Any]:
    """`latitude` and `longitude`, when coordinates are one text (`47.21, -1.55`)."""
    given = value_at(values, "location.gps_coordinates") or values.get("gps_coordinates")
    latitude, comma, longitude = given.partition(",") if isinstance(given, str) else ("", "", "")
    if not comma or "," in longitude:
        return {}
    return {"latitude": latitude.strip(), "longitude": longitude.strip()}


def _street(values: Mapping[str, Any]) -> dict[str, str]:
    """`_voie`: number and street, which the standard keeps apart."""
    address = value_at(values, "location.address") or values.get("address")
    if not isinstance(address, Mapping) or not address.get("street"):
        return {}
    parts = (address.get("number"), address["street"])
    return {"_voie": " ".join(str(part) for part in parts if part is not None)}


def _status(values: Mapping[str, Any]) -> dict[str, str]:
    given = values.get("facility_status")
    if not isinstance(given, str):
        return {}
    return {"_statut": _STATUSES.get(given.strip().lower(), given)}


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, "application/json"),)


PLATFORM = Platform(
    name="okw",
    rows=_rows,
    options=Options,
    first=_first,
    mapping={
        # The identifiers of the tables change each time they are rebuilt; addresses stay.
        "cle_source": FirstOf(premier_de=["facility.url", "id", "url", "facility.facility_id"]),
        "nom": FirstOf(premier_de=["facility.name", "name"]),
        "description": "description",
        "url": FirstOf(premier_de=["facility.url", "url"]),
        "site_web": FirstOf(premier_de=["website", "contact.website", "owner.website"]),
        "adresse": FirstOf(premier_de=["address.extended", "_voie"]),
        "complement_adresse": FirstOf(premier_de=["location.address.district", "address.district"]),
        "code_postal": FirstOf(
            premier_de=["address.zip_code", "location.address.postcode", "address.postcode"]
        ),
        "commune": FirstOf(
            premier_de=["region.city_town", "location.address.city", "address.city"]
        ),
        "pays": FirstOf(
            premier_de=["region.country", "location.address.country", "address.country"]
        ),
        "latitude": FirstOf(
            premier_de=["geocoding.latitude", "latitude", "location.gps_coordinates.latitude"]
        ),
        "longitude": FirstOf(
            premier_de=["geocoding.longitude", "longitude", "location.gps_coordinates.longitude"]
        ),
        "horaires": "opening_hours",
        "statut": "_statut",
        "courriel": FirstOf(premier_de=["contact.email", "owner.email"]),
        "telephone": FirstOf(premier_de=["contact.landline", "owner.landline"]),
    },
    ignored=frozenset(
        {
            "facility.facility_id",
            "facility.location_id",
            "address.address_id",
            "region.region_id",
            "region.state_region",
            "geocoding.geocoding_id",
            "location.geocoding_id",
            "location.address_id",
            "location.region_id",
            "location.location_id",
            "location.address.region",
            "location.address.number",
            "location.address.street",
            "address.number",
            "address.street",
            "address.region",
            "location.gps_coordinates",
            "gps_coordinates",
            "facility_status",
        }
    ),
    # An agent may be a person or a body, and nothing tells which.
    personal=frozenset(
        {
            "owner.name",
            "owner.bio",
            "owner.contact_person",
            "owner.mobile",
            "owner.whats_app",
            "contact.name",
            "contact.bio",
            "contact.contact_person",
            "contact.mobile",
            "contact.whats_app",
            "customer_reviews",
        }
    ),
)
