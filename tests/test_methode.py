"""What the page on method shows is what the engine gives today: its example, its figures."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lowtech_data.model import LISTS
from lowtech_data.resolve import match
from lowtech_data.resolve.evaluate import evaluate, load_records, masked, read_pairs
from lowtech_data.settings import EVALUATION

PAGE = (Path(__file__).parents[1] / "docs" / "methode.md").read_text(encoding="utf-8")
LABELS = {code.label_fr.lower(): code.code for code in LISTS["comparaison"]}


def rows(header: str) -> Iterator[list[str]]:
    """The cells of the table of the page that begins with this header."""
    lines = PAGE[PAGE.index(header) :].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "."))


@pytest.fixture(scope="module")
def compared() -> dict[tuple[str, str], dict]:
    """The pairs of the example, as the page gives its records."""
    records = []
    for key, name, address, phone in rows("| | nom | adresse | téléphone |"):
        source, own = key.split(":")
        street, postcode, commune = re.fullmatch(r"(.+), (\d{5}) (.+)", address).groups()  # type: ignore[union-attr]
        records.append({"source": source, "cle_source": own, "nom": name, "adresse": street,
                        "code_postal": postcode, "commune": commune,
                        "telephone": phone or None})  # fmt: skip
    with duckdb.connect() as con:
        con.register("exemple", pa.Table.from_pylist(records))
        pairs = match(con, "exemple").pairs.to_pylist()
    return {(pair["cle_a"], pair["cle_b"]): pair for pair in pairs}


def test_the_example_is_what_the_engine_answers(compared):
    same, hosted = compared["1", "A"], compared["1", "B"]
    assert (same["decision"], hosted["decision"]) == ("identique", "lie")
    assert (hosted["predicat"], hosted["motif"]) == ("heberge_par", "nom_different")
    assert json.loads(same["details"])["contre"] == "voisin"
    told = {LABELS[name]: number(bits) for name, _, bits in rows("| part | ce qui est vu | bits |")}
    parts = {k: v["bits"] for k, v in json.loads(same["details"]).items() if isinstance(v, dict)}
    assert told == pytest.approx(parts, abs=0.06)
    said = " ".join(PAGE.split())
    assert number(re.search(r"trouve ([\d,]+) bits", said)[1]) == pytest.approx(  # type: ignore[index]
        same["score"], abs=0.06
    )
    score, inner = re.search(r"suffisent pas : (\S+) bits \(([^)]+)\)", said).groups()  # type: ignore[union-attr]
    assert number(score) == pytest.approx(hosted["score"], abs=0.06)
    details = json.loads(hosted["details"])
    for name, bits in re.findall(r"([a-zé ]+) ([−+][\d,]*\d)", inner):
        part = details[LABELS[name.strip()]]
        assert number(bits) == pytest.approx(part["bits"], abs=0.06), name


@pytest.mark.parametrize("hide", [False, True])
def test_the_figures_are_those_of_the_part_that_tunes_nothing(hide):
    with duckdb.connect() as con:
        table = load_records(con, EVALUATION / "fiches.csv")
        pairs = read_pairs(EVALUATION / "paires.csv", part="mesure")
        results = evaluate(con, masked(con, table) if hide else table, pairs)
    engine, by_name, by_identifier = ([*row[1:]] for row in (_figures(r) for r in results))
    told = {row[0].strip("*"): row[1:] for row in rows("| sur `mesure` |")}
    assert told["sans aucun contact ni numéro" if hide else "tous les champs"] == engine
    if not hide:
        for name, found in (("nom exact et code postal", by_name),
                            ("un identifiant partagé", by_identifier)):  # fmt: skip
            assert told[name] == [*found[:2], "", found[3]]


def _figures(result) -> list[str]:
    """A result as the page writes it, from the line that `evaluate` prints."""
    cells = [cell.strip() for cell in result.line().strip("|").split("|")]
    name, *measured = cells[:4]
    written = [text.replace(".", ",") for text in measured]
    return [name, *written, cells[4].replace("/", " sur ")]
