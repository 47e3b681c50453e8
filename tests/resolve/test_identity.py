import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowtech_data.resolve.identity import (
    ALPHABET,
    ID_PATTERN,
    Ledger,
    LedgerError,
    advance,
    encode,
    is_valid_id,
    mint,
)

A, B, C, D = (("s", name) for name in "abcd")
V1, V2, V3 = "2026-01-01", "2026-02-01", "2026-03-01"


def run(ledger, clusters, previous, version, **options):
    """One release: ids of the fiches, the ledger, and what the next release is told."""
    assigned, ledger = advance(ledger, clusters, previous, version, **options)
    return assigned, ledger, assigned


def test_an_id_is_made_of_its_founder():
    identifier = mint("bzh_fablab", "10", ())
    assert identifier == mint("bzh_fablab", "10", ())
    assert re.fullmatch(ID_PATTERN, identifier)
    assert is_valid_id(identifier)
    assert mint("bzh_fablab", "10", {identifier}) != identifier


@given(st.integers(0, 2**50 - 1), st.integers(3, 12), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_seen(value, at, character):
    right = encode(value)
    wrong = right[:at] + character + right[at + 1 :]
    assert is_valid_id(right)
    unseen = wrong == right or {right[at], character} == {"0", "z"}
    assert is_valid_id(wrong) == unseen


def test_a_merge_keeps_the_oldest_and_undoing_it_gives_the_id_back():
    first, ledger, known = run(Ledger(), [[B]], {}, V1)
    second, ledger, known = run(ledger, [[A], [B]], known, V2)
    merged, ledger, known = run(ledger, [[A, B]], known, V3)
    assert merged == {A: first[B], B: first[B]}
    assert ledger.resolve(second[A]) == first[B]
    apart, ledger, known = run(ledger, [[A], [B]], known, "2026-04-01")
    assert apart == second
    assert ledger.resolve(second[A]) == second[A]


def test_a_split_leaves_the_id_with_its_founder():
    first, ledger, known = run(Ledger(), [[A, B, C]], {}, V1)
    second, _, _ = run(ledger, [[A], [B, C]], known, V2)
    assert second[A] == first[A]
    assert second[B] == second[C] != first[A]


def test_without_its_founder_an_id_follows_most_of_its_members_then_the_smallest():
    first, ledger, known = run(Ledger(), [[A, B, C, D]], {}, V1)
    most, _, _ = run(ledger, [[B], [C, D]], known, V2)
    assert most[C] == first[A] != most[B]
    tie, _, _ = run(ledger, [[C], [B]], known, V2)
    assert tie[B] == first[A] != tie[C]


def test_an_id_that_disappears_stays_and_comes_back():
    first, ledger, known = run(Ledger(), [[A], [B]], {}, V1)
    _, ledger, known = run(ledger, [[B]], known, V2)
    assert ledger.resolve(first[A]) == first[A]
    third, _, _ = run(ledger, [[A], [B]], known, V3)
    assert third == first


def test_a_source_that_changes_its_keys_keeps_its_ids():
    first, ledger, known = run(Ledger(), [[A]], {}, V1)
    new = ("t", "1")
    second, ledger, known = run(ledger, [[new]], known, V2, renamed={A: new})
    third, after, _ = run(ledger, [[new]], known, V3, renamed={A: new})
    assert second[new] == third[new] == first[A]
    assert after == ledger


def test_a_withdrawn_fiche_retires_its_id_for_ever():
    first, ledger, known = run(Ledger(), [[A], [B]], {}, V1)
    _, ledger, known = run(ledger, [[B]], known, V2, withdrawn={A: "opposition"})
    assert ledger.resolve(first[A]) is None
    again, ledger, _ = run(ledger, [[A], [B]], known, V3)
    assert again[A] not in first.values()
    states = {row["id"]: row["etat"] for row in ledger.table()}
    assert states == {first[A]: "retire", first[B]: "actif", again[A]: "actif"}


def test_a_fiche_in_two_clusters_is_refused():
    with pytest.raises(LedgerError, match="deux groupes"):
        advance(Ledger(), [[A], [A, B]], {}, V1)


def test_the_ledger_reads_back_and_is_only_added_to(tmp_path):
    path = tmp_path / "registre.jsonl"
    _, ledger, known = run(Ledger(), [[A], [B]], {}, V1)
    ledger.save(path)
    assert Ledger.load(path) == ledger
    _, longer, _ = run(ledger, [[A, B]], known, V2)
    longer.save(path)
    assert Ledger.load(path) == longer
    with pytest.raises(LedgerError, match="début"):
        Ledger().save(path)


def test_a_damaged_ledger_names_the_line(tmp_path):
    path = tmp_path / "registre.jsonl"
    path.write_text('{"evenement": "naissance"}\n')
    with pytest.raises(LedgerError, match="ligne 1"):
        Ledger.load(path)
