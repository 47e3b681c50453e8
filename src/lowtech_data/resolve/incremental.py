"""Matching again after a few records changed, without comparing again what did not.

A run is kept in a DuckDB file: its records' features, its keys, its scored pairs, and its
calibration, that is all that the records taught together (rarity of words, density of places, use
of contacts, fitted model). With the calibration given, features depend on one record, scores on one
pair, and the rest on the scores: so only the records added, changed or deleted, and those whose
keys became too widely shared or cease to be, are compared again. What comes out is exactly what a
full run under the same calibration gives.

A calibration ages as records change: when `MAX_CHANGED` of those it was learnt from have, all is
learnt and compared anew, as on the first day. So it is when the rules or DuckDB changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import duckdb

from lowtech_data.resolve import compare, features
from lowtech_data.resolve.blocking import Blocking, block_again, key_names
from lowtech_data.resolve.compare import compare_pairs
from lowtech_data.resolve.features import COLUMNS, NUMBER_STEP, prepare
from lowtech_data.resolve.score import Model, explain_pairs, score_pairs, settle_rivals

MAX_CHANGED = 0.1
"""Share of the records of a calibration that may change before another is learnt."""

_SCHEMA = "etat"
_RECORDS = ("res_fiche", "res_mot", "res_famille", "res_identifiant")
LEARNT = (*features.LEARNT, *compare.LEARNT)
"""The calibration, with the model: what all records teach together."""
_CONCLUDED = ("res_groupe", "res_refus", "res_decide")
_KEPT = (*_RECORDS, *LEARNT, "res_cle", "res_part", "res_score", "res_details")


class StateError(ValueError):
    """The file of the former run cannot be used. The message is for the person who gave it."""


@contextmanager
def opened(con: duckdb.DuckDBPyConnection, path: Path) -> Iterator[State]:
    """The state kept in a file, there or to be made; written whole at the end, or not at all.

    Raises `StateError` when the file is something else, or is in use.
    """
    state = State(con, path)
    try:
        yield state
        state.save()
    finally:
        state.close()


class State:
    """A former run, and the one that takes its place."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        """Nothing is read yet."""
        self._con = con
        self._path = path
        self._new = path.with_name(f".{path.name}.nouveau")
        self._attached = False
        self.resumed = False

    def resume(self, records: str, tell: Callable[[str], None]) -> Blocking | None:
        """Bring the former run up to date with a table of records; `res_fiche`, `res_score` and
        `res_details` are then those of all records. None when there is no run to resume: nothing
        has been done then.
        """
        if not self._path.exists():
            return None
        self._attach(self._path)
        model = self._model()
        if model is None or not self._changes(records, model):
            self.close()
            return None
        count = self._con.execute("SELECT count(*) FROM res_touche").fetchone()
        tell(f"reprise : {count[0] if count else 0} fiches changées")
        self._prepare(records)
        blocking = block_again(self._con, _SCHEMA)
        tell(f"comparaison de {blocking.pairs} paires")
        self._score(model)
        self._show(*_RECORDS, "res_score", "res_details")
        self.resumed = True
        return blocking

    def keep(self, records: str, model: Model) -> None:
        """Keep a full run, of which the tables are in the connection."""
        self._clear()
        self._attach(self._new)
        con = self._con
        con.execute(
            f"""
            CREATE TABLE {_SCHEMA}.res_numero AS
            SELECT source, cle_source, rid, empreinte
            FROM ({self._fingerprints(records)}) JOIN res_numero USING (source, cle_source)
            ORDER BY rid;
            CREATE TABLE {_SCHEMA}.res_etat AS
            SELECT $1 AS recette, $2 AS modele, 0::BIGINT AS changees
            """,
            [_recipe(), json.dumps(asdict(model))],
        )
        for table in _KEPT:
            con.execute(f"CREATE TABLE {_SCHEMA}.{table} AS FROM {table}")

    def disturb(self, decided: list[int], must: list[tuple[int, int]]) -> None:
        """Add to `res_trouble`, the records of which the cluster may change, those that people
        have decided of, or had, and all that the same links tie to any of them.
        """
        con = self._con
        con.execute("CREATE OR REPLACE TEMP TABLE res_decide (rid BIGINT)")
        con.execute("INSERT INTO res_decide SELECT unnest($1::BIGINT[])", [decided])
        if not self.resumed:
            return
        con.execute("CREATE OR REPLACE TEMP TABLE res_voulu (a BIGINT, b BIGINT)")
        con.execute(
            "INSERT INTO res_voulu SELECT unnest($1::BIGINT[]), unnest($2::BIGINT[])",
            [[a for a, _ in must], [b for _, b in must]],
        )
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE res_trouble AS
            WITH RECURSIVE liens AS (
                SELECT a, b FROM res_score WHERE decision = 'identique'
                UNION ALL FROM res_voulu
            ), sens AS (SELECT a, b FROM liens UNION ALL SELECT b, a FROM liens
            ), atteints AS (
                (FROM res_trouble UNION FROM res_decide UNION FROM {_SCHEMA}.res_decide)
                UNION
                SELECT s.b FROM atteints t JOIN sens s ON s.a = t.rid
            )
            FROM atteints
            """
        )

    def keep_groups(self) -> None:
        """Keep `res_groupe` and `res_refus`: those of `res_trouble` in place of what these had."""
        con = self._con
        if not self.resumed:
            for table in _CONCLUDED:
                con.execute(f"CREATE TABLE {_SCHEMA}.{table} AS FROM {table}")
            return
        reached = "(SELECT rid FROM res_trouble)"
        con.execute(
            f"""
            DELETE FROM {_SCHEMA}.res_groupe WHERE rid IN {reached};
            DELETE FROM {_SCHEMA}.res_refus WHERE a IN {reached} OR b IN {reached};
            DELETE FROM {_SCHEMA}.res_decide;
            """
        )
        for table in _CONCLUDED:
            con.execute(f"INSERT INTO {_SCHEMA}.{table} BY NAME FROM {table}")
        self._show("res_groupe", "res_refus")

    def save(self) -> None:
        """Write what was kept or brought up to date."""
        if self._attached:
            self._con.execute("COMMIT")
            self._detach()
            if self._new.exists():
                self._new.replace(self._path)

    def close(self) -> None:
        """Leave the file as it was."""
        if self._attached:
            self._con.execute("ROLLBACK")
            self._detach()
        self._clear()

    def _clear(self) -> None:
        for path in (self._new, self._new.with_name(f"{self._new.name}.wal")):
            path.unlink(missing_ok=True)

    def _attach(self, path: Path) -> None:
        quoted = str(path).replace("'", "''")
        try:
            self._con.execute(f"ATTACH '{quoted}' AS {_SCHEMA}")
        except duckdb.Error as error:
            if "Conflicting lock" in str(error):
                raise StateError(
                    f"{path} : un autre rapprochement s’en sert ; attendre qu’il finisse"
                ) from None
            raise StateError(
                f"{path} : ce n’est pas l’état d’un rapprochement, ou il est abîmé ; donner un"
                " autre fichier"
            ) from None
        self._con.execute("BEGIN")
        self._attached = True

    def _detach(self) -> None:
        self._con.execute(f"DETACH {_SCHEMA}")
        self._attached = False

    def _model(self) -> Model | None:
        """The model of the former run, if this one would follow the same rules."""
        try:
            row = self._con.execute(f"SELECT recette FROM {_SCHEMA}.res_etat").fetchone()
        except duckdb.CatalogException:
            raise StateError(
                f"{self._path} : ce n’est pas l’état d’un rapprochement ; donner un autre fichier"
            ) from None
        return model_of(self._con) if row and row[0] == _recipe() else None

    def _fingerprints(self, records: str) -> str:
        """SQL of `source`, `cle_source` and a number that changes with any value of a record."""
        described = self._con.execute(f"DESCRIBE SELECT * FROM {records}").fetchall()
        read = [f"'{name}', {name}" for name, *_ in described if name in COLUMNS]
        return (
            "SELECT source::VARCHAR AS source, cle_source::VARCHAR AS cle_source,"
            f" hash({', '.join(read)}) AS empreinte FROM {records}"
        )

    def _changes(self, records: str, model: Model) -> bool:
        """Make `res_touche` (rid), of the records added, changed and deleted, and `res_numero`, of
        the first two. False when too many are to resume from, or no number is left for one.
        """
        self._con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE res_ecart AS
            SELECT source, cle_source, k.rid, l.empreinte
            FROM ({self._fingerprints(records)}) l
            FULL JOIN {_SCHEMA}.res_numero k USING (source, cle_source)
            WHERE l.empreinte IS DISTINCT FROM k.empreinte;
            UPDATE {_SCHEMA}.res_etat SET changees = changees + (SELECT count(*) FROM res_ecart)
            """
        )
        self._check_same_table()
        row = self._con.execute(f"SELECT changees FROM {_SCHEMA}.res_etat").fetchone()
        if row is None or row[0] > MAX_CHANGED * model.records:
            return False
        self._con.execute(f"{_PLACED}; {_TOUCHED}")
        twice = self._con.execute(
            f"SELECT 1 FROM {_SCHEMA}.res_numero GROUP BY rid HAVING count(*) > 1 LIMIT 1"
        ).fetchone()
        return twice is None

    def _check_same_table(self) -> None:
        """Refuse a state of which no record is left: it is another table's, worth keeping."""
        row = self._con.execute(
            f"""
            SELECT count(empreinte) > 0 AND count(rid) > 0
                   AND count(rid) = (SELECT count(*) FROM {_SCHEMA}.res_numero)
                   AND count(*) = count(empreinte) + count(rid)
            FROM res_ecart
            """
        ).fetchone()
        if row and row[0]:
            raise StateError(
                f"{self._path} : l’état d’une autre table, dont aucune clé n’est dans celle-ci ;"
                " donner un autre fichier, ou effacer celui-ci"
            )

    def _prepare(self, records: str) -> None:
        """Bring the records' features up to date, by the calibration kept."""
        for table in LEARNT:
            self._con.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS FROM {_SCHEMA}.{table}")
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE res_change AS SELECT r.* FROM {records} r"
            " SEMI JOIN res_numero n ON n.source = r.source::VARCHAR"
            " AND n.cle_source = r.cle_source::VARCHAR"
        )
        prepare(self._con, "res_change", learn=False)
        for table in _RECORDS:
            self._con.execute(
                f"""
                DELETE FROM {_SCHEMA}.{table} WHERE rid IN (SELECT rid FROM res_touche);
                INSERT INTO {_SCHEMA}.{table} BY NAME FROM {table}
                """
            )

    def _score(self, model: Model) -> None:
        """Score the candidate pairs, and put them in the place of what the records touched had."""
        con = self._con
        con.execute(
            "CREATE OR REPLACE TEMP TABLE res_membre AS"
            " SELECT a AS rid FROM res_candidat UNION SELECT b FROM res_candidat"
        )
        for table in _RECORDS:
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE {table} AS"
                f" SELECT t.* FROM {_SCHEMA}.{table} t SEMI JOIN res_membre m ON m.rid = t.rid"
            )
        compare_pairs(con, learn=False)
        score_pairs(con, model)
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE res_trouble AS
            WITH rompues AS (
                SELECT a, b FROM {_SCHEMA}.res_score WHERE decision = 'identique' AND {_TOUCHES})
            SELECT rid FROM res_touche
            UNION SELECT a FROM rompues UNION SELECT b FROM rompues;
            DELETE FROM {_SCHEMA}.res_score WHERE {_TOUCHES};
            INSERT INTO {_SCHEMA}.res_score BY NAME FROM res_score
            """
        )
        settle_rivals(con, f"{_SCHEMA}.res_score")
        con.execute(
            "INSERT INTO res_trouble"
            " SELECT a FROM res_revirement UNION SELECT b FROM res_revirement"
        )
        told = (
            f"(SELECT * FROM {_SCHEMA}.res_score s WHERE {_TOUCHES}"
            " OR EXISTS (FROM res_revirement r WHERE r.a = s.a AND r.b = s.b))"
        )
        explain_pairs(con, model, key_names("cles"), told)
        con.execute(
            f"""
            DELETE FROM {_SCHEMA}.res_details d WHERE {_TOUCHES}
                OR EXISTS (FROM res_revirement r WHERE r.a = d.a AND r.b = d.b);
            INSERT INTO {_SCHEMA}.res_details BY NAME FROM res_details
            """
        )

    def _show(self, *tables: str) -> None:
        """Let what is kept be seen under the names that it has in a full run."""
        for table in tables:
            self._con.execute(
                f"DROP TABLE {table}; CREATE TEMP VIEW {table} AS FROM {_SCHEMA}.{table}"
            )


def model_of(con: duckdb.DuckDBPyConnection) -> Model:
    """The model of the state that is attached as `etat`."""
    row = con.execute(f"SELECT modele FROM {_SCHEMA}.res_etat").fetchone()
    return Model(**json.loads(row[0] if row else "{}"))


_TOUCHES = "(a IN (SELECT rid FROM res_touche) OR b IN (SELECT rid FROM res_touche))"

_PLACED = f"""
    CREATE OR REPLACE TEMP TABLE res_place AS
    WITH tous AS (
        SELECT source, cle_source, rid FROM {_SCHEMA}.res_numero
        UNION ALL SELECT source, cle_source, rid FROM res_ecart WHERE rid IS NULL
    ), encadres AS (
        SELECT *, last_value(rid IGNORE NULLS) OVER (ORDER BY source, cle_source) AS avant,
               first_value(rid IGNORE NULLS) OVER (
                   ORDER BY source, cle_source ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
                   AS apres
        FROM tous
    ), rangs AS (
        SELECT source, cle_source, avant, apres,
               row_number() OVER (PARTITION BY avant ORDER BY source, cle_source) AS rang,
               count(*) OVER (PARTITION BY avant) AS combien
        FROM encadres WHERE rid IS NULL
    )
    SELECT source, cle_source,
           CASE WHEN avant IS NULL THEN coalesce(apres, 0) - (combien + 1 - rang) * {NUMBER_STEP}
                WHEN apres IS NULL THEN avant + rang * {NUMBER_STEP}
                ELSE avant + (apres - avant) * rang // (combien + 1) END AS rid
    FROM rangs
"""
"""SQL: a number for each new record, between those of its neighbours in the order of the keys."""

_TOUCHED = f"""
    CREATE OR REPLACE TEMP TABLE res_touche AS
    SELECT rid FROM res_ecart WHERE rid IS NOT NULL UNION SELECT rid FROM res_place;
    CREATE OR REPLACE TEMP TABLE res_numero AS
    SELECT source, cle_source, coalesce(e.rid, p.rid) AS rid, empreinte
    FROM res_ecart e LEFT JOIN res_place p USING (source, cle_source)
    WHERE empreinte IS NOT NULL;
    DELETE FROM {_SCHEMA}.res_numero WHERE rid IN (SELECT rid FROM res_ecart);
    INSERT INTO {_SCHEMA}.res_numero BY NAME FROM res_numero
"""


def _recipe() -> str:
    """A fingerprint of these rules, and of DuckDB, whose hashes are kept."""
    content = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"\0".join([duckdb.__version__.encode(), *content])).hexdigest()
