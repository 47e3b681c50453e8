"""The API of a MediaWiki: the pages of a category, their wikitext, the templates in it.

The members of a category are listed, then their contents are asked for by lots. Answers of
MediaWiki 1.31 and later are read, in `formatversion` 1 and 2. How a page becomes a record is the
matter of `mediawiki_dokit` and `mediawiki_modele`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import pairwise
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from pydantic import Field

from lowtech_data.extract.base import Page, PayloadError, Request, Unreadable
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import Strict

_LANGUAGES = frozenset(
    re.findall(
        r"[a-z]{2}",
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs "
        "cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha "
        "he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn "
        "ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb "
        "nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd "
        "se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw "
        "ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu ",
    )
)
"""ISO 639-1 codes: the names of translation subpages, with or without a variant (`pt-br`)."""

_URL_SAFE = ";@$!*(),/~:"
"""Characters that MediaWiki leaves as they are in the path of a page."""

_API_FORMAT = {"action": "query", "format": "json", "formatversion": "2"}


class ApiOptions(Strict):
    """What the API is asked for."""

    categorie: str
    """The category that holds the pages; canonical namespace names work in every language."""
    lot: Annotated[int, Field(gt=0, le=50)] = 50
    """Pages per request for contents (the API takes 50 at most)."""
    rvslots: bool = False
    """Ask for the `main` slot: MediaWiki 1.32 and later."""
    chemin_page: str = "/wiki/"
    """Path of a page on the site, before its title."""


@dataclass(frozen=True, slots=True)
class WikiPage:
    """One page of the wiki, as its last revision has it."""

    pointer: str
    page_id: int | None
    title: str
    url: str
    language: str | None
    """As the wiki declares it."""
    revision: int | None
    timestamp: str | None
    wikitext: str


def is_api(url: str) -> bool:
    """Whether an address is that of an API, and not of a page."""
    return urlsplit(url).path.endswith("api.php")


def members_request(url: str, options: ApiOptions) -> Request:
    """The first request: the members of the category."""
    members = {
        "list": "categorymembers",
        "cmtitle": options.categorie,
        "cmtype": "page",
        "cmlimit": "500",
    }
    return _query(url, members)


def _query(url: str, parameters: Mapping[str, str]) -> Request:
    base = url.partition("?")[0]
    return Request(f"{base}?{urlencode({**_API_FORMAT, **parameters})}", "application/json")


def following(page: Page, options: ApiOptions) -> Sequence[Request]:
    """The requests that an answer leads to: contents of its members, and what continues it.

    Raises `PayloadError` when the page is no answer of the API.
    """
    answer = _answer(page)
    query = answer.get("query") or {}
    requests = []
    if "categorymembers" in query:
        ids = _page_ids(query["categorymembers"])
        lots = [ids[start : start + options.lot] for start in range(0, len(ids), options.lot)]
        requests = [_query(page.url, _content_parameters(options, lot)) for lot in lots]
    if continued := answer.get("continue"):
        asked = dict(_parameters(page.url))
        requests.append(_query(page.url, {**asked, **{k: str(v) for k, v in continued.items()}}))
    return requests


def _page_ids(members: Any) -> list[str]:
    try:
        return [str(int(member["pageid"])) for member in members]
    except (TypeError, ValueError, LookupError) as error:
        raise PayloadError("liste de pages inattendue : membre sans « pageid »") from error


def _content_parameters(options: ApiOptions, ids: Sequence[str]) -> dict[str, str]:
    parameters = {
        "prop": "revisions|info",
        "inprop": "url",
        "rvprop": "content|timestamp|ids",
        "pageids": "|".join(ids),
    }
    return {**parameters, "rvslots": "main"} if options.rvslots else parameters


def _parameters(url: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, urlsplit(url).query.split("&")):
        key, _, value = part.partition("=")
        yield unquote(key), unquote(value.replace("+", " "))


def _answer(page: Page) -> Mapping[str, Any]:
    answer = read_json(page)
    if not isinstance(answer, Mapping):
        raise PayloadError(f"attendu un objet de l’API MediaWiki, trouvé {type(answer).__name__}")
    if error := answer.get("error"):
        parts = [error.get(k) for k in ("code", "info")] if isinstance(error, Mapping) else [error]
        reason = " : ".join(str(part)[:200] for part in parts if part)
        raise PayloadError(f"l’API MediaWiki refuse la requête : {reason}")
    is_known = any(key in answer for key in ("query", "batchcomplete", "continue"))
    if not is_known or not all(
        isinstance(answer.get(key) or {}, Mapping) for key in ("query", "continue")
    ):
        raise PayloadError(f"réponse inattendue de l’API : {', '.join(map(str, answer))[:200]}")
    return answer


def wiki_pages(page: Page, options: ApiOptions) -> Iterator[WikiPage | Unreadable]:
    """The pages whose content an answer holds, and those whose content is gone.

    An answer of members alone holds none. Raises `PayloadError` when the page is no answer of the
    API.
    """
    answer = _answer(page)
    pages = (answer.get("query") or {}).get("pages") or []
    if not isinstance(pages, Mapping | list):
        raise PayloadError(f"réponse inattendue de l’API : query.pages vaut {pages!r}"[:200])
    is_split = "continue" in answer or "continue" in dict(_parameters(page.url))
    for index, item in enumerate(pages.values() if isinstance(pages, Mapping) else pages):
        if not isinstance(item, Mapping):
            yield Unreadable(f"/query/pages/{index}", "enregistrement_inattendu")
            continue
        pointer = f"/query/pages/{item.get('pageid', index)}"
        revisions = item.get("revisions")
        if _flagged(item, "missing"):
            yield Unreadable(pointer, "page_supprimee")
        elif _flagged(item, "redirect"):
            yield Unreadable(pointer, "redirection", str(item.get("title", "")))
        elif isinstance(revisions, list) and revisions and isinstance(revisions[0], Mapping):
            yield _wiki_page(page, options, pointer, item, revisions[0])
        elif not is_split:
            yield Unreadable(pointer, "contenu_absent")
        # An answer in several parts names every page in each part, with its content in one only.


def _flagged(item: Mapping[str, Any], name: str) -> bool:
    """A flag of the API: there or not, empty in `formatversion` 1 and `true` in 2."""
    return item.get(name, False) not in {False, None}


def _wiki_page(
    page: Page,
    options: ApiOptions,
    pointer: str,
    item: Mapping[str, Any],
    revision: Mapping[str, Any],
) -> WikiPage:
    title = str(item.get("title", ""))
    return WikiPage(
        pointer=pointer,
        page_id=item.get("pageid"),
        title=title,
        url=str(item.get("fullurl") or urljoin(page.url, page_path(title, options))),
        language=item.get("pagelanguage"),
        revision=revision.get("revid"),
        timestamp=revision.get("timestamp"),
        wikitext=_content(revision),
    )


def page_path(title: str, options: ApiOptions) -> str:
    """Path of a page on the site, as MediaWiki writes it."""
    return options.chemin_page + quote(title.replace(" ", "_"), safe=_URL_SAFE)


def _content(revision: Mapping[str, Any]) -> str:
    """Wikitext of a revision: in its slot since MediaWiki 1.32, under `*` in formatversion 1."""
    slots = revision.get("slots")
    main = slots.get("main") if isinstance(slots, Mapping) else None
    holder = main if isinstance(main, Mapping) else revision
    return str(holder.get("content", holder.get("*", "")))


def subpage_language(title: str) -> str | None:
    """The language that the name of a subpage is (`Poêle/pt-br`); `None` for any other title."""
    code = title.rpartition("/")[2] if "/" in title else ""
    return code if code.partition("-")[0] in _LANGUAGES else None


def template_name(written: str) -> str:
    """The name of a template as MediaWiki compares it: spaces, and a capital to begin with."""
    name = " ".join(written.replace("_", " ").split())
    return name[:1].upper() + name[1:]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a template that is given parameters."""

    name: str
    """As `template_name` writes it."""
    written: Sequence[str]

    def parameters(self) -> dict[str, str]:
        """Readable text of the named parameters: markup removed, link labels kept.

        Of a parameter given twice the last value holds, as in MediaWiki.
        """
        named = (part.partition("=") for part in self.written)
        return {key.strip(): _plain(value) for key, equal, value in named if equal}


@dataclass(slots=True)
class _Open:
    """A call or a link that is not closed yet: where it opens, and where its parts are."""

    mark: str
    start: int
    bounds: list[int]
    """Where the first part begins, then where each part ends."""


def template_calls(wikitext: str) -> Sequence[Call]:
    """The calls of templates that are inside no other one, in the order of the text.

    Of a call that is never closed, the last parameter is unknown, and calls in it are kept.
    """
    text = re.sub(r"<!--.*?(?:-->|\Z)", "", wikitext, flags=re.DOTALL)
    met: list[_Open] = []
    stack: list[_Open] = []
    for token in re.finditer(r"\{\{|\}\}|\[\[|\]\]|\|", text):
        mark = token.group()
        if mark in {"{{", "[["}:
            stack.append(_Open(mark, token.start(), [token.end()]))
        elif mark == "|" and stack and stack[-1].mark == "{{":
            stack[-1].bounds.append(token.start())
        elif mark == "]]" and stack and stack[-1].mark == "[[":
            stack.pop()
        elif mark == "}}" and any(one.mark == "{{" for one in stack[-2:]):
            if stack[-1].mark == "[[":
                # A link that was never closed ends with the call around it.
                stack.pop()
            stack[-1].bounds.append(token.start())
            met.append(stack.pop())
    calls: list[Call] = []
    end = 0
    for call in sorted([*met, *stack], key=lambda one: one.start):
        # The first part is the name.
        if len(call.bounds) > 2 and call.start >= end:
            end = call.bounds[-1]
            calls.append(_call(text, call.bounds))
    return calls


def _call(text: str, bounds: Sequence[int]) -> Call:
    name, *parameters = (text[start:end] for start, end in pairwise(bounds))
    # After the name, each part begins with the bar that ended the one before.
    return Call(template_name(name), [part[1:] for part in parameters])


def _plain(wikitext: str) -> str:
    """Readable text of a wikitext: link labels kept, tags and quotes of emphasis removed."""
    # No pattern may cross an opening bracket: unclosed ones would make it quadratic.
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]", r"\1", wikitext)
    text = re.sub(r"\[https?://[^\s\[\]]+\s+([^\[\]]*)\]", r"\1", text)
    text = re.sub(r"<[^<>]*>", " ", text)
    return " ".join(unescape(re.sub("'{2,}", "", text)).split())
