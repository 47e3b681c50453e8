"""Listings kept by hand in the repository: tab-separated, UTF-8, `#` comments, strict columns.

A column is named after the field that it fills (`nom`, `commune`, `categories`…), unless `champs`
or `ignorer` says otherwise. Cells of list fields separate values with `|`. A mistake in the file is
an error that names its lines: whoever edits the file can correct it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowtech_data.extract.base import (
    LIST_FIELDS,
    TARGETS,
    Page,
    PayloadError,
    Platform,
    Row,
    declared_columns,
)
from lowtech_data.extract.decode import decode
from lowtech_data.registry import Source, Strict

_LISTS = frozenset({*LIST_FIELDS, "categories"})


class Options(Strict):
    """What the file must look like."""

    colonnes: list[str] | None = None
    """The exact columns, in order, when the file must not drift from them."""


def _rows(source: Source, page: Page) -> Iterator[Row]:
    options = Options.model_validate(source.options)
    decoded = decode(page, "utf-8")
    if decoded.encoding != "utf-8":
        raise PayloadError(f"attendu de l’UTF-8, trouvé {decoded.encoding}")
    lines = [
        (number, line.split("\t"))
        for number, line in enumerate(decoded.text.replace("\r\n", "\n").split("\n"), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise PayloadError("fichier vide : pas de ligne d’en-tête")
    columns = [cell.strip() for cell in lines[0][1]]
    _check_columns(columns, lines[0][0], source, options)
    wrong = [
        f"ligne {number} : {len(cells)} cellules pour {len(columns)} colonnes"
        for number, cells in lines[1:]
        if len(cells) != len(columns)
    ]
    if wrong:
        raise PayloadError(" ; ".join(wrong))
    for number, cells in lines[1:]:
        yield Row(f"ligne {number}", _values(columns, cells))


def _values(columns: Sequence[str], cells: Sequence[str]) -> Mapping[str, Any]:
    return {
        column: [part.strip() for part in cell.split("|")] if column in _LISTS else cell.strip()
        for column, cell in zip(columns, cells, strict=True)
    }


def _check_columns(columns: Sequence[str], line: int, source: Source, options: Options) -> None:
    if options.colonnes and columns != options.colonnes:
        raise PayloadError(
            f"ligne {line} : colonnes attendues : {', '.join(options.colonnes)} ;"
            f" trouvées : {', '.join(columns)}"
        )
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise PayloadError(f"ligne {line} : colonne répétée : {', '.join(twice)}")
    declared = declared_columns(source, PLATFORM)
    for column in columns:
        if not declared(column):
            near = difflib.get_close_matches(column, TARGETS, n=1)
            hint = f" ; vouliez-vous dire « {near[0]} » ?" if near else ""
            raise PayloadError(f"ligne {line} : colonne inconnue : {column!r}{hint}")


PLATFORM = Platform(
    name="curated_tsv",
    rows=_rows,
    options=Options,
    mapping={target: target for target in sorted(TARGETS)},
)
