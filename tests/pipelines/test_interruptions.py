"""A run killed at any stage, or a second one beside it, leaves the published release whole."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lowtech_data.publish import release
from tests.conftest import Project, place_rows

RUN = """
import os, signal, sys
from pathlib import Path
from pkgutil import resolve_name

root, place, moment, rank = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
if place:
    holder, _, name = place.rpartition(".")
    target = resolve_name(holder)
    original, calls = getattr(target, name), [0]

    def killing(*args, **kwargs):
        calls[0] += 1
        if calls[0] == rank and moment == "avant":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls[0] == rank and moment == "apres":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(target, name, killing)

from lowtech_data.extract import load_registry
from pipelines.run import execute

registry = load_registry(root / "sources.yaml")
_, published, problems = execute(
    registry, [s.id for s in registry.active], warehouse=root / "entrepot",
    curated=root / "curated", offline=False, as_of="2026-11-21", report=lambda e, v: None,
)
print(published.name if published else problems)
"""

POINTS = [
    ("lowtech_data.capture.harvest.replay", "avant", 1),
    ("lowtech_data.extract.bounded.Reader.extract", "apres", 1),
    ("lowtech_data.snapshot._read_and_clean", "apres", 2),
    ("lowtech_data.files.commit_directory", "apres", 1),
    ("lowtech_data.files.switch_link", "apres", 1),
    ("lowtech_data.resolve.match", "apres", 1),
    ("lowtech_data.fuse.fuse", "apres", 1),
    ("lowtech_data.coverage.measure", "apres", 1),
    ("lowtech_data.publish.changes.write", "apres", 1),
    ("lowtech_data.publish.tables.write_parquet", "avant", 1),
    ("lowtech_data.publish.sqlite.write", "apres", 1),
    ("lowtech_data.quality.gates.run", "apres", 1),
    ("lowtech_data.publish.release.approve", "apres", 1),
    ("lowtech_data.files.commit_directory", "apres", 3),
    ("lowtech_data.files.switch_link", "apres", 3),
]
"""Function, before or after it, which call: every stage, and each rename that makes one final."""

EVERY_RUN = {4, 10, 13}
"""Points tried in the short suite: between a directory and its link, and before the switch."""


def run(project: Project, place: str = "", moment: str = "", rank: int = 0):
    return subprocess.run(
        [sys.executable, "-c", RUN, str(project.root), place, moment, str(rank)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "", "DAGSTER_DISABLE_TELEMETRY": "yes"},
        cwd=Path(__file__).parents[2],
    )


@pytest.fixture
def started(project: Project) -> Project:
    """A project with a release, and new data for the next run."""
    project.listing("alpha", place_rows("a", 6), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b", 5), donnees_du="2026-11-01")
    project.run("2026-11-20")
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-12")
    project.listing("beta", place_rows("b", 6), donnees_du="2026-11-12")
    return project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The content that the second run publishes when nothing happens to it."""
    project = Project(tmp_path_factory.mktemp("calme"))
    project.curated.mkdir()
    project.listing("alpha", place_rows("a", 6), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b", 5), donnees_du="2026-11-01")
    project.run("2026-11-20")
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-12")
    project.listing("beta", place_rows("b", 6), donnees_du="2026-11-12")
    _, path, _ = project.run("2026-11-21")
    return str(release.read_index(path)["contenu"])


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(
            point,
            id="-".join(map(str, point)).removeprefix("lowtech_data."),
            marks=() if number in EVERY_RUN else pytest.mark.full,
        )
        for number, point in enumerate(POINTS)
    ],
)
def test_a_killed_run_leaves_the_release_and_the_next_one_completes(
    point: tuple[str, str, int], started: Project, undisturbed: str
):
    before = started.warehouse.current_release()
    assert before is not None

    killed = run(started, *point)

    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    current = started.warehouse.current_release()
    assert current is not None
    assert release.verify(current) == []
    if point != ("lowtech_data.files.switch_link", "apres", 3):
        assert current == before

    done = run(started)
    assert done.returncode == 0, done.stderr
    after = started.warehouse.current_release()
    assert after is not None
    assert release.verify(after) == []
    assert release.read_index(after)["contenu"] == undisturbed
    assert sorted(p.name for p in started.warehouse.releases.iterdir()) == sorted(
        {before.name, after.name, "courante"}
    )


def test_ctrl_c_leaves_at_once_and_publishes_nothing(started: Project):
    before = started.warehouse.current_release()
    assert before is not None
    link = started.warehouse.snapshot_link("alpha")
    known = link.resolve()
    run_ = subprocess.Popen(
        [
            *(sys.executable, "-m", "lowtech_data", "run", "--as-of", "2026-11-21"),
            *("--sources", str(started.sources), "--curated", str(started.curated)),
            *("--warehouse", str(started.warehouse.root)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    while run_.poll() is None and link.resolve() == known:
        pass
    run_.send_signal(signal.SIGINT)
    _, said = run_.communicate(timeout=20)
    assert run_.returncode == 130
    assert f"Interrompu : la version {before.name} reste en place." in said
    assert "Traceback" not in said
    assert started.warehouse.current_release() == before
    assert release.verify(before) == []
    assert run(started).returncode == 0
    assert started.warehouse.current_release() != before


def test_a_second_run_is_refused_and_says_why(started: Project):
    first = subprocess.Popen(
        [sys.executable, "-c", RUN, str(started.root), "", "", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    lock = started.warehouse.root / "verrou"
    while first.poll() is None and not lock.read_text(encoding="utf-8"):
        pass
    assert first.poll() is None, "the first run ended before the second could start"
    second = run(started)
    assert "déjà en cours d’écriture" in second.stdout
    assert first.wait(timeout=120) == 0
    current = started.warehouse.current_release()
    assert current is not None
    assert release.verify(current) == []
