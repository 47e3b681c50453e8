"""Texts compared without what changes from one writer to the next."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Text for comparing codes and words: no accents, no case, single spaces."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    plain = bare.replace("œ", "oe").replace("æ", "ae").replace("’", "'")
    return " ".join(plain.split())
