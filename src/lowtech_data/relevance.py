"""Which records of a broad listing belong to the database, by named rules: the public charter.

What the rules apply is written for people in `docs/charte.md`, in the same order. They read what a
record says and nothing else: its name, its description, the categories that its listing gives it.
They are measured on `tests/evaluation/pertinence.tsv`.

Evidence is weighed by where it stands and by how far it can be misread:

* a *plain* word names the activity itself (fablab, ressourcerie, repair café): it is enough
  anywhere;
* a *soft* word may be said in passing (énergies renouvelables, autoconstruction): it is enough
  unless the record is of a kind that the charter leaves out (farm, shop, library, offices…).

Words are matched whole, without accents or case, with their plural and feminine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lowtech_data.folding import fold


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a record belongs, by which rule, and the words of the record that the rule met.

    | rule | kept | meaning |
    |---|---|---|
    | `categorie:<sujet>` | yes | a category of the listing names the activity |
    | `nom:<sujet>`, `description:<sujet>` | yes | the name or the description does |
    | `exclusion:<motif>` | no | the record is of a kind left out, and says no activity of ours |
    | `muet` | no | nothing in the record says what is done there |

    `<sujet>` is a code of `theme`, `tiers_lieu` or `low_tech`; `<motif>` a key of `LEFT_OUT`, or
    `enseigne` (a commercial chain) or `intervenant` (someone who goes from place to place).
    """

    kept: bool
    rule: str
    words: str = ""

    def __str__(self) -> str:
        """The rule and its words, as kept with a record: `nom:reemploi (recyclerie)`."""
        return f"{self.rule} ({self.words})" if self.words else self.rule


PLAIN: Mapping[str, str] = {
    "low_tech": "low_tech, basse technologie, technologie douce|appropriee|sobre",
    "fabrication": (
        "fab_lab*, lab_fab, fab_n_lab, maker_space, hacker_space, haker_space, hack_lab, maker, "
        "bricolab, bricotheque, human_lab, manufacture collaborative|partagee|citoyenne, "
        "atelier partage|cooperatif|collaboratif, "
        "atelier bois|metal|soudure|menuiserie|ceramique|poterie partage|cooperatif|collaboratif, "
        "atelier bois|metal|menuiserie|ceramique|bricolage associatif|participatif|ouvert|libre, "
        "garage|mecanique solidaire|associatif|participatif"
    ),
    "reparation": (
        "repair_cafe, repare_cafe, cafe reparation|bricole|bricolage, auto_repar*, co_repar*, "
        "atelier repar*, repar* objet|appareil|vetement|electromenager|meuble|instrument, "
        "repar* horlogerie|chaussure|ordinateur|telephone|machine|outil, reparateur, cordonnerie, "
        "cordonnier, clinique objet"
    ),
    "reemploi": (
        "ressourcerie, re_cyclerie, recyclotheque, materiautheque, materiotheque, donnerie, "
        "gratiferie, "
        "friperie|vestiaire|boutique|braderie|bric_a_brac solidaire|associatif|emmaus|caritatif, "
        "communaute emmaus, emmaus communaute, re_emploi, upcycl*, surcycl*, seconde vie, "
        "deuxieme vie, chute production|tissu|bois|industrielle|atelier|cuir|textile, "
        "compost* collectif|partage|quartier|participatif, materiau reemploi|recupere|recuperation"
    ),
    "mobilite": (
        "atelier velo, velo_ecole, velo_cargo|cargos, cargo_bike, cyclo_logistique, cyclofficine, "
        "velo solidaire|participatif|associatif|recycle|occasion, repar* velo|bicyclette, "
        "mecano velo, remorque velo, velorution, cyclerie, recyclo, recycl_velo, remise selle"
    ),
    "cooperation": (
        "outil_theque, outil_o_theque, objet_theque, bibliotheque objet|outil, "
        "pret|mutualis* outil|outillage, machine partagee|mutualisee, "
        "laverie associative|partagee|solidaire|cooperative"
    ),
    "numerique_sobre": (
        "ordinateur|pc|informatique|materiel recondition*, "
        "recondition* ordinateur|pc|informatique, recondition* materiel, install_party"
    ),
    "hygiene_sante": "toilette seche, aide technique fabriquee|imprimee",
    "habitat": (
        "fabrication|fabrique|vente yourte|tiny_house|roulotte, aide auto_construct*, "
        "isolation|botte|construction|maison|batiment|erp|architecture paille, "
        "chantier participatif eco_construction"
    ),
    "pedagogie": "fabriquer soi_meme, reparer soi_meme",
}
"""Words that name an activity of the charter, by subject: phrases between commas. In a phrase, `|`
separates alternatives, `_` is an optional joint (`low_tech`: lowtech, low-tech, low tech), a space
allows small words (`atelier velo`: ateliers de vélos), `*` is any ending. Endings of number and
gender are always allowed."""

SOFT: Mapping[str, str] = {
    "reparation": "obsolescence programmee",
    "fabrication": (
        "fabrication numerique, impression 3d, imprimante 3d, decoupe laser, decoupeuse laser"
    ),
    "reemploi": (
        "zero_dechet, "
        "objet|materiau|tissu|vetement|bois|palette recuperation|recupere|recycle|delaisse, "
        "redonn* vie, emmaus, valoris* dechet, compost*, friperie, recycl* objet, "
        "depot_vente solidaire|associatif"
    ),
    "mobilite": (
        "promotion|usage|pratique velo, mobilite douce|active, velo electrique|pliant|partage"
    ),
    "energie": (
        "energie renouvelable|citoyenne|positive|solaire|alternative, centrale villageoise, "
        "eolien|solaire citoyen, eolienne, "
        "four|cuiseur|panneau|sechoir|capteur|cuisson|chauffage|centrale solaire, "
        "chauffe_eau solaire, photovolta*, biogaz, hydroelectr*, sobriete energetique, "
        "maitrise energie, poele masse|inertie|dragon, autonomie energetique"
    ),
    "habitat": (
        "eco_construct*, auto_construct*, eco_renov*, terre crue|paille, enduit terre|chaux, "
        "ossature bois, chantier participatif, bioclimat*, bio_source*, "
        "materiau ecologique|naturel|sain, habitat leger, tiny_house, auto_rehabilit*, "
        "bati|construction|renovation|habitat ecologique, construction passive, "
        "isol* naturel|ecologique|laine|chanvre|ouate, atelier paille"
    ),
    "eau": ("recuper* eau pluie|pluviale, recuper* eau, phyto_epur*, filtr* eau, economie eau"),
    "alimentation": (
        "outil paysan, machine agricole libre, conserverie partagee|solidaire|mobile, "
        "four pain|banal partage|collectif|communal, cuisine partagee, traction animale"
    ),
    "textile": "atelier couture, couture partagee, laine locale",
    "numerique_sobre": "logiciel_libre, linux, hebergeur associatif",
    "pedagogie": (
        "faire soi_meme, fabrication soi_meme, do_it_yourself, diy, ecologie pratique, "
        "simplicite volontaire, savoir_faire manuel|artisanal|technique|ancien, "
        "atelier zero_dechet"
    ),
}
"""Words that name an activity of the charter, but are also said in passing."""

CATEGORIES: Mapping[str, str] = {
    "fabrication": "fablabmit, haker_space, fabriquer reparer, atelier fabrication",
    "reparation": "reparation, reparer, atelier reparer soi_meme, service reparation",
    "reemploi": "reemploi, reutilisation, eco_conception, espace partage, emmaus",
    "mobilite": "velo, bicyclette",
    "habitat": "eco_construction",
    "energie": "energie renouvelable",
    "cooperation": "pret objet, location objet",
    "tiers_lieu": "tiers_lieu, tierslieux",
}
"""Words that are enough in a category, besides those of `PLAIN`."""

LEFT_OUT: Mapping[str, str] = {
    "bureaux": (
        "co_working, coworker, cantine numerique, cantine, french_tech, pepiniere, incubateur, "
        "accelerateur, telecentre, centre affaire, business center|centre|camp, bureau partage, "
        "relais entreprise, espace entreprise, teletravail"
    ),
    "service_public": (
        "france_service, maison service, msap, ccas, cias, mairie, hotel ville, mission locale, "
        "information jeunesse, bij, pij, pole emploi, maison emploi, maison departement*, "
        "maison solidarite, maison habitat, office tourisme, conseil departement*, departement, "
        "communaute commune|agglomeration, service social, conseiller numerique, agence, "
        "parc naturel, prefecture"
    ),
    "mediation_numerique": (
        "espace public numerique, epn, cyber_base, cyber_centre, cyber_espace, espace cyber, "
        "promeneur net, mediation numerique, inclusion numerique, usages, "
        "atelier informatique|numerique"
    ),
    "bibliotheque": "mediatheque, bibliotheque, ludotheque",
    "social_culture": (
        "centre social, centre socio_culturel, socio_culturel, mjc, foyer rural, "
        "familles rurales, maison quartier, association caritative, cafe associatif, "
        "structure associative quartier, aide alimentaire, bailleur social, "
        "emmaus habitat|connect, espace vie sociale, theatre"
    ),
    "enseignement": "ecole, lycee, college, universite, centre formation, campus",
    "alimentation": (
        "amap, vrac, fruit, degustation, jardin, permaculture, agro_ecologie, "
        "agriculture alimentation, panier, ferme, gaec, earl, scea, maraich*, elevage, eleveur, "
        "paysan, paysanne, producteur, legume, fromage, viande, farine, boulanger, boulangerie, "
        "brasserie, vin, miel, verger, epicerie, supermarche, produit bio|biologique|locaux|local"
    ),
    "commerce": (
        "magasin, boutique, commerce, restaurant, traiteur, auberge, hotel, gite, camping, "
        "chambre hote, cosmetique, massage, salon the|coiffure, caviste, installateur, "
        "concessionnaire, depot_vente, vente en ligne"
    ),
    "nature_plaidoyer": (
        "biodiversite, protection nature, nature environnement, bureau etude, plantation arbre, "
        "haie, parrainage, monnaie locale, accorderie, echange service|savoir"
    ),
}
"""Kinds that the charter leaves out, when nothing of the record says an activity of ours."""

CHAINS = (
    "cash_converters, easy_cash, cash_express, happy_cash, la_trocante, troc_com, "
    "ruche qui dit oui, biocoop, naturalia, la vie claire, bio_c_bon, decathlon, norauto, "
    "feu_vert, leroy_merlin, castorama, brico_depot, mr_bricolage, bricomarche, kiloutou, loxam, "
    "fnac, darty, back_market, regus, wework, vinted, kiabi, gifi"
)
"""Commercial chains: left out by their name, whatever they say."""

MENTION = "partenaire, partenariat, voisin, voisine, a cote, sans, pas, ni, aupres"
"""Words that, just before another, say that it is someone else's, or absent."""

_SMALL = (
    r"(?:\W{1,4}(?:a|au|aux|d|de|des|du|en|et|l|la|le|les|leur|leurs|notre|nos|ou|par|pour|sa|ses"
    r"|son|sur|tout|un|une|votre|vos)){0,3}\W{1,4}"
)
"""Between two words of a phrase, up to three articles and prepositions do not count. Bounded, so
that the time taken grows as the text does."""

_ENDINGS = (
    ("if", r"i(?:f|ve)s?"),
    ("eur", r"(?:eur|euse|rice)s?"),
    ("al", r"(?:als?|ales?|aux)"),
    ("el", r"el(?:le)?s?"),
)
"""Number and gender where more than a letter is added at the end."""


def _inflected(word: str) -> str:
    if word.endswith("*"):
        return re.escape(word[:-1]) + r"\w*"
    for ending, pattern in _ENDINGS:
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return re.escape(word.removesuffix(ending)) + pattern
    return re.escape(word) + r"(?:e?s|e|x)?"


def _word(word: str) -> str:
    return r"[\W_]{0,2}".join(map(_inflected, word.split("_")))


def _phrase(phrase: str) -> str:
    return _SMALL.join(
        "(?:" + "|".join(map(_word, word.split("|"))) + ")" for word in phrase.split()
    )


def _any_of(table: Mapping[str, str]) -> re.Pattern[str]:
    """One expression for a whole table; the group that matched is the subject."""
    groups = (
        f"(?P<{key}>{'|'.join(map(_phrase, phrases.split(', ')))})"
        for key, phrases in table.items()
    )
    return re.compile(r"(?<!\w)(?:" + "|".join(groups) + r")(?!\w)")


_PLAIN = _any_of(PLAIN)
_SOFT = _any_of(SOFT)
_CATEGORIES = _any_of(CATEGORIES)
_LEFT_OUT = _any_of(LEFT_OUT)
_CHAINS = _any_of({"enseigne": CHAINS})
_MENTION = re.compile(f"{_any_of({'mention': MENTION}).pattern}{_SMALL}$")
_HOSTS = ("bibliotheque", "service_public", "social_culture", "commerce")
_NAMED_AFTER = re.compile(
    r"\W*(?:(?:la|le|les|l)\W+)?"
    + _any_of({kind: LEFT_OUT[kind] for kind in _HOSTS}).pattern
    + r".*(?<!\w)(?:d|de|des|du|l|la)\W+$"
)
"""What stands before a word that only names where another place is: `mediatheque de la …`."""
_NAMED = re.compile(
    r"(?<!\w)(?:(?P<fabrication>\w*fab|hack\w*|maker\w*)|(?P<reemploi>recup))(?!\w|'\w)"
)
"""Words that say nothing in a sentence, and name a workshop when they stand in its name."""
_PARTS = re.compile(r"\s-\s|[–—/|:;,&+()]|\set\s")
_TIERS_LIEU = re.compile(r"(?<!\w)tiers\W?lieux?(?!\w)")
_IS_TIERS_LIEU = re.compile(r"(?:^\W*|(?<!\w)(?:un|le|du|ce|notre)\W+)tiers\W?lieu(?!\w)")
"""A description speaks of others in the plural, and of itself in the singular."""
_MAINLY_DESKS = re.compile(r"dominante\s+co\W?working")
_GOES_AROUND = re.compile(
    r"(?<!\w)(?:j'interviens|j'anime|je\s+(?:me\s+deplace|propose|construis|forme))(?!\w)"
)
_SAYS_WHAT = 150
"""Characters of a description that say what a record is, before what it also does."""


def judge(name: str | None, description: str | None, categories: Iterable[str]) -> Verdict:
    """Whether a record of a broad listing belongs to the database.

    `categories` are the listing's own codes or labels. Pure: the same record has the same verdict,
    whatever the order of its categories.
    """
    title, text = fold(name or ""), fold(description or "")
    labels = sorted({fold(category).replace("_", " ") for category in categories})
    if chain := _CHAINS.search(title):
        return Verdict(False, "exclusion:enseigne", chain.group())
    kind = _kind(labels, title, text)
    return (
        _from_plain_words(labels, title, text)
        or _from_categories(labels, title, text)
        or _from_third_place(labels, title, "" if kind else text)
        or (None if kind else _from_soft_words(title, text))
        or kind
        or Verdict(False, "muet")
    )


def _kept(where: str, found: re.Match[str]) -> Verdict:
    return Verdict(True, f"{where}:{found.lastgroup}", found.group(found.lastgroup or 0))


def _from_plain_words(labels: Sequence[str], title: str, text: str) -> Verdict | None:
    for label in labels:
        if found := _PLAIN.search(label):
            return _kept("categorie", found)
    for part in _PARTS.split(title):
        found = _PLAIN.search(part) or _NAMED.search(part)
        if found and not _NAMED_AFTER.match(part[: found.start()]):
            return _kept("nom", found)
    for found in _PLAIN.finditer(text):
        if not _MENTION.search(text[max(0, found.start() - 60) : found.start()]):
            return _kept("description", found)
    return None


def _from_categories(labels: Sequence[str], title: str, text: str) -> Verdict | None:
    """A category that names an activity is believed unless name or description say a trade."""
    trade = _kind([], title, text)
    if trade and trade.rule in ("exclusion:alimentation", "exclusion:commerce"):
        return None
    for label in labels:
        found = None if _MAINLY_DESKS.search(label) else _CATEGORIES.search(label)
        if found and found.lastgroup == "tiers_lieu" and _GOES_AROUND.search(text):
            return Verdict(False, "exclusion:intervenant", found.group())
        if found:
            return _kept("categorie", found)
    return None


def _from_third_place(labels: Sequence[str], title: str, text: str) -> Verdict | None:
    if any(map(_MAINLY_DESKS.search, labels)):
        return None
    if found := _TIERS_LIEU.search(title):
        return Verdict(True, "nom:tiers_lieu", found.group())
    if found := _IS_TIERS_LIEU.search(text):
        return Verdict(True, "description:tiers_lieu", found.group().strip())
    return None


def _from_soft_words(title: str, text: str) -> Verdict | None:
    if found := _SOFT.search(title):
        return _kept("nom", found)
    for found in _SOFT.finditer(text):
        if not _MENTION.search(text[max(0, found.start() - 60) : found.start()]):
            return _kept("description", found)
    return None


def _kind(labels: Sequence[str], title: str, text: str) -> Verdict | None:
    """The kind left out that the record is of, by its categories, then its name, then the start of
    its description."""
    for said in (*labels, title, text[:_SAYS_WHAT]):
        if found := _LEFT_OUT.search(said):
            return Verdict(False, f"exclusion:{found.lastgroup}", found.group())
    return None
