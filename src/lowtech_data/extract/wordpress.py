"""WordPress sites, by the REST API that every one of them has unless it was closed.

`GET …/wp-json/wp/v2/{posts|pages|a type of the site}` gives a bare list; the headers `X-WP-Total`
and `X-WP-TotalPages` say how many records and pages there are. Titles and excerpts are HTML, given
here as plain text under their own path (`title.rendered`). Fields of the site itself (ACF, `meta`)
are reached by theirs (`acf.adresse`). Besides the columns of WordPress, rows hold:

| column | holds |
|---|---|
| `_termes` | names of all categories, tags and terms of the record |
| `_taxonomies.X` | names of its terms in the taxonomy `X` (`category`, `post_tag`…) |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import Field, field_validator

from lowtech_data.extract.base import (
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    columns_of,
    mask,
)
from lowtech_data.extract.decode import plain_text, read_json
from lowtech_data.registry import Source, Strict

_MAPPING = {
    "cle_source": "id",
    "nom": "title.rendered",
    "description": "excerpt.rendered",
    "url": "link",
    "categories": "_termes",
    "date_maj": "modified",
    "date_publication": "date",
}
_COMPUTED = frozenset({"_termes", "_taxonomies"})
_OWN_PARAMETERS = frozenset({"page", "per_page", "offset", "context"})


class Options(Strict):
    """What the server is asked for."""

    contenu: Annotated[str, Field(pattern=r"^[\w-]+(/[\w-]+)*$")] = "posts"
    """Last part of the route: `posts`, `pages`, or the name that a type of the site has there."""
    lot: Annotated[int, Field(ge=1, le=100)] = 100
    """Records per page: WordPress gives 100 at most."""
    parametres: dict[str, str | int | list[str | int]] = Field(default_factory=dict)
    """Parameters of every request: `{categories: [3, 5], lang: fr}`."""
    toutes_colonnes: bool = False
    """Ask for every column, not only for those that are read: shows the ones that a site has."""

    @field_validator("parametres")
    @classmethod
    def _left_to_the_reader(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name in parameters:
            if name.startswith("_") or name in _OWN_PARAMETERS:
                raise ValueError(
                    f"paramètre réservé {name!r} : la pagination et le choix des colonnes se font"
                    " d’eux-mêmes (voir lot, toutes_colonnes)"
                )
        return parameters


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url) if source.is_local else _request(source, 1),)


def _request(source: Source, number: int) -> Request:
    options = _options(source)
    parts = urlsplit(source.url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "rest_route" in query:
        # How sites without rewritten addresses name a route.
        query["rest_route"] = f"{query['rest_route'].rstrip('/')}/{options.contenu}"
    else:
        parts = parts._replace(path=f"{parts.path.rstrip('/')}/{options.contenu}")
    # By identifier, a record added meanwhile goes last and moves no other to another page.
    query |= {"orderby": "id", "order": "asc"}
    query |= {name: _joined(value) for name, value in options.parametres.items()}
    query |= {"per_page": str(options.lot), "page": str(number)}
    columns = _columns(source)
    if options.toutes_colonnes or columns & _COMPUTED:
        query["_embed"] = "wp:term"
    if not options.toutes_colonnes:
        query["_fields"] = ",".join(_asked(columns - set(source.ecarter)))
    return Request(urlunsplit(parts._replace(query=urlencode(query))), "application/json")


def _joined(value: str | int | list[str | int]) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _columns(source: Source) -> set[str]:
    """Columns that are read, by the first step of their path."""
    own = (path for target, path in _MAPPING.items() if target not in source.champs)
    return columns_of(source) | {path.partition(".")[0] for path in own}


def _asked(columns: set[str]) -> list[str]:
    # Terms are embedded through their links, and no other link is asked for: not the author's.
    terms = ["_embedded.wp:term", "_links.wp:term"] if columns & _COMPUTED else []
    return terms + sorted(columns - _COMPUTED)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if source.is_local:
        return ()
    # Read here, so that an error told as a success is refused before anything else is asked for.
    met = len(_records(page))
    number = _whole(parse_qs(urlsplit(page.url).query).get("page", [""])[-1]) or 1
    pages = _whole(page.headers.get("x-wp-totalpages", ""))
    if pages is None and met == _options(source).lot:
        # Some caches drop the headers. When nothing follows a full page, asking for it is an error
        # of the server and fails the harvest; stopping would lose records and tell nobody.
        pages = number + 1
    return (_request(source, number + 1),) if number < (pages or 1) else ()


def _announced(page: Page) -> int | None:
    return _whole(page.headers.get("x-wp-total", ""))


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else None


def _records(page: Page) -> Sequence[Any]:
    document = read_json(page)
    if isinstance(document, list):
        return document
    raise PayloadError(f"attendu une liste de contenus WordPress ; trouvé : {_told(document)}")


def _told(document: Any) -> str:
    """What another answer of WordPress is: an error, the index of its routes, one record."""
    if not isinstance(document, Mapping):
        return type(document).__name__
    code, message = document.get("code"), document.get("message")
    if code == "rest_no_route":
        return "aucune route à cette adresse (rest_no_route) : vérifier url et contenu"
    if code is not None:
        return f"l’erreur {mask(str(code))} ({mask(plain_text(str(message)))})"
    if "routes" in document:
        return "l’index des routes : donner dans url l’adresse qui finit par /wp/v2"
    return f"un objet ({', '.join(map(str, document))[:100] or 'vide'})"


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    for index, record in enumerate(_records(page)):
        if isinstance(record, Mapping):
            yield Row(f"/{index}", _values(record))
        else:
            yield Unreadable(f"/{index}", "enregistrement_inattendu", type(record).__name__)


def _values(record: Mapping[str, Any]) -> dict[str, Any]:
    # An empty list is also how PHP writes an object without keys.
    values = {key: _shown(value) for key, value in record.items() if value != []}
    values.pop("_links", None)
    embedded = values.pop("_embedded", None)
    taxonomies: dict[str, list[str]] = {}
    for taxonomy, name in _terms(embedded):
        taxonomies.setdefault(taxonomy, []).append(name)
    if taxonomies:
        values["_taxonomies"] = taxonomies
        values["_termes"] = [name for names in taxonomies.values() for name in names]
    return values


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("rendered"), str):
        return {**value, "rendered": plain_text(value["rendered"])}
    return value


def _terms(embedded: Any) -> Iterator[tuple[str, str]]:
    """Taxonomy and name of each term; a term that the server would not show is an error object."""
    lists = embedded.get("wp:term") if isinstance(embedded, Mapping) else None
    for terms in lists if isinstance(lists, list) else ():
        for term in terms if isinstance(terms, list) else ():
            name = term.get("name") if isinstance(term, Mapping) else None
            if isinstance(name, str) and name.strip():
                yield str(term.get("taxonomy")), plain_text(name)


PLATFORM = Platform(
    name="wordpress",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    announced=_announced,
    mapping=dict(_MAPPING),
    ignored=frozenset(
        {
            "_taxonomies*",
            "categories",
            "class_list",
            "comment_status",
            "content*",
            "date_gmt",
            "excerpt.protected",
            "featured_media*",
            "format",
            "generated_slug",
            "guid*",
            "jetpack_*",
            "menu_order",
            "modified_gmt",
            "parent",
            "password",
            "permalink_template",
            "ping_status",
            "slug",
            "status",
            "sticky",
            "tags",
            "template",
            "type",
        }
    ),
    personal=frozenset(
        {
            "aioseo_head*",
            "author*",
            "coauthors*",
            "post_author*",
            "uagb_author_info*",
            "uagb_comment_info",
            "yoast_head*",
        }
    ),
)
