"""OpenStreetMap, through the Overpass API: elements that carry certain tags, inside an area.

`GET …/api/interpreter?data=QUERY` gives `{"osm3s", "elements": [{"type", "id", "tags", …}]}` in one
answer. A node has `lat` and `lon`; a way or a relation has the `center` of its bounding box. An
answer cut by a bound of the server (time, memory) is a success for HTTP: only `remark` says it.

The query is built from tag filters, or given whole. Besides what the server sends, rows hold:

| column | holds |
|---|---|
| `_cle` | `node/123`, `way/123`, `relation/123`: the key, and the end of the address on the map |
| `_filtres` | the names of the filters that the element passes |
| `_adresse` | number and street, by `addr:*`, or by `contact:*` as some contributors write it |
| `_identifiants` | `osm=node/123`, and `wikidata=Q…` when a tag says so |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from lowtech_data.extract.base import (
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    mask,
)
from lowtech_data.extract.decode import decode, read_json
from lowtech_data.extract.geojson import CENTRE
from lowtech_data.extract.licences import licence_identifier
from lowtech_data.registry import FirstOf, Separated, Source, Strict, Template

_KINDS = frozenset({"node", "way", "relation"})
_PRESENT = "*"
_SEPARATOR = ";"
"""What stands between two values of one tag."""

_SPECIAL = re.compile(r"[][(){}.*+?^$|\\]")
"""What a regular expression of the server (POSIX extended) does not take for itself."""

_ERROR = re.compile(r"</strong>\s*:\s*([^<]+)")
"""What went wrong, in the web page that the server gives instead of an answer."""


class Pattern(Strict):
    """A regular expression that a value holds, capitals or not."""

    motif: Annotated[str, Field(min_length=1)]

    @field_validator("motif")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"expression rationnelle incorrecte {pattern!r} : {error}") from error
        return pattern


Condition = bool | str | list[str] | Pattern
"""What a tag must be: `true` and `false` are the map's `yes` and `no`, `*` any value, a list one of
its values."""

Tags = Annotated[dict[str, Condition], Field(min_length=1)]
"""Tags that an element has, all of them."""


class Options(Strict):
    """What is asked for: `filtres` inside `zone`, or `requete` as it is."""

    filtres: dict[str, list[Tags]] = Field(default_factory=dict)
    """Name → tags, several times: an element passes when one of them holds. Names are the codes of
    the listing, which `codes` translates."""
    zone: Annotated[dict[str, str], Field(min_length=1)] = Field(
        default_factory=lambda: {"ISO3166-1": "FR"}
    )
    """Tags of the area to search."""
    delai: Annotated[int, Field(gt=0, le=900)] = 180
    """Seconds that the server may take."""
    requete: str | None = None
    """A whole query in Overpass QL, for what filters cannot say."""

    @field_validator("filtres", mode="after")
    @classmethod
    def _no_filter_is_empty(cls, filters: dict[str, list[Tags]]) -> dict[str, list[Tags]]:
        for name, several in filters.items():
            if not several:
                raise ValueError(f"filtre {name!r} : attendu une liste d’étiquettes, trouvé rien")
        return filters

    @field_validator("requete")
    @classmethod
    def _answers_in_json(cls, query: str | None) -> str | None:
        if query is not None and "[out:json]" not in query:
            raise ValueError("requete : attendu [out:json] dans ses réglages")
        return query

    @model_validator(mode="after")
    def _asks_for_something(self) -> Options:
        if bool(self.filtres) == bool(self.requete):
            raise ValueError("attendu filtres, ou requete : l’un des deux")
        return self


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    options = _options(source)
    query = quote(options.requete or _query(options), safe="")
    return (Request(f"{source.url}?data={query}", "application/json"),)


def _query(options: Options) -> str:
    area = "".join(f"[{_quoted(key)}={_quoted(value)}]" for key, value in options.zone.items())
    # Two filters may share their tags.
    asked = dict.fromkeys(
        "".join(_condition(key, wanted) for key, wanted in tags.items())
        for several in options.filtres.values()
        for tags in several
    )
    union = "".join(f"nwr{conditions}(area.zone);\n" for conditions in asked)
    # `meta` holds tags too: of several levels of detail, the server keeps the last one.
    return (
        f"[out:json][timeout:{options.delai}];\narea{area}->.zone;\n(\n{union});\nout center meta;"
    )


def _condition(key: str, wanted: Condition) -> str:
    match wanted:
        case Pattern():
            return f"[{_quoted(key)}~{_quoted(wanted.motif)},i]"
        case bool():
            return f"[{_quoted(key)}={_quoted('yes' if wanted else 'no')}]"
        case list():
            values = "|".join(_SPECIAL.sub(r"\\\g<0>", value) for value in wanted)
            return f"[{_quoted(key)}~{_quoted(f'(^|;) *({values}) *(;|$)')}]"
        case _ if wanted == _PRESENT:
            return f"[{_quoted(key)}]"
        case _:
            return f"[{_quoted(key)}={_quoted(wanted)}]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _holds(wanted: Condition, value: str) -> bool:
    match wanted:
        case Pattern():
            return bool(re.search(wanted.motif, value, re.IGNORECASE))
        case bool():
            return value == ("yes" if wanted else "no")
        case list():
            return any(part.strip() in wanted for part in value.split(_SEPARATOR))
        case _:
            return wanted in (_PRESENT, value)


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    for index, element in enumerate(_elements(page)):
        pointer = f"/elements/{index}"
        if not isinstance(element, Mapping):
            yield Unreadable(pointer, "enregistrement_inattendu", type(element).__name__)
        elif element.get("type") not in _KINDS or not isinstance(element.get("id"), int):
            shown = f"{element.get('type')} {element.get('id')}"
            yield Unreadable(pointer, "element_inattendu", shown)
        else:
            yield Row(pointer, _values(element, options))


def _elements(page: Page) -> list[Any]:
    if page.body.lstrip().startswith(b"<") and (told := _ERROR.search(decode(page).text)):
        raise PayloadError(f"Overpass n’a pas répondu à la requête : {mask(told[1].strip())}")
    document = read_json(page)
    elements = document.get("elements") if isinstance(document, Mapping) else None
    if not isinstance(elements, list):
        found = ", ".join(map(str, document)) if isinstance(document, Mapping) else ""
        shown = mask(found) or type(document).__name__
        raise PayloadError(f"attendu une liste sous « elements » ; trouvé : {shown}")
    if remark := document.get("remark"):
        raise PayloadError(
            f"réponse incomplète d’Overpass ({len(elements)} éléments) : {mask(str(remark))} ;"
            " augmenter options.delai, ou demander moins à la fois"
        )
    return elements


def _values(element: Mapping[str, Any], options: Options) -> dict[str, Any]:
    given = element.get("tags")
    tags = {str(k): str(v) for k, v in given.items()} if isinstance(given, Mapping) else {}
    key = f"{element['type']}/{element['id']}"
    items = [item.strip() for item in tags.get("wikidata", "").split(_SEPARATOR)]
    return {
        **element,
        "tags": tags,
        "_cle": key,
        "_filtres": [name for name, several in options.filtres.items() if _passes(several, tags)],
        "_adresse": _address(tags, "addr") or _address(tags, "contact") or tags.get("addr:full"),
        "_identifiants": [
            f"osm={key}",
            *(f"wikidata={item}" for item in items if re.fullmatch(r"Q[1-9]\d*", item)),
        ],
        "_precision": None if element["type"] == "node" else CENTRE,
    }


def _passes(several: Sequence[Tags], tags: Mapping[str, str]) -> bool:
    return any(
        all(key in tags and _holds(wanted, tags[key]) for key, wanted in conditions.items())
        for conditions in several
    )


def _address(tags: Mapping[str, str], prefix: str) -> str:
    street = tags.get(f"{prefix}:street") or tags.get(f"{prefix}:place")
    return " ".join(filter(None, (tags.get(f"{prefix}:housenumber"), street))) if street else ""


def _licence(page: Page) -> str | None:
    """The licence in the head of the answer, read around the elements: they weigh megabytes."""
    head = page.body[: max(page.body.find(b'"elements"'), 0)]
    found = re.search(rb'"copyright"\s*:\s*"([^"]*)"', head)
    return licence_identifier(found[1].decode("utf-8", "replace")) if found else None


PLATFORM = Platform(
    name="overpass",
    rows=_rows,
    options=Options,
    first=_first,
    licence=_licence,
    mapping={
        "cle_source": "_cle",
        "url": Template(modele="https://www.openstreetmap.org/{_cle}"),
        "identifiants": "_identifiants",
        "categories": "_filtres",
        "nom": FirstOf(premier_de=["tags.name:fr", "tags.name", "tags.official_name"]),
        "noms_alternatifs": [
            Separated(separe="tags.alt_name", par=_SEPARATOR),
            Separated(separe="tags.short_name", par=_SEPARATOR),
            Separated(separe="tags.old_name", par=_SEPARATOR),
        ],
        "description": FirstOf(premier_de=["tags.description:fr", "tags.description"]),
        "adresse": "_adresse",
        "complement_adresse": "tags.addr:housename",
        "code_postal": FirstOf(premier_de=["tags.addr:postcode", "tags.contact:postcode"]),
        "commune": FirstOf(premier_de=["tags.addr:city", "tags.contact:city"]),
        "pays": "tags.addr:country",
        "latitude": FirstOf(premier_de=["lat", "center.lat"]),
        "longitude": FirstOf(premier_de=["lon", "center.lon"]),
        "precision_geo": "_precision",
        "site_web": FirstOf(premier_de=["tags.website", "tags.contact:website", "tags.url"]),
        "courriel": FirstOf(premier_de=["tags.email", "tags.contact:email"]),
        "telephone": FirstOf(premier_de=["tags.phone", "tags.contact:phone"]),
        "siret": FirstOf(premier_de=["tags.ref:FR:SIRET", "tags.ref:FR:SIREN"]),
        "rna": "tags.ref:FR:RNA",
        "horaires": "tags.opening_hours",
        "date_maj": FirstOf(premier_de=["tags.check_date", "timestamp"]),
    },
    # Anyone may add a tag: those that nothing reads are not news.
    ignored=frozenset({"bounds*", "id", "members*", "nodes", "tags.*", "type", "version"}),
    personal=frozenset({"changeset", "uid", "user"}),
)
