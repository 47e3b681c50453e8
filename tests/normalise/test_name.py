from .support import clean, each, rules_of_each

PERSON = ("nom", "nom_de_personne_possible")


def test_a_person_is_flagged_and_her_home_is_not_published():
    home = {
        "adresse": "3 rue Haute",
        "commune": "Benet",
        "code_postal": "85490",
        "latitude": "46.3700",
        "longitude": "-0.6100",
    }
    names = ["Mme Martin", "Jean Dupont", "Marie-Claude DURAND", "DUPONT Jean", "Ferme de Jean D."]
    rows = [{"nom": name, **home} for name in names]
    assert all(PERSON in found for found in rules_of_each(*rows))
    for fiche in each(*rows):
        assert fiche["statut"] == "a_verifier"
        assert fiche["adresse"] is None
        assert fiche["precision_geo"] == "commune"
        assert (fiche["latitude"], fiche["longitude"]) != (46.37, -0.61)


def test_the_reject_does_not_spell_the_person_out():
    (reject,) = clean({"nom": "Jean Dupont"}).rejects.to_pylist()
    assert reject["valeur_masquee"] == "J… D…"


def test_a_place_is_not_taken_for_a_person():
    names = [
        "Médiathèque Victor Hugo",
        "Espace Simone",
        "Atelier Martin",
        "FABLAB",
        "La Rose",
        "Low-tech Lab",
        "Grenoble Cyclo",
    ]
    assert rules_of_each(*({"nom": name} for name in names)) == [set()] * len(names)


def test_without_a_name_the_fiche_is_refused_as_a_whole():
    names = [None, "", "   ", "—", "<br />", "jean.dupont@gmail.com"]
    rows = [{"nom": name} for name in names]
    assert each(*rows) == [{}] * len(names)
    assert rules_of_each(*rows) == [{("*", "nom_absent")}] * len(names)
