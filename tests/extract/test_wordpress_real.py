"""The reader against WordPress itself, on a throw-away database, over loopback.

WordPress comes from the packages `wordpress`, `php-cli`, `php-mysql` and `mariadb-server-core`. Its
files are only read: settings, custom type, database and socket are in one temporary folder. No
service of the machine is used.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lowtech_data.capture import CaptureError, Client, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, extract
from lowtech_data.registry import Registry, Source

from .real_servers import free_port, running, until_ready
from .support import everything, fiches, make_source, rejected

WORDPRESS = Path("/usr/share/wordpress")
PROGRAMS = {name: shutil.which(name) for name in ("php", "mariadbd", "mariadb-install-db")}
MISSING = [name for name, path in PROGRAMS.items() if path is None]
if not (WORDPRESS / "wp-settings.php").exists():
    MISSING.append(str(WORDPRESS))

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        bool(MISSING), reason=f"WordPress ou ce qui le porte n’est pas installé : {MISSING}"
    ),
]

PLATFORM = PLATFORMS["wordpress"]
PLACES, AUTHOR = 230, "Prénom Nom-de-Test"

SETTINGS = """<?php
define('DB_NAME', 'essai'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{folder}/db.sock'); define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', ''); define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true); define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_CONTENT_DIR', '{folder}/content'); define('ABSPATH', '{wordpress}/');
$table_prefix = 'wp_';
"""

CUSTOM_TYPE = """<?php
add_action('init', function () {
    register_taxonomy('type_lieu', ['lieu'], ['show_in_rest' => true, 'public' => true]);
    register_post_type('lieu', ['public' => true, 'show_in_rest' => true, 'rest_base' => 'lieux',
        'supports' => ['title', 'editor', 'excerpt', 'author', 'custom-fields']]);
    register_post_meta('lieu', 'ville', ['show_in_rest' => true, 'single' => true]);
});
"""

INSTALL = """<?php
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = 'liste.test:{port}';
require '{folder}/settings.php';
require ABSPATH . 'wp-settings.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Ateliers', 'admin', 'admin@liste.test', true, '', 'secret');
update_option('siteurl', 'http://liste.test:{port}');
update_option('home', 'http://liste.test:{port}');
wp_update_user(['ID' => 1, 'display_name' => '{author}']);
wp_insert_term('Réparer & transmettre', 'type_lieu', ['slug' => 'reparer']);
for ($n = 1; $n <= {places}; $n++) {
    $id = wp_insert_post(['post_type' => 'lieu', 'post_status' => 'publish', 'post_author' => 1,
        'post_title' => "L'atelier n° $n & compagnie", 'post_content' => "<p>Un <b>lieu</b>.</p>",
        'meta_input' => ['ville' => "Ville $n"]]);
    if ($n % 2) wp_set_object_terms($id, 'reparer', 'type_lieu');
}
wp_insert_post(['post_type' => 'lieu', 'post_status' => 'draft', 'post_title' => 'Brouillon']);
echo 'fait';
"""

ROUTER = """<?php
$_SERVER['PHP_SELF'] = $_SERVER['SCRIPT_NAME'] = '/index.php';
require '{folder}/settings.php';
require ABSPATH . 'wp-settings.php';
wp();
http_response_code(404);
"""

EXCERPT = """
wp_update_post(['ID' => get_posts(['post_type' => 'lieu'])[0]->ID, 'post_excerpt' => 'EXTRAIT']);
"""


@dataclass(frozen=True)
class Site:
    """A WordPress being served."""

    folder: Path
    port: int

    @property
    def api(self) -> str:
        return f"http://liste.test:{self.port}/wp-json/wp/v2"

    @property
    def api_without_rewriting(self) -> str:
        return f"http://liste.test:{self.port}/?rest_route=/wp/v2"

    def php(self, code: str) -> None:
        """Run something inside WordPress."""
        script = self.folder / "action.php"
        script.write_text(
            f"<?php require '{self.folder}/settings.php'; require ABSPATH . 'wp-settings.php'; "
            f"{code} echo 'fait';",
            encoding="utf-8",
        )
        _php(script)


def _php(script: Path) -> None:
    # A new site writes to its administrator: no mail leaves.
    command = [str(PROGRAMS["php"]), "-d", "sendmail_path=/bin/true", str(script)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.stdout.endswith(b"fait"), (done.stdout + done.stderr).decode(errors="replace")


def _filled(code: str, folder: Path, port: int) -> str:
    """A template with its names replaced; braces are those of PHP too."""
    names = {"folder": folder, "wordpress": WORDPRESS, "port": port}
    for name, value in {**names, "places": PLACES, "author": AUTHOR}.items():
        code = code.replace(f"{{{name}}}", str(value))
    return code


def _start_database(stack: ExitStack, folder: Path) -> None:
    data, log = folder / "db", folder / "db.log"
    own = ("--no-defaults", f"--datadir={data}", "--user=root")
    subprocess.run(
        [
            str(PROGRAMS["mariadb-install-db"]),
            *own,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (folder / "create.sql").write_text("CREATE DATABASE IF NOT EXISTS essai;\n")
    database = stack.enter_context(
        running(
            log,
            str(PROGRAMS["mariadbd"]),
            *own,
            f"--socket={folder}/db.sock",
            f"--pid-file={folder}/db.pid",
            f"--init-file={folder}/create.sql",
            "--skip-networking",
            "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=0",
        )
    )
    until_ready(database, log, socket.AF_UNIX, f"{folder}/db.sock")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    port = free_port()
    with ExitStack() as stack:
        # The path of a socket holds 107 characters: pytest's own folders may be too deep.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wp-")))
        (folder / "content" / "mu-plugins").mkdir(parents=True)
        for name, code in {
            "settings.php": SETTINGS,
            "content/mu-plugins/type.php": CUSTOM_TYPE,
            "install.php": INSTALL,
            "router.php": ROUTER,
        }.items():
            (folder / name).write_text(_filled(code, folder, port), encoding="utf-8")
        _start_database(stack, folder)
        _php(folder / "install.php")
        log = folder / "php.log"
        address = f"127.0.0.1:{port}"
        command = (str(PROGRAMS["php"]), "-S", address, f"{folder}/router.php")
        server = stack.enter_context(running(log, *command))
        until_ready(server, log, socket.AF_INET, ("127.0.0.1", port))
        served = Site(folder, port)
        served.php("update_option('permalink_structure', '/%postname%/'); flush_rewrite_rules();")
        yield served


def source_of(site: Site, url: str | None = None, **options: Any) -> Source:
    return make_source(
        "wordpress",
        url=url or site.api,
        options={"contenu": "lieux", **options},
        champs={"commune": "meta.ville"},
        codes={"réparer & transmettre": {"type": "repair_cafe"}},
        limites={"essais": 1, "pause_s": 0},
    )


def run(source: Source, folder: Path, client: Client) -> tuple[Harvest, Extraction]:
    registry = Registry(folder / "sources.yaml", (source,))
    now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    found = harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)
    return found, extract(source, PLATFORM, found.bodies)


def test_all_places_come_in_three_pages(site: Site, client: Client, tmp_path: Path) -> None:
    found, extraction = run(source_of(site), tmp_path, client)
    assert len(found.pages) == 3
    assert PLATFORM.announced(found.bodies[0]) == PLACES
    places = fiches(extraction).values()
    assert {p["nom"] for p in places} == {
        f"L’atelier n° {n} & compagnie" for n in range(1, PLACES + 1)
    }
    assert {p["commune"] for p in places} == {f"Ville {n}" for n in range(1, PLACES + 1)}
    assert sum(p["type"] == "repair_cafe" for p in places) == PLACES // 2
    assert all(urlsplit(p["url"]).hostname == "liste.test" for p in places)
    assert all(p["description"] == "Un lieu." for p in places)
    assert not rejected(extraction)


def test_addresses_that_are_not_rewritten_give_the_same(
    site: Site, client: Client, tmp_path: Path
) -> None:
    _, plain = run(source_of(site, site.api_without_rewriting), tmp_path / "a", client)
    _, rewritten = run(source_of(site), tmp_path / "b", client)
    assert fiches(plain).keys() == fiches(rewritten).keys()
    assert plain.fiches.num_rows == PLACES


def test_the_server_was_not_asked_who_wrote(site: Site, client: Client, tmp_path: Path) -> None:
    found, _ = run(source_of(site), tmp_path, client)
    for page in found.bodies:
        assert b"author" not in page.body
        assert b"users" not in page.body


def test_every_column_holds_an_author_that_is_not_read(
    site: Site, client: Client, tmp_path: Path
) -> None:
    found, extraction = run(source_of(site, toutes_colonnes=True), tmp_path, client)
    assert all(b'"author":1' in page.body for page in found.bodies)
    assert AUTHOR not in everything(extraction)
    assert {column for _, column, _ in rejected(extraction)} == {"type_lieu"}


def test_a_second_harvest_is_unchanged_until_something_changes(
    site: Site, client: Client, tmp_path: Path
) -> None:
    source = source_of(site)
    assert run(source, tmp_path, client)[0].status == "nouvelle"
    assert run(source, tmp_path, client)[0].status == "inchangee"
    site.php(EXCERPT.replace("EXTRAIT", "Du neuf"))
    found, extraction = run(source, tmp_path, client)
    assert found.status == "nouvelle"
    assert [p["description"] for p in fiches(extraction).values()].count("Du neuf") == 1
    site.php(EXCERPT.replace("EXTRAIT", ""))


def test_posts_and_pages_of_a_new_site(site: Site, client: Client, tmp_path: Path) -> None:
    for name in ("posts", "pages"):
        source = make_source("wordpress", url=site.api, options={"contenu": name})
        _, extraction = run(source, tmp_path / name, client)
        assert extraction.fiches.num_rows == 1


@pytest.mark.parametrize("name", ["absent", "users/999"])
def test_a_route_that_is_not_there_fails(
    name: str, site: Site, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(CaptureError, match="404"):
        run(source_of(site, contenu=name), tmp_path, client)
