"""A run that resumes a former one gives what a full run under the same calibration gives."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.generator import generate
from lowtech_data.resolve import Decisions, Matching, StateError, incremental, match
from lowtech_data.resolve.blocking import block, key_names
from lowtech_data.resolve.compare import compare_pairs
from lowtech_data.resolve.decisions import new_decision
from lowtech_data.resolve.features import NUMBER_STEP, number, prepare
from lowtech_data.resolve.outcome import conclude
from lowtech_data.resolve.score import explain_pairs, score_pairs, settle_rivals

COLUMNS = ("source", "cle_source", "nom", "adresse", "code_postal", "commune", "telephone")
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])


@pytest.fixture(autouse=True)
def calibrations_last(monkeypatch):
    monkeypatch.setattr(incremental, "MAX_CHANGED", 1e9)


def resumed(rows: list[dict], state: Path, decisions: Decisions | None = None) -> Matching:
    with duckdb.connect() as con:
        con.register("fiches", pa.Table.from_pylist(rows, SCHEMA))
        return match(con, "fiches", state=state, decisions=decisions)


def full(rows: list[dict], state: Path, decisions: Decisions | None = None) -> Matching:
    """All compared, with nothing of the former run but its calibration."""
    with duckdb.connect() as con:
        con.register("fiches", pa.Table.from_pylist(rows, SCHEMA))
        con.execute(f"ATTACH '{state}' AS etat (READ_ONLY)")
        for table in incremental.LEARNT:
            con.execute(f"CREATE TEMP VIEW {table} AS FROM etat.{table}")
        model = incremental.model_of(con)
        number(con, "fiches")
        prepare(con, "fiches", learn=False)
        blocking = block(con)
        compare_pairs(con, learn=False)
        score_pairs(con, model)
        settle_rivals(con)
        explain_pairs(con, model, key_names("cles"))
        return conclude(con, blocking, decisions or Decisions())


def assert_same(one: Matching, other: Matching) -> None:
    assert one.clusters.equals(other.clusters)
    assert one.pairs.equals(other.pairs)
    assert one.warnings == other.warnings


def record(random_: random.Random, key: int) -> dict:
    """Few words, places and numbers: keys are often shared, by few or by too many."""
    words = ["atelier", "velo", "recyclerie", "lune", "rouet", "canopee", "fablab", "soleil"]
    streets = ["rue des charmes", "place du marche", "quai nord"]
    commune = random_.choice(["Concarneau", "Janze"])
    return {
        "source": random_.choice("ab"),
        "cle_source": str(key),
        "nom": " ".join(random_.sample(words, random_.randint(1, 3))),
        "adresse": f"{random_.randint(1, 4)} {random_.choice(streets)}",
        "code_postal": {"Concarneau": "29900", "Janze": "35150"}[commune],
        "commune": commune,
        "telephone": random_.choice(["", "02 98 00 00 01", "02 98 00 00 02", "02 99 00 00 03"]),
    }


def changed(rows: list[dict], random_: random.Random, count: int) -> list[dict]:
    """Some deleted, but never all, some moved or renamed, some added, keys before, between and
    after.
    """
    after = [dict(row) for row in rows]
    for _ in range(count):
        what = random_.randint(0, 2)
        if what == 0 and len(after) > 1:
            after.pop(random_.randrange(1, len(after)))
        elif what == 1 and after:
            kept = after[random_.randrange(len(after))]
            field = random_.choice(["nom", "adresse", "telephone"])
            kept[field] = record(random_, 0)[field]
        else:
            new = record(random_, random_.randint(-50, 500))
            taken = {(row["source"], row["cle_source"]) for row in after}
            if (new["source"], new["cle_source"]) not in taken:
                after.append(new)
    random_.shuffle(after)
    return after


@given(st.integers(0, 10**6), st.integers(2, 70), st.lists(st.integers(1, 12), max_size=3))
@settings(max_examples=8, deadline=None)
def test_any_changes_give_what_a_full_run_gives(tmp_path_factory, seed, size, changes):
    state = tmp_path_factory.mktemp("etat") / "etat.duckdb"
    random_ = random.Random(seed)
    rows = [record(random_, key) for key in range(0, 3 * size, 3)]
    with duckdb.connect() as con:
        con.register("fiches", pa.Table.from_pylist(rows, SCHEMA))
        assert_same(resumed(rows, state), match(con, "fiches"))
    for count in changes:
        rows = changed(rows, random_, count)
        assert_same(resumed(rows, state), full(rows, state))


def test_a_year_of_small_changes_among_initiatives(tmp_path):
    state, random_ = tmp_path / "etat.duckdb", random.Random(3)
    every = generate(1500, seed=5).select(COLUMNS).cast(SCHEMA).to_pylist()
    rows, waiting = every[:1300], every[1300:]
    resumed(rows, state)
    for _ in range(3):
        rows = [row for row in rows if random_.random() > 0.01]
        rows = [
            {**row, "nom": row["nom"][::-1]} if random_.random() < 0.01 else row for row in rows
        ]
        rows += [waiting.pop() for _ in range(20)]
        found = resumed(rows, state)
        assert 0 < found.blocking.pairs < 400
        assert_same(found, full(rows, state))


def test_decisions_that_change_move_the_clusters_that_they_name(tmp_path):
    state, random_ = tmp_path / "etat.duckdb", random.Random(8)
    rows = [record(random_, key) for key in range(60)]
    pairs = resumed(rows, state).pairs.to_pylist()
    first = next(pair for pair in pairs if pair["decision"] == "identique")
    line = new_decision(
        Decisions(),
        date="2026-11-22",
        qui="equipe",
        decision="distinct",
        a=f"{first['source_a']}:{first['cle_a']}",
        b=f"{first['source_b']}:{first['cle_b']}",
        motif="vu",
    )
    for decisions in (Decisions((line,)), Decisions()):
        assert_same(resumed(rows, state, decisions), full(rows, state, decisions))


def test_nothing_is_compared_when_nothing_changed(tmp_path):
    rows = [record(random.Random(1), key) for key in range(40)]
    before = resumed(rows, tmp_path / "etat")
    assert before.blocking.pairs > 0
    after = resumed(rows[::-1], tmp_path / "etat")
    assert after.blocking.pairs == 0
    assert_same(after, before)


@pytest.mark.parametrize("change", ["share", "recipe", "room"])
def test_all_is_learnt_again_when_it_must(tmp_path, monkeypatch, change):
    state, random_ = tmp_path / "etat", random.Random(2)
    rows = [record(random_, key) for key in range(100, 140)]
    resumed(rows, state)
    if change == "share":
        monkeypatch.setattr(incremental, "MAX_CHANGED", 0.1)
        rows = changed(rows, random_, 12)
    elif change == "recipe":
        monkeypatch.setattr(incremental, "_recipe", lambda: "autre")
    else:
        with duckdb.connect(state) as con:
            con.execute(f"UPDATE res_numero SET rid = rid // {NUMBER_STEP}")
        rows = [*rows, {**rows[0], "source": "a", "cle_source": "1000"}]
        assert rows[-1]["cle_source"] < max(row["cle_source"] for row in rows)
    found = resumed(rows, state)
    with duckdb.connect() as con:
        con.register("fiches", pa.Table.from_pylist(rows, SCHEMA))
        expected = match(con, "fiches")
    assert found.blocking == expected.blocking
    assert_same(found, expected)
    assert resumed(rows, state).blocking.pairs == 0


def test_a_file_of_another_kind_is_refused_and_kept(tmp_path):
    rows = [record(random.Random(1), key) for key in range(4)]
    (tmp_path / "texte").write_text("ceci n’est pas un état\n" * 300, encoding="utf-8")
    duckdb.connect(tmp_path / "base").close()
    for name in ("texte", "base"):
        content = (tmp_path / name).read_bytes()
        with pytest.raises(StateError, match=name):
            resumed(rows, tmp_path / name)
        assert (tmp_path / name).read_bytes() == content


def test_the_state_of_another_table_is_refused_and_kept(tmp_path):
    state, random_ = tmp_path / "etat", random.Random(1)
    rows = [record(random_, key) for key in range(20)]
    before = resumed(rows, state)
    content = state.read_bytes()
    with pytest.raises(StateError, match="autre table"):
        resumed([record(random_, key) for key in range(100, 120)], state)
    assert state.read_bytes() == content
    assert resumed([*rows[:1], *(record(random_, key) for key in range(100, 120))], state)
    assert_same(resumed(rows, tmp_path / "neuf"), before)


def test_two_runs_cannot_share_a_state(tmp_path):
    rows = [record(random.Random(1), key) for key in range(4)]
    state = tmp_path / "etat"
    resumed(rows, state)
    holder = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline()
        with pytest.raises(StateError, match="etat"):
            resumed(rows, state)
        other.communicate(b"\n")
    assert resumed(rows, state).blocking.pairs == 0


def test_a_run_that_fails_leaves_the_state_of_the_former(tmp_path, monkeypatch):
    rows = [record(random.Random(4), key) for key in range(40)]
    state = tmp_path / "etat"
    resumed(rows, state)
    shutil.copy(state, tmp_path / "copie")

    def fails(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("lowtech_data.resolve.conclude", fails)
        with pytest.raises(MemoryError):
            resumed(rows[5:], state)
        with pytest.raises(MemoryError):
            resumed(rows, tmp_path / "neuf")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["copie", "etat"]
    assert_same(resumed(rows[5:], state), resumed(rows[5:], tmp_path / "copie"))
