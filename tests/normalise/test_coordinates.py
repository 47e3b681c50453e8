"""Positions as listings give them: repaired when it can be proved, refused otherwise."""

import pytest

from .support import clean, each, one, rules_of_each


def points(*pairs: tuple[str | None, str | None]) -> list[tuple[float | None, float | None]]:
    rows = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in pairs]
    return [(f.get("latitude"), f.get("longitude")) for f in each(*rows)]


REPAIRED = [
    ("47,2184", "-1,5536", (47.2184, -1.5536)),
    ("-1.5536", "47.2184", (47.2184, -1.5536)),
    ("47.2184, -1.5536", None, (47.2184, -1.5536)),
    (None, "47.2184, -1.5536", (47.2184, -1.5536)),
    ("47.2184;-1.5536", "47.2184;-1.5536", (47.2184, -1.5536)),
    ("47,2184 ; -1,5536", None, (47.2184, -1.5536)),
    ("-1.5536 47.2184", None, (47.2184, -1.5536)),
    ("POINT(-1.5536 47.2184)", None, (47.2184, -1.5536)),
    ("50°44'41.9\"N", "2°15'0\"E", (50.744972, 2.25)),
    ("50° 44’ 41,9″ N", "2° 15’ 0″ E", (50.744972, 2.25)),
    ("N 50°44'41.9\"", "E 2°15'0\"", (50.744972, 2.25)),
    ("48°06.5'N", "1°40.8'O", (48.108333, -1.68)),
    ("48.1173° N", "1.6778° W", (48.1173, -1.6778)),
    ("50°44'41.9\"N 2°15'0\"E", None, (50.744972, 2.25)),
    ("48.1173", "1.6778 W", (48.1173, -1.6778)),
    ("6881710.34", "631468.28", (49.031624, 2.062821)),
    ("631468.28", "6881710.34", (49.031624, 2.062821)),
    ("652381.27", "6862047.11", (48.8567, 2.351)),
    ("-20,8823", "55,4504", (-20.8823, 55.4504)),
    ("48.8566°", "2.3522°", (48.8566, 2.3522)),
]


def test_what_can_be_proved_is_repaired():
    found = points(*((latitude, longitude) for latitude, longitude, _ in REPAIRED))
    for (*written, read), (latitude, longitude) in zip(REPAIRED, found, strict=True):
        assert (latitude, longitude) == pytest.approx(read, abs=2e-4), written


REFUSED = [
    ("0", "0", "coordonnees_nulles"),
    ("0.0", "0.0", "coordonnees_nulles"),
    ("91", "2.35", "coordonnees_hors_bornes"),
    ("48.85", "361", "coordonnees_hors_bornes"),
    ("47.2", None, "coordonnees_incompletes"),
    ("à venir", "à venir", "coordonnees_illisibles"),
    ("nan", "inf", "coordonnees_illisibles"),
    ("1e308", "1e308", "coordonnees_hors_bornes"),
    ("47.2184, -1.5536, 12", None, "coordonnees_illisibles"),
]


def test_what_cannot_be_is_refused_with_its_reason():
    rows = [{"latitude": latitude, "longitude": longitude} for latitude, longitude, _ in REFUSED]
    for (*written, rule), found in zip(REFUSED, rules_of_each(*rows), strict=True):
        assert ("latitude", rule) in found, written
    assert {fiche["latitude"] for fiche in each(*rows)} == {None}


def test_a_lost_sign_is_given_back_when_the_commune_proves_it():
    nantes = {"code_postal": "44000", "commune": "Nantes"}
    reunion = {"code_postal": "97400", "commune": "Saint-Denis"}
    fiches = each(
        {**nantes, "latitude": "47.2184", "longitude": "1.5536"},
        {**nantes, "latitude": "-47.2184", "longitude": "-1.5536"},
        {**reunion, "latitude": "20.8823", "longitude": "55.4504"},
    )
    assert [(f.get("latitude"), f.get("longitude")) for f in fiches] == [
        (47.2184, -1.5536),
        (47.2184, -1.5536),
        (-20.8823, 55.4504),
    ]


ABROAD = [
    ("50.8466", "4.3528"),  # Bruxelles
    ("50.606", "3.388"),  # Tournai
    ("46.2044", "6.1432"),  # Genève
    ("45.0703", "7.6869"),  # Turin
    ("43.2630", "-2.9350"),  # Bilbao
    ("41.3874", "2.1686"),  # Barcelone
    ("49.6117", "6.1319"),  # Luxembourg
    ("49.2402", "6.9969"),  # Sarrebruck
    ("50.9097", "-1.4044"),  # Southampton
    ("45.5017", "-73.5673"),  # Montréal
]


def test_a_point_abroad_is_abroad_even_beside_the_border():
    rows = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in ABROAD]
    found = dict(zip(ABROAD, rules_of_each(*rows), strict=True))
    assert found == {point: {("*", "hors_france")} for point in ABROAD}


IN_FRANCE = [
    ("48.573", "7.8010"),  # sur le Rhin, à Strasbourg
    ("46.1560", "-1.1700"),  # devant le port de La Rochelle
    ("18.0708", "-63.0501"),  # Saint-Martin
    ("17.8962", "-62.8498"),  # Saint-Barthélemy
    ("46.7811", "-56.1764"),  # Saint-Pierre
    ("-22.2758", "166.4580"),  # Nouméa
    ("-17.5350", "-149.5696"),  # Papeete
    ("-13.2825", "-176.1736"),  # Wallis
    ("-12.7806", "45.2278"),  # Mamoudzou
    ("4.9372", "-52.3260"),  # Cayenne
]


def test_the_coast_the_border_and_the_overseas_are_in_france():
    assert points(*IN_FRANCE) == [(float(la), float(lo)) for la, lo in IN_FRANCE]


def test_a_point_far_from_its_commune_is_refused_and_a_neighbour_kept():
    nantes = {"code_postal": "44000", "commune": "Nantes"}
    rows = [
        {**nantes, "latitude": "43.6", "longitude": "1.44"},
        {**nantes, "latitude": "47.2735", "longitude": "-2.2137"},  # Saint-Nazaire
        {**nantes, "latitude": "47.1800", "longitude": "-1.5500"},  # Rezé
        # Le centre d'Arles est à 35 km de ce point, qui est dans la commune.
        {"code_postal": "13200", "commune": "Arles", "latitude": "43.42", "longitude": "4.75"},
    ]
    assert [f["latitude"] is None for f in each(*rows)] == [True, True, False, False]
    found = rules_of_each(*rows)
    assert [("latitude", "loin_de_la_commune") in rule for rule in found] == [
        True,
        True,
        False,
        False,
    ]


def test_many_names_at_one_point_are_no_addresses():
    place = {"latitude": "47.6789", "longitude": "-2.7597", "precision_geo": "housenumber"}
    names = ["Aubier", "Brindille", "Cordage", "Dalle", "Établi", "Fusain", "Gravier", "Hublot"]
    stacked = clean(*({"nom": name, **place} for name in names)).fiches.to_pylist()
    assert {f["precision_geo"] for f in stacked} == {"commune"}
    shared = clean(
        *({"nom": name, "adresse": "3 rue du Port", **place} for name in names)
    ).fiches.to_pylist()
    assert {f["precision_geo"] for f in shared} == {"numero"}


def test_a_stack_of_points_gives_no_commune():
    place = {"latitude": "45.1890", "longitude": "5.7245"}
    names = ["Aubier", "Brindille", "Cordage", "Dalle", "Établi", "Fusain", "Gravier", "Hublot"]
    assert {f["code_insee"] for f in each(*({"nom": name, **place} for name in names))} == {None}
    assert one(**place)["code_insee"] == "38185"


def test_precision_codes_are_the_published_ones():
    cases = [
        ("housenumber", "numero"),
        ("street", "voie"),
        ("locality", "lieu_dit"),
        ("municipality", "commune"),
        ("centre_de_geometrie", "inconnue"),
        (None, "inconnue"),
    ]
    place = {"latitude": "47.2254", "longitude": "-1.5706"}
    fiches = each(*({**place, "precision_geo": written} for written, _ in cases))
    assert [f["precision_geo"] for f in fiches] == [code for _, code in cases]
