"""Addresses that are asked for do not reach the logs, even the most talkative ones."""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests

from lowtech_data.capture import http as capture_http


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing: the client's log is read."""


def test_no_address_in_the_debug_log_of_requests(caplog: pytest.LogCaptureFixture):
    assert capture_http.MAX_REDIRECTS > 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with caplog.at_level(logging.DEBUG):
            url = f"http://127.0.0.1:{server.server_port}/liste?email=zquenneville%40exemple.fr"
            assert requests.get(url, timeout=5).status_code == 204
            logging.getLogger("urllib3").info("un mot")
        server.shutdown()
    assert "un mot" in caplog.text
    assert "quenneville" not in caplog.text
