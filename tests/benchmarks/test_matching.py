from itertools import combinations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.matching.accuracy import accuracy, best_threshold, components, labelled
from benchmarks.matching.records import prepare

SIZE = 8
LABELS = st.lists(st.integers(0, 4), min_size=SIZE, max_size=SIZE)
EDGES = st.dictionaries(
    st.sampled_from(list(combinations(range(SIZE), 2))), st.sampled_from([0.1, 0.2, 0.5, 0.9])
)


def truth_table(numbers):
    return labelled(numbers).rename_columns(["rid", "verite"])


def edge_table(edges):
    return pa.table(
        {
            "a": pa.array([a for a, _ in edges], pa.int64()),
            "b": pa.array([b for _, b in edges], pa.int64()),
            "score": pa.array(list(edges.values()), pa.float64()),
        }
    )


def group(numbers, i):
    return {j for j, number in enumerate(numbers) if number == numbers[i]}


@settings(max_examples=25, deadline=None)
@given(found=LABELS, truth=LABELS)
def test_accuracy_is_that_of_all_pairs_and_all_records(found, truth):
    joined = {(i, j) for i, j in combinations(range(SIZE), 2) if found[i] == found[j]}
    true = {(i, j) for i, j in combinations(range(SIZE), 2) if truth[i] == truth[j]}
    measured = accuracy(labelled(found), truth_table(truth))
    assert measured.precision == pytest.approx(len(joined & true) / len(joined) if joined else 1)
    assert measured.recall == pytest.approx(len(joined & true) / len(true) if true else 1)
    common = [len(group(found, i) & group(truth, i)) for i in range(SIZE)]
    shares = [n / len(group(found, i)) for i, n in enumerate(common)]
    assert measured.b_precision == pytest.approx(sum(shares) / SIZE)
    shares = [n / len(group(truth, i)) for i, n in enumerate(common)]
    assert measured.b_recall == pytest.approx(sum(shares) / SIZE)


@settings(max_examples=25, deadline=None)
@given(edges=EDGES, truth=LABELS)
def test_no_threshold_does_better_than_the_best(edges, truth):
    table = edge_table(edges)

    def f1(threshold):
        return accuracy(components(SIZE, table, threshold), truth_table(truth)).f1

    best = best_threshold(table, truth)
    assert all(f1(best) >= f1(score) - 1e-9 for score in set(edges.values()))


def test_every_engine_is_given_mended_columns_without_the_truth(tmp_path):
    records = pa.table(
        {
            "source": ["a", "b"],
            "cle_source": ["2", "1"],
            "nom": ["Ã‰picerie de l’ÅŒuvre", "Le Fil"],
            "adresse": ["3 RUE DU PORT 29900 Concarneau", "12 bis, av. Émile Zola"],
            "code_postal": [None, "0"],
            "commune": [None, "NANTES CEDEX 9"],
            "site_web": ["http://www.exemple.org/contact", None],
            "telephone": ["+33 1 99 00 12 34", "01.99.00.12.34"],
            "verite": [4, 5],
        }
    )
    prepare(records, tmp_path)
    first, second = pq.read_table(tmp_path / "records.parquet").to_pylist()
    assert "verite" not in first
    assert (first["nom"][0], first["cp_cle"], first["ville_cle"]) == ("É", "29900", "concarneau")
    assert (first["voie_cle"], first["hote_cle"]) == ("rue du port", "exemple.org")
    assert (second["cp_cle"], second["ville_cle"]) == (None, "nantes")
    assert (second["numero_cle"], second["voie_cle"]) == ("12", "avenue emile zola")
    assert first["tel_cle"] == second["tel_cle"] == "199001234"
    assert pq.read_table(tmp_path / "truth.parquet")["verite"].to_pylist() == [4, 5]
