import datetime as dt
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowtech_data.resolve.reading import UnreadableError, open_table


def rows(path, *titles):
    table = open_table(path)
    with duckdb.connect() as con:
        wanted = {f"v{i}": title for i, title in enumerate(titles or table.columns)}
        table.load(con, "lu", wanted)
        return con.execute("SELECT * FROM lu ORDER BY rowid").fetchall()


def texts(tmp_path, content: bytes, *titles):
    path = tmp_path / "f.csv"
    path.write_bytes(content)
    return [tuple(value or "" for value in row) for row in rows(path, *titles)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,x\n\n2,y\n", [("1", "x"), ("2", "y")]),
        (b"a;b\r\n1;x\r\n", [("1", "x")]),
        (b"a\tb\n1\tx,y\n", [("1", "x,y")]),
        ("nom, prénom;b\n1, 2;3, 4\n".encode(), [("1, 2", "3, 4")]),
        (b"\xef\xbb\xbfa,b\n1,x", [("1", "x")]),
        (b"a,b\r1,x\r2,y\r", [("1", "x"), ("2", "y")]),
        (b'a,b\n1,x\n2,y\r\n3,"p\nq"\n', [("1", "x"), ("2", "y"), ("3", "p\nq")]),
        (b'a,b\n1,"x\r\ny"\n2,"p""q"\n3,""\n', [("1", "x\r\ny"), ("2", 'p"q'), ("3", "")]),
        (b'"a\nz",b\n1,x\n', [("1", "x")]),
        (b"a,b\n1,x\x00y\n", [("1", "x\x00y")]),
        (b'a,b\n1,12" vinyle\n', [("1", '12" vinyle')]),
        (b"a,b\n1,x,\n2,y,\n", [("1", "x"), ("2", "y")]),
        (b"a,b\n1,x\n   \n,\n", [("1", "x"), ("", "")]),
        ("a,b\n1,Récup€\n".encode("cp1252"), [("1", "Récup€")]),
        ("a,b\n1,Récup\x9d\n".encode("latin-1"), [("1", "Récup\x9d")]),
        ("a;b\n1;Récup\n".encode("utf-16"), [("1", "Récup")]),
        ("a;b\n1;Récupération\n".encode("utf-16-le"), [("1", "Récupération")]),
        (b"a,b\n1," + b"x" * 3_000_000 + b"\n", [("1", "x" * 3_000_000)]),
    ],
)
def test_a_text_is_read_whatever_its_dialect(tmp_path, content, expected):
    assert texts(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "fichier vide"),
        (b"\n \n", "fichier vide"),
        (b"a,b\n1,x\n2\n", r"enregistrement 2 \(ligne 3\) : 1 valeurs pour 2 colonnes"),
        (b'a,b\n1,"p\nq"\n2,x,z\n', r"enregistrement 2 \(ligne 4\) : 3 valeurs pour 2 colonnes"),
        (b'a,b\n1,x\n2,"y\n3,z\n', r"enregistrement 2 \(ligne 3\) : .*jamais fermé"),
        (b'a,b\n1,"Foo\n2,Bar\n3,"Baz"\n', r"enregistrement 1 .*guillemet mal placé"),
        (b"a,a\n1,2\n", "colonnes répétées : a"),
        ("a,b\n1,é\n2,".encode() + b"\xe9\n", "ligne 3 : un octet"),
        ("a,b\n1,éé".encode()[:-1], "ligne 2 : un octet"),
        (b"PK\x03\x04rest", "classeur"),
        (b"\x1f\x8brest", "compressé"),
        (b"PAR1 rest", "Parquet illisible"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8", "UTF-16"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, said):
    with pytest.raises(UnreadableError, match=said):
        texts(tmp_path, content)


@pytest.mark.parametrize("tail", [b"", b'x,"jamais ferm\xc3\xa9\n'])
def test_no_record_of_a_long_file_is_lost(tmp_path, tail):
    body = b"".join(b'%d,"l\n%d"\n' % (number, number) for number in range(150_000))
    if tail:
        with pytest.raises(UnreadableError, match="enregistrement 150001"):
            texts(tmp_path, b"a,b\n" + body + tail)
    else:
        found = texts(tmp_path, b"a,b\n" + body)
        assert found == [(str(number), f"l\n{number}") for number in range(150_000)]


def test_a_path_is_never_a_pattern(tmp_path):
    (tmp_path / "a1.csv").write_text("a,b\nautre,x\n", encoding="utf-8")
    path = tmp_path / "a[1]*?'.csv"
    path.write_text("a,b\nle bon,x\n", encoding="utf-8")
    assert rows(path) == [("le bon", "x")]


def test_parquet_values_become_what_a_person_would_write(tmp_path):
    table = pa.table(
        {
            "entier": [6000, None],
            "reel": [75001.0, float("nan")],
            "court": pa.array([48.8566, 0.5], pa.float32()),
            "decimal": [Decimal("75001.00"), Decimal("12.50")],
            "jour": [dt.date(2026, 1, 2), None],
            "instant": [dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), None],
            "liste": [["a", None, "b"], []],
            "octets": [b"R\xc3\xa9cup", b"\xff"],
            "booleen": [True, None],
            "categorie": pa.array(["x", "y"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "f.parquet")
    first, second = rows(tmp_path / "f.parquet")
    assert first == (
        *("6000", "75001", "48.8566", "75001", "2026-01-02", "2026-01-02 03:00:00"),
        *("a ; b", "Récup", "true", "x"),
    )
    assert second == (None, "nan", "0.5", "12.5", None, None, "", "\\xFF", None, "y")


def test_titles_that_differ_by_case_are_two_columns(tmp_path):
    pq.write_table(pa.table({"nom": ["a"], "Nom": ["b"]}), tmp_path / "f.parquet")
    assert rows(tmp_path / "f.parquet", "Nom") == [("b",)]
    assert texts(tmp_path, b"nom,Nom\na,b\n", "Nom", "nom") == [("b", "a")]


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=6))
def test_what_is_written_is_what_is_read(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("aller") / "f.csv"
    quoted = [",".join('"' + c.replace('"', '""') + '"' for c in row) for row in cells]
    path.write_bytes("\n".join(["a,b", *quoted, ""]).encode())
    assert [tuple(value or "" for value in row) for row in rows(path)] == cells
