import json

import duckdb
import pyarrow as pa
import pytest

from benchmarks.generator import generate
from lowtech_data.model import codes_of
from lowtech_data.resolve import PAIRS_SCHEMA, Decisions, MatchError, match
from lowtech_data.resolve.decisions import new_decision

PLACE = {"code_postal": "29900", "commune": "Concarneau", "adresse": "2 rue des Charmes"}


def records(*rows):
    return pa.Table.from_pylist(
        [{"source": "s", "cle_source": str(n), **row} for n, row in enumerate(rows)]
    )


def run(table, threads=2, decisions=None):
    with duckdb.connect(config={"threads": threads}) as con:
        con.register("fiches", table)
        return match(con, "fiches", decisions=decisions)


def outcome(first, second):
    """Decision, predicate and cluster equality of two records alone."""
    result = run(records(first, second))
    pairs = result.pairs.to_pylist()
    together = len(set(result.clusters.column("cluster").to_pylist())) == 1
    return (
        (pairs[0]["decision"], pairs[0]["predicat"], together) if pairs else (None, None, together)
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Le Konk Ar Lab", "Konk Ar Lab"),
        ("BerryLab36", "BERRY LAB 36"),
        ("Coh@bit", "COHABIT"),
        ("Laboratoire Ouvert Grenoblois", "Le LOG"),
        ("Plateforme C", "Platforme C"),
        ("Goldorhack", "Gold Or Hack"),
        ("Fab’Alpes", "FAB ALPES"),
        ("Tiers-lieu Neautan", "TIES-LIEU NEAUTAN"),
        ("Ressourcerie Le Pophoic", "Ressourc.erie Le Pophoic"),
        ("Centre social Chanfoir", "Centresocial Chanfoir"),
        ("Médiathèqu Le Garage", "Médiathèque Le Garage"),
    ],
)
def test_spellings_of_one_name_at_one_address_are_the_same(first, second):
    assert outcome({"nom": first, **PLACE}, {"nom": second, **PLACE})[2]


@pytest.mark.parametrize(
    ("activity", "host"),
    [
        ("Repair Café Centre social des Trois Rivières", "Centre social des Trois Rivières"),
        ("Fablab de la Médiathèque Olympe", "Médiathèque Olympe"),
        ("Atelier vélo Maison de quartier Balzac", "Maison de quartier Balzac"),
        ("Repair Café de la MJC Belle", "MJC Belle"),
    ],
)
@pytest.mark.parametrize("contact", [{}, {"telephone": "02 98 00 00 01"}])
def test_an_activity_that_bears_the_name_of_its_host_is_lodged_there(activity, host, contact):
    activity, host = ({"nom": name, **PLACE, **contact} for name in (activity, host))
    assert outcome(activity, host) == ("lie", "heberge_par", False)


def test_two_names_with_two_kinds_are_not_one_misspelt():
    first, second = ({"nom": name, **PLACE} for name in ("La Cyclerie Kerval", "Recyclerie Kervol"))
    assert not outcome(first, second)[2]


def test_a_source_that_repeats_its_records_teaches_nothing_more():
    table = generate(1500, seed=3).drop_columns("verite")
    copied = [row for row in table.to_pylist() if row["source"] == "gogocarto_a"]
    again = [row | {"cle_source": f"bis-{row['cle_source']}"} for row in copied]
    twice = pa.concat_tables([table, pa.Table.from_pylist(again, table.schema)])

    def scores(found):
        pairs = found.pairs.select(["cle_a", "cle_b", "score"]).to_pylist()
        return {(pair["cle_a"], pair["cle_b"]): pair["score"] for pair in pairs}

    before, after = scores(run(table)), scores(run(twice))
    known = before.keys() & after.keys()
    assert len(known) > 0.95 * len(before)
    assert sum(abs(before[pair] - after[pair]) > 0.1 for pair in known) < 0.01 * len(known)


def test_two_numbers_of_one_street_are_two_addresses_when_their_points_are_far():
    school = {"nom": "École primaire Sainte-Anne", "commune": "Marseille", "code_postal": "13005"}
    here = {"adresse": "71 rue Carnot", "latitude": 43.29, "longitude": 5.40}
    there = {"adresse": "26 rue Carnot", "latitude": 43.33, "longitude": 5.40}
    assert not outcome(school | here, school | there)[2]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Nybi.cc", "Lorraine Living"),
        ("École maternelle Jean Zay", "École élémentaire Jean Zay"),
        ("Mairie de Concarneau", "CCAS de Concarneau"),
        ("Repair Café de Concarneau", "Centre social de Concarneau"),
        ("Mission locale", "Ressourcerie Bobine"),
    ],
)
def test_neighbours_are_never_merged_whatever_they_share(first, second):
    contacts = {"telephone": "0199001122", "courriel": "accueil@lieu.fr", "site_web": "lieu.fr"}
    assert not outcome({"nom": first, **PLACE, **contacts}, {"nom": second, **PLACE, **contacts})[2]


def test_a_guest_is_tied_to_its_host():
    host = {"nom": "Centre social Le Kiosque", **PLACE}
    assert outcome({"nom": "Repair Café", **PLACE}, host) == ("lie", "heberge_par", False)


def test_a_move_goes_to_people():
    here = {"nom": "FabLab Robert-Houdin", "commune": "Blois", "code_postal": "41000"}
    web = {"site_web": "https://fablab-robert-houdin.org"}
    decision = outcome(
        here | web | {"adresse": "5 rue La Pérouse"}, here | web | {"adresse": "39 allée des Pins"}
    )
    assert decision == ("a_revoir", "demenage", False)


def test_a_homonym_in_another_town_is_another_initiative():
    first = {"nom": "La Machinerie", "code_postal": "80000", "commune": "Amiens"}
    second = {"nom": "La Machinerie", "code_postal": "38100", "commune": "Grenoble"}
    assert not outcome(first, second)[2]


def test_missing_never_equals_missing():
    rows = [{"nom": "Permanence", "adresse": "", "latitude": None} for _ in range(3)]
    assert len(set(run(records(*rows)).clusters.column("cluster").to_pylist())) == 3


def test_a_network_site_and_telephone_merge_nothing():
    rows = [
        {
            "nom": f"L'Étable Cowork {town}",
            "commune": town,
            "site_web": "http://etable-cowork.fr/",
            "telephone": "0199003344",
        }
        for town in ("Pertuis", "Apt", "Sorgues", "Avignon")
    ]
    assert len(set(run(records(*rows)).clusters.column("cluster").to_pylist())) == 4


def test_people_win_over_rules():
    common = {"date": "2026-03-01", "qui": "relecture", "motif": "vu"}
    same = new_decision(Decisions(), decision="identique", a="s:0", b="s:1", **common)
    apart = new_decision(Decisions(), decision="distinct", a="s:2", b="s:3", **common)
    table = records(
        {"nom": "Urban Prod"},
        {"nom": "Mars Medialab"},
        {"nom": "Tyfab", **PLACE},
        {"nom": "TyFab", **PLACE},
    )
    lines = "".join(d.model_dump_json(exclude_none=True) + "\n" for d in (same, apart))
    result = run(table, decisions=Decisions.parse(lines))
    assert result.clusters.column("cluster").to_pylist() == [0, 0, 1, 2]
    decided = {(p["cle_a"], p["cle_b"]): p for p in result.pairs.to_pylist()}
    assert decided["0", "1"]["decision"] == "identique"
    assert {p["decide_par"] for p in decided.values()} == {"humain"}


def test_every_pair_explains_itself_with_published_codes():
    result = run(generate(1500, seed=3))
    assert result.pairs.schema == PAIRS_SCHEMA
    assert result.pairs.num_rows > 100
    for pair in result.pairs.to_pylist():
        assert (pair["source_a"], pair["cle_a"]) < (pair["source_b"], pair["cle_b"])
        assert pair["decision"] in codes_of("decision")
        assert pair["predicat"] is None or pair["predicat"] in codes_of("predicat")
        details = json.loads(pair["details"])
        assert details["cles"]
        assert pair["motif"]
        parts = [part["bits"] for part in details.values() if isinstance(part, dict)]
        assert len(parts) > 2
        assert sum(parts) == pytest.approx(pair["score"], abs=0.1)


def test_order_of_input_and_threads_change_nothing():
    table = generate(1500, seed=4)
    reverse = table.take(list(range(table.num_rows - 1, -1, -1)))
    first, second = run(table, threads=1), run(reverse, threads=4)
    assert first.pairs.equals(second.pairs)
    assert first.clusters.equals(second.clusters)
    assert first.warnings == second.warnings


def test_generated_truth_is_found_without_false_merges():
    table = generate(3000, seed=5)
    truth = dict(zip(table["cle_source"].to_pylist(), table["verite"].to_pylist(), strict=True))
    result = run(table)
    same = [p for p in result.pairs.to_pylist() if p["decision"] == "identique"]
    right = sum(truth[p["cle_a"]] == truth[p["cle_b"]] for p in same)
    assert len(same) > 600
    assert right / len(same) > 0.97


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({"cle_source": ["1"], "nom": ["X"]}), "source"),
        (pa.table({"source": ["s"], "cle_source": ["1"], "nom": [" "]}), "sans nom"),
        (pa.table({"source": ["s"] * 2, "cle_source": ["1"] * 2, "nom": ["X"] * 2}), "répétée"),
    ],
)
def test_records_without_name_or_with_one_key_twice_are_refused(table, said):
    with pytest.raises(MatchError, match=said):
        run(table)


def test_no_record_is_no_cluster():
    empty = pa.schema([(n, pa.string()) for n in ("source", "cle_source", "nom")]).empty_table()
    assert run(empty).clusters.num_rows == 0
