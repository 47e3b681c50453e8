"""Files that people have in spite of themselves: each ends in an answer or in a clear refusal."""

import csv
import json
import math
import os
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lowtech_data.resolve import match
from lowtech_data.resolve.decisions import DecisionError, Decisions, new_decision
from lowtech_data.resolve.files import MatchInputError, match_file

ROWS = 5_000
CPU_SECONDS = 20
"""Most that 5,000 rows may cost, whatever is in them."""


def written(path: Path, rows: list[dict[str, object]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def place(number: int, **values: object) -> dict[str, object]:
    """A record that resembles none of its neighbours."""
    unlike = {
        "cle_source": f"k{number}",
        "nom": f"Atelier {_word(number)}",
        "adresse": f"{number % 90 + 1} rue {_word(number + 7)}",
        "code_postal": f"{10_000 + number * 17 % 80_000:05}",
        "commune": _word(number * 3 + 1),
        "latitude": f"{43 + number % 700 / 100:.5f}",
        "longitude": f"{number % 611 / 100:.5f}",
        "telephone": f"+332{number:08}",
        "courriel": f"contact@{_word(number).lower()}.example",
        "site_web": f"https://{_word(number).lower()}.example/",
    }
    return {**unlike, **values}


def _word(number: int) -> str:
    syllables = ("ba", "co", "di", "fu", "ga", "lo", "mi", "nu", "pe", "ra", "so", "tu", "ve")
    letters = []
    rest = number * 2_654_435_761 % 2**32
    for _ in range(5):
        rest, index = divmod(rest, len(syllables))
        letters.append(syllables[index])
    return "".join(letters).capitalize()


def cpu_seconds(records: Path, out: Path) -> tuple[float, list[dict[str, str]]]:
    before = time.process_time()
    match_file(records, out, pairs=out.with_name("paires.csv"))
    return time.process_time() - before, read(out)


SAME = {
    "nom": {"nom": "Fablab"},
    "nom rare": {"nom": "Le Konk Ar Lab"},
    "telephone": {"telephone": "+33298970000"},
    "courriel": {"courriel": "contact@konkarlab.example"},
    "site_web": {"site_web": "https://konkarlab.example/"},
    "adresse": {"adresse": "2 rue des Charmes", "code_postal": "29900", "commune": "Concarneau"},
    "point": {"latitude": "47.87", "longitude": "-3.92"},
    "type": {"type": "fablab"},
    "nom et commune": {"nom": "Le Konk Ar Lab", "code_postal": "29900", "commune": "Concarneau"},
}


@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
def test_one_value_in_every_row_costs_little(tmp_path, values):
    rows = [place(number, **values) for number in range(ROWS)]
    seconds, clusters = cpu_seconds(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert len(clusters) == ROWS
    assert seconds < CPU_SECONDS


def test_rows_that_differ_by_their_key_alone_cost_little(tmp_path):
    rows = [{**place(1), "cle_source": f"k{number}"} for number in range(ROWS)]
    seconds, clusters = cpu_seconds(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert len(clusters) == ROWS
    assert seconds < CPU_SECONDS


def test_names_of_ten_thousand_characters_are_matched(tmp_path):
    long = " ".join(_word(number) for number in range(910))[:10_000]
    rows = [place(number, nom=f"{_word(number)} {long}"[:10_000]) for number in range(200)]
    rows += [place(number + 200, nom="x" * 10_000) for number in range(200)]
    seconds, clusters = cpu_seconds(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert len(clusters) == 400
    assert seconds < CPU_SECONDS
    result = match_file(tmp_path / "f.csv", tmp_path / "o.csv")
    assert any("400 noms de plus de 500 caractères" in note for note in result.notes)


def test_keys_come_back_byte_for_byte(tmp_path):
    keys = [
        'guillemet " dedans', "retour\nà la ligne", "retour\r\nwindows", "retour\rseul",
        "=1+1", "+33", "-3", "@SUM(A1)", "virgule, point;virgule", "tabulation\tici",
        "é", "e\u0301", "\u202egauche", "zéro\u200blargeur", "k" * 10_000, "0012", "NULL", "\\N",
    ]  # fmt: skip
    rows = [place(number, cle_source=key) for number, key in enumerate(keys)]
    match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert sorted(row["cle_source"] for row in read(tmp_path / "o.csv")) == sorted(keys)
    match_file(tmp_path / "f.csv", tmp_path / "o.parquet")
    assert sorted(pq.read_table(tmp_path / "o.parquet")["cle_source"].to_pylist()) == sorted(keys)


def test_keys_that_differ_by_spaces_alone_are_two_keys(tmp_path):
    keys = ["a", " a", "a "]
    rows = [place(number, cle_source=key) for number, key in enumerate(keys)]
    match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert sorted(row["cle_source"] for row in read(tmp_path / "o.csv")) == sorted(keys)


def test_duplicate_keys_are_refused_with_their_places_and_their_count(tmp_path):
    rows = [place(number, cle_source=f"k{number % 6}") for number in range(13)]
    with pytest.raises(MatchInputError) as error:
        match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    said = str(error.value)
    assert "6 clés répétées" in said
    assert "fichier:k0 aux enregistrements 1, 7, 13" in said
    assert "k3" not in said
    assert not (tmp_path / "o.csv").exists()


def test_a_record_without_a_name_is_alone_in_its_cluster_and_told(tmp_path):
    empty = ["", "   ", "\u200b", "\u00a0\u202e", "\x01"]
    rows = [place(number) for number in range(3)]
    rows += [{**place(0, nom=name), "cle_source": f"v{i}"} for i, name in enumerate(empty)]
    result = match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    clusters = read(tmp_path / "o.csv")
    assert len({row["cluster"] for row in clusters}) == len(clusters) == 8
    assert [row["cluster"] for row in clusters] == [str(number) for number in range(8)]
    assert any("5 enregistrements sans nom" in note and "4, 5, 6" in note for note in result.notes)
    assert result.clusters == result.records == 8


def test_a_file_without_any_name_is_refused(tmp_path):
    rows = [place(number, nom=" ") for number in range(3)]
    with pytest.raises(MatchInputError, match="aucun nom"):
        match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")


def test_records_without_a_key_are_refused_with_their_places(tmp_path):
    rows = [place(number, cle_source="" if number > 1 else number) for number in range(9)]
    with pytest.raises(MatchInputError, match=r"7 enregistrements sans clé.*3, 4, 5"):
        match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")


def test_a_source_that_is_missing_here_and_there_is_the_files(tmp_path):
    rows = [place(number, source="annuaire" if number else "") for number in range(3)]
    result = match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert {row["source"] for row in read(tmp_path / "o.csv")} == {"annuaire", "fichier"}
    assert any("1 enregistrement sans source" in note for note in result.notes)


def test_senseless_coordinates_are_told_and_left_out(tmp_path):
    points = [
        ("NaN", "nan"), ("inf", "-inf"), ("91", "0"), ("48,85", "2,35"), ("652000", "6862000"),
        ("nord", "est"), ("", ""), ("48.85", ""), ("1e400", "2"), ("0", "0"),
    ]  # fmt: skip
    rows = [place(i, latitude=lat, longitude=lon) for i, (lat, lon) in enumerate(points)]
    result = match_file(written(tmp_path / "f.csv", rows, ";"), tmp_path / "o.csv")
    assert result.records == len(points)
    assert any("6 points" in note and "degrés" in note for note in result.notes)
    table = pa.table(
        {
            "cle_source": ["1", "2", "3"],
            "nom": ["Konk", "Canopée", "Récup"],
            "latitude": [float("nan"), float("inf"), 48.1],
            "longitude": [1.0, 2.0, -1e300],
        }
    )
    pq.write_table(table, tmp_path / "f.parquet")
    assert match_file(tmp_path / "f.parquet", tmp_path / "o.csv").clusters == 3


def test_the_engine_alone_survives_points_that_are_not_on_earth():
    records = pa.table(
        {
            "source": ["s"] * 4,
            "cle_source": list("abcd"),
            "nom": ["Konk", "Canopée", "Récup", "Konk"],
            "latitude": [math.nan, math.inf, 48.0, 95.0],
            "longitude": [1.0, 2.0, -1e300, math.nan],
        }
    )
    with duckdb.connect() as con:
        con.register("records", records)
        assert match(con, "records").clusters.num_rows == 4
        con.register("none", records.slice(0, 0))
        assert match(con, "none").clusters.num_rows == 0


def test_invisible_characters_do_not_part_a_name_from_itself(tmp_path):
    names = ["Le Konk Ar Lab", "Le\u200b Konk\u00ad Ar Lab\u202e", "\ufeffLe Konk\x07 Ar\u2060 Lab"]
    rows = [{**place(1, nom=name), "cle_source": i} for i, name in enumerate(names)]
    rows += [place(number + 10) for number in range(5)]
    match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    clusters = {row["cle_source"]: row["cluster"] for row in read(tmp_path / "o.csv")}
    assert clusters["0"] == clusters["1"] == clusters["2"]


def test_names_of_any_script_or_of_none_are_matched(tmp_path):
    names = ["東京こども食堂", "Библиотека", "مطعم البيت", "🙂🙂🙂", "???", "-", "...", "42", "É"]
    rows = [place(number, nom=name) for number, name in enumerate(names)]
    result = match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert result.records == result.clusters == len(names)


@pytest.mark.parametrize("kept", [("nom",), ("nom", "commune"), ("nom", "telephone", "adresse")])
def test_columns_may_be_missing_or_nearly_empty(tmp_path, kept):
    rows = [{k: v for k, v in place(i).items() if k in {"cle_source", *kept}} for i in range(50)]
    result = match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert result.records == 50
    nearly = [{**dict.fromkeys(place(0), ""), **row} for row in rows]
    nearly[0] = place(0)
    again = match_file(written(tmp_path / "g.csv", nearly), tmp_path / "p.csv")
    assert again.records == 50


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_no_row_gives_empty_tables_and_one_row_one_cluster(tmp_path, extension):
    out, pairs = tmp_path / f"o.{extension}", tmp_path / f"p.{extension}"
    (tmp_path / "f.csv").write_text("cle_source,nom,latitude\n", encoding="utf-8")
    assert match_file(tmp_path / "f.csv", out, pairs=pairs).records == 0
    for path, first in ((out, "source"), (pairs, "source_a")):
        names = (
            pq.read_schema(path).names
            if extension == "parquet"
            else path.read_text(encoding="utf-8").strip().split(",")
        )
        assert names[0] == first
    (tmp_path / "f.csv").write_text("cle_source,nom\nà,b\n", encoding="utf-8")
    assert match_file(tmp_path / "f.csv", out, pairs=pairs).clusters == 1


def test_text_that_is_not_text_in_parquet_is_refused(tmp_path):
    surrogate = pa.array([b"\xed\xa0\x80", b"ok"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 2, surrogate.buffers())
    pq.write_table(pa.table({"cle_source": ["1", "2"], "nom": broken}), tmp_path / "f.parquet")
    with pytest.raises(MatchInputError, match="UTF-8"):
        match_file(tmp_path / "f.parquet", tmp_path / "o.csv")


def decided(path: Path, *pairs: tuple[str, str]) -> Path:
    decisions = Decisions()
    lines = [
        new_decision(
            decisions, date="2026-01-01", qui="equipe", decision="identique", a=a, b=b, motif="vu"
        ).model_dump(exclude_none=True, exclude={"empreintes"})
        for a, b in pairs
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("broken", "said"),
    [(b'{"id": \n', "ligne 2"), (b"<<<<<<< HEAD\n", "ligne 2"), (b"\xff\xfe\n", "ligne 2")],
)
def test_a_broken_decision_is_named_and_nothing_is_written(tmp_path, broken, said):
    records = written(tmp_path / "f.csv", [place(number) for number in range(3)])
    decisions = decided(tmp_path / "d.jsonl", ("fichier:k0", "fichier:k1"))
    decisions.write_bytes(decisions.read_bytes() + broken)
    with pytest.raises((DecisionError, MatchInputError), match=said):
        match_file(records, tmp_path / "o.csv", decisions=decisions)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.jsonl", "f.csv"]


def test_decisions_on_absent_records_are_told(tmp_path):
    records = written(tmp_path / "f.csv", [place(number) for number in range(3)])
    decisions = decided(
        tmp_path / "d.jsonl", ("fichier:k0", "fichier:k1"), ("fichier:k0", "fichier:parti")
    )
    result = match_file(records, tmp_path / "o.csv", decisions=decisions)
    assert any("fichier:parti" in note for note in result.notes)
    assert result.clusters == 2


def test_outputs_that_cannot_be_written_are_refused_before_the_work(tmp_path):
    records = written(tmp_path / "f.csv", [place(number) for number in range(3)])
    (tmp_path / "dossier.csv").mkdir()
    for out in (tmp_path / "dossier.csv", tmp_path / "absent" / "o.csv", records):
        with pytest.raises(MatchInputError):
            match_file(records, out)
    with pytest.raises(MatchInputError, match="même fichier"):
        match_file(records, tmp_path / "o.csv", pairs=tmp_path / "." / "o.csv")
    os.link(records, tmp_path / "lien.csv")
    with pytest.raises(MatchInputError, match="même fichier"):
        match_file(records, tmp_path / "lien.csv")
    assert len(read(records)) == 3


def test_a_failure_leaves_the_outputs_as_they_were(tmp_path):
    (tmp_path / "o.csv").write_text("avant", encoding="utf-8")
    rows = [place(1), place(1)]
    with pytest.raises(MatchInputError):
        match_file(written(tmp_path / "f.csv", rows), tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text(encoding="utf-8") == "avant"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.csv", "o.csv"]
