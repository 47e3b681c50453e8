from .support import clean, each, one, read, rules, rules_of_each


def test_siret():
    cases = [
        ("83284597800028", "83284597800028"),
        ("832 845 978 00028", "83284597800028"),
        ("SIRET : 832 845 978 00028", "83284597800028"),
        ("n° SIRET 832.845.978.00028", "83284597800028"),
        ("832\u00a0845\u202f978\u00a000028", "83284597800028"),
        ("83284597800028.0", "83284597800028"),
        ("8.3284597800028E+13", "83284597800028"),
        ("35600000000048", "35600000000048"),
        ("35600000049837", "35600000049837"),
        ("83284597800029", None),
        ("8.32845978E+13", None),
        ("8.32e13", None),
        ("8,32E+13", None),
        ("5410220700031", None),
        ("83284597800028 / 35600000000048", None),
        ("00000000000000", None),
        ("000000000", None),
        ("832845978", None),
        ("en cours", None),
    ]
    assert read("siret", "siret", cases) == cases


def test_a_number_that_is_not_one_says_why():
    cases = [
        ({"siret": "00000000000000"}, set()),
        ({"siret": "83284597800029"}, {("siret", "siret_invalide")}),
        ({"siret": "8.32845978E+13"}, {("siret", "chiffres_perdus")}),
        ({"siret": "8,32E+13"}, {("siret", "chiffres_perdus")}),
        ({"siret": "832845979"}, {("siret", "siret_invalide")}),
        ({"siret": "FR00832845978"}, {("siret", "siret_invalide")}),
        ({"rna": "W000000000"}, set()),
        ({"rna": "W12345"}, {("rna", "rna_invalide")}),
        ({"identifiants": ["siren=832845979"]}, {("identifiants", "identifiant_invalide")}),
        ({"identifiants": ["siret=1"]}, {("identifiants", "identifiant_invalide")}),
        ({"identifiants": ["wikidata=Paris"]}, {("identifiants", "identifiant_invalide")}),
        ({"identifiants": ["osm=12"]}, {("identifiants", "identifiant_invalide")}),
    ]
    assert rules_of_each(*(row for row, _ in cases)) == [rules for _, rules in cases]


def test_a_siren_is_an_identifier():
    cases = [
        ("832845978", ["siren=832845978"]),
        ("832 845 978", ["siren=832845978"]),
        ("FR15832845978", ["siren=832845978"]),
        ("FR 15 832 845 978", ["siren=832845978"]),
        ("832845979", []),
    ]
    assert read("siret", "identifiants", cases) == cases
    fiche = one(siret="832845978", identifiants=["osm=node/12", "wikidata=Q42", "siren=832845978"])
    assert fiche["identifiants"] == ["siren=832845978", "osm=node/12", "wikidata=Q42"]


def test_rna():
    cases = [
        ("w 442 012345", "W442012345"),
        ("W442012345", "W442012345"),
        ("W2A1001234", "W2A1001234"),
        ("RNA : W442012345", "W442012345"),
        ("442", None),
        ("WA42012345", None),
    ]
    assert read("rna", "rna", cases) == cases


def test_licences():
    cases = [
        ("Attribution (CC BY)", "cc-by"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "cc-by-sa-4.0"),
        ("CC BY-NC-SA 3.0", "cc-by-nc-sa-3.0"),
        ("https://opendatacommons.org/licenses/odbl/summary/", "odbl-1.0"),
        ("Licence Ouverte 2.0", "lov2"),
        ("CERN Open Hardware Licence (CERN OHL)", "cern-ohl"),
        ("CERN Open Hardware Licence v1.2", "cern-ohl-1.2"),
        ("Attribution-ShareAlike (CC BY-SA)", "cc-by-sa"),
        ("CC-By-NC-SA", "cc-by-nc-sa"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("https://opendatacommons.org/licenses/by/1-0/", "odc-by-1.0"),
        ("Etalab-2.0", "lov2"),
        ("https://www.etalab.gouv.fr/licence-ouverte-open-licence", "lov2"),
        ("GNU GPL v3", "gpl-3.0"),
        ("Public domain", "domaine_public"),
        ("Attribution 4.0 International", "aucune"),
        ("tous droits réservés (CC BY refusée)", "aucune"),
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
        ("duree", "66 month(s)", "duree_h", 47520.0),
        ("duree", "2 hour(s) heure(s)", "duree_h", 2.0),
        ("duree", "6 month(s) mois", "duree_h", 4320.0),
        ("duree", "1,5 hour(s) heure(s)", "duree_h", 1.5),
        ("duree", "2h30", "duree_h", 2.5),
        ("duree", "1 h 05 min", "duree_h", 1.08),
        ("duree", "0 minute(s)", "duree_h", None),
        ("duree", "2", "duree_h", None),
        ("duree", "2 hour(s) jour(s)", "duree_h", None),
        ("duree", "longtemps", "duree_h", None),
        ("cout", "400 EUR (€)", "cout_eur", 400.0),
        ("cout", "50-850 EUR (€)", "cout_eur", 50.0),
        ("cout", "0 EUR (€)", "cout_eur", 0.0),
        ("cout", "1 500,50 €", "cout_eur", 1500.5),
        ("cout", "€ 20", "cout_eur", 20.0),
        ("cout", "15", "cout_eur", None),
        ("cout", "850-50 EUR (€)", "cout_eur", None),
        ("cout", "-5 EUR", "cout_eur", None),
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
