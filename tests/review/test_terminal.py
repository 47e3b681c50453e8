"""The review as a steward has it: the command, in a terminal of 80 columns and 24 lines."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowtech_data.resolve.decisions import Decisions, append, new_decision
from tests.conftest import Project, place_rows

COLUMNS_OF_SCREEN, LINES_OF_SCREEN = 80, 24
CLEARED = "\x1b[2J"
PROMPT = "q quitter"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """A command in a terminal of its own."""

    def __init__(self, arguments: list[str], **environment: str) -> None:
        self._master, slave = pty.openpty()
        size = struct.pack("HHHH", LINES_OF_SCREEN, COLUMNS_OF_SCREEN, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        known = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lowtech_data", *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env=known | {"TERM": "xterm-256color"} | environment,
        )  # fmt: skip
        os.close(slave)
        self.received = ""

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, text: str, seconds: float = 30) -> str:
        """What was shown since the last call, up to this text and a moment of silence."""
        start, deadline = len(self.received), time.monotonic() + seconds
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self._master], [], [], 0.2)
            if not ready:
                if text in self._plain(start):
                    return self.received[start:]
                continue
            try:
                self.received += os.read(self._master, 65536).decode(errors="replace")
            except OSError:
                break
        assert text in self._plain(start), self._plain(start)
        return self.received[start:]

    def _plain(self, start: int) -> str:
        return ANSI.sub("", self.received[start:])

    def lines(self) -> list[str]:
        """The lines now on the screen."""
        shown = ANSI.sub("", self.received.rpartition(CLEARED)[2])
        return shown.replace("\r", "").rstrip("\n").split("\n")

    def close(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        # What ends waits until its last words are read.
        while self.process.poll() is None and select.select([self._master], [], [], 10)[0]:
            try:
                os.read(self._master, 65536)
            except OSError:
                break
        code = self.process.wait(10)
        os.close(self._master)
        return code


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A real run of two listings, in which a person left three pairs to review."""
    project = Project(tmp_path_factory.mktemp("relecture"))
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b", 3), donnees_du="2026-11-01")
    for number in range(3):
        line = new_decision(
            Decisions(), date="2026-11-19", qui="equipe", decision="a_revoir",
            a=f"alpha:a{number}", b=f"beta:b{number}", motif="à vérifier sur place",
        )  # fmt: skip
        append(project.curated / "decisions.jsonl", line)
    _, published, problems = project.run("2026-11-20")
    assert problems == []
    assert published is not None
    return project


@pytest.fixture
def path(project: Project, tmp_path: Path) -> Path:
    """Decisions of one test alone."""
    path = tmp_path / "decisions.jsonl"
    path.write_bytes((project.curated / "decisions.jsonl").read_bytes())
    return path


@pytest.fixture
def screens(project: Project, path: Path) -> Iterator:
    opened: list[Screen] = []

    def start(**environment: str) -> Screen:
        arguments = ["--warehouse", str(project.warehouse.root), "--curated", str(path.parent)]
        screen = Screen(["review", *arguments, "--as-of", "2026-11-21"], **environment)
        opened.append(screen)
        screen.until(PROMPT)
        return screen

    yield start
    for screen in opened:
        screen.close()


def decided(path: Path) -> list[str]:
    return [json.loads(line)["decision"] for line in path.read_text().splitlines()[3:]]


def test_keys_decide_and_the_next_session_resumes(screens, path: Path):
    screen = screens()
    assert "à relire : 3" in screen.lines()[0]
    for key in ("d", "s", "u"):
        screen.press(key)
        screen.until(PROMPT)
    assert decided(path) == ["distinct", "annuler"]
    screen.press("l")
    screen.until("Quel lien")
    screen.press("1")
    screen.until("Dans quel sens")
    screen.press("2")
    screen.until(PROMPT)
    assert decided(path)[2:] == ["lie"]
    screen.press("q")
    screen.until("À relire : 2")
    assert screen.process.wait(10) == 0

    again = screens()
    assert "à relire : 2" in again.lines()[0]
    again.press("i")
    again.until(PROMPT)
    again.press("\x03")
    again.until("À relire : 1")
    assert decided(path)[3:] == ["identique"]
    assert len(Decisions.load(path).active) == 5


def test_every_screen_fits_80_columns_and_24_lines(screens):
    screen = screens()
    for key, expected in (("?", "pour revenir"), ("x", PROMPT), ("l", "Quel lien"), ("z", PROMPT)):
        assert len(screen.lines()) <= LINES_OF_SCREEN
        assert max(map(len, screen.lines())) <= COLUMNS_OF_SCREEN
        screen.press(key)
        screen.until(expected)
    screen.press("m")
    screen.until("Motif")
    screen.press("vu au téléphone\n")
    screen.until("Motif de la prochaine réponse : vu au téléphone")
    assert len(screen.lines()) <= LINES_OF_SCREEN


def test_keys_pressed_before_a_pair_is_shown_decide_nothing(screens, path: Path):
    screen = screens()
    screen.press("ddd")
    screen.until(PROMPT)
    assert decided(path) == ["distinct"]


def test_no_colour_when_asked(screens):
    coloured = re.compile(r"\x1b\[[0-9;]*(?:3[1-7]|9[0-7])m")
    screen = screens(NO_COLOR="1")
    assert not coloured.search(screen.received)


def test_without_a_terminal_the_command_says_what_to_use():
    found = subprocess.run(
        [sys.executable, "-m", "lowtech_data", "review"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert found.returncode == 1
    assert "lowtech review list" in found.stderr


def test_options_before_a_subcommand_are_refused_not_ignored(project: Project):
    found = subprocess.run(
        [sys.executable, "-m", "lowtech_data", "review", "--warehouse", "x", "list"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert "review list" in found.stderr
