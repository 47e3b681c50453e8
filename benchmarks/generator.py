"""A seeded generator of French initiatives as several listings would give them, with the truth.

    python -m benchmarks.generator 100000 --out initiatives.parquet

Three records in ten repeat another one, in groups of two to six, with the errors that real listings
show: capitals, lost or damaged accents, typos, words joined or split, kind, commune or network
added, acronyms, second languages, new names, moves, missing or wrong postcodes, the commune in the
street, points at the centre of the commune, on a geocoder's default, or with swapped coordinates.
Some repeat another one of their own listing. Each listing has its habits: what it fills is as
sparse as in published listings of the same kind.

Beside them stands what must not be merged: homonyms in other towns (more of them as the size
grows), chains with one site and one telephone, hosts and their guests at one address, several sites
of one body, a town hall and the services at its address, opposed kinds under one proper name.

Names draw their words from a Zipf–Mandelbrot law with no end, so that at every size most words are
rare and a few are in every town. Synthetic: for cost, and for comparing engines on the same
records, never for an absolute accuracy. A million records take about a minute and 1.1 GiB.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq


def _phrases(text: str) -> list[str]:
    return text.split("|")


REFERENCE = Path(__file__).parents[1] / "warehouse" / "reference" / "communes.parquet"

SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in (
                *("source", "cle_source", "nom", "adresse", "code_postal", "commune", "code_insee"),
                *("precision_geo", "site_web", "courriel", "telephone", "siret", "rna", "type"),
            )
        ),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("verite", pa.int64()),
    ]
)
"""A record, and `verite`, the number of the initiative that it speaks of."""

DUPLICATE_SHARE = 0.3
REPEATS = (1, 2, 3, 4, 5)
"""How many more records an initiative that is repeated has."""
REPEAT_WEIGHTS = (60, 22, 10, 5, 3)
CHUNK = 50_000


class Listing(NamedTuple):
    """The habits of a source: its weight, and the shares of records for which a field is filled."""

    weight: int
    site: float
    mail: float
    phone: float
    siret: float
    rna: float
    insee: float
    point: float
    upper: float
    one_line: float
    """Share of addresses that end with the postcode and commune, these columns being empty."""


LISTINGS = {
    "gogocarto_a": Listing(20, 0.59, 0.09, 0.07, 0, 0, 0, 1, 0.02, 0.10),
    "gogocarto_b": Listing(12, 0.40, 0.20, 0.15, 0, 0, 0, 0.97, 0.05, 0.02),
    "tiers_lieux": Listing(20, 0.80, 0.05, 0.0, 0, 0, 0.97, 0.97, 0.08, 0.01),
    "fablabs": Listing(6, 0.91, 0.62, 0.30, 0, 0, 0, 0.95, 0.05, 0.10),
    "ressourceries": Listing(10, 0.42, 0.40, 0.85, 0, 0, 0, 0.60, 0.30, 0.05),
    "annuaire_dept": Listing(16, 0.80, 0.80, 0.90, 0.02, 0, 0.30, 0.95, 0.05, 0.01),
    "repertoire": Listing(16, 0.28, 0.15, 0.30, 0.45, 0.15, 0.60, 0.99, 0.40, 0.0),
}
"""Filled shares are those of published lists of third places, workshops, reuse and public digital
places: no SIRET outside administrative lists, few telephones outside directories."""

SOURCES = tuple(LISTINGS)

KINDS = {
    "fablab": ("Fablab", "FabLab", "Makerspace"),
    "ressourcerie": ("Ressourcerie", "Recyclerie"),
    "repair_cafe": ("Repair Café",),
    "tiers_lieu": ("Tiers-lieu", "Coworking", "Espace"),
    "atelier_velo": ("Atelier vélo", "Vélo-école"),
    "jardin_partage": ("Jardin partagé", "Jardin"),
    "mediatheque": ("Médiathèque", "Bibliothèque"),
    "epicerie": ("Épicerie solidaire", "Café associatif", "Épicerie"),
    "centre_social": ("Centre social", "MJC", "Maison de quartier", "Espace de vie sociale"),
    "association": ("Association", "Collectif", "Les Amis de", ""),
}
KIND_WEIGHTS = (9, 12, 10, 20, 7, 7, 10, 8, 9, 8)
STREETS = _phrases("rue|rue|rue|rue|avenue|boulevard|place|chemin|route|impasse|allée|quai|cours")
SHORT = {
    "avenue": "av.",
    "boulevard": "bd",
    "place": "pl",
    "route": "rte",
    "chemin": "ch.",
    "allée": "all.",
    "impasse": "imp",
}
STREET_NAMES = _phrases(
    "de la République|Victor Hugo|Jean Jaurès|de la Gare|du Moulin|des Écoles|Pasteur|de l’Église"
    "|du Général de Gaulle|de la Liberté|Saint-Martin|des Lilas|Gambetta|du Château|Émile Zola"
    "|des Tilleuls|de Verdun|Jules Ferry|des Jardins|de la Fontaine|du Stade|des Acacias|Voltaire"
    "|Aristide Briand|de la Forêt|du 8 Mai 1945|Marcel Pagnol|Louise Michel|des Artisans|du Port"
    "|Saint-Laurent|Molière|de Bretagne|de Paris|George Sand|Jean Moulin|des Vignes|du Lavoir"
    "|de la Mairie|du Marché|Carnot|du Pont|des Fleurs|Anatole France|Pierre Curie|du Bourg"
)
NOUNS = _phrases(
    "La Ruche|La Fabrique|La Machinerie|La Grange|La Bobine|La Clef|La Boussole|La Pie|La Cigale"
    "|La Fourmilière|La Cordée|La Manivelle|La Boîte à Outils|La Roue Libre|La Caravelle|L’Atelier"
    "|La Lanterne|La Passerelle|La Coquille|La Canopée|La Passoire|La Turbine|La Bricole|La Récup"
    "|La Marmite|La Girouette|La Chaloupe|La Guinguette|La Filature|La Forge|La Scierie|Le Grenier"
    "|La Tannerie|La Verrerie|La Charrette|La Brouette|La Casemate|La Dynamo|La Sirène|La Rotonde"
    "|La Ferme|La Cantine|La Mine|La Halle|La Gare|La Poudrière|L’Établi|Le Tournevis|L’Escale"
    "|Le Lien|Le Comptoir|Le Chantier|Le Bocal|Le Local|Le Repaire|Le Terrier|Le Nid|L’Étape"
    "|Le Hangar|Le Plateau|Le Quai|Le Phare|Le Moulin|Le Pressoir|Le Lavoir|Le Kiosque|L’Écluse"
    "|Le Panier|Le Potager|Le Verger|Le Tilleul|Le Chêne|Le Colibri|Le Hérisson|Le Castor|L’Abeille"
    "|Le Fil|La Trame|La Navette|L’Aiguille|Le Bouton|Le Guidon|La Pédale|Le Pignon|La Sacoche"
    "|L’Usine|L’Entrepôt|La Remise|Le Préau|La Cour|L’Alambic|Le Bercail|Le Relais|La Source"
    "|La Mezzanine|Le Carrefour|La Croisée|Le Labo|Le Garage|Le Bazar|La Trocante|L’Échange"
    "|La Mosaïque|La Palette|L’Arbre|La Graine|Le Germoir|La Serre|Le Silo|La Bergerie|L’Étable"
    "|Le Pigeonnier|La Volière|Le Tremplin|L’Envol|La Bascule|Le Levier|La Poulie|Le Rouage"
    "|L’Engrenage|L’Horloge|Le Cadran|La Loupe|Le Prisme|L’Étincelle|Le Fanal|La Braise|Le Four"
)
COMPLEMENTS = _phrases(
    "du Nord|des Possibles|en Commun|Solidaire|du Val|des Voisins|à Vapeur|Bleue|des Lutins"
    "|Citoyenne|du Coin|d’En Face|des Cimes|à Pédales|Verte|du Canal|des Deux Rives|Vagabonde"
    "|Ouverte|du Phare|des Prés|Joyeuse|du Causse|d’Argent|du Bocage|Créative|Numérique|du Pays"
    "|Partagée|Rurale|Mobile|des Savoirs|du Réemploi|de Demain|des Initiatives|Populaire"
)
PEOPLE = _phrases(
    "Jules Verne|Jacques Prévert|Louise Michel|Simone Veil|Albert Camus|George Sand|Jean Moulin"
    "|Marcel Pagnol|Aimé Césaire|Rosa Parks|Olympe de Gouges|Jean Jaurès|Robert Desnos|Colette"
)
FIRST_NAMES = _phrases(
    "Jean|Marie|Pierre|Alain|Louise|André|Simone|Paul|Lucie|René|Jeanne|Émile|Anne|Élie|Claude"
    "|Marguerite|Henri|Suzanne|Léon|Germaine"
)
LONG_HEADS = _phrases(
    "Laboratoire|Atelier|Maison|Groupement|Réseau|Collectif|Association|Comité|Centre|Pôle"
)
LONG_MIDDLES = _phrases(
    "Ouvert|Solidaire|Citoyen|Coopératif|Local|Autonome|Écologique|Participatif|Populaire|Rural"
)
LONG_TAILS = _phrases(
    "de Réparation|d’Entraide|de Fabrication|des Habitants|de Recherche|pour le Réemploi"
    "|d’Insertion|de Ressources|de Mobilité|pour la Transition|d’Éducation|des Énergies"
)
OPPOSED = (
    (("École maternelle {}", "ecole"), ("École élémentaire {}", "ecole")),
    (("Emmaüs {} boutique", "ressourcerie"), ("Communauté Emmaüs {}", "association")),
    (("{}", "tiers_lieu"), ("Fablab {}", "fablab")),
    (("Ressourcerie {}", "ressourcerie"), ("Café {}", "epicerie")),
    (("Médiathèque {}", "mediatheque"), ("Ludothèque {}", "mediatheque")),
    (("Crèche {}", "ecole"), ("Centre de loisirs {}", "centre_social")),
    (("Jardin {}", "jardin_partage"), ("Épicerie {}", "epicerie")),
)
TOWN = (
    ("Mairie {}", "mairie"),
    ("CCAS {}", "centre_social"),
    ("Médiathèque {}", "mediatheque"),
    ("France Services {}", "centre_social"),
    ("Office de tourisme {}", "association"),
)
HOSTS = (
    "Centre social {}",
    "Médiathèque {}",
    "MJC {}",
    "Maison des associations {}",
    "La Maison des habitants {}",
)
NETWORK_PREFIX = {"ressourceries": "Réseau du réemploi – ", "annuaire_dept": "Espace numérique - "}
"""A prefix that a listing gives to every name of a family at once."""
PREFIXED = {"ressourceries": "ressourcerie", "annuaire_dept": "mediatheque"}
FREE_HOSTS = ("gmail.com", "orange.fr", "laposte.net", "free.fr")
SECOND_LANGUAGE = {
    "22": "Ti ar {}", "29": "Ti {}", "35": "Ti an {}", "56": "Ti ar {}", "64": "{} Etxea",
    "67": "{} Haus", "68": "{} Haus", "2A": "Casa {}", "2B": "Casa {}", "66": "Casa del {}",
}  # fmt: skip

_ONSETS = _phrases(
    "b|br|c|ch|cl|d|dr|f|fl|g|gr|k|l|m|n|p|pl|qu|r|s|t|tr|v|bl|cr|pr|j|gu|st|th|vr|z|h|ph|sc|fr"
)
_VOWELS = _phrases("a|e|i|o|u|ou|on|an|in|é|eau|ai|oi|eu|au|ar|or|er|el|al|is|us|en|ul")
_ENDINGS = _phrases("|||t|s|x|lle|nne|r|ne|c|tte|l|rd|z|n")


class Commune(NamedTuple):
    """Where an initiative may be."""

    nom: str
    insee: str
    cp: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Initiative:
    """What is true of an initiative, before any listing misspells it."""

    nom: str
    type: str
    commune: Commune
    numero: int
    voie: str
    rue: str
    latitude: float
    longitude: float
    site: str | None
    courriel: str | None
    telephone: str | None
    siret: str | None
    rna: str | None
    autre_nom: str | None = None
    """Its name in another language, or in full when the name is an acronym."""
    sans_adresse: bool = False


@dataclass(slots=True)
class _World:
    """What is drawn from, and what was already given."""

    random_: random.Random
    size: int
    generic: set[str] = field(default_factory=set)
    """Names made of a kind and a commune: a second body of one town takes a name of its own."""


def communes(path: Path = REFERENCE) -> tuple[list[Commune], list[float]]:
    """Communes and how likely each is: the root of its population, so that villages count."""
    if not path.exists():
        return _invented_communes()
    columns = ["code", "nom", "nature", "population", "codes_postaux", "latitude", "longitude"]
    rows = pq.read_table(path, columns=columns).to_pylist()
    found, weights = [], []
    for row in rows:
        if not (row["latitude"] and row["population"]) or row["nature"] == "arrondissement":
            continue
        for postcode in row["codes_postaux"] or []:
            found.append(
                Commune(row["nom"], row["code"], postcode, row["latitude"], row["longitude"])
            )
            weights.append(math.sqrt(row["population"]) / len(row["codes_postaux"]))
    return found, weights


def _invented_communes() -> tuple[list[Commune], list[float]]:
    found = [
        Commune(
            f"Saint-{_word(i)} {i}", f"{d:02}{i:03}", f"{d:02}{i:03}"[:4] + "0", 43 + d / 15, i / 80
        )
        for d in range(1, 90)
        for i in range(44)
    ]
    return found, [1.0] * len(found)


def generate(count: int, seed: int = 0, *, places: Path = REFERENCE) -> pa.Table:
    """`count` records, shuffled; the same for the same arguments."""
    world = _World(random.Random(seed), count)
    where, weights = communes(places)
    fresh = count - int(count * DUPLICATE_SHARE)
    drawn = world.random_.choices(where, cum_weights=list(itertools.accumulate(weights)), k=fresh)
    rows = _rows(world, _initiatives(world, drawn), count)
    chunks = []
    while chunk := list(itertools.islice(rows, CHUNK)):
        columns = zip(*chunk, strict=True)
        arrays = [pa.array(c, t) for c, t in zip(columns, SCHEMA.types, strict=True)]
        chunks.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
    order = list(range(count))
    world.random_.shuffle(order)
    table = pa.Table.from_batches(chunks, SCHEMA)
    return table.take(pa.array(order, pa.int64())).combine_chunks()


def _rows(world: _World, truths: list[Initiative], count: int) -> Iterator[tuple[object, ...]]:
    """Every initiative once, then the repeats; keys tell nothing of the order."""
    random_ = world.random_
    ranks = iter(range(count))
    weights = [listing.weight for listing in LISTINGS.values()]
    repeats = _repeats(random_, len(truths), count - len(truths))
    for number, truth in enumerate(truths):
        first = random_.choices(SOURCES, weights)[0]
        row = _record(random_, truth, number, first, next(ranks))
        yield row
        for _ in range(repeats.get(number, 0)):
            same_listing = random_.random() < 0.12
            if same_listing and random_.random() < 0.3:
                yield (row[0], _key(next(ranks)), *row[2:])
                continue
            source = first if same_listing else random_.choices(SOURCES, weights)[0]
            yield _record(random_, _degrade(world, truth, source), number, source, next(ranks))


def _repeats(random_: random.Random, truths: int, missing: int) -> dict[int, int]:
    """How many more records some initiatives have, in all `missing`."""
    found: dict[int, int] = {}
    order = random_.sample(range(truths), k=truths)
    for number in itertools.cycle(order):
        if missing <= 0:
            break
        more = min(random_.choices(REPEATS, REPEAT_WEIGHTS)[0], missing)
        found[number] = found.get(number, 0) + more
        missing -= more
    return found


def _initiatives(world: _World, drawn: Sequence[Commune]) -> list[Initiative]:
    random_ = world.random_
    found: list[Initiative] = []
    while len(found) < len(drawn):
        commune = drawn[len(found)]
        draw = random_.random()
        if draw < 0.008:
            most = 12 if random_.random() < 0.95 else max(12, len(drawn) // 3000)
            group = _chain(world, drawn[len(found) : len(found) + random_.randint(2, most)])
        elif draw < 0.04:
            group = _host_and_guests(world, commune)
        elif draw < 0.052:
            group = _sites(world, commune)
        elif draw < 0.068:
            group = _opposed(world, commune)
        elif draw < 0.078:
            group = _town(world, commune)
        elif draw < 0.098 and found:
            group = [replace(_initiative(world, commune), nom=random_.choice(found).nom)]
        else:
            group = [_initiative(world, commune)]
        found += group[: len(drawn) - len(found)]
    return found


def _initiative(world: _World, commune: Commune) -> Initiative:
    random_ = world.random_
    kind = random_.choices(list(KINDS), KIND_WEIGHTS)[0]
    name, other = _name(world, commune, kind)
    host = f"{_slug(name)}{random_.randint(1, 9999)}.{random_.choice(('fr', 'org', 'bzh', 'net'))}"
    spread = 0.012
    siren = random_.randint(10**8, 10**9 - 1)
    mail = f"contact@{host}"
    if random_.random() < 0.3:
        mail = f"{_slug(name)}{random_.randint(1, 99)}@{random_.choice(FREE_HOSTS)}"
    return Initiative(
        nom=name,
        type=kind,
        commune=commune,
        numero=random_.randint(1, 120),
        voie=random_.choice(STREETS),
        rue=_street(random_),
        latitude=commune.latitude + random_.gauss(0, spread),
        longitude=commune.longitude + random_.gauss(0, spread),
        site=f"https://www.{host}/" if random_.random() < 0.75 else None,
        courriel=mail if random_.random() < 0.8 else None,
        telephone=_phone(random_) if random_.random() < 0.8 else None,
        siret=f"{siren}{random_.randint(10, 99):05}" if random_.random() < 0.7 else None,
        rna=f"W{random_.randint(10**8, 10**9 - 1)}" if random_.random() < 0.4 else None,
        autre_nom=other,
        sans_adresse=random_.random() < 0.03,
    )


def _phone(random_: random.Random) -> str:
    return f"0{random_.randint(1, 5)}{random_.randint(0, 10**8 - 1):08}"


def _street(random_: random.Random) -> str:
    draw = random_.random()
    if draw < 0.6:
        return random_.choice(STREET_NAMES)
    if draw < 0.8:
        return f"{random_.choice(FIRST_NAMES)} {_word(_rank(random_))}"
    return f"{random_.choice(('de', 'du', 'des'))} {_word(_rank(random_))}"


def _name(world: _World, commune: Commune, kind: str) -> tuple[str, str | None]:
    """The name of an initiative, and another that it goes by."""
    random_ = world.random_
    title = random_.choice(KINDS[kind])
    draw = random_.random()
    if draw < 0.03:
        return title or "Association", None
    if draw < 0.22:
        name = f"{title} {_of(commune.nom)}".strip()
        if name not in world.generic or random_.random() < 0.1:
            world.generic.add(name)
            return name, None
    if draw < 0.30:
        return _person(random_, title), None
    if draw < 0.37:
        long = _long(random_, commune)
        acronym = _acronym(random_, long)
        return (acronym, long) if random_.random() < 0.2 else (long, acronym)
    brand = _brand(random_)
    pattern = SECOND_LANGUAGE.get(commune.insee[:2])
    if pattern and random_.random() < 0.35:
        return brand, pattern.format(_word(_rank(random_)))
    return (f"{title} {brand}".strip() if draw < 0.6 else brand), None


def _of(place: str) -> str:
    if place.startswith(("Le ", "Les ")):
        return f"du {place[3:]}" if place[2] == " " else f"des {place[4:]}"
    return f"d’{place}" if place[0] in "AEIOUÉÈÊÎH" else f"de {place}"


def _person(random_: random.Random, title: str) -> str:
    if random_.random() < 0.4:
        person = random_.choice(PEOPLE)
    else:
        person = f"{random_.choice(FIRST_NAMES)} {_word(_rank(random_))}"
    return f"{title} {person}".strip()


def _long(random_: random.Random, commune: Commune) -> str:
    words = [random_.choice(LONG_HEADS), random_.choice(LONG_MIDDLES), random_.choice(LONG_TAILS)]
    draw = random_.random()
    if draw < 0.4:
        words.append(_of(commune.nom))
    elif draw < 0.8:
        words.append(f"du {_word(_rank(random_))}")
    return " ".join(words)


def _brand(random_: random.Random) -> str:
    draw = random_.random()
    if draw < 0.48:
        article, end = random_.choice(
            (("Le ", ""), ("La ", ""), ("", ""), ("", "lab"), ("", " Lab"))
        )
        return f"{article}{_word(_rank(random_))}{end}"
    noun = NOUNS[int(len(NOUNS) * random_.random() ** 1.7)]
    if draw < 0.58:
        return noun
    if draw < 0.75:
        return f"{noun} {COMPLEMENTS[int(len(COMPLEMENTS) * random_.random() ** 1.5)]}"
    if draw < 0.92:
        return f"{noun} {random_.choice(('de', 'du', 'des', 'à', '&'))} {_word(_rank(random_))}"
    return f"Les Ateliers {random_.choice(('de', 'du'))} {_word(_rank(random_))}"


def _rank(random_: random.Random) -> int:
    """A rank by Zipf–Mandelbrot: of the words drawn, the share beyond rank k is (1+k/40)^-1/3."""
    return int(40 * ((1.0 - random_.random()) ** -3.0 - 1))


def _word(rank: int) -> str:
    """The word of a rank: two to four syllables, the same for ever."""
    mixed = (rank * 2_654_435_761 + 0x9E37_79B9) % 2**61
    mixed = (mixed ^ (mixed >> 15)) * 0x2C1B_3C6D % 2**61
    syllables = []
    for _ in range(2 if rank < 20_000 else 3):
        mixed, onset = divmod(mixed, len(_ONSETS))
        mixed, vowel = divmod(mixed, len(_VOWELS))
        syllables.append(_ONSETS[onset] + _VOWELS[vowel])
    return "".join(syllables).capitalize() + _ENDINGS[mixed % len(_ENDINGS)]


def _chain(world: _World, drawn: Sequence[Commune]) -> list[Initiative]:
    """One brand in several communes, with one site, sometimes one telephone or one mail."""
    random_ = world.random_
    first = _initiative(world, drawn[0])
    brand = _brand(random_)
    host = f"{_slug(brand)}{random_.randint(1, 9999)}.fr"
    shares_phone, shares_mail = random_.random() < 0.4, random_.random() < 0.5
    siren = f"{random_.randint(10**8, 10**9 - 1)}" if random_.random() < 0.5 else None
    tells_place = random_.random() < 0.7
    return [
        replace(
            _initiative(world, commune),
            nom=f"{brand} {commune.nom}" if tells_place else brand,
            type=first.type,
            site=f"https://{host}/",
            courriel=f"contact@{host}" if shares_mail else f"{_slug(commune.nom)}@{host}",
            telephone=first.telephone if shares_phone else _phone(random_),
            siret=f"{siren}{11 + i:05}" if siren else None,
            rna=None,
            autre_nom=None,
        )
        for i, commune in enumerate(drawn)
    ]


def _at(guest: Initiative, host: Initiative) -> Initiative:
    """The initiative, at the address of another."""
    return replace(
        guest,
        numero=host.numero,
        voie=host.voie,
        rue=host.rue,
        latitude=host.latitude,
        longitude=host.longitude,
    )


def _host_and_guests(world: _World, commune: Commune) -> list[Initiative]:
    random_ = world.random_
    host = replace(
        _initiative(world, commune),
        nom=random_.choice(HOSTS).format(random_.choice((_of(commune.nom), _brand(random_)))),
        type="centre_social",
    )
    guests = [_at(_initiative(world, commune), host) for _ in range(random_.randint(1, 3))]
    return [
        host,
        *(
            replace(
                guest,
                telephone=host.telephone if random_.random() < 0.35 else guest.telephone,
                site=host.site if random_.random() < 0.15 else guest.site,
                courriel=host.courriel if random_.random() < 0.15 else guest.courriel,
            )
            for guest in guests
        ),
    ]


def _sites(world: _World, commune: Commune) -> list[Initiative]:
    """Several workshops of one body in one town, under one name."""
    random_ = world.random_
    first = _initiative(world, commune)
    others = [_initiative(world, commune) for _ in range(random_.randint(1, 3))]
    return [
        first,
        *(
            replace(
                other,
                nom=first.nom,
                autre_nom=first.autre_nom,
                type=first.type,
                site=first.site,
                courriel=first.courriel if random_.random() < 0.6 else other.courriel,
                telephone=first.telephone if random_.random() < 0.3 else other.telephone,
                siret=f"{first.siret[:9]}{20 + i:05}" if first.siret else None,
                rna=first.rna,
                sans_adresse=False,
            )
            for i, other in enumerate(others)
        ),
    ]


def _opposed(world: _World, commune: Commune) -> list[Initiative]:
    """Two bodies of one proper name, side by side, of kinds that exclude each other."""
    random_ = world.random_
    proper = random_.choice(
        (random_.choice(PEOPLE), _brand(random_), _word(_rank(random_)), commune.nom)
    )
    first, second = (
        replace(_initiative(world, commune), nom=pattern.format(proper), type=kind, autre_nom=None)
        for pattern, kind in random_.choice(OPPOSED)
    )
    draw = random_.random()
    if draw < 0.5:
        second = _at(second, first)
    elif draw < 0.8:
        second = replace(_at(second, first), numero=first.numero + 2)
    if random_.random() < 0.4:
        second = replace(second, telephone=first.telephone, site=first.site)
    return [first, second]


def _town(world: _World, commune: Commune) -> list[Initiative]:
    """A town hall and services of the town, at one address with one switchboard."""
    random_ = world.random_
    hall = replace(_initiative(world, commune), rue="de la Mairie", voie="place")
    chosen = [TOWN[0], *random_.sample(TOWN[1:], k=random_.randint(1, 3))]
    return [
        replace(
            _at(_initiative(world, commune), hall),
            nom=pattern.format(_of(commune.nom)),
            type=kind,
            site=hall.site if random_.random() < 0.7 else None,
            telephone=hall.telephone if random_.random() < 0.7 else _phone(random_),
            courriel=hall.courriel if random_.random() < 0.4 else None,
            siret=f"{(hall.siret or '200000000')[:9]}{i:05}" if hall.siret else None,
            rna=None,
            autre_nom=None,
            sans_adresse=False,
        )
        for i, (pattern, kind) in enumerate(chosen)
    ]


def _degrade(world: _World, truth: Initiative, source: str) -> Initiative:
    """The same initiative as another listing has it."""
    random_ = world.random_
    changed = replace(truth, nom=_other_writing(world, truth, source))
    if random_.random() < 0.03:
        changed = _at(changed, _initiative(world, truth.commune))
    gap = 0.0002 if random_.random() < 0.9 else 0.006
    return replace(
        changed,
        type=truth.type if random_.random() < 0.9 else random_.choice(list(KINDS)),
        latitude=changed.latitude + random_.gauss(0, gap),
        longitude=changed.longitude + random_.gauss(0, gap),
        telephone=truth.telephone if random_.random() < 0.85 else _phone(random_),
        courriel=truth.courriel if random_.random() < 0.8 else None,
        site=truth.site if random_.random() < 0.85 else None,
    )


def _other_writing(world: _World, truth: Initiative, source: str) -> str:
    random_ = world.random_
    if random_.random() < 0.02:
        return _brand(random_)
    name = truth.nom
    if truth.autre_nom and random_.random() < 0.6:
        name = random_.choice((truth.autre_nom, f"{name} / {truth.autre_nom}"))
    for change, share in _CHANGES:
        if random_.random() < share:
            name = change(random_, name)
    draw = random_.random()
    if draw < 0.08 and truth.commune.nom not in name:
        name = f"{name}{random_.choice((' ', ' - ', ', '))}{truth.commune.nom}"
    elif draw < 0.16 and truth.type in KINDS:
        title = random_.choice(KINDS[truth.type])
        name = name if title.lower() in name.lower() else f"{title} {name}".strip()
    elif draw < 0.18:
        name = f"{name} ({random_.choice(('association', 'loi 1901', 'ouvert', 'réseau', 'SCIC'))})"
    if PREFIXED.get(source) == truth.type:
        name = NETWORK_PREFIX[source] + name
    return name


def _record(
    random_: random.Random, truth: Initiative, number: int, source: str, rank: int
) -> tuple[object, ...]:
    listing = LISTINGS[source]
    commune = truth.commune
    name = truth.nom.upper() if random_.random() < listing.upper else truth.nom
    street, postcode, town = _address(random_, truth, listing)
    if random_.random() < 0.015:
        name, street = _mojibake(name), _mojibake(street) if street else None
    latitude, longitude, precision = _point(random_, truth, listing, has_street=street is not None)
    return (
        source,
        _key(rank),
        name,
        street,
        postcode,
        town,
        commune.insee if random_.random() < listing.insee else None,
        precision,
        _site(random_, truth.site) if random_.random() < listing.site else None,
        truth.courriel if random_.random() < listing.mail else None,
        _spoken(random_, truth.telephone) if random_.random() < listing.phone else None,
        truth.siret if random_.random() < listing.siret else None,
        truth.rna if random_.random() < listing.rna else None,
        truth.type if random_.random() < 0.85 else None,
        latitude,
        longitude,
        number,
    )


def _key(rank: int) -> str:
    """A key that tells nothing of the order: the multiplication is a bijection of 32 bits."""
    return f"{rank * 2_654_435_761 % 2**32:08x}"


def _address(
    random_: random.Random, truth: Initiative, listing: Listing
) -> tuple[str | None, str | None, str | None]:
    """Street, postcode and commune as a listing writes them."""
    commune = truth.commune
    voie = SHORT.get(truth.voie, truth.voie) if random_.random() < 0.2 else truth.voie
    comma = ", " if random_.random() < 0.2 else " "
    street = f"{truth.numero}{comma}{voie} {truth.rue}"
    draw = random_.random()
    if draw < 0.03:
        street = f"{voie} {truth.rue}"
    elif draw < 0.06:
        street = _typo(random_, street)
    if random_.random() < listing.upper:
        street = _without_accents(random_, street).upper()
    town: str | None = commune.nom.upper() if random_.random() < listing.upper else commune.nom
    draw = random_.random()
    if draw < 0.01:
        town = f"{town} CEDEX"
    elif draw < 0.02:
        town = None
    if truth.sans_adresse or random_.random() < 0.05:
        return None, commune.cp, town
    if random_.random() < listing.one_line:
        return f"{street} {commune.cp} {commune.nom}", None, None
    postcode = commune.cp
    draw = random_.random()
    if draw < 0.015:
        postcode = "0"
    elif draw < 0.03:
        postcode = postcode[:2] + "000"
    elif draw < 0.04:
        postcode = postcode.lstrip("0")
    elif draw < 0.05:
        postcode = postcode[:3] + postcode[4] + postcode[3]
    return street, postcode if random_.random() < 0.97 else None, town


def _point(
    random_: random.Random, truth: Initiative, listing: Listing, *, has_street: bool
) -> tuple[float | None, float | None, str | None]:
    """Latitude, longitude and the precision that the listing states."""
    if random_.random() >= listing.point:
        return None, None, None
    commune = truth.commune
    stated = random_.random() < 0.5
    draw = random_.random()
    if draw < 0.12 or not has_street:
        return commune.latitude, commune.longitude, "commune" if stated else None
    if draw < 0.132:
        department = int(commune.insee[:2]) if commune.insee[:2].isdigit() else 20
        return 43.2 + department % 19 * 0.4, -1.0 + department % 13 * 0.6, None
    latitude, longitude = round(truth.latitude, 6), round(truth.longitude, 6)
    if draw < 0.142:
        return longitude, latitude, "numero" if stated else None
    if draw < 0.145:
        return latitude + random_.gauss(0, 0.5), longitude + random_.gauss(0, 0.5), None
    return latitude, longitude, "numero" if stated else None


def _site(random_: random.Random, site: str | None) -> str | None:
    draw = random_.random()
    if site is None or draw < 0.6:
        return site
    bare = site.replace("https://", "").replace("www.", "").rstrip("/")
    return bare if draw < 0.75 else f"http://{bare}/{random_.choice(('', 'contact', 'accueil'))}"


def _spoken(random_: random.Random, phone: str | None) -> str | None:
    draw = random_.random()
    if phone is None or draw < 0.5:
        return phone
    pairs = [phone[i : i + 2] for i in range(0, 10, 2)]
    if draw < 0.8:
        return random_.choice((" ", ".", "-")).join(pairs)
    return f"+33 {phone[1]} {' '.join(pairs[1:])}" if draw < 0.95 else phone[1:]


def _slug(text: str) -> str:
    bare = _without_accents(None, text).lower()
    return "".join(c for c in bare if "a" <= c <= "z" or "0" <= c <= "9") or "initiative"


def _upper(_: random.Random, text: str) -> str:
    return text.upper()


def _without_accents(_: random.Random | None, text: str) -> str:
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _mojibake(text: str) -> str:
    return text.encode("utf-8").decode("cp1252", errors="replace").replace("\ufffd", "")


def _typo(random_: random.Random, text: str) -> str:
    at = random_.randrange(len(text))
    return random_.choice((text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:])) or text


def _joined(_: random.Random, text: str) -> str:
    return text.replace(" ", "", 1)


def _split(random_: random.Random, text: str) -> str:
    """A word cut in two, before "lab" where there is one."""
    at = text.lower().rfind("lab")
    if at <= 0:
        at = random_.randint(min(3, len(text)), max(3, len(text) - 3))
    return f"{text[:at].rstrip()} {text[at:].lstrip()}".strip()


def _decorated(random_: random.Random, text: str) -> str:
    at = random_.randrange(len(text))
    sign = random_.choice(("'", ".", "-", "’"))
    if "a" in text and random_.random() < 0.4:
        return text.replace("a", "@", 1)
    return f"{text[:at]}{sign}{text[at:]}" if 0 < at < len(text) - 1 else text


def _without_article(_: random.Random, text: str) -> str:
    return text.removeprefix("La ").removeprefix("Le ").removeprefix("L’")


def _acronym(_: random.Random, text: str) -> str:
    words = text.replace("’", " ").replace("-", " ").split()
    kept = [word for word in words if word[0].isupper()]
    return "".join(_without_accents(None, word[0]) for word in kept) if len(kept) >= 3 else text


_CHANGES: tuple[tuple[Callable[[random.Random, str], str], float], ...] = (
    (_upper, 0.12),
    (_without_accents, 0.18),
    (_typo, 0.08),
    (_joined, 0.03),
    (_split, 0.02),
    (_decorated, 0.02),
    (_without_article, 0.2),
    (_acronym, 0.02),
)
"""What happens to a name on its way to another listing, and how often."""


def main() -> None:
    """Write a generated table."""
    parser = argparse.ArgumentParser(
        description="Engendre des fiches d’initiatives, avec la vérité."
    )
    parser.add_argument("count", type=int, help="nombre de fiches")
    parser.add_argument("--seed", type=int, default=0, help="graine")
    parser.add_argument("--out", type=Path, required=True, help="fichier Parquet à écrire")
    arguments = parser.parse_args()
    pq.write_table(generate(arguments.count, arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
