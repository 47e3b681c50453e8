"""What is said of refused values, to the steward and to the producer of a listing."""

import csv
import io

import pyarrow as pa

from lowtech_data.extract.base import REJECT_SCHEMA
from lowtech_data.model import LISTS
from lowtech_data.quality import reports
from lowtech_data.registry import Source
from lowtech_data.snapshot import HarvestRow, State

STATE = State(
    data_date="2026-11-01",
    harvests=(
        HarvestRow("2026-11-01T00:00:00Z", "2026-11-01T00:00:10Z", "ok", nb_lus=7),
        HarvestRow("2026-11-08T00:00:00Z", "2026-11-08T00:00:10Z", "inchangee"),
    ),
)


def source() -> Source:
    return Source.model_validate(
        {
            "id": "essai",
            "nom": "Carte d’essai",
            "editeur": "Essai",
            "plateforme": "csv",
            "url": "essai.csv",
            "licence": "odbl-1.0",
            "republication": "complete",
            "preuve": "vu",
        }
    )


def rejects(*rows: tuple[str, str, str, str | None]) -> pa.Table:
    names = ("cle_source", "champ", "regle", "valeur_masquee")
    return pa.Table.from_pylist(
        [{"source_id": "essai", **dict(zip(names, row, strict=True))} for row in rows],
        REJECT_SCHEMA,
    )


REJECTS = rejects(
    ("b", "telephone", "mobile_ecarte", "••"),
    ("a", "telephone", "mobile_ecarte", "••"),
    ("d", "telephone", "mobile_ecarte", "•• ••"),
    ("c", "*", "nom_absent", None),
)


def test_lost_records_come_first_then_the_most_frequent_reason():
    found = reports.refusals(REJECTS)
    assert [(r.rule, r.count, r.loses_records) for r in found] == [
        ("nom_absent", 1, True),
        ("mobile_ecarte", 3, False),
    ]
    assert found[1].examples == (("a", "••"), ("d", "•• ••"))


def test_the_order_of_the_rejects_does_not_matter():
    shuffled = REJECTS.take([3, 1, 0, 2])
    assert reports.refusals(shuffled) == reports.refusals(REJECTS)


def test_the_page_says_what_happened_and_what_to_do():
    page = reports.markdown(source(), STATE, reports.refusals(REJECTS))
    assert page.startswith("# Carte d’essai : ce qui n’a pas pu être repris\n")
    assert "7 enregistrements lus, données du 2026-11-01" in page
    assert "## Numéro de mobile écarté (3, champ `telephone`)" in page
    assert "Donner le fixe de la structure." in page
    assert "- et 1 autre" in page


def test_a_failed_harvest_is_not_taken_for_a_good_one():
    failed = HarvestRow(
        "2026-11-15T00:00:00Z", None, "rejetee_qualite", message="page de connexion"
    )
    never = reports.markdown(source(), State(harvests=(failed,)), [])
    assert "La moisson du 2026-11-15 a échoué** : page de connexion." in never
    assert "Tout a été repris" not in never
    before = State(data_date="2026-11-01", harvests=(*STATE.harvests, failed))
    assert "Ce qui suit date du 2026-11-01." in reports.markdown(source(), before, [])


def test_nothing_refused_is_said():
    assert "Tout a été repris." in reports.markdown(source(), STATE, [])


def test_a_key_cannot_break_the_page():
    page = reports.markdown(
        source(), STATE, reports.refusals(rejects(("`x`\n# titre", "*", "nom_absent", "a\nb")))
    )
    assert "- `'x' # titre` : a b" in page


def test_the_table_holds_every_reject():
    rows = list(csv.DictReader(io.StringIO(reports.table(REJECTS))))
    assert len(rows) == REJECTS.num_rows
    assert rows[0]["sens"].startswith("Un numéro de mobile")


def test_every_rule_says_what_happened_and_what_to_do():
    for code in LISTS["rejet_regle"]:
        assert code.definition, code.code
        assert code.definition.count(". ") >= 1, code.code
        assert code.definition.endswith((".", "…")), code.code
