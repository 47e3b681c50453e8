"""Addresses as they are compared: abbreviations in full, numbers apart from the street."""

import duckdb
import pyarrow as pa
import pytest

from lowtech_data.resolve.features import prepare


def compared(*addresses: str) -> list[tuple[int | None, str | None]]:
    rows = [{"source": "s", "cle_source": str(i), "nom": "Le Lieu"} for i in range(len(addresses))]
    table = pa.Table.from_pylist(
        [{**row, "adresse": address} for row, address in zip(rows, addresses, strict=True)]
    )
    with duckdb.connect() as con:
        con.register("fiches", table)
        prepare(con, "fiches")
        return con.execute("SELECT numero, voie FROM res_fiche ORDER BY cle::INTEGER").fetchall()


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("12 avenue du Lac", ["12 av. du Lac", "12, ave du Lac", "12 AV DU LAC"]),
        ("12 boulevard du Lac", ["12 bd du Lac", "12 bld du Lac", "12 boul. du Lac"]),
        ("12 place du Lac", ["12 pl. du Lac", "12 pl du Lac"]),
        ("12 chemin du Lac", ["12 chem. du Lac", "12 ch. du Lac"]),
        ("12 route du Lac", ["12 rte du Lac", "12 Rte du Lac"]),
        ("12 impasse du Lac", ["12 imp. du Lac"]),
        ("12 allée du Lac", ["12 all. du Lac"]),
        ("12 rue du Lac", ["12 r. du Lac", "12 r du Lac", "n° 12 rue du Lac", "N°12, rue du Lac"]),
        ("12 bis rue du Lac", ["12bis rue du Lac", "12 bis, r. du Lac", "12 ter rue du Lac"]),
        ("12 faubourg du Lac", ["12 fg du Lac", "12 fbg du Lac"]),
        ("12 square du Lac", ["12 sq. du Lac"]),
        ("12 cours du Lac", ["12 crs du Lac"]),
        ("12 quai du Lac", ["12 qu. du Lac"]),
        ("12 résidence du Lac", ["12 rés. du Lac"]),
        ("rue Saint-Jean", ["rue St-Jean", "r. St Jean"]),
        ("3 rue Sainte-Anne", ["3 rue Ste Anne", "3, r. Ste-Anne"]),
    ],
)
def test_an_abbreviation_is_compared_in_full(full: str, short: list[str]) -> None:
    expected, *found = compared(full, *short)
    assert expected[1]
    assert found == [expected] * len(short)


def test_an_initial_is_not_an_abbreviation() -> None:
    assert compared("12 rue R. Schuman") == [(12, "rschuman")]
