"""A seeded generator of French initiatives as several listings would give them, with the truth.

    python -m benchmarks.generator 100000 --out initiatives.parquet

Three records in ten repeat another one, with the errors that real listings show: capitals, lost
accents, typos, words joined or split, kind or commune added, acronyms, missing or wrong
postcodes, addresses in one field, points at the centre of the commune. Beside them stand what
must not be merged: homonyms in other towns (more of them as the size grows), chains with one site
and one telephone, hosts and their guests at one address, several sites of one body. Synthetic:
for cost, and for comparing two versions, never for an absolute accuracy.
"""

from __future__ import annotations

import argparse
import math
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
                *("precision_geo", "site_web", "courriel", "telephone", "siret", "type"),
            )
        ),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("verite", pa.int64()),
    ]
)
"""A record, and `verite`, the number of the initiative that it speaks of."""

DUPLICATE_SHARE = 0.3
SOURCES = ("gogocarto_a", "gogocarto_b", "tiers_lieux", "fablabs", "ressourceries", "annuaire_dept")

KINDS = {
    "fablab": ("Fablab", "FabLab", "Makerspace"),
    "ressourcerie": ("Ressourcerie", "Recyclerie"),
    "repair_cafe": ("Repair Café",),
    "tiers_lieu": ("Tiers-lieu", "Coworking"),
    "atelier_velo": ("Atelier vélo",),
    "association": ("Association", "Collectif", ""),
}
STREETS = (
    "rue",
    "rue",
    "rue",
    "avenue",
    "boulevard",
    "place",
    "chemin",
    "route",
    "impasse",
    "allée",
)
SHORT = {
    "avenue": "av.",
    "boulevard": "bd",
    "place": "pl",
    "route": "rte",
    "chemin": "ch.",
    "saint": "St",
}
STREET_NAMES = _phrases(
    "de la République|Victor Hugo|Jean Jaurès|de la Gare|du Moulin|des Écoles|Pasteur|de l’Église"
    "|du Général de Gaulle|de la Liberté|Saint-Martin|des Lilas|Gambetta|du Château|Émile Zola"
    "|des Tilleuls|de Verdun|Jules Ferry|des Jardins|de la Fontaine|du Stade|des Acacias|Voltaire"
    "|Aristide Briand|de la Forêt|du 8 Mai 1945|Marcel Pagnol|Louise Michel|des Artisans|du Port"
    "|Saint-Laurent|Molière|de Bretagne|de Paris|George Sand|Jean Moulin|des Vignes|du Lavoir"
)
NOUNS = _phrases(
    "Ruche|Fabrique|Machinerie|Grange|Bobine|Clef|Boussole|Pie|Cigale|Fourmilière|Cordée|Manivelle"
    "|Boîte à Outils|Roue Libre|Caravelle|Lanterne|Passerelle|Coquille|Canopée|Passoire|Turbine"
    "|Bricole|Récup|Marmite|Girouette|Chaloupe|Guinguette|Filature|Forge|Scierie|Tannerie|Verrerie"
    "|Charrette|Brouette|Casemate|Dynamo|Sirène|Rotonde|Ferme|Cantine|Mine|Halle|Gare|Poudrière"
)
COMPLEMENTS = _phrases(
    "du Nord|des Possibles|en Commun|Solidaire|du Val|des Voisins|à Vapeur|Bleue|des Lutins"
    "|Citoyenne|du Coin|d’En Face|des Cimes|à Pédales|Verte|du Canal|des Deux Rives|Vagabonde"
    "|Ouverte|du Phare|des Prés|Joyeuse|du Causse|d’Argent|du Bocage|Créative||||||||"
)
SYLLABLES = _phrases(
    "ba|be|bi|bo|bri|co|da|di|do|fa|fi|ga|go|ka|ki|ko|la|lo|lu|ma|mi|mo|na|no|pa|pi|po|ra|ri|ro|sa"
    "|so|ta|ti|to|tri|va|vi|zo"
)
HOSTS = ("Centre social {}", "Médiathèque de {}", "MJC de {}", "Maison des associations de {}")


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


def communes(path: Path = REFERENCE) -> tuple[list[Commune], list[float]]:
    """Communes and how likely each is: the root of its population, so that villages count."""
    if not path.exists():
        return _invented_communes()
    columns = ["code", "nom", "population", "codes_postaux", "latitude", "longitude"]
    rows = pq.read_table(path, columns=columns).to_pylist()
    kept = [row for row in rows if row["codes_postaux"] and row["latitude"] and row["population"]]
    found = [
        Commune(row["nom"], row["code"], row["codes_postaux"][0], row["latitude"], row["longitude"])
        for row in kept
    ]
    return found, [math.sqrt(row["population"]) for row in kept]


def _invented_communes() -> tuple[list[Commune], list[float]]:
    found = [
        Commune(
            f"Saint-{noun} {i}", f"{d:02}{i:03}", f"{d:02}{i:03}"[:4] + "0", 43 + d / 15, i / 80
        )
        for d in range(1, 90)
        for i, noun in enumerate(NOUNS)
    ]
    return found, [1.0] * len(found)


def generate(count: int, seed: int = 0, *, places: Path = REFERENCE) -> pa.Table:
    """`count` records, shuffled; the same for the same arguments."""
    random_ = random.Random(seed)
    where, weights = communes(places)
    fresh = count - int(count * DUPLICATE_SHARE)
    drawn = random_.choices(where, weights, k=fresh)
    truths = _initiatives(random_, drawn)
    rows = [_record(random_, truth, number, i) for i, (number, truth) in enumerate(truths)]
    while len(rows) < count:
        number, truth = truths[int(len(truths) * random_.random() ** 1.5)]
        rows.append(_record(random_, _degrade(random_, truth), number, len(rows)))
    random_.shuffle(rows)
    return pa.Table.from_pylist(rows, SCHEMA)


def _initiatives(random_: random.Random, drawn: Sequence[Commune]) -> list[tuple[int, Initiative]]:
    found: list[tuple[int, Initiative]] = []
    while len(found) < len(drawn):
        commune = drawn[len(found)]
        draw = random_.random()
        if draw < 0.008:
            group = _chain(random_, drawn[len(found) : len(found) + random_.randint(2, 12)])
        elif draw < 0.05:
            group = _host_and_guests(random_, commune)
        elif draw < 0.06:
            group = _sites(random_, commune)
        else:
            group = [_initiative(random_, commune)]
        for initiative in group[: len(drawn) - len(found)]:
            found.append((len(found), initiative))
    return found


def _initiative(random_: random.Random, commune: Commune) -> Initiative:
    kind = random_.choice(list(KINDS))
    brand = _brand(random_)
    draw = random_.random()
    if draw < 0.25:
        name = f"{random_.choice(KINDS[kind])} de {commune.nom}".strip()
    elif draw < 0.55:
        name = f"{random_.choice(KINDS[kind])} {brand}".strip()
    else:
        name = brand
    host = f"{_slug(name)}{random_.randint(1, 9999)}.{random_.choice(('fr', 'org', 'bzh', 'net'))}"
    spread = 0.012
    return Initiative(
        nom=name,
        type=kind,
        commune=commune,
        numero=random_.randint(1, 120),
        voie=random_.choice(STREETS),
        rue=random_.choice(STREET_NAMES),
        latitude=commune.latitude + random_.gauss(0, spread),
        longitude=commune.longitude + random_.gauss(0, spread),
        site=f"https://www.{host}/" if random_.random() < 0.67 else None,
        courriel=f"contact@{host}" if random_.random() < 0.6 else None,
        telephone=f"01990{random_.randint(0, 99999):05}" if random_.random() < 0.52 else None,
        siret=f"{random_.randint(10**13, 10**14 - 1)}" if random_.random() < 0.15 else None,
    )


def _brand(random_: random.Random) -> str:
    if random_.random() < 0.5:
        return "".join(
            random_.choices(SYLLABLES, k=random_.randint(3, 4))
        ).capitalize() + random_.choice(("", "lab", "", " Lab", "thèque"))
    article = random_.choice(("La ", "La ", ""))
    return f"{article}{random_.choice(NOUNS)} {random_.choice(COMPLEMENTS)}".strip()


def _chain(random_: random.Random, drawn: Sequence[Commune]) -> list[Initiative]:
    """One brand in several communes, with one site, sometimes one telephone."""
    first = _initiative(random_, drawn[0])
    brand = _brand(random_)
    site = f"https://{_slug(brand)}{random_.randint(1, 9999)}.fr/"
    shared_phone = random_.random() < 0.5
    return [
        replace(
            _initiative(random_, commune),
            nom=random_.choice((f"{brand} {commune.nom}", brand)),
            type=first.type,
            site=site,
            courriel=None,
            telephone=first.telephone if shared_phone else None,
        )
        for commune in drawn
    ]


def _host_and_guests(random_: random.Random, commune: Commune) -> list[Initiative]:
    host = replace(
        _initiative(random_, commune),
        nom=random_.choice(HOSTS).format(commune.nom),
        type="association",
    )
    guests = [_initiative(random_, commune) for _ in range(random_.randint(1, 3))]
    return [
        host,
        *(
            replace(
                guest,
                numero=host.numero,
                voie=host.voie,
                rue=host.rue,
                latitude=host.latitude,
                longitude=host.longitude,
                telephone=host.telephone if random_.random() < 0.4 else guest.telephone,
            )
            for guest in guests
        ),
    ]


def _sites(random_: random.Random, commune: Commune) -> list[Initiative]:
    """Several workshops of one body in one town, under one name."""
    first = _initiative(random_, commune)
    others = [_initiative(random_, commune) for _ in range(random_.randint(1, 3))]
    return [
        first,
        *(
            replace(other, nom=first.nom, type=first.type, site=first.site, siret=first.siret)
            for other in others
        ),
    ]


def _degrade(random_: random.Random, truth: Initiative) -> Initiative:
    """The same initiative as another listing has it."""
    name = truth.nom
    for change, share in (
        (_upper, 0.2),
        (_without_accents, 0.2),
        (_typo, 0.15),
        (_joined, 0.08),
        (_without_article, 0.2),
        (_acronym, 0.02),
    ):
        if random_.random() < share:
            name = change(random_, name)
    if random_.random() < 0.08:
        name = f"{name} {truth.commune.nom}"
    elif random_.random() < 0.08:
        name = f"{random_.choice(KINDS[truth.type])} {name}".strip()
    changed = replace(truth, nom=name)
    if random_.random() < 0.03:
        moved = _initiative(random_, truth.commune)
        changed = replace(
            changed, numero=moved.numero, voie=moved.voie, rue=moved.rue,
            latitude=moved.latitude, longitude=moved.longitude,
        )  # fmt: skip
    gap = 0.0002 if random_.random() < 0.9 else 0.006
    return replace(
        changed,
        latitude=changed.latitude + random_.gauss(0, gap),
        longitude=changed.longitude + random_.gauss(0, gap),
        site=truth.site if random_.random() < 0.7 else None,
        courriel=truth.courriel if random_.random() < 0.6 else None,
        telephone=truth.telephone if random_.random() < 0.7 else None,
        siret=truth.siret if random_.random() < 0.5 else None,
    )


def _record(random_: random.Random, truth: Initiative, number: int, rank: int) -> dict[str, object]:
    commune = truth.commune
    street = f"{truth.numero} {truth.voie} {truth.rue}"
    if random_.random() < 0.2:
        street = f"{truth.numero}, {SHORT.get(truth.voie, truth.voie)} {truth.rue}"
    if random_.random() < 0.1:
        street = street.upper()
    postcode: str | None = commune.cp
    draw = random_.random()
    if draw < 0.05:
        street, postcode = f"{street} {commune.cp} {commune.nom}", None
    elif draw < 0.08:
        postcode = "0"
    point: tuple[float | None, float | None] = (truth.latitude, truth.longitude)
    precision = "numero"
    draw = random_.random()
    if draw < 0.15:
        point, precision = (commune.latitude, commune.longitude), "commune"
    elif draw < 0.22:
        point, precision = (None, None), "inconnue"
    return {
        "source": random_.choice(SOURCES),
        "cle_source": f"{rank}",
        "nom": truth.nom,
        "adresse": street if random_.random() < 0.9 else None,
        "code_postal": postcode,
        "commune": commune.nom if random_.random() < 0.95 else None,
        "code_insee": commune.insee if random_.random() < 0.6 else None,
        "precision_geo": precision,
        "site_web": truth.site,
        "courriel": truth.courriel,
        "telephone": truth.telephone,
        "siret": truth.siret,
        "type": truth.type,
        "latitude": point[0],
        "longitude": point[1],
        "verite": number,
    }


def _slug(text: str) -> str:
    bare = _without_accents(None, text).lower()
    return "".join(c for c in bare if c.isalnum()) or "initiative"


def _upper(_: random.Random | None, text: str) -> str:
    return text.upper()


def _without_accents(_: random.Random | None, text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _typo(random_: random.Random, text: str) -> str:
    at = random_.randrange(len(text))
    return random_.choice((text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:])) or text


def _joined(_: random.Random, text: str) -> str:
    return text.replace(" ", "", 1)


def _without_article(_: random.Random, text: str) -> str:
    return text.removeprefix("La ").removeprefix("Le ")


def _acronym(_: random.Random, text: str) -> str:
    words = text.split()
    return "".join(word[0].upper() for word in words) if len(words) >= 3 else text


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
