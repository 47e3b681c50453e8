"""Matching is measured on labelled pairs: the bar stops what anyone could write, not the engine."""

import csv
import hashlib
import os
import shutil
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.quality.gates import MIN_FOUND, MIN_PRECISION
from lowtech_data.resolve.decisions import Decisions, append, new_decision
from lowtech_data.resolve.evaluate import (
    APART,
    HEADER,
    Evaluation,
    LabelError,
    Labelled,
    clustered_wilson,
    evaluate,
    groups,
    load_records,
    masked,
    measure,
    read_pairs,
)
from lowtech_data.settings import EVALUATION

PAIRS = EVALUATION / "paires.csv"
GOLD = Path(os.environ.get("LOWTECH_LISTINGS", "absent")) / "gold"


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        yield connection


def told(results: list[Evaluation], hide: bool) -> list[Evaluation]:
    """The results, printed (`pytest -s`) with what was compared."""
    print(f"\n{'masqué' if hide else 'tous les champs'}\n{HEADER}")
    print("\n".join(result.line() for result in results))
    return results


def passes(result: Evaluation) -> bool:
    """The bar of releases, on either part."""
    return result.precision >= MIN_PRECISION and result.recall_with_review >= MIN_FOUND


@pytest.mark.parametrize("part", ["reglage", "mesure"])
@pytest.mark.parametrize("hide", [False, True])
def test_the_engine_is_over_the_bar_and_simple_rules_are_under_it(con, hide, part):
    table = load_records(con, EVALUATION / "fiches.csv")
    compared = masked(con, table) if hide else table
    print(f"\npart {part}", end="")
    engine, *baselines = told(evaluate(con, compared, read_pairs(PAIRS, part=part)), hide)
    assert passes(engine)
    assert not any(passes(baseline) for baseline in baselines)
    assert engine.recall > max(baseline.recall for baseline in baselines)


def test_both_parts_are_told_apart_by_groups_of_pairs_alone():
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = read_pairs(PAIRS)
    assert {*read_pairs(PAIRS, part="reglage"), *read_pairs(PAIRS, part="mesure")} == set(pairs)
    group = groups(pairs)
    members = defaultdict(list)
    for row, pair in zip(rows, pairs, strict=True):
        members[group[pair.a]].append(row)
    for name, tied in members.items():
        first = any(row["tirage"] == "réglage initial" for row in tied)
        drawn = int(hashlib.sha256("\n".join(name).encode()).hexdigest()[:8], 16) % 6 == 0
        expected = "reglage" if first or drawn else "mesure"
        assert {row["part"] for row in tied} == {expected}


def test_labels_do_not_contradict_each_other():
    pairs = read_pairs(PAIRS)
    same = groups(pair for pair in pairs if pair.etiquette == "identique")
    tied = [p for p in pairs if p.etiquette in APART and same.get(p.a, p.a) == same.get(p.b, p.b)]
    assert tied == []
    assert len({frozenset((p.a, p.b)) for p in pairs}) == len(pairs)


def test_a_bad_decision_shows_as_the_pair_that_it_merges(con, tmp_path):
    labelled = read_pairs(PAIRS, part="mesure")
    wrong = next(pair for pair in labelled if pair.etiquette == "distinct")
    names = {"a": ":".join(wrong.a), "b": ":".join(wrong.b)}
    line = new_decision(
        Decisions(),
        decision="identique",
        date="2026-03-01",
        qui="relecture",
        motif="essai",
        **names,
    )
    append(tmp_path / "decisions.jsonl", line)
    table = load_records(con, EVALUATION / "fiches.csv")
    decisions = Decisions.load(tmp_path / "decisions.jsonl")
    engine = evaluate(con, table, labelled, decisions=decisions)[0]
    assert wrong in engine.merged_apart
    assert f"{names['a']} / {names['b']} (distinct)" in engine.document()["fusions_fausses"]


@given(st.lists(st.integers(0, 12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))))
def test_an_interval_holds_its_share_within_0_and_1(counts):
    low, high = clustered_wilson(counts)
    right, total = (sum(values) for values in zip(*counts, strict=True)) if counts else (0, 0)
    share = right / total if total else 0.5
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1


def test_an_interval_is_wilson_s_for_observations_on_their_own():
    # 80 of 100: 0.711 and 0.867 in Wilson's own formula.
    low, high = clustered_wilson([(1, 1)] * 80 + [(0, 1)] * 20)
    assert (round(low, 3), round(high, 3)) == (0.711, 0.867)


def test_observations_that_go_together_count_less():
    alone = clustered_wilson([(1, 1)] * 80 + [(0, 1)] * 20)
    together = clustered_wilson([(4, 4)] * 20 + [(0, 4)] * 5)
    assert together[0] < alone[0]
    assert together[1] > alone[1]
    assert clustered_wilson([(4, 4)] * 20) == clustered_wilson([(1, 1)] * 20)


def test_a_folder_without_pairs_is_not_measured(tmp_path):
    assert measure(tmp_path) is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("source_a,cle_a\n", "colonnes absentes : cle_b, etiquette, part, source_b"),
        ("source_a,cle_a,source_b,cle_b,etiquette,part\na,1,b,2,pareil,mesure\n", "ligne 2"),
        ("source_a,cle_a,source_b,cle_b,etiquette,part\na,1,b,2,distinct,mesure\n", "aucune paire"),
        (
            "source_a,cle_a,source_b,cle_b,etiquette,part\nx,1,cget2019,10,identique,mesure\n",
            "fiches absentes",
        ),
    ],
)
def test_labels_that_cannot_be_read_are_named(tmp_path, written, said):
    shutil.copy(EVALUATION / "fiches.csv", tmp_path)
    (tmp_path / "paires.csv").write_text(written, encoding="utf-8")
    with pytest.raises(LabelError, match=said):
        measure(tmp_path)


@pytest.mark.skipif(not GOLD.is_dir(), reason="LOWTECH_LISTINGS absent")
@pytest.mark.parametrize("hide", [False, True])
def test_merges_are_right_on_labelled_pairs_of_real_listings(con, hide):
    con.execute(
        f"""CREATE TEMP TABLE gold AS SELECT set AS source, id AS cle_source, name AS nom,
        street AS adresse, postcode AS code_postal, city AS commune, insee AS code_insee,
        lat AS latitude, lon AS longitude, website AS site_web, email AS courriel,
        phone AS telephone, siret, rna
        FROM read_csv('{GOLD / "records.csv"}', all_varchar = true, header = true)"""
    )
    with (GOLD / "pairs.csv").open(encoding="utf-8", newline="") as file:
        labels = {"1": "identique", "0": "distinct", "u": "incertain"}
        pairs = [
            Labelled((r["set_a"], r["id_a"]), (r["set_b"], r["id_b"]), labels[r["label"]])
            for r in csv.DictReader(file)
        ]
    engine = told(evaluate(con, masked(con, "gold") if hide else "gold", pairs), hide)[0]
    assert engine.precision >= 0.98
    assert not engine.merged_apart
    if not hide:
        assert engine.recall_with_review >= 0.9
