"""What a harvest of the usual size may hide, and what an ordinary week must not set off."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lowtech_data import snapshot
from lowtech_data.extract import PLATFORMS, extract, load_registry
from lowtech_data.extract.base import REJECT_SCHEMA, TEXT_FIELDS, Page, PayloadError
from lowtech_data.model import CLEAN_SCHEMA, TRANSFORMATION_SCHEMA
from lowtech_data.quality import drift
from lowtech_data.quality.drift import Side
from lowtech_data.registry import Source
from lowtech_data.warehouse import Warehouse
from tests.quality import mutants
from tests.quality.mutants import MUTANTS, SHAPES, Mutant

FIRST = datetime(2026, 11, 1, 3, tzinfo=UTC)
SECOND = datetime(2026, 11, 8, 3, tzinfo=UTC)

NOTICED_SHARE = 0.95
REPLAYS = 30

Row = dict[str, Any]


def place(number: int, **values: Any) -> Row:
    """A clean fiche, in the columns that are looked at."""
    towns = ("Brest", "Lille", "Nîmes", "Dijon", "Tours")
    return {
        "source_id": "s",
        "cle_source": str(number),
        "nom": f"Atelier partagé Mot{number:03}",
        "commune": towns[number % 5],
        "code_insee": f"{10000 + number % 5}",
        "code_postal": f"{10000 + 10 * (number % 5)}",
        "adresse": f"{number} rue Haute",
        "latitude": 45 + number / 50,
        "longitude": 2 + number / 90,
        "site_web": f"https://lieu{number}.example.org/",
        "resume": f"Un atelier, le {number}.",
        "type": ("fablab", "ressourcerie")[number % 2],
        **values,
    }


def side(rows: list[Row], rules: Mapping[str, tuple[str, int]] | None = None, **more: Any) -> Side:
    """A harvest of these fiches; `rules` are field → (rule of `rejets`, fiches that meet it)."""
    filled = {name: sum(row.get(name) is not None for row in rows) for name in TEXT_FIELDS}
    rejects = [
        {"source_id": "s", "cle_source": str(n), "champ": field, "regle": rule}
        for field, (rule, count) in (rules or {}).items()
        for n in range(count)
    ]
    return Side(
        pa.Table.from_pylist(rows, CLEAN_SCHEMA),
        TRANSFORMATION_SCHEMA.empty_table(),
        pa.Table.from_pylist(rejects, REJECT_SCHEMA),
        **{"read": len(rows), "written": {"*": len(rows), **filled}, **more},
    )


USUAL = [place(n) for n in range(60)]


def rules(now: list[Row] | Side, before: list[Row] | None = USUAL) -> set[tuple[str, str]]:
    """Rules found and their level."""
    found = drift.findings(
        now if isinstance(now, Side) else side(now), side(before) if before else None
    )
    assert all(len(finding.message) > 20 for finding in found)
    return {(finding.rule, finding.level) for finding in found}


def edited(count: int, **values: Any) -> list[Row]:
    return [{**row, **values} if n < count else row for n, row in enumerate(USUAL)]


def other_places(count: int) -> list[Row]:
    """The first keys name places never seen."""
    return [{**place(500 + n), "cle_source": str(n)} for n in range(count)] + USUAL[count:]


TROUBLES: Mapping[str, tuple[Callable[[], list[Row]], tuple[str, str]]] = {
    "website emptied": (lambda: edited(55, site_web=None), ("champ_vide", "refus")),
    "descriptions emptied": (lambda: edited(55, resume=None), ("champ_vide", "avertissement")),
    "half of the addresses": (
        lambda: edited(30, adresse=None),
        ("champ_moins_rempli", "avertissement"),
    ),
    "one type for all": (lambda: edited(60, type="fablab"), ("repartition", "avertissement")),
    "one name for most": (lambda: edited(40, nom="Sans titre"), ("valeur_repetee", "refus")),
    "one description": (lambda: edited(40, resume="À venir."), ("valeur_repetee", "avertissement")),
    "one position": (
        lambda: edited(40, latitude=48.85, longitude=2.35),
        ("valeur_repetee", "refus"),
    ),
    "rounded positions": (
        lambda: [{**row, "latitude": round(row["latitude"], 1), "longitude": 2.0} for row in USUAL],
        ("valeurs_moins_variees", "avertissement"),
    ),
    "name in the place of the commune": (
        lambda: [{**row, "nom": row["commune"], "commune": row["nom"]} for row in USUAL],
        ("champs_permutes", "refus"),
    ),
    "names cut short": (
        lambda: [{**row, "nom": row["nom"].upper()[:20]} for row in USUAL],
        ("valeurs_changees", "avertissement"),
    ),
    "keys of other places": (lambda: other_places(6), ("cles_reemployees", "refus")),
    "prefixed keys": (
        lambda: [{**row, "cle_source": f"p{row['cle_source']}"} for row in USUAL],
        ("cles_changees", "avertissement"),
    ),
    "first page": (lambda: USUAL[:50], ("premiere_page", "refus")),
    "a fifth lost": (lambda: USUAL[:48], ("baisse", "avertissement")),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_is_found_by_its_rule(trouble: str) -> None:
    broken, expected = TROUBLES[trouble]
    assert expected in rules(broken())


QUIET: Mapping[str, Callable[[], list[Row]]] = {
    "nothing": lambda: USUAL,
    "few names": lambda: edited(4, nom="Nouveau nom"),
    "four keys of other places": lambda: other_places(4),
    "another size of page, as before": lambda: [*USUAL[3:], *(place(n) for n in range(100, 103))],
    "places that moved and kept their name": lambda: edited(12, latitude=43.3, code_insee="13055"),
    "places that changed names on the spot": lambda: [
        {**row, "nom": f"Neuf{n}"} if n < 12 else row for n, row in enumerate(USUAL)
    ],
}


@pytest.mark.parametrize("change", QUIET)
def test_an_ordinary_change_sets_nothing_off(change: str) -> None:
    assert rules(QUIET[change]()) <= {("valeur_repetee", "avertissement")}


def test_a_column_that_slipped_is_refused_by_what_cleaning_says() -> None:
    slipped = side(USUAL, {"code_postal": ("code_postal_contredit", 59)})
    assert ("champs_en_desaccord", "refus") in rules(slipped)


def test_values_that_cleaning_now_refuses_are_told() -> None:
    mails = side(USUAL, {"telephone": ("telephone_illisible", 40)})
    assert rules(mails) == {("regle_frequente", "avertissement")}
    assert not rules(side(USUAL, {"telephone": ("telephone_illisible", 5)}))


def test_a_column_that_cleaning_makes_up_for_is_emptied_all_the_same() -> None:
    lost = side(USUAL)
    assert lost.written is not None
    lost = replace(lost, written={**lost.written, "commune": 0})
    assert rules(lost) == {("champ_vide", "refus")}


def test_a_first_harvest_is_told_what_is_never_right() -> None:
    one_place = edited(30, latitude=48.85, longitude=2.35)
    assert rules(one_place, None) == {("valeur_repetee", "avertissement")}
    assert not rules(USUAL, None)


def test_resources_without_a_place_are_told_apart_by_name_and_description() -> None:
    nowhere = dict.fromkeys(
        ("commune", "code_insee", "code_postal", "adresse", "latitude", "longitude")
    )
    before = [{**row, **nowhere} for row in USUAL]
    now = [{**row, **nowhere} for row in other_places(10)]
    assert ("cles_reemployees", "refus") in rules(now, before)


def test_a_message_says_what_was_what_is_and_what_to_do() -> None:
    (finding,) = drift.findings(side(edited(60, site_web=None)), side(USUAL))
    assert str(finding) == (
        "champ_vide : site_web : rempli dans 100 % des fiches auparavant, dans 0 % maintenant ; "
        "vérifier champs.site_web et la page de la source"
    )


@given(seed=st.integers(0, 2**32), trouble=st.sampled_from(sorted(TROUBLES)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_rows_changes_nothing(seed: int, trouble: str) -> None:
    rows = TROUBLES[trouble][0]()
    mixed = Random(seed).sample(rows, len(rows))
    former = Random(seed + 1).sample(USUAL, len(USUAL))
    assert drift.findings(side(mixed), side(former)) == drift.findings(side(rows), side(USUAL))


# The real journey, from the bytes of seven platforms.


class Bench:
    """Good first harvests of every platform's listing, each made once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = 0

    def again(self, platform: str, text: str) -> snapshot.Outcome:
        """What comes of a second harvest, that reads `text`."""
        good = self.root / platform
        if not good.exists():
            good.mkdir()
            blocks = {"sources": [mutants.block(platform)]}
            (good / "sources.yaml").write_text(yaml.safe_dump(blocks, allow_unicode=True))
            mutants.write(good, platform, SHAPES[platform].render(mutants.base(platform)))
            first = self._refresh(good, FIRST)
            assert (first.status, first.warnings, first.drift) == ("ok", (), ())
        self.runs += 1
        folder = self.root / f"{self.runs}"
        shutil.copytree(good, folder, symlinks=True)
        mutants.write(folder, platform, text)
        return self._refresh(folder, SECOND)

    @staticmethod
    def _refresh(folder: Path, now: datetime) -> snapshot.Outcome:
        registry = load_registry(folder / "sources.yaml")
        warehouse = Warehouse(folder / "entrepot")
        return snapshot.refresh(registry["liste"], registry, warehouse, now=now, client=None)


def noticed(mutant: Mutant, outcome: snapshot.Outcome) -> bool:
    """Refused, or told by a message that names the trouble."""
    told = (*outcome.warnings, *outcome.drift)
    return outcome.failed or any(re.search(mutant.told, message) for message in told)


def noticed_by_count(mutant: Mutant) -> bool:
    """What counting rows alone would see: none, a third less, or four times more."""
    before = SHAPES[mutant.platform].count
    try:
        found = rows_in(mutant.platform, mutant.text())
    except PayloadError:
        found = 0
    return not 0.7 * before <= found <= 4 * before


def rows_in(platform: str, text: str) -> int:
    source = Source.model_validate(mutants.block(platform))
    page = Page(source.url, text.encode(), "0" * 64)
    return extract(source, PLATFORMS[platform], [page]).fiches.num_rows


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("moissons"))


def test_there_are_forty_mutants_of_seven_platforms() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == 40
    assert len({mutant.platform for mutant in MUTANTS}) == 7


def test_counting_rows_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    score = sum(map(noticed_by_count, MUTANTS))
    with capsys.disabled():
        print(f"\nnombre de lignes seul : {score} troubles vus sur {len(MUTANTS)}")
    assert score < NOTICED_SHARE * len(MUTANTS)


SHOWN = ("colonne_retiree", "identifiants_reemployes", "maintenance", "dates_disparues")


@pytest.mark.parametrize("name", SHOWN)
def test_a_broken_listing_is_noticed(name: str, bench: Bench) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    assert noticed(mutant, bench.again(mutant.platform, mutant.text()))


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_nearly_every_mutant_is_noticed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    missed = [
        mutant.name
        for mutant in MUTANTS
        if not noticed(mutant, bench.again(mutant.platform, mutant.text()))
    ]
    score = len(MUTANTS) - len(missed)
    with capsys.disabled():
        print(f"\nmoisson comparée : {score} troubles vus sur {len(MUTANTS)}")
    assert score >= NOTICED_SHARE * len(MUTANTS), missed


def ordinary_week(seed: int, bench: Bench) -> tuple[int, snapshot.Outcome]:
    platform = sorted(SHAPES)[seed % len(SHAPES)]
    rows = mutants.ordinary(mutants.base(platform), seed)
    return seed, bench.again(platform, SHAPES[platform].render(rows))


def assert_quiet(seed: int, outcome: snapshot.Outcome) -> None:
    assert (outcome.status, outcome.warnings, outcome.drift) == ("ok", (), ()), seed
    assert outcome.counts["nb_absents"]


def test_an_ordinary_week_is_quiet(bench: Bench) -> None:
    seed, outcome = ordinary_week(1000, bench)
    assert_quiet(seed, outcome)
    assert outcome.counts["nb_modifies"]


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_thirty_ordinary_weeks_are_quiet(bench: Bench) -> None:
    modified = 0
    for seed in range(REPLAYS):
        _, outcome = ordinary_week(seed, bench)
        assert_quiet(seed, outcome)
        modified += bool(outcome.counts["nb_modifies"])
    # A correction that cleaning undoes, or that falls on a record that leaves, changes none.
    assert modified >= REPLAYS - 1
