"""A link is dead after three days of absence over two weeks, and not a day before."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import Client
from lowtech_data.enrich import is_online, links
from lowtech_data.enrich.cache import Cache
from lowtech_data.enrich.links import MIN_SPREAD, SCHEMA, Link, Look, Seen, State, after, look_at
from tests.capture.conftest import FakeTime, to_loopback
from tests.enrich.conftest import Service, a_client, always, fiches

DAY = date(2026, 11, 1)
GONE, DOWN = Look(Seen.MISSING, "404"), Look(Seen.BROKEN, "503")
FINE, SHUT = Look(Seen.ALIVE, "200"), Look(Seen.UNKNOWN, "robots")


def story(*looks: tuple[int, Look]) -> Link:
    """The link after looks on these days of the story."""
    link = None
    for days, look in looks:
        link = after(link, look, DAY + timedelta(days=days))
    assert link is not None
    return link


@pytest.mark.parametrize(
    ("looks", "state"),
    [
        ([(0, FINE)], State.ALIVE),
        ([(0, GONE)], State.IN_DOUBT),
        ([(0, GONE), (7, GONE), (14, GONE)], State.DEAD),
        ([(0, GONE), (7, GONE), (13, GONE)], State.IN_DOUBT),
        ([(0, GONE), (20, GONE)], State.IN_DOUBT),
        ([(0, GONE), (0, GONE), (14, GONE)], State.IN_DOUBT),
        ([(0, GONE), (7, FINE), (14, GONE), (21, GONE)], State.IN_DOUBT),
        ([(0, GONE), (7, SHUT), (10, GONE), (14, GONE)], State.DEAD),
        ([(0, DOWN), (7, DOWN), (14, DOWN), (60, DOWN)], State.BROKEN),
        ([(0, GONE), (7, DOWN), (14, GONE)], State.BROKEN),
        ([(0, GONE), (7, GONE), (14, GONE), (30, DOWN)], State.DEAD),
        ([(0, GONE), (7, GONE), (14, GONE), (104, FINE)], State.ALIVE),
        ([(0, SHUT)], State.UNKNOWN),
        ([(0, FINE), (30, SHUT)], State.UNKNOWN),
    ],
)
def test_patience(looks: list[tuple[int, Look]], state: State):
    assert story(*looks).etat is state


def test_a_clock_that_goes_back_changes_nothing():
    link = story((0, GONE), (7, GONE))
    assert after(link, GONE, DAY) == link
    assert after(link, FINE, DAY + timedelta(days=6)) == link


LOOKS = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from([GONE, DOWN, FINE, SHUT])), min_size=1
)


@given(LOOKS)
def test_dead_means_absent_on_three_days_over_two_weeks_since_the_last_success(
    looks: list[tuple[int, Look]],
):
    ordered = sorted(looks, key=lambda look: look[0])
    last_success = max((n for n, (_, look) in enumerate(ordered) if look is FINE), default=-1)
    absent = {day for day, look in ordered[last_success + 1 :] if look is GONE}
    spread = timedelta(days=max(absent) - min(absent)) if absent else timedelta(0)
    is_dead = len(absent) >= 3 and spread >= MIN_SPREAD
    assert (story(*ordered).etat is State.DEAD) == is_dead


@given(LOOKS)
def test_the_same_look_twice_a_day_is_one(looks: list[tuple[int, Look]]):
    ordered = sorted(looks, key=lambda look: look[0])
    assert story(*ordered) == story(*(look for look in ordered for _ in range(2)))


def seen(client: Client, url: str) -> tuple[str, str]:
    look = look_at(url, client)
    return look.seen.value, str(look.cause)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "vivant"),
        (204, "vivant"),
        (404, "disparu"),
        (410, "disparu"),
        (500, "en_panne"),
        (503, "en_panne"),
        (401, "non_verifiable"),
        (403, "non_verifiable"),
        (429, "non_verifiable"),
    ],
)
def test_what_a_status_shows(service: Service, client: Client, status: int, expected: str):
    service.answers["/"] = always(status)
    assert seen(client, service.url()) == (expected, str(status))
    methods = [method for method, _ in service.requests()]
    assert methods == (["HEAD"] if expected == "vivant" else ["HEAD", "GET"])


@pytest.mark.parametrize("status", [429, 503])
def test_a_site_that_asks_for_a_rest_gets_it(
    service: Service, client: Client, time_: FakeTime, status: int
):
    service.answers["/"] = always(status, Retry_After="30")
    seen(client, service.url())
    assert max(time_.slept) == pytest.approx(30)
    service.answers["/"] = always(status, Retry_After="3600")
    before = len(service.requests())
    assert seen(client, service.url()) == ("non_verifiable", "surcharge")
    assert len(service.requests()) == before + 1


@pytest.mark.parametrize("refusal", [404, 405, 403, 501])
def test_a_server_that_refuses_heads_is_asked_for_the_page(
    service: Service, client: Client, refusal: int
):
    service.answers["/"] = lambda handler, sent: (
        (refusal, {}, b"") if handler.command == "HEAD" else (200, {}, b"<html>")
    )
    assert seen(client, service.url()) == ("vivant", "200")


def test_redirects_are_followed_within_the_site(service: Service, client: Client):
    service.answers["/"] = always(301, Location=service.url("/accueil", "www.service.test"))
    service.answers["/accueil"] = always(200)
    assert seen(client, service.url()) == ("vivant", "200")


def test_another_site_is_not_followed(service: Service, client: Client):
    service.answers["/"] = always(302, Location=service.url("/vente", "domaine-a-vendre.test"))
    service.answers["/vente"] = always(200)
    assert seen(client, service.url()) == ("non_verifiable", "autre_site")
    assert not service.requests("/vente")


def test_a_name_whose_robots_txt_leads_elsewhere_is_not_followed(service: Service, client: Client):
    service.answers["/robots.txt"] = always(302, Location=service.url("/", "a-vendre.test"))
    assert seen(client, service.url()) == ("non_verifiable", "autre_site")
    assert not service.requests()


def test_a_site_that_redirects_for_ever_is_left(service: Service, client: Client):
    service.answers["/"] = always(302, Location="/")
    assert seen(client, service.url()) == ("non_verifiable", "redirection")
    assert len(service.requests()) <= 2 * (links.MAX_REDIRECTS + 1)


def test_robots_are_obeyed(service: Service, client: Client):
    service.answers["/robots.txt"] = always(200, b"User-agent: *\nDisallow: /prive")
    assert seen(client, service.url("/prive")) == ("non_verifiable", "robots")
    assert not service.requests()


def test_a_site_whose_robots_txt_fails_is_broken(service: Service, client: Client):
    service.answers["/robots.txt"] = always(503)
    assert seen(client, service.url()) == ("en_panne", "503")


def test_a_silent_server_is_broken(
    service: Service, time_: FakeTime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(links, "DEADLINE_S", 0.2)

    def slow(handler: Any, sent: bytes) -> Any:
        time.sleep(0.6)
        return 200, {}, b""

    service.answers["/"] = slow
    assert seen(a_client(time_), service.url()) == ("en_panne", "delai")


def test_a_closed_port_is_broken(client: Client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert seen(client, f"http://service.test:{port}/") == ("en_panne", "connexion")


def resolver(failure: OSError) -> Callable[[str, int], Sequence[str]]:
    def resolve(host: str, port: int) -> Sequence[str]:
        raise failure

    return resolve


def test_a_name_that_does_not_exist_is_missing_one_unanswered_is_not(time_: FakeTime):
    none = resolver(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert seen(a_client(time_, none), "https://disparu.test/") == ("disparu", "dns")
    later = resolver(socket.gaierror(socket.EAI_AGAIN, "Temporary failure"))
    assert seen(a_client(time_, later), "https://disparu.test/") == ("en_panne", "dns")


def test_private_addresses_are_not_contacted(service: Service, time_: FakeTime):
    client = a_client(time_, lambda host, port: ["10.0.0.7"])
    assert seen(client, "http://interne.test/") == ("non_verifiable", "acces_prive")


@pytest.mark.parametrize(
    "url", ["ftp://service.test/", "http://", "pas une adresse", "http://[::1/"]
)
def test_an_address_that_is_none_is_left_to_people(client: Client, url: str):
    assert seen(client, url) == ("non_verifiable", "adresse")


def a_cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "liens.parquet", SCHEMA)


def check(
    service: Service, tmp_path: Path, time_: FakeTime, day: int, *paths: str, **options: Any
) -> Any:
    table = fiches(*({"site_web": service.url(path)} for path in paths))
    given = {"maximum": 99, "is_online": lambda: True} | options
    return links.check(
        table, a_cache(tmp_path), lambda: a_client(time_), today=DAY + timedelta(days=day), **given
    )


def test_a_link_dies_over_passes_and_comes_back(service: Service, tmp_path: Path, time_: FakeTime):
    service.answers["/b"] = always(200)
    states = []
    for day in (0, 3, 7, 14, 60, 104):
        if day == 104:
            service.answers["/a"] = always(200)
        check(service, tmp_path, time_, day, "/a", "/b")
        states.append(a_cache(tmp_path).get(service.url("/a"))["etat"])  # type: ignore[index]
    assert states == ["en_doute", "en_doute", "en_doute", "mort", "mort", "vivant"]
    # Not again on day 3 (a week between doubts) nor on day 60 (three months once dead).
    assert len(service.requests("/a")) == 2 * 3 + 1
    table = fiches({"site_web": service.url("/b")}, {"site_web": None})
    [row] = links.states(table, a_cache(tmp_path)).to_pylist()
    assert (row["cle_source"], row["etat"]) == ("0", "vivant")


def test_hosts_are_asked_one_at_a_time_with_pauses(
    service: Service, tmp_path: Path, time_: FakeTime
):
    start = time_.now
    report = check(service, tmp_path, time_, 0, "/a", "/b", "/c")
    assert (report.due, report.asked) == (3, 3)
    assert time_.now - start >= 6 * links.PAUSE_S


def test_without_network_nothing_is_asked_nor_noted(
    service: Service, tmp_path: Path, time_: FakeTime
):
    report = check(service, tmp_path, time_, 0, "/a", is_online=lambda: False)
    assert (report.due, report.asked) == (1, 0)
    assert "pas de réseau" in report.problem
    assert not service.asked
    assert not (tmp_path / "liens.parquet").exists()


def test_a_network_lost_on_the_way_is_held_against_no_site(
    service: Service, tmp_path: Path, time_: FakeTime
):
    lost = resolver(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    online = iter([True, False])
    table = fiches({"site_web": "https://a.test/"}, {"site_web": "https://b.test/"})
    report = links.check(
        table, a_cache(tmp_path), lambda: a_client(time_, lost), today=DAY, maximum=9,
        is_online=lambda: next(online),
    )  # fmt: skip
    assert (report.asked, report.left) == (0, 2)
    assert "disparu" in report.problem
    assert a_cache(tmp_path).table().num_rows == 0


def test_an_interrupted_pass_keeps_what_was_seen(service: Service, tmp_path: Path, time_: FakeTime):
    def stop(handler: Any, sent: bytes) -> Any:
        raise AssertionError("n’est pas demandé")

    class Interrupted(Client):
        def look(self, site: Any, url: str, method: str) -> Any:
            if url.endswith("/c"):
                raise KeyboardInterrupt
            return super().look(site, url, method)

    table = fiches(*({"site_web": service.url(path)} for path in ("/a", "/b", "/c")))
    service.answers["/c"] = stop
    with pytest.raises(KeyboardInterrupt):
        links.check(
            table, a_cache(tmp_path), lambda: a_client(time_, kind=Interrupted),
            today=DAY, maximum=9, is_online=lambda: True,
        )  # fmt: skip
    assert a_cache(tmp_path).table().num_rows == 2


def test_the_network_is_there_when_a_name_resolves():
    assert is_online(to_loopback)
    assert not is_online(resolver(OSError()))
