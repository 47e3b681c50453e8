"""The client against servers that are rude, broken or hostile."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import pytest

from lowtech_data.capture import CaptureError, Client, FailureKind
from lowtech_data.capture.http import MAX_RETRY_AFTER_S, Validators
from lowtech_data.extract.base import Request
from lowtech_data.registry import Source

from .conftest import (
    LOOPBACK,
    Answer,
    Site,
    a_source,
    answer,
    drip,
    failure,
    fetch,
    moved,
    to_loopback,
)


@pytest.fixture
def source(site: Site) -> Source:
    return a_source(site.url("/liste"))


@pytest.fixture
def real_time_client() -> Iterator[Client]:
    client = Client(
        contact="https://exemple.test/", allowed_networks=[LOOPBACK], resolve=to_loopback
    )
    yield client
    client.close()


def then_close(page: Answer) -> Answer:
    def write(handler: BaseHTTPRequestHandler) -> None:
        page(handler)
        handler.close_connection = True

    return write


def written(content: bytes) -> Answer:
    """A response byte for byte, then the end of the connection."""
    return then_close(lambda handler: handler.wfile.write(content) and None)


# What is asked, and how


def test_a_page_is_received_with_what_the_server_says_of_it(site, client, source) -> None:
    site.pages["/liste"] = answer(
        "é".encode("latin-1"),
        Content_Type="text/HTML; charset=ISO-8859-1",
        ETag='"1"',
        Last_Modified="Mon, 02 Mar 2026 10:00:00 GMT",
    )
    reply, body = fetch(client, source)
    assert (reply.url, reply.status, reply.media_type, reply.charset) == (
        site.url("/liste"),
        200,
        "text/html",
        "iso-8859-1",
    )
    assert reply.validators == Validators('"1"', "Mon, 02 Mar 2026 10:00:00 GMT")
    assert body == b"\xe9"


def test_requests_name_the_robot_and_say_where_to_write(site, client, source) -> None:
    site.pages["/liste"] = answer(b"x")
    with client.get(source, Request(source.url, accept="application/json")) as reply:
        list(reply.chunks())
    _, headers = site.requests[-1]
    assert headers["User-Agent"].startswith("lowtech-data/")
    assert headers["User-Agent"].endswith("(+https://exemple.test/contact)")
    assert headers["Accept"] == "application/json"
    assert headers["Accept-Encoding"] == "gzip, identity"
    assert headers["Host"] == f"liste.test:{site.port}"


def test_a_contact_that_a_header_cannot_hold_stops_no_request(site, source) -> None:
    contact = "l’équipe\r\nX-Autre: 1"
    client = Client(contact=contact, allowed_networks=[LOOPBACK], resolve=to_loopback)
    site.pages["/liste"] = answer(b"x")
    fetch(client, source)
    client.close()
    _, headers = site.requests[-1]
    assert headers["User-Agent"].endswith("(+l%E2%80%99%C3%A9quipe%0D%0AX-Autre: 1)")
    assert "X-Autre" not in headers


def test_environment_passwords_and_cookies_are_never_sent(
    site, client, source, monkeypatch, tmp_path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine liste.test login moi password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    site.pages["/liste"] = answer(b"x", Set_Cookie="suivi=1; Path=/")
    fetch(client, source)
    fetch(client, source)
    for _, headers in site.requests:
        assert not {"Authorization", "Cookie", "Proxy-Authorization"} & set(headers)


def test_a_cookie_of_one_source_is_not_sent_for_another(site, client) -> None:
    site.pages |= {"/a": answer(b"x", Set_Cookie="s=1; Path=/"), "/b": answer(b"x")}
    fetch(client, a_source(site.url("/a"), id="aa"))
    fetch(client, a_source(site.url("/b"), id="bb"))
    assert all("Cookie" not in headers for _, headers in site.requests)


def test_a_known_page_is_asked_for_only_if_it_changed(site, client, source) -> None:
    site.pages["/liste"] = answer(status=304, ETag='"2"')
    reply, body = fetch(client, source, previous=Validators('"1"', "Mon, 02 Mar 2026 10:00:00 GMT"))
    assert reply.unchanged
    assert body == b""
    headers = site.requests[-1][1]
    assert headers["If-None-Match"] == '"1"'
    assert headers["If-Modified-Since"] == "Mon, 02 Mar 2026 10:00:00 GMT"


@pytest.mark.parametrize("previous", [None, Validators()])
def test_unchanged_is_refused_when_nothing_was_known(site, client, source, previous) -> None:
    site.pages["/liste"] = answer(status=304)
    with pytest.raises(CaptureError) as caught:
        fetch(client, source, previous=previous)
    assert caught.value.kind is FailureKind.STATUS


# Where it goes


def counting(answers: Sequence[str]) -> tuple[Callable[[str, int], Sequence[str]], list[str]]:
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [answers[min(len(asked), len(answers)) - 1]]

    return resolve, asked


def test_a_private_machine_is_not_even_contacted(site, time_) -> None:
    client = Client(contact="c", resolve=to_loopback, clock=time_.clock, sleep=time_.sleep)
    assert failure(client, a_source(site.url())).kind is FailureKind.PRIVATE_ADDRESS
    assert site.requests == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0"]
)
def test_no_spelling_of_this_machine_is_contacted(site, time_, host) -> None:
    client = Client(contact="c", clock=time_.clock, sleep=time_.sleep)
    error = failure(client, a_source(f"http://{host}:{site.port}/"))
    assert error.kind is FailureKind.PRIVATE_ADDRESS
    assert site.requests == []
    assert time_.slept == []


@pytest.mark.parametrize(
    "host", ["[::1]", "[::ffff:127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[fe80::1]"]
)
def test_no_spelling_of_a_private_ipv6_address_is_contacted(site, time_, host) -> None:
    client = Client(contact="c", clock=time_.clock, sleep=time_.sleep)
    error = failure(client, a_source(f"http://{host}:{site.port}/"))
    assert error.kind is FailureKind.PRIVATE_ADDRESS
    assert site.requests == []


def test_a_name_that_changes_its_mind_only_reaches_checked_addresses(site, time_) -> None:
    """The first answer is allowed, the next ones are another loopback address, which is not."""
    site.pages["/robots.txt"] = answer(b"", Connection="close")
    site.pages["/liste"] = answer(b"x")
    resolve, asked = counting(["127.0.0.1", "127.0.0.2"])
    client = Client(
        contact="c",
        allowed_networks=[LOOPBACK],
        resolve=resolve,
        clock=time_.clock,
        sleep=time_.sleep,
    )
    with socket.create_server(("127.0.0.2", site.port)) as trap:
        trap.settimeout(0.1)
        error = failure(client, a_source(site.url("/liste")))
        assert error.kind is FailureKind.PRIVATE_ADDRESS
        with pytest.raises(TimeoutError):
            trap.accept()
    assert [path for path, _ in site.requests] == ["/robots.txt"]
    assert asked == ["liste.test", "liste.test"]


def test_one_look_up_serves_both_the_check_and_the_connection(site, time_) -> None:
    site.pages |= {"/robots.txt": answer(b""), "/liste": answer(b"x")}
    resolve, asked = counting(["127.0.0.1", "127.0.0.2"])
    client = Client(
        contact="c",
        allowed_networks=[LOOPBACK],
        resolve=resolve,
        clock=time_.clock,
        sleep=time_.sleep,
    )
    _, body = fetch(client, a_source(site.url("/liste")))
    assert body == b"x"
    assert asked == ["liste.test"]


def test_a_dead_address_is_passed_over_for_the_next(site, time_) -> None:
    site.pages["/liste"] = answer(b"x")
    client = Client(
        contact="c",
        allowed_networks=[LOOPBACK],
        resolve=lambda *_: ["127.0.0.1", "127.0.0.1"],
        clock=time_.clock,
        sleep=time_.sleep,
    )
    assert fetch(client, a_source(site.url("/liste")))[1] == b"x"


def test_an_unknown_name_and_a_closed_port_are_told_apart(site, client, time_) -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    nowhere = Client(contact="c", resolve=unknown, clock=time_.clock, sleep=time_.sleep)
    assert failure(nowhere, a_source("https://liste.test/")).kind is FailureKind.DNS
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = failure(client, a_source(f"http://liste.test:{port}/"))
    assert error.kind is FailureKind.CONNECTION


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_host_is_followed(site, client, source, status) -> None:
    site.pages |= {"/liste": moved("ici?page=1", status), "/ici?page=1": answer(b"x")}
    reply, body = fetch(client, source)
    assert (reply.url, body) == (site.url("/ici?page=1"), b"x")


def test_a_redirect_to_a_declared_host_is_followed(site, client) -> None:
    site.pages |= {"/liste": moved(site.url("/b", "cdn.test")), "/b": answer(b"x")}
    source = a_source(site.url("/liste"), hotes=["cdn.test"])
    assert fetch(client, source)[0].url == site.url("/b", "cdn.test")


@pytest.mark.parametrize(
    "location",
    [
        "http://autre.test/",
        "//autre.test/",
        "http://127.0.0.1/",
        "http://liste.test:22/",
        "http://liste.test@127.0.0.1/",
        "/\\autre.test/",
        "file:///etc/passwd",
        "ftp://liste.test/",
        "gopher://liste.test/",
        "data:text/plain,x",
        "",
        "http://[::1",
        "//[",
        "http://liste.test\u2100/",
        "http://autre.test/\r\n\x1b[31mX",
    ],
)
def test_a_redirect_elsewhere_is_refused(site, client, source, location) -> None:
    head = f"HTTP/1.1 302 -\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    site.pages["/liste"] = written(head.encode())
    error = failure(client, source)
    assert error.kind is FailureKind.REDIRECT
    assert error.message.isprintable()
    assert site.paths == ["/liste"]


def test_a_declared_host_that_is_private_is_refused_at_the_hop(site, time_) -> None:
    site.pages["/liste"] = moved(site.url("/b", "interne.test"))
    client = Client(
        contact="c",
        allowed_networks=[LOOPBACK],
        resolve=lambda host, port: ["10.0.0.1" if host == "interne.test" else "127.0.0.1"],
        clock=time_.clock,
        sleep=time_.sleep,
    )
    source = a_source(site.url("/liste"), hotes=["interne.test"])
    assert failure(client, source).kind is FailureKind.PRIVATE_ADDRESS


def test_five_redirects_are_followed_and_a_sixth_is_not(site, client, source) -> None:
    site.pages |= {f"/{n}": moved(f"/{n + 1}") for n in range(1, 6)}
    site.pages |= {"/liste": moved("/2"), "/6": answer(b"x")}
    assert fetch(client, source)[1] == b"x"
    site.pages["/6"] = moved("/1")
    error = failure(client, source)
    assert error.kind is FailureKind.REDIRECT
    assert "5 redirections" in error.message


def test_the_body_of_a_redirect_is_not_read(site, client, source) -> None:
    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/ici")
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        handler.wfile.write(b"x" * 1000)

    site.pages |= {"/liste": huge, "/ici": answer(b"x")}
    assert fetch(client, source)[1] == b"x"


# Bounds


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Lent: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
    ],
    ids=["status line", "header", "endless body", "body"],
)
def test_the_deadline_ends_a_response_that_drips(site, real_time_client, head) -> None:
    site.pages["/liste"] = drip(head, b"x", 5)
    begin = time.monotonic()
    source = a_source(site.url("/liste"), limites={"delai_s": 0.5, "pause_s": 0, "essais": 1})
    error = failure(real_time_client, source)
    assert error.kind is FailureKind.DEADLINE
    assert 0.4 < time.monotonic() - begin < 4


def test_the_deadline_ends_a_tls_handshake_that_never_answers(real_time_client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://liste.test:{mute.getsockname()[1]}/"
        source = a_source(url, limites={"delai_s": 0.3, "essais": 1})
        assert failure(real_time_client, source).kind is FailureKind.DEADLINE


def test_gzip_is_unpacked_whatever_its_pieces(site, client, source) -> None:
    text = b"".join(b"%d " % n for n in range(200_000))
    site.pages["/liste"] = answer(
        gzip.compress(text[:700_000]) + gzip.compress(text[700_000:]), Content_Encoding="gzip"
    )
    assert fetch(client, source)[1] == text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (gzip.compress(b"x" * 100_000)[:-20], FailureKind.TRUNCATED),
        (b"ceci n'est pas du gzip", FailureKind.ENCODING),
        (gzip.compress(b"x") + b"surplus", FailureKind.ENCODING),
    ],
    ids=["cut", "not gzip", "something after"],
)
def test_bad_gzip_is_refused(site, client, source, body, kind) -> None:
    site.pages["/liste"] = answer(body, Content_Encoding="gzip")
    assert failure(client, source).kind is kind


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip," * 9, "?"])
def test_other_and_chained_encodings_are_refused(site, client, source, encoding) -> None:
    site.pages["/liste"] = answer(b"x", Content_Encoding=encoding)
    assert failure(client, source).kind is FailureKind.ENCODING


def test_a_body_shorter_than_announced_is_refused(site, client, source) -> None:
    site.pages["/liste"] = then_close(answer(b"court", Content_Length="100"))
    error = failure(client, source)
    assert error.kind is FailureKind.TRUNCATED
    assert "plus court que la taille annoncée" in error.message


def test_a_body_longer_than_announced_is_refused(site, client, source) -> None:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")

    site.pages["/liste"] = write
    assert failure(client, source).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc",
    ],
)
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "half-closed"])
def test_a_connection_lost_in_the_body_is_a_truncated_body(
    site, client, source, head, reset
) -> None:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        if reset:
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            time.sleep(0.1)
            handler.connection.close()
        else:
            handler.connection.shutdown(socket.SHUT_WR)
        handler.close_connection = True

    site.pages["/liste"] = write
    assert failure(client, source).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(150)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\n"
        + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 60_000) for n in range(3))
        + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"n'importe quoi\r\n\r\n",
    ],
    ids=["150 headers", "3 headers of 60 kB", "header of 70 kB", "not HTTP"],
)
def test_abnormal_heads_are_refused_without_another_try(site, client, source, head) -> None:
    site.pages["/liste"] = written(head)
    assert failure(client, source).kind is FailureKind.RESPONSE
    assert site.paths == ["/liste"]


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: -3",
        b"Content-Length: +3",
        b"Content-Length: abc",
        b"Content-Length: " + b"9" * 5000,
        b"Content-Length: 3\r\nContent-Length: 5",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
    ],
)
def test_a_response_whose_end_cannot_be_told_is_refused(site, client, source, header) -> None:
    site.pages["/liste"] = written(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\nabc")
    error = failure(client, source)
    assert error.kind is FailureKind.RESPONSE
    assert len(error.message) < 500


@pytest.mark.parametrize("header", ["Content-Length: 3", "Content-Length: 3\r\nContent-Length: 3"])
def test_a_length_given_twice_alike_is_a_length(site, client, source, header) -> None:
    site.pages["/liste"] = written(f"HTTP/1.1 200 OK\r\n{header}\r\n\r\nabc".encode())
    assert fetch(client, source)[1] == b"abc"


@pytest.mark.parametrize("size", [b"-5", b"-1", b"zz", b"f" * 60_000, b""])
def test_a_chunk_of_impossible_size_is_a_truncated_body(site, client, source, size) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    site.pages["/liste"] = written(head + size + b"\r\nabcdefgh")
    assert failure(client, source).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    "value", [b'\xa0"a"', b'"\x00\x1b[31m"', b'"\xe9"', b'"' + b"a" * 2000 + b'"']
)
def test_a_validator_that_cannot_be_sent_back_is_not_kept(site, client, source, value) -> None:
    head = b"HTTP/1.1 200 OK\r\nETag: " + value + b"\r\nLast-Modified: " + value
    site.pages["/liste"] = written(head + b"\r\nContent-Length: 1\r\n\r\nx")
    reply, _ = fetch(client, source)
    assert reply.validators == Validators()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b'text/HTML;Charset="UTF-8"', ("text/html", "utf-8")),
        (b"application/geo+json", ("application/geo+json", None)),
        (b"text/html; charset*=a\x00b''x", ("text/html", None)),
        (b"charset=utf-8", (None, None)),
        (b"\xff/\xff; charset=\xff", (None, None)),
        (b"", (None, None)),
    ],
)
def test_a_content_type_is_read_or_is_nothing(site, client, source, header, expected) -> None:
    site.pages["/liste"] = written(
        b"HTTP/1.1 200 OK\r\nContent-Type: " + header + b"\r\nContent-Length: 1\r\n\r\nx"
    )
    reply, _ = fetch(client, source)
    assert (reply.media_type, reply.charset) == expected


def test_headers_of_a_server_write_no_line_of_a_log(site, client, source) -> None:
    site.pages["/liste"] = written(
        b"HTTP/1.1 200 ok\x1b[31m\rX\r\n"
        b"Content-Encoding: br\rfaux: ligne\x0b\x1b[0m\xe2\x80\xa8\r\nContent-Length: 1\r\n\r\nx"
    )
    error = failure(client, source)
    assert error.kind is FailureKind.ENCODING
    assert error.message.isprintable()


# Failures that pass, and failures that stay


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, FailureKind.STATUS),
        (206, FailureKind.STATUS),
        (401, FailureKind.STATUS),
        (403, FailureKind.STATUS),
        (404, FailureKind.STATUS),
        (410, FailureKind.STATUS),
    ],
)
def test_a_status_that_is_no_success_is_a_failure_at_once(
    site, client, source, status, kind
) -> None:
    site.pages["/liste"] = answer(status=status)
    error = failure(client, source)
    assert error.kind is kind
    assert str(status) in error.message
    assert site.url("/liste") in error.message
    assert site.paths == ["/liste"]


def test_three_overloads_then_success_with_growing_pauses(site, client, time_) -> None:
    site.pages["/liste"] = [*[answer(status=503)] * 3, answer(b"x")]
    source = a_source(site.url("/liste"), limites={"essais": 4, "pause_s": 0})
    assert fetch(client, source)[1] == b"x"
    assert time_.slept == [2, 4, 8]


def test_tries_are_bounded(site, client, source) -> None:
    site.pages["/liste"] = answer(status=503)
    assert failure(client, source).kind is FailureKind.OVERLOAD
    assert site.paths == ["/liste"] * 3
    site.pages["/liste"] = answer(status=500)
    assert failure(client, source).kind is FailureKind.STATUS


def test_a_connection_cut_before_the_response_is_tried_again(site, client, source) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    site.pages["/liste"] = [cut, answer(b"x")]
    assert fetch(client, source)[1] == b"x"
    site.pages["/liste"] = cut
    assert failure(client, source).kind is FailureKind.CONNECTION


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "120"},
        {
            "Retry_After": formatdate(1_800_000_120, usegmt=True),
            "Date": formatdate(1_800_000_000, usegmt=True),
        },
    ],
    ids=["seconds", "date"],
)
def test_retry_after_is_honoured(site, client, time_, headers) -> None:
    def overload(handler: BaseHTTPRequestHandler) -> None:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        handler.wfile.write(f"HTTP/1.1 429 -\r\n{lines}Content-Length: 0\r\n\r\n".encode())

    site.pages["/liste"] = [overload, answer(b"x")]
    source = a_source(site.url("/liste"), limites={"pause_s": 0})
    fetch(client, source)
    assert time_.slept == [120]


def test_the_rest_that_a_host_asks_for_is_kept_by_every_source(site, client, time_) -> None:
    site.pages |= {"/liste": answer(status=429, Retry_After="120"), "/autre": answer(b"x")}
    once = {"essais": 1, "pause_s": 0}
    assert failure(client, a_source(site.url("/liste"), limites=once)).kind is FailureKind.OVERLOAD
    other = a_source(site.url("/autre"), id="autre", limites=once)
    assert fetch(client, other)[1] == b"x"
    assert time_.slept == [120]


@pytest.mark.parametrize(
    "value",
    [
        "-5",
        "bientôt",
        "",
        "1e9",
        "Thu, 99 Foo 2026",
        "²",
        "Mon, 02 Mar 2026 10:00:00 +2400000000000",
    ],
)
def test_an_unreadable_retry_after_is_replaced_by_our_own_pause(site, client, time_, value) -> None:
    raw = f"HTTP/1.1 429 -\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    site.pages["/liste"] = [
        lambda handler: handler.wfile.write(raw.encode()) and None,
        answer(b"x"),
    ]
    fetch(client, a_source(site.url("/liste"), limites={"pause_s": 0}))
    assert time_.slept == [2]


@pytest.mark.parametrize("seconds", [str(int(MAX_RETRY_AFTER_S) + 1), "1000000000"])
def test_a_host_that_asks_for_a_long_rest_is_left_alone(
    site, client, source, time_, seconds
) -> None:
    site.pages["/liste"] = answer(status=429, Retry_After=seconds)
    assert failure(client, source).kind is FailureKind.OVERLOAD
    other = a_source(site.url("/autre"), id="autre")
    assert failure(client, other).kind is FailureKind.OVERLOAD
    assert site.paths == ["/liste"]
    time_.now += 2e9
    site.pages["/liste"] = answer(b"x")
    assert fetch(client, source)[1] == b"x"


# robots.txt and pauses


def rules(text: str) -> Answer:
    return answer(text.encode(), Content_Type="text/plain")


def test_a_forbidden_page_is_not_requested(site, client, source) -> None:
    site.pages |= {"/robots.txt": rules("User-agent: *\nDisallow: /"), "/liste": answer(b"x")}
    error = failure(client, source)
    assert error.kind is FailureKind.ROBOTS
    assert site.paths == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_host_without_robots_txt_allows_everything(site, client, source, status) -> None:
    site.pages |= {"/robots.txt": answer(status=status), "/liste": answer(b"x")}
    assert fetch(client, source)[0].robots == "absent"


@pytest.mark.parametrize("status", [500, 503, 429, 206, 304, 300])
def test_a_robots_txt_that_cannot_be_had_forbids_everything(site, client, source, status) -> None:
    site.pages |= {"/robots.txt": answer(status=status), "/liste": answer(b"x")}
    assert failure(client, source).kind is FailureKind.ROBOTS
    assert site.paths == []
    site.pages["/robots.txt"] = rules("")
    assert fetch(client, source)[0].robots == "autorise"


def test_a_robots_txt_may_be_redirected_within_the_source_s_hosts_only(site, client, source):
    site.pages |= {
        "/robots.txt": moved("/r"),
        "/r": rules("User-agent: *\nDisallow: /liste"),
        "/liste": answer(b"x"),
    }
    assert failure(client, source).kind is FailureKind.ROBOTS
    site.pages["/robots.txt"] = moved("http://autre.test/robots.txt")
    error = failure(client, a_source(site.url("/liste"), id="autre"))
    assert error.kind is FailureKind.ROBOTS


def test_an_oversized_robots_txt_is_read_up_to_the_limit(site, client, source) -> None:
    text = "User-agent: *\nDisallow: /prive\n" + "# remplissage\n" * 50_000 + "Disallow: /\n"
    site.pages |= {"/robots.txt": rules(text), "/liste": answer(b"x")}
    assert fetch(client, source)[1] == b"x"
    assert failure(client, source, site.url("/prive")).kind is FailureKind.ROBOTS


def test_pages_beside_a_forbidden_one_are_still_asked_for(site, client, source) -> None:
    site.pages |= {
        "/robots.txt": rules("User-agent: lowtech-data/0.1\nDisallow: /prive"),
        "/liste": answer(b"x"),
    }
    assert failure(client, source, site.url("/prive/a")).kind is FailureKind.ROBOTS
    assert fetch(client, source)[1] == b"x"
    assert site.paths == ["/liste"]


def test_robots_txt_is_asked_once_a_day_and_obeyed_when_it_changes(
    site, client, source, time_
) -> None:
    site.pages |= {"/robots.txt": rules(""), "/liste": answer(b"x")}
    for _ in range(3):
        fetch(client, source)
    assert [path for path, _ in site.requests].count("/robots.txt") == 1
    site.pages["/robots.txt"] = rules("User-agent: lowtech-data\nDisallow: /")
    fetch(client, source)
    time_.now += 24 * 3600 + 1
    assert failure(client, source).kind is FailureKind.ROBOTS


def test_the_page_a_redirect_leads_to_must_be_allowed_too(site, client, source) -> None:
    site.pages |= {
        "/robots.txt": rules("User-agent: *\nDisallow: /prive"),
        "/liste": moved("/prive"),
        "/prive": answer(b"x"),
    }
    assert failure(client, source).kind is FailureKind.ROBOTS
    assert site.paths == ["/liste"]


@pytest.mark.parametrize("delay", ["61", "1e9", "61\nCrawl-delay: nan"])
def test_a_crawl_delay_beyond_reason_is_a_refusal(site, client, source, delay) -> None:
    site.pages["/robots.txt"] = rules(f"User-agent: *\nCrawl-delay: {delay}")
    assert failure(client, source).kind is FailureKind.ROBOTS


@pytest.mark.parametrize(("crawl_delay", "pause"), [("0.5", 2.0), ("7", 7.0)])
def test_the_longer_of_both_pauses_is_kept_between_two_requests(
    site, client, time_, crawl_delay, pause
) -> None:
    site.pages |= {
        "/robots.txt": rules(f"User-agent: *\nCrawl-delay: {crawl_delay}"),
        "/liste": answer(b"x"),
    }
    source = a_source(site.url("/liste"), limites={"pause_s": 2})
    fetch(client, source)
    fetch(client, source)
    assert time_.slept == [pause, pause]
    time_.now += 100
    fetch(client, source)
    assert time_.slept == [pause, pause]


def test_one_request_at_a_time_per_host_even_for_two_sources(site, real_time_client) -> None:
    lock, together = threading.Lock(), []

    def slow(handler: BaseHTTPRequestHandler) -> None:
        together.append(not lock.acquire(blocking=False))
        time.sleep(0.1)
        if not together[-1]:
            lock.release()
        answer(b"x")(handler)

    site.pages["/liste"] = slow
    sources = [a_source(site.url("/liste"), id=f"s{n}x", limites={"pause_s": 0}) for n in range(3)]
    threads = [
        threading.Thread(target=fetch, args=(real_time_client, source)) for source in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert together == [False, False, False]
