"""uMap maps: umap.openstreetmap.fr, framacarte.org, umap.incubateur.anct.gouv.fr…

A map is a page (`/fr/map/nom-de-la-carte_123`). `/fr/map/123/geojson/` describes it and lists its
data layers; each of them is GeoJSON, with what the map adds under `_umap_options`. A whole map also
comes as one file (`/map/123/download/`, or saved by hand), with its layers inside; only there are
the licence of the map and the records together. All three are read, and a layer alone.

Texts may hold the markup of maps (`[[url|text]]`, `{{image}}`, `**bold**`): it is taken off.
Besides the properties of a feature and its position, rows hold:

| column | holds |
|---|---|
| `_cle` | the id of the feature; without one (old maps), a digest of its name and position |
| `_calque` | the name of its layer |
| `_lien` | the first address of its description |
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from lowtech_data.extract import geojson
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
from lowtech_data.extract.licences import licence_identifier
from lowtech_data.extract.sections import Sections
from lowtech_data.registry import Source, Strict

_MAP_PAGE = re.compile(r"^(.*/map/)(?:[^/]*_)?(\d+)/?$")
_LAYER_PAGE = re.compile(r"/datalayer/(?:\d+/)?([0-9a-fA-F-]+)/")
_MARKUP = (
    (re.compile(r"\{\{\{?[^{}]*\}\}\}?"), ""),
    (re.compile(r"\[\[([^][|\n]*)\|([^][\n]*)\]\]"), r"\2 (\1)"),
    (re.compile(r"\[\[([^][|\n]*)\]\]"), r"\1"),
    (re.compile(r"\*\*([^*\n]+)\*\*"), r"\1"),
    (re.compile(r"(?<!\*)\*(?![*\s])([^*\n]+)(?<!\s)\*(?!\*)"), r"\1"),
    (re.compile(r"^(?:#{1,6}[ \t]*|-{3,}[ \t]*$)", re.MULTILINE), ""),
)
"""What the popup of a map turns into images, frames, links, bold, italic, titles and rules. None
holds the sign that opens it: a text made of openings only is read in time."""

_ADDRESS = re.compile(r"https?://[^\s|<>\"')\]}]+")
_IMAGES = _MARKUP[0][0]


class Options(Strict):
    """Which layers are read, and how a text that holds all the fields is cut."""

    calques: tuple[str, ...] = ()
    """Names of the layers to read; all of them when there are none."""
    texte: Sections | None = None


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    parts = urlsplit(source.url)
    page = _MAP_PAGE.match(parts.path)
    url = urljoin(source.url, f"{page[1]}{page[2]}/geojson/") if page else source.url
    return (Request(url, "application/json"),)


def _document(page: Page) -> Mapping[str, Any]:
    """A map, a layer, or a whole map saved as one file."""
    document = read_json(page)
    kind = document.get("type") if isinstance(document, Mapping) else type(document).__name__
    if not isinstance(document, Mapping) or kind not in ("Feature", "FeatureCollection", "umap"):
        raise PayloadError(
            "attendu une carte uMap (« Feature »), un de ses calques (« FeatureCollection ») ou sa"
            f" sauvegarde (« umap ») ; trouvé : {mask(str(kind))}"
        )
    return document


def _follow(source: Source, page: Page) -> Sequence[Request]:
    document = _document(page)
    if document["type"] != "Feature":
        return ()
    settings = _settings(document)
    layers = _layers(settings)
    options = _options(source)
    _check_names([str(layer.get("name")) for layer in layers], options)
    return [
        Request(_address(layer, settings, page), "application/json")
        for layer in layers
        if _is_read(str(layer.get("name")), options)
    ]


def _settings(document: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = document.get("properties")
    return settings if isinstance(settings, Mapping) else {}


def _layers(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    layers = settings.get("datalayers")
    found = [x for x in layers if isinstance(x, Mapping)] if isinstance(layers, list) else []
    if not found or not all(isinstance(layer.get("id"), str | int) for layer in found):
        raise PayloadError(
            "attendu une carte avec ses calques sous « properties.datalayers » ; trouvé :"
            f" {', '.join(map(str, settings))[:200] or 'rien'}"
        )
    return found


def _check_names(names: Sequence[str], options: Options) -> None:
    if missing := sorted(set(options.calques) - set(names)):
        raise PayloadError(
            f"calques absents de la carte : {', '.join(missing)} ; elle a : {', '.join(names)}"
        )


def _is_read(name: str, options: Options) -> bool:
    return not options.calques or name in options.calques


def _address(layer: Mapping[str, Any], settings: Mapping[str, Any], page: Page) -> str:
    """Where a layer is: as the map says; older ones, whose layers have numbers, do not always."""
    number = settings.get("umap_id") or settings.get("id")
    urls = settings.get("urls")
    template = urls.get("datalayer_view") if isinstance(urls, Mapping) else None
    if not isinstance(template, str):
        found = re.search(r"^(.*?/)map/(\d+)/", urlsplit(page.url).path)
        root, number = (found[1], found[2]) if found else ("/", number)
        template = f"{root}datalayer/{{pk}}/"
        if "-" in str(layer["id"]):
            template = f"{root}datalayer/{{map_id}}/{{pk}}/"
    path = template.replace("{map_id}", str(number))
    return urljoin(page.url, re.sub(r"\{\w+\}", str(layer["id"]), path))


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    document = _document(page)
    options = _options(source)
    if document["type"] == "Feature":
        _layers(_settings(document))
    elif document["type"] == "FeatureCollection":
        found = _LAYER_PAGE.search(urlsplit(page.url).path)
        yield from _features(source, page, document, found[1] if found else "")
    else:
        layers = _saved(document)
        names = [str(_about(layer).get("name")) for layer in layers]
        _check_names(names, options)
        for index, (layer, name) in enumerate(zip(layers, names, strict=True)):
            if _is_read(name, options):
                alone = replace(page, body=json.dumps(layer).encode(), charset="utf-8")
                yield from _features(source, alone, layer, name, f"/layers/{index}")


def _saved(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    layers = document.get("layers")
    if not isinstance(layers, list) or not all(isinstance(layer, Mapping) for layer in layers):
        raise PayloadError("attendu une liste de calques sous « layers »")
    return layers


def _about(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    about = layer.get("_umap_options") or layer.get("_storage")
    return about if isinstance(about, Mapping) else {}


def _features(
    source: Source, page: Page, layer: Mapping[str, Any], layer_id: str, prefix: str = ""
) -> Iterator[Row | Unreadable]:
    about = _about(layer)
    remote = about.get("remoteData")
    if isinstance(remote, Mapping) and remote.get("url"):
        # What the map shows here is fetched elsewhere by whoever looks at it.
        yield Unreadable(f"{prefix}/_umap_options", "calque_distant", str(remote["url"]))
    texte = source.options.get("texte")
    plain = source.model_copy(update={"options": {"texte": texte} if texte else {}})
    for item in geojson.PLATFORM.rows(plain, page):
        if isinstance(item, Unreadable):
            yield replace(item, pointer=prefix + item.pointer)
        else:
            values = _values(item.values) | {"_calque": str(about.get("name") or layer_id)}
            yield replace(item, pointer=prefix + item.pointer, values=values)


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: _plain(value) for name, value in given.items()}
    text = given.get("description")
    links = _ADDRESS.findall(_IMAGES.sub("", text)) if isinstance(text, str) else []
    where = json.dumps([given.get(name) for name in ("name", "latitude", "longitude")])
    digest = hashlib.sha256(where.encode()).hexdigest()[:16]
    return values | {
        "_cle": given.get("id") or digest,
        "_lien": links[0].rstrip(".,;") if links else None,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(below) for name, below in value.items()}
    if not isinstance(value, str):
        return value
    for pattern, shown in _MARKUP:
        value = pattern.sub(shown, value)
    return value.strip()


def _labels(page: Page) -> Mapping[str, str]:
    """Names of the layers by their ids: a recent layer does not always hold its own name."""
    document = _document(page)
    if document["type"] != "Feature":
        return {}
    layers = _layers(_settings(document))
    return {str(layer["id"]): str(layer["name"]) for layer in layers if layer.get("name")}


def _licence(page: Page) -> str | None:
    """The licence of a map saved as one file."""
    if b'"licence"' not in page.body:
        return None
    licence = _settings(_document(page)).get("licence")
    if isinstance(licence, Mapping):
        licence = " ".join(str(licence[key]) for key in ("name", "url") if licence.get(key))
    return licence_identifier(licence) if isinstance(licence, str) else None


PLATFORM = Platform(
    name="umap",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    labels=_labels,
    licence=_licence,
    mapping={
        "cle_source": "_cle",
        "nom": "name",
        "description": "description",
        "categories": "_calque",
        "latitude": "latitude",
        "longitude": "longitude",
        "precision_geo": "_precision",
    },
    ignored=frozenset({"_lien", "_storage_options*", "_umap_options*", "id"}),
)
