"""From rows as a platform gives them to raw fiches: strict mapping, codes, selection, audit.

An extractor only turns bytes into `Row`s, as the payload has them. Everything that every platform
needs is here, once: reading fields by the mapping of `sources.yaml`, translating the codes of the
source, deciding whether a record belongs to the subject, and saying what was not understood.
Nothing here knows the network or the clock.

The result may hold personal data: it stays in memory until `normalise` has filtered it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urljoin

import pyarrow as pa
from pydantic import BaseModel

from lowtech_data import relevance
from lowtech_data.folding import fold
from lowtech_data.redact import without_mails
from lowtech_data.registry import (
    Constant,
    Crosswalk,
    FirstOf,
    Labelled,
    Selection,
    Separated,
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
    record: bool = False
    """Whether the page is one record's: when it is gone (404, 410), so is that record only."""


PAGING_HEADERS = ("link", "x-wp-total", "x-wp-totalpages")
"""Headers that say which page comes next, or how many there are: kept with the bytes."""


@dataclass(frozen=True, slots=True)
class Page:
    """One captured response: its bytes, and where they came from."""

    url: str
    body: bytes
    sha256: str
    media_type: str | None = None
    charset: str | None = None
    """As declared by the server; `None` when it said nothing."""
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Those of `PAGING_HEADERS` that the server sent, by their name in lower case."""


@dataclass(frozen=True, slots=True)
class Lost:
    """One value of a record that could not be read, and why: it becomes a row of `rejets`."""

    column: str
    """The column it was in, `*` when that cannot be told."""
    rule: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One record as the payload has it: texts, numbers, and plain lists and dicts of them.

    `pointer` says where it is: JSON pointer, line, selector. `lost` are the values that could not
    be read while the rest of the record is certain.
    """

    pointer: str
    values: Mapping[str, Any]
    lost: Sequence[Lost] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One record that could not be read, and why: it becomes a row of `rejets`."""

    pointer: str
    rule: str
    excerpt: str = ""


class PayloadError(ValueError):
    """A payload that is not what its platform gives: the whole page is refused, with the reason."""


def pointer_step(part: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def next_page(page: Page, address: object, where: str) -> Request:
    """The request of the next page, by the address that the payload gives at `where`.

    Raises `PayloadError` when that is no address, or leads to the same page.
    """
    if not isinstance(address, str):
        raise PayloadError(f"« {where} » : attendu une adresse, trouvé {type(address).__name__}")
    url = urljoin(page.url, address)
    if url == page.url:
        raise PayloadError(f"« {where} » ramène à la même page : la pagination n’avance pas")
    return Request(url, "application/json")


class NoOptions(Strict):
    """For platforms without options."""


def _no_next(source: Source, page: Page) -> Sequence[Request]:
    return ()


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url),)


def _no_labels(page: Page) -> Mapping[str, str]:
    return {}


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
    labels: Callable[[Page], Mapping[str, str]] = _no_labels
    """What codes of the listing mean, when one of its pages says so: a code that `codes` does not
    name is read by its label."""
    announced: Callable[[Page], int | None] = lambda page: None
    """How many records the payload says that the whole listing has."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one harvest of a source says, before cleaning."""

    fiches: pa.Table
    rejects: pa.Table
    read: int
    """Records met, kept or not: always `fiches + left_out + unreadable + repeated`."""
    left_out: int
    """Records outside the subject, by the source's selection."""
    left_out_by: Mapping[str, int]
    """How many by each rule: `hors_champ` (all of their codes are outside), `zone`, `selection`
    (none of its codes and words), or a rule of the charter."""
    unreadable: int = 0
    """Records that could not be read, or that have no key."""
    repeated: int = 0
    """Records whose key was already met, with the same content or another."""


def extract(source: Source, platform: Platform, pages: Iterable[Page]) -> Extraction:
    """Read all pages of one harvest, one at a time.

    The result does not depend on the order of pages or records: rows are sorted by key, and of
    several records with one key, one is kept (of the subject before left out, then the first by
    name, then by content). Raises `PayloadError` when a page is not what the platform gives, or
    when more than `MAX_SHORTAGE` of the announced records are missing. These are rows of `rejects`:

    | rule | what happened |
    |---|---|
    | the platform's own | a record, or one value of it, could not be read |
    | `cle_absente` | a record has no key: not kept |
    | `cle_repetee` | the same record again, word for word: kept once |
    | `cle_reemployee` | another record under a key already taken: one of them kept |
    | `code_inconnu` | a code of the source that `codes` does not translate |
    | `valeur_structuree` | an object where a text was expected: the field is left empty |
    | `colonne_non_declaree` | a column that is neither read, ignored nor set aside |
    | `colonne_absente` | a column named in `champs` that no record has |
    | `total_non_atteint` | the listing announced more records than its pages hold |
    """
    reader = _Reader(source, platform)
    if platform.labels is not _no_labels:
        # Which page holds the labels is not known before all are read.
        pages = tuple(pages)
        reader.labels = dict(sorted(pair for page in pages for pair in reader.labelled(page)))
    for page in pages:
        reader.page(page)
    return reader.result()


def declared_columns(source: Source, platform: Platform) -> Callable[[str], bool]:
    """Whether the source or its platform reads, ignores or sets aside an input column by name."""
    apart = {*platform.ignored, *source.ignorer, *platform.personal, *source.ecarter}
    return _Patterns(_read_paths(source, platform) | apart).covers


def columns_of(source: Source) -> set[str]:
    """Input columns that the `champs` of a source read; of a dotted path, the first step."""
    return {path.partition(".")[0] for spec in source.champs.values() for path in _paths(spec)}


def _read_paths(source: Source, platform: Platform) -> set[str]:
    specs = [*platform.mapping.values(), *source.champs.values()]
    return {path for spec in specs for path in _paths(spec)}


MAX_SHORTAGE = 0.01
"""Share of the announced records that may be missing: a listing edited while its pages were read
loses a few, an interrupted paging a page."""

BATCH_ROWS = 10_000
"""Raw fiches held as Python objects before they are packed into Arrow."""


@dataclass(frozen=True, slots=True, order=True)
class _Rank:
    """Which of several records with one key is kept: the smallest, whatever the reading order."""

    is_left_out: bool
    name: str
    content: bytes
    capture: str
    pointer: str


class _Packer:
    """Rows packed into Arrow as they come, so that memory stays close to the size of the data."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.batches: list[pa.RecordBatch] = []
        self.rows: list[dict[str, Any]] = []
        self.size = 0

    def add(self, row: dict[str, Any]) -> int:
        """The row's index in the packed table."""
        self.rows.append(row)
        if len(self.rows) == BATCH_ROWS:
            self._pack()
        self.size += 1
        return self.size - 1

    def _pack(self) -> None:
        self.batches.append(pa.RecordBatch.from_pylist(self.rows, self.schema))
        self.rows = []

    def table(self) -> pa.Table:
        """Everything that was added; nothing of it stays here."""
        self._pack()
        batches, self.batches = self.batches, []
        return pa.Table.from_batches(batches, self.schema)


class _Reader:
    def __init__(self, source: Source, platform: Platform) -> None:
        self.source = source
        self.specs: dict[str, ValueSpec] = {**platform.mapping, **source.champs}
        unknown = sorted(set(self.specs) - TARGETS)
        if unknown:
            raise PayloadError(f"source {source.id} : champs inconnus : {', '.join(unknown)}")
        self.platform = platform
        self.personal = _Patterns({*platform.personal, *source.ecarter})
        self.ignored = _Patterns({*platform.ignored, *source.ignorer})
        self.is_declared = declared_columns(source, platform)
        self.objects = {
            parent for path in _read_paths(source, platform) for parent in _parents(path)
        }
        self.codes = {fold(code): walk for code, walk in source.codes.items()}
        self.select = _Selector(source.selection) if source.selection else None
        self.addresses: set[str] = set()
        self.packer = _Packer(RAW_SCHEMA)
        self.kept: dict[str, tuple[_Rank, int | str]] = {}
        """By key, the row of the record in the packed table, or the rule that leaves it out."""
        self.repeats: dict[str, set[bytes]] = {}
        self.superseded: set[int] = set()
        self.columns: set[str] = set()
        self.rejects: set[tuple[str, str, str, str]] = set()
        self.lost: set[tuple[str, str, str, str, str]] = set()
        self.labels: Mapping[str, str] = {}
        self.announced = 0
        self.read = 0
        self.unreadable = 0
        self.repeated = 0

    def labelled(self, page: Page) -> Iterable[tuple[str, str]]:
        try:
            return self.platform.labels(page).items()
        except PayloadError as error:
            raise PayloadError(f"source {self.source.id} : {page.url} : {error}") from error

    def page(self, page: Page) -> None:
        self.addresses.add(page.url)
        try:
            licence = self.platform.licence(page)
            self.announced = max(self.announced, self.platform.announced(page) or 0)
            for item in self.platform.rows(self.source, page):
                self.read += 1
                if isinstance(item, Unreadable):
                    self._unreadable(page, item)
                else:
                    self._row(page, item, licence)
        except PayloadError as error:
            raise PayloadError(f"source {self.source.id} : {page.url} : {error}") from error

    def _unreadable(self, page: Page, item: Unreadable, field_name: str = "*") -> None:
        self.unreadable += 1
        self.lost.add((page.url, item.pointer, field_name, item.rule, item.excerpt))

    def _row(self, page: Page, row: Row, licence: str | None) -> None:
        values = self.personal.without(dict(row.values))
        self._audit({lost.column: None for lost in row.lost if lost.column != "*"} | values)
        content = _digest(self.ignored.without(values))
        fields = {target: _value(target, spec, values) for target, spec in self.specs.items()}
        key = _text(fields.pop("cle_source", None))
        if not key:
            self._unreadable(page, Unreadable(row.pointer, "cle_absente"), "cle_source")
            return
        for value in row.lost:
            # What is in a column that nobody has looked at may be a person's name.
            is_shown = self.is_declared(value.column) and not self.personal.covers(value.column)
            self._reject(key, value.column, value.rule, value.excerpt if is_shown else "")
        given = [self._meaning(code) for code in _texts(fields.pop("categories", None))]
        walks = self._crosswalk(key, given)
        record = self._record(key, fields, walks)
        record["licence"] = record["licence"] or licence
        reason = self._why(record, given, walks)
        rank = _Rank(not reason.kept, record["nom"] or "", content, page.sha256, row.pointer)
        before = self.kept.get(key)
        if before:
            self._repeat(key, before[0], rank)
            if rank >= before[0]:
                return
            if isinstance(before[1], int):
                self.superseded.add(before[1])
        if not reason.kept:
            self.kept[key] = (rank, reason.rule)
            return
        record |= {"capture": page.sha256, "pointeur": row.pointer, "regle_selection": reason.rule}
        self.kept[key] = (rank, self.packer.add(record))

    def _record(
        self, key: str, fields: Mapping[str, Any], walks: Sequence[Crosswalk]
    ) -> dict[str, Any]:
        record: dict[str, Any] = dict.fromkeys(RAW_SCHEMA.names)
        record |= {"source_id": self.source.id, "cle_source": key, "entite": self.source.entite}
        record |= _merge([*walks, self.source.defauts])
        for target, value in fields.items():
            if _is_structured(value):
                self._reject(key, target, "valeur_structuree", "")
            record[target] = _texts(value) if target in LIST_FIELDS else _text(value)
        return record

    def _repeat(self, key: str, kept: _Rank, new: _Rank) -> None:
        self.repeated += 1
        seen = self.repeats.setdefault(key, {kept.content})
        rule = "cle_repetee" if new.content in seen else "cle_reemployee"
        seen.add(new.content)
        self._reject(key, "cle_source", rule, key)

    def _audit(self, values: Mapping[str, Any]) -> None:
        for leaf in set(_leaves(values)) - self.columns:
            if leaf in self.objects and value_at(values, leaf) is None:
                # The object that holds declared columns, empty here.
                continue
            self.columns.add(leaf)
            if not self.is_declared(leaf):
                self._reject("*", leaf, "colonne_non_declaree", "")

    def _meaning(self, code: str) -> str:
        label = self.labels.get(code)
        return code if label is None or fold(code) in self.codes else label

    def _crosswalk(self, key: str, given: Sequence[str]) -> list[Crosswalk]:
        found: list[Crosswalk] = []
        for code in given:
            known = self.codes.get(fold(code))
            if known:
                found.append(known)
            elif self.source.codes:
                self._reject(key, "categories", "code_inconnu", code)
        return found

    def _why(
        self, record: Mapping[str, Any], given: Sequence[str], walks: Sequence[Crosswalk]
    ) -> _Reason:
        # An unknown code is no proof that the record is outside the subject.
        if walks and len(walks) == len(given) and all(walk.hors_champ for walk in walks):
            return _Reason(False, "hors_champ")
        return self.select.reason(record, given) if self.select else _Reason(True, "liste")

    def _reject(self, key: str, field_name: str, rule: str, excerpt: str) -> None:
        self.rejects.add((_utf8(key), _utf8(field_name), rule, mask(excerpt)))

    def _absent_columns(self) -> Iterator[str]:
        seen = self.columns | {parent for leaf in self.columns for parent in _parents(leaf)}
        for spec in self.source.champs.values():
            paths = [path for path in _paths(spec) if not self.personal.covers(path)]
            absent = [path for path in paths if path not in seen]
            alternatives = isinstance(spec, FirstOf)
            if absent and (not alternatives or len(absent) == len(paths)):
                yield from absent

    def _short(self, missing: int) -> None:
        if missing > MAX_SHORTAGE * self.announced:
            raise PayloadError(
                f"source {self.source.id} : {self.announced} fiches annoncées, {self.read} reçues :"
                " pagination interrompue ; moissonner de nouveau"
            )
        self._reject("*", "*", "total_non_atteint", f"{missing} de moins qu’annoncé")

    def _sorted(self) -> pa.Table:
        fiches = self.packer.table()
        if self.superseded:
            rows = [i for i in range(fiches.num_rows) if i not in self.superseded]
            fiches = fiches.take(pa.array(rows, pa.int64()))
        return fiches.sort_by("cle_source")

    def result(self) -> Extraction:
        if self.columns:
            for path in self._absent_columns():
                self._reject("*", path, "colonne_absente", "")
        if self.announced > self.read:
            self._short(self.announced - self.read)
        # A pointer is unique in its page only.
        is_one_page = len(self.addresses) == 1
        for url, pointer, *reject in self.lost:
            self._reject(pointer if is_one_page else f"{url}#{pointer}", *reject)
        left_out = dict(Counter(sorted(r for _, r in self.kept.values() if isinstance(r, str))))
        # Of a long listing, the keys weigh as much as the rows, which sorting copies.
        self.kept.clear()
        rejects = [
            dict(zip(REJECT_SCHEMA.names, (self.source.id, *reject), strict=True))
            for reject in sorted(self.rejects)
        ]
        return Extraction(
            fiches=self._sorted(),
            rejects=pa.Table.from_pylist(rejects, REJECT_SCHEMA),
            read=self.read,
            left_out=sum(left_out.values()),
            left_out_by=left_out,
            unreadable=self.unreadable,
            repeated=self.repeated,
        )


class _Reason(NamedTuple):
    """Whether a record belongs to the subject, and by what rule."""

    kept: bool
    rule: str


class _Selector:
    """Decides whether a record of a general listing belongs to the subject, and says by what."""

    def __init__(self, selection: Selection) -> None:
        self.codes = {fold(code): code for code in selection.codes}
        self.bbox = selection.bbox
        self.charter = selection.charte
        words = [word for given in selection.mots if (word := fold(given))]
        self.words = (
            re.compile(r"(?<!\w)(" + "|".join(map(re.escape, words)) + r")(?!\w)")
            if words
            else None
        )

    def reason(self, record: Mapping[str, Any], given: Sequence[str]) -> _Reason:
        """`code:…`, `mot:…`, `charte:…` or `zone` for a record that is kept."""
        if self.bbox and not self._inside(record):
            return _Reason(False, "zone")
        folded = {fold(code) for code in given}
        for code, as_declared in self.codes.items():
            if code in folded:
                return _Reason(True, f"code:{as_declared}")
        if self.words:
            text = fold(f"{record['nom'] or ''} {record['description'] or ''}")
            if match := self.words.search(text):
                return _Reason(True, f"mot:{match.group(1)}")
        if self.charter:
            verdict = relevance.judge(record["nom"], record["description"], given)
            return _Reason(verdict.kept, f"charte:{verdict}" if verdict.kept else verdict.rule)
        return _Reason(False, "selection") if self.codes or self.words else _Reason(True, "zone")

    def _inside(self, record: Mapping[str, Any]) -> bool:
        west, south, east, north = self.bbox or (-180, -90, 180, 90)
        try:
            latitude, longitude = (
                float((record[name] or "").replace(",", ".")) for name in ("latitude", "longitude")
            )
        except ValueError:
            return False
        return south <= latitude <= north and west <= longitude <= east


class _Patterns:
    """Dotted paths, with an optional `*` at the end; a path covers everything below it."""

    def __init__(self, paths: Iterable[str]) -> None:
        paths = frozenset(paths)
        self.exact = frozenset(path for path in paths if not path.endswith("*"))
        self.prefixes = tuple(path[:-1] for path in paths if path.endswith("*"))
        # The same few paths come back with every record.
        self.met: dict[str, bool] = {}

    def covers(self, path: str) -> bool:
        """Whether the path, or one above it, is among the patterns."""
        known = self.met.get(path)
        if known is None:
            known = (
                path in self.exact
                or path.startswith(self.prefixes)
                or any(parent in self.exact for parent in _parents(path))
            )
            self.met[path] = known
        return known

    def without(self, values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        """The values without those that are covered, at any depth."""
        if not self.exact and not self.prefixes:
            return values
        return {
            key: self._pruned(value, path) if isinstance(value, dict | list) else value
            for key, value in values.items()
            if not self.covers(path := f"{prefix}{key}")
        }

    def _pruned(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return self.without(value, f"{path}.")
        if isinstance(value, list):
            return [self._pruned(item, path) for item in value]
        return value


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition(".")[0]:
        yield path


def mask(text: str) -> str:
    """A value fit to be shown among rejects: at most 80 characters, e-mails replaced by `…@…`, and
    every digit after the third hidden when there are more than five.

    Five digits hold a postcode or a code of the source; a telephone number has more, even when it
    was cut.
    """
    shown = re.sub(r"\S*\s*@\s*\S*", "…@…", without_mails(_utf8(text[:1000])))
    if sum(map(str.isdigit, shown)) > 5:
        digits = itertools.count()
        shown = "".join("•" if c.isdigit() and next(digits) >= 3 else c for c in shown)
    return shown[:80]


def _utf8(text: str) -> str:
    """Text that can be encoded: a lone surrogate (JSON allows `\\ud800`) becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _paths(spec: ValueSpec) -> list[str]:
    match spec:
        case str():
            return [spec]
        case list():
            return [path for part in spec for path in _paths(part)]
        case Template():
            return re.findall(r"\{([^}]+)\}", spec.modele)
        case Labelled():
            return list(spec.etiquettes.values())
        case FirstOf():
            paths = spec.premier_de
        case Separated():
            paths = [spec.separe]
        case Constant():
            paths = []
    return paths


def _value(target: str, spec: ValueSpec, values: Mapping[str, Any]) -> Any:
    match spec:
        case str():
            return value_at(values, spec)
        case list():
            parts = [_value(target, part, values) for part in spec]
            is_list = target == "categories" or target in LIST_FIELDS
            return parts if is_list else " ".join(filter(None, map(_text, parts)))
        case FirstOf():
            return next((v for p in spec.premier_de if _text(v := value_at(values, p))), None)
        case Separated():
            cells = _texts(value_at(values, spec.separe))
            return [part.strip() for cell in cells for part in cell.split(spec.par)]
        case Constant():
            return spec.valeur
        case Template() | Labelled():
            return _composed(spec, values)


def _composed(spec: Template | Labelled, values: Mapping[str, Any]) -> str | None:
    found = {path: _text(value_at(values, path)) for path in _paths(spec)}
    if isinstance(spec, Labelled):
        said = ((label, found[path]) for label, path in spec.etiquettes.items())
        return "; ".join(f"{label} : {' '.join(text.split())}" for label, text in said if text)
    if not all(found.values()):
        return None
    return re.sub(r"\{([^}]+)\}", lambda m: str(found[m.group(1)]), spec.modele)


def value_at(values: Any, path: str) -> Any:
    """The value at a dotted path; a list on the way gives the list of what each item holds."""
    if isinstance(values, dict) and path in values:
        return values[path]
    head, _, rest = path.partition(".")
    if isinstance(values, dict):
        below = values.get(head)
        return value_at(below, rest) if rest and below is not None else below
    if isinstance(values, list):
        return [found for item in values if (found := value_at(item, path)) is not None]
    return None


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                if isinstance(item, dict):
                    yield from _leaves(item, f"{path}.")
        else:
            yield path


def _text(value: Any) -> str | None:
    """One text: lists are joined by `; `, numbers written out, blank and objects are nothing."""
    match value:
        case str():
            return _utf8(value).strip() or None
        case None | dict():
            return None
        case bool():
            return "oui" if value else "non"
        case list():
            return "; ".join(_texts(value)) or None
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [text] if (text := _text(value)) else []


def _is_structured(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_is_structured, value)))


def _digest(values: Mapping[str, Any]) -> bytes:
    content = json.dumps(values, sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


def _merge(walks: Sequence[Crosswalk]) -> dict[str, Any]:
    """Codes of several crosswalk entries: the first single value, the union of lists, in order."""
    merged: dict[str, Any] = {}
    for name in ("type", "nature", "nature_ressource"):
        merged[name] = next((v for walk in walks if (v := getattr(walk, name))), None)
    for name in ("themes", "familles"):
        merged[name] = list(dict.fromkeys(code for walk in walks for code in getattr(walk, name)))
    return merged
