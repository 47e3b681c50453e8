import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import Client, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.extract.mediawiki import template_calls
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["mediawiki_modele"]
API = "https://communs.example.org/api.php"
CHAMPS = {
    "description": ["shortDescription", "description"],
    "site_web": "url",
    "categories": [{"separe": "Tags", "par": ","}, "Theme"],
}
OPTIONS: dict[str, Any] = {"categorie": "Category:commun", "modeles": ["Commun"]}


def wiki(**changes: Any) -> Source:
    fields = {
        "url": API,
        "champs": CHAMPS,
        "options": OPTIONS,
        "ignorer": ["Main_Picture", "location", "challenge"],
        "codes": {"terre crue": {"themes": ["materiaux"]}, "presse": {}, "Habitat": {},
                  "Alimentation": {"themes": ["alimentation"]}},
    }  # fmt: skip
    return make_source("mediawiki_modele", **(fields | changes))


def read(content: str, **options: Any) -> dict[str, Any]:
    item = {"pageid": 1, "title": "T", "revisions": [{"content": content}]}
    page = make_page(json.dumps({"query": {"pages": [item]}}), url=API)
    (row,) = PLATFORM.rows(wiki(options={"categorie": "Category:A", **options}), page)
    values: dict[str, Any] = getattr(row, "values", {})
    return {name: value for name, value in values.items() if not name.startswith("_")}


def test_pages_with_the_template() -> None:
    extraction = run(wiki(), make_page(FIXTURES / "wiki_modele.json", url=API))
    found = fiches(extraction)
    expected = {
        "nom": "Presse à briques",
        "description": "Une presse à terre crue {{Info|a|b=c}} Plans et retours d’usage",
        "url": "https://communs.example.org/wiki/Presse_%C3%A0_briques",
        "site_web": "https://presse.example.org/?a=1&b=2",
        "date_maj": "2025-02-03T08:00:00Z",
        "langue": "fr",
        "attribution": "Page « Presse à briques », Wiki d’essai",
        "identifiants": ["communs.example.org=12"],
        "themes": ["materiaux"],
        "pointeur": "/query/pages/12",
    }
    assert {name: found["12"][name] for name in expected} == expected
    assert found["14"]["themes"] == ["alimentation"]
    assert found["14"]["url"] == "https://communs.example.org/wiki/Four_/_En"
    assert rejected(extraction) == [
        ("/query/pages/13", "*", "sous_page_traduction"),
        ("/query/pages/15", "*", "modele_absent"),
        ("/query/pages/16", "*", "page_supprimee"),
    ]
    assert "Prenom" not in everything(extraction)


def test_without_named_templates_all_of_a_page_are_read_the_first_one_wins() -> None:
    page = make_page(FIXTURES / "wiki_modele.json", url=API)
    extraction = run(wiki(options={"categorie": "Category:commun"}), page)
    assert ("*", "niveau", "colonne_non_declaree") in rejected(extraction)
    assert "autre chose" not in everything(extraction)


def test_the_order_of_the_declared_templates_decides() -> None:
    content = "{{Page data|licence=a|x=1}}{{ device_data |licence=b}}"
    assert read(content, modeles=["Device data", "page data"]) == {"licence": "b", "x": "1"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{{A|x={{B|x=2}}|y=1}}", {"x": "{{B|x=2}}", "y": "1"}),
        ("{{A|[[F|t]]|x=[[F|t]] u}}", {"x": "t u"}),
        ("{{A|x=[[jamais fermé}} {{B|y=1}}", {"x": "[[jamais fermé", "y": "1"}),
        ("{{jamais {{A|x=1}}", {"x": "1"}),
        ("{{A|x=1|y=jamais", {"x": "1"}),
        ("[[F {{A|x=1}}", {"x": "1"}),
        ("}} ]] {{A|x=a=b}} }}", {"x": "a=b"}),
        ("{{A|x={{B|z=2}}|y=jamais {{B|z=3}}", {"x": "{{B|z=2}}", "z": "3"}),
        ("{{A}} {{A|sans nom}} texte", {}),
    ],
)
def test_calls_inside_and_beside_what_is_not_closed(content: str, expected: dict[str, str]) -> None:
    assert read(content) == expected


@given(st.text(st.sampled_from("{}[]|=ab >-"), max_size=60))
def test_a_call_is_found_after_any_text_that_opens_none(text: str) -> None:
    calls = template_calls(text.replace("{{", "") + " {{Commun|x=1}}")
    assert [(call.name, call.parameters()) for call in calls] == [("Commun", {"x": "1"})]


@pytest.mark.parametrize(
    "text", ["{{", "{{a|", "[[", "{{a|b=[[", "|", "{{a|{{b|c=1}}", "[[{{a|b=1}}"]
)
@pytest.mark.parametrize("end", ["", "}}", "]]"])
def test_hostile_wikitext_is_read_in_bounded_time(text: str, end: str) -> None:
    start = time.process_time()
    template_calls(text * 50_000 + end * 50_000)
    assert time.process_time() - start < 3


def test_the_category_must_be_named() -> None:
    with pytest.raises(ValidationError, match="categorie"):
        PLATFORM.options.model_validate({})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            '{"error": {"code": "readapidenied", "info": "Non"}}',
            "refuse la requête : readapidenied",
        ),
        ("<html><title>Entrez</title><input type=password>", "page de connexion « Entrez »"),
        ("", "JSON illisible"),
    ],
)
def test_an_answer_that_is_none_is_refused(body: str, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        run(wiki(), make_page(body, url=API))


def test_a_whole_harvest(site: Site, client: Client, tmp_path: Path) -> None:
    """Members in two answers, contents by lots, over HTTP; then the same bytes again."""
    base = "/api.php?action=query&format=json&formatversion=2"
    members = f"{base}&list=categorymembers&cmtitle=Category%3Acommun&cmtype=page&cmlimit=500"
    contents = f"{base}&prop=revisions%7Cinfo&inprop=url&rvprop=content%7Ctimestamp%7Cids&pageids="
    first = {"query": {"categorymembers": [{"pageid": n, "title": f"P{n}"} for n in (1, 2, 3)]},
             "continue": {"cmcontinue": "page|4", "continue": "-||"}}  # fmt: skip
    last = {"batchcomplete": True, "query": {"categorymembers": [{"pageid": 4, "title": "P4"}]}}

    def content(*ids: int) -> dict[str, Any]:
        revisions = [{"revid": 1, "content": "{{Commun|Theme=Habitat}}"}]
        pages = [{"pageid": n, "title": f"P{n}", "revisions": revisions} for n in ids]
        return {"batchcomplete": True, "query": {"pages": pages}}

    answers = {
        members: first,
        f"{members}&cmcontinue=page%7C4&continue=-%7C%7C": last,
        f"{contents}1%7C2": content(1, 2),
        f"{contents}3": content(3),
        f"{contents}4": content(4),
    }
    for path, document in answers.items():
        site.pages[path] = answer(json.dumps(document).encode(), Content_Type="application/json")
    source = wiki(
        url=site.url("/api.php"), options={**OPTIONS, "lot": 2}, limites={"pause_s": 0, "essais": 1}
    )
    registry, store = Registry(tmp_path / "sources.yaml", (source,)), Store(tmp_path / "captures")
    now = datetime(2026, 3, 2, tzinfo=UTC)
    found = harvest(source, PLATFORM, registry, store, client, now=now)
    assert sorted(fiches(extract(source, PLATFORM, found.bodies))) == ["1", "2", "3", "4"]
    assert site.paths == [
        *list(answers)[:1],
        *list(answers)[2:4],
        list(answers)[1],
        list(answers)[4],
    ]
    again = harvest(source, PLATFORM, registry, store, client, now=now)
    assert again.status == "inchangee"


@pytest.mark.parametrize("flag", [True, ""], ids=["formatversion 2", "formatversion 1"])
def test_a_redirect_is_no_page_of_its_own(flag: bool | str) -> None:
    text = "#REDIRECT [[Presse]]\n{{Commun|Theme=Habitat}}"
    old = {"pageid": 1, "title": "Ancien nom", "redirect": flag, "revisions": [{"content": text}]}
    page = make_page(json.dumps({"query": {"pages": [old]}}), url=API)
    assert rejected(run(wiki(), page)) == [("/query/pages/1", "*", "redirection")]


def test_an_address_alone_in_a_parameter_warns_nobody(recwarn: pytest.WarningsRecorder) -> None:
    assert (
        read("{{Commun|url=https://a.example/?b=1&amp;c=2}}")["url"] == "https://a.example/?b=1&c=2"
    )
    assert not list(recwarn)
