"""CSV and TSV files, with or without a header row.

A row that has not as many cells as there are columns is never read: its values would land in the
wrong fields. A stray quote costs one row, not the rows that it would swallow.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from lowtech_data.extract.base import Page, PayloadError, Platform, Row, Unreadable
from lowtech_data.extract.decode import decode, refuse_markup
from lowtech_data.registry import Source, Strict

_SEPARATORS = ",;\t|"


class Options(Strict):
    """Dialect of the file."""

    separateur: Annotated[str, Field(min_length=1, max_length=1)] = ","
    r"""One character; `"\t"` for TSV."""
    encodage: str | None = None
    """Charset of the file, when the server does not say it."""
    colonnes: list[str] | None = None
    """Names of the columns when the file has no header row."""
    lignes_a_sauter: Annotated[int, Field(ge=0)] = 0
    """Lines above the header (a title, units), or above the data when `colonnes` is given."""


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = Options.model_validate(source.options)
    text = decode(page, options.encodage).text
    refuse_markup(text, "un fichier CSV")
    lines = list(io.StringIO(text, newline=""))
    records = _records(lines, options.lignes_a_sauter, options.separateur)
    columns = options.colonnes or _header(records, options)
    for first, last, cells in records:
        where = f"ligne {first}" if first == last else f"lignes {first} à {last}"
        if cells is None:
            yield Unreadable(
                where, "ligne_mal_formee", "guillemet mal placé ou cellule trop longue"
            )
        elif len(cells) != len(columns):
            yield Unreadable(
                where, "nombre_de_colonnes", f"{len(cells)} cellules pour {len(columns)} colonnes"
            )
        else:
            yield Row(where, dict(zip(columns, cells, strict=True)))


def _records(
    lines: Sequence[str], skipped: int, separator: str
) -> Iterator[tuple[int, int, list[str] | None]]:
    """First line, last line and cells of each record that is not blank; `None` for a broken one."""
    start = skipped
    while start < len(lines):
        rest = (lines[index] for index in range(start, len(lines)))
        reader = csv.reader(rest, delimiter=separator, strict=True)
        first = start
        try:
            for cells in reader:
                last = start + reader.line_num
                if any(map(str.strip, cells)):
                    yield first + 1, last, cells
                first = last
            return
        except csv.Error:
            # The reader may have swallowed good rows before it noticed: resume right after the
            # line where the broken record begins.
            yield first + 1, first + 1, None
            start = first + 1


def _header(
    records: Iterator[tuple[int, int, list[str] | None]], options: Options
) -> Sequence[str]:
    line, _, cells = next(records, (0, 0, None))
    if not line:
        raise PayloadError("fichier CSV vide : pas de ligne d’en-tête")
    if cells is None:
        raise PayloadError(f"ligne {line} : en-tête mal formé (guillemet mal placé)")
    names = [cell.strip() or f"colonne_{index}" for index, cell in enumerate(cells, 1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise PayloadError(f"ligne {line} : colonne répétée dans l’en-tête : {', '.join(twice)}")
    if len(names) == 1:
        other = max(_SEPARATORS, key=names[0].count)
        if other != options.separateur and other in names[0]:
            raise PayloadError(
                f"ligne {line} : une seule colonne avec le séparateur {options.separateur!r} ;"
                f" le fichier semble séparé par {other!r}"
            )
    return names


PLATFORM = Platform(name="csv", rows=_rows, options=Options)
