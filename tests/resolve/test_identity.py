import json
import re

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.publish.release import LEDGER_FILE
from lowtech_data.refine import REKEYINGS_FILE, objection_digest
from lowtech_data.resolve.decisions import Decisions, append, new_decision
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
from tests.conftest import place_rows

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


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (['{"evenement": "retour", "version": "2026-01-01", "id": "lt-0"}'], 1),
        (["{birth}", "{birth}"], 2),
        (["{birth}", '{"evenement": "fusion", "version": "2026-01-01", "id": "lt-0"}'], 2),
        (["{birth}", '{"evenement": "cle", "version": "2026-01-01", "lot": 1}'], 2),
        (["{birth}", '{"evenement": "naissance", "version": "2026-01-01", "id": "lt-1"}'], 2),
        (["{birth}", '{"evenement": "naissance", "version": "2026-'], 2),
    ],
)
def test_a_line_that_cannot_follow_the_others_is_named(tmp_path, lines, number):
    path = tmp_path / "registre.jsonl"
    birth = (
        '{"evenement": "naissance", "version": "2026-01-01", "id": "lt-0", "fondateur": ["s", "a"]}'
    )
    path.write_text("\n".join(lines).replace("{birth}", birth) + "\n")
    with pytest.raises(LedgerError, match=f"ligne {number} "):
        Ledger.load(path)


def test_two_fiches_renamed_into_one_bring_both_ids():
    first, ledger, known = run(Ledger(), [[A], [B]], {}, V1)
    second, ledger, _ = run(ledger, [[C]], known, V2, renamed={A: C, B: C})
    older = min(first.values())
    assert second == {C: older}
    assert {ledger.resolve(identifier) for identifier in first.values()} == {older}


def test_a_key_declared_former_must_be_gone():
    _, ledger, known = run(Ledger(), [[A], [B]], {}, V1)
    with pytest.raises(LedgerError, match="existe encore"):
        advance(ledger, [[A], [C]], known, V2, renamed={A: C})


def test_a_ledger_that_is_not_that_of_the_last_release_is_refused():
    _, _, known = run(Ledger(), [[A], [B]], {}, V1)
    with pytest.raises(LedgerError, match="inconnu du registre"):
        advance(Ledger(), [[A], [B]], known, V2)


def published(release, name):
    return pq.read_table(release / "parquet" / f"{name}.parquet").to_pylist()


def ids_of(release):
    return {
        (row["source_id"], row["cle_source"]): row["initiative_id"]
        for row in published(release, "fiches")
    }


def decide(project, day, **content):
    path = project.curated / "decisions.jsonl"
    decisions = Decisions.load(path)
    append(path, new_decision(decisions, date=day, qui="relecture", motif="vu", **content))


def test_a_source_that_says_its_new_keys_keeps_ids_decisions_and_objections(project):
    project.listing("aa", place_rows("v"))
    decide(project, "2026-01-01", decision="identique", a="aa:v1", b="aa:v2")
    objection = {"empreinte": objection_digest("aa", "v3"), "motif": "opposition"}
    (project.curated / "objections.jsonl").write_text(json.dumps(objection) + "\n")
    _, first, problems = project.run("2026-01-05")
    assert problems == []
    before = ids_of(first)
    assert before[("aa", "v1")] == before[("aa", "v2")]

    project.listing("aa", place_rows("n"))
    moves = [{"ancienne": f"aa:v{n}", "nouvelle": f"aa:n{n}"} for n in range(8)]
    (project.curated / REKEYINGS_FILE).write_text("".join(f"{json.dumps(m)}\n" for m in moves))
    _, second, _ = project.run("2026-01-12")
    assert ids_of(second) == {(source, f"n{key[1:]}"): i for (source, key), i in before.items()}
    identifiers = published(second, "identifiants")
    assert {row["etat"] for row in identifiers} == {"actif"}
    assert Ledger.load(second / LEDGER_FILE).table() == [
        row | {"cree_le": str(row["cree_le"]), "etat_depuis": str(row["etat_depuis"])}
        for row in identifiers
    ]


def test_a_source_under_another_name_keeps_its_ids(project):
    project.listing("aa", place_rows("v"))
    _, first, _ = project.run("2026-01-05")
    del project.blocks["aa"]
    project.listing("bb", place_rows("v"), renommee_de="aa")
    _, second, _ = project.run("2026-01-12")
    assert {key: known for (_, key), known in ids_of(second).items()} == {
        key: known for (_, key), known in ids_of(first).items()
    }
    assert {source for source, _ in ids_of(second)} == {"bb"}
