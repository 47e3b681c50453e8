"""YesWiki Bazar forms: Hinaura, the archipelagos, and many local directories.

Three shapes of the same entries are read:

- the API (`?api/forms/{id}/entries`): an object of entries by `id_fiche`, whose choices are ids
  that the form (`?api/forms/{id}`) gives labels for;
- its older form (`?BazaR/json&demand=entries&id={id}`), with its lists (`demand=lists`);
- the export of a form: a list of rows, whose columns are the labels of the form. It has no key, and
  its cells lost the quotes at both ends.

Fields that a visitor may not see are absent from an entry, not empty. Besides the fields of the
form, rows hold:

| column | holds |
|---|---|
| `_cle` | of an export, a key made of the columns of the option `cle` |
| `_choix` | what is ticked in the fields of the option `choix`: `champ=id`, in an export labels |
| `_fiche` | the address of the entry on the wiki |
| `_horaires` | the seven columns of days, in one text |
| `_latitude`, `_longitude` | the two halves of `carte_google` |
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from lowtech_data.extract.base import (
    Lost,
    Page,
    PayloadError,
    Platform,
    Request,
    Row,
    Unreadable,
    columns_of,
    mask,
    pointer_step,
)
from lowtech_data.extract.decode import read_json
from lowtech_data.folding import fold
from lowtech_data.registry import FirstOf, Source, Strict

_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_CHOICES = ("checkbox", "liste", "radio")
"""Types of the fields that offer a list: the name of such a field is its type, then its list."""
_OTHER_FORMATS = frozenset({"@context", "features", "ldp:contains"})
_API_ENTRIES = re.compile(r"((?:wiki=)?api/)(?:(forms/[^/&]+)/)?entries(?![^/&])")
_SORTABLE_DATE = re.compile(r"(\d\d)/(\d\d)/(\d{4})(.*)", re.DOTALL)


class Options(Strict):
    """Which columns classify an entry, and what makes a key when there is none."""

    choix: tuple[str, ...] = ()
    """Fields with several values that classify: `checkboxListeType`, or their label in an export.
    Their labels are asked for when there is such a field."""
    masques: tuple[str, ...] = ()
    """Fields that the wiki hides from visitors: no alarm when no entry has them."""
    cle: tuple[str, ...] = ()
    """Of an export: the columns whose values together name a record."""
    departage: tuple[str, ...] = ()
    """Of an export: the columns that tell namesakes apart, the oldest of which keeps the key
    without them. Dates first."""


def _options(source: Source) -> Options:
    return Options.model_validate(source.options)


def _first(source: Source) -> Sequence[Request]:
    if source.is_local:
        return (Request(source.url),)
    urls = [source.url]
    if _options(source).choix and (labels := _labels_url(source.url)):
        urls.insert(0, labels)
    return [Request(url, "application/json") for url in urls]


def _labels_url(url: str) -> str | None:
    """Where the labels of the choices are, from where the entries are."""
    parts = urlsplit(url)
    if asked := _API_ENTRIES.match(parts.query):
        return urlunsplit(parts._replace(query=f"{asked[1]}{asked[2] or 'forms'}"))
    handler, *parameters = parts.query.split("&")
    if "demand=entries" in parameters:
        return urlunsplit(parts._replace(query=f"{handler}&demand=lists"))
    return None


def _labels(page: Page) -> Mapping[str, str]:
    """`champ=id` → label, from the answer that describes a form or the lists of the wiki."""
    if not any(mark in page.body for mark in (b'"bn_id_nature"', b'"label"', b'"nodes"')):
        return {}
    document = read_json(page)
    if not isinstance(document, Mapping | list):
        return {}
    fields = [field for form in _forms(document) for field in _items(form.get("prepared"))]
    labels = {
        f"{field.get('propertyname')}={key}": label
        for _, field in fields
        if isinstance(field, Mapping)
        for key, label in _options_of(field.get("options"))
    }
    for name, description in _lists(document):
        for key, label in _options_of(description.get("label") or description.get("nodes")):
            labels |= {f"{choice}{name}={key}": label for choice in _CHOICES}
    return labels


def _forms(document: Mapping[str, Any] | list[Any]) -> Sequence[Mapping[str, Any]]:
    if isinstance(document, Mapping) and "bn_id_nature" in document:
        return [document]
    forms = [form for _, form in _items(document)]
    is_forms = all(isinstance(form, Mapping) and "bn_id_nature" in form for form in forms)
    return forms if is_forms else []


def _lists(document: Any) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Lists by name: `{titre_liste, label: {id: label}}`, since 2024 `{title, nodes: […]}`."""
    if not isinstance(document, Mapping):
        return []
    is_lists = all(
        isinstance(item, Mapping)
        and ("titre_liste" in item or "title" in item)
        and ("label" in item or "nodes" in item)
        for item in document.values()
    )
    return list(document.items()) if is_lists else []


def _items(container: Any) -> list[tuple[str, Any]]:
    """Pairs of what PHP writes as an object, or as a list when its keys are 0, 1, 2…"""
    if isinstance(container, Mapping):
        return [(str(key), item) for key, item in container.items()]
    items = container if isinstance(container, list) else []
    return [(str(key), item) for key, item in enumerate(items)]


def _options_of(choices: Any) -> Iterator[tuple[str, str]]:
    """Ids and labels of a list, flat or as a tree."""
    for key, choice in _items(choices):
        if isinstance(choice, Mapping):
            yield str(choice.get("id", key)), _plain(choice.get("label"))
            yield from _options_of(choice.get("children"))
        else:
            yield key, _plain(choice)


def _plain(label: Any) -> str:
    """A label without the markup of its icon."""
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", str(label or ""))).split())


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = _options(source)
    entries = _entries(read_json(page))
    keys = _keys([entry for _, entry in entries], options)
    forgotten = _never_there([entry for _, entry in entries], options)
    for (name, entry), key in zip(entries, keys, strict=True):
        pointer = f"/{pointer_step(name)}"
        if not isinstance(entry, Mapping):
            yield Unreadable(pointer, "enregistrement_inattendu", type(entry).__name__)
            continue
        if _is_withheld(status := entry.get("statut_fiche")):
            yield Unreadable(pointer, "statut_non_publie", f"statut {status}")
            continue
        if "id_fiche" in entry:
            row = Row(pointer, _with_hours(source, _entry(entry, page, options)))
        else:
            row = _exported(pointer, {**entry, "_cle": key}, source, options)
        yield replace(row, lost=(*row.lost, *forgotten))
        forgotten = ()


def _entries(document: Any) -> Sequence[tuple[str, Any]]:
    """Entries by name, none when the page describes a form or lists."""
    if document is not None and not isinstance(document, Mapping | list):
        raise PayloadError(f"attendu des fiches Bazar, trouvé {mask(str(document))!r}")
    if not document or _forms(document) or _lists(document):
        return []
    if isinstance(document, list):
        return _items(document)
    is_object_of_entries = any(isinstance(entry, Mapping) for entry in document.values())
    if not is_object_of_entries or _OTHER_FORMATS & set(document):
        told = [str(document[key]) for key in ("exceptionMessage", "error") if key in document]
        raise PayloadError(
            f"attendu des fiches Bazar par id_fiche, trouvé : {', '.join(document)[:200]}"
            + "".join(f" ({mask(text)})" for text in told)
        )
    return [
        (name, {**entry, "id_fiche": entry.get("id_fiche") or name})
        if isinstance(entry, Mapping)
        else (name, entry)
        for name, entry in document.items()
    ]


def _never_there(entries: Sequence[Any], options: Options) -> tuple[Lost, ...]:
    """Fields declared in `choix` that no entry has: told once."""
    met = {column for entry in entries if isinstance(entry, Mapping) for column in entry}
    absent = [column for column in options.choix if column not in met | set(options.masques)]
    return tuple(Lost(f"_choix.{column}", "colonne_absente") for column in absent)


def _is_withheld(status: Any) -> bool:
    return str(status if status is not None else "").strip() not in {"", "1"}


def _keys(entries: Sequence[Any], options: Options) -> list[str | None]:
    """A key for each row of an export; `None` for entries, which have their own."""
    keys: list[str | None] = [None] * len(entries)
    namesakes: dict[str, dict[str, list[int]]] = {}
    for index, entry in enumerate(entries):
        if isinstance(entry, Mapping) and options.cle and "id_fiche" not in entry:
            content = json.dumps(entry, sort_keys=True)
            by_content = namesakes.setdefault(_joined(entry, options.cle), {})
            by_content.setdefault(content, []).append(index)
    for key, by_content in namesakes.items():
        ranked = sorted(by_content, key=lambda c: (_rank(entries[by_content[c][0]], options), c))
        apart = [_distinct(entries[by_content[content][0]], options) for content in ranked]
        for rank, content in enumerate(ranked):
            suffix = _shortest(apart, rank) if rank and key else ()
            for index in by_content[content]:
                keys[index] = ", ".join((key, *suffix))
    return keys


def _joined(entry: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Values joined, nothing when one is missing."""
    values = [fold(str(entry.get(column) or "")) for column in columns]
    return ", ".join(values) if all(values) else ""


def _rank(entry: Mapping[str, Any], options: Options) -> tuple[str, ...]:
    return tuple(_SORTABLE_DATE.sub(r"\3-\2-\1\4", v) for v in _distinct(entry, options))


def _distinct(entry: Mapping[str, Any], options: Options) -> tuple[str, ...]:
    return tuple(fold(str(entry.get(column) or "")) for column in options.departage)


def _shortest(apart: Sequence[tuple[str, ...]], rank: int) -> tuple[str, ...]:
    """The fewest values that no other namesake has, so that an edit of the others changes nothing.

    All of them when they are not enough: the keys are then the same, which is reported.
    """
    mine, others = apart[rank], [*apart[:rank], *apart[rank + 1 :]]
    lengths = range(1, len(mine) + 1)
    enough = (n for n in lengths if mine[:n] not in {other[:n] for other in others})
    return mine[: next(enough, len(mine))]


def _entry(entry: Mapping[str, Any], page: Page, options: Options) -> dict[str, Any]:
    values = dict.fromkeys(options.masques) | {
        column: value for column, value in entry.items() if "-" not in (column[:1], column[-1:])
    }
    values["_choix"] = [
        f"{column}={key}" for column in options.choix for key in _ids(values.pop(column, None))
    ]
    values["_fiche"] = _entry_url(page.url, str(values["id_fiche"]))
    latitude, bar, longitude = str(values.get("carte_google") or "").partition("|")
    if bar:
        values |= {"_latitude": latitude.strip(), "_longitude": longitude.strip()}
    return values


def _ids(ticked: Any) -> list[str]:
    items = (
        ticked if isinstance(ticked, list) else str(ticked if ticked is not None else "").split(",")
    )
    return [text for item in items if (text := str(item).strip())]


def _entry_url(url: str, name: str) -> str | None:
    base, question, _ = url.partition("?")
    if not question or not base.startswith(("https://", "http://")):
        return None
    return f"{base}?wiki={name}" if base.endswith("wakka.php") else f"{base}?{name}"


def _exported(pointer: str, values: dict[str, Any], source: Source, options: Options) -> Row:
    lost: list[Lost] = []
    codes: list[str] = []
    for column in options.choix:
        cell = str(values.pop(column, None) or "")
        labels = split_labels(cell)
        if labels is None:
            lost.append(Lost(f"_choix.{column}", "valeurs_inseparables", cell))
            labels = [_plain(cell)]
        codes += labels
    values["_choix"] = codes
    name = source.champs.get("nom")
    if isinstance(name, str) and isinstance(values.get(name), str):
        values[name] = _closed(values[name])
    return Row(pointer, _with_hours(source, values), tuple(lost))


def split_labels(cell: str) -> list[str] | None:
    """Labels of a cell of an export; `None` when it cannot be told where one ends.

    The export writes labels between commas, in quotes when they hold a space, a comma or a quote,
    then loses the quotes at both ends of the cell: `Adultes,"Enfance (3-10 ans)`. They are put
    back, and kept when one way only gives what the export would have written.
    """
    ends = ("",) if '"' in (cell[:1], cell[-1:]) else ("", '"')
    readings = {
        tuple(filter(None, map(_plain, labels)))
        for start, end in itertools.product(ends, ends)
        if (labels := _as_written(f"{start}{cell}{end}")) is not None
    }
    return list(readings.pop()) if len(readings) == 1 else None


_LABEL = re.compile(r'"((?:[^"]|"")*)"|([^\s",\\]*)')


def _as_written(text: str) -> list[str] | None:
    """Labels of a whole cell, when it is one that the export writes."""
    labels, position = [], 0
    while True:
        match = _LABEL.match(text, position)
        if match is None or (match.group(1) is not None and not _needs_quotes(match.group(1))):
            return None
        labels.append((match.group(1) or match.group(2) or "").replace('""', '"'))
        position = match.end() + 1
        if match.end() == len(text):
            return labels
        if text[match.end()] != ",":
            return None


def _needs_quotes(label: str) -> bool:
    # Within a label, a comma comes before a space; between labels, it never does.
    return bool(re.search(r'[\s"\\]', label)) and not re.search(r",(?!\s)", label)


def _closed(name: str) -> str:
    """A name whose last quote was lost: `Médiathèque "La Passerelle`."""
    is_open = name.count('"') % 2 and re.search(r'(?:^|[\s(])"(?=\S)[^"]*$', name)
    return f'{name}"' if is_open else name


def _with_hours(source: Source, values: dict[str, Any]) -> dict[str, Any]:
    days = {fold(column): column for column in values if fold(column) in _DAYS}
    if not days or columns_of(source) & set(days.values()):
        return values
    hours = ((day, " ".join(str(values[days[day]] or "").split())) for day in _DAYS if day in days)
    return {
        **{column: value for column, value in values.items() if fold(column) not in _DAYS},
        "_horaires": "; ".join(f"{day} : {text}" for day, text in hours if text),
    }


PLATFORM = Platform(
    name="yeswiki_bazar",
    rows=_rows,
    options=Options,
    first=_first,
    labels=_labels,
    mapping={
        "cle_source": FirstOf(premier_de=["id_fiche", "_cle"]),
        "nom": "bf_titre",
        "description": "bf_description",
        "url": FirstOf(premier_de=["url", "_fiche"]),
        "adresse": ["bf_adresse", "bf_adresse1", "bf_adresse2"],
        "code_postal": FirstOf(premier_de=["bf_code_postal", "bf_codepostal"]),
        "commune": "bf_ville",
        "latitude": FirstOf(premier_de=["bf_latitude", "geolocation.bf_latitude", "_latitude"]),
        "longitude": FirstOf(premier_de=["bf_longitude", "geolocation.bf_longitude", "_longitude"]),
        "site_web": FirstOf(premier_de=["bf_site_internet", "bf_site_web"]),
        "courriel": "bf_mail",
        "telephone": FirstOf(premier_de=["bf_tel", "bf_telephone"]),
        "horaires": "_horaires",
        "date_maj": FirstOf(premier_de=["date_maj_fiche", "datetime_latest"]),
        "categories": "_choix",
    },
    ignored=frozenset(
        {
            "antispam",
            "carte_google",
            "categorie_fiche",
            "date_creation_fiche",
            "date_debut_validite_fiche",
            "date_fin_validite_fiche",
            "datetime_create",
            "external-data*",
            "fichierbf_*",
            "geolocation*",
            "id_typeannonce",
            "imagebf_*",
            "statut_fiche",
        }
    ),
    # Beside who wrote the entry, every field of it in one text.
    personal=frozenset(
        {
            "createur",
            "datastr",
            "html",
            "html_data",
            "html_output",
            "ip",
            "mot_de_passe_wikini",
            "nomwiki",
            "owner",
            "semantic",
            "user",
        }
    ),
)
