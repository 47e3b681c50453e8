"""Open Know-How (OKH): manifests of open hardware, in YAML, TOML or JSON.

A manifest describes one thing and is one page: an address, a file of a folder, or one of the
`adresses`. Two shapes are read: OKH 1 (`title`, `description`, `license.hardware`,
`documentation-home`) and OKH LOSH and its successors (`okhv`, `name`, `function`, `license`,
`repo`). Names of properties are read with hyphens and in lower case, however they are written.
Besides them, a row holds:

| column | holds |
|---|---|
| `_page` | the address of the manifest: the key, for one repository may hold several |
| `_url` | where the documentation is, as an absolute address |
| `_licence` | the licence of the hardware, else that of its documentation; never of its software |
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from typing import Any
from urllib.parse import urljoin

import yaml
from pydantic import field_validator

from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row, value_at
from lowtech_data.extract.decode import MAX_DEPTH, decode, read_json, refuse_markup
from lowtech_data.extract.licences import licence_identifier
from lowtech_data.registry import FirstOf, Separated, Source, Strict

MAX_CHARACTERS = 500_000
"""Length of one manifest: a hundred times a long one, which YAML still reads in seconds."""

_MARKS = frozenset(
    {
        "okhv",
        "okh-manifest-version",
        "documentation-home",
        "project-link",
        "repo",
        "function",
        "intended-use",
    }
)
"""Properties that tell a manifest from any other document with a title."""

_DECLARATION = re.compile(r"\A%\s*Open Know-How[^\n]*\n", re.IGNORECASE)
"""First line of OKH 1, which looks like a directive of YAML and is none."""

_TOML_LINE = re.compile(r"""^\s*(?:\[\[?[\w."'-]+\]|[\w"'-]+(?:\.[\w"'-]+)*\s*=)""")
_BLANK = frozenset({"", "~", "null", "Null", "NULL"})


class Options(Strict):
    """Where the manifests are."""

    adresses: tuple[str, ...] = ()
    """Addresses of the manifests, absolute or relative to `url`; without them, `url` is the only
    manifest, or a folder of manifests."""
    encodage: str | None = None

    @field_validator("adresses")
    @classmethod
    def _are_given_once(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({address for address in addresses if addresses.count(address) > 1})
        if twice:
            raise ValueError(f"adresses répétées : {', '.join(twice)}")
        return addresses


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    addresses = _options(source).adresses or (source.url,)
    return [Request(urljoin(source.url, address)) for address in addresses]


def _rows(source: Source, page: Page) -> Iterator[Row]:
    document = _read(page, _options(source).encodage)
    if not isinstance(document, Mapping):
        raise PayloadError(f"attendu un manifeste Open Know-How, trouvé {type(document).__name__}")
    values = _plain(document)
    has_name = any(isinstance(values.get(name), str) for name in ("title", "name"))
    if not has_name or _MARKS.isdisjoint(values):
        raise PayloadError(
            "attendu un manifeste Open Know-How (title ou name, et documentation-home ou repo) ;"
            f" trouvé : {', '.join(map(str, values))[:200]}"
        )
    computed = {"_page": page.url, "_url": _url(values, page), "_licence": _licence(values)}
    yield Row("", {**values, **{name: value for name, value in computed.items() if value}})


def _read(page: Page, encoding: str | None) -> Any:
    text = _DECLARATION.sub("", decode(page, encoding).text)
    refuse_markup(text, "un manifeste Open Know-How")
    if len(text) > MAX_CHARACTERS:
        raise PayloadError(f"manifeste refusé : plus de {MAX_CHARACTERS} caractères")
    lines = (
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    )
    start = next(lines, "")
    if start.lstrip().startswith(("{", "[{")):
        return read_json(page, encoding)
    return _toml(text) if _TOML_LINE.match(start) else _yaml(text)


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PayloadError(f"TOML illisible : {error}") from error
    except RecursionError as error:
        raise PayloadError("TOML refusé : trop de niveaux d’imbrication") from error


def _yaml(text: str) -> Any:
    """A YAML document, where every value is the text that was written (`1.10` is no number)."""
    try:
        _refuse_expansion(text)
        return yaml.load(text, yaml.BaseLoader)  # noqa: S506 (it only builds texts, lists, dicts)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise PayloadError(f"YAML illisible, ligne {line} : {error.problem}") from error
    except yaml.YAMLError as error:
        raise PayloadError(f"YAML illisible : {str(error).splitlines()[0]}") from error


def _refuse_expansion(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.BaseLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise PayloadError(f"YAML refusé : plus de {MAX_DEPTH} niveaux d’imbrication")
        # A few lines of aliases to aliases expand to gigabytes.
        if isinstance(event, yaml.AliasEvent):
            raise PayloadError(f"YAML refusé : alias (*{event.anchor})")


def _plain(value: Any) -> Any:
    """The same value with hyphens in names, dates as texts, and nothing for what is blank."""
    if isinstance(value, Mapping):
        pairs = ((_hyphenated(str(key)), _plain(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not None}
    if isinstance(value, list):
        return [plain for item in value if (plain := _plain(item)) is not None]
    if isinstance(value, date | time):
        return value.isoformat()
    return None if isinstance(value, str) and value.strip() in _BLANK else value


def _hyphenated(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.strip())
    return re.sub(r"[\s_]+", "-", words).lower()


def _url(values: Mapping[str, Any], page: Page) -> str | None:
    for name in ("documentation-home", "repo", "project-link"):
        given = values.get(name)
        if not isinstance(given, str):
            continue
        try:
            # The standard lets the documentation alone be a path beside the manifest.
            address = urljoin(page.url, given) if name == "documentation-home" else given
        except ValueError:
            continue
        if address.startswith(("https://", "http://")):
            return address
    return None


def _licence(values: Mapping[str, Any]) -> str | None:
    paths = ("license.hardware", "license.documentation", "license", "spdx-license")
    found = (value_at(values, path) for path in paths)
    return licence_identifier(next((text for text in found if isinstance(text, str)), None))


PLATFORM = Platform(
    name="okh",
    rows=_rows,
    options=Options,
    first=_first,
    mapping={
        "cle_source": "_page",
        "nom": FirstOf(premier_de=["title", "name"]),
        "description": FirstOf(premier_de=["description", "function", "intended-use"]),
        "url": FirstOf(premier_de=["_url", "_page"]),
        "licence": "_licence",
        # The body behind the design; persons are never read.
        "attribution": "organization",
        "langue": FirstOf(premier_de=["documentation-language", "manifest-language"]),
        "date_publication": "date-created",
        "date_maj": "date-updated",
        "categories": [Separated(separe="keywords", par=","), "tsdc"],
    },
    ignored=frozenset(
        {
            "okhv", "okh-manifest-version", "version", "development-stage", "made",
            "made-independently", "health-safety-notice", "image", "readme", "release",
            "archive-download", "documentation-home", "repo", "project-link", "license",
            "spdx-license", "derivative-of", "variant-of", "sub", "sub-parts", "standards-used",
            "standard-compliance", "documentation-is-translation", "manifest-is-translation",
            "attestation", "cpc-patent-class", "technology-readiness-level",
            "documentation-readiness-level", "mass", "outer-dimension*", "part", "software",
            "auxiliary", "source", "export", "upload-method", "bom", "tool-list", "tool-settings",
            "design-files", "schematics", "manufacturing-files", "quality-instructions",
            "risk-assessment", "contribution-guide", "user-manual", "publication",
            "manufacturing-instructions", "making-instructions", "operating-instructions",
            "maintenance-instructions", "disposal-instructions",
        }
    ),
    # A licensor may be a person or a body, and nothing tells which.
    personal=frozenset(
        {
            "licensor", "licensors", "contact", "contacts", "contributor", "contributors",
            "manifest-author", "author", "authors", "maintainer", "maintainers",
        }
    ),
)  # fmt: skip
