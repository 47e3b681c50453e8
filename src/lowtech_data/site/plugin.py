"""The Datasette plugin: every hook of the site, inert in a Datasette that is not ours.

An entry point loads this module in every Datasette of the environment, so that it imports next to
nothing, and each hook first asks whether the instance carries a `lowtech_site`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pluggy import HookimplMarker

if TYPE_CHECKING:
    from lowtech_data.site.app import SiteContext


hookimpl = HookimplMarker("datasette")


def _context(datasette: Any) -> SiteContext | None:
    return getattr(datasette, "lowtech_site", None)


@hookimpl
def prepare_connection(conn: sqlite3.Connection, database: str, datasette: Any) -> None:
    """Guard the connections on the release; Datasette's internal tables keep theirs."""
    if _context(datasette) and not database.startswith("_"):
        from lowtech_data.site.guard import guard_connection

        guard_connection(conn)


@hookimpl
def get_metadata(datasette: Any) -> dict[str, Any]:
    """Tables and columns described from the model."""
    if not _context(datasette):
        return {}
    from lowtech_data.site.app import DATABASE
    from lowtech_data.site.metadata import metadata

    return metadata(DATABASE)


@hookimpl
def canned_queries(datasette: Any, database: str) -> dict[str, Any]:
    """The named questions."""
    context = _context(datasette)
    if not context or database.startswith("_"):
        return {}
    from lowtech_data.site.metadata import canned

    return canned(context.queries)


@hookimpl
def register_routes(datasette: Any) -> list[tuple[str, Any]]:
    """The site's own pages."""
    if not _context(datasette):
        return []
    from lowtech_data.site.views import ROUTES

    return ROUTES


@hookimpl
def register_output_renderer(datasette: Any) -> list[dict[str, Any]]:
    """GeoJSON for every table and question with a position."""
    if not _context(datasette):
        return []
    from lowtech_data.site.views import can_render_geojson, render_geojson

    return [{"extension": "geojson", "render": render_geojson, "can_render": can_render_geojson}]


@hookimpl
def prepare_jinja2_environment(env: Any, datasette: Any) -> None:
    """Filters of the templates."""
    if _context(datasette):
        from lowtech_data.site.views import FILTERS

        env.filters.update(FILTERS)
        env.trim_blocks = True
        env.lstrip_blocks = True


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    """What every page shows: the release, the style."""
    context = _context(datasette)
    if not context:
        return {}
    from lowtech_data.site.views import common_variables

    return common_variables(context)


@hookimpl(hookwrapper=True)
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Iterator[None]:
    """Errors for people, without what they tell of the machine; the default one does not run."""
    outcome: Any = yield
    if _context(datasette):
        from lowtech_data.site.views import error_answer

        outcome.force_result([lambda: error_answer(datasette, request, exception)])
