"""One Datasette per release, and the application that holds the current one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasette.app import Datasette
from datasette.plugins import pm

from lowtech_data.site import plugin
from lowtech_data.site.guard import GuardedDatabase, Watchdog
from lowtech_data.site.http import Front
from lowtech_data.site.memory import Memory
from lowtech_data.site.queries import QUERIES_DIR, NamedQuery, read_queries
from lowtech_data.site.release import Release, Switch
from lowtech_data.site.style import TEMPLATES

DATABASE = "lowtech"
WATCHDOG_S = 1.5
SETTINGS: dict[str, Any] = {
    "suggest_facets": False,
    "default_page_size": 25,
    "num_sql_threads": 8,
    "sql_time_limit_ms": 500,
    "facet_time_limit_ms": 200,
    "max_returned_rows": 1000,
    "allow_csv_stream": False,
    "allow_download": False,
    "truncate_cells_html": 300,
    "default_cache_ttl": 300,
}


def _code_tag() -> str:
    """Names the code that renders: a new template must not meet an old ETag."""
    digest = hashlib.sha256()
    for folder in (TEMPLATES.parent, QUERIES_DIR):
        for path in sorted(
            p for p in folder.rglob("*") if p.suffix in {".py", ".html", ".css", ".sql"}
        ):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class SiteContext:
    """What the plugin's hooks know of the release they serve."""

    release: Release
    queries: dict[str, NamedQuery]
    contact: str | None
    memory: Memory = field(default_factory=Memory)


class SiteDatasette(Datasette):  # type: ignore[misc]  # datasette has no types
    """A Datasette that our plugin recognises: in any other one it stays inert."""

    def __init__(self, context: SiteContext, watchdog: Watchdog) -> None:
        """Open the release of `context`."""
        # Set first: Datasette's constructor already calls hooks.
        self.lowtech_site = context
        super().__init__(settings=SETTINGS, template_dir=str(TEMPLATES), cors=True, memory=True)
        self.remove_database("_memory")
        self.add_database(
            GuardedDatabase(self, str(context.release.database), watchdog), name=DATABASE
        )

    async def refresh_schemas(self) -> None:
        """Nothing: a release never changes, and nobody reads the catalogue this would fill."""


class DatasetteSite:
    """One release, served."""

    def __init__(self, context: SiteContext, code_tag: str) -> None:
        """Open the release of `context`; `code_tag` names the code that renders it."""
        self.tag = f"{context.release.version}.{code_tag}"
        self._watchdog = Watchdog(WATCHDOG_S)
        self._datasette = SiteDatasette(context, self._watchdog)
        self._app: Callable[..., Any] = self._datasette.app()

    @property
    def app(self) -> Callable[..., Any]:
        """The ASGI application of this release."""
        return self._app

    async def warm(self) -> None:
        """Start hooks and count rows, which Datasette would do during the first request."""
        await self._datasette.invoke_startup()
        await self._datasette.get_database(DATABASE).table_counts(limit=500)

    def close(self) -> None:
        """Wait for idle threads, then close every connection."""
        self._datasette.executor.shutdown(wait=True)
        self._watchdog.stop()
        for database in self._datasette.databases.values():
            database.close()


def build(warehouse: Path, *, public_url: str | None = None, contact: str | None = None) -> Front:
    """The whole site on `warehouse/releases/courante`. Raises `ReleaseError` without a release."""
    if not pm.is_registered(plugin):
        pm.register(plugin, "lowtech")
    queries = read_queries(QUERIES_DIR)
    code_tag = _code_tag()

    def open_site(release: Release) -> DatasetteSite:
        return DatasetteSite(SiteContext(release, queries, contact), code_tag)

    return Front(Switch(warehouse / "releases", open_site), public_url=public_url)
