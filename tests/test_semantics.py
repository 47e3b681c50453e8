"""Values that make no sense, through the whole chain: bytes, extraction, cleaning, snapshot.

Each rule has its own tests where it is written; here, what is told is what a listing that holds
such values leaves behind: the fiche stays, the value is mended when that can be proved, else it is
empty and a row of `rejets` says why.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from lowtech_data import snapshot
from lowtech_data.cli import app
from lowtech_data.registry import RegistryError
from lowtech_data.resolve import match
from tests.conftest import Project

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIELDS = {
    "cle_source": "cle",
    "nom": "nom",
    "code_postal": "cp",
    "commune": "ville",
    "latitude": "lat",
    "longitude": "lon",
    "date_maj": "maj",
    "site_web": "site",
    "url": "fiche",
}
CONCARNEAU = {"cp": "29900", "ville": "Concarneau"}


def declare(project: Project, rows: Sequence[Mapping[str, str]], **changes: Any) -> None:
    """A listing of these rows; a row is a place of Concarneau unless it says otherwise."""
    columns = list(FIELDS.values())
    with (project.root / "liste.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(
                {"cle": f"c{number}", "nom": f"Atelier du quai {number}", **CONCARNEAU, **row}
            )
    project.blocks["liste"] = {
        "id": "liste",
        "nom": "Liste",
        "editeur": "Éditeur",
        "plateforme": "csv",
        "url": "liste.csv",
        "licence": "odbl-1.0",
        "republication": "complete",
        "preuve": "vu",
        "donnees_du": "2026-11-20",
        "champs": FIELDS,
        "defauts": {"type": "fablab"},
        **changes,
    }
    project.write()


def refresh(project: Project, now: datetime = NOW) -> snapshot.Outcome:
    registry = project.registry()
    return snapshot.refresh(registry["liste"], registry, project.warehouse, now=now, client=None)


def stored(project: Project) -> snapshot.Snapshot:
    known = snapshot.load(project.warehouse, "liste")
    assert known is not None
    return known


def kept(project: Project, rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The fiches that the snapshot holds, in the order of the rows."""
    declare(project, rows)
    assert refresh(project).status == "ok"
    fiches = {fiche["cle_source"]: fiche for fiche in stored(project).fiches().to_pylist()}
    assert len(fiches) == len(rows)
    return [fiches[row.get("cle", f"c{number}")] for number, row in enumerate(rows)]


def reasons(project: Project, field: str) -> dict[str, str]:
    """Key of the fiche → why its value was refused."""
    rows = stored(project).rejects().to_pylist()
    return {row["cle_source"]: row["regle"] for row in rows if row["champ"] == field}


def mended(project: Project, field: str) -> dict[str, str]:
    """Key of the fiche → the rule that changed its value."""
    rows = stored(project).transformations().to_pylist()
    return {row["cle_source"]: row["regle"] for row in rows if row["champ"] == field}


PARIS = {"cp": "75004", "ville": "Paris"}
REUNION = {"cp": "97400", "ville": "Saint-Denis"}
POINTS: list[tuple[dict[str, str], str, str, tuple[float, float] | None, str | None]] = [
    (CONCARNEAU, "47.8722", "-3.9187", (47.8722, -3.9187), None),
    (CONCARNEAU, "-3.9187", "47.8722", (47.8722, -3.9187), "coordonnees_inversees"),
    (CONCARNEAU, "47,8722", "-3,9187", (47.8722, -3.9187), None),
    (PARIS, "652381.27", "6862047.11", (48.8567, 2.351), "lambert_93"),
    (PARIS, "6862047,11", "652381,27", (48.8567, 2.351), "lambert_93"),
    (REUNION, "-20.8823", "55.4504", (-20.8823, 55.4504), None),
    (REUNION, "55.4504", "-20.8823", (-20.8823, 55.4504), "coordonnees_inversees"),
    (REUNION, "20.8823", "55.4504", (-20.8823, 55.4504), "signe_rendu"),
    ({"cp": "98800", "ville": "Nouméa"}, "-22.2758", "166.4580", (-22.2758, 166.458), None),
    (CONCARNEAU, "0", "0", None, "coordonnees_nulles"),
    (CONCARNEAU, "91", "-3.9187", None, "coordonnees_hors_bornes"),
    (CONCARNEAU, "47.8722", "-391.87", None, "coordonnees_hors_bornes"),
    (CONCARNEAU, "43.2965", "5.3698", None, "loin_de_la_commune"),
    (CONCARNEAU, "nan", "inf", None, "coordonnees_illisibles"),
]


def test_a_senseless_point_is_mended_when_it_can_be_proved_and_else_left_out(
    project: Project,
) -> None:
    rows = [{**town, "lat": lat, "lon": lon} for town, lat, lon, _, _ in POINTS]
    fiches = kept(project, rows)
    refused, changed = reasons(project, "latitude"), mended(project, "latitude")
    for number, (fiche, (town, *written, point, rule)) in enumerate(
        zip(fiches, POINTS, strict=True)
    ):
        assert fiche["commune"] == town["ville"], written
        if point is None:
            assert (fiche["latitude"], fiche["longitude"]) == (None, None), written
            assert refused[f"c{number}"] == rule, written
        else:
            found = (fiche["latitude"], fiche["longitude"])
            assert found == pytest.approx(point, abs=2e-4), written
            assert changed.get(f"c{number}") == rule, written


DATES = {
    "2026-02-28": ("2026-02-28", None),
    "31/02/2026": (None, "date_illisible"),
    "12/03/21": (None, "date_illisible"),
    "March 3, 2021": (None, "date_illisible"),
    "3000-01-01": (None, "date_hors_bornes"),
    # Nothing is yet to come in a listing, but for the day that has begun east of us.
    "2026-11-22": (None, "date_hors_bornes"),
    "01/01/1970": (None, "date_par_defaut"),
}


def test_a_senseless_date_is_left_out_with_its_reason(project: Project) -> None:
    fiches = kept(project, [{"maj": written} for written in DATES])
    refused = reasons(project, "date_maj")
    found = {
        written: (fiche["date_maj"], refused.get(fiche["cle_source"]))
        for written, fiche in zip(DATES, fiches, strict=True)
    }
    assert found == DATES


ADDRESSES = {
    "https://atelier.example.org/a?b=2": ("https://atelier.example.org/a?b=2", None),
    "https://jean:MotSecret@atelier.example.org/": ("https://atelier.example.org/", None),
    "https://atelier.example.org/?token=MotSecret&id=2": (
        "https://atelier.example.org/?id=2",
        None,
    ),
    "javascript:alert(1)": (None, "schema_refuse"),
    "&#106;avascript:alert(1)": (None, "schema_refuse"),
    "data:text/html;base64,PHNjcmlwdD4=": (None, "schema_refuse"),
    "/ateliers/12": (None, "adresse_relative"),
    "../12": (None, "adresse_relative"),
    "https://atelier.example.org/" + "a" * 10_000: (None, "adresse_trop_longue"),
    "http://127.0.0.1/": (None, "hote_invalide"),
}


@pytest.mark.parametrize(("column", "field"), [("site", "site_web"), ("fiche", "url")])
def test_only_the_addresses_of_public_pages_are_kept(
    column: str, field: str, project: Project
) -> None:
    fiches = kept(project, [{column: written} for written in ADDRESSES])
    refused = reasons(project, field)
    found = {
        written: (fiche[field], refused.get(fiche["cle_source"]))
        for written, fiche in zip(ADDRESSES, fiches, strict=True)
    }
    assert found == ADDRESSES
    known = stored(project)
    tables = (known.fiches(), known.transformations(), known.rejects())
    assert "MotSecret" not in str([table.to_pylist() for table in tables])


HOSTILE_NAMES = [
    "../../x",
    "/etc/passwd",
    "CON",
    "..",
    "n" * 300,
    unicodedata.normalize("NFD", "été"),
    unicodedata.normalize("NFC", "été"),
    ";rm -rf $(pwd)",
    "deux\nlignes",
    "<script>",
    "a|b",
]


def test_keys_come_back_as_written_and_name_no_file(project: Project) -> None:
    before = {path.name for path in project.root.parent.iterdir()}
    fiches = kept(project, [{"cle": key} for key in HOSTILE_NAMES])
    assert [fiche["cle_source"] for fiche in fiches] == HOSTILE_NAMES
    assert {path.name for path in project.root.parent.iterdir()} == before
    names = {path.name for path in (project.warehouse.root / "fiches").rglob("*")}
    content = stored(project).directory.name
    parts = {"fiches.parquet", "transformations.parquet", "rejets.parquet", "etat.json"}
    assert names == {"liste", "courant", content, *parts}


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "liste\n", "Liste", "", " liste"])
def test_a_source_cannot_be_named_like_a_path(name: str, project: Project) -> None:
    declare(project, [{}], id=name)
    with pytest.raises(RegistryError, match="id"):
        project.registry()


@pytest.mark.parametrize("name", ["../../../liste.csv", "/etc/passwd", "../captures", "..", "."])
def test_a_release_is_found_by_its_name_and_not_by_a_path(name: str, project: Project) -> None:
    releases = project.warehouse.releases
    (releases / "2026-11-20-00000000").mkdir(parents=True)
    (project.warehouse.root / "captures").mkdir()
    where = ["--warehouse", str(project.warehouse.root)]
    done = CliRunner().invoke(app, ["release", "verify", name, *where])
    assert done.exit_code == 1
    assert "version introuvable" in done.output


def test_a_report_is_asked_for_by_a_known_source_only(project: Project) -> None:
    declare(project, [{"cle": "`;rm`\n# Titre", "site": "javascript:alert(1)"}])
    refresh(project)
    where = ["--sources", str(project.sources), "--warehouse", str(project.warehouse.root)]
    wrong = CliRunner().invoke(app, ["sources", "report", "../liste", *where])
    assert wrong.exit_code != 0
    page = project.root / "rapport.md"
    done = CliRunner().invoke(app, ["sources", "report", "liste", "--out", str(page), *where])
    assert done.exit_code == 0, done.output
    assert "# Titre" not in page.read_text(encoding="utf-8").splitlines()


def test_the_same_run_twice_leaves_the_same_bytes(project: Project) -> None:
    declare(project, [{"lat": "0", "lon": "0"}, {"site": "javascript:x"}])
    refresh(project)
    first = stored(project).directory.name
    assert refresh(project).status == "inchangee"
    assert stored(project).directory.name == first


def test_a_clock_that_goes_back_leaves_dates_in_their_order(project: Project) -> None:
    declare(project, [{}, {}, {}], donnees_du=None)
    refresh(project, datetime(2026, 11, 20, tzinfo=UTC))
    declare(project, [{"nom": "Atelier renommé"}, {}], donnees_du=None, bornes={"max": 2})
    assert refresh(project, datetime(2026, 11, 3, tzinfo=UTC)).status == "ok"
    fiches = {fiche["cle_source"]: fiche for fiche in stored(project).fiches().to_pylist()}
    assert fiches["c0"]["nom"] == "Atelier renommé"
    for fiche in fiches.values():
        assert fiche["premiere_vue"] <= fiche["derniere_vue"]
        assert fiche["derniere_vue"] <= (fiche["absent_depuis"] or "9999")
    assert fiches["c2"]["absent_depuis"] is not None
    # The clock is right again: the next harvest is read as any other.
    declare(project, [{"nom": "Atelier renommé"}, {}, {}], donnees_du=None)
    assert refresh(project, datetime(2026, 11, 21, tzinfo=UTC)).status == "ok"
    assert {row["absent_depuis"] for row in stored(project).fiches().to_pylist()} == {None}


def test_fifty_weak_links_in_a_row_merge_nothing_and_go_to_people() -> None:
    """Each neighbour resembles the next one; the ends of the chain have nothing in common."""
    rows = [
        {
            "source": f"s{number % 2}",
            "cle_source": f"{number:02}",
            "nom": f"Atelier {word} {after}",
            "code_postal": "29900",
            "commune": "Concarneau",
            "latitude": 47.87 + number * 0.0005,
            "longitude": -3.92,
        }
        for number, (word, after) in enumerate(pairwise(WORDS.split()))
    ]
    assert len(rows) == 50
    with duckdb.connect() as con:
        con.register("fiches", pa.Table.from_pylist(rows))
        result = match(con, "fiches")
    sizes: dict[int, int] = {}
    for cluster in result.clusters["cluster"].to_pylist():
        sizes[cluster] = sizes.get(cluster, 0) + 1
    assert max(sizes.values()) <= 2
    decisions = {
        (int(pair["cle_a"]), int(pair["cle_b"])): pair["decision"]
        for pair in result.pairs.to_pylist()
    }
    linked = [decisions.get((n, n + 1)) or decisions.get((n + 1, n)) for n in range(49)]
    assert linked.count("a_revoir") >= 25


WORDS = """\
galet osier brume safran tilleul quartz bruyère genêt varech ardoise
moulin étoffe cordage sapin argile fougère pinson chanvre cuivre roseau
lavande gravier merisier opale truelle noyer bascule sarrasin héron bouleau
cabestan ajonc silex mélèze tamis goéland rouet myrtille enclume verger
dolmen pivert lichen filasse charme basalte noria cormoran lin sureau prunier
"""
