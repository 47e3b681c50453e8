import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lowtech_data.resolve.files import MatchInputError, match_file

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
