"""Raw fiches made clean: named rules per kind of value, in SQL, and no personal data beyond here.

One file per kind of value. Each makes a table of clean values keyed by the row number `n` of the
batch, and writes what it changed and refused in a journal; here they are put in order and joined.
Work is done by batches, in the order of the keys, so that memory does not grow with the number of
fiches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from queue import Empty, SimpleQueue
from types import ModuleType

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lowtech_data import reference
from lowtech_data.extract.base import REJECT_SCHEMA
from lowtech_data.model import CLEAN_SCHEMA, TRANSFORMATION_SCHEMA
from lowtech_data.normalise import (
    address,
    classification,
    commune,
    coordinates,
    dates,
    hours,
    identifiers,
    journal,
    licence,
    mail,
    name,
    personal,
    phone,
    resource,
    summary,
    text,
    web,
)

__all__ = ["Normalised", "batches", "normalise", "showable", "workbench"]

BATCH_ROWS = 65_536
"""Fiches cleaned at once: enough for set-based work, few enough for a small machine."""

_KEYS = ("source_id", "cle_source")
_FRENCH_COUNTRIES = """
    fr fra fx france gp glp guadeloupe mq mtq martinique gf guf guyane re reu réunion reunion
    yt myt mayotte nc ncl pf pyf pm spm wf wlf bl blm mf maf tf
""".split()  # noqa: SIM905 — a list of words reads better as words
_EMPTY_WORDS = (
    "",
    "null",
    "none",
    "nan",
    "n/a",
    "na",
    "nc",
    "-",
    "--",
    ".",
    "?",
    "x",
    "hidden",
    "http://",
    "https://",
    "aucun",
    "aucune",
    "néant",
    "non renseigné",
    "tbd",
    "undefined",
)
_FINGERPRINT_SKIPS = frozenset({"capture", "pointeur", "empreinte"})


@dataclass(frozen=True, slots=True)
class Normalised:
    """Clean fiches, the values that cleaning changed, and what it refused.

    Each raw fiche is in `fiches`, or has a row of `rejects` with `champ` `*`. All three tables are
    sorted, and do not depend on the order of the raw fiches.
    """

    fiches: pa.Table
    transformations: pa.Table
    rejects: pa.Table


NOTHING = Normalised(
    CLEAN_SCHEMA.empty_table(), TRANSFORMATION_SCHEMA.empty_table(), REJECT_SCHEMA.empty_table()
)


_IDLE: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()


@contextmanager
def workbench() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to clean in, kept for the next who needs one: preparing it takes a second.

    It holds reference data only: what is cleaned leaves nothing behind.
    """
    try:
        con = _IDLE.get_nowait()
    except Empty:
        con = duckdb.connect()
    try:
        yield con
    except BaseException:
        con.close()
        raise
    _IDLE.put(con)


def normalise(
    con: duckdb.DuckDBPyConnection,
    raw: pa.Table,
    *,
    as_of: date,
    personal_names: Collection[str] = name.GIVEN_NAMES,
) -> Normalised:
    """Clean raw fiches (`extract.base.RAW_SCHEMA`).

    `con` is an in-memory connection, such as `workbench` lends: temporary tables and macros are
    made in it, once for all the calls that share it. `as_of` is the day of the harvest: no later
    date is believed. `personal_names` are the given names, folded, by which a name is taken for a
    person's. Raises `ReferenceMissingError` when the bundled
    reference is not there.
    """
    parts = [NOTHING, *batches(con, raw, as_of=as_of, personal_names=personal_names)]
    return Normalised(
        fiches=pa.concat_tables([part.fiches for part in parts]),
        transformations=pa.concat_tables([part.transformations for part in parts]),
        rejects=pa.concat_tables([part.rejects for part in parts]),
    )


def batches(
    con: duckdb.DuckDBPyConnection,
    raw: pa.Table,
    *,
    as_of: date,
    personal_names: Collection[str] = name.GIVEN_NAMES,
) -> Iterator[Normalised]:
    """What `normalise` gives, in parts that follow each other: memory does not grow with them."""
    _install(con, personal_names)
    order = pc.sort_indices(
        raw, sort_keys=[(key, "ascending") for key in (*_KEYS, "pointeur", "nom")]
    )
    try:
        for start in range(0, raw.num_rows, BATCH_ROWS):
            yield _batch(con, raw.take(order.slice(start, BATCH_ROWS)), as_of)
    finally:
        _clear(con)


def _install(con: duckdb.DuckDBPyConnection, given_names: Collection[str]) -> None:
    """Prepare a connection; what does not depend on the arguments is made once."""
    name.install(con, given_names)
    installed = con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE temporary AND table_name = 'norm_communes'"
    ).fetchone()
    if installed:
        return
    reference.install(con)
    empty = ", ".join(personal.literal(word) for word in _EMPTY_WORDS)
    con.execute(f"CREATE OR REPLACE TEMP MACRO vide(x) AS x IS NULL OR lower(trim(x)) IN ({empty})")
    personal.install(con)
    text.install(con)
    coordinates.install(con)
    commune.install(con)
    identifiers.install(con)
    dates.install(con)


def _batch(con: duckdb.DuckDBPyConnection, raw: pa.Table, as_of: date) -> Normalised:
    _clear(con)
    numbered = raw.append_column("n", pa.array(range(raw.num_rows), pa.int64()))
    con.register("n_input", numbered)
    con.execute("CREATE OR REPLACE TEMP TABLE n_raw AS SELECT * FROM n_input")
    con.unregister("n_input")
    journal.open_journal(con)
    text.stage(con)
    name.stage(con)
    coordinates.parse(con)
    address.place(con)
    commune.stage(con)
    address.stage(con)
    coordinates.stage(con)
    for kind in (phone, mail, web, classification, summary):
        kind.stage(con)
    if any(_is_given(raw.column(column)) for column in ("date_maj", "date_publication")):
        dates.stage(con, as_of)
    for kind, columns in _SELDOM.items():
        if any(_is_given(raw.column(column)) for column in columns):
            kind.stage(con)
    _identity(con)
    _left_out(con)
    return Normalised(_fiches(con, raw.num_rows), _changes(con), _rejects(con))


_SELDOM: dict[ModuleType, tuple[str, ...]] = {
    identifiers: ("siret", "rna", "identifiants"),
    hours: ("horaires",),
    licence: ("licence",),
    resource: ("nature_ressource", "etapes", "difficulte", "duree", "cout", "langue"),
}
"""Kinds of values that most listings do not have, and the raw columns that they are read from:
a stage costs as much to prepare as a few thousand rows to clean."""


def _is_given(column: pa.ChunkedArray) -> bool:
    if pa.types.is_list(column.type):
        return bool(pc.any(pc.greater(pc.list_value_length(column), 0)).as_py())
    return bool(column.null_count < len(column))


def _identity(con: duckdb.DuckDBPyConnection) -> None:
    """Keys and pointers come from the payload too: one that holds personal data is replaced."""
    columns = ("cle_source", "pointeur", "regle_selection")
    personal.known(
        con, "n_personal", " UNION ALL ".join(f"SELECT {c} AS v FROM n_raw" for c in columns)
    )
    joins = " ".join(f"LEFT JOIN n_personal {c}_p ON r.{c} = {c}_p.v" for c in columns)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_identity AS
        SELECT n, source_id, entite, capture,
            CASE WHEN cle_source_p.v IS NULL THEN cle_source ELSE {_HIDDEN_KEY} END AS cle_source,
            coalesce(pointeur_p.montre, pointeur) AS pointeur,
            coalesce(regle_selection_p.montre, regle_selection) AS regle_selection,
            cle_source_p.v IS NOT NULL AS cle_remplacee
        FROM n_raw r {joins}"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'cle_source', 'cle_personnelle_remplacee', NULL
        FROM n_identity WHERE cle_remplacee"""
    )


_HIDDEN_KEY = "'sha256-' || left(sha256(cle_source), 24)"
"""What stands for a key that holds personal data: the same for all that is said of its record."""


def showable(con: duckdb.DuckDBPyConnection, rejects: pa.Table) -> pa.Table:
    """Rejects of extraction without personal data: in keys, names of columns and values.

    A key is replaced as `normalise` replaces it. `con` as for `normalise`.
    """
    personal.install(con)
    columns = ("cle_source", "champ", "valeur_masquee")
    con.register("n_said", rejects)
    personal.known(
        con, "n_personal", " UNION ALL ".join(f"SELECT {c} AS v FROM n_said" for c in columns)
    )
    joins = " ".join(f"LEFT JOIN n_personal {c}_p ON r.{c} = {c}_p.v" for c in columns)
    shown = con.sql(
        f"""SELECT source_id,
            CASE WHEN cle_source_p.v IS NULL THEN cle_source ELSE {_HIDDEN_KEY} END AS cle_source,
            coalesce(champ_p.montre, champ) AS champ, regle,
            coalesce(valeur_masquee_p.montre, valeur_masquee) AS valeur_masquee
        FROM n_said r {joins} ORDER BY ALL"""
    ).to_arrow_table()
    con.unregister("n_said")
    con.execute("DROP TABLE n_personal")
    return shown.cast(REJECT_SCHEMA)


def _left_out(con: duckdb.DuckDBPyConnection) -> None:
    """Fiches that cannot be published at all: `n_out`, with the reason."""
    french = ", ".join(personal.literal(country) for country in _FRENCH_COUNTRIES)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_out AS
        SELECT r.n, CASE WHEN m.nom IS NULL THEN 'nom_absent' ELSE 'hors_france' END AS regle,
            CASE WHEN m.nom IS NOT NULL THEN coalesce(r.pays, r.latitude || ' ' || r.longitude) END
                AS valeur
        FROM n_raw r JOIN n_name m ON r.n = m.n JOIN n_commune c ON r.n = c.n
        LEFT JOIN n_point p ON r.n = p.n
        WHERE m.nom IS NULL OR (r.entite = 'initiative' AND (
            (NOT vide(r.pays) AND length(trim(r.pays)) BETWEEN 2 AND 40
                AND regexp_matches(r.pays, '^[\\p{{L}}\\s.''’-]+$')
                AND lower(trim(r.pays)) NOT IN ({french})
                AND NOT starts_with(lower(trim(r.pays)), 'france'))
            OR (coalesce(p.refus = 'hors_de_france', false) AND c.code_insee IS NULL)))"""
    )
    for table in ("n_rejects", "n_refused", "n_changes"):
        con.execute(f"DELETE FROM {table} WHERE n IN (SELECT n FROM n_out)")
    journal.reject(con, "*", regle="regle", value="valeur", select="FROM n_out")


_PLACES = {
    "n_identity": ("source_id", "cle_source", "entite", "capture", "pointeur", "regle_selection"),
    "n_web": ("url", "site_web"),
    "n_name": ("nom", "noms_alternatifs"),
    "n_class": ("nature", "type", "familles", "themes", "itinerant", "statut"),
    "n_summary": ("resume", "attribution"),
    "n_address": ("adresse", "complement_adresse"),
    "n_commune": (
        "code_postal",
        "commune",
        "code_insee",
        "code_arrondissement",
        "code_epci",
        "code_departement",
        "code_region",
    ),
    "n_position": ("latitude", "longitude", "precision_geo"),
    "n_mail": ("courriel",),
    "n_phone": ("telephone",),
    "n_ids": ("siret", "rna"),
    "n_identifiers": ("identifiants",),
    "n_hours": ("horaires",),
    "n_dates": ("date_maj", "date_publication"),
    "n_licence": ("licence",),
    "n_resource": ("nature_ressource", "etapes", "difficulte", "duree_h", "cout_eur", "langue"),
}
"""Which table of a batch holds which clean columns; a row that it does not have says nothing."""


def _fiches(con: duckdb.DuckDBPyConnection, rows: int) -> pa.Table:
    """The clean fiches of a batch: picking columns by row number costs less than joins."""
    left_out = con.sql("SELECT n FROM n_out").to_arrow_table().column("n").combine_chunks()
    numbers = pa.array(range(rows), pa.int64())
    kept = numbers.filter(pc.invert(pc.is_in(numbers, left_out)))
    columns: dict[str, pa.ChunkedArray] = {}
    made = _batch_tables(con)
    for table, names in _PLACES.items():
        if table not in made:
            columns |= {name: pa.chunked_array([pa.nulls(len(kept))]) for name in names}
            continue
        found = con.sql(f"SELECT n, {', '.join(names)} FROM {table}").to_arrow_table()
        columns |= _picked(found, kept, names)
    nothing = pa.nulls(len(kept), pa.list_(pa.string()))
    columns["piliers"] = columns["principes"] = pa.chunked_array([nothing])
    empty = pa.scalar([], pa.list_(pa.string()))
    arrays = [
        pc.coalesce(columns[field.name].cast(field.type), empty)
        if pa.types.is_list(field.type)
        else columns[field.name].cast(field.type)
        for field in CLEAN_SCHEMA
        if field.name != "empreinte"
    ]
    known = [field.name for field in CLEAN_SCHEMA if field.name != "empreinte"]
    table = pa.Table.from_arrays([*arrays, kept], [*known, "n"])
    con.register("n_clean", table)
    prints = con.sql(f"SELECT n, sha256({_fingerprint()}) AS empreinte FROM n_clean")
    arrays.append(_picked(prints.to_arrow_table(), kept, ("empreinte",))["empreinte"])
    con.unregister("n_clean")
    return pa.Table.from_arrays(arrays, schema=CLEAN_SCHEMA)


def _picked(
    found: pa.Table, numbers: pa.Array, names: Collection[str]
) -> dict[str, pa.ChunkedArray]:
    places = pc.index_in(numbers, value_set=found.column("n").combine_chunks())
    return {name: found.column(name).take(places) for name in names}


def _fingerprint() -> str:
    """One text from all the columns: no clean value holds the control characters between them."""
    parts = []
    for field in CLEAN_SCHEMA:
        if field.name in _FINGERPRINT_SKIPS:
            continue
        if pa.types.is_list(field.type):
            parts.append(f"array_to_string({field.name}, chr(30))")
        elif pa.types.is_floating(field.type):
            parts.append(f"coalesce(CAST(round({field.name} * 1e6) AS BIGINT)::VARCHAR, chr(26))")
        elif pa.types.is_boolean(field.type):
            parts.append(f"coalesce({field.name}::VARCHAR, chr(26))")
        else:
            parts.append(f"coalesce({field.name}, chr(26))")
    return f"concat_ws(chr(31), {', '.join(parts)})"


def _changes(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return (
        con.sql(
            """SELECT i.source_id, i.cle_source, c.champ,
                montrable(c.valeur_source) AS valeur_source, c.regle
            FROM n_changes c JOIN n_identity i ON c.n = i.n
            ORDER BY i.n, c.champ, c.regle, 4"""
        )
        .to_arrow_table()
        .cast(TRANSFORMATION_SCHEMA)
    )


def _rejects(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return (
        con.sql(
            """SELECT i.source_id, i.cle_source, r.champ, r.regle, r.valeur_masquee
            FROM (SELECT * FROM n_rejects
                UNION SELECT n, champ, regle, masque(valeur) FROM n_refused) r
            JOIN n_identity i ON r.n = i.n
            ORDER BY i.n, r.champ, r.regle, r.valeur_masquee"""
        )
        .to_arrow_table()
        .cast(REJECT_SCHEMA)
    )


def _clear(con: duckdb.DuckDBPyConnection) -> None:
    """Leave nothing of a batch behind: its tables hold what the sources wrote."""
    for table in _batch_tables(con):
        con.execute(f'DROP TABLE "{table}"')


def _batch_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    found = con.execute(
        """SELECT table_name FROM duckdb_tables()
        WHERE temporary AND starts_with(table_name, 'n_') AND table_name <> 'n_prenoms'"""
    ).fetchall()
    return [name for (name,) in found]
