"""The readers of wikis against MediaWiki itself, on a throw-away wiki, over loopback.

MediaWiki comes from the packages `mediawiki`, `php-cli`, `php-sqlite3`, `php-xml`, `php-mbstring`
and `php-intl`. Its files are only read: settings, database and pages are in one temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.sax.saxutils import escape

import pytest

from lowtech_data.capture import CaptureError, Client, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, Page, Platform, Request, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source

from .real_servers import free_port, running, until_ready
from .support import assert_accounted, everything, fiches, make_source, rejected

MEDIAWIKI = Path("/usr/share/mediawiki")
PHP = shutil.which("php")
MODULES = {"sqlite3", "xml", "mbstring", "intl"}


def _missing() -> list[str]:
    if PHP is None:
        return ["php"]
    listed = subprocess.run([PHP, "-m"], capture_output=True, text=True, timeout=60, check=False)
    missing = sorted(f"php-{name}" for name in MODULES - set(listed.stdout.split()))
    return missing if (MEDIAWIKI / "api.php").exists() else [*missing, str(MEDIAWIKI)]


MISSING = _missing()
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        bool(MISSING), reason=f"MediaWiki ou ce qui le porte n’est pas installé : {MISSING}"
    ),
]

TUTORIALS, COMMONS, AUTHOR = 510, 7, "Prénom Nom-de-Test"

SETTINGS = r"""
$wgArticlePath = '/wiki/$1';
$wgEnableEmail = false;
$wgJobRunRate = 0;
// A wiki of one hour need not survive a power cut.
$wgDBservers = [['type' => 'sqlite', 'dbname' => $wgDBname, 'dbDirectory' => $wgSQLiteDataDir,
    'load' => 1, 'flags' => DBO_DEFAULT, 'variables' => ['synchronous' => 'OFF']]];
// So that the contents of one lot come in several parts.
$wgAPIMaxResultSize = 40000;
// What the Translate extension says of its subpages.
$wgHooks['PageContentLanguage'][] = function ($title, &$language) {
    if (preg_match('#/(en|de|pt-br)$#', $title->getText(), $found)) {
        $language = $found[1];
    }
};
"""

ROUTER = r"""<?php
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path !== '/w/api.php') {
    http_response_code(404);
    exit;
}
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = '/w/api.php';
$_SERVER['SCRIPT_FILENAME'] = 'MEDIAWIKI/api.php';
chdir('MEDIAWIKI');
require 'MEDIAWIKI/api.php';
"""

DETAILS = """{{Tuto Details
|Main_Picture=Essai.jpg
|Licences=Attribution (CC BY)
|Description=<translate><!--T:1--> Un ''vélo'' qui produit de l'[[Énergie|électricité]]
 &amp; du bruit.</translate>
|Area=Energy, Tools
|Type=Tutorial
|Difficulty=Hard
|Duration=1
|Duration-type=day(s)
|Cost=400
|Currency=EUR (€)
|Tags=vélo, pédale
|SourceLanguage=none
|Language=fr
|IsTranslation=TRANSLATION
}}
{{Introduction|Introduction=Assez [[Fichier:Essai.jpg|thumb|Un cadre]] long.}}
{{Tuto Step|Step_Title=Démonter|Step_Content={{Info|Prudence}} Voir {{Idea|le reste}}.}}
"""

COMMON = """{{Commun
|url=https://commun.example.org/N
|shortDescription=Un commun, {{Couleur|vert|partagé}}.
|Tags=low-tech, vélo
|Theme=Mobilité
|location=France
}}
{{Communauté|auteur=AUTHOR|chat=https://chat.example.org}}
"""


def _tutorial(translation: str = "0") -> str:
    return DETAILS.replace("TRANSLATION", translation)


def _pages() -> Iterator[tuple[str, str]]:
    yield "Template:Tuto Details", "<includeonly>[[Category:Tutorials]]</includeonly>"
    yield "Template:Commun", "<includeonly>[[Category:Commun]]</includeonly>"
    for number in range(1, TUTORIALS + 1):
        yield f"Vélo n° {number}", _tutorial()
    yield "Vélo n° 1/en", _tutorial("1")
    yield 'Poêle de masse / Rocket & "four" d\'essai', _tutorial()
    yield "Ancien nom", "#REDIRECT [[Vélo n° 2]]\n[[Category:Tutorials]]"
    yield "Sans fiche", "Une page rangée à la main. [[Category:Tutorials]]"
    yield "Category:Sous-catégorie", "[[Category:Tutorials]]"
    for number in range(1, COMMONS + 1):
        text = COMMON.replace("/N\n", f"/{number}\n").replace("AUTHOR", AUTHOR)
        yield f"Commun {number}", text
    yield "Commun 1/en", COMMON
    yield "Commun vide", "{{Commun}}"


def _dump() -> str:
    """The pages as the XML that MediaWiki exports and imports."""
    pages = "".join(
        f"<page><title>{escape(title)}</title><revision>"
        f"<timestamp>2026-01-02T03:04:05Z</timestamp>"
        f"<contributor><username>{AUTHOR}</username></contributor>"
        f"<model>wikitext</model><format>text/x-wiki</format>"
        f'<text xml:space="preserve">{escape(text)}</text></revision></page>'
        for title, text in _pages()
    )
    space = "http://www.mediawiki.org/xml/export-0.11/"
    return f'<mediawiki xmlns="{space}" version="0.11" xml:lang="fr">{pages}</mediawiki>'


@dataclass(frozen=True)
class Wiki:
    """A MediaWiki being served."""

    folder: Path
    port: int

    @property
    def api(self) -> str:
        return f"http://liste.test:{self.port}/w/api.php"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "MW_CONFIG_FILE": str(self.folder / "LocalSettings.php")}

    def maintain(self, script: str, *arguments: str, given: str = "") -> str:
        """Run one of the maintenance scripts of MediaWiki."""
        done = subprocess.run(
            [str(PHP), str(MEDIAWIKI / "maintenance" / f"{script}.php"), *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
            env=self.environment,
        )
        assert done.returncode == 0, (script, done.stdout[-1500:], done.stderr[-1500:])
        return done.stdout

    def write(self, title: str, text: str) -> None:
        self.maintain("edit", "--user", "Admin", title, given=text)

    def delete(self, title: str) -> None:
        # The list of pages must be a file.
        listed = self.folder / "a_supprimer.txt"
        listed.write_text(f"{title}\n", encoding="utf-8")
        self.maintain("deleteBatch", "-u", "Admin", str(listed))


@pytest.fixture(scope="module")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiki]:
    port, folder = free_port(), tmp_path_factory.mktemp("wiki")
    with ExitStack() as stack:
        served = Wiki(folder, port)
        served.maintain(
            *("install", "--confpath", str(folder), "--dbtype", "sqlite"),
            *("--dbpath", str(folder / "base"), "--dbname", "essai", "--lang", "fr"),
            *("--server", f"http://liste.test:{port}", "--scriptpath", "/w"),
            *("--pass", "phrase-de-passe-d-essai", "Wiki d’essai", "Admin"),
        )
        with (folder / "LocalSettings.php").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
        (folder / "pages.xml").write_text(_dump(), encoding="utf-8")
        served.maintain("importDump", str(folder / "pages.xml"))
        served.maintain("runJobs")
        router, log = folder / "router.php", folder / "php.log"
        router.write_text(ROUTER.replace("MEDIAWIKI", str(MEDIAWIKI)), encoding="utf-8")
        command = (str(PHP), "-S", f"127.0.0.1:{port}", str(router))
        server = stack.enter_context(running(log, *command, environment=served.environment))
        until_ready(server, log, socket.AF_INET, ("127.0.0.1", port))
        yield served


def source_of(wiki: Wiki, platform: str, **changes: Any) -> Source:
    common: dict[str, Any] = {
        "options": {"rvslots": True},
        "limites": {"essais": 1, "pause_s": 0},
    }
    return make_source(platform, url=wiki.api, entite="ressource", **{**common, **changes})


def tutorials(wiki: Wiki, **options: Any) -> Source:
    return source_of(
        wiki,
        "mediawiki_dokit",
        options={"rvslots": True, **options},
        codes={
            "Energy": {"themes": ["energie"]},
            "Tools": {"themes": ["fabrication"]},
            "type:Tutorial": {"nature_ressource": "tutoriel"},
        },
    )


def commons(wiki: Wiki, **options: Any) -> Source:
    return source_of(
        wiki,
        "mediawiki_modele",
        options={"categorie": "Category:Commun", "rvslots": True, **options},
        champs={
            "description": "shortDescription",
            "site_web": "url",
            "categories": [{"separe": "Tags", "par": ","}, "Theme"],
        },
        codes={"low-tech": {}, "vélo": {"themes": ["mobilite"]}, "Mobilité": {}},
        ignorer=["location", "chat"],
    )


def run(
    source: Source, folder: Path, client: Client, platform: Platform | None = None
) -> tuple[Harvest, Extraction]:
    platform = platform or PLATFORMS[source.plateforme]
    registry = Registry(folder / "sources.yaml", (source,))
    now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    found = harvest(source, platform, registry, Store(folder / "captures"), client, now=now)
    extraction = extract(source, platform, found.bodies)
    assert_accounted(extraction)
    return found, extraction


def asked(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def test_every_tutorial_comes_whatever_the_parts(
    wiki: Wiki, client: Client, tmp_path: Path
) -> None:
    found, extraction = run(tutorials(wiki), tmp_path, client)
    lists = [page for page in found.bodies if asked(page).get("list") == "categorymembers"]
    contents = [page for page in found.bodies if "pageids" in asked(page)]
    assert len(lists) == 2
    assert "cmcontinue" in asked(lists[1])
    # A lot is asked for once, and then for each part that was left.
    assert len(contents) > len({asked(page)["pageids"] for page in contents}) == 11
    names = {fiche["nom"] for fiche in fiches(extraction).values()}
    assert names >= {f"Vélo n° {number}" for number in range(1, TUTORIALS + 1)}
    assert len(names) == TUTORIALS + 1


def test_a_tutorial_as_the_wiki_gives_it(wiki: Wiki, client: Client, tmp_path: Path) -> None:
    _, extraction = run(tutorials(wiki), tmp_path, client)
    by_name = {fiche["nom"]: fiche for fiche in fiches(extraction).values()}
    fiche = by_name["Vélo n° 7"]
    expected = {
        "description": "Un vélo qui produit de l'électricité & du bruit.",
        "url": f"http://liste.test:{wiki.port}/wiki/V%C3%A9lo_n%C2%B0_7",
        "date_maj": "2026-01-02T03:04:05Z",
        "licence": "cc-by",
        "attribution": "Page « Vélo n° 7 », Wiki d’essai",
        "difficulte": "Hard",
        "duree": "1 day(s)",
        "cout": "400 EUR (€)",
        "langue": "fr",
        "identifiants": [f"liste.test={fiche['cle_source']}"],
        "themes": ["energie", "fabrication"],
        "nature_ressource": "tutoriel",
    }
    assert {name: fiche[name] for name in expected} == expected
    assert by_name['Poêle de masse / Rocket & "four" d\'essai']["url"].endswith(
        "/wiki/Po%C3%AAle_de_masse_/_Rocket_%26_%22four%22_d%27essai"
    )


def test_what_is_no_tutorial_is_refused_with_its_reason(
    wiki: Wiki, client: Client, tmp_path: Path
) -> None:
    _, extraction = run(tutorials(wiki), tmp_path, client)
    refused = {(r["valeur_masquee"], r["regle"]) for r in extraction.rejects.to_pylist()}
    assert refused == {
        ("Vélo n° 1/en", "sous_page_traduction"),
        ("Ancien nom", "redirection"),
        ("Sans fiche", "sans_fiche_tutoriel"),
    }


def test_older_and_newer_requests_give_the_same(wiki: Wiki, client: Client, tmp_path: Path) -> None:
    _, slots = run(tutorials(wiki), tmp_path / "a", client)
    _, plain = run(tutorials(wiki, rvslots=False, lot=17), tmp_path / "b", client)
    kept = slots.fiches.drop_columns(["capture"]).to_pylist()
    assert plain.fiches.drop_columns(["capture"]).to_pylist() == kept


def test_the_pages_of_a_template(wiki: Wiki, client: Client, tmp_path: Path) -> None:
    _, extraction = run(commons(wiki), tmp_path, client)
    by_name = {fiche["nom"]: fiche for fiche in fiches(extraction).values()}
    assert by_name.keys() == {f"Commun {number}" for number in range(1, COMMONS + 1)}
    fiche = by_name["Commun 3"]
    expected = {
        "site_web": "https://commun.example.org/3",
        "url": f"http://liste.test:{wiki.port}/wiki/Commun_3",
        "themes": ["mobilite"],
        "langue": "fr",
    }
    assert {name: fiche[name] for name in expected} == expected
    assert {(r["valeur_masquee"], r["regle"]) for r in extraction.rejects.to_pylist()} == {
        ("Commun 1/en", "sous_page_traduction"),
        ("Commun vide", "modele_absent"),
    }


def test_no_author_is_asked_for_or_read(wiki: Wiki, client: Client, tmp_path: Path) -> None:
    found, extraction = run(commons(wiki), tmp_path / "a", client)
    assert AUTHOR not in everything(extraction)
    found, _ = run(tutorials(wiki), tmp_path / "b", client)
    assert all(AUTHOR.encode() not in page.body for page in found.bodies)
    assert all(b'"user"' not in page.body for page in found.bodies)


def test_a_second_harvest_is_unchanged_until_a_page_is_edited(
    wiki: Wiki, client: Client, tmp_path: Path
) -> None:
    source = commons(wiki)
    assert run(source, tmp_path, client)[0].status == "nouvelle"
    assert run(source, tmp_path, client)[0].status == "inchangee"
    wiki.write("Commun 2", COMMON.replace("Un commun", "Un commun changé"))
    found, extraction = run(source, tmp_path, client)
    assert found.status == "nouvelle"
    described = [fiche["description"] for fiche in fiches(extraction).values()]
    assert sum(text.startswith("Un commun changé") for text in described) == 1
    wiki.write("Commun 2", COMMON.replace("/N\n", "/2\n"))


def test_a_page_deleted_between_the_list_and_its_content(
    wiki: Wiki, client: Client, tmp_path: Path
) -> None:
    source, platform = commons(wiki), PLATFORMS["mediawiki_modele"]
    wiki.write("Commun de passage", COMMON)

    def delete_then_follow(source: Source, page: Page) -> Sequence[Request]:
        if "list" in asked(page):
            wiki.delete("Commun de passage")
        return platform.follow(source, page)

    _, extraction = run(source, tmp_path, client, replace(platform, follow=delete_then_follow))
    assert extraction.fiches.num_rows == COMMONS
    assert [rule for _, _, rule in rejected(extraction)].count("page_supprimee") == 1
    _, extraction = run(source, tmp_path, client)
    assert "page_supprimee" not in {rule for _, _, rule in rejected(extraction)}


def test_a_page_that_is_renamed_keeps_its_key(wiki: Wiki, client: Client, tmp_path: Path) -> None:
    wiki.write("Commun à renommer", COMMON)
    _, before = run(commons(wiki), tmp_path, client)
    moved = wiki.folder / "a_renommer.txt"
    moved.write_text("Commun à renommer|Commun renommé\n", encoding="utf-8")
    wiki.maintain("moveBatch", "--u", "Admin", str(moved))
    _, after = run(commons(wiki), tmp_path, client)
    key = {fiche["nom"]: fiche["cle_source"] for fiche in fiches(before).values()}
    renamed = {fiche["nom"]: fiche["cle_source"] for fiche in fiches(after).values()}
    assert renamed["Commun renommé"] == key["Commun à renommer"]
    assert "Commun à renommer" not in renamed
    wiki.delete("Commun renommé")
    wiki.delete("Commun à renommer")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Commun", "invalidcategory"), ("Template:Commun", "invalidcategory")],
)
def test_a_refusal_of_the_api_fails_the_harvest_with_its_words(
    name: str, reason: str, wiki: Wiki, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(CaptureError, match=f"l’API MediaWiki refuse la requête : {reason}"):
        run(commons(wiki, categorie=name), tmp_path, client)


def test_a_wiki_that_lags_is_not_an_empty_wiki(wiki: Wiki, client: Client) -> None:
    source = commons(wiki)
    question = PLATFORMS["mediawiki_modele"].first(source)[0]
    late = Request(f"{question.url}&{urlencode({'maxlag': -2})}", question.accept)
    with client.get(source, late) as reply:
        page = Page(reply.url, b"".join(reply.chunks()), "0" * 64, reply.media_type)
    with pytest.raises(PayloadError, match="maxlag"):
        list(PLATFORMS["mediawiki_modele"].rows(source, page))


def test_an_empty_category_gives_nothing(wiki: Wiki, client: Client, tmp_path: Path) -> None:
    found, extraction = run(commons(wiki, categorie="Category:Vide"), tmp_path, client)
    assert len(found.pages) == 1
    assert extraction.read == 0
