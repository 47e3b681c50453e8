"""Planted e-mails and mobile numbers, in every spelling and every column, must not come out."""

import itertools
import json

from lowtech_data.extract.base import LIST_FIELDS, RAW_SCHEMA

from .support import clean

LOCALS = ("zoe.quenneville", "zquenneville", "contact.quenneville")
MAILS = (
    "{}@exemple-labo.fr",
    "{}@gmail.com",
    "{} @ gmail.com",
    "{}[at]gmail.com",
    "{} (at) gmail (dot) com",
    "{} at gmail dot com",
    "{} [arobase] gmail [point] com",
    "{}&#64;gmail.com",
    "{}&commat;gmail.com",
    "{}&amp;#64;gmail.com",
    "{}%40gmail.com",
    "{}＠gmail.com",
    "{}@\u200bgmail.com",
    "<b>{}</b>@gmail.com",
    "mailto:{}@gmail.com?subject=x",
    "{}_at_gmail_dot_com",
)
MOBILES = (
    "06 41 72 83 95",
    "06.41.72.83.95",
    "06-41-72-83-95",
    "06/41/72/83/95",
    "0641728395",
    "06 4172 8395",
    "064 172 8395",
    "+33 6 41 72 83 95",
    "+33 (0)6 41 72 83 95",
    "+33641728395",
    "0033 6 41 72 83 95",
    "00336 41728395",
    "33 6 41 72 83 95",
    "(+33)641728395",
    "06\u00a041\u00a072\u00a083\u00a095",
    "06\u202f41\u202f72\u202f83\u202f95",
    "０６ ４１ ７２ ８３ ９５",
    "06_41_72_83_95",
    "06 · 41 · 72 · 83 · 95",
    "O6 41 72 83 95",
    "06&nbsp;41&nbsp;72&nbsp;83&nbsp;95",
    "0<i>6</i>41728395",
    "06\u200b41\u200b72\u200b83\u200b95",
)
FRAMES = ("{}", "Écrire à {}, merci", "Tél. {} / 02 40 12 34 56", "<p>Voir</p>{}<br />")
OPEN_COLUMNS = ("capture", "source_id", "entite")
"""Filled by the project itself, never from a payload."""


def _traps() -> list[str]:
    mails = [mail.format(local) for mail, local in itertools.product(MAILS, LOCALS)]
    return [frame.format(trap) for trap, frame in itertools.product([*mails, *MOBILES], FRAMES)]


def _text_columns() -> list[str]:
    return [name for name in RAW_SCHEMA.names if name not in OPEN_COLUMNS]


def _leaks(text: str) -> bool:
    low = text.lower()
    return (
        "quenneville" in low
        or "72 83 95" in low
        or "41728395"
        in "".join(character for character in text if character.isdecimal() and character.isascii())
    )


def test_no_planted_trap_survives_in_any_column():
    traps = _traps()
    assert len(traps) >= 200
    rows = []
    for number, trap in enumerate(traps):
        for column in _text_columns():
            listed = column in LIST_FIELDS or column in ("themes", "familles")
            row = {"cle_source": f"{number}-{column}", column: [trap] if listed else trap}
            rows.append(row)
    result = clean(*rows)
    leaks = [
        (name, row["cle_source"], found)
        for name, table in (
            ("fiches", result.fiches),
            ("transformations", result.transformations),
            ("rejects", result.rejects),
        )
        for row in table.to_pylist()
        for found in [json.dumps(row, ensure_ascii=False)]
        if any(_leaks(value) for value in _strings(row))
    ]
    assert leaks == []
    assert result.rejects.num_rows > len(traps)


def _strings(row):
    for value in row.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from value


def test_a_key_is_replaced_only_when_it_holds_an_address_or_a_number():
    innocent = [
        "Ma Coop <br>La Vie au Vert",
        "Bric &amp; Broc",
        "Bric &amp;amp; Broc, 3 rue Haute",
        "<b>Le Labo</b>",
        "2021-05-05 14:29:42",
        "2021-06-07 14:29:42",
        "2021-06-07T14:29:42.123",
        "lieu 06.07.2019 18h30",
        "06/07/2019 18:30:12",
        "07-06-2019-a",
        "Bibliothèque Abracadalire 80 avenue Haute",
        "http://PWA/POI/Caf%C3%A9%20du%20Coin",
    ]
    personal = [
        "Bibliothèque Abracadalire zquenneville@live.fr",
        "zquenneville&amp;#64;gmail.com",
        "lieu%2006%2041%2072%2083%2095",
        "06<br>41<br>72<br>83<br>95",
        "06-41-20-19-95",
        "06-12-2019-95",
        '<i data-m="cXVlbm5ldmlsbGU=">x</i>',
        "06\ue00041728395",
    ]
    keys = [row["cle_source"] for row in clean(
        *({"cle_source": key} for key in innocent + personal)
    ).fiches.to_pylist()]  # fmt: skip
    assert sorted(key for key in keys if not key.startswith("sha256-")) == sorted(innocent)
    assert len(keys) == len(innocent) + len(personal)


def test_dates_in_a_text_keep_their_digits():
    texts = [
        "Ouvert depuis le 06.07.2019 18h30 sur la place",
        "Rendez-vous le 06.07.2019 18:30:00",
        "Le 07-06-2021 14:29, puis le 06/08/2022 09:15",
        "Mis à jour le 2021-06-07 14:29:42",
        "Mis à jour le 2021-06-07T14:29:42",
        "Le 6/7/2019 à 18 30",
    ]
    rows = clean(*({"description": text} for text in texts)).fiches.to_pylist()
    assert [row["resume"] for row in rows] == texts


def test_a_number_beside_a_date_is_removed():
    texts = [
        "Le 06.07.2019 au 06 41 72 83 95",
        "06 41 72 83 95 depuis le 06.07.2019",
        "06-41-20-19-95",
        "06-12-2019-95",
    ]
    rows = clean(*({"description": f"Écrire : {text}."} for text in texts)).fiches.to_pylist()
    assert [row["resume"] for row in rows if "95" in row["resume"]] == []
