"""The bundled sample: what a first run shows is real, licensed, and about nobody."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from lowtech_data import registry
from lowtech_data.extract import PLATFORMS, Extraction, Page, extract, option_models
from lowtech_data.extract.base import TARGETS, fold
from lowtech_data.model import codes_of
from lowtech_data.registry import Source

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "warehouse" / "sample"
REGISTRY = registry.load(SAMPLE / "sources.yaml", option_models(), TARGETS)
CAPTURES = sorted((SAMPLE / "captures").iterdir())
IDS = [source.id for source in REGISTRY]

MAX_BYTES = 600_000

SEED_INITIATIVES = (
    "AMERMA",
    "ICI Marseille (Make ICI)",
    "Steripure",
    "De Vinci Aero",
    "Lemon Tri",
    "Hangar Zéro",
    "Tissel",
    "PRECI - Plateforme régionale de l'économie circulaire",
    "Halage",
    "Lil'Ô",
    "Incubateur 93 de la transition low-tech",
    "Observatoire du Bien Commun territorial",
    "Challenge Low-tech (Appel à communs ADEME)",
)
SEED_RESOURCES = (
    "Étude écosystème industriel low-tech PACA",
    "Glocal Low-Tech 2021-2022",
    "Les aventuriers du bien commun",
)

EMAIL = re.compile(r"[\w.+-]+\s?(?:@|\[at\]|\(at\)|&#64;)\s?[\w-]+\.[a-z]{2,}", re.IGNORECASE)
# Not preceded by a digit or a point: the decimals of a position look like a number.
PHONE = re.compile(
    r"(?<![\d.])(?:(?:\+|00)\s?(?:33|262|590|594|596)[\s.-]?(?:\(0\))?[\s.-]?|0)[1-9]"
    r"(?:[\s.-]?\d{2}){4}(?!\d)"
)
EXPECTED_RULES = {"code_inconnu", "cle_reemployee", "sous_page_traduction"}


def harvest(source: Source) -> Extraction:
    body = REGISTRY.local_path(source).read_bytes()
    page = Page(source.url, body, hashlib.sha256(body).hexdigest())
    return extract(source, PLATFORMS[source.plateforme], [page])


@pytest.fixture(scope="module")
def harvests() -> dict[str, Extraction]:
    return {source.id: harvest(source) for source in REGISTRY}


def names(harvests: dict[str, Extraction], entity: str) -> set[str]:
    return {
        name
        for source in REGISTRY
        if source.entite == entity
        for name in harvests[source.id].fiches.column("nom").to_pylist()
    }


def test_every_source_is_active_and_local() -> None:
    assert len(REGISTRY.active) == len(REGISTRY.sources) >= 8
    assert all(source.is_local for source in REGISTRY)


def test_every_payload_belongs_to_one_source_and_all_are_small() -> None:
    declared = sorted(REGISTRY.local_path(source) for source in REGISTRY)
    assert declared == CAPTURES
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < MAX_BYTES


@pytest.mark.parametrize("source", REGISTRY.sources, ids=IDS)
def test_a_source_names_its_publisher_its_licence_and_its_date(source: Source) -> None:
    assert source.attribution
    assert source.licence != "aucune"
    assert source.republication in {"complete", "faits_et_lien"}
    assert source.page is not None
    assert source.page.startswith("https://")
    assert source.donnees_du is not None
    assert source.frequence == "ponctuelle"


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_a_payload_holds_no_personal_contact(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert EMAIL.findall(text) == []
    assert [match.group() for match in PHONE.finditer(text)] == []
    assert re.findall(r"(?:mailto|tel):", text) == []


def test_the_patterns_of_contacts_see_contacts() -> None:
    assert EMAIL.search("écrire à prenom.nom@exemple.org")
    assert EMAIL.search("contact [at] exemple.org")
    for number in ("06 39 98 00 34", "0639980034", "+33 6 39 98 00 34", "+262 692 12 34 56"):
        assert PHONE.search(f"tél. {number}")
    assert not PHONE.search("47.2183710123456")


@pytest.mark.parametrize("source", REGISTRY.sources, ids=IDS)
def test_a_payload_is_read_without_surprise(
    source: Source, harvests: dict[str, Extraction]
) -> None:
    found = harvests[source.id]
    rules = {reject["regle"] for reject in found.rejects.to_pylist()}
    assert rules <= EXPECTED_RULES
    assert found.fiches.num_rows >= source.bornes.min
    assert source.bornes.max is None or found.fiches.num_rows <= source.bornes.max


def test_the_sample_shows_rejects_and_records_left_out(harvests: dict[str, Extraction]) -> None:
    rules = {row["regle"] for found in harvests.values() for row in found.rejects.to_pylist()}
    assert rules == EXPECTED_RULES
    assert harvests["bzh_fablab"].left_out
    assert harvests["transiscope"].left_out


def test_there_are_enough_initiatives(harvests: dict[str, Extraction]) -> None:
    distinct = {fold(name) for name in names(harvests, "initiative")}
    assert len(distinct) >= 300


def test_the_initiatives_of_the_founding_documents_are_all_there(
    harvests: dict[str, Extraction],
) -> None:
    assert set(SEED_INITIATIVES) <= names(harvests, "initiative")
    assert set(SEED_RESOURCES) <= names(harvests, "ressource")


def test_an_initiative_named_by_two_documents_is_in_both(
    harvests: dict[str, Extraction],
) -> None:
    keys = {
        name: set(harvests[name].fiches.column("cle_source").to_pylist())
        for name in ("ademe_communique", "low_tech_journal")
    }
    assert keys["ademe_communique"] & keys["low_tech_journal"] == {"amerma", "ici-marseille"}


def test_decisions_are_about_records_of_the_sample(harvests: dict[str, Extraction]) -> None:
    text = (SAMPLE / "curated" / "decisions.jsonl").read_text(encoding="utf-8")
    decisions = [json.loads(line) for line in text.splitlines()]
    known = {
        f"{row['source_id']}:{row['cle_source']}"
        for found in harvests.values()
        for row in found.fiches.select(["source_id", "cle_source"]).to_pylist()
    }
    assert {decision["decision"] for decision in decisions} == {"identique", "distinct", "lie"}
    for decision in decisions:
        assert {decision["a"], decision["b"]} <= known
        assert decision["motif"]
        assert ("predicat" in decision) == (decision["decision"] == "lie")
        assert decision.get("predicat", "heberge_par") in codes_of("predicat")


def test_a_listing_says_the_same_thing_here_and_in_the_full_registry() -> None:
    full = registry.load(ROOT / "sources.yaml", option_models(), TARGETS)
    shared = {source.id for source in full} & set(IDS)
    assert len(shared) >= 8
    for source_id in shared:
        here, there = REGISTRY[source_id], full[source_id]
        assert here.editeur == there.editeur
        assert here.entite == there.entite
        if there.licence != "par_fiche":
            assert here.licence == there.licence


@pytest.fixture
def seed_listing() -> Path:
    folder = os.environ.get("LOWTECH_LISTINGS")
    if not folder:
        pytest.skip("LOWTECH_LISTINGS n’est pas défini")
    return Path(folder) / "real" / "seed_initiatives.tsv"


def test_the_seed_list_is_covered(seed_listing: Path) -> None:
    with seed_listing.open(encoding="utf-8", newline="") as file:
        wanted = {row["name"] for row in csv.DictReader(file, delimiter="\t")}
    assert wanted == {*SEED_INITIATIVES, *SEED_RESOURCES}
