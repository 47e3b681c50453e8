"""What the registry accepts, and what it says to the person who wrote the file."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data import registry
from lowtech_data.registry import RegistryError, Strict

ROOT = Path(__file__).resolve().parent.parent
FILES = [ROOT / "sources.yaml", ROOT / "warehouse" / "sample" / "sources.yaml"]

MINIMAL = """\
sources:
  - id: makery
    nom: Carte des labs
    editeur: Makery
    plateforme: gogocarto
    url: https://makery.gogocarto.fr/api/elements.json
    licence: odbl-1.0
    republication: complete
    preuve: client
"""


class Options(Strict):
    ontologie: str = "gogofull"
    page_fiche: str | None = None


def write(folder: Path, text: str) -> Path:
    path = folder / "sources.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, **checks: object) -> tuple[str, ...]:
    path = write(folder, text)
    with pytest.raises(RegistryError) as caught:
        registry.load(path, **checks)  # type: ignore[arg-type]
    return tuple(problem.replace(str(path), "F") for problem in caught.value.problems)


def with_lines(*lines: str) -> str:
    return MINIMAL + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize("path", FILES, ids=["sources", "sample"])
def test_the_project_s_own_files_are_valid(path: Path) -> None:
    from lowtech_data.extract import PLATFORMS
    from lowtech_data.extract.base import TARGETS

    loaded = registry.load(path, {name: p.options for name, p in PLATFORMS.items()}, TARGETS)
    assert loaded.active


def test_defaults_of_a_minimal_source(tmp_path: Path) -> None:
    loaded = registry.load(write(tmp_path, MINIMAL))
    source = loaded["makery"]
    assert source.etat == "active"
    assert source.entite == "initiative"
    assert source.frequence == "hebdomadaire"
    assert source.limites.essais == 3
    assert source.bornes.min == 1
    assert not source.is_local
    assert source.public_url == source.url


def test_every_form_of_a_mapped_value(tmp_path: Path) -> None:
    text = with_lines(
        "champs:",
        "  nom: name",
        "  adresse: [rue.numero, rue.voie]",
        "  site_web: {premier_de: [web, url]}",
        "  pays: {valeur: FR}",
        "  url: {modele: 'https://exemple.org/{id}'}",
        "  categories: {separe: typologie, par: '|'}",
        "  horaires: {etiquettes: {lundi: H1, mardi: H2}}",
        "  noms_alternatifs: [sigle, {separe: noms, par: ';'}]",
    )
    champs = registry.load(write(tmp_path, text))["makery"].champs
    assert champs == {
        "nom": "name",
        "adresse": ["rue.numero", "rue.voie"],
        "site_web": registry.FirstOf(premier_de=["web", "url"]),
        "pays": registry.Constant(valeur="FR"),
        "url": registry.Template(modele="https://exemple.org/{id}"),
        "categories": registry.Separated(separe="typologie", par="|"),
        "horaires": registry.Labelled(etiquettes={"lundi": "H1", "mardi": "H2"}),
        "noms_alternatifs": ["sigle", registry.Separated(separe="noms", par=";")],
    }


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["frequense: mensuelle"],
            "F:10 : source makery : frequense : clé inconnue ; vouliez-vous dire « frequence » ?",
        ),
        (
            ["limites:", "  octet: 5"],
            "F:11 : source makery : limites.octet : clé inconnue ; vouliez-vous dire « octets » ?",
        ),
        (
            ["codes:", "  'Réparer, réemployer': {theme: [reparation]}"],
            (
                "F:11 : source makery : codes.Réparer, réemployer.theme : clé inconnue ; "
                "vouliez-vous dire « themes » ?"
            ),
        ),
        (["bornes: {min: beaucoup}"], "attendu un nombre entier (trouvé : 'beaucoup')"),
        (["nom_court: x"], "F:10 : source makery : nom_court : clé inconnue"),
        (["ignorer: telephone"], "F:10 : source makery : ignorer : attendu une liste"),
        (["donnees_du: hier"], "donnees_du : attendu une date AAAA-MM-JJ (trouvé : 'hier')"),
        (["limites: {essais: 0}"], "limites.essais : attendu au moins 1 (trouvé : 0)"),
        (["limites: {octets: 0}"], "limites.octets : attendu plus de 0 (trouvé : 0)"),
        (["limites: {essais: 50}"], "limites : essais dépasse le maximum 5"),
        (["etat: en_pause"], "motif_etat est attendu quand etat vaut « en_pause »"),
        (["copie_de: [makeri]"], "source inconnue : 'makeri' ; vouliez-vous dire « makery » ?"),
        (["renommee_de: makery"], "renommee_de : 'makery' existe encore"),
        (
            ["selection: {codes: [Reparation]}", "codes: {Réparation: {themes: [reparation]}}"],
            (
                "selection.codes : 'Reparation' n’est pas dans « codes » ; "
                "vouliez-vous dire « Réparation » ?"
            ),
        ),
        (
            ["champs:", "  nom: 3"],
            (
                "F:11 : source makery : champs.nom : attendu un chemin, une liste de chemins, "
                "premier_de, valeur, modele, separe ou etiquettes"
            ),
        ),
        (["codes:", "  1: {}"], "codes.1 : attendu du texte (entre guillemets si besoin)"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, lines: list[str], expected: str) -> None:
    found = problems(tmp_path, with_lines(*lines))
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("republication: complete", "republication: complet", "vouliez-vous dire « complete » ?"),
        ("    editeur: Makery\n", "", "F:2 : source makery : editeur : manque"),
        ("id: makery", "id: Makery!", "F:2 : source Makery! : id : attendu la forme"),
        ("  - id", "  - 3\n  - id", "F:2 : source n° 1 : source : attendu des couples"),
        ("sources:", "version: 1\nsources:", "F:1 : clé inconnue : version"),
        ("nom: Carte", "nom: x\n    nom: Carte", "F:4 : YAML illisible : clé répétée : nom"),
        ("nom: Carte des labs", "nom: 'Carte", "YAML illisible"),
        ("url: https://", "url: ftp://", "attendu : https://… ou un chemin relatif"),
        ("url: https://", "url: https://moi:secret@", "avec un mot de passe"),
        ("url: https://makery.gogocarto.fr", "url: /etc/passwd", "un chemin relatif"),
        ("sources:", "fiches:", "F:1 : attendu une clé « sources » avec une liste"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, before: str, after: str, expected: str) -> None:
    assert before in MINIMAL
    found = problems(tmp_path, MINIMAL.replace(before, after))
    assert len(found) == 1
    assert expected in found[0]


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    second = MINIMAL.split("sources:\n")[1].replace("preuve: client", "preuve: lu")
    found = problems(tmp_path, with_lines("couleur: vert") + second)
    assert [text.split(" : ")[0] for text in found] == ["F:10", "F:18"]


def test_two_sources_cannot_share_an_id(tmp_path: Path) -> None:
    found = problems(tmp_path, MINIMAL + MINIMAL.split("sources:\n")[1])
    assert found == ("F:10 : source makery : identifiant déjà pris",)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"absent\.yaml : fichier introuvable"):
        registry.load(tmp_path / "absent.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_bytes(b"sources:\n  - nom: \xe9t\xe9\n")
    with pytest.raises(RegistryError, match="attendu du texte UTF-8"):
        registry.load(path)


def test_aliases_are_refused_before_they_expand(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    found = problems(tmp_path, bomb + MINIMAL)
    assert found == ("F:2 : YAML illisible : les alias YAML (*a0) ne sont pas admis",)


def test_deep_nesting_and_huge_files_are_refused(tmp_path: Path) -> None:
    assert "plus de 20 niveaux imbriqués" in problems(tmp_path, "[" * 5_000 + "]" * 5_000)[0]
    assert "n’est pas un registre" in problems(tmp_path, "#" * (registry.MAX_FILE_BYTES + 1))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sources:\n\t- id: x\n", "F:2 : YAML illisible : une tabulation ; indenter"),
        ("sources:\n  - id: @x\n", "F:2 : YAML illisible : une valeur commence par « @ »"),
        ("sources:\n  - !!python/object:os.system {}\n", "F:2 : .*« !!python/object:os.system »"),
        ("sources:\n  - nom: a: b\n", "F:2 : .*mettre la valeur entre guillemets"),
        ("sources:\n  - id: 'abc\n    nom: x\n", "F:2 : .*guillemet ouvert ici"),
        ("sources: [a,\n b\n", "F:.*il manque une virgule ou « ] »"),
        ('sources:\n  - "a\\q"\n', r"F:2 : .*« \\q » n’a pas de sens"),
        ("sources:\n  - id: x\n   nom: y\n", "F:3 : .*aligner"),
        ("sources: []\n---\nb: 1\n", "F:2 : .*un second document"),
        ("sources:\n  - id: \x07\n", "F:2 : .*caractère de contrôle"),
        ("sources:\n  - ? [a]\n    : b\n", "F:2 : .*une clé n’est pas un texte"),
        ("sources:\n  - donnees_du: 2026-02-30\n", "F:2 : .*'2026-02-30' n’existe pas"),
    ],
)
def test_a_fault_of_syntax_is_told_in_french_with_its_line(
    text: str, expected: str, tmp_path: Path
) -> None:
    (problem,) = problems(tmp_path, text)
    assert re.match(expected, problem), problem


@pytest.mark.parametrize(
    "text",
    ["sources:\n" + "- {}\n" * 390_000, "sources:\n" + "  - id: x\n" * 1_000_000],
    ids=["small", "million"],
)
def test_a_file_of_too_many_sources_is_refused_in_bounded_time(text: str, tmp_path: Path) -> None:
    start = time.process_time()
    (problem,) = problems(tmp_path, text)
    assert "ce n’est pas un registre" in problem
    assert time.process_time() - start < 30


def test_a_file_where_all_is_wrong_tells_the_first_problems(tmp_path: Path) -> None:
    told = problems(tmp_path, "sources:\n" + "- {}\n" * 500)
    assert len(told) == registry.MAX_PROBLEMS + 1
    assert re.search(r"et \d+ autres problèmes", told[-1])


def test_references_are_checked_even_when_another_entry_is_wrong(tmp_path: Path) -> None:
    other = MINIMAL.partition("\n")[2].replace("makery", "copie")
    text = MINIMAL + "    nom_: x\n" + other + "    copie_de: [makery, makeri]\n"
    told = problems(tmp_path, text)
    assert len(told) == 2
    assert "nom_" in told[0]
    assert "copie_de : source inconnue : 'makeri'" in told[1]


def test_options_are_checked_by_the_platform(tmp_path: Path) -> None:
    text = with_lines("options:", "  ontologi: gogofull")
    assert problems(tmp_path, text, option_models={"gogocarto": Options}) == (
        (
            "F:11 : source makery : options.ontologi : clé inconnue ; "
            "vouliez-vous dire « ontologie » ?"
        ),
    )


def test_an_active_source_needs_an_extractor_a_paused_one_does_not(tmp_path: Path) -> None:
    found = problems(tmp_path, MINIMAL, option_models={"gogocarte": Options})
    assert "plateforme sans extracteur : 'gogocarto'" in found[0]
    assert "vouliez-vous dire « gogocarte » ?" in found[0]
    paused = with_lines("etat: en_pause", "motif_etat: pas d’extracteur")
    assert registry.load(write(tmp_path, paused), {"csv": Options}).active == ()


def test_fields_are_checked_when_they_are_known(tmp_path: Path) -> None:
    text = with_lines("champs: {nomm: name}")
    assert problems(tmp_path, text, targets={"nom", "adresse"}) == (
        "F:10 : source makery : champs.nomm : champ inconnu ; vouliez-vous dire « nom » ?",
    )


def test_only_keeps_the_order_asked_and_names_the_nearest_id(tmp_path: Path) -> None:
    other = MINIMAL.split("sources:\n")[1].replace("id: makery", "id: carteco")
    loaded = registry.load(write(tmp_path, MINIMAL + other))
    assert [s.id for s in loaded.only(["carteco", "makery", "carteco"])] == ["carteco", "makery"]
    assert loaded.only([]) is loaded
    with pytest.raises(KeyError, match="vouliez-vous dire « carteco »"):
        loaded.only(["cartecos"])


def test_a_local_source_stays_in_its_folder(tmp_path: Path) -> None:
    text = MINIMAL.replace("https://makery.gogocarto.fr/api/elements.json", "captures/a.json")
    loaded = registry.load(write(tmp_path, text))
    source = loaded["makery"]
    assert source.is_local
    assert loaded.local_path(source) == (tmp_path / "captures" / "a.json").resolve()
    out = registry.load(write(tmp_path, text.replace("captures/", "../")))
    with pytest.raises(RegistryError, match="sort du dossier"):
        out.local_path(out["makery"])


def test_the_json_schema_in_the_docs_is_current() -> None:
    published = (ROOT / "docs" / "sources.schema.json").read_text(encoding="utf-8")
    assert published == registry.json_schema()


def test_every_key_of_a_source_is_documented() -> None:
    page = (ROOT / "docs" / "sources-yaml.md").read_text(encoding="utf-8")
    models = (registry.Source, registry.Limits, registry.Bounds, registry.Crosswalk)
    keys = {key for model in (*models, registry.Selection) for key in model.model_fields}
    assert sorted(key for key in keys if f"`{key}`" not in page) == []


@given(st.text(max_size=200))
def test_any_text_loads_or_is_refused_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        loaded = registry.load(path)
    except RegistryError as error:
        refused = error.problems
    else:
        refused = ("une liste vide est un registre",) if not loaded.sources else ()
    assert refused


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("licence: licence ouverte", "licence inconnue : « licence ouverte » ; attendu odbl-1.0"),
        ("licence: aucune", "sans licence dite, republication: faits_et_lien au plus"),
    ],
)
def test_a_licence_is_known_and_respected(tmp_path: Path, change: str, told: str) -> None:
    text = re.sub(r"licence: .*", change, MINIMAL)
    assert "republication: complete" in text
    with pytest.raises(registry.RegistryError, match=re.escape(told)):
        registry.load(write(tmp_path, text))


def test_an_active_source_says_where_its_key_and_name_are(tmp_path: Path) -> None:
    with pytest.raises(registry.RegistryError, match=r"champs\.nom : attendu"):
        registry.load(write(tmp_path, MINIMAL), None, None, {"gogocarto": ["cle_source"]})
    registry.load(write(tmp_path, MINIMAL), None, None, {"gogocarto": ["cle_source", "nom"]})
