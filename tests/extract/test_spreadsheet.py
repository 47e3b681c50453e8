import struct
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import Client, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.extract.bounded import Reader
from lowtech_data.extract.spreadsheet import MAX_UNPACKED
from lowtech_data.registry import Registry
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run
from .test_hostile import stored
from .workbooks import MAIN, STRICT, ods, ods_cell, ods_row, sheet_of, text, xlsx, zipped

PLATFORM = PLATFORMS["tableur"]
FIELDS = {"cle_source": "id", "nom": "nom"}
LOCKED = "protégé par un mot de passe"


def read(body: bytes | Path, champs: dict[str, Any] = FIELDS, **options: Any) -> Extraction:
    return run(make_source("tableur", champs=champs, options=options), make_page(body))


def rows(body: bytes | Path, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    source = make_source("tableur", options=options)
    return [(row.pointer, dict(row.values)) for row in PLATFORM.rows(source, make_page(body))]


def cells(xml: str, styles: str = "") -> dict[str, Any]:
    """The first record of a sheet with titles `A`, `B`… and these cells in its second row."""
    names = "ABCDEFGH"[: xml.count("<c ")]
    titles = "".join(text(f"{name}1", name) for name in names + "Z")
    parts = {"xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>'}
    ((_, values),) = rows(xlsx(f'<row r="1">{titles}</row><row r="2">{xml}</row>', parts=parts))
    return {name: values[name] for name in names}


def declaring(size: int, body: bytes) -> bytes:
    """The same archive, where the last part says that it has this size once unpacked."""
    lying = bytearray(body)
    struct.pack_into("<I", lying, lying.rindex(b"PK\x01\x02") + 24, size)
    return bytes(lying)


class TestListing:
    def test_a_file_as_people_make_them(self) -> None:
        assert rows(FIXTURES / "tableur.xlsx") == [
            (
                "Lieux 2025!A4",
                {
                    "Référence": 101,
                    "Nom du lieu": "Atelier de la Grange",
                    "Code postal": "26150",
                    "Ouvert depuis": "2019-04-06",
                    "Part de bénévoles": 0.75,
                    "Adhérents": 48,
                    "Ouvert": True,
                },
            ),
            (
                "Lieux 2025!A6",
                {
                    "Référence": 102,
                    "Nom du lieu": "La Fabrique du Pont",
                    "Code postal": "05100",
                    "Ouvert depuis": "2021-09-18T14:30:00",
                    "Part de bénévoles": 1,
                    "Adhérents": 12.5,
                    "colonne_7": "à vérifier",
                    "Ouvert": False,
                },
            ),
        ]

    def test_its_fiches(self) -> None:
        champs = {
            "cle_source": "Référence",
            "nom": "Nom du lieu",
            "code_postal": "Code postal",
            "date_publication": "Ouvert depuis",
        }
        extraction = read(FIXTURES / "tableur.xlsx", champs)
        fiche = fiches(extraction)["102"]
        assert (fiche["nom"], fiche["code_postal"]) == ("La Fabrique du Pont", "05100")
        assert fiche["pointeur"] == "Lieux 2025!A6"
        assert ("*", "colonne_7", "colonne_non_declaree") in rejected(extraction)

    def test_a_hidden_sheet_is_read_only_when_it_is_named(self) -> None:
        file = FIXTURES / "tableur.xlsx"
        assert "Prénom" not in str(rows(file))
        assert rows(file, feuille="Contacts")[0][0] == "Contacts!A2"
        with pytest.raises(PayloadError, match="feuille absente : 3 ; trouvé : « Lieux 2025 »"):
            rows(file, feuille=3)

    def test_several_sheets_are_no_guess(self) -> None:
        book = xlsx(sheet_of("id|nom", "1|A"), sheet_of("id|nom", "2|B"), sheet_of("x|y"), hidden=3)
        with pytest.raises(PayloadError, match="plusieurs feuilles remplies : « F1 », « F2 »"):
            rows(book)
        assert sorted(fiches(read(book, feuille=2))) == ["2"]
        assert sorted(fiches(read(book, feuille="F1"))) == ["1"]
        with pytest.raises(PayloadError, match="feuille absente : 'F9'"):
            rows(book, feuille="F9")

    def test_the_rank_is_that_of_sheets_that_are_seen(self) -> None:
        book = xlsx(sheet_of("id|nom", "1|A"), sheet_of("id|nom", "2|B"), hidden=1)
        assert sorted(fiches(read(book, feuille=1))) == ["2"]

    def test_a_listing_that_begins_away_from_the_corner(self) -> None:
        body = (
            f'<row r="3">{text("C3", "id")}{text("D3", "nom")}</row>'
            f'<row r="7"><c r="C7"><v>1</v></c>{text("D7", "A")}{text("E7", "reste")}</row>'
        )
        expected = {"id": 1, "nom": "A", "colonne_5": "reste"}
        assert rows(xlsx(body)) == [("F1!A7", expected)]

    def test_rows_above_the_header(self) -> None:
        book = xlsx(sheet_of("Liste|mai 2025", "id|nom", "1|A"))
        assert next(row for _, row in rows(book)) == {"Liste": "id", "mai 2025": "nom"}
        assert rows(book, ligne_entete=2) == [("F1!A3", {"id": "1", "nom": "A"})]
        with pytest.raises(PayloadError, match="F1!A9 : ligne vide, attendu les titres"):
            rows(book, ligne_entete=9)

    def test_one_column_needs_to_be_told_where_it_begins(self) -> None:
        book = xlsx(sheet_of("nom| ", "A| "))
        with pytest.raises(PayloadError, match="aucune ligne n’a deux cellules remplies"):
            rows(book)
        assert rows(book, ligne_entete=1) == [("F1!A2", {"nom": "A"})]

    def test_titles_that_are_alike_are_refused_as_in_a_csv(self) -> None:
        with pytest.raises(PayloadError, match="F1!A1 : colonne répétée dans l’en-tête : nom"):
            rows(xlsx(sheet_of("nom|nom ", "1|A")))

    def test_a_header_without_rows_is_no_error(self) -> None:
        assert rows(xlsx(sheet_of("id|nom"))) == []

    @pytest.mark.parametrize("options", [{"feuille": 0}, {"ligne_entete": 0}, {"onglet": "A"}])
    def test_options_are_strict(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            PLATFORM.options.model_validate(options)


class TestCells:
    @given(st.integers(-(2**53), 2**53))
    def test_whole_numbers_stay_whole(self, number: int) -> None:
        assert str(cells(f'<c r="A2"><v>{number}</v></c>')["A"]) == str(number)

    @given(st.dates(date(1901, 1, 1), date(2199, 12, 31)))
    def test_any_day_is_written_in_iso(self, day: date) -> None:
        serial = (day - date(1899, 12, 30)) // timedelta(days=1)
        styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        found = cells(f'<c r="A2" s="1"><v>{serial}</v></c>', styles)
        assert found == {"A": day.isoformat()}

    def test_other_kinds(self) -> None:
        styles = (
            '<numFmts><numFmt numFmtId="165" formatCode="[h]:mm"/></numFmts><cellXfs>'
            '<xf numFmtId="0"/><xf numFmtId="165"/><xf numFmtId="20"/><xf numFmtId="9"/></cellXfs>'
        )
        found = cells(
            '<c r="A2" s="1"><v>1.5</v></c><c r="B2" s="2"><v>0.5</v></c>'
            '<c r="C2" s="3"><v>0.25</v></c><c r="D2" t="b"><v>1</v></c>'
            '<c r="E2" t="e"><v>#N/A</v></c><c r="F2"><f>1+1</f><v>2</v></c>'
            '<c r="G2" t="d"><v>2024-05-01</v></c><c r="H2" t="str"><v>0123</v></c>',
            styles,
        )
        assert found == {
            "A": "36:00:00",
            "B": "12:00:00",
            "C": 0.25,
            "D": True,
            "E": "",
            "F": 2,
            "G": "2024-05-01",
            "H": "0123",
        }

    def test_opendocument(self) -> None:
        body = ods(
            ods_row(*(ods_cell("string", content=name) for name in "ABCDEFG"))
            + ods_row(
                ods_cell("float", 'office:value="12"', "12,00"),
                ods_cell("string", content="Évry</text:p><text:p>centre"),
                ods_cell("date", 'office:date-value="2024-05-01"'),
                ods_cell("date", 'office:date-value="2024-05-01T10:00:00"'),
                ods_cell("boolean", 'office:boolean-value="true"'),
                ods_cell("percentage", 'office:value="0.5"', "50 %"),
                ods_cell("time", 'office:time-value="PT12H30M00S"'),
            )
            + ods_row(
                '<table:table-cell table:number-columns-repeated="16384"/>',
                more='table:number-rows-repeated="1048574"',
            )
        )
        values = [12, "Évry\ncentre", "2024-05-01", "2024-05-01T10:00:00", True, 0.5, "12:30:00"]
        assert rows(body) == [("Lieux!A2", dict(zip("ABCDEFG", values, strict=True)))]

    def test_repeated_rows_are_rows(self) -> None:
        titles = ods_row(ods_cell("string", content="id"), ods_cell("string", content="nom"))
        same = ods_row(
            ods_cell("string", content="1"),
            ods_cell("string", content="A"),
            more='table:number-rows-repeated="3"',
        )
        extraction = read(ods(titles + same))
        assert (extraction.read, extraction.repeated) == (3, 2)


class TestFilesThatOtherReadersRefuse:
    BODY = sheet_of("id|nom", "1|A")

    @pytest.mark.parametrize(
        "book",
        [
            xlsx(BODY, namespace=STRICT),
            xlsx(BODY.replace(' r="', ' spans="')),
            xlsx(
                BODY,
                parts={
                    "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><fonts><font><family val="99"/>'
                    '</font></fonts><fills><fill/></fills><cellXfs><xf numFmtId="0" fillId="7"/>'
                    "</cellXfs></styleSheet>"
                },
            ),
            xlsx(
                BODY,
                parts={
                    "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><dimension ref="A1"/>'
                    f"<sheetData>{BODY}</sheetData></worksheet>"
                },
            ),
            xlsx(BODY, parts={"xl/vbaProject.bin": b"macros", "xl/externalLinks/x.xml": "<x/>"}),
        ],
        ids=["strict namespaces", "no references", "bad styles", "wrong dimension", "macros"],
    )
    def test_are_read(self, book: bytes) -> None:
        extraction = read(book)
        assert fiches(extraction)["1"]["nom"] == "A"
        assert not rejected(extraction)

    def test_texts_that_the_file_has_lost_are_not_read_as_empty(self) -> None:
        body = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        with pytest.raises(PayloadError, match=r"classeur illisible.*shared strings"):
            rows(xlsx(body))


class TestSomethingElse:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "trouvé une réponse vide"),
            (b"<html><title>Connexion</title><input type=password></html>", "page de connexion"),
            (b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "du XML"),
            (b"id;nom\n1;A\n", "pour du CSV, plateforme: csv"),
            (b"%PDF-1.7\n", "trouvé un document PDF"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "fichier Office ancien"),
            (
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
                LOCKED,
            ),
            (ods(ods_row(), encrypted=True), LOCKED),
            (xlsx(sheet_of("id|nom"))[:700], "tronqué ou abîmé"),
            (zipped({"liste.csv": "id,nom\n"}), "classeur illisible"),
            (xlsx(""), "classeur vide"),
            (xlsx(), "sans feuille de calcul"),
            (xlsx(sheet_of("id|&e;")), "classeur illisible"),
        ],
    )
    def test_is_named(self, body: bytes, reason: str) -> None:
        with pytest.raises(PayloadError, match=reason):
            rows(body)

    def test_an_archive_with_a_password(self) -> None:
        body = bytearray(xlsx(sheet_of("id|nom")))
        start = body.index(b"PK\x01\x02")
        body[start + 8] |= 1
        with pytest.raises(PayloadError, match=LOCKED):
            rows(bytes(body))

    def test_a_bomb_is_refused_before_it_is_unpacked(self) -> None:
        body = declaring(MAX_UNPACKED, xlsx(sheet_of("id|nom"), parts={"xl/media/x.bin": b"0"}))
        with pytest.raises(PayloadError, match=r"\d+ octets une fois décompressé"):
            rows(body)

    def test_a_size_that_lies_is_found_out(self) -> None:
        body = declaring(10, xlsx(sheet_of("id|nom"), parts={"xl/z.xml": bytes(1_000_000)}))
        with pytest.raises(PayloadError, match="tronqué ou abîmé"):
            rows(body)

    def test_a_cell_lost_far_away_is_told(self) -> None:
        far = sheet_of("id|nom") + f'<row r="1048576">{text("XFD1048576", "x")}</row>'
        with pytest.raises(PayloadError, match="1048576 lignes jusqu’à la colonne XFD"):
            rows(xlsx(far))

    def test_colour_far_away_is_nothing(self) -> None:
        far = '<row r="1048576"><c r="XFD1048576" s="0"/></row>'
        assert len(rows(xlsx(sheet_of("id|nom", "1|A") + far))) == 1

    def test_what_repeats_without_end_stops_at_the_bound(self, tmp_path: Path) -> None:
        cell = ods_cell("string", 'table:number-columns-repeated="16384"', "x")
        body = ods(ods_row(cell, more='table:number-rows-repeated="1048576"'))
        reader = Reader()
        with pytest.raises(PayloadError):
            reader.extract(make_source("tableur", champs=FIELDS), stored(tmp_path, body))
        reader.close()

    def test_names_of_hidden_sheets_are_not_shown(self) -> None:
        with pytest.raises(PayloadError) as caught:
            rows(FIXTURES / "tableur.xlsx", feuille="absente")
        assert "Contacts" not in str(caught.value)


def test_the_whole_way_over_http(site: Site, client: Client, tmp_path: Path) -> None:
    body = (FIXTURES / "tableur.xlsx").read_bytes()
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    site.pages["/annuaire.xlsx"] = answer(body, Content_Type=kind)
    champs = {"cle_source": "Référence", "nom": "Nom du lieu"}
    source = make_source("tableur", url=site.url("/annuaire.xlsx"), champs=champs)
    registry = Registry(tmp_path / "sources.yaml", (source,))
    store, now = Store(tmp_path / "captures"), datetime(2026, 3, 2, tzinfo=UTC)
    found = harvest(source, PLATFORM, registry, store, client, now=now)
    extraction = extract(source, PLATFORM, found.bodies)
    assert sorted(fiches(extraction)) == ["101", "102"]
    assert "Prénom" not in everything(extraction)
