import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["umap"]
MAP = json.loads((FIXTURES / "umap_carte.json").read_text())
LAYER = json.loads((FIXTURES / "umap_calque.json").read_text())
HOST = "https://umap.openstreetmap.fr"
BIKES, REUSE = (layer["id"] for layer in MAP["properties"]["datalayers"])
CODES = {"Ateliers vélo": {"type": "atelier_velo"}, "Ressourceries": {"type": "ressourcerie"}}


def umap(**changes: Any) -> Source:
    fields: dict[str, Any] = {
        "url": f"{HOST}/fr/map/lieux-d-essai_123",
        "champs": {"commune": "ville"},
        "codes": CODES,
    }
    return make_source("umap", **fields | changes)


def map_page(**changes: Any) -> Any:
    properties = MAP["properties"] | changes
    url = f"{HOST}/fr/map/123/geojson/"
    return make_page(json.dumps(MAP | {"properties": properties}), url)


def layer_page(layer: Any = LAYER, layer_id: str = BIKES) -> Any:
    return make_page(json.dumps(layer), f"{HOST}/fr/datalayer/123/{layer_id}/")


def followed(page: Any, **changes: Any) -> list[str]:
    return [request.url for request in PLATFORM.follow(umap(**changes), page)]


class TestAddresses:
    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ("/fr/map/lieux-d-essai_123", "/fr/map/123/geojson/"),
            ("/fr/map/lieux_2_essai_123?scaleControl=false#6/47/2", "/fr/map/123/geojson/"),
            ("/map/123", "/map/123/geojson/"),
            ("/fr/map/123/geojson/", "/fr/map/123/geojson/"),
            ("/map/123/download/", "/map/123/download/"),
            ("/fr/datalayer/5289/", "/fr/datalayer/5289/"),
        ],
    )
    def test_what_is_asked_for(self, given: str, asked: str) -> None:
        assert PLATFORM.first(umap(url=HOST + given))[0].url == HOST + asked

    def test_a_map_leads_to_its_layers(self) -> None:
        assert followed(map_page()) == [
            f"{HOST}/fr/datalayer/123/{BIKES}/",
            f"{HOST}/fr/datalayer/123/{REUSE}/",
        ]

    def test_only_the_layers_that_are_wanted(self) -> None:
        wanted = followed(map_page(), options={"calques": ["Ressourceries"]})
        assert wanted == [f"{HOST}/fr/datalayer/123/{REUSE}/"]

    def test_a_layer_that_is_gone_is_told(self) -> None:
        with pytest.raises(PayloadError, match=r"absents de la carte : Fablabs ; elle a : Atel"):
            followed(map_page(), options={"calques": ["Fablabs"]})

    def test_older_maps_whose_layers_have_numbers(self) -> None:
        page = map_page(datalayers=[{"id": 5289, "name": "A"}], urls={"datalayer_view": "/d/{pk}/"})
        assert followed(page) == [f"{HOST}/d/5289/"]

    @pytest.mark.parametrize(
        ("layer", "path"), [(5289, "/fr/datalayer/5289/"), (BIKES, f"/fr/datalayer/123/{BIKES}/")]
    )
    def test_a_map_that_does_not_say_where_its_layers_are(self, layer: Any, path: str) -> None:
        page = map_page(datalayers=[{"id": layer, "name": "A"}], urls=None, umap_id=None)
        assert followed(page) == [HOST + path]

    @pytest.mark.parametrize("layers", [None, [], [{"name": "sans id"}], "x"])
    def test_a_map_without_layers_is_refused(self, layers: Any) -> None:
        with pytest.raises(PayloadError, match="calques sous"):
            followed(map_page(datalayers=layers))
        with pytest.raises(PayloadError, match="calques sous"):
            run(umap(), map_page(datalayers=layers))


class TestFeatures:
    def test_a_map_and_its_layer(self) -> None:
        extraction = run(umap(), map_page(), layer_page())
        found = fiches(extraction)
        workshop = found["E4NTQ"]
        expected = {
            "nom": "Atelier de la Roue Libre",
            "commune": "Rennes",
            "latitude": "48.1034",
            "longitude": "-1.6012",
            "type": "atelier_velo",
            "pointeur": "/features/0",
        }
        assert {name: workshop[name] for name in expected} == expected
        (area,) = [fiche for key, fiche in found.items() if key != "E4NTQ"]
        assert (area["latitude"], area["precision_geo"]) == ("47.1", "centre_de_geometrie")
        assert "Exemple" not in everything(extraction)
        assert not rejected(extraction)

    def test_the_markup_of_texts_is_taken_off(self) -> None:
        source = umap(champs={"commune": "ville", "site_web": "_lien"})
        workshop = fiches(run(source, layer_page()))["E4NTQ"]
        assert workshop["description"] == (
            "Horaires\nMercredi 14h-18h, sur adhésion\n\n"
            "Le site (https://roue-libre.example/) et https://autre.example\n\n12 rue des Essais"
        )
        assert workshop["site_web"] == "https://roue-libre.example/"

    @pytest.mark.parametrize("opening", ["{{", "[[", "[[|", "**", "*", "*a "])
    def test_a_text_made_of_openings_is_read_in_time(self, opening: str) -> None:
        feature = LAYER["features"][0]
        properties = feature["properties"] | {"description": opening * 200_000}
        layer = LAYER | {"features": [feature | {"properties": properties}]}
        started = time.process_time()
        run(umap(), layer_page(layer))
        assert time.process_time() - started < 5

    def test_a_layer_named_only_by_its_map(self) -> None:
        layer = LAYER | {"_umap_options": {}}
        named = fiches(run(umap(), map_page(), layer_page(layer, REUSE)))
        assert named["E4NTQ"]["type"] == "ressourcerie"
        alone = run(umap(), layer_page(layer, REUSE))
        assert {reject[2] for reject in rejected(alone)} == {"code_inconnu"}

    def test_a_layer_fetched_elsewhere_is_told(self) -> None:
        options = {"name": "Ateliers vélo", "remoteData": {"url": "https://autre.example/{bbox}"}}
        extraction = run(umap(), layer_page({**LAYER, "features": [], "_umap_options": options}))
        assert rejected(extraction) == [("/_umap_options", "*", "calque_distant")]

    def test_a_text_that_holds_all_the_fields(self) -> None:
        texte = {"champ": "description", "sections": {"adresse": "📍"}, "debut": "intro"}
        feature = {
            "type": "Feature",
            "id": "a",
            "geometry": None,
            "properties": {"name": "A", "description": "**Ouvert**\n📍 3 rue Basse"},
        }
        source = umap(
            champs={"description": "description.intro", "adresse": "description.adresse"},
            options={"texte": texte},
        )
        found = fiches(run(source, layer_page({**LAYER, "features": [feature]})))["a"]
        assert (found["description"], found["adresse"]) == ("Ouvert", "3 rue Basse")

    @given(st.permutations(LAYER["features"]))
    def test_a_feature_without_id_has_a_key_that_does_not_depend_on_its_place(
        self, features: list[Any]
    ) -> None:
        shuffled = fiches(run(umap(), layer_page(LAYER | {"features": features})))
        assert sorted(shuffled) == sorted(fiches(run(umap(), layer_page())))


class TestSavedMap:
    def saved(self, **changes: Any) -> Any:
        properties = {"name": "Lieux", "licence": MAP["properties"]["licence"]}
        other = LAYER | {"_umap_options": {"name": "Ressourceries"}, "features": []}
        document = {"type": "umap", "properties": properties, "layers": [LAYER, other]} | changes
        return make_page(json.dumps(document), f"{HOST}/map/123/download/")

    def test_layers_inside_one_file_with_the_licence_of_the_map(self) -> None:
        workshop = fiches(run(umap(), self.saved()))["E4NTQ"]
        assert (workshop["licence"], workshop["type"]) == ("lov2", "atelier_velo")
        assert workshop["pointeur"] == "/layers/0/features/0"

    @pytest.mark.parametrize("licence", ["No licence set", {"name": "No licence set", "url": ""}])
    def test_no_licence_is_not_taken_for_one(self, licence: Any) -> None:
        page = self.saved(properties={"licence": licence})
        assert fiches(run(umap(), page))["E4NTQ"]["licence"] == "No licence set"

    def test_only_the_layers_that_are_wanted(self) -> None:
        source = umap(options={"calques": ["Ressourceries"]}, champs={})
        assert run(source, self.saved()).read == 0
        with pytest.raises(PayloadError, match="Fablabs"):
            run(umap(options={"calques": ["Fablabs"]}), self.saved())

    def test_a_file_without_layers_is_refused(self) -> None:
        with pytest.raises(PayloadError, match="liste de calques"):
            run(umap(), self.saved(layers=None))


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"type": "Point"}', '{"error": "Forbidden"}', "<html>connexion"]
)
def test_anything_else_is_refused(body: str) -> None:
    with pytest.raises(PayloadError):
        run(umap(), make_page(body))


class TestHarvest:
    def serve(self, site: Site, *, with_second: bool = True) -> None:
        site.pages["/fr/map/123/geojson/"] = answer((FIXTURES / "umap_carte.json").read_bytes())
        body = (FIXTURES / "umap_calque.json").read_bytes()
        site.pages[f"/fr/datalayer/123/{BIKES}/"] = answer(body)
        other = {**LAYER, "features": [], "_umap_options": {"name": "Ressourceries"}}
        if with_second:
            site.pages[f"/fr/datalayer/123/{REUSE}/"] = answer(json.dumps(other).encode())

    def run(self, site: Site, client: Client, folder: Path) -> tuple[Source, Harvest]:
        limites = {"essais": 1, "pause_s": 0}
        source = umap(url=site.url("/fr/map/lieux-d-essai_123"), limites=limites)
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        store = Store(folder / "captures")
        return source, harvest(source, PLATFORM, registry, store, client, now=now)

    def test_the_map_then_its_layers(self, site: Site, client: Client, tmp_path: Path) -> None:
        self.serve(site)
        source, found = self.run(site, client, tmp_path)
        assert len(found.pages) == 3
        assert extract(source, PLATFORM, found.bodies).fiches.num_rows == 2

    def test_a_layer_that_does_not_come_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site, with_second=False)
        with pytest.raises(CaptureError, match="404"):
            self.run(site, client, tmp_path)

    def test_a_login_page_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        site.pages["/fr/map/123/geojson/"] = answer(b"<html><input type=password></html>")
        with pytest.raises(CaptureError) as caught:
            self.run(site, client, tmp_path)
        assert caught.value.kind is FailureKind.CONTENT
