"""Workbooks written part by part, as the tools that make them do or should not."""

import io
import zipfile
from collections.abc import Mapping

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STRICT_RELATIONS = "http://purl.oclc.org/ooxml/officeDocument/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_ODS = "application/vnd.oasis.opendocument.spreadsheet"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def text(reference: str, value: str) -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'


def sheet_of(*rows: str) -> str:
    """Rows of `id` and `nom` from the first row, each `1|Atelier`."""
    return "".join(
        f'<row r="{n}">{text(f"A{n}", row.split("|")[0])}{text(f"B{n}", row.split("|")[1])}</row>'
        for n, row in enumerate(rows, 1)
    )


def xlsx(
    *sheets: str,
    parts: Mapping[str, str | bytes] | None = None,
    namespace: str = MAIN,
    hidden: int = 0,
) -> bytes:
    """A workbook of the sheets `F1`, `F2`…; the one of rank `hidden` is not shown."""
    relations = _RELATIONS if namespace == MAIN else _STRICT_RELATIONS
    states = ("visible", "hidden")
    ranks = range(1, len(sheets) + 1)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r"'
            f' Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{relations}"><sheets>'
            + "".join(
                f'<sheet name="F{n}" sheetId="{n}" r:id="r{n}" state="{states[n == hidden]}"/>'
                for n in ranks
            )
            + "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
            + "".join(
                f'<Relationship Id="r{n}" Type="{relations}/worksheet"'
                f' Target="worksheets/sheet{n}.xml"/>'
                for n in ranks
            )
            + "</Relationships>",
            **{
                f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{namespace}">'
                f"<sheetData>{rows}</sheetData></worksheet>"
                for n, rows in enumerate(sheets, 1)
            },
            **(parts or {}),
        }
    )


def ods_row(*cells: str, more: str = "") -> str:
    return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"


def ods_cell(kind: str, value: str = "", content: str = "") -> str:
    return (
        f'<table:table-cell office:value-type="{kind}" {value}>'
        f"<text:p>{content}</text:p></table:table-cell>"
    )


def ods(rows: str, *, encrypted: bool = False) -> bytes:
    names = ("office", "table", "text", "style")
    declared = " ".join(f'xmlns:{name}="{_ODF}:{name}:1.0"' for name in names)
    lock = "<manifest:encryption-data/>" if encrypted else ""
    return zipped(
        {
            "mimetype": _ODS,
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{_ODF}:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{_ODS}"/>'
            f'<manifest:file-entry manifest:full-path="content.xml">{lock}</manifest:file-entry>'
            "</manifest:manifest>",
            "content.xml": f"<office:document-content {declared}><office:body><office:spreadsheet>"
            f'<table:table table:name="Lieux">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        }
    )
