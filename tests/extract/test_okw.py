import json
from typing import Any

import pytest

from lowtech_data.extract.base import Extraction, PayloadError

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run


def read(document: Any, **changes: Any) -> Extraction:
    return run(make_source("okw", **changes), make_page(json.dumps(document)))


def test_joined_tables() -> None:
    source = make_source(
        "okw", champs={"categories": "facility.description"}, codes={"fablab": {"type": "fablab"}}
    )
    extraction = run(source, make_page(FIXTURES / "okw.json"))
    fiche = fiches(extraction)["https://www.fablabs.io/labs/ping"]
    assert (fiche["nom"], fiche["commune"], fiche["pays"]) == ("PiNG", "Nantes", "FR")
    assert (fiche["latitude"], fiche["longitude"]) == ("47.218371", "-1.55362100000002")
    assert (fiche["type"], fiche["adresse"]) == ("fablab", None)
    assert not rejected(extraction)


FACILITY = {
    "name": "Atelier",
    "url": "https://example.org/ateliers/1",
    "description": "Bois et métal",
    "facilityStatus": "Active",
    "openingHours": "Mo-Fr 09:00-18:00",
    "location": {
        "address": {
            "number": 12, "street": "rue Basse", "district": "Bât. B", "city": "Lyon",
            "region": "Auvergne-Rhône-Alpes", "country": "FR", "postcode": "69001",
        },
        "gpsCoordinates": "45.76, 4.83",
    },
    "owner": {"name": "Prenom Nom", "mobile": "06 00 00 00 00", "website": "https://atelier.example"},
    "contact": {"contactPerson": "Prenom Nom", "landline": "01 99 00 00 00"},
}  # fmt: skip


def labels(value: Any) -> Any:
    """The same facility with the standard's labels for keys."""
    if isinstance(value, dict):
        spelt = {"gpsCoordinates": "GPS Coordinates", "facilityStatus": "Facility Status"}
        more = {"openingHours": "Opening Hours", "contactPerson": "Contact Person"}
        return {(spelt | more).get(k, k.title()): labels(v) for k, v in value.items()}
    return value


@pytest.mark.parametrize("facility", [FACILITY, labels(FACILITY)])
def test_the_properties_of_the_standard(facility: Any) -> None:
    extraction = read([facility])
    fiche = fiches(extraction)["https://example.org/ateliers/1"]
    expected = {
        "nom": "Atelier",
        "description": "Bois et métal",
        "adresse": "12 rue Basse",
        "complement_adresse": "Bât. B",
        "code_postal": "69001",
        "commune": "Lyon",
        "latitude": "45.76",
        "longitude": "4.83",
        "site_web": "https://atelier.example",
        "telephone": "01 99 00 00 00",
        "horaires": "Mo-Fr 09:00-18:00",
        "statut": "publie",
    }
    assert {name: fiche[name] for name in expected} == expected
    assert "Prenom" not in everything(extraction)
    assert "06 00" not in everything(extraction)
    assert not rejected(extraction)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("Closed", "ferme"), ("Temporary Closure", "a_verifier"), ("Rasé", "Rasé"), (None, None)],
)
def test_status(given: str | None, expected: str | None) -> None:
    extraction = read([{"id": 1, "name": "A", "facility_status": given}])
    assert fiches(extraction)["1"]["statut"] == expected


def test_equipment_is_shown_until_it_is_declared() -> None:
    facility = {"id": 1, "equipment": [{"equipmentType": "https://en.wikipedia.org/wiki/Lathe"}]}
    extraction = read([facility])
    assert ("*", "equipment.equipment_type", "colonne_non_declaree") in rejected(extraction)
    codes = {"https://en.wikipedia.org/wiki/Lathe": {"themes": ["fabrication"]}}
    champs = {"categories": "equipment.equipment_type"}
    fiche = fiches(read([facility], champs=champs, codes=codes))["1"]
    assert fiche["themes"] == ["fabrication"]


def test_a_path_to_the_list_and_what_is_no_facility() -> None:
    extraction = read({"data": {"labs": [{"id": 1}, None]}}, options={"chemin": "data.labs"})
    assert rejected(extraction) == [("/data/labs/1", "*", "enregistrement_inattendu")]


def test_something_else_is_refused() -> None:
    with pytest.raises(PayloadError, match="trouvé : erreur"):
        read({"erreur": "x"})
