import csv
import os
from pathlib import Path

import duckdb
import pytest

from lowtech_data.resolve.evaluate import (
    HEADER,
    Evaluation,
    Labelled,
    evaluate,
    load_records,
    masked,
    read_pairs,
)

HERE = Path(__file__).parents[1] / "evaluation"
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
    """The bar: merges at least 98 % right, nine in ten of the same found or shown to people."""
    return result.precision >= 0.98 and result.recall_with_review >= 0.9


@pytest.mark.parametrize("hide", [False, True])
def test_merges_are_right_on_the_labelled_pairs_of_the_project(con, hide):
    table = load_records(con, HERE / "fiches.csv")
    compared = masked(con, table) if hide else table
    engine, *baselines = told(evaluate(con, compared, read_pairs(HERE / "paires.csv")), hide)
    assert passes(engine)
    assert not any(passes(baseline) for baseline in baselines)
    assert engine.recall > max(baseline.recall for baseline in baselines)
    assert engine.moved_seen == engine.moved


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
