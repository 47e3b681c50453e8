"""A harvest compared with the last good one of its source: what a count of rows does not see.

A listing that changes shape often keeps its number of records: a column is emptied, two are
swapped, every place gets the same coordinates, keys name other places. Each check here states one
such trouble as a rule with fixed thresholds, on the tables of both harvests, and says what was
there before, what is there now and what to do. The thresholds leave alone what a living listing
does in a week: a few records in a hundred edited, added or removed.

A finding is refused when publishing would put wrong values, or values of another place, under
known identities, or lose what makes a record usable; anything else is told and published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import duckdb
import pyarrow as pa

from lowtech_data.extract.base import TEXT_FIELDS
from lowtech_data.model import LISTS

MIN_FICHES = 5
"""Fiches that a trouble touches at least: fewer are edits."""

FILLED_BEFORE = 0.20
"""Share of fiches where a field was filled for its loss to be told."""
EMPTIED = 1 / 3
"""Of its former fill rate, what is left of a field at most when it is said to be emptied."""
LESS_FILLED = 2 / 3
"""The same, when it is only said to be filled less often."""
ESSENTIAL = frozenset(
    {"nom", "adresse", "code_postal", "commune", "latitude", "longitude", "site_web", "type"}
)
"""Fields that let someone find a place, and know what it is: emptied, the harvest is refused."""

MOVED = 0.25
"""Share of fiches that changed sides between the values of a code list (total variation)."""
MIN_CODED = 20
"""Fiches on each side under which shares of codes say nothing."""

MORE_OFTEN = 0.20
"""Rise, in share of fiches, of a rule of cleaning that is told."""
MOSTLY = 0.50
"""Share of fiches from which a trouble is that of the listing, not of its records."""
CONTRADICTIONS = frozenset(
    {
        "caracteres_perdus",
        "code_insee_contredit",
        "code_postal_contredit",
        "commune_contredite_par_la_position",
        "loin_de_la_commune",
    }
)
"""Rules that say that the fields of one record do not go together, or lost their letters: when
most fiches meet one that few met, a column slipped or the encoding is wrong, and it is refused."""
TOLD_APART = frozenset({"code_inconnu", "colonne_absente", "colonne_non_declaree"})
"""Rules that `snapshot` tells by itself."""

REPEATED = 0.20
"""Share of fiches with one same value from which it is told, when it was under half of it."""
REPEATED_AT_FIRST = 0.30
"""The same at a first harvest, when nothing says what the listing was like."""
MIN_REPEATED = 10
LESS_VARIED = 0.5
"""Of the former number of different values per fiche, what is left at most."""

REPLACED = 0.10
"""Share of known keys that name another place from which a harvest is refused."""
REKEYED = 0.10
"""Share of fiches that come back under another key from which it is told."""
FAR_KM = 5.0
"""Distance from which two positions are not those of one place."""

PAGE_SIZES = frozenset({10, 20, 25, 50, 100, 200, 250, 500, 1000})
"""What a page of an API or a listing usually holds."""
PAGE_LOSS = 0.05
"""Loss from which a listing of exactly such a size is taken for its first page."""
FALL = 0.15
"""Loss that is told, under the one that is refused."""

SHOWN = 3

FIELDS_WRITTEN = TEXT_FIELDS
"""Fields whose presence is counted as the source wrote them, before cleaning."""

Level = Literal["refus", "avertissement"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One trouble of a harvest."""

    rule: str
    level: Level
    message: str
    """In French: what was, what is, what to do."""
    concerns: Literal["contenu", "volume", "cles"] = "contenu"

    def __str__(self) -> str:
        """The rule, then the message."""
        return f"{self.rule} : {self.message}"

    @property
    def refused(self) -> bool:
        """Whether the last good fiches should stay."""
        return self.level == "refus"

    def as_warning(self) -> Finding:
        """The same, only told."""
        return replace(self, level="avertissement")


@dataclass(frozen=True, slots=True)
class Side:
    """One harvest: its clean tables, and what its source wrote."""

    fiches: pa.Table
    """Columns of `CLEAN_SCHEMA` at least; present fiches only."""
    transformations: pa.Table
    rejects: pa.Table
    read: int | None = None
    """Records met in the payload."""
    written: Mapping[str, int] | None = None
    """As `written` gives it; `None` when it was not kept."""


def written(raw: pa.Table) -> dict[str, int]:
    """How many raw fiches have a value in each of `FIELDS_WRITTEN`, and under `*` how many there
    are. It holds no value, and is kept with the snapshot.
    """
    counts = {name: raw.num_rows - raw[name].null_count for name in FIELDS_WRITTEN}
    return {"*": raw.num_rows, **counts}


def findings(now: Side, before: Side | None) -> tuple[Finding, ...]:
    """What is wrong with a harvest, compared with the last good one when there is one.

    The refusals come first; the order is otherwise that of the checks. Nothing depends on the order
    of the rows.
    """
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        _install(con, now, "now")
        if before is None or before.fiches.num_rows == 0:
            found = list(_repeated_at_first(con))
        else:
            _install(con, before, "before")
            con.execute(_COMMON)
            found = [f for check in _CHECKS for f in check(con, now, before)]
    return tuple(sorted(found, key=lambda finding: not finding.refused))


def _install(con: duckdb.DuckDBPyConnection, side: Side, name: str) -> None:
    con.register(f"{name}_given", side.fiches)
    con.register(f"{name}_transformations", side.transformations)
    con.register(f"{name}_rejects", side.rejects)
    con.execute(
        f"""
        CREATE TEMP TABLE {name}_fiches AS
        SELECT *, lower(strip_accents(nom)) AS nom_plie,
               round(latitude, 5)::VARCHAR || ' ' || round(longitude, 5)::VARCHAR AS coordonnees
        FROM {name}_given
        """
    )
    con.execute(
        f"""
        CREATE TEMP TABLE {name}_rules AS
        SELECT champ, unnest(string_split(regle, '+')) AS regle, 'clean' AS kind, cle_source
        FROM {name}_transformations
        UNION ALL
        SELECT champ, regle, 'reject', cle_source FROM {name}_rejects
        """
    )


_COMMON = """
CREATE TEMP TABLE common AS
SELECT cle_source, n AS now, b AS before
FROM now_fiches n JOIN before_fiches b USING (cle_source)
"""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _ratio(count: int, total: int) -> float:
    return count / total if total else 0.0


_DECLARED = {
    "resume": "description",
    "type": "categories",
    "themes": "categories",
    "coordonnees": "latitude",
}
"""What `champs` calls the fields that cleaning names otherwise."""


def _look(field: str) -> str:
    return f"vérifier champs.{_DECLARED.get(field, field)} et la page de la source"


_FILLED = (
    "nom", "resume", "adresse", "code_postal", "commune", "latitude", "site_web", "courriel",
    "telephone", "siret", "rna", "horaires", "type", "nature_ressource", "date_maj", "licence",
    "url", "themes", "familles", "etapes", "identifiants", "date_publication",
)  # fmt: skip


def _fill(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`champ_vide`, `champ_moins_rempli`: a field lost its values, as written or once clean."""
    told: set[str] = set()
    for field, was, count, had, total in [*_written_fill(now, before), *_clean_fill(con)]:
        name = _ALIASES.get(field, field)
        former, present = _ratio(was, had), _ratio(count, total)
        lost = former * total - count
        if name in told or former < FILLED_BEFORE or lost < MIN_FICHES:
            continue
        rates = f"{field} : rempli dans {_percent(former)} des fiches auparavant, dans"
        if present < former * EMPTIED:
            told.add(name)
            level: Level = "refus" if name in ESSENTIAL else "avertissement"
            text = f"{rates} {_percent(present)} maintenant ; {_look(field)}"
            yield Finding("champ_vide", level, text)
        elif present < former * LESS_FILLED:
            told.add(name)
            text = f"{rates} {_percent(present)} maintenant ; {_look(field)}"
            yield Finding("champ_moins_rempli", "avertissement", text)


_ALIASES = {
    "description": "resume",
    "longitude": "latitude",
    "themes": "type",
    "familles": "type",
}
"""Fields that go away with another one: told once."""


def _written_fill(now: Side, before: Side) -> Iterator[tuple[str, int, int, int, int]]:
    if not now.written or not before.written:
        return
    for field in FIELDS_WRITTEN:
        was, count = before.written.get(field, 0), now.written.get(field, 0)
        yield field, was, count, before.written["*"], now.written["*"]


def _clean_fill(con: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, int, int, int, int]]:
    counts = ", ".join(f"count(*) FILTER (len({name}::VARCHAR) > 2)" for name in _FILLED)
    had, *was = _row(con, f"SELECT count(*), {counts} FROM before_fiches")
    total, *count = _row(con, f"SELECT count(*), {counts} FROM now_fiches")
    for field, former, present in zip(_FILLED, was, count, strict=True):
        yield field, former, present, had, total


_CODED = ("type", "nature", "nature_ressource", "statut", "themes", "code_departement")
_IMPLIED = frozenset({"nature", "themes"})
"""What the type may imply: they move with it."""


def _codes(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`repartition`: the share of each code moved, though codes and counts look as usual."""
    if min(now.fiches.num_rows, before.fiches.num_rows) < MIN_CODED:
        return
    told = False
    for field in _CODED:
        if told and field in _IMPLIED:
            continue
        rows = con.execute(
            f"""
            WITH shares AS (
                SELECT coalesce({field}::VARCHAR, 'aucun') AS code,
                       count(*) FILTER (side = 'before') / sum(count(*) FILTER (side = 'before'))
                           OVER () AS former,
                       count(*) FILTER (side = 'now') / sum(count(*) FILTER (side = 'now'))
                           OVER () AS present
                FROM (SELECT {field}, 'before' AS side FROM before_fiches
                      UNION ALL SELECT {field}, 'now' FROM now_fiches)
                GROUP BY ALL
            )
            SELECT code, former, present, sum(abs(present - former)) OVER () / 2 AS moved
            FROM shares ORDER BY abs(present - former) DESC, code
            """
        ).fetchall()
        if rows and rows[0][3] >= MOVED:
            shown = ", ".join(
                f"{code} {_percent(former)} → {_percent(present)}"
                for code, former, present, _ in rows[:SHOWN]
            )
            told = True
            yield Finding(
                "repartition",
                "avertissement",
                f"{field} : {_percent(rows[0][3])} des fiches ont changé de valeur ({shown}) ; "
                "vérifier champs et codes, et si la source a changé ses catégories",
            )


def _rules(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`regle_frequente`, `champs_en_desaccord`: cleaning now has to mend or refuse a field in many
    fiches where it did not."""
    rows = con.execute(
        """
        WITH counted AS (
            SELECT 'now' AS side, champ, regle, kind, count(DISTINCT cle_source) AS fiches
            FROM now_rules GROUP BY ALL
            UNION ALL
            SELECT 'before', champ, regle, kind, count(DISTINCT cle_source)
            FROM before_rules GROUP BY ALL
        )
        SELECT champ, regle, kind, coalesce(sum(fiches) FILTER (side = 'before'), 0)::BIGINT,
               coalesce(sum(fiches) FILTER (side = 'now'), 0)::BIGINT
        FROM counted WHERE champ <> '*' GROUP BY ALL ORDER BY champ, regle, kind
        """
    ).fetchall()
    had, total = before.fiches.num_rows, now.fiches.num_rows
    for field, rule, kind, was, count in rows:
        former, present = _ratio(was, had), _ratio(count, total)
        if rule in TOLD_APART or present - former < MORE_OFTEN or count - was < MIN_FICHES:
            continue
        text = (
            f"{field} : {_named(rule)} dans {_percent(former)} des fiches auparavant, dans "
            f"{_percent(present)} maintenant"
        )
        if rule in CONTRADICTIONS and present - former >= MOSTLY:
            what = "les valeurs d’une colonne ont glissé ou sont mal lues : comparer quelques"
            yield Finding(
                "champs_en_desaccord", "refus", f"{text} ; {what} fiches à la source, puis champs"
            )
        elif kind == "reject" or rule in _TELLING:
            yield Finding("regle_frequente", "avertissement", f"{text} ; {_look(field)}")


_TELLING = {
    "coordonnees_inversees": "latitude et longitude inversées",
    "encodage_repare": "encodage cassé puis réparé",
    "position": "déduit de la position",
    "seule_commune_du_code_postal": "déduit du code postal",
    "nom_approche_et_position": "nom inconnu, commune retrouvée par la position",
    "code_postal_de_la_commune": "déduit de la commune",
}
"""Rules that mend a value and, when they come to be needed everywhere, tell of the listing."""

_LABELS = {code.code: code.label_fr.lower() for code in LISTS["rejet_regle"]}


def _named(rule: str) -> str:
    return f"« {_TELLING.get(rule) or _LABELS.get(rule, rule)} » ({rule})"


_TEXTS = ("nom", "commune", "adresse", "resume", "site_web", "url")


def _texts(side: str) -> str:
    """One row per text of a fiche: its field, its value."""
    return " UNION ALL ".join(
        f"SELECT '{field}' AS field, {field} AS said FROM {side}_fiches WHERE {field} IS NOT NULL"
        for field in _TEXTS
    )


def _swapped(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`champs_permutes`: a field holds what another one held."""
    rows = con.execute(
        f"""
        WITH former AS (SELECT DISTINCT * FROM ({_texts("before")})),
             foreign_texts AS (SELECT * FROM ({_texts("now")}) ANTI JOIN former USING (field, said))
        SELECT n.field, b.field, count(*)
        FROM foreign_texts n JOIN former b ON n.said = b.said
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    total = now.fiches.num_rows
    for one, other, count in rows:
        if count >= max(MIN_FICHES, MOSTLY * total):
            yield Finding(
                "champs_permutes",
                "refus",
                f"{one} contient dans {_percent(_ratio(count, total))} des fiches ce que {other} "
                "contenait ; les colonnes ont changé de place : corriger "
                f"champs.{_DECLARED.get(one, one)} et champs.{_DECLARED.get(other, other)}",
            )


def _changed(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`valeurs_changees`: a field that hardly ever changes did, under the same keys."""
    fields = ("nom", "commune", "adresse", "site_web")
    for field in fields:
        known, changed = _row(
            con,
            f"SELECT count(*), count(*) FILTER (now.{field} <> before.{field}) FROM common "
            f"WHERE now.{field} IS NOT NULL AND before.{field} IS NOT NULL",
        )
        if changed >= max(MIN_FICHES, MOSTLY * known):
            yield Finding(
                "valeurs_changees",
                "avertissement",
                f"{field} : autre valeur dans {_percent(_ratio(changed, known))} des fiches déjà "
                f"connues ; {_look(field)} (valeurs tronquées, en capitales, d’une autre colonne)",
            )


_VARIED = ("nom", "resume", "adresse", "coordonnees", "site_web", "telephone", "date_maj")
_REPEAT_REFUSED = frozenset({"nom", "coordonnees"})


def _repeated(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`valeur_repetee`, `valeurs_moins_variees`: what told records apart no longer does."""
    poorer = []
    for field in _VARIED:
        top, distinct, filled = _variety(con, "now", field)
        was_top, was_distinct, was_filled = _variety(con, "before", field)
        total, had = now.fiches.num_rows, before.fiches.num_rows
        present, former = _ratio(top, total), _ratio(was_top, had)
        if top >= MIN_REPEATED and present >= REPEATED and former < present / 2:
            level: Level = (
                "refus" if field in _REPEAT_REFUSED and present >= MOSTLY else "avertissement"
            )
            yield Finding(
                "valeur_repetee",
                level,
                f"{field} : une même valeur dans {_percent(present)} des fiches, "
                f"{_percent(former)} auparavant ; {_look(field)}",
            )
        elif min(filled, was_filled) >= MIN_CODED and _ratio(
            distinct, filled
        ) < LESS_VARIED * _ratio(was_distinct, was_filled):
            poorer.append(
                f"{field} {distinct} pour {filled} fiches ({was_distinct} pour {was_filled})"
            )
    if poorer:
        yield Finding(
            "valeurs_moins_variees",
            "avertissement",
            f"nombre de valeurs différentes, et auparavant : {', '.join(poorer)} ; vérifier si des "
            "fiches reviennent plusieurs fois, si des valeurs sont tronquées, arrondies ou mises "
            "par défaut",
        )


def _repeated_at_first(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """`valeur_repetee` for a listing that was never harvested: fields where it is never right."""
    (total,) = _row(con, "SELECT count(*) FROM now_fiches")
    for field in ("nom", "resume", "coordonnees"):
        top, _, _ = _variety(con, "now", field)
        if top >= MIN_REPEATED and _ratio(top, total) >= REPEATED_AT_FIRST:
            yield Finding(
                "valeur_repetee",
                "avertissement",
                f"{field} : une même valeur dans {_percent(_ratio(top, total))} des fiches dès la "
                f"première moisson ; {_look(field)}",
            )


def _variety(con: duckdb.DuckDBPyConnection, side: str, field: str) -> tuple[int, int, int]:
    """Fiches with the most frequent value, different values, fiches with a value."""
    top, distinct, filled = _row(
        con,
        f"""
        SELECT coalesce(max(n), 0), count(*), coalesce(sum(n), 0)
        FROM (SELECT count(*) AS n FROM {side}_fiches WHERE {field} IS NOT NULL GROUP BY {field})
        """,
    )
    return int(top), int(distinct), int(filled)


_REPLACED = f"""
WITH words AS (
    SELECT side, cle_source, unnest(list_distinct(
        list_filter(regexp_split_to_array(nom_plie, '[^a-z0-9]+'), lambda w: len(w) > 1)
    )) AS word
    FROM (SELECT 'now' AS side, cle_source, nom_plie FROM now_fiches
          UNION ALL SELECT 'before', cle_source, nom_plie FROM before_fiches)
), rare AS (
    SELECT word FROM words GROUP BY word
    HAVING count(DISTINCT cle_source) <= greatest(2, 0.05 * (SELECT count(*) FROM common))
), shared AS (
    SELECT DISTINCT n.cle_source
    FROM words n JOIN words b ON n.cle_source = b.cle_source AND n.word = b.word
    JOIN rare ON rare.word = n.word
    WHERE n.side = 'now' AND b.side = 'before'
), judged AS (
    SELECT cle_source, now, before,
           111.2 * sqrt(
               pow(now.latitude - before.latitude, 2)
               + pow((now.longitude - before.longitude) * cos(radians(now.latitude)), 2)
           ) AS km
    FROM common
)
SELECT (SELECT count(*) FROM common), count(*)
FROM judged
WHERE now.nom_plie <> before.nom_plie
  AND cle_source NOT IN (SELECT cle_source FROM shared)
  AND CASE
          WHEN km IS NOT NULL THEN km > {FAR_KM}
          WHEN now.code_insee IS NOT NULL AND before.code_insee IS NOT NULL
              THEN now.code_insee <> before.code_insee
          ELSE now.code_insee IS NULL AND before.code_insee IS NULL
               AND now.resume <> before.resume
      END
"""
"""Keys whose name shares no distinctive word with the former one (words of more than one fiche in
twenty distinguish nothing) and whose place is another: a position over `FAR_KM` away, else another
commune; without any place (resources), another description."""


def _reused_keys(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`cles_reemployees`: known keys now name other places."""
    known, replaced = _row(con, _REPLACED)
    if replaced >= max(MIN_FICHES, REPLACED * known):
        yield Finding(
            "cles_reemployees",
            "refus",
            f"{replaced} identifiants sur {known} désignent un autre lieu qu’auparavant (ni le nom "
            "ni la place n’ont rien de commun) : les publier donnerait à ces lieux l’histoire "
            "d’autres ; donner à champs.cle_source une colonne stable, ou un modele de nom et de "
            "commune ; si la source a redistribué ses clés pour de bon, déclarer chacune dans "
            "cles.jsonl (docs/methode.md)",
            "cles",
        )


_RETURNED = """
WITH content AS (
    SELECT side, cle_source, nom_plie || '|' || coalesce(adresse, '') || '|'
           || coalesce(code_insee, '') AS said
    FROM (SELECT 'now' AS side, cle_source, nom_plie, adresse, code_insee
          FROM now_fiches ANTI JOIN before_fiches USING (cle_source)
          UNION ALL
          SELECT 'before', cle_source, nom_plie, adresse, code_insee
          FROM before_fiches ANTI JOIN now_fiches USING (cle_source))
), unique_content AS (
    SELECT side, said, min(cle_source) AS cle_source FROM content
    GROUP BY ALL HAVING count(*) = 1
)
SELECT count(*), min(b.cle_source), min_by(n.cle_source, b.cle_source)
FROM unique_content n JOIN unique_content b USING (said)
WHERE n.side = 'now' AND b.side = 'before'
"""


def _changed_keys(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`cles_changees`: known places come back under other keys."""
    returned, old, new = _row(con, _RETURNED)
    if returned >= max(MIN_FICHES, REKEYED * now.fiches.num_rows):
        yield Finding(
            "cles_changees",
            "avertissement",
            f"{returned} fiches sur {now.fiches.num_rows} reviennent sous une autre clé avec le "
            f"même contenu ({old} est devenue {new}) ; si la source a changé ses clés, écrire pour "
            "chaque fiche une ligne « ancienne », « nouvelle » dans cles.jsonl (docs/methode.md), "
            "sinon choisir pour champs.cle_source une colonne stable",
            "cles",
        )


def _first_page(con: duckdb.DuckDBPyConnection, now: Side, before: Side) -> Iterator[Finding]:
    """`premiere_page`, `baisse`: fewer records, and exactly as many as a page holds."""
    if now.read in PAGE_SIZES and (before.read or 0) * (1 - PAGE_LOSS) >= now.read:
        yield Finding(
            "premiere_page",
            "refus",
            f"{now.read} fiches lues, juste la taille d’une page, contre {before.read} auparavant "
            "; vérifier la pagination ; si la liste en a vraiment ce nombre, mettre bornes.max "
            "sous l’ancien",
            "volume",
        )
    had, total = before.fiches.num_rows, now.fiches.num_rows
    if had - total >= max(MIN_FICHES, FALL * had):
        yield Finding(
            "baisse",
            "avertissement",
            f"{total} fiches contre {had} auparavant (−{_percent(_ratio(had - total, had))}) ; "
            "vérifier que la liste est entière",
            "volume",
        )


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    found = con.execute(query).fetchone()
    return tuple(found or ())


Check = Callable[[duckdb.DuckDBPyConnection, Side, Side], Iterator[Finding]]

_CHECKS: tuple[Check, ...] = (
    _reused_keys,
    _changed_keys,
    _first_page,
    _fill,
    _swapped,
    _rules,
    _codes,
    _repeated,
    _changed,
)
