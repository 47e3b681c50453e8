"""Addresses: number and street apart from the rest, nothing lost, the same when read again."""

import duckdb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lowtech_data import reference
from lowtech_data.normalise.street import Known, commune_key, split

from .support import again, clean, each, read, rules, rules_of_each

NANTES = {"code_postal": "44000", "commune": "Nantes"}


def test_the_complement_is_apart_from_the_street():
    cases = [
        ("Maison des Arts, 12 rue Haute, 44000 Nantes", "12 rue Haute", "Maison des Arts"),
        ("Villa Rose - 3 rue Haute -", "3 rue Haute", "Villa Rose"),
        ("100 Rue Haute,\nBâtiment C", "100 Rue Haute", "Bâtiment C"),
        ("c/o Les Communs, 3 quai Haut", "3 quai Haut", "c/o Les Communs"),
        ("12 rue Haute - Bâtiment B - 2e étage", "12 rue Haute", "Bâtiment B - 2e étage"),
        ("Maison des associations :\n70 rue Haute", "70 rue Haute", "Maison des associations"),
        ("Adresse : 12 rue Haute", "12 rue Haute", None),
        ("12 rue Haute, Nantes, France", "12 rue Haute", None),
        ("12 rue Haute 44000 Nantes France", "12 rue Haute", None),
        ("12 rue Haute<br />44000 Nantes<br />France", "12 rue Haute", None),
        ("12 rue Haute -Bâtiment C", "12 rue Haute", "Bâtiment C"),
        ("Entrée derrière l’école\nle bourg", "le bourg", "Entrée derrière l’école"),
        ("RESIDENCE Horizon\n12 rue Haute", "12 rue Haute", "RESIDENCE Horizon"),
        ("ZA du Port, BP 12, 44000 Nantes Cedex 3", "ZA du Port", "BP 12"),
    ]
    fiches = each(*({"adresse": address, **NANTES} for address, _, _ in cases))
    found = [(f["adresse"], f["complement_adresse"]) for f in fiches]
    assert found == [(street, complement) for _, street, complement in cases]


def test_a_street_stays_as_written():
    written = [
        "8, place Haute",
        "12 bis, rue Haute",
        "12bis rue Haute",
        "12 B rue Haute",
        "N°12 rue Haute",
        "12-14 rue Haute",
        "12 - 14 rue Haute",
        "83-85 Rue Jean-Jacques Rousseau",
        "rue Anatole France",
        "2 avenue de l’Île de France",
        "Allée de la sucrerie - 34 quai Haut",
        "av. du Gal de Gaulle",
        "lieu-dit Le Moulin",
        "Le Bourg s/n",
        "12 rue Haute, 35000 Rennes",
    ]
    fiches = each(*({"adresse": address, **NANTES} for address in written))
    assert [fiche["adresse"] for fiche in fiches] == written


def test_a_postcode_said_twice_is_said_once():
    row = {"adresse": "Avenue de Bourbon 97434 Saint-Paul", "code_postal": "97434"}
    (fiche,) = each({**row, "commune": "Saint-Paul"})
    assert fiche["adresse"] == "Avenue de Bourbon"


def test_a_region_is_no_address():
    written = ("Île-de-France (FR)", "Bretagne, France", "France", "Provence-Alpes-Côte d'Azur")
    rows = [{"adresse": address, **NANTES} for address in written]
    assert [fiche["adresse"] for fiche in each(*rows)] == [None] * len(written)
    assert rules_of_each(*rows) == [{("adresse", "adresse_sans_voie")}] * len(written)


PIECES = st.sampled_from(
    [
        *("12 rue Haute", "3 av. du Lac", "ZA du Port", "Bât. C", "BP 12", "CS 9", "CEDEX 2"),
        *("44000 Nantes", "44100", "Nantes", "France", "Adresse :", "c/o X", "Le Bourg", "N°5"),
        *(
            "c/o Jean Dupont",
            "chez Mme Martin",
            "Mme Martin",
            "c/o",
            "Jean",
            "Dupont",
            "chez",
            "M.",
        ),
        *("(", ")", ",", " - ", "\n", "<br />", ";", "/", ":", "12", "bis", "Bretagne", "–", " "),
    ]
)


def test_what_is_said_twice_at_the_end_is_removed_twice():
    cases = [
        ("12 rue Haute 44000 Nantes 44000 Nantes", "12 rue Haute"),
        ("12 rue Haute 44000 Nantes, Nantes", "12 rue Haute"),
        ("12 rue Haute 44000", "12 rue Haute"),
        ("12 rue Haute (44000 Nantes)", "12 rue Haute"),
        ("Nantes, 44000 Nantes", None),
        ("Nantes - Nantes, France", None),
    ]
    assert read("adresse", "adresse", cases, **NANTES) == cases


def test_the_person_at_whose_place_it_is_is_not_published():
    cases = [
        ("c/o Jean Dupont, 12 rue Haute", "12 rue Haute", None),
        ("c/o Jean Dupont\n12 rue Haute", "12 rue Haute", None),
        ("C/O M. et Mme Dupont 12 rue Haute", "12 rue Haute", None),
        ("c/o Ylva Kowalska, 12 rue Haute", "12 rue Haute", None),
        ("12 rue Haute, chez Mme Martin", "12 rue Haute", None),
        ("12 rue Haute - Bât. C chez Jeanne Martin", "12 rue Haute", "Bât. C"),
        ("12 rue Haute chez Mme de la Tour", "12 rue Haute", None),
        ("à l’attention de Mme Martin - 12 rue Haute", "12 rue Haute", None),
        ("A l'att. de Jean-Paul Martin\n12 rue Haute", "12 rue Haute", None),
        ("Mme Martin, 12 rue Haute", "12 rue Haute", None),
        ("DURAND Ylva\n12 rue Haute\nBât. C", "12 rue Haute", "Bât. C"),
        ("Jeanne Martin\n12 rue Haute", "12 rue Haute", None),
    ]
    rows = [{"adresse": address, **NANTES} for address, _, _ in cases]
    found = [(f["adresse"], f["complement_adresse"]) for f in each(*rows)]
    assert found == [(street, complement) for _, street, complement in cases]
    told = {("adresse", "personne_dans_adresse")}
    assert rules_of_each(*rows) == [told] * len(rows)


def test_what_is_removed_of_a_person_is_shown_nowhere():
    row = {"adresse": "c/o Jean Dupont, 12 rue Haute", "complement_adresse": "chez Mme Martin"}
    found = clean({**row, **NANTES})
    written = [*found.transformations.to_pylist(), *found.rejects.to_pylist()]
    assert "Dupont" not in str(written)
    assert "Martin" not in str(written)
    assert ("complement_adresse", "personne_dans_adresse") in rules(**row, **NANTES)
    assert found.fiches.to_pylist()[0]["complement_adresse"] is None


def test_the_organisation_at_whose_place_it_is_stays():
    hosts = [
        "c/o Les Communs",
        "c/o MJC Jean Moulin",
        "c/o Association Jean Dupont",
        "chez l’habitant",
        "chez Emmaüs",
        "Chez Paulette",
        "à l’attention de la mairie",
        "M. le maire",
    ]
    given_apart = [
        {"adresse": "12 rue Haute", "complement_adresse": host, **NANTES} for host in hosts
    ]
    in_one = [{"adresse": f"{host}, 12 rue Haute", **NANTES} for host in hosts]
    found = [(f["adresse"], f["complement_adresse"]) for f in each(*given_apart, *in_one)]
    assert found == [("12 rue Haute", host) for host in [*hosts, *hosts]]


def test_the_key_of_a_commune_is_that_of_the_reference():
    names = reference.territories().column("nom").unique().to_pylist()[::7]
    con = duckdb.connect()
    con.execute(reference.CLE_COMMUNE_MACRO)
    con.execute("CREATE TABLE noms AS SELECT unnest(?::VARCHAR[]) AS nom", [names])
    keys = con.execute("SELECT nom, cle_commune(nom) FROM noms").fetchall()
    assert [(name, commune_key(name)) for name, _ in keys] == keys


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(st.lists(PIECES, max_size=8).map(" ".join), min_size=150, max_size=200))
def test_an_address_read_again_is_the_same(addresses):
    fiches = clean(*({"adresse": address, **NANTES} for address in addresses)).fiches
    columns = ["adresse", "complement_adresse", "commune", "code_postal"]
    repeated = again(fiches).select(columns).to_pylist()
    for before, after in zip(fiches.select(columns).to_pylist(), repeated, strict=True):
        assert after == before


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=10).map(" ".join), st.lists(PIECES, max_size=4).map(" ".join))
def test_what_was_split_is_not_split_further(address, complement):
    known = Known({"nantes"}, {"44000", "44100"}, {"jean"})
    first = split(address, complement, known)
    second = split(first.street, first.complement, known)
    assert (second.street, second.complement) == (first.street, first.complement)
    assert not second.person_of_street
    assert not second.person_of_complement
