"""From the snapshots of all sources to every published table, in one DuckDB file.

The file is built beside the former one and renamed: whoever reads sees one whole refinement. Its
table `raffinage` holds the day of the refinement, which dates the release made from it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data import (
    acceptance,
    capture,
    coverage,
    files,
    fuse,
    reference,
    resolve,
    snapshot,
)
from lowtech_data.acceptance import Waiting
from lowtech_data.extract.base import REJECT_SCHEMA
from lowtech_data.model import LISTS, SNAPSHOT_SCHEMA, TABLES, TRANSFORMATION_SCHEMA
from lowtech_data.publish.release import LEDGER_FILE
from lowtech_data.publish.tables import scan
from lowtech_data.redact import redacted
from lowtech_data.registry import Registry, Source
from lowtech_data.resolve.decisions import Decisions
from lowtech_data.resolve.identity import Key, Ledger, advance
from lowtech_data.snapshot import Snapshot
from lowtech_data.warehouse import Warehouse

CORRECTIONS_SOURCE = "corrections"
"""The `sources` row that values corrected by people come from."""

REKEYINGS_FILE = "cles.jsonl"
"""People's file of the keys that a source changed: one line a fiche, `ancienne` and `nouvelle`."""


_HOST_TYPES = (
    "entreprise", "cooperative", "association", "lieu_formation", "enseignement_recherche",
    "manufacture_collaborative", "tiers_lieu", "collectivite",
)  # fmt: skip
"""Kinds of body that host others, the likeliest host last."""


class NothingToPublishError(RuntimeError):
    """No source has ever given a fiche."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """What one refinement made, for people."""

    counts: Mapping[str, int]
    to_review: int
    """Pairs that wait for a person."""
    warnings: tuple[str, ...]


def refine(
    registry: Registry,
    warehouse: Warehouse,
    curated: Path,
    *,
    release_day: Callable[[str], date],
    progress: Callable[[str], None] = lambda step: None,
) -> Refinement:
    """Resolve and fuse the last known fiches of every declared source.

    `curated` is the folder of people's decisions and objections; `release_day` gives the day of the
    refinement from the day of the newest bytes. Raises `resolve.decisions.DecisionError` when a
    decision cannot be read, or contradicts another on the present keys of fiches, and
    `NothingToPublishError` when there is no fiche at all; the former database stays then.
    """
    decisions = Decisions.load(curated / "decisions.jsonl")
    objections = _objections(curated / "objections.jsonl")
    rekeyings = _rekeyings(curated / REKEYINGS_FILE)
    snapshots = {
        source.id: known for source in registry if (known := snapshot.load(warehouse, source.id))
    }
    unread = acceptance.waiting(registry, snapshots, acceptance.accepted(curated / acceptance.FILE))
    published = {name: known for name, known in snapshots.items() if name not in unread}
    dates = [known.state.data_date for known in published.values() if known.state.data_date]
    if not dates:
        told = [f"source {name} : {first.what}" for name, first in unread.items()]
        raise NothingToPublishError(
            " ; ".join(["aucune source n’a encore donné de fiche à publier", *told])
        )
    day = release_day(max(dates)).isoformat()
    partial = warehouse.root / ".part-entrepot.duckdb"
    partial.unlink(missing_ok=True)
    with duckdb.connect(str(partial)) as con:
        progress("lecture des fiches")
        _load(con, registry, published)
        ledger = _last_ledger(warehouse)
        previous = _previous_members(con, warehouse.current_release())
        renamed, waiting = _renamed(con, registry, rekeyings, ledger, previous)
        rekeyed = ledger.rekeyed(renamed, day)
        decisions = decisions.following(rekeyed.present_key)
        waiting += _on_absent_fiches(con, decisions, rekeyed)
        waiting += [f"avertissement : source {name} : {it.what}" for name, it in unread.items()]
        withdrawn = _withdraw(con, decisions, objections, rekeyed)
        fuse.publishable(con)
        progress("rapprochement")
        matching = resolve.match(con, _to_match(con), decisions=decisions)
        members, ledger = advance(
            ledger,
            _groups(con, matching.clusters),
            previous,
            day,
            renamed=renamed,
            withdrawn=withdrawn,
        )
        _store_members(con, members)
        progress("fusion")
        _corrections(con, decisions)
        fuse.fuse(con, data_date=max(dates))
        progress("tables")
        _people_tables(con, matching.pairs, decisions)
        _resources(con)
        _listings(con, registry, warehouse, snapshots, unread)
        _insert(con, "identifiants", ledger.table())
        _reference_tables(con)
        coverage.measure(con)
        _complete(con)
        con.execute("CREATE TABLE raffinage AS SELECT $day AS jour", {"day": day})
        counts = {name: _count(con, f"FROM {name}") for name in ("fiches", "initiatives")}
        to_review = _count(con, "FROM paires WHERE decision = 'a_revoir'")
    partial.replace(warehouse.database)
    files.sync(warehouse.root)
    warehouse.candidate_ledger.unlink(missing_ok=True)
    ledger.save(warehouse.candidate_ledger)
    return Refinement(counts, to_review, (*matching.warnings, *waiting))


def _load(
    con: duckdb.DuckDBPyConnection, registry: Registry, snapshots: Mapping[str, Snapshot]
) -> None:
    """Tables `fiches_connues`, `transformations`, `rejets_connus`, `registre_sources`."""
    known = list(snapshots.values())
    for name, schema, tables in (
        ("fiches_connues", SNAPSHOT_SCHEMA, [s.fiches() for s in known]),
        ("transformations", TRANSFORMATION_SCHEMA, [s.transformations() for s in known]),
        ("rejets_connus", REJECT_SCHEMA, [s.rejects() for s in known]),
    ):
        _store(con, f"TEMP TABLE {name}", pa.concat_tables([schema.empty_table(), *tables]))
    columns = {
        "id": pa.string(), "editeur": pa.string(), "licence": pa.string(),
        "attribution": pa.string(), "republication": pa.string(), "fiabilite": pa.string(),
        "copie_de": pa.list_(pa.string()),
    }  # fmt: skip
    rows = [{name: getattr(source, name) for name in columns} for source in registry]
    known_sources = pa.Table.from_pylist(rows, pa.schema(list(columns.items())))
    _store(con, "TEMP TABLE registre_sources", known_sources)


def _withdraw(
    con: duckdb.DuckDBPyConnection,
    decisions: Decisions,
    objections: Mapping[str, str],
    ledger: Ledger,
) -> dict[Key, str]:
    """Make `fiches_brutes` without what people asked to be removed; says which and why.

    An objection names a fiche by the SHA-256 of source, newline and key, so that the file of
    objections does not itself publish whom it protects. It goes on under the keys that the fiche
    has later. What a source listed under keys that it gave up is not there either.
    """
    reasons = {_key(name): line.motif for name, line in decisions.withdrawals.items()}
    if objections:
        rows = con.execute(
            "SELECT source_id, cle_source, sha256(source_id || chr(10) || cle_source) "
            "FROM fiches_connues"
        ).fetchall()
        reasons |= {(s, k): objections[digest] for s, k, digest in rows if digest in objections}
        reasons |= {
            ledger.present_key(old): objections[digest]
            for old in sorted(ledger.former_keys)
            if (digest := objection_digest(*old)) in objections
        }
    con.execute("CREATE TEMP TABLE retirees (source_id VARCHAR, cle_source VARCHAR)")
    absent = con.execute(
        "SELECT source_id, cle_source FROM fiches_connues WHERE absent_depuis IS NOT NULL"
    ).fetchall()
    left_out = reasons.keys() | (set(absent) & ledger.former_keys)
    if left_out:
        con.executemany("INSERT INTO retirees VALUES (?, ?)", [list(key) for key in left_out])
    con.execute(
        "CREATE TEMP TABLE fiches_brutes AS SELECT * FROM fiches_connues "
        "ANTI JOIN retirees USING (source_id, cle_source)"
    )
    return reasons


def _to_match(con: duckdb.DuckDBPyConnection) -> str:
    """The view of fiches that are matched: initiatives of sources that may be republished.

    They are compared on all that is known of them, published or not.
    """
    con.execute(
        "CREATE TEMP VIEW a_rapprocher AS "
        "SELECT b.source_id AS source, b.* EXCLUDE (source_id) FROM fiches_brutes b "
        "SEMI JOIN fiches_publiables USING (source_id, cle_source) WHERE b.entite = 'initiative'"
    )
    return "a_rapprocher"


def _groups(con: duckdb.DuckDBPyConnection, clusters: pa.Table) -> list[list[Key]]:
    """The fiches of each initiative, and each resource."""
    groups: defaultdict[int, list[Key]] = defaultdict(list)
    for source, key, number in zip(*(column.to_pylist() for column in clusters), strict=True):
        groups[number].append((source, key))
    others = con.execute(
        "SELECT source_id, cle_source FROM fiches_publiables WHERE entite <> 'initiative'"
    ).fetchall()
    return [*groups.values(), *([(source, key)] for source, key in others)]


def _store_members(con: duckdb.DuckDBPyConnection, members: Mapping[Key, str]) -> None:
    """Table `appartenance`: the permanent id of each fiche."""
    rows = [{"source_id": s, "cle_source": k, "entite_id": i} for (s, k), i in members.items()]
    schema = pa.schema([(n, pa.string()) for n in ("source_id", "cle_source", "entite_id")])
    _store(con, "TEMP TABLE appartenance", pa.Table.from_pylist(rows, schema))


def _last_ledger(warehouse: Warehouse) -> Ledger:
    """The ledger of the current release, which is all that is needed to go on from it."""
    current = warehouse.current_release()
    return Ledger.load(current / LEDGER_FILE if current else warehouse.ledger)


def _previous_members(con: duckdb.DuckDBPyConnection, current: Path | None) -> dict[Key, str]:
    if current is None:
        return {}
    rows = con.execute(
        f"SELECT source_id, cle_source, initiative_id FROM {scan(current, 'fiches')} "
        "WHERE initiative_id IS NOT NULL "
        f"UNION ALL SELECT source_id, cle_source, id FROM {scan(current, 'ressources')}"
    ).fetchall()
    return {(source, key): identifier for source, key, identifier in rows}


def _renamed(
    con: duckdb.DuckDBPyConnection,
    registry: Registry,
    declared: Mapping[Key, Key],
    ledger: Ledger,
    previous: Mapping[Key, str],
) -> tuple[dict[Key, Key], list[str]]:
    """Former key → present one, for what is already so in the fiches; and what is not, in words.

    A source that has another id kept the keys of its fiches.
    """
    former = {source.renommee_de: source.id for source in registry if source.renommee_de}
    if not former and not declared:
        return {}, []
    listed = {
        (source, key): absent is None
        for source, key, absent in con.execute(
            "SELECT source_id, cle_source, absent_depuis FROM fiches_connues"
        ).fetchall()
    }
    known = previous.keys() | {identity.fondateur for identity in ledger.identities.values()}
    moves = {
        (source, key): (former[source], key)
        for source, key in known
        if source in former and (former[source], key) in listed
    }
    targets = set(declared.values())
    waiting = []
    for old, new in declared.items():
        if old in ledger.former_keys or (new in listed and (old in targets or not listed.get(old))):
            moves[old] = new
            continue
        why = f"{':'.join(old)} existe encore" if new in listed else f"{':'.join(new)} n’existe pas"
        waiting.append(f"avertissement : {REKEYINGS_FILE} : renommage sans effet, {why}")
    return moves, waiting


def _on_absent_fiches(
    con: duckdb.DuckDBPyConnection, decisions: Decisions, ledger: Ledger
) -> list[str]:
    """The decisions in force that name a fiche which no source gives, in words.

    A key that a source gave up for another is not there either.
    """
    rows = con.execute(
        "SELECT source_id, cle_source, absent_depuis IS NOT NULL FROM fiches_connues"
    ).fetchall()
    known = {f"{s}:{k}" for s, k, absent in rows if not (absent and (s, k) in ledger.former_keys)}
    return [
        f"avertissement : {decisions.source}, {decisions.describe(line)} : fiche absente, "
        "la décision est gardée"
        for line in decisions.orphans(known)
    ]


def _corrections(con: duckdb.DuckDBPyConnection, decisions: Decisions) -> None:
    """Table `corrections`: the last word of people on a field, by entity."""
    con.execute(
        "CREATE TEMP TABLE mots (cle VARCHAR, champ VARCHAR, valeur VARCHAR, decision VARCHAR, "
        "rang INTEGER)"
    )
    order = {line.id: rank for rank, line in enumerate(decisions.lines)}
    rows = [
        [key, name, line.valeur, line.id, order[line.id]]
        for key, fields in decisions.corrections.items()
        for name, line in fields.items()
    ]
    rows += [
        [key, "statut", "ferme", line.id, order[line.id]]
        for key, line in decisions.closures.items()
    ]
    if rows:
        con.executemany("INSERT INTO mots VALUES (?, ?, ?, ?, ?)", rows)
    con.execute(
        """
        CREATE TEMP TABLE corrections AS
        SELECT DISTINCT ON (a.entite_id, m.champ) a.entite_id, m.champ, m.valeur, m.decision
        FROM mots m JOIN appartenance a ON a.source_id || ':' || a.cle_source = m.cle
        ORDER BY a.entite_id, m.champ, m.rang DESC
        """
    )


def _people_tables(con: duckdb.DuckDBPyConnection, pairs: pa.Table, decisions: Decisions) -> None:
    """`paires` and `relations`, from what was compared and decided.

    A person's word gives a link its direction, else the rule that saw the host, else `_direction`.
    """
    con.register("arrow", pairs)
    con.execute("CREATE TEMP TABLE mots_paires (a VARCHAR, b VARCHAR, date VARCHAR, sujet VARCHAR)")
    words = [
        [*pair, line.date[:10], line.a if line.decision == "lie" else None]
        for pair, line in decisions.pairs.items()
    ]
    if words:
        con.executemany("INSERT INTO mots_paires VALUES (?, ?, ?, ?)", words)
    con.execute(
        """
        CREATE TABLE paires AS
        SELECT p.source_a || ':' || p.cle_a AS a, p.source_b || ':' || p.cle_b AS b, p.score,
               p.details, p.decision, p.decide_par, p.predicat, p.motif,
               CASE WHEN p.decide_par = 'humain' THEN m.date END AS date
        FROM arrow p
        LEFT JOIN mots_paires m ON (m.a, m.b) IN (
            (p.source_a || ':' || p.cle_a, p.source_b || ':' || p.cle_b),
            (p.source_b || ':' || p.cle_b, p.source_a || ':' || p.cle_a))
        """
    )
    con.unregister("arrow")
    con.execute(
        f"""
        CREATE TABLE relations AS
        WITH liens AS (
            SELECT p.a, p.b, p.predicat, m.sujet, p.details ->> 'hote' AS hote,
                   x.entite_id AS id_a, y.entite_id AS id_b,
                   {_direction("x")} AS rang_a, {_direction("y")} AS rang_b
            FROM paires p
            JOIN fiches_liees x ON x.source_id || ':' || x.cle_source = p.a
            JOIN fiches_liees y ON y.source_id || ':' || y.cle_source = p.b
            LEFT JOIN mots_paires m ON (m.a, m.b) IN ((p.a, p.b), (p.b, p.a))
            WHERE p.decision = 'lie' AND p.predicat IS NOT NULL AND x.entite_id <> y.entite_id
        ), orientes AS (
            SELECT *, coalesce(sujet = a, hote = 'b', rang_a <= rang_b) AS a_est_sujet FROM liens
        )
        SELECT DISTINCT ON (sujet_id, predicat, objet_id)
               CASE WHEN a_est_sujet THEN id_a ELSE id_b END AS sujet_id, predicat,
               CASE WHEN a_est_sujet THEN id_b ELSE id_a END AS objet_id,
               a || ' / ' || b AS fiche
        FROM orientes ORDER BY sujet_id, predicat, objet_id, fiche
        """
    )


def _direction(alias: str) -> str:
    """Sort key of a fiche in a link that a rule found: the smaller one is the subject.

    What is hosted, or a branch, is the more special activity; what hosts, or has branches, is the
    more general body with the shorter name. A move leads to the more recent record.
    """
    hosts = ", ".join(f"'{code}'" for code in _HOST_TYPES)
    return f"""(
        CASE p.predicat WHEN 'demenage' THEN -date_diff('day', DATE '1970-01-01',
                 CAST(coalesce({alias}.date_maj, {alias}.derniere_vue) AS DATE))
             ELSE coalesce(list_position([{hosts}], {alias}.type), 0) END,
        -len({alias}.nom), {alias}.source_id, {alias}.cle_source)"""


def _resources(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """
        CREATE TABLE ressources AS
        SELECT entite_id AS id, nom AS titre, nature_ressource AS nature, themes, etapes,
               NULL AS resultat, difficulte, duree_h, cout_eur, licence_fiche AS licence,
               attribution_fiche AS attribution, langue, url, date_publication,
               NULL AS initiative_id, source_id, cle_source
        FROM fiches_liees WHERE entite = 'ressource' ORDER BY id
        """
    )


def _listings(
    con: duckdb.DuckDBPyConnection,
    registry: Registry,
    warehouse: Warehouse,
    snapshots: Mapping[str, Snapshot],
    unread: Mapping[str, Waiting],
) -> None:
    """`sources`, `moissons`, `captures`, `rejets` and the published `fiches`."""
    states = {name: known.state for name, known in snapshots.items()}
    counted = dict(
        con.execute(
            "SELECT source_id, count(*) FROM fiches_brutes WHERE absent_depuis IS NULL GROUP BY 1"
        ).fetchall()
    )
    rows = [
        _source_row(source, states.get(source.id), counted.get(source.id, 0), unread.get(source.id))
        for source in registry
    ]
    if _count(con, "FROM corrections"):
        rows.append(_corrections_row())
    _insert(con, "sources", rows)
    _insert(con, "moissons", [r for s in registry for r in snapshot.as_rows(s, states.get(s.id))])
    con.execute(
        """
        CREATE TABLE rejets AS
        SELECT DISTINCT ON (source_id, cle_source, champ, regle) k.*
        FROM rejets_connus k JOIN registre_sources r ON r.id = k.source_id
        WHERE r.republication IN ('complete', 'faits_et_lien')
        ORDER BY source_id, cle_source, champ, regle, valeur_masquee
        """
    )
    columns = ", ".join(f'"{name}"' for name in TABLES["fiches"].names)
    con.execute(
        f"""
        CREATE TABLE fiches AS SELECT {columns} FROM (
            SELECT f.*, CASE WHEN f.entite = 'initiative' THEN f.entite_id END AS initiative_id
            FROM fiches_liees f)
        ORDER BY source_id, cle_source
        """
    )
    known = _shown_addresses(capture.Store(warehouse.captures).captures())
    con.register("arrow", known)
    con.execute(
        """
        CREATE TABLE captures AS
        SELECT DISTINCT c.* FROM arrow c
        WHERE (c.empreinte, c.source_id) IN (SELECT (capture, source_id) FROM fiches)
        """
    )
    con.unregister("arrow")


def _shown_addresses(captures: pa.Table) -> pa.Table:
    """Captures without the personal data that the address of a page, or a file's name, may hold."""
    urls = pa.array([redacted(url) for url in captures["url"].to_pylist()], pa.string())
    return captures.set_column(captures.schema.get_field_index("url"), "url", urls)


def _source_row(
    source: Source, state: snapshot.State | None, present: int, first: Waiting | None
) -> dict[str, Any]:
    row = {name: getattr(source, name, None) for name in TABLES["sources"].names}
    row |= {
        "url": redacted(source.public_url),
        "sante": snapshot.health(source, state),
        "donnees_du": state.data_date if state else None,
        "dernier_succes": state.last_success if state else None,
        "nb_fiches": present,
    }
    # Nothing of it is published: for whoever reads the base, it is paused.
    unread = {"etat": "en_pause", "motif_etat": first.what, "sante": "figee"} if first else {}
    return row | unread


def _corrections_row() -> dict[str, Any]:
    """The pseudo-source that values written by people come from."""
    row: dict[str, Any] = dict.fromkeys(TABLES["sources"].names)
    return row | {
        "id": CORRECTIONS_SOURCE,
        "nom": "Corrections de l’équipe",
        "editeur": "lowtech-data",
        "plateforme": "decisions",
        "licence": "odbl-1.0",
        "republication": "complete",
        "fiabilite": "officielle",
        "etat": "active",
        "preuve": "vu",
        "sante": "ok",
        "nb_fiches": 0,
    }


def _reference_tables(con: duckdb.DuckDBPyConnection) -> None:
    _store(con, "TABLE territoires", reference.territories())
    _insert(
        con,
        "codes",
        [
            {
                "liste": name,
                "code": code.code,
                "libelle_fr": code.label_fr,
                "label_en": code.label_en,
                "definition": code.definition,
                "uri": None,
            }
            for name, codes in LISTS.items()
            for code in codes
        ],
    )


def _complete(con: duckdb.DuckDBPyConnection) -> None:
    """Give every table its declared columns and types; those that nothing fills yet are empty."""
    present = {row[0] for row in con.execute("SHOW TABLES").fetchall()}
    for name, table in TABLES.items():
        if name not in present:
            con.execute(table.duckdb_ddl())
            continue
        found = [(row[0], row[1]) for row in con.execute(f'DESCRIBE "{name}"').fetchall()]
        if found != [(c.name, c.kind.duckdb) for c in table.columns]:
            columns = ", ".join(
                f'CAST("{c.name}" AS {c.kind.duckdb}) AS "{c.name}"' for c in table.columns
            )
            con.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT {columns} FROM "{name}"')


def _insert(con: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    table = pa.Table.from_pylist(list(rows), TABLES[name].arrow_schema())
    _store(con, f"TABLE {name}", table)


def _store(con: duckdb.DuckDBPyConnection, target: str, table: pa.Table) -> None:
    """Create `target` (`TABLE name` or `TEMP TABLE name`) from an Arrow table."""
    con.register("arrow", table)
    con.execute(f"CREATE {target} AS FROM arrow")
    con.unregister("arrow")


def _objections(path: Path) -> dict[str, str]:
    """Hash of each fiche that someone asked to remove → reason. Raises `ValueError` by line."""
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            digest, reason = str(entry["empreinte"]), str(entry.get("motif", "objection"))
            bytes.fromhex(digest)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, ligne {number} : attendu un objet avec « empreinte » (SHA-256 de la "
                f"source, d’un saut de ligne et de la clé) : {error}"
            ) from error
        found[digest] = reason
    return found


def _rekeyings(path: Path) -> dict[Key, Key]:
    """Former key → new one, as sources that changed their keys declare it. Raises `ValueError` by
    line.
    """
    if not path.exists():
        return {}
    found: dict[Key, Key] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            old, new = _key(str(entry["ancienne"])), _key(str(entry["nouvelle"]))
            if not all((*old, *new)):
                raise ValueError("une fiche se nomme « source:clé »")
            if found.setdefault(old, new) != new:
                raise ValueError(f"{':'.join(old)} est déjà renommée plus haut")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, ligne {number} : attendu un objet avec « ancienne » et « nouvelle », "
                f"fiches nommées « source:clé » : {error}"
            ) from error
    return found


def objection_digest(source_id: str, key: str) -> str:
    """What names a fiche in `objections.jsonl` without saying which one it is."""
    return hashlib.sha256(f"{source_id}\n{key}".encode()).hexdigest()


def _key(name: str) -> Key:
    source, _, key = name.partition(":")
    return source, key


def _count(con: duckdb.DuckDBPyConnection, source: str) -> int:
    row = con.execute(f"SELECT count(*) {source}").fetchone()
    return int(row[0]) if row else 0
