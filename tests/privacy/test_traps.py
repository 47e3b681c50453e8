"""The traps themselves: enough of them, everywhere, and a detector that misses none."""

from __future__ import annotations

from collections import Counter

import pytest

from .traps import (
    ADDRESS,
    COLUMN_NAME,
    COLUMNS,
    FILE_NAME,
    MESSAGE,
    PEOPLE,
    Detector,
    Trap,
    controls,
    traps,
)


@pytest.fixture(scope="module")
def planted() -> list[Trap]:
    return traps()


def test_a_thousand_traps_of_every_kind_in_every_column(planted: list[Trap]):
    assert len(planted) == 1_000
    kinds = Counter(trap.kind for trap in planted)
    fields = Counter(trap.field for trap in planted)
    assert len(kinds) >= 90
    assert min(kinds.values()) >= 6
    assert set(fields) == {*COLUMNS, COLUMN_NAME, FILE_NAME, MESSAGE, ADDRESS}
    assert min(fields.values()) >= 6
    spread = {(trap.field, trap.kind.startswith("mobile")) for trap in planted}
    assert {(column, number) for column in COLUMNS for number in (True, False)} <= spread


def test_the_same_seed_gives_the_same_traps(planted: list[Trap]):
    assert traps() == planted
    assert traps(seed=1) != planted


def test_each_needle_names_one_trap(planted: list[Trap]):
    needles = [needle for trap in planted for needle in trap.needles]
    assert len(set(needles)) == len(needles)


def test_the_detector_finds_each_trap_as_it_is_written(planted: list[Trap]):
    detector = Detector(planted)
    assert [trap for trap in planted if detector.find(trap.text) != {trap}] == []


def test_the_detector_finds_what_cleaning_would_give(planted: list[Trap]):
    detector = Detector(planted)
    number = next(trap for trap in planted if trap.needles[0].isdigit())
    word = next(trap for trap in planted if trap.needles[0].isalpha())
    digits, surname = number.needles[0], word.needles[0]
    for text in (f"+336{digits}", ".".join(digits), f"06 {digits[:4]}&nbsp;{digits[4:]}"):
        assert detector.find(text) == {number}
    for text in (surname.upper(), f"xx{surname}yy", surname.replace("e", "é", 1)):
        assert detector.find(text) == {word}


def test_nothing_innocent_is_detected(planted: list[Trap]):
    detector = Detector(planted)
    innocent = controls()
    assert len(innocent) >= 140
    assert [c for c in innocent if detector.find(c.text) or detector.find(c.expected)] == []
    assert [person for person in PEOPLE if detector.find(person.nom)] == []
