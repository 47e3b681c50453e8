"""What the comparisons of a pair say together, in bits, and what is decided from them.

A pair of records is explained by one of four stories: one initiative twice (*identique*), two
initiatives of one place (*voisin*: host and guest, neighbours), two places of one body (*antenne*),
or chance (*hasard*). Each story says how often each level of each comparison is seen. The score is
the logarithm, base 2, of the odds of the first story against the three others together: 0 is even,
each bit doubles the odds. So agreement on address and telephone, which neighbours share too, cannot
outweigh a name that differs; and agreement on a brand and its site, which branches share too,
cannot outweigh an address that differs. Levels of one comparison exclude each other, so what
commune, street, number and distance all say is counted once.

How often chance brings an agreement is counted in the data at hand: names at that address, records
that hold that word, names that use that telephone. How often the three other stories are met, and
what they look like, starts from `PRIOR` and is fitted to the data by expectation-maximisation (the
model of Fellegi and Sunter, A Theory for Record Linkage, 1969, fitted as by Winkler, 1988, with a
Dirichlet prior). Nothing is carried over from another size or field, no label is needed, nothing is
drawn: sums are of integers, so the result depends on the records alone.

The score orders pairs and decides, under vetoes (`VETOES`): a pair that meets one of them is never
merged without a person, however high its score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from lowtech_data.resolve.compare import Engine

STORIES = ("identique", "voisin", "antenne")
"""Stories whose looks are parameters; the fourth, chance, is counted."""

Levels = Mapping[str, tuple[float, float, float]]

PARTNERS = (0.4, 0.3, 0.2)
"""Prior number of other records that tell each of `STORIES` with a record."""

PRIOR: dict[str, Levels] = {
    "nom": {
        "egal": (0.44, 0.015, 0.50),
        "propre_egal": (0.18, 0.025, 0.20),
        "proche": (0.11, 0.004, 0.03),
        "sigle": (0.02, 0.002, 0.01),
        "contenu": (0.12, 0.06, 0.13),
        "partiel": (0.06, 0.06, 0.07),
        "faible": (0.02, 0.06, 0.03),
        "desaccord": (0.05, 0.774, 0.03),
        "courant_egal": (0.35, 0.04, 0.40),
        "genre_egal": (0.22, 0.08, 0.20),
        "genre_contenu": (0.22, 0.15, 0.20),
        "courant_contenu": (0.07, 0.05, 0.07),
        "courant": (0.05, 0.15, 0.05),
        "muet": (0.09, 0.53, 0.08),
    },
    "reste": {
        "egal": (0.70, 0.40, 0.50),
        "un_cote": (0.25, 0.35, 0.30),
        "deux_cotes": (0.04, 0.25, 0.20),
        "contraire": (0.01, 0.10, 0.05),
    },
    "genre": {
        "egal": (0.90, 0.25, 0.90),
        "voisin": (0.08, 0.20, 0.07),
        "oppose": (0.02, 0.55, 0.03),
    },
    "lieu": {
        "numero": (0.42, 0.45, 0.008),
        "numero_proche": (0.06, 0.12, 0.004),
        "voie": (0.12, 0.14, 0.01),
        "point": (0.07, 0.13, 0.005),
        "proche": (0.08, 0.10, 0.01),
        "adresse_seule": (0.03, 0.005, 0.001),
        "numero_seul": (0.03, 0.002, 0.005),
        "autre_numero": (0.03, 0.04, 0.02),
        "autre_adresse": (0.08, 0.01, 0.40),
        "autre_commune": (0.02, 0.005, 0.45),
        "point_seul": (0.45, 0.50, 0.01),
        "proche_seul": (0.28, 0.35, 0.02),
        "quartier": (0.15, 0.12, 0.12),
        "loin": (0.10, 0.02, 0.85),
        "commune": (0.95, 0.98, 0.20),
    },
    "tel": {"egal": (0.75, 0.20, 0.15), "autre": (0.25, 0.80, 0.85)},
    "mail": {"egal": (0.70, 0.15, 0.35), "autre": (0.30, 0.85, 0.65)},
    "web": {
        "page": (0.50, 0.06, 0.20),
        "hote": (0.33, 0.10, 0.62),
        "autre": (0.17, 0.84, 0.18),
    },
    "legal": {
        "siret": (0.60, 0.12, 0.08),
        "siren": (0.12, 0.06, 0.60),
        "autre": (0.28, 0.82, 0.32),
    },
    "rna": {"egal": (0.80, 0.10, 0.70), "autre": (0.20, 0.90, 0.30)},
    "source": {"meme": (0.25, 1.0, 1.0), "autre": (1.0, 1.0, 1.0)},
    "type": {"egal": (0.80, 0.30, 0.80), "autre": (0.20, 0.70, 0.20)},
}
"""Comparison → level → how often it is seen in each of `STORIES`, when it can be compared at all:
what is missing is missing alike in all stories. `source` is relative to chance.
"""

GROUPS: dict[str, tuple[frozenset[str], ...]] = {
    "nom": (
        frozenset({"courant_egal", "genre_egal", "genre_contenu", "courant_contenu", "courant",
                   "muet"}),
    ),
    "lieu": (
        frozenset({"point_seul", "proche_seul", "quartier", "loin"}),
        frozenset({"commune"}),
    ),
}  # fmt: skip
"""Levels that share out other pairs than the rest of their comparison does: names without a word of
their own, places known by points, places known by the commune alone.
"""

CHANCE: dict[str, dict[str, float]] = {
    "reste": {"egal": 0.45, "un_cote": 0.30, "deux_cotes": 0.25, "contraire": 0.1},
    "genre": {"egal": 0.5, "voisin": 0.15, "oppose": 0.35},
    "type": {"egal": 0.35, "autre": 0.65},
}
"""How often chance brings a level, where it is not counted in the data."""

FITTED: dict[str, tuple[float, float, float]] = {
    "nom": (2.0, math.inf, math.inf),
    "reste": (math.inf, 1.0, math.inf),
    "genre": (math.inf, 1.0, math.inf),
    "type": (0.5, 1.0, math.inf),
}
"""Comparison → how strongly each story keeps to its prior, as a share of the pairs seen. What tells
stories apart is kept, so that they stay what their names say while the rest is fitted.
"""
_USUAL_FIT = (0.5, math.inf, math.inf)
_PRIOR_PAIRS = 60
_PRIOR_RECORDS = 50
_ROUNDS = 5

SAME_BITS = 0.0
"""From here a pair is merged, unless a veto holds: as likely as not, after all that speaks against.
"""
REVIEW_BITS = -5.0
"""From here a pair may go to people."""
NEAR_BITS = -8.0
"""From here a distinct pair is kept, to be seen; below it is obvious."""
TOLD = f"(decision <> 'distinct' OR score >= {NEAR_BITS})"
"""SQL: scored pairs that are told, with the parts of their score."""
CONFLICT_BITS = -8.0
"""Below, two records under a veto can never be in one cluster."""

RIVAL_BITS = 4.0
"""A pair between two sources is not merged by rule when one of its records has a partner this much
better in the other's source: if those two are one, they meet through it.
"""
IDENTIFIER_BITS = 14.0
"""A shared identifier of the thing itself (OpenStreetMap, fablabs.io…)."""
ITINERANT_BITS = -3.0
"""One moves, the other stays."""

_NAMED = "('egal', 'propre_egal', 'proche', 'sigle', 'contenu', 'partiel')"
_ADDRESS = "('numero', 'point', 'point_seul')"
_HERE = (
    "('numero', 'numero_proche', 'voie', 'point', 'proche', 'adresse_seule', 'numero_seul',"
    " 'point_seul', 'proche_seul')"
)
_ELSEWHERE = "('autre_adresse', 'autre_commune', 'autre_numero', 'loin')"
_CONTACT = (
    "(tel = 'egal' OR mail = 'egal' OR web IN ('page', 'hote') OR legal = 'siret' OR rna = 'egal')"
)
_LODGED = f"(activite_de_l_hote AND nom IN {_NAMED})"
_OWN_PHONE = "coalesce(tel = 'egal' AND usages_tel <= 2, false)"

VETOES: tuple[tuple[str, str], ...] = (
    ("itinerant_ou_fixe", "un_seul_itinerant"),
    ("genres_opposes", "genre = 'oppose' AND nom <> 'egal'"),
    ("mots_contraires", "reste = 'contraire'"),
    (
        "nom_different",
        (
            "nom IN ('desaccord', 'muet')"
            " OR (nom IN ('courant', 'courant_contenu') AND reste = 'deux_cotes')"
            f" OR (nom IN ('faible', 'partiel') AND NOT {_CONTACT})"
            f" OR (reste = 'deux_cotes' AND lieu NOT IN {_HERE} AND NOT {_CONTACT})"
        ),
    ),
    (
        "lieu_inconnu",
        f"lieu = 'inconnu' AND NOT {_CONTACT} AND hasard_nom > -12",
    ),
    (
        "chez_un_hote",
        (
            f"{_LODGED} OR (chez AND (NOT {_CONTACT}"
            " OR (nom = 'propre_egal' AND tel <> 'egal' AND mail <> 'egal')))"
        ),
    ),
    (
        "autre_adresse",
        (
            "(lieu IN ('autre_adresse', 'autre_commune', 'loin')"
            f" AND NOT {_OWN_PHONE} AND legal <> 'siret')"
            " OR (lieu = 'autre_numero' AND nom NOT IN ('egal', 'propre_egal', 'proche')"
            f" AND NOT {_CONTACT})"
        ),
    ),
)
"""Name, condition: the first that holds keeps a pair from being merged by rule."""

_FIRM = (
    "veto IN ('genres_opposes', 'mots_contraires', 'chez_un_hote', 'itinerant_ou_fixe')"
    " OR (veto = 'autre_adresse' AND (nom NOT IN ('egal', 'propre_egal', 'proche')"
    " OR metres > 150))"
)
"""Vetoes that a third record cannot lift: it may lack the very thing that tells the two apart."""

_VAIN = f"""((score < {SAME_BITS} AND (un_seul_itinerant OR genre = 'oppose'))
    OR lieu IN ('autre_adresse', 'autre_commune', 'autre_numero', 'commune', 'inconnu',
                      'quartier', 'loin') AND (
    nom IN ('faible', 'desaccord', 'muet', 'courant', 'courant_contenu', 'genre_contenu',
            'genre_egal')
    OR (nom = 'courant_egal' AND tel <> 'egal' AND mail <> 'egal' AND hasard_nom > -8)
    OR (lieu <> 'commune' AND (source = 'meme' OR sites > 3 OR nom IN ('contenu', 'partiel')))
    OR reste = 'contraire'))"""
"""Pairs that people should not be asked: two kinds of places that little else ties, two names at
two addresses, sites that a listing itself tells apart, brands with many sites.
"""

_HOSTED = (
    f"lieu IN {_ADDRESS} AND ({_LODGED} OR score < {SAME_BITS}"
    " AND (hote_probable IS NOT NULL OR veto = 'chez_un_hote'"
    f" OR (veto IN ('nom_different', 'genres_opposes') AND {_CONTACT})))"
)
_BRANCH = (
    f"lieu IN {_ELSEWHERE}"
    " AND (web IN ('page', 'hote') OR legal = 'siren' OR tel = 'egal')"
    f" AND (nom IN {_NAMED} OR (nom = 'courant_egal' AND hasard_nom < -8))"
)


@dataclass(frozen=True, slots=True)
class Model:
    """Parameters of the stories, fitted to one set of records."""

    records: int
    same_source: float
    """Share of the pairs of records, drawn at random, that come from one source."""
    partners: tuple[float, ...] = PARTNERS
    levels: Mapping[str, Levels] = field(default_factory=lambda: PRIOR)


def score_pairs(con: Engine, model: Model | None = None) -> Model:
    """Make `res_score` from `res_compare`: `score`, `veto`, `decision`, `predicat`, `motif`,
    `conflit` and what each comparison adds, one row per candidate pair, each for itself: see
    `settle_rivals`. `conflit` says that the two can never be in one cluster. The model is fitted to
    these pairs unless one is given. Returns it.
    """
    if model is None:
        row = con.execute("SELECT fiches, dedans FROM res_total").fetchone()
        records, same_source = (int(row[0]), float(row[1])) if row else (0, 1.0)
        _count_chance(con, records)
        model = _fitted(con, Model(records, same_source))
    else:
        _count_chance(con, model.records)
    con.execute(f"CREATE OR REPLACE TEMP TABLE res_score AS {_scored(model)}")
    con.execute("DROP TABLE res_hasard")
    return model


def settle_rivals(con: Engine, scores: str = "res_score") -> None:
    """Keep, in a table of all scored pairs, from being merged by rule those between two sources of
    which one record has a partner much better in the other's source; and give back what only a
    rival that is gone kept apart. Leaves the pairs of which the decision changed in
    `res_revirement`.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_rival AS
        WITH merites AS (
            SELECT a, b, score, source_a, source_b, source FROM {scores}
            WHERE score >= {SAME_BITS} AND coalesce(veto, '{_RIVALLED}') = '{_RIVALLED}'
        ), meilleurs AS (
            SELECT rid, source, max(score) AS score FROM (
                SELECT a AS rid, source_b AS source, score FROM merites
                UNION ALL SELECT b, source_a, score FROM merites)
            GROUP BY rid, source HAVING count(*) > 1
        )
        SELECT m.a, m.b FROM merites m
        LEFT JOIN meilleurs ma ON ma.rid = m.a AND ma.source = m.source_b
        LEFT JOIN meilleurs mb ON mb.rid = m.b AND mb.source = m.source_a
        WHERE m.source = 'autre' AND greatest(ma.score, mb.score) >= m.score + {RIVAL_BITS};
        CREATE OR REPLACE TEMP TABLE res_revirement AS
        SELECT s.* EXCLUDE ({", ".join(_OUTCOME)})
               REPLACE (CASE WHEN r.a IS NOT NULL THEN '{_RIVALLED}' END AS veto)
        FROM {scores} s LEFT JOIN res_rival r ON r.a = s.a AND r.b = s.b
        WHERE (r.a IS NOT NULL) <> (coalesce(s.veto, '') = '{_RIVALLED}');
        UPDATE {scores} s SET veto = d.veto, {", ".join(f"{c} = d.{c}" for c in _OUTCOME)}
        FROM ({_decided("res_revirement")}) d WHERE d.a = s.a AND d.b = s.b;
        DROP TABLE res_rival
        """
    )


def explain_pairs(con: Engine, model: Model, keys: str, pairs: str = "res_score") -> None:
    """Make `res_details` (a, b, details): the explanation of each scored pair that is not obvious.
    `keys` is the SQL of the blocking keys that a pair shares.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_details AS
        SELECT a, b, {_explanation(model, keys)}::VARCHAR AS details
        FROM {pairs} WHERE {TOLD}
        """
    )


def _explanation(model: Model, keys: str) -> str:
    """SQL of the parts of a score, as JSON: per comparison its level and its bits, against the
    story that explains the pair best after *identique* (`contre`); the odds before any comparison
    (`depart`); what the two other stories take away (`autres_histoires`). They add up to the score.
    """
    parts = []
    for name, levels in model.levels.items():
        chance = {level: math.log2(share) for level, share in CHANCE.get(name, {}).items()}
        counted = f"hasard_{name}" if name in _COUNTED else "0"
        bits = " ".join(
            f"WHEN '{level}' THEN {math.log2(odds[0]):.4f} - CASE contre"
            f" WHEN 'voisin' THEN {math.log2(odds[1]):.4f}"
            f" WHEN 'antenne' THEN {math.log2(odds[2]):.4f}"
            f" ELSE {chance.get(level, 0.0):.4f} + {counted} END"
            for level, odds in levels.items()
        )
        parts.append(
            f"'{name}', CASE WHEN {name} <> 'inconnu' THEN json_object("
            f"'niveau', {name}, 'bits', {_hundredths(f'CASE {name} {bits} ELSE 0 END')}) END"
        )
    return f"""json_object(
        'cles', {keys}, 'contre', contre, 'veto', veto,
        'metres', round(metres), 'hote', hote_probable,
        'depart', json_object('bits', depart), 'autres_histoires', json_object('bits', autres),
        'identifiant', CASE WHEN identifiant THEN json_object('bits', {IDENTIFIER_BITS}) END,
        'itinerant', CASE WHEN un_seul_itinerant THEN json_object('bits', {ITINERANT_BITS}) END,
        {", ".join(parts)})"""


_COUNTED = ("nom", "lieu", "tel", "mail", "web", "legal", "rna")
"""Comparisons whose agreement by chance is counted in the data, in columns `hasard_*`."""


def _count_chance(con: Engine, records: int) -> None:
    """`res_hasard`: the comparisons, and how often chance would bring what agrees, in bits."""
    n = float(max(records, 2))
    agreed = (
        "greatest(communs, CASE WHEN nom IN ('egal', 'propre_egal', 'proche')"
        " THEN least(bits_a, bits_b) ELSE 0 END)"
    )
    # The rarest word counts whole, the others half: words of one name are not independent.
    most = f"greatest(commun_max, CASE WHEN communs = 0 THEN {agreed} * 0.6 ELSE 0 END)"
    words = f"({most} + 0.5 * ({agreed} - {most})) / 100"
    commune = f"log2(greatest(1, n_commune - 1) / {n})"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_hasard AS
        WITH comptes AS (
            SELECT c.* REPLACE (coalesce(r.reste, c.reste) AS reste),
                   - round(CASE
                       WHEN nom IN ('egal', 'propre_egal', 'contenu', 'partiel', 'faible')
                           THEN {words} + 0.3 * courants_communs / 100
                       WHEN nom = 'proche' THEN 0.75 * {words}
                       WHEN nom = 'sigle' THEN 8.0
                       WHEN nom = 'courant_egal' THEN 3 + 0.6 * courants_communs / 100
                           + CASE WHEN genre = 'egal' THEN 2 ELSE 0 END
                       WHEN nom = 'genre_egal' THEN 4.5
                       WHEN nom = 'genre_contenu' THEN 3.5 + 0.3 * courants_communs / 100
                       WHEN nom = 'courant_contenu' THEN 4.0 + 0.3 * courants_communs / 100
                       WHEN nom = 'courant' THEN 1 + 0.4 * courants_communs / 100
                       ELSE 0.3 END, 2) AS hasard_mots,
                   round(CASE
                       WHEN lieu IN ('numero', 'numero_proche')
                           THEN log2(greatest(1, n_adresse - 1) / {n})
                       WHEN lieu = 'adresse_seule' THEN log2(greatest(1, n_numero - 1) / {n})
                       WHEN lieu = 'voie' THEN log2(greatest(1, n_voie - 1) / {n})
                       WHEN lieu IN ('point', 'proche', 'point_seul', 'proche_seul')
                           THEN log2(greatest(1, n_cellule - 1) / {n})
                       WHEN lieu = 'numero_seul' THEN {commune} - 5
                       WHEN meme_commune THEN {commune}
                       ELSE 0 END, 2) AS hasard_lieu,
                   CASE WHEN communs > 0 AND nom <> 'egal' AND meme_commune AND locaux > 2
                        THEN round(log2((locaux - 2) / {n}) + CASE WHEN lieu IN {_HERE}
                            THEN log2(greatest(1, n_adresse - 1) * 1.0
                                      / greatest(n_adresse, n_commune - 1)) ELSE 0 END, 2)
                        ELSE -99 END AS hasard_joint,
                   {", ".join(_shared(name, agrees, n) for name, agrees in _AGREES.items())},
                   greatest(1, coalesce(usages_tel, 0) - 1, coalesce(usages_mail, 0) - 1,
                            coalesce(usages_web, 0) - 1, coalesce(usages_legal, 0) - 1) AS partages
            FROM res_compare c LEFT JOIN res_reste r ON r.a = c.a AND r.b = c.b
        )
        -- A word common in one commune is not rare there: name and place are then counted together.
        SELECT * EXCLUDE (hasard_mots, hasard_joint, partages),
               greatest(hasard_mots, hasard_joint - hasard_lieu) AS hasard_nom,
               round(CASE WHEN lieu IN {_HERE} THEN log2(greatest(partages, n_adresse - 1))
                          ELSE 0 END, 2) AS fois_voisin,
               round(CASE WHEN lieu IN {_HERE} THEN 0
                          WHEN nom IN {_NAMED} THEN log2(greatest(partages, sites - 1))
                          ELSE log2(partages) END, 2) AS fois_antenne
        FROM comptes
        """
    )


_AGREES = {
    "tel": "tel = 'egal'",
    "mail": "mail = 'egal'",
    "web": "web IN ('page', 'hote')",
    "legal": "legal IN ('siret', 'siren')",
    "rna": "rna = 'egal'",
}


def _hundredths(bits: str) -> str:
    """SQL: rounded, and never minus zero, which equals zero and is written otherwise."""
    return f"coalesce(nullif(round({bits}, 2), 0), 0.0)"


def _shared(name: str, agrees: str, n: float) -> str:
    return (
        f"round(CASE WHEN {agrees} THEN log2(greatest(1, usages_{name} - 1) / {n}) ELSE 0 END, 2)"
        f" AS hasard_{name}"
    )


def _case(comparison: str, values: Mapping[str, float]) -> str:
    cases = " ".join(f"WHEN '{level}' THEN {value:.4f}" for level, value in values.items())
    return f"CASE {comparison} {cases} ELSE 0 END"


def _story(model: Model, rank: int) -> str:
    """SQL: logarithm of how well one story explains a pair."""
    parts = [f"{math.log2(model.partners[rank] / max(model.records, 2)):.4f}"]
    parts += [
        _case(name, {level: math.log2(odds[rank]) for level, odds in levels.items()})
        for name, levels in model.levels.items()
    ]
    if STORIES[rank] != "identique":
        # A value that many share has that many neighbours, or branches, to be taken for.
        parts.append(f"fois_{STORIES[rank]}")
    return " + ".join(parts)


def _explained(model: Model, table: str) -> str:
    luck = [f"hasard_{name}" for name in _COUNTED]
    luck += [_case(name, {k: math.log2(v) for k, v in levels.items()})
             for name, levels in CHANCE.items()]  # fmt: skip
    return f"""
        SELECT *, {_story(model, 0)} AS l_identique, {_story(model, 1)} AS l_voisin,
               {_story(model, 2)} AS l_antenne, {" + ".join(luck)} AS l_hasard
        FROM {table}
    """


def _fitted(con: Engine, model: Model) -> Model:
    """The model that explains the pairs best, near the prior where data is scarce.

    Pairs that look alike are counted together first (`res_motif`), so a round costs what patterns
    there are, not pairs.
    """
    names = ", ".join(model.levels)
    luck = " + ".join(f"hasard_{name}" for name in _COUNTED)
    zeros = ", ".join(f"0 AS hasard_{name}" for name in _COUNTED if name != "nom")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_motif AS
        SELECT {names}, round(fois_voisin) AS fois_voisin, round(fois_antenne) AS fois_antenne,
               round({luck}) AS hasard_nom, {zeros}, count(*) AS effectif
        FROM res_hasard
        WHERE a NOT IN (SELECT rid FROM res_copie) AND b NOT IN (SELECT rid FROM res_copie)
        GROUP BY ALL
        """
    )
    for _ in range(_ROUNDS):
        model = _maximised(con, model)
    con.execute("DROP TABLE res_motif")
    return model


def _maximised(con: Engine, model: Model) -> Model:
    """One round: share each pattern among the stories, and count what each story looks like."""
    highest = "greatest(l_identique, l_voisin, l_antenne, l_hasard)"
    weights = [f"pow(2, l_{story} - {highest})" for story in (*STORIES, "hasard")]
    shares = ", ".join(
        # Integers add up to the same in any order.
        f"sum(round(1e6 * effectif * {weight} / ({' + '.join(weights)}))::BIGINT)::DOUBLE / 1e6"
        for weight in weights[: len(STORIES)]
    )
    names = list(model.levels)
    rows = con.execute(
        f"""
        SELECT {", ".join(names)}, {shares} FROM ({_explained(model, "res_motif")})
        GROUP BY GROUPING SETS ((), {", ".join(f"({name})" for name in names)})
        """
    ).fetchall()
    totals = (0.0, 0.0, 0.0)
    seen: dict[str, dict[str, tuple[float, ...]]] = {name: {} for name in names}
    for row in rows:
        counts = tuple(float(count or 0) for count in row[len(names) :])
        told = [(name, level) for name, level in zip(names, row, strict=False) if level]
        if not told:
            totals = (counts[0], counts[1], counts[2])
        elif told[0][1] in PRIOR[told[0][0]]:
            seen[told[0][0]][told[0][1]] = counts
    partners = tuple(
        (prior * _PRIOR_RECORDS + 2 * total) / (_PRIOR_RECORDS + model.records)
        for prior, total in zip(PARTNERS, totals, strict=True)
    )
    levels = {name: _looks(name, seen[name]) for name in names}
    return Model(model.records, model.same_source, partners,
                 levels | {"source": _inside(model, seen["source"])})  # fmt: skip


def _looks(name: str, seen: Mapping[str, tuple[float, ...]]) -> Levels:
    """Posterior shares of the levels of one comparison, per story and per group of levels."""
    prior = PRIOR[name]
    groups = GROUPS.get(name, ())
    alone = frozenset().union(*groups)
    found: dict[str, tuple[float, float, float]] = {}
    for group in (*groups, frozenset(prior) - alone):
        for level in prior:
            if level in group:
                odds = [_share(name, level, group, seen, rank) for rank in range(len(STORIES))]
                found[level] = (odds[0], odds[1], odds[2])
    return found


def _share(
    name: str, level: str, group: frozenset[str], seen: Mapping[str, tuple[float, ...]], rank: int
) -> float:
    prior = PRIOR[name]
    keep = FITTED.get(name, _USUAL_FIT)[rank]
    expected = prior[level][rank] / sum(prior[other][rank] for other in group)
    if len(group) == 1 or math.isinf(keep):
        return prior[level][rank]
    total = sum(counts[rank] for other, counts in seen.items() if other in group)
    weight = _PRIOR_PAIRS + keep * total
    count = seen[level][rank] if level in seen else 0.0
    return (weight * expected + count) / (weight + total)


def _inside(model: Model, seen: Mapping[str, tuple[float, ...]]) -> Levels:
    """How much rarer, or not, a duplicate is inside one source than between two."""
    prior = PRIOR["source"]
    if not 0 < model.same_source < 1:
        return prior
    total = sum(counts[0] for counts in seen.values())
    inside = seen["meme"][0] if "meme" in seen else 0.0
    rate = (_PRIOR_PAIRS * prior["meme"][0] * model.same_source + inside) / (_PRIOR_PAIRS + total)
    times = min(1.0, max(0.1, rate / model.same_source))
    between = (1 - times * model.same_source) / (1 - model.same_source)
    return {"meme": (times, 1.0, 1.0), "autre": (between, 1.0, 1.0)}


_RIVALLED = "mieux_ailleurs"
_OUTCOME = ("decision", "predicat", "motif", "conflit")


def _scored(model: Model) -> str:
    """SQL of the pairs with their score and what is decided of each for itself."""
    highest = "greatest(l_voisin, l_antenne, l_hasard)"
    others = " + ".join(
        f"pow(2, l_{story} - {highest})" for story in ("voisin", "antenne", "hasard")
    )
    vetoes = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in VETOES)
    prior = {story: math.log2(share / max(model.records, 2))
             for story, share in zip(STORIES, model.partners, strict=True)}  # fmt: skip
    score = f"""l_identique - {highest} - log2({others})
        + CASE WHEN identifiant THEN {IDENTIFIER_BITS} ELSE 0 END
        + CASE WHEN un_seul_itinerant THEN {ITINERANT_BITS} ELSE 0 END"""
    start = f"""{prior["identique"]:.4f} - CASE contre
        WHEN 'voisin' THEN {prior["voisin"]:.4f} + fois_voisin
        WHEN 'antenne' THEN {prior["antenne"]:.4f} + fois_antenne ELSE 0 END"""
    return f"""
        WITH histoires AS ({_explained(model, "res_hasard")}
        ), cotes AS (
            SELECT *,
                   CASE WHEN identifiant AND nom NOT IN ('desaccord', 'muet') AND genre <> 'oppose'
                            THEN NULL {vetoes} END AS veto,
                   CASE WHEN l_hasard >= l_voisin AND l_hasard >= l_antenne THEN 'hasard'
                        WHEN l_voisin >= l_antenne THEN 'voisin' ELSE 'antenne' END AS contre
            FROM histoires
        ), notes AS (
            SELECT *, {_hundredths(score)} AS score, {_hundredths(start)} AS depart,
                   {_hundredths(f"- log2({others})")} AS autres
            FROM cotes
        ), parts AS (
            SELECT * EXCLUDE (l_identique, l_voisin, l_antenne, l_hasard) FROM notes
        )
        {_decided("parts")}
    """


def _decided(pairs: str) -> str:
    """SQL of scored pairs with what is decided of them: the columns `_OUTCOME`."""
    return f"""
        SELECT *, CASE WHEN decision = 'identique' THEN NULL
                       WHEN lieu IN {_ADDRESS} AND (decision = 'lie' OR veto = 'chez_un_hote')
                           THEN 'heberge_par'
                       WHEN decision = 'lie' THEN 'antenne_de'
                       WHEN decision = 'a_revoir' AND lieu IN {_ELSEWHERE} AND nom IN {_NAMED}
                           THEN 'demenage' END AS predicat,
               CASE WHEN decision = 'identique'
                        THEN CASE WHEN identifiant THEN 'identifiant_partage' ELSE 'concordance' END
                    WHEN veto IS NOT NULL THEN veto
                    WHEN score >= {SAME_BITS} THEN 'concordance' ELSE contre END AS motif,
               coalesce({_FIRM}, false) OR (score < {CONFLICT_BITS} AND veto IS NOT NULL)
                   AS conflit
        FROM (
            SELECT *,
                   CASE WHEN score >= {SAME_BITS} AND veto IS NULL THEN 'identique'
                        WHEN {_HOSTED} THEN 'lie'
                        WHEN score >= {REVIEW_BITS} AND NOT {_VAIN} THEN 'a_revoir'
                        WHEN {_BRANCH} THEN 'lie'
                        ELSE 'distinct' END AS decision
            FROM {pairs})
    """
