"""Planted personal data: a thousand traps, the innocent values around them, and their detector.

Surnames and numbers are invented. A surname is ten letters that begin with « qu », a number eight
digits after its prefix, each used by one trap only: a needle found anywhere names its trap, however
it was spelled, cut out, encoded or put in another form.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

SEED = 20261122
COUNT = 1_000

GIVEN = ("jean", "marie", "claire", "luc", "agathe", "yann", "zoe", "paul", "ines", "hugo")
OWN_DOMAINS = ("atelier-exemple.fr", "labo-exemple.org", "exemple.asso.fr", "recup.exemple.bzh")
FREE_DOMAINS = (
    "gmail.com", "orange.fr", "laposte.net", "free.fr", "wanadoo.fr", "yahoo.fr", "hotmail.com",
    "proton.me", "sfr.fr", "ik.me", "mailo.com", "yahoo.co.uk",
)  # fmt: skip

COLUMNS = (
    "id", "nom", "autres", "description", "adresse", "complement", "cp", "ville", "insee", "pays",
    "lat", "lon", "precision", "site", "fiche", "courriel", "tel", "siret", "rna", "horaires",
    "statut", "maj", "licence", "attribution", "genre", "identifiants", "langue", "duree",
    "contact", "notes",
)  # fmt: skip
"""Columns of the listings. `contact` is set aside by its source, `notes` is declared nowhere."""

COLUMN_NAME = "nom_de_colonne"
FILE_NAME = "nom_de_fichier"
MESSAGE = "message_d_erreur"
"""Where an unreadable page is quoted: its title, its keys, its repeated columns."""
ADDRESS = "adresse_de_source"
"""Where a listing is asked for, or where it redirects to."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A personal datum planted in one place."""

    kind: str
    """How it is spelled."""
    field: str
    """The column that holds it, or one of the other places named above."""
    text: str
    needles: tuple[str, ...]
    """What must be found nowhere: a surname, eight digits, or an encoded form, as it is."""


@dataclass(frozen=True, slots=True)
class Person:
    """A place that is named after a person: kept for review, its address hidden."""

    nom: str
    adresse: str


@dataclass(frozen=True, slots=True)
class Control:
    """A value that looks a little like personal data, and must be kept."""

    kind: str
    field: str
    text: str
    column: str
    """The published column that must hold…"""
    expected: str
    """…this text, or hold it among others."""


@dataclass(frozen=True, slots=True)
class _Mail:
    given: str
    surname: str
    local: str
    domain: str

    @property
    def plain(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def spoken(self) -> str:
        return self.domain.replace(".", " dot ")


_PERSONAL_LOCALS: tuple[Callable[[str, str], str], ...] = (
    lambda g, s: f"{g}.{s}",
    lambda g, s: f"{g[0]}.{s}",
    lambda g, s: f"{g[0]}{s}",
    lambda g, s: s,
    lambda g, s: f"{s}.{g}",
    lambda g, s: f"{g}_{s}",
    lambda g, s: f"{g}-{s}",
    lambda g, s: f"{g}+{s}",
    lambda g, s: f"{g.title()}.{s.upper()}",
)
_ROLE_LOCALS: tuple[Callable[[str, str], str], ...] = (
    lambda g, s: f"contact.{s}",
    lambda g, s: f"atelier-{s}",
    lambda g, s: f"asso.{s}",
    lambda g, s: f"repaircafe{s}",
)


def _entities(text: str) -> str:
    return "".join(f"&#{ord(c)};" for c in text)


def _cfemail(text: str) -> str:
    key = 0x5A
    return f"{key:02x}" + "".join(f"{ord(c) ^ key:02x}" for c in text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_MAIL_SPELLINGS: dict[str, Callable[[_Mail], str]] = {
    "entité décimale": lambda m: f"{m.local}&#64;{m.domain}",
    "entité hexadécimale": lambda m: f"{m.local}&#x40;{m.domain}",
    "entité nommée": lambda m: f"{m.local}&commat;{m.domain.replace('.', '&period;')}",
    "entité deux fois": lambda m: f"{m.local}&amp;#64;{m.domain}",
    "tout en entités": lambda m: _entities(m.plain),
    "[at]": lambda m: f"{m.local}[at]{m.domain}",
    "(at)": lambda m: f"{m.local} (at) {m.domain.replace('.', ' (dot) ')}",
    "{at}": lambda m: f"{m.local}{{at}}{m.domain}",
    "(arobase)": lambda m: f"{m.local}(arobase){m.domain}",
    "[AROBASE] [POINT]": lambda m: (
        f"{m.local} [AROBASE] {m.domain.replace('.', ' [POINT] ')}"
    ),
    "at … dot": lambda m: f"{m.local} at {m.spoken}",
    "arobase … point": lambda m: f"{m.local} arobase {m.domain.replace('.', ' point ')}",
    "AT en capitales": lambda m: f"{m.local} AT {m.domain}",
    "_at_": lambda m: f"{m.local}_at_{m.domain.replace('.', '_dot_')}",
    "espaces autour": lambda m: f"{m.local} @ {m.domain}",
    "espaces partout": lambda m: f"{m.local.replace('.', ' . ')} @ {m.domain.replace('.', ' . ')}",
    "pleine chasse": lambda m: f"{m.local}＠{m.domain.replace('.', '．')}",
    "petit arobase": lambda m: f"{m.local}﹫{m.domain}",
    "échappement JSON": lambda m: f"{m.local}\\u0040{m.domain}",
    "pour cent": lambda m: f"{m.local}%40{m.domain}",
    "pour cent deux fois": lambda m: f"{m.local}%2540{m.domain.replace('.', '%252E')}",
    "mailto en HTML": lambda m: f'<a href="mailto:{m.plain}?subject=Visite">écrire</a>',
    "mailto nu": lambda m: f"mailto:{m.plain}?subject=Visite",
    "mailto en pour cent": lambda m: f"mailto:{quote(m.plain, safe='')}",
    "attributs data": lambda m: (
        f'<span data-user="{m.local}" data-domain="{m.domain}">écrire</span>'
    ),
    "attribut en base 64": lambda m: f'<a data-mail="{_base64(m.plain)}" href="#">écrire</a>',
    "attribut cfemail": lambda m: f'<a data-cfemail="{_cfemail(m.plain)}">[email protected]</a>',
    "balise dans l’adresse": lambda m: (
        f"{m.local[:-5]}<b>{m.local[-5:]}</b>@{m.domain}"
    ),
    "balises autour du signe": lambda m: f"<i>{m.local}</i>@<span>{m.domain}</span>",
    "commentaire HTML": lambda m: f"{m.local}<!-- x -->@{m.domain}",
    "caractère invisible": lambda m: f"{m.local[:-4]}\u200b{m.local[-4:]}@\u2060{m.domain}",
    "césure invisible": lambda m: f"{m.local[:3]}\u00ad{m.local[3:]}@{m.domain}",
    "JSON dans un texte": lambda m: json.dumps({"contact": {"mail": m.plain}, "n": 2}),
    "JSON échappé": lambda m: json.dumps(json.dumps({"mail": m.plain})),
    "chevrons": lambda m: f'"{m.given.title()}" <{m.plain}>',
    "adresse web avec identifiant": lambda m: f"https://{m.local}:secret@{m.domain}/page",
    "adresse web avec requête": lambda m: f"https://www.exemple.fr/lieu?id=7&email={m.plain}",
    "requête en pour cent": lambda m: (
        f"https://www.exemple.fr/?a=1&contact={quote(m.plain, safe='')}"
    ),
    "requête deux fois en pour cent": lambda m: (
        f"https://www.exemple.fr/?q={quote(quote(m.plain, safe=''), safe='')}"
    ),
    "chemin d’adresse web": lambda m: f"https://www.exemple.fr/membres/{m.plain}/profil",
    "fragment d’adresse web": lambda m: f"https://www.exemple.fr/lieu#{m.plain}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Number:
    """A mobile number: ten national digits, the first two of which are in `pairs[0]`."""

    digits: str

    @property
    def pairs(self) -> list[str]:
        return [self.digits[i : i + 2] for i in range(0, 10, 2)]

    @property
    def nine(self) -> str:
        return self.digits[1:]

    def spaced(self, separator: str) -> str:
        return separator.join(self.pairs)

    def after(self, prefix: str, separator: str = " ") -> str:
        return prefix + self.nine[0] + separator + separator.join(self.pairs[1:])


def _translated(text: str, zero: int) -> str:
    return "".join(chr(zero + int(c)) if c.isdigit() else c for c in text)


_MOBILE_SPELLINGS: dict[str, Callable[[_Number], str]] = {
    "sans séparateur": lambda n: n.digits,
    "points": lambda n: n.spaced("."),
    "tirets": lambda n: n.spaced("-"),
    "barres": lambda n: n.spaced("/"),
    "espaces": lambda n: n.spaced(" "),
    "doubles espaces": lambda n: n.spaced("  "),
    "soulignés": lambda n: n.spaced("_"),
    "points médians": lambda n: n.spaced(" · "),
    "un espace par chiffre": lambda n: " ".join(n.digits),
    "un point par chiffre": lambda n: ".".join(n.digits),
    "groupes de trois": lambda n: f"{n.digits[:4]} {n.digits[4:7]} {n.digits[7:]}",
    "insécables": lambda n: n.spaced("\u00a0"),
    "fines": lambda n: n.spaced("\u202f"),
    "demi-cadratins": lambda n: n.spaced("\u2013"),
    "entités nbsp": lambda n: n.spaced("&nbsp;"),
    "+33": lambda n: f"+33{n.nine}",
    "+33 espacé": lambda n: n.after("+33 "),
    "+33 (0)": lambda n: n.after("+33 (0)"),
    "+33(0) points": lambda n: n.after("+33(0)", "."),
    "(+33)": lambda n: n.after("(+33) "),
    "0033": lambda n: n.after("0033 "),
    "00 33": lambda n: n.after("00 33 "),
    "00.33.(0)": lambda n: n.after("00.33.(0)", "."),
    "(0)6": lambda n: n.after("(0)"),
    "33 nu": lambda n: f"33{n.nine}",
    "lettre O": lambda n: n.spaced(" ").replace("0", "O"),
    "lettre o seule au début": lambda n: "o" + n.nine,
    "pleine chasse": lambda n: _translated(n.spaced(" "), 0xFF10),
    "chiffres arabes": lambda n: _translated(n.spaced(" "), 0x0660),
    "chiffres arabes collés": lambda n: _translated(n.digits, 0x0660),
    "tél :": lambda n: f"tél : {n.spaced('.')}",
    "port.": lambda n: f"port. {n.spaced(' ')}",
    "Portable=": lambda n: f"Portable={n.digits}",
    "mots autour": lambda n: f"appeler le{n.digits}de préférence",
    "lien tel:": lambda n: f'<a href="tel:+33{n.nine}">appeler</a>',
    "tel: nu": lambda n: f"tel:+33-{n.nine[0]}-{'-'.join(n.pairs[1:])}",
    "balise dans le numéro": lambda n: f"{n.digits[:2]}<b>{n.digits[2:6]}</b>{n.digits[6:]}",
    "invisibles": lambda n: n.spaced("\u200b"),
    "jointure invisible": lambda n: "\u2060".join(n.digits),
    "adresse web": lambda n: f"https://www.exemple.fr/?tel={n.digits}&id=2",
    "wa.me": lambda n: f"https://wa.me/33{n.nine}",
    "pour cent": lambda n: n.spaced("%20"),
    "JSON": lambda n: json.dumps({"tel": n.spaced(" ")}),
    "après un fixe": lambda n: f"02 40 12 34 56 / {n.spaced(' ')}",
    "collé à un fixe": lambda n: f"02 40 12 34 56 {n.spaced(' ')}",
    "deux lignes": lambda n: f"{n.spaced(' ')[:8]}\n{n.spaced(' ')[9:]}",
}

_OVERSEAS = {
    "0690": "590", "0691": "590", "0692": "262", "0693": "262", "0694": "594", "0696": "596",
    "0697": "596", "0639": "262",
}  # fmt: skip
"""First digits of mobiles overseas → country code."""

_OVERSEAS_SPELLINGS: dict[str, Callable[[_Number, str], str]] = {
    "outre-mer national": lambda n, code: n.spaced(" "),
    "outre-mer collé": lambda n, code: n.digits,
    "outre-mer +": lambda n, code: f"+{code} {n.nine[:3]} {n.nine[3:5]} {n.nine[5:7]} {n.nine[7:]}",
    "outre-mer 00": lambda n, code: f"00{code}{n.nine}",
    "outre-mer (0)": lambda n, code: f"+{code} (0){n.nine}",
    "outre-mer points": lambda n, code: f"+{code}.{n.nine[:3]}.{n.nine[3:6]}.{n.nine[6:]}",
}

_FRAMES = ("{}", "{}", "Écrire ou appeler : {}, merci", "Atelier ouvert ({})", "<p>Venez</p>{}")
_STRICT = frozenset({"lat", "lon", "cp", "insee", "siret", "rna", "maj", "duree"})
"""Columns where a value with words around it would not be tried at all."""

_CONTACTS = ("{g} {s}", "Mme {S}", "{S} {g}, présidente", "{g} {s} - 06 {n}")
_SURNAME = re.compile(r"(?=(qu[a-z]{8}))")


class _Maker:
    """Invents people, one per call, never the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.taken: set[str] = set()

    def _fresh(self, make: Callable[[], str]) -> str:
        while (value := make()) in self.taken:
            pass
        self.taken.add(value)
        return value

    def surname(self) -> str:
        syllables = [a + b for a, b in itertools.product("bdfglmnprstvz", "aeiou")]
        return self._fresh(lambda: "qu" + "".join(self.random.choices(syllables, k=4)))

    def mail(self, locals_: Sequence[Callable[[str, str], str]], domains: Sequence[str]) -> _Mail:
        given, surname = self.random.choice(GIVEN), self.surname()
        local = self.random.choice(locals_)(given, surname)
        return _Mail(given, surname, local, self.random.choice(domains))

    def number(self, prefix: str) -> _Number:
        """No digit after the prefix is the number's second one: a cut number stays telling."""
        missing = 10 - len(prefix)
        tail = self._fresh(lambda: "".join(self.random.choices("123456789", k=missing)))
        return _Number(prefix + tail)


def _mail_traps(maker: _Maker) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Endless: kind, spelling and needles of an address."""
    spellings = list(_MAIL_SPELLINGS.items())
    groups = (
        ("nominative", _PERSONAL_LOCALS, OWN_DOMAINS),
        ("messagerie gratuite", _PERSONAL_LOCALS, FREE_DOMAINS),
        ("rôle, messagerie gratuite", _ROLE_LOCALS, FREE_DOMAINS),
    )
    for turn in itertools.count():
        for name, locals_, domains in groups:
            mail = maker.mail(locals_, domains)
            yield f"adresse {name}", mail.plain, (mail.surname,)
        for place, (name, spell) in enumerate(spellings):
            mail = maker.mail(*groups[(turn + place) % 3][1:])
            hidden = (_base64(mail.plain), _cfemail(mail.plain))
            yield f"courriel · {name}", spell(mail), (mail.surname, *hidden)


def _number_traps(maker: _Maker) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Endless: kind, spelling and needle of a mobile number."""
    overseas = itertools.cycle(_OVERSEAS.items())
    for turn in itertools.count():
        for place, (name, spell) in enumerate(_MOBILE_SPELLINGS.items()):
            number = maker.number("06" if (turn + place) % 2 else "07")
            yield f"mobile · {name}", spell(number), (number.digits[2:],)
        for name, spell_abroad in _OVERSEAS_SPELLINGS.items():
            prefix, code = next(overseas)
            number = maker.number(prefix)
            yield f"mobile · {name}", spell_abroad(number, code), (number.digits[2:],)


def _contact_traps(maker: _Maker) -> Iterator[Trap]:
    for column, form in itertools.product(("contact", "notes"), _CONTACTS * 2):
        given, surname, number = maker.random.choice(GIVEN), maker.surname(), maker.number("06")
        text = form.format(g=given.title(), s=surname.title(), S=surname.upper(),
                           n=number.digits[2:])  # fmt: skip
        yield Trap("personne à contacter", column, text, (surname, number.digits[2:]))


def _place_traps(maker: _Maker) -> Iterator[Trap]:
    """Traps beside the records: names, messages, addresses."""
    for place, count in ((COLUMN_NAME, 12), (FILE_NAME, 6), (MESSAGE, 9), (ADDRESS, 6)):
        for rank in range(count):
            mail, number = maker.mail(_PERSONAL_LOCALS, FREE_DOMAINS), maker.number("07")
            text, needle = (
                (mail.plain, mail.surname),
                (f"Tél {number.spaced(' ')}", number.digits[2:]),
                (f"liste de {mail.local}[at]{mail.domain}", mail.surname),
            )[rank % 3]
            if place == ADDRESS:
                text = quote(mail.plain) if rank % 2 else mail.plain
                needle = mail.surname
            yield Trap(place.replace("_", " "), place, text, (needle,))


def traps(count: int = COUNT, seed: int = SEED) -> list[Trap]:
    """The traps, the same for the same seed: every kind, and every column, many times."""
    maker = _Maker(seed)
    found = [*_contact_traps(maker), *_place_traps(maker)]
    columns = itertools.cycle(maker.random.sample(COLUMNS, len(COLUMNS)))
    sources = (_mail_traps(maker), _number_traps(maker))
    while len(found) < count:
        kind, text, needles = next(sources[len(found) % 2])
        column = next(columns)
        if len(found) % (2 * len(COLUMNS)) == 0:
            # Else a column of even rank would only ever meet one of the two families.
            column = next(columns)
        frame = "{}" if column in _STRICT else maker.random.choice(_FRAMES)
        found.append(Trap(kind, column, frame.format(text), needles))
    return found


PEOPLE = tuple(
    Person(name, f"{number} rue des Lilas")
    for number, name in enumerate(
        (
            "Mme Martin", "M. Durand", "Monsieur Lefebvre", "Jean Dupont", "Marie-Claude DURAND",
            "DUPONT Jean", "Ferme de Jean D.", "Atelier de Paul R.", "Chez Claire Morel",
            "Mlle Agathe Roux", "Dr Luc Petit", "Yann LE GALL", "Sophie de la Tour",
            "Famille Bertrand", "M et Mme Garnier", "Jean-Pierre L.",
        ),
        1,
    )
)  # fmt: skip


def controls() -> list[Control]:
    """Innocent values: each must still be published, as it is or in its published form."""
    return list(itertools.chain(_kept_mails(), _kept_numbers(), _kept_texts(), _kept_others()))


def _kept_mails() -> Iterator[Control]:
    roles = ("contact", "accueil", "info", "atelier", "fablab", "bonjour", "mairie", "recyclerie",
             "coworking", "secretariat", "velo")  # fmt: skip
    for role, domain in itertools.product(roles, OWN_DOMAINS):
        mail = f"{role}@{domain}"
        yield Control("adresse de rôle", "courriel", mail, "courriel", mail)


def _kept_numbers() -> Iterator[Control]:
    landlines = ("0140123456", "0240123457", "0340123458", "0440123459", "0540123450", "0970123456",
                 "0800123456", "0262123456", "0590123456")  # fmt: skip
    overseas = {"0262": "+262", "0590": "+590"}
    spellings: tuple[Callable[[_Number], str], ...] = (
        lambda n: n.digits,
        lambda n: n.spaced(" "),
        lambda n: n.spaced("."),
        lambda n: f"Tél : {n.spaced('-')}",
        lambda n: f"{n.spaced(' ')} (accueil)",
    )
    for line, spell in itertools.product(landlines, spellings):
        number = _Number(line)
        expected = f"{overseas.get(line[:4], '+33')}{number.nine}"
        yield Control("téléphone fixe", "tel", spell(number), "telephone", expected)


def _kept_texts() -> Iterator[Control]:
    sentences = (
        ("date", "Ouverture le 06/07/2024 au public"),
        ("date", "Du 07-06-2023 au 12-06-2023, tous les jours"),
        ("date", "Créé le 06.07.2019 par des habitants"),
        ("date", "Fête le 06/07/2024 18:30 sur la place"),
        ("heure", "Ouvert de 9h06 à 17h06 le samedi"),
        ("heure", "Départ à 06:30 puis à 07:45 et 08:15"),
        ("lot", "Lot 0612 du parc, bâtiment 7"),
        ("lot", "Parcelle 000 AB 0607, 1200 m2"),
        ("quantité", "06 vélos, 07 remorques et 12 cadenas"),
        ("quantité", "Surface de 0,67 ha et 3 bâtiments"),
        ("département", "Association du 06 et du 07"),
        ("code postal", "Entre 06000 Nice et 07000 Privas"),
        ("téléphone fixe", "Le secrétariat répond au 02 40 12 34 56"),
        ("SIRET", "SIRET 832 845 978 00028"),
        ("RNA", "Déclarée sous le numéro W751234567"),
        ("coordonnées", "Point au 47.2184, -1.5536"),
        ("année", "2006, 2007 et 2016 : trois chantiers"),
        ("at en anglais", "Makers at work in Nantes"),
        ("compte social", "Suivre @labo sur Mastodon"),
        ("prix", "Adhésion 07 € ou 60 € par an"),
    )
    for kind, text in sentences:
        yield Control(kind, "description", text, "resume", text)
    streets = ("06 rue de la Paix", "7 bis rue du 6 Juin", "67 avenue du 07 Mai", "Lot 06 ZA",
               "106 rue du 8 Mai 1945", "0 chemin du Lac", "Bâtiment 07, 12 rue Haute",
               "Route départementale 06")  # fmt: skip
    for street in streets:
        yield Control("voie", "adresse", street, "adresse", street)
    for name in ("Fablab 06", "Atelier 0.67", "Le 107", "Repair Café du 7e", "Lab@06",
                 "Atelier Martin", "Médiathèque Victor Hugo", "Espace Simone Veil",
                 "Low-tech Lab", "La Rose des Vents"):  # fmt: skip
        yield Control("nom", "nom", name, "nom", name)


def _kept_others() -> Iterator[Control]:
    for siret in ("83284597800028", "832 845 978 00028"):
        yield Control("SIRET", "siret", siret, "siret", "83284597800028")
    for hours in ("Mo-Fr 09:06-17:06", "Sa 06:00-07:00", "Tu,Th 14:00-18:30", "24/7"):
        yield Control("horaires", "horaires", hours, "horaires", hours)
    for written, day in (("06/07/2024", "2024-07-06"), ("2024-06-07", "2024-06-07"),
                         ("07-06-2023", "2023-06-07")):  # fmt: skip
        yield Control("date", "maj", written, "date_maj", day)
    for url in ("https://labo-exemple.org/06-07-2024", "https://mastodon.social/@labo",
                "https://labo-exemple.org/?id=0612", "https://labo-exemple.org/67"):  # fmt: skip
        yield Control("adresse web", "site", url, "site_web", url)
    for key in ("0612", "67-2024", "2024-06-07-12", "fablab@06", "a0607"):
        yield Control("clé", "id", key, "cle_source", key)
    for postcode in ("06000", "07000", "67000"):
        yield Control("code postal", "cp", postcode, "code_postal", postcode)
    for latitude in ("47.210607", "47.2106", "47.206706"):
        yield Control("coordonnées", "lat", latitude, "latitude", latitude)
    for rna in ("W751234567", "w 671234567"):
        yield Control("RNA", "rna", rna, "rna", rna.upper().replace(" ", ""))


_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u206f\ufeff]")
_ESCAPES = re.compile(r"[&%<\\]")
_DIGIT = re.compile("[0-9oO]")
_DIGITS = re.compile(r"(?:[0-9o](?:[\W_]{0,6}(?=[0-9o])|)){8,}")


class Detector:
    """Finds which traps a text lets through, whatever its spelling."""

    def __init__(self, planted: Sequence[Trap]) -> None:
        """Learn the needles of these traps."""
        self.words: dict[str, Trap] = {}
        self.numbers: dict[str, Trap] = {}
        self.encoded: dict[str, Trap] = {}
        for trap in planted:
            for needle in trap.needles:
                self._those_like(needle)[needle] = trap
        self._codes = re.compile("|".join(map(re.escape, self.encoded)) or r"(?!)")

    def _those_like(self, needle: str) -> dict[str, Trap]:
        if re.fullmatch(r"\d{8}", needle):
            return self.numbers
        return self.words if re.fullmatch(r"qu[a-z]{8}", needle) else self.encoded

    def find_bytes(self, data: bytes) -> set[Trap]:
        """The traps whose needle is among bytes of any format: digits without separators only."""
        text = data.decode("utf-8", "replace").casefold()
        found = {self.words[m[1]] for m in _SURNAME.finditer(text) if m[1] in self.words}
        numbers = re.findall(r"(?=(?:0|33|262|59\d)6?[67]?(\d{8}))", text)
        return found | {self.numbers[digits] for digits in numbers if digits in self.numbers}

    def find(self, text: str) -> set[Trap]:
        """The traps whose needle is in the text."""
        found = {self.encoded[match[0]] for match in self._codes.finditer(text)}
        if _cannot_hide(text):
            return found
        for reading in _readings(text):
            found |= {self.words[m[1]] for m in _SURNAME.finditer(reading) if m[1] in self.words}
            for match in _DIGITS.finditer(reading):
                digits = re.sub(r"[\W_]", "", match[0]).replace("o", "0")
                windows = (digits[i : i + 8] for i in range(len(digits) - 7))
                found |= {self.numbers[w] for w in windows if w in self.numbers}
        return found


def _cannot_hide(text: str) -> bool:
    """Whether a text without escapes has neither the letters of a surname nor enough digits."""
    return (
        text.isascii()
        and not _ESCAPES.search(text)
        and "qu" not in text.casefold()
        and len(_DIGIT.findall(text)) < 8
    )


def _readings(text: str) -> Iterator[str]:
    """The text as a reader would decode it, with its tags, without them, and without breaks."""
    for _ in range(4):
        before = text
        text = unquote(html.unescape(text))
        text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
        if text == before:
            break
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKD", text)).casefold()
    text = re.sub("[\u0300-\u036f]", "", text)
    # Decimal digits of other scripts have no compatibility form.
    text = "".join(str(unicodedata.decimal(c, c)) if not c.isascii() else c for c in text)
    yield text
    if "<" in text:
        yield re.sub(r"<[^<>]*>", "", text)
