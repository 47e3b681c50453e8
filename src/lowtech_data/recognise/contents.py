"""What an address gives, read by what it is made of or as the platform guessed."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from lowtech_data.extract import PLATFORMS
from lowtech_data.extract.base import Page, PayloadError, value_at
from lowtech_data.extract.decode import decode, read_json
from lowtech_data.folding import fold
from lowtech_data.recognise.addresses import server_guess
from lowtech_data.recognise.columns import csv_dialect
from lowtech_data.recognise.fields import fields_by_name
from lowtech_data.recognise.platforms import (
    ask_server,
    bazar_forms,
    described_lines,
    listing,
    map_layers,
    read,
    site_contents,
    sitemap,
    wiki,
)
from lowtech_data.recognise.probe import MAX_ROWS, Guess, Probe, Proposal, is_html, json_of
from lowtech_data.recognise.texts import licence_id, one_line, text_of

LINKED_FILE = "fichier"
"""Stands for a platform in a guess: a file whose bytes say which platform reads it."""


def of_bytes(probe: Probe, page: Page) -> Iterator[Proposal]:
    """A file or the answer of an API, by its first bytes then by its shape."""
    if page.body.startswith(b"PK\x03\x04"):
        evidence = "un classeur (archive ZIP : XLSX ou ODS)"
        found = list(read(probe, Guess("tableur", page.url, evidence), [page]))
        yield from found or read(
            probe, Guess("tableur", page.url, evidence, {"feuille": 1}), [page]
        )
        return
    text = decode(page).text
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("<"):
        yield from _of_xml(probe, page, start)
    elif start[:1] in {"{", "["}:
        yield from _of_json(probe, page, read_json(page))
    elif variable := _VARIABLE.search(text[:20_000]):
        name = variable[1] or variable[2]
        linked = '"@id"' in text[:20_000] or '"@type"' in text[:20_000]
        guess = Guess("json_ld" if linked else "javascript", page.url,
                       f"la variable « {name} » d’un script", {"variable": name})  # fmt: skip
        yield from read(probe, guess, [page])
    elif (dialect := csv_dialect(text)) is not None:
        separator = dialect.get("separateur", ",")
        evidence = f"un texte en colonnes, séparées par {separator!r}"
        yield from read(probe, Guess("csv", page.url, evidence, dialect), [page])
    else:
        probe.tried.append(f"{page.url} : texte sans colonnes, ni JSON, ni XML")


_VARIABLE = re.compile(
    r"^\s*(?:(?:export\s+)?(?:const|let|var)\s+([\w$]+)\s*=|export\s+(default))\s*[\[{]", re.M
)


def _of_xml(probe: Probe, page: Page, start: str) -> Iterator[Proposal]:
    root = re.search(r"<(?:\w+:)?(rss|RDF|feed|urlset|sitemapindex|html)[\s>:]", start[:4_000])
    match root[1] if root else "":
        case "rss" | "RDF" | "feed":
            yield from read(probe, Guess("flux", page.url, "un flux RSS ou Atom"), [page])
        case "urlset" | "sitemapindex":
            yield from sitemap(probe, Guess("sitemap", page.url, "un plan de site (sitemap)"))
        case _:
            probe.tried.append(f"{page.url} : XML d’une forme inconnue")


def _of_json(probe: Probe, page: Page, document: Any) -> Iterator[Proposal]:
    for test, platform, evidence in _JSON_SHAPES:
        if test(document):
            guess = Guess(platform, page.url, evidence)
            match platform:
                case "data_gouv":
                    yield from _dataset(probe, guess)
                case "overpass" | "sparql":
                    asked = server_guess(platform, page.url)
                    yield from ask_server(probe, replace(asked, evidence=evidence))
                case "umap" if document.get("type") == "Feature":
                    yield from map_layers(probe, guess)
                case "wordpress" if isinstance(document, Mapping):
                    yield from site_contents(probe, replace(guess, url=f"{page.url}/wp/v2"))
                case "yeswiki_bazar":
                    yield from read(probe, _exported(guess, document), [page])
                case _:
                    yield from read(probe, guess, [page])
            return
    if (where := _records_at(document)) is None:
        probe.tried.append(f"{page.url} : JSON sans liste d’enregistrements")
        return
    options: dict[str, Any] = {"chemin": where} if where else {}
    following = next((p for p in _NEXT if isinstance(value_at(document, p), str)), None)
    options |= {"suivant": following} if following else {}
    if position := _position_text(value_at(document, where) if where else document):
        options["latitude_longitude"] = position
    evidence = f"du JSON, enregistrements {f'sous « {where} »' if where else 'à la racine'}"
    yield from read(probe, Guess("json", page.url, evidence, options), [page])


_NEXT = ("next", "links.next", "meta.next", "suivant", "nextPage")


def _first_item(document: Any) -> Mapping[str, Any]:
    """The first record of a list or of an object of records; empty when there is none."""
    items = list(document.values()) if isinstance(document, Mapping) else document
    found = items[0] if isinstance(items, list) and items else None
    return found if isinstance(found, Mapping) else {}


def _has(*paths: str) -> Callable[[Any], bool]:
    return lambda d: isinstance(d, Mapping) and all(value_at(d, p) is not None for p in paths)


def _item_has(*keys: str) -> Callable[[Any], bool]:
    return lambda d: all(key in _first_item(d) for key in keys)


def _is_container(document: Any) -> bool:
    return isinstance(document, Mapping) and any("contains" in key for key in document) and (
        "ldp" in json.dumps(document.get("type", document.get("@type")))
        or "ldp:contains" in document
    )  # fmt: skip


_JSON_SHAPES: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (_has("data", "ontology"), "gogocarto", "l’export de GoGoCarto (« ontology », « data »)"),
    (_item_has("title", "location", "categories"), "gogocarto", "des fiches de GoGoCarto"),
    (_item_has("name", "sourceKey", "geo"), "gogocarto", "des fiches de GoGoCarto"),
    (_has("total_count", "results"), "opendatasoft", "l’API d’Opendatasoft (« total_count »)"),
    (_has("results.bindings", "head.vars"), "sparql", "des réponses SPARQL"),
    (_has("osm3s", "elements"), "overpass", "une réponse d’Overpass (« osm3s »)"),
    (_has("resources", "slug"), "data_gouv", "un jeu de données udata (« resources »)"),
    (_has("topic_list.topics"), "discourse", "des sujets de Discourse (« topic_list »)"),
    (_has("entities", "meta"), "communecter", "l’API de Communecter (« entities »)"),
    (
        lambda d: (
            _has("properties.datalayers")(d)
            or (_has("type", "layers")(d) and d["type"] == "umap")
            or (_has("features", "_umap_options")(d))
        ),
        "umap",
        "une carte uMap ou un de ses calques",
    ),
    (
        lambda d: _has("features")(d) and d.get("type") == "FeatureCollection",
        "geojson",
        "une FeatureCollection GeoJSON",
    ),
    (_is_container, "semapps", "un conteneur LDP (« ldp:contains »)"),
    (_has("namespaces", "routes"), "wordpress", "l’index de l’API de WordPress"),
    (_item_has("bf_titre"), "yeswiki_bazar", "des fiches Bazar de YesWiki (« bf_titre »)"),
    (
        _item_has("datetime_create", "bf_latitude"),
        "yeswiki_bazar",
        "l’export d’un formulaire de YesWiki (« datetime_create »)",
    ),
    (_item_has("facility"), "okw", "des ateliers Open Know-Where (« facility »)"),
    (_item_has("space", "data", "url"), "spaceapi", "le collecteur de SpaceAPI"),
    (
        lambda d: _has("@graph")(d) or "@type" in _first_item(d) or _has("@context", "@type")(d),
        "json_ld",
        "du JSON-LD (« @type »)",
    ),
)


def _exported(guess: Guess, document: Any) -> Guess:
    """The guess with what makes a key of an export of YesWiki, whose rows have none."""
    if "bf_titre" in _first_item(document) or "id_fiche" in _first_item(document):
        return guess
    items = [item for item in document if isinstance(item, Mapping)][:MAX_ROWS]
    fields = fields_by_name(items)
    name, commune = fields.get("nom"), fields.get("commune")
    apart = [c for c in ("datetime_create", fields.get("adresse")) if isinstance(c, str)]
    options = {"cle": [c for c in (name, commune) if isinstance(c, str)], "departage": apart}
    return replace(guess, options=options)


def _records_at(document: Any) -> str | None:
    """Dotted path to the longest list or object of records; empty for the document itself."""
    best: tuple[int, str] | None = None
    for where, value in _containers(document):
        items = list(value.values()) if isinstance(value, Mapping) else value
        count = len(items)
        is_records = count and all(isinstance(item, Mapping) for item in items)
        if is_records and (isinstance(value, list) or count >= 3) and (
            best is None or count > best[0]
        ):  # fmt: skip
            best = (count, where)
    return best[1] if best else None


def _containers(document: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(document, list | Mapping):
        yield path, document
    if isinstance(document, Mapping) and depth < 3 and len(document) <= 50:
        for key, value in document.items():
            if "." not in key:
                yield from _containers(value, f"{path}.{key}" if path else key, depth + 1)


def _position_text(records: Any) -> str | None:
    """The column that holds `"47.2, -1.5"`."""
    return next(
        (
            name
            for name, value in _first_item(records).items()
            if isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+\s*,\s*-?\d+\.\d+", value)
        ),
        None,
    )


def _dataset(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A dataset of a udata portal: its most recent file that can be read."""
    page = probe.get(guess.url, "application/json")
    document = json_of(page)
    resources = document.get("resources") if isinstance(document, Mapping) else None
    readable = [
        item
        for item in (resources if isinstance(resources, list) else ())
        if isinstance(item, Mapping) and fold(str(item.get("format") or "")) in _FILE_ORDER
    ]
    if not readable:
        if page:
            probe.refused(guess, PayloadError("aucun fichier CSV, GeoJSON, JSON, XLSX ou ODS"))
        return
    readable.sort(key=lambda item: str(item.get("last_modified") or ""), reverse=True)
    readable.sort(key=lambda item: _FILE_ORDER.index(fold(str(item["format"]))))
    chosen = readable[0]
    kind = fold(str(chosen["format"]))
    alike = [item for item in readable if fold(str(item["format"])) == kind]
    wanted: dict[str, Any] = {"id": str(chosen["id"])} if len(alike) > 1 else {"format": kind}
    stable = urljoin(guess.url, f"/api/1/datasets/r/{chosen['id']}")
    host = urlsplit(str(chosen.get("url") or "")).hostname
    hosts = tuple(filter(None, [host if host != urlsplit(guess.url).hostname else None]))
    file = probe.get(stable, "*/*", hosts)
    if file is None:
        return
    known = {
        "title": text_of(document.get("title")), "hosts": hosts,
        "publisher": text_of(value_at(document, "organization.name")),
        "licence": licence_id(document.get("license")), **guess.known,
        "notes": (f"fichier : « {one_line(chosen.get('title'))} » ({kind}), de {len(readable)}",),
    }  # fmt: skip
    for found in itertools.islice(of_bytes(probe, replace(file, url=stable)), 1):
        options: dict[str, Any] = {"ressource": wanted}
        if found.options or wanted.get("id"):
            options |= {"lecture": found.platform}
        if found.options:
            options |= {"options_lecture": dict(found.options)}
        fields = dict(found.fields)
        mapping = PLATFORMS[found.platform].mapping
        for target in ("cle_source", "nom"):
            # The portal's reader has neither: it does not know which reader will be used.
            if target not in fields and target in mapping:
                fields[target] = mapping[target]
        yield replace(
            found, platform="data_gouv", url=guess.url, evidence=guess.evidence, options=options,
            fields=fields, **known,
        )  # fmt: skip


_FILE_ORDER = ("geojson", "csv", "json", "xlsx", "ods")


def _file(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A file of data that a page links to."""
    if page := probe.get(guess.url):
        for found in of_bytes(probe, page) if not is_html(page) else ():
            yield replace(
                found, evidence=f"{guess.evidence} : {found.evidence}",
                page=guess.known.get("page"), title=guess.known.get("title"),
            )  # fmt: skip


_WAYS: Mapping[str, Callable[[Probe, Guess], Iterator[Proposal]]] = {
    "umap": map_layers,
    "data_fair": described_lines,
    "opendatasoft": described_lines,
    "data_gouv": _dataset,
    "wordpress": site_contents,
    "mediawiki_modele": wiki,
    "yeswiki_bazar": bazar_forms,
    "sitemap": sitemap,
    "overpass": ask_server,
    "sparql": ask_server,
    LINKED_FILE: _file,
}


def verified(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """The proposals that a guess leads to, once its platform has read what the address gives."""
    yield from _WAYS.get(guess.platform, listing)(probe, guess)
