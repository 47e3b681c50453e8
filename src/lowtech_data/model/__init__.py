"""The one truth about published fields: tables, columns and code lists."""

from lowtech_data.model.codes import LISTS, Code, codes_of
from lowtech_data.model.stages import (
    CLEAN_SCHEMA,
    SNAPSHOT_SCHEMA,
    TRANSFORMATION_SCHEMA,
)
from lowtech_data.model.tables import (
    CLEAN_FIELDS,
    SCHEMA_VERSION,
    TABLES,
    Column,
    Kind,
    Table,
)

__all__ = [
    "CLEAN_FIELDS",
    "CLEAN_SCHEMA",
    "LISTS",
    "SCHEMA_VERSION",
    "SNAPSHOT_SCHEMA",
    "TABLES",
    "TRANSFORMATION_SCHEMA",
    "Code",
    "Column",
    "Kind",
    "Table",
    "codes_of",
]
