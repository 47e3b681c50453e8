"""Spreadsheets: XLSX (Office Open XML, strict or not) and ODS (OpenDocument), one sheet of them.

Values only: formulas give the result that was saved with them, cells in error are empty. Whole
numbers are written without `.0`, dates in ISO 8601, durations as `h:mm:ss`; a percentage is the
number that it stands for. Rows above the header (a title, a date) are passed over.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from typing import Annotated, Any

from pydantic import Field
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from lowtech_data.extract.base import Page, PayloadError, Platform, Row, mask
from lowtech_data.extract.decode import binary_format, decode, refuse_markup
from lowtech_data.registry import Source, Strict

MAX_UNPACKED = 200_000_000
"""Bytes of a workbook once unpacked; the XML of a spreadsheet is ten to thirty times its file."""

MAX_CELLS = 10_000_000
"""Cells between the first one and the farthest one, empty ones included: they all take memory."""

_EXPECTED = "un classeur XLSX ou ODS"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_FILLED_CELL = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br=[\"']([A-Z]{1,3})([0-9]{1,7})[\"'][^>]*(?<!/)>")


class Options(Strict):
    """Which sheet of the workbook is the listing, and where it begins."""

    feuille: Annotated[int, Field(ge=1)] | str | None = None
    """Name of a sheet, even a hidden one, or rank among those that are seen, from 1. It is needed
    when more than one visible sheet holds something."""
    ligne_entete: Annotated[int, Field(ge=1)] | None = None
    """Number of the row of column titles; the first with two filled cells when it is not told."""


def _rows(source: Source, page: Page) -> Iterator[Row]:
    options = Options.model_validate(source.options)
    _refuse_other_formats(page)
    _check_archive(page.body)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(page.body)) as workbook:
            yield from _records(_sheet(workbook, options.feuille), options.ligne_entete)
    except PasswordError as error:
        raise PayloadError(_locked()) from error
    except CalamineError as error:
        raise PayloadError(
            f"classeur illisible ({mask(str(error))}) ; l’ouvrir et l’enregistrer de nouveau en"
            " XLSX ou ODS, ou demander un CSV à la source"
        ) from error


def _refuse_other_formats(page: Page) -> None:
    body = page.body
    if body.startswith(b"PK\x03\x04"):
        return
    if body.startswith(_OLE) and _OLE_ENCRYPTED in body:
        raise PayloadError(_locked())
    if name := binary_format(body):
        raise PayloadError(
            f"attendu {_EXPECTED}, trouvé {name} ; l’enregistrer en XLSX ou ODS, ou demander un"
            " CSV à la source"
        )
    if not body.strip():
        raise PayloadError(f"attendu {_EXPECTED}, trouvé une réponse vide")
    if body[:2000].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        refuse_markup(decode(page).text, _EXPECTED)
    start = mask(body[:60].decode("utf-8", "replace"))
    raise PayloadError(
        f"attendu {_EXPECTED}, trouvé des octets qui commencent par {start!r} ; pour du CSV,"
        " plateforme: csv"
    )


def _locked() -> str:
    return (
        "classeur protégé par un mot de passe : demander à la source un fichier ouvert ; un"
        " classeur protégé n’est pas publié pour être repris"
    )


def _check_archive(body: bytes) -> None:
    """Raise `PayloadError` for what would take too much memory, or cannot be opened."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > MAX_UNPACKED:
                raise PayloadError(
                    f"classeur refusé : {unpacked} octets une fois décompressé, pour"
                    f" {MAX_UNPACKED} au plus ; demander un CSV à la source"
                )
            if any(entry.flag_bits & 1 for entry in entries):
                raise PayloadError(_locked())
            for entry in entries:
                if entry.filename.endswith((".xml", ".rels")):
                    # Read to the end: a size that lies is found out by its checksum.
                    _check_part(entry.filename, archive.read(entry))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise PayloadError(
            f"classeur tronqué ou abîmé ({mask(str(error))}) ; moissonner de nouveau"
        ) from error


def _check_part(name: str, content: bytes) -> None:
    if name == "META-INF/manifest.xml" and b"encryption-data" in content:
        raise PayloadError(_locked())
    if not name.startswith("xl/worksheets/"):
        return
    columns, last = set(), 0
    for cell in _FILLED_CELL.finditer(content):
        columns.add(cell[1])
        last = max(last, int(cell[2]))
    width = max(map(_column_number, columns), default=0)
    if width * last > MAX_CELLS:
        farthest = max(columns, key=_column_number).decode()
        raise PayloadError(
            f"{name} : {last} lignes jusqu’à la colonne {farthest}, plus de {MAX_CELLS} cellules ;"
            " une cellule perdue au loin suffit : l’effacer, ou demander un CSV à la source"
        )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _sheet(workbook: CalamineWorkbook, wanted: int | str | None) -> CalamineSheet:
    sheets = [s for s in workbook.sheets_metadata if s.typ is SheetTypeEnum.WorkSheet]
    visible = [s.name for s in sheets if s.visible is SheetVisibleEnum.Visible]
    if not sheets:
        raise PayloadError(f"attendu {_EXPECTED}, trouvé une archive ZIP sans feuille de calcul")
    if wanted is not None:
        return workbook.get_sheet_by_name(_named(wanted, sheets, visible))
    filled = [s for name in visible if (s := workbook.get_sheet_by_name(name)).start]
    if not filled:
        raise PayloadError("classeur vide : aucune feuille visible ne contient de cellule")
    if len(filled) > 1:
        names = ", ".join(f"« {sheet.name} »" for sheet in filled)
        raise PayloadError(f"plusieurs feuilles remplies : {names} ; en nommer une (feuille)")
    return filled[0]


def _named(wanted: int | str, sheets: Sequence[SheetMetadata], visible: Sequence[str]) -> str:
    if isinstance(wanted, int) and wanted <= len(visible):
        return visible[wanted - 1]
    if wanted in {sheet.name for sheet in sheets}:
        return str(wanted)
    names = ", ".join(f"« {name} »" for name in visible) or "aucune visible"
    raise PayloadError(f"feuille absente : {wanted!r} ; trouvé : {names}")


_Row = tuple[int, list[Any]]
"""A row by its number, as the spreadsheet shows it, and its cells from the first used column."""


def _records(sheet: CalamineSheet, header: int | None) -> Iterator[Row]:
    rows = (
        (number, [_value(cell) for cell in cells])
        for number, cells in enumerate(sheet.iter_rows(), 1)
    )
    filled = (row for row in rows if any(map(_is_filled, row[1])))
    number, titles = _header(sheet.name, filled, header)
    left = sheet.start[1] if sheet.start else 0
    names = _names(f"{sheet.name}!A{number}", titles, left)
    for number, cells in filled:
        values = {
            name: cell
            for name, title, cell in zip(names, titles, cells, strict=True)
            # A column without a title is data only where it holds something.
            if _is_filled(title) or _is_filled(cell)
        }
        yield Row(f"{sheet.name}!A{number}", values)


def _header(sheet: str, filled: Iterator[_Row], wanted: int | None) -> _Row:
    for number, cells in filled:
        if number == wanted or (wanted is None and sum(map(_is_filled, cells)) > 1):
            return number, cells
        if wanted is not None and number > wanted:
            break
    if wanted is None:
        raise PayloadError(
            f"feuille « {sheet} » : aucune ligne n’a deux cellules remplies ; dire où sont les"
            " titres des colonnes (ligne_entete)"
        )
    raise PayloadError(f"{sheet}!A{wanted} : ligne vide, attendu les titres des colonnes")


def _names(where: str, titles: Sequence[Any], left: int) -> list[str]:
    names = [
        " ".join(str(title).split()) or f"colonne_{index}"
        for index, title in enumerate(titles, left + 1)
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise PayloadError(f"{where} : colonne répétée dans l’en-tête : {', '.join(twice)}")
    return names


def _is_filled(cell: Any) -> bool:
    return not isinstance(cell, str) or bool(cell.strip())


def _value(cell: Any) -> Any:
    match cell:
        case float() if cell.is_integer():
            return int(cell)
        case date() | time():
            return cell.isoformat()
        case timedelta():
            minutes, seconds = divmod(round(cell.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        case _:
            return cell


PLATFORM = Platform(name="tableur", rows=_rows, options=Options)
