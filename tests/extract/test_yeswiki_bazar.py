import json
import os
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import Client, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction
from lowtech_data.extract.base import Page, PayloadError
from lowtech_data.extract.yeswiki_bazar import split_labels
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, rules, run

PLATFORM = PLATFORMS["yeswiki_bazar"]
ENTRIES = "https://carto.example.org/?api/forms/1/entries"
OLD_ENTRIES = "https://carto.example.org/wakka.php?wiki=BazaR/json&demand=entries&id=1"
CHOICE = "checkboxListeTypelieu"
CODES: dict[str, Any] = {
    "Fablab / Hackerspace": {"type": "fablab"},
    "Ressourcerie": {"type": "ressourcerie"},
    "Tiers-Lieux": {"themes": ["cooperation"]},
}

NAME, ADDRESS, TOWN = "Nom du lieu ou de la structure *", "Adresse postale *", "Ville *"
LISTINGS = Path(os.environ.get("LOWTECH_LISTINGS", "/nonexistent")) / "real"


def wiki(**changes: Any) -> Source:
    given = {
        "url": ENTRIES,
        "options": {"choix": [CHOICE]},
        "codes": CODES,
        "ignorer": ["listeListeDepartement"],
        **changes,
    }
    return make_source("yeswiki_bazar", **given)


def entries() -> Page:
    return make_page(FIXTURES / "yeswiki_entries.json", ENTRIES)


def form() -> Page:
    return make_page(FIXTURES / "yeswiki_form.json", "https://carto.example.org/?api/forms/1")


def read(document: Any, url: str = ENTRIES, **changes: Any) -> Extraction:
    return run(wiki(**changes), make_page(json.dumps(document), url))


class TestEntries:
    def test_an_entry(self) -> None:
        extraction = run(wiki(), form(), entries())
        found = fiches(extraction)
        assert sorted(found) == ["AtelierDesBricoles", "RessourcerieDuLac"]
        expected = {
            "nom": "L&#039;Atelier des bricoles",
            "adresse": "4 rue du Four",
            "code_postal": "38000",
            "commune": "Grenoble",
            "latitude": "45.187800",
            "longitude": "5.732400",
            "site_web": "https://bricoles.example.org",
            "courriel": "contact@bricoles.example.org",
            "date_maj": "2024-02-11 09:12:01",
            "url": "https://carto.example.org/?AtelierDesBricoles",
            "type": "fablab",
            "themes": ["cooperation"],
            "pointeur": "/AtelierDesBricoles",
        }
        fablab = found["AtelierDesBricoles"]
        assert {name: fablab[name] for name in expected} == expected
        assert rejected(extraction) == [(f"{ENTRIES}#/FicheEnAttente", "*", "statut_non_publie")]

    def test_who_wrote_an_entry_is_never_read(self) -> None:
        extraction = run(wiki(ecarter=["bf_mail"]), entries())
        assert "prenom" not in everything(extraction).casefold()
        assert "contact@" not in everything(extraction)

    def test_a_position_in_one_text(self) -> None:
        fiche = fiches(run(wiki(), form(), entries()))["RessourcerieDuLac"]
        assert (fiche["latitude"], fiche["longitude"]) == ("45.9001", "6.1203")

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            (ENTRIES, "https://carto.example.org/?RessourcerieDuLac"),
            (OLD_ENTRIES, "https://carto.example.org/wakka.php?wiki=RessourcerieDuLac"),
            ("captures/fiches.json", None),
        ],
    )
    def test_the_address_of_an_entry_that_does_not_give_it(
        self, url: str, expected: str | None
    ) -> None:
        page = make_page(FIXTURES / "yeswiki_entries.json", url)
        assert fiches(run(wiki(), form(), page))["RessourcerieDuLac"]["url"] == expected

    @pytest.mark.parametrize("status", ["0", 0, "2", "-1"])
    def test_an_unpublished_entry_is_told_and_never_read(self, status: Any) -> None:
        extraction = read({"A": {"bf_titre": "Brouillon", CHOICE: "", "statut_fiche": status}})
        assert (extraction.unreadable, rules(extraction)["statut_non_publie"]) == (1, 1)
        assert "Brouillon" not in everything(extraction)

    @pytest.mark.parametrize("status", ["1", 1, "", None])
    def test_other_entries_are_published(self, status: Any) -> None:
        document = {"A": {"bf_titre": "A", CHOICE: "", "statut_fiche": status}}
        assert read(document).fiches.num_rows == 1

    def test_a_list_of_entries(self) -> None:
        extraction = read([{"id_fiche": "A", "bf_titre": "A", CHOICE: ""}])
        assert fiches(extraction)["A"]["pointeur"] == "/0"

    def test_some_fields_only(self) -> None:
        extraction = read({"A": {"bf_titre": "A"}}, options={})
        assert fiches(extraction)["A"]["nom"] == "A"
        assert not rejected(extraction)

    @pytest.mark.parametrize("body", ["[]", "{}", "null"])
    def test_an_empty_form(self, body: str) -> None:
        assert run(wiki(), make_page(body, ENTRIES)).read == 0

    def test_an_entry_that_is_no_object_is_one_reject(self) -> None:
        extraction = read({"A": {"bf_titre": "A", CHOICE: ""}, "B": "x"})
        assert rejected(extraction) == [("/B", "*", "enregistrement_inattendu")]

    def test_a_hidden_field_is_no_alarm(self) -> None:
        document = {"A": {"bf_titre": "A", CHOICE: ""}}
        champs = {"courriel": "bf_courriel"}
        assert rules(read(document, champs=champs)) == {"colonne_absente": 1}
        options = {"choix": [CHOICE], "masques": ["bf_courriel"]}
        assert not rejected(read(document, champs=champs, options=options))

    def test_a_choice_that_no_entry_has_is_told_once(self) -> None:
        extraction = read({"A": {"bf_titre": "A"}, "B": {"bf_titre": "B"}})
        assert rejected(extraction) == [("A", f"_choix.{CHOICE}", "colonne_absente")]

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ('{"exceptionMessage": "Accès refusé"}', r"exceptionMessage \(Accès refusé\)"),
            ('{"error": "no form id"}', r"error \(no form id\)"),
            ('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', "type, features"),
            ('{"@context": {"a": "b"}, "ldp:contains": []}', "@context, ldp:contains"),
            ('"x"', "trouvé 'x'"),
            ("12", "trouvé '12'"),
            ("<html><title>Connexion</title><input type=password></html>", "page de connexion"),
        ],
    )
    def test_something_else_is_refused(self, body: str, reason: str) -> None:
        with pytest.raises(PayloadError, match=reason):
            run(wiki(), make_page(body, ENTRIES))


OLD_LISTS: Any = {
    "ListeTypelieu": {
        "titre_liste": "Type de lieu",
        "label": {"11": "Fablab / Hackerspace", "13": "Tiers-Lieux", "14": "Ressourcerie"},
    },
    "ListeOuiNon": {"titre_liste": "Oui ou non", "label": ["Non", "Oui"]},
}
LISTS: Any = {
    "ListeTypelieu": {
        "title": "Type de lieu",
        "nodes": [
            {
                "id": "fabriquer",
                "label": "Fabriquer",
                "children": [{"id": "11", "label": "Fablab / Hackerspace", "children": []}],
            },
            {"id": "13", "label": "Tiers-Lieux", "children": []},
            {"id": "14", "label": "Ressourcerie", "children": []},
        ],
    }
}


class TestChoices:
    @pytest.mark.parametrize("lists", [OLD_LISTS, LISTS])
    def test_ids_are_read_by_the_lists_of_the_wiki(self, lists: Any) -> None:
        page = make_page(json.dumps(lists), "https://carto.example.org/?BazaR/json&demand=lists")
        extraction = run(wiki(), page, entries())
        assert [fiches(extraction)[key]["type"] for key in sorted(fiches(extraction))] == [
            "fablab",
            "ressourcerie",
        ]
        assert "code_inconnu" not in rules(extraction)

    @pytest.mark.parametrize("wrap", [lambda f: [f], lambda f: {"1": f}])
    def test_all_the_forms_of_a_wiki(self, wrap: Any) -> None:
        page = make_page(json.dumps(wrap(json.loads(form().body))))
        assert fiches(run(wiki(), page, entries()))["RessourcerieDuLac"]["type"] == "ressourcerie"

    def test_the_order_of_pages_does_not_matter(self) -> None:
        found = {
            str(fiches(run(wiki(), *pages))["RessourcerieDuLac"]["type"])
            for pages in permutations([form(), entries()])
        }
        assert found == {"ressourcerie"}

    def test_an_id_can_be_declared_as_it_is(self) -> None:
        codes = {f"{CHOICE}=14": {"type": "repair_cafe"}, **CODES}
        extraction = run(wiki(codes=codes), form(), entries())
        assert fiches(extraction)["RessourcerieDuLac"]["type"] == "repair_cafe"

    def test_an_id_without_a_label_is_told(self) -> None:
        extraction = run(wiki(), entries())
        codes = [r for r in extraction.rejects.to_pylist() if r["regle"] == "code_inconnu"]
        assert {row["valeur_masquee"] for row in codes} == {f"{CHOICE}={n}" for n in (11, 13, 14)}

    def test_numbers_of_a_php_list_are_ids(self) -> None:
        lists = {"ListeX": {"titre_liste": "X", "label": ["Non", "Oui"]}}
        document = {"A": {"bf_titre": "A", "radioListeX": 0}, "B": {"radioListeX": "1"}}
        source = wiki(
            options={"choix": ["radioListeX"]},
            codes={"Non": {"themes": ["eau"]}, "Oui": {"themes": ["energie"]}},
        )
        extraction = run(source, make_page(json.dumps(lists)), make_page(json.dumps(document)))
        assert [fiches(extraction)[key]["themes"] for key in "AB"] == [["eau"], ["energie"]]


class TestRequests:
    @pytest.mark.parametrize(
        ("url", "labels"),
        [
            (ENTRIES, "https://carto.example.org/?api/forms/1"),
            (f"{ENTRIES}/json&fields=id_fiche,bf_titre", "https://carto.example.org/?api/forms/1"),
            ("https://a.example.org/?api/entries", "https://a.example.org/?api/forms"),
            (
                "https://a.example.org/w/?wiki=api/forms/2/entries",
                "https://a.example.org/w/?wiki=api/forms/2",
            ),
            (
                "https://a.example.org/?BazaR/json&demand=entries&id=5",
                "https://a.example.org/?BazaR/json&demand=lists",
            ),
            (
                OLD_ENTRIES,
                "https://carto.example.org/wakka.php?wiki=BazaR/json&demand=lists",
            ),
        ],
    )
    def test_labels_are_asked_for_with_the_entries(self, url: str, labels: str) -> None:
        assert [r.url for r in PLATFORM.first(wiki(url=url))] == [labels, url]

    def test_nothing_more_is_asked_for_when_nothing_is_classified(self) -> None:
        assert [r.url for r in PLATFORM.first(wiki(options={}))] == [ENTRIES]

    @pytest.mark.parametrize("url", ["captures/export.json", "https://a.example.org/export.json"])
    def test_a_file_is_asked_for_alone(self, url: str) -> None:
        assert [r.url for r in PLATFORM.first(wiki(url=url))] == [url]


def test_a_harvest_asks_for_the_form_then_its_entries(
    site: Site, client: Client, tmp_path: Path
) -> None:
    site.pages |= {
        "/?api/forms/1": answer(form().body, Content_Type="application/json"),
        "/?api/forms/1/entries": answer(entries().body, Content_Type="application/json"),
    }
    source = wiki(url=site.url("/?api/forms/1/entries"), limites={"pause_s": 0})
    registry = Registry(tmp_path / "sources.yaml", (source,))
    now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    harvested = harvest(source, PLATFORM, registry, Store(tmp_path / "c"), client, now=now)
    extraction = run(source, *harvested.bodies)
    assert site.paths == ["/?api/forms/1", "/?api/forms/1/entries"]
    assert fiches(extraction)["RessourcerieDuLac"]["type"] == "ressourcerie"


def export_source(**changes: Any) -> Source:
    given = {
        "champs": {
            "nom": NAME,
            "adresse": ADDRESS,
            "code_postal": "Code postal",
            "commune": TOWN,
        },
        "options": {
            "cle": [NAME, TOWN],
            "departage": ["datetime_create", ADDRESS],
            "choix": ["Type de lieu"],
        },
        "codes": {
            "Fablab / Hackerspace": {"type": "fablab"},
            "Ressourcerie (matériel moindre coût / recyclé)": {"type": "ressourcerie"},
            "Tiers-Lieux": {},
            "Espace de coworking": {},
            "Espace Public Numérique": {},
            "Médiathèque": {},
        },
        "ignorer": ["À disposition"],
        **changes,
    }
    return make_source("yeswiki_bazar", **given)


def exported(**cells: Any) -> dict[str, Any]:
    row = {"datetime_create": "01/02/2022 08:00:00", NAME: "Le Lieu", ADDRESS: "1 rue A"}
    return {**row, TOWN: "Lyon", "Code postal": 69001, "Type de lieu": "", **cells}


def read_rows(*rows: Any) -> Extraction:
    return run(export_source(), make_page(json.dumps(rows)))


class TestExport:
    def test_rows_of_an_export(self) -> None:
        extraction = run(export_source(), make_page(FIXTURES / "yeswiki_export.json"))
        found = fiches(extraction)
        assert sorted(found) == [
            "association copie, bourg-neuf",
            "association copie, bourg-neuf, 02/01/2022 08:00:00",
            'mediatheque "la lanterne, bourg-neuf',
        ]
        expected = {
            "nom": 'Médiathèque "La Lanterne"',
            "adresse": "Maison des associations\n4 rue du Four",
            "code_postal": "1500",
            "latitude": "45.694846",
            "horaires": "mardi : 9h à 12h et 14h à 17h; dimanche : Fermé",
            "date_maj": "23/09/2021 14:10:24",
            "type": "ressourcerie",
            "url": None,
        }
        library = found['mediatheque "la lanterne, bourg-neuf']
        assert {name: library[name] for name in expected} == expected
        assert rejected(extraction) == [
            ("association copie, bourg-neuf", "cle_source", "cle_repetee")
        ]

    def test_days_that_the_source_reads_itself_are_left_to_it(self) -> None:
        champs = export_source().champs | {"horaires": {"etiquettes": {"ma": "Mardi"}}}
        extraction = run(export_source(champs=champs), make_page(FIXTURES / "yeswiki_export.json"))
        found = fiches(extraction)['mediatheque "la lanterne, bourg-neuf']
        assert found["horaires"] == "ma : 9h à 12h et 14h à 17h"

    def test_a_namesake_changes_no_key(self) -> None:
        old, new = exported(), exported(datetime_create="03/01/2023 08:00:00", bf_latitude=45.1)
        alone = set(fiches(read_rows(old)))
        assert alone < set(fiches(read_rows(new, old)))

    def test_namesakes_are_told_apart_by_as_little_as_it_takes(self) -> None:
        rows = [exported(), exported(**{ADDRESS: "2 rue B"})]
        assert sorted(fiches(read_rows(*rows))) == [
            "le lieu, lyon",
            "le lieu, lyon, 01/02/2022 08:00:00, 2 rue b",
        ]

    def test_two_versions_that_nothing_tells_apart_are_both_kept(self) -> None:
        extraction = read_rows(exported(bf_latitude=45.1), exported(bf_latitude=45.2))
        assert extraction.fiches.num_rows == 2

    def test_a_third_one_is_told(self) -> None:
        extraction = read_rows(*(exported(bf_latitude=45 + n / 10) for n in range(3)))
        assert (extraction.fiches.num_rows, extraction.repeated) == (2, 1)
        assert rules(extraction)["cle_reemployee"] == 1

    @given(st.permutations(range(4)))
    def test_the_order_of_rows_does_not_matter(self, order: list[int]) -> None:
        rows = [
            exported(),
            exported(datetime_create="01/01/2023 08:00:00"),
            exported(datetime_create="02/12/2022 08:00:00"),
            exported(**{ADDRESS: "2 rue B"}),
        ]
        expected = {key: f["adresse"] for key, f in fiches(read_rows(*rows)).items()}
        found = fiches(read_rows(*(rows[n] for n in order)))
        assert {key: f["adresse"] for key, f in found.items()} == expected
        # The oldest keeps the plain key, whatever the order of its digits.
        assert len(expected) == 4

    def test_a_row_without_a_name_has_no_key(self) -> None:
        extraction = read_rows(exported(**{TOWN: ""}))
        assert rules(extraction)["cle_absente"] == 1

    def test_rows_without_a_declared_key_are_told(self) -> None:
        source = export_source(options={})
        extraction = run(source, make_page(json.dumps([exported()])))
        assert rules(extraction)["cle_absente"] == 1

    def test_a_cell_that_cannot_be_split_is_kept_whole_and_told(self) -> None:
        cell = "Fablab / Hackerspace,Tiers-Lieux"
        extraction = read_rows(exported(**{"Type de lieu": cell}))
        assert rejected(extraction) == [
            ("le lieu, lyon", "_choix.Type de lieu", "valeurs_inseparables"),
            ("le lieu, lyon", "categories", "code_inconnu"),
        ]
        told = [row["valeur_masquee"] for row in extraction.rejects.to_pylist()]
        assert told == [cell, cell]


LABELS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), exclude_characters='<>&"\\,'),
    min_size=1,
).map(lambda text: " ".join(text.split()))


def written(labels: list[str]) -> str:
    """A cell as the export writes it: commas, quotes where there is a space, ends lost."""
    return ",".join(f'"{label}"' if " " in label else label for label in labels).strip('"')


class TestSplitting:
    @pytest.mark.parametrize(
        ("cell", "labels"),
        [
            ("", []),
            (",,", []),
            ("Gratuit", ["Gratuit"]),
            ("Gratuit,", ["Gratuit"]),
            ("Adultes,Seniors", ["Adultes", "Seniors"]),
            ("Réseau Wifi", ["Réseau Wifi"]),
            ('Réseau Wifi","Accès libre', ["Réseau Wifi", "Accès libre"]),
            ('Centre socio-culturel",Tiers-Lieux', ["Centre socio-culturel", "Tiers-Lieux"]),
            (
                'Adultes,Seniors,"Petite enfance / Parentalité',
                ["Adultes", "Seniors", "Petite enfance / Parentalité"],
            ),
            (
                "Privé (entreprises, SCOP, SCIC...)",
                ["Privé (entreprises, SCOP, SCIC...)"],
            ),
            (
                'Adhésion,"Solidaire (tarif réduit, ou convention)","Gratuit sous condition',
                ["Adhésion", "Solidaire (tarif réduit, ou convention)", "Gratuit sous condition"],
            ),
            (
                '<i class=""fas fa-deaf""></i> Surdité","<i class=""fas fa-user""></i> Autre',
                ["Surdité", "Autre"],
            ),
            ('"Déjà entre guillemets","Les deux"', ["Déjà entre guillemets", "Les deux"]),
        ],
    )
    def test_a_cell(self, cell: str, labels: list[str]) -> None:
        assert split_labels(cell) == labels

    @pytest.mark.parametrize(
        "cell", ["Réseau Wifi,Accès libre", 'Un "mot" entre', 'a b"c d', 'a b""', 'a"b,c d']
    )
    def test_a_cell_with_no_certain_reading(self, cell: str) -> None:
        assert split_labels(cell) is None

    @given(st.lists(LABELS.filter(bool)))
    def test_what_the_export_wrote_is_found_again(self, labels: list[str]) -> None:
        assert split_labels(written(labels)) == labels


@pytest.mark.skipif(not LISTINGS.is_dir(), reason="LOWTECH_LISTINGS n’est pas défini")
def test_a_whole_export() -> None:
    name = {"licence": "Licence des données collectées *", "site_web": "Site Web"}
    source = export_source(champs={**export_source().champs, **name})
    extraction = run(source, make_page(LISTINGS / "hinaura_yeswiki.json"))
    assert (extraction.read, extraction.fiches.num_rows, extraction.repeated) == (1171, 1169, 2)
    found = rules(extraction)
    assert found["cle_repetee"] == 2
    assert not {"cle_absente", "cle_reemployee", "valeurs_inseparables"} & set(found)
    types = [fiche["type"] for fiche in fiches(extraction).values()]
    # Two of the six recycling workshops are fablabs first.
    assert (types.count("fablab"), types.count("ressourcerie")) == (34, 4)
