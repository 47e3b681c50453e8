"""A real directory at two dates: places keep their ids, and what went is still there.

What is expected was told by comparing the two files by hand. Of 98 names, 96 are the same in both.
`La Fabrique DÉFI` is written with another space in 2023: the same place under another key.
`B comme Nature` went. `Nom du Marqueur` came: a model that the publisher forgot to fill in.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import Project

LISTINGS = Path(os.environ.get("LOWTECH_LISTINGS", "/nonexistent")) / "real"

pytestmark = pytest.mark.skipif(not LISTINGS.is_dir(), reason="LOWTECH_LISTINGS n’est pas défini")

SOURCE = {
    "id": "sevadec",
    "nom": "Annuaire de l’économie circulaire du Calaisis",
    "editeur": "SEVADEC",
    "plateforme": "geojson",
    "url": "sevadec.geojson",
    # Not stated by the publisher: only for a test that publishes nothing outside its folder.
    "licence": "odbl-1.0",
    "republication": "complete",
    "preuve": "vu",
    "options": {
        "texte": {
            "champ": "description",
            "sections": {
                "themes": ["Thèmes :", "Thème :"],
                "presentation": "Description :",
                "horaires": "📅",
                "adresse": "📍",
                "telephone": "📞",
                "courriel": "📧",
                "site": "🌐",
            },
            "listes": ["themes"],
        }
    },
    "champs": {
        "cle_source": "name",
        "description": "description.presentation",
        "horaires": "description.horaires",
        "adresse": "description.adresse",
        "telephone": "description.telephone",
        "courriel": "description.courriel",
        "site_web": "description.site",
        "categories": "description.themes",
    },
    "ignorer": ["logo"],
    "defauts": {"nature": "lieu"},
}

GONE = "B comme Nature"
CAME = "Nom du Marqueur"
REKEYED = "La Fabrique\u00a0DÉFI / Mission Locale du Calaisis"
REKEYED_AS = "La Fabrique DÉFI / Mission Locale du Calaisis"


@dataclass(frozen=True)
class Run:
    """One run of the whole journey: the outcome of the source, and what was published."""

    outcome: Any
    release: Path
    problems: Any

    def table(self, name: str) -> list[dict[str, Any]]:
        return pq.read_table(self.release / "parquet" / f"{name}.parquet").to_pylist()

    def fiches(self) -> dict[str, dict[str, Any]]:
        return {fiche["cle_source"]: fiche for fiche in self.table("fiches")}

    def ids(self) -> dict[str, str]:
        return {key: fiche["initiative_id"] for key, fiche in self.fiches().items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """The file of 2022, that of 2023, then that of 2023 again."""
    project = Project(tmp_path_factory.mktemp("sevadec"))
    project.curated.mkdir()
    done = []
    for year, day in ((2022, "2026-10-01"), (2023, "2026-11-20"), (2023, "2026-11-27")):
        shutil.copyfile(LISTINGS / f"sevadec_{year}.geojson", project.root / "sevadec.geojson")
        project.blocks["sevadec"] = {**SOURCE, "donnees_du": f"{year}-06-01"}
        project.write()
        outcomes, release, problems = project.run(day)
        done.append(Run(outcomes[0], release, problems))
    return done


def test_every_record_of_both_years_is_a_fiche(runs: list[Run]):
    first, second, _ = runs
    assert [run.problems for run in runs] == [[], [], []]
    assert first.outcome.counts == {"nb_nouveaux": 98, "nb_modifies": 0, "nb_absents": 0}
    assert second.outcome.counts == {"nb_nouveaux": 2, "nb_modifies": 1, "nb_absents": 2}
    assert (len(first.fiches()), len(second.fiches())) == (98, 100)
    assert second.fiches().keys() - first.fiches().keys() == {CAME, REKEYED_AS}


def test_the_same_place_keeps_its_id(runs: list[Run]):
    before, after = runs[0].ids(), runs[1].ids()
    assert len(set(before.values())) == 98
    assert {key: after[key] for key in before} == before
    assert len(set(after.values())) == 99
    assert after[CAME] not in before.values()


def test_a_place_under_another_key_keeps_its_id(runs: list[Run]):
    before, after = runs[0].ids(), runs[1].ids()
    assert after[REKEYED_AS] == before[REKEYED]
    (initiative,) = (i for i in runs[1].table("initiatives") if i["id"] == before[REKEYED])
    assert (initiative["nom"], initiative["nb_sources"]) == (REKEYED_AS, 1)


def test_a_place_that_went_keeps_its_fiche_its_id_and_its_page(runs: list[Run]):
    absent = {key for key, fiche in runs[1].fiches().items() if fiche["absent_depuis"]}
    assert absent == {GONE, REKEYED}
    gone = runs[0].ids()[GONE]
    (before,) = (i for i in runs[0].table("initiatives") if i["id"] == gone)
    (after,) = (i for i in runs[1].table("initiatives") if i["id"] == gone)
    unchanged = {"nom", "statut", "site_web", "id", "premiere_vue", "derniere_vue"}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    states = {row["id"]: row["etat"] for row in runs[1].table("identifiants")}
    assert set(states.values()) == {"actif"}
    assert states.keys() == set(runs[1].ids().values())


def test_changes_are_those_of_the_files(runs: list[Run]):
    ids = runs[1].ids()
    changes = {(row["type"], row["entite_id"]) for row in runs[1].table("changements")}
    assert changes == {
        ("ajout", ids[CAME]),
        ("modification", ids["Citoyennes et Citoyens du Calaisis pour le Climat"]),
    }


def test_the_same_file_again_is_no_new_release(runs: list[Run]):
    assert runs[2].outcome.status == "inchangee"
    assert runs[2].release == runs[1].release
