"""Whether the legal body of a fiche is still there, from the official search of companies.

Only what is asked for is read: the reader keeps a few named members of the answer and drops every
other as it parses, so that no manager, elected person or sole trader's name is ever held. The
address of a sole trader, or of who asked not to be listed, is not kept either: it may be a home.

Service: https://recherche-entreprises.api.gouv.fr (Licence Ouverte 2.0; 7 requests a second at
most, here 2).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from lowtech_data.capture import CaptureError, FailureKind
from lowtech_data.capture.http import Client
from lowtech_data.enrich.cache import Cache, EnrichmentError, digest, folder
from lowtech_data.enrich.service import Report, answers, due, service, status_of, text_of
from lowtech_data.extract.base import Request
from lowtech_data.folding import fold
from lowtech_data.normalise.name import GIVEN_NAMES
from lowtech_data.normalise.street import Known, commune_key, split
from lowtech_data.registry import Source
from lowtech_data.warehouse import Warehouse

SERVICE = "recherche_entreprises"
URL = "https://recherche-entreprises.api.gouv.fr/search"
PAUSE_S = 0.5
"""Between two requests: under a third of the rate that the service allows."""
PER_PAGE = 25
SAVED_EVERY = 20
"""Answers: what a killed pass loses at most."""
MAX_ODD_ANSWERS = 3
"""In a row; more, and it is the service that has changed, not one fiche that is odd."""
AGE = timedelta(days=30)
AGE_OF_UNKNOWN = timedelta(days=90)

SCHEMA = pa.schema(
    [
        ("empreinte", pa.string()),
        ("service", pa.string()),
        ("date", pa.string()),
        ("motif", pa.string()),
        ("trouve_par", pa.string()),
        ("siret", pa.string()),
        ("etat", pa.string()),
        ("etat_etablissement", pa.string()),
        ("etat_unite_legale", pa.string()),
        ("date_fermeture", pa.string()),
        ("demenage", pa.bool_()),
        ("siret_siege", pa.string()),
        ("adresse_siege", pa.string()),
        ("code_postal_siege", pa.string()),
        ("code_insee_siege", pa.string()),
    ]
)
"""An answer kept: the hash of what was asked, and a state or the reason why there is none.

`trouve_par` is `siret` or `nom`. `etat` is `ouvert`, `ferme` (the establishment, code F) or `cesse`
(the whole legal body, code C). `demenage` says that a former seat is closed while the body has
another, open: the `_siege` columns say where. `motif` is `introuvable` or `ambigu`.
"""

STATE_SCHEMA = pa.schema(
    [
        ("source_id", pa.string()),
        ("cle_source", pa.string()),
        *(field for field in SCHEMA if field.name not in {"empreinte", "motif"}),
    ]
)
"""What is known of the body of a fiche."""

LABELS = {
    "ouvert": "ouvert",
    "ferme": "établissement fermé",
    "cesse": "organisme qui a cessé",
    "introuvable": "introuvable",
    "ambigu": "plusieurs du même nom",
    "illisible": "réponse refusée, à redemander",
}
"""What an answer says, for people (`Report.outcomes`)."""

_READ = frozenset(
    """
    results total_results siren nom_raison_sociale nature_juridique statut_diffusion siege
    matching_etablissements siret adresse code_postal commune libelle_commune etat_administratif
    date_fermeture est_siege ancien_siege statut_diffusion_etablissement
    """.split()  # noqa: SIM905 — a list of words reads better as words
)
"""Members of an answer that are read, at any depth: a name that is not here is not there."""

_LEGAL_FORMS = frozenset(
    {"association", "asso", "eurl", "sa", "sarl", "sas", "sasu", "scic", "scop"}
)
_SOLE_TRADER = "1"
"""How the legal category (`nature_juridique`) of a natural person begins."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Question:
    """A body by its SIRET, or by its name and postcode when it has none."""

    siret: str | None
    nom: str | None = None
    code_postal: str | None = None

    @property
    def empreinte(self) -> str:
        """The key of its answer."""
        return digest(SERVICE, self.siret, self.nom, self.code_postal)

    @property
    def parameters(self) -> dict[str, str]:
        """What is asked."""
        if self.siret:
            return {"q": self.siret, "page": "1", "per_page": str(PER_PAGE)}
        return {
            "q": self.nom or "",
            "code_postal": self.code_postal or "",
            "page": "1",
            "per_page": str(PER_PAGE),
        }


def questions(fiches: pa.Table) -> dict[tuple[str, str], Question]:
    """By source and key, the bodies to ask for: by name only organisations with a postcode.

    Reads `siret`, `nom`, `code_postal`, `nature`.
    """
    found = {}
    for row in fiches.to_pylist():
        key = row["source_id"], row["cle_source"]
        if row["siret"]:
            found[key] = Question(row["siret"])
        elif row["nature"] == "organisation" and row["code_postal"] and _name_words(row["nom"]):
            found[key] = Question(None, row["nom"], row["code_postal"])
    return found


def open_cache(warehouse: Warehouse) -> Cache:
    """The answers kept in a warehouse (`SCHEMA`)."""
    return Cache(folder(warehouse) / "entreprises.parquet", SCHEMA)


def ask(
    fiches: pa.Table,
    cache: Cache,
    client: Client,
    *,
    today: date,
    maximum: int,
    url: str = URL,
) -> Report:
    """Ask for what has no fresh answer, one body at a time, `maximum` at most; keep what comes.

    The cache is saved as it goes and when the pass is interrupted. A service that does not answer
    ends the pass: `Report.problem` says why.
    """
    waiting = due(questions(fiches), cache, today, age=AGE, age_of_nothing=AGE_OF_UNKNOWN)
    report = Report(due=len(waiting))
    to = service(SERVICE, "Recherche d’entreprises", url, pause_s=PAUSE_S, octets=5_000_000)
    odd = 0
    try:
        for question in waiting[:maximum]:
            try:
                row = read(question, _answer(client, to, question))
            except (CaptureError, EnrichmentError) as error:
                odd += 1
                if not _is_of_this_question(error) or odd > MAX_ODD_ANSWERS:
                    report.problem = str(error)
                    break
                report.outcomes["illisible"] += 1
                continue
            odd = 0
            cache.put(row | {"empreinte": question.empreinte, "date": today.isoformat()})
            report.asked += 1
            report.outcomes[row["motif"] or row["etat"]] += 1
            if report.asked % SAVED_EVERY == 0:
                cache.save()
    finally:
        cache.save()
    return report


def states(fiches: pa.Table, cache: Cache) -> pa.Table:
    """What the answers kept say of the bodies of fiches (`STATE_SCHEMA`), by source and key."""
    return pa.Table.from_pylist(answers(questions(fiches), cache), STATE_SCHEMA)


def read(question: Question, body: bytes) -> dict[str, Any]:
    """The columns of `SCHEMA` that an answer gives. Raises `EnrichmentError` when it is no answer.

    A SIRET is found as such or not at all. A name is believed when one body alone, of all that the
    service knows, bears exactly it, and one establishment of it alone is at that postcode.
    """
    try:
        answer = json.loads(body, object_pairs_hook=_kept)
        results = [_a_row(result) for result in answer["results"]]
        is_whole = answer["total_results"] <= PER_PAGE
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EnrichmentError(
            f"{SERVICE} : réponse qui n’a pas la forme attendue ({type(error).__name__}) ; "
            "elle n’est pas gardée"
        ) from None
    if question.siret:
        found = [
            (result, place)
            for result in results
            for place in _places(result)
            if text_of(place, "siret") == question.siret
        ]
    else:
        named = [r for r in results if _is_named(r, question)]
        found = [
            (result, place)
            for result in named
            for place in _places(result)
            if text_of(place, "code_postal") == question.code_postal
        ]
        if not is_whole or len(found) > 1:
            return _nothing("ambigu")
    return _state(question, *found[0]) if found else _nothing("introuvable")


def _answer(client: Client, to: Source, question: Question) -> bytes:
    url = f"{to.url}?{urlencode(question.parameters)}"
    with client.get(to, Request(url, "application/json")) as reply:
        return b"".join(reply.chunks())


def _is_of_this_question(error: Exception) -> bool:
    """Whether the next question may do better: the service is there, and did not like this one."""
    if isinstance(error, CaptureError):
        return error.kind is FailureKind.STATUS and 400 <= (status_of(error) or 0) < 500
    return True


def _kept(members: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in members if name in _READ}


def _a_row(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("objet attendu")
    return value


def _places(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The establishments of a body that the answer shows, its seat first, each once."""
    shown = [result.get("siege"), *(result.get("matching_etablissements") or [])]
    places = {
        text_of(place, "siret"): place for place in reversed(shown) if isinstance(place, dict)
    }
    return [places[siret] for siret in reversed(places) if siret]


def _is_named(result: Mapping[str, Any], question: Question) -> bool:
    is_body = not text_of(result, "nature_juridique").startswith(_SOLE_TRADER)
    words = _name_words(text_of(result, "nom_raison_sociale"))
    return is_body and words == _name_words(question.nom)


def _name_words(name: str | None) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", fold(name or ""))) - _LEGAL_FORMS


def _nothing(reason: str) -> dict[str, Any]:
    return dict.fromkeys(SCHEMA.names) | {"service": SERVICE, "motif": reason}


def _state(
    question: Question, result: Mapping[str, Any], place: Mapping[str, Any]
) -> dict[str, Any]:
    of_place, of_body = text_of(place, "etat_administratif"), text_of(result, "etat_administratif")
    if of_place not in {"A", "F"} or of_body not in {"A", "C", ""}:
        return _nothing("introuvable")
    closed_on = text_of(place, "date_fermeture") or text_of(result, "date_fermeture")
    seat = result.get("siege") if isinstance(result.get("siege"), dict) else {}
    row = _nothing("") | {
        "motif": None,
        "trouve_par": "siret" if question.siret else "nom",
        "siret": text_of(place, "siret"),
        "etat": "cesse" if of_body == "C" else "ferme" if of_place == "F" else "ouvert",
        "etat_etablissement": of_place,
        "etat_unite_legale": of_body or None,
        "date_fermeture": closed_on if _DAY.fullmatch(closed_on) and of_place == "F" else None,
        "demenage": _has_moved(of_body, place, seat or {}),
    }
    return row | (_seat(result, seat or {}) if row["demenage"] else {})


def _has_moved(of_body: str, place: Mapping[str, Any], seat: Mapping[str, Any]) -> bool:
    """Whether a closed former seat has an open one in its stead. Other closures say no address."""
    return (
        of_body == "A"
        and text_of(place, "etat_administratif") == "F"
        and place.get("ancien_siege") is True
        and text_of(seat, "etat_administratif") == "A"
        and text_of(seat, "siret") not in {"", text_of(place, "siret")}
    )


def _seat(result: Mapping[str, Any], seat: Mapping[str, Any]) -> dict[str, Any]:
    """Where the seat is; of a natural person, or of who is not to be listed, nothing."""
    is_public = all(
        text_of(of, name) in {"O", ""}
        for of, name in (
            (result, "statut_diffusion"),
            (seat, "statut_diffusion_etablissement"),
        )
    )
    category = text_of(result, "nature_juridique")
    if not is_public or not category or category.startswith(_SOLE_TRADER):
        return {}
    postcode = text_of(seat, "code_postal")
    known = Known([commune_key(text_of(seat, "libelle_commune"))], [postcode], GIVEN_NAMES)
    parts = split(text_of(seat, "adresse"), None, known)
    is_of_a_person = parts.person_of_street or parts.person_of_complement
    return {
        "siret_siege": text_of(seat, "siret"),
        "adresse_siege": None if is_of_a_person else parts.street,
        "code_postal_siege": postcode or None,
        "code_insee_siege": text_of(seat, "commune") or None,
    }
