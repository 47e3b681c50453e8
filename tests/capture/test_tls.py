"""Certificates are checked, always; an exception names one certificate and ends on a day.

`certificats/` holds two keys and self-signed certificates of liste.test, from 2020: `valide` until
2999, `echu` for a day.
"""

from __future__ import annotations

import hashlib
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lowtech_data.capture import Client, FailureKind
from lowtech_data.registry import Source

from .conftest import (
    LOOPBACK,
    FakeTime,
    Site,
    a_source,
    answer,
    drip,
    endless,
    failure,
    fetch,
    moved,
    serve,
    to_loopback,
)

CERTIFICATES = Path(__file__).parent / "certificats"
TODAY = date(2026, 3, 2)


@contextmanager
def secure(name: str) -> Iterator[Site]:
    def wrap(server: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / f"{name}.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)

    site = serve(wrap)
    site.pages["/"] = answer(b"x")
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def valid() -> Iterator[Site]:
    with secure("valide") as site:
        yield site


def secure_client(time_: FakeTime, trusted: str | None = None) -> Client:
    return Client(
        contact="c",
        allowed_networks=[LOOPBACK],
        resolve=to_loopback,
        ca_file=CERTIFICATES / f"{trusted}.pem" if trusted else None,
        clock=time_.clock,
        today=lambda: TODAY,
        sleep=time_.sleep,
    )


def test_a_certificate_is_checked_against_the_name_not_the_address(valid, time_) -> None:
    client = secure_client(time_, "valide")
    assert fetch(client, a_source(valid.url(scheme="https")))[1] == b"x"
    asked = len(valid.requests)
    other = a_source(valid.url(scheme="https", host="autre.test"), id="autre")
    assert failure(client, other).kind is FailureKind.TLS
    assert len(valid.requests) == asked


def test_a_self_signed_certificate_is_refused(valid, time_) -> None:
    error = failure(secure_client(time_), a_source(valid.url(scheme="https")))
    assert error.kind is FailureKind.TLS
    assert "prévenir l’éditeur" in error.message
    assert valid.requests == []


def test_an_expired_certificate_is_refused(time_) -> None:
    with secure("echu") as site:
        error = failure(secure_client(time_, "echu"), a_source(site.url(scheme="https")))
        assert site.requests == []
    assert error.kind is FailureKind.TLS
    assert "expired" in error.message


def test_a_redirect_from_https_to_http_is_refused(valid, time_) -> None:
    valid.pages["/"] = moved(valid.url("/ici"))
    error = failure(secure_client(time_, "valide"), a_source(valid.url(scheme="https")))
    assert error.kind is FailureKind.REDIRECT
    assert "https vers http" in error.message


def test_deadline_and_size_hold_under_tls(valid) -> None:
    trusted = CERTIFICATES / "valide.pem"
    client = Client(contact="c", allowed_networks=[LOOPBACK], resolve=to_loopback, ca_file=trusted)
    valid.pages["/"] = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", 5)
    limits = {"delai_s": 0.5, "pause_s": 0, "octets": 100_000}
    source = a_source(valid.url(scheme="https"), limites=limits)
    begin = time.monotonic()
    assert failure(client, source).kind is FailureKind.DEADLINE
    assert time.monotonic() - begin < 4
    valid.pages["/"] = endless
    assert failure(client, source).kind is FailureKind.SIZE


# Exceptions


def fingerprint(name: str) -> str:
    certificate = (CERTIFICATES / f"{name}.pem").read_text()
    pem = certificate[certificate.index("-----BEGIN CERTIFICATE") :]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def excepted(url: str, pinned: str, until: str = "2026-03-02", **fields: Any) -> Source:
    exception = {
        "motif": "certificat fautif, éditeur prévenu",
        "jusqu_au": until,
        "empreinte": pinned,
    }
    return a_source(url, tls=exception, **fields)


@pytest.mark.parametrize(
    ("served", "host"),
    [("echu", "liste.test"), ("valide", "liste.test"), ("valide", "autre.test")],
    ids=["expired", "self-signed", "of another name"],
)
def test_the_named_certificate_is_accepted_until_its_day(time_, served, host) -> None:
    with secure(served) as site:
        source = excepted(site.url(scheme="https", host=host), fingerprint(served))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert fetch(secure_client(time_), source)[1] == b"x"


def test_the_usual_check_is_back_the_day_after(valid, time_) -> None:
    source = excepted(valid.url(scheme="https"), fingerprint("valide"), "2026-03-01")
    error = failure(secure_client(time_), source)
    assert error.kind is FailureKind.TLS
    assert "échue depuis le 2026-03-01" in error.message
    assert valid.requests == []
    assert fetch(secure_client(time_, "valide"), source)[1] == b"x"


@pytest.mark.parametrize("trusted", [None, "valide"])
def test_any_other_certificate_is_refused_even_a_good_one(valid, time_, trusted) -> None:
    source = excepted(valid.url(scheme="https"), fingerprint("echu"))
    error = failure(secure_client(time_, trusted), source)
    assert error.kind is FailureKind.TLS
    assert "empreinte" in error.message
    assert valid.requests == []


def test_an_exception_holds_for_the_host_of_the_url_alone(valid, time_) -> None:
    valid.pages["/"] = moved(valid.url("/ici", "cdn.test", "https"))
    source = excepted(valid.url(scheme="https"), fingerprint("valide"), hotes=["cdn.test"])
    assert failure(secure_client(time_), source).kind is FailureKind.TLS
    assert valid.paths == ["/"]


def test_an_exception_is_of_one_source(valid, time_) -> None:
    client = secure_client(time_)
    url = valid.url(scheme="https")
    assert fetch(client, excepted(url, fingerprint("valide")))[1] == b"x"
    assert failure(client, a_source(url, id="autre")).kind is FailureKind.TLS


def test_an_exception_of_more_than_a_year_is_refused(valid, time_) -> None:
    source = excepted(valid.url(scheme="https"), fingerprint("valide"), "2027-06-01")
    error = failure(secure_client(time_), source)
    assert error.kind is FailureKind.TLS
    assert "plus d’un an" in error.message
    assert valid.requests == []


def test_fingerprints_may_be_written_as_browsers_show_them() -> None:
    shown = "AB:" * 31 + "AB"
    source = excepted("https://liste.test/", shown)
    assert source.tls is not None
    assert source.tls.empreinte == "ab" * 32


@pytest.mark.parametrize(
    ("url", "pinned"),
    [
        ("https://liste.test/", "ab" * 20),
        ("https://liste.test/", ""),
        ("https://liste.test/", "zz" * 32),
        ("http://liste.test/", "ab" * 32),
        ("liste.json", "ab" * 32),
    ],
    ids=["sha1", "empty", "not hexadecimal", "http", "file"],
)
def test_an_exception_that_checks_nothing_is_not_read(url, pinned) -> None:
    with pytest.raises(ValidationError):
        excepted(url, pinned)


@pytest.mark.parametrize("missing", ["motif", "jusqu_au", "empreinte"])
def test_an_exception_says_why_until_when_and_for_what(missing) -> None:
    whole = {"motif": "certificat échu", "jusqu_au": "2026-03-02", "empreinte": "ab" * 32}
    with pytest.raises(ValidationError, match=missing):
        a_source("https://liste.test/", tls={k: v for k, v in whole.items() if k != missing})
