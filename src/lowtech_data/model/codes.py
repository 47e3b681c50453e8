"""Code lists of the published base: every code, its label in both languages, and nothing else.

A list is declared once here. Checks, the `codes` table and the site's filters read it.
Published codes are French, as in data·inclusion and the national schemas where they have the word.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a list, with its labels and, where the word is not enough, its definition."""

    code: str
    label_fr: str
    label_en: str
    definition: str | None = None


def _codes(*rows: tuple[str, str, str] | tuple[str, str, str, str]) -> tuple[Code, ...]:
    return tuple(Code(*row) for row in rows)


TYPE = _codes(
    ("fablab", "Fablab", "Fab lab"),
    ("hackerspace", "Hackerspace", "Hackerspace"),
    ("tiers_lieu", "Tiers-lieu", "Third place"),
    ("atelier_partage", "Atelier partagé", "Shared workshop"),
    ("manufacture_collaborative", "Manufacture collaborative", "Collaborative factory"),
    ("atelier_velo", "Atelier vélo participatif", "Bicycle workshop"),
    ("repair_cafe", "Repair café", "Repair café"),
    ("ressourcerie", "Ressourcerie ou recyclerie", "Reuse centre"),
    ("materiautheque", "Matériauthèque", "Materials library"),
    ("outiltheque", "Outilthèque", "Tool library"),
    ("site_energie", "Site d’énergie citoyenne", "Community energy site"),
    ("lieu_formation", "Lieu de formation", "Training place"),
    ("lieu_demonstration", "Lieu de démonstration", "Demonstration place"),
    ("association", "Association", "Non-profit"),
    ("cooperative", "Coopérative", "Cooperative"),
    ("entreprise", "Entreprise", "Company"),
    ("artisan", "Artisan", "Craftsperson"),
    ("collectivite", "Collectivité", "Local authority"),
    ("enseignement_recherche", "Enseignement ou recherche", "Education or research"),
    ("reseau", "Réseau", "Network"),
    ("collectif", "Collectif", "Collective"),
    ("ptce", "Pôle territorial de coopération économique", "Territorial cooperation cluster"),
    ("projet", "Projet", "Project"),
)

FAMILLE = _codes(
    ("revalorisation_dechets", "Revalorisation des déchets", "Waste recovery"),
    ("mobilite_douce", "Mobilité douce", "Soft mobility"),
    ("micro_production_energie", "Micro-production d’énergie", "Small-scale energy"),
    ("pedagogie_cooperation", "Pédagogie et coopération", "Learning and cooperation"),
)

THEME = _codes(
    ("reemploi", "Réemploi", "Reuse"),
    ("reparation", "Réparation", "Repair"),
    ("mobilite", "Mobilité", "Mobility"),
    ("energie", "Énergie", "Energy"),
    ("fabrication", "Fabrication", "Making"),
    ("pedagogie", "Pédagogie", "Learning"),
    ("cooperation", "Coopération", "Cooperation"),
    ("numerique_sobre", "Numérique sobre", "Sober computing"),
    ("habitat", "Habitat", "Housing"),
    ("alimentation", "Alimentation", "Food"),
    ("eau", "Eau", "Water"),
    ("hygiene_sante", "Hygiène et santé", "Hygiene and health"),
    ("materiaux", "Matériaux", "Materials"),
    ("textile", "Textile", "Textile"),
    ("industrie", "Industrie", "Industry"),
)

PILIER = _codes(
    ("sobriete_materielle", "Sobriété matérielle", "Material sobriety"),
    ("resilience_territoriale", "Résilience territoriale", "Territorial resilience"),
    ("soutenabilite_sociale", "Soutenabilité sociale", "Social sustainability"),
)

PRINCIPE = _codes(
    ("mutualisation", "Mutualisation", "Sharing of means"),
    ("reemploi_machines", "Réemploi de machines", "Reuse of machines"),
    ("conception_locale", "Conception locale", "Local design"),
)

ETAPE = _codes(
    ("definition_besoin", "Définition du besoin", "Defining the need"),
    ("questionnement_besoin", "Questionnement du besoin", "Questioning the need"),
    ("ressources_locales", "Ressources locales", "Local resources"),
    ("benchmark_existant", "Étude de l’existant", "Survey of what exists"),
    ("evaluation_environnementale", "Évaluation environnementale", "Environmental assessment"),
    ("prototypage", "Prototypage", "Prototyping"),
    ("essai_usage", "Essai à l’usage", "Trial in use"),
    ("documentation", "Documentation", "Documentation"),
    ("essaimage", "Essaimage", "Spreading"),
)

RESULTAT = _codes(
    ("reussite", "Réussite", "Success"),
    ("mitige", "Mitigé", "Mixed"),
    ("echec", "Échec", "Failure"),
    ("abandon", "Abandon", "Given up"),
    ("en_cours", "En cours", "Ongoing"),
)

NATURE = _codes(
    ("lieu", "Lieu", "Place"),
    ("organisation", "Organisation", "Organisation"),
    ("projet", "Projet", "Project"),
)

NATURE_RESSOURCE = _codes(
    ("rex", "Retour d’expérience", "Experience report"),
    ("outil", "Outil", "Tool"),
    ("tutoriel", "Tutoriel", "Tutorial"),
    ("methode", "Méthode", "Method"),
    ("document", "Document", "Document"),
    ("jeu_pedagogique", "Jeu pédagogique", "Educational game"),
)

VERIFICATION = _codes(
    ("non_verifie", "Non vérifié", "Not verified"),
    ("une_source", "Une source", "One source"),
    ("sources_independantes", "Sources indépendantes", "Independent sources"),
    ("confirme_acteur", "Confirmé par l’acteur", "Confirmed by the actor"),
    ("verifie_terrain", "Vérifié sur le terrain", "Checked in the field"),
)

REPUBLICATION = _codes(
    ("complete", "Complète", "Full", "Tous les champs de la source peuvent être republiés."),
    (
        "faits_et_lien",
        "Faits et lien",
        "Facts and link",
        "Seuls les faits (nom, commune, type) et le lien vers la source sont republiés.",
    ),
    ("comptage", "Comptage", "Counts only", "Seuls des décomptes sont publiés."),
    ("interdite", "Interdite", "Forbidden", "Rien n’est republié."),
)

PRECISION_GEO = _codes(
    ("numero", "Numéro", "House number"),
    ("voie", "Voie", "Street"),
    ("lieu_dit", "Lieu-dit", "Locality"),
    ("commune", "Commune", "Commune"),
    ("inconnue", "Inconnue", "Unknown"),
)

STATUT = _codes(
    ("publie", "Publié", "Published"),
    ("a_verifier", "À vérifier", "To be checked"),
    ("archive", "Archivé", "Archived", "Absent de toutes ses sources au-delà du délai de grâce."),
    ("ferme", "Fermé", "Closed"),
    ("retire", "Retiré", "Withdrawn"),
)

MACHINE_CATEGORIE = _codes(
    ("usinage", "Usinage", "Machining"),
    ("cnc", "Commande numérique", "CNC"),
    ("tolerie", "Tôlerie", "Sheet metal"),
    ("soudure", "Soudure", "Welding"),
    ("forge_fonderie", "Forge et fonderie", "Forge and foundry"),
    ("bois", "Bois", "Wood"),
    ("laser", "Laser", "Laser"),
    ("impression_3d", "Impression 3D", "3D printing"),
    ("textile", "Textile", "Textile"),
    ("electronique", "Électronique", "Electronics"),
    ("plastique", "Plastique", "Plastics"),
    ("ceramique_verre", "Céramique et verre", "Ceramics and glass"),
    ("impression", "Impression", "Printing"),
    ("cycle", "Cycle", "Bicycle"),
    ("alimentaire", "Alimentaire", "Food"),
    ("agricole", "Agricole", "Farming"),
    ("metrologie", "Métrologie", "Metrology"),
    ("autre", "Autre", "Other"),
)

MACHINE_ETAT = _codes(
    ("en_service", "En service", "In service"),
    ("en_panne", "En panne", "Broken"),
    ("en_retrofit", "En rétrofit", "Being refitted"),
    ("hors_service", "Hors service", "Out of service"),
    ("inconnu", "Inconnu", "Unknown"),
)

ACCES = _codes(
    ("libre", "Libre", "Open"),
    ("adherents", "Adhérents", "Members"),
    ("apres_formation", "Après formation", "After training"),
    ("accompagne", "Accompagné", "Assisted"),
    ("prestation", "Prestation", "As a service"),
    ("location", "Location", "Rental"),
    ("pret", "Prêt", "Loan"),
    ("convention_entreprises", "Convention entre entreprises", "Agreement between companies"),
)

TARIF = _codes(
    ("gratuit", "Gratuit", "Free"),
    ("prix_libre", "Prix libre", "Pay what you can"),
    ("adhesion", "Adhésion", "Membership"),
    ("horaire", "Horaire", "Hourly"),
    ("forfait", "Forfait", "Flat rate"),
    ("sur_devis", "Sur devis", "On quotation"),
)

PREDICAT = _codes(
    ("heberge_par", "Hébergé par", "Hosted by"),
    ("antenne_de", "Antenne de", "Branch of"),
    ("demenage", "Déménagé de", "Moved from"),
    ("fait_partie_de", "Fait partie de", "Part of"),
    ("partenaire_de", "Partenaire de", "Partner of"),
    ("succede_a", "Succède à", "Successor of"),
    ("s_inspire_de", "S’inspire de", "Inspired by"),
    ("documente", "Documente", "Documents"),
    ("utilise", "Utilise", "Uses"),
)

DECISION = _codes(
    ("identique", "Identique", "Same"),
    ("lie", "Lié", "Related"),
    ("a_revoir", "À revoir", "To review"),
    ("distinct", "Distinct", "Different"),
)

DECIDE_PAR = _codes(("regle", "Règle", "Rule"), ("humain", "Humain", "Person"))

IDENTIFIANT_ETAT = _codes(
    ("actif", "Actif", "Active"),
    ("fusionne", "Fusionné", "Merged"),
    ("scinde", "Scindé", "Split"),
    ("retire", "Retiré", "Withdrawn"),
)

SOURCE_ETAT = _codes(
    ("active", "Active", "Active"),
    ("en_pause", "En pause", "Paused"),
    ("retiree", "Retirée", "Retired"),
)

PREUVE = _codes(
    ("vu", "Vu", "Seen", "Un fichier ou une page de la source a été lu."),
    (
        "client",
        "Client",
        "Client",
        "La forme est connue par le code d’un client ou la documentation.",
    ),
    ("memoire", "Mémoire", "Memory", "La forme n’a pas été revue : à vérifier avant usage."),
)

FIABILITE = _codes(
    ("officielle", "Officielle", "Official"),
    ("reseau", "Réseau", "Network"),
    ("contributive", "Contributive", "Contributed"),
)

FREQUENCE = _codes(
    ("quotidienne", "Quotidienne", "Daily"),
    ("hebdomadaire", "Hebdomadaire", "Weekly"),
    ("mensuelle", "Mensuelle", "Monthly"),
    ("ponctuelle", "Ponctuelle", "Once", "Instantané qui n’est plus mis à jour."),
)

SANTE = _codes(
    ("ok", "À jour", "Healthy"),
    ("degradee", "Dégradée", "Degraded", "La dernière moisson a publié avec des réserves."),
    ("cassee", "Cassée", "Broken", "La dernière moisson a échoué : dernières données gardées."),
    ("figee", "Figée", "Frozen", "Source en pause, retirée ou instantané : données gardées."),
)

MOISSON_STATUT = _codes(
    ("ok", "Réussie", "Succeeded"),
    ("inchangee", "Inchangée", "Unchanged"),
    ("partielle", "Partielle", "Partial"),
    ("rejetee_qualite", "Rejetée : qualité", "Refused: quality"),
    ("rejetee_volume", "Rejetée : volume", "Refused: volume"),
    ("erreur_acces", "Erreur d’accès", "Access error"),
    ("suspendue", "Suspendue", "Suspended"),
)

CAPTURE_ETAT = _codes(("conservee", "Conservée", "Kept"), ("expurgee", "Expurgée", "Redacted"))

NIVEAU = _codes(
    ("commune", "Commune", "Commune"),
    ("epci", "Intercommunalité", "Group of communes"),
    ("departement", "Département", "Département"),
    ("region", "Région", "Région"),
    ("pays", "Pays", "Country"),
)

DIAGNOSTIC = _codes(
    ("couvert", "Couvert", "Covered"),
    ("faible", "Faible", "Low"),
    ("vide_observe", "Vide observé", "Observed gap"),
    ("non_observe", "Non observé", "Not observed"),
)

CHANGEMENT = _codes(
    ("ajout", "Ajout", "Addition"),
    ("modification", "Modification", "Change"),
    ("fusion", "Fusion", "Merge"),
    ("scission", "Scission", "Split"),
    ("archivage", "Archivage", "Archived"),
    ("reactivation", "Réactivation", "Reactivated"),
    ("fermeture", "Fermeture", "Closed"),
    ("retrait", "Retrait", "Withdrawn"),
)

INDICATEUR_DIMENSION = _codes(
    ("sobriete", "Sobriété", "Sobriety"),
    ("durabilite", "Durabilité", "Durability"),
    ("reparabilite", "Réparabilité", "Repairability"),
    ("circularite", "Circularité", "Circularity"),
    ("robustesse", "Robustesse", "Robustness"),
    ("accessibilite", "Accessibilité", "Accessibility"),
    ("ancrage_local", "Ancrage local", "Local roots"),
    ("emploi", "Emploi", "Employment"),
)

INDICATEUR_NATURE = _codes(
    ("mesure", "Mesure", "Measured"),
    ("calcul", "Calcul", "Computed"),
    ("declaratif", "Déclaratif", "Declared"),
    ("evaluation_tiers", "Évaluation par un tiers", "Third-party assessment"),
)


def _rows(file: str) -> Iterator[dict[str, str]]:
    text = resources.files(__package__).joinpath(file).read_text("utf-8")
    yield from csv.DictReader(text.splitlines())


REJET_REGLE = tuple(Code(**row) for row in _rows("regles_rejet.csv"))
"""Why a record or a value was refused; the definition says what happened, then what to do."""


def _matching(name: str) -> tuple[Code, ...]:
    return tuple(
        Code(row["code"], row["label_fr"], row["label_en"], row["definition"] or None)
        for row in _rows("rapprochement.csv")
        if row["liste"] == name
    )


MOTIF_PAIRE = _matching("motif_paire")
"""Why a rule decided a pair of records so (`paires.motif`); the definition is one sentence."""

HISTOIRE = _matching("histoire")
"""What may explain a pair (`contre`, in `paires.details`, is the likeliest but the first)."""

COMPARAISON = _matching("comparaison")
"""Parts of a score, by their name in `paires.details`."""

NIVEAU_COMPARAISON = _matching("niveau_comparaison")
"""What each comparison found: the name of the comparison, an underscore, its level."""

LISTS: dict[str, tuple[Code, ...]] = {
    "type": TYPE,
    "famille": FAMILLE,
    "theme": THEME,
    "pilier": PILIER,
    "principe": PRINCIPE,
    "etape": ETAPE,
    "resultat": RESULTAT,
    "nature": NATURE,
    "nature_ressource": NATURE_RESSOURCE,
    "verification": VERIFICATION,
    "republication": REPUBLICATION,
    "precision_geo": PRECISION_GEO,
    "statut": STATUT,
    "machine_categorie": MACHINE_CATEGORIE,
    "machine_etat": MACHINE_ETAT,
    "acces": ACCES,
    "tarif": TARIF,
    "predicat": PREDICAT,
    "decision": DECISION,
    "decide_par": DECIDE_PAR,
    "identifiant_etat": IDENTIFIANT_ETAT,
    "source_etat": SOURCE_ETAT,
    "preuve": PREUVE,
    "fiabilite": FIABILITE,
    "frequence": FREQUENCE,
    "sante": SANTE,
    "moisson_statut": MOISSON_STATUT,
    "capture_etat": CAPTURE_ETAT,
    "niveau": NIVEAU,
    "diagnostic": DIAGNOSTIC,
    "changement": CHANGEMENT,
    "indicateur_dimension": INDICATEUR_DIMENSION,
    "indicateur_nature": INDICATEUR_NATURE,
    "rejet_regle": REJET_REGLE,
    "motif_paire": MOTIF_PAIRE,
    "histoire": HISTOIRE,
    "comparaison": COMPARAISON,
    "niveau_comparaison": NIVEAU_COMPARAISON,
}
"""Every list by its name, as the `codes` table publishes it (`liste`)."""


def codes_of(name: str) -> frozenset[str]:
    """The codes of a list. Raises `KeyError` for a list that is not declared."""
    return frozenset(code.code for code in LISTS[name])
