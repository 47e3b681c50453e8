"""A small release on disk: facts of two openly licensed listings, and strings that attack."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest

from lowtech_data.model import TABLES, Kind
from lowtech_data.publish import sqlite
from lowtech_data.site import build_app

HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "{{7*7}}{% for x in y %}",
    "javascript:alert(1)",
    "</style></title><img src=x onerror=alert(1)>",
)
HOSTILE_ID = "lt-zzzzzzzzzz0"
RENNES_ID = "lt-0000000001a"

# The columns are those that `_initiative` unpacks.
PLACES: tuple[tuple[Any, ...], ...] = (
    ("ICI Montreuil", "manufacture_collaborative", "135 boulevard Chanzy", "93100", "Montreuil",
     "93048", "93", "11", 48.859, 2.42583, "http://www.icimontreuil.com/"),
    ("OUDEIS", "fablab", "1 rue de la Carriérasse", "30120", "Le Vigan", "30350", "30", "76",
     43.98853, 3.60593, "http://www.oudeis.fr"),
    ("Vanderlab", "fablab", "470 avenue W.K. Vanderbilt", "78955", "Carrières-sous-Poissy",
     "78123", "78", "11", 48.9438, 2.02148, "http://chateauephemere.org/vanderlab"),
    ("Lab.Lab", "fablab", "36 rue Émile Decorps", "69100", "Villeurbanne", "69266", "69", "84",
     45.75661, 4.89961, None),
    ("Labo Arts & Techs", "tiers_lieu", "4 boulevard Léon Bureau", "44100", "Nantes", "44109",
     "44", "52", 47.20601, -1.56395, "http://www.stereolux.org/"),
    ("Campusfab", "fablab", "118 route de Narbonne", "31062", "Toulouse", "31555", "31", "76",
     43.56312, 1.46279, "https://fablab.univ-tlse3.fr/"),
    ("Labo d’Aix-périmentation", "fablab", "431 avenue Gaston Berger", "13625",
     "Aix-en-Provence", "13001", "13", "93", 43.51344, 5.44923, "https://labaixbidouille.com/"),
    ("LH3D fablab", "fablab", "181 quai Frissard", "76600", "Le Havre", "76351", "76", "28",
     49.49217, 0.13202, "http://lh3d.fr/"),
    ("De Vinci FabLab", "fablab", "12 avenue Léonard de Vinci", "92400", "Courbevoie", "92026",
     "92", "11", 48.89646, 2.23633, "http://www.devinci.fr/fablab"),
    ("SoFAB", "fablab", "450 route des Chappes", "06410", "Biot", "06018", "06", "93", 43.61384,
     7.07981, "http://www.sofab.tv/"),
    ("Fabulis", "fablab", "60 rue du Maréchal Foch", "57200", "Sarreguemines", "57631", "57",
     "44", 49.11591, 7.07817, "http://www.fabulis.org"),
    ("InSituHackLab", "hackerspace", "15 rue Lixenbuhl", "67400", "Illkirch-Graffenstaden",
     "67218", "67", "44", 48.52994, 7.72316, None),
    ("Fablab19", "fablab", "16 rue Jules Vallès", "19100", "Brive-la-Gaillarde", "19031", "19",
     "75", 45.1544, 1.50928, None),
    ("FabLab d’Éragny", "fablab", "14 rue du Commerce", "95610", "Éragny", "95218", "95", "11",
     49.01886, 2.09937, "https://www.eragny.fr/"),
    ("MakerSpace56", "fablab", "VIPE", "56000", "Vannes", "56260", "56", "53", 47.64246, -2.75413,
     "http://makerspace56.org"),
    ("CréaTech", "atelier_partage", "Place d’Armorique", "56890", "Plescop", "56158", "56", "53",
     47.69702, -2.80618, "http://createchplescop.fr"),
    ("N°4 FabLab", "fablab", "15 rue Galilée", "56270", "Ploemeur", "56162", "56", "53", 47.74043,
     -3.40837, "https://fablab-lorient.bzh"),
    ("FabriKerné", "fablab", "4 rue Teilhard de Chardin", "29000", "Quimper", "29232", "29", "53",
     48.00278, -4.0941, "http://fabrikerne.fr"),
    ("Ouvr’@ges", "fablab", "Rue Père Ricard", "29200", "Brest", "29019", "29", "53", 48.38452,
     -4.5324, "https://ouvragesfablab.wordpress.com"),
    ("Les Fabriques du Ponant", "fablab", "2 rue Paul Dukas", "29200", "Brest", "29019", "29",
     "53", 48.40848, -4.498, "http://www.lesfabriquesduponant.net"),
)  # fmt: skip

_REGIONS = {"11": "Île-de-France", "28": "Normandie", "44": "Grand Est", "52": "Pays de la Loire",
            "53": "Bretagne", "75": "Nouvelle-Aquitaine", "76": "Occitanie",
            "84": "Auvergne-Rhône-Alpes", "93": "Provence-Alpes-Côte d’Azur"}  # fmt: skip
_DEPARTEMENTS = {"29": ("Finistère", "53"), "35": ("Ille-et-Vilaine", "53"),
                 "56": ("Morbihan", "53"), "69": ("Rhône", "84"), "13": ("Bouches-du-Rhône", "93"),
                 "92": ("Hauts-de-Seine", "11"), "31": ("Haute-Garonne", "76")}  # fmt: skip


class Rows:
    """Rows of every table, in the order they are added."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def add(self, table: str, **values: Any) -> None:
        self.rows[table].append(values)

    def connection(self) -> duckdb.DuckDBPyConnection:
        """The tables as the publisher reads them."""
        con = duckdb.connect()
        for name, table in TABLES.items():
            rows = pa.Table.from_pylist(self.rows[name], schema=table.arrow_schema())
            con.register("lignes", rows)
            con.execute(f'CREATE TABLE "{name}" AS FROM lignes')
            con.unregister("lignes")
        return con


def _initiative(rows: Rows, number: int, place: tuple[Any, ...], **more: Any) -> str:
    (nom, type_, adresse, cp, commune, insee, dep, region, lat, lon, site) = place
    initiative_id = f"lt-{number:010d}a"
    values: dict[str, Any] = {
        "id": initiative_id, "nom": nom, "noms_alternatifs": [], "nature": "lieu", "type": type_,
        "themes": ["fabrication"], "familles": [], "piliers": [], "principes": [],
        "resume": f"{nom} ouvre ses machines et ses savoir-faire à {commune}.",
        "adresse": adresse, "code_postal": cp, "commune": commune, "code_insee": insee,
        "code_departement": dep, "code_region": region, "latitude": lat, "longitude": lon,
        "precision_geo": "numero", "site_web": site, "statut": "publie",
        "regle_selection": "liste", "premiere_vue": "2026-01-05",
        "derniere_vue": "2026-03-02", "nb_sources": 1, "verification": "une_source",
        "licence": "lov2", "attribution": "CGET",
    } | more  # fmt: skip
    rows.add("initiatives", **values)
    rows.add("identifiants", id=values["id"], etat="actif", cree_le="2026-01-05")
    source = "bzh_fablab" if region == "53" else "cget_2019"
    _fiche(rows, source, str(number), values)
    return str(values["id"])


def _fiche(rows: Rows, source: str, key: str, values: dict[str, Any]) -> None:
    rows.add(
        "fiches", source_id=source, cle_source=key, entite="initiative", capture="c" * 64,
        pointeur=f"/{key}", url="https://listes.exemple.fr/" + key, nom=values["nom"],
        commune=values["commune"], initiative_id=values["id"], derniere_vue="2026-03-02",
    )  # fmt: skip
    for name in ("nom", "type", "adresse", "commune", "site_web", "resume"):
        if values[name]:
            rows.add(
                "provenances", entite_id=values["id"], champ=name, valeur=values[name],
                source_id=source, cle_source=key, capture="c" * 64, retenue=True,
            )  # fmt: skip


def _hostile_row(table: str) -> dict[str, Any]:
    """One row whose every text column attacks."""
    values: dict[str, Any] = {}
    for place, column in enumerate(TABLES[table].columns):
        text = HOSTILE[place % len(HOSTILE)]
        match column.kind:
            case Kind.TEXT | Kind.DATE | Kind.INSTANT:
                values[column.name] = text
            case Kind.LIST:
                values[column.name] = list(HOSTILE)
            case Kind.JSON:
                values[column.name] = json.dumps(HOSTILE)
    return values


def fill(rows: Rows, marker: str, extra: int) -> None:
    """Put in the whole small base; `marker` ends every name and tells releases apart."""
    for source, name, licence in (
        ("bzh_fablab", "Fablabs bretons", "cc-by-4.0"),
        ("cget_2019", "Tiers-lieux 2019", "lov2"),
    ):
        rows.add(
            "sources", id=source, nom=name, editeur="Éditeur de la liste", licence=licence,
            url="https://listes.exemple.fr/" + source, attribution=name, etat="active",
            republication="complete", sante="ok" if source == "bzh_fablab" else "figee",
            donnees_du="2026-03-02", dernier_succes="2026-03-02T04:00:00Z", nb_fiches=10,
            frequence="hebdomadaire", fiabilite="reseau", plateforme="geojson",
        )  # fmt: skip
        rows.add(
            "moissons", source_id=source, debut="2026-03-02T04:00:00Z", statut="ok", nb_lus=11,
            nb_valides=10, nb_rejetes=1,
        )  # fmt: skip
    rows.add("rejets", source_id="cget_2019", cle_source="9", champ="code_postal",
             regle="code_postal_inconnu", valeur_masquee="0")  # fmt: skip
    for code, name in _REGIONS.items():
        rows.add("territoires", code=code, niveau="region", nom=name)
    for code, (name, parent) in _DEPARTEMENTS.items():
        rows.add("territoires", code=code, niveau="departement", nom=name, parent=parent,
                     population=100_000)  # fmt: skip
    rennes = ("La Bricothèque", "repair_cafe", "3 rue de la Paix", "35000", "Rennes", "35238",
              "35", "53", 48.1113, -1.68, "https://bricotheque.exemple.fr/?a=1&b=2")  # fmt: skip
    _initiative(
        rows, 1, (rennes[0] + marker, *rennes[1:]), noms_alternatifs=["Repair café du centre"],
        themes=["reparation", "reemploi"], familles=["revalorisation_dechets"], nb_sources=2,
        telephone="+33299000000", courriel="contact@bricotheque.exemple.fr",
        verification="sources_independantes", siret="12345678900011",
    )  # fmt: skip
    _fiche(rows, "cget_2019", "b1",
           {"id": RENNES_ID, "nom": "Bricothèque", "commune": "Rennes", "type": "repair_cafe",
            "adresse": "5 rue de la Paix", "site_web": None, "resume": None})  # fmt: skip
    for row in rows.rows["provenances"]:
        row["retenue"] = row["cle_source"] != "b1"
    rows.add("correspondances", initiative_id=RENNES_ID, systeme="siret", valeur="12345678900011")
    for number, place in enumerate(PLACES, 2):
        _initiative(rows, number, (place[0] + marker, *place[1:]))
    for number in range(extra):
        _initiative(rows, 1000 + number, (f"Atelier {number:03d}{marker}", *PLACES[0][1:]))
    _initiative(rows, 500, ("Lakou Low-tech" + marker, "collectif", None, "97400", "Saint-Denis",
                            "97411", "974", "04", -20.88, 55.45, None))  # fmt: skip
    rows.add("relations", sujet_id=RENNES_ID, predicat="heberge_par", objet_id="lt-0000000021a")
    rows.add("identifiants", id="lt-fusionnee00", etat="fusionne", remplace_par=RENNES_ID)
    rows.add("identifiants", id="lt-retiree0000", etat="retire", motif="demande")
    rows.add("paires", a="bzh_fablab:1", b="cget_2019:b1", decision="a_revoir", score=3.2,
             decide_par="regle", motif="chez_un_hote", details="{}")  # fmt: skip
    rows.add("paires", a="bzh_fablab:20", b="bzh_fablab:21", decision="lie", score=1.0,
             predicat="partenaire_de", motif="même commune", decide_par="humain")  # fmt: skip
    rows.add("codes", liste="motif_paire", code="chez_un_hote", libelle_fr="Chez un hôte",
             label_en="Hosted", definition="L’une accueille l’autre.")  # fmt: skip
    rows.add("ressources", id="lt-r1", titre="Remorque à vélo", nature="tutoriel",
             themes=["mobilite"], source_id="bzh_fablab", cle_source="r1",
             url="https://wiki.exemple.fr/remorque", initiative_id=RENNES_ID)  # fmt: skip
    rows.add("machines", id="lt-m1", categorie="bois", marque="Kity", modele="612", quantite=2,
             acces="adherents", initiative_id=RENNES_ID)  # fmt: skip
    rows.add("changements", version="v1", entite_id=RENNES_ID, type="ajout", champs=["nom"])
    rows.add("versions", id=f"v{marker.strip()}", date="2026-03-03", nb_initiatives=22)
    _add_hostile(rows)


def _add_hostile(rows: Rows) -> None:
    hostile = _hostile_row("initiatives") | {
        "id": HOSTILE_ID, "statut": "publie", "latitude": 46.0, "longitude": 2.0,
    }  # fmt: skip
    rows.add("initiatives", **hostile)
    for table, fixed in (
        ("sources", {"id": "hostile"}),
        ("fiches", {"source_id": "hostile", "initiative_id": HOSTILE_ID}),
        ("correspondances", {"initiative_id": HOSTILE_ID}),
        ("changements", {"entite_id": HOSTILE_ID}),
        ("moissons", {"source_id": "hostile"}),
        ("rejets", {"source_id": "hostile"}),
        ("ressources", {"initiative_id": HOSTILE_ID, "source_id": "hostile"}),
        ("machines", {"initiative_id": HOSTILE_ID}),
        ("relations", {"sujet_id": HOSTILE_ID, "objet_id": HOSTILE_ID}),
    ):
        rows.add(table, **(_hostile_row(table) | fixed))
    for column in TABLES["initiatives"].names:
        for text in HOSTILE:
            rows.add("provenances", entite_id=HOSTILE_ID, champ=column, valeur=text,
                     source_id="hostile", cle_source=text, retenue=True)  # fmt: skip


def write_release(warehouse: Path, version: str, *, marker: str = "", extra: int = 0) -> Path:
    """Write a release and return its folder; `publish` makes it current."""
    folder = warehouse / "releases" / version
    (folder / "csv").mkdir(parents=True)
    rows = Rows()
    fill(rows, marker, extra)
    with rows.connection() as con:
        sqlite.write(con, folder / "lowtech.sqlite")
    (folder / "csv" / "initiatives.csv").write_text("id,nom\n", encoding="utf-8")
    (folder / "secret.txt").write_text("pas dans l’index", encoding="utf-8")
    files = [
        {
            "chemin": name,
            "octets": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            "type": kind,
        }
        for name, kind in (
            ("csv/initiatives.csv", "text/csv"),
            ("lowtech.sqlite", "application/vnd.sqlite3"),
        )
    ]
    index = {"version": version, "date": "2026-03-03", "fichiers": files}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def publish(folder: Path) -> None:
    """Point `courante` to a release, in one rename."""
    link = folder.parent / ".courante"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(folder.parent / "courante")


@asynccontextmanager
async def client_of(app: Any, address: str = "203.0.113.9") -> AsyncIterator[httpx.AsyncClient]:
    """A client in process. An error of the application reaches the test."""
    transport = httpx.ASGITransport(app=app, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://lowtech.test") as client:
        yield client


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with one published release, shared by tests that only read."""
    root = tmp_path_factory.mktemp("entrepot")
    publish(write_release(root, "2026-03-03-aaaaaaaa", extra=60))
    return root


class Reader:
    """Synchronous reading of the site: each call is one request of its own event loop."""

    def __init__(self, warehouse: Path) -> None:
        import asyncio

        self._runner = asyncio.Runner()
        self.app = build_app(warehouse)

    def get(self, path: str, *, method: str = "GET", **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with client_of(self.app) as client:
                return await client.request(method, path, **options)

        return self._runner.run(ask())

    def raw(
        self, raw_path: bytes, query: bytes = b"", method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        """A request whose path no client would send as it is."""
        import asyncio

        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            await asyncio.sleep(0)
            messages.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "http",
            "path": raw_path.decode("latin-1"), "raw_path": raw_path, "query_string": query,
            "headers": [(b"host", b"lowtech.test")], "client": ("203.0.113.9", 1),
            "server": ("lowtech.test", 80), "root_path": "",
        }  # fmt: skip
        self._runner.run(self._answer(scope, receive, send))
        headers = {k.decode().lower(): v.decode() for k, v in messages[0]["headers"]}
        body = b"".join(m.get("body", b"") for m in messages[1:])
        return messages[0]["status"], headers, body

    async def _answer(self, *connection: Any) -> None:
        await self.app(*connection)

    def close(self) -> None:
        self._runner.run(self.app.close())
        self._runner.close()


@pytest.fixture(scope="session")
def site(warehouse: Path) -> Iterator[Reader]:
    """The site on the shared release."""
    reader = Reader(warehouse)
    yield reader
    reader.close()
