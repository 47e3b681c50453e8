"""What a French address says: the street, what completes it, and what the fiche says elsewhere.

Everything is taken away from the street piece by piece, each time making it shorter, until nothing
is left to take: an address that was split is split the same way when it is read again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from lowtech_data.folding import fold

MAX_CHARACTERS = 200
"""Of a street, and of a complement. What is longer is cut at a word."""

MAX_READ = 1_000
"""Characters of an address that are read: no address has more."""

_LETTER = r"[^\W\d_]"
_NUMBER = r"(?:n°\s*)?\d{1,5}(?:[,\s-]|[a-z]\b|bis|ter|quater)"
_STREET = re.compile(
    rf"{_NUMBER}|(?:rue|r\.|avenue|av\.?|ave|boulevard|boul\.|bd|bld|blvd|place|pl\.?|chemin"
    r"|chem\.?|ch\.|route|rte|all[ée]es?|all\.|imp(?:asse|\.)|quai|cours|crs|square|sq\.?|passage"
    r"|sentier|esplanade|faubourg|fbg|fg|montée|promenade|ruelle|venelle|rond[- ]point"
    r"|grand['’ -]?rue)(?:\s|$)",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"(?:lieu[- ]dit|za|zi|zac|zae|zone|hameau)(?:\s|$)|(?:le|au)\s+bourg$", re.IGNORECASE
)
"""What stands for a street where there is none, and completes it where there is one."""
_FLOOR = re.compile(r"[ée]tage", re.IGNORECASE)
_LABEL = re.compile(r"^\W*adresse(?:\s+postale)?\s*:\s*", re.IGNORECASE)
_COUNTRY = re.compile(r"(?:^|\s*[,(]\s*|\s[-–]\s)france\)?[\s.,;-]*$", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s+[-–](?:\s+|(?=[A-ZÀ-Þ]))|\s*;\s+|\s+/\s+|(?<![\d\s,])\s*,\s+")
_NUMBER_ALONE = re.compile(r"(?:n°\s*)?\d{1,4}\s*(?:bis|ter|quater|[a-z])?", re.IGNORECASE)
_BOX = re.compile(
    r"\b(?:b\.?p\.?|c\.?s\.?|tsa|bo[iî]te postale)\s*(?:n°\s*)?\d(?: ?\d)*\b", re.IGNORECASE
)
_CEDEX = re.compile(r"\bcedex(?:\s+\d{1,2})?\b", re.IGNORECASE)
_POSTCODE = re.compile(r"[\s,–-]*\(?(?<![\w-])(?:f-?)?(\d{5})\b\)?[\s,–-]*", re.IGNORECASE)
_AFTER_COMMUNE = re.compile(r"(?: (?:cedex|france|\d{1,2}(?:e|er|eme)?|arrondissement))*")
_SENSE = re.compile(r"[^\W_]")
_WORD = re.compile(rf"{_LETTER}{{2}}")
_NO_SENSE = re.compile(
    r"(?:auvergne rhone alpes|bourgogne franche comte|bretagne|centre val de loire|corse|grand est"
    r"|hauts de france|ile de france|normandie|nouvelle aquitaine|occitanie|pays de la loire"
    r"|provence alpes cote d azur|guadeloupe|martinique|guyane|la reunion|mayotte)?"
    r"(?: ?(?:fr|france))?"
)
"""Folded, a region or a country: it says no street."""

_ACCENTS = re.compile("[\u0300-\u036f]+")
_SIGNS = re.compile(r"[^a-z0-9]+")
_SAINT = re.compile(r"\bst(e?s?)\b")
_EDGES = " \n,;:/–-"

_CARE_OF = re.compile(
    r"(?<!\w)(?:(?P<soins>c/o\b|℅|[àa] l['’ ]?att(?:ention|n)?\b\.?|att(?:n|ention)\b"
    r"|aux bons soins\b|a/s\b)|chez\b)[\s:.]*(?:(?:de|du|des)\s+|d['’]\s*)?",
    re.IGNORECASE,
)
_TITLE = re.compile(
    r"(?:m|mr|mme|mmes|mlle|melle|monsieur|madame|mademoiselle)\b\.?"
    r"(?:\s+(?:et|&)\s+(?:mme|madame|m|mr|monsieur)\b\.?)?\s+",
    re.IGNORECASE,
)
_MAY_NAME = re.compile(
    r"\bchez\b|c/o|℅|\batt|bons soins|a/s"
    r"|\b(?:mr?|mmes?|mlle|melle|monsieur|madame|mademoiselle)\b",
    re.IGNORECASE,
)
_NAME_ENDS = re.compile(
    r"[,;:()\n\d–/]|\s-\s|\s(?=(?:b[âa]t(?:iment)?|rue|avenue|av|place|route|chemin|appt?|appartement"
    r"|porte|r[ée]sidence|[ée]tage|quai|boulevard|bd|all[ée]e|impasse|lieu-dit)\b)",
    re.IGNORECASE,
)
_NAME = re.compile(rf"{_LETTER}(?:{_LETTER}|[-.])*")
_PROPER_NAME = re.compile(rf"[A-ZÀ-ÖØ-ÞŒŸ](?:{_LETTER}|[-.])*")
_ARTICLES = frozenset({"l", "la", "le", "les"})
_PARTICLES = _ARTICLES | {"de", "du", "des", "d", "van", "von", "ben", "et"}
_ORGANISATIONS = frozenset(
    """
    agence amap amis antenne asso association associations atelier ateliers bar bibliotheque
    boutique brasserie cafe caf ccas centre club collectif college commune communaute communs
    compagnie comite cooperative coop coworking cpie creche domaine eco ecole emmaus entreprise
    epicerie espace
    etablissement fablab federation ferme fondation foyer friche galerie garage groupe groupement
    hotel incubateur institut jardin jardins lab laboratoire lieu lycee maif mairie maison
    mediatheque mission mjc mouvement musee office parc pole reseau recyclerie repair ressourcerie
    restaurant rotary salle sarl sas scic scop secours service services sci societe syndicat
    theatre tiers tribu uniscite universite usine velo ville
    """.split()  # noqa: SIM905 — a list of words reads better as words
)
"""Words of what is not a person, folded."""

_NOT_NAMES = frozenset(
    """
    aile appartement bat batiment bourg bureau bureaux campus carre chalet chateau chez cite cours
    cour cyber entree escalier etage france gare hall halle halles hameau hangar immeuble local
    manoir moulin nord ouest est sud palais parking parvis pavillon place plateau point port porte
    presbytere quartier rdc relais residence route rue tour villa village voie zone
    """.split()  # noqa: SIM905 — a list of words reads better as words
)
_SURNAME_FIRST = re.compile(rf"[A-ZÀ-ÖØ-Þ-]{{5,}} [A-ZÀ-ÖØ-Þ]{_LETTER}*[a-zà-öø-ÿ]{_LETTER}*")
"""As registers write people: `DUPONT Jeanne`."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the fiche says beside its address."""

    communes: Collection[str] = ()
    """Keys of the names of its commune (`commune_key`)."""
    postcodes: Collection[str] = ()
    """Empty when none is known: any postcode before the name of the commune is then its own."""
    given_names: Collection[str] = ()
    """Folded given names, by which a name is taken for a person's."""


@dataclass(frozen=True, slots=True)
class Split:
    """An address in two parts, and what was done to it."""

    street: str | None
    complement: str | None
    rules: tuple[str, ...]
    """What was done to the street, in codes."""
    added: bool
    """Whether something of the address is now in the complement."""
    person_of_street: bool
    person_of_complement: bool
    is_region: bool


@dataclass(slots=True)
class _Reading:
    known: Known
    may_name: bool
    """Whether any of the words is there that announce a person."""
    aside: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    person: bool = False

    def note(self, rule: str) -> None:
        if rule not in self.rules:
            self.rules.append(rule)


def commune_key(name: str) -> str:
    """The key that the SQL macro `reference.CLE_COMMUNE_MACRO` gives to a name."""
    text = name.lower().replace("œ", "oe").replace("æ", "ae")
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return _SAINT.sub(r"saint\1", _SIGNS.sub(" ", text).strip())


def split(address: str | None, complement: str | None, known: Known) -> Split:
    """Part the street of an address from what completes it; lines are parted by a line feed.

    The commune, its postcode and the country are not repeated. The name of a person at whose place
    it is (`c/o`, `chez`, `à l’attention de`) is removed, unless it is an organisation's. Nothing
    else is lost: what is not the street is in the complement.
    """
    address = (address or "")[:MAX_READ]
    complement = " - ".join(filter(None, (complement or "").split("\n")))
    may_name = bool(_MAY_NAME.search(address) or _MAY_NAME.search(complement))
    reading = _Reading(known, may_name)
    street = _line_of_street(address, reading)
    before = None
    while street != before:
        before = street
        street = _shorter(street, reading)
        street = _cut(street)
    is_region = bool(address) and _is_region(street or address)
    if is_region or not _SENSE.search(street):
        street = ""
    aside = dict.fromkeys((*_nameless(reading), *sorted(set(reading.boxes))))
    added = [piece for piece in aside if piece not in complement]
    is_named = _names_a_person(complement, reading)
    if any(_names_a_person(piece, reading) for piece in added):
        reading.person = True
    whole = " - ".join([complement, *added] if complement else added)
    whole = _complement(whole, _Reading(known, may_name))
    return Split(
        street=street or None,
        complement=whole or None,
        rules=tuple(reading.rules),
        added=bool(added),
        person_of_street=reading.person,
        person_of_complement=is_named,
        is_region=is_region,
    )


def _line_of_street(address: str, reading: _Reading) -> str:
    lines = [
        line
        for written in address.split("\n")
        if (line := _bare(_without_person(_bare(written), reading), reading))
    ]
    if "\n" in address:
        reading.note("lignes_separees")
    chosen = next(
        (i for form in (_is_street, _is_place) for i, line in enumerate(lines) if form(line)), 0
    )
    reading.aside += [line for i, line in enumerate(lines) if i != chosen]
    return lines[chosen] if lines else ""


def _bare(line: str, reading: _Reading | None = None) -> str:
    """A line without label, country, the commune that the fiche says, and signs at its ends."""
    before = None
    while line != before:
        before = line
        lower = line.lower()
        if "adresse" in lower:
            line = _LABEL.sub("", line)
        if "france" in lower:
            line = _COUNTRY.sub("", line)
        line = _trimmed(line)
        if reading and (shorter := _without_commune(line, reading.known)) != line:
            reading.note("commune_retiree")
            line = _trimmed(shorter)
    return line


def _trimmed(text: str) -> str:
    text = text.strip(_EDGES)
    while text and (text[0] in "()" or text[-1] in "()"):
        before = text
        if text[-1] == "(" or (text[-1] == ")" and "(" not in text):
            text = text[:-1].strip(_EDGES)
        elif text[0] == ")" or (text[0] == "(" and ")" not in text):
            text = text[1:].strip(_EDGES)
        if text == before:
            break
    return text


def _without_commune(line: str, known: Known) -> str:
    """The line without the commune at its end: as a whole piece, or after its postcode."""
    key = commune_key(line)
    if any(name in key for name in known.communes):
        if _is_commune(line, known):
            return ""
        for match in reversed(list(_POSTCODE.finditer(line))):
            is_own = not known.postcodes or match[1] in known.postcodes
            if is_own and _is_commune(line[match.end() :].strip("() ."), known):
                return line[: match.start()]
        *_, last = (0, *(match.end() for match in _SEPARATOR.finditer(line)))
        if last and _is_commune(line[last:], known):
            return line[:last]
    if line[-1:].isdigit():
        for match in _POSTCODE.finditer(line):
            if match.end() == len(line) and match[1] in known.postcodes:
                return line[: match.start()]
    return line


def _is_commune(text: str, known: Known) -> bool:
    key = commune_key(text)
    return any(
        key.startswith(name) and _AFTER_COMMUNE.fullmatch(key[len(name) :])
        for name in known.communes
    )


def _is_street(text: str) -> bool:
    return bool(_STREET.match(text)) and not _FLOOR.search(text)


def _is_place(text: str) -> bool:
    return bool(_PLACE.match(text))


def _is_region(text: str) -> bool:
    return not re.search(r"\d", text) and bool(_NO_SENSE.fullmatch(commune_key(text)))


def _shorter(street: str, reading: _Reading) -> str:
    """One round: the street without its boxes and without the pieces that are something else."""
    if boxes := [match[0] for form in (_BOX, _CEDEX) for match in form.finditer(street)]:
        reading.boxes += boxes
        reading.note("boite_postale_en_complement")
        street = re.sub(" +", " ", _CEDEX.sub("", _BOX.sub("", street)))
    street = _bare(_without_person(_bare(street), reading), reading)
    pieces = _pieces(street)
    if len(pieces) < 2 or not all(map(_WORD.search, pieces)):
        return street
    for form in (_is_street, _is_place):
        if found := [i for i, piece in enumerate(pieces) if form(piece)]:
            break
    if len(found) != 1:
        return street
    others = (piece for i, piece in enumerate(pieces) if i != found[0])
    reading.aside += filter(None, (_bare(piece, reading) for piece in others))
    reading.note("complement_separe")
    return pieces[found[0]]


def _pieces(text: str) -> list[str]:
    """What stands between the signs that part an address; a number stays with its street."""
    pieces: list[str] = []
    start = 0
    for match in _SEPARATOR.finditer(text):
        if not _NUMBER_ALONE.fullmatch(text, start, match.start()):
            pieces.append(_trimmed(text[start : match.start()]))
            start = match.end()
    return [piece for piece in (*pieces, _trimmed(text[start:])) if piece]


def _complement(text: str, reading: _Reading) -> str:
    before = None
    while text != before:
        before = text
        if (shorter := _without_person(text, reading)) != text:
            text = _trimmed(re.sub(r"(?:\s-\s[\s-]*)+", " - ", shorter))
        text = _cut(text)
    return text


def _nameless(reading: _Reading) -> Iterator[str]:
    """The pieces put aside, without those that are a person's name and nothing else."""
    for piece in reading.aside:
        words = piece.split()
        is_name = len(words) == 2 and all(map(_PROPER_NAME.fullmatch, words))
        folded = set(map(fold, words))
        if is_name and not folded & (_ORGANISATIONS | _NOT_NAMES):
            is_given = any(word in reading.known.given_names for word in folded)
            if is_given or _SURNAME_FIRST.fullmatch(piece):
                reading.person = True
                continue
        yield piece


def _names_a_person(text: str, reading: _Reading) -> bool:
    return _without_person(text, _Reading(reading.known, reading.may_name)) != text


def _cut(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return _trimmed(text[:MAX_CHARACTERS].rpartition(" ")[0] or text[:MAX_CHARACTERS])


def _without_person(text: str, reading: _Reading) -> str:
    """The text without those at whose place it is, and without those it is for."""
    before = None
    while reading.may_name and text != before:
        before = text
        for start, mark, is_care_of in _places_of_names(text):
            length = _length_of_person(text[mark:], reading.known, is_care_of=is_care_of)
            if length:
                reading.person = True
                text = f"{text[:start].rstrip()} {text[mark + length :].lstrip()}".strip()
                break
    return text


def _places_of_names(text: str) -> Iterator[tuple[int, int, bool]]:
    """Where a name may be: where to cut, where the name begins, whether a person is expected."""
    for match in _CARE_OF.finditer(text):
        yield match.start(), match.end(), bool(match["soins"])
    for start in (0, *(match.end() for match in _SEPARATOR.finditer(text))):
        if _TITLE.match(text, start):
            yield start, start, False


def _length_of_person(text: str, known: Known, *, is_care_of: bool) -> int:
    """How many characters at the start of the text name a person; 0 when none does."""
    end = next((match.start() for match in _NAME_ENDS.finditer(text)), len(text))
    title = _TITLE.match(text[:end])
    name = text[title.end() if title else 0 : end]
    words = re.split(r"[\s’']+", name.strip(" ."))
    proper = [word for word in words if fold(word) not in _PARTICLES]
    if not proper or len(proper) > 4 or fold(words[0]) in _ARTICLES:
        return 0
    if _ORGANISATIONS.intersection(map(fold, proper)):
        return 0
    if not all(map(_NAME.fullmatch if title else _PROPER_NAME.fullmatch, proper)):
        return 0
    is_given = any(fold(word).split("-")[0] in known.given_names for word in proper)
    two_words = len(proper) > 1
    is_person = title or (is_given and (two_words or is_care_of)) or (is_care_of and two_words)
    return end if is_person else 0
