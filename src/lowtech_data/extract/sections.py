"""Records whose fields are all inside one text, HTML or not, under labels or symbols.

A text such as `Thèmes :<br>- Réemploi<br>📍 3 rue Basse<br>📞 …` is cut at the markers that the
source declares. Every part of it ends in a section, or is told as lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from bs4 import BeautifulSoup
from pydantic import Field, field_validator

from lowtech_data.extract.base import Lost
from lowtech_data.registry import Strict

MAX_TAGS = 5_000
"""Tags of one text: a hundred times the longest real one."""

_BLOCKS = ("p", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BULLET = re.compile(r"^[-–—•*·]\s+")


class Sections(Strict):
    """How one column is cut: the sections become `column.section`."""

    champ: str
    """The column that holds the whole text."""
    sections: Annotated[dict[str, str | list[str]], Field(min_length=1)]
    """Section → what begins it. A symbol (`📍`) does so anywhere; words (`Thèmes :`) only where a
    line begins."""
    listes: tuple[str, ...] = ()
    """Sections with one value per line, after a dash or a bullet."""
    debut: str | None = None
    """Section for what comes before the first marker."""
    cache: str | None = None
    """Section for texts that the page hides (keywords for a search box)."""

    @field_validator("sections")
    @classmethod
    def _have_markers(cls, sections: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        markers = [marker.strip() for given in sections.values() for marker in _several(given)]
        if not all(markers):
            raise ValueError("une section a un début vide")
        if len(set(markers)) < len(markers):
            raise ValueError("un même début ouvre deux sections")
        return sections


def split(values: Mapping[str, Any], options: Sections) -> tuple[dict[str, Any], list[Lost]]:
    """The values with the column cut into its sections, and what could not be placed.

    | rule | what happened |
    |---|---|
    | `texte_hors_section` | text before the first marker, and `debut` is not declared |
    | `texte_cache` | hidden text, and `cache` is not declared |
    | `texte_trop_balise` | more than `MAX_TAGS` tags: the text is not read |
    """
    text = values.get(options.champ)
    if not isinstance(text, str) or not text.strip():
        return dict(values), []
    if text.count("<") > MAX_TAGS:
        rest = {name: value for name, value in values.items() if name != options.champ}
        return rest, [Lost(options.champ, "texte_trop_balise")]
    shown, hidden = _plain(text) if re.search(r"<[a-zA-Z/!]|&[#\w]+;", text) else (text, "")
    found: dict[str, Any] = {}
    lost = []
    for name, part in _cut(shown, options):
        _add(found, name, part, options)
    for target, part, rule in (
        (options.debut, found.pop("", None), "texte_hors_section"),
        (options.cache, hidden, "texte_cache"),
    ):
        if part and target:
            _add(found, target, part, options)
        elif part:
            lost.append(Lost(options.champ, rule))
    return {**values, options.champ: found}, lost


def _add(found: dict[str, Any], name: str, text: str, options: Sections) -> None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    parts = [_BULLET.sub("", line) for line in lines] if name in options.listes else lines
    given: Any = parts if name in options.listes else "\n".join(parts)
    if not given:
        return
    before = found.get(name)
    # The same marker twice (two telephones): a list of both.
    found[name] = given if before is None else [*_several(before), *_several(given)]


def _cut(text: str, options: Sections) -> list[tuple[str, str]]:
    """Section name (`""` before the first marker) and text of each part, in order."""
    names: dict[str, str] = {}
    for name, given in options.sections.items():
        names |= {_folded(marker): name for marker in _several(given)}
    longest_first = sorted(names, key=len, reverse=True)
    pattern = re.compile("|".join(map(_marker, longest_first)), re.MULTILINE | re.IGNORECASE)
    parts = []
    name, start = "", 0
    for match in pattern.finditer(text):
        parts.append((name, text[start : match.start()]))
        name, start = names[_folded(match.group())], match.end()
    return [(name, part) for name, part in [*parts, (name, text[start:])] if part.strip()]


def _folded(marker: str) -> str:
    return re.sub(r"[\s\ufe0e\ufe0f]+", "", marker).casefold()


def _marker(folded: str) -> str:
    is_symbol = not any(char.isalnum() for char in folded)
    spaced = r"[^\S\n]*".join(map(re.escape, folded))
    return rf"{spaced}[\ufe0e\ufe0f]?" if is_symbol else rf"^[^\S\n]*{spaced}"


def _plain(markup: str) -> tuple[str, str]:
    """What a reader sees, one line per block or table row, and what is hidden."""
    soup = BeautifulSoup(markup, "lxml")
    hidden = []
    for tag in soup.find_all(["script", "style"]):
        tag.extract()
    for tag in soup.find_all(lambda tag: tag.has_attr("hidden") or _is_hidden(tag)):
        hidden.append(tag.get_text(" "))
        tag.extract()
    for link in soup.find_all("a", href=True):
        address = re.sub(r"^(mailto|tel):", "", str(link["href"]).strip())
        if address and address not in link.get_text():
            link.append(f" {address}")
    for tag in soup.find_all("br"):
        tag.replace_with("\n")
    for tag in soup.find_all(["td", "th"]):
        tag.append(" ")
    for tag in soup.find_all("li"):
        tag.insert(0, "- ")
    for tag in soup.find_all(_BLOCKS):
        tag.insert_before("\n")
        tag.append("\n")
    lines = (" ".join(line.split()) for line in soup.get_text().splitlines())
    return "\n".join(lines), " ".join(" ".join(hidden).split())


def _is_hidden(tag: Any) -> bool:
    return bool(_HIDDEN.search(str(tag.get("style") or "")))


def _several(given: str | list[str]) -> list[str]:
    return given if isinstance(given, list) else [given]
