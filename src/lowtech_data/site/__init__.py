"""The public site: own pages, and Datasette beside them, on one immutable release.

Nothing here writes. A request is answered wholly from one release; a new one is taken up when the
link `releases/courante` moves, without losing a request.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowtech_data.site.http import Front

__all__ = ["build_app", "serve"]


def build_app(
    warehouse: Path, *, public_url: str | None = None, contact: str | None = None
) -> Front:
    """The whole site as one ASGI application, on the release that `courante` points to.

    `public_url` (`https://exemple.fr`) fixes the host of the absolute addresses in answers; without
    it they follow the request. `contact` is the address shown under « Signaler une erreur ».
    `close` ends what it opened, when no server does. Raises `ReleaseError` without a release.
    """
    from lowtech_data.site.app import build

    return build(warehouse, public_url=public_url, contact=contact)


def serve(
    warehouse: Path,
    host: str = "127.0.0.1",
    port: int = 8001,
    *,
    public_url: str | None = None,
    contact: str | None = None,
) -> None:
    """Serve the site until interrupted. Raises `ReleaseError` when there is no release."""
    import uvicorn

    uvicorn.run(
        build_app(warehouse, public_url=public_url, contact=contact),
        host=host,
        port=port,
        server_header=False,
        date_header=True,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
    )
