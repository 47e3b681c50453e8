"""The front of the site: which requests are heard, and the headers every answer carries."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lowtech_data.site.guard import BusyError, SqlTurns
from lowtech_data.site.release import Switch
from lowtech_data.site.style import STYLE_HASH

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

MAX_URL_BYTES = 22_000
"""Longer than the longest SQL we run, shorter than what a server is asked to keep."""
SQL_WALL_S = 4.0
"""A question whose thread does not come back is answered without it."""
WEIGHT_MARK = b"%poids%"
"""Where the footer states the page's own weight, known only once it is made."""

SECURITY_HEADERS: Headers = [
    (
        b"content-security-policy",
        (
            f"default-src 'none'; style-src '{STYLE_HASH}'; img-src data:; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        ).encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), camera=(), microphone=(), interest-cohort=()"),
]
_OWN_HEADERS = frozenset(name for name, _ in SECURITY_HEADERS) | {
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"etag",
    b"link",
    b"set-cookie",
    b"vary",
}
_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BAD_PATH = re.compile(rb"^//|\\|%5c|%0[0-9a-f]|%1[0-9a-f]|%7f|[\x00-\x1f\x7f]", re.IGNORECASE)
_HOST = re.compile(r"^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$|^\[[0-9A-Fa-f:]{2,45}\](:\d{1,5})?$")
_TEXT = (b"text/", b"application/json", b"application/geo+json", b"application/xml")


class Front:
    """ASGI: refuses what is not a reading of ours, passes the rest to the current release."""

    def __init__(self, switch: Switch, *, public_url: str | None = None) -> None:
        """In front of `switch`; `public_url` fixes scheme and host of absolute addresses."""
        self._switch = switch
        self._turns = SqlTurns()
        self._public = urlsplit(public_url) if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def close(self) -> None:
        """Close the releases that are open, after what is under way."""
        await self._switch.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(scope)
        if refusal:
            await _refuse(scope, send, *refusal)
            return
        answer = _Answer(scope, send)
        async with self._switch.current() as site:
            etag = f'"{site.tag}"'.encode()
            answer.etag = etag
            if etag in _header(scope, b"if-none-match"):
                await answer.not_modified()
                return
            inner = self._inner_scope(scope)
            if not _is_free_sql(scope):
                await site.app(inner, receive, answer.collect)
                return
            try:
                async with (
                    self._turns.turn((scope.get("client") or ("",))[0]),
                    asyncio.timeout(SQL_WALL_S),
                ):
                    await site.app(inner, receive, answer.collect)
            except (BusyError, TimeoutError):
                if not answer.started:
                    await _refuse(
                        scope,
                        send,
                        503,
                        "Trop de questions à la fois. Réessayez dans quelques secondes, "
                        "ou téléchargez la base : /donnees",
                        [(b"retry-after", b"5")],
                    )

    def _inner_scope(self, scope: Scope) -> Scope:
        """The request without what could make two readers' answers differ."""
        dropped = {b"cookie", b"authorization", b"if-none-match"}
        headers = [(k, v) for k, v in scope["headers"] if k.lower() not in dropped]
        inner = dict(scope, headers=headers)
        if scope["method"] == "HEAD" and not _is_download(scope):
            # The length and the headers must be those of the whole answer.
            inner["method"] = "GET"
        if self._public:
            inner["scheme"] = self._public.scheme
            inner["headers"] = [(k, v) for k, v in headers if k.lower() != b"host"]
            inner["headers"].append((b"host", self._public.netloc.encode()))
        return inner


def _raw_path(scope: Scope) -> bytes:
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8")
    return raw.partition(b"?")[0]


def _header(scope: Scope, name: bytes) -> bytes:
    return b", ".join(value for key, value in scope["headers"] if key.lower() == name)


def _is_free_sql(scope: Scope) -> bool:
    if not scope["path"].startswith("/lowtech"):
        return False
    query = scope["query_string"].decode("latin-1")
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    return any(name == "sql" or name.startswith("_where") for name in names)


def _refusal(scope: Scope) -> tuple[int, str, Headers] | None:
    """Why a request is not heard, before anything reads it further."""
    path = _raw_path(scope)
    if scope["method"] not in _METHODS:
        return 405, "Ce site se lit seulement : GET ou HEAD.", [(b"allow", b"GET, HEAD, OPTIONS")]
    if len(path) + len(scope["query_string"]) > MAX_URL_BYTES:
        return 414, f"Adresse trop longue : {MAX_URL_BYTES} octets au plus.", []
    if _BAD_PATH.search(path):
        return 400, "Adresse mal formée.", []
    host = _header(scope, b"host").decode("latin-1")
    if host and not _HOST.match(host):
        return 400, "En-tête Host mal formé.", []
    return None


async def _refuse(
    scope: Scope, send: Send, status: int, message: str, extra: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    as_json = scope["path"].endswith("json")
    body = (
        json.dumps({"ok": False, "error": message, "status": status}, ensure_ascii=False)
        if as_json
        else message + "\n"
    ).encode()
    kind = b"application/json" if as_json else b"text/plain"
    headers = [
        *SECURITY_HEADERS,
        (b"content-type", kind + b"; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class _Answer:
    """One answer on its way out: whole texts are weighed and compressed, files pass through."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message = {}
        self._body = bytearray()
        self._through = False
        self.started = False
        self.etag = b""

    async def not_modified(self) -> None:
        """Tell the reader to keep what it has."""
        headers = [*SECURITY_HEADERS, (b"etag", self.etag), (b"vary", b"Accept-Encoding")]
        await self._send({"type": "http.response.start", "status": 304, "headers": headers})
        await self._send({"type": "http.response.body", "body": b""})

    async def collect(self, message: Message) -> None:
        """Take one message of the application."""
        if message["type"] == "http.response.start":
            self._start = message
            self._through = not _content_type(message).startswith(_TEXT) or _is_download(
                self._scope
            )
            if self._through:
                length = [(k, v) for k, v in message["headers"] if k.lower() == b"content-length"]
                await self._begin([*self._headers(), *length])
            return
        if self._through:
            if self._scope["method"] == "HEAD":
                message = {**message, "body": b""}
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            await self._finish()

    async def _begin(self, headers: Headers) -> None:
        self.started = True
        status = self._start["status"]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _finish(self) -> None:
        body = bytes(self._body)
        if _content_type(self._start).startswith(b"text/html"):
            body = _with_weight(body)
        headers = self._headers()
        if len(body) > 200 and _accepts_gzip(_header(self._scope, b"accept-encoding")):
            body = gzip.compress(body, 6, mtime=0)
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await self._begin(headers)
        if self._scope["method"] == "HEAD":
            body = b""
        await self._send({"type": "http.response.body", "body": body})

    def _headers(self) -> Headers:
        headers = [
            (name, value)
            for name, value in self._start["headers"]
            if name.lower() not in _OWN_HEADERS and not _leads_away(name, value)
        ]
        headers += [*SECURITY_HEADERS, (b"vary", b"Accept-Encoding")]
        if self._start["status"] in (200, 206):
            headers += [(b"etag", self.etag), (b"cache-control", b"public, max-age=300")]
        elif self._start["status"] in (301, 404, 410):
            headers.append((b"cache-control", b"public, max-age=60"))
        else:
            headers.append((b"cache-control", b"no-store"))
        return headers


def _content_type(start: Message) -> bytes:
    for name, value in start["headers"]:
        if name.lower() == b"content-type":
            return bytes(value)
    return b""


def _is_download(scope: Scope) -> bool:
    return bool(scope["path"].startswith("/telechargements/"))


def _leads_away(name: bytes, value: bytes) -> bool:
    return name.lower() == b"location" and (
        not value.startswith(b"/") or value[1:2] in (b"/", b"\\")
    )


def _accepts_gzip(accept: bytes) -> bool:
    for part in accept.split(b","):
        coding, _, weight = part.strip().partition(b";")
        if coding.strip().lower() in (b"gzip", b"*"):
            return not re.fullmatch(rb"\s*q=0(\.0*)?\s*", weight)
    return False


def _with_weight(body: bytes) -> bytes:
    """The page with its compressed weight, which the figure itself is part of."""
    before, mark, after = body.rpartition(WEIGHT_MARK)
    if not mark:
        return body
    stated, page = b"", before + after
    for _ in range(4):
        weight = f"{len(gzip.compress(page, 6, mtime=0)) / 1000:.1f}".replace(".", ",").encode()
        if weight == stated:
            break
        stated, page = weight, before + weight + after
    return page
