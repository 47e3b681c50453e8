"""Answers kept from one pass to the next: one Parquet file per service, whole or absent."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lowtech_data import files
from lowtech_data.warehouse import Warehouse, WarehouseBusyError


class EnrichmentError(Exception):
    """A pass that cannot begin or go on; the message says what to do."""


def folder(warehouse: Warehouse) -> Path:
    """Where the caches of a warehouse are."""
    return warehouse.root / "enrichissements"


def digest(*asked: str | None) -> str:
    """SHA-256 of what is sent to a service: the key of its answer, which says nothing by itself."""
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


@contextmanager
def held(warehouse: Warehouse) -> Iterator[None]:
    """Hold the caches for one pass; a harvest or a publication may run meanwhile.

    Raises `WarehouseBusyError` at once when another pass has them.
    """
    directory = folder(warehouse)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "verrou").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WarehouseBusyError(
                f"{directory} est déjà en cours d’écriture par un autre enrichissement : "
                "attendre sa fin"
            ) from None
        files.remove_partials(directory)
        yield


class Cache:
    """Rows by the text of their first column, in one file.

    Rows put are in the file once `save` returns; a pass that is killed keeps what was saved.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Read the file when there is one. Raises `EnrichmentError` when it is not such a cache."""
        self._path = path
        self._schema = schema
        self._key = schema.names[0]
        self._changed = False
        self._rows: dict[str, dict[str, Any]] = {}
        if path.is_file():
            try:
                table = pq.read_table(path)
            except (pa.ArrowInvalid, OSError) as error:
                raise self._unreadable(str(error)) from error
            if table.schema.names != schema.names:
                raise self._unreadable(
                    f"colonnes attendues : {', '.join(schema.names)} ; "
                    f"trouvées : {', '.join(table.schema.names)}"
                )
            self._rows = {row[self._key]: row for row in table.cast(schema).to_pylist()}

    def get(self, key: str) -> dict[str, Any] | None:
        """The row of that key."""
        return self._rows.get(key)

    def put(self, row: Mapping[str, Any]) -> None:
        """Keep a row, in place of the one that had its key. Columns left out are empty."""
        key: str = row[self._key]
        kept = {name: row.get(name) for name in self._schema.names}
        self._changed = self._changed or self._rows.get(key) != kept
        self._rows[key] = kept

    def save(self) -> None:
        """Write the file, rows in the order of their keys, when something changed."""
        if not self._changed:
            return
        sink = pa.BufferOutputStream()
        pq.write_table(self.table(), sink, compression="zstd")
        files.write_bytes(self._path, sink.getvalue().to_pybytes())
        self._changed = False

    def table(self) -> pa.Table:
        """Every row, in the order of their keys."""
        return pa.Table.from_pylist([self._rows[key] for key in sorted(self._rows)], self._schema)

    def _unreadable(self, found: str) -> EnrichmentError:
        return EnrichmentError(
            f"{self._path} : ce n’est pas la mémoire d’un enrichissement ({found}) ; "
            "supprimer ce fichier, tout sera redemandé"
        )
