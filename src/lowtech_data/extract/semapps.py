"""SemApps: containers of linked data (LDP) in JSON-LD, with the PAIR vocabulary.

`GET` of a container, accepting `application/ld+json`, gives `{"@type": "ldp:Container",
"ldp:contains": […]}`: records, one record, or only links to them, which are then followed. Names
are given the prefix that the field knows them by (`pair:label`, `ldp:contains`), whether the server
writes that prefix, another one that its inline context defines, or the whole address. A context
elsewhere is never fetched. Besides the properties, rows hold:

| column | holds |
|---|---|
| `_noms.X` | what a link such as `pair:hasTopic` leads to: its label, or the end of its address |

Persons are never read: neither their containers, nor those that a record holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from lowtech_data.extract.base import (
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    mask,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import FirstOf, Source

_JSON_LD = "application/ld+json"

_PREFIXES = {
    "http://virtual-assembly.org/ontologies/pair#": "pair",
    "http://www.w3.org/ns/ldp#": "ldp",
    "http://purl.org/dc/terms/": "dc",
    "http://xmlns.com/foaf/0.1/": "foaf",
    "https://www.w3.org/ns/activitystreams#": "as",
    "https://data.petr-msb.data-players.com/ontology#": "petr",
    "http://petr.org#": "petr",
}
"""Vocabularies of the servers that are known, by the prefix that their users write."""

_ALIASES = {"id": "@id", "type": "@type", "contains": "ldp:contains", "label": "pair:label"}
"""Bare terms that contexts elsewhere give to some of these names."""

_CONTAINERS = frozenset({"ldp:Container", "ldp:BasicContainer"})
_PERSONS = frozenset(
    {"pair:Person", "foaf:Person", "as:Person", "schema:Person", "vcard:Individual", "Person"}
)
_LANGUAGE = "fr"
"""Kept when a text is given in several languages."""


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, _JSON_LD),)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if source.is_local:
        return ()
    document = _document(page)
    links = [_link(item) for item in _contained(document)]
    return [Request(urljoin(page.url, link), _JSON_LD) for link in dict.fromkeys(links) if link]


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    document = _document(page)
    if not _is_container(document):
        yield _record("", document, page)
        return
    for index, item in enumerate(_contained(document)):
        pointer = f"/ldp:contains/{index}"
        if not _link(item):
            yield _record(pointer, item, page)
        elif source.is_local:
            yield Unreadable(pointer, "lien_non_suivi")


def _document(page: Page) -> Mapping[str, Any]:
    """A container, or one record. Raises `PayloadError` when the page is something else."""
    given = read_json(page)
    context = given.get("@context") if isinstance(given, Mapping) else None
    found = given.get("@graph", given) if isinstance(given, Mapping) else given
    # The whole form of JSON-LD is a list, of one node here.
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, Mapping):
        node = _node(found, _namer(context or found.get("@context")))
        if _is_container(node) or ("@id" in node and not _link(node)):
            return node
    raise PayloadError(
        f"attendu un conteneur LDP (« ldp:contains ») en JSON-LD ; trouvé : {_told(given)}"
    )


def _told(document: Any) -> str:
    if not isinstance(document, Mapping):
        return type(document).__name__
    keys = ", ".join(map(str, document))[:200] or "un objet vide"
    message = document.get("message") or document.get("error")
    return f"{keys} ({mask(str(message))})" if message else keys


def _namer(context: Any) -> Callable[[str], str]:
    """How a name written under this context is written here."""
    terms: dict[str, str] = {}
    for part in context if isinstance(context, list) else [context]:
        for term, definition in part.items() if isinstance(part, Mapping) else ():
            meaning = definition.get("@id") if isinstance(definition, Mapping) else definition
            if isinstance(meaning, str):
                terms[term] = meaning

    def name(written: str) -> str:
        meaning = terms.get(written, written)
        if meaning.startswith("@"):
            return meaning
        prefix, colon, local = meaning.partition(":")
        if colon and not local.startswith("//"):
            meaning = terms.get(prefix, f"{prefix}:") + local
        elif not colon:
            meaning = terms.get("@vocab", "") + meaning
        for address, known in _PREFIXES.items():
            if meaning.startswith(address):
                return f"{known}:{meaning.removeprefix(address)}"
        return _ALIASES.get(written, written)

    return name


def _node(node: Mapping[str, Any], name: Callable[[str], str]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for written, value in node.items():
        if written == "@context":
            continue
        key = name(written)
        if key == "@type":
            types = value if isinstance(value, list) else [value]
            named[key] = [name(one) for one in types if isinstance(one, str)]
        else:
            named.setdefault(key, _plain(value, name))
    return named


def _plain(value: Any, name: Callable[[str], str]) -> Any:
    """The value with known names; a typed text is a text, a node that only names another a link."""
    if isinstance(value, list):
        chosen = (_plain(item, name) for item in _in_one_language(value))
        return [item for item in chosen if item is not None]
    if not isinstance(value, Mapping):
        return value
    for keyword in ("@value", "@list", "@set"):
        if keyword in value:
            return _plain(value[keyword], name)
    node = _node(value, name)
    return node["@id"] if node.keys() == {"@id"} else node


def _in_one_language(values: Sequence[Any]) -> Sequence[Any]:
    languages = [value.get("@language") if isinstance(value, Mapping) else None for value in values]
    if None in languages or len(set(map(str, languages))) < 2:
        return values
    kept = _LANGUAGE if _LANGUAGE in languages else min(map(str, languages))
    return [value for value, language in zip(values, languages, strict=True) if language == kept]


def _types(node: Any) -> frozenset[str]:
    return frozenset(node.get("@type", ())) if isinstance(node, Mapping) else frozenset()


def _is_container(node: Mapping[str, Any]) -> bool:
    return "ldp:contains" in node or bool(_types(node) & _CONTAINERS)


def _contained(node: Mapping[str, Any]) -> Sequence[Any]:
    held = node.get("ldp:contains")
    return held if isinstance(held, list) else [] if held is None else [held]


def _link(item: Any) -> str | None:
    """The address of a record that is not here; nothing for one that is, or that is no record."""
    if isinstance(item, str):
        return item or None
    is_bare = isinstance(item, Mapping) and item.keys() <= {"@id", "@type"}
    if not is_bare or _types(item) & (_CONTAINERS | _PERSONS):
        return None
    address = item.get("@id")
    return address if isinstance(address, str) and address else None


def _record(pointer: str, item: Any, page: Page) -> Row | Unreadable:
    if not isinstance(item, Mapping):
        return Unreadable(pointer, "enregistrement_inattendu", type(item).__name__)
    if _types(item) & _PERSONS:
        return Unreadable(pointer, "personne")
    if _is_container(item):
        return Unreadable(pointer, "conteneur_non_suivi")
    values = _without_people(item)
    key = str(values.pop("@id", None) or "")
    if key and not key.startswith("_:"):
        values["@id"] = urljoin(page.url, key)
    values["_noms"] = {
        name: names
        for name, value in values.items()
        if re.search(r"(?:^|:)has[A-Z]", name) and (names := _names(value))
    }
    return Row(pointer, values)


def _without_people(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_people(item) for item in value if not _types(item) & _PERSONS]
    if isinstance(value, Mapping):
        return {
            key: _without_people(below)
            for key, below in value.items()
            if not _types(below) & _PERSONS
        }
    return value


def _names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in _names(item)]
    if isinstance(value, Mapping):
        label = value.get("pair:label")
        return [label] if isinstance(label, str) else _names(value.get("@id"))
    if not isinstance(value, str):
        return []
    parts = urlsplit(value)
    return [unquote(parts.fragment or parts.path.rstrip("/").rpartition("/")[2])]


_PLACE = "pair:hasLocation"
_ADDRESS = "pair:hasPostalAddress"


def _of_address(name: str) -> FirstOf:
    """A part of the address of the record's place, or of a record that is itself a place."""
    return FirstOf(premier_de=[f"{_PLACE}.{_ADDRESS}.{name}", f"{_ADDRESS}.{name}"])


def _of_position(name: str) -> FirstOf:
    """A coordinate of the record's place or of its address, or of a record that is a place."""
    ways = (f"{_PLACE}.{name}", f"{_PLACE}.{_ADDRESS}.{name}", f"{_ADDRESS}.{name}", name)
    return FirstOf(premier_de=list(ways))


PLATFORM = Platform(
    name="semapps",
    rows=_rows,
    first=_first,
    follow=_follow,
    mapping={
        "cle_source": "@id",
        "url": "@id",
        "nom": "pair:label",
        "noms_alternatifs": "pair:alternativeLabel",
        "description": ["pair:comment", "pair:description"],
        "adresse": _of_address("pair:addressStreet"),
        "code_postal": _of_address("pair:addressZipCode"),
        "commune": _of_address("pair:addressLocality"),
        "pays": _of_address("pair:addressCountry"),
        "latitude": _of_position("pair:latitude"),
        "longitude": _of_position("pair:longitude"),
        "site_web": FirstOf(premier_de=["pair:webPage", "pair:homePage"]),
        "courriel": "pair:e-mail",
        "telephone": "pair:phone",
        "date_publication": "dc:created",
        "date_maj": "dc:modified",
        "categories": ["_noms.pair:hasType", "_noms.pair:hasTopic"],
    },
    ignored=frozenset(
        {
            "@type", "_noms*", "as:*", "image*", "pair:aboutPage", "pair:depictedBy*",
            "pair:hasLocation.*", "pair:hasPostalAddress.*", "pair:hasStatus*", "pair:hasTopic*",
            "pair:hasType*", "pair:image*", "pair:logo*", "sec:*", "semapps:*",
            # Links to other records that are no persons.
            "pair:documentedBy*", "pair:hasPart*", "pair:involvedIn*", "pair:locationOf*",
            "pair:needs*", "pair:offers*", "pair:partOf*", "pair:partnerOf*", "pair:supportedBy*",
            "pair:supports*",
            # The actor that SemApps makes of each record, for ActivityPub.
            "endpoints*", "followers", "following", "inbox", "outbox", "preferredUsername",
            "publicKey*",
            # Equipment, spaces and services that places share: a source reads those that it wants.
            "petr:amount", "petr:availablity", "petr:equipmentOffers*", "petr:equipmentOfferedBy*",
            "petr:has*", "petr:logo*", "petr:manualSector", "petr:model", "petr:pictoAccessId",
            "petr:serviceOffers*", "petr:serviceOfferedBy*", "petr:socialMedias*",
            "petr:spaceOffers*", "petr:spaceOfferedBy*", "petr:videos*",
        }
    ),
    personal=frozenset(
        {
            "dc:creator*", "foaf:*", "pair:actorOf*", "pair:affiliates*", "pair:firstName",
            "pair:hasContact*", "pair:hasFollower*", "pair:hasMember*", "pair:hasResponsible*",
            "pair:involves*", "pair:lastName", "pair:managedBy*", "pair:membershipActor*",
            "pair:organizationOfMembership*", "pair:representedBy*", "petr:openbadgeId",
        }
    ),
)  # fmt: skip
