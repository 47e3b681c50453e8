"""From records to the fields of the base: columns by their names, then by their values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowtech_data.extract import PLATFORMS
from lowtech_data.extract.base import declared_columns, value_at
from lowtech_data.folding import fold
from lowtech_data.recognise.columns import MAIL, MOBILE, is_value, share
from lowtech_data.recognise.probe import Guess, Proposal
from lowtech_data.recognise.texts import licence_id, text_of
from lowtech_data.registry import FirstOf, Separated, Source, ValueSpec


def proposal_of(
    guess: Guess,
    source: Source,
    records: Sequence[Mapping[str, Any]],
    total: int | None,
    licence: str | None,
) -> Proposal:
    """What a guess proposes, from the records that its platform read.

    `total` counts the whole listing; `licence` is what the payload states, in its own words.
    """
    platform = PLATFORMS[guess.platform]
    declared = declared_columns(source, platform)
    columns = _columns(records)
    filled = {
        target: spec
        for target, spec in platform.mapping.items()
        if any(_values(spec, record) for record in records)
    }
    free = {path: found for path, found in columns.items() if not declared(path)}
    fields, personal, others = _guessed(free, filled)
    everything = {**filled, **fields}
    fields = {**_needed(records, columns, everything), **fields}
    if guess.platform == "html_listing" and "lien" in columns:
        fields.setdefault("url", "lien")
    coded = {**filled, **fields}.get("categories")
    codes = Counter(text for record in records for text in _values(coded, record) if text)
    known = dict(guess.known)
    known["licence"] = licence_id(licence) or known.get("licence")
    return Proposal(
        guess.platform, guess.url, guess.evidence, options=guess.options, fields=fields,
        personal=personal, others=tuple(p for p in others if p not in _used(fields)),
        codes=tuple(codes.most_common(100)), total=total, **known,
    )  # fmt: skip


def fields_by_name(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Fields by the names and contents of columns alone, whatever the platform reads by itself."""
    return _guessed(_columns(records), {})[0]


def _used(fields: Mapping[str, Any]) -> set[str]:
    return {
        path for spec in fields.values() for path in (spec if isinstance(spec, list) else [spec])
    }


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Dotted path → the values that are not blank."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for path, value in _leaves(record):
            found = columns.setdefault(path, [])
            if value not in (None, "", []):
                found.append(value)
    return columns


def _leaves(
    values: Mapping[str, Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < 4:
            yield from _leaves(value, f"{path}.", depth + 1)
        elif not isinstance(value, list) or not any(isinstance(v, Mapping) for v in value):
            yield path, value


def _values(spec: ValueSpec | None, record: Mapping[str, Any]) -> list[str]:
    """What a mapping reads of a record, as texts."""
    match spec:
        case str():
            found = value_at(record, spec)
            items = found if isinstance(found, list) else [found]
            return [text for item in items if (text := text_of(item))]
        case list():
            return [text for part in spec for text in _values(part, record)]
        case FirstOf():
            return next((got for path in spec.premier_de if (got := _values(path, record))), [])
        case Separated():
            return [
                part.strip()
                for text in _values(spec.separe, record)
                for part in text.split(spec.par)
            ]
        case _:
            return []


_FIELD_NAMES: Mapping[str, Sequence[str]] = {
    field: names.split("|")
    for field, names in {
        "cle_source": "id|identifiant|uid|uuid|cle|key|numero|ref|reference|page id|fid|objectid"
        "|id structure|id lieu",
        "nom": "nom|name|nom structure|nom tl|nom du lieu|raison sociale|titre|title|denomination"
        "|enseigne|intitule|libelle|label|structure|page name",
        "adresse": "adresse|adresse rue|adresse postale|address|rue|voie|street|street address"
        "|adresse brut|ban adress|ban adress full",
        "complement_adresse": "complement adresse|adresse complement|adresse2|adresse 2",
        "code_postal": "code postal|cp|codepostal|postal code|postalcode|zip|zipcode|postcode"
        "|adresse code postal|ban postcode",
        "commune": "commune|ville|city|nomcom|nom commune|localite|adresse commune|town|ban city"
        "|libelle commune",
        "code_insee": "code insee|insee|inseecom|insee commune|code commune|citycode"
        "|adresse code insee",
        "latitude": "latitude|lat|lattitude|y|bf latitude",
        "longitude": "longitude|lon|lng|long|x|bf longitude",
        "site_web": "site web|site|web|website|url|site internet|contact web|external link|lien"
        "|link",
        "telephone": "telephone|tel|phone|contact telephone",
        "description": "description|presentation|resume|summary|descriptif",
        "siret": "siret|numero siret",
        "rna": "rna|numero rna",
        "horaires": "horaires|horaires ouverture|opening hours|horaires ouverture osm",
        "date_maj": "date maj|maj|updated|updated at|last modified|date modification"
        "|datetime latest|modifie le",
        "categories": "categories|categorie|category|type|typologie|typo|type lieu|type de lieu"
        "|type de structure|thematique|themes|activites|activite|domaines|tags|structure|services"
        "|familles",
    }.items()
}
"""Names of columns, folded and cut in words, by the field that they are."""

_PERSONAL_WORDS = re.compile(
    r"\b(?:contacts?|responsable|referente?|prenom|presidente?|gerante?|dirigeante?|directeur"
    r"|directrice|mobile|portable|e?mails?|courriels?|auteurs?|authors?|createur|creator|owner|user"
    r"|username|animateur|animatrice|civilite|benevole|interlocuteur|redacteur)\b"
)
_IMPERSONAL_WORDS = re.compile(
    r"\b(?:web|site|url|telephone|tel|phone|facebook|twitter|instagram|mastodon|adresse|horaires)\b"
)


def _words(path: str) -> str:
    apart = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", path)
    return " ".join(re.findall(r"[a-z0-9]+", fold(apart)))


def _is_personal(path: str, values: Sequence[Any]) -> bool:
    words = _words(path)
    if _PERSONAL_WORDS.search(words) and ("mail" in words or not _IMPERSONAL_WORDS.search(words)):
        return True
    sample = values[:500]
    is_public_phone = re.search(r"\b(?:tel|telephone|phone)\b", words)
    return share(sample, MAIL) >= 0.2 or (not is_public_phone and share(sample, MOBILE) >= 0.2)


def _guessed(
    columns: Mapping[str, Sequence[Any]], filled: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Fields by the names and contents of columns, columns to set aside, and the others."""
    personal = tuple(path for path, values in columns.items() if _is_personal(path, values))
    left = {path: values for path, values in columns.items() if path not in personal}
    fields: dict[str, Any] = {}
    for target, names in _FIELD_NAMES.items():
        if target in filled:
            continue
        ranked = sorted(
            (rank, len(path), path)
            for path, values in left.items()
            if (rank := _rank(path, names, target)) is not None
            and path not in fields.values()
            and _suits(target, values)
        )
        if ranked:
            fields[target] = ranked[0][2]
    return fields, personal, tuple(path for path in left if path not in fields.values())


def _rank(path: str, names: Sequence[str], target: str) -> int | None:
    """How near the name of a column is to those of a field: as a whole, its end, its start."""
    for step, words in enumerate((_words(path), _words(path.rpartition(".")[2]))):
        if words in names:
            return 100 * step + names.index(words)
    starts = [i for i, name in enumerate(names) if _words(path).startswith(f"{name} ")]
    excluded = target in {"cle_source", "description"} or re.search(
        r"departement|region|epci|metro|fichier|porteuse", fold(path)
    )
    return 300 + starts[0] if starts and not excluded else None


def _suits(target: str, values: Sequence[Any]) -> bool:
    """Whether the values of a column can be those of a field."""
    sample = values[:500]
    fits = True
    match target:
        case "latitude" | "longitude":
            bound = 90 if target == "latitude" else 180
            fits = sum(1 for v in sample if _is_degrees(v, bound)) >= 0.8 * len(sample)
        case "code_postal" | "code_insee":
            fits = share(sample, re.compile(r"\d[\dABab]?\d{2,3}")) >= 0.3
        case "site_web":
            fits = share(sample, re.compile(r"\S*\w\.\w\S*")) >= 0.6
        case "categories":
            is_few = len({str(v) for v in sample}) <= max(12, len(sample) / 3)
            fits = is_few and share(sample, _LONG_NUMBER) < 0.5
        case "nom":
            fits = share(sample, re.compile(r"[\d\s.,]+")) < 0.5
        case "cle_source":
            fits = len({str(v) for v in values}) == len(values)
    return bool(values) and fits


_LONG_NUMBER = re.compile(r"\d{3,}")


def _is_degrees(value: Any, bound: int) -> bool:
    try:
        return abs(float(str(value).replace(",", "."))) <= bound
    except ValueError:
        return False


def _needed(
    records: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Sequence[Any]],
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """A name and a key, when neither the platform nor a column's name gave them."""
    fields: dict[str, Any] = {}
    if "nom" not in found:
        fields["nom"] = max(columns, key=lambda path: _as_name(columns[path]))
    name = found.get("nom", fields.get("nom"))
    key = found.get("cle_source")
    if key is not None and sum(1 for r in records if _values(key, r)) >= 0.9 * len(records):
        return fields
    label = name if isinstance(name, str) else next(iter(columns))
    place = [
        found[t] for t in ("commune", "adresse", "code_postal") if isinstance(found.get(t), str)
    ]
    tries = [label, *([label, *place[:n]] for n in range(1, len(place) + 1))]
    fields["cle_source"] = next((t for t in tries if _is_unique(t, records)), tries[-1])
    return fields


def _as_name(values: Sequence[Any]) -> tuple[int, int]:
    texts = [str(v) for v in values[:500] if isinstance(v, str) and 3 <= len(v) <= 80]
    return len({t for t in texts if not is_value(t)}), -sum(map(len, texts))


def _is_unique(spec: Any, records: Sequence[Mapping[str, Any]]) -> bool:
    keys = [" ".join(_values(spec, record)) for record in records]
    return len(set(keys)) == len(keys)
