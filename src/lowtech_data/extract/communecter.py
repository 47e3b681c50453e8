"""Communecter: organisations, projects and events of a network, by its public API.

`GET …/api/organization/get/key/{network}` gives `{"meta": {"limit", "next", "previous"},
"entities": {id: {…}}}`; `meta.next` is the address of the next page. The service is written in PHP,
where a list and an object are one thing: an object without keys is written `[]`, a list with a gap
as an object of numbers. Both are set right here. Besides the columns of the service, rows hold:

| column | holds |
|---|---|
| `_cle` | the key of the entity |
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
    mask,
    next_page,
    pointer_step,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import FirstOf, Source

_PEOPLE = re.compile(r"/(?:person|citoyens)(?:[/?]|$)")


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, "application/json"),)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if source.is_local:
        return ()
    document = _document(page)
    meta = document.get("meta")
    following = meta.get("next") if isinstance(meta, Mapping) else None
    if not following or not document["entities"]:
        return ()
    return (next_page(page, following, "meta.next"),)


def _document(page: Page) -> Mapping[str, Any]:
    """The document of a page. Raises `PayloadError` when it holds no entities, or people."""
    if _PEOPLE.search(page.url):
        raise PayloadError("liste de personnes, jamais lue : demander organization, project, event")
    document = read_json(page)
    if isinstance(document, Mapping) and isinstance(document.get("entities"), Mapping | list):
        return document
    raise PayloadError(
        f"attendu des entités Communecter (« entities ») ; trouvé : {_told(document)}"
    )


def _told(document: Any) -> str:
    if not isinstance(document, Mapping):
        return type(document).__name__
    message = document.get("msg") or document.get("message") or document.get("error")
    keys = ", ".join(map(str, document))[:200] or "un objet vide"
    return f"{keys} ({mask(str(message))})" if message else keys


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    entities = _document(page)["entities"]
    named = entities.items() if isinstance(entities, Mapping) else enumerate(entities)
    for key, entity in named:
        pointer = f"/entities/{pointer_step(str(key))}"
        if not isinstance(entity, Mapping):
            yield Unreadable(pointer, "enregistrement_inattendu", type(entity).__name__)
            continue
        # In a list, the entity itself says which one it is.
        name = key if isinstance(key, str) else _own_key(entity)
        yield Row(pointer, {**_plain(entity), "_cle": name})


def _own_key(entity: Mapping[str, Any]) -> str | None:
    given = entity.get("id") or entity.get("_id")
    key = given.get("$id") or given.get("$oid") if isinstance(given, Mapping) else given
    return key if isinstance(key, str) else None


def _plain(value: Any) -> Any:
    """The value with lists as lists, and without the empty ones, which may stand for objects."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    plain = {key: _plain(below) for key, below in value.items() if below != []}
    is_list = bool(plain) and all(re.fullmatch(r"\d{1,9}", key) for key in plain)
    return [plain[key] for key in sorted(plain, key=int)] if is_list else plain


PLATFORM = Platform(
    name="communecter",
    rows=_rows,
    first=_first,
    follow=_follow,
    mapping={
        "cle_source": "_cle",
        "nom": "name",
        "description": FirstOf(premier_de=["shortDescription", "description"]),
        "url": FirstOf(premier_de=["urlCommunecter", "url.communecter"]),
        "adresse": "address.streetAddress",
        "code_postal": "address.postalCode",
        "commune": "address.addressLocality",
        "code_insee": "address.codeInsee",
        "pays": "address.addressCountry",
        "latitude": "geo.latitude",
        "longitude": "geo.longitude",
        "site_web": FirstOf(premier_de=["url.website", "url"]),
        "courriel": "email",
        "telephone": FirstOf(premier_de=["phone.fixe", "phone.mobile", "phone"]),
        "date_maj": FirstOf(premier_de=["updated", "updated.sec"]),
        "categories": "tags",
    },
    ignored=frozenset(
        {
            "@context", "@type", "_id*", "address.*", "banner*", "collection", "created*", "geo.*",
            "geoPosition*", "id", "image*", "medias*", "modified*", "objectMedia*", "phone.fax",
            "preferences*", "profil*", "properties*", "slug", "socialNetwork*", "source*", "type",
            "updated*", "urlApi",
        }
    ),
    personal=frozenset({"contacts*", "creator*", "links*", "parent*", "username"}),
)  # fmt: skip
