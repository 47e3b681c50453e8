from .support import each, one, rules, rules_of_each


def test_one_commune_answers():
    cases = [
        ({"code_postal": "6410", "commune": "BIOT"}, "06018", None),
        ({"code_postal": "44 000", "commune": "Nantes Cedex 2"}, "44109", None),
        ({"code_postal": "0", "commune": "FORCALQUIER", "code_insee": "4088"}, "04088", None),
        ({"code_postal": "93200", "commune": "St Denis"}, "93066", None),
        ({"code_postal": "93210", "commune": "La Plaine Saint-Denis"}, "93066", None),
        ({"code_postal": "75011", "commune": "Paris"}, "75056", "75111"),
        ({"commune": "PARIS 11ème"}, "75056", "75111"),
        ({"code_insee": "69383"}, "69123", "69383"),
        ({"commune": "Marseille 1er arrondissement"}, "13055", "13201"),
        ({"code_postal": "44099", "commune": "Nantes"}, "44109", None),
        ({"code_postal": "35510", "commune": "Cesson"}, "35051", None),
        ({"code_postal": "43000", "commune": "Puy-en-Velay"}, "43157", None),
        ({"commune": "Concarneau", "code_insee": "0"}, "29039", None),
        ({"commune": "Saint-Denis", "latitude": "48.936", "longitude": "2.357"}, "93066", None),
        ({"commune": "Saint-Denis", "latitude": "-20.88", "longitude": "55.45"}, "97411", None),
        ({"code_postal": "38000"}, "38185", None),
        ({"code_postal": "20200", "commune": "Bastia"}, "2B033", None),
        ({"code_postal": "97434", "commune": "Saint-Paul"}, "97415", None),
        ({"adresse": "12 rue Haute, 44000 Nantes"}, "44109", None),
        ({"code_postal": "99999", "commune": "Gap"}, "05061", None),
    ]
    fiches = each(*(row for row, _, _ in cases))
    assert [(f["code_insee"], f["code_arrondissement"]) for f in fiches] == [
        (code, district) for _, code, district in cases
    ]


def test_the_territory_follows_from_the_commune():
    fiche = one(code_postal="6410", commune="BIOT")
    assert fiche["commune"] == "Biot"
    assert fiche["code_postal"] == "06410"
    assert (fiche["code_departement"], fiche["code_region"]) == ("06", "93")
    assert fiche["code_epci"]


def test_an_uncertain_commune_is_refused():
    cases = [
        ({"commune": "Saint-Martin"}, "commune_ambigue"),
        ({"code_postal": "28140"}, "commune_ambigue"),
        ({"commune": "Trifouillis-les-Oies"}, "commune_inconnue"),
        ({"code_postal": "44000", "commune": "Rennes"}, "commune_ambigue"),
        (
            {"commune": "Concarneau", "latitude": "43.6", "longitude": "1.44"},
            "commune_contredite_par_la_position",
        ),
    ]
    rows = [row for row, _ in cases]
    assert [fiche["code_insee"] for fiche in each(*rows)] == [None] * len(cases)
    for found, (_, rule) in zip(rules_of_each(*rows), cases, strict=True):
        assert ("commune", rule) in found


def test_a_postcode_of_no_departement_is_refused_by_itself():
    assert rules(code_postal="99999", commune="Gap") == {("code_postal", "code_postal_invalide")}
    assert one(code_postal="99999", commune="Gap")["code_postal"] == "05000"


def test_nothing_said_of_the_commune_is_no_mistake():
    assert rules(nom="Atelier sans lieu") == set()


def test_positions_are_repaired_when_provable():
    cases = [
        ("47,2184", "-1,5536", (47.2184, -1.5536)),
        ("-1.5536", "47.2184", (47.2184, -1.5536)),
        ("6881710.34", "631468.28", (49.031624, 2.062821)),
        ("631468.28", "6881710.34", (49.031624, 2.062821)),
        ("50°44'41.9\"N", "2°15'0\"E", (50.744972, 2.25)),
        ("-21.065862", "55.222177", (-21.065862, 55.222177)),
        ("47.2184, -1.5536", None, (47.2184, -1.5536)),
        ("0", "0", (None, None)),
        ("91", "200", (None, None)),
        ("TBD", "TBD", (None, None)),
        ("nan", "inf", (None, None)),
        ("47.2", None, (None, None)),
    ]
    fiches = each(*({"latitude": la, "longitude": lo} for la, lo, _ in cases))
    assert [(f["latitude"], f["longitude"]) for f in fiches] == [case[2] for case in cases]


def test_a_point_far_from_its_commune_is_refused():
    row = {
        "code_postal": "44000",
        "commune": "Nantes",
        "latitude": "43.6",
        "longitude": "1.44",
    }
    assert one(**row)["latitude"] is None
    assert ("latitude", "loin_de_la_commune") in rules(**row)


def test_a_point_at_the_centre_says_so():
    row = {"code_postal": "75011", "commune": "Paris", "latitude": "48.85659"}
    assert one(**row, longitude="2.34292")["precision_geo"] == "commune"
    assert one(**row, longitude="2.3529")["precision_geo"] == "inconnue"


def test_abroad_is_left_out():
    rows = [
        {"pays": "BE"},
        {"pays": "Suisse", "latitude": "46.2", "longitude": "6.14"},
        {"latitude": "45.5", "longitude": "-73.5"},
    ]
    assert each(*rows) == [{}] * len(rows)
    assert rules_of_each(*rows) == [{("*", "hors_france")}] * len(rows)


def test_the_street_holds_the_street_only():
    cases = [
        ("Maison des Arts<br />12 rue Haute<br>44000 Nantes", "12 rue Haute", "Maison des Arts"),
        ("12 rue Haute, 44000 NANTES", "12 rue Haute", None),
        ("12 rue Haute 44000 Nantes Cedex 2", "12 rue Haute", None),
        ("12 av. de la Gare, BP 12345", "12 av. de la Gare", "BP 12345"),
        ("Nantes", None, None),
        ("12 rue de Rennes", "12 rue de Rennes", None),
        ("12 rue Haute, 35000 Rennes", "12 rue Haute, 35000 Rennes", None),
    ]
    place = {"code_postal": "44000", "commune": "Nantes"}
    fiches = each(*({"adresse": address, **place} for address, _, _ in cases))
    assert [(f["adresse"], f["complement_adresse"]) for f in fiches] == [c[1:] for c in cases]


def test_the_commune_hidden_in_the_street_is_read():
    row = {"adresse": "13 rue de la Cure Benet", "latitude": "46.3686", "longitude": "-0.5947"}
    assert one(**row)["code_insee"] == "85020"
