"""What the API of each platform is asked for, and what it gives."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from lowtech_data.extract import PLATFORMS
from lowtech_data.extract.base import Page, PayloadError, value_at
from lowtech_data.extract.decode import decode, read_json
from lowtech_data.recognise.fields import proposal_of
from lowtech_data.recognise.probe import MAX_ROWS, Guess, Probe, Proposal, json_of
from lowtech_data.recognise.texts import licence_id, one_line, text_of


def ask_server(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A server of queries: asked only for what a person has written."""
    if guess.known.get("notes"):
        # Asking such a server for everything would cost it dearly: a person says what.
        probe.tried.append(f"{guess.url} : reconnue à son adresse, pas demandée")
        yield Proposal(guess.platform, guess.url, guess.evidence, options=guess.options,
                       **guess.known)  # fmt: skip
        return
    yield from listing(probe, guess)


def listing(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """Any platform whose first page holds records."""
    request = PLATFORMS[guess.platform].first(guess.source())[-1]
    if page := probe.get(request.url, request.accept):
        yield from read(probe, guess, [page])


def read(probe: Probe, guess: Guess, pages: Sequence[Page]) -> Iterator[Proposal]:
    """Pages already obtained, read by the extractor of the platform guessed."""
    source, platform = guess.source(), PLATFORMS[guess.platform]
    try:
        rows = itertools.chain.from_iterable(platform.rows(source, page) for page in pages)
        met = list(itertools.islice(rows, MAX_ROWS))
        following = platform.follow(source, pages[-1])
        total = next((n for page in pages if (n := platform.announced(page)) is not None), None)
        licence = next((found for page in pages if (found := platform.licence(page))), None)
    except (PayloadError, ValueError) as error:
        probe.refused(guess, error)
        return
    records = [row.values for row in met if hasattr(row, "values")]
    if not records:
        probe.refused(guess, PayloadError("aucun enregistrement lisible"))
        return
    if total is None and not following and len(met) < MAX_ROWS and guess.platform != "flux":
        total = len(met)
    yield proposal_of(guess, source, records, total, licence)


def map_layers(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A uMap: its description, then its first layers."""
    source, platform = guess.source(), PLATFORMS["umap"]
    (request,) = platform.first(source)
    if not (described := probe.get(request.url, request.accept)):
        return
    try:
        layers = platform.follow(source, described)
        title = value_at(read_json(described), "properties.name")
    except PayloadError as error:
        probe.refused(guess, error)
        return
    pages = [page for asked in layers[:2] if (page := probe.get(asked.url, asked.accept))]
    for found in read(probe, replace(guess, known={"title": title, **guess.known}),
                       [described, *pages]):  # fmt: skip
        yield found if len(pages) == len(layers) else replace(found, total=None)


def described_lines(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """Data Fair and Opendatasoft: the lines, then what the dataset says of itself."""
    for found in listing(probe, guess):
        about = probe.get(guess.url.removesuffix("/lines"), "application/json")
        document = json_of(about)
        licence = value_at(document, "license.title") or value_at(document, "metas.default.license")
        yield replace(
            found,
            title=text_of(value_at(document, "title") or value_at(document, "metas.default.title")),
            publisher=text_of(
                value_at(document, "owner.name") or value_at(document, "metas.default.publisher")
            ),
            licence=found.licence or licence_id(licence),
        )


def site_contents(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A WordPress: the types of the site itself, or its posts when it has none."""
    types = json_of(probe.get(f"{guess.url}/types", "application/json"))
    own = {
        str(kind.get("rest_base") or name): text_of(kind.get("name"))
        for name, kind in (types.items() if isinstance(types, Mapping) else ())
        if isinstance(kind, Mapping) and not _WP_TYPES.match(name)
    }
    if not own and not isinstance(types, Mapping):
        return
    for base, name in list(own.items())[:3] or [("posts", None)]:
        options = {"contenu": base}
        sample = replace(guess, options={**options, "toutes_colonnes": True})
        for found in listing(probe, sample):
            evidence = f"{guess.evidence}, type « {name or base} »"
            yield replace(found, options=options, others=(), evidence=evidence)


_WP_TYPES = re.compile(
    r"(?:post|page|attachment|nav_menu_item|wp_\w+|elementor_\w+|e-\w+|jp_\w+|feedback|acf-\w+)$"
)


def wiki(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A MediaWiki: `Category:Tutorials` of a Dokit, else its category with the most pages."""
    asked = {
        "action": "query", "format": "json", "formatversion": "2", "meta": "siteinfo",
        "siprop": "general|rightsinfo", "list": "allcategories", "acprop": "size", "acmin": "3",
        "aclimit": "500",
    }  # fmt: skip
    about = json_of(probe.get(f"{guess.url}?{urlencode(asked)}", "application/json"))
    listed = value_at(about, "query.allcategories")
    sizes = {
        str(item.get("category")): int(item.get("pages") or 0)
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, Mapping)
    }
    if not sizes:
        return
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    is_dokit = "Tutorials" in sizes
    category = "Tutorials" if is_dokit else by_size[0]
    general = value_at(about, "query.general")
    general = general if isinstance(general, Mapping) else {}
    options: dict[str, Any] = {} if is_dokit else {"categorie": f"Category:{category}"}
    path = str(general.get("articlepath") or "/wiki/$1").partition("$1")[0]
    options |= {"chemin_page": path} if path.startswith("/") and path != "/wiki/" else {}
    version = re.match(r"MediaWiki 1\.(\d+)", str(general.get("generator")))
    options |= {"rvslots": True} if version and int(version[1]) >= 32 else {}
    shown = ", ".join(f"{one_line(name)} ({sizes[name]})" for name in by_size[:6])
    rights = value_at(about, "query.rightsinfo")
    rights = rights if isinstance(rights, Mapping) else {}
    known = {
        "title": text_of(general.get("sitename")), "resource": is_dokit,
        "licence": licence_id(rights.get("url")) or licence_id(rights.get("text")),
        "notes": (f"catégories (pages) : {shown}",),
    }  # fmt: skip
    known = {**guess.known, **{name: said for name, said in known.items() if said}}
    name = "mediawiki_dokit" if is_dokit else "mediawiki_modele"
    tried = replace(guess, platform=name, options=options, known=known)
    source, platform = tried.source(), PLATFORMS[name]
    (request,) = platform.first(source)
    members = probe.get(request.url, request.accept)
    try:
        following = platform.follow(source, members) if members else ()
    except PayloadError as error:
        probe.refused(tried, error)
        return
    if following and (contents := probe.get(following[0].url, following[0].accept)):
        for found in read(probe, tried, [contents]):
            yield replace(found, total=sizes[category])


def bazar_forms(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A YesWiki: the entries of each of its forms, the first ones."""
    if not guess.url.endswith("?api/forms"):
        yield from listing(probe, guess)
        return
    document = json_of(probe.get(guess.url, "application/json"))
    forms = list(document.values() if isinstance(document, Mapping) else document or ())
    for form in [f for f in forms if isinstance(f, Mapping) and f.get("bn_id_nature")][:3]:
        entries = f"{guess.url}/{form['bn_id_nature']}/entries"
        name = text_of(form.get("bn_label_nature"))
        evidence = f"{guess.evidence}, formulaire « {name} »"
        yield from listing(
            probe,
            replace(guess, url=entries, evidence=evidence, known={**guess.known, "title": name}),
        )


def sitemap(probe: Probe, guess: Guess) -> Iterator[Proposal]:
    """A sitemap: its most frequent kind of page, of which one is asked for."""
    page = probe.get(guess.url)
    if page is None:
        return
    text = decode(page).text if not page.body.startswith(b"\x1f\x8b") else ""
    found = re.findall(r"<(?:\w+:)?loc>\s*(?:<!\[CDATA\[)?\s*([^<\s\]]+)", text)
    places = [place.replace("&amp;", "&") for place in found[:20_000]]
    if "<sitemapindex" in text[:4_000]:
        inner = sorted(places, key=lambda place: (not _LISTS.search(place), place))
        if inner:
            deeper = replace(guess, url=inner[0], known={**guess.known, "index": guess.url})
            yield from sitemap(probe, deeper) if "index" not in guess.known else ()
        return
    kinds = Counter(kind for place in places if (kind := _kind_of_page(place)))
    if not kinds:
        probe.refused(guess, PayloadError("aucune page dans le plan"))
        return
    kind, count = kinds.most_common(1)[0]
    first = next(place for place in places if _kind_of_page(place) == kind)
    record = probe.get(first)
    if record is None:
        return
    options: dict[str, Any] = {"pages": re.escape(kind)}
    linked = linked_types(record)
    if linked:
        options["json_ld"] = {"types": linked[:3]}
    else:
        options["selecteurs"] = {"fiche": "body", "champs": {"nom": "h1"}}
    known = {k: v for k, v in guess.known.items() if k != "index"}
    address = guess.known.get("index", guess.url)
    tried = Guess("sitemap", address, guess.evidence, options, known)
    note = f"pages retenues : {kind} ({count} de {len(places)})"
    for proposal in read(probe, tried, [record]):
        yield replace(proposal, total=count, notes=(note,))


_LISTS = re.compile(r"(?i)lieu|annuaire|place|listing|atelier|structure|adherent|fiche|point")


def _kind_of_page(place: str) -> str | None:
    """The folders of the address of a page, which pages of one kind share."""
    folder = urlsplit(place).path.rstrip("/").rpartition("/")[0]
    return f"{folder}/" if folder else None


def linked_types(page: Page) -> list[str]:
    """Types of the JSON-LD records of a page, the most frequent first; none for what is no page."""
    types: Counter[str] = Counter()
    for row in linked_rows(page):
        given = row.values.get("@type") if hasattr(row, "values") else None
        types.update([given] if isinstance(given, str) else given or ())
    return [name for name, _ in types.most_common() if name not in {"Organization", "WebSite"}] or [
        name for name, _ in types.most_common() if name == "Organization"
    ]


def linked_rows(page: Page) -> list[Any]:
    """JSON-LD records of a page; none for what is no page."""
    try:
        return list(itertools.islice(PLATFORMS["json_ld"].rows(_SCRATCH, page), MAX_ROWS))
    except PayloadError:
        return []


_SCRATCH = Guess("json_ld", "https://localhost/", "").source()
