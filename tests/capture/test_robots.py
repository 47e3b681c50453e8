"""What a robots.txt allows."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import robots


def allows(body: bytes, url: str = "http://a.test/x") -> bool:
    return robots.parse(body, 0).allows(url)


def test_rules_for_this_robot_win_over_rules_for_all() -> None:
    body = b"User-agent: *\nDisallow: /\n\nUser-agent: lowtech-data\nDisallow: /prive\n"
    assert allows(body, "http://a.test/liste")
    assert not allows(body, "http://a.test/prive/x")


@pytest.mark.parametrize(
    "name",
    [b"lowtech-data", b"LowTech-Data", b"lowtech-data/1.0", b"lowtech-data # nous", b"*", b"* "],
)
@pytest.mark.parametrize("line", [b"User-agent: %s", b"user agent:%s", b"  USER-AGENT %s"])
def test_every_way_to_name_this_robot_is_understood(line: bytes, name: bytes) -> None:
    assert not allows(line % name + b"\r\nDisallow: /")


@pytest.mark.parametrize("name", [b"low", b"data", b"lowtech-data-bis", b"GPTBot", b"", b"\xff"])
def test_rules_for_other_robots_are_theirs(name: bytes) -> None:
    assert allows(b"User-agent: " + name + b"\nDisallow: /")


def test_rules_that_several_robots_share_hold_for_each() -> None:
    body = b"User-agent: a\nUser-agent: lowtech-data\nUser-agent: b\nDisallow: /x\n"
    assert not allows(body)
    assert allows(body + b"User-agent: c\nDisallow: /", "http://a.test/y")


def test_an_html_page_is_no_rules() -> None:
    assert allows("<!doctype html><title>Page introuvable</title><p>Désolé".encode())


def test_rules_beyond_the_size_limit_are_not_read_and_the_cut_rule_is_dropped() -> None:
    start = b"User-agent: *\n"
    filler = b"#" * (robots.MAX_BYTES - len(start) - len(b"\nDisallow: /")) + b"\nDisallow: /"
    assert not allows(start + filler)
    assert allows(start + filler + b"prive\n")


@pytest.mark.parametrize(
    "body",
    [
        b"User-agent: *\n" + b"".join(b"Disallow: /%d\n" % n for n in range(200_000)),
        b"User-agent: *\n" + b"".join(b"Disallow: /*%d*a$\n" % n for n in range(200_000)),
        b"User-agent: *\nDisallow: /" + b"*a" * 200_000 + b"b$",
        b"".join(b"User-agent: a%d\n" % n for n in range(15_000)) + b"Disallow: /\n" * 15_000,
        b"\x85".join(b"User-agent: a%d" % n for n in range(15_000)) + b"\nDisallow: /" * 15_000,
        b"User-agent: b\nDisallow: /\n" * 20_000,
        b"\n" * 500_000,
        b" " * 500_000,
        b"User-agent" + b" " * 500_000,
        b"user-" + b"\t" * 250_000 + b"agent" + b":" * 250_000,
    ],
    ids=[
        "rules",
        "wildcard rules",
        "one long rule",
        "robots sharing rules",
        "robots parted otherwise",
        "groups",
        "empty lines",
        "blank",
        "blank name",
        "blank inside",
    ],
)
def test_any_half_megabyte_is_read_in_bounded_time(body: bytes) -> None:
    begin = time.process_time()
    assert allows(body, "http://a.test/" + "a" * 2000)
    assert time.process_time() - begin < 3


@given(st.binary(max_size=400))
def test_any_bytes_can_be_read(body: bytes) -> None:
    read = robots.parse(body, 0)
    assert read.allows("http://a.test/") in {True, False}
    assert read.crawl_delay >= 0
