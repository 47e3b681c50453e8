import contextlib
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowtech_data.extract import PLATFORMS, Request
from lowtech_data.extract.base import PayloadError, Row, Unreadable

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["mediawiki_dokit"]
API = "https://wiki.example.org/w/api.php"
CODES = {
    "Energy": {"themes": ["energie"]},
    "Tools": {"themes": ["fabrication"]},
    "type:Tutorial": {"nature_ressource": "tutoriel"},
}


def wiki(**changes: Any) -> Any:
    return make_source("mediawiki_dokit", url=API, entite="ressource", codes=CODES, **changes)


def values(name: str, url: str = API) -> dict[str, Row | Unreadable]:
    rows = PLATFORM.rows(wiki(), make_page(FIXTURES / name, url=url))
    return {row.pointer: row for row in rows}


def query(request: Request) -> dict[str, str]:
    return {k: v[0] for k, v in parse_qs(urlsplit(request.url).query).items()}


class TestHtml:
    def test_layout_of_the_low_tech_lab(self) -> None:
        extraction = run(wiki(), make_page(FIXTURES / "lowtechlab.html", url="file.html"))
        fiche = fiches(extraction)["4"]
        expected = {
            "nom": "Vélo d'essai",
            "description": "Un vélo qui produit de l'électricité.",
            "url": "https://wiki.example.org/wiki/V%C3%A9lo_d%27essai",
            "date_maj": "11/12/2023",
            "licence": "cc-by-sa",
            "attribution": "Page « Vélo d'essai », Wiki d’essai",
            "difficulte": "Hard",
            "duree": "2,5 day(s)",
            "cout": "50-850 EUR (€)",
            "langue": "fr",
            "identifiants": ["wiki.example.org=4"],
            "themes": ["energie", "fabrication"],
            "nature_ressource": "tutoriel",
            "pointeur": "page 4",
        }
        assert {name: fiche[name] for name in expected} == expected
        assert not rejected(extraction)

    def test_older_layout(self) -> None:
        extraction = run(wiki(), make_page(FIXTURES / "wikifab.html", url="file.html"))
        fiche = fiches(extraction)["8"]
        expected = {
            "nom": "Four d'essai",
            "description": "Un four solaire.",
            "url": "https://autre.example.org/wiki/Four_d%27essai",
            "date_maj": "17/05/2025",
            "licence": None,
            "difficulte": "Very easy",
            "duree": None,
            "themes": ["energie"],
            "nature_ressource": None,
        }
        assert {name: fiche[name] for name in expected} == expected
        assert rejected(extraction) == [("8", "categories", "code_inconnu")]

    @pytest.mark.parametrize("name", ["lowtechlab.html", "wikifab.html"])
    def test_authors_are_not_read(self, name: str) -> None:
        page = make_page(FIXTURES / name, url="file.html")
        assert "Prenom" not in everything(run(wiki(), page))
        assert "Prenom" not in str(list(PLATFORM.rows(wiki(), page)))

    def test_a_translation_is_left_aside_only_when_the_page_says_so(self) -> None:
        body = (FIXTURES / "lowtechlab.html").read_text()
        renamed = body.replace('"wgPageName":"Vélo_d\'essai"', '"wgPageName":"Vélo_d\'essai/pt-br"')
        translated = renamed.replace('Translation":"source"', 'Translation":"translation"')
        extraction = run(wiki(), make_page(translated, url="file.html"))
        assert rejected(extraction) == [("page 4", "*", "sous_page_traduction")]
        assert run(wiki(), make_page(renamed, url="file.html")).fiches.num_rows == 1
        elsewhere = translated.replace("d'essai/pt-br", "d'essai / Poêle")
        assert run(wiki(), make_page(elsewhere, url="file.html")).fiches.num_rows == 1

    def test_a_page_of_the_wiki_without_tutorial(self) -> None:
        body = '<script>mw.config.set({"wgArticleId":1,"wgPageName":"Accueil"});</script>'
        extraction = run(wiki(), make_page(f"<html>{body}</html>", url="file.html"))
        assert rejected(extraction) == [("page 1", "*", "sans_fiche_tutoriel")]

    def test_configuration_that_is_not_quite_json(self) -> None:
        body = (
            (FIXTURES / "lowtechlab.html").read_text().replace('"wgCategories":[', '"x":!0,"y":[')
        )
        assert fiches(run(wiki(), make_page(body, url="file.html")))["4"]["nom"] == "Vélo d'essai"

    def test_another_page_is_refused(self) -> None:
        page = make_page("<title>Connexion</title><input type=password>", url="file.html")
        with pytest.raises(PayloadError, match="page MediaWiki, trouvé une page de connexion"):
            run(wiki(), page)


class TestWikitext:
    def test_current_and_localised_values(self) -> None:
        extraction = run(wiki(), make_page(FIXTURES / "wiki_pages_131.json", url=API))
        found = fiches(extraction)
        expected = {
            "nom": "Vélo d'essai",
            "description": "Un vélo qui produit de l'électricité.",
            "url": "https://wiki.example.org/wiki/V%C3%A9lo_d%27essai",
            "date_maj": "2023-12-11T10:20:30Z",
            "licence": "cc-by-sa",
            "attribution": "Page « Vélo d'essai », Wiki d’essai",
            "difficulte": "Hard",
            "duree": "2,5 day(s)",
            "cout": "50-850 EUR (€)",
            "langue": "fr",
            "identifiants": ["wiki.example.org=4"],
            "themes": ["energie", "fabrication"],
            "nature_ressource": "tutoriel",
            "pointeur": "/query/pages/4",
        }
        assert {name: found["4"][name] for name in expected} == expected
        assert found["6"]["themes"] == ["energie"]
        assert found["6"]["url"] == "https://wiki.example.org/wiki/Po%C3%AAle_/_Rocket"
        assert rejected(extraction) == [
            ("/query/pages/5", "*", "sous_page_traduction"),
            ("/query/pages/7", "*", "sans_fiche_tutoriel"),
            ("/query/pages/9", "*", "page_supprimee"),
        ]

    def test_html_and_wikitext_of_a_page_say_the_same(self) -> None:
        from_api = values("wiki_pages_131.json")["/query/pages/4"]
        from_html = values("lowtechlab.html", url="file.html")["page 4"]
        assert isinstance(from_api, Row)
        assert isinstance(from_html, Row)
        differing = {
            name for name in from_api.values if from_api.values[name] != from_html.values[name]
        }
        assert differing == {"date_maj"}

    def test_slots_and_pages_by_id(self) -> None:
        row = values("wiki_pages_135.json")["/query/pages/4"]
        assert isinstance(row, Row)
        assert row.values["categories"] == ["Energy", "type:Tutorial"]

    @pytest.mark.parametrize(
        ("description", "text"),
        [
            ("Un {{Info|poêle}} [[A|B|C]]", None),
            ("a [[Lien|texte]] b", "a texte b"),
            ("[https://example.org le site] <b>gras</b> '''fort'''", "le site gras fort"),
            ("a &amp; b<br/>c <!-- non -->", "a & b c"),
            ("x = y", "x = y"),
        ],
    )
    def test_plain_text(self, description: str, text: str | None) -> None:
        content = f"{{{{Tuto_Details|Description={description}|Type=Tutorial}}}}"
        item = {"pageid": 1, "title": "T", "revisions": [{"content": content}]}
        page = make_page(json.dumps({"query": {"pages": [item]}}), url=API)
        (row,) = PLATFORM.rows(wiki(), page)
        assert isinstance(row, Row)
        assert row.values["type"] == "Tutorial"
        if text:
            assert row.values["description"] == text

    def test_a_content_that_never_comes_is_said(self) -> None:
        body = '{"batchcomplete": true, "query": {"pages": [{"pageid": 4, "title": "A"}]}}'
        assert rejected(run(wiki(), make_page(body, url=API))) == [
            ("/query/pages/4", "*", "contenu_absent")
        ]
        # In an answer given in several parts, it comes in another part.
        assert run(wiki(), make_page(body, url=f"{API}?continue=%7C%7C&rvcontinue=5")).read == 0


class TestPaging:
    def test_the_category_is_asked_first(self) -> None:
        (request,) = PLATFORM.first(wiki())
        asked = query(request)
        assert request.url.startswith(f"{API}?")
        assert asked["list"] == "categorymembers"
        assert asked["cmtitle"] == "Category:Tutorials"
        assert asked["formatversion"] == "2"

    def test_a_saved_page_leads_nowhere(self) -> None:
        source = make_source("mediawiki_dokit", url="pages/velo.html")
        assert [r.url for r in PLATFORM.first(source)] == ["pages/velo.html"]
        page = make_page(FIXTURES / "lowtechlab.html", url="pages/velo.html")
        assert not PLATFORM.follow(source, page)

    def test_members_lead_to_contents_and_to_more_members(self) -> None:
        (first,) = PLATFORM.first(wiki())
        page = make_page(FIXTURES / "wiki_liste.json", url=first.url)
        assert run(wiki(), page).read == 0
        *contents, more = PLATFORM.follow(wiki(options={"lot": 2}), page)
        assert [query(request)["pageids"] for request in contents] == ["4|5", "6"]
        assert "rvslots" not in query(contents[0])
        assert query(more) == {**query(first), "cmcontinue": "page|4f|12", "continue": "-||"}
        slots = PLATFORM.follow(wiki(options={"rvslots": True}), page)[0]
        assert query(slots)["rvslots"] == "main"

    def test_contents_cut_by_the_server_are_continued(self) -> None:
        url = f"{API}?action=query&prop=revisions%7Cinfo&pageids=4%7C5"
        body = '{"continue": {"rvcontinue": 5, "continue": "||info"}, "query": {"pages": []}}'
        (more,) = PLATFORM.follow(wiki(), make_page(body, url=url))
        assert query(more)["rvcontinue"] == "5"
        assert query(more)["pageids"] == "4|5"

    def test_the_last_answer_leads_nowhere(self) -> None:
        assert not PLATFORM.follow(wiki(), make_page(FIXTURES / "wiki_pages_131.json", url=API))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            '{"error": {"code": "maxlag", "info": "Waiting"}}',
            "refuse la requête : maxlag : Waiting",
        ),
        ('{"error": "blocked"}', "refuse la requête : blocked"),
        ('{"foo": 1}', "réponse inattendue de l’API : foo"),
        ('{"query": [1]}', "réponse inattendue"),
        ("[]", "attendu un objet de l’API MediaWiki, trouvé list"),
        ("<html><title>503</title></html>", "attendu du JSON, trouvé une page HTML « 503 »"),
    ],
)
def test_an_answer_that_is_none_is_refused(body: str, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        run(wiki(), make_page(body, url=API))


ANSWER_KEYS = ["query", "pages", "categorymembers", "pageid", "revisions", "slots", "main"]
ANSWER_KEYS += ["content", "continue", "title", "missing", "error", "0"]

JSON = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["", "A/fr", "{{Tuto Details|Area=", "page"]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(ANSWER_KEYS),
            below,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON, JSON)
@example({"pages": 1}, None)
def test_no_shape_of_answer_breaks_the_reader(query: Any, continuing: Any) -> None:
    page = make_page(json.dumps({"query": query, "continue": continuing}), url=API)
    with contextlib.suppress(PayloadError):
        run(wiki(), page)
    with contextlib.suppress(PayloadError):
        PLATFORM.follow(wiki(), page)


@given(st.text(st.sampled_from("{}[]|= ab'<>!-\n"), max_size=60))
def test_no_wikitext_breaks_the_reader(text: str) -> None:
    item = {"pageid": 1, "title": "T", "revisions": [{"content": "{{Tuto Details|" + text}]}
    run(wiki(), make_page(json.dumps({"query": {"pages": [item]}}), url=API))


@pytest.mark.parametrize("mark", ["{{", "[[a|", "[http://a", "'", "<", "<!--", "⧼a-"])
def test_hostile_wikitext_is_read_in_bounded_time(mark: str) -> None:
    start = time.process_time()
    item = {
        "pageid": 1,
        "title": "T",
        "revisions": [{"content": "{{Tuto Details|Description=" + mark * 50_000 + "}}" * 50_001}],
    }
    run(wiki(), make_page(json.dumps({"query": {"pages": [item]}}), url=API))
    assert time.process_time() - start < 5
