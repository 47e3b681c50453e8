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


PEOPLE = (
    "Jean Dupont", "Mme Martin", "Ferme de Jean D.", "M. Paul Durand – réparateur",
    "Jean Dupont, réparateur", "Paul Morel (menuisier)", "Claire Roux - couture",
    "Mademoiselle Roux", "Docteur Petit", "Dr Luc Petit", "Madame Lefebvre",
    "Jean Saint-Pierre", "Lefebvre Jean-Marie", "ROUXEL M-Annick", "LE GALL Yann",
    "Marion Le Pennec", "Sophie de la Tour", "Baldens Sylvie", "GARNIER VALERIE",
    "Lorraine Dupont", "Ariane Morel", "Colette Villard", "Benoit  Gatineau",
)  # fmt: skip
PLACES = (
    "Mademoiselle Vrac", "Humanlab Saint-Pierre", "Place Gustave", "Ariane Mediterranee",
    "Bibliothèque Aristide-Albert", "Médiathèque Colette", "Médiathèque Villa-Marie",
    "Docteur Ordinateur", "Pimms Ariane", "Lou Casteu", "Saint Andre", "Collectormania France",
    "Oxfam France", "Bambouseraie du Guillaume", "Utopia Ile-de-France", "Utopia Lorraine",
    "Madame Recup", "Monsieur Bricolage", "Dr Vélo", "Mr Bricolage", "Sainte Marie",
    "Saint-Simon", "Familles Rurales", "Famille rurale", "Ludothèque Simone",
    "Victor Hugo, médiathèque", "Médiathèque Victor Hugo - Lyon", "M Lab", "France Bénévolat",
    "Fablab Jeanne", "Ressourcerie Alice", "Emmaüs Alençon", "Centre social Simone Veil",
    "L’atelier de Noé", "L'atelier de René", "Cycles Laurent (artisan)",
    "Marie de Montbrison - CCAS",
)  # fmt: skip


def test_people_and_places_are_told_apart():
    flagged = rules_of_each(*({"nom": name} for name in PEOPLE + PLACES))
    taken = {name for name, found in zip(PEOPLE + PLACES, flagged, strict=True) if PERSON in found}
    assert taken == set(PEOPLE)


def test_without_a_name_the_fiche_is_refused_as_a_whole():
    names = [None, "", "   ", "—", "<br />", "jean.dupont@gmail.com"]
    rows = [{"nom": name} for name in names]
    assert each(*rows) == [{}] * len(names)
    assert rules_of_each(*rows) == [{("*", "nom_absent")}] * len(names)
