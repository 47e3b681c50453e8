"""What every asset of a run shares: where it reads and writes, its clock, its HTTP client.

Belongs here: configuration and the lock of the warehouse. Does not: any work on data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from ipaddress import ip_network
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from lowtech_data import alerts, capture, settings
from lowtech_data.warehouse import Warehouse


class Workspace(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Folders and clock of one run. Holding it is holding the warehouse's lock."""

    warehouse_dir: str = str(settings.WAREHOUSE)
    curated_dir: str = str(settings.CURATED)
    offline: bool = False
    """Replay the bytes already kept instead of asking the sources again."""
    as_of: str | None = None
    """The day that stands for today, as `AAAA-MM-JJ`."""
    contact: str = settings.CONTACT or settings.NO_CONTACT
    """Where those who are harvested can write: it goes with every request."""
    allowed_networks: list[str] = Field(default=list(settings.ALLOWED_NETWORKS))
    """Networks that are not public and may be contacted all the same (`127.0.0.0/8`)."""

    _client: capture.Client | None = PrivateAttr(default=None)
    _seen: alerts.Run = PrivateAttr(default_factory=alerts.Run)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Workspace]:
        """Hold the warehouse for the run, with one polite client for all its sources.

        A run that asked the sources ends by telling people what it changed, whoever started it and
        however it ends: this is the one place that every run goes through. Offline, somebody is at
        the keyboard and reads the summary.
        """
        command = f"lowtech run ({context.run.run_id if context.run else 'dagster'})"
        with self.warehouse.writing(command, datetime.now(UTC)):
            if self.offline:
                yield self
                return
            networks = [ip_network(text) for text in self.allowed_networks]
            self._client = capture.Client(contact=self.contact, allowed_networks=networks)
            self._seen = alerts.Run()
            try:
                yield self
            finally:
                self._client.close()
                alerts.tell(self._seen, self.warehouse, today=self.now().date())

    @contextmanager
    def stage(self) -> Iterator[alerts.Run]:
        """What the run saw so far, for a stage to add to; an error of that stage is added to it."""
        try:
            yield self._seen
        except Exception as error:
            self._seen.problems.append(str(error))
            raise

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
