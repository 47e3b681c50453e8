"""Matching a file that anyone may have: CSV or Parquet in, clusters and pairs out.

Columns are recognised by their name, or by the renames that the caller gives; others are noted and
left aside. Everything is checked before the work begins, and each refusal says what to do.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ftfy
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from lowtech_data.resolve import MatchError, Matching, match
from lowtech_data.resolve.decisions import Decisions
from lowtech_data.resolve.features import COLUMNS

ONE_SOURCE = "fichier"
"""Source of the records of a file that names none."""

PAIR_COLUMNS = ("source_a", "cle_a", "source_b", "cle_b", "score", "decision", "details")

_DELIMITERS = ",;\t|"
_DAMAGED = ("Ã", "â€", "Â")
_MAX_SHOWN = 3


class MatchInputError(ValueError):
    """The file cannot be matched. The message is for the person who gave it."""


@dataclass(frozen=True, slots=True)
class FileMatching:
    """What was matched, and what was noted on the way."""

    records: int
    clusters: int
    matching: Matching
    notes: list[str]


def match_file(
    records: Path,
    out: Path,
    *,
    pairs: Path | None = None,
    decisions: Path | None = None,
    renames: Mapping[str, str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> FileMatching:
    """Match the records of a CSV or Parquet file, and write clusters (and pairs) by extension.

    `renames` maps our column names to the file's. Clusters are `source, cle_source, cluster`; pairs
    are `PAIR_COLUMNS`. Files are written beside, then renamed.

    Raises `MatchInputError` for a file that cannot be matched, `DecisionError` for wrong decisions.
    """
    for path in filter(None, (out, pairs)):
        _check_extension(path)
    table, notes = _prepare(_read(records), renames or {}, records)
    if decisions and not decisions.exists():
        raise MatchInputError(f"{decisions} : fichier de décisions introuvable")
    known = Decisions.load(decisions) if decisions else None
    with duckdb.connect() as con:
        con.register("fiches_a_apparier", table)
        try:
            matching = match(con, "fiches_a_apparier", decisions=known, progress=progress)
        except MatchError as error:
            raise MatchInputError(f"{records} : {error}") from None
    _write(matching.clusters, out)
    if pairs:
        _write(matching.pairs.select(PAIR_COLUMNS), pairs)
    count = len(matching.clusters.column("cluster").unique())
    return FileMatching(table.num_rows, count, matching, [*notes, *matching.warnings])


def _check_extension(path: Path) -> None:
    if path.suffix.lower() not in {".csv", ".parquet"}:
        raise MatchInputError(f"{path} : extension attendue : .csv ou .parquet")
    if not path.parent.is_dir():
        raise MatchInputError(f"{path} : le dossier {path.parent} n’existe pas")


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise MatchInputError(f"{path} : fichier introuvable")
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path)
        return _read_csv(path)
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
        raise MatchInputError(f"{path} : illisible : {error}") from None


def _read_csv(path: Path) -> pa.Table:
    """A CSV as text columns, whatever its delimiter; Windows-1252 when it is not UTF-8."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252")
    header = text.partition("\n")[0]
    if not header.strip():
        raise MatchInputError(f"{path} : fichier vide : une ligne de titres est attendue")
    delimiter = max(_DELIMITERS, key=header.count)
    rows = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    names = [name.strip() for name in rows[0]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MatchInputError(f"{path} : colonnes répétées : {', '.join(twice)}")
    body = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    for number, row in enumerate(body, start=2):
        if len(row) != len(names):
            raise MatchInputError(
                f"{path} : enregistrement {number} : {len(row)} valeurs pour {len(names)} colonnes"
                f" (séparateur « {delimiter} »)"
            )
    columns = list(zip(*body, strict=True)) or [()] * len(names)
    return pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)}
    )


def _prepare(table: pa.Table, renames: Mapping[str, str], path: Path) -> tuple[pa.Table, list[str]]:
    """The columns that matching reads, under our names, checked; and what was noted."""
    unknown = sorted(set(renames) - set(COLUMNS))
    if unknown:
        raise MatchInputError(
            f"colonnes inconnues : {', '.join(unknown)}. Possibles : {', '.join(COLUMNS)}"
        )
    absent = sorted(theirs for theirs in renames.values() if theirs not in table.column_names)
    if absent:
        raise MatchInputError(
            f"{path} : colonnes absentes : {', '.join(absent)}."
            f" Le fichier a : {', '.join(table.column_names)}"
        )
    names = {ours: renames.get(ours, ours) for ours in COLUMNS}
    found = {ours: theirs for ours, theirs in names.items() if theirs in table.column_names}
    for needed in ("cle_source", "nom"):
        if needed not in found:
            raise MatchInputError(
                f"{path} : il manque la colonne « {needed} » ; si elle porte un autre titre :"
                f" --map {needed}=titre. Le fichier a : {', '.join(table.column_names)}"
            )
    ignored = sorted(set(table.column_names) - set(found.values()))
    notes = [f"colonnes laissées de côté : {', '.join(ignored)}"] if ignored else []
    ready = pa.table({ours: _column(table.column(theirs)) for ours, theirs in found.items()})
    if "source" not in found:
        ready = ready.append_column("source", pa.array([ONE_SOURCE] * table.num_rows, pa.string()))
    _check_rows(ready, path)
    return ready, notes


def _column(column: pa.ChunkedArray) -> pa.Array:
    """A column as text (lists of texts stay lists), with mojibake repaired."""
    if pa.types.is_list(column.type):
        return column.combine_chunks()
    values = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.array(
        [ftfy.fix_text(v) if v and any(mark in v for mark in _DAMAGED) else v for v in values],
        pa.string(),
    )


def _check_rows(table: pa.Table, path: Path) -> None:
    seen: dict[tuple[str | None, str | None], int] = {}
    problems: list[str] = []
    names, keys, sources = (
        table.column(column).to_pylist() for column in ("nom", "cle_source", "source")
    )
    for number, (name, key, source) in enumerate(zip(names, keys, sources, strict=True), start=1):
        if not (key and key.strip()):
            problems.append(f"enregistrement {number} : cle_source vide")
        elif not (source and source.strip()):
            problems.append(f"enregistrement {number} : source vide")
        elif not (name and name.strip()):
            problems.append(f"enregistrement {number} : nom vide ({source}:{key})")
        elif (source, key) in seen:
            first = seen[source, key]
            problems.append(f"enregistrement {number} : clé {source}:{key} déjà au n° {first}")
        seen.setdefault((source, key), number)
    if problems:
        more = len(problems) - _MAX_SHOWN
        tail = f" ; et {more} autres" if more > 0 else ""
        raise MatchInputError(f"{path} : " + " ; ".join(problems[:_MAX_SHOWN]) + tail)


def _write(table: pa.Table, path: Path) -> None:
    beside = path.with_name(f".{path.name}.nouveau")
    if path.suffix.lower() == ".parquet":
        pq.write_table(table, beside)
    else:
        pacsv.write_csv(table, beside, pacsv.WriteOptions(quoting_style="needed"))
    beside.replace(path)
