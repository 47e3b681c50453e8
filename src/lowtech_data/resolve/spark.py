"""Comparing and scoring on a Spark session: the same SQL as on DuckDB, in Spark's dialect.

Needs the extra `spark` (pyspark, sqlglot, rapidfuzz) and Java 17. The statements are those that
`compare` and `score` write, translated one by one: nothing of the model is written twice. Features
and candidate pairs are made by DuckDB and handed over as Parquet; so are the scores, on the way
back.

    from functools import partial
    match(con, "fiches", scoring=partial(score_on_spark, session=session))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import arrow_udf
from pyspark.sql.types import DataType, DoubleType, IntegerType
from rapidfuzz.distance import JaroWinkler, Levenshtein
from sqlglot import expressions as e

from lowtech_data.resolve.compare import compare_pairs
from lowtech_data.resolve.score import Model, score_pairs

_HANDED = (
    "res_candidat", "res_fiche", "res_mot", "res_famille", "res_identifiant", "res_total",
    "res_copie",
)  # fmt: skip
"""What `compare` and `score` read of what DuckDB has prepared."""

_SETTINGS = {"spark.sql.ansi.enabled": "true", "spark.sql.caseSensitive": "false"}
"""What the meaning of a statement depends on, whatever the settings of the session given."""


def score_on_spark(
    con: duckdb.DuckDBPyConnection, *, session: SparkSession, folder: Path | None = None
) -> Model:
    """Make `res_score` in the connection as `compare_pairs` and `score_pairs` do, with Spark.

    `folder` is where tables are exchanged, and must be seen by all the workers of the session: by
    default, the temporary folder of this machine. Temporary views of the session are left alone.
    Returns the fitted model.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="rapprochement-") as place:
        engine = _Engine(session, Path(place))
        for table in _HANDED:
            engine.take(con, table)
        compare_pairs(engine)
        model = score_pairs(engine)
        engine.give(con, "res_score")
    return model


_Rule = Callable[[e.Expression], e.Expression]


class _Rows:
    """What a statement returned."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows = list(rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows


class _Engine:
    """A Spark session that runs statements of DuckDB. Its tables are its own, in Parquet: kept as
    plans, the later ones would repeat all that made the earlier ones.
    """

    def __init__(self, session: SparkSession, folder: Path) -> None:
        self._session = session.newSession()
        self._folder = folder.resolve()
        self._written = count()
        for name, value in _SETTINGS.items():
            self._session.conf.set(name, value)
        for function, (module, name, kind, returned) in _MEASURES.items():
            self._session.udf.register(
                function, arrow_udf(_of_octets(module, name, kind), returned)
            )

    def take(self, con: duckdb.DuckDBPyConnection, table: str) -> None:
        """Read a table of the connection."""
        path = self._folder / f"{next(self._written)}-{table}.parquet"
        con.execute(f"COPY {table} TO '{_quoted(path)}' (FORMAT parquet)")
        self._session.read.parquet(path.as_uri()).createOrReplaceTempView(table)

    def give(self, con: duckdb.DuckDBPyConnection, table: str) -> None:
        """Write a table of pairs into the connection, in their order."""
        path = self._write(self._session.table(table), table)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS"
            f" SELECT * FROM read_parquet('{_quoted(path)}/*.parquet') ORDER BY a, b"
        )

    def execute(self, sql: str) -> _Rows:
        """Run queries, `CREATE TEMP TABLE … AS` and `DROP TABLE`; returns the rows of the last."""
        rows = _Rows([])
        for statement in sqlglot.parse(sql, read="duckdb"):
            rows = self._run(_translated(statement))
        return rows

    def _run(self, statement: e.Expression) -> _Rows:
        if isinstance(statement, e.Drop):
            for table in statement.find_all(e.Table):
                self._session.catalog.dropTempView(table.name)
        elif isinstance(statement, e.Create):
            frame = self._session.sql(statement.expression.sql(dialect="spark"))
            path = self._write(frame, statement.this.name)
            self._session.read.parquet(path.as_uri()).createOrReplaceTempView(statement.this.name)
        else:
            frame = self._session.sql(statement.sql(dialect="spark"))
            return _Rows([tuple(row) for row in frame.collect()])
        return _Rows([])

    def _write(self, frame: DataFrame, table: str) -> Path:
        path = self._folder / f"{next(self._written)}-{table}"
        frame.write.parquet(path.as_uri())
        return path


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _translated(statement: e.Expression) -> e.Expression:
    """A statement of DuckDB, so that Spark understands the same by it. What is not here, sqlglot
    knows.
    """
    # What is inside is translated before what holds it.
    for node in reversed(list(statement.walk(bfs=False))):
        rule = _RULES.get(type(node)) or _FUNCTION_RULES.get(_name(node))
        if rule:
            node.replace(rule(node))
    return statement


def _name(node: e.Expression) -> str:
    return str(node.this).lower() if isinstance(node, e.Anonymous) else ""


def _double(value: e.Expression) -> e.Expression:
    return e.cast(value, e.DataType.Type.DOUBLE, copy=False)


def _quotient(node: e.Expression) -> e.Expression:
    # Spark divides decimals into a rounded decimal.
    return e.Div(this=_double(node.this), expression=_double(node.expression))


def _rounded(node: e.Expression) -> e.Expression:
    # Spark rounds a number as it is printed, DuckDB as it is: 1.005 would give 1.01, not 1.0.
    digits = node.args.get("decimals")
    if digits is None:
        return node
    scale = e.Literal.number(f"1e{digits.name}")
    scaled = e.Mul(this=_double(node.this), expression=scale)
    return e.Paren(this=e.Div(this=e.Round(this=scaled), expression=scale.copy()))


def _selected(node: e.Expression) -> e.Expression:
    # `* REPLACE (x AS y)`: all columns but y, then y.
    columns: list[e.Expression] = []
    for column in node.expressions:
        columns.append(column)
        star = column.find(e.Star) if column.is_star else None
        replaced = star.args.get("replace") if star else None
        if star and replaced:
            star.set("replace", None)
            star.set("except_", [e.column(one.alias) for one in replaced])
            columns += replaced
    node.set("expressions", columns)
    return node


def _inlined(node: e.Expression) -> e.Expression:
    # Spark has no MATERIALIZED.
    node.set("materialized", None)
    return node


def _call(name: str) -> _Rule:
    def rule(node: e.Expression) -> e.Expression:
        return e.Anonymous(this=name, expressions=node.expressions or [node.this, node.expression])

    return rule


_RULES: dict[type[e.Expression], _Rule] = {
    e.Div: _quotient,
    e.Round: _rounded,
    e.Select: _selected,
    e.CTE: _inlined,
    e.JarowinklerSimilarity: _call("octets_jaro_winkler"),
    e.Levenshtein: _call("octets_levenshtein"),
}
_FUNCTION_RULES = {"hash": _call("xxhash64"), "strlen": _call("octet_length")}


def _of_octets(
    module: ModuleType, name: str, kind: pa.DataType
) -> Callable[[pa.Array, pa.Array], pa.Array]:
    """A measure between texts, on their octets in UTF-8 as DuckDB has it, for columns."""

    def measured(first: pa.Array, second: pa.Array) -> pa.Array:
        # Found by its name on the worker: a compiled function cannot be sent to it.
        measure = getattr(module, name)
        pairs = zip(*(side.cast(pa.binary()).to_pylist() for side in (first, second)), strict=True)
        return pa.array((None if a is None or b is None else measure(a, b) for a, b in pairs), kind)

    return measured


_MEASURES: dict[str, tuple[ModuleType, str, pa.DataType, DataType]] = {
    "octets_jaro_winkler": (JaroWinkler, "similarity", pa.float64(), DoubleType()),
    "octets_levenshtein": (Levenshtein, "distance", pa.int32(), IntegerType()),
}
"""Functions of DuckDB that Spark has not, or counts in characters."""
