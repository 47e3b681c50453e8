"""Opening hours as listings write them: read whole in OpenStreetMap syntax, or left out."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowtech_data.normalise.french_hours import opening_hours
from lowtech_data.normalise.hours import is_osm

from .support import clean, each, one, rules_of_each

LISTINGS = os.environ.get("LOWTECH_LISTINGS")

UNDERSTOOD = [
    ("Lundi au vendredi 9h-12h / 14h-18h", "Mo-Fr 09:00-12:00,14:00-18:00"),
    ("Lundi à vendredi 9h-12h/13h30-16h30", "Mo-Fr 09:00-12:00,13:30-16:30"),
    ("du Lundi au Vendredi de 8h30 – 12h30 | 13h30 – 17h30", "Mo-Fr 08:30-12:30,13:30-17:30"),
    ("Lundi au Vendredi de 8h30 - 12h30 13h30 - 17h30", "Mo-Fr 08:30-12:30,13:30-17:30"),
    ("mercredi 10h00-18h00  samedi 10h00-18h00", "We,Sa 10:00-18:00"),
    ("du mardi au samedi de 10h à 19h", "Tu-Sa 10:00-19:00"),
    ("Lun-Ven : 9h30 – 17h", "Mo-Fr 09:30-17:00"),
    ("lun. au ven. : 9h30-17h", "Mo-Fr 09:30-17:00"),
    ("Ma, Me 14h-18h ; Sa 10h-12h", "Tu,We 14:00-18:00; Sa 10:00-12:00"),
    ("Mo 14h-18h; Tu 09h-12h", "Mo 14:00-18:00; Tu 09:00-12:00"),
    ("Tous les jours de 10h à 18h", "Mo-Su 10:00-18:00"),
    ("tous les jours sauf dimanche 9h-18h", "Mo-Sa 09:00-18:00"),
    ("9h-18h tous les jours sauf le dimanche", "Mo-Sa 09:00-18:00"),
    ("9h-12h du lundi au jeudi, 9h-11h le vendredi", "Mo-Th 09:00-12:00; Fr 09:00-11:00"),
    ("Tous les mercredis : 14h-17h", "We 14:00-17:00"),
    ("week-end 14h-19h", "Sa,Su 14:00-19:00"),
    ("fermé le lundi", "Mo off"),
    ("Lundi : Fermé ; Mardi : 9h à 12h et 14h à 17h", "Mo off; Tu 09:00-12:00,14:00-17:00"),
    ("Du mardi au samedi 10h-18h, fermé dimanche et lundi", "Mo,Su off; Tu-Sa 10:00-18:00"),
    ("1er samedi du mois 14h-17h", "Sa[1] 14:00-17:00"),
    ("Samedi : 1er samedi du mois : 9h-12h", "Sa[1] 09:00-12:00"),
    ("1er et 3ème samedis du mois de 14h à 17h", "Sa[1,3] 14:00-17:00"),
    ("le deuxième mercredi et le 4e jeudi du mois 14h-17h", "We[2] 14:00-17:00; Th[4] 14:00-17:00"),
    ("Dernier dimanche de chaque mois de 14h à 18h", "Su[-1] 14:00-18:00"),
    ("sur rendez-vous", '"sur rendez-vous"'),
    ("Uniquement sur RDV", '"sur rendez-vous"'),
    ("Tous les jours sur rendez-vous", 'Mo-Su "sur rendez-vous"'),
    ("lundi au vendredi 9h-18h sur rendez-vous", 'Mo-Fr 09:00-18:00 "sur rendez-vous"'),
    ("Lundi : 14h-16h30 (sur rdv)", 'Mo 14:00-16:30 "sur rendez-vous"'),
    ("Lundi 9h-12h ; sur rendez-vous", 'Mo 09:00-12:00 || "sur rendez-vous"'),
    ("Jeudi 9h-12h et sur rendez-vous", 'Th 09:00-12:00 || "sur rendez-vous"'),
    ("24h/24", "24/7"),
    ("24h/24 et 7j/7", "24/7"),
    ("Ouvert 7j/7 24h/24", "24/7"),
    ("7j/7 de 8h à 20h", "Mo-Su 08:00-20:00"),
    ("Samedi de 10h à midi", "Sa 10:00-12:00"),
    ("Vendredi 18h à minuit", "Fr 18:00-24:00"),
    ("Samedi 20h-2h", "Sa 20:00-02:00"),
    ("lundi 8 h 30 à 12 h  - 14 h à 17 h", "Mo 08:30-12:00,14:00-17:00"),
    ("lundi 8h30/12h30 - 13h30/17h", "Mo 08:30-12:30,13:30-17:00"),
    ("mardi 9-12h et 13h30-18h", "Tu 09:00-12:00,13:30-18:00"),
    ("mardi 9h-12h le matin, 14h-18h l'après-midi", "Tu 09:00-12:00,14:00-18:00"),
    ("Lundi : 8h30 à 12h - Fermé l'après-midi", "Mo 08:30-12:00"),
    ("Lundi : Fermé / 14:00-18:00", "Mo 14:00-18:00"),
    (
        "mardi mercredi et vendredi : 14h-18h |samedi : 9h-13h",
        "Tu,We,Fr 14:00-18:00; Sa 09:00-13:00",
    ),
    ("Lundi 13h30-17h;jeudi 9h-12h30", "Mo 13:30-17:00; Th 09:00-12:30"),
    ("Lundi au vendredi : 9h-12h30.13h30-17h", "Mo-Fr 09:00-12:30,13:30-17:00"),
    ("Lundi-vendredi&nbsp;: 9h&#45;12h<br />Samedi : 14h-18h", "Mo-Fr 09:00-12:00; Sa 14:00-18:00"),
    ("d'avril à octobre : du lundi au samedi 9h-18h", "Apr-Oct Mo-Sa 09:00-18:00"),
    ("Lundi au vendredi 9h-18h, fermé en août", "Mo-Fr 09:00-18:00; Aug off"),
    ("Lundi au samedi 9h-18h sauf jours fériés", "Mo-Sa 09:00-18:00; PH off"),
    ("Mercredi 14h-18h hors vacances scolaires", "We 14:00-18:00; SH off"),
    (
        "du lundi au vendredi 9h-18h sauf mercredi 14h-18h",
        "Mo,Tu,Th,Fr 09:00-18:00; We 14:00-18:00",
    ),
    ("Mardi 14h16h30", "Tu 14:00-16:30"),
    ("Jeudi : 9h12h-14h17h", "Th 09:00-12:00,14:00-17:00"),
    ("Lundi : 9h-12h Mardi:9h-12h", "Mo,Tu 09:00-12:00"),
    ("LUNDI 9H00-12H00", "Mo 09:00-12:00"),
    ("lundi 09:00:00-12:00:00", "Mo 09:00-12:00"),
]

NOT_UNDERSTOOD = [
    "9h-18h",
    "Vendredi à partir de 18h",
    "en fonction des événements",
    "Lundi au vendredi 9h-18h, week-end selon programmation",
    "Lundi au vendredi 12h-19h, matin sur rendez-vous",
    "2 vendredi par mois 9h-13h",
    "un samedi sur deux 9h-12h",
    "lundi matin et mardi 9h-12h",
    "lundi après-midi, mardi 9h-12h",
    "samedi 10h et 15h",
    "samedi 10h, 15h",
    "lundi 9h - 15h / 14h - 19h",
    "lundi 9h-12h ; lundi au vendredi 14h-18h",
    "lundi au vendredi 9h-12h, mercredi 14h-18h",
    "samedi 10h-12h, 1er samedi du mois 14h-17h",
    "Lundi : mardi 9h-12h",
    "lundi mardi",
    "lundi 9h",
    "lundi 25h-26h",
    "lundi 9h70-10h",
    "lundi 9-12",
    "lundi 9h-12h appeler Jean Dupont",
    "verdredi 9h-12h",
    "1er samedi 9h-12h 14",
    "6e samedi du mois 9h-12h",
    "9h-12h lundi 14h-18h",
    "lundi 9h-12h; 14h-18h mardi",
    "Jeudi 20h-19h",
    "juillet",
    "fermé",
    "sauf lundi",
    "9h-18h sauf le lundi",
    "lundi 06 12 34 56 78",
    ";",
    "h" * 5000,
    "lundi " * 2000,
]

SYNTAX = [
    ("Mo-Fr 09:00-12:00,14:00-18:00; Sa 10:00-12:00", True),
    ("24/7", True),
    ("We[1] 14:00-18:00; PH off", True),
    ("Apr-Oct Mo,We 09:00-18:00", True),
    ('Mo-Fr 09:00-18:00 || "sur rendez-vous"', True),
    ('Mo 09:00-12:00 "appeler Jean"', False),
    ("Mo[6] 09:00-12:00", False),
    ("Mo[0] 09:00-12:00", False),
    ("Mo-Fr 09:00-25:61", False),
    ("Jan 32 off", False),
    ("Mo-Fr 9h-12h", False),
    ("", False),
]


@pytest.mark.parametrize(("written", "expected"), UNDERSTOOD)
def test_hours_are_read_whole(written, expected):
    assert opening_hours(written) == expected
    assert is_osm(expected)


@pytest.mark.parametrize("written", NOT_UNDERSTOOD)
def test_half_an_answer_is_none(written):
    assert opening_hours(written) is None


@pytest.mark.parametrize(("written", "expected"), SYNTAX)
def test_the_syntax_is_checked(written, expected):
    assert is_osm(written) is expected


def test_a_fiche_keeps_syntax_and_gets_the_reading_of_free_text():
    rows = [
        {"horaires": "Mo-Fr 09:00-12:00"},
        {"horaires": "Mo-Fr  9:00-12:00 ;"},
        {"horaires": "Lundi 9h-12h"},
        {"horaires": "quand on peut, appeler Jean au 06 12 34 56 78"},
        {"horaires": "-"},
    ]
    assert [fiche["horaires"] for fiche in each(*rows)] == [
        "Mo-Fr 09:00-12:00",
        "Mo-Fr 09:00-12:00",
        "Mo 09:00-12:00",
        None,
        None,
    ]
    refused = {("horaires", "horaires_non_compris")}
    assert rules_of_each(*rows) == [set(), set(), set(), refused, set()]


def test_what_was_written_is_kept_beside_what_was_read():
    changes = clean({"horaires": "Lundi 9h-12h"}).transformations.to_pylist()
    (change,) = [c for c in changes if c["champ"] == "horaires"]
    assert (change["valeur_source"], change["regle"]) == ("Lundi 9h-12h", "horaires_en_syntaxe_osm")


def test_a_refused_text_shows_its_words_of_time_only():
    row = {"horaires": "Lundi 9h-12h, appeler Jean au 06 12 34 56 78"}
    (reject,) = clean(row).rejects.to_pylist()
    assert reject["valeur_masquee"].startswith("Lundi 9h-12h, xxxxxxx xxxx au")
    assert "Jean" not in reject["valeur_masquee"]
    assert "34" not in reject["valeur_masquee"]


DAYS = st.sampled_from(["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"])
WORDS = st.sampled_from(
    """
    lundi mardi vendredi samedi au à et de - / , ; : . ( ) 9h 12h 14h30 18h 9 12 midi minuit fermé
    sauf sur rendez-vous 1er dernier du mois août avril tous les jours 24h/24 matin le
    """.split()  # noqa: SIM905 — a list of words reads better as words
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_any_answer_is_valid_syntax_and_reads_back_as_itself(text):
    found = opening_hours(text)
    if found is not None:
        assert is_osm(found)
        assert one(horaires=found)["horaires"] == found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(DAYS, st.integers(0, 11), st.integers(12, 23)), unique_by=lambda x: x[0]))
def test_clauses_in_any_order_give_the_same_hours(clauses):
    written = [f"{day} {start}h-{end}h" for day, start, end in clauses]
    assert opening_hours(" ; ".join(written)) == opening_hours(" ; ".join(reversed(written)))


WEEK = ("Lundi", "Mardi", "Mercredi", "Jeudi", "Vendredi", "Samedi", "Dimanche")


@pytest.mark.skipif(not LISTINGS, reason="LOWTECH_LISTINGS n’est pas donné")
def test_most_hours_of_real_listings_are_understood():
    folder = Path(LISTINGS) / "real"
    hinaura = json.loads((folder / "hinaura_yeswiki.json").read_text("utf-8"))
    paca = json.loads((folder / "paca_mednum.json").read_text("utf-8"))
    cells = [f"{day} : {row[day]}" for row in hinaura for day in WEEK if row.get(day)]
    texts = [row["horaires_ouverture_brut"] for row in paca if row.get("horaires_ouverture_brut")]
    assert _share(cells) > 0.85
    assert _share(texts) > 0.7


def _share(texts):
    counts = Counter(texts)
    understood = sum(n for text, n in counts.items() if opening_hours(text))
    return understood / counts.total()
