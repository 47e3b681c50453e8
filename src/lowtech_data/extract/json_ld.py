"""JSON-LD: schema.org and other vocabularies, in web pages, files or a script's variable.

Nodes are given compact keys: `schema:name`, `https://schema.org/name` and a term that the inline
context defines so are all `name`; terms of other vocabularies stay as they are written. A context
is never fetched. Of a text in several languages, French is kept.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from pydantic import Field, field_validator

from lowtech_data.extract.base import Page, PayloadError, Platform, Row, Unreadable
from lowtech_data.extract.decode import MAX_DEPTH, decode, read_html, read_json
from lowtech_data.extract.javascript import Broken, parse_literal, read_literal, split_lost
from lowtech_data.registry import FirstOf, Source, Strict

LANGUAGE = "fr"
"""Kept when a text is given in several languages."""

CONTAINERS = frozenset(
    {
        "WebSite", "WebPage", "CollectionPage", "ItemPage", "AboutPage", "ContactPage",
        "SearchResultsPage", "ItemList", "ListItem", "BreadcrumbList", "DataFeed", "DataFeedItem",
        "DataCatalog", "Dataset", "ldp:Container", "ldp:BasicContainer", "as:Collection",
        "as:OrderedCollection",
    }
)  # fmt: skip
"""Types that hold or describe records, and are none."""

_HELD = ("mainEntity", "itemListElement", "item", "dataFeedElement", "ldp:contains", "as:items")
"""Where containers hold records."""

_NOT_RECORDS = frozenset(
    {
        "Person", "ImageObject", "VideoObject", "SearchAction", "ReadAction", "Article",
        "NewsArticle", "BlogPosting", "SiteNavigationElement", "WPHeader", "WPFooter",
    }
)  # fmt: skip
"""Types that pages add around their subject."""


class Options(Strict):
    """Which nodes are records."""

    types: list[str] = Field(default=[])
    """Types of the records, at any depth, compact (`LocalBusiness`). Without them: every node that
    is no list, page, article, image or person."""
    variable: str | None = None
    """Variable of a script that holds the document, instead of JSON."""
    encodage: str | None = None

    @field_validator("types")
    @classmethod
    def _are_compact(cls, types: list[str]) -> list[str]:
        return [_SCHEMA.sub("", name) for name in types]


_SCHEMA = re.compile(r"^(?:https?://(?:www\.)?schema\.org/|schema:)")
_LD_JSON = re.compile(r"\s*application/ld\+json\s*(?:;|$)", re.IGNORECASE)
_WRAPPER = re.compile(
    r"\A\s*(?:(?://|/\*)?\s*<!\[CDATA\[(?:\s*\*/)?|<!--)|(?:(?://|/\*)?\s*\]\]>(?:\s*\*/)?|-->)\s*\Z"
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class _Context:
    """What inline contexts say: prefixes and terms to IRIs, and terms that hold language maps."""

    terms: Mapping[str, str] = field(default_factory=dict)
    language_maps: frozenset[str] = frozenset()

    def with_(self, given: Any) -> _Context:
        """This context completed by another one; addresses of contexts are passed over."""
        context = self
        for part in given if isinstance(given, list) else [given]:
            if isinstance(part, Mapping):
                context = context._completed(part)
        return context

    def _completed(self, part: Mapping[str, Any]) -> _Context:
        terms, maps = dict(self.terms), set(self.language_maps)
        for term, definition in part.items():
            meaning = definition.get("@id") if isinstance(definition, Mapping) else definition
            if isinstance(meaning, str) and not term.startswith("@"):
                terms[term] = meaning
            if isinstance(definition, Mapping) and definition.get("@container") == "@language":
                maps.add(term)
        return _Context(terms, frozenset(maps))

    def compact(self, name: str) -> str:
        """`name` for what schema.org calls so, however it is written."""
        if name.startswith("@"):
            return name
        meaning = self.terms.get(name, name)
        prefix, colon, local = meaning.partition(":")
        if colon and not local.startswith("//"):
            meaning = self.terms.get(prefix, f"{prefix}:") + local
        is_schema = _SCHEMA.match(meaning)
        return _SCHEMA.sub("", meaning) if is_schema else name


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    return records(page, Options.model_validate(source.options))


def records(page: Page, options: Options) -> Iterator[Row | Unreadable]:
    """The records of a page. Raises `PayloadError` when it has none."""
    met: set[str] = set()
    count = 0
    for pointer, document in _documents(page, options):
        if isinstance(document, PayloadError):
            count += 1
            yield Unreadable(pointer, "json_illisible")
            continue
        node = _compacted(document, _Context(), page.url)
        nodes = _by_id(node)
        for path, record in _records(node, pointer, options.types, met):
            count += 1
            if isinstance(record, Broken):
                yield Unreadable(path, record.rule)
                continue
            values, lost = split_lost(_linked(record, nodes))
            yield Row(path, _schema_values(values), lost)
    if not count:
        types = ", ".join(sorted(met))[:300] or "aucun"
        raise PayloadError(f"aucun enregistrement JSON-LD ; types trouvés : {types}")


def _documents(page: Page, options: Options) -> Iterator[tuple[str, Any]]:
    """Where each document is, and the document, or why it could not be read."""
    text = decode(page, options.encodage).text
    if options.variable:
        yield options.variable, read_literal(text, options.variable)
        return
    if not text.lstrip().startswith("<"):
        yield "", read_json(page, options.encodage)
        return
    scripts = [
        script
        for script in read_html(page, options.encodage).select("script[type]")
        if _LD_JSON.match(str(script["type"]))
    ]
    if not scripts:
        raise PayloadError('page sans <script type="application/ld+json">')
    for number, script in enumerate(scripts, 1):
        content = _WRAPPER.sub("", script.get_text()).strip()
        # Some publishing tools escape scripts as they escape texts.
        if content.startswith(("{&quot;", "[{&quot;")) or re.match(r"[\[{]\s*&quot;", content):
            content = html.unescape(content)
        yield f"script[{number}]", _script(page, content)


def _script(page: Page, content: str) -> Any:
    try:
        return read_json(Page(page.url, content.encode(), page.sha256))
    except PayloadError as error:
        # A comma after the last property is no JSON, and is common: it is JavaScript.
        try:
            return parse_literal(content)
        except PayloadError:
            return error


def _compacted(value: Any, context: _Context, base: str, depth: int = 0) -> Any:
    """The same value with compact keys, plain texts and absolute ids."""
    if depth > MAX_DEPTH:
        raise PayloadError(f"JSON-LD refusé : plus de {MAX_DEPTH} niveaux d’imbrication")
    if isinstance(value, list):
        items = [item for item in value if item is not None]
        if len(items) > 1 and all(_is_tagged(item) for item in items):
            items = _in_one_language(items)
        compacted = [_compacted(item, context, base, depth + 1) for item in items]
        return [item for item in compacted if item is not None]
    if not isinstance(value, Mapping):
        return value
    for keyword in ("@value", "@list", "@set"):
        if keyword in value:
            return _compacted(value[keyword], context, base, depth + 1)
    context = context.with_(value.get("@context"))
    node: dict[str, Any] = {}
    for written, item in value.items():
        if written == "@context":
            continue
        name = context.compact(context.terms[written] if _is_keyword(context, written) else written)
        if written in context.language_maps and isinstance(item, Mapping):
            node[name] = _compacted(_preferred(item), context, base, depth + 1)
        elif name == "@id":
            node[name] = _absolute(item, base)
        elif name == "@type":
            types = item if isinstance(item, list) else [item]
            compact = [context.compact(one) for one in types if isinstance(one, str)]
            node[name] = compact[0] if len(compact) == 1 else compact
        else:
            node[name] = _compacted(item, context, base, depth + 1)
    # A node that only says which other node it is.
    return node["@id"] if node.keys() == {"@id"} and depth else node


def _is_keyword(context: _Context, written: str) -> bool:
    return context.terms.get(written, "").startswith("@")


def _is_tagged(value: Any) -> bool:
    return isinstance(value, Mapping) and "@value" in value and "@language" in value


def _in_one_language(values: Sequence[Mapping[str, Any]]) -> list[Any]:
    languages = [str(value["@language"]).lower() for value in values]
    if len(set(languages)) == 1:
        return list(values)
    chosen = next((name for name in languages if name.split("-")[0] == LANGUAGE), min(languages))
    return [value for value, name in zip(values, languages, strict=True) if name == chosen]


def _preferred(by_language: Mapping[str, Any]) -> Any:
    names = sorted(by_language, key=lambda name: (name.lower().split("-")[0] != LANGUAGE, name))
    return by_language[names[0]] if names else None


def _absolute(given: Any, base: str) -> Any:
    if isinstance(given, str) and given.startswith(("#", "/", "./", "../", "?")):
        return urljoin(base, given)
    return given


def _types(node: Mapping[str, Any]) -> set[str]:
    given = node.get("@type")
    names = given if isinstance(given, list) else [given]
    return {name for name in names if isinstance(name, str)}


def _by_id(root: Any) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping):
            key = node.get("@id")
            if isinstance(key, str) and len(node) > len(found.get(key, ())):
                found[key] = node
        if isinstance(node, Mapping | list):
            pending += node.values() if isinstance(node, Mapping) else node
    return found


def _records(
    root: Any, pointer: str, types: Sequence[str], met: set[str]
) -> Iterator[tuple[str, Mapping[str, Any] | Broken]]:
    """Records and where they are, in the order of the document; none inside another one."""
    pending: list[tuple[str, Any]] = [(pointer, root)]
    while pending:
        path, node = pending.pop()
        if isinstance(node, Broken):
            yield path, node
            continue
        if isinstance(node, list):
            below: list[tuple[str, Any]] = [(f"{path}/{i}", item) for i, item in enumerate(node)]
        elif isinstance(node, Mapping):
            mine = _types(node)
            met |= mine
            if _is_record(node, mine, types):
                yield path, node
                continue
            ways = node if types else ("@graph", *(_HELD if mine & CONTAINERS else ()))
            below = [(f"{path}/{name}", node[name]) for name in ways if name in node]
        else:
            continue
        pending += reversed(below)


def _is_record(node: Mapping[str, Any], mine: set[str], types: Sequence[str]) -> bool:
    if types:
        return not mine.isdisjoint(types)
    # An object with nothing but a graph is the envelope of its nodes.
    is_envelope = node.keys() <= {"@graph", "@id", "@type"} and "@graph" in node
    return not is_envelope and not mine & (CONTAINERS | _NOT_RECORDS)


def _linked(record: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The record with the nodes that its address, place and position refer to by id."""
    linked = dict(record)
    for name in ("location", "address", "geo"):
        linked[name] = _node(linked.get(name), nodes)
        place = linked[name]
        if isinstance(place, Mapping):
            linked[name] = {
                key: _node(value, nodes) if key in {"address", "geo"} else value
                for key, value in place.items()
            }
        elif place is None:
            del linked[name]
    if str(linked.get("@id", "")).startswith("_:"):
        # A blank node: its name holds in this document only.
        del linked["@id"]
    return linked


def _node(value: Any, nodes: Mapping[str, Mapping[str, Any]]) -> Any:
    return nodes.get(value, value) if isinstance(value, str) else value


def _schema_values(values: dict[str, Any]) -> dict[str, Any]:
    """Values that schema.org lets be written in several ways, in one way."""
    place = values.get("location")
    if isinstance(place, Mapping):
        values = {name: place[name] for name in ("address", "geo") if name in place} | values
        values["location"] = {k: v for k, v in place.items() if k not in {"address", "geo"}}
    address = values.get("address")
    if isinstance(address, str):
        values["address"] = {"streetAddress": address}
    elif isinstance(address, Mapping) and isinstance(address.get("addressCountry"), Mapping):
        country = address["addressCountry"]
        values["address"] = {**address, "addressCountry": country.get("name")}
    hours = _opening_hours(values.get("openingHoursSpecification"))
    if hours and "openingHours" not in values:
        del values["openingHoursSpecification"]
        values["openingHours"] = hours
    return values


def _opening_hours(given: Any) -> list[str] | None:
    """`Mo,Tu 09:00-12:00` texts, when each specification is days and one opening, all year."""
    texts = []
    for part in given if isinstance(given, list) else [given]:
        if not isinstance(part, Mapping):
            return None
        days = part.get("dayOfWeek")
        names = [_SCHEMA.sub("", str(day)) for day in (days if isinstance(days, list) else [days])]
        times = [str(part.get(name, ""))[:5] for name in ("opens", "closes")]
        is_plain = part.keys() <= {"@type", "dayOfWeek", "opens", "closes"}
        if not is_plain or not all(name in _DAYS for name in names) or not all(times):
            return None
        texts.append(f"{','.join(name[:2] for name in names)} {times[0]}-{times[1]}")
    return texts


PLATFORM = Platform(
    name="json_ld",
    rows=_rows,
    options=Options,
    mapping={
        "cle_source": FirstOf(premier_de=["@id", "url"]),
        "nom": "name",
        "description": "description",
        "site_web": "url",
        "courriel": "email",
        "telephone": "telephone",
        "adresse": "address.streetAddress",
        "code_postal": "address.postalCode",
        "commune": "address.addressLocality",
        "pays": "address.addressCountry",
        "latitude": FirstOf(premier_de=["geo.latitude", "latitude"]),
        "longitude": FirstOf(premier_de=["geo.longitude", "longitude"]),
        "horaires": "openingHours",
        "date_maj": "dateModified",
        "licence": "license",
        "categories": "@type",
    },
    ignored=frozenset(
        {
            "image*", "logo*", "photo*", "sameAs", "potentialAction*", "mainEntityOfPage*",
            "inLanguage", "priceRange", "aggregateRating*", "isPartOf*", "address.@type",
            "address.@id", "address.addressRegion", "geo.@type", "geo.@id", "location.@type",
            "location.@id",
        }
    ),
    personal=frozenset(
        {
            "author", "creator", "founder", "founders", "employee", "employees", "member",
            "members", "performer", "performers", "review", "reviews", "alumni", "contactPoint",
            "contactPoints",
        }
    ),
)  # fmt: skip
