"""Any MediaWiki whose pages say what they are in a template: `{{Commun|url=…|location=…}}`.

A record is a page of the category; its columns are the named parameters of the template, as the
wiki spells them (MediaWiki tells capitals apart), and these:

| column | holds |
|---|---|
| `_page_id`, `_titre`, `_url`, `_langue` | the page, as the wiki knows it |
| `_date_maj`, `_revision` | its last revision |
| `_modeles` | the templates that were read |
| `_attribution`, `_identifiants` | who is credited: the page, never its authors |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from pydantic import field_validator

from lowtech_data.extract.base import Page, Platform, Request, Row, Unreadable
from lowtech_data.extract.mediawiki import (
    ApiOptions,
    WikiPage,
    following,
    members_request,
    subpage_language,
    template_calls,
    template_name,
    wiki_pages,
)
from lowtech_data.registry import Source


class Options(ApiOptions):
    """Which pages of the wiki, and which of their templates."""

    modeles: tuple[str, ...] = ()
    """Templates that are read, in order: a parameter that two of them have is the first one's.
    Without them: every template of a page that is inside no other one."""

    @field_validator("modeles")
    @classmethod
    def _as_compared(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(template_name, names))


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    return (members_request(source.url, _options(source)),)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    return following(page, _options(source))


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    for item in wiki_pages(page, options):
        yield item if isinstance(item, Unreadable) else _row(source, options, item)


def _row(source: Source, options: Options, wiki: WikiPage) -> Row | Unreadable:
    language = subpage_language(wiki.title)
    # Without this, `Essai/fr` would be a second `Essai`; `Poêle / De masse` is no translation.
    if language and language == (wiki.language or "").casefold():
        return Unreadable(wiki.pointer, "sous_page_traduction", wiki.title)
    calls = template_calls(wiki.wikitext)
    if options.modeles:
        wanted = {name: rank for rank, name in enumerate(options.modeles)}
        calls = sorted((c for c in calls if c.name in wanted), key=lambda c: wanted[c.name])
    parameters: dict[str, str] = {}
    for call in calls:
        parameters = {**call.parameters(), **parameters}
    if not parameters:
        return Unreadable(wiki.pointer, "modele_absent", wiki.title)
    host = urlsplit(wiki.url).hostname
    return Row(
        wiki.pointer,
        {
            **parameters,
            "_page_id": wiki.page_id,
            "_titre": wiki.title,
            "_url": wiki.url,
            "_langue": wiki.language,
            "_date_maj": wiki.timestamp,
            "_revision": wiki.revision,
            "_modeles": list(dict.fromkeys(call.name for call in calls)),
            "_attribution": f"Page « {wiki.title} », {source.nom}",
            "_identifiants": [f"{host}={wiki.page_id}"] if host else [],
        },
    )


PLATFORM = Platform(
    name="mediawiki_modele",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    mapping={
        "cle_source": "_page_id",
        "nom": "_titre",
        "url": "_url",
        "langue": "_langue",
        "date_maj": "_date_maj",
        "attribution": "_attribution",
        "identifiants": "_identifiants",
    },
    ignored=frozenset({"_revision", "_modeles"}),
    personal=frozenset(
        f"{name}{plural}"
        for name in ("author", "Author", "auteur", "Auteur", "contributor", "contributeur")
        for plural in ("", "s")
    ),
)
