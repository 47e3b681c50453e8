"""Which pairs are worth comparing: those that share one of several keys.

A key that too many records share separates nothing and costs the square of its size: it is dropped,
and the number of keys dropped is told. What is lost by one key is nearly always found by another.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

MAX_BLOCK = {
    "mot_lieu": 60,
    "genre_lieu": 30,
    "debut_lieu": 60,
    "adresse": 60,
    "point": 30,
    "nom": 40,
    "telephone": 40,
    "courriel": 40,
    "hote": 40,
    "page": 40,
    "siret": 40,
    "rna": 40,
    "identifiant": 40,
}
"""Kind of key → the largest block that is still compared."""

_WIDE_CELL_DEG = (0.054, 0.078)
"""About 6 km: with cells shifted by a half, two points within 3 km always share one."""
_FINE_CELL_DEG = (0.0027, 0.0039)
"""About 300 m, the same way: two points within 150 m always share one."""


@dataclass(frozen=True, slots=True)
class Blocking:
    """What blocking did."""

    pairs: int
    dropped: dict[str, int]
    """Kind of key → keys dropped because more records than `MAX_BLOCK` share them."""


def block(con: duckdb.DuckDBPyConnection) -> Blocking:
    """Make `res_candidat` (a, b, cles) from `res_fiche` and `res_mot`, with a < b."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE res_cle AS {_keys()}")
    caps = " ".join(f"WHEN '{kind}' THEN {size}" for kind, size in MAX_BLOCK.items())
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_bloc AS
        SELECT genre, cle, count(*) AS taille, count(*) > CASE genre {caps} END AS ecarte
        FROM res_cle GROUP BY genre, cle HAVING count(*) > 1
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_candidat AS
        WITH utiles AS (
            SELECT k.genre, k.cle, k.rid FROM res_cle k
            JOIN res_bloc b ON b.genre = k.genre AND b.cle = k.cle WHERE NOT b.ecarte
        )
        SELECT x.rid AS a, y.rid AS b, list_sort(list(DISTINCT x.genre)) AS cles
        FROM utiles x JOIN utiles y ON x.genre = y.genre AND x.cle = y.cle AND x.rid < y.rid
        GROUP BY x.rid, y.rid
        """
    )
    dropped = con.execute(
        "SELECT genre, count(*) FROM res_bloc WHERE ecarte GROUP BY genre ORDER BY genre"
    ).fetchall()
    pairs = con.execute("SELECT count(*) FROM res_candidat").fetchone()
    con.execute("DROP TABLE res_cle; DROP TABLE res_bloc")
    return Blocking(int(pairs[0]) if pairs else 0, {kind: int(n) for kind, n in dropped})


def _cells(prefix: str, size: tuple[float, float]) -> str:
    """SQL list of the four overlapping cells of a point."""
    la, lo = size
    corners = [(0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5)]
    cells = ", ".join(
        f"'{prefix}{i}:' || floor(lat / {la} + {dla})::INT || ':' || floor(lon / {lo} + {dlo})::INT"
        for i, (dla, dlo) in enumerate(corners)
    )
    return f"CASE WHEN lat IS NULL OR lon IS NULL THEN [] ELSE [{cells}] END"


def _keys() -> str:
    """SQL of all (genre, cle, rid); keys are hashed, a collision costs one useless comparison."""
    return f"""
    WITH lieux AS (
        SELECT rid, unnest(list_filter(['i' || insee, 'p' || cp, 'v' || ville],
                                       lambda x: x IS NOT NULL)) AS lieu FROM res_fiche
    ), cellules AS (
        SELECT rid, unnest({_cells("c", _WIDE_CELL_DEG)}) AS lieu FROM res_fiche
    ), tous AS (SELECT * FROM lieux UNION ALL SELECT * FROM cellules
    ), valeurs AS (
        SELECT 'mot_lieu' AS genre, lieu || '|' || mot AS cle, rid
        FROM tous JOIN res_mot USING (rid) WHERE role = 'propre'
        UNION ALL
        SELECT 'mot_lieu', lieu || '|' || mot, rid
        FROM lieux JOIN res_mot USING (rid) WHERE role = 'commun'
        UNION ALL
        SELECT 'genre_lieu', lieu || '|' || genre, rid
        FROM lieux
        JOIN (SELECT DISTINCT rid, genre FROM res_mot WHERE genre IS NOT NULL) USING (rid)
        UNION ALL
        SELECT 'debut_lieu', lieu || '|' || left(coalesce(noyau_propre, noyau), 4), rid
        FROM tous JOIN res_fiche USING (rid)
        UNION ALL
        SELECT 'adresse', lieu || '|' || coalesce(numero::VARCHAR, '') || '|' || voie[-1], rid
        FROM lieux JOIN res_fiche USING (rid) WHERE voie IS NOT NULL
        UNION ALL
        SELECT 'point', unnest({_cells("f", _FINE_CELL_DEG)}), rid FROM res_fiche
        UNION ALL SELECT 'nom', noyau, rid FROM res_fiche
        UNION ALL SELECT 'telephone', tel, rid FROM res_fiche WHERE tel IS NOT NULL
        UNION ALL SELECT 'courriel', mail, rid FROM res_fiche WHERE mail IS NOT NULL
        UNION ALL SELECT 'hote', hote, rid FROM res_fiche WHERE hote IS NOT NULL
        UNION ALL SELECT 'page', page, rid FROM res_fiche WHERE page IS NOT NULL
        UNION ALL SELECT 'siret', left(siret, 9), rid FROM res_fiche WHERE siret IS NOT NULL
        UNION ALL SELECT 'rna', rna, rid FROM res_fiche WHERE rna IS NOT NULL
        UNION ALL SELECT 'identifiant', unnest(ids), rid FROM res_fiche
    )
    SELECT DISTINCT genre, hash(cle) AS cle, rid FROM valeurs
    """
