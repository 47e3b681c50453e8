"""A local web server scripted by each test, and a client that may reach it and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest

from lowtech_data.capture import CaptureError, Client
from lowtech_data.capture.http import Reply, Validators
from lowtech_data.extract.base import Request
from lowtech_data.registry import Source

LOOPBACK = ip_network("127.0.0.1/32")

Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(body: bytes = b"", status: int = 200, *, length: bool = True, **headers: str) -> Answer:
    """A plain response; `Retry_After="1"` is the header `Retry-After`."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if length and "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return write


def moved(location: str, status: int = 302) -> Answer:
    return answer(status=status, Location=location)


def drip(head: bytes, piece: bytes, seconds: float) -> Answer:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(0.05)

    return write


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


@dataclass
class Site:
    """A web server on 127.0.0.1: `pages[path]` is one answer, or several given in turn.

    A path that is not there answers 404, robots.txt included: everything is then allowed.
    """

    server: ThreadingHTTPServer
    pages: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.server_port

    def url(self, path: str = "/", host: str = "liste.test", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        """Paths requested so far, without robots.txt."""
        return [path for path, _ in self.requests if path != "/robots.txt"]

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, dict(handler.headers.items())))
        found = self.pages.get(handler.path, answer(b"absent", 404))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        found(handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


def serve(
    wrap: Callable[[_Server], None] = lambda server: None, address: str = "127.0.0.1"
) -> Site:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.reply(self)

        def log_message(self, *args: Any) -> None:
            pass

    server = _Server((address, 0), Handler)
    wrap(server)
    site = Site(server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return site


@pytest.fixture
def site() -> Iterator[Site]:
    site = serve()
    yield site
    site.server.shutdown()
    site.server.server_close()


@dataclass
class FakeTime:
    """A clock that only moves when somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time_() -> FakeTime:
    return FakeTime()


def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
def client(time_: FakeTime) -> Iterator[Client]:
    """A client on fake time that takes every name for 127.0.0.1."""
    client = Client(
        contact="https://exemple.test/contact",
        allowed_networks=[LOOPBACK],
        resolve=to_loopback,
        clock=time_.clock,
        sleep=time_.sleep,
        jitter=lambda: 1.0,
    )
    yield client
    client.close()


def a_source(url: str, **fields: Any) -> Source:
    return Source.model_validate(
        {
            "id": "liste",
            "nom": "Liste",
            "editeur": "Éditeur",
            "plateforme": "essai",
            "licence": "odbl-1.0",
            "republication": "complete",
            "preuve": "vu",
            "url": url,
            **fields,
        }
    )


def fetch(
    client: Client, source: Source, url: str | None = None, previous: Validators | None = None
) -> tuple[Reply, bytes]:
    with client.get(source, Request(url or source.url), previous) as reply:
        return reply, b"".join(reply.chunks())


def failure(client: Client, source: Source, url: str | None = None) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        fetch(client, source, url)
    return caught.value
