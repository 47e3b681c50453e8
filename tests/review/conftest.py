"""A warehouse with a queue, and a steward at its terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from lowtech_data import review
from lowtech_data.model import TABLES
from lowtech_data.resolve.decisions import Decisions, append, new_decision
from lowtech_data.warehouse import Warehouse

DETAILS = {
    "cles": ["mot_lieu", "page"],
    "contre": "antenne",
    "veto": "autre_adresse",
    "metres": 878.0,
    "hote": "b",
    "rna": None,
    "depart": {"bits": -0.65},
    "autres_histoires": {"bits": -0.01},
    "nom": {"niveau": "egal", "bits": 12.0},
    "reste": {"niveau": "un_cote", "bits": 0.5},
    "lieu": {"niveau": "autre_adresse", "bits": -4.25},
}


@dataclass
class Office:
    """A warehouse made row by row, and the file of its decisions."""

    root: Path

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.root)

    @property
    def path(self) -> Path:
        return self.root / "curated" / "decisions.jsonl"

    def refine(
        self,
        fiches: Mapping[str, Mapping[str, Any]],
        pairs: Iterable[tuple[str, str, float | None]],
        identifiers: Mapping[str, str] | None = None,
    ) -> None:
        """Fiche key → its columns; pairs to review; id → day it was issued."""
        self.warehouse.database.unlink(missing_ok=True)
        with duckdb.connect(str(self.warehouse.database)) as con:
            for name in ("fiches", "paires", "identifiants"):
                con.execute(TABLES[name].duckdb_ddl())
            for key, said in fiches.items():
                source, _, rest = key.partition(":")
                self._insert(con, "fiches", {"source_id": source, "cle_source": rest, **said})
            for a, b, score in pairs:
                row = {"a": a, "b": b, "score": score, "decision": "a_revoir"}
                row |= {"decide_par": "regle", "predicat": "demenage", "motif": "autre_adresse"}
                self._insert(con, "paires", row | {"details": json.dumps(DETAILS)})
            for identifier, day in (identifiers or {}).items():
                row = {"id": identifier, "cree_le": day, "etat": "actif"}
                self._insert(con, "identifiants", row)

    @staticmethod
    def _insert(con: duckdb.DuckDBPyConnection, table: str, row: Mapping[str, Any]) -> None:
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        con.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values()))

    def decide(self, decision: str, a: str, b: str, **content: Any) -> str:
        line = new_decision(
            self.decisions(), date="2026-11-01", qui="equipe", decision=decision,
            a=a, b=b, motif="vu sur place", **content,
        )  # fmt: skip
        append(self.path, line)
        return line.id

    def decisions(self) -> Decisions:
        return Decisions.load(self.path)

    def sit(
        self, keys: Iterable[str], *, lines: Iterable[str] = (), width: int = 80
    ) -> tuple[int, str]:
        """Press these keys, then leave; the number of decisions written, and what was shown."""
        typed, written = iter(keys), iter(lines)
        console = Console(file=io.StringIO(), width=width, highlight=False)

        def key() -> str:
            pressed = next(typed, None)
            if pressed is None:
                raise EOFError
            return pressed

        terminal = review.Terminal(console, key, lambda prompt: next(written))
        session = review.open_session(
            self.warehouse, self.path, terminal, who="relecture", day=date(2026, 11, 21)
        )
        count = session.run()
        assert isinstance(console.file, io.StringIO)
        return count, console.file.getvalue()


PORT = {
    "nom": "Atelier Vélo du Port", "adresse": "12 rue du Port", "code_postal": "29900",
    "commune": "Concarneau", "latitude": 47.8722, "longitude": -3.9187,
    "precision_geo": "numero", "type": "atelier_velo", "initiative_id": "lt-port",
}  # fmt: skip


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Three pairs: one of them touches four fiches of three sources."""
    office = Office(tmp_path)
    office.refine(
        {
            "alpha:a0": PORT,
            "beta:b0": PORT | {"nom": "ATELIER VELO DU PORT", "initiative_id": "lt-quai",
                               "adresse": "40 avenue de la Gare", "latitude": 47.8801,
                               "telephone": "+33298970000"},
            "gamma:c0": PORT | {"initiative_id": "lt-quai"},
            "gamma:c1": PORT | {"initiative_id": "lt-quai"},
            "alpha:a1": PORT | {"nom": "Forge", "initiative_id": "lt-forge"},
            "beta:b1": PORT | {"nom": "La Forge", "initiative_id": "lt-laforge"},
            "alpha:a2": PORT | {"nom": "Four", "initiative_id": "lt-four"},
            "beta:b2": PORT | {"nom": "Fournil", "initiative_id": "lt-fournil"},
        },
        [
            ("alpha:a0", "beta:b0", 12.0),
            ("alpha:a0", "gamma:c0", 11.5),
            ("alpha:a1", "beta:b1", 12.5),
            ("alpha:a2", "beta:b2", None),
        ],
        {"lt-port": "2026-03-01", "lt-quai": "2026-01-01"},
    )  # fmt: skip
    return office
