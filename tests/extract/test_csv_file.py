import csv
import io
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.extract import option_models
from lowtech_data.extract.base import Extraction, PayloadError

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, rules, run

CHAMPS = {"cle_source": "id", "nom": "nom"}


def read(body: str | bytes, champs: dict[str, Any] = CHAMPS, **options: Any) -> Extraction:
    return run(make_source("csv", champs=champs, options=options), make_page(body))


def test_a_real_file() -> None:
    champs = {
        "cle_source": "ID",
        "nom": "NOM_TL",
        "adresse": "ADRESSE",
        "code_postal": "CP",
        "code_insee": "INSEECOM",
        "commune": "NOMCOM",
        "site_web": "WEB",
        "latitude": "LAT",
        "longitude": "LONG",
        "categories": "TYPO",
    }
    source = make_source(
        "csv",
        champs=champs,
        ecarter=["MAIL"],
        selection={"codes": ["Tiers lieux à dominante fablab"]},
    )
    extraction = run(source, make_page(FIXTURES / "cget.csv"))
    assert (extraction.read, extraction.left_out) == (4, 3)
    fiche = fiches(extraction)["1162"]
    assert fiche["nom"] == "La Machinerie"
    assert fiche["code_insee"] == "80021"
    assert fiche["pointeur"] == "ligne 5"
    assert "prenom" not in everything(extraction)
    assert not rejected(extraction)


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ("id;nom\n1;Évry\n", {"separateur": ";"}),
        ("id\tnom\n1\tÉvry\n", {"separateur": "\t"}),
        ("\ufeffid,nom\r\n1,Évry\r\n", {}),
        ("id,nom\r1,Évry", {}),
        ("Liste 2016,\n\nid,nom\n1,Évry\n", {"lignes_a_sauter": 1}),
        ("1,Évry\n", {"colonnes": ["id", "nom"]}),
        (" id ,nom\n\n1,Évry\n,\n", {}),
        ('id,nom\n1,"Évry"\n', {}),
        ("id,nom\n1,Évry\n".encode("cp1252"), {}),
        ("id,nom\n1,Évry\n".encode("cp1252"), {"encodage": "cp1252"}),
        ("id,nom\n1,Évry\n".encode("mac-roman"), {"encodage": "macintosh"}),
    ],
)
def test_dialects(body: str | bytes, options: dict[str, Any]) -> None:
    extraction = read(body, **options)
    assert fiches(extraction)["1"]["nom"] == "Évry"
    assert extraction.read == 1
    assert not rejected(extraction)


@pytest.mark.parametrize(
    ("body", "page", "options"),
    [
        # A server that says UTF-8 of a file in windows-1252, and the reverse.
        ("id,nom\n1,Évry\n".encode("cp1252"), {"charset": "utf-8"}, {}),
        ("\ufeffid,nom\n1,Évry\n", {"charset": "iso-8859-1"}, {}),
        ("id,nom\n1,Évry\n".encode("utf-16"), {}, {}),
        ("code,libellé\nid,nom\n1,Évry\n", {}, {"lignes_a_sauter": 2, "colonnes": ["id", "nom"]}),
        ("sep=,\nid,nom\n1,Évry\n", {}, {"lignes_a_sauter": 1}),
        ("\n\nid,nom\n\n\n1,Évry\n\n", {}, {}),
    ],
)
def test_files_as_tools_write_them(
    body: str | bytes, page: dict[str, Any], options: dict[str, Any]
) -> None:
    extraction = run(make_source("csv", champs=CHAMPS, options=options), make_page(body, **page))
    assert fiches(extraction)["1"]["nom"] == "Évry"
    assert not rejected(extraction)


def test_a_wrong_charset_of_the_server_yields_to_the_declared_one_only_when_bytes_say_so() -> None:
    page = make_page("id,nom\n1,Évry\n", charset="iso-8859-1")
    source = make_source("csv", champs=CHAMPS, options={"encodage": "utf-8"})
    # Every byte is a letter in windows-1252: nothing contradicts the server here.
    assert fiches(run(source, page))["1"]["nom"] == "Ã‰vry"


def test_a_nul_is_no_reason_to_lose_a_row() -> None:
    extraction = read("id,nom\n1,A\0B\n2,C\n")
    assert sorted(fiches(extraction)) == ["1", "2"]


def test_decimal_commas_stay_in_their_cell() -> None:
    champs = {**CHAMPS, "latitude": "lat", "longitude": "lon"}
    extraction = read("id;nom;lat;lon\n1;A;47,25;-1,5\n", champs, separateur=";")
    fiche = fiches(extraction)["1"]
    assert (fiche["latitude"], fiche["longitude"]) == ("47,25", "-1,5")
    # The same row with the wrong separator is refused, never shifted.
    with pytest.raises(PayloadError, match="séparé par ';'"):
        read("id;nom;lat;lon\n1;A;47,25;-1,5\n", champs)


def test_several_values_in_one_cell() -> None:
    champs = {**CHAMPS, "categories": {"separe": "typologie", "par": "|"}}
    codes = {"TIERS_LIEUX": {"type": "tiers_lieu"}, "RESSOURCERIE": {"themes": ["reemploi"]}}
    source = make_source("csv", champs=champs, codes=codes)
    extraction = run(source, make_page("id,nom,typologie\n1,A,TIERS_LIEUX|RESSOURCERIE\n2,B,\n"))
    assert fiches(extraction)["1"]["type"] == "tiers_lieu"
    assert fiches(extraction)["1"]["themes"] == ["reemploi"]
    assert not rejected(extraction)


def test_a_ragged_row_is_never_shifted() -> None:
    extraction = read("id,nom\n1,A\n2,B,C\n3\n4,D,\n5,E\n")
    assert {key: row["nom"] for key, row in fiches(extraction).items()} == {"1": "A", "5": "E"}
    assert rejected(extraction) == [
        ("ligne 3", "*", "nombre_de_colonnes"),
        ("ligne 4", "*", "nombre_de_colonnes"),
        ("ligne 5", "*", "nombre_de_colonnes"),
    ]


def test_a_ragged_row_does_not_show_its_cells() -> None:
    assert "Prenom" not in everything(read("id,nom\n1,A,Prenom Nom\n"))


def test_a_stray_quote_costs_one_row() -> None:
    extraction = read('id,nom\n1,"Le truc, rue A\n2,"B"\n3,C\n4,D\n')
    assert {key: row["nom"] for key, row in fiches(extraction).items()} == {
        "2": "B",
        "3": "C",
        "4": "D",
    }
    assert rejected(extraction) == [("ligne 2", "*", "ligne_mal_formee")]


def test_an_unclosed_quote_does_not_swallow_the_rest() -> None:
    extraction = read('id,nom\n1,A\n2,"B\n3,C\n4,D\n')
    assert sorted(fiches(extraction)) == ["1", "3", "4"]
    assert rules(extraction) == {"ligne_mal_formee": 1}


def test_a_cell_on_several_lines_is_one_record() -> None:
    extraction = read('id,nom\n1,"rue A\nLille"\n2,B\n')
    assert fiches(extraction)["1"]["nom"] == "rue A\nLille"
    assert fiches(extraction)["1"]["pointeur"] == "lignes 2 à 3"
    assert fiches(extraction)["2"]["pointeur"] == "ligne 4"


def test_a_giant_cell_is_one_reject() -> None:
    start = time.process_time()
    extraction = read("id,nom\n1," + "x" * 10_000_000 + "\n2,B\n")
    assert sorted(fiches(extraction)) == ["2"]
    assert time.process_time() - start < 5


def test_many_broken_rows_stay_linear() -> None:
    start = time.process_time()
    extraction = read("id,nom\n" + '1,"a"b\n' * 20_000)
    assert extraction.unreadable == 20_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("body", "options", "reason"),
    [
        ("id;nom\n1;A\n", {}, "séparé par ';'"),
        ("id,nom,id\n1,A,2\n", {}, "colonne répétée dans l’en-tête : id"),
        ("", {}, "vide"),
        ("\n\n", {}, "vide"),
        ('"id,nom\n1,A\n', {}, "en-tête mal formé"),
        ("<html><title>Connexion</title></html>", {}, "trouvé une page HTML « Connexion »"),
    ],
)
def test_something_else_is_refused(body: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        read(body, **options)


def test_header_without_rows_is_no_error() -> None:
    assert read("id,nom\n").read == 0


def test_options_are_strict() -> None:
    with pytest.raises(ValidationError):
        option_models()["csv"].model_validate({"separateur": ";;"})
    with pytest.raises(ValidationError):
        option_models()["csv"].model_validate({"delimiter": ";"})


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"), max_size=8)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6), st.sampled_from([",", ";", "\t"]))
def test_what_was_written_is_read(names: list[tuple[str, str]], separator: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["id", "nom", "ville"])
    writer.writerows([f"k{n}", *cells] for n, cells in enumerate(names))
    champs = {**CHAMPS, "commune": "ville"}
    extraction = read(b"\xef\xbb\xbf" + out.getvalue().encode(), champs, separateur=separator)
    found = [
        (row["nom"] or "", row["commune"] or "") for _, row in sorted(fiches(extraction).items())
    ]
    assert found == [(a.strip(), b.strip()) for a, b in names]
