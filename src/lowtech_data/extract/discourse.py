"""Discourse forums: the titles and addresses of topics, and the places that some describe.

Every list has its JSON: `/latest.json`, `/c/{slug}/{id}.json`, `/tag/{tag}.json`,
`/filter.json?q=…` give `{"topic_list": {"topics": […], "more_topics_url"}}`. The address of the
next page is a path to the web page, without `.json`, and is absent from the last one.

Messages belong to their authors: neither their text nor anybody's name is kept. One thing is read
in them, on demand: the card of a place that a forum asks for at the top of a topic, a
`<dl class="h-geo">`. Besides the columns of Discourse, rows hold:

| column | holds |
|---|---|
| `_url` | the public address of the topic |
| `lieu.X` | what the card says under `X`, in lower case without accents (`lieu.latitude`) |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from bs4 import Tag

from lowtech_data.extract.base import (
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    mask,
)
from lowtech_data.extract.decode import read_html, read_json
from lowtech_data.folding import fold
from lowtech_data.registry import Source, Strict

_TOPIC = ("id", "title", "slug", "created_at", "last_posted_at", "tags", "category_id")
"""What is read of the page of one topic: the rest is messages and their authors."""

_LISTS = ("tags", "machines")
"""Parts of the card of a place that hold several values."""

_ROUTE = re.compile(r"/(?:c|t|tags?|latest|top|hot|new|filter|categories\w*)(?=[/.]|$)")
_NOT_YET = re.compile(r"\W*(?:tbd)?\W*", re.IGNORECASE)
"""What stands where nobody has written anything yet."""


class Options(Strict):
    """What is read of each topic."""

    lieux: bool = False
    """Ask for each topic, and read the card of a place (`<dl class="h-geo">`) that its first
    message holds. A topic without one is no record."""


def _is_of_places(source: Source) -> bool:
    return Options.model_validate(source.options).lieux


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, "application/json"),)


def _follow(source: Source, page: Page) -> Sequence[Request]:
    if source.is_local:
        return ()
    document = _document(page)
    if "topic_list" not in document:
        return ()
    topics = document["topic_list"]["topics"]
    home = _home(source, page)
    details = [
        Request(f"{home}/t/{topic['id']}.json", "application/json", record=True)
        for topic in topics
        if _is_of_places(source) and _is_topic(topic)
    ]
    return (*details, *(_next(page, document["topic_list"]) if topics else ()))


def _next(page: Page, listing: Mapping[str, Any]) -> Sequence[Request]:
    more = listing.get("more_topics_url")
    if not more:
        return ()
    if not isinstance(more, str):
        raise PayloadError(
            f"« topic_list.more_topics_url » : attendu une adresse, trouvé {type(more).__name__}"
        )
    parts = urlsplit(urljoin(page.url, more))
    if not parts.path.endswith(".json"):
        parts = parts._replace(path=f"{parts.path.rstrip('/')}.json")
    url = urlunsplit(parts)
    if url == page.url:
        raise PayloadError("« more_topics_url » ramène à la même page : la pagination n’avance pas")
    return (Request(url, "application/json"),)


def _document(page: Page) -> Mapping[str, Any]:
    """A list of topics, or a topic. Raises `PayloadError` for anything else."""
    document = read_json(page)
    if isinstance(document, Mapping):
        listing, stream = document.get("topic_list"), document.get("post_stream")
        if isinstance(listing, Mapping) and isinstance(listing.get("topics"), list):
            return document
        if isinstance(stream, Mapping) and isinstance(stream.get("posts"), list):
            return document
    raise PayloadError(
        "attendu une liste de sujets Discourse (« topic_list.topics ») ; trouvé :"
        f" {_told(document)}"
    )


def _told(document: Any) -> str:
    if not isinstance(document, Mapping):
        return type(document).__name__
    if errors := document.get("errors"):
        said = " ; ".join(map(str, errors)) if isinstance(errors, list) else str(errors)
        return f"l’erreur {mask(str(document.get('error_type', 'sans nom')))} ({mask(said)})"
    return ", ".join(map(str, document))[:200] or "un objet vide"


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    document = _document(page)
    home = _home(source, page)
    if "topic_list" in document:
        if not _is_of_places(source):
            yield from _topics(document["topic_list"]["topics"], home)
    elif _is_of_places(source):
        yield _described(document, home)
    else:
        raise PayloadError(
            "attendu une liste de sujets Discourse, trouvé un sujet ; donner l’adresse de la liste,"
            " ou demander lieux: true"
        )


def _topics(topics: Sequence[Any], home: str) -> Iterator[Row | Unreadable]:
    for index, topic in enumerate(topics):
        pointer = f"/topic_list/topics/{index}"
        if _is_topic(topic):
            yield Row(pointer, _values(topic, home))
        else:
            yield Unreadable(pointer, "enregistrement_inattendu", type(topic).__name__)


def _is_topic(topic: Any) -> bool:
    return isinstance(topic, Mapping) and type(topic.get("id")) is int


def _values(topic: Mapping[str, Any], home: str) -> dict[str, Any]:
    values = dict(topic)
    tags = topic.get("tags")
    values["tags"] = [
        tag.get("name") if isinstance(tag, Mapping) else tag
        for tag in (tags if isinstance(tags, list) else ())
    ]
    slug = str(topic.get("slug") or "").strip("/")
    values["_url"] = "/".join(filter(None, (home, "t", slug, str(topic["id"])))) if home else None
    return values


def _home(source: Source, page: Page) -> str:
    """The address of the forum, which may be in a folder of its site; empty when nothing tells."""
    address = page.url if page.url.startswith(("https://", "http://")) else source.page or ""
    parts = urlsplit(address)
    route = _ROUTE.search(parts.path)
    folder = parts.path[: route.start()] if route else parts.path.rpartition("/")[0]
    return urlunsplit((parts.scheme, parts.netloc, folder, "", "")) if parts.netloc else ""


def _described(topic: Mapping[str, Any], home: str) -> Row | Unreadable:
    if not _is_topic(topic):
        return Unreadable("", "enregistrement_inattendu", type(topic.get("id")).__name__)
    for index, post in enumerate(topic["post_stream"]["posts"]):
        if isinstance(post, Mapping) and post.get("post_number") == 1:
            pointer = f"/post_stream/posts/{index}"
            place = _place(str(post.get("cooked") or ""))
            if place is None:
                return Unreadable(pointer, "lieu_absent")
            kept = {name: topic[name] for name in _TOPIC if name in topic}
            return Row(pointer, {**_values(kept, home), "lieu": place})
    return Unreadable("/post_stream/posts", "premier_message_absent")


def _place(markup: str) -> dict[str, Any] | None:
    """The card of a place in a message, by folded label; nothing when there is none."""
    if "h-geo" not in markup:
        return None
    document = read_html(Page("", f"<html><body>{markup}".encode(errors="replace"), ""))
    card = document.select_one("dl.h-geo")
    if card is None:
        return None
    for name in card.select("a.mention, .mention, a[href*='/u/']"):
        name.decompose()
    found: dict[str, list[str]] = {}
    label = ""
    for part in card.select("dt, dd"):
        if part.name == "dt":
            label = re.sub(r"\W+", "_", fold(part.get_text(" "))).strip("_")[:40]
        elif label:
            found.setdefault(label, []).append(_said(label, part))
    return {name: _one_or_all(name, values) for name, values in found.items()}


def _said(label: str, part: Tag) -> str:
    link = part.select_one("a[href^='http']") if label == "site" else None
    if link:
        return str(link["href"]).strip()
    for line_break in part.select("br"):
        line_break.replace_with(", ")
    text = re.sub(r"(?:\s*,)+", ",", " ".join(part.get_text(" ").split())).strip(", ")
    return "" if _NOT_YET.fullmatch(text) else text


def _one_or_all(name: str, values: Sequence[str]) -> str | list[str]:
    if name not in _LISTS:
        return "; ".join(filter(None, values))
    parts = [part.strip(" #") for text in values for part in re.split(r"[,;/]", text)]
    return [part for part in parts if not _NOT_YET.fullmatch(part)]


PLATFORM = Platform(
    name="discourse",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    mapping={
        "cle_source": "id",
        "nom": "title",
        "url": "_url",
        "date_publication": "created_at",
        "date_maj": "last_posted_at",
        "categories": ["tags", "lieu.tags", "lieu.machines"],
        "site_web": "lieu.site",
        "adresse": "lieu.adresse",
        "latitude": "lieu.latitude",
        "longitude": "lieu.longitude",
    },
    # What Discourse and its usual plugins say of a topic besides: counts, states, images.
    ignored=frozenset(
        {
            "archetype", "archived", "bookmarked", "bumped*", "can_have_answer", "can_vote",
            "category_id", "closed", "fancy_title", "featured_link*", "has_accepted_answer",
            "has_summary", "highest_post_number", "image_url", "is_hot", "is_warning", "last_read*",
            "like_count", "liked", "new_posts", "notification_level", "op_*", "pinned*",
            "posts_count", "reply_count", "slug", "tags_descriptions*", "thumbnails*",
            "unicode_title", "unpinned", "unread*", "unseen", "views", "visible", "vote_count",
        }
    ),
    personal=frozenset(
        {
            "allowed_user*", "assigned_to*", "author*", "created_by*", "excerpt",
            "first_post*", "last_poster*", "lieu.contact*", "lieu.referent*", "lieu.responsable*",
            "liked_post_numbers", "participant*", "posters*", "user*",
        }
    ),
)  # fmt: skip
