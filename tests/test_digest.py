"""The week on one screen: what fails, what is old, what moved, what waits for a person."""

from __future__ import annotations

from datetime import date

import pytest
from typer.testing import CliRunner

from lowtech_data import digest
from lowtech_data.cli import app
from tests.conftest import Project, place_rows
from tests.test_alerts import Listener, listener

__all__ = ["listener"]

TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two releases a week apart: `alpha` won and lost fiches, `vieille` is old, `casse` broke."""
    project = Project(tmp_path_factory.mktemp("semaine"))
    project.curated.mkdir()
    moved = place_rows("b", 3)
    moved[0] |= {"adresse": "40 avenue de la Gare", "lat": "47.8801", "lon": "-3.9011"}
    project.listing("alpha", place_rows("a", 7), donnees_du="2026-11-01")
    project.listing("beta", moved, donnees_du="2026-11-18")
    project.listing("vieille", place_rows("v", 2)[1:], donnees_du="2026-09-01")
    project.listing("casse", place_rows("c", 5)[4:], donnees_du="2026-11-01")
    project.run("2026-11-05")
    nameless = place_rows("n", 1)[0] | {"id": "n9", "nom": ""}
    project.listing("alpha", [*place_rows("a")[1:], nameless], donnees_du="2026-11-17")
    project.listing("casse", [], donnees_du="2026-11-16")
    _, path, problems = project.run("2026-11-20")
    assert path is not None, problems
    return project


def compose(project: Project, since: date) -> str:
    return digest.compose(
        project.registry(), project.warehouse, project.curated, since=since, today=TODAY
    )


def lines(text: str, title: str) -> list[str]:
    (section,) = [part for part in text.split("\n\n") if part.startswith(f"{title} (")]
    return [line.strip() for line in section.splitlines()[1:]]


def test_a_week_is_told_on_one_screen(week: Project):
    text = compose(week, date(2026, 11, 13))
    assert text.startswith("lowtech-data, du 2026-11-13 au 2026-11-20\n")
    (broken,) = lines(text, "En panne")
    assert broken.startswith("casse : depuis le 2026-11-16 ; rejetee_")
    assert lines(text, "Données anciennes") == [
        "vieille : données du 2026-09-01, cadence hebdomadaire",
        "casse : données du 2026-11-01, cadence hebdomadaire",
    ]
    assert lines(text, "Moissons") == [
        "beta : arrivées 3, parties 0, modifiées 0",
        "alpha : arrivées 1, parties 1, modifiées 0",
    ]
    assert lines(text, "Enregistrements non repris") == ["alpha : 1 ; sans nom (1)"]
    first, since = lines(text, "Initiatives")
    assert first.startswith("version 2026-11-20-")
    assert since.startswith("depuis 2026-11-05-")
    assert "ajout : 1" in since
    assert lines(text, "À faire par une personne") == [
        "doublons incertains à relire : 1 (lowtech review)"
    ]
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= digest.WIDTH + 2


def test_what_was_before_the_period_is_not_told(week: Project):
    text = compose(week, date(2026, 11, 19))
    assert "alpha : arrivées" not in text
    assert "beta" not in text


def test_before_any_run_there_is_little_to_tell(project: Project):
    project.listing("alpha", place_rows("a"))
    text = compose(project, date(2026, 11, 13))
    assert lines(text, "Initiatives") == ["aucune version publiée"]
    assert "Sources actives : 1 (cassée : 1)" in text


def test_many_troubles_stay_on_one_screen(project: Project):
    for n in range(20):
        project.listing(f"s{n:02}", [], donnees_du="2026-11-01")
    project.run("2026-11-20")
    text = compose(project, date(2026, 11, 1))
    assert "En panne (20)" in text
    assert "  et 14 autres" in text
    assert len(text.splitlines()) <= 40


def test_the_command_prints_it_and_sends_it_when_asked(
    week: Project, listener: Listener, monkeypatch: pytest.MonkeyPatch
):
    command = [
        "digest", "--since", "2026-11-13", "--as-of", "2026-11-20",
        "--sources", str(week.sources), "--curated", str(week.curated),
        "--warehouse", str(week.warehouse.root),
    ]  # fmt: skip
    assert CliRunner().invoke(app, [*command, "--send"]).exit_code == 2
    for name, value in listener.environ.items():
        monkeypatch.setenv(name, value)
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (listener.mails, listener.posts) == ([], [])
    sent = CliRunner().invoke(app, [*command, "--send"])
    assert sent.exit_code == 0
    assert len(listener.mails) == 1
    ((_, post),) = listener.posts
    assert compose(week, date(2026, 11, 13)) in post["text"]
    listener.status = 500
    assert CliRunner().invoke(app, [*command, "--send"]).exit_code == 1
