"""Routes of the site's own pages, their templates' filters, and errors told to people."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
import re
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from datasette.utils import InvalidSql
from datasette.utils.asgi import Base400, NotFound, Response
from markupsafe import Markup

from lowtech_data.model import LISTS
from lowtech_data.site import pages
from lowtech_data.site.guard import for_log
from lowtech_data.site.metadata import LICENCE, LICENCE_URL
from lowtech_data.site.search import EXPORT, Search, StaleCursorError, UnknownFilterError, find
from lowtech_data.site.style import STYLE

logger = logging.getLogger("lowtech_data.site")
Result = TypeVar("Result")

CHUNK = 262_144
ROBOTS = "User-agent: *\nDisallow: /lowtech\nDisallow: /*?\nDisallow: /telechargements/\n"
_LABELS = {name: {code.code: code.label_fr for code in codes} for name, codes in LISTS.items()}
_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre",
    "octobre", "novembre", "décembre",
)  # fmt: skip
_THIN = "\u202f"


# Filters of the templates.


def web_link(url: str | None) -> str | None:
    """The address if a click on it can only open a web page, else `None`."""
    if not url or re.search(r"[\s\x00-\x1f\"'<>`\\]", url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    ok = parts.scheme.lower() in {"http", "https"} and parts.hostname and not parts.username
    return url if ok else None


def label(code: str | None, list_name: str | None) -> str:
    """The French label of a code, or the code itself."""
    return _LABELS.get(list_name or "", {}).get(code or "", code or "")


def number(value: float | None) -> str:
    """A whole number with thin spaces between thousands."""
    return "–" if value is None else f"{round(value):,}".replace(",", _THIN)


def day(value: str | None) -> str:
    """An ISO date or instant as a French date; anything else as it is."""
    match = re.match(r"^(\d{4})-(\d{2})-(\d{2})", value or "")
    if not match or not 1 <= int(match[2]) <= 12:
        return value or "–"
    first = "1er" if match[3] == "01" else str(int(match[3]))
    return f"{first} {_MONTHS[int(match[2]) - 1]} {match[1]}"


def size(value: int) -> str:
    """Bytes in the unit that people read."""
    for limit, unit in ((1_000_000_000, "Go"), (1_000_000, "Mo"), (1_000, "ko")):
        if value >= limit:
            return f"{value / limit:.1f}".replace(".", ",") + f"{_THIN}{unit}"
    return f"{value}{_THIN}octets"


def phone(value: str) -> str:
    """A French number in pairs; any other as it is."""
    match = re.fullmatch(r"\+33(\d)(\d\d)(\d\d)(\d\d)(\d\d)", value)
    return f"0{match[1]} {match[2]} {match[3]} {match[4]} {match[5]}" if match else value


def phone_link(value: str | None) -> str | None:
    """The `tel:` address of an E.164 number, else `None`."""
    return f"tel:{value}" if value and re.fullmatch(r"\+\d{6,15}", value) else None


def mail_link(value: str | None) -> str | None:
    """The `mailto:` address of a plain address, else `None`."""
    plain = value and re.fullmatch(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+", value)
    return f"mailto:{value}" if plain else None


def bare(url: str) -> str:
    """An address without what a reader does not need."""
    return re.sub(r"^https?://(www\.)?|/$", "", url)


def selection(rule: str) -> str:
    """Why a record was kept, in words, from the rule that extraction notes."""
    kind, _, detail = rule.partition(":")
    match kind:
        case "liste":
            return "toute la liste relève du sujet"
        case "zone":
            return "elle est dans le territoire retenu de la liste"
        case "code" if detail:
            return f"sa source la classe « {detail} »"
        case "mot" if detail:
            return f"sa description contient le mot « {detail} »"
        case "charte" if said := _BY_CHARTER.fullmatch(detail):
            return f"la charte la retient : {_SAID[said['where']]} « {said['words']} »"
    return rule


_BY_CHARTER = re.compile(r"(?P<where>categorie|nom|description):\w+ \((?P<words>.+)\)")
_SAID = {
    "categorie": "sa source la classe",
    "nom": "son nom dit",
    "description": "sa description dit",
}


FILTERS: dict[str, Callable[..., Any]] = {
    "adresse_web": web_link,
    "libelle": label,
    "nombre": number,
    "jour": day,
    "octets": size,
    "telephone": phone,
    "lien_telephone": phone_link,
    "lien_courriel": mail_link,
    "sans_protocole": bare,
    "textes": pages.texts,
    "requete": urlencode,
    "motif": selection,
}


def common_variables(context: Any) -> dict[str, Any]:
    """What every template may use."""
    return {
        "style": Markup(STYLE),  # noqa: S704  # our own file
        "release": context.release,
        "contact": context.contact,
        "questions": context.queries,
        "licence": LICENCE,
        "licence_url": LICENCE_URL,
    }


# Answers.


async def _read(datasette: Any, read: Callable[[sqlite3.Connection], Result]) -> Result:
    result: Result = await datasette.get_database("lowtech").execute_fn(read)
    return result


async def _page(
    datasette: Any, request: Any, template: str, context: dict[str, Any], status: int = 200
) -> Response:
    html = await datasette.render_template(template, context, request=request)
    return Response.html(html, status=status)


def _json(document: Any, status: int = 200, kind: str = "application/json") -> Response:
    return Response(
        json.dumps(document, ensure_ascii=False),
        status=status,
        headers={"access-control-allow-origin": "*"},
        content_type=f"{kind}; charset=utf-8",
    )


def _site(datasette: Any) -> Any:
    return datasette.lowtech_site


async def home(datasette: Any, request: Any) -> Response:
    """The front page."""
    memory = _site(datasette).memory
    context = await memory.get("accueil", lambda: _read(datasette, pages.home))
    return await _page(datasette, request, "accueil.html", context)


async def listing(datasette: Any, request: Any) -> Response:
    """The list, as a page or for machines."""
    variables = request.url_vars
    version = _site(datasette).release.version
    arguments = {name: request.args.get(name) or "" for name in request.args}
    if variables.get("filtre"):
        arguments[variables["filtre"]] = variables["valeur"]
    try:
        search = Search.read(arguments, version)
        if variables.get("format"):
            return await _export(datasette, search, variables["format"], version)
        context = await _read(datasette, lambda connection: pages.listing(connection, search))
        beside = await _site(datasette).memory.get(
            tuple(sorted(search.values.items())),
            lambda: _read(datasette, lambda connection: pages.beside_listing(connection, search)),
        )
    except UnknownFilterError as error:
        return await _error(datasette, request, 400, "Filtre inconnu", str(error))
    except StaleCursorError:
        return await _error(
            datasette,
            request,
            410,
            "Cette page n’est plus là",
            "Une nouvelle version de la base a été publiée pendant votre lecture. "
            "Reprenez la liste depuis le début.",
        )
    return await _page(datasette, request, "liste.html", context | beside)


_EXPORTED = (
    "id", "nom", "type", "themes", "adresse", "code_postal", "commune", "code_departement",
    "latitude", "longitude", "site_web", "licence", "attribution", "derniere_vue",
)  # fmt: skip


async def _export(datasette: Any, search: Search, kind: str, version: str) -> Response:
    page = await _read(datasette, lambda connection: find(connection, search, EXPORT))
    rows = [
        {name: row[name] for name in _EXPORTED} | {"themes": json.loads(row["themes"] or "[]")}
        for row in page.rows
    ]
    following = None
    if page.next_after:
        query = urlencode({**search.values, "apres": page.next_after, "version": version})
        following = f"/initiatives.{kind}?{query}"
    if kind == "geojson":
        return _json(
            {**_features(rows), "total": page.total, "suivant": following, "version": version},
            kind="application/geo+json",
        )
    if kind == "csv":
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, _EXPORTED)
        writer.writeheader()
        writer.writerows({**row, "themes": "|".join(row["themes"])} for row in rows)
        headers = {"access-control-allow-origin": "*"}
        return Response(out.getvalue(), headers=headers, content_type="text/csv; charset=utf-8")
    return _json(
        {"version": version, "total": page.total, "initiatives": rows, "suivant": following}
    )


def _features(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A GeoJSON collection (RFC 7946) of rows with `latitude` and `longitude`."""
    features = []
    for row in rows:
        properties = {k: v for k, v in row.items() if k not in {"latitude", "longitude"}}
        latitude, longitude = row["latitude"], row["longitude"]
        placed = isinstance(latitude, int | float) and isinstance(longitude, int | float)
        geometry = {"type": "Point", "coordinates": [longitude, latitude]} if placed else None
        feature = {"type": "Feature", "geometry": geometry, "properties": properties}
        if "id" in row:
            feature["id"] = row["id"]
        features.append(feature)
    return {"type": "FeatureCollection", "features": features}


def can_render_geojson(columns: list[str]) -> bool:
    """Whether rows have a position."""
    return {"latitude", "longitude"} <= set(columns)


def render_geojson(rows: list[Any], columns: list[str]) -> Response:
    """Datasette's rows as GeoJSON. A table without a position is refused in words."""
    if not can_render_geojson(columns):
        return _json(
            {
                "ok": False,
                "error": "GeoJSON attend les colonnes latitude et longitude.",
                "status": 400,
            },
            status=400,
        )
    named = [dict(zip(columns, tuple(row), strict=True)) for row in rows]
    return _json(_features(named), kind="application/geo+json")


async def initiative(datasette: Any, request: Any) -> Response:
    """One initiative; a merged id redirects, a withdrawn one is gone."""
    initiative_id = request.url_vars["id"]
    known = await _read(datasette, lambda c: pages.identifier(c, initiative_id))
    if known and known["etat"] == "fusionne" and known["remplace_par"]:
        return Response.redirect(f"/i/{known['remplace_par']}", status=301)
    if known and known["etat"] == "retire":
        return await _error(
            datasette,
            request,
            410,
            "Fiche retirée",
            "Cette fiche a été retirée de la base, à la demande des personnes concernées ou parce "
            "qu’elle n’y avait pas sa place. Son identifiant ne sera pas réemployé.",
        )
    context = await _read(datasette, lambda c: pages.initiative(c, initiative_id))
    if context is None:
        return await _error(
            datasette,
            request,
            404,
            "Initiative inconnue",
            "Aucune initiative ne porte cet identifiant. Un identifiant commence par « lt- » et "
            "compte 11 signes après le tiret : vérifiez l’adresse, ou cherchez par nom.",
        )
    return await _page(datasette, request, "initiative.html", context)


async def sources(datasette: Any, request: Any) -> Response:
    """Every source."""
    return await _page(datasette, request, "sources.html", await _read(datasette, pages.sources))


async def source(datasette: Any, request: Any) -> Response:
    """One source."""
    source_id = request.url_vars["id"]
    context = await _read(datasette, lambda c: pages.source(c, source_id))
    if context is None:
        return await _error(
            datasette, request, 404, "Source inconnue", "Aucune source ne porte ce nom."
        )
    return await _page(datasette, request, "source.html", context)


async def data(datasette: Any, request: Any) -> Response:
    """Downloads, tables and questions."""
    context = await _read(datasette, pages.data)
    return await _page(datasette, request, "donnees.html", context)


async def licences(datasette: Any, request: Any) -> Response:
    """Licences, reuse, objections."""
    return await _page(datasette, request, "licences.html", await _read(datasette, pages.licences))


async def health(datasette: Any, request: Any) -> Response:
    """State of the sources, as a page or for machines."""
    context = await _read(datasette, pages.health)
    if request.url_vars.get("format"):
        release = _site(datasette).release
        return _json(
            {
                "version": release.version,
                "date": release.date,
                "sante": dict(context["health"]),
                "sources": [dict(row) for row in context["sources"]],
            }
        )
    return await _page(datasette, request, "sante.html", context)


async def download(datasette: Any, request: Any, send: Any) -> Response | None:
    """A file of the release, only if its index names it."""
    release = _site(datasette).release
    file = release.files.get(request.url_vars["nom"])
    path = release.folder / file.name if file else None
    if path is None or not path.resolve().is_relative_to(release.folder.resolve()):
        raise NotFound("Ce fichier n’est pas dans la version publiée.")
    start, end = 0, file.size - 1
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if wanted and int(wanted[1]) <= end:
        start, end = int(wanted[1]), min(int(wanted[2] or end), end)
    partial = wanted is not None and (start, end) != (0, file.size - 1)
    headers = {
        "content-type": file.media_type,
        "content-length": str(end - start + 1),
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{path.name}"',
        "access-control-allow-origin": "*",
    }
    if partial:
        headers["content-range"] = f"bytes {start}-{end}/{file.size}"
    await send(
        {
            "type": "http.response.start",
            "status": 206 if partial else 200,
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }
    )
    left = end - start + 1
    # Closing it with the block is enough; opening it is the only call that may wait on the disk.
    with await asyncio.to_thread(path.open, "rb") as stream:
        stream.seek(start)
        while left > 0 and request.method != "HEAD":
            chunk = await asyncio.to_thread(stream.read, min(CHUNK, left))
            if not chunk:
                break
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return None


async def robots(datasette: Any, request: Any) -> Response:
    """Robots read the pages, not every combination of filters, nor the raw database."""
    return Response.text(ROBOTS)


async def nothing(datasette: Any, request: Any) -> Response:
    """Everything else, including Datasette's own introspection."""
    raise NotFound("Cette page n’existe pas.")


ROUTES: list[tuple[str, Any]] = [
    (r"^/$", home),
    (r"^/initiatives(?:\.(?P<format>json|geojson|csv))?$", listing),
    (r"^/(?P<filtre>region|departement)/(?P<valeur>[0-9AB]{2,3})$", listing),
    (r"^/(?P<filtre>type|theme)/(?P<valeur>[a-z0-9_]{1,40})$", listing),
    (r"^/i/(?P<id>[^/]{1,80})$", initiative),
    (r"^/sources$", sources),
    (r"^/source/(?P<id>[a-z0-9_]{1,40})$", source),
    (r"^/donnees$", data),
    (r"^/telechargements/(?P<nom>[A-Za-z0-9_./-]{1,200})$", download),
    (r"^/licences$", licences),
    (r"^/sante(?:\.(?P<format>json))?$", health),
    (r"^/robots\.txt$", robots),
    (r"^/(?!lowtech(?:[/.]|$)|$).*$", nothing),
]


# Errors.


async def _error(datasette: Any, request: Any, status: int, title: str, message: str) -> Response:
    context = {"status": status, "title": title, "error": message}
    return await _page(datasette, request, "error.html", context, status)


_REQUEST_ERRORS = (sqlite3.Error, InvalidSql)


def _told(exception: Exception) -> tuple[int, str, str]:
    """Status, title and message for people."""
    message = for_log(str(getattr(exception, "message", None) or exception))
    if isinstance(exception, NotFound):
        return 404, "Page introuvable", message if " " in message else "Cette page n’existe pas."
    if isinstance(exception, Base400):
        return exception.status, "Demande refusée", message
    if type(exception).__name__ == "QueryInterrupted" or message == "interrupted":
        return (
            400,
            "Question trop longue",
            "La question a dépassé le temps permis. Réduisez-la, ou prenez la base : /donnees",
        )
    # A Datasette error says 500 also for an unknown column to sort by: it is the request's.
    if isinstance(exception, _REQUEST_ERRORS) or hasattr(exception, "error_dict"):
        status = getattr(exception, "status", 400)
        return status if status < 500 else 400, "Demande refusée", message
    return 500, "Erreur du site", "La page n’a pas pu être produite. L’erreur est consignée."


async def error_answer(datasette: Any, request: Any, exception: Exception) -> Response:
    """The answer to an error: in words, as JSON where JSON was asked, never with a path."""
    status, title, message = _told(exception)
    if status >= 500:
        logger.error("page_failed path=%s", for_log(request.path), exc_info=exception)
    if re.search(r"\.(geo)?json$", request.path):
        return _json({"ok": False, "error": message, "status": status, "title": title}, status)
    return await _error(datasette, request, status, title, message)
