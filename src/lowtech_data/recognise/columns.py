"""Texts in columns: their dialect, and what the cells of a column look like."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any


def csv_dialect(text: str) -> dict[str, Any] | None:
    """Options of the platform `csv`, or nothing when lines have no common number of cells."""
    best: tuple[float, str, list[list[str]]] = (0, "", [])
    for separator in ",;\t|":
        cells = list(itertools.islice(csv.reader(io.StringIO(text), delimiter=separator), 50))
        lines = [line for line in cells if any(map(str.strip, line))]
        width, same = Counter(map(len, lines)).most_common(1)[0] if lines else (0, 0)
        if width > 1 and same >= 0.5 * len(lines) and len(lines) > 1:
            best = max(best, (width * same / len(lines), separator, lines))
    _, separator, lines = best
    if not lines:
        return None
    options: dict[str, Any] = {} if separator == "," else {"separateur": separator}
    names = [cell.strip() for cell in lines[0]]
    if any(is_value(cell) for cell in names):
        options["colonnes"] = _names_by_content(list(zip(*_even(lines), strict=True)))
    elif len(set(filter(None, names))) < len([name for name in names if name]):
        options |= {"colonnes": _apart(names), "lignes_a_sauter": 1}
    return options


def _even(lines: Sequence[list[str]]) -> list[list[str]]:
    width = Counter(map(len, lines)).most_common(1)[0][0]
    return [line for line in lines if len(line) == width]


def is_value(cell: str) -> bool:
    """Whether a cell of a first line is data: no column is named so."""
    return bool(re.search(r"https?://|\S@\S|^\d{4,}$|^-?\d+[.,]\d+$", cell))


def _names_by_content(columns: Sequence[Sequence[str]]) -> list[str]:
    """Names for columns that have none: by what their cells look like, else their number."""
    names: list[str] = []
    for number, cells in enumerate(columns, 1):
        filled = [cell.strip() for cell in cells if cell.strip()]
        name = next((n for n, shape in _SHAPES if filled and share(filled, shape) >= 0.6), None)
        name = name or ("nom" if number == 1 else f"colonne_{number}")
        if name == "code_postal":
            names = ["adresse" if n == f"colonne_{number - 1}" else n for n in names]
        if names and names[-1] == "code_postal" and name.startswith("colonne_"):
            name = "commune"
        names.append(name)
    return _apart(names)


def _apart(names: Sequence[str]) -> list[str]:
    met: Counter[str] = Counter()
    told = []
    for number, given in enumerate(names, 1):
        name = given or f"colonne_{number}"
        met[name] += 1
        told.append(name if met[name] == 1 else f"{name}_{met[name]}")
    return told


MAIL = re.compile(r"[^\s@]+@[^\s@]+\.\w+")
_PHONE = re.compile(r"(?:\+?33|0)?[\s.]?[1-9](?:[\s.-]?\d{2}){4}")
MOBILE = re.compile(r"(?:\+?33|0)\s?[67](?:[\s.-]?\d{2}){4}")
_SHAPES = (
    ("courriel", MAIL),
    ("site_web", re.compile(r"(?:https?://|www\.)\S+")),
    ("code_postal", re.compile(r"\d{4,5}")),
    ("telephone", _PHONE),
)


def share(values: Sequence[Any], shape: re.Pattern[str]) -> float:
    """Share of the values, blanks around them aside, that have a shape from end to end."""
    return sum(1 for v in values if shape.fullmatch(str(v).strip())) / max(len(values), 1)
