"""The columns that every engine is given: the listings' own, mended, and keys made from them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import ftfy
import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = (
    "source", "cle_source", "nom", "adresse", "code_postal", "commune", "code_insee",
    "precision_geo", "site_web", "courriel", "telephone", "siret", "rna", "type",
)  # fmt: skip
NUMBERS = ("latitude", "longitude")

STREET_WORDS = {
    "av": "avenue", "ave": "avenue", "bd": "boulevard", "blvd": "boulevard", "pl": "place",
    "rte": "route", "ch": "chemin", "imp": "impasse", "all": "allee",
}  # fmt: skip
"""Abbreviations that a street may begin with, after its number."""

_MENDED = ("nom", "adresse", "commune")
_DAMAGED = ("Ã", "â€", "Â")


def _key(column: str) -> str:
    """SQL of a text as lower-case words without accents nor signs; null when nothing is left."""
    lower = f"replace(lower(strip_accents({column})), 'œ', 'oe')"
    return rf"nullif(trim(regexp_replace({lower}, '[^\p{{L}}\p{{N}}]+', ' ', 'g')), '')"


def _street(column: str) -> str:
    """SQL of the key of an address, its street word in full."""
    whole = _key(column)
    for short, full in STREET_WORDS.items():
        whole = rf"regexp_replace({whole}, '^(\d+ ((bis|ter|quater) )?)?{short} ', '\1{full} ')"
    return whole


_PREPARED = rf"""
    WITH lues AS (
        SELECT * REPLACE (
            CASE WHEN regexp_full_match(code_postal, '0*') THEN NULL ELSE code_postal END
                AS code_postal)
        FROM mises
    ), situees AS (
        SELECT * EXCLUDE (adresse, code_postal, commune),
               CASE WHEN code_postal IS NULL AND commune IS NULL
                    THEN regexp_extract(adresse, '^(.*)\s(\d{{5}})\s+(\D+)$',
                                        ['voie', 'cp', 'ville']) END AS lue,
               coalesce(nullif(struct_extract(lue, 'cp'), ''), code_postal) AS code_postal,
               coalesce(nullif(struct_extract(lue, 'ville'), ''), commune) AS commune,
               coalesce(nullif(struct_extract(lue, 'voie'), ''), adresse) AS adresse
        FROM lues
    )
    SELECT (row_number() OVER (ORDER BY source, cle_source) - 1)::BIGINT AS rid,
           {", ".join((*TEXTS, *NUMBERS))}, verite,
           {_key("nom")} AS nom_cle,
           replace(nom_cle, ' ', '') AS nom_serre,
           list_distinct(list_filter(string_split(nom_cle, ' '), lambda m: length(m) > 2)) AS mots,
           {_street("adresse")} AS adresse_cle,
           nullif(regexp_extract(adresse_cle, '^\d+'), '') AS numero_cle,
           nullif(trim(regexp_replace(adresse_cle, '^\d+( (bis|ter|quater))?', '')), '')
               AS voie_cle,
           replace(upper(code_postal), ' ', '') AS cp_cle,
           substr(cp_cle, 1, 2) AS zone_cle,
           nullif(trim(regexp_replace({_key("commune")}, ' cedex.*$', '')), '') AS ville_cle,
           nullif(regexp_extract(lower(site_web), '^(?:https?://)?(?:www\.)?([^/?#]+)', 1), '')
               AS hote_cle,
           nullif(lower(trim(courriel)), '') AS mail_cle,
           right(nullif(regexp_replace(telephone, '\D', '', 'g'), ''), 9) AS tel_cle,
           nullif(regexp_replace(siret, '\D', '', 'g'), '') AS siret_cle,
           nullif(upper(trim(rna)), '') AS rna_cle,
           {_key("type")} AS type_cle
    FROM situees ORDER BY rid
"""


def prepare(records: pa.Table, folder: Path) -> None:
    """Write `records.parquet`, for the engines, and `truth.parquet` (`rid`, `verite`).

    Damaged text is mended, postcodes of zeros emptied, a postcode and commune that end an address
    of otherwise unknown place are read from it. Keys (`*_cle`) are lower case without accents nor
    signs; a telephone is its last nine digits, a website its host. Missing columns are empty.
    """
    with duckdb.connect() as con:
        con.register("mises", _mended(records))
        prepared = con.sql(_PREPARED).to_arrow_table()
    pq.write_table(prepared.select(["rid", "verite"]), folder / "truth.parquet")
    pq.write_table(prepared.drop_columns(["verite"]), folder / "records.parquet")


def _mended(records: pa.Table) -> pa.Table:
    columns = {}
    for name in TEXTS:
        values = _column(records, name, pa.string())
        if name in _MENDED:
            values = pa.array([_mend(value) for value in values.to_pylist()], pa.string())
        columns[name] = values
    for name in NUMBERS:
        columns[name] = _column(records, name, pa.float64())
    columns["verite"] = records["verite"].cast(pa.int64())
    return pa.table(columns)


def _column(records: pa.Table, name: str, type_: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if name not in records.column_names:
        return pa.nulls(records.num_rows, type_)
    return records[name].cast(type_)


def _mend(text: str | None) -> str | None:
    if text and any(sign in text for sign in _DAMAGED):
        return ftfy.fix_text(text)
    return text
