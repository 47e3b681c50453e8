from .support import clean, each, one, read, rules, rules_of_each


def test_siret():
    cases = [
        ("83284597800028", "83284597800028"),
        ("832 845 978 00028", "83284597800028"),
        ("35600000000048", "35600000000048"),
        ("35600000049837", "35600000049837"),
        ("83284597800029", None),
        ("00000000000000", None),
        ("832845978", None),
    ]
    assert read("siret", "siret", cases) == cases


def test_fourteen_zeros_say_nothing_and_a_siren_is_an_identifier():
    rows = [{"siret": "00000000000000"}, {"siret": "83284597800029"}]
    assert rules_of_each(*rows) == [set(), {("siret", "siret_invalide")}]
    fiche = one(siret="832845978", identifiants=["osm=node/12"])
    assert fiche["identifiants"] == ["siren=832845978", "osm=node/12"]


def test_rna():
    cases = [("w 442 012345", "W442012345"), ("W442012345", "W442012345"), ("442", None)]
    assert read("rna", "rna", cases) == cases


def test_dates():
    cases = [
        ("2024-03-11T09:41:45+01:00", "2024-03-11", None),
        ("05/05/2021 14:29:42", "2021-05-05", None),
        ("Dernière modification le 11/12/2023", "2023-12-11", None),
        ("1620224982", "2021-05-05", None),
        ("1620224982000", "2021-05-05", None),
        ("01/01/1970", None, None),
        ("31/02/2021", None, "date_illisible"),
        ("12/03/21", None, "date_illisible"),
        ("3000-01-01", None, "date_hors_bornes"),
        ("1889-05-06", None, "date_hors_bornes"),
        ("March 3, 2021", None, "date_illisible"),
    ]
    rows = [{"date_maj": written} for written, _, _ in cases]
    assert [f["date_maj"] for f in each(*rows)] == [expected for _, expected, _ in cases]
    assert rules_of_each(*rows) == [{("date_maj", rule)} if rule else set() for _, _, rule in cases]


def test_licences():
    cases = [
        ("Attribution (CC BY)", "cc-by"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "cc-by-sa-4.0"),
        ("CC BY-NC-SA 3.0", "cc-by-nc-sa-3.0"),
        ("https://opendatacommons.org/licenses/odbl/summary/", "odbl-1.0"),
        ("Licence Ouverte 2.0", "lov2"),
        ("CERN Open Hardware Licence (CERN OHL)", "cern-ohl"),
        ("Tous droits réservés", "aucune"),
        ("faites-vous plaisir", "aucune"),
        ("cc-by-4.0", "cc-by-4.0"),
        (None, None),
    ]
    assert read("licence", "licence", cases) == cases


def test_an_unknown_licence_permits_nothing_and_is_shown():
    assert rules(licence="faites-vous plaisir") == {("licence", "licence_inconnue")}


def test_a_type_brings_its_defaults_and_unknown_codes_are_refused():
    rows = [
        {"type": "atelier_velo"},
        {"type": "atelier_velo", "themes": ["energie"]},
        {"type": "chateau", "themes": ["x"]},
    ]
    assert [(f["type"], f["nature"], f["themes"]) for f in each(*rows)] == [
        ("atelier_velo", "lieu", ["mobilite", "reparation"]),
        ("atelier_velo", "lieu", ["energie"]),
        (None, None, []),
    ]
    assert rules_of_each(*rows)[2] == {("type", "type_inconnu"), ("themes", "theme_inconnu")}


def test_status():
    cases = [(None, "publie"), ("closed", "ferme"), ("1", "publie"), ("-2", "retire")]
    cases.append(("zut", "publie"))
    assert read("statut", "statut", cases) == cases


def test_resource_fields():
    cases = [
        ("duree", "1 day(s)", "duree_h", 24.0),
        ("duree", "30 minute(s)", "duree_h", 0.5),
        ("duree", "2 month(s)", "duree_h", 1440.0),
        ("duree", "longtemps", "duree_h", None),
        ("cout", "400 EUR (€)", "cout_eur", 400.0),
        ("cout", "50-850 EUR (€)", "cout_eur", 50.0),
        ("cout", "10 USD ($)", "cout_eur", None),
        ("difficulte", "Very easy", "difficulte", "tres_facile"),
        ("langue", "fr-FR", "langue", "fr"),
        ("langue", "Français", "langue", "fr"),
    ]
    fiches = each(*({"entite": "ressource", field: written} for field, written, _, _ in cases))
    assert [fiche[case[2]] for fiche, case in zip(fiches, cases, strict=True)] == [
        case[3] for case in cases
    ]


def test_every_default_is_a_recorded_transformation():
    changes = clean({"type": "fablab"}).transformations.to_pylist()
    assert {(c["champ"], c["regle"]) for c in changes} == {
        ("nature", "defaut_du_type"),
        ("themes", "defaut_du_type"),
        ("familles", "defaut_du_type"),
    }


def test_a_name_says_its_kind_when_the_source_does_not():
    cases = {
        "Repair Café - Benet": "repair_cafe",
        "REPAIR CAFE de Parthenay": "repair_cafe",
        "La Recyclerie du Coin": "ressourcerie",
        "Atelier Vélo Solidaire": "atelier_velo",
        "Konk'ar Fab Lab": "fablab",
        "Fablabulous": None,
        "Chez Marcel": None,
    }
    found = each(*({"nom": name} for name in cases))
    assert [fiche["type"] for fiche in found] == list(cases.values())
    assert one(nom="Repair Café de la Ressourcerie", type="association")["type"] == "association"
    assert one(nom="Recyclerie du Port")["themes"] == ["reemploi"]
