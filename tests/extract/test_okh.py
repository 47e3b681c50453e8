import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import Client, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["okh"]
URL = "https://example.org/concasseur/okh.yml"


def okh(**changes: Any) -> Source:
    return make_source("okh", **{"url": URL, "entite": "ressource", **changes})


def one(body: str | Path, url: str = URL) -> dict[str, Any]:
    (fiche,) = fiches(run(okh(), make_page(body, url))).values()
    return fiche


def test_a_manifest_of_the_first_version() -> None:
    extraction = run(okh(), make_page(FIXTURES / "okh_v1.yml", URL))
    expected = {
        "nom": "Concasseur de coques d'essai",
        "description": "Broie des coques à la main.",
        "url": "https://example.org/concasseur/docs/index.html",
        "licence": "cern-ohl-s-2.0",
        "langue": "fr",
        "date_publication": "2021-03-04",
        "date_maj": "2024-10-01",
        "attribution": None,
    }
    fiche = fiches(extraction)[URL]
    assert {name: fiche[name] for name in expected} == expected
    assert not rejected(extraction)


def test_a_manifest_of_losh() -> None:
    url = "https://forge.example.org/metier/okh.toml"
    extraction = run(okh(), make_page(FIXTURES / "okh_losh.toml", url))
    expected = {
        "nom": "Métier à tisser d'essai",
        "description": "Tisse des bandes étroites.",
        "url": "https://forge.example.org/metier",
        "licence": "cc-by-sa-4.0",
        "langue": "fr; en",
        "date_maj": "2025-05-06",
        "attribution": "Atelier d'essai",
    }
    fiche = fiches(extraction)[url]
    assert {name: fiche[name] for name in expected} == expected
    assert not rejected(extraction)


@pytest.mark.parametrize("name", ["okh_v1.yml", "okh_losh.toml"])
def test_persons_are_never_read(name: str) -> None:
    found = everything(run(okh(), make_page(FIXTURES / name, URL)))
    assert not [word for word in ("Prenom", "prenom", "Autre") if word in found]


def test_keywords_and_technologies_are_the_codes() -> None:
    codes = {"agriculture": {"themes": ["alimentation"]}, "low-tech": {}, "manuel": {}}
    source = okh(codes=codes)
    extraction = run(source, make_page(FIXTURES / "okh_v1.yml", URL))
    assert fiches(extraction)[URL]["themes"] == ["alimentation"]
    technologies = run(source, make_page(FIXTURES / "okh_losh.toml", URL))
    assert [rule for _, _, rule in rejected(technologies)] == ["code_inconnu", "code_inconnu"]


def test_the_three_formats_say_the_same() -> None:
    document = tomllib.loads((FIXTURES / "okh_losh.toml").read_text())
    document["date-updated"] = "2025-05-06"
    snake = {name.replace("-", "_"): value for name, value in document.items()}
    reference = one(FIXTURES / "okh_losh.toml")
    for same in (document, snake):
        fiche = one(json.dumps(same))
        assert {**fiche, "capture": ""} == {**reference, "capture": ""}
    as_yaml = "\n".join(f"{name}: {json.dumps(value)}" for name, value in document.items())
    assert {**one(as_yaml), "capture": ""} == {**reference, "capture": ""}


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("documentation-home: null\nrepo: https://a.example.org/", "https://a.example.org/"),
        ("documentation-home: 'http://[x'\nrepo: https://a.example.org/", "https://a.example.org/"),
        ("repo: git@forge.example.org:a.git", "https://example.org/concasseur/okh.yml"),
        ("documentation-home: ../a", "https://example.org/a"),
    ],
)
def test_where_the_documentation_is(rest: str, expected: str) -> None:
    assert one(f"title: A\n{rest}")["url"] == expected


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("license: {documentation: CC-BY-4.0, software: MIT}", "cc-by-4.0"),
        ("license: {software: MIT}", None),
        ("license: LicenseRef-NONE", "LicenseRef-NONE"),
        ("spdx-license: CERN-OHL-W-2.0", "cern-ohl-w-2.0"),
        ("version: 1", None),
    ],
)
def test_the_licence_is_that_of_the_hardware(licence: str, expected: str | None) -> None:
    assert one(f"title: A\nrepo: https://a.example.org/\n{licence}")["licence"] == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<title>Entrez</title><input type=password>", "page de connexion « Entrez »"),
        ("", "attendu un manifeste Open Know-How, trouvé NoneType"),
        ("404: Not Found", "manifeste Open Know-How .* trouvé : 404"),
        ("title: A\nauteur: B", "trouvé : title, auteur"),
        ("- title: A", "attendu un manifeste Open Know-How, trouvé list"),
        ("title: [A\nrepo: b", "YAML illisible, ligne 2"),
        ("title: A\n\trepo: b", "YAML illisible, ligne 2"),
        ("name = 'A'\nrepo =", "TOML illisible"),
        ('{"name": "A",', "JSON illisible"),
        ("a: &a [x]\nb: [*a, *a]", "YAML refusé : alias"),
        ("title: " + "[" * 500, "plus de 100 niveaux"),
        ("a = " + "[" * 5_000, "TOML"),
        ("x" * 500_001, "plus de 500000 caractères"),
    ],
)
def test_what_is_no_manifest_is_refused(body: str, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        run(okh(), make_page(body, URL))


def test_yaml_builds_no_object() -> None:
    call = "!!python/object/apply:os.system [exit]"
    fiche = one(f"title: A\nrepo: https://a.example.org/\ndescription: {call}")
    assert fiche["description"] == "exit"


@given(st.text(st.sampled_from("ok:=[]{}\n \"'-#&*!|>\\"), max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    for body in (text, f"okhv: x\n{text}", f'okhv = "x"\n{text}'):
        with pytest.raises(PayloadError):
            run(okh(), make_page(body, URL))


def test_addresses_are_given_once() -> None:
    with pytest.raises(ValidationError, match="adresses répétées : a"):
        PLATFORM.options.model_validate({"adresses": ["a", "b", "a"]})


def harvested(source: Source, folder: Path, client: Client | None) -> dict[str, dict[str, Any]]:
    registry, store = Registry(folder / "sources.yaml", (source,)), Store(folder / "captures")
    now = datetime(2026, 3, 2, tzinfo=UTC)
    found = harvest(source, PLATFORM, registry, store, client, now=now)
    return fiches(extract(source, PLATFORM, found.bodies))


def test_a_list_of_addresses(site: Site, client: Client, tmp_path: Path) -> None:
    site.pages["/a/okh.yml"] = answer((FIXTURES / "okh_v1.yml").read_bytes())
    site.pages["/b/okh.toml"] = answer((FIXTURES / "okh_losh.toml").read_bytes())
    source = okh(
        url=site.url("/"),
        options={"adresses": ["a/okh.yml", site.url("/b/okh.toml")]},
        limites={"pause_s": 0, "essais": 1},
    )
    assert sorted(harvested(source, tmp_path, client)) == [
        site.url("/a/okh.yml"),
        site.url("/b/okh.toml"),
    ]
    assert site.paths == ["/a/okh.yml", "/b/okh.toml"]


def test_a_folder_of_manifests(tmp_path: Path) -> None:
    for name in ("okh_v1.yml", "okh_losh.toml"):
        (tmp_path / "manifestes").mkdir(exist_ok=True)
        (tmp_path / "manifestes" / name).write_bytes((FIXTURES / name).read_bytes())
    found = harvested(okh(url="manifestes"), tmp_path, None)
    assert {key: row["url"] for key, row in found.items()} == {
        "manifestes/okh_losh.toml": "https://forge.example.org/metier",
        "manifestes/okh_v1.yml": "https://concasseur.example.org/",
    }
