"""Only public machines, and only those that a source declares."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture.address import (
    checked_addresses,
    declared_target,
    is_public,
    read_target,
    system_resolver,
)
from lowtech_data.capture.errors import CaptureError, FailureKind

from .conftest import a_source

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",
    "2002:a00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "::127.0.0.1",
    "100::1",
]

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "2a01:e0a::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_special_purpose_addresses_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_ordinary_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_hidden_forms_are_judged_as_the_address_they_hide(address) -> None:
    number = int(address)
    mapped = ip_address((0xFFFF << 32) | number)
    nat64 = ip_address((0x64FF9B << 96) | number)
    sixtofour = ip_address((0x2002 << 112) | (number << 80))
    assert is_public(mapped) == is_public(nat64) == is_public(sixtofour) == is_public(address)


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]"]
)
def test_every_spelling_of_loopback_is_refused_by_what_it_resolves_to(host: str) -> None:
    with pytest.raises(CaptureError) as failure:
        checked_addresses(host.strip("[]"), 80, system_resolver, ())
    assert failure.value.kind is FailureKind.PRIVATE_ADDRESS


def test_one_private_answer_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(CaptureError, match=r"10\.0\.0\.7") as failure:
        checked_addresses("piege.test", 443, lambda host, port: ["8.8.8.8", "10.0.0.7"], ())
    assert failure.value.kind is FailureKind.PRIVATE_ADDRESS


def test_a_network_is_reachable_only_when_it_is_allowed() -> None:
    allowed = [ip_network("10.1.0.0/16")]
    assert checked_addresses("a", 80, lambda *_: ["10.1.2.3"], allowed) == ["10.1.2.3"]
    with pytest.raises(CaptureError):
        checked_addresses("a", 80, lambda *_: ["10.2.2.3"], allowed)


@pytest.mark.parametrize("answers", [[], ["pas une adresse"]])
def test_a_name_without_usable_address_is_a_dns_failure(answers: list[str]) -> None:
    with pytest.raises(CaptureError) as failure:
        checked_addresses("vide.test", 80, lambda *_: answers, ())
    assert failure.value.kind is FailureKind.DNS


@pytest.mark.parametrize(
    "url",
    [
        "http://liste.test@127.0.0.1/",
        "http://u:secret@liste.test/",
        "http://liste.test\\@127.0.0.1/",
        "http://liste.test%2f@127.0.0.1/",
        "http://liste.test\r\nX: y/",
        "http://a b@c/",
        "http:///sans-hote",
        "//liste.test/",
        "/relatif",
        "file:///etc/passwd",
        "ftp://liste.test/",
        "gopher://liste.test/",
        "data:text/html,x",
        "javascript:alert(1)",
        "http://liste.test:99999/",
        "http://liste.test:-1/",
        "http://[::1/",
        "http://liste.test\u2028/",
        "http://liste.test\ud800/",
        "http://[liste.test]/",
        "https:liste.test/",
        "",
    ],
)
def test_ambiguous_or_foreign_addresses_are_refused(url: str) -> None:
    with pytest.raises(CaptureError) as failure:
        read_target(url)
    assert failure.value.kind is FailureKind.ADDRESS
    assert "secret" not in failure.value.message
    assert "\n" not in failure.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://liste.test/",
        "HTTP://LISTE.test./",
        "http://liste.test#@127.0.0.1/",
        "http://liste.test?@127.0.0.1/",
        "http://liste%2etest/",
    ],
)
def test_spellings_of_the_declared_host_are_the_declared_host(url: str) -> None:
    assert declared_target(a_source("http://liste.test/"), url).host == "liste.test"


@pytest.mark.parametrize(
    "url",
    [
        "https://autre.test/",
        "https://www.liste.test/",
        "https://liste.test.evil.test/",
        "https://lіste.test/",  # Cyrillic і
        "https://xn--lste-2vd.test/",
        "https://liste。evil。test/",
        "https://ｌｉｓｔｅ.test/",
        "https://liste.test,127.0.0.1/",
        "https://liste.test..evil.test/",
        "https://liste.test%00.evil.test/",
        "https://127.0.0.1#@liste.test/",
        "https://127.0.0.1/@liste.test",
        "https://127.0.0.1?@liste.test/",
        "https://[::ffff:127.0.0.1]/",
        "https://liste.test:22/",
        "https://liste.test:6379/",
    ],
)
def test_undeclared_hosts_and_ports_are_refused(url: str) -> None:
    with pytest.raises(CaptureError) as failure:
        declared_target(a_source("https://liste.test/"), url)
    assert failure.value.kind is FailureKind.ADDRESS


def test_declared_hosts_and_the_declared_port_are_accepted() -> None:
    source = a_source("https://liste.test:8443/", hotes=["cdn.test", "énergie.test"])
    assert declared_target(source, "https://cdn.test/a").port == 443
    assert declared_target(source, "https://liste.test:8443/a").port == 8443
    assert declared_target(source, "https://énergie.test/").host == "xn--nergie-9ua.test"


@given(
    st.text("lisetLİſ.@\\/:#?%[]0127ｌ。\u00ad\u200b \r\n", max_size=24),
    st.sampled_from(["", "//", "//u@"]),
)
def test_what_is_checked_is_what_would_be_requested(text: str, start: str) -> None:
    """Whatever is let through goes to the declared host, for the reader of the HTTP library too."""
    source = a_source("http://liste.test/")
    try:
        target = declared_target(source, f"http:{start}{text}")
    except CaptureError:
        return
    prepared = requests.Request("GET", target.url).prepare()
    assert target.host == "liste.test"
    assert (urlsplit(prepared.url).hostname or "").rstrip(".") == "liste.test"
    assert read_target(target.url) == target
