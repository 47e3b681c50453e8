import pytest

from lowtech_data.extract.licences import licence_identifier


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("https://opendatacommons.org/licenses/odbl/summary/", "odbl-1.0"),
        ("http://opendatacommons.org/licenses/odbl/1.0/", "odbl-1.0"),
        ("https://opendatacommons.org/licenses/by/1-0/", "odc-by-1.0"),
        ("https://www.etalab.gouv.fr/licence-ouverte-open-licence", "lov2"),
        ("https://creativecommons.org/licenses/by-sa/4.0/deed.fr", "cc-by-sa-4.0"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/fr/", "cc-by-nc-nd-3.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("Attribution (CC BY)", "cc-by"),
        ("Attribution-ShareAlike (CC BY-SA)", "cc-by-sa"),
        ("Attribution-NonCommercial-ShareAlike (CC BY-NC-SA)", "cc-by-nc-sa"),
        ("CC BY 4.0", "cc-by-4.0"),
        ("CERN Open Hardware Licence (CERN OHL v1.2)", "cern-ohl-1.2"),
        ("Tous droits réservés", "Tous droits réservés"),
        (" ", None),
        (None, None),
    ],
)
def test_identifier_of_what_payloads_write(text: str | None, identifier: str | None) -> None:
    assert licence_identifier(text) == identifier
