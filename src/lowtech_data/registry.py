"""`sources.yaml`, typed: what each listing is, how it is read, and what may be done with it.

The file is written by people, so it is read strictly: an unknown key, a wrong code or a wrong type is
an error that names the file, the line, the source and the field, and proposes the nearest spelling.
Platforms are not known here: `platforms` options are checked by the extractor that owns them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lowtech_data.model import codes_of

MAX_FILE_BYTES = 2_000_000
"""A registry of a few hundred sources is a hundred times smaller; beyond, the file is not ours."""


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


MAX_LIMITS = Limits(delai_s=1_800, octets=500_000_000, pages=20_000, pause_s=60, essais=5)


class Bounds(Strict):
    """How many fiches a healthy harvest gives: under `min` it is refused, over `max` it warns."""

    min: int = 1
    max: int | None = None


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


ValueSpec = Path_ | list[Path_] | FirstOf | Constant | Template
"""How a field is read from a row: one path, several joined by a space, or one of the above."""


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
    """Why a record of a general listing is kept: any of these, the first that holds is the reason."""

    codes: list[str] = []
    """Codes of the source (as in `codes`) that are enough by themselves."""
    mots: list[str] = []
    """Words looked for in name and description, accents and case folded, whole words."""
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
    """SPDX-like identifier in lower case (`odbl-1.0`, `lov2`, `cc-by-4.0`, `aucune`, `par_fiche`)."""
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

    @field_validator("limites")
    @classmethod
    def _limits_under_maximum(cls, limits: Limits) -> Limits:
        for name in Limits.model_fields:
            if getattr(limits, name) > getattr(MAX_LIMITS, name):
                raise ValueError(f"{name} dépasse le maximum {getattr(MAX_LIMITS, name)}")
        return limits

    @model_validator(mode="after")
    def _state_has_a_reason(self) -> Source:
        if self.etat != "active" and not self.motif_etat:
            raise ValueError(f"motif_etat est attendu quand etat vaut « {self.etat} »")
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
        return iter(self.sources)

    def __getitem__(self, source_id: str) -> Source:
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
        return Registry(self.path, tuple(self[source_id] for source_id in ids)) if ids else self

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
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (they can blow up) and without duplicate keys (they hide one)."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(
                problem="les alias YAML (*nom) ne sont pas admis", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"clé répétée : {key.value}", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(path: Path, option_models: Mapping[str, type[BaseModel]] | None = None) -> Registry:
    """Read a registry file.

    `option_models` maps each known platform to the model of its `options`; a source of a platform that
    is not among them must be `en_pause` or `retiree`. Raises `RegistryError` with every problem found.
    """
    if not path.is_file():
        raise RegistryError([f"{path} : fichier introuvable"])
    if path.stat().st_size > MAX_FILE_BYTES:
        raise RegistryError([f"{path} : plus de {MAX_FILE_BYTES} octets, ce n’est pas un registre"])
    text = path.read_text(encoding="utf-8")
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 — _Loader is a SafeLoader
        tree = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RegistryError([f"{path}:{line} : YAML illisible : {error.problem}"]) from error
    if not isinstance(document, dict) or not isinstance(document.get("sources"), list):
        raise RegistryError([f"{path}:1 : attendu une clé « sources » avec une liste"])
    problems = [
        f"{path}:{_line(tree, [key])} : clé inconnue : {key}{_nearest(str(key), ['sources'])}"
        for key in document
        if key != "sources"
    ]
    sources: list[Source] = []
    for index, entry in enumerate(document["sources"]):
        try:
            sources.append(Source.model_validate(entry))
        except ValidationError as error:
            name = entry.get("id", f"n° {index + 1}") if isinstance(entry, dict) else index + 1
            problems += [
                f"{path}:{_line(tree, ['sources', index, *issue['loc']])} : source {name} : {text}"
                for issue, text in _messages(error)
            ]
    problems += _cross_checks(path, tree, sources, option_models)
    if problems:
        raise RegistryError(problems)
    return Registry(path, tuple(sources))


def json_schema() -> str:
    """JSON Schema of a registry file, for editors (completion and checks while typing)."""

    class RegistryFile(Strict):
        sources: list[Source]

    schema = RegistryFile.model_json_schema()
    schema["title"] = "sources.yaml de lowtech-data"
    return json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _cross_checks(
    path: Path,
    tree: yaml.Node | None,
    sources: Sequence[Source],
    option_models: Mapping[str, type[BaseModel]] | None,
) -> list[str]:
    problems: list[str] = []
    lines = {source.id: index for index, source in enumerate(sources)}
    seen: set[str] = set()
    for index, source in enumerate(sources):
        where = f"{path}:{_line(tree, ['sources', index])} : source {source.id}"
        if source.id in seen:
            problems.append(f"{where} : identifiant déjà pris")
        seen.add(source.id)
        problems += [
            f"{where} : copie_de : source inconnue : {other!r}{_nearest(other, list(lines))}"
            for other in source.copie_de
            if other not in lines
        ]
        if option_models is None or source.etat != "active":
            continue
        model = option_models.get(source.plateforme)
        if model is None:
            near = _nearest(source.plateforme, list(option_models))
            problems.append(
                f"{where} : plateforme sans extracteur : {source.plateforme!r}{near}"
                " ; mettre etat: en_pause avec motif_etat"
            )
            continue
        try:
            model.model_validate(source.options)
        except ValidationError as error:
            problems += [
                f"{path}:{_line(tree, ['sources', index, 'options', *issue['loc']])} : "
                f"source {source.id} : options.{text}"
                for issue, text in _messages(error, model)
            ]
    return problems


def _messages(
    error: ValidationError, model: type[BaseModel] | None = None
) -> Iterator[tuple[Any, str]]:
    """Each problem of a validation error, in French, with the nearest spelling where there is one."""
    fields = list((model or Source).model_fields)
    for issue in error.errors():
        # Union members appear in the location under names that are not in the file.
        where = ".".join(str(part) for part in issue["loc"] if _is_in_file(part))
        given = issue.get("input")
        match issue["type"]:
            case "extra_forbidden":
                last = str(issue["loc"][-1])
                text = f"{where} : clé inconnue{_nearest(last, fields)}"
            case "missing":
                text = f"{where} : manque"
            case "literal_error":
                expected = re.findall(r"'([^']*)'", issue["ctx"]["expected"])
                text = (
                    f"{where} : {given!r} n’est pas un code{_nearest(str(given), expected)}"
                    f" (attendu : {', '.join(expected)})"
                )
            case "value_error":
                text = f"{where or 'source'} : {issue['ctx']['error']}"
            case _:
                text = f"{where} : {issue['msg']} (trouvé : {given!r})"
        yield issue, text


def _is_in_file(part: str | int) -> bool:
    return isinstance(part, int) or bool(re.fullmatch(r"[a-z0-9_]+", part))


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
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
    return line
