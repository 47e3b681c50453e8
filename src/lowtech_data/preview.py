"""A dry run of one source: what it would give, without storing a fiche or publishing anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from lowtech_data import capture, extract, normalise
from lowtech_data.extract.bounded import READER
from lowtech_data.quality import reports
from lowtech_data.registry import Registry, Source
from lowtech_data.warehouse import Warehouse

EXAMPLES = 8
_PLUMBING = frozenset(
    {"source_id", "cle_source", "entite", "capture", "pointeur", "empreinte", "regle_selection"}
)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a source would give: `read` is the sum of the five counts that follow it."""

    read: int
    fiches: int
    left_out: int
    """Outside the subject, by the source's selection."""
    left_out_by: tuple[tuple[str, int], ...]
    """How many by each rule (`Extraction.left_out_by`), the most frequent first."""
    unreadable: int
    repeated: int
    refused: int
    """Read, but not publishable: no name, outside France."""
    filled: tuple[tuple[str, float], ...]
    """Share of fiches that have each field, the fullest first."""
    refusals: tuple[reports.Refusal, ...]
    """What was refused, records first, then the most frequent."""
    examples: tuple[str, ...]
    """A few fiches, from the first to the last by key."""


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
    with normalise.workbench() as con:
        clean = normalise.normalise(con, extraction.fiches, as_of=now.date())
        unread = normalise.showable(con, extraction.rejects)
    fiches = clean.fiches.num_rows
    lost = extraction.left_out + extraction.unreadable + extraction.repeated
    return Preview(
        read=extraction.read,
        fiches=fiches,
        left_out=extraction.left_out,
        left_out_by=tuple(Counter(extraction.left_out_by).most_common()),
        unreadable=extraction.unreadable,
        repeated=extraction.repeated,
        refused=extraction.read - lost - fiches,
        filled=_filled(clean.fiches),
        refusals=tuple(reports.refusals(pa.concat_tables([unread, clean.rejects]))),
        examples=_examples(clean.fiches),
    )


def _examples(fiches: pa.Table) -> tuple[str, ...]:
    step = max(1, fiches.num_rows // EXAMPLES)
    rows = range(0, fiches.num_rows, step)[:EXAMPLES]
    chosen = (fiches.slice(row, 1).to_pylist()[0] for row in rows)
    return tuple(
        " · ".join(filter(None, (row["nom"], row["adresse"], row["commune"], row["type"])))
        for row in chosen
    )


def _filled(fiches: pa.Table) -> tuple[tuple[str, float], ...]:
    total = max(fiches.num_rows, 1)
    shares = [
        (name, sum(1 for value in fiches[name].to_pylist() if value not in (None, [])) / total)
        for name in fiches.schema.names
        if name not in _PLUMBING
    ]
    return tuple(sorted(shares, key=lambda item: (-item[1], item[0])))
