"""Seeded labelled sets of other subjects, countries and scripts, to check that matching is general.

    python -m benchmarks.worlds restaurants_us 3000 --out restaurants.parquet

Each world draws true places in groups (one place, a chain, neighbours, a parent and its daughters),
then writes each as one to four sources would: their house style, and errors on top. Three records
in ten repeat another one. A person with the same columns could nearly always decide: unrelated
places of one town never share the core of their names, and where places differ by the address
alone (`Place.tight`), no record loses it. Synthetic: for comparing versions and engines.
"""

from __future__ import annotations

import argparse
import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.generator import SCHEMA, communes

Random = random.Random
Fiche = dict[str, str | float | None]

COPIES = ((1, 2, 3, 4), (0.72, 0.17, 0.07, 0.04))
"""How many records a place has, and how often: 1.43 on average, so 30 % are redundant."""

SAME_SOURCE_SHARE = 0.06
"""How often a further record of a place sits in a source that already has one."""


MOST_REFUSED = 1000
"""Groups refused one after the other from which the vocabulary of a world counts as used up."""


class Town(NamedTuple):
    """Where places are."""

    nom: str
    cp: str
    latitude: float
    longitude: float
    indicatif: str = ""
    insee: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What is true of a place or body, before a source writes it."""

    nom: str
    coeur: str
    """Core of the name: unrelated places of one town never share it."""
    town: Town
    cp: str
    rue: str
    numero: int
    latitude: float
    longitude: float
    unite: str = ""
    type: str = ""
    telephone: str | None = None
    site: str | None = None
    ancien: str | None = None
    """A former name, which one source may still give."""
    tight: bool = False
    """Another place of the same name differs by the address alone."""


Draw = Callable[[Random], list[Place]]
Write = Callable[[Random, Place, str], Fiche]
World = Callable[[int, int], pa.Table]


def worlds() -> dict[str, World]:
    """Name → function of (count, seed) giving a table in the schema of `generator.SCHEMA`."""
    made: dict[str, tuple[Sequence[str], Draw, Write]] = {
        "restaurants_us": (("guide_a", "guide_b", "listing_c"), _restaurants, _restaurant_fiche),
        "schools_fr": (("education", "annuaire", "mairie"), _schools_fr, _school_fr_fiche),
        "schools_uk": (("register", "council", "reviews"), _schools_uk, _school_uk_fiche),
        "companies_de": (("register", "branchenbuch", "kammer"), _companies_de, _company_de_fiche),
        "companies_uk_noaddr": (("house", "suppliers", "press"), _companies_uk, _company_uk_fiche),
        "shops_jp": (("chizu", "denwa", "shotengai"), _shops_jp, _shop_jp_fiche),
        "shops_gr": (("odigos", "epimelitirio"), _shops_gr, _shop_gr_fiche),
        "associations_single_source": (("registro",), _associations_es, _association_es_fiche),
    }
    return {name: partial(_table, *parts) for name, parts in made.items()}


def _table(sources: Sequence[str], draw: Draw, write: Write, count: int, seed: int) -> pa.Table:
    random_ = Random(seed)
    rows: list[dict[str, object]] = []
    for number, place in enumerate(_places(random_, draw)):
        if len(rows) >= count:
            break
        for source in _sources(random_, sources):
            fiche = _townless(random_, write(random_, place, source))
            rows.append({"source": source, "verite": number, **fiche})
    rows = rows[:count]
    random_.shuffle(rows)
    keyed = [{**row, "cle_source": f"{rank}"} for rank, row in enumerate(rows)]
    return pa.Table.from_pylist(keyed, SCHEMA)


def _places(random_: Random, draw: Draw) -> Iterator[Place]:
    """Groups drawn without end; none shares the core of a name with another of its town."""
    seen: set[tuple[str, str]] = set()
    refused = 0
    while refused < MOST_REFUSED:
        group = draw(random_)
        keys = {(_folded(place.coeur), place.town.nom) for place in group}
        if keys & seen:
            refused += 1
            continue
        refused = 0
        seen |= keys
        yield from group
    raise ValueError(
        f"vocabulaire épuisé après {len(seen)} noms : demander moins de fiches à ce monde"
    )


def _sources(random_: Random, sources: Sequence[str]) -> list[str]:
    copies = random_.choices(*COPIES)[0]
    found = random_.sample(sources, min(copies, len(sources)))
    while len(found) < copies:
        found.append(random_.choice(found))
    if copies > 1 and random_.random() < SAME_SOURCE_SHARE:
        found[-1] = found[0]
    return found


# --- what any source gets wrong ---


def _phrases(text: str) -> list[str]:
    return text.split("|")


def _folded(text: str) -> str:
    return "".join(c for c in _bare(text).casefold() if c.isalnum())


def _bare(text: str) -> str:
    """Without accents."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _typo(random_: Random, text: str) -> str:
    """One slip in one word of four letters or more; its first letter and figures are kept."""
    at = list(re.finditer(r"[^\W\d_]{4,}", text))
    if not at:
        return text
    word = random_.choice(at)
    i = random_.randrange(word.start() + 1, word.end() - 1)
    slip = random_.choice(
        (text[i + 1] + text[i], text[i] * 2 + text[i + 1], text[i + 1], text[i + 1] * 2)
    )
    return text[:i] + slip + text[i + 2 :]


def _swapped(random_: Random, text: str) -> str:
    """The last word first, with or without a comma: "Bel-Air Hotel", "Hotel, Bel-Air"."""
    first, _, last = text.rpartition(" ")
    if not first or len(last) < 4:
        return text
    return random_.choice((f"{last} {first}", f"{last}, {first}"))


def _misspelt(random_: Random, text: str, share: float = 0.12) -> str:
    return _typo(random_, text) if random_.random() < share else text


def _rewritten(text: str, writings: Mapping[str, str]) -> str:
    """Each whole word of `writings` replaced by its other writing."""
    for word, other in writings.items():
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", other, text)
    return text


def _sometimes(random_: Random, share: float, value: str | None) -> str | None:
    return value if value and random_.random() < share else None


def _townless(random_: Random, fiche: Fiche) -> Fiche:
    """Now and then no town, where address and postcode still tell it."""
    told = fiche.get("adresse") and fiche.get("code_postal")
    return {**fiche, "commune": None} if told and random_.random() < 0.03 else fiche


def _point(random_: Random, place: Place, share: float) -> Fiche:
    """Coordinates: mostly within tens of metres, one in ten at the centre of the town."""
    if random_.random() >= share:
        return {}
    if random_.random() < 0.1 and not place.tight:
        return {
            "latitude": place.town.latitude,
            "longitude": place.town.longitude,
            "precision_geo": "commune",
        }
    return {
        "latitude": place.latitude + random_.gauss(0, 0.0003),
        "longitude": place.longitude + random_.gauss(0, 0.0003),
        "precision_geo": "numero",
    }


def _towns(text: str) -> list[Town]:
    rows = (line.split("|") for line in text.splitlines())
    return [Town(nom, cp, float(lat), float(lon), area) for nom, cp, lat, lon, area in rows]


def _place(
    random_: Random,
    town: Town,
    streets: Sequence[str],
    *,
    nom: str,
    coeur: str,
    cp: str = "",
    spread: float = 0.03,
) -> Place:
    """A place somewhere in a town, `spread` degrees around its centre."""
    return Place(
        nom=nom,
        coeur=coeur,
        town=town,
        cp=cp or town.cp,
        rue=random_.choice(streets),
        numero=random_.randint(1, 180),
        latitude=town.latitude + random_.gauss(0, spread),
        longitude=town.longitude + random_.gauss(0, spread),
    )


def _beside(place: Place, host: Place) -> Place:
    """The same place at the address of another."""
    return replace(
        place,
        rue=host.rue,
        numero=host.numero,
        cp=host.cp,
        latitude=host.latitude,
        longitude=host.longitude,
    )


def _made(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return [a + b for a in first for b in second]


def _town_of(random_: Random, towns: Sequence[Town]) -> Town:
    """Big towns first in the list, and more often drawn."""
    return towns[int(len(towns) * random_.random() ** 1.7)]


def _site(name: str, end: str) -> str:
    return f"https://www.{_folded(name)}.{end}/"


# --- restaurants of the United States: three guides ---

US_TOWNS = _towns("""\
New York|100|40.730|-73.990|212
Los Angeles|900|34.050|-118.250|213
Chicago|606|41.880|-87.630|312
Houston|770|29.760|-95.370|713
San Francisco|941|37.770|-122.420|415
Las Vegas|891|36.170|-115.140|702
Atlanta|303|33.750|-84.390|404
Philadelphia|191|39.950|-75.170|215
San Diego|921|32.720|-117.160|619
Dallas|752|32.780|-96.800|214
Austin|787|30.270|-97.740|512
Seattle|981|47.610|-122.330|206
Boston|021|42.360|-71.060|617
Denver|802|39.740|-104.990|303
Portland|972|45.520|-122.680|503
New Orleans|701|29.950|-90.070|504
Santa Monica|904|34.020|-118.490|310
Pasadena|911|34.150|-118.140|626
Oakland|946|37.800|-122.270|510
Brooklyn|112|40.680|-73.940|718
Nashville|372|36.160|-86.780|615
Tucson|857|32.220|-110.970|520
St. Louis|631|38.630|-90.200|314
Kansas City|641|39.100|-94.580|816""")
US_STREETS = [
    f"{direction}{name} {kind}"
    for direction in ("", "", "N. ", "S. ", "W. ", "E. ")
    for name, kind in (
        pair.rsplit(" ", 1)
        for pair in _phrases(
            "Main Street|Oak Street|Sunset Boulevard|Ventura Boulevard|Broadway Avenue|Pine Street"
            "|2nd Avenue|3rd Street|5th Avenue|42nd Street|58th Street|Lincoln Avenue|Gower Avenue"
            "|La Brea Avenue|Peach Road|Michigan Avenue|Clark Street|Lombard Street|Elm Street"
            "|Lake Drive|Hill Road|Market Street|Mission Street|Castro Street|Canal Street"
            "|Westheimer Road|Las Palmas Drive|Wilshire Boulevard|Colorado Boulevard|Arroyo Parkway"
        )
    )
]
US_SHORT = {
    "Street": "St.", "Boulevard": "Blvd.", "Avenue": "Ave.", "Road": "Rd.", "Drive": "Dr.",
    "Parkway": "Pkwy.",
}  # fmt: skip
US_LONG = {"N.": "North", "S.": "South", "W.": "West", "E.": "East"}
US_ORDINALS = {"2nd": "Second", "3rd": "Third", "5th": "Fifth"}
CUISINES = {
    "italian": ("Trattoria", "Ristorante", "Pizzeria", "Osteria"),
    "mexican": ("Taqueria", "Cantina", "Mexican Grill", "Tacos"),
    "chinese": ("Dim Sum", "Szechuan Kitchen", "Noodle House", "Chinese Restaurant"),
    "american": ("Grill", "Diner", "Tavern", "Bar & Grill", "Kitchen"),
    "japanese": ("Sushi", "Ramen", "Izakaya"),
    "steakhouses": ("Steakhouse", "Chop House"),
    "indian": ("Tandoor", "Curry House", "Indian Cuisine"),
    "french": ("Bistro", "Brasserie", "Cafe"),
}
CUISINE_WRITINGS = {
    "american": ("American", "American (New)", "Californian", "Burgers"),
    "steakhouses": ("Steakhouses", "Steak Houses", "American"),
    "chinese": ("Chinese", "Asian"),
    "japanese": ("Japanese", "Asian", "Sushi"),
}
ENGLISH_SURNAMES = _made(
    _phrases(
        "Hart|Black|Ash|Win|Brad|Stan|Thorn|Mar|Hol|Kings|Wood|Rad|El|Lang|Cross|Whit|Fair|Green"
        "|Rock|Sand|Al|Ban|Car|Dun|Far|Glen|Haw|Ken|Mel|Nor|Pem|Red|Shel|Tar|Wal|Wes|Yar|Bex"
    ),
    _phrases("well|ford|ley|son|man|wood|field|worth|ton|by|ham|bury|ridge|croft"),
)
US_ADJECTIVES = _phrases(
    "Golden|Blue|Red|Little|Grand|Silver|Lucky|Hungry|Old|Royal|Happy|Green|Crazy|Rusty|Wild|Salty"
    "|Sunny|Black|Smoky|Secret|Twisted|Velvet|Copper|Iron|Crystal|Midnight"
)
US_NOUNS = _phrases(
    "Dragon|Lotus|Rooster|Moon|Pepper|Olive|Lantern|Garden|Palace|Anchor|Barrel|Fork|Spoon|Whale"
    "|Fox|Turtle|Bamboo|Orchid|Tiger|Crane|Pig|Oyster|Lemon|Sparrow|Cactus|Magnolia|Wagon|Skillet"
)
ROMANCE = _phrases(
    "La Paloma|El Cholo|Il Forno|Chez Panou|La Scala|El Toro|La Grenouille|Il Fornaio|El Farol"
    "|La Serenata|Le Colombier|Il Mulino|La Parrilla|El Encanto|Le Perroquet|Da Vinci|Il Cielo"
)


def _us_brand(random_: Random) -> str:
    draw = random_.random()
    if draw < 0.4:
        return f"{random_.choice(ENGLISH_SURNAMES)}'s"
    if draw < 0.8:
        return f"{random_.choice(US_ADJECTIVES)} {random_.choice(US_NOUNS)}"
    return f"{random_.choice(ROMANCE)} {random_.choice(('', '', 'Nuevo', 'Norte', 'Due'))}".strip()


def _restaurant(random_: Random, town: Town) -> Place:
    brand, cuisine = _us_brand(random_), random_.choice(list(CUISINES))
    word = random_.choice(CUISINES[cuisine])
    return replace(
        _place(
            random_,
            town,
            US_STREETS,
            nom=f"{brand} {word}" if random_.random() < 0.7 else brand,
            coeur=brand,
            cp=f"{town.cp}{random_.randint(1, 40):02}",
        ),
        type=cuisine,
        telephone=_us_phone(random_, town),
        site=_site(f"{brand}{word}", "com") if random_.random() < 0.3 else None,
    )


def _us_phone(random_: Random, town: Town) -> str:
    return f"{town.indicatif}-555-{random_.randint(0, 9999):04}"


def _restaurants(random_: Random) -> list[Place]:
    """One restaurant, a chain of many sites, or a strip mall of neighbours."""
    town = _town_of(random_, US_TOWNS)
    first = _restaurant(random_, town)
    draw = random_.random()
    if draw < 0.012:
        return _us_chain(random_, first)
    if draw < 0.08:
        return _strip_mall(random_, first)
    if draw < 0.11:
        return [replace(first, ancien=f"{_us_brand(random_)} {CUISINES[first.type][0]}")]
    return [first]


def _us_chain(random_: Random, first: Place) -> list[Place]:
    towns = [first.town, *random_.choices(US_TOWNS, k=random_.randint(3, 14))]
    towns += random_.choices(towns, k=random_.randint(1, 4))
    central = first.telephone if random_.random() < 0.2 else None
    return [
        replace(
            _restaurant(random_, town),
            nom=first.nom,
            coeur=first.coeur,
            type=first.type,
            site=_site(first.coeur, "com"),
            telephone=central or _us_phone(random_, town),
            tight=True,
        )
        for town in towns
    ]


def _strip_mall(random_: Random, first: Place) -> list[Place]:
    tenants = [_restaurant(random_, first.town) for _ in range(random_.randint(2, 4))]
    shared = random_.random() < 0.15
    return [
        replace(
            _beside(tenant, first),
            unite=f"{100 + 10 * rank}",
            telephone=first.telephone if shared else tenant.telephone,
        )
        for rank, tenant in enumerate(tenants)
    ]


def _restaurant_fiche(random_: Random, place: Place, source: str) -> Fiche:
    renamed = place.ancien is not None and source == "guide_b"
    name = place.ancien if renamed and place.ancien else place.nom
    street = f"{place.numero} {place.rue}"
    if random_.random() < 0.3:
        name = name.replace("&", "and")
    if random_.random() < 0.08:
        name = f"{name} Restaurant"
    elif random_.random() < 0.05:
        name = f"The {name}"
    elif random_.random() < 0.04:
        name = _swapped(random_, name)
    phone = place.telephone or ""
    if source == "guide_a":
        name, street = name.lower(), _rewritten(street, US_SHORT).lower()
        phone = phone.replace("-", "/", 1)
    elif source == "guide_b":
        street = _rewritten(_rewritten(street, US_SHORT), US_ORDINALS)
    else:
        street = _rewritten(street, US_LONG)
        phone = f"({phone[:3]}) {phone[4:]}"
    if place.unite and random_.random() < 0.6:
        street += random_.choice((f" Ste {place.unite}", f", Suite {place.unite}"))
    return {
        "nom": _misspelt(random_, name),
        "adresse": _misspelt(random_, street, 0.06)
        if place.tight or renamed or random_.random() < 0.94
        else None,
        "code_postal": place.cp if source != "guide_a" or random_.random() < 0.3 else None,
        "commune": place.town.nom.lower() if source == "guide_a" else place.town.nom,
        "telephone": phone if place.ancien or random_.random() < 0.8 else None,
        "type": random_.choice(CUISINE_WRITINGS.get(place.type, (place.type,))),
        "site_web": _sometimes(random_, 0.6, place.site),
        **(_point(random_, place, 0.9) if source != "listing_c" else {}),
    }


# --- schools of France: one proper name, several schools ---

FR_PATRONS = _phrases(
    "Jules Ferry|Jean Jaurès|Jean Moulin|Victor Hugo|Jacques Prévert|Louis Pasteur|Jean Macé"
    "|Paul Bert|Marie Curie|Antoine de Saint-Exupéry|Joliot-Curie|Jean de La Fontaine|Louise Michel"
    "|Marcel Pagnol|Georges Brassens|Robert Desnos|Simone Veil|Pablo Picasso|Jean Zay|Anne Frank"
    "|Les Tilleuls|Paul Éluard|Jacques Brel|Perrault|Le Petit Prince|Henri Wallon|Gambetta"
    "|Émile Zola|Pierre Brossolette|Danielle Casanova|George Sand|Les Marronniers|Françoise Dolto"
    "|Olympe de Gouges|Les Hirondelles|Aimé Césaire|Gérard Philipe|Rosa Parks|Le Centre"
    "|La Ribambelle|Les Coquelicots|Eugène Varlin|Lucie Aubrac|Guy Môquet|Les Glycines|Jean Giono"
    "|Édouard Herriot|Condorcet|Les Fauvettes|Claude Debussy|Le Vieux Moulin|Frédéric Mistral"
)
FR_KINDS = {
    "maternelle": ("École maternelle", "Maternelle", "E.M.PU", "Ecole maternelle publique"),
    "elementaire": ("École élémentaire", "Élémentaire", "E.E.PU", "Ecole élémentaire publique"),
    "primaire": ("École primaire", "Groupe scolaire", "E.P.PU", "Ecole primaire publique"),
    "college": ("Collège", "Collège", "CLG", "Collège public"),
}
FR_STREETS = _phrases(
    "rue de l'École|rue Jules Ferry|place de la Mairie|avenue de la République|rue des Écoles"
    "|boulevard Gambetta|rue Pasteur|rue du Stade|chemin du Moulin|rue Hugo|allée des Tilleuls"
    "|rue Jean Jaurès|impasse des Lilas|rue de la Gare|avenue du Général de Gaulle|rue du 8 Mai"
)
FR_SHORT = {"avenue": "av.", "boulevard": "bd", "place": "pl.", "chemin": "ch.", "rue": "r."}


@cache
def _fr_towns() -> tuple[list[Town], list[float]]:
    """Communes and their running sums of population."""
    found, weights = communes()
    towns = [Town(c.nom, c.cp, c.latitude, c.longitude, insee=c.insee) for c in found]
    return towns, list(accumulate(weight**2 for weight in weights))


def _schools_fr(random_: Random) -> list[Place]:
    """One school, a nursery and an elementary school side by side, and at times a college."""
    towns, sums = _fr_towns()
    town = random_.choices(towns, cum_weights=sums)[0]
    patron = FR_PATRONS[int(len(FR_PATRONS) * random_.random() ** 1.5)]

    def school(kind: str) -> Place:
        placed = _place(random_, town, FR_STREETS, nom=patron, coeur=patron, spread=0.01)
        return replace(placed, type=kind, telephone=_fr_phone(random_))

    draw = random_.random()
    if draw < 0.3:
        found = [school("primaire")]
    elif draw < 0.45:
        found = [school(random_.choice(("maternelle", "elementaire")))]
    else:
        first = school("maternelle")
        second = _beside(school("elementaire"), first)
        second = replace(second, numero=first.numero + random_.choice((0, 0, 0, 2)))
        if random_.random() < 0.4:
            second = replace(second, telephone=first.telephone)
        found = [first, second]
    return [*found, school("college")] if random_.random() < 0.15 else found


def _fr_phone(random_: Random) -> str:
    return f"01990{random_.randint(0, 99999):05}"


def _school_fr_fiche(random_: Random, place: Place, source: str) -> Fiche:
    full, short, code, public = FR_KINDS[place.type]
    kind = {
        "education": random_.choice((full, public)),
        "annuaire": random_.choice((full, full, code)),
        "mairie": random_.choice((full, full, short)),
    }[source]
    patron = place.nom
    if random_.random() < 0.12:
        patron = patron.replace(" ", "-") if random_.random() < 0.5 else patron.split()[-1]
    name = f"{kind} {_misspelt(random_, patron, 0.08)}"
    street = f"{place.numero} {place.rue}"
    if source == "annuaire":
        name, street = _bare(name).upper(), _bare(_rewritten(street, FR_SHORT)).upper()
    if source == "mairie" and random_.random() < 0.15:
        name = f"{name} - {place.town.nom}"
    return {
        "nom": name,
        "adresse": street if random_.random() < 0.92 else None,
        "code_postal": place.cp if random_.random() < 0.96 else None,
        "commune": _bare(place.town.nom).upper() if source == "annuaire" else place.town.nom,
        "code_insee": place.town.insee if source == "education" else None,
        "telephone": _sometimes(random_, 0.75 if source != "mairie" else 0.3, place.telephone),
        "type": FR_KINDS[place.type][0] if source == "education" else None,
        **_point(random_, place, {"education": 0.95, "annuaire": 0.8, "mairie": 0.0}[source]),
    }


# --- schools of the United Kingdom ---

UK_TOWNS = [
    Town(
        f"{stem}{end}",
        f"{area}{1 + (i * 7 + j) % 28}",
        50.9 + (i * 17 % 37) / 10,
        -3.0 + (j * 5 + i * 3) % 43 / 10,
        f"01{200 + (i * 13 + j * 7) % 700}",
    )
    for i, (stem, area) in enumerate(
        pair.split("/")
        for pair in _phrases(
            "Nor/NR|Hather/LE|Ald/GU|Brig/BN|Chel/CM|Dar/DA|Elm/DE|Farn/SL|Gains/DN|Hex/NE|Ips/IP"
            "|Kings/PE|Led/HR|Mal/YO|Oak/ML|Peter/SG|Raven/LA|Shef/S|Thorn/BS|Wake/WF"
        )
    )
    for j, end in enumerate(("ton", "bury", "ham", "ford", "sfield", "stoke"))
]
UK_STREETS = _made(
    _phrases("Church|School|Station|Mill|Park|Victoria|London|Queens|Manor|Green|High|Orchard"),
    (" Road", " Lane", " Street", " Avenue", " Close"),
)
UK_SHORT = {"Road": "Rd", "Lane": "Ln", "Street": "St", "Avenue": "Ave", "Close": "Cl"}
SAINTS = _phrases("Mary|John|Peter|Joseph|Paul|James|Michael|Anne|Andrew|Thomas|George|Catherine")
UK_CHURCHES = ("Church of England", "Catholic", "")
UK_STAGES = ("Infant", "Junior", "Primary", "Primary", "Primary", "High")


def _uk_core(random_: Random) -> tuple[str, str]:
    """A core and, for a saint, its church: St Mary's Catholic is not St Mary's of England."""
    if random_.random() < 0.5:
        return f"St {random_.choice(SAINTS)}'s", random_.choice(UK_CHURCHES)
    if random_.random() < 0.4:
        return random_.choice(
            _phrases("Park|Church Lane|Hillside|Greenfield|The Grove|Oakwood|Riverside|Manor")
        ), ""
    return random_.choice(ENGLISH_SURNAMES), ""


def _schools_uk(random_: Random) -> list[Place]:
    """One school, infants and juniors of one name side by side, or a school become academy."""
    town = _town_of(random_, UK_TOWNS)
    core, church = _uk_core(random_)
    inward = f"{random_.randint(1, 9)}{''.join(random_.choices('ABDEFGHJLNPQRSTUWXYZ', k=2))}"
    stage = random_.choice(UK_STAGES)
    name = " ".join(part for part in (core, church, stage, "School") if part)
    first = replace(
        _place(
            random_,
            town,
            UK_STREETS,
            nom=name,
            coeur=f"{core} {church}",
            cp=f"{town.cp} {inward}",
            spread=0.02,
        ),
        telephone=_uk_phone(random_, town),
    )
    if stage in {"Infant", "Junior"}:
        own = first.telephone if random_.random() < 0.5 else _uk_phone(random_, town)
        return [
            replace(first, nom=name.replace(stage, "Infant")),
            replace(first, nom=name.replace(stage, "Junior"), telephone=own),
        ]
    if stage == "Primary" and random_.random() < 0.15:
        return [replace(first, ancien=name.replace("School", "Academy"))]
    return [first]


def _uk_phone(random_: Random, town: Town) -> str:
    return f"{town.indicatif} {random_.randint(100000, 999999)}"


def _school_uk_fiche(random_: Random, place: Place, source: str) -> Fiche:
    name = place.ancien if place.ancien and source != "council" else place.nom
    street = f"{place.numero} {place.rue}" if random_.random() < 0.5 else place.rue
    if source == "council":
        name = name.replace("Church of England", random_.choice(("C of E", "CofE", "CE")))
        name = name.removesuffix(" School") if random_.random() < 0.5 else name
        name = name.replace("St ", "St. ") if random_.random() < 0.5 else name
        street = _rewritten(street, UK_SHORT)
    elif source == "reviews":
        name = name.replace("Church of England", "C.E.").replace("'", "")
        name = name.replace("Catholic", random_.choice(("RC", "Catholic", "Roman Catholic")))
        name = name.upper() if random_.random() < 0.4 else name
    postcode = place.cp.replace(" ", "") if source == "reviews" else place.cp
    phone = place.telephone or ""
    if source == "council":
        phone = f"+44 {phone[1:]}"
    return {
        "nom": _misspelt(random_, name, 0.08),
        "adresse": street if random_.random() < 0.9 else None,
        "code_postal": postcode if random_.random() < 0.95 else None,
        "commune": place.town.nom,
        "telephone": _sometimes(random_, 0.7, phone),
        **(_point(random_, place, 0.9) if source != "register" else {}),
    }


# --- companies of Germany: parents and daughters at one address ---

DE_TOWNS = _towns("""\
Berlin|10|52.520|13.400|030
Hamburg|20|53.550|9.990|040
München|80|48.140|11.580|089
Köln|50|50.940|6.960|0221
Frankfurt am Main|60|50.110|8.680|069
Stuttgart|70|48.780|9.180|0711
Düsseldorf|40|51.230|6.780|0211
Nürnberg|90|49.450|11.080|0911
Münster|48|51.960|7.630|0251
Würzburg|97|49.790|9.950|0931
Lübeck|23|53.870|10.690|0451
Göttingen|37|51.540|9.920|0551
Saarbrücken|66|49.240|7.000|0681
Osnabrück|49|52.280|8.050|0541
Tübingen|72|48.520|9.060|07071
Görlitz|02|51.150|14.990|03581
Leipzig|04|51.340|12.370|0341
Dresden|01|51.050|13.740|0351
Bremen|28|53.080|8.800|0421
Hannover|30|52.370|9.730|0511
Mönchengladbach|41|51.190|6.440|02161
Augsburg|86|48.370|10.900|0821""")
GERMAN_SURNAMES = _made(
    _phrases(
        "Berg|Stein|Hof|Wald|Lind|Brück|Kröger|Schön|Bäcker|Müh|Gröb|Kais|Hart|Eber|Neu|Alt|Feld"
        "|Köhl|Förs|Rein|Sturm|Vogel|Wess|Zorn|Trau|Dett|Ols|Pfeif|Rüt|Büch|Grün|Lauter|Dreh|Jäg"
        "|Horn|Uhl|Witt|Ziegel|Kupfer|Nied|Ober|Rösch|Schlüt|Tann|Winkel|Asch"
    ),
    _phrases("mann|er|meier|hofer|inger|bauer|ling|stett|ner|feld|huber|kamp|rath|wein"),
)
DE_TRADES = _phrases(
    "Maschinenbau|Elektrotechnik|Bau|Gebäudereinigung|Spedition|Möbel|Bäckerei|Metallbau|Software"
    "|Immobilien|Druckerei|Gartenbau|Sanitär|Küchen|Kälteanlagen|Werkzeugbau|Büromöbel|Getränke"
)
DE_FORMS = ("GmbH", "GmbH", "GmbH & Co. KG", "AG", "e.K.", "KG", "UG (haftungsbeschränkt)")
DE_BRANCHES = ("Holding", "Verwaltungs", "Logistik", "Beteiligungs", "Service")
DE_STREETS = _made(
    _phrases("Haupt|Bahnhof|Garten|Schiller|Goethe|Industrie|Mühlen|Berg|Königs|Schloss|Linden"),
    ("straße", "straße", "weg", "allee"),
) + _phrases("Am Markt|An der Brücke|Kölner Straße|Münchner Straße|Lange Straße|Alter Markt")
DE_ASCII = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
)


def _companies_de(random_: Random) -> list[Place]:
    """A company, or a family of companies: holding, administration and trade at one address."""
    town = _town_of(random_, DE_TOWNS)
    surname = random_.choice(GERMAN_SURNAMES)
    trade, form = random_.choice(DE_TRADES), random_.choice(DE_FORMS)
    name = random_.choice(
        (f"{surname} {trade}", f"{trade} {surname}", f"{surname} & Söhne {trade}")
    )
    site = _site(f"{surname}{trade}".translate(DE_ASCII), "de")
    cp = f"{town.cp}{random_.randint(100, 399)}"
    first = replace(
        _place(random_, town, DE_STREETS, nom=f"{name} {form}", coeur=surname, cp=cp),
        telephone=_de_phone(random_, town),
        site=site if random_.random() < 0.4 else None,
    )
    if random_.random() >= 0.12:
        return [first]
    branches = random_.sample(DE_BRANCHES, k=random_.randint(1, 3))
    return [
        first,
        *(
            replace(
                first,
                nom=f"{surname} {branch} GmbH",
                telephone=first.telephone if random_.random() < 0.6 else _de_phone(random_, town),
            )
            for branch in branches
        ),
    ]


def _de_phone(random_: Random, town: Town) -> str:
    return f"{town.indicatif}/{random_.randint(100000, 9999999)}"


def _company_de_fiche(random_: Random, place: Place, source: str) -> Fiche:
    name, street, town = place.nom, f"{place.rue} {place.numero}", place.town.nom
    phone = place.telephone or ""
    if source == "branchenbuch":
        street = re.sub(r"traße\b", "tr.", street)
        name = re.sub(r" (GmbH|AG|e\.K\.|KG|UG).*$", "", name) if random_.random() < 0.4 else name
        phone = "+49 " + phone[1:].replace("/", " ")
    elif source == "kammer":
        name, street, town = (text.translate(DE_ASCII) for text in (name, street, town))
        name = name.replace("GmbH", random_.choice(("GmbH", "Gmbh", "G.m.b.H.")))
        name = name.upper() if random_.random() < 0.3 else name
    if random_.random() < 0.2:
        name = name.replace("&", "und")
    return {
        "nom": _misspelt(random_, name, 0.1),
        "adresse": _misspelt(random_, street, 0.05) if random_.random() < 0.93 else None,
        "code_postal": place.cp if random_.random() < 0.95 else None,
        "commune": town,
        "telephone": _sometimes(random_, 0.6, phone),
        "site_web": _sometimes(random_, 0.6, place.site),
        **_point(random_, place, {"register": 0.0, "branchenbuch": 0.8, "kammer": 0.5}[source]),
    }


# --- companies of the United Kingdom: a name, a town and nothing else ---

UK_TRADES = _phrases(
    "Plumbing|Roofing|Properties|Catering|Consulting|Engineering|Motors|Electrical|Joinery|Homes"
    "|Textiles|Logistics|Interiors|Packaging|Nurseries|Printers|Foods|Dental Care|Recruitment"
)
UK_FORMS = {"Limited": ("Ltd", "Ltd.", "LTD", ""), "PLC": ("plc", "P.L.C.", "")}
UK_VENTURES = ("Solar", "Wind Farm", "Developments", "Care Homes")


def _companies_uk(random_: Random) -> list[Place]:
    """A company, or a series that differs by its number: Ashford Solar 1, 2, 3."""
    town = _town_of(random_, UK_TOWNS)
    surname = random_.choice(ENGLISH_SURNAMES)
    trade = random_.choice(UK_TRADES)
    form = random_.choice(("Limited", "Limited", "Limited", "PLC"))
    draw = random_.random()
    if draw < 0.3:
        name = f"{surname} {trade}"
    elif draw < 0.5:
        name = f"{surname} and {random_.choice(ENGLISH_SURNAMES)} {trade}"
    elif draw < 0.65:
        name = f"{surname} Brothers {trade}"
    elif draw < 0.75:
        name = f"{trade} {random_.randint(2, 9)}{random_.choice(('000', '4', '00'))} {surname}"
    elif draw < 0.9:
        name = f"The {surname} {random_.choice(US_NOUNS)} {trade} Company"
    else:
        name = f"{surname} {random_.choice(UK_VENTURES)}"
    first = _place(random_, town, UK_STREETS, nom=f"{name} {form}", coeur=surname)
    if draw < 0.9:
        return [first]
    series = range(1, random_.randint(3, 6))
    return [replace(first, nom=f"{name} {rank} {form}") for rank in series]


def _company_uk_fiche(random_: Random, place: Place, source: str) -> Fiche:
    body, _, form = place.nom.rpartition(" ")
    if source != "house":
        form = random_.choice(UK_FORMS[form])
        if random_.random() < 0.5:
            body = _rewritten(body, {"and": "&", "Brothers": "Bros", "Company": "Co"})
        if random_.random() < 0.6:
            body = body.removeprefix("The ")
    name = f"{_misspelt(random_, body, 0.1)} {form}".strip()
    return {
        "nom": name.upper() if source == "house" else name,
        "commune": place.town.nom.upper() if source == "house" else place.town.nom,
    }


# --- shops of Japan: no spaces, addresses from large to small, full width ---

JP_TOWNS = _towns("""\
東京都渋谷区|150|35.660|139.700|03
東京都新宿区|160|35.690|139.700|03
東京都台東区|110|35.710|139.780|03
京都府京都市中京区|604|35.010|135.750|075
大阪府大阪市北区|530|34.705|135.500|06
北海道札幌市中央区|060|43.055|141.340|011
福岡県福岡市博多区|812|33.590|130.410|092
愛知県名古屋市中区|460|35.170|136.900|052
神奈川県横浜市西区|220|35.450|139.620|045
宮城県仙台市青葉区|980|38.270|140.870|022""")
JP_QUARTERS = _phrases("神南|本町|栄町|中央|桜丘町|東町|西町|若葉|緑町|寿町|元町|旭町|末広|大手町")
JP_SURNAMES = _made(
    _phrases("中|山|田|小|大|高|松|竹|石|森|川|西|北|上|藤|吉|長|村|福|宮"),
    _phrases("村|田|本|川|原|野|沢|島|井|崎|岡|谷|尾|橋"),
)
JP_KATAKANA = _made(
    _phrases("ル|マ|サ|ベ|コ|ミ|ラ|ポ|ソ|ア|ノ|リ|カ|フェ"),
    [
        a + b
        for a in _phrases("ナ|リ|ント|ッカ|ーラ|ルテ|モ")
        for b in _phrases("|ン|ーレ|ス|ニ|ア")
    ],
)
JP_KINDS = _phrases("書店|酒店|食堂|薬局|花店|時計店|歯科医院|理容室|写真館|米店")
JP_PREFIXED = _phrases("喫茶|カフェ|美容室|レストラン|居酒屋|ラーメン|パン工房")
FULL_WIDTH = str.maketrans("0123456789-", "０１２３４５６７８９－")


def _shops_jp(random_: Random) -> list[Place]:
    """A shop, or a chain whose branches carry the quarter: the place is the identity."""
    town = random_.choice(JP_TOWNS)
    if random_.random() < 0.5:
        core = random_.choice(JP_SURNAMES)
        name = f"{core}{random_.choice(JP_KINDS)}"
    else:
        core = random_.choice(JP_KATAKANA)
        name = f"{random_.choice(JP_PREFIXED)} {core}"

    def shop(quarters: Sequence[str], label: str) -> Place:
        cp = f"{town.cp}-00{random_.randint(11, 99)}"
        placed = _place(random_, town, quarters, nom=label, coeur=core, cp=cp, spread=0.02)
        return replace(placed, telephone=_jp_phone(random_, town), tight=label != name)

    if random_.random() >= 0.03:
        return [shop(JP_QUARTERS, name)]
    branches = random_.sample(JP_QUARTERS, k=random_.randint(2, 5))
    return [shop([quarter], f"{name} {quarter}店") for quarter in branches]


def _jp_phone(random_: Random, town: Town) -> str:
    return f"{town.indicatif}-{random_.randint(2000, 9999)}-{random_.randint(0, 9999):04}"


def _shop_jp_fiche(random_: Random, place: Place, source: str) -> Fiche:
    block = (1 + place.numero % 5, 1 + place.numero % 17, 1 + place.numero % 23)
    name, postcode, phone = place.nom, place.cp, place.telephone or ""
    street = f"{place.rue}{block[0]}-{block[1]}-{block[2]}"
    if source == "denwa":
        street = f"{place.town.nom}{place.rue}{block[0]}丁目{block[1]}番{block[2]}号"
        name = name.replace(" ", "")
        postcode = postcode.replace("-", "")
    elif source == "shotengai":
        street, phone = street.translate(FULL_WIDTH), phone.translate(FULL_WIDTH)
        name = name.replace("ラーメン", "らーめん").replace("カフェ", "cafe")
        name = f"(有){name}" if random_.random() < 0.1 else name
    if random_.random() < 0.06:
        name = name.replace("ー", "")
    return {
        "nom": name,
        "adresse": street if place.tight or random_.random() < 0.92 else None,
        "code_postal": postcode if random_.random() < 0.9 else None,
        "commune": place.town.nom,
        "telephone": _sometimes(random_, 0.6, phone),
        **(_point(random_, place, 0.8) if source == "chizu" else {}),
    }


# --- shops of Greece: accents lost in capitals, articles, declined street names ---

GR_TOWNS = _towns("""\
Αθήνα|104|37.980|23.730|210
Θεσσαλονίκη|546|40.640|22.940|2310
Πάτρα|262|38.250|21.740|2610
Ηράκλειο|712|35.340|25.130|2810
Λάρισα|412|39.640|22.420|2410
Βόλος|383|39.360|22.940|24210
Ιωάννινα|453|39.660|20.850|26510
Χανιά|731|35.510|24.020|28210
Καλαμάτα|241|37.040|22.110|27210
Καβάλα|653|40.940|24.410|2510
Ρόδος|851|36.430|28.220|22410
Σέρρες|621|41.090|23.550|23210
Λαμία|351|38.900|22.430|22310
Κέρκυρα|491|39.620|19.920|26610""")
GREEK_SURNAMES = _made(
    _phrases(
        "Παπα|Νικολ|Γεωργ|Δημητρ|Κωνσταντιν|Αθανασ|Θεοδωρ|Μιχαηλ|Στεφαν|Βασιλ|Αντων|Χαραλαμπ|Σταμ"
        "|Μαρκ|Λουκ|Πετρ|Αλεξ|Καραγιανν|Χατζ|Μαυρ|Ασπρ|Κοκκιν|Ξανθ|Σαμαρ|Ραφτ|Μυλων|Τσακ|Ζαχαρ"
    ),
    _phrases("όπουλος|ίδης|άκης|έλης|άτος|ούδης|ιάδης|άκος|έας|όγλου|ίτσας|ανός"),
)
GR_KINDS = _phrases("Φαρμακείο|Ταβέρνα|Καφενείο|Αρτοποιείο|Βιβλιοπωλείο|Ζαχαροπλαστείο|Ανθοπωλείο")
GR_NOUNS = _phrases(
    "Ο Πλάτανος|Η Ακρόπολη|Το Στέκι|Ο Φάρος|Η Αυλή|Το Λιμάνι|Ο Ήλιος|Η Γοργόνα|Το Κύμα|Η Ελιά"
)
GR_STREETS = _phrases(
    "Ερμού|Αριστοτέλους|Ελευθερίου Βενιζέλου|Αγίου Δημητρίου|Τσιμισκή|Κορίνθου|Πατησίων|Σταδίου"
    "|Εγνατία|Μεγάλου Αλεξάνδρου|Παπαναστασίου|Καραϊσκάκη|Κολοκοτρώνη|28ης Οκτωβρίου|Ιωνίας"
)


def _shops_gr(random_: Random) -> list[Place]:
    town = _town_of(random_, GR_TOWNS)
    surname = random_.choice(GREEK_SURNAMES)
    owner = f"{random_.choice('ΑΒΓΔΚΜΝΠΣΧ')}. {surname}"
    if random_.random() < 0.3:
        owner = f"{random_.choice(GR_NOUNS)} {surname}"
    name = f"{random_.choice(GR_KINDS)} {owner}"
    cp = f"{town.cp}{random_.randint(10, 99)}"
    placed = _place(random_, town, GR_STREETS, nom=name, coeur=surname, cp=cp)
    return [replace(placed, telephone=f"{town.indicatif}{random_.randint(10**5, 10**6 - 1)}")]


def _shop_gr_fiche(random_: Random, place: Place, source: str) -> Fiche:
    name, street = place.nom, f"{place.rue} {place.numero}"
    postcode, town = place.cp, place.town.nom
    if source == "epimelitirio":
        name, street, town = (_bare(text).upper() for text in (name, street, town))
        postcode = f"{postcode[:3]} {postcode[3:]}"
        name = re.sub(r"^(\S+) (.*)$", r"\2 \1", name) if random_.random() < 0.3 else name
    elif random_.random() < 0.4:
        street = f"Οδός {street}"
    return {
        "nom": _misspelt(random_, name, 0.12),
        "adresse": street if random_.random() < 0.92 else None,
        "code_postal": postcode if random_.random() < 0.9 else None,
        "commune": town,
        "telephone": _sometimes(random_, 0.6, place.telephone),
    }


# --- associations of Spain: one file, few columns ---

ES_TOWNS = [
    Town(nom, cp, 0.0, 0.0)
    for nom, cp in (
        pair.split("/")
        for pair in _phrases(
            "Madrid/280|Barcelona/080|Valencia/460|Sevilla/410|Zaragoza/500|Málaga/290|Murcia/300"
            "|Bilbao/480|Alicante/030|Córdoba/140|Valladolid/470|Vigo/362|Gijón/332|A Coruña/150"
            "|Granada/180|Oviedo/330|Pamplona/310|Almería/040|Burgos/090|Salamanca/370|Logroño/260"
            "|Badajoz/060|León/240|Cádiz/110|Huelva/210|Jaén/230|Lleida/250|Cáceres/100|Ávila/050"
        )
    )
]
ES_KINDS = {
    "Asociación Cultural": ("Asoc. Cultural", "A.C.", "Asociación Cult."),
    "Asociación de Vecinos": ("AA.VV.", "Asoc. Vecinos", "AVV"),
    "Club Deportivo": ("C.D.", "Club Dep.", "CD"),
    "Asociación Juvenil": ("Asoc. Juvenil", "A.J.", "Asociación Juv."),
    "Asociación de Mujeres": ("Asoc. de Mujeres", "Asoc. Mujeres", "Asociación Mujeres"),
    "Peña": ("Peña", "Peña Cultural", "P.ª"),
}
ES_NOUNS = _phrases(
    "El Molino|La Encina|Los Pinos|El Olivar|La Fuente|San Isidro|Virgen del Carmen|El Castillo"
    "|La Alameda|Santa Ana|El Tajo|La Noria|San Roque|El Mirador|La Dehesa|Las Eras|El Trébol"
    "|La Ribera|El Roble|San Antón|La Amistad|Nueva Vida|El Puente|La Esperanza|El Rincón"
)
ES_EPITHETS = _phrases(
    "del Sur|de Abajo|del Río|Viejo|de la Sierra|del Valle|Unidos|de Arriba|del Norte|de la Vega|||"
)
ES_STREETS = _phrases(
    "Calle Mayor|Calle Real|Avenida de la Constitución|Plaza de España|Calle San Juan|Calle Nueva"
    "|Paseo de la Estación|Calle Cervantes|Avenida de Andalucía|Calle del Carmen|Plaza Mayor"
    "|Calle Goya|Calle Ramón y Cajal|Carretera de Madrid|Calle Colón|Travesía del Sol"
)
ES_SHORT = {"Calle": "C/", "Avenida": "Avda.", "Plaza": "Pza.", "Paseo": "Pº", "Carretera": "Ctra."}


def _es_core(random_: Random) -> str:
    if random_.random() < 0.4:
        return "".join(
            random_.choices(_phrases("al|ba|ca|de|lo|mar|na|ri|sol|ta|ver|zu"), k=3)
        ).capitalize()
    return f"{random_.choice(ES_NOUNS)} {random_.choice(ES_EPITHETS)}".strip()


def _associations_es(random_: Random) -> list[Place]:
    """One body, two kinds of one name, or a house of associations: many at one address."""
    town = _town_of(random_, ES_TOWNS)
    cp = f"{town.cp}{random_.randint(1, 30):02}"
    home = _place(random_, town, ES_STREETS, nom="", coeur="", cp=cp)

    def body(core: str, kind: str) -> Place:
        return replace(home, nom=core, coeur=core, type=kind)

    kinds = random_.sample(list(ES_KINDS), k=2)
    draw = random_.random()
    if draw < 0.04:
        cores = {_es_core(random_) for _ in range(random_.randint(3, 8))}
        return [body(core, random_.choice(kinds)) for core in sorted(cores)]
    core = _es_core(random_)
    return [body(core, kind) for kind in (kinds if draw < 0.12 else kinds[:1])]


def _association_es_fiche(random_: Random, place: Place, source: str) -> Fiche:
    kind = place.type if random_.random() < 0.6 else random_.choice(ES_KINDS[place.type])
    name = f"{kind} {place.nom}"
    if random_.random() < 0.15:
        name = f"{place.nom} ({kind})"
    if random_.random() < 0.3:
        name = _bare(name).upper()
    street = random_.choice((f"{place.rue}, {place.numero}", f"{place.rue} nº {place.numero}"))
    if random_.random() < 0.4:
        street = _rewritten(street, ES_SHORT)
    return {
        "nom": _misspelt(random_, name, 0.12),
        "adresse": street if random_.random() < 0.75 else None,
        "code_postal": place.cp if random_.random() < 0.75 else None,
        "commune": _bare(place.town.nom).upper() if random_.random() < 0.3 else place.town.nom,
    }


def main() -> None:
    """Write the table of one world."""
    made = worlds()
    parser = argparse.ArgumentParser(description="Engendre un jeu étiqueté d’un autre domaine.")
    parser.add_argument("world", choices=sorted(made), help="monde")
    parser.add_argument("count", type=int, help="nombre de fiches")
    parser.add_argument("--seed", type=int, default=0, help="graine")
    parser.add_argument("--out", type=Path, required=True, help="fichier Parquet à écrire")
    arguments = parser.parse_args()
    pq.write_table(made[arguments.world](arguments.count, arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
