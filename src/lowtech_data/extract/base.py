"""From rows as a platform gives them to raw fiches: strict mapping, codes, selection, audit.

An extractor only turns bytes into `Row`s, as the payload has them. Everything that every platform
needs is here, once: reading fields by the mapping of `sources.yaml`, translating the source's codes,
deciding whether a record belongs to the subject, and saying what was not understood. Nothing here
knows the network or the clock.

The result may hold personal data: it stays in memory until `normalise` has filtered it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from lowtech_data.registry import (
    Constant,
    Crosswalk,
    FirstOf,
    Selection,
    Source,
    Strict,
    Template,
    ValueSpec,
)

TEXT_FIELDS = (
    "nom",
    "description",
    "adresse",
    "complement_adresse",
    "code_postal",
    "commune",
    "code_insee",
    "pays",
    "latitude",
    "longitude",
    "precision_geo",
    "itinerant",
    "site_web",
    "courriel",
    "telephone",
    "siret",
    "rna",
    "horaires",
    "statut",
    "date_maj",
    "licence",
    "attribution",
    "difficulte",
    "duree",
    "cout",
    "langue",
    "date_publication",
)
"""Fields that hold one text, exactly as the source writes it (numbers are written out)."""

LIST_FIELDS = ("noms_alternatifs", "etapes", "identifiants")
"""Fields that hold several texts. `identifiants` are `systeme=valeur` pairs."""

CODE_FIELDS = ("type", "nature", "nature_ressource", "themes", "familles")
"""Filled by crosswalk from the codes of the source, never read directly."""

TARGETS = frozenset({*TEXT_FIELDS, *LIST_FIELDS, "cle_source", "url", "categories"})
"""What `champs` in `sources.yaml` may name. `categories` are the source's own codes."""

RAW_SCHEMA = pa.schema(
    [
        ("source_id", pa.string()),
        ("cle_source", pa.string()),
        ("entite", pa.string()),
        ("capture", pa.string()),
        ("pointeur", pa.string()),
        ("url", pa.string()),
        ("regle_selection", pa.string()),
        ("type", pa.string()),
        ("nature", pa.string()),
        ("nature_ressource", pa.string()),
        ("themes", pa.list_(pa.string())),
        ("familles", pa.list_(pa.string())),
        *((name, pa.string()) for name in TEXT_FIELDS),
        *((name, pa.list_(pa.string())) for name in LIST_FIELDS),
    ]
)
"""Columns of a raw fiche. The key of a row is (`source_id`, `cle_source`)."""

REJECT_SCHEMA = pa.schema(
    [
        ("source_id", pa.string()),
        ("cle_source", pa.string()),
        ("champ", pa.string()),
        ("regle", pa.string()),
        ("valeur_masquee", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to fetch. `url` is absolute; a local source's is relative to the registry."""

    url: str
    accept: str = "*/*"


@dataclass(frozen=True, slots=True)
class Page:
    """One captured response: its bytes, and where they came from."""

    url: str
    body: bytes
    sha256: str
    media_type: str | None = None
    charset: str | None = None
    """As declared by the server; `None` when it said nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record as the payload has it. `pointer` says where (JSON pointer, line, selector)."""

    pointer: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One record that could not be read, and why: it becomes a row of `rejets`."""

    pointer: str
    rule: str
    excerpt: str = ""


class PayloadError(ValueError):
    """A payload that is not what its platform gives: the whole page is refused, with the reason."""


class NoOptions(Strict):
    """For platforms without options."""


def _no_next(source: Source, page: Page) -> Sequence[Request]:
    return ()


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url),)


@dataclass(frozen=True, slots=True)
class Platform:
    """How listings of one kind are asked for and read. All functions are pure."""

    name: str
    rows: Callable[[Source, Page], Iterable[Row | Unreadable]]
    """The records of one page. Raises `PayloadError` when the page is something else."""
    options: type[BaseModel] = NoOptions
    first: Callable[[Source], Sequence[Request]] = _first
    follow: Callable[[Source, Page], Sequence[Request]] = _no_next
    """The pages that a page leads to (paging, details)."""
    mapping: Mapping[str, ValueSpec] = field(default_factory=dict)
    """Target field → where it is, for what the platform names the same everywhere."""
    ignored: frozenset[str] = frozenset()
    """Columns of the platform that are never data (`*` suffix allowed)."""
    personal: frozenset[str] = frozenset()
    """Columns of the platform that always hold personal data: removed before anything is read."""
    licence: Callable[[Page], str | None] = lambda page: None
    """The licence that the payload itself declares, if any: it wins over `sources.yaml`."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one harvest of a source says, before cleaning."""

    fiches: pa.Table
    rejects: pa.Table
    read: int
    """Records met, kept or not: `read = fiches + left out + unreadable + repeated`."""
    left_out: int
    """Records outside the subject, by the source's selection."""


def extract(source: Source, platform: Platform, pages: Sequence[Page]) -> Extraction:
    """Read all pages of one harvest.

    Raises `PayloadError` when a page is not what the platform gives. A record that cannot be read, a
    repeated key, an unknown code or an undeclared column are rows of `rejects`.
    """
    reader = _Reader(source, platform)
    for page in pages:
        reader.page(page)
    return reader.result()


class _Reader:
    def __init__(self, source: Source, platform: Platform) -> None:
        self.source = source
        self.specs: dict[str, ValueSpec] = {**platform.mapping, **source.champs}
        unknown = sorted(set(self.specs) - TARGETS)
        if unknown:
            raise PayloadError(f"source {source.id} : champs inconnus : {', '.join(unknown)}")
        self.platform = platform
        self.ignored = _Patterns({*platform.ignored, *source.ignorer})
        self.personal = _Patterns({*platform.personal, *source.ecarter})
        self.mapped = _Patterns({path for spec in self.specs.values() for path in _paths(spec)})
        self.codes = {fold(code): (code, walk) for code, walk in source.codes.items()}
        self.select = _Selector(source.selection) if source.selection else None
        self.records: list[dict[str, Any]] = []
        self.rejects: dict[tuple[str, str, str], str] = {}
        self.keys: set[str] = set()
        self.read = 0
        self.left_out = 0

    def page(self, page: Page) -> None:
        licence = self.platform.licence(page)
        for item in self.platform.rows(self.source, page):
            self.read += 1
            if isinstance(item, Unreadable):
                self._reject(item.pointer, "*", item.rule, item.excerpt)
            else:
                self._row(page, item, licence)

    def _row(self, page: Page, row: Row, licence: str | None) -> None:
        values = {k: v for k, v in row.values.items() if not self.personal.covers(k)}
        self._audit(values)
        fields = {target: _value(spec, values) for target, spec in self.specs.items()}
        key = _text(fields.pop("cle_source", None))
        if not key:
            self._reject(row.pointer, "cle_source", "cle_absente", "")
            return
        if key in self.keys:
            self._reject(key, "cle_source", "cle_repetee", key)
            return
        codes = self._crosswalk(key, _texts(fields.pop("categories", None)))
        rule = self._why(fields, codes)
        if rule is None:
            self.left_out += 1
            return
        self.keys.add(key)
        record: dict[str, Any] = dict.fromkeys(RAW_SCHEMA.names)
        record |= {
            "source_id": self.source.id,
            "cle_source": key,
            "entite": self.source.entite,
            "capture": page.sha256,
            "pointeur": row.pointer,
            "regle_selection": rule,
            **_merge([*(walk for _, walk in codes), self.source.defauts]),
        }
        for target, value in fields.items():
            record[target] = _texts(value) if target in LIST_FIELDS else _text(value)
        record["licence"] = record["licence"] or licence
        self.records.append(record)

    def _audit(self, values: Mapping[str, Any]) -> None:
        for leaf in set(_leaves(values)):
            if not (
                self.mapped.covers(leaf) or self.ignored.covers(leaf) or self.personal.covers(leaf)
            ):
                self._reject("*", leaf, "colonne_non_declaree", "")

    def _crosswalk(self, key: str, given: Sequence[str]) -> list[tuple[str, Crosswalk]]:
        found: list[tuple[str, Crosswalk]] = []
        for code in given:
            known = self.codes.get(fold(code))
            if known:
                found.append(known)
            elif self.source.codes:
                self._reject(key, "categories", "code_inconnu", code)
        return found

    def _why(self, fields: Mapping[str, Any], codes: Sequence[tuple[str, Crosswalk]]) -> str | None:
        if codes and all(walk.hors_champ for _, walk in codes):
            return None
        if self.select is None:
            return "liste"
        return self.select.reason(fields, [code for code, _ in codes])

    def _reject(self, key: str, field_name: str, rule: str, excerpt: str) -> None:
        self.rejects.setdefault((key, field_name, rule), mask(excerpt))

    def result(self) -> Extraction:
        rejects = [
            {
                "source_id": self.source.id,
                "cle_source": key,
                "champ": name,
                "regle": rule,
                "valeur_masquee": excerpt,
            }
            for (key, name, rule), excerpt in self.rejects.items()
        ]
        return Extraction(
            fiches=pa.Table.from_pylist(self.records, RAW_SCHEMA),
            rejects=pa.Table.from_pylist(rejects, REJECT_SCHEMA),
            read=self.read,
            left_out=self.left_out,
        )


class _Selector:
    """Decides whether a record of a general listing belongs to the subject, and says by what."""

    def __init__(self, selection: Selection) -> None:
        self.codes = {fold(code) for code in selection.codes}
        self.bbox = selection.bbox
        words = [fold(word) for word in selection.mots]
        self.words = (
            re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b") if words else None
        )

    def reason(self, fields: Mapping[str, Any], codes: Sequence[str]) -> str | None:
        if self.bbox and not self._inside(fields):
            return None
        for code in codes:
            if fold(code) in self.codes:
                return f"code:{code}"
        if self.words:
            text = fold(f"{_text(fields.get('nom'))} {_text(fields.get('description'))}")
            if match := self.words.search(text):
                return f"mot:{match.group(1)}"
        return "zone" if self.bbox and not self.codes and not self.words else None

    def _inside(self, fields: Mapping[str, Any]) -> bool:
        west, south, east, north = self.bbox or (-180, -90, 180, 90)
        try:
            latitude = float(str(_text(fields.get("latitude"))).replace(",", "."))
            longitude = float(str(_text(fields.get("longitude"))).replace(",", "."))
        except ValueError:
            return False
        return south <= latitude <= north and west <= longitude <= east


class _Patterns:
    """Dotted paths, with an optional `*` at the end; a path covers everything below it."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.exact = frozenset(path for path in paths if not path.endswith("*"))
        self.prefixes = tuple(path[:-1] for path in paths if path.endswith("*"))

    def covers(self, path: str) -> bool:
        if path.startswith(self.prefixes) if self.prefixes else False:
            return True
        while path:
            if path in self.exact:
                return True
            path = path.rpartition(".")[0]
        return False


def fold(text: str) -> str:
    """Text for comparing codes and words: no accents, no case, single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("’", "'"))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(bare.casefold().split())


def mask(text: str) -> str:
    """A value fit to be shown among rejects: shape kept, letters and digits after the third hidden
    in every run that may be a name, a number or an address.
    """
    shown = re.sub(r"\S*@\S*", "…@…", text[:80])
    return re.sub(r"\d(?=(?:\D{0,2}\d){5,})|(?<=\d)\d(?=\d*$)", "•", shown)


def _paths(spec: ValueSpec) -> list[str]:
    match spec:
        case str():
            return [spec]
        case list():
            return list(spec)
        case FirstOf():
            return spec.premier_de
        case Template():
            return re.findall(r"\{([^}]+)\}", spec.modele)
        case Constant():
            return []


def _value(spec: ValueSpec, values: Mapping[str, Any]) -> Any:
    match spec:
        case str():
            return _get(values, spec)
        case list():
            return " ".join(filter(None, (_text(_get(values, path)) for path in spec)))
        case FirstOf():
            return next((v for p in spec.premier_de if _text(v := _get(values, p))), None)
        case Constant():
            return spec.valeur
        case Template():
            holes = {path: _text(_get(values, path)) for path in _paths(spec)}
            if not all(holes.values()):
                return None
            return re.sub(r"\{([^}]+)\}", lambda m: str(holes[m.group(1)]), spec.modele)


def _get(values: Any, path: str) -> Any:
    """The value at a dotted path; a list on the way gives the list of what each item holds."""
    if isinstance(values, Mapping) and path in values:
        return values[path]
    head, _, rest = path.partition(".")
    if isinstance(values, Mapping):
        below = values.get(head)
        return _get(below, rest) if rest and below is not None else below
    if isinstance(values, list):
        return [found for item in values if (found := _get(item, path)) is not None]
    return None


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            for item in value:
                if isinstance(item, Mapping):
                    yield from _leaves(item, f"{path}.")
        else:
            yield path


def _text(value: Any) -> str | None:
    """One text: lists are joined by `; `, numbers written out, blank is nothing."""
    match value:
        case None | bool():
            return {True: "oui", False: "non"}.get(value) if value is not None else None
        case list():
            return "; ".join(_texts(value)) or None
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value).strip() or None


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [text for item in items if (text := _text(item))]


def _merge(walks: Sequence[Crosswalk]) -> dict[str, Any]:
    """Codes of several crosswalk entries: the first single value, the union of lists, in order."""
    merged: dict[str, Any] = {}
    for name in ("type", "nature", "nature_ressource"):
        merged[name] = next((v for walk in walks if (v := getattr(walk, name))), None)
    for name in ("themes", "familles"):
        merged[name] = list(dict.fromkeys(code for walk in walks for code in getattr(walk, name)))
    return merged
