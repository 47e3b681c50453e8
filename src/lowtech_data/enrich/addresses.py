"""The point of an address, from the national address service, where a fiche has none better.

A geocoder always answers something. "Île-de-France (FR)" was once placed in a *rue des Femmes de
Fr*, thirty-eight times. So a question needs a street and a commune; and an answer is believed only
when it says the same street, word for word, in the same commune, at a point that is there.

Service: https://data.geopf.fr/geocodage (Base Adresse Nationale, Licence Ouverte 2.0).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data import reference
from lowtech_data.capture import CaptureError
from lowtech_data.capture.http import Client
from lowtech_data.enrich.cache import Cache, EnrichmentError, digest, folder
from lowtech_data.enrich.service import Report, answers, due, service, text_of
from lowtech_data.folding import fold
from lowtech_data.normalise.name import GIVEN_NAMES
from lowtech_data.reference import position
from lowtech_data.registry import Source
from lowtech_data.warehouse import Warehouse

SERVICE = "geopf_geocodage"
URL = "https://data.geopf.fr/geocodage/search/csv"
"""Where addresses are sent, unless another is given: the service can be one's own."""

BATCH = 1_000
"""Lines of one request. The service takes 200,000; a smaller loss when it fails is better."""
AGE = timedelta(days=365)
AGE_OF_REFUSAL = timedelta(days=90)
"""Streets are named and numbered all the time: what was not found may be later."""

SCORES = {"housenumber": 0.6, "street": 0.7, "locality": 0.8}
"""Type of an answer → least score. The less of an address it says, the surer it must be."""
PRECISIONS = {"housenumber": "numero", "street": "voie", "locality": "lieu_dit"}
MIN_LEAD = 0.05
"""How far behind the next answer must be when the street is not written the same."""
MAX_KM_TO_COMMUNE = 1.0
"""A point farther from the contour of the commune is not in it: contours are simplified."""

SCHEMA = pa.schema(
    [
        ("empreinte", pa.string()),
        ("service", pa.string()),
        ("date", pa.string()),
        ("motif", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("precision_geo", pa.string()),
        ("code_insee", pa.string()),
        ("score", pa.float64()),
    ]
)
"""An answer kept: the hash of what was sent, and either a point or the reason of its refusal."""

POSITION_SCHEMA = pa.schema(
    [
        ("source_id", pa.string()),
        ("cle_source", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("precision_geo", pa.string()),
        ("code_insee", pa.string()),
        ("service", pa.string()),
        ("date", pa.string()),
        ("score", pa.float64()),
    ]
)
"""A point of a fiche: WGS 84, degrees; `date` is the day of the answer, `score` from 0 to 1."""

LABELS = {
    "numero": "placée au numéro",
    "voie": "placée à la voie",
    "lieu_dit": "placée au lieu-dit",
    "refus:non_trouvee": "refusée : rien trouvé",
    "refus:type": "refusée : ni numéro, ni voie, ni lieu-dit",
    "refus:score": "refusée : trop peu sûre",
    "refus:commune": "refusée : autre commune",
    "refus:code_postal": "refusée : autre code postal",
    "refus:voie": "refusée : autre voie",
    "refus:numero": "refusée : autre numéro",
    "refus:ambigue": "refusée : deux voies se ressemblent",
    "refus:position": "refusée : point hors de la commune",
}
"""What is made of an answer, for people (`Report.outcomes`)."""

_SENT = ("n", "adresse", "code_postal", "code_insee")
_RECEIVED = (
    "n", "longitude", "latitude", "result_score", "result_score_next", "result_label",
    "result_type", "result_housenumber", "result_street", "result_postcode", "result_citycode",
    "result_status",
)  # fmt: skip

_LARGE_CITIES = {"75056": "751", "69123": "6938", "13055": "132"}
"""Communes whose addresses bear the code of a district, and how these codes begin."""

_WAYS = {
    "all": "allee", "alle": "allee", "av": "avenue", "ave": "avenue", "bd": "boulevard",
    "bld": "boulevard", "blvd": "boulevard", "boul": "boulevard", "ch": "chemin", "che": "chemin",
    "chem": "chemin", "chs": "chaussee", "crs": "cours", "esp": "esplanade", "fbg": "faubourg",
    "fg": "faubourg", "ham": "hameau", "imp": "impasse", "lot": "lotissement", "pass": "passage",
    "pl": "place", "prom": "promenade", "qu": "quai", "r": "rue", "res": "residence",
    "rte": "route", "sq": "square",
}  # fmt: skip
"""How the first word of a street is shortened."""
_WAY_NAMES = frozenset(_WAYS.values()) | {
    "cite", "clos", "cour", "mail", "montee", "parvis", "place", "pont", "port", "quartier",
    "ruelle", "sente", "sentier", "traverse", "venelle", "villa", "voie",
}  # fmt: skip
_TITLES = {
    "cap": "capitaine", "cdt": "commandant", "cne": "capitaine", "col": "colonel",
    "dr": "docteur", "gal": "general", "gen": "general", "lt": "lieutenant", "mal": "marechal",
    "mgr": "monseigneur", "pdt": "president", "pr": "professeur", "prof": "professeur",
}  # fmt: skip
_SHORT_WORDS = _TITLES | {"st": "saint", "ste": "sainte", "grande": "grand"}
_LEFT_OUT = frozenset(
    ("a", "au", "aux", "d", "de", "des", "du", "en", "et", "l", "la", "le", "les")
)
_MAY_LACK = frozenset(_TITLES.values())
MIN_LETTERS_FOR_TYPO = 6
"""A letter mistaken makes one short word another."""

_NUMBER = re.compile(
    r"^(?:n\s*°?\s*)?(\d{1,4})\s*(bis|ter|quater|[a-e](?=[\s,]))?"
    r"((?:\s*(?:[-/,]|et|a)\s*\d{1,4}(?=[\s,]))*)[\s,]+(?=\S)"
)
_HOUSE = re.compile(r"(\d{1,4})\s*(bis|ter|quater|[a-e])?$")
_REPEATS = {"b": "bis", "t": "ter", "q": "quater"}
_LIEU_DIT = re.compile(r"^(?:lieu[- ]?dit|ld)\b[\s:,]*")


@dataclass(frozen=True, slots=True)
class Question:
    """An address as it is sent. `citycode` is the commune's or the district's code."""

    adresse: str
    code_postal: str | None
    code_insee: str
    citycode: str | None

    @property
    def empreinte(self) -> str:
        """The key of its answer."""
        return digest(SERVICE, self.adresse, self.code_postal, self.code_insee, self.citycode)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is made of an answer: a point, or the reason why it is refused (`motif`)."""

    motif: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    precision_geo: str | None = None
    score: float | None = None

    @property
    def outcome(self) -> str:
        """A code of `LABELS`."""
        return f"refus:{self.motif}" if self.motif else str(self.precision_geo)


def questions(fiches: pa.Table) -> dict[tuple[str, str], Question]:
    """By source and key, the fiches that lack a point and say enough of a street to ask for it.

    A point at the centre of a commune is none. Reads `adresse`, `code_postal`, `code_insee`,
    `code_arrondissement`, `latitude`, `precision_geo`.
    """
    found = {}
    for row in fiches.to_pylist():
        has_point = row["latitude"] is not None and row["precision_geo"] != "commune"
        if not has_point and row["code_insee"] and _street_words(row["adresse"] or ""):
            is_large = row["code_insee"] in _LARGE_CITIES
            found[row["source_id"], row["cle_source"]] = Question(
                adresse=" ".join(row["adresse"].split()),
                code_postal=row["code_postal"],
                code_insee=row["code_insee"],
                citycode=row["code_arrondissement"] if is_large else row["code_insee"],
            )
    return found


def open_cache(warehouse: Warehouse) -> Cache:
    """The answers kept in a warehouse (`SCHEMA`)."""
    return Cache(folder(warehouse) / "adresses.parquet", SCHEMA)


def ask(
    fiches: pa.Table,
    cache: Cache,
    client: Client,
    *,
    today: date,
    maximum: int,
    url: str = URL,
    batch: int = BATCH,
) -> Report:
    """Send what has no fresh answer, `maximum` addresses at most, and keep what comes back.

    The cache is saved after each batch. A service that does not answer ends the pass, not the
    program: `Report.problem` says why.
    """
    waiting = due(questions(fiches), cache, today, age=AGE, age_of_nothing=AGE_OF_REFUSAL)
    report = Report(due=len(waiting))
    to = service(SERVICE, "Géoplateforme, géocodage", url, delai_s=300, octets=50_000_000)
    waiting = waiting[:maximum]
    if not waiting:
        return report
    with duckdb.connect() as con:
        for start in range(0, len(waiting), batch):
            asked = waiting[start : start + batch]
            try:
                pairs = list(_answers(client, to, asked))
            except (CaptureError, EnrichmentError) as error:
                report.problem = str(error)
                break
            if start == 0:
                reference.install(con)
            for (question, _), verdict in zip(pairs, judge(con, pairs), strict=True):
                cache.put(_row(question, verdict, today))
                report.asked += 1
                report.outcomes[verdict.outcome] += 1
            cache.save()
    return report


def positions(fiches: pa.Table, cache: Cache) -> pa.Table:
    """The points that the answers kept give to fiches (`POSITION_SCHEMA`), by source and key."""
    return pa.Table.from_pylist(answers(questions(fiches), cache), POSITION_SCHEMA)


def judge(
    con: duckdb.DuckDBPyConnection, pairs: Sequence[tuple[Question, Mapping[str, str]]]
) -> list[Verdict]:
    """What to make of each answer, in order. `con` has the tables of `reference.install`."""
    verdicts = [_verdict(question, answer) for question, answer in pairs]
    points = [
        (v.latitude, v.longitude, question.code_insee)
        for v, (question, _) in zip(verdicts, pairs, strict=True)
        if v.motif is None
    ]
    inside = _in_their_commune(con, points)
    return [
        Verdict("position", score=verdict.score)
        if verdict.motif is None
        and (verdict.latitude, verdict.longitude, question.code_insee) not in inside
        else verdict
        for verdict, (question, _) in zip(verdicts, pairs, strict=True)
    ]


def _row(question: Question, verdict: Verdict, today: date) -> dict[str, Any]:
    point = verdict.motif is None
    return {
        "empreinte": question.empreinte,
        "service": SERVICE,
        "date": today.isoformat(),
        "motif": verdict.motif,
        "latitude": verdict.latitude if point else None,
        "longitude": verdict.longitude if point else None,
        "precision_geo": verdict.precision_geo if point else None,
        "code_insee": question.code_insee if point else None,
        "score": verdict.score,
    }


def _answers(
    client: Client, to: Source, asked: Sequence[Question]
) -> Iterator[tuple[Question, dict[str, str]]]:
    """Each question with its answer; those that the service left out are asked another time."""
    sent = io.StringIO()
    writer = csv.writer(sent, lineterminator="\n")
    writer.writerow(_SENT)
    writer.writerows(
        (place, question.adresse, question.code_postal or "", question.citycode or "")
        for place, question in enumerate(asked)
    )
    form = (("columns", "adresse"), ("postcode", "code_postal"), ("citycode", "code_insee"))
    body = client.post(to, form, "adresses.csv", sent.getvalue().encode())
    seen = set()
    for row in _read(body, to.url):
        number = row["n"]
        if not number.isascii() or not number.isdigit() or int(number) >= len(asked):
            raise EnrichmentError(
                f"{to.url} : ligne « {number[:20]} » qui n’a pas été demandée ; réponse écartée"
            )
        if number not in seen:
            seen.add(number)
            yield asked[int(number)], row


def _read(body: bytes, url: str) -> Iterator[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        missing = [name for name in _RECEIVED if name not in (reader.fieldnames or ())]
        if missing:
            raise EnrichmentError(
                f"{url} : réponse sans les colonnes {', '.join(missing)} ; "
                "le service a changé, rien n’en a été gardé"
            )
        for row in reader:
            yield {name: text_of(row, name) for name in _RECEIVED}
    except (UnicodeDecodeError, csv.Error) as error:
        raise EnrichmentError(f"{url} : réponse illisible ({error}) ; rien n’est gardé") from error


def _verdict(question: Question, answer: Mapping[str, str]) -> Verdict:
    """The verdict from the words of the answer alone."""
    score = _real(answer["result_score"])
    kind = answer["result_type"]
    motif = None
    if answer["result_status"] != "ok":
        motif = "non_trouvee"
    elif kind not in SCORES:
        motif = "type"
    elif score is None or score < SCORES[kind]:
        motif = "score"
    elif _commune_of(answer["result_citycode"]) != question.code_insee:
        motif = "commune"
    elif question.code_postal and answer["result_postcode"] != question.code_postal:
        motif = "code_postal"
    else:
        motif = _address_differs(question.adresse, answer)
    if motif:
        return Verdict(motif, score=score)
    latitude, longitude = _real(answer["latitude"]), _real(answer["longitude"])
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return Verdict("position", score=score)
    return Verdict(None, round(latitude, 6), round(longitude, 6), PRECISIONS[kind], score)


def _real(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _commune_of(code: str) -> str:
    for commune, start in _LARGE_CITIES.items():
        if code.startswith(start) and len(code) == len(commune):
            return commune
    return code


def _address_differs(asked: str, answer: Mapping[str, str]) -> str | None:
    """Why the street or the number of an answer is not the one asked for, if it is not."""
    label = answer["result_label"]
    end = f" {answer['result_postcode']} "
    street = answer["result_street"] or label.partition(end)[0]
    ours, theirs = _street_words(asked), _street_words(street)
    if not _agree(ours, theirs):
        return "voie"
    if answer["result_type"] == "housenumber":
        number = _HOUSE.match(fold(answer["result_housenumber"]))
        if not number or _number(number[1], number[2]) not in _house_numbers(asked):
            return "numero"
    score, following = _real(answer["result_score"]), _real(answer["result_score_next"])
    if ours != theirs and score is not None and following is not None:
        return "ambigue" if score - following < MIN_LEAD else None
    return None


def _number(number: str, repeat: str | None) -> tuple[str, str]:
    return number.lstrip("0"), _REPEATS.get(repeat or "", repeat or "")


def _house_numbers(address: str) -> list[tuple[str, str]]:
    """Number and repetition at the start of an address; every one of `12-14`."""
    found = _NUMBER.match(fold(address))
    if not found:
        return []
    others = re.findall(r"\d+", found[3])
    return [_number(found[1], found[2]), *(_number(other, None) for other in others)]


def _street_words(address: str) -> tuple[str, ...]:
    """The words of a street in full, without number or article; none when it names nothing."""
    text = _LIEU_DIT.sub("", _NUMBER.sub("", fold(address), count=1))
    tokens = re.findall(r"[a-z0-9]+", text)
    if tokens:
        tokens[0] = _WAYS.get(tokens[0], tokens[0])
    words = tuple(_SHORT_WORDS.get(token, token) for token in tokens if token not in _LEFT_OUT)
    if not any(len(word) > 1 and re.search("[a-z]", word) for word in words):
        return ()
    return () if len(words) == 1 and words[0] in _WAY_NAMES else words


def _agree(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether two streets are the same, word by word and in order.

    Titles may lack on either side, given names in ours: *boulevard Jaurès* is *boulevard Jean
    Jaurès*. The last word never lacks: it names the street.
    """
    if not ours or not theirs or not _is_word(ours[-1], theirs[-1]):
        return False
    left, right = list(ours), list(theirs)
    while left and right:
        if _is_word(left[-1], right[-1]):
            left.pop()
            right.pop()
        elif right[-1] in _MAY_LACK or (right[-1] in GIVEN_NAMES and len(right) > 1):
            right.pop()
        elif left[-1] in _MAY_LACK:
            left.pop()
        else:
            return False
    return not left and not right


def _is_word(one: str, other: str) -> bool:
    """Whether two words are one: equal, an initial, or a long word with a letter mistaken."""
    if one == other:
        return True
    if len(one) == 1:
        return one == other[0] and other in GIVEN_NAMES
    long_enough = min(len(one), len(other)) >= MIN_LETTERS_FOR_TYPO
    return long_enough and one.isalpha() and other.isalpha() and _one_letter_apart(one, other)


def _one_letter_apart(one: str, other: str) -> bool:
    """Whether one letter added, removed or replaced, or two swapped, makes a word the other."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])


def _in_their_commune(
    con: duckdb.DuckDBPyConnection, points: Sequence[tuple[float | None, float | None, str]]
) -> set[tuple[float | None, float | None, str]]:
    """Those of the points (latitude, longitude, commune) that lie in their commune, or nearly.

    A commune without a contour holds none: nothing could prove it.
    """
    if not points:
        return set()
    latitudes, longitudes, codes = zip(*points, strict=True)
    con.register(
        "arrow",
        pa.table({"latitude": latitudes, "longitude": longitudes, "code_insee": codes}),
    )
    con.execute("CREATE OR REPLACE TEMP TABLE points_repondus AS SELECT DISTINCT * FROM arrow")
    con.unregister("arrow")
    position.around(con, "points_repondus", "points_autour", MAX_KM_TO_COMMUNE)
    rows = con.execute(
        "SELECT latitude, longitude, code_insee FROM points_repondus "
        "SEMI JOIN points_autour USING (latitude, longitude, code_insee)"
    ).fetchall()
    return {(latitude, longitude, code) for latitude, longitude, code in rows}
