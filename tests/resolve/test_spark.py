import sys
from functools import partial

import duckdb
import pytest

pytest.importorskip("pyspark", reason="l'extra spark n'est pas installé : make test-spark")

from pyspark.sql import SparkSession

from benchmarks.generator import generate
from lowtech_data.resolve import match
from lowtech_data.resolve.spark import score_on_spark

# Starting a JVM and planning each statement takes most of the time, whatever the number of records.
pytestmark = pytest.mark.timeout(1800)

SAID = ["source_a", "cle_a", "source_b", "cle_b", "score", "decision", "predicat", "motif"]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.local.dir", str(tmp_path_factory.mktemp("spark")))
            .config("spark.sql.shuffle.partitions", "4")
            .config("spark.sql.ansi.enabled", "false")
            .getOrCreate()
        )
        yield session
        session.stop()


def on_both(table, session, folder):
    with duckdb.connect(config={"threads": 2}) as con:
        con.register("fiches", table)
        here = match(con, "fiches")
        there = match(
            con, "fiches", scoring=partial(score_on_spark, session=session, folder=folder)
        )
    return here, there


def test_ten_thousand_records_give_the_same_pairs_on_spark(session, tmp_path):
    here, there = on_both(generate(10_000, seed=1), session, tmp_path)
    assert here.pairs.num_rows > 1000
    assert there.pairs.select(SAID).to_pylist() == here.pairs.select(SAID).to_pylist()
    assert there.clusters.equals(here.clusters)


def test_columns_that_are_missing_or_not_latin_change_nothing(session, tmp_path):
    table = generate(400, seed=2).select(["source", "cle_source", "nom", "commune", "adresse"])
    rows = table.to_pylist()
    for number, row in enumerate(rows):
        if number % 3 == 0:
            row["nom"] = f"{row['nom']} 東京ラボ"
    here, there = on_both(type(table).from_pylist(rows), session, tmp_path)
    assert here.pairs.num_rows > 0
    assert there.pairs.select(SAID).to_pylist() == here.pairs.select(SAID).to_pylist()


def test_nothing_is_left_in_the_session_or_in_the_folder(session, tmp_path):
    session.sql("SELECT 1 AS mien").createOrReplaceTempView("res_fiche")
    here, there = on_both(generate(10, seed=3).slice(0, 0), session, tmp_path)
    assert there.pairs.equals(here.pairs)
    assert list(tmp_path.iterdir()) == []
    assert session.table("res_fiche").columns == ["mien"]
    assert session.conf.get("spark.sql.ansi.enabled") == "false"
