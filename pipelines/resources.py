"""What every asset of a run shares: where it reads and writes, its clock, its HTTP client.

Belongs here: configuration and the lock of the warehouse. Does not: any work on data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from lowtech_data import capture
from lowtech_data.warehouse import Warehouse


class Workspace(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Folders and clock of one run. Holding it is holding the warehouse's lock."""

    warehouse_dir: str = "warehouse/data"
    curated_dir: str = "warehouse/curated"
    offline: bool = False
    """Replay the bytes already kept instead of asking the sources again."""
    as_of: str | None = None
    """The day that stands for today, as `AAAA-MM-JJ`."""

    _client: capture.Client | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Workspace]:
        """Hold the warehouse for the run, with one polite client for all its sources."""
        command = f"lowtech run ({context.run_id or 'dagster'})"
        with self.warehouse.writing(command, datetime.now(UTC)):
            if self.offline:
                yield self
                return
            with capture.Client() as client:
                self._client = client
                yield self

    @property
    def warehouse(self) -> Warehouse:
        """Where the run writes."""
        return Warehouse(Path(self.warehouse_dir))

    @property
    def curated(self) -> Path:
        """Where people's decisions are."""
        return Path(self.curated_dir)

    @property
    def client(self) -> capture.Client | None:
        """The client of the run; `None` offline."""
        return self._client

    def now(self) -> datetime:
        """The moment that harvests are dated with."""
        if self.as_of:
            return datetime.combine(date.fromisoformat(self.as_of), datetime.min.time(), UTC)
        return datetime.now(UTC).replace(microsecond=0)

    def release_day(self, data_date: str) -> date:
        """The date of a release: the given day, else today, else (offline) the day of the data."""
        if self.as_of:
            return date.fromisoformat(self.as_of)
        return date.fromisoformat(data_date) if self.offline else datetime.now(UTC).date()
