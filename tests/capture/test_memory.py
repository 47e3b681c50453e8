"""What a hostile body costs in memory, measured by the process that receives it."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from http.server import BaseHTTPRequestHandler

import pytest

from .conftest import Answer, Site, answer, endless

LIMIT = 5_000_000
MAX_PEAK_BYTES = 150_000_000
MAX_GROWTH_BYTES = LIMIT + 16_000_000

RECEIVER = """
import json, re, sys
from ipaddress import ip_network
from lowtech_data.capture import CaptureError, Client
from lowtech_data.extract.base import Request
from lowtech_data.registry import Source
from pathlib import Path

def peak():
    # The kernel's `ru_maxrss` starts at that of the process that launched this one.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024

source = Source.model_validate(json.loads(sys.argv[1]))
client = Client(
    contact="c",
    allowed_networks=[ip_network("127.0.0.1/32")],
    resolve=lambda host, port: ["127.0.0.1"],
)
before, received, kind = peak(), 0, None
try:
    with client.get(source, Request(source.url)) as reply:
        for chunk in reply.chunks():
            received += len(chunk)
except CaptureError as error:
    kind = error.kind.value
print(json.dumps({"kind": kind, "received": received, "growth": peak() - before, "peak": peak()}))
"""


def packed(wbits: int) -> bytes:
    """500 MB of zeros."""
    packer = zlib.compressobj(9, wbits=wbits)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(500)) + packer.flush()


def zstd_of_zeros() -> bytes:
    """A zstd frame (RFC 8878) of 4,000 blocks that each repeat one byte 128 Ki times."""
    size = 1 << 17
    block = ((size << 3) | 0b010).to_bytes(3, "little") + b"\0"
    last = ((size << 3) | 0b011).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * 3_999 + last


def negative_chunk(handler: BaseHTTPRequestHandler) -> None:
    """A chunk size that some readers take for "until the end"."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"
    handler.wfile.write(head)
    for _ in range(4_000):
        handler.wfile.write(bytes(1 << 16))
    handler.close_connection = True


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (endless, "taille"),
        (answer(packed(31), Content_Encoding="gzip"), "taille"),
        (answer(packed(15), Content_Encoding="deflate"), "encodage"),
        (answer(packed(-15), Content_Encoding="deflate"), "encodage"),
        (answer(zstd_of_zeros(), Content_Encoding="zstd"), "encodage"),
        (answer(packed(31), Content_Encoding="br"), "encodage"),
        (answer(packed(31), Content_Encoding=", ".join(["gzip"] * 10)), "encodage"),
        (negative_chunk, "corps_tronque"),
    ],
    ids=["endless", "gzip", "zlib", "deflate", "zstd", "br", "ten times gzip", "negative chunk"],
)
def test_a_hostile_body_costs_no_more_than_the_limit(site: Site, page: Answer, kind: str) -> None:
    site.pages["/liste"] = page
    source = {
        "id": "liste",
        "nom": "Liste",
        "editeur": "Éditeur",
        "plateforme": "essai",
        "licence": "odbl-1.0",
        "republication": "complete",
        "preuve": "vu",
        "url": site.url("/liste"),
        "limites": {"octets": LIMIT, "pause_s": 0, "delai_s": 20},
    }
    command = [sys.executable, "-c", RECEIVER, json.dumps(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kind"] == kind
    assert told["received"] <= LIMIT
    assert told["growth"] < MAX_GROWTH_BYTES
    assert told["peak"] < MAX_PEAK_BYTES
