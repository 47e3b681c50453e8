"""The model is one truth: what is derived from it agrees with it."""

import sqlite3

import duckdb
import pytest

from lowtech_data.model import CLEAN_SCHEMA, LISTS, SNAPSHOT_SCHEMA, TABLES, Kind, Table


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_every_form_of_a_table_has_its_columns(table: Table):
    database = sqlite3.connect(":memory:")
    database.execute(table.sqlite_ddl())
    in_sqlite = [row[1] for row in database.execute(f'PRAGMA table_info("{table.name}")')]
    with duckdb.connect() as con:
        con.execute(table.duckdb_ddl())
        in_duckdb = [row[0] for row in con.execute(f'DESCRIBE "{table.name}"').fetchall()]
    assert in_sqlite == in_duckdb == table.arrow_schema().names == list(table.names)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_keys_indexes_and_references_name_real_columns(table: Table):
    for name in [*table.key, *table.full_text, *(n for index in table.indexes for n in index)]:
        table.column(name)
    for column in table.columns:
        assert column.fr
        assert column.en
        assert column.codes is None or column.codes in LISTS
        if column.references:
            target, key = column.references.split(".")
            assert TABLES[target].key == (key,), f"{table.name}.{column.name}"


def test_parents_come_before_children():
    seen: set[str] = set()
    for table in TABLES.values():
        for column in table.columns:
            if column.references:
                assert column.references.split(".")[0] in seen | {table.name}
        seen.add(table.name)


def test_codes_are_lower_case_words_and_unique():
    for name, codes in LISTS.items():
        values = [code.code for code in codes]
        assert len(set(values)) == len(values), name
        assert all(value == value.lower() and value.isidentifier() for value in values), name


def test_stages_carry_every_clean_field():
    fiche = {c.name: c.kind for c in TABLES["fiches"].columns}
    for name in ("nom", "themes", "latitude", "courriel"):
        assert name in CLEAN_SCHEMA.names
        assert CLEAN_SCHEMA.field(name).type == fiche[name].arrow
    assert SNAPSHOT_SCHEMA.names[: len(CLEAN_SCHEMA.names)] == CLEAN_SCHEMA.names
    assert fiche["themes"] is Kind.LIST
