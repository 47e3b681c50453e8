import json

import pytest

from lowtech_data.resolve.decisions import DecisionError, Decisions, append, new_decision

COMMON = {"date": "2026-03-01", "qui": "relecture", "motif": "vu sur place"}


def line(decision, **content):
    return new_decision(Decisions(), decision=decision, **COMMON, **content)


def text(*decisions):
    return "".join(
        json.dumps(d.model_dump(exclude_none=True), ensure_ascii=False) + "\n" for d in decisions
    )


def test_decisions_in_force_are_exposed_by_kind():
    decisions = Decisions.parse(
        text(
            line("identique", a="x:1", b="x:2"),
            line("distinct", a="x:1", b="y:a:b"),
            line("lie", a="x:3", b="x:1", predicat="heberge_par"),
            line("corriger", a="x:1", champ="nom", valeur="Le Lieu"),
            line("fermer", a="x:4"),
            line("retirer", a="x:5"),
        )
    )
    assert decisions.must_link == (("x:1", "x:2"),)
    assert decisions.cannot_link == (("x:1", "y:a:b"), ("x:1", "x:3"))
    assert decisions.relations == (("x:3", "heberge_par", "x:1"),)
    assert decisions.corrections["x:1"]["nom"].valeur == "Le Lieu"
    assert set(decisions.closures) == {"x:4"}
    assert set(decisions.withdrawals) == {"x:5"}


def test_a_later_line_undoes_an_earlier_one():
    same = line("identique", a="x:1", b="x:2")
    decisions = Decisions.parse(text(same, line("annuler", annule=same.id)))
    assert decisions.must_link == ()
    assert len(decisions.lines) == 2


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("{", "JSON illisible"),
        ("<<<<<<< HEAD", "conflit de fusion"),
        ("[1]", "objet JSON"),
        ('{"id": "000000000000"}', "decision"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_applied(broken, said):
    good = text(line("identique", a="x:1", b="x:2"))
    with pytest.raises(DecisionError, match="ligne 2") as error:
        Decisions.parse(good + broken + "\n")
    assert said in str(error.value)


def test_an_edited_line_is_seen():
    edited = text(line("identique", a="x:1", b="x:2")).replace("x:2", "x:3")
    with pytest.raises(DecisionError, match="modifiée après coup"):
        Decisions.parse(edited)


@pytest.mark.parametrize(
    "content",
    [
        {"decision": "identique", "a": "x:1"},
        {"decision": "identique", "a": "x:1", "b": "x:1"},
        {"decision": "lie", "a": "x:1", "b": "x:2"},
        {"decision": "lie", "a": "x:1", "b": "x:2", "predicat": "voisin"},
        {"decision": "corriger", "a": "x:1"},
        {"decision": "fermer", "a": "sans_cle"},
        {"decision": "annuler"},
    ],
)
def test_fields_must_fit_the_kind_of_decision(content):
    with pytest.raises(DecisionError):
        line(**content)


def test_contradictions_show_the_lines_involved():
    with pytest.raises(DecisionError) as error:
        Decisions.parse(
            text(
                line("identique", a="x:1", b="x:2"),
                line("identique", a="x:2", b="x:3"),
                line("identique", a="x:8", b="x:9"),
                line("distinct", a="x:1", b="x:3"),
            )
        )
    assert all(f"ligne {n} " in str(error.value) for n in (1, 2, 4))
    assert "ligne 3 " not in str(error.value)


def test_two_opposite_decisions_on_one_pair_contradict_each_other():
    with pytest.raises(DecisionError, match="opposées"):
        Decisions.parse(
            text(line("identique", a="x:1", b="x:2"), line("distinct", a="x:2", b="x:1"))
        )


def test_undoing_nothing_is_refused():
    with pytest.raises(DecisionError, match="plus haut"):
        Decisions.parse(text(line("annuler", annule="0123456789ab")))


def test_append_checks_the_whole_before_writing(tmp_path):
    path = tmp_path / "decisions.jsonl"
    same = line("identique", a="x:1", b="x:2")
    decisions = append(path, same)
    before = path.read_bytes()
    with pytest.raises(DecisionError):
        append(path, line("distinct", a="x:1", b="x:2"))
    assert path.read_bytes() == before
    append(path, line("annuler", annule=same.id))
    again = new_decision(Decisions.load(path), decision="identique", a="x:1", b="x:2", **COMMON)
    assert again.id == f"{same.id}-2"
    assert append(path, again).must_link == decisions.must_link


def test_a_decision_on_a_fiche_that_changed_is_stale():
    decisions = Decisions.parse(
        text(line("fermer", a="x:1", empreintes={"x:1": "vu"}), line("fermer", a="x:2"))
    )
    assert decisions.stale({"x:1": "vu"}) == ()
    assert [d.a for d in decisions.stale({"x:1": "autre"})] == ["x:1"]
