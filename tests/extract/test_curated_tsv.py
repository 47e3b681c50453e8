from typing import Any

import pytest

from lowtech_data.extract.base import Extraction, PayloadError

from .support import fiches, make_page, make_source, rejected, run

FILE = """# Tenu à la main.
cle_source\tnom\tcommune\tcategories\tidentifiants

a1\tAtelier « du Nord »\tLille\tvelo|reparation\tosm=node/1|rna=W1
# fermé : a2
a3\tGarage "Sud"\t\t\t
"""


def read(body: str, **changes: Any) -> Extraction:
    return run(make_source("curated_tsv", **changes), make_page(body))


def test_columns_are_named_after_the_fields() -> None:
    codes = {"velo": {"themes": ["mobilite"]}, "reparation": {"themes": ["reparation"]}}
    extraction = read(FILE, codes=codes)
    found = fiches(extraction)
    assert sorted(found) == ["a1", "a3"]
    assert found["a1"]["nom"] == "Atelier « du Nord »"
    assert found["a1"]["themes"] == ["mobilite", "reparation"]
    assert found["a1"]["identifiants"] == ["osm=node/1", "rna=W1"]
    assert found["a1"]["pointeur"] == "ligne 4"
    assert found["a3"]["nom"] == 'Garage "Sud"'
    assert found["a3"]["commune"] is None
    assert found["a3"]["identifiants"] == []
    assert not rejected(extraction)


def test_other_columns_are_declared_by_the_source() -> None:
    body = "name\tville\tnote\nA\tLille\tà vérifier\n"
    champs = {"cle_source": "name", "nom": "name", "commune": "ville"}
    assert fiches(read(body, champs=champs, ignorer=["note"]))["A"]["commune"] == "Lille"
    with pytest.raises(PayloadError, match="ligne 1 : colonne inconnue : 'note'"):
        read(body, champs=champs)


@pytest.mark.parametrize(
    ("body", "options", "reason"),
    [
        ("cle_source\tnomm\n", {}, "'nomm' ; vouliez-vous dire « nom » ?"),
        ("cle_source\tnom\tnom\n", {}, "ligne 1 : colonne répétée : nom"),
        ("cle_source\tnom\na\n\nb\tB\tC\n", {}, "ligne 2 : 1 cellules.*ligne 4 : 3 cellules"),
        ("nom\tcle_source\n", {"colonnes": ["cle_source", "nom"]}, "attendues : cle_source, nom"),
        ("# rien\n", {}, "pas de ligne d’en-tête"),
    ],
)
def test_a_mistake_names_its_line(body: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        read(body, options=options)


def test_only_utf8() -> None:
    page = make_page("cle_source\tnom\na\tÉvry\n".encode("cp1252"))
    with pytest.raises(PayloadError, match="attendu de l’UTF-8"):
        run(make_source("curated_tsv"), page)
