from collections import Counter, defaultdict

import pytest

from benchmarks.generator import SCHEMA
from benchmarks.worlds import worlds

WORLDS = worlds()
SIZE = 1500


@pytest.fixture(scope="module", params=sorted(WORLDS))
def table(request):
    return WORLDS[request.param](SIZE, 3)


def rows_of(name, size=SIZE):
    return WORLDS[name](size, 3).to_pylist()


def test_gives_as_many_named_and_keyed_records_as_asked(table):
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == SIZE
    assert len(set(table["cle_source"].to_pylist())) == SIZE
    assert all(name.strip() for name in table["nom"].to_pylist())


def test_three_records_in_ten_repeat_another_in_clusters_of_four_at_most(table):
    sizes = Counter(table["verite"].to_pylist())
    assert 1 - len(sizes) / SIZE == pytest.approx(0.3, abs=0.04)
    assert max(sizes.values()) <= 4


def test_truth_is_fair_no_two_places_have_a_record_in_common(table):
    seen = {}
    for row in table.drop_columns(["source", "cle_source", "type"]).to_pylist():
        truth = row.pop("verite")
        told = tuple(str(value or "").casefold() for value in row.values())
        assert seen.setdefault(told, truth) == truth, told


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_same_seed_same_table_and_another_seed_another(name):
    make = WORLDS[name]
    assert make(200, 1).equals(make(200, 1))
    assert not make(200, 1).equals(make(200, 2))


def test_schools_of_one_name_and_address_stay_several():
    found = defaultdict(set)
    for row in rows_of("schools_fr"):
        if row["source"] == "education" and row["adresse"]:
            found[row["code_insee"], row["adresse"]].add(row["verite"])
    assert sum(len(truths) > 1 for truths in found.values()) > 20


def test_sites_of_one_chain_never_lose_their_address():
    rows = rows_of("restaurants_us", 3000)
    by_site = defaultdict(list)
    for row in rows:
        if row["site_web"]:
            by_site[row["site_web"]].append(row)
    chains = [found for found in by_site.values() if len({row["verite"] for row in found}) > 3]
    assert chains
    assert all(row["adresse"] for found in chains for row in found)


def test_companies_without_address_have_a_name_and_a_town_only():
    told = {column for row in rows_of("companies_uk_noaddr") for column in row if row[column]}
    assert told == {"source", "cle_source", "nom", "commune", "verite"}


def test_names_keep_their_script():
    for name, first, last in (("shops_jp", "\u3040", "\u9fff"), ("shops_gr", "\u0370", "\u1fff")):
        assert all(any(first <= c <= last for c in row["nom"]) for row in rows_of(name, 300))


def test_one_file_holds_its_own_duplicates():
    rows = rows_of("associations_single_source")
    assert {row["source"] for row in rows} == {"registro"}


def test_more_records_than_the_vocabulary_allows_are_refused():
    with pytest.raises(ValueError, match="vocabulaire épuisé"):
        WORLDS["shops_gr"](20_000, 0)
