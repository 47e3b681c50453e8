"""The traps as listings of several platforms, in a project of their own."""

from __future__ import annotations

import copy
import csv
import html
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import PLACES, Project

from .traps import (
    ADDRESS,
    COLUMN_NAME,
    COLUMNS,
    FILE_NAME,
    MESSAGE,
    PEOPLE,
    Control,
    Trap,
)

Record = dict[str, str]

CHAMPS: dict[str, Any] = {
    "cle_source": "id", "nom": "nom", "noms_alternatifs": "autres", "description": "description",
    "adresse": "adresse", "complement_adresse": "complement", "code_postal": "cp",
    "commune": "ville", "code_insee": "insee", "pays": "pays", "latitude": "lat",
    "longitude": "lon", "precision_geo": "precision", "site_web": "site", "url": "fiche",
    "courriel": "courriel", "telephone": "tel", "siret": "siret", "rna": "rna",
    "horaires": "horaires", "statut": "statut", "date_maj": "maj", "licence": "licence",
    "attribution": "attribution", "categories": "genre", "identifiants": "identifiants",
    "langue": "langue", "duree": "duree",
}  # fmt: skip

GOGOCARTO = {
    "nom": "name", "adresse": "address.streetAddress", "cp": "address.postalCode",
    "ville": "address.addressLocality", "lat": "geo.latitude", "lon": "geo.longitude",
    "site": "website", "courriel": "email", "tel": "telephone", "horaires": "openHoursString",
    "maj": "updatedAt", "genre": "categories", "contact": "userOwnerEmail",
}  # fmt: skip
"""Where the platform keeps what the other listings call otherwise."""

KEPT_SOURCE = "temoins"
PEOPLE_SOURCE = "personnes"


def ordinary(number: int, **given: str) -> Record:
    """A record of a place like any other, but for what is given."""
    letters = random.Random(number)
    name = "".join(letters.choice("bdfglmnprstv") + letters.choice("aeio") for _ in range(4))
    _, _, postcode, commune, latitude, longitude = PLACES[number % len(PLACES)]
    return {
        **dict.fromkeys(COLUMNS, ""),
        "id": f"r{number}",
        "nom": f"Atelier {name.title()}",
        "description": "Des machines et des savoir-faire à partager.",
        "adresse": f"{number % 90 + 1} rue {name.title()}",
        "cp": postcode,
        "ville": commune,
        "lat": latitude,
        "lon": longitude,
        "site": f"https://{name}.exemple.fr",
        "fiche": f"https://carte.exemple.fr/lieux/{number}",
        "genre": "fablab",
        **given,
    }


_PLACES = (ADDRESS, COLUMN_NAME, FILE_NAME, MESSAGE)


def in_records(planted: Sequence[Trap]) -> list[Trap]:
    """The traps that are in a record: the one of rank `n` in the record of key `r<n>`."""
    return [trap for trap in planted if trap.field not in _PLACES]


def plant(project: Project, planted: Sequence[Trap], kept: Sequence[Control], server: str) -> None:
    """Declare and write every listing. `server` is the address of the loopback server."""
    traps = in_records(planted)
    for name, write in WRITERS.items():
        rows = [
            ordinary(number, **{trap.field: trap.text})
            for number, trap in enumerate(traps)
            if name == _platform_of(number, trap)
        ]
        suffix, body = write(rows)
        _declare(project, f"pieges_{name}", name, f"pieges_{name}{suffix}", body, **_EXTRA[name])
    there = {place: [t for t in planted if t.field == place] for place in _PLACES}
    _declare(
        project,
        "noms_de_colonnes",
        "csv",
        "colonnes.csv",
        _csv([ordinary(n) | {t.text: "x" for t in there[COLUMN_NAME]} for n in range(3)]),
    )
    for number, trap in enumerate(there[FILE_NAME]):
        _declare(project, "noms_de_fichiers", "csv", f"dossier/{trap.text}.csv",
                 _csv([ordinary(9000 + number)]) + "trop,court\n", url="dossier")  # fmt: skip
    _unreadable(project, there[MESSAGE])
    _remote(project, there[ADDRESS], server)
    rows = [_control_row(number, control) for number, control in enumerate(kept)]
    _declare(project, KEPT_SOURCE, "csv", "temoins.csv", _csv(rows))
    rows = [
        ordinary(n, nom=p.nom, adresse=p.adresse, lat=f"{48.111 + n / 1e5}", lon="-1.6791",
                 cp="35000", ville="Rennes")
        for n, p in enumerate(PEOPLE)
    ]  # fmt: skip
    _declare(project, PEOPLE_SOURCE, "json", "personnes.json", json.dumps(rows))
    project.write()


def _platform_of(number: int, trap: Trap) -> str:
    name = list(WRITERS)[number % len(WRITERS)]
    # A position is a number in GeoJSON, and a place in the document has no text of its own.
    return "csv" if name == "geojson" and trap.field in {"lat", "lon"} else name


def _declare(
    project: Project, source_id: str, platform: str, file: str, body: str, **overrides: Any
) -> None:
    path = project.root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(body, encoding="utf-8")
    _block(project, source_id, platform, **{"url": file, **overrides})


def _block(project: Project, source_id: str, platform: str, **overrides: Any) -> None:
    block = {
        "id": source_id,
        "nom": f"Liste {source_id}",
        "editeur": "Éditeur d’exemple",
        "plateforme": platform,
        "licence": "odbl-1.0",
        "republication": "complete",
        "preuve": "vu",
        "donnees_du": "2026-11-01",
        "champs": CHAMPS,
        "ecarter": ["contact"],
        "codes": {"fablab": {"type": "fablab"}},
        **overrides,
    }
    # What two blocks share would be written as an alias, which a registry may not hold.
    project.blocks[source_id] = copy.deepcopy(block)


def _control_row(number: int, control: Control) -> Record:
    towns = {"06000": "Nice", "07000": "Privas", "67000": "Strasbourg"}
    place = {"cp": "44000", "ville": "Nantes", "lat": "", "lon": ""}
    if control.field == "cp":
        place["ville"] = towns[control.text]
    if control.field == "lat":
        place["lon"] = "-1.5536"
    return ordinary(5000 + number, **{**place, control.field: control.text})


def _csv(rows: Sequence[Mapping[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _json(rows: Sequence[Record]) -> str:
    """An object of records keyed by their ids, so that a key is also a place in the document."""
    return json.dumps({row["id"]: row for row in rows}, ensure_ascii=False)


def _geojson(rows: Sequence[Record]) -> str:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [float(row["lon"]), float(row["lat"])]},
            "properties": row,
        }
        for row in rows
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def _gogocarto(rows: Sequence[Record]) -> str:
    elements = []
    for row in rows:
        element: dict[str, Any] = {}
        for column, text in row.items():
            *path, last = GOGOCARTO.get(column, column).split(".")
            below = element
            for step in path:
                below = below.setdefault(step, {})
            below[last] = [text] if column == "genre" else text
        elements.append(element | {"subscriberEmails": [row["contact"]]})
    return json.dumps({"licence": "ODbL", "ontology": "gogofull", "data": elements})


def _html(rows: Sequence[Record]) -> str:
    """Text is written as pages have it, with whatever markup it holds."""
    items = []
    for row in rows:
        cells = [
            f'<a class="{name}" href="{html.escape(text)}">voir</a>'
            if name in {"site", "fiche"}
            else f'<div class="{name}">{text}</div>'
            for name, text in row.items()
        ]
        items.append(f'<li class="lieu">{"".join(cells)}</li>')
    return f"<!doctype html><title>Les lieux</title><ul>{''.join(items)}</ul>"


WRITERS: dict[str, Callable[[Sequence[Record]], tuple[str, str]]] = {
    "csv": lambda rows: (".csv", _csv(rows)),
    "json": lambda rows: (".json", _json(rows)),
    "geojson": lambda rows: (".geojson", _geojson(rows)),
    "gogocarto": lambda rows: (".json", _gogocarto(rows)),
    "html_listing": lambda rows: (".html", _html(rows)),
}

_EXTRA: dict[str, dict[str, Any]] = {
    "csv": {},
    "json": {},
    "geojson": {"champs": {k: v for k, v in CHAMPS.items() if k not in {"latitude", "longitude"}},
                "ignorer": ["lat", "lon"]},
    "gogocarto": {"champs": {k: GOGOCARTO.get(v, v) for k, v in CHAMPS.items()}, "ecarter": []},
    "html_listing": {
        "options": {
            "fiche": "li.lieu",
            "champs": {c: f".{c}@href" if c in {"site", "fiche"} else f".{c}" for c in COLUMNS},
            "facultatifs": list(COLUMNS),
        }
    },
}  # fmt: skip


def _unreadable(project: Project, planted: Sequence[Trap]) -> None:
    """Pages that are not what their platform gives, each in its own way."""
    texts = iter([trap.text for trap in planted])
    title = f"<!doctype html><title>Annuaire de {next(texts)}</title><p>Rien ici</p>"
    pages: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("html_listing", title, _EXTRA["html_listing"]),
        ("csv", title.replace("Rien", next(texts)), {}),
        ("csv", f"id,{(name := next(texts))},{name}\n1,2,3\n", {}),
        ("json", json.dumps({next(texts): [], "autre": 1}), {"options": {"chemin": "lieux"}}),
        ("json", f'[{{"{(key := next(texts))}": 1, "{key}": 2}}]', {}),
        ("geojson", json.dumps({"type": next(texts)}), _EXTRA["geojson"]),
        ("gogocarto", json.dumps({next(texts): 1}), _EXTRA["gogocarto"]),
        ("geojson", json.dumps({"type": "FeatureCollection", "features": [1], "crs": next(texts)}),
         _EXTRA["geojson"]),
    )  # fmt: skip
    for number, (platform, body, options) in enumerate(pages):
        _declare(project, f"illisible_{number}", platform, f"illisible_{number}", body, **options)
    _block(project, "introuvable", "csv", url=f"absent/{next(texts)}.csv")
    assert next(texts, None) is None


def _remote(project: Project, planted: Sequence[Trap], server: str) -> None:
    """Listings asked for at addresses that hold a person's, of a server that repeats them."""
    paths = ("liste", "absente", "ailleurs", "ici", "courriel", "encodage")
    for path, trap in zip(paths, planted, strict=True):
        _block(project, f"distante_{path}", "json", url=f"{server}/{path}?email={trap.text}",
               limites={"pause_s": 0, "essais": 1, "delai_s": 5})  # fmt: skip


def answer(path: str) -> tuple[int, dict[str, str], bytes]:
    """What the loopback server answers to a path with its query: status, headers, body."""
    place, _, query = path.partition("?")
    person = query.removeprefix("email=")
    rows = json.dumps([ordinary(n) for n in range(7000, 7004)]).encode()
    headers = {"Content-Type": "application/json"}
    match place:
        case "/liste":
            return 200, headers, rows
        case "/ailleurs":
            return 302, {"Location": f"http://{person.replace('%40', '@')}/accueil"}, b""
        case "/ici":
            return 302, {"Location": f"/absente/{person}"}, b""
        case "/courriel":
            return 302, {"Location": f"mailto:{person}"}, b""
        case "/encodage":
            return 200, headers | {"Content-Encoding": person}, rows
        case _:
            return 404, headers, b"absente"


def commands(project: Project) -> list[list[str]]:
    """What a steward types: the run, then a look at some of the sources."""
    sources = ["--sources", str(project.sources)]
    where = ["--warehouse", str(project.warehouse.root)]
    curated = ["--curated", str(project.curated)]
    previewed = ("pieges_csv", "noms_de_colonnes", "noms_de_fichiers", "illisible_3",
                 "introuvable", "distante_absente")  # fmt: skip
    previews = [["sources", "preview", name, *sources, *where] for name in previewed]
    return [
        ["run", *sources, *where, *curated, "--as-of", "2026-11-20"],
        *previews,
        ["sources", "list", *sources, *where],
        ["sources", "check", *sources],
        ["diagnose", *sources, *where],
        ["review", "list", *where],
        ["release", "list", *where],
    ]


def files_of(root: Path) -> list[Path]:
    """Every file of a warehouse, but the closed zone of captures."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
        and path.relative_to(root).parts[0] != "captures"
    )  # fmt: skip
