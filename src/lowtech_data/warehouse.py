"""Where a run writes: one directory, one writer at a time.

`docs/architecture.md` lists what lies where. Two warehouses never share state.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lowtech_data import files


class WarehouseBusyError(RuntimeError):
    """Another run holds the warehouse; the message names it."""


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Paths of a warehouse, and its lock."""

    root: Path

    @property
    def captures(self) -> Path:
        """Closed zone of received bytes (mode 0700)."""
        return self.root / "captures"

    @property
    def database(self) -> Path:
        """DuckDB file of the last refinement: every published table, and the clean fiches."""
        return self.root / "entrepot.duckdb"

    @property
    def ledger(self) -> Path:
        """Founder ledger of the identifiers this warehouse has issued."""
        return self.root / "registre.jsonl"

    @property
    def candidate_ledger(self) -> Path:
        """Ledger that goes with `database`, published with the release made from it."""
        return self.root / "registre.candidat.jsonl"

    @property
    def candidate(self) -> Path:
        """The release being built; an interrupted run's is removed by the next one."""
        return self.releases / ".part-candidat"

    @property
    def releases(self) -> Path:
        """Published releases, and the link to the current one."""
        return self.root / "releases"

    @property
    def current_link(self) -> Path:
        """Link to the newest release."""
        return self.releases / "courante"

    def current_release(self) -> Path | None:
        """Directory of the newest release, resolved; `None` before the first."""
        return self.current_link.resolve() if self.current_link.exists() else None

    def snapshot_link(self, source_id: str) -> Path:
        """Link to the last known state of one source."""
        return self.root / "fiches" / source_id / "courant"

    @contextmanager
    def writing(self, command: str, now: datetime) -> Iterator[None]:
        """Hold the warehouse for one run, and clear what an interrupted one left.

        Raises `WarehouseBusyError` at once, naming the holder, when another process has it. The
        system frees the lock when its holder dies, however it dies.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "verrou").open("a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise WarehouseBusyError(
                    f"{self.root} est déjà en cours d’écriture par {_holder(lock.read())} : "
                    "attendre sa fin, ou choisir un autre dossier avec --warehouse"
                ) from None
            lock.truncate(0)
            lock.write(
                json.dumps({"commande": command, "pid": os.getpid(), "depuis": now.isoformat()})
            )
            lock.flush()
            for directory in (self.root / "fiches", self.releases):
                files.remove_partials(directory)
            for leftover in self.root.glob(".part-*"):
                leftover.unlink(missing_ok=True)
            try:
                yield
            finally:
                lock.truncate(0)


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
    except ValueError:
        return "une autre exécution"
    return f"« {holder['commande']} » (processus {holder['pid']}, depuis {holder['depuis']})"
