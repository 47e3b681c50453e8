import dataclasses
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowtech_data.extract import base, option_models
from lowtech_data.extract.base import (
    Lost,
    PayloadError,
    Platform,
    Row,
    Unreadable,
    extract,
    fold,
    mask,
)
from lowtech_data.registry import Source

from .support import (
    assert_accounted,
    everything,
    fiches,
    make_page,
    make_source,
    rejected,
    rules,
    run,
)

NAMES = {"cle_source": "id", "nom": "nom"}
FIELDS = {**NAMES, "description": "texte", "categories": "cat"}


def records(
    *items: dict[str, Any], champs: dict[str, Any] | None = None, **changes: Any
) -> base.Extraction:
    champs = champs or (FIELDS if {"codes", "selection"} & set(changes) else NAMES)
    return run(make_source(champs=champs, **changes), make_page(json.dumps(items)))


class TestFields:
    def test_numbers_booleans_lists_and_blanks_become_text(self) -> None:
        champs = {
            "cle_source": "id",
            "latitude": "lat",
            "longitude": "lon",
            "itinerant": "it",
            "telephone": "tel",
            "nom": "nom",
        }
        row = {"id": 7, "lat": 46.0, "lon": -1.55362, "it": True, "tel": ["a", "", "b"], "nom": " "}
        fiche = fiches(records(row, champs=champs))["7"]
        assert [fiche[name] for name in ("latitude", "longitude", "itinerant", "telephone")] == [
            "46",
            "-1.55362",
            "oui",
            "a; b",
        ]
        assert fiche["nom"] is None

    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            ("adresse.rue", "rue A"),
            (["adresse.no", "adresse.rue"], "12 rue A"),
            ({"premier_de": ["absent", "adresse.rue"]}, "rue A"),
            ({"valeur": "fixe"}, "fixe"),
            ({"modele": "{adresse.no}, {adresse.rue}"}, "12, rue A"),
            ({"modele": "{adresse.no}, {adresse.vide}"}, None),
        ],
    )
    def test_every_way_of_reading_a_field(self, spec: Any, expected: str | None) -> None:
        row = {"id": "1", "adresse": {"no": 12, "rue": "rue A", "vide": ""}}
        extraction = records(row, champs={"cle_source": "id", "adresse": spec})
        assert fiches(extraction)["1"]["adresse"] == expected

    def test_several_paths_of_a_list_field_stay_apart(self) -> None:
        champs = {"cle_source": "id", "noms_alternatifs": ["sigle", "autres"]}
        extraction = records({"id": "1", "sigle": "LOG", "autres": ["Le Log", ""]}, champs=champs)
        assert fiches(extraction)["1"]["noms_alternatifs"] == ["LOG", "Le Log"]

    def test_an_object_in_place_of_a_text_is_said_not_printed(self) -> None:
        extraction = records({"id": "1", "nom": {"fr": "Truc"}})
        assert fiches(extraction)["1"]["nom"] is None
        assert ("1", "nom", "valeur_structuree") in rejected(extraction)

    def test_a_lone_surrogate_does_not_stop_the_harvest(self) -> None:
        extraction = run(
            make_source(champs=NAMES), make_page('[{"id": "1", "nom": "a\\ud800b", "x\\udfff": 1}]')
        )
        assert fiches(extraction)["1"]["nom"] == "a�b"

    def test_unknown_target_is_refused_by_name(self) -> None:
        with pytest.raises(PayloadError, match="champs inconnus : nomm"):
            records({"id": "1"}, champs={"cle_source": "id", "nomm": "nom"})


class TestPersonalData:
    def test_set_aside_columns_are_never_read_at_any_depth(self) -> None:
        row = {
            "id": "1",
            "nom": "A",
            "courriel": "prenom.nom@example.org",
            "lieu": {"contact": {"nom": "Prenom Nom"}, "ville": "Lille"},
            "equipe": [{"mail": "prenom.nom@example.org", "role": "accueil"}],
        }
        champs = {
            "cle_source": "id",
            "nom": "nom",
            "courriel": "courriel",
            "commune": "lieu.ville",
            "description": "equipe.mail",
        }
        extraction = records(
            row,
            champs=champs,
            ecarter=["courriel", "lieu.contact", "equipe.mail"],
            ignorer=["equipe.role"],
        )
        assert "renom" not in everything(extraction)
        assert fiches(extraction)["1"]["commune"] == "Lille"
        assert not rejected(extraction)

    @pytest.mark.parametrize(
        "text",
        [
            "prenom.nom@example.org",
            "écrire à prenom.nom @ example.org",
            "prenom.nom%40example.org",
            "prenom.nom&#64;example.org",
            "prenom.nom (at) example.org",
            "prenom.nom＠example.org",
            "x" * 70 + " prenom.nom@example.org",
        ],
    )
    def test_masked_text_shows_no_address(self, text: str) -> None:
        assert "nom" not in mask(text)

    @pytest.mark.parametrize(
        "text",
        ["06 12 34 56 78", "+33612345678", "tél. 06.12.34.56.78 ou 01-23-45-67-89", "٠٦١٢٣٤٥٦٧٨"],
    )
    def test_masked_text_shows_three_digits_of_a_number(self, text: str) -> None:
        assert sum(map(str.isdigit, mask(text))) == 3

    def test_codes_and_postcodes_stay_readable(self) -> None:
        assert mask("10486") == "10486"
        assert mask("Recyclerie / Ressourcerie") == "Recyclerie / Ressourcerie"

    @given(st.text(max_size=200))
    def test_masking_law(self, text: str) -> None:
        shown = mask(text)
        assert len(shown) <= 80
        assert sum(map(str.isdigit, shown)) <= 5
        assert shown.count("@") == shown.count("…@…")
        assert mask(shown) == shown
        shown.encode()


class TestKeys:
    def test_a_record_without_key_is_counted_and_said(self) -> None:
        extraction = records({"id": "", "nom": "A"}, {"nom": "B"}, {"id": "1", "nom": "C"})
        assert (extraction.unreadable, extraction.fiches.num_rows) == (2, 1)
        assert rejected(extraction) == [
            ("/0", "cle_source", "cle_absente"),
            ("/1", "cle_source", "cle_absente"),
        ]

    def test_the_same_record_twice_is_not_a_key_used_twice(self) -> None:
        same = {"id": "1", "nom": "A"}
        assert rules(records(same, dict(same))) == {"cle_repetee": 1}
        assert rules(records(same, {"id": "1", "nom": "B"})) == {"cle_reemployee": 1}
        assert rules(records(same, same, {"id": "1", "nom": "B"})) == {
            "cle_repetee": 1,
            "cle_reemployee": 1,
        }

    def test_an_ignored_column_does_not_make_another_record(self) -> None:
        items = [{"id": "1", "nom": "A", "vu": 1}, {"id": "1", "nom": "A", "vu": 2}]
        assert rules(records(*items, ignorer=["vu"])) == {"cle_repetee": 1}

    def test_of_two_records_with_one_key_the_one_of_the_subject_is_kept(self) -> None:
        items = [{"id": "1", "nom": "A"}, {"id": "1", "nom": "Repair café"}]
        extraction = records(*items, selection={"mots": ["repair café"]})
        assert fiches(extraction)["1"]["nom"] == "Repair café"
        assert (extraction.left_out, extraction.repeated) == (0, 1)

    def test_equal_pointers_of_two_pages_are_two_rejects(self) -> None:
        pages = [
            make_page('[{"id": "", "nom": "A"}]', url=f"https://example.org/{n}") for n in "ab"
        ]
        extraction = run(make_source(champs=NAMES), *pages)
        assert rejected(extraction) == [
            ("https://example.org/a#/0", "cle_source", "cle_absente"),
            ("https://example.org/b#/0", "cle_source", "cle_absente"),
        ]


class TestAudit:
    def test_each_undeclared_column_is_said_once(self) -> None:
        row = {"id": "1", "nom": "A", "x": {"y": 1}, "z": [{"t": 1}]}
        assert rejected(records(row, row)) == [
            ("*", "x.y", "colonne_non_declaree"),
            ("*", "z.t", "colonne_non_declaree"),
            ("1", "cle_source", "cle_repetee"),
        ]

    def test_patterns_cover_what_is_below(self) -> None:
        row = {"id": "1", "nom": "A", "x": {"y": 1}, "ext_a": 1, "ext_b": 2}
        assert not rejected(records(row, ignorer=["x", "ext_*"]))

    def test_an_empty_object_is_not_a_new_column(self) -> None:
        champs = {"cle_source": "id", "commune": "adresse.ville"}
        rows = [{"id": "1", "adresse": None}, {"id": "2", "adresse": {"ville": "Lille"}}]
        assert not rejected(records(*rows, champs=champs))
        rows.append({"id": "3", "adresse": "1 rue A, Lille"})
        assert rejected(records(*rows, champs=champs)) == [("*", "adresse", "colonne_non_declaree")]

    def test_a_declared_column_that_no_record_has_is_said(self) -> None:
        champs = {
            "cle_source": "id",
            "nom": "name",
            "commune": {"premier_de": ["ville", "city"]},
            "site_web": {"premier_de": ["url", "site"]},
        }
        extraction = records({"id": "1", "nom": "A", "city": "Lille"}, champs=champs)
        assert rejected(extraction) == [
            ("*", "name", "colonne_absente"),
            ("*", "nom", "colonne_non_declaree"),
            ("*", "site", "colonne_absente"),
            ("*", "url", "colonne_absente"),
        ]


class TestCodes:
    codes = {  # noqa: RUF012
        "Réparation": {"type": "repair_cafe", "themes": ["reparation"]},
        "Énergie": {"themes": ["energie"], "familles": ["micro_production_energie"]},
        "Nouvelle Aquitaine": {},
        "Coworking": {"hors_champ": True},
    }

    def test_codes_are_translated_without_accents_or_case(self) -> None:
        extraction = records(
            {"id": "1", "nom": "A", "texte": "", "cat": ["REPARATION", "énergie"]},
            codes=self.codes,
            defauts={"nature": "lieu", "type": "tiers_lieu", "themes": ["energie", "cooperation"]},
        )
        fiche = fiches(extraction)["1"]
        assert (fiche["type"], fiche["nature"]) == ("repair_cafe", "lieu")
        assert fiche["themes"] == ["reparation", "energie", "cooperation"]
        assert fiche["familles"] == ["micro_production_energie"]

    def test_every_unknown_code_of_a_record_is_said(self) -> None:
        extraction = records({"id": "1", "cat": ["Foo", "Bar", "Énergie"]}, codes=self.codes)
        shown = {
            r["valeur_masquee"] for r in extraction.rejects.to_pylist() if r["cle_source"] == "1"
        }
        assert shown == {"Foo", "Bar"}

    def test_a_record_is_outside_when_that_is_its_only_code(self) -> None:
        extraction = records(
            {"id": "1", "cat": "Coworking"},
            {"id": "2", "cat": ["Coworking", "Énergie"]},
            {"id": "3", "cat": ["Coworking", "Inconnu"]},
            {"id": "4", "cat": []},
            codes=self.codes,
        )
        assert sorted(fiches(extraction)) == ["2", "3", "4"]
        assert extraction.left_out == 1


class TestSelection:
    def select(self, selection: dict[str, Any], **row: Any) -> str | None:
        champs = FIELDS | {"latitude": "lat", "longitude": "lon"}
        extraction = records({"id": "1", **row}, champs=champs, selection=selection)
        assert extraction.left_out == 1 - extraction.fiches.num_rows
        return fiches(extraction)["1"]["regle_selection"] if extraction.fiches.num_rows else None

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ({"cat": ["Autre", "RÉPARATION"]}, "code:Réparation"),
            ({"nom": "Atelier Low Tech"}, "mot:low tech"),
            ({"texte": "un REPAIR  CAFÉ mensuel"}, "mot:repair cafe"),
            ({"texte": "réparations"}, None),
            ({"nom": None, "texte": None}, None),
        ],
    )
    def test_the_reason_is_kept(self, row: dict[str, Any], reason: str | None) -> None:
        selection = {"codes": ["Réparation"], "mots": ["low tech", "repair café", "none"]}
        assert self.select(selection, **row) == reason

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ({"cat": "Réparation", "nom": "La Ferme du Lac"}, "code:Réparation"),
            ({"nom": "Recyclerie du Lac"}, "charte:nom:reemploi (recyclerie)"),
            ({"nom": "Le Lac", "texte": "Un repair café par mois"}, "charte:description:"),
            ({"nom": "La Ferme du Lac"}, None),
        ],
    )
    def test_the_charter_judges_what_codes_did_not_keep(
        self, row: dict[str, Any], reason: str | None
    ) -> None:
        found = self.select({"codes": ["Réparation"], "charte": True}, **row)
        assert found is reason or (found or "").startswith(reason or "?")

    def test_what_is_left_out_is_counted_by_rule(self) -> None:
        extraction = records(
            {"id": "1", "nom": "La Ferme du Lac"},
            {"id": "2", "nom": "La Ferme du Port"},
            {"id": "3", "nom": "Le Lac"},
            {"id": "4", "nom": "Recyclerie du Lac"},
            selection={"charte": True},
        )
        assert extraction.left_out_by == {"exclusion:alimentation": 2, "muet": 1}

    @pytest.mark.parametrize(
        ("latitude", "longitude", "reason"),
        [
            (47.2, -1.5, "zone"),
            ("47,2", "-1,5", "zone"),
            (40.7, -73.9, None),
            (None, None, None),
            ("", "x", None),
        ],
    )
    def test_outside_the_box_is_left_out(self, latitude: Any, longitude: Any, reason: Any) -> None:
        box = {"bbox": [-5.5, 41.0, 9.8, 51.5]}
        assert self.select(box, lat=latitude, lon=longitude) == reason

    def test_a_word_may_begin_or_end_with_a_sign(self) -> None:
        assert self.select({"mots": ["c++"]}, nom="Club C++ libre") == "mot:c++"


ITEMS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["", "1", "2", "3"]),
            "nom": st.sampled_from(["A", "B", "repair café"]),
            "cat": st.lists(st.sampled_from(["Réparation", "Coworking", "Inconnu"]), max_size=2),
        },
    )
    | st.just("illisible"),
    max_size=12,
)


def _platform() -> Platform:
    def rows(source: Source, page: base.Page) -> Any:
        for index, item in enumerate(json.loads(page.body)):
            where = f"/{index}"
            is_record = isinstance(item, dict)
            yield Row(where, item) if is_record else Unreadable(where, "illisible")

    return Platform(name="essai", rows=rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(ITEMS, max_size=4), st.randoms(use_true_random=False))
def test_order_of_pages_and_rows_changes_nothing(
    pages: list[list[Any]], chance: random.Random
) -> None:
    source = make_source(
        champs={"cle_source": "id", "nom": "nom", "categories": "cat"},
        codes=TestCodes.codes,
        selection={"codes": ["Réparation"], "mots": ["repair café"]},
    )

    def read(content: list[list[Any]]) -> base.Extraction:
        bodies = [
            make_page(json.dumps(page), url=f"https://example.org/{n}")
            for n, page in enumerate(content)
        ]
        return extract(source, _platform(), bodies)

    def content(extraction: base.Extraction) -> list[Any]:
        return extraction.fiches.drop_columns(["capture", "pointeur"]).to_pylist()

    def about_records(extraction: base.Extraction) -> list[Any]:
        # What has no key is told by its place, which moves.
        return [
            r
            for r in extraction.rejects.to_pylist()
            if r["champ"] != "*" and r["regle"] != "cle_absente"
        ]

    first = read(pages)
    assert_accounted(first)
    shuffled = [chance.sample(page, len(page)) for page in pages]
    again = read(chance.sample(shuffled, len(shuffled)))
    assert content(again) == content(first)
    assert about_records(again) == about_records(first)
    for count in ("read", "left_out", "unreadable", "repeated"):
        assert getattr(again, count) == getattr(first, count)


@given(st.permutations(range(3)))
def test_order_of_pages_changes_not_even_the_proofs(order: list[int]) -> None:
    bodies = [
        '[{"id": "1", "nom": "B"}, {"id": "2"}]',
        '[{"id": "1", "nom": "A"}]',
        '[{"id": "1"}]',
    ]
    pages = [make_page(body, url=f"https://example.org/{n}") for n, body in enumerate(bodies)]
    source = make_source(champs=NAMES)
    expected, found = run(source, *pages), run(source, *(pages[n] for n in order))
    assert found.fiches.equals(expected.fiches)
    assert found.rejects.equals(expected.rejects)


def test_a_harvest_larger_than_a_batch_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BATCH_ROWS", 7)
    items = [{"id": str(n), "nom": f"n{n}"} for n in range(30)] + [{"id": "3", "nom": "a"}]
    extraction = records(*items)
    assert extraction.fiches.num_rows == 30
    assert fiches(extraction)["3"]["nom"] == "a"
    assert extraction.repeated == 1


def test_an_empty_harvest_has_the_columns() -> None:
    extraction = run(make_source(champs=NAMES))
    assert extraction.fiches.schema == base.RAW_SCHEMA
    assert extraction.rejects.schema == base.REJECT_SCHEMA
    assert extraction.read == 0


def test_a_refused_page_names_source_and_address() -> None:
    with pytest.raises(PayloadError, match=r"source essai : https://example\.org/liste : JSON"):
        run(make_source(champs=NAMES), make_page("[1"))


def test_a_cell_with_several_values_is_cut_at_its_separator() -> None:
    champs = {
        "cle_source": "id",
        "categories": {"separe": "typologie", "par": "|"},
        "noms_alternatifs": {"separe": "sigles", "par": ", "},
        "telephone": {"separe": "tel", "par": "/"},
    }
    codes = {"TIERS_LIEUX": {"type": "tiers_lieu"}, "RESSOURCERIE": {"themes": ["reemploi"]}}
    rows = [
        {"id": 1, "typologie": "TIERS_LIEUX| RESSOURCERIE |", "sigles": "A, B,C", "tel": "01/02"},
        {"id": 2, "typologie": ["TIERS_LIEUX|AUTRE"], "sigles": None, "tel": 3},
    ]
    extraction = run(make_source(champs=champs, codes=codes), make_page(json.dumps(rows)))
    first, second = fiches(extraction)["1"], fiches(extraction)["2"]
    assert (first["type"], first["themes"]) == ("tiers_lieu", ["reemploi"])
    assert first["noms_alternatifs"] == ["A", "B,C"]
    assert (first["telephone"], second["telephone"]) == ("01; 02", "3")
    assert second["type"] == "tiers_lieu"
    assert rejected(extraction) == [("2", "categories", "code_inconnu")]


def test_columns_are_joined_after_their_labels() -> None:
    days = {"lundi": "h.lun", "mardi": "h.mar", "dimanche": "h.dim"}
    champs = {"cle_source": "id", "horaires": {"etiquettes": days}}
    rows = [
        {"id": 1, "h": {"lun": "9h-12h", "mar": " ", "dim": "sur\n rendez-vous"}},
        {"id": 2, "h": {"lun": None, "mar": None, "dim": None}},
    ]
    extraction = run(make_source(champs=champs), make_page(json.dumps(rows)))
    first, second = fiches(extraction)["1"], fiches(extraction)["2"]
    assert first["horaires"] == "lundi : 9h-12h; dimanche : sur rendez-vous"
    assert second["horaires"] is None
    assert rejected(extraction) == []


def test_codes_of_several_columns_are_read_together() -> None:
    champs = {"cle_source": "id", "categories": ["sorte", {"separe": "domaines", "par": ";"}]}
    codes = {"Atelier": {"type": "atelier_velo"}, "Eau": {"themes": ["eau"]}, "Sol": {}}
    rows = [{"id": 1, "sorte": "Atelier", "domaines": "Eau; Sol"}]
    extraction = run(make_source(champs=champs, codes=codes), make_page(json.dumps(rows)))
    fiche = fiches(extraction)["1"]
    assert (fiche["type"], fiche["themes"]) == ("atelier_velo", ["eau"])
    assert rejected(extraction) == []


def test_a_lost_value_is_a_reject_of_its_record() -> None:
    lost = [Lost("mail", "valeur_illisible", "prenom.nom"), Lost("ville", "valeur_illisible", "Ly")]
    lost.append(Lost("autre", "valeur_illisible", "Prenom"))
    platform = dataclasses.replace(
        _platform(), rows=lambda source, page: [Row("/0", {"id": "1"}, lost)]
    )
    source = make_source(champs={"cle_source": "id", "commune": "ville"}, ecarter=["mail"])
    extraction = extract(source, platform, [make_page("")])
    assert extraction.fiches.num_rows == 1
    assert [(r["champ"], r["valeur_masquee"]) for r in extraction.rejects.to_pylist()] == [
        ("autre", ""),
        ("autre", ""),
        ("mail", ""),
        ("ville", "Ly"),
    ]


def test_the_payload_s_licence_fills_records_without_one() -> None:
    platform = dataclasses.replace(_platform(), licence=lambda page: "odbl-1.0")
    source = make_source(champs={"cle_source": "id", "licence": "licence"})
    page = make_page('[{"id": "1"}, {"id": "2", "licence": "cc-by-4.0"}]')
    found = fiches(extract(source, platform, [page]))
    assert [found[key]["licence"] for key in "12"] == ["odbl-1.0", "cc-by-4.0"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Ǽ", "ae"),
        ("Œuvre d’Été", "oeuvre d'ete"),
        ("ŒUVRE", "oeuvre"),
        ("e\u0301nergie ", "Énergie"),
        ("a\u00a0 b", "A B"),
    ],
)
def test_folding(left: str, right: str) -> None:
    assert fold(left) == fold(right)


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_every_platform_has_its_options() -> None:
    assert set(option_models()) == {
        "communecter",
        "csv",
        "curated_tsv",
        "data_fair",
        "data_gouv",
        "discourse",
        "flux",
        "geojson",
        "gogocarto",
        "html_listing",
        "javascript",
        "json",
        "json_ld",
        "mediawiki_dokit",
        "mediawiki_modele",
        "okh",
        "okw",
        "opendatasoft",
        "overpass",
        "semapps",
        "sitemap",
        "spaceapi",
        "sparql",
        "tableur",
        "umap",
        "wordpress",
        "yeswiki_bazar",
    }
