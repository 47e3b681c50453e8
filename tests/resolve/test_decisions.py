import json
from concurrent.futures import ProcessPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.resolve.decisions import (
    Change,
    DecisionError,
    Decisions,
    append,
    folded,
    new_decision,
    traits,
)

COMMON = {"date": "2026-03-01", "qui": "relecture", "motif": "vu sur place"}


def line(decision, **content):
    return new_decision(Decisions(), decision=decision, **{**COMMON, **content})


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
        ('{"id": "000000000000"}', "decision : champ attendu"),
        ('{"id": "000000000000", "qui": "a", "qui": "b"}', "deux fois"),
        ('{"id": "6446f80b0c1d", "date": "2026-02-31"}', "qui : champ attendu"),
        ('{"id": "644', "JSON illisible"),
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
        {"decision": "fermer", "a": "x:1", "date": "2026-02-31"},
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


FICHE = {
    "nom": "Atelier Vélo du Port",
    "adresse": "12 rue du Port",
    "code_postal": "29900",
    "commune": "Concarneau",
    "latitude": 47.8722,
    "longitude": -3.9187,
    "site_web": "https://www.atelier-velo.fr/",
    "courriel": None,
    "telephone": "+33298970000",
    "siret": None,
    "rna": None,
    "resume": "On y répare des vélos.",
}
OTHER = {**FICHE, "nom": "Vélo Port", "telephone": "+33298971111", "courriel": "a@velo.fr"}


def changes(kind, now, *, other_now=None, **content):
    """What changed for a decision taken on `FICHE` and `OTHER`, by field."""
    seen = {"x:1": traits(FICHE), "x:2": traits(OTHER)}
    decisions = Decisions.parse(text(line(kind, a="x:1", b="x:2", empreintes=seen, **content)))
    present = {"x:1": traits({**FICHE, **now}), "x:2": traits({**OTHER, **(other_now or {})})}
    return [
        (change.fiche, change.champ, change.nature)
        for stale in decisions.stale(present)
        for change in stale.changes
    ]


@pytest.mark.parametrize(
    "now",
    [
        {},
        {"resume": "Tout autre chose."},
        {"nom": "ATELIER  VELO du port"},
        {"adresse": "12, Rue du Port"},
        {"site_web": "http://atelier-velo.fr"},
        {"latitude": 47.8, "longitude": -3.8},
        {"telephone": None},
    ],
    ids=["rien", "description", "casse", "ponctuation", "protocole", "point", "retrait"],
)
def test_writing_alone_asks_nothing_again(now):
    assert changes("distinct", now) == []


@pytest.mark.parametrize("kind", ["identique", "distinct"])
def test_another_name_place_or_contact_asks_again(kind):
    assert changes(kind, {"nom": "Atelier Bois"}) == [("x:1", "nom", "modifie")]
    assert changes(kind, {}, other_now={"adresse": "3 quai Est"}) == [("x:2", "adresse", "modifie")]
    assert changes(kind, {"code_postal": "44000", "commune": "Nantes"}) == [
        ("x:1", "commune", "modifie"),
        ("x:1", "departement", "modifie"),
    ]
    assert changes(kind, {"telephone": "+33298979999"}) == [("x:1", "telephone", "modifie")]


def test_a_new_value_asks_again_when_there_is_one_to_compare_it_with():
    assert changes("distinct", {"courriel": "b@velo.fr"}) == [("x:1", "courriel", "ajoute")]
    assert changes("distinct", {"siret": "12345678900011"}) == []


def test_fiches_declared_identical_may_come_to_agree():
    assert changes("identique", {"nom": "Vélo Port", "courriel": "a@velo.fr"}) == []
    assert changes("distinct", {"nom": "Vélo Port"}) == [("x:1", "nom", "modifie")]


def test_a_stale_decision_still_holds():
    seen = {"x:1": traits(FICHE)}
    decisions = Decisions.parse(text(line("identique", a="x:1", b="x:2", empreintes=seen)))
    assert decisions.stale({"x:1": traits({**FICHE, "nom": "Autre"})})
    assert decisions.must_link == (("x:1", "x:2"),)


def test_a_decision_taken_again_is_no_longer_stale():
    old, new = traits(FICHE), traits({**FICHE, "nom": "Autre"})
    decisions = Decisions.parse(
        text(
            line("distinct", a="x:1", b="x:2", empreintes={"x:1": old}),
            line("distinct", a="x:2", b="x:1", empreintes={"x:1": new}),
        )
    )
    assert decisions.stale({"x:1": new}) == ()
    assert [stale.changes for stale in decisions.stale({"x:1": old})] == [
        (Change("x:1", "nom", "modifie"),)
    ]


def test_a_decision_on_one_fiche_is_stale_too_and_one_without_fingerprints_never():
    seen = {"x:1": traits(FICHE)}
    decisions = Decisions.parse(
        text(line("fermer", a="x:1", empreintes=seen), line("fermer", a="x:2"))
    )
    moved = traits({**FICHE, "adresse": "3 quai Est"})
    assert [s.decision.a for s in decisions.stale({"x:1": moved, "x:2": moved})] == ["x:1"]
    assert decisions.stale({}) == ()


@given(
    st.floats(-85, 85), st.floats(-179, 179), st.floats(-0.0024, 0.0024), st.floats(-0.0024, 0.0024)
)
def test_a_point_without_street_may_tremble_but_not_move(y, x, dy, dx):
    def cells(latitude, longitude):
        fiche = {"nom": "Four à bois", "latitude": latitude, "longitude": longitude}
        return set(traits(fiche)["position"].split())

    assert cells(y, x) & cells(y + dy, x + dx)
    assert not cells(y, x) & cells(y + 0.0051, x)
    assert not cells(y, x) & cells(y, x - 0.0051)


@given(st.text("aàâçéèêîïôùûœz09 '-.,", min_size=1).filter(lambda v: any(map(str.isalnum, v))))
def test_folding_forgets_how_a_text_is_written(value):
    assert folded(value) != ""
    assert folded(f" {value.upper()}. ") == folded(value) == folded(folded(value))


def test_no_value_of_a_fiche_is_kept_in_its_traits():
    said = json.dumps(traits(OTHER))
    assert not [value for value in OTHER.values() if isinstance(value, str) and value in said]


def present(moves):
    """Fiches re-keyed on 2026-06-01."""
    return lambda key, day: moves.get(key, key) if day <= "2026-06-01" else key


def test_decisions_follow_the_fiches_of_a_source_that_changed_its_keys():
    seen = {"x:1": traits(FICHE)}
    decisions = Decisions.parse(
        text(
            line("lie", a="x:1", b="y:a:b", predicat="heberge_par", empreintes=seen),
            line("corriger", a="y:a:b", champ="nom", valeur="Le Lieu"),
        )
    ).following(
        present({("x", "1"): ("x", "un"), ("y", "a:b"): ("y", "c"), ("z", "0"): ("z", "1")})
    )
    assert decisions.relations == (("x:un", "heberge_par", "y:c"),)
    assert set(decisions.corrections) == {"y:c"}
    assert decisions.stale({"x:un": traits({**FICHE, "nom": "Autre"})})
    assert decisions.stale({"x:un": traits(FICHE)}) == ()


def test_a_key_given_to_another_place_is_decided_about_anew():
    decisions = Decisions.parse(
        text(line("fermer", a="x:1", date="2026-05-01"), line("fermer", a="x:1", date="2026-07-01"))
    ).following(present({("x", "1"): ("x", "un")}))
    assert set(decisions.closures) == {"x:un", "x:1"}


def test_decisions_that_come_to_contradict_each_other_on_a_new_key_are_shown():
    decisions = Decisions.parse(
        text(line("identique", a="x:1", b="y:1"), line("distinct", a="x:2", b="y:1"))
    )
    with pytest.raises(DecisionError, match=r"opposées.*ligne 1 .*ligne 2 "):
        decisions.following(present({("x", "1"): ("x", "3"), ("x", "2"): ("x", "3")}))


def test_a_pair_that_became_one_fiche_is_about_nothing_any_more():
    decisions = Decisions.parse(text(line("distinct", a="x:1", b="x:2")))
    moved = decisions.following(present({("x", "1"): ("x", "3"), ("x", "2"): ("x", "3")}))
    assert [decision.b for decision in moved.orphans({"x:3"})] == ["x:2"]


def test_a_decision_on_a_vanished_fiche_is_kept_and_told():
    decisions = Decisions.parse(
        text(line("identique", a="x:1", b="x:2"), line("fermer", a="x:1"), line("fermer", a="x:3"))
    )
    gone = decisions.orphans({"x:1"})
    assert [decisions.describe(decision).split(",")[0] for decision in gone] == [
        "ligne 1 (identique x:1 / x:2",
        "ligne 3 (fermer x:3",
    ]
    assert len(decisions.active) == 3


def test_a_doubt_is_answered_by_a_later_line_but_an_answer_is_not_doubted():
    doubt, answer = (line(kind, a="x:1", b="x:2") for kind in ("a_revoir", "distinct"))
    assert Decisions.parse(text(doubt, answer)).cannot_link == (("x:1", "x:2"),)
    with pytest.raises(DecisionError, match="opposées"):
        Decisions.parse(text(answer, doubt))


def test_a_link_in_both_directions_is_a_contradiction_unless_it_is_symmetric():
    def both(predicate):
        return text(
            line("lie", a="x:1", b="x:2", predicat=predicate),
            line("lie", a="x:2", b="x:1", predicat=predicate),
        )

    with pytest.raises(DecisionError, match="opposées"):
        Decisions.parse(both("heberge_par"))
    assert len(Decisions.parse(both("partenaire_de")).pairs) == 1


def test_a_line_separator_inside_a_reason_does_not_cut_the_line(tmp_path):
    path = tmp_path / "decisions.jsonl"
    content = {**COMMON, "motif": "vu\u2028sur\x85place"}
    append(path, new_decision(Decisions(), decision="fermer", a="x:1", **content))
    assert Decisions.load(path).closures["x:1"].motif == content["motif"]


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path):
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(text(line("fermer", a="x:1")).encode() + '{"motif": "é"}'.encode("latin-1"))
    with pytest.raises(DecisionError, match=r"decisions\.jsonl, ligne 2 .*UTF-8"):
        Decisions.load(path)


def test_several_lines_are_added_together_or_not_at_all(tmp_path):
    path = tmp_path / "decisions.jsonl"
    same = line("identique", a="x:1", b="x:2")
    append(path, same)
    before = path.read_bytes()
    undo, other = line("annuler", annule=same.id), line("distinct", a="x:1", b="x:2")
    with pytest.raises(DecisionError, match="même id"):
        append(path, undo, other, other)
    assert path.read_bytes() == before
    assert append(path, undo, other).cannot_link == (("x:1", "x:2"),)


def _append_one(path, number):
    append(path, line("fermer", a=f"x:{number}"))


def test_two_people_who_decide_at_once_lose_nothing(tmp_path):
    path = tmp_path / "decisions.jsonl"
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(_append_one, [path] * 12, range(12)))
    assert set(Decisions.load(path).closures) == {f"x:{number}" for number in range(12)}
