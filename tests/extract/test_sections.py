import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.extract.base import Extraction
from lowtech_data.extract.sections import Sections, split

from .support import fiches, make_page, make_source, rejected, run

TEXTE = {
    "champ": "description",
    "sections": {
        "themes": ["Thèmes :", "Thème :"],
        "presentation": "Description :",
        "horaires": "📅",
        "adresse": "📍",
        "telephone": "📞",
        "site": "🌐",
    },
    "listes": ["themes"],
}


def cut(text: Any, **changes: Any) -> tuple[Any, list[str]]:
    values, lost = split({"description": text}, Sections.model_validate(TEXTE | changes))
    return values.get("description"), [value.rule for value in lost]


WHOLE = (
    "Thèmes : <br>- Réemploi / Réparation <br>- Vente en vrac<br><br>Description :<br>Atelier de "
    'couture.<br>Cours d&#39;été.<br><br/><div style="visibility: hidden">couture tissu</div>'
    "<br>📅<table><tr><td>lundi</td><td>15:00 - 18:15</td></tr><tr><td>mardi</td><td>fermé</td>"
    "</tr></table>📍 3 rue Basse, 62100 Calais<br/>📞 01 99 00 00 01<br>📞 01 99 00 00 02<br>"
    '🌐 <a href="https://atelier.example/">Site</a>'
)


def test_a_whole_text() -> None:
    found, lost = cut(WHOLE, cache="mots")
    assert found == {
        "themes": ["Réemploi / Réparation", "Vente en vrac"],
        "presentation": "Atelier de couture.\nCours d'été.",
        "horaires": "lundi 15:00 - 18:15\nmardi fermé",
        "adresse": "3 rue Basse, 62100 Calais",
        "telephone": ["01 99 00 00 01", "01 99 00 00 02"],
        "site": "Site https://atelier.example/",
        "mots": "couture tissu",
    }
    assert not lost


def test_sections_are_columns_of_the_source() -> None:
    feature = {
        "type": "Feature",
        "geometry": None,
        "properties": {"name": "A", "description": WHOLE},
    }
    source = make_source(
        "geojson",
        options={"texte": TEXTE},
        champs={
            "cle_source": "name",
            "adresse": "description.adresse",
            "telephone": "description.telephone",
            "categories": "description.themes",
        },
        codes={"Réemploi / Réparation": {"themes": ["reparation"]}, "Vente en vrac": {}},
        ignorer=["description.presentation"],
        ecarter=["description.site"],
    )
    document = {"type": "FeatureCollection", "features": [feature]}
    extraction: Extraction = run(source, make_page(json.dumps(document)))
    fiche = fiches(extraction)["A"]
    assert fiche["adresse"] == "3 rue Basse, 62100 Calais"
    assert fiche["telephone"] == "01 99 00 00 01; 01 99 00 00 02"
    assert fiche["themes"] == ["reparation"]
    assert rejected(extraction) == [
        ("*", "description.horaires", "colonne_non_declaree"),
        ("A", "description", "texte_cache"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "📍 rue A 📞 01 🌐 a.example",
            {"adresse": "rue A", "telephone": "01", "site": "a.example"},
        ),
        ("📍\ufe0f rue A", {"adresse": "rue A"}),
        ("Thème:<br>- A", {"themes": ["A"]}),
        ("  THÈMES  :\n• A\n* B\nC", {"themes": ["A", "B", "C"]}),
        ("Description : selon le thème : bois", {"presentation": "selon le thème : bois"}),
        ("📍<p>rue A</p><p>Calais</p>", {"adresse": "rue A\nCalais"}),
        ("📅 <ul><li>lundi</li><li>mardi</li></ul>", {"horaires": "- lundi\n- mardi"}),
        ("📍 1 < 2 & 3", {"adresse": "1 < 2 & 3"}),
        ("📍 📞 01", {"telephone": "01"}),
        ("", ""),
        (None, None),
        (3, 3),
    ],
)
def test_texts(text: Any, expected: Any) -> None:
    assert cut(text) == (expected, [])


def test_what_has_no_section_is_told() -> None:
    assert cut("Bonjour <b>📍 rue A</b>") == ({"adresse": "rue A"}, ["texte_hors_section"])
    assert cut("Bonjour 📍 rue A", debut="titre") == ({"adresse": "rue A", "titre": "Bonjour"}, [])
    assert cut("<p hidden>mots</p>📍 rue A") == ({"adresse": "rue A"}, ["texte_cache"])


def test_too_many_tags_lose_the_text_only() -> None:
    start = time.process_time()
    assert cut("<b>" * 1_000_000) == (None, ["texte_trop_balise"])
    cut("<div>" * 4_900 + "📍 rue A")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "changes",
    [
        {"sections": {}},
        {"sections": {"a": " "}},
        {"sections": {"a": "📍", "b": ["📍"]}},
        {"section": {"a": "📍"}},
    ],
)
def test_options_are_strict(changes: Any) -> None:
    with pytest.raises(ValidationError):
        Sections.model_validate(TEXTE | changes)


WORDS = st.text("abcé 12,", min_size=1, max_size=12).filter(str.strip)


@given(st.lists(st.tuples(st.sampled_from("📅📍📞🌐"), WORDS), max_size=8), st.booleans(), WORDS)
def test_every_word_ends_somewhere(parts: Any, is_html: bool, before: str) -> None:
    end = "<br/>" if is_html else "\n"
    text = before + end + end.join(symbol + words for symbol, words in parts)
    found, lost = cut(text, debut="debut")
    told = json.dumps(found, ensure_ascii=False)
    assert not lost
    for words in (before, *(words for _, words in parts)):
        for word in words.split():
            assert word in told
