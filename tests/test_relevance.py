"""Which records of a broad listing are kept, by which rule, and how often that is right."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.extract.base import fold
from lowtech_data.model.codes import codes_of
from lowtech_data.relevance import CATEGORIES, LEFT_OUT, PLAIN, SOFT, judge

LISTINGS = Path(os.environ.get("LOWTECH_LISTINGS", "/nonexistent")) / "real"
LABELS = Path(__file__).parent / "evaluation" / "pertinence.tsv"


@pytest.mark.parametrize(
    ("name", "description", "categories", "rule"),
    [
        ("Fab’Lab des Tilleuls", "", [], "nom:fabrication"),
        ("La Souris verte", "", ["hakerspace"], "categorie:fabrication"),
        ("Les Copeaux", "Atelier bois coopératif", [], "description:fabrication"),
        ("LimaFab – Médiathèque de Vaubourg", "", ["usages"], "nom:fabrication"),
        ("Repair’café de Vaubourg", "", [], "nom:reparation"),
        ("Le Tournevis", "On y répare ses objets, entre voisins.", [], "description:reparation"),
        ("La Seconde Main", "", ["Recyclerie / Ressourcerie"], "categorie:reemploi"),
        ("Friperies solidaires du port", "", [], "nom:reemploi"),
        ("Les Rayons libres", "Ateliers de réparation de vélos", [], "description:reparation"),
        ("Dérailleurs", "Atelier-vélo participatif", [], "description:mobilite"),
        ("Watts en commun", "Énergies renouvelables citoyennes", [], "description:energie"),
        ("Torchis", "Stages d’autoconstruction en terre", [], "description:habitat"),
        ("Gouttes", "Récupération des eaux de pluie", [], "description:eau"),
        ("L’Établi", "Bibliothèque d’objets et d’outils", [], "description:cooperation"),
        ("Octets", "Ordinateurs reconditionnés, pour tous", [], "description:numerique_sobre"),
        ("Les Mains", "Apprendre à tout fabriquer par soi-même", [], "description:pedagogie"),
        ("Place commune", "", ["Espace de coworking", "Tiers-Lieux"], "categorie:tiers_lieu"),
        ("Tiers-lieu du Moulin", "", [], "nom:tiers_lieu"),
        ("Association Basse Mer", "Four solaire low-tech", [], "description:low_tech"),
    ],
)
def test_a_record_that_says_an_activity_is_kept_by_where_it_says_it(
    name: str, description: str, categories: list[str], rule: str
) -> None:
    verdict = judge(name, description, categories)
    assert (verdict.kept, verdict.rule) == (True, rule)
    assert verdict.words


@pytest.mark.parametrize(
    ("name", "description", "categories", "rule"),
    [
        ("Les Bureaux du port", "Coworking et salles", [], "exclusion:bureaux"),
        ("La Ruchette", "", ["Tiers lieux à dominante coworking"], "exclusion:bureaux"),
        ("Tiers-lieu La Ruchette", "", ["Tiers lieux à dominante coworking"], "exclusion:bureaux"),
        ("Mairie de Vaubourg", "Aide aux démarches", ["Autres"], "exclusion:service_public"),
        ("Le Clic", "", ["Espace Public Numérique"], "exclusion:mediation_numerique"),
        ("Médiathèque du quartier de la Recyclerie", "", [], "exclusion:bibliotheque"),
        ("Médiathèque", "On y emprunte des logiciels libres", [], "exclusion:bibliotheque"),
        ("Le Préau", "", ["Centre socio-culturel"], "exclusion:social_culture"),
        ("GAEC du Coteau", "Séchage au capteur solaire", [], "exclusion:alimentation"),
        ("Au Vrac", "", ["Fabriquer, réparer, zéro déchets"], "exclusion:alimentation"),
        ("Gîte des Saules", "Maison en écoconstruction", [], "exclusion:commerce"),
        ("Easy Cash Vaubourg", "Réparation, seconde vie", [], "exclusion:enseigne"),
        (
            "Parlons clic",
            "Je propose des formations",
            ["EPN", "Tiers-Lieux"],
            "exclusion:intervenant",
        ),
        ("École du Parc", "", [], "exclusion:enseignement"),
        ("Les Haies vives", "Biodiversité", [], "exclusion:nature_plaidoyer"),
        ("La Fabrique à projets", "Labo d’idées, ateliers d’écriture", [], "muet"),
        ("Le Rivage", "Rendez-vous chaque mardi, sans fablab", [], "muet"),
        ("Le Rivage", "Bal chaque jeudi, à côté de la recyclerie", [], "muet"),
    ],
)
def test_a_record_that_says_none_is_left_out_with_the_reason(
    name: str, description: str, categories: list[str], rule: str
) -> None:
    verdict = judge(name, description, categories)
    assert (verdict.kept, verdict.rule) == (False, rule)


@pytest.mark.parametrize(
    "forms",
    [
        ("ressourcerie", "Ressourceries", "RESSOURCERIE"),
        ("atelier vélos", "ateliers de vélo", "Atelier-Vélo", "ATELIER DU VÉLO"),
        ("réparateur de meubles", "réparatrice", "Réparateurs"),
        ("fablab", "fab lab", "Fab-Labs", "fab’lab"),
        ("low-tech", "lowtech", "Low Tech", "low-techs"),
        ("boutique associative", "boutiques solidaires", "friperie associative"),
        ("outilthèque", "outil-thèque", "outilothèque"),
        ("matériauthèque", "matériauthèques", "materiautheque"),
    ],
)
def test_a_word_is_met_in_all_its_forms(forms: Sequence[str]) -> None:
    verdicts = [judge(form, None, []) for form in forms]
    assert all(verdict.kept for verdict in verdicts), verdicts
    assert len({verdict.rule for verdict in verdicts}) == 1


@pytest.mark.parametrize("word", ["confablab", "préréparation", "velocity", "emmausien", "Fab’RH"])
def test_a_part_of_a_word_is_not_the_word(word: str) -> None:
    assert not judge(word, None, []).kept


def _phrases() -> Iterator[tuple[str, str]]:
    for table in (PLAIN, SOFT, CATEGORIES, LEFT_OUT):
        for key, phrases in table.items():
            yield from ((key, phrase) for phrase in phrases.split(", "))


def test_tables_are_written_as_texts_are_compared() -> None:
    assert [phrase for _, phrase in _phrases() if phrase != fold(phrase)] == []


def test_subjects_are_published_themes() -> None:
    others = {"low_tech", "tiers_lieu"}
    assert {*PLAIN, *SOFT, *CATEGORIES} <= codes_of("theme") | others


@pytest.mark.parametrize(
    ("subject", "phrase"),
    [(key, phrase) for key, phrases in PLAIN.items() for phrase in phrases.split(", ")],
)
def test_each_plain_word_is_enough_by_itself(subject: str, phrase: str) -> None:
    said = " ".join(word.split("|")[0] for word in phrase.split()).replace("_", "-")
    assert judge(None, f"Ici : {said.replace('*', 'age')}.", []).kept


WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "atelier vélo fablab coworking mairie de la recyclerie énergie renouvelable ferme paille"
        " tiers-lieu – médiathèque partagé et solidaire réparation d’ objets",
    )
)
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=3))
def test_accents_case_and_order_of_categories_change_nothing(
    name: str, description: str, categories: list[str]
) -> None:
    bare = unicodedata.normalize("NFD", name.upper())
    assert judge(bare, description.title(), categories[::-1]) == judge(
        name, description, categories
    )


@given(TEXTS, TEXTS)
def test_a_verdict_shows_words_of_the_record(name: str, description: str) -> None:
    verdict = judge(name, description, [])
    assert verdict.words in fold(f"{name}\n{description}") or verdict.words in fold(description)
    assert verdict.words or verdict.rule == "muet"


@pytest.mark.parametrize("text", ["la " * 20_000, "prêt de la du " * 5_000, "atelier-" * 10_000])
def test_time_grows_as_the_text_does(text: str) -> None:
    start = time.process_time()
    judge(text, text, [text])
    assert time.process_time() - start < 5


# ── Measured on labelled records ──


@dataclass(frozen=True)
class Record:
    name: str
    description: str
    categories: list[str]

    @property
    def digest(self) -> str:
        said = json.dumps([self.name, self.description, self.categories], ensure_ascii=False)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def _cget() -> Iterator[tuple[str, Record]]:
    with (LISTINGS / "cget_tierslieux_2019.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["ID"], Record(row["NOM_TL"], "", [row["TYPO"]] if row["TYPO"] else [])


def _brittany() -> Iterator[tuple[str, Record]]:
    for feature in json.loads((LISTINGS / "bzh_fablab.geojson").read_text("utf-8"))["features"]:
        values = feature["properties"]
        yield values["id"], Record(values["name"], "", [values["structure"]])


def _fablabs_io() -> Iterator[tuple[str, Record]]:
    for row in json.loads((LISTINGS / "okw_fablabsio_fr.json").read_text("utf-8")):
        lab = row["facility"]
        yield lab["url"].rsplit("/", 1)[-1], Record(lab["name"], "", [lab["description"]])


def _transiscope() -> Iterator[tuple[str, Record]]:
    for row in json.loads((LISTINGS / "transiscope_niort.json").read_text("utf-8")):
        said = f"{row.get('summary') or ''} {row.get('description') or ''}"
        yield row["id"], Record(row["title"], said, [code["name"] for code in row["categories"]])


def _hinaura() -> Iterator[tuple[str, Record]]:
    for row in json.loads((LISTINGS / "hinaura_yeswiki.json").read_text("utf-8")):
        if "ODbL" not in row["Licence des données collectées *"]:
            continue
        name = row["Nom du lieu ou de la structure *"]
        said = next(value for key, value in row.items() if key.startswith("Informations diverses"))
        kinds = [kind for kind in re.split(r'[",]+', row["Type de lieu"]) if kind]
        yield f"{name}, {row['Code postal']}", Record(name, str(said), kinds)


READERS: dict[str, Callable[[], Iterator[tuple[str, Record]]]] = {
    "bzh_fablab": _brittany,
    "cget2019": _cget,
    "fablabs_io": _fablabs_io,
    "hinaura": _hinaura,
    "transiscope": _transiscope,
}


@dataclass(frozen=True)
class Score:
    """Counts of kept and wanted records, and the shares that follow from them."""

    right: int
    kept: int
    wanted: int

    @property
    def precision(self) -> float:
        return self.right / self.kept if self.kept else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.wanted

    @property
    def passes(self) -> bool:
        return self.precision >= 0.95 and self.recall >= 0.90

    def __str__(self) -> str:
        return (
            f"précision {self.right}/{self.kept} = {self.precision:.3f}"
            f" {_wilson(self.right, self.kept)}, rappel {self.right}/{self.wanted}"
            f" = {self.recall:.3f} {_wilson(self.right, self.wanted)}"
        )


def _wilson(right: int, total: int) -> str:
    if not total:
        return "[0,000 ; 1,000]"
    squared, share = 1.96**2 / total, right / total
    centre = (share + squared / 2) / (1 + squared)
    half = sqrt(squared * share * (1 - share) + squared**2 / 4) / (1 + squared)
    return f"[{max(0, centre - half):.3f} ; {min(1, centre + half):.3f}]"


def _labels() -> list[dict[str, str]]:
    with LABELS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _labelled(part: str) -> list[tuple[Record, bool]]:
    records = {source: dict(read()) for source, read in READERS.items()}
    found = []
    for row in _labels():
        record = records[row["source"]].get(row["cle_source"])
        if row["part"] == part and record and record.digest == row["empreinte"]:
            found.append((record, row["etiquette"] == "oui"))
    return found


def _score(labelled: Iterable[tuple[Record, bool]], keep: Callable[[Record], bool]) -> Score:
    verdicts = [(keep(record), wanted) for record, wanted in labelled]
    return Score(
        right=sum(kept and wanted for kept, wanted in verdicts),
        kept=sum(kept for kept, _ in verdicts),
        wanted=sum(wanted for _, wanted in verdicts),
    )


def _by_rules(record: Record) -> bool:
    return judge(record.name, record.description, record.categories).kept


def _by_the_word(record: Record) -> bool:
    said = " ".join((record.name, record.description, *record.categories))
    return re.search(r"low[ -]?tech", fold(said)) is not None


def test_labels_are_three_hundred_facts_in_two_stated_parts() -> None:
    rows = _labels()
    assert len({(row["source"], row["cle_source"]) for row in rows}) == len(rows) == 300
    assert {row["etiquette"] for row in rows} == {"oui", "non"}
    for row in rows:
        first = hashlib.sha256(f"{row['source']}\n{row['cle_source']}".encode()).digest()[0]
        assert row["part"] == ("mesure" if first % 2 else "reglage")
        assert re.fullmatch("[0-9a-f]{16}", row["empreinte"])


@pytest.mark.skipif(not LISTINGS.is_dir(), reason="LOWTECH_LISTINGS n’est pas défini")
@pytest.mark.parametrize("part", ["reglage", "mesure"])
def test_the_rules_pass_a_bar_that_trivial_ones_do_not(part: str) -> None:
    labelled = _labelled(part)
    assert len(labelled) >= 0.9 * sum(row["part"] == part for row in _labels())
    ways: dict[str, Callable[[Record], bool]] = {
        "règles de la charte": _by_rules,
        "tout garder": lambda record: True,
        "le mot « low-tech » seul": _by_the_word,
    }
    scores = {way: _score(labelled, keep) for way, keep in ways.items()}
    for way, score in scores.items():
        print(f"{part}, {len(labelled)} fiches, {way} : {score}")
    assert [way for way, score in scores.items() if score.passes] == ["règles de la charte"]
