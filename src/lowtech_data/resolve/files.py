"""Matching a file that anyone may have: CSV or Parquet in, clusters and pairs out.

Columns are recognised by their title, or by the renames that the caller gives; others are noted and
left aside. Everything is checked before the work begins, and each refusal says what to do. Keys and
sources come back byte for byte; the other values are read as texts, damaged ones repaired.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from pathlib import Path

import duckdb
import ftfy
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lowtech_data.files import new_directory, sync
from lowtech_data.resolve import MatchError, StateError, match
from lowtech_data.resolve.decisions import PAIR_KINDS, Decisions
from lowtech_data.resolve.features import COLUMNS
from lowtech_data.resolve.identity import Key, Ledger, LedgerError, advance
from lowtech_data.resolve.reading import LIST_SEPARATOR, Table, UnreadableError, open_table

ONE_SOURCE = "fichier"
"""Source of the records of a file that names none."""

NEEDED = ("cle_source", "nom")
"""Columns without which nothing can be matched."""

PAIR_COLUMNS = ("source_a", "cle_a", "source_b", "cle_b", "score", "decision", "details")

MEMORY_MB = 1200
"""What tables may take in memory for up to a million records, and for each million above: the rest
goes to disk, beside the output. A million records need two GiB in all: a small machine is enough.
"""
MAX_COMPARED = 500
"""Characters of a text that are compared: the cost of a pair grows with the square of its words."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "cle_source": (
        *("id", "identifiant", "identifier", "cle", "key", "uid", "uuid", "ref", "reference"),
        *("code", "numero", "number", "osm_id", "fid", "objectid", "gid"),
    ),
    "nom": (
        *("name", "titre", "title", "denomination", "raison_sociale", "libelle", "label"),
        *("enseigne", "intitule", "nom_etablissement", "nom_du_lieu", "nombre", "nome", "naam"),
        *("school_name", "company_name", "business_name", "denominazione", "bezeichnung"),
    ),
    "source": ("origine", "origin", "dataset", "provenance"),
    "adresse": ("address", "rue", "street", "voie", "adress", "adresse_1", "address1", "direccion"),
    "complement_adresse": ("address2", "adresse_2", "complement"),
    "code_postal": (
        *("postcode", "postal_code", "zip", "zipcode", "zip_code", "cp", "codepostal", "plz"),
    ),
    "commune": ("city", "ville", "town", "municipality", "localite", "locality", "ort", "ciudad"),
    "code_insee": ("insee", "code_commune", "codgeo", "insee_com", "codeinsee"),
    "latitude": ("lat", "y_lat", "geo_lat", "latitude_wgs84", "y"),
    "longitude": ("lon", "lng", "long", "geo_lon", "longitude_wgs84", "x"),
    "site_web": ("website", "url", "web", "site", "site_internet", "homepage", "siteweb"),
    "courriel": ("email", "mail", "e_mail", "adresse_mail", "contact_email"),
    "telephone": ("phone", "tel", "telephone_1", "phone_number", "telefono", "telefon"),
    "siret": ("numero_siret", "siret_etablissement", "n_siret"),
    "rna": ("numero_rna", "waldec"),
    "type": ("category", "categorie", "kind", "nature"),
}
"""Our column → titles that people give it, in simple letters, the likeliest first. Only for advice:
no column is taken for another unless its owner says so.
"""

_REPAIRED = ("nom", "adresse", "complement_adresse", "commune", "type")
_BOUNDS = {"latitude": 90, "longitude": 180}
_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Co"}
_INVISIBLE = r"\p{Cc}\p{Cf}\p{Co}"
_MOJIBAKE = r"[ÂÃÄÅÐâ][\x{80}-\x{bf}\x{152}-\x{2122}]"
_MOJIBAKE_IN_PYTHON = re.compile("[ÂÃÄÅÐâ][\x80-\xbf\u0152-\u2122]")
_VISIBLE = r"[^\s\p{C}\p{Z}]"
_MAX_SHOWN = 3
_MAX_KEY_SHOWN = 60
_RECORDS = "lignes_lues"
_ALL = "fiches_lues"
_SOURCE = f"coalesce(source, '{ONE_SOURCE}')"
_NAMED = "fiches_a_apparier"

Progress = Callable[[str], None]


class MatchInputError(ValueError):
    """The file cannot be matched. The message is for the person who gave it."""


@dataclass(frozen=True, slots=True)
class PermanentIds:
    """Where clusters keep their ids from one run to the next, and the day of this run."""

    ledger: Path
    day: date

    @property
    def members(self) -> Path:
        """Beside the ledger, the last id of every record ever seen: Parquet `source, cle_source,
        id`. The clusters file would not do: it forgets absent records, and may be moved.
        """
        return self.ledger.with_name(f"{self.ledger.name}.membres.parquet")


@dataclass(frozen=True, slots=True)
class FileMatching:
    """What was matched, and what was noted on the way."""

    records: int
    clusters: int
    to_review: int
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Request:
    records: Path
    out: Path
    pairs: Path | None = None
    decisions: Path | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    permanent: PermanentIds | None = None
    state: Path | None = None

    @property
    def outputs(self) -> list[Path]:
        """In the order in which they are made."""
        members = self.permanent.members if self.permanent else None
        return [path for path in (self.out, self.pairs, members) if path]

    @property
    def files(self) -> list[Path]:
        """Every file that is read or written."""
        ledger = self.permanent.ledger if self.permanent else None
        given = [path for path in (self.records, self.decisions, ledger, self.state) if path]
        return [*given, *self.outputs]

    def command(self, renames: Mapping[str, str]) -> str:
        """The same request, with these columns renamed."""
        words = ["lowtech", "match", str(self.records), "--out", str(self.out)]
        words += ["--pairs", str(self.pairs)] if self.pairs else []
        words += ["--decisions", str(self.decisions)] if self.decisions else []
        words += ["--ledger", str(self.permanent.ledger)] if self.permanent else []
        words += ["--state", str(self.state)] if self.state else []
        for ours, theirs in renames.items():
            words += ["--map", f"{ours}={theirs}"]
        return shlex.join(words)


def match_file(
    records: Path,
    out: Path,
    *,
    pairs: Path | None = None,
    decisions: Path | None = None,
    renames: Mapping[str, str] | None = None,
    permanent: PermanentIds | None = None,
    state: Path | None = None,
    progress: Progress | None = None,
) -> FileMatching:
    """Match the records of a CSV or Parquet file, and write clusters (and pairs) by extension.

    `renames` maps our column names to the file's. Clusters are `source, cle_source, cluster`; pairs
    are `PAIR_COLUMNS`. A cluster is a number, or a permanent id when `permanent` is given. A record
    without a name is alone in its cluster. Files are written beside, then renamed. `state` keeps
    the run, so that the next one compares what changed only (`incremental`).

    Raises `MatchInputError` for a file that cannot be matched, `DecisionError` for wrong decisions,
    `LedgerError` for a wrong ledger; nothing is written then.
    """
    request = _Request(records, out, pairs, decisions, renames or {}, permanent, state)
    tell = progress or (lambda _: None)
    _check_paths(request)
    known = _decisions(decisions)
    ledger = _ledger(permanent)
    with ExitStack() as stack:
        staged = {path: _staged(stack, path) for path in request.outputs}
        con = stack.enter_context(duckdb.connect())
        con.execute("SET temp_directory = $1", [str(staged[out].parent)])
        limit_memory(con, 0)
        tell(f"lecture de {records.name}")
        count, notes = _load(con, request)
        limit_memory(con, count)
        tell(f"{_spaced(count)} enregistrements lus")
        try:
            matching = match(con, _NAMED, decisions=known, progress=progress, state=state)
        except MatchError as error:
            raise MatchInputError(f"{records} : {error}") from None
        except StateError as error:
            raise MatchInputError(str(error)) from None
        notes += [*_decision_notes(con, known), *matching.warnings]
        tables = {out: _with_unnamed(con, matching.clusters)}
        if pairs:
            tables[pairs] = matching.pairs.select(PAIR_COLUMNS)
        if permanent:
            tell("identifiants permanents")
            tables[out], tables[permanent.members], ledger = _identified(
                con, tables[out], ledger, permanent
            )
        tell("écriture")
        for path, table in tables.items():
            _write(con, table, staged[path])
        # The clusters come last, and after the ledger: no id is ever seen that it does not hold.
        if permanent:
            staged.pop(permanent.members).replace(permanent.members)
            ledger.save(permanent.ledger)
        for path in reversed(staged):
            staged[path].replace(path)
            sync(path.parent)
    to_review = pc.sum(pc.equal(matching.pairs["decision"], "a_revoir")).as_py() or 0
    return FileMatching(count, len(tables[out]["cluster"].unique()), to_review, notes)


def limit_memory(con: duckdb.DuckDBPyConnection, records: int) -> None:
    """Bound what the tables of a matching take in memory, by `MEMORY_MB`."""
    con.execute("SET memory_limit = $1", [f"{MEMORY_MB * max(1.0, records / 1e6):.0f}MB"])


def read_renames(options: Iterable[str]) -> dict[str, str]:
    """Our column → the file's, from texts like `nom=titre` or `nom=titre,adresse=rue`.

    A title may hold a comma or an equals sign. Raises `MatchInputError`.
    """
    ours = "|".join(COLUMNS)
    renames: dict[str, str] = {}
    for option in options:
        for part in re.split(rf",(?=\s*(?:{ours})\s*=)", option):
            name, equal, title = (text.strip() for text in part.partition("="))
            if not (name and equal and title):
                raise MatchInputError(f"--map {option} : attendu nôtre=vôtre, comme nom=titre")
            if renames.get(name, title) != title:
                raise MatchInputError(
                    f"--map : deux colonnes pour {name} : {renames[name]} et {title}"
                )
            renames[name] = title
    return renames


def _check_paths(request: _Request) -> None:
    if not request.records.is_file():
        raise MatchInputError(f"{request.records} : fichier introuvable")
    for path in request.outputs:
        if path.suffix.lower() not in {".csv", ".parquet"}:
            raise MatchInputError(f"{path} : extension attendue : .csv ou .parquet")
        if path.is_dir():
            raise MatchInputError(f"{path} : c’est un dossier ; un fichier est attendu")
        if not path.parent.is_dir():
            raise MatchInputError(f"{path} : le dossier {path.parent} n’existe pas")
    if request.state and not request.state.parent.is_dir():
        raise MatchInputError(f"{request.state} : le dossier {request.state.parent} n’existe pas")
    for one, other in combinations(request.files, 2):
        if one.resolve() == other.resolve() or (
            one.exists() and other.exists() and one.samefile(other)
        ):
            raise MatchInputError(f"{one} et {other} : le même fichier ; en donner deux")


def _staged(stack: ExitStack, path: Path) -> Path:
    """Where an output is written before it is whole; made at once, to know that it can be."""
    try:
        return stack.enter_context(new_directory(path.parent)) / path.name
    except OSError as error:
        raise MatchInputError(
            f"{path} : le dossier {path.parent} ne se laisse pas écrire ({error.strerror})"
        ) from None


def _decisions(path: Path | None) -> Decisions:
    if path is None:
        return Decisions()
    if not path.is_file():
        raise MatchInputError(f"{path} : fichier de décisions introuvable")
    _check_text(path)
    return Decisions.load(path)


def _ledger(permanent: PermanentIds | None) -> Ledger:
    if permanent is None:
        return Ledger()
    path = permanent.ledger
    if path.is_file():
        _check_text(path)
    ledger = Ledger.load(path)
    if ledger.events and not permanent.members.is_file():
        raise LedgerError(
            f"{permanent.members} : introuvable. Ce fichier est écrit avec le registre et dit quel"
            " identifiant portait chaque fiche : le remettre à côté de lui"
        )
    last = max((event.version for event in ledger.events), default="")
    if last > permanent.day.isoformat():
        raise LedgerError(
            f"{path} : le registre va déjà jusqu’au {last} ; le jour donné,"
            f" {permanent.day.isoformat()}, est antérieur"
        )
    return ledger


def _check_text(path: Path) -> None:
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MatchInputError(f"{path}, ligne {line} : texte en UTF-8 attendu") from None


def _load(con: duckdb.DuckDBPyConnection, request: _Request) -> tuple[int, list[str]]:
    """Make the table of all records and the view of those to match, checked; and what was noted."""
    try:
        table = open_table(request.records)
        columns, notes = _columns(table, request)
        table.load(con, _RECORDS, columns)
        if "source" not in columns:
            con.execute(f"ALTER TABLE {_RECORDS} ADD COLUMN source VARCHAR")
        _repair(con, [name for name in _REPAIRED if name in columns])
        _views(con, columns)
        notes += _checked(con, columns)
    except (UnreadableError, _RefusedError) as error:
        raise MatchInputError(f"{request.records} : {error}") from None
    row = con.execute(f"SELECT count(*) FROM {_ALL}").fetchone()
    return (int(row[0]) if row else 0), [*table.notes, *notes]


class _RefusedError(ValueError):
    """What is wrong with the records, without the file's name."""


def _columns(table: Table, request: _Request) -> tuple[dict[str, str], list[str]]:
    """Our columns → the titles that hold them; and what was noted."""
    titles = [title for title in table.columns if title]
    unknown = sorted(set(request.renames) - set(COLUMNS))
    if unknown:
        raise _RefusedError(
            f"--map : colonnes inconnues : {', '.join(unknown)}. Possibles : {', '.join(COLUMNS)}"
        )
    absent = sorted(set(request.renames.values()) - set(titles))
    if absent:
        raise _RefusedError(
            f"--map : colonnes absentes : {', '.join(absent)}. Le fichier a : {', '.join(titles)}"
        )
    named = {ours: request.renames.get(ours, ours) for ours in COLUMNS}
    found = {ours: theirs for ours, theirs in named.items() if theirs in titles}
    left = [title for title in titles if title not in found.values()]
    advice = _advice(left, [ours for ours in COLUMNS if ours not in found])
    missing = [ours for ours in NEEDED if ours not in found]
    if missing:
        said = " et ".join(f"« {ours} »" for ours in missing)
        renames = {**request.renames, **advice}
        how = (
            f"Si c’est bien ce que disent ces titres : {request.command(renames)}"
            if set(missing) <= set(advice)
            else f"Si elle porte un autre titre : --map {missing[0]}=titre"
        )
        raise _RefusedError(f"il manque {said}. Le fichier a : {', '.join(titles)}. {how}")
    notes = []
    if left:
        hint = "".join(f" --map {shlex.quote(f'{o}={t}')}" for o, t in advice.items())
        notes.append(
            f"colonnes laissées de côté : {', '.join(left)}"
            + (f" ; si ce sont les nôtres :{hint}" if hint else "")
        )
    return found, notes


def _advice(titles: Sequence[str], wanted: Iterable[str]) -> dict[str, str]:
    """Titles that look like the columns wanted."""
    simple = {title: _simple(title) for title in titles}
    advice: dict[str, str] = {}
    for ours in wanted:
        names = [ours, *SYNONYMS.get(ours, ())]
        alike = [t for t in titles if simple[t] in names and t not in advice.values()]
        if alike:
            advice[ours] = min(alike, key=lambda title: names.index(simple[title]))
    return advice


def _simple(title: str) -> str:
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", letters).strip("_")


def _repair(con: duckdb.DuckDBPyConnection, columns: Iterable[str]) -> None:
    """Take invisible characters and mojibake out of texts, working once on each damaged value."""
    for column in columns:
        damaged = con.execute(
            f"SELECT DISTINCT {column} FROM {_RECORDS}"
            f" WHERE regexp_matches({column}, '[{_INVISIBLE}]|{_MOJIBAKE}')"
        ).fetchall()
        if not damaged:
            continue
        before = [value for (value,) in damaged]
        con.register("lot", pa.table({"avant": before, "apres": list(map(_repaired, before))}))
        con.execute(
            f"UPDATE {_RECORDS} SET {column} = lot.apres FROM lot"
            f" WHERE {_RECORDS}.{column} = lot.avant"
        )
        con.unregister("lot")


def _repaired(text: str) -> str:
    if _MOJIBAKE_IN_PYTHON.search(text):
        try:
            text = text.encode("cp1252").decode("utf-8")
        except UnicodeError:
            text = ftfy.fix_encoding(text)
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if unicodedata.category(c) not in _INVISIBLE_CATEGORIES)


def _views(con: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> None:
    """All records that are not blank lines, numbered from 1; and among them those with a name."""
    texts = [
        f"left({name}, {MAX_COMPARED}) AS {name}"
        for name in columns
        if COLUMNS[name] == "VARCHAR" and name not in {"source", "cle_source"}
    ]
    typed = [_coordinate(name) for name in _BOUNDS if name in columns]
    if "identifiants" in columns:
        typed.append(
            f"list_filter(string_split_regex(identifiants, '\\s*[{LIST_SEPARATOR.strip()}|]\\s*'),"
            " lambda x: x <> '') AS identifiants"
        )
    anything = [name for name in columns if name != "source"]
    con.execute(
        f"""
        CREATE VIEW {_ALL} AS SELECT rowid + 1 AS numero, * EXCLUDE (source),
            CASE WHEN {_filled("source")} THEN source END AS source FROM {_RECORDS}
        WHERE {_filled("cle_source")} OR {_filled("nom")}
            OR {_filled(f"concat_ws('', {', '.join(anything)})")}
        """
    )
    con.execute(
        f"""
        CREATE VIEW {_NAMED} AS
        SELECT {_SOURCE} AS source, cle_source, {", ".join([*texts, *typed])} FROM {_ALL}
        WHERE {_filled("nom")}
        """
    )


def _filled(expression: str) -> str:
    return f"coalesce(regexp_matches({expression}, '{_VISIBLE}'), false)"


def _number(column: str) -> str:
    written = rf"replace(regexp_replace({column}, '[\s\p{{Z}}]', '', 'g'), ',', '.')"
    return f"coalesce(TRY_CAST({column} AS DOUBLE), TRY_CAST({written} AS DOUBLE))"


def _coordinate(column: str) -> str:
    bound = _BOUNDS[column]
    number = _number(column)
    return f"CASE WHEN {number} BETWEEN -{bound} AND {bound} THEN {number} END AS {column}"


def _checked(con: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> list[str]:
    """What is to be told of the records. Raises `_RefusedError` for what would mislead."""
    total, found = _seen(con, columns)
    if "sans_cle" in found:
        raise _RefusedError(
            f"{found['sans_cle'].counted('enregistrement')} sans clé ({found['sans_cle'].where}) :"
            " chaque ligne doit avoir la sienne dans cle_source"
        )
    _refuse_duplicates(con)
    if "sans_nom" in found and found["sans_nom"].count == total:
        raise _RefusedError(f"aucun nom dans la colonne « {columns['nom']} »")
    said = {
        "sans_nom": ("enregistrement", "sans nom", "chacun reste seul dans son groupe"),
        "nom_long": (
            "nom",
            f"de plus de {MAX_COMPARED} caractères",
            "le début seul est comparé",
        ),
        "sans_source": ("enregistrement", "sans source", f"« {ONE_SOURCE} » leur en tient lieu"),
        "hors_limites": (
            "point",
            "hors de la Terre",
            "des degrés sont attendus (latitude de -90 à 90, longitude de -180 à 180)",
        ),
        "cle_bordee": ("clé", "avec un blanc au bord", "gardée telle quelle"),
    }
    return [
        f"{found[name].counted(word)} {what} ({found[name].where}) : {outcome}"
        for name, (word, what, outcome) in said.items()
        if name in found
    ]


@dataclass(frozen=True, slots=True)
class _Places:
    """How many records are in some case, and the numbers of the first ones."""

    count: int
    first: list[int]

    @property
    def where(self) -> str:
        return f"n° {_listed(self.first, self.count)}"

    def counted(self, word: str) -> str:
        return _counted(self.count, word)


def _seen(
    con: duckdb.DuckDBPyConnection, columns: Mapping[str, str]
) -> tuple[int, dict[str, _Places]]:
    """Number of records, and the cases that some of them are in."""
    conditions = {
        "sans_cle": f"NOT {_filled('cle_source')}",
        "cle_bordee": r"regexp_matches(cle_source, '^[\s\p{Z}]|[\s\p{Z}]$')",
        "sans_nom": f"NOT {_filled('nom')}",
        "nom_long": f"length(nom) > {MAX_COMPARED}",
    }
    if "source" in columns:
        conditions["sans_source"] = "source IS NULL"
    points = [
        f"(coalesce({_number(name)} NOT BETWEEN -{bound} AND {bound}, true) AND {_filled(name)})"
        for name, bound in _BOUNDS.items()
        if name in columns
    ]
    if points:
        conditions["hors_limites"] = " OR ".join(points)
    cases = ", ".join(f"{condition} AS {name}" for name, condition in conditions.items())
    counts = ", ".join(
        f"count(*) FILTER ({name}), min(numero, {_MAX_SHOWN}) FILTER ({name})"
        for name in conditions
    )
    row = con.execute(
        f"SELECT count(*), {counts} FROM (SELECT numero, {cases} FROM {_ALL})"
    ).fetchone()
    total, *rest = row or (0,)
    places = zip(conditions, rest[::2], rest[1::2], strict=True)
    return total, {name: _Places(count, first) for name, count, first in places if count}


def _refuse_duplicates(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(
        f"""
        SELECT {_SOURCE} AS s, cle_source, count(*) AS n,
               min(numero, {_MAX_SHOWN}) AS premiers, count(*) OVER () AS total
        FROM {_ALL} GROUP BY s, cle_source HAVING count(*) > 1
        ORDER BY premiers LIMIT {_MAX_SHOWN}
        """
    ).fetchall()
    if not rows:
        return
    shown = [
        f"{_short(source)}:{_short(key)} aux enregistrements {_listed(first, count)}"
        for source, key, count, first, _ in rows
    ]
    total = rows[0][-1]
    more = f" ; et {_spaced(total - len(rows))} autres" if total > len(rows) else ""
    said = "clé répétée" if total == 1 else "clés répétées"
    raise _RefusedError(
        f"{_spaced(total)} {said} : {' ; '.join(shown)}{more}."
        " Une clé est unique dans sa source : ôter les lignes en trop, ou désigner une autre"
        " colonne par --map cle_source=titre"
    )


def _listed(first: Sequence[int], count: int) -> str:
    more = f"… ({_spaced(count)} en tout)" if count > len(first) else ""
    return ", ".join(map(str, first)) + more


def _counted(count: int, word: str) -> str:
    return f"{_spaced(count)} {word}{'s' if count > 1 else ''}"


def _spaced(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def _short(text: str) -> str:
    """A key in one short line."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_KEY_SHOWN else f"{line[:_MAX_KEY_SHOWN]}…"


def _decision_notes(con: duckdb.DuckDBPyConnection, decisions: Decisions) -> list[str]:
    """Decisions in force that change nothing here, and why."""
    notes = []
    others = [line for line in decisions.active if line.decision not in PAIR_KINDS]
    if others:
        kinds = ", ".join(sorted({line.decision for line in others}))
        notes.append(
            f"{_counted(len(others), 'décision')} sans effet ici ({kinds}) :"
            " seules celles sur deux fiches comptent"
        )
    decided = sorted({key for pair in decisions.pairs for key in pair})
    absent = [
        key
        for (key,) in con.execute(
            f"SELECT k FROM (SELECT unnest($1::VARCHAR[]) AS k) WHERE k NOT IN"
            f" (SELECT source || ':' || cle_source FROM {_NAMED}) ORDER BY k",
            [decided],
        ).fetchall()
    ]
    if absent:
        more = "…" if len(absent) > _MAX_SHOWN else ""
        notes.append(
            f"décisions en attente : {_counted(len(absent), 'fiche')} hors du fichier, ou sans nom"
            f" ({', '.join(map(_short, absent[:_MAX_SHOWN]))}{more})"
        )
    return notes


def _with_unnamed(con: duckdb.DuckDBPyConnection, clusters: pa.Table) -> pa.Table:
    """The clusters, and each record without a name alone in its own, numbered again."""
    row = con.execute(f"SELECT count(*) FROM {_ALL} WHERE NOT {_filled('nom')}").fetchone()
    if not row or not row[0]:
        return clusters
    con.register("groupes", clusters)
    table = con.sql(
        f"""
        WITH toutes AS (
            SELECT source, cle_source, cluster FROM groupes
            UNION ALL
            SELECT {_SOURCE}, cle_source, -numero FROM {_ALL}
            WHERE NOT {_filled("nom")}
        ), rangs AS (
            SELECT *, row_number() OVER (ORDER BY source, cle_source) AS rang FROM toutes
        ), premiers AS (
            SELECT *, min(rang) OVER (PARTITION BY cluster) AS premier FROM rangs
        )
        SELECT source, cle_source, dense_rank() OVER (ORDER BY premier) - 1 AS cluster
        FROM premiers ORDER BY rang
        """
    ).to_arrow_table()
    con.unregister("groupes")
    return table


def _identified(
    con: duckdb.DuckDBPyConnection, clusters: pa.Table, ledger: Ledger, permanent: PermanentIds
) -> tuple[pa.Table, pa.Table, Ledger]:
    """Clusters under their permanent ids, the last id of every record ever seen, the ledger."""
    groups: defaultdict[int, list[Key]] = defaultdict(list)
    for source, key, number in zip(*(column.to_pylist() for column in clusters), strict=True):
        groups[number].append((source, key))
    previous: dict[Key, str] = {}
    if permanent.members.is_file():
        rows = con.execute(
            "SELECT source, cle_source, id FROM read_parquet($1)", [str(permanent.members)]
        ).fetchall()
        previous = {(source, key): identifier for source, key, identifier in rows}
    present, after = advance(ledger, groups.values(), previous, permanent.day.isoformat())
    return _ids(present, "cluster"), _ids(previous | present, "id"), after


def _ids(identifiers: Mapping[Key, str], name: str) -> pa.Table:
    keys = sorted(identifiers)
    return pa.table(
        {
            "source": pa.array([source for source, _ in keys], pa.string()),
            "cle_source": pa.array([key for _, key in keys], pa.string()),
            name: pa.array([identifiers[key] for key in keys], pa.string()),
        }
    )


def _write(con: duckdb.DuckDBPyConnection, table: pa.Table, path: Path) -> None:
    if path.suffix.lower() == ".parquet":
        pq.write_table(table, path)
    else:
        con.register("sortie", table)
        con.execute("COPY (SELECT * FROM sortie) TO $1 (FORMAT csv, HEADER)", [str(path)])
        con.unregister("sortie")
    sync(path)
