"""A service on 127.0.0.1 that answers as each test says, and a client that may reach it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pytest

from lowtech_data.capture import Client
from lowtech_data.enrich.service import FICHE_COLUMNS
from tests.capture.conftest import LOOPBACK, FakeTime, to_loopback

Answer = Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]


@dataclass
class Service:
    """What was asked (method, path, body), and how to answer a path; others answer 404."""

    server: ThreadingHTTPServer
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "service.test") -> str:
        return f"http://{host}:{self.server.server_port}{path}"

    def requests(self, path: str | None = None) -> list[tuple[str, str]]:
        """Method and path of what was asked, robots.txt left out."""
        return [
            (method, asked)
            for method, asked, _ in self.asked
            if asked != "/robots.txt" and path in {None, asked}
        ]


def always(status: int, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, sent: (status, named, body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what some tests are about."""


@pytest.fixture
def service() -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.asked.append((self.command, self.path, sent))
            found.headers.append(dict(self.headers.items()))
            known = found.answers.get(self.path) or found.answers.get(self.path.partition("?")[0])
            status, headers, body = (known or always(404))(self, sent)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = _do  # noqa: N815 — names that the library asks for

        def log_message(self, *args: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    found = Service(server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def time_() -> FakeTime:
    return FakeTime()


def a_client(time_: FakeTime, resolve: Any = to_loopback, kind: type[Client] = Client) -> Client:
    return kind(
        contact="https://exemple.test/contact",
        allowed_networks=[LOOPBACK],
        resolve=resolve,
        clock=time_.clock,
        sleep=time_.sleep,
        jitter=lambda: 1.0,
    )


@pytest.fixture
def client(time_: FakeTime) -> Iterator[Client]:
    client = a_client(time_)
    yield client
    client.close()


def fiches(*rows: dict[str, Any]) -> pa.Table:
    """Fiches in the shape that enrichment reads; keys are numbered."""
    numbers = {"latitude": pa.float64(), "longitude": pa.float64()}
    schema = pa.schema([(name, numbers.get(name, pa.string())) for name in FICHE_COLUMNS])
    given = [
        dict.fromkeys(FICHE_COLUMNS)
        | {"source_id": "liste", "cle_source": str(number), "nom": f"Lieu {number}"}
        | row
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(given, schema)
