"""Which pairs are worth comparing: those that share one of several keys.

A key that too many records share separates nothing and costs the square of its size. It is split by
the street and by the beginning of the name; a part that is still too large is dropped, and the
number of keys dropped is told. What is lost by one key is nearly always found by another.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

MAX_BLOCK = {
    "mot_lieu": 20,
    "genre_lieu": 8,
    "debut_lieu": 20,
    "adresse": 40,
    "point": 12,
    "nom": 6,
    "telephone": 20,
    "courriel": 20,
    "hote": 20,
    "page": 20,
    "siret": 20,
    "rna": 20,
    "identifiant": 20,
}
"""Kind of key → the largest block that is still compared whole. One name in many places is no
reason to compare them: what no place or contact brings together is another place of that name.
"""

_WIDE_CELL_DEG = (0.054, 0.078)
"""About 6 km: with cells shifted by a half, two points within 3 km always share one."""
_FINE_CELL_DEG = (0.0027, 0.0039)
"""About 300 m, the same way: two points within 150 m always share one."""

_KINDS = list(MAX_BLOCK)


@dataclass(frozen=True, slots=True)
class Blocking:
    """What blocking did."""

    pairs: int
    dropped: dict[str, int]
    """Kind of key → keys dropped because more records than `MAX_BLOCK` share them."""


def key_names(mask: str) -> str:
    """SQL list of the kinds of keys that a pair shares, from the set kept with it."""
    names = ", ".join(f"'{kind}'" for kind in _KINDS)
    return f"list_filter([{names}], lambda k, i: ({mask} >> (i - 1)) & 1 = 1)"


def block(con: duckdb.DuckDBPyConnection) -> Blocking:
    """Make `res_candidat` (a, b, cles) from `res_fiche` and `res_mot`, with a < b.

    `cles` is the set of kinds of keys shared, as bits in the order of `MAX_BLOCK`.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE res_cle AS {_keys()}")
    caps = " ".join(f"WHEN {rank} THEN {MAX_BLOCK[kind]}" for rank, kind in enumerate(_KINDS))
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_bloc AS
        SELECT genre, cle, count(*) > CASE genre {caps} END AS trop
        FROM res_cle GROUP BY genre, cle HAVING count(*) > 1;
        CREATE OR REPLACE TEMP TABLE res_part AS
        WITH grands AS (
            SELECT k.genre, k.cle, k.rid, f.voie_fin, left(f.noyau, 5) AS debut
            FROM (SELECT * FROM res_bloc WHERE trop) b
            JOIN res_cle k ON k.genre = b.genre AND k.cle = b.cle
            JOIN (SELECT rid, voie_fin, noyau FROM res_fiche) f ON f.rid = k.rid
        )
        SELECT genre, hash(cle, 'v', voie_fin) AS cle, rid FROM grands WHERE voie_fin IS NOT NULL
        UNION ALL SELECT genre, hash(cle, 'n', debut), rid FROM grands;
        CREATE OR REPLACE TEMP TABLE res_part_bloc AS
        SELECT genre, cle, count(*) > CASE genre {caps} END AS trop
        FROM res_part GROUP BY genre, cle HAVING count(*) > 1;
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_candidat AS
        WITH utiles AS (
            SELECT k.genre, k.cle, k.rid FROM res_cle k
            JOIN (SELECT genre, cle FROM res_bloc WHERE NOT trop) b
                ON b.genre = k.genre AND b.cle = k.cle
            UNION ALL
            SELECT k.genre, k.cle, k.rid FROM res_part k
            JOIN (SELECT genre, cle FROM res_part_bloc WHERE NOT trop) b
                ON b.genre = k.genre AND b.cle = k.cle
        )
        SELECT x.rid AS a, y.rid AS b, bit_or(1 << x.genre)::INTEGER AS cles
        FROM utiles x JOIN utiles y ON x.cle = y.cle AND x.genre = y.genre AND x.rid < y.rid
        GROUP BY x.rid, y.rid
        """
    )
    dropped = con.execute(
        "SELECT genre, count(*) FROM res_part_bloc WHERE trop GROUP BY genre ORDER BY genre"
    ).fetchall()
    pairs = con.execute("SELECT count(*) FROM res_candidat").fetchone()
    con.execute(
        "DROP TABLE res_cle; DROP TABLE res_bloc; DROP TABLE res_part; DROP TABLE res_part_bloc"
    )
    return Blocking(int(pairs[0]) if pairs else 0, {_KINDS[kind]: int(n) for kind, n in dropped})


def _cells(prefix: str, size: tuple[float, float]) -> str:
    """SQL list of the four overlapping cells of a point."""
    la, lo = size
    corners = [(0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5)]
    cells = ", ".join(
        f"hash('{prefix}{i}', floor(lat / {la} + {dla})::INT, floor(lon / {lo} + {dlo})::INT)"
        for i, (dla, dlo) in enumerate(corners)
    )
    return f"[{cells}]"


def _keys() -> str:
    """SQL of all (genre, cle, rid); keys are hashed, a collision costs one useless comparison."""
    rank = {kind: number for number, kind in enumerate(_KINDS)}
    contacts = " ".join(
        f"UNION ALL SELECT {rank[kind]}, hash({column}), rid FROM res_fiche"
        f" WHERE {column} IS NOT NULL"
        for kind, column in (
            ("telephone", "tel"),
            ("courriel", "mail"),
            ("hote", "hote"),
            ("page", "page"),
            ("siret", "siren"),
            ("rna", "rna"),
        )
    )
    return f"""
    WITH lieux AS (
        SELECT rid, unnest([hash('i', insee), hash('p', cp), hash('v', ville)]) AS lieu,
               unnest([insee IS NOT NULL, cp IS NOT NULL, ville IS NOT NULL]) AS dit
        FROM res_fiche
    ), dits AS (SELECT rid, lieu FROM lieux WHERE dit
    ), cellules AS (
        SELECT rid, unnest({_cells("c", _WIDE_CELL_DEG)}) AS lieu FROM res_fiche
        WHERE lat + lon IS NOT NULL
    ), tous AS (SELECT * FROM dits UNION ALL SELECT * FROM cellules
    ), valeurs AS (
        SELECT {rank["mot_lieu"]} AS genre, hash(lieu, mot) AS cle, rid
        FROM tous JOIN res_mot USING (rid) WHERE role = 'propre'
        UNION ALL
        SELECT {rank["mot_lieu"]}, hash(lieu, mot), rid
        FROM dits JOIN res_mot USING (rid) WHERE role = 'courant'
        UNION ALL
        SELECT {rank["genre_lieu"]}, hash(dits.lieu, genre), rid
        FROM dits JOIN res_fiche USING (rid) WHERE genre <> 0
        UNION ALL
        SELECT {rank["debut_lieu"]}, hash(dits.lieu, left(coalesce(propre, noyau), 4)), rid
        FROM dits JOIN res_fiche USING (rid)
        UNION ALL
        SELECT {rank["adresse"]}, hash(dits.lieu, numero, voie_fin), rid
        FROM dits JOIN res_fiche USING (rid) WHERE voie_fin IS NOT NULL
        UNION ALL
        SELECT {rank["point"]}, unnest({_cells("f", _FINE_CELL_DEG)}), rid FROM res_fiche
        WHERE lat + lon IS NOT NULL
        UNION ALL SELECT {rank["nom"]}, hash(noyau), rid FROM res_fiche
        UNION ALL SELECT {rank["identifiant"]}, hash(identifiant), rid FROM res_identifiant
        {contacts}
    )
    SELECT DISTINCT genre, cle, rid FROM valeurs
    """
