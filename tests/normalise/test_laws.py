"""Laws of the whole: idempotence, independence of order, one answer per raw fiche."""

import hashlib

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lowtech_data.extract.base import REJECT_SCHEMA
from lowtech_data.model import CLEAN_SCHEMA, TRANSFORMATION_SCHEMA

from .support import again, clean, raw_table

ROWS = [
    {"nom": "PiNG", "commune": "NANTES", "code_postal": "44000", "telephone": "0240123456"},
    {"nom": "L&#039;Établi <b>12</b>", "adresse": "3 rue X<br />44000 Nantes", "type": "fablab"},
    {"nom": "Jean Dupont", "commune": "Benet", "latitude": "46,36", "longitude": "-0,59"},
    {"nom": "Lieu", "site_web": "www.a.fr;b.fr", "date_maj": "05/05/2021", "cout": "12 EUR"},
    {"nom": " ", "commune": "Paris"},
    {"nom": "Loin", "pays": "BE"},
    {"nom": "Damaged Ã©", "description": "<p>Un</p> deux " * 60, "siret": "832 845 978 00028"},
]
PIECES = st.sampled_from(
    [
        "Atelier ",
        "é",
        "<b>",
        "</p>",
        "&amp;",
        "&lt;",
        "Ã©",
        "\u200b",
        "06 12 34 56 78",
        "x@y.fr",
        " ",
        "\n",
        "…",
        "@",
        " at ",
        "(",
        ")",
        "BP 12",
        ", ",
        "44000 Nantes",
        "́",
        "12 rue",
        "-",
    ]
)
STREETS = st.sampled_from(
    ["12 rue Haute", "3 av. du Lac", "ZA du Port", "Le Bourg", "12 rue X BP 7"]
)
TAILS = st.sampled_from(["", ", 44000 Nantes", "<br />44000 NANTES CEDEX 2", "\nBP 12", " - 44100"])
ADDRESS = st.builds(str.__add__, STREETS, TAILS)
TEXT = st.lists(PIECES, max_size=8).map("".join)


def test_tables_have_the_declared_schemas():
    result = clean(*ROWS)
    assert result.fiches.schema.equals(CLEAN_SCHEMA)
    assert result.transformations.schema.equals(TRANSFORMATION_SCHEMA)
    assert result.rejects.schema.equals(REJECT_SCHEMA)
    empty = clean()
    assert empty.fiches.num_rows == 0
    assert empty.fiches.schema.equals(CLEAN_SCHEMA)


def test_each_raw_fiche_is_clean_or_refused():
    result = clean(*ROWS)
    kept = result.fiches.column("cle_source").to_pylist()
    refused = [r["cle_source"] for r in result.rejects.to_pylist() if r["champ"] == "*"]
    assert sorted(kept + refused) == [str(number) for number in range(len(ROWS))]
    assert kept == sorted(kept)


def test_order_of_the_input_changes_nothing():
    numbered = [
        {"cle_source": str(number), "pointeur": "/", **row} for number, row in enumerate(ROWS)
    ]
    forward, backward = clean(*numbered), clean(*reversed(numbered))
    assert forward.fiches.equals(backward.fiches)
    assert forward.transformations.equals(backward.transformations)
    assert forward.rejects.equals(backward.rejects)


def test_the_fingerprint_ignores_where_the_record_was():
    here = clean({"nom": "A", "pointeur": "/1"}).fiches.column("empreinte").to_pylist()
    there = clean({"nom": "A", "pointeur": "/2", "capture": "1" * 64}).fiches
    other = clean({"nom": "B", "pointeur": "/1"}).fiches.column("empreinte").to_pylist()
    assert here == there.column("empreinte").to_pylist()
    assert here != other
    assert len(here[0]) == len(hashlib.sha256().hexdigest())


def test_cleaning_clean_fiches_changes_nothing():
    fiches = clean(*ROWS).fiches
    assert again(fiches).to_pylist() == fiches.to_pylist()


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(st.tuples(TEXT, TEXT, ADDRESS, TEXT), min_size=60, max_size=80))
def test_cleaning_is_idempotent_on_any_text(rows):
    fiches = clean(
        *(
            {"nom": f"Lieu {a}", "description": b, "adresse": c, "noms_alternatifs": [d]}
            for a, b, c, d in rows
        )
    ).fiches
    assert again(fiches).to_pylist() == fiches.to_pylist()


def test_raw_tables_of_tests_have_the_real_schema():
    assert raw_table(*ROWS).num_rows == len(ROWS)
