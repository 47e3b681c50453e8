"""Web servers on loopback, one address per host, that keep a log of what they are asked.

Every host has its own address in 127.0.0.0/8, so that a client sees as many machines as there are
hosts; all have the same port, as on the web. What a path answers is a function of its query; faults
are put in front of it, and used up one by one.
"""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ROBOTS = "/robots.txt"
EVERYTHING_FORBIDDEN = "User-agent: *\nDisallow: /\n"

LATENCY_S = 0.01
"""Time that every answer takes, so that two requests at once cannot pass for one after another."""

PACKED_FROM = 1_000
"""Bytes from which an answer is sent compressed to whoever accepts it."""

_MODIFIED = formatdate(1_740_000_000, usegmt=True)


@dataclass(frozen=True, slots=True)
class Resource:
    """What stands at an address."""

    body: bytes = b""
    media_type: str = "application/json; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    validators: frozenset[str] = frozenset({"ETag", "Last-Modified"})
    """Those that the server sends, and obeys when they come back."""

    def validating(self) -> dict[str, str]:
        """The values of the validators."""
        tag = f'W/"{hashlib.sha256(self.body).hexdigest()[:16]}"'
        values = {"ETag": tag, "Last-Modified": _MODIFIED}
        return {name: values[name] for name in values if name in self.validators}


Answer = Callable[[str, Mapping[str, str], Mapping[str, str]], Resource | None]
"""Origin of the host, query and headers of the request → what is there; `None` is 404."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and when it was in hand. Times are readings of the monotonic clock."""

    host: str
    method: str
    path: str
    """With its query."""
    conditions: frozenset[str]
    """Names of the conditional headers that came with it."""
    status: int
    start: float
    end: float
    """Just before the last byte went out: the client cannot have been done with it sooner."""


Fault = Callable[["_Handler", Resource], None]
"""Answers in the place of the resource."""


def refused(status: int, **headers: str) -> Fault:
    """An error without the resource; `Retry_After="1"` is the header `Retry-After`."""

    def write(handler: _Handler, resource: Resource) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send(status, {**named, "Content-Length": "0"})

    return write


def slow(seconds: float) -> Fault:
    """The whole resource, in twenty pieces."""

    def write(handler: _Handler, resource: Resource) -> None:
        size = max(1, len(resource.body) // 20)
        pieces = [resource.body[i : i + size] for i in range(0, len(resource.body), size)]
        handler.start(resource.status, handler.headers_of(resource, resource.body))
        for piece in pieces[:-1]:
            handler.wfile.write(piece)
            time.sleep(seconds / len(pieces))
        handler.note(resource.status)
        handler.wfile.write(pieces[-1])

    return write


def reset(handler: _Handler, resource: Resource) -> None:
    """Half of the resource, then a connection reset."""
    handler.start(resource.status, handler.headers_of(resource, resource.body))
    handler.note(resource.status)
    handler.wfile.write(resource.body[: len(resource.body) // 2])
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


@dataclass
class Host:
    """One machine of the web: its address, what it answers, and what it was asked."""

    address: str
    port: int
    web: Web
    answers: dict[str, Answer] = field(default_factory=dict)
    """Path, without query → what it answers."""
    robots: str | None = None
    """Content of robots.txt; none when there is no such file."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """Path, without query → faults that its next requests meet, in turn."""

    @property
    def origin(self) -> str:
        return f"http://{self.address}:{self.port}"

    def find(self, path: str, headers: Mapping[str, str]) -> Resource | None:
        parts = urlsplit(path)
        if parts.path == ROBOTS and self.robots is not None:
            return Resource(self.robots.encode(), "text/plain", validators=frozenset())
        answer = self.answers.get(parts.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return answer(self.origin, query, headers) if answer else None


@dataclass
class Web:
    """Every host, and one log for all of them, in the order in which requests ended."""

    hosts: dict[str, Host] = field(default_factory=dict)
    log: list[Exchange] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _servers: list[ThreadingHTTPServer] = field(default_factory=list)

    def host(self, name: str) -> Host:
        """The host of this name, started when it is first named."""
        if name not in self.hosts:
            self.hosts[name] = self._start()
        return self.hosts[name]

    def _start(self) -> Host:
        port = self._servers[0].server_port if self._servers else 0
        server = _Server((f"127.0.0.{len(self._servers) + 2}", port), _Handler)
        self._servers.append(server)
        host = Host(str(server.server_address[0]), server.server_port, self)
        server.host = host
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return host

    def forget(self) -> None:
        """Empty the log."""
        with self.lock:
            self.log.clear()

    def seen(self, name: str) -> list[Exchange]:
        """What a host was asked, in the order of arrival, without robots.txt."""
        host = self.hosts[name].address
        found = [e for e in self.log if e.host == host and e.path != ROBOTS]
        return sorted(found, key=lambda exchange: exchange.start)

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    host: Host

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    began: float

    def do_GET(self) -> None:
        self.began = time.monotonic()
        time.sleep(LATENCY_S)
        host = self.server.host
        resource = host.find(self.path, self.headers) or Resource(b"absent", "text/plain", 404)
        with host.web.lock:
            waiting = host.faults.get(urlsplit(self.path).path)
            fault = waiting.pop(0) if waiting else None
        if fault:
            fault(self, resource)
        elif self._still_holds(resource):
            self.send(304, resource.validating())
        else:
            body = resource.body
            packed = len(body) > PACKED_FROM and "gzip" in self.headers.get("Accept-Encoding", "")
            sent = gzip.compress(body, mtime=0) if packed else body
            encoding = {"Content-Encoding": "gzip"} if packed else {}
            self.send(resource.status, {**self.headers_of(resource, sent), **encoding}, sent)

    def _still_holds(self, resource: Resource) -> bool:
        """RFC 9110 §13.2.2: a tag, when there is one, decides alone."""
        given = resource.validating() if resource.status == 200 else {}
        if tag := self.headers.get("If-None-Match"):
            return tag == given.get("ETag")
        since = self.headers.get("If-Modified-Since")
        return since is not None and since == given.get("Last-Modified")

    def headers_of(self, resource: Resource, sent: bytes) -> dict[str, str]:
        return {
            "Content-Type": resource.media_type,
            "Content-Length": str(len(sent)),
            **resource.headers,
            **(resource.validating() if resource.status == 200 else {}),
        }

    def send(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.note(status)
        self.start(status, headers)
        self.wfile.write(body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def note(self, status: int) -> None:
        """Log the request, before the client can be done with it."""
        conditions = (n for n in ("If-None-Match", "If-Modified-Since") if self.headers.get(n))
        host = self.server.host
        exchange = Exchange(
            host=host.address,
            method=self.command,
            path=self.path,
            conditions=frozenset(conditions),
            status=status,
            start=self.began,
            end=time.monotonic(),
        )
        with host.web.lock:
            host.web.log.append(exchange)

    def log_message(self, *args: Any) -> None:
        """The log is the web's."""
