import csv
import json
import os
import random
import subprocess
import sys
from datetime import date

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from benchmarks.generator import generate
from lowtech_data.resolve.decisions import Decisions, new_decision
from lowtech_data.resolve.files import (
    COLUMNS,
    SYNONYMS,
    MatchInputError,
    PermanentIds,
    match_file,
    read_renames,
)
from lowtech_data.resolve.identity import LedgerError, is_valid_id

TEXT = """id;titre;cp;rue;divers
1;Le Konk Ar Lab;29900;2 rue des Charmes;x
2;KONK AR LAB;29900;2, rue des Charmes;y
3;La Canopée;35150;2 rue Louis Amoureux;z
"""
RENAMES = {"cle_source": "id", "nom": "titre", "code_postal": "cp", "adresse": "rue"}


def test_a_csv_becomes_clusters_and_pairs(tmp_path):
    (tmp_path / "lieux.csv").write_text(TEXT, encoding="utf-8")
    told = []
    result = match_file(
        tmp_path / "lieux.csv",
        tmp_path / "groupes.csv",
        pairs=tmp_path / "paires.parquet",
        renames=RENAMES,
        progress=told.append,
    )
    with (tmp_path / "groupes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["source"], r["cle_source"], r["cluster"]) for r in rows] == [
        ("fichier", "1", "0"),
        ("fichier", "2", "0"),
        ("fichier", "3", "1"),
    ]
    pairs = pq.read_table(tmp_path / "paires.parquet").to_pylist()
    assert [(p["cle_a"], p["cle_b"], p["decision"]) for p in pairs] == [("1", "2", "identique")]
    assert (result.records, result.clusters) == (3, 2)
    assert any("divers" in note for note in result.notes)
    assert told


def test_parquet_and_windows_text_are_read(tmp_path):
    pq.write_table(
        pa.table({"cle_source": [1, 2], "nom": ["Récup", "Récup"]}), tmp_path / "a.parquet"
    )
    assert match_file(tmp_path / "a.parquet", tmp_path / "o.parquet").records == 2
    (tmp_path / "b.csv").write_bytes("cle_source,nom\n1,Récup\n".encode("cp1252"))
    assert match_file(tmp_path / "b.csv", tmp_path / "o.csv").clusters == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "fichier vide"),
        ("id,nom\n1,X\n", "--map cle_source"),
        ("cle_source,nom\n1,X\n1,Y\n", "1 clé répétée : fichier:1 aux enregistrements 1, 2"),
        ("cle_source,nom\n1,\n", "aucun nom"),
        ("cle_source,nom\n1,X,Z\n", "3 valeurs pour 2 colonnes"),
        ("nom,nom,cle_source\na,b,1\n", "répétées"),
    ],
)
def test_refusals_say_what_to_do_and_write_nothing(tmp_path, text, said):
    path = tmp_path / "f.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MatchInputError, match=said):
        match_file(path, tmp_path / "o.csv")
    assert not (tmp_path / "o.csv").exists()


def test_unknown_renames_and_extensions_are_refused(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("cle_source,nom\n1,X\n", encoding="utf-8")
    with pytest.raises(MatchInputError, match="inconnues"):
        match_file(path, tmp_path / "o.csv", renames={"titre": "nom"})
    with pytest.raises(MatchInputError, match="absentes"):
        match_file(path, tmp_path / "o.csv", renames={"nom": "titre"})
    with pytest.raises(MatchInputError, match="extension"):
        match_file(path, tmp_path / "o.txt")
    with pytest.raises(MatchInputError, match="introuvable"):
        match_file(tmp_path / "rien.csv", tmp_path / "o.csv")


def test_columns_are_never_guessed_but_the_command_is_given(tmp_path):
    path = tmp_path / "the places.csv"
    path.write_text("ID,Name,City,zip,fee\n1,X,Y,2,3\n", encoding="utf-8")
    with pytest.raises(MatchInputError) as error:
        match_file(path, tmp_path / "o.csv", renames={"code_postal": "zip"})
    assert (
        f"lowtech match '{path}' --out {tmp_path / 'o.csv'} --map code_postal=zip"
        " --map cle_source=ID --map nom=Name --map commune=City"
    ) in str(error.value)
    notes = match_file(path, tmp_path / "o.csv", renames={"cle_source": "ID", "nom": "Name"}).notes
    assert any("fee" in note and "--map code_postal=zip" in note for note in notes)


def test_no_title_is_advised_for_two_columns():
    titles = [title for titles in SYNONYMS.values() for title in titles]
    assert len(titles) == len(set(titles))
    assert set(SYNONYMS) <= set(COLUMNS)
    assert not set(titles) & set(COLUMNS)


def test_renames_are_repeated_or_joined_by_commas():
    assert read_renames(["nom=titre, usuel,adresse=rue = voie", "cle_source=id"]) == {
        "nom": "titre, usuel",
        "adresse": "rue = voie",
        "cle_source": "id",
    }
    for wrong in ("nom", "nom=", "=titre"):
        with pytest.raises(MatchInputError, match="nôtre=vôtre"):
            read_renames([wrong])
    with pytest.raises(MatchInputError, match="deux colonnes pour nom"):
        read_renames(["nom=a", "nom=b"])


def test_damaged_texts_are_repaired_and_keys_left_alone(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text(
        "cle_source,nom,adresse,commune\n"
        "clÃ©,La CanopÃ©e,2 rue Louis Amoureux,SÃO PAULO\n"
        "b,La Canopée,2 rue Louis Amoureux,SÃO PAULO\n",
        encoding="utf-8",
    )
    match_file(path, tmp_path / "o.csv")
    assert clusters(tmp_path / "o.csv") == {"b": "0", "clÃ©": "0"}


def test_points_may_be_written_with_a_comma(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text(
        "cle_source;nom;latitude;longitude\n1;Le Konk;47,87;-3,92\n2;Canopée;48.1;-1,6\n",
        encoding="utf-8",
    )
    assert not any("point" in note for note in match_file(path, tmp_path / "o.csv").notes)


def clusters(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["cle_source"]: row["cluster"] for row in csv.DictReader(file)}


class Years:
    """One table matched again and again with the same ledger."""

    def __init__(self, folder):
        self.folder = folder
        self.ledger = folder / "registre.jsonl"

    def match(self, day, rows, *, same=(), out="groupes.csv"):
        records = self.folder / "lieux.csv"
        with records.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("cle_source", "nom"), *rows])
        lines = [
            new_decision(
                Decisions(), date="2026-01-01", qui="equipe", decision="identique",
                a=f"fichier:{a}", b=f"fichier:{b}", motif="vu",
            ).model_dump(exclude_none=True, exclude={"empreintes"})
            for a, b in same
        ]  # fmt: skip
        decisions = self.folder / "decisions.jsonl"
        decisions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        match_file(
            records,
            self.folder / out,
            decisions=decisions,
            permanent=PermanentIds(self.ledger, date.fromisoformat(day)),
        )
        return clusters(self.folder / out)


ROWS = [("a", "Le Konk Ar Lab"), ("b", "La Canopée"), ("c", "Les Ateliers du Bocage"), ("d", "")]


def test_clusters_keep_their_ids_from_one_run_to_the_next(tmp_path):
    years = Years(tmp_path)
    first = years.match("2026-01-01", ROWS)
    assert len(set(first.values())) == 4
    assert all(map(is_valid_id, first.values()))
    ledger = years.ledger.read_bytes()
    assert years.match("2026-01-01", ROWS[::-1]) == first
    assert years.match("2026-02-01", ROWS, out="ailleurs.csv") == first
    assert years.ledger.read_bytes() == ledger
    more = years.match("2026-03-01", [*ROWS, ("e", "Récup’Art")])
    assert {key: more[key] for key in first} == first


def test_a_merge_that_is_undone_gives_both_ids_back(tmp_path):
    years = Years(tmp_path)
    first = years.match("2026-01-01", ROWS)
    merged = years.match("2026-02-01", ROWS, same=[("a", "b")])
    assert merged["a"] == merged["b"] == min(first["a"], first["b"])
    assert years.match("2026-03-01", ROWS) == first


def test_a_record_that_comes_back_finds_its_id(tmp_path):
    years = Years(tmp_path)
    both = years.match("2026-01-01", ROWS, same=[("a", "b")])
    assert years.match("2026-02-01", ROWS[2:])["c"] == both["c"]
    # The founder is still away: the id follows the last members that were known of it.
    assert years.match("2026-03-01", ROWS[1:])["b"] == both["b"]


def test_a_ledger_is_refused_rather_than_broken(tmp_path):
    years = Years(tmp_path)
    years.match("2026-02-01", ROWS)
    before = years.ledger.read_bytes()
    with pytest.raises(LedgerError, match="2026-02-01"):
        years.match("2026-01-01", ROWS)
    (tmp_path / "registre.jsonl.membres.parquet").unlink()
    with pytest.raises(LedgerError, match="membres"):
        years.match("2026-03-01", ROWS)
    with pytest.raises(MatchInputError, match="même fichier"):
        match_file(
            tmp_path / "lieux.csv",
            years.ledger.with_suffix(".csv"),
            permanent=PermanentIds(years.ledger.with_suffix(".csv"), date(2026, 3, 1)),
        )
    assert years.ledger.read_bytes() == before


def lowtech(*arguments, seed="0", cores=None):
    return subprocess.run(
        [sys.executable, "-c", "from lowtech_data.cli import main; main()", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )


def test_outputs_are_the_same_bytes_whatever_threads_order_and_hash_seed(tmp_path):
    table = generate(2_000, seed=4).drop_columns(["verite"])
    order = list(range(table.num_rows))
    random.Random(1).shuffle(order)
    pacsv.write_csv(table, tmp_path / "droit.csv")
    pq.write_table(table.take(order), tmp_path / "melange.parquet")
    cores = os.sched_getaffinity(0)
    outputs = []
    for number, (name, used) in enumerate(
        [("droit.csv", {min(cores)}), ("droit.csv", cores), ("melange.parquet", cores)]
    ):
        out, pairs = tmp_path / f"o{number}.csv", tmp_path / f"p{number}.csv"
        done = lowtech(
            "match", tmp_path / name, "--out", out, "--pairs", pairs, seed=str(number), cores=used
        )
        assert done.returncode == 0, done.stderr
        outputs.append((out.read_bytes(), pairs.read_bytes()))
    assert outputs[0] == outputs[1] == outputs[2]
    assert outputs[0][0].count(b"\n") == 2_001


def test_the_command_tells_its_steps_when_asked_and_else_keeps_quiet(tmp_path):
    (tmp_path / "f.csv").write_text("id,nom\n1,X\n2,Y\n", encoding="utf-8")
    command = ("match", tmp_path / "f.csv", "--out", tmp_path / "o.csv", "--map", "cle_source=id")
    quiet = lowtech(*command)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert quiet.stdout == "2 lignes, 2 groupes, 0 paire à revoir\n"
    told = lowtech(*command, "--progress")
    assert "2 enregistrements lus" in told.stderr
    assert told.stdout == quiet.stdout
    kept = lowtech(*command, "--ledger", tmp_path / "r.jsonl", "--as-of", "2026-01-01")
    assert kept.returncode == 0
    assert all(map(is_valid_id, clusters(tmp_path / "o.csv").values()))
    refused = lowtech(*command, "--ledger", tmp_path / "r.jsonl", "--as-of", "2025-01-01")
    assert refused.returncode == 1
    assert "2026-01-01" in refused.stderr
    assert "--ledger" in lowtech(*command, "--as-of", "2026-01-01").stderr
