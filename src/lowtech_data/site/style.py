"""The one stylesheet, inlined in every page so that a page is one request."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent / "templates"


def _compact(css: str) -> str:
    return re.sub(r"\s*([{};:,>])\s*", r"\1", re.sub(r"\s+", " ", css)).strip()


STYLE = _compact((TEMPLATES / "style.css").read_text("utf-8"))
"""The stylesheet as it is written between `<style>` and `</style>`."""

STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
"""What the content security policy allows: this sheet and no other."""
