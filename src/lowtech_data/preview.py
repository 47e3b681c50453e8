"""A dry run of one source: what it would give, without storing a fiche or publishing anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from lowtech_data import capture, extract, normalise
from lowtech_data.extract.bounded import READER
from lowtech_data.registry import Registry, Source
from lowtech_data.warehouse import Warehouse

EXAMPLES = 8


@dataclass(frozen=True, slots=True)
class Preview:
    """What a source would give."""

    read: int
    left_out: int
    fiches: int
    filled: tuple[tuple[str, float], ...]
    """Share of fiches that have each field, the fullest first."""
    rejects: tuple[tuple[str, int], ...]
    """How often each rule refused something, the most frequent first."""
    examples: tuple[str, ...]


def preview(
    source: Source,
    registry: Registry,
    warehouse: Warehouse,
    *,
    now: datetime,
    client: capture.Client | None,
) -> Preview:
    """Capture (or replay, without a client), extract and normalise one source, of any state.

    The bytes are kept like those of any capture. Raises `capture.CaptureError`, or
    `extract.base.PayloadError` when the payload is not what its platform gives or takes too much to
    read.
    """
    store = capture.Store(warehouse.captures)
    platform = READER.following(extract.PLATFORMS[source.plateforme])
    harvest = capture.harvest(source, platform, registry, store, client, now=now)
    extraction = READER.extract(source, harvest.pages)
    with duckdb.connect() as con:
        clean = normalise.normalise(con, extraction.fiches)
        unread = normalise.showable(con, extraction.rejects)
    rejects = pa.concat_tables([unread, clean.rejects])
    rules = Counter(
        f"{rule} ({field})"
        for rule, field in zip(
            rejects["regle"].to_pylist(), rejects["champ"].to_pylist(), strict=True
        )
    )
    return Preview(
        read=extraction.read,
        left_out=extraction.left_out,
        fiches=clean.fiches.num_rows,
        filled=_filled(clean.fiches),
        rejects=tuple(sorted(rules.items(), key=lambda item: (-item[1], item[0]))),
        examples=tuple(
            " · ".join(filter(None, (row["nom"], row["adresse"], row["commune"], row["type"])))
            for row in clean.fiches.slice(0, EXAMPLES).to_pylist()
        ),
    )


def _filled(fiches: pa.Table) -> tuple[tuple[str, float], ...]:
    total = max(fiches.num_rows, 1)
    shares = [
        (name, sum(1 for value in fiches[name].to_pylist() if value not in (None, [])) / total)
        for name in fiches.schema.names
    ]
    return tuple(sorted(shares, key=lambda item: (-item[1], item[0])))
