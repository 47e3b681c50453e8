"""In a real browser: nothing runs, nothing is fetched elsewhere, both schemes are painted."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import HOSTILE_ID, RENNES_ID

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium n’est pas installé"),
]
PATHS = (
    "/",
    "/initiatives",
    f"/i/{RENNES_ID}",
    f"/i/{HOSTILE_ID}",
    "/donnees",
    "/lowtech/initiatives",
)


@pytest.fixture(scope="module")
def address(warehouse: Path) -> Iterator[str]:
    """The site served on a loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = (
        "import sys; from pathlib import Path; from lowtech_data.site import serve; "
        "serve(Path(sys.argv[1]), '127.0.0.1', int(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(warehouse), str(port)])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            break
        except OSError:
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def _browse(tmp_path: Path, url: str, *options: str) -> tuple[str, str]:
    """The document after loading, and what the browser logged."""
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--v=0", *options,
            "--dump-dom", url,
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.mark.parametrize("path", PATHS)
def test_nothing_runs_and_the_policy_is_not_broken(tmp_path: Path, address: str, path: str) -> None:
    document, log = _browse(tmp_path, address + path)
    assert "</footer>" in document
    assert "Content Security Policy" not in log
    assert "CONSOLE" not in log


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_pages_paint_in_both_schemes_and_widths(
    tmp_path: Path, address: str, width: int, scheme: str
) -> None:
    picture = tmp_path / "page.png"
    _browse(
        tmp_path / "profile",
        address + f"/i/{RENNES_ID}",
        f"--window-size={width},900",
        f"--screenshot={picture}",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
    )
    assert picture.stat().st_size > 5_000
