"""`sources.yaml`, typed: what each listing is, how it is read, and what may be done with it.

The file is written by people, so it is read strictly: an unknown key, a wrong code or a wrong type
is an error that names the file, the line, the source and the field, and proposes the nearest
spelling. Platforms are not known here: their options and the fields that `champs` may name are
given by whoever knows the extractors.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lowtech_data.model import codes_of

LICENCE = (
    r"cc-by(?:-nc)?(?:-sa|-nd)?(?:-[1-4]\.[05])?|cc0(?:-1\.0)?|odbl-1\.0|lov[12]|mit"
    r"|cern-ohl(?:-1\.2)?|cern-ohl-[swp]-2\.0|gfdl(?:-1\.3)?|gpl-3\.0|odc-by-1\.0"
    r"|domaine_public|par_fiche|aucune"
)
"""Identifiers of licences, in lower case, with a version when it is known."""

FACTS = "faits"
"""Licence of a source made of facts read in a document: facts have no author."""

MAX_FILE_BYTES = 2_000_000
"""A registry of a few hundred sources is a hundred times smaller; beyond, the file is not ours."""

MAX_NODES = 50_000
"""Keys, values, lists of the file: enough for a thousand sources, and read in seconds."""

MAX_PROBLEMS = 200
"""Problems told at once: beyond, the file is broken as a whole."""

MAX_DEPTH = 20
"""Nesting of the file; a source needs six levels."""


def _code(name: str) -> Any:
    """A string restricted to a published code list, by its name in `model.codes`."""
    return Literal[tuple(sorted(codes_of(name)))]


class Strict(BaseModel):
    """Base of everything read from YAML: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Limits(Strict):
    """Bounds of one harvest. Defaults suit a page; a source may raise them to `MAX_LIMITS`."""

    delai_s: Annotated[float, Field(gt=0)] = 60
    """Total time of one response, from the first byte sent to the last received."""
    octets: Annotated[int, Field(gt=0)] = 20_000_000
    """Size of one response after decompression."""
    pages: Annotated[int, Field(gt=0)] = 1_000
    pause_s: Annotated[float, Field(ge=0)] = 1.0
    """Pause between two requests to the same host; robots.txt may lengthen it."""
    essais: Annotated[int, Field(ge=1)] = 3
    lecture_s: Annotated[float, Field(gt=0)] | None = None
    """Time to read all responses of a harvest; the rule of `extract.bounded` when it is not set."""


MAX_LIMITS = Limits(
    delai_s=1_800, octets=500_000_000, pages=20_000, pause_s=60, essais=5, lecture_s=1_800
)


class TlsException(Strict):
    """Why, until when and for which certificate alone the usual authorities do not decide.

    Nothing is left unchecked: the host of `url` must show this very certificate.
    """

    motif: Annotated[str, Field(min_length=10)]
    jusqu_au: date
    """Last day, at most a year ahead; afterwards the certificate is checked as any other."""
    empreinte: str
    """SHA-256 of the certificate, 64 hexadecimal digits, in pairs parted by `:` or not."""

    @field_validator("empreinte")
    @classmethod
    def _is_sha256(cls, fingerprint: str) -> str:
        digits = fingerprint.replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", digits):
            raise ValueError("empreinte SHA-256 attendue : 64 chiffres hexadécimaux")
        return digits


class Bounds(Strict):
    """How many fiches a healthy harvest gives: under `min` it is refused, over `max` it warns."""

    min: int = 1
    max: int | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Bounds:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max ({self.max}) est sous min ({self.min})")
        return self


Path_ = str
"""Where a value is in an input row: keys joined by dots (`address.city`)."""


class FirstOf(Strict):
    """The first path that holds something."""

    premier_de: list[Path_]


class Constant(Strict):
    """The same value for every record of the source."""

    valeur: str


class Template(Strict):
    """A text with `{path}` holes filled from the row, empty when one of them is empty."""

    modele: str


class Separated(Strict):
    """Several values written in one cell, cut at a separator; blank ones are dropped."""

    separe: Path_
    par: Annotated[str, Field(min_length=1)]
    """What stands between two values, such as `|`. It is never part of a value."""


class Labelled(Strict):
    """Several columns in one text, each after its label: `lundi : 9h-12h; mardi : 14h-18h`.

    Blank columns are left out. It reads opening hours that have a column a day.
    """

    etiquettes: Annotated[dict[str, Path_], Field(min_length=1)]
    """Label → where its value is, in the order of the text."""


ValueSpec = Path_ | list[Path_ | Separated] | FirstOf | Constant | Template | Separated | Labelled
"""How a field is read from a row: one path, several joined by a space, or one of the above.

A list that holds a `Separated` is for fields of several values, such as `categories`.
"""


class Crosswalk(Strict):
    """What a code of the source means in ours. An empty one means: known, and nothing to keep."""

    type: _code("type") | None = None  # type: ignore[valid-type]
    nature: _code("nature") | None = None  # type: ignore[valid-type]
    nature_ressource: _code("nature_ressource") | None = None  # type: ignore[valid-type]
    themes: list[_code("theme")] = []  # type: ignore[valid-type]
    familles: list[_code("famille")] = []  # type: ignore[valid-type]
    hors_champ: bool = False
    """The record is outside the subject when this is its only code."""


class Selection(Strict):
    """Why a record of a general listing is kept: the first of these that holds is the reason."""

    codes: list[str] = []
    """Codes of the source (as in `codes`) that are enough by themselves."""
    mots: list[str] = []
    """Words looked for in name and description, accents and case folded, whole words."""
    charte: bool = False
    """Whether the public charter (`docs/charte.md`) judges what codes and words did not keep."""
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north: everything outside is left out first."""


class Source(Strict):
    """One listing. Field names are those of the published `sources` table where it has them."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    nom: str
    editeur: str
    plateforme: str
    url: str
    """What is fetched: `https://…`, or a path relative to the registry file."""
    page: str | None = None
    """Public page of the listing when `url` is an API or a local copy."""
    etat: _code("source_etat") = "active"  # type: ignore[valid-type]
    motif_etat: str | None = None
    licence: str
    """An identifier of `LICENCE`, or `faits`."""
    attribution: str | None = None
    republication: _code("republication")  # type: ignore[valid-type]
    frequence: _code("frequence") = "hebdomadaire"  # type: ignore[valid-type]
    fiabilite: _code("fiabilite") = "contributive"  # type: ignore[valid-type]
    preuve: _code("preuve")  # type: ignore[valid-type]
    copie_de: list[str] = []
    renommee_de: str | None = None
    territoires: list[str] = []
    familles_couvertes: list[_code("famille")] = []  # type: ignore[valid-type]
    donnees_du: date | None = None
    """Date of the data when `url` is a local copy: it stands in for the date of capture."""
    entite: Literal["initiative", "ressource", "machine"] = "initiative"
    note: str | None = None
    """For stewards; never published."""

    options: dict[str, Any] = {}
    """Options of the platform, checked by its extractor."""
    champs: dict[str, ValueSpec] = {}
    """Target field → where it is. Completes and overrides the platform's own mapping."""
    ignorer: list[Path_] = []
    """Input columns left out on purpose (`*` suffix allowed)."""
    ecarter: list[Path_] = []
    """Input columns that hold personal data: never read."""
    codes: dict[str, Crosswalk] = {}
    """Codes of the source → ours. A code that is not here is reported."""
    defauts: Crosswalk = Crosswalk()
    """What every record of the source is, unless its codes say otherwise."""
    selection: Selection | None = None
    bornes: Bounds = Bounds()
    limites: Limits = Limits()
    hotes: list[str] = []
    """Other hosts that a redirect or a next page may lead to."""
    tls: TlsException | None = None

    @field_validator("url")
    @classmethod
    def _url_is_web_or_relative(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme in {"https", "http"}:
            if not parts.hostname or parts.username or parts.password:
                raise ValueError("adresse sans hôte, ou avec un mot de passe")
            return url
        if parts.scheme or url.startswith("/"):
            raise ValueError("attendu : https://… ou un chemin relatif au fichier des sources")
        return url

    @field_validator("licence")
    @classmethod
    def _licence_is_known(cls, licence: str) -> str:
        if licence != FACTS and not re.fullmatch(LICENCE, licence):
            raise ValueError(
                f"licence inconnue : « {licence} » ; attendu odbl-1.0, lov2, cc-by-4.0, "
                "cc-by-sa-4.0, cc-by-nc-sa, cc0, mit…, par_fiche, faits, ou aucune (non dite)"
            )
        return licence

    @field_validator("limites")
    @classmethod
    def _limits_under_maximum(cls, limits: Limits) -> Limits:
        for name in Limits.model_fields:
            value = getattr(limits, name)
            if value is not None and value > getattr(MAX_LIMITS, name):
                raise ValueError(f"{name} dépasse le maximum {getattr(MAX_LIMITS, name)}")
        return limits

    @model_validator(mode="after")
    def _state_has_a_reason(self) -> Source:
        if self.etat != "active" and not self.motif_etat:
            raise ValueError(f"motif_etat est attendu quand etat vaut « {self.etat} »")
        return self

    @model_validator(mode="after")
    def _nothing_is_taken_without_a_licence(self) -> Source:
        if self.licence == "aucune" and self.republication == "complete":
            raise ValueError("sans licence dite, republication: faits_et_lien au plus")
        return self

    @model_validator(mode="after")
    def _tls_exception_is_of_https(self) -> Source:
        if self.tls and not self.url.startswith("https://"):
            raise ValueError("tls ne vaut que pour une url en https://")
        return self

    @property
    def is_local(self) -> bool:
        """Whether the listing is a file beside the registry."""
        return not self.url.startswith(("https://", "http://"))

    @property
    def public_url(self) -> str:
        """The address to show to people."""
        return self.page or self.url


@dataclass(frozen=True, slots=True)
class Registry:
    """Every declared source, in the order of the file."""

    path: Path
    sources: tuple[Source, ...]

    def __iter__(self) -> Iterator[Source]:
        """Every source, in the order of the file."""
        return iter(self.sources)

    def __getitem__(self, source_id: str) -> Source:
        """One source by its id. Raises `KeyError` naming the nearest id."""
        for source in self.sources:
            if source.id == source_id:
                return source
        raise KeyError(self._unknown(source_id))

    def _unknown(self, source_id: str) -> str:
        near = _nearest(source_id, [source.id for source in self.sources])
        return f"source inconnue : {source_id!r}{near}"

    @property
    def active(self) -> tuple[Source, ...]:
        """Sources that are harvested."""
        return tuple(source for source in self.sources if source.etat == "active")

    def only(self, ids: Sequence[str]) -> Registry:
        """The registry restricted to these ids. Raises `KeyError` naming the nearest id."""
        if not ids:
            return self
        return Registry(self.path, tuple(self[source_id] for source_id in dict.fromkeys(ids)))

    def local_path(self, source: Source) -> Path:
        """Where a local source's file is; never outside the registry's folder."""
        base = self.path.resolve().parent
        path = (base / source.url).resolve()
        if not path.is_relative_to(base):
            raise RegistryError(
                [f"{self.path} : source {source.id} : url sort du dossier : {source.url}"]
            )
        return path


class RegistryError(ValueError):
    """Everything wrong with a registry file, one line per problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep each problem apart (`problems`) and join them for whoever prints the error."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Loader(yaml.SafeLoader):
    """Safe YAML where a key written twice is an error: one of the two would be lost unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"clé répétée : {key.value}", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            # A date or a number by its form only: 2026-02-30.
            raise yaml.MarkedYAMLError(
                problem=f"{_short(node.value)} n’existe pas ; corriger, ou mettre entre guillemets",
                problem_mark=node.start_mark,
            ) from error


def load(
    path: Path,
    option_models: Mapping[str, type[BaseModel]] | None = None,
    targets: Collection[str] | None = None,
    read_by: Mapping[str, Collection[str]] | None = None,
) -> Registry:
    """Read a registry file.

    `option_models` maps each known platform to the model of its `options`; a source of a platform
    that is not among them must be `en_pause` or `retiree`. `targets` are the fields that `champs`
    may name, `read_by` those that each platform reads by itself. Without them, options and fields
    are left to the extractor. Raises `RegistryError`
    with every problem found.
    """
    file = _File.read(path)
    sources: list[tuple[int, Source]] = []
    problems = [
        f"{path}:{_line(file.tree, [key])} : clé inconnue : {key}{_nearest(str(key), ['sources'])}"
        for key in file.content
        if key != "sources"
    ]
    for index, entry in enumerate(file.content["sources"]):
        try:
            sources.append((index, Source.model_validate(entry)))
        except ValidationError as error:
            problems += [file.problem(index, loc, text) for loc, text in _messages(error, Source)]
    problems += _duplicates_and_references(file, sources)
    problems += _fields_and_codes(file, sources, targets)
    problems += _needed(file, sources, read_by or {})
    if option_models is not None:
        problems += _options(file, sources, option_models)
    if len(problems) > MAX_PROBLEMS:
        more = len(problems) - MAX_PROBLEMS
        problems = [*problems[:MAX_PROBLEMS], f"{path} : et {more} autres problèmes"]
    if problems:
        raise RegistryError(problems)
    return Registry(path, tuple(source for _, source in sources))


def json_schema() -> str:
    """JSON Schema of a registry file, for editors (completion and checks while typing)."""

    class RegistryFile(Strict):
        sources: list[Source]

    schema = RegistryFile.model_json_schema()
    schema["title"] = "sources.yaml de lowtech-data"
    return json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True)
class _File:
    """A registry file as YAML: its content, and its tree, which knows the line of each node."""

    path: Path
    content: dict[Any, Any]
    tree: yaml.Node | None

    @classmethod
    def read(cls, path: Path) -> _File:
        if not path.is_file():
            raise RegistryError([f"{path} : fichier introuvable"])
        if path.stat().st_size > MAX_FILE_BYTES:
            text = f"{path} : plus de {MAX_FILE_BYTES} octets, ce n’est pas un registre"
            raise RegistryError([text])
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            found = f"trouvé autre chose à l’octet {error.start}"
            raise RegistryError([f"{path} : attendu du texte UTF-8, {found}"]) from error
        try:
            content, tree = _parse(text)
        except yaml.YAMLError as error:
            line, reason = _yaml_problem(error, text)
            raise RegistryError([f"{path}:{line} : YAML illisible : {reason}"]) from error
        if not isinstance(content, dict) or not isinstance(content.get("sources"), list):
            raise RegistryError([f"{path}:1 : attendu une clé « sources » avec une liste"])
        return cls(path, content, tree)

    def problem(self, index: int, loc: Sequence[str | int], text: str) -> str:
        """What is wrong at `loc` of the source that comes `index`-th."""
        entry = self.content["sources"][index]
        name = entry.get("id") if isinstance(entry, dict) else None
        line = _line(self.tree, ["sources", index, *loc])
        return f"{self.path}:{line} : source {name or f'n° {index + 1}'} : {text}"


_YAML_PROBLEMS = {
    r"found character '\\t'": "une tabulation ; indenter avec des espaces",
    r"found character '(.)'": "une valeur commence par « {} » ; la mettre entre guillemets",
    r"constructor for the tag '(?:tag:yaml.org,2002:)?([^']*)'": (
        "étiquette « !!{} » refusée ; écrire un texte, un nombre, une liste ou des couples"
    ),
    r"mapping values are not allowed": (
        "« : » inattendu ; mettre la valeur entre guillemets, ou corriger l’indentation"
    ),
    r"could not find expected ':'": "il manque « : » après une clé, ou un guillemet fermant",
    r"found unexpected end of stream": "guillemet ouvert ici et jamais fermé",
    r"expected ',' or '(.)'": "il manque une virgule ou « {} »",
    r"unknown escape character '(.+)'": (
        "« \\{} » n’a pas de sens entre guillemets doubles ; employer des guillemets simples"
    ),
    r"expected <block end>|expected the node content": (
        "indentation ou tiret de travers ; aligner les clés d’une même source"
    ),
    r"found another document|<document start>": (
        "un second document (« --- ») ou du texte après la fin ; n’en garder qu’un"
    ),
    r"special characters are not allowed": "caractère de contrôle invisible ; le supprimer",
    r"unhashable key": "une clé n’est pas un texte ; écrire « clé: valeur »",
}
"""What the YAML reader says, and how to say it to whoever wrote the file."""


def _yaml_problem(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """The line (1 for the first) and what is wrong there."""
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    mark = getattr(error, "problem_mark", None)
    if "end of stream" in said:
        mark = getattr(error, "context_mark", None) or mark
    line = mark.line if mark else text.count("\n", 0, getattr(error, "position", 0))
    for pattern, told in _YAML_PROBLEMS.items():
        if match := re.search(pattern, said):
            return line + 1, told.format(*match.groups())
    return line + 1, said


def _parse(text: str) -> tuple[Any, yaml.Node | None]:
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        if count > MAX_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"plus de {MAX_NODES} éléments, ce n’est pas un registre",
                problem_mark=event.start_mark,  # type: ignore[arg-type]
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"plus de {MAX_DEPTH} niveaux imbriqués",
                problem_mark=event.start_mark,  # type: ignore[arg-type]
            )
        # A few lines of aliases to aliases expand to gigabytes.
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem=f"les alias YAML (*{event.anchor}) ne sont pas admis",
                problem_mark=event.start_mark,  # type: ignore[arg-type]
            )
    return yaml.load(text, _Loader), yaml.compose(text, yaml.SafeLoader)  # noqa: S506


def _duplicates_and_references(file: _File, sources: Sequence[tuple[int, Source]]) -> Iterator[str]:
    # A source with a mistake elsewhere is known all the same.
    entries = (entry for entry in file.content["sources"] if isinstance(entry, dict))
    known = [name for entry in entries if isinstance(name := entry.get("id"), str)]
    seen: set[str] = set()
    for index, source in sources:
        if source.id in seen:
            yield file.problem(index, ["id"], "identifiant déjà pris")
        seen.add(source.id)
        if source.renommee_de in known:
            text = f"renommee_de : {source.renommee_de!r} existe encore"
            yield file.problem(index, ["renommee_de"], text)
        for other in source.copie_de:
            if other not in known:
                text = f"copie_de : source inconnue : {other!r}{_nearest(other, known)}"
                yield file.problem(index, ["copie_de"], text)


def _fields_and_codes(
    file: _File, sources: Sequence[tuple[int, Source]], targets: Collection[str] | None
) -> Iterator[str]:
    """`champs` name fields that exist; `selection.codes` are among the codes of the source."""
    for index, source in sources:
        for name in source.champs:
            if targets is not None and name not in targets:
                near = (
                    _nearest(name, sorted(targets)) or f" ; champs : {', '.join(sorted(targets))}"
                )
                text = f"champs.{name} : champ inconnu{near}"
                yield file.problem(index, ["champs", name], text)
        for code in source.selection.codes if source.selection else ():
            if code not in source.codes:
                near = _nearest(code, list(source.codes))
                text = f"selection.codes : {code!r} n’est pas dans « codes »{near}"
                yield file.problem(index, ["selection", "codes"], text)


def _needed(
    file: _File,
    sources: Sequence[tuple[int, Source]],
    read_by: Mapping[str, Collection[str]],
) -> Iterator[str]:
    """Every record of an active source has a key, and a name."""
    for index, source in sources:
        if source.etat != "active" or source.plateforme not in read_by:
            continue
        for name in ("cle_source", "nom"):
            if name not in source.champs and name not in read_by[source.plateforme]:
                text = f"champs.{name} : attendu ; la plateforme {source.plateforme} ne le lit pas"
                yield file.problem(index, ["champs"], text)


def _options(
    file: _File,
    sources: Sequence[tuple[int, Source]],
    models: Mapping[str, type[BaseModel]],
) -> Iterator[str]:
    """Active sources are on a platform that has an extractor; options are those it knows."""
    for index, source in sources:
        model = models.get(source.plateforme)
        if model is None:
            if source.etat == "active":
                text = (
                    f"plateforme sans extracteur : {source.plateforme!r}"
                    f"{_nearest(source.plateforme, list(models))}"
                    " ; mettre etat: en_pause avec motif_etat"
                )
                yield file.problem(index, ["plateforme"], text)
            continue
        if source.etat != "active" and not source.options:
            continue  # what the site looks like may still have to be found out
        try:
            model.model_validate(source.options)
        except ValidationError as error:
            for loc, text in _messages(error, model):
                yield file.problem(index, ["options", *loc], f"options.{text}")


_FORMS = (FirstOf, Constant, Template, Separated, Labelled)
_UNION_MEMBERS = {"str", "list[union[str,Separated]]", *(form.__name__ for form in _FORMS)}
"""How pydantic names, in the place of an error, the forms that a value of `champs` may take."""

_EXPECTED = {
    "string_type": "attendu du texte (entre guillemets si besoin)",
    "int_type": "attendu un nombre entier",
    "int_parsing": "attendu un nombre entier",
    "int_from_float": "attendu un nombre entier",
    "float_type": "attendu un nombre",
    "float_parsing": "attendu un nombre",
    "bool_type": "attendu true ou false",
    "bool_parsing": "attendu true ou false",
    "list_type": "attendu une liste",
    "tuple_type": "attendu une liste",
    "dict_type": "attendu des couples « clé: valeur »",
    "model_type": "attendu des couples « clé: valeur »",
    "model_attributes_type": "attendu des couples « clé: valeur »",
    "date_type": "attendu une date AAAA-MM-JJ",
    "date_parsing": "attendu une date AAAA-MM-JJ",
    "date_from_datetime_parsing": "attendu une date AAAA-MM-JJ",
    "date_from_datetime_inexact": "attendu une date AAAA-MM-JJ",
}


def _messages(
    error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each problem of a validation error: where it is, and what it is, in French."""
    told: set[tuple[str | int, ...]] = set()
    for issue in error.errors():
        loc = tuple(part for part in issue["loc"] if part not in _UNION_MEMBERS)
        if len(loc) == len(issue["loc"]):
            yield loc, f"{_dotted(loc)} : {_message(issue, loc, model)}"
        elif loc[:2] not in told:
            # The value fits none of the forms: one message, not one per form.
            told.add(loc[:2])
            forms = "un chemin, une liste de chemins, premier_de, valeur, modele, separe"
            yield loc[:2], f"{_dotted(loc[:2])} : attendu {forms} ou etiquettes"


def _message(issue: Any, loc: tuple[str | int, ...], model: type[BaseModel]) -> str:
    given, context = _short(issue.get("input")), issue.get("ctx", {})
    match issue["type"]:
        case "extra_forbidden":
            known = list(_model_at(model, loc[:-1]).model_fields)
            text = f"clé inconnue{_nearest(str(loc[-1]), known)}"
        case "missing":
            text = "manque"
        case "literal_error":
            codes = re.findall(r"'([^']*)'", context["expected"])
            near = _nearest(str(issue["input"]), codes)
            text = f"{given} n’est pas un code{near} (attendu : {', '.join(codes)})"
        case "value_error":
            text = str(context["error"])
        case "string_pattern_mismatch":
            text = f"attendu la forme {context['pattern']} (trouvé : {given})"
        case "greater_than":
            text = f"attendu plus de {context['gt']} (trouvé : {given})"
        case "greater_than_equal":
            text = f"attendu au moins {context['ge']} (trouvé : {given})"
        case kind:
            text = f"{_EXPECTED.get(kind, issue['msg'])} (trouvé : {given})"
    return text


def _dotted(loc: Sequence[str | int]) -> str:
    # "[key]" is how pydantic says that the key itself, not its value, is wrong.
    return ".".join(str(part) for part in loc if part != "[key]") or "source"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel]:
    """The model that reads the keys at `loc`; the outer one where it cannot be told."""
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is not None:
            candidates = (field.annotation, *get_args(field.annotation))
            model = next(
                (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model
            )
    return model


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" ; vouliez-vous dire « {close[0]} » ?" if close else ""


def _line(tree: yaml.Node | None, loc: Sequence[str | int]) -> int:
    """The line of the deepest node of `loc` that the file has (1 for the first)."""
    node, line = tree, 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                continue
            line, node = found[0].start_mark.line + 1, found[1]
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
