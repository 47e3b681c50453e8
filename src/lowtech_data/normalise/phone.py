"""Telephones in E.164: landlines and service numbers of the organisation, never a mobile.

French numbers are judged by the numbering plan as `phonenumbers` knows it (ARCEP): what it leaves
out cannot be attributed. A number of another country is kept when its country code is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import duckdb
import phonenumbers
import pyarrow as pa
from phonenumbers import PhoneNumberType as Kind

from lowtech_data.normalise.journal import change, dictionary
from lowtech_data.normalise.personal import literal
from lowtech_data.redact import DATE

_LANDLINES = frozenset({Kind.FIXED_LINE, Kind.VOIP, Kind.TOLL_FREE, Kind.SHARED_COST, Kind.UAN})
_MAX_CHARACTERS = 200
_PLAIN = r"^\(?(?:\+33|0033|33)?[ .\-/]*(?:\(0\))?[ .\-/]*\(?0?[1-9]\)?(?:[ .\-/]*\d){8}$"
_OVERSEAS = {"262": "262", "263": "262", "269": "262", "590": "590", "594": "594", "596": "596"}
"""Three digits after the 0 of a national number → the country code of that territory."""

_FRENCH = frozenset({33, 262, 590, 594, 596})
"""Country codes whose national numbers are of the French plan."""

_METROPOLITAN = phonenumbers.PhoneMetadata.metadata_for_region("FR")
_PLAN = "^(?:{})$".format(
    "|".join(
        getattr(_METROPOLITAN, kind).national_number_pattern
        for kind in ("fixed_line", "toll_free", "shared_cost", "premium_rate", "voip", "uan")
    )
)
"""Nine digits after the 0 that can be attributed, mobiles apart; the same for RE2 and Python."""

_DUMMY = r"^(?:[1-9]0{8}|102030405|123456789)$"
"""What people type to fill a form."""

_SHORT = re.compile(r"3\d{3}|10\d\d|11[2-9]|11[68]\d{3}")
"""Numbers that exist in France only, which E.164 cannot say."""

_BETWEEN = re.compile(r"[;,|\n]|\s/\s|//|\s[-–—]\s|\b(?:ou|et|puis)\b", re.IGNORECASE)
_EXPLICIT = re.compile(r"(?:\+|(?<!\d)00)\s*\(?\s*[1-9]")

_IN_TEXT = r"(?:0|33[ .()0-]{0,6})[1-59](?:[ ./-]?[0-9]){8}"  # RE2: a cheap sign of what follows
_NUMBER = re.compile(
    r"(?<![\w+/=&-])(?<!\d[.])(?<!\d )(?:(?:\+|00)33[ .-]?(?:\(0\)[ .-]?)?|0)[1-59]"
    r"(?P<entre>[ ./-]?)\d\d(?:(?P=entre)\d\d){3}(?![ ./-]?\d)(?![\w…])"
)
_FAX = re.compile(r"fax\W{0,4}$|t[ée]l[ée]copie\w*\W{0,4}$", re.IGNORECASE)
_DATES = re.compile(DATE, re.ASCII)

_READ_SCHEMA = pa.schema(
    [
        ("v", pa.string()),
        ("telephone", pa.string()),
        ("mobile", pa.bool_()),
        ("refus", pa.string()),
    ]
)
_SAID_SCHEMA = pa.schema([("v", pa.string()), ("telephone", pa.string()), ("ecrit", pa.string())])

_Judged = tuple[str | None, str | None]
"""A number in E.164, or why it is not kept."""


def _read(text: str) -> dict[str, Any]:
    """The first number of a text that is kept, whether a mobile was there, and what was refused."""
    kept: str | None = None
    refusals: list[str] = []
    for piece in _BETWEEN.split(text[:_MAX_CHARACTERS]):
        for number, refusal in _judged(piece):
            kept = kept or number
            refusals += [refusal] if refusal else []
    others = [refusal for refusal in refusals if refusal != "mobile_ecarte"]
    mobile = "mobile_ecarte" in refusals
    if not others and not kept and not mobile:
        others = ["telephone_illisible"]
    return {"telephone": kept, "mobile": mobile, "refus": others[0] if others else None}


def _judged(piece: str) -> Iterator[_Judged]:
    digits = re.sub(r"\D", "", piece)
    abroad = _EXPLICIT.search(piece) and not re.search(r"(?:\+|00)\s*\(?\s*33", piece)
    national = re.fullmatch(r"(?:00)?(?:33)?0?([1-9]\d{8})", digits)
    if national and not abroad:
        yield _french(national[1])
        return
    found = list(phonenumbers.PhoneNumberMatcher(piece, "FR", phonenumbers.Leniency.POSSIBLE))
    for match in found:
        number = match.number
        if number.country_code in _FRENCH:
            yield _french(str(number.national_number))
        else:
            yield _foreign(number, explicit=bool(_EXPLICIT.match(match.raw_string.lstrip("("))))
    if not found and digits and "@" not in piece:
        yield None, _unread(digits)


def _french(nine: str) -> _Judged:
    if nine[0] in "67" and len(nine) == 9:
        return None, "mobile_ecarte"
    if len(nine) == 9 and nine[:3] in _OVERSEAS:
        return f"+{_OVERSEAS[nine[:3]]}{nine}", None
    if re.match(_PLAN, nine) and not re.match(_DUMMY, nine):
        return f"+33{nine}", None
    return None, "telephone_invalide"


def _foreign(number: Any, *, explicit: bool) -> _Judged:
    kind = phonenumbers.number_type(number)
    if kind in {Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE, Kind.PAGER, Kind.PERSONAL_NUMBER}:
        return None, "mobile_ecarte"
    if kind not in _LANDLINES:
        return None, "telephone_invalide"
    if not explicit:
        return None, "telephone_etranger"
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), None


def _unread(digits: str) -> str:
    """Why digits are no number: a short one, one of another country without its sign, or none."""
    if _SHORT.fullmatch(digits):
        return "telephone_court"
    try:
        abroad = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return "telephone_invalide"
    is_abroad = abroad.country_code not in _FRENCH and phonenumbers.is_valid_number(abroad)
    return "telephone_etranger" if is_abroad and len(digits) > 9 else "telephone_invalide"


def _said(text: str) -> dict[str, Any]:
    """The first landline written in a text, and how it is written there."""
    dateless = _DATES.sub(lambda match: "_" * len(match[0]), text)
    for match in _NUMBER.finditer(dateless):
        if _FAX.search(dateless[max(0, match.start() - 20) : match.start()]):
            continue
        kept, _ = _french(re.sub(r"\D", "", match[0].replace("(0)", ""))[-9:])
        if kept:
            return {"telephone": kept, "ecrit": match[0]}
    return {"telephone": None, "ecrit": None}


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_phone`: `telephone` (E.164 or nothing), for rows that give or say one.

    When the field gives none, the first landline of the description, the hours, the address or the
    name is taken. A person's is not kept: it rings at home.
    """
    _given(con)
    _from_texts(con)
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_phone AS
        SELECT n, telephone FROM n_phone_given WHERE telephone IS NOT NULL
        UNION ALL SELECT n, telephone FROM n_phone_said"""
    )


def _given(con: duckdb.DuckDBPyConnection) -> None:
    dictionary(
        con,
        "n_phones_read",
        f"SELECT telephone AS v FROM n_raw WHERE telephone IS NOT NULL AND NOT vide(telephone)"
        f" AND NOT regexp_matches(telephone, '{_PLAIN}')",
        _read,
        _READ_SCHEMA,
    )
    overseas = " ".join(f"WHEN '{k}' THEN '+{v}'" for k, v in _OVERSEAS.items())
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_phone_given AS
        WITH simples AS MATERIALIZED (
            SELECT n, telephone AS source,
                right(translate(telephone, ' .-/()+', ''), 9) AS neuf
            FROM n_raw WHERE telephone IS NOT NULL AND regexp_matches(telephone, '{_PLAIN}')),
        juges AS MATERIALIZED (
            SELECT *, left(neuf, 1) IN ('6', '7') AS mobile,
                left(neuf, 3) IN ('{"', '".join(_OVERSEAS)}')
                OR (regexp_matches(neuf, '{_PLAN}') AND NOT regexp_matches(neuf, '{_DUMMY}'))
                    AS valide FROM simples)
        SELECT n, source,
            CASE WHEN valide AND NOT mobile
                THEN CASE left(neuf, 3) {overseas} ELSE '+33' END || neuf END AS telephone,
            mobile, CASE WHEN NOT valide AND NOT mobile THEN 'telephone_invalide' END AS refus
        FROM juges
        UNION ALL
        SELECT r.n, r.telephone, d.telephone, d.mobile, d.refus
        FROM n_raw r JOIN n_phones_read d ON r.telephone = d.v"""
    )
    con.execute(
        """UPDATE n_phone_given SET telephone = NULL, refus = 'telephone_de_personne_possible'
        FROM n_name m WHERE n_phone_given.n = m.n AND m.personne AND telephone IS NOT NULL"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'telephone', 'mobile_ecarte', '•• •• •• •• ••'
        FROM n_phone_given WHERE mobile"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'telephone', refus, masque_forme(source)
        FROM n_phone_given WHERE refus IS NOT NULL"""
    )
    change(
        con,
        "telephone",
        regle="""CASE WHEN regexp_matches(source, '^[1-9]') AND NOT starts_with(source, '33')
            THEN 'zero_initial_ajoute' ELSE 'format_e164' END""",
        source="source",
        select=r"FROM n_phone_given WHERE telephone <> source AND NOT mobile AND refus IS NULL"
        r" AND regexp_matches(source, '^[\d .()+/-]{8,25}$')",
    )


def _from_texts(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_phone_said`: `telephone` and `ecrit`, for rows whose field gives none."""
    texts = " UNION ALL ".join(
        f"SELECT n, {rank} AS rang, {column} AS v FROM {table}"
        f" WHERE regexp_matches({column}, {literal(_IN_TEXT)})"
        for rank, (table, column) in enumerate(
            (
                ("n_txt", "description"),
                ("n_raw", "horaires"),
                ("n_txt", "adresse"),
                ("n_txt", "complement_adresse"),
                ("n_txt", "nom"),
            )
        )
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_phone_texts AS
        SELECT * FROM ({texts})
        WHERE n NOT IN (SELECT n FROM n_phone_given WHERE telephone IS NOT NULL)
            AND n NOT IN (SELECT n FROM n_name WHERE personne)"""
    )
    dictionary(con, "n_phones_said", "SELECT v FROM n_phone_texts", _said, _SAID_SCHEMA)
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_phone_said AS
        SELECT t.n, arg_min(d.telephone, t.rang) AS telephone, arg_min(d.ecrit, t.rang) AS ecrit
        FROM n_phone_texts t JOIN n_phones_said d ON t.v = d.v
        WHERE d.telephone IS NOT NULL GROUP BY t.n"""
    )
    change(
        con,
        "telephone",
        regle="'tire_du_texte'",
        source="ecrit",
        select="FROM n_phone_said",
    )
