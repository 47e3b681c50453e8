"""One file (*ressource*) of a dataset of data.gouv.fr, or of another portal made with udata.

`GET …/api/1/datasets/{slug}/` gives the dataset with its `resources`, each with `id`, `title`,
`format` and `last_modified`. Addresses of files change with their content: the file is asked for by
its stable one, `/api/1/datasets/r/{id}`, which leads to it. It is read by the extractor of its
format, and rows are those of this extractor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote, urljoin, urlsplit

from pydantic import Field, model_validator

from lowtech_data.extract import csv_file, geojson, json_records, spreadsheet
from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row, Unreadable
from lowtech_data.extract.decode import read_json
from lowtech_data.folding import fold
from lowtech_data.registry import Source, Strict

_READERS: Mapping[str, Platform] = {
    module.PLATFORM.name: module.PLATFORM
    for module in (csv_file, geojson, json_records, spreadsheet)
}
_READER_OF_FORMAT = {
    "csv": "csv",
    "geojson": "geojson",
    "json": "json",
    "ods": "tableur",
    "xlsx": "tableur",
}
_DATASET = re.compile(r"/datasets/([^/]+)/?")
_SHOWN = 10


class Resource(Strict):
    """Which file of the dataset is the listing: the only one that is all of this."""

    id: str | None = None
    format: str | None = None
    """As the portal writes it: `csv`, `geojson`, `json`, `ods`, `xlsx`…"""
    titre: str | None = None
    """A part of the title; accents and case do not count."""
    plus_recente: bool = False
    """Of several that suit, the one modified last: for a series with a new file each time."""

    @model_validator(mode="after")
    def _one_way_of_naming(self) -> Resource:
        if bool(self.id) == bool(self.format or self.titre or self.plus_recente):
            raise ValueError("donner id, ou bien format ou titre, ou les deux")
        return self


class Options(Strict):
    """Which file of the dataset, and how it is read."""

    ressource: Resource
    lecture: Literal["csv", "geojson", "json", "tableur"] | None = None
    """Platform that reads the file; that of `ressource.format` when it is not told."""
    options_lecture: dict[str, Any] = Field(default_factory=dict)
    """Options of that platform."""

    @model_validator(mode="after")
    def _reader_takes_its_options(self) -> Options:
        self.reader.options.model_validate(self.options_lecture)
        return self

    @property
    def reader(self) -> Platform:
        """What reads the file."""
        name = self.lecture or _READER_OF_FORMAT.get(fold(self.ressource.format or ""))
        if name is None:
            raise ValueError("dire ce qui lit le fichier, lecture : csv, geojson, json ou tableur")
        return _READERS[name]


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    if source.is_local:
        return (Request(source.url),)
    dataset = _DATASET.search(urlsplit(source.url).path)
    if not dataset or _is_resource(source.url):
        raise PayloadError(
            f"attendu l’adresse d’un jeu de données (…/datasets/nom-du-jeu/), trouvé {source.url}"
        )
    url = urljoin(source.url, f"/api/1/datasets/{dataset[1]}/")
    return (Request(url, "application/json"),)


def _is_resource(url: str) -> bool:
    return "/datasets/r/" in urlsplit(url).path


def _is_dataset(page: Page) -> bool:
    return bool(re.fullmatch(r"/api/[12]/datasets/[^/]+/?", urlsplit(page.url).path))


def _follow(source: Source, page: Page) -> Sequence[Request]:
    options = _options(source)
    if not _is_dataset(page):
        return options.reader.follow(_as_read(source, options), page)
    resource = _chosen(_resources(read_json(page)), options.ressource)
    url = urljoin(page.url, f"/api/1/datasets/r/{quote(str(resource['id']), safe='')}")
    return (Request(url),)


def _as_read(source: Source, options: Options) -> Source:
    """The source as the extractor of the format knows it."""
    known = {"plateforme": options.reader.name, "options": options.options_lecture}
    return source.model_copy(update=known)


def _resources(document: Any) -> list[Mapping[str, Any]]:
    found = document.get("resources") if isinstance(document, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        keys = ", ".join(document) if isinstance(document, Mapping) else type(document).__name__
        raise PayloadError(
            f"attendu un jeu de données avec ses « resources » ; trouvé : {keys[:200] or 'rien'}"
        )
    return [item for item in found if item.get("id")]


def _chosen(resources: Sequence[Mapping[str, Any]], wanted: Resource) -> Mapping[str, Any]:
    suited = [item for item in resources if _suits(item, wanted)]
    if not suited:
        raise PayloadError(
            f"aucune ressource ne convient à ressource ; le jeu de données a : {_listed(resources)}"
        )
    if len(suited) > 1 and not wanted.plus_recente:
        raise PayloadError(
            f"plusieurs ressources conviennent : {_listed(suited)} ; préciser titre, donner id, ou"
            " plus_recente: true"
        )
    return max(suited, key=lambda item: (str(item.get("last_modified") or ""), str(item["id"])))


def _suits(resource: Mapping[str, Any], wanted: Resource) -> bool:
    if wanted.id:
        return bool(resource["id"] == wanted.id)
    title, kind = fold(str(resource.get("title") or "")), fold(str(resource.get("format") or ""))
    return fold(wanted.titre or "") in title and fold(wanted.format or kind) == kind


def _listed(resources: Sequence[Mapping[str, Any]]) -> str:
    shown = [
        f"« {str(item.get('title'))[:60]} » ({str(item.get('format'))[:20]}, {item['id']})"
        for item in resources[:_SHOWN]
    ]
    more = len(resources) - len(shown)
    return ", ".join(shown) + (f" et {more} autres" if more else "") or "aucune"


def _rows(source: Source, page: Page) -> Iterable[Row | Unreadable]:
    if _is_dataset(page):
        return ()
    options = _options(source)
    return options.reader.rows(_as_read(source, options), page)


PLATFORM = Platform(
    name="data_gouv",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    # Which of them reads the file is not known here: what they find by themselves, together.
    mapping={
        target: spec
        for reader in _READERS.values()
        for target, spec in reader.mapping.items()
        if target not in {"cle_source", "nom"}
    },
    ignored=frozenset().union(*(reader.ignored for reader in _READERS.values())),
    personal=frozenset().union(*(reader.personal for reader in _READERS.values())),
)
