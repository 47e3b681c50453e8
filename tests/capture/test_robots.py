"""What a robots.txt allows."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import robots

AGENT = "lowtech-data"


def test_rules_for_this_robot_win_over_rules_for_all() -> None:
    rules = robots.parse(
        b"User-agent: *\nDisallow: /\n\nUser-agent: lowtech-data\nDisallow: /prive\n", 0
    )
    assert rules.allows("http://a.test/liste", AGENT)
    assert not rules.allows("http://a.test/prive/x", AGENT)
    assert not rules.allows("http://a.test/liste", "autre")


def test_an_html_page_is_no_rules() -> None:
    page = "<!doctype html><title>Page introuvable</title><p>Désolé".encode()
    assert robots.parse(page, 0).allows("http://a.test/", AGENT)


def test_rules_beyond_the_size_limit_are_not_read_and_the_cut_rule_is_dropped() -> None:
    start = b"User-agent: *\n"
    filler = b"#" * (robots.MAX_BYTES - len(start) - len(b"\nDisallow: /")) + b"\nDisallow: /"
    assert robots.parse(start + filler, 0).allows("http://a.test/x", AGENT) is False
    body = start + filler + b"prive\n"
    assert robots.parse(body, 0).allows("http://a.test/x", AGENT)


def test_two_hundred_thousand_rules_are_read_in_bounded_time() -> None:
    body = b"User-agent: *\n" + b"".join(b"Disallow: /%d\n" % n for n in range(200_000))
    begin = time.process_time()
    assert robots.parse(body, 0).allows("http://a.test/x", AGENT)
    assert time.process_time() - begin < 5


@given(st.binary(max_size=400))
def test_any_bytes_can_be_read(body: bytes) -> None:
    assert robots.parse(body, 0).allows("http://a.test/", AGENT) in {True, False}
