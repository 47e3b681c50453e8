"""First harvests that wait for a person before their fiches are published.

A source whose shape was never seen (`preuve` other than `vu`) may be read without an error and yet
be wrong: another listing at the same address, a column that means something else. What its first
harvest from the web gives is kept, shown, and left out of what is refined until a steward looked
and said so in `acceptations.jsonl`. Files beside the registry are read by whoever puts them there:
nothing waits.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lowtech_data import snapshot
from lowtech_data.redact import is_personal
from lowtech_data.registry import Registry, Source
from lowtech_data.snapshot import Snapshot
from lowtech_data.warehouse import Warehouse

FILE = "acceptations.jsonl"
"""People's file of accepted first harvests, append-only, beside the decisions."""

SEEN = "vu"
"""The `preuve` of a source whose file or page was read: its first harvest waits for nobody."""

PREFIX = 12
"""Digits of a hash that are enough to find a capture in the manifest."""


class AcceptanceError(ValueError):
    """A first harvest that cannot be accepted, or a line of the file that cannot be read."""


class Acceptance(BaseModel):
    """One line: who took the first harvest of a source for good, when, why, and what they saw."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    date: date
    qui: Annotated[str, Field(min_length=1, max_length=80)]
    """A role or handle, never a civil name."""
    motif: Annotated[str, Field(min_length=1, max_length=500)]
    fiches: Annotated[int, Field(ge=1)]
    """Fiches that the source then listed."""
    pages: Annotated[int, Field(ge=1)]
    """Pages that they were read from."""
    capture: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{PREFIX}}}$")]
    """Start of the SHA-256 of the first of these pages."""

    @field_validator("qui", "motif")
    @classmethod
    def _names_nobody(cls, text: str) -> str:
        if is_personal(text):
            raise ValueError("ni adresse électronique ni numéro de téléphone ici")
        return text


@dataclass(frozen=True, slots=True)
class Waiting:
    """A first harvest that nobody has accepted yet."""

    source_id: str
    fiches: int
    received: str
    """Day of the bytes (ISO 8601)."""

    @property
    def what(self) -> str:
        """What there is to know, in words."""
        return (
            f"première moisson en ligne du {self.received} : {self.fiches} fiches attendent "
            "qu’une personne les relise avant publication"
        )

    @property
    def advice(self) -> str:
        """What to do about it."""
        return (
            f"lowtech sources preview {self.source_id} --offline, puis "
            f"lowtech sources accept {self.source_id} --motif … --qui …"
        )


def load(path: Path) -> tuple[Acceptance, ...]:
    """Every line of the file, in order; none when there is no file.

    Raises `AcceptanceError` naming the first line that cannot be read.
    """
    if not path.exists():
        return ()
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(Acceptance.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "ligne"
            raise AcceptanceError(
                f"{path}, ligne {number} : {where} : {first['msg']} ; une ligne s’écrit par "
                "lowtech sources accept"
            ) from error
    return tuple(found)


def accepted(path: Path) -> frozenset[str]:
    """Ids of the sources whose first harvest was accepted. Raises as `load`."""
    return frozenset(line.source for line in load(path))


def needs_a_person(source: Source, accepted: Collection[str]) -> bool:
    """Whether what the source gives stays unpublished until someone has looked at it.

    A source that only changed its id keeps the acceptance of the former one.
    """
    if source.is_local or source.preuve == SEEN:
        return False
    return source.id not in accepted and source.renommee_de not in accepted


def waiting(
    registry: Registry, snapshots: Mapping[str, Snapshot], accepted: Collection[str]
) -> dict[str, Waiting]:
    """The first harvests that wait, by source, in the order of the registry.

    A source that was never harvested, or that never gave a fiche, does not wait: it has another
    trouble.
    """
    found = {}
    for source in registry:
        known = snapshots.get(source.id)
        if known and known.state.data_date and needs_a_person(source, accepted):
            found[source.id] = Waiting(source.id, known.present(), known.state.data_date)
    return found


def waiting_in(registry: Registry, warehouse: Warehouse, curated: Path) -> dict[str, Waiting]:
    """`waiting`, from the folders of a warehouse and of people's decisions."""
    snapshots = {
        source.id: known for source in registry if (known := snapshot.load(warehouse, source.id))
    }
    return waiting(registry, snapshots, accepted(curated / FILE))


def accept(
    source: Source, warehouse: Warehouse, path: Path, *, who: str, reason: str, day: date
) -> Acceptance:
    """Add the line that lets the fiches of a source be published from the next run on.

    Raises `AcceptanceError` when the source waits for nobody, when it has given no fiche yet, or
    when `who` or `reason` cannot be written, and `OSError` when the file cannot be.
    """
    if not needs_a_person(source, accepted(path)):
        why = (
            "fichier local" if source.is_local
            else "forme déjà vue (preuve: vu)" if source.preuve == SEEN
            else f"déjà acceptée ({path})"
        )  # fmt: skip
        raise AcceptanceError(f"source {source.id} : rien à accepter : {why}")
    known = snapshot.load(warehouse, source.id)
    if known is None or known.state.data_date is None:
        raise AcceptanceError(
            f"source {source.id} : aucune moisson réussie à accepter dans {warehouse.root} ; "
            f"lowtech run --only {source.id}"
        )
    try:
        line = Acceptance(
            source=source.id,
            date=day,
            qui=who,
            motif=reason,
            fiches=known.present(),
            pages=len(known.state.captures),
            capture=known.state.captures[0][:PREFIX],
        )
    except ValidationError as error:
        told = "; ".join(f"{e['loc'][0]} : {e['msg']}" for e in error.errors())
        raise AcceptanceError(f"source {source.id} : {told}") from error
    _append(path, line)
    return line


def _append(path: Path, line: Acceptance) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line.model_dump(mode="json"), ensure_ascii=False) + "\n"
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        # A line written by hand may lack its end.
        glue = b"\n" if content and not content.endswith(b"\n") else b""
        file.write(glue + text.encode())
        file.flush()
        os.fsync(file.fileno())
