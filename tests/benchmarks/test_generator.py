from collections import Counter, defaultdict
from statistics import median

import pyarrow.parquet as pq
import pytest

from benchmarks.generator import LISTINGS, SCHEMA, SOURCES, generate

SIZE = 3000


@pytest.fixture(scope="module")
def table():
    return generate(SIZE, seed=7)


@pytest.fixture(scope="module")
def rows(table):
    return table.to_pylist()


def words(name):
    return "".join(c if c.isalnum() else " " for c in name.lower()).split()


def truths_by(rows, *columns):
    found = defaultdict(set)
    for row in rows:
        key = tuple(row[column] for column in columns)
        if None not in key:
            found[key].add(row["verite"])
    return found


def test_same_arguments_give_the_same_bytes(table, tmp_path):
    for name, made in (("a", table), ("b", generate(SIZE, seed=7))):
        pq.write_table(made, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert not table.equals(generate(SIZE, seed=8))


def test_invents_communes_where_there_is_no_reference(tmp_path):
    invented = generate(300, places=tmp_path / "absent.parquet")
    assert invented.num_rows == 300


def test_gives_as_many_named_and_keyed_records_as_asked(table):
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == SIZE
    assert len(set(table["cle_source"].to_pylist())) == SIZE
    assert all(name.strip() for name in table["nom"].to_pylist())
    assert set(table["source"].to_pylist()) == set(SOURCES)


def test_three_records_in_ten_repeat_another_in_groups_of_two_to_six(table):
    sizes = Counter(table["verite"].to_pylist())
    assert len(sizes) == SIZE - int(SIZE * 0.3)
    assert set(sizes.values()) == {1, 2, 3, 4, 5, 6}


def test_some_repeat_another_record_of_their_own_listing(rows):
    listings = defaultdict(list)
    for row in rows:
        listings[row["verite"]].append(row["source"])
    twice = sum(len(found) > len(set(found)) for found in listings.values())
    assert twice > 0.1 * sum(len(found) > 1 for found in listings.values())


def test_identifiers_are_as_sparse_as_the_listings_are(table):
    filled = {name: 1 - table[name].null_count / SIZE for name in table.column_names}
    assert 0.02 < filled["siret"] < 0.1
    assert 0 < filled["rna"] < 0.03
    assert 0.2 < filled["telephone"] < 0.35
    assert 0.15 < filled["courriel"] < 0.3
    assert 0.35 < filled["site_web"] < 0.5
    silent = [name for name, listing in LISTINGS.items() if listing.phone == 0]
    assert silent
    assert not any(row["telephone"] for row in table.to_pylist() if row["source"] in silent)


def test_names_and_contacts_are_shared_by_what_must_not_merge(rows):
    for columns in (("nom",), ("site_web",), ("telephone",), ("adresse", "commune")):
        shared = [truths for truths in truths_by(rows, *columns).values() if len(truths) > 1]
        assert len(shared) >= SIZE / 600, columns


def test_homonyms_grow_with_the_size():
    def share(size):
        by_name = truths_by(generate(size, seed=1).to_pylist(), "nom")
        shared = [truths for truths in by_name.values() if len(truths) > 1]
        return sum(map(len, shared)) / size

    small, large = share(1000), share(10_000)
    assert small > 0.02
    assert large > 1.3 * small


def test_most_words_are_rare_and_a_few_are_everywhere(rows):
    names = {row["nom"] for row in rows}
    frequencies = Counter(word for name in names for word in set(words(name)))
    assert median(frequencies.values()) <= 2
    assert sum(n == 1 for n in frequencies.values()) > 0.5 * len(frequencies)
    assert frequencies.most_common(1)[0][1] > 0.05 * len(names)


def test_records_carry_the_errors_of_listings(rows):
    assert any("Ã" in row["nom"] for row in rows)
    assert any(row["code_postal"] == "0" for row in rows)
    assert any(row["code_postal"] and len(row["code_postal"]) == 4 for row in rows)
    assert any(row["nom"].isupper() for row in rows)
    assert any(" / " in row["nom"] for row in rows)
    assert any(row["adresse"] is None and row["telephone"] is None for row in rows)
    assert any(row["latitude"] is None for row in rows)
    assert any(row["latitude"] is not None and row["latitude"] < 20 for row in rows)
    in_street = [row for row in rows if row["adresse"] and row["commune"] is None]
    assert any(row["adresse"].split()[-1].istitle() for row in in_street)
    points = truths_by(rows, "latitude", "longitude")
    assert max(map(len, points.values())) >= 3
