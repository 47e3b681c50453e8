"""Any CSV or Parquet file as a DuckDB table of texts, in the order of the file.

A CSV goes through DuckDB, put in UTF-8 first if need be. What DuckDB would refuse or silently lose
(an odd quote, mixed ends of line) goes through the `csv` module, which reads it or says which
record is wrong: values never land in the wrong column.
"""

from __future__ import annotations

import codecs
import csv
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TextIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

DELIMITERS = ",;\t|"

MAX_CELL = 16 * 1024 * 1024
"""Most characters of one value."""

LIST_SEPARATOR = " ; "
"""Between the items of a list that becomes a text."""

_CHUNK = 1 << 20
_BATCH = 20_000
_SNIFFED_RECORDS = 50
_UNDEFINED_IN_CP1252 = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ENCODING_LABELS = {"cp1252": "Windows-1252", "latin-1": "ISO 8859-1"}
_OTHER_FILES = {
    b"PK\x03\x04": "un classeur ou une archive : l’enregistrer en CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "un classeur Excel : l’enregistrer en CSV (UTF-8)",
    b"\x1f\x8b": "un fichier compressé : le décompresser d’abord",
}
_PARQUET = b"PAR1"


class UnreadableError(ValueError):
    """The file cannot be read as a table. The message, for people, does not name the file."""


class Table(Protocol):
    """A file whose columns are known, and whose rows are not read yet."""

    @property
    def columns(self) -> Sequence[str]:
        """Titles of the columns, in the order of the file; blank for a column without title."""

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of how the file is read."""

    def load(self, con: duckdb.DuckDBPyConnection, name: str, wanted: Mapping[str, str]) -> None:
        """Make the table `name`: the columns `wanted` (new name → title) as texts, in order.

        `rowid` is the rank of the record in the file, from 0. Raises `UnreadableError`.
        """


def open_table(path: Path) -> Table:
    """Recognise a Parquet file or a CSV (delimiter, encoding). Raises `UnreadableError`."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, what in _OTHER_FILES.items():
        if start.startswith(magic):
            raise UnreadableError(f"CSV ou Parquet attendu, trouvé {what}")
    table: Table = (
        _open_parquet(path)
        if start.startswith(_PARQUET) or path.suffix.lower() == ".parquet"
        else _open_csv(path)
    )
    titles = [title for title in table.columns if title]
    twice = sorted({title for title in titles if titles.count(title) > 1})
    if twice:
        raise UnreadableError(f"colonnes répétées : {', '.join(twice)}")
    return table


@dataclass(frozen=True, slots=True)
class _Csv:
    path: Path
    columns: Sequence[str]
    delimiter: str
    encoding: str
    header_lines: int
    """Lines of the file up to the end of the titles."""
    quotes_pair: bool
    """Whether quotes are even: DuckDB may drop what follows one that is never closed."""

    @property
    def notes(self) -> Sequence[str]:
        label = _ENCODING_LABELS.get(self.encoding)
        return [f"le fichier n’est pas en UTF-8 : lu en {label}"] if label else []

    @property
    def is_plain(self) -> bool:
        """Whether DuckDB reads the file without losing or shifting anything, or refuses it."""
        return self.quotes_pair and self.header_lines == 1

    def load(self, con: duckdb.DuckDBPyConnection, name: str, wanted: Mapping[str, str]) -> None:
        places = {ours: self.columns.index(title) for ours, title in wanted.items()}
        if not self.encoding.startswith("utf-8"):
            with TemporaryDirectory() as folder:
                self._in_utf8(Path(folder) / "texte.csv").load(con, name, wanted)
            return
        if self.is_plain:
            selected = ", ".join(f"c{place} AS {ours}" for ours, place in places.items())
            try:
                con.execute(f"CREATE TABLE {name} AS SELECT {selected} FROM {self._scan()}")
                return
            except duckdb.InvalidInputException:
                # Whether something is wrong, and in which record, is for the reader below to say.
                pass
        con.execute(f"CREATE TABLE {name} ({', '.join(f'{ours} VARCHAR' for ours in places)})")
        rows = self._records()
        while batch := list(islice(rows, _BATCH)):
            cells = list(zip(*batch, strict=True))
            con.register("lot", pa.table({ours: cells[place] for ours, place in places.items()}))
            con.execute(f"INSERT INTO {name} SELECT * FROM lot")
            con.unregister("lot")

    def _in_utf8(self, copy: Path) -> _Csv:
        with (
            _text(self.path, self.encoding) as file,
            copy.open("w", encoding="utf-8", newline="") as target,
        ):
            shutil.copyfileobj(file, target, _CHUNK)
        encoding, quotes_pair = _scanned(copy)
        return replace(self, path=copy, encoding=encoding, quotes_pair=quotes_pair)

    def _scan(self) -> str:
        columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(self.columns)))
        return (
            f"read_csv({_path(self.path)}, columns = {{{columns}}}, auto_detect = false,"
            f" header = false, skip = 1, delim = {_literal(self.delimiter)},"
            " quote = '\"', escape = '\"', strict_mode = true)"
        )

    def _records(self) -> Iterator[list[str]]:
        """Records that are not blank, each with as many cells as there are columns."""
        width = len(self.columns)
        with _text(self.path, self.encoding) as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            number = 1
            while True:
                where = f"enregistrement {number} (ligne {reader.line_num + 1})"
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    raise UnreadableError(f"{where} : {_explained(error)}") from None
                if cells is None:
                    return
                if reader.line_num <= self.header_lines or _is_blank_line(cells):
                    continue
                if len(cells) < width or any(cells[width:]):
                    raise UnreadableError(
                        f"{where} : {len(cells)} valeurs pour {width} colonnes"
                        f" (séparateur « {self.delimiter} »)"
                    )
                number += 1
                yield cells[:width]


def _is_blank_line(cells: Sequence[str]) -> bool:
    return not cells or (len(cells) == 1 and not cells[0].strip())


def _explained(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end" in said:
        return "un guillemet ouvert n’est jamais fermé"
    if "field larger" in said:
        return f"une valeur de plus de {MAX_CELL} caractères, ou un guillemet jamais fermé"
    return (
        "un guillemet mal placé ; dans une valeur entre guillemets, un guillemet s’écrit deux fois"
    )


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[TextIO]:
    """A text file opened for the `csv` module, with values as long as `MAX_CELL`."""
    before = csv.field_size_limit(MAX_CELL)
    try:
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise UnreadableError(f"texte illisible en {encoding.upper()} : {error.reason}") from None
    finally:
        csv.field_size_limit(before)


def _open_csv(path: Path) -> _Csv:
    encoding, quotes_pair = _scanned(path)
    best: tuple[tuple[bool, float, int], str, list[str], int] | None = None
    for delimiter in DELIMITERS:
        titles, header_lines, widths = _sniffed(path, encoding, delimiter)
        alike = widths.count(len(titles)) / max(1, len(widths))
        rank = (len(titles) > 1, alike, len(titles))
        if best is None or rank > best[0]:
            best = (rank, delimiter, titles, header_lines)
    if best is None or not any(best[2]):
        raise UnreadableError("fichier vide : une ligne de titres est attendue")
    _, delimiter, titles, header_lines = best
    return _Csv(path, titles, delimiter, encoding, header_lines, quotes_pair)


def _sniffed(path: Path, encoding: str, delimiter: str) -> tuple[list[str], int, list[int]]:
    """Titles, lines that they take, and the widths of the first records."""
    titles: list[str] = []
    header_lines = 0
    widths: list[int] = []
    with _text(path, encoding) as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for cells in reader:
                if not titles and any(map(str.strip, cells)):
                    titles, header_lines = [cell.strip() for cell in cells], reader.line_num
                elif cells:
                    widths.append(len(cells))
                if len(widths) == _SNIFFED_RECORDS:
                    break
        except csv.Error:
            pass
    return titles, header_lines, widths


def _scanned(path: Path) -> tuple[str, bool]:
    """Encoding of a text, and whether its quotes are even.

    UTF-8 unless a byte says otherwise, then Windows-1252. Raises `UnreadableError` when a text that
    is plainly in UTF-8 holds a byte that is not.
    """
    with path.open("rb") as file:
        start = file.read(1 << 16)
    for bom, encoding in _BOMS.items():
        if start.startswith(bom) and encoding == "utf-16":
            return encoding, False
    for shift, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start[shift::2].count(0) > 0.3 * max(8, len(start) // 2):
            return encoding, False
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    quotes, lines, beyond_ascii, undefined, wrong = 0, 1, False, False, False
    with path.open("rb") as file:
        chunk = start
        while chunk:
            chunk = file.read(_CHUNK)
            quotes += chunk.count(b'"')
            undefined = undefined or any(byte in chunk for byte in _UNDEFINED_IN_CP1252)
            if wrong:
                continue
            try:
                beyond_ascii |= not decoder.decode(chunk, final=not chunk).isascii()
            except UnicodeDecodeError as error:
                before = error.object[: error.start]
                if beyond_ascii or not before.isascii():
                    line = lines + before.count(b"\n")
                    raise UnreadableError(
                        f"ligne {line} : un octet n’est pas de l’UTF-8, comme l’est le reste ;"
                        " corriger cette ligne, ou enregistrer le fichier en UTF-8"
                    ) from None
                wrong = True
            lines += chunk.count(b"\n")
    if wrong:
        return ("latin-1" if undefined else "cp1252"), False
    return ("utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"), quotes % 2 == 0


@dataclass(frozen=True, slots=True)
class _Parquet:
    path: Path
    columns: Sequence[str]
    notes: Sequence[str] = ()

    def load(self, con: duckdb.DuckDBPyConnection, name: str, wanted: Mapping[str, str]) -> None:
        scan = f"read_parquet({_path(self.path)})"
        try:
            described = con.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
            selected = ", ".join(
                f"{_as_text(*described[self.columns.index(title)][:2])} AS {ours}"
                for ours, title in wanted.items()
            )
            con.execute(f"CREATE TABLE {name} AS SELECT {selected} FROM {scan}")
        except duckdb.Error as error:
            said = str(error).partition("\n")[0]
            if "utf" in said.lower() or "unicode" in said.lower():
                said = f"un texte n’est pas de l’UTF-8 ({said[:200]})"
            raise UnreadableError(f"Parquet illisible : {said}") from None


def _open_parquet(path: Path) -> _Parquet:
    try:
        return _Parquet(path, [title.strip() for title in pq.read_schema(path).names])
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"Parquet illisible : {error}") from None


def _as_text(column: str, kind: str) -> str:
    """SQL of a column of any type as the text that a person would write."""
    name = '"' + column.replace('"', '""') + '"'
    text = f"CAST({name} AS VARCHAR)"
    if kind in {"FLOAT", "DOUBLE"}:
        whole = f"isfinite({name}) AND {name} = trunc({name}) AND abs({name}) < 1e15"
        return f"CASE WHEN {whole} THEN CAST(CAST({name} AS BIGINT) AS VARCHAR) ELSE {text} END"
    if kind.startswith("DECIMAL"):
        whole = f"rtrim(rtrim({text}, '0'), '.')"
        return f"CASE WHEN contains({text}, '.') THEN {whole} ELSE {text} END"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"CAST({name} AT TIME ZONE 'UTC' AS VARCHAR)"
    if kind == "BLOB":
        return f"coalesce(TRY(decode({name})), {text})"
    if kind.endswith("]"):
        return f"array_to_string(CAST({name} AS VARCHAR[]), '{LIST_SEPARATOR}')"
    return text


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _path(path: Path) -> str:
    """SQL of a path of which no character stands for others."""
    return _literal(re.sub(r"([*?\[])", r"[\1]", str(path.absolute())))
