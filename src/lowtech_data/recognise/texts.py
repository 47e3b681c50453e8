"""Texts of a site as a proposal says them."""

from __future__ import annotations

from typing import Any

from lowtech_data.extract.base import mask
from lowtech_data.extract.licences import NONE, read_licence


def text_of(value: Any) -> str | None:
    """A value of a payload as a short text without runs of blanks; nothing for what is no text."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return " ".join(str(value).split())[:200] or None
    return None


def one_line(value: Any) -> str:
    """A text of a payload on one line, without what may be personal or break the file."""
    return mask(printable(str(value or "")))[:60]


def printable(text: str) -> str:
    """A text on one line, without what a terminal or a file of YAML would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def licence_id(stated: Any) -> str | None:
    """The identifier of a licence that permits something."""
    licence, _ = read_licence(str(stated or ""))
    return None if licence == NONE else licence
