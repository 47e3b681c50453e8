"""Dates as listings write them: an ISO day, or nothing and the reason."""

import pytest

from .support import clean, each, read, rules_of_each

READ = [
    ("2024-03-11", "2024-03-11"),
    ("2024-03-11T09:41:45+01:00", "2024-03-11"),
    ("2024-03-11T00:30:00+01:00", "2024-03-10"),
    ("2024-03-11T00:30:00.123+0100", "2024-03-10"),
    ("2024-12-31 23:30:00-02:00", "2025-01-01"),
    ("2024-03-11T23:59:59Z", "2024-03-11"),
    ("2024-02-29", "2024-02-29"),
    ("05/05/2021 14:29:42", "2021-05-05"),
    ("5/5/2021", "2021-05-05"),
    ("05.05.2021", "2021-05-05"),
    ("Dernière modification le 11/12/2023", "2023-12-11"),
    ("5 mai 2021", "2021-05-05"),
    ("1er janvier 2020", "2020-01-01"),
    ("mercredi 5 mai 2021 à 14h29", "2021-05-05"),
    ("le 3 févr. 2021", "2021-02-03"),
    ("15 AOÛT 2022", "2022-08-15"),
    ("Mis à jour le 31 décembre 2019.", "2019-12-31"),
    ("1620224982", "2021-05-05"),
    ("1620224982.5", "2021-05-05"),
    ("1620224982000", "2021-05-05"),
    ("20210505", "2021-05-05"),
    ("", None),
]

REFUSED = [
    ("31/02/2021", "date_illisible"),
    ("31 février 2021", "date_illisible"),
    ("2021-02-29", "date_illisible"),
    ("2021-13-01", "date_illisible"),
    ("2021-05-05T99:99:99+01:00", "date_illisible"),
    ("12/03/21", "date_illisible"),
    ("5 mai 21", "date_illisible"),
    ("March 3, 2021", "date_illisible"),
    ("3 March 2021", "date_illisible"),
    ("Wed, 05 May 2021 14:29:42 GMT", "date_illisible"),
    ("du 05/05/2021 au 06/06/2022", "date_illisible"),
    ("hier", "date_illisible"),
    ("mai 2021", "date_incomplete"),
    ("2021", "date_incomplete"),
    ("2021-05", "date_incomplete"),
    ("05/2021", "date_incomplete"),
    ("3000-01-01", "date_hors_bornes"),
    ("2026-11-23", "date_hors_bornes"),
    ("1889-05-06", "date_hors_bornes"),
    ("01/01/1970", "date_par_defaut"),
    ("0000-00-00 00:00:00", "date_par_defaut"),
    ("0001-01-01T00:00:00", "date_par_defaut"),
    ("1900-01-01", "date_par_defaut"),
    ("30/11/-0001", "date_par_defaut"),
    ("0", "date_par_defaut"),
]


@pytest.mark.parametrize("column", ["date_maj", "date_publication"])
def test_dates_are_days(column):
    assert read(column, column, READ) == READ


def test_a_date_that_is_not_one_is_nothing_and_says_why():
    rows = [{"date_maj": written} for written, _ in REFUSED]
    assert [fiche["date_maj"] for fiche in each(*rows)] == [None] * len(rows)
    found = [
        (row["date_maj"], rules) for row, rules in zip(rows, rules_of_each(*rows), strict=True)
    ]
    assert found == [(written, {("date_maj", rule)}) for written, rule in REFUSED]


def test_what_the_source_wrote_is_kept():
    changes = clean({"date_maj": "5 mai 2021"}).transformations.to_pylist()
    assert [(c["champ"], c["valeur_source"], c["regle"]) for c in changes] == [
        ("date_maj", "5 mai 2021", "date_iso")
    ]
