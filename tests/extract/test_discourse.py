import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Answer, Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["discourse"]
FORUM = "https://forum.example"
LATEST = f"{FORUM}/latest.json?no_definitions=true"
PLACE = f"{FORUM}/t/77.json"
PEOPLE = ("Léa", "lea_martin", "Dupont", "dupont", "Bonjour")


def topics(**changes: Any) -> Source:
    return make_source("discourse", **({"url": LATEST, "entite": "ressource"} | changes))


def places(**changes: Any) -> Source:
    given = {"options": {"lieux": True}, "ignorer": ["lieu.horaires"]}
    return make_source("discourse", **({"url": f"{FORUM}/c/lieux/12.json"} | given | changes))


def listing(*numbers: int, more: str | None = None, **topic: Any) -> str:
    made = [{"id": n, "title": f"Sujet {n}", "slug": f"sujet-{n}", **topic} for n in numbers]
    following = {"more_topics_url": more} if more else {}
    return json.dumps({"topic_list": {"topics": made, **following}})


def described(number: int, markup: str, first: int = 1) -> str:
    posts = [{"post_number": first, "cooked": markup, "username": "lea_martin"}]
    return json.dumps({"id": number, "title": f"Lieu {number}", "post_stream": {"posts": posts}})


class TestTopics:
    def test_a_topic_is_its_title_its_address_its_dates_and_its_tags(self) -> None:
        codes = {"low-tech": {"themes": ["energie"]}, "énergie": {}, "vélo": {"themes": []}}
        extraction = run(topics(codes=codes), make_page(FIXTURES / "discourse.json", LATEST))
        found = fiches(extraction)
        expected = {
            "entite": "ressource",
            "nom": "Un four solaire pour la cantine & l’école",
            "url": f"{FORUM}/t/un-four-solaire-pour-la-cantine-l-ecole/312",
            "date_publication": "2024-03-11T08:12:45.102Z",
            "date_maj": "2025-01-20T17:03:10.000Z",
            "themes": ["energie"],
            "description": None,
        }
        assert {name: found["312"][name] for name in expected} == expected
        assert found["298"]["themes"] == ["energie"]
        assert found["298"]["date_maj"] is None
        assert not rejected(extraction)

    def test_neither_people_nor_messages_are_kept(self) -> None:
        champs = {"description": "excerpt", "attribution": "last_poster_username"}
        page = make_page(FIXTURES / "discourse.json", LATEST)
        extraction = run(topics(champs=champs), page)
        assert extraction.fiches.num_rows == 2
        assert not [name for name in PEOPLE if name in everything(extraction)]

    def test_categories_are_codes_on_demand(self) -> None:
        source = topics(
            champs={"categories": ["tags", "category_id"]},
            codes={"low-tech": {}, "5": {"nature_ressource": "rex"}, "6": {"hors_champ": True}},
        )
        found = fiches(run(source, make_page(FIXTURES / "discourse.json", LATEST)))
        assert found["312"]["nature_ressource"] == "rex"

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            (f"{FORUM}/c/lieux/12.json?page=2", f"{FORUM}/t/sujet-4/4"),
            (f"{FORUM}/tag/low-tech.json", f"{FORUM}/t/sujet-4/4"),
            ("https://x.example/forum/latest.json", "https://x.example/forum/t/sujet-4/4"),
            ("https://x.example/c.json", "https://x.example/t/sujet-4/4"),
        ],
    )
    def test_the_address_of_a_topic_from_any_list(self, url: str, expected: str) -> None:
        assert fiches(run(topics(url=url), make_page(listing(4), url)))["4"]["url"] == expected

    def test_the_address_of_a_topic_from_a_file(self) -> None:
        page = make_page(listing(4, slug=""), "captures/latest.json")
        source = topics(url="captures/latest.json", page="https://x.example/forum/")
        assert fiches(run(source, page))["4"]["url"] == "https://x.example/forum/t/4"
        without = topics(url="captures/latest.json")
        assert fiches(run(without, page))["4"]["url"] is None
        assert not PLATFORM.follow(without, make_page(listing(4, more="/latest?page=1"), page.url))

    def test_a_topic_met_again_on_the_next_page_is_kept_once(self) -> None:
        extraction = run(topics(), make_page(listing(1, 2)), make_page(listing(2, 3)))
        assert sorted(fiches(extraction)) == ["1", "2", "3"]
        assert extraction.repeated == 1

    def test_a_column_that_a_plugin_adds_is_told(self) -> None:
        extraction = run(topics(), make_page(listing(1, voting_open=True)))
        assert rejected(extraction) == [("*", "voting_open", "colonne_non_declaree")]

    def test_what_is_no_topic_is_told(self) -> None:
        body = (
            '{"topic_list": {"topics": [{"id": 1, "title": "a"}, "b", {"title": "sans numéro"}]}}'
        )
        extraction = run(topics(), make_page(body))
        assert (extraction.fiches.num_rows, extraction.unreadable) == (1, 2)


class TestPlaces:
    def test_the_card_of_the_first_message(self) -> None:
        codes = {"lieu": {}, "bois": {}, "métal": {}, "laser": {"type": "fablab"}}
        codes |= {"fraiseuse": {}, "tour à bois": {}}
        page = make_page(FIXTURES / "discourse_lieu.json", PLACE)
        extraction = run(places(codes=codes), page)
        expected = {
            "nom": "L’Atelier des Tilleuls",
            "url": f"{FORUM}/t/l-atelier-des-tilleuls/77",
            "site_web": "https://atelier-des-tilleuls.example",
            "adresse": "42 rue des Tilleuls, 59999 Valombre",
            "latitude": "50°44'41.9\"N",
            "longitude": "3,1234",
            "type": "fablab",
        }
        place = fiches(extraction)["77"]
        assert {name: place[name] for name in expected} == expected
        assert not rejected(extraction)

    def test_neither_people_nor_messages_are_kept(self) -> None:
        champs = {"description": "lieu.contact", "attribution": "post_stream.posts.username"}
        page = make_page(FIXTURES / "discourse_lieu.json", PLACE)
        extraction = run(places(champs=champs), page)
        assert not [name for name in PEOPLE if name in everything(extraction)]

    @pytest.mark.parametrize("written", ["TBD", "tbd.", " – ", ""])
    def test_what_is_not_written_yet_is_nothing(self, written: str) -> None:
        parts = "".join(f"<dt>{name}</dt><dd>{written}</dd>" for name in ("Latitude", "Tags"))
        page = make_page(described(3, f'<dl class="h-geo">{parts}</dl>'), PLACE)
        source = places(codes={"bois": {}})
        extraction = run(source, page)
        assert fiches(extraction)["3"]["latitude"] is None
        assert not rejected(extraction)

    def test_a_label_that_nobody_declared_is_told(self) -> None:
        card = '<dl class="h-geo"><dt>Surface (m²)</dt><dd>80</dd></dl>'
        extraction = run(places(), make_page(described(3, card), PLACE))
        assert rejected(extraction) == [("*", "lieu.surface_m2", "colonne_non_declaree")]

    @pytest.mark.parametrize(
        ("body", "rule"),
        [
            (described(3, "<p>À propos de la catégorie</p>"), "lieu_absent"),
            (described(3, "<p>h-geo</p>"), "lieu_absent"),
            (described(3, '<dl class="h-geo"></dl>', first=2), "premier_message_absent"),
            ('{"id": "3", "post_stream": {"posts": []}}', "enregistrement_inattendu"),
        ],
    )
    def test_a_topic_without_a_place_is_told(self, body: str, rule: str) -> None:
        extraction = run(places(), make_page(body, PLACE))
        assert [found for _, _, found in rejected(extraction)] == [rule]
        assert extraction.unreadable == 1

    def test_lists_only_lead_to_topics(self) -> None:
        page = make_page(listing(1, 2, more="/c/lieux/12?page=1"), f"{FORUM}/c/lieux/12.json")
        assert run(places(), page).read == 0
        assert [request.url for request in PLATFORM.follow(places(), page)] == [
            f"{FORUM}/t/1.json",
            f"{FORUM}/t/2.json",
            f"{FORUM}/c/lieux/12.json?page=1",
        ]


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("", "tronqué"),
            ("<html><title>Connexion</title><input type=password></html>", "page de connexion"),
            (
                '{"errors": ["La page n’existe pas."], "error_type": "not_found"}',
                r"not_found \(La page n’existe pas",
            ),
            ("[]", "trouvé : list"),
            ("{}", "objet vide"),
            ('{"topic_list": {"topics": {}}}', "trouvé : topic_list"),
            (described(3, ""), "trouvé un sujet"),
        ],
    )
    def test_something_else(self, body: str, message: str) -> None:
        with pytest.raises(PayloadError, match=message):
            run(topics(), make_page(body))

    @pytest.mark.parametrize(
        ("more", "message"), [("/latest", "n’avance pas"), ([1], "attendu une adresse")]
    )
    def test_a_next_page_that_is_none(self, more: Any, message: str) -> None:
        url = f"{FORUM}/latest.json"
        with pytest.raises(PayloadError, match=message):
            PLATFORM.follow(topics(), make_page(listing(1, more=more), url))

    def test_an_empty_page_is_the_last(self) -> None:
        assert not PLATFORM.follow(topics(), make_page(listing(more="/latest?page=9"), LATEST))


class TestHarvest:
    """The whole way, over HTTP."""

    def run(self, source: Source, folder: Path, client: Client) -> Harvest:
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    def test_all_pages_of_a_list(self, site: Site, client: Client, tmp_path: Path) -> None:
        first = "/latest.json?no_definitions=true"
        second = "/latest.json?no_definitions=true&page=1"
        site.pages = {
            first: answer(listing(1, 2, more="/latest?no_definitions=true&page=1").encode()),
            second: answer(listing(2, 3).encode()),
        }
        source = topics(url=site.url(first), limites={"pause_s": 0})
        found = self.run(source, tmp_path, client)
        assert site.paths == [first, second]
        assert sorted(fiches(extract(source, PLATFORM, found.bodies))) == ["1", "2", "3"]

    def test_unchanged_pages_still_lead_to_the_others(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        def with_tag(body: str, tag: str) -> Answer:
            def write(handler: Any) -> None:
                is_known = handler.headers.get("If-None-Match") == tag
                again = answer(b"", 304, length=False, ETag=tag)
                (again if is_known else answer(body.encode(), ETag=tag))(handler)

            return write

        card = '<dl class="h-geo"><dt>Latitude</dt><dd>48,5</dd></dl>'
        site.pages = {
            "/c/lieux/12.json": with_tag(listing(1, more="/c/lieux/12?page=1"), '"a"'),
            "/c/lieux/12.json?page=1": with_tag(listing(2), '"b"'),
            "/t/1.json": with_tag(described(1, card), '"c"'),
            "/t/2.json": with_tag(described(2, card), '"d"'),
        }
        source = places(url=site.url("/c/lieux/12.json"), limites={"pause_s": 0})
        for status in ("nouvelle", "inchangee"):
            found = self.run(source, tmp_path, client)
            assert found.status == status
            extraction = extract(source, PLATFORM, found.bodies)
            assert sorted(fiches(extraction)) == ["1", "2"]
        assert len(site.paths) == 8

    def test_a_forum_that_asks_to_sign_in_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        body = b'{"errors": ["Vous devez vous connecter."], "error_type": "not_logged_in"}'
        site.pages["/latest.json"] = answer(body)
        with pytest.raises(CaptureError, match="not_logged_in") as caught:
            self.run(topics(url=site.url("/latest.json")), tmp_path, client)
        assert caught.value.kind is FailureKind.CONTENT
