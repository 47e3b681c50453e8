"""What a web page says it is made with, embeds, links to or repeats."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

from lowtech_data.extract.base import Page
from lowtech_data.extract.decode import read_html
from lowtech_data.recognise.addresses import by_address
from lowtech_data.recognise.contents import LINKED_FILE, verified
from lowtech_data.recognise.platforms import linked_rows, linked_types, read, sitemap
from lowtech_data.recognise.probe import Guess, Probe, Proposal
from lowtech_data.recognise.texts import licence_id, text_of


def by_markup(probe: Probe, page: Page) -> Iterator[Proposal]:
    """What a web page leads to, the surest first."""
    soup = read_html(page)
    title = _title(soup)
    link = soup.select_one("a[rel~=license][href], link[rel~=license][href]")
    known = {"page": page.url, "title": title}
    stated = licence_id(str(link["href"])) if link else None
    seen = False
    for guess in _markup_guesses(soup, page, known):
        for found in probe.guarded(guess.url, verified(probe, guess)):
            seen = True
            yield replace(found, licence=found.licence or stated, title=found.title or title)
        if seen and guess.platform not in {"wordpress", "flux"}:
            return
    if len(linked_rows(page)) > 1:
        types = linked_types(page)
        guess = Guess("json_ld", page.url, "du JSON-LD dans la page", {"types": types}, known)
        for found in read(probe, guess, [page]):
            seen = True
            yield replace(found, licence=found.licence or stated)
    if (options := _repeated(soup)) is not None:
        evidence = f"des éléments répétés dans la page ({options['fiche']})"
        guess = Guess("html_listing", page.url, evidence, options, known)
        for found in read(probe, guess, [page]):
            seen = True
            note = "lue dans le HTML : une liste faite pour être reprise vaut mieux, la demander"
            yield replace(found, licence=found.licence or stated, notes=(note,), total=None)
    if not seen:
        plan = Guess("sitemap", urljoin(page.url, "/sitemap.xml"), "le plan du site", {}, known)
        yield from sitemap(probe, plan)


def _markup_guesses(soup: BeautifulSoup, page: Page, known: Mapping[str, Any]) -> Iterator[Guess]:
    """What the page says it is made with, then what it embeds or links to, the surest first."""
    generator = " ".join(str(m.get("content")) for m in soup.select("meta[name=generator]"))
    text = page.body.decode("utf-8", "replace")
    if "gogocarto" in text.lower():
        yield _guess(
            "gogocarto", page, "/api/elements.json", "la page d’une carte GoGoCarto", known
        )
    if edit := soup.select_one("link[rel=EditURI][href*='api.php']"):
        api = urljoin(page.url, str(edit["href"])).partition("?")[0]
        yield Guess("mediawiki_modele", api, "un lien EditURI vers l’API de MediaWiki", {}, known)
    elif "mediawiki" in generator.lower():
        yield _guess("mediawiki_modele", page, "/api.php", f"le générateur « {generator} »", known)
    if "discourse" in generator.lower():
        yield _guess("discourse", page, "/latest.json", f"le générateur « {generator} »", known)
    if "yeswiki" in text.lower() or "wakka.php" in text:
        base = page.url.partition("?")[0]
        yield Guess("yeswiki_bazar", f"{base}?api/forms", "une page de YesWiki", {}, known)
    yield from _embedded(soup, page, known)
    if routes := _wordpress_api(soup, page):
        yield Guess("wordpress", routes, "un lien vers l’API de WordPress (api.w.org)", {}, known)
    for feed in soup.select(
        "link[rel=alternate][href][type*='rss'], [rel=alternate][type*='atom']"
    )[:1]:
        url = urljoin(page.url, str(feed["href"]))
        yield Guess("flux", url, "un flux annoncé par la page (rel=alternate)", {}, known)


def _guess(platform: str, page: Page, path: str, evidence: str, known: Mapping[str, Any]) -> Guess:
    return Guess(platform, urljoin(page.url, path), evidence, {}, known)


def _wordpress_api(soup: BeautifulSoup, page: Page) -> str | None:
    link = soup.select_one("link[rel='https://api.w.org/'][href]")
    sent = re.search(r"<([^>]+)>;\s*rel=\"?https://api\.w\.org/", page.headers.get("link", ""))
    address = str(link["href"]) if link else sent[1] if sent else None
    if address is None:
        return None
    url = urljoin(page.url, address)
    return f"{url.rstrip('/')}/wp/v2"


def _embedded(soup: BeautifulSoup, page: Page, known: Mapping[str, Any]) -> Iterator[Guess]:
    """Maps in a frame, links to an API or to a file of data."""
    frames = [str(f["src"]) for f in soup.select("iframe[src]") if _is_address(str(f["src"]))]
    links = [str(a["href"]) for a in soup.select("a[href]") if _is_address(str(a["href"]))]
    guesses = 0
    for address in [*frames, *links]:
        url = urljoin(page.url, address)
        for guess in by_address(url):
            if address in links and guess.platform in {"discourse", "data_fair", "data_gouv"}:
                continue  # a link to another dataset of the portal, or to a topic
            guesses += 1
            evidence = f"{guess.evidence}, {'cadre' if address in frames else 'lien'} de la page"
            yield replace(
                guess, evidence=evidence, known={**known, **guess.known, "page": page.url}
            )
            break
        if guesses == 2:
            break
    for url in list(dict.fromkeys(urljoin(page.url, a) for a in links if _FILE.search(a)))[:2]:
        yield Guess(LINKED_FILE, url, "un fichier lié par la page", {}, known)


def _is_address(text: str) -> bool:
    try:
        return bool(urlsplit(text).path or urlsplit(text).query)
    except ValueError:
        return False


_FILE = re.compile(r"(?i)\.(?:geojson|csv|tsv|xlsx|ods)(?:$|\?)")


def _title(soup: BeautifulSoup) -> str | None:
    site = soup.select_one("meta[property='og:site_name'][content]")
    title = soup.select_one("title")
    return text_of(site["content"] if site else title.get_text(" ") if title else None)


_ITEMS = ("li", "article", "tr", "div", "section")


def _repeated(soup: BeautifulSoup) -> dict[str, Any] | None:
    """Options of `html_listing` for the elements that a page repeats the most, by their text."""
    groups: dict[tuple[int, str, str], list[Tag]] = {}
    for tag in soup.find_all(_ITEMS):
        if tag.find_parent(["nav", "header", "footer", "aside", "form"]) is None:
            name = next(iter(tag.get_attribute_list("class")), None) or ""
            groups.setdefault((id(tag.parent), tag.name, str(name)), []).append(tag)
    scored = [
        (sum(min(len(t.get_text(" ", strip=True)), 200) for t in tags), -rank, tags)
        for rank, tags in enumerate(groups.values())
        if len(tags) >= 3 and sum(1 for t in tags if t.find(_NAMES)) >= 0.8 * len(tags)
    ]
    if not scored:
        return None
    _, _, tags = max(scored, key=lambda item: item[:2])
    record = _selector(tags[0])
    items = soup.select(record)
    columns = {"nom": next(n for n in _NAMES if _met(items, n) >= 0.8)} if any(
        _met(items, n) >= 0.8 for n in _NAMES
    ) else {"nom": "."}  # fmt: skip
    if _met(items, "a[href]") >= 0.8:
        columns["lien"] = "a@href"
    for name in dict.fromkeys(_classes(items[0])):
        if name not in columns and _met(items, f".{name}") >= 0.6:
            columns[name] = f".{name}"
    return {"fiche": record, "champs": dict(itertools.islice(columns.items(), 10))}


_NAMES = ("h1", "h2", "h3", "h4", "h5", "h6", "strong", "a", "b", "td")


def _met(items: Sequence[Tag], selector: str) -> float:
    return sum(1 for item in items if item.select_one(selector)) / max(len(items), 1)


def _selector(tag: Tag) -> str:
    name = next(iter(tag.get_attribute_list("class")), None)
    if name and re.fullmatch(r"[A-Za-z][\w-]*", str(name)):
        return f"{tag.name}.{name}"
    parent = tag.parent
    if parent is None or parent.name in {"body", "[document]"}:
        return tag.name
    mark = parent.get("id")
    if mark and re.fullmatch(r"[A-Za-z][\w-]*", str(mark)):
        return f"#{mark} > {tag.name}"
    return f"{_selector(parent)} > {tag.name}"


def _classes(item: Tag) -> Iterator[str]:
    for tag in item.find_all(True):
        for name in tag.get_attribute_list("class"):
            if name and re.fullmatch(r"[A-Za-z][\w-]*", str(name)):
                yield str(name)
