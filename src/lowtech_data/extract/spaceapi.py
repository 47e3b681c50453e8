"""SpaceAPI: hackerspaces that say where they are and whether they are open.

The directory (`https://directory.spaceapi.io/`) gives the name of each space and the address of its
own file, at its own host: one request per space. The collector (`https://api.spaceapi.io/`) asks
them all each minute and gives the whole in one answer, `[{"url", "valid", "space", "lastSeen",
"errMsg", "data"}]`, where `data` is the file of the space. Both are read, and a file alone, in the
versions 0.13 to 15 of the format. A space that gave no file is told, never made up.

Who holds the keys, who opened the door and who is inside are set aside before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from lowtech_data.extract.base import (
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    mask,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.folding import fold
from lowtech_data.registry import FirstOf, Source, Strict

_WEB = ("https://", "http://")


class Options(Strict):
    """Which spaces are read."""

    noms: tuple[str, ...] = ()
    """Their names, as the directory or the collector writes them; all when there are none."""


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    return (Request(source.url, "application/json"),)


def _document(page: Page) -> Any:
    """A file of a space, a directory, or the list of a collector."""
    document = read_json(page)
    if isinstance(document, list) or _is_space(document) or _is_directory(document):
        return document
    keys = ", ".join(map(str, document)) if isinstance(document, Mapping) else ""
    raise PayloadError(
        "attendu un annuaire SpaceAPI (nom et adresse de chaque espace), un relevé (liste) ou le"
        f" fichier d’un espace (« space », « api » ou « api_compatibility ») ; trouvé :"
        f" {mask(keys) or type(document).__name__}"
    )


def _is_space(document: Any) -> TypeGuard[Mapping[str, Any]]:
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("space"), str)
        and ("api" in document or "api_compatibility" in document)
    )


def _is_directory(document: Any) -> TypeGuard[Mapping[str, str]]:
    return (
        isinstance(document, Mapping)
        and all(isinstance(address, str) for address in document.values())
        and any(address.startswith(_WEB) for address in document.values())
    )


def _follow(source: Source, page: Page) -> Sequence[Request]:
    document = _document(page)
    if isinstance(document, list) or _is_space(document):
        return ()
    wanted = _wanted(document, _options(source))
    return [
        Request(_address(name, document[name]), "application/json", record=True) for name in wanted
    ]


def _wanted(names: Sequence[str] | Mapping[str, Any], options: Options) -> list[str]:
    """Names among those of the options. Raises `PayloadError` when one of these is not there."""
    if not options.noms:
        return list(names)
    by_folded = {fold(name): name for name in names}
    if missing := sorted(name for name in options.noms if fold(name) not in by_folded):
        raise PayloadError(
            f"espaces absents : {', '.join(missing)} ; corriger options.noms, ou les en retirer"
        )
    return [by_folded[fold(name)] for name in options.noms]


def _address(name: str, address: str) -> str:
    if not address.startswith(_WEB):
        raise PayloadError(
            f"espace {name!r} : attendu l’adresse de son fichier, trouvé {mask(address)!r}"
        )
    return address


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    document = _document(page)
    if isinstance(document, list):
        yield from _collected(document, _options(source))
    elif _is_space(document):
        yield Row("", dict(document))
    else:
        _wanted(document, _options(source))


def _collected(entries: Sequence[Any], options: Options) -> Iterator[Row | Unreadable]:
    named = [(_name(entry), entry) for entry in entries]
    wanted = set(_wanted([name for name, _ in named], options))
    for index, (name, entry) in enumerate(named):
        if name in wanted:
            yield _entry(f"/{index}", name, entry)


def _name(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return ""
    data = entry.get("data")
    return str(entry.get("space") or (data.get("space") if isinstance(data, Mapping) else "") or "")


def _entry(pointer: str, name: str, entry: Any) -> Row | Unreadable:
    if not isinstance(entry, Mapping):
        return Unreadable(pointer, "enregistrement_inattendu", type(entry).__name__)
    data = entry.get("data")
    if not _is_space(data):
        reason = f"{name} : {entry.get('errMsg') or 'pas de fichier'}"
        return Unreadable(pointer, "espace_sans_reponse", reason)
    return Row(f"{pointer}/data", dict(data))


PLATFORM = Platform(
    name="spaceapi",
    rows=_rows,
    options=Options,
    first=_first,
    follow=_follow,
    mapping={
        "cle_source": "space",
        "nom": "space",
        "adresse": "location.address",
        "pays": "location.country_code",
        "latitude": "location.lat",
        "longitude": "location.lon",
        "site_web": "url",
        # A list has no owner; what is nominative is filtered with all other mails.
        "courriel": FirstOf(premier_de=["contact.email", "contact.ml"]),
    },
    # Everything else is live (doors, sensors), a picture, or an account elsewhere; `ext_` begins
    # what a space adds of its own.
    ignored=frozenset(
        {
            "api",
            "api_compatibility",
            "cache*",
            "cam",
            "contact.*",
            "ext_*",
            "feeds*",
            "icon*",
            "issue_report_channels",
            "lastchange",
            "linked_spaces*",
            "links*",
            "location.areas*",
            "location.ext_*",
            "location.hint",
            "location.timezone",
            "logo",
            "membership_plans*",
            "open",
            "projects",
            "radio_show*",
            "sensors*",
            "spacefed*",
            "state*",
            "status",
            "stream*",
        }
    ),
    personal=frozenset(
        {
            "contact.issue_mail",
            "contact.keymasters",
            "contact.phone",
            "contact.sip",
            "events",
            "sensors.people_now_present",
            "state.trigger_person",
        }
    ),
)
