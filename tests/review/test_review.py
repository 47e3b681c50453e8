"""What a steward is asked, in which order, and what each key writes."""

from __future__ import annotations

import json

import pytest

from lowtech_data import review
from lowtech_data.resolve.decisions import DecisionError, traits
from lowtech_data.resolve.identity import mint
from lowtech_data.review import words
from tests.review.conftest import DETAILS, PORT, Office


def asked(office: Office) -> list[tuple[str, str]]:
    return [pair.key for pair in review.queue(office.warehouse, office.decisions())]


def last_line(office: Office) -> dict:
    return json.loads(office.path.read_text().splitlines()[-1])


def test_what_touches_more_fiches_and_sources_comes_first(office: Office):
    assert asked(office) == [
        ("alpha:a0", "beta:b0"),
        ("alpha:a0", "gamma:c0"),
        ("alpha:a1", "beta:b1"),
        ("alpha:a2", "beta:b2"),
    ]


def test_a_decision_whose_fiches_changed_comes_first_and_says_what_changed(office: Office):
    before = traits(PORT | {"nom": "Four", "adresse": "3 rue Haute"})
    office.decide("distinct", "alpha:a2", "beta:b2", empreintes={"alpha:a2": before})
    pair = review.queue(office.warehouse, office.decisions())[0]
    assert pair.key == ("alpha:a2", "beta:b2")
    assert pair.stale is not None
    assert words.changed(pair.stale.changes) == "alpha:a2 : adresse"
    _, shown = office.sit("")
    assert "À REDÉCIDER : distinct le 2026-11-01, equipe : vu sur place." in shown
    assert "Changé depuis : alpha:a2 : adresse." in " ".join(shown.split())
    assert "=! adresse" in shown


def test_a_pair_left_to_review_by_a_person_comes_last(office: Office):
    office.decide("a_revoir", "alpha:a0", "beta:b0")
    assert asked(office)[-1] == ("alpha:a0", "beta:b0")


def test_a_decided_pair_waits_no_more_nor_what_it_settles(office: Office):
    office.decide("distinct", "alpha:a0", "beta:b0")
    assert ("alpha:a0", "gamma:c0") in asked(office)
    assert len(asked(office)) == 3
    office.decide("identique", "alpha:a0", "gamma:c1")
    assert asked(office) == [("alpha:a1", "beta:b1"), ("alpha:a2", "beta:b2")]


def test_a_decision_about_a_vanished_fiche_asks_nothing(office: Office):
    office.decide("identique", "alpha:a1", "zeta:z9", empreintes={"zeta:z9": {"nom": "00000000"}})
    decisions = office.decisions()
    desk = review.Desk.of(office.warehouse, decisions)
    assert [line.b for line in desk.orphans(decisions)] == ["zeta:z9"]
    assert len(desk.waiting(decisions)) == 4


def test_a_pair_is_shown_with_its_differences_its_score_and_the_consequence(office: Office):
    _, shown = office.sit("")
    rows = {line[3:14].strip(): line[:3].strip() for line in shown.splitlines()}
    assert rows["nom"] == "≈"
    assert rows["type"] == rows["commune"] == "="
    assert rows["adresse"] == "≠"
    assert rows["téléphone"] == ""
    assert "878 m (" in shown
    said = " ".join(shown.split())
    assert (
        "Score, contre deux antennes : départ −0,7 · nom +12,0 (le même) · autres mots +0,5 "
        "(en plus d’un côté, ou synonymes) · lieu −4,2 (autre adresse)"
    ) in said
    assert "autres histoires" not in said
    assert (
        "Règle : Le nom peut être le même, l’adresse ne l’est pas : déménagement, ou deux lieux. "
        "Lien pressenti : déménagé de."
    ) in said
    assert "4 fiches, une seule initiative : lt-quai (droite) reste, lt-port (gauche)" in said


def test_everything_is_shown_on_demand(office: Office):
    _, shown = office.sit("v")
    assert "autres histoires −0,0" in " ".join(shown.split())
    assert "clés communes : mot_lieu page" in shown
    assert "veto : adresses différentes" in shown
    assert "hôte probable : beta:b0" in shown
    assert "None" not in shown


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("i", {"decision": "identique", "a": "alpha:a0", "b": "beta:b0"}),
        ("D", {"decision": "distinct", "a": "alpha:a0", "b": "beta:b0"}),
        ("l11", {"decision": "lie", "predicat": "heberge_par", "a": "alpha:a0", "b": "beta:b0"}),
        ("l12", {"decision": "lie", "predicat": "heberge_par", "a": "beta:b0", "b": "alpha:a0"}),
        ("l31", {"decision": "lie", "predicat": "demenage", "a": "alpha:a0", "b": "beta:b0"}),
        ("l5", {"decision": "lie", "predicat": "partenaire_de", "a": "alpha:a0", "b": "beta:b0"}),
    ],
)
def test_one_key_writes_one_decision_with_what_was_seen(office: Office, keys, expected):
    assert office.sit(keys)[0] == 1
    line = last_line(office)
    assert line.items() >= (expected | {"qui": "relecture", "date": "2026-11-21"}).items()
    assert line["motif"] == "fiches vues côte à côte ; règle : adresses différentes"
    assert line["empreintes"]["alpha:a0"] == traits(PORT)
    assert ("alpha:a0", "beta:b0") not in asked(office)


@pytest.mark.parametrize(
    "keys", ["", "q", "sq", "?xq", "lxq", "l0q", "l1xq", "\x1bq", "zq", "u", "cq"]
)
def test_keys_that_decide_nothing_write_nothing(office: Office, keys):
    assert office.sit(keys)[0] == 0
    assert not office.path.exists()


def test_keys_typed_ahead_decide_nothing(office: Office):
    assert office.sit(["iiii"])[0] == 1


def test_a_skipped_pair_comes_back_at_the_end(office: Office):
    assert office.sit("sdddd")[0] == 4
    assert last_line(office)["a"] == "alpha:a0"
    assert asked(office) == []


def test_the_next_session_goes_on_where_the_last_one_stopped(office: Office):
    office.sit("d")
    office.sit("d")
    kinds = [line.pair for line in office.decisions().active]
    assert kinds == [("alpha:a0", "beta:b0"), ("alpha:a0", "gamma:c0")]


def test_a_reason_goes_with_the_next_decision_only(office: Office):
    office.sit("mdd", lines=["  même téléphone  "])
    reasons = [line.motif for line in office.decisions().active]
    assert reasons[0] == "même téléphone"
    assert reasons[1].startswith("fiches vues")


def test_the_last_answer_is_undone_and_asked_again(office: Office):
    assert office.sit("diuu")[0] == 0
    assert office.decisions().active == ()
    assert len(office.decisions().lines) == 4
    _, shown = office.sit("sdu")
    assert shown.rindex("alpha:a0") < shown.rindex("gamma:c0")


@pytest.mark.parametrize("key", ["i", "d"])
def test_a_stale_decision_is_confirmed_or_replaced_and_given_back_by_undo(office: Office, key):
    before = {"alpha:a1": traits(PORT | {"nom": "Forge", "adresse": "3 rue Haute"})}
    office.decide("distinct", "alpha:a1", "beta:b1", empreintes=before)
    pair = ("alpha:a1", "beta:b1")
    assert asked(office)[0] == pair
    office.sit(key)
    decisions = office.decisions()
    assert decisions.pairs[pair].decision == {"i": "identique", "d": "distinct"}[key]
    assert pair not in asked(office)

    office.path.unlink()
    office.decide("distinct", "alpha:a1", "beta:b1", empreintes=before)
    office.sit(key + "u")
    (kept,) = office.decisions().active
    assert (kept.decision, kept.date, kept.empreintes) == ("distinct", "2026-11-01", before)
    assert asked(office)[0] == pair


def test_a_stale_link_is_confirmed_in_its_direction_by_one_key(office: Office):
    before = {"alpha:a1": traits(PORT | {"nom": "Forge", "adresse": "3 rue Haute"})}
    office.decide("lie", "beta:b1", "alpha:a1", predicat="heberge_par", empreintes=before)
    assert office.sit("c")[0] == 1
    assert office.decisions().relations == (("beta:b1", "heberge_par", "alpha:a1"),)
    assert len(office.decisions().active) == 2
    assert ("alpha:a1", "beta:b1") not in asked(office)


def test_an_answer_that_contradicts_others_is_refused_and_shown(office: Office):
    office.decide("identique", "alpha:a0", "alpha:a9")
    first = office.decide("identique", "alpha:a9", "beta:b0")
    office.decide("a_revoir", "alpha:a0", "beta:b0")
    before = office.path.read_bytes()
    count, shown = office.sit("sssd")
    assert count == 0
    assert office.path.read_bytes() == before
    assert f"id {first}" in " ".join(shown.split())


def test_a_separated_group_gives_its_ids_back(office: Office):
    kept, former = mint("alpha", "a0", ()), mint("beta", "b0", ())
    office.refine(
        {key: PORT | {"initiative_id": kept} for key in ("alpha:a0", "beta:b0", "gamma:c0")},
        [],
        {kept: "2026-01-01", former: "2026-02-01"},
    )
    office.decide(
        "identique", "alpha:a0", "beta:b0", empreintes={"alpha:a0": {"nom": "00000000"}}
    )  # fmt: skip
    office.refine(
        {
            key: PORT | {"initiative_id": kept, "nom": key}
            for key in ("alpha:a0", "beta:b0", "gamma:c0")
        },
        [],
        {kept: "2026-01-01", former: "2026-02-01"},
    )
    shown = " ".join(office.sit("")[1].split())
    assert f"les 3 fiches restent ensemble : {kept}" in shown
    assert f"{kept} reste avec alpha:a0, beta:b0 retrouve {former}" in shown


def test_a_broken_file_of_decisions_stops_the_review(office: Office):
    office.decide("distinct", "alpha:a0", "beta:b0")
    office.path.write_text(office.path.read_text() + "<<<<<<< HEAD\n")
    with pytest.raises(DecisionError, match="ligne 2 : marque d’un conflit"):
        office.sit("i")


def test_values_cannot_move_the_cursor_nor_turn_the_text_around():
    assert words.plain("a\x1b[2Jb\u202ec\nd\te") == "a[2Jbc d e"
    assert words.plain(["x", None, "y"]) == "x, , y"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_long_values_stay_in_their_columns(office: Office, width):
    office.refine(
        {
            "alpha:a0": PORT | {"nom": "é" * 10_000, "initiative_id": "lt-1"},
            "beta:b0": PORT | {"nom": "[bold]x[/bold] " * 500, "initiative_id": "lt-2"},
        },
        [("alpha:a0", "beta:b0", 3.0)],
    )
    _, shown = office.sit("", width=width)
    assert "[bold]" in shown
    assert max(map(len, shown.splitlines())) <= width


def test_details_are_read_in_words():
    found = words.read_details(json.dumps(DETAILS))
    assert [(part.name, part.level, part.bits) for part in found.parts] == [
        ("départ", "", -0.65),
        ("autres histoires", "", -0.01),
        ("nom", "le même", 12.0),
        ("autres mots", "en plus d’un côté, ou synonymes", 0.5),
        ("lieu", "autre adresse", -4.25),
    ]
    assert (found.rule, found.against) == ("autre_adresse", "antenne")
    assert words.read_details(None) == (None, None, (), ())


def test_what_is_not_named_yet_is_shown_as_it_is():
    found = words.read_details('{"couleur": {"niveau": "vif", "bits": 2}, "sorte": 3}', "neuve")
    assert found.parts == (words.Part("couleur", "vif", 2.0),)
    assert found.notes == (("sorte", "3"),)
    assert words.sentence("neuve") == "neuve"


def test_an_acronym_keeps_its_capitals():
    assert words.label("comparaison", "legal") == "SIRET"
    assert words.label("niveau_comparaison", "nom_sigle") == "l’un est le sigle de l’autre"
