"""Listings in the real shape of their platforms, and forty ways in which such a listing breaks.

A listing is a list of generated records (real communes, invented initiatives) rendered as its
platform gives it. A mutant changes the records, the payload, or both, and names what a steward
should read about it. Nothing here knows how a trouble is detected.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from lowtech_data.reference import REFERENCE_DIR

Record = dict[str, str]
Records = list[Record]

COLUMNS = (
    "id", "nom", "adresse", "cp", "ville", "lat", "lon", "site", "tel", "genre", "maj", "texte",
)  # fmt: skip

KINDS = {
    "Fablab": "fablab",
    "Repair café": "repair_cafe",
    "Ressourcerie": "ressourcerie",
    "Tiers-lieu": "tiers_lieu",
    "Atelier vélo": "atelier_velo",
    "Outilthèque": "outiltheque",
}
"""What the listings write for a kind, and our code."""

_WHAT = (
    "L’Atelier",
    "La Fabrique",
    "Le Hangar",
    "La Remise",
    "L’Établi",
    "La Bricole",
    "Le Garage",
)
_OF = ("des Possibles", "du Coin", "Solidaire", "Partagé", "des Communs", "du Moulin", "Ouvert")
_STREETS = (
    "rue des Écoles",
    "place de la Mairie",
    "chemin du Moulin",
    "rue de la Gare",
    "quai Nord",
)
_WORDS = (
    "établi", "outils", "vélos", "couture", "bois", "métal", "soudure", "réparation", "prêt",
    "semences", "four", "jardin", "laine", "cuir", "papier", "verre", "chaudière", "pédales",
)  # fmt: skip


@cache
def _communes() -> list[tuple[str, str, float, float]]:
    """Name, postcode and position of communes of metropolitan France with a name of their own."""
    with duckdb.connect() as con:
        return con.execute(
            """
            SELECT nom, codes_postaux[1], latitude, longitude
            FROM read_parquet(?)
            WHERE code = code_actuel AND population BETWEEN 3000 AND 40000
              AND code_departement < '96' AND len(codes_postaux) = 1
            QUALIFY count(*) OVER (PARTITION BY nom_cle) = 1
            ORDER BY code
            """,
            [str(REFERENCE_DIR / "communes.parquet")],
        ).fetchall()


def records(seed: str, count: int) -> Records:
    """Initiatives of a listing, the same for the same seed; some lack a website or a phone."""
    return [record(seed, n) for n in range(count)]


def record(seed: str, number: int) -> Record:
    """The `number`-th initiative of a listing."""
    draw = Random(f"{seed}/{number}")
    town, postcode, latitude, longitude = draw.choice(_communes())
    name = f"{draw.choice(_WHAT)} {draw.choice(_OF)} de {town}"
    slug = f"lieu-{seed}-{number}".replace("_", "-")
    return {
        "id": f"{1000 + number}",
        "nom": name,
        "adresse": f"{draw.randint(1, 90)} {draw.choice(_STREETS)}",
        "cp": postcode,
        "ville": town,
        "lat": f"{latitude + draw.uniform(-0.004, 0.004):.6f}",
        "lon": f"{longitude + draw.uniform(-0.004, 0.004):.6f}",
        "site": f"https://{slug}.example.org/" if draw.random() < 0.8 else "",
        "tel": f"02 {draw.randint(31, 99)} 5{number % 10} {number % 97:02} {draw.randint(10, 99)}"
        if draw.random() < 0.7
        else "",
        "genre": draw.choice(tuple(KINDS)),
        "maj": f"202{draw.randint(1, 6)}-0{draw.randint(1, 9)}-{draw.randint(10, 28)}",
        "texte": " ".join(["On y trouve :", *draw.sample(_WORDS, 7)]) + f", n° {number}.",
    }


# How each platform writes the records.


def _csv(rows: Records) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _geojson(rows: Records) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {k: v for k, v in row.items() if k not in {"lat", "lon"}},
            "geometry": {
                "type": "Point",
                "coordinates": [_number(row["lon"]), _number(row["lat"])],
            },
        }
        for row in rows
    ]
    return _json({"type": "FeatureCollection", "features": features})


def _gogocarto(rows: Records) -> str:
    elements = [
        {
            "id": row["id"],
            "name": row["nom"],
            "status": 1,
            "updatedAt": f"{row['maj']}T09:41:45+01:00" if row["maj"] else "",
            "geo": {"latitude": _number(row["lat"]), "longitude": _number(row["lon"])},
            "address": {
                "streetAddress": row["adresse"],
                "addressLocality": row["ville"],
                "postalCode": row["cp"],
                "addressCountry": "FR",
            },
            "categories": [row["genre"]] if row["genre"] else [],
            "description": row["texte"],
            "website": row["site"],
            "telephone": row["tel"],
        }
        for row in rows
    ]
    licence = "https://opendatacommons.org/licenses/odbl/summary/"
    return _json({"licence": licence, "ontology": "gogofull", "data": elements})


def _yeswiki(rows: Records) -> str:
    return _json(
        {
            f"Lieu{row['id']}": {
                "id_fiche": f"Lieu{row['id']}",
                "bf_titre": html.escape(row["nom"]),
                "bf_description": f"<p>{html.escape(row['texte'])}</p>",
                "bf_adresse": row["adresse"],
                "bf_codepostal": row["cp"],
                "bf_ville": row["ville"],
                "bf_latitude": row["lat"],
                "bf_longitude": row["lon"],
                "bf_site_internet": row["site"],
                "bf_tel": row["tel"],
                "genre": row["genre"],
                "id_typeannonce": "1",
                "statut_fiche": "1",
                "date_maj_fiche": f"{row['maj']} 09:12:01" if row["maj"] else "",
                "url": f"https://wiki.example.org/?Lieu{row['id']}",
            }
            for row in rows
        }
    )


def _data_fair(rows: Records) -> str:
    lines = [
        {**row, "_i": n, "_rand": 7 * n, "_id": f"l{n}", "_geopoint": f"{row['lat']},{row['lon']}"}
        for n, row in enumerate(rows)
    ]
    return _json({"total": len(lines), "results": lines})


def _records_json(rows: Records) -> str:
    places = [
        {
            **{k: row[k] for k in ("id", "nom", "genre", "site", "tel", "maj", "texte")},
            "lieu": {k: row[k] for k in ("adresse", "cp", "ville", "lat", "lon")},
        }
        for row in rows
    ]
    return _json({"total": len(places), "lieux": places})


def _html(rows: Records) -> str:
    cells = "\n".join(
        "<tr data-id='{id}' data-lat='{lat}' data-lon='{lon}'>"
        "<th class='nom'>{nom}</th><td class='adresse'>{adresse}</td><td class='cp'>{cp}</td>"
        "<td class='ville'>{ville}</td><td class='site'><a href='{site}'>site</a></td>"
        "<td class='tel'>{tel}</td><td class='genre'>{genre}</td><td class='texte'>{texte}</td>"
        "</tr>".format(**{k: html.escape(v, quote=True) for k, v in row.items()})
        for row in rows
    )
    return web_page(
        "Nos lieux", f"<h1>Nos lieux</h1><table id='liste'><tbody>{cells}</tbody></table>"
    )


def web_page(title: str, body: str) -> str:
    """A whole HTML page."""
    return (
        f"<!doctype html><html lang='fr'><head><meta charset='utf-8'><title>{title}</title></head>"
        f"<body><nav><a href='/'>Accueil</a></nav>{body}</body></html>"
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1)


_FLAT = {
    "cle_source": "id", "nom": "nom", "adresse": "adresse", "code_postal": "cp",
    "commune": "ville", "latitude": "lat", "longitude": "lon", "site_web": "site",
    "telephone": "tel", "categories": "genre", "date_maj": "maj", "description": "texte",
}  # fmt: skip
_PLACED = {
    **_FLAT,
    **{
        field: f"lieu.{_FLAT[field]}"
        for field in ("adresse", "code_postal", "commune", "latitude", "longitude")
    },
}


@dataclass(frozen=True)
class Shape:
    """How a platform writes records, and the block of `sources.yaml` that reads them."""

    suffix: str
    render: Callable[[Records], str]
    count: int
    """Records of its base listing."""
    block: dict[str, Any]


SHAPES: dict[str, Shape] = {
    "csv": Shape("csv", _csv, 120, {"champs": _FLAT}),
    "geojson": Shape(
        "geojson",
        _geojson,
        90,
        {"champs": {k: v for k, v in _FLAT.items() if k not in {"latitude", "longitude"}}},
    ),
    "gogocarto": Shape("json", _gogocarto, 180, {}),
    "yeswiki_bazar": Shape("json", _yeswiki, 80, {"champs": {"categories": "genre"}}),
    "data_fair": Shape("json", _data_fair, 150, {"champs": _FLAT}),
    "json": Shape("json", _records_json, 130, {"champs": _PLACED, "options": {"chemin": "lieux"}}),
    "html_listing": Shape(
        "html",
        _html,
        60,
        {
            "champs": {k: v for k, v in _FLAT.items() if k != "date_maj"},
            "options": {
                "fiche": "#liste tbody tr",
                "champs": {
                    "id": "@data-id",
                    "nom": "th.nom",
                    "adresse": "td.adresse",
                    "cp": "td.cp",
                    "ville": "td.ville",
                    "lat": "@data-lat",
                    "lon": "@data-lon",
                    "site": "td.site a@href",
                    "tel": "td.tel",
                    "genre": "td.genre",
                    "texte": "td.texte",
                },
            },
        },
    ),
}


def base(platform: str) -> Records:
    """The records of a platform's listing before anything happens to it."""
    return records(platform, SHAPES[platform].count)


def block(platform: str) -> dict[str, Any]:
    """The block of `sources.yaml` of a platform's listing; its id is `liste`."""
    shape = SHAPES[platform]
    return {
        "id": "liste",
        "nom": "Liste d’essai",
        "editeur": "Éditeur d’essai",
        "plateforme": platform,
        "url": f"liste.{shape.suffix}",
        "licence": "odbl-1.0",
        "republication": "complete",
        "preuve": "vu",
        "codes": {kind: {"type": code} for kind, code in KINDS.items()},
        **shape.block,
    }


def write(folder: Path, platform: str, text: str) -> None:
    """Put a payload where the source of `block` reads it."""
    (folder / f"liste.{SHAPES[platform].suffix}").write_text(text, encoding="utf-8")


# What happens to a listing.

Edit = Callable[[Records, Random], Records]


@dataclass(frozen=True)
class Mutant:
    """One way in which a listing breaks."""

    name: str
    platform: str
    told: str
    """Regular expression of what a warning must name; a refused harvest needs no name."""
    edit: Edit = lambda rows, draw: rows
    payload: Callable[[str], str] = lambda text: text

    def text(self) -> str:
        """The payload of the broken listing."""
        edited = self.edit([dict(row) for row in base(self.platform)], Random(self.name))
        return self.payload(SHAPES[self.platform].render(edited))


def _set(share: float = 1.0, **values: str) -> Edit:
    """Give columns one value in a share of the records."""
    return lambda rows, draw: [{**row, **values} if draw.random() < share else row for row in rows]


def _swap(one: str, other: str) -> Edit:
    return lambda rows, draw: [{**row, one: row[other], other: row[one]} for row in rows]


def _change(column: str, change: Callable[[Record], str], share: float = 1.0) -> Edit:
    return lambda rows, draw: [
        {**row, column: change(row)} if draw.random() < share else row for row in rows
    ]


def _first(count: int) -> Edit:
    return lambda rows, draw: rows[:count]


def _shifted(*columns: str) -> Edit:
    """The values of columns slip by one record."""
    return lambda rows, draw: [
        {**row, **{column: before[column] for column in columns}}
        for row, before in zip(rows, [rows[-1], *rows[:-1]], strict=True)
    ]


def _shuffled_ids(rows: Records, draw: Random) -> Records:
    ids = [row["id"] for row in rows]
    draw.shuffle(ids)
    return [{**row, "id": key} for row, key in zip(rows, ids, strict=True)]


def _reused_ids(share: float) -> Edit:
    """A share of the keys now name initiatives never seen."""

    def edit(rows: Records, draw: Random) -> Records:
        count = round(share * len(rows))
        new = [{**record("nouveaux", n), "id": rows[n]["id"]} for n in range(count)]
        return [*new, *rows[count:]]

    return edit


def _renumbered(rows: Records, draw: Random) -> Records:
    """Keys are the rank in the list, and the list is now in another order."""
    draw.shuffle(rows)
    return [{**row, "id": f"{1000 + n}"} for n, row in enumerate(rows)]


def _lost(share: float) -> Edit:
    return lambda rows, draw: rows[: round((1 - share) * len(rows))]


def _repeated(times: int) -> Edit:
    """Each record comes several times under other keys."""
    return lambda rows, draw: [
        {**row, "id": f"{row['id']}-{n}"} for n in range(times) for row in rows
    ]


def _page_twice(rows: Records, draw: Random) -> Records:
    """Paging that does not advance: the first half comes twice."""
    half = rows[: len(rows) // 2]
    return [*half, *half]


def _without_column(*names: str) -> Callable[[str], str]:
    def cut(text: str) -> str:
        rows = list(csv.DictReader(io.StringIO(text)))
        kept = [name for name in COLUMNS if name not in names]
        out = io.StringIO()
        writer = csv.DictWriter(out, kept, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    return cut


def _replaced(old: str, new: str) -> Callable[[str], str]:
    def replace(text: str) -> str:
        if old not in text:
            raise AssertionError(f"{old!r} is not in the payload")
        return text.replace(old, new)

    return replace


def _served(title: str, body: str) -> Callable[[str], str]:
    return lambda text: web_page(title, body)


def _mojibake(text: str) -> str:
    """UTF-8 read as if it were Windows-1252."""
    return text.encode().decode("cp1252", errors="replace")


LOGIN = (
    "<h1>Espace membres</h1><form method='post' action='/login'>"
    "<input name='user'><input type='password' name='pw'><button>Se connecter</button></form>"
)
CAPTCHA = (
    "<h1>Vérification</h1><p>Vérifiez que vous êtes humain avant de continuer.</p>"
    "<div class='g-recaptcha' data-sitekey='x'></div>"
)
MAINTENANCE = "<h1>Site en maintenance</h1><p>Nous revenons dans quelques heures.</p>"
PARKED = (
    "<h1>lieux.example</h1><p>Ce nom de domaine est à vendre.</p>"
    "<p>Buy this domain. Related searches: tools, bikes.</p>"
)

MUTANTS: Sequence[Mutant] = (
    # The page is another one.
    Mutant("page_de_connexion", "html_listing", "connexion", payload=_served("Membres", LOGIN)),
    Mutant("captcha", "html_listing", "robot", payload=_served("Un instant", CAPTCHA)),
    Mutant("maintenance", "html_listing", "maintenance", payload=_served("Pause", MAINTENANCE)),
    Mutant("domaine_a_vendre", "html_listing", "vendre", payload=_served("lieux", PARKED)),
    Mutant("html_au_lieu_de_json", "gogocarto", "HTML", payload=_served("Carte", "<p>Bonjour</p>")),
    Mutant("connexion_au_lieu_de_json", "data_fair", "connexion", payload=_served("Accès", LOGIN)),
    # The list is shorter or longer.
    Mutant("liste_vide", "yeswiki_bazar", "aucune", _first(0)),
    Mutant("perte_31_pour_cent", "yeswiki_bazar", "auparavant", _lost(0.31)),
    Mutant("premiere_page_20", "gogocarto", "page", _first(20)),
    Mutant("premiere_page_100", "json", "page", _first(100)),
    Mutant("premiere_page_50", "html_listing", "page", _first(50)),
    Mutant("cinq_fois_plus", "data_fair", "auparavant", _repeated(5)),
    Mutant("page_repetee", "json", "auparavant", _page_twice),
    # The shape changed.
    Mutant(
        "classe_renommee", "html_listing", "site",
        payload=_replaced("class='site'", "class='lien'"),
    ),
    Mutant(
        "conteneur_renomme", "html_listing", "fiche", payload=_replaced("id='liste'", "id='lieux'")
    ),
    Mutant("selecteur_vide", "html_listing", "ville|commune", _set(ville="")),
    Mutant("colonne_retiree", "csv", "site", payload=_without_column("site")),
    Mutant(
        "colonne_renommee", "data_fair", "ville|commune",
        payload=_replaced('"ville":', '"localite":'),
    ),
    Mutant("cle_json_renommee", "gogocarto", "geo", payload=_replaced('"geo":', '"position":')),
    # A column is emptied, most of it or all.
    Mutant("commune_videe", "csv", "commune", _set(ville="", cp="", share=0.95)),
    Mutant("coordonnees_videes", "data_fair", "latitude|coordonn", _set(lat="", lon="", share=0.8)),
    Mutant("dates_disparues", "yeswiki_bazar", "date", _set(maj="")),
    Mutant("categories_videes", "json", "type|categor", _set(genre="")),
    Mutant("adresses_videes", "geojson", "adresse", _set(adresse="", share=0.9)),
    # Values are in the wrong place.
    Mutant("nom_et_commune_permutes", "csv", "nom", _swap("nom", "ville")),
    Mutant("latitude_longitude_permutees", "gogocarto", "latitude", _swap("lat", "lon")),
    Mutant("code_postal_et_telephone", "csv", "postal|telephone|téléphone", _swap("cp", "tel")),
    Mutant("code_postal_decale", "csv", "postal", _shifted("cp")),
    Mutant("coordonnees_decalees", "data_fair", "coordonn|position", _shifted("lat", "lon")),
    Mutant(
        "telephone_contient_courriel", "yeswiki_bazar", "téléphone|telephone",
        _change("tel", lambda row: f"contact@lieu{row['id']}.example.org"),
    ),
    # Values lost their meaning.
    Mutant("meme_description", "gogocarto", "resume|résumé|description", _set(texte="À venir.")),
    Mutant("memes_coordonnees", "geojson", "coordonn|position", _set(lat="48.8566", lon="2.3522")),
    Mutant("noms_identiques", "json", "nom", _set(nom="Fiche sans titre", share=0.6)),
    Mutant(
        "noms_tronques_en_capitales", "csv", "nom",
        _change("nom", lambda row: row["nom"].upper()[:20]),
    ),
    Mutant("encodage_casse", "csv", "encodage|caract|nom", payload=_mojibake),
    Mutant(
        "moitie_des_categories_renommees", "gogocarto", "codes? inconnus?|type",
        _change("genre", lambda row: f"{row['genre']} (nouveau)", share=0.5),
    ),
    # Keys no longer name the same things.
    Mutant("identifiants_melanges", "csv", "cles_reemployees|identifiants", _shuffled_ids),
    Mutant("identifiants_reemployes", "json", "cles_reemployees|identifiants", _reused_ids(0.15)),
    Mutant("identifiants_par_rang", "geojson", "cles_reemployees|identifiants", _renumbered),
    Mutant(
        "prefixe_aux_cles", "data_fair", "cles?|clés?",
        _change("id", lambda row: f"lieu-{row['id']}"),
    ),
)  # fmt: skip
"""Forty troubles over seven platforms."""


def ordinary(rows: Records, seed: int) -> Records:
    """A week in the life of a listing: 1 to 5 % of its records edited, added and removed."""
    draw = Random(seed)
    rows = [dict(row) for row in rows]
    count = max(1, round(draw.uniform(0.01, 0.05) * len(rows)))
    gone = set(draw.sample(range(len(rows)), count))
    for n in draw.sample(range(len(rows)), count):
        column = draw.choice(("nom", "adresse", "site", "tel", "genre", "texte", "maj"))
        rows[n][column] = record(f"edits{seed}", n)[column]
    added = [{**record(f"ajouts{seed}", n), "id": f"{5000 + 100 * seed + n}"} for n in range(count)]
    return [row for n, row in enumerate(rows) if n not in gone] + added
