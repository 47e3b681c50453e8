import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.extract.base import Extraction, PayloadError
from lowtech_data.extract.javascript import Broken, read_literal

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

CHAMPS = {"cle_source": "id", "nom": "nom", "commune": "ville"}


def read(body: str | bytes, **options: Any) -> Extraction:
    options = {"variable": "lieux", **options}
    return run(make_source("javascript", champs=CHAMPS, options=options), make_page(body))


def literal(text: str) -> Any:
    return read_literal(f"var v = [{text}]", "v")[0]


def test_a_real_file() -> None:
    source = make_source(
        "javascript",
        options={"variable": "supermarches"},
        champs={
            "cle_source": {"modele": "{departement}/{nom}"},
            "nom": "nom",
            "commune": "ville",
            "latitude": "lattitude",
            "longitude": "longitude",
        },
        ignorer=["departement", "avancement"],
        ecarter=["courriel"],
    )
    extraction = run(source, make_page(FIXTURES / "supermarches.js"))
    found = fiches(extraction)
    assert list(found) == ["06/Coop du Port", "US/Grande<br>Coop"]
    assert found["06/Coop du Port"]["longitude"] == "7.25735"
    assert found["US/Grande<br>Coop"]["latitude"] == "40.67473"
    assert rejected(extraction) == [("06/Coop du Port", "courriel", "propriete_illisible")]
    assert "boite" not in everything(extraction)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"'L\'Atelier'", "L'Atelier"),
        (r'"\u00c9t\xe9 \u{1F600} \ud83d\ude00"', "Été 😀 😀"),
        (
            r"'a\
b\n\q'",
            "ab\nq",
        ),
        ("`deux\nlignes, ${'sans'.length}'`", Broken("expression_refusee", "…")),
        ("`deux\nlignes`", "deux\nlignes"),
        ("-1.5e2", -150.0),
        ("+.5", 0.5),
        ("0x1F", 31),
        ("undefined", None),
        ("true", True),
        ("[1, , 'a',]", [1, "a"]),
        ("{a: 1, 'b-c': 2, 3: null,}", {"a": 1, "b-c": 2, "3": None}),
        ("/* rue */ 1 // fin\n", 1),
        ("{url: 'https://example.org//a' /* b */}", {"url": "https://example.org//a"}),
    ],
)
def test_literals(text: str, value: Any) -> None:
    found = literal(text)
    if isinstance(value, Broken):
        assert found.rule == value.rule
    else:
        assert found == value


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('new Date("2020-01-01")', "expression_refusee"),
        ("'a' + 'b'", "expression_refusee"),
        ("f(1, {a: 2})[0].nom", "expression_refusee"),
        ("x ? {a: 1} : [2]", "expression_refusee"),
        ("function () {}", "expression_refusee"),
        ("0612345678", "nombre_illisible"),
        ("1e999", "nombre_illisible"),
        (r"'\u12'", "echappement_illisible"),
    ],
)
def test_what_is_no_literal_costs_its_value(text: str, rule: str) -> None:
    for around in ("{a: V, b: 2}", "{b: 2, a: V}", "{\n a: V,\n b: 2\n}"):
        found = literal(around.replace("V", text))
        assert (found["a"].rule, found["b"]) == (rule, 2)


def test_lost_values_are_named_by_their_path() -> None:
    extraction = read("lieux = [{id: 1, geo: {lat: f(), lon: 2}, tags: ['a', new Set()]}]")
    assert [row for row in rejected(extraction) if row[0] == "1"] == [
        ("1", "geo.lat", "expression_refusee"),
        ("1", "tags", "expression_refusee"),
    ]


BROKEN_LINES = [
    "ville: Lyon',",
    "ville: 'Lyon,",
    "ville: 'L'Isle-d'Abeau',",
    "ville: 'Lyon' quater",
    "ville 'Lyon',",
    "ville: prenom.nom@example.org',",
]


@pytest.mark.parametrize("line", BROKEN_LINES)
def test_a_broken_line_costs_its_property(line: str) -> None:
    text = "export const lieux = [\n  {\n    id: 1,\n    LINE\n    nom: 'A'\n  },\n  {id: 2}\n];\n"
    extraction = read(text.replace("LINE", line))
    assert extraction.read == 2
    assert fiches(extraction)["1"]["nom"] == "A"
    assert fiches(extraction)["1"]["commune"] is None
    lost = [row for row in rejected(extraction) if row[0] == "1"]
    assert [rule for _, _, rule in lost] == ["propriete_illisible"]


def test_a_missing_comma_costs_the_property_before() -> None:
    extraction = read("lieux = [\n{\n id: 1,\n ville: 'Lyon'\n nom: 'A'\n}\n]")
    assert fiches(extraction)["1"]["nom"] == "A"
    assert rejected(extraction) == [("1", "ville", "propriete_illisible")]


@pytest.mark.parametrize(
    "line",
    ["ville: 'Lyon [3e],", "ville: Lyon}',", "...autre, ville: 'Lyon, {'", "ville: 'Lyon', # note"],
)
def test_damage_that_may_hide_a_bracket_costs_the_record(line: str) -> None:
    text = "lieux = [\n  {id: 0},\n  {\n    id: 1,\n    LINE\n    nom: 'A'\n  },\n  {id: 2}\n]"
    extraction = read(text.replace("LINE", line))
    assert sorted(fiches(extraction)) == ["0", "2"]
    assert ("lieux[1]", "*", "enregistrement_illisible") in rejected(extraction)


def test_a_record_that_never_closes_costs_itself() -> None:
    extraction = read("lieux = [\n  {\n    id: 1,\n    nom: 'A',\n  {\n    id: 2\n  }\n]")
    assert sorted(fiches(extraction)) == ["2"]
    assert ("lieux[0]", "*", "enregistrement_illisible") in rejected(extraction)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("autres = [1]", "trouvé 0 ; variables avec un littéral : autres"),
        ("lieux = []; lieux = [1]", "trouvé 2"),
        ("x.lieux = [1]", "trouvé 0"),
        ("lieux = [{id: 1}, {id: 'a}, {id: 3}]", "ligne 1"),
        ("lieux = [{id: 1}", "ligne 1 : trouvé fin du fichier"),
        ("lieux = [\n{\n id: `a,\n},\n{id: 2}]", "ligne 3"),
        ("lieux = [\n{\n id: 1, }, ville: 'Lyon'\n},\n{id: 2}\n]", "ligne 3"),
        ("lieux = [{id: 1}].concat(suite)", "suivi d’un calcul"),
        ("lieux = [{id: 1}]\n  .map(f)", "suivi d’un calcul"),
        ("lieux = " + "[" * 200 + "]" * 200, "niveaux d’imbrication"),
        ("<html><title>Connexion</title></html>", "trouvé 0"),
    ],
)
def test_a_doubtful_file_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        read(text)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("<script>var lieux = [{id: 1, nom: 'Été'}]</script><p>lieux</p>", {}),
        ("export default [{id: 1, nom: 'Été'}];", {"variable": "default"}),
        ("module.exports = [{id: 1, nom: 'Été'}]", {"variable": "default"}),
        ("window.lieux={points:[{id:1,nom:'Été'}]}", {"variable": "window.lieux"}),
        ("lieux = {a: {id: 1, nom: 'Été'}} // fin", {}),
        ("const lieux = [{id: 1, nom: 'Été'}] as const", {}),
        ("let lieux=[{id:1,nom:'Été'}],autre=2".encode("cp1252"), {"encodage": "cp1252"}),
    ],
)
def test_where_the_records_may_be(text: str | bytes, options: dict[str, Any]) -> None:
    chemin = "points" if "window.lieux" in str(text) else None
    assert fiches(read(text, chemin=chemin, **options))["1"]["nom"] == "Été"


def test_a_record_that_is_no_object() -> None:
    extraction = read("lieux = [{id: 1}, 'a', f()]")
    assert [row[2] for row in rejected(extraction) if row[1] == "*"] == [
        "enregistrement_inattendu",
        "expression_refusee",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(VALUES, st.sampled_from([None, 1]))
def test_any_json_is_read_as_json(value: Any, indent: int | None) -> None:
    assert literal(json.dumps(value, indent=indent)) == value
    assert literal(json.dumps(value, ensure_ascii=False)) == value


@given(st.text(alphabet="{}[]()'\"`,:\n ab1/*\\$.-@", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(PayloadError):
        read_literal(f"lieux = [{text}]", "lieux")


@given(st.integers(0, 4), st.sampled_from(BROKEN_LINES))
def test_damage_leaves_the_other_records_as_they_are(place: int, line: str) -> None:
    records = [f"  {{\n    id: {n},\n    ville: 'V{n}',\n    nom: 'N{n}'\n  }}" for n in range(5)]
    whole = fiches(read("lieux = [\n" + ",\n".join(records) + "\n]"))
    records[place] = records[place].replace(f"ville: 'V{place}',", line)
    damaged = fiches(read("lieux = [\n" + ",\n".join(records) + "\n]"))
    assert damaged.keys() == whole.keys()
    for key, fiche in damaged.items():
        assert fiche["nom"] == whole[key]["nom"]
        assert fiche["commune"] == (None if key == str(place) else whole[key]["commune"])


@pytest.mark.parametrize(
    "text",
    [
        "[" + "{a:1,b:'x',c:[1,2,3]}," * 40_000 + "]",
        "[" + "{a: x',\n b:'y'},\n" * 20_000 + "]",
        "[\n" + "{\n a: x',\n b:'y'\n},\n" * 20_000 + "]",
        "[" + "'" * 300_001,
        "[" + "`${" * 100_000,
        "[" + "/*" * 300_000,
        "[" + "(" * 300_000,
        "[" + "," * 300_000 + "]",
    ],
)
def test_hostile_files_take_linear_time(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(PayloadError):
        read_literal(f"lieux = {text}", "lieux")
    assert time.process_time() - start < 10
