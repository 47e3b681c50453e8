"""Platforms that fail in every way a parser can, for the child process to find by name."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator

from lowtech_data.extract import PLATFORMS as REAL
from lowtech_data.extract.base import Page, Platform, Request, Row
from lowtech_data.registry import Source


def _hang(page: Page) -> None:
    os.write(2, b"occupe\n")
    time.sleep(3_600)


def _spin_without_the_interpreter(page: Page) -> None:
    os.write(2, b"occupe\n")
    re.match(r"(a+)+b", "a" * 60)


def _eat(page: Page) -> None:
    held = []
    while True:
        held.append(bytearray(2**20))


def _crash(page: Page) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _leave(page: Page) -> None:
    os._exit(0)


def _bug(page: Page) -> None:
    try:
        page.body.decode("ascii")
        int(page.body)
    except ValueError as error:
        raise ZeroDivisionError(f"lecture de {page.body.decode()}") from error


def _disk(page: Page) -> None:
    raise OSError(28, "No space left on device", "/disque")


def _platform(name: str, fault: Callable[[Page], None]) -> Platform:
    def rows(source: Source, page: Page) -> Iterator[Row]:
        if page.url.endswith("/bon.csv"):
            yield Row("1", {"id": "1", "nom": "sain"})
            return
        fault(page)

    def follow(source: Source, page: Page) -> list[Request]:
        fault(page)
        return []

    return Platform(name, rows=rows, follow=follow)


PLATFORMS = REAL | {
    platform.name: platform
    for platform in (
        _platform("hang", _hang),
        _platform("spin", _spin_without_the_interpreter),
        _platform("eat", _eat),
        _platform("crash", _crash),
        _platform("leave", _leave),
        _platform("bug", _bug),
        _platform("disk", _disk),
    )
}
BROKEN = {"csv": PLATFORMS["bug"]}
HANGING = {"csv": PLATFORMS["hang"]}
