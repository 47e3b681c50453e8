"""What a host's robots.txt says to this robot, read under RFC 9309."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from protego import Protego

AGENT: Final = "lowtech-data"
"""Product token of the robot: what a robots.txt names to address it."""
MAX_BYTES = 500 * 1024
"""RFC 9309 §2.5 asks for at least 500 KiB to be read; rules beyond are not."""
MAX_AGE_S = 24 * 3600.0
"""RFC 9309 §2.4: a copy should not be used for more than a day."""
MAX_CRAWL_DELAY_S = 60.0
"""A host that asks for more is not harvested: a listing of a few hundred pages would take a day."""

_AGENT_LINE = re.compile(r"\s*user[\s-]*agent(?![\w-])[\s:]*(\*|[\w-]*)", re.IGNORECASE)
_OTHERS: Final = "autres-robots"


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules of one host for this robot."""

    rules: Protego | None
    """`None` when the host has no robots.txt: everything is allowed (RFC 9309 §2.3.1.3)."""
    read_at: float
    """Reading of the monotonic clock when it was fetched."""

    def allows(self, url: str) -> bool:
        """Whether this robot may request this address."""
        return self.rules is None or bool(self.rules.can_fetch(url, AGENT))

    @property
    def crawl_delay(self) -> float:
        """Seconds that the host asks to leave between two requests, 0 when it says nothing."""
        delay = self.rules.crawl_delay(AGENT) if self.rules else None
        return 0.0 if delay is None else float(delay)

    @property
    def verdict(self) -> str:
        """The value of `captures.robots` for an address that is allowed."""
        return "absent" if self.rules is None else "autorise"


def parse(body: bytes, read_at: float) -> Robots:
    """Read a robots.txt. Bytes that are not rules (an HTML page) are no rules; it never fails."""
    kept = body[:MAX_BYTES]
    if len(body) > MAX_BYTES:
        kept = kept[: kept.rfind(b"\n") + 1]
    lines = kept.decode("utf-8-sig", "replace").splitlines()
    return Robots(Protego.parse("\n".join(map(_readdressed, lines))), read_at)


def _readdressed(line: str) -> str:
    """A line that names a robot, reduced to whether it means all, this one, or another.

    A version after the token is no part of it (RFC 9309 §2.2.1). Rules are kept once per robot that
    a group names: thousands of names before thousands of rules would take hours.
    """
    match = _AGENT_LINE.match(line)
    if not match:
        return line
    token = match.group(1).lower()
    return f"User-agent: {token if token in {'*', AGENT} else _OTHERS}"
