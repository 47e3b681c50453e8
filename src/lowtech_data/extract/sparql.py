"""SPARQL end points, such as Wikidata's: the answer of a query, one record per solution.

`GET …?query=QUERY` gives the SPARQL 1.1 results in JSON: `{"head": {"vars": […]}, "results":
{"bindings": [{variable: {"type", "value", …}}]}}`. A row holds the value of each variable of the
query, empty when the solution has none; languages and types are dropped. A record that has several
values of one variable gives several solutions: the query is to group them. Besides the variables:

| column | holds |
|---|---|
| `_cle` | the item of the record: `Q42` on Wikidata, its address elsewhere |
| `_fiche` | its page |
| `_identifiants` | `wikidata=Q42` |
| `latitude`, `longitude` | the two numbers of the variable `position`, which they replace |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import field_validator

from lowtech_data.extract.base import (
    Lost,
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    mask,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.registry import Separated, Source, Strict

_WIKIDATA = re.compile(r"https?://www\.wikidata\.org/entity/(Q[1-9]\d*)")
_UNKNOWN = "/.well-known/genid/"
"""In an address, what Wikidata writes for a value that exists and that nobody knows."""

_POINT = re.compile(
    r"(?:<http://www\.opengis\.net/def/crs/OGC/1\.3/CRS84>\s*)?"
    r"point\s*\(\s*([-+\d.eE]+)\s+([-+\d.eE]+)\s*\)",
    re.IGNORECASE,
)
"""A point of GeoSPARQL: longitude, latitude. One on another globe begins with its name."""

_LIMIT = re.compile(r"\blimit\s+(\d+)(?:\s+offset\s+\d+)?\s*$", re.IGNORECASE)
_LATE = re.compile(rb"TimeoutException|Estimated execution time|timed out", re.IGNORECASE)
"""How servers say, in whatever they answer, that the query took too long."""


class Options(Strict):
    """The query, and which of its variables are more than a value."""

    requete: str
    """A `SELECT`, with one solution per record."""
    item: str = "item"
    """The variable that names the record."""
    position: str | None = None
    """The variable that holds a point, `Point(longitude latitude)`."""

    @field_validator("requete")
    @classmethod
    def _selects(cls, query: str) -> str:
        if not re.search(r"\bselect\b", query, re.IGNORECASE):
            raise ValueError("requete : attendu une requête SELECT")
        return query


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    query = quote(_options(source).requete.strip(), safe="")
    joint = "&" if "?" in source.url else "?"
    return (Request(f"{source.url}{joint}query={query}", "application/sparql-results+json"),)


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    variables, solutions = _results(page, options)
    for index, solution in enumerate(solutions):
        pointer = f"/results/bindings/{index}"
        if isinstance(solution, Mapping):
            yield _row(pointer, dict.fromkeys(variables) | _plain(solution), options)
        else:
            yield Unreadable(pointer, "enregistrement_inattendu", type(solution).__name__)


def _results(page: Page, options: Options) -> tuple[list[str], list[Any]]:
    """Variables and solutions. Raises `PayloadError` for an answer that is not whole."""
    document = _document(page)
    head = document.get("head")
    given = head.get("vars") if isinstance(head, Mapping) else None
    results = document.get("results")
    solutions = results.get("bindings") if isinstance(results, Mapping) else None
    if not isinstance(given, list) or not isinstance(solutions, list):
        raise PayloadError(
            "attendu des résultats SPARQL (« head.vars » et « results.bindings ») ; trouvé :"
            f" {mask(', '.join(map(str, document))) or 'un objet vide'}"
        )
    variables = [str(name) for name in given]
    for name in filter(None, (options.item, options.position)):
        if name not in variables:
            raise PayloadError(
                f"la variable {name!r} n’est pas dans la réponse, qui a : {', '.join(variables)}"
            )
    limit = _LIMIT.search(options.requete.strip())
    if limit and len(solutions) >= int(limit[1]):
        raise PayloadError(
            f"réponse arrêtée à la limite de la requête ({limit[1]}) : la suite manque"
        )
    return variables, solutions


def _document(page: Page) -> Mapping[str, Any]:
    try:
        document = read_json(page)
    except PayloadError as error:
        # A server that runs out of time breaks off, in the middle of the results or not.
        if _LATE.search(page.body):
            raise PayloadError(
                "réponse incomplète : la requête a dépassé le temps du serveur ; la simplifier"
            ) from error
        raise
    if not isinstance(document, Mapping):
        raise PayloadError(f"attendu des résultats SPARQL, trouvé {type(document).__name__}")
    return document


def _plain(solution: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): _value(term) for name, term in solution.items()}


def _value(term: Any) -> Any:
    if not isinstance(term, Mapping) or term.get("type") == "bnode":
        return None
    value = term.get("value")
    return None if isinstance(value, str) and _UNKNOWN in value else value


def _row(pointer: str, values: dict[str, Any], options: Options) -> Row:
    lost: list[Lost] = []
    address = values[options.item]
    known = _WIKIDATA.fullmatch(address) if isinstance(address, str) else None
    if known:
        values |= {
            "_cle": known[1],
            "_fiche": f"https://www.wikidata.org/wiki/{known[1]}",
            "_identifiants": [f"wikidata={known[1]}"],
        }
        # The label service gives the number of an item that has no name in the languages asked.
        label = f"{options.item}Label"
        values |= {label: None} if values.get(label) == known[1] else {}
    else:
        values |= {"_cle": address, "_fiche": address}
    values.pop(options.item)
    if options.position:
        values |= _place(values.pop(options.position), lost)
    return Row(pointer, values, lost)


def _place(text: Any, lost: list[Lost]) -> dict[str, Any]:
    if text in (None, ""):
        return {}
    found = _POINT.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        lost.append(Lost("latitude", "geometrie_illisible", str(text)))
        return {}
    return {"longitude": found[1], "latitude": found[2]}


PLATFORM = Platform(
    name="sparql",
    rows=_rows,
    options=Options,
    first=_first,
    # The label service of Wikidata names what it adds after the variable.
    mapping={
        "cle_source": "_cle",
        "url": "_fiche",
        "identifiants": "_identifiants",
        "nom": "itemLabel",
        "noms_alternatifs": Separated(separe="itemAltLabel", par=", "),
        "description": "itemDescription",
        "latitude": "latitude",
        "longitude": "longitude",
    },
)
