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

    `cles` is the set of kinds of keys shared, as bits in the order of `MAX_BLOCK`. The keys are
    left in `res_cle`, and in `res_part` those that split the ones which too many records share.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_cle AS {_keys()};
        CREATE OR REPLACE TEMP TABLE res_bloc AS {_blocks("res_cle")};
        CREATE OR REPLACE TEMP TABLE res_part AS {_parts("res_cle", "res_bloc", "res_fiche")};
        CREATE OR REPLACE TEMP TABLE res_part_bloc AS {_blocks("res_part")};
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
    con.execute("DROP TABLE res_bloc; DROP TABLE res_part_bloc")
    return _blocking(con, "res_part")


def block_again(con: duckdb.DuckDBPyConnection, kept: str) -> Blocking:
    """Make `res_candidat` of the pairs to compare again, and bring the keys of the schema `kept`,
    left there as `block` leaves them, up to date.

    `res_touche` (rid) names the records added, changed or deleted; to it are added those that share
    a key which has become, or is no longer, too widely shared. `kept` holds `res_fiche` of all
    records as they are now; `res_fiche` and `res_mot` are of the records added and changed.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_cle AS {_keys()};
        CREATE OR REPLACE TEMP TABLE res_otee AS
        SELECT * FROM {kept}.res_cle WHERE rid IN (SELECT rid FROM res_touche);
        CREATE OR REPLACE TEMP TABLE res_bloc AS {_moved(f"{kept}.res_cle")};
        DELETE FROM {kept}.res_cle WHERE rid IN (SELECT rid FROM res_touche);
        INSERT INTO {kept}.res_cle FROM res_cle;

        CREATE OR REPLACE TEMP TABLE res_otee AS
        SELECT * FROM {kept}.res_part p WHERE rid IN (SELECT rid FROM res_touche)
            OR EXISTS (FROM res_bloc b WHERE b.genre = p.genre AND b.cle = p.bloc
                       AND b.trop <> b.etait);
        CREATE OR REPLACE TEMP TABLE res_remue AS
        SELECT k.* FROM {kept}.res_cle k JOIN res_bloc b ON b.genre = k.genre AND b.cle = k.cle
        WHERE b.trop <> b.etait OR (b.trop AND k.rid IN (SELECT rid FROM res_touche));
        CREATE OR REPLACE TEMP TABLE res_cle AS
        {_parts("res_remue", "res_bloc", f"{kept}.res_fiche")};
        CREATE OR REPLACE TEMP TABLE res_part_bloc AS {_moved(f"{kept}.res_part")};
        DELETE FROM {kept}.res_part p USING res_otee o
        WHERE o.genre = p.genre AND o.cle = p.cle AND o.rid = p.rid;
        INSERT INTO {kept}.res_part FROM res_cle;

        CREATE OR REPLACE TEMP TABLE res_touche AS
        SELECT rid FROM res_touche
        UNION SELECT k.rid FROM res_remue k
            JOIN res_bloc b ON b.genre = k.genre AND b.cle = k.cle WHERE b.trop <> b.etait
        UNION SELECT p.rid FROM {kept}.res_part p
            JOIN res_part_bloc b ON b.genre = p.genre AND b.cle = p.cle WHERE b.trop <> b.etait;

        CREATE OR REPLACE TEMP TABLE res_candidat AS
        WITH paires AS ({_partners(f"{kept}.res_cle")} UNION ALL {_partners(f"{kept}.res_part")})
        SELECT least(x, y) AS a, greatest(x, y) AS b, bit_or(1 << genre)::INTEGER AS cles
        FROM paires GROUP BY ALL;
        DROP TABLE res_cle; DROP TABLE res_otee; DROP TABLE res_bloc; DROP TABLE res_remue;
        DROP TABLE res_part_bloc
        """
    )
    return _blocking(con, f"{kept}.res_part")


_CAP = "CASE genre {} END".format(
    " ".join(f"WHEN {rank} THEN {most}" for rank, most in enumerate(MAX_BLOCK.values()))
)
"""SQL: how many records may share a key of a kind."""


def _blocks(keys: str) -> str:
    """SQL of the keys that several records share, and whether too many do."""
    return f"""
        SELECT genre, cle, count(*) > {_CAP} AS trop
        FROM {keys} GROUP BY genre, cle HAVING count(*) > 1
    """


def _moved(kept: str) -> str:
    """SQL of the keys whose records change, when the rows of `res_otee` go and those of `res_cle`
    come: whether too many records shared them (`etait`), and do now (`trop`).
    """
    return f"""
        WITH ecarts AS (
            SELECT genre, cle, sum(ecart) AS ecart FROM (
                SELECT genre, cle, -1 AS ecart FROM res_otee
                UNION ALL SELECT genre, cle, 1 FROM res_cle)
            GROUP BY genre, cle
        ), avant AS (
            SELECT k.genre, k.cle, count(*) AS n FROM {kept} k
            JOIN ecarts e ON e.genre = k.genre AND e.cle = k.cle GROUP BY k.genre, k.cle
        )
        SELECT genre, cle, n > {_CAP} AS etait, n + ecart > {_CAP} AS trop
        FROM (SELECT e.genre, e.cle, e.ecart, coalesce(a.n, 0) AS n
              FROM ecarts e LEFT JOIN avant a ON a.genre = e.genre AND a.cle = e.cle)
    """


def _parts(keys: str, blocks: str, records: str) -> str:
    """SQL of the keys that stand for those of `blocks` that too many records share."""
    return f"""
        WITH grands AS (
            SELECT k.genre, k.cle, k.rid, f.voie_fin, left(f.noyau, 5) AS debut
            FROM (SELECT * FROM {blocks} WHERE trop) b
            JOIN {keys} k ON k.genre = b.genre AND k.cle = b.cle
            JOIN (SELECT rid, voie_fin, noyau FROM {records}) f ON f.rid = k.rid
        )
        SELECT genre, hash(cle, 'v', voie_fin) AS cle, rid, cle AS bloc FROM grands
        WHERE voie_fin IS NOT NULL
        UNION ALL SELECT genre, hash(cle, 'n', debut), rid, cle FROM grands
    """


def _partners(keys: str) -> str:
    """SQL of the pairs (genre, x, y) that a usable key gives to the records of `res_touche`."""
    return f"""
        SELECT x.genre, x.rid AS x, y.rid AS y
        FROM (SELECT k.genre, k.cle, k.rid FROM {keys} k SEMI JOIN res_touche t ON t.rid = k.rid) x
        JOIN (
            SELECT genre, cle, rid, count(*) OVER (PARTITION BY genre, cle) <= {_CAP} AS utile
            FROM (SELECT k.* FROM {keys} k SEMI JOIN (
                SELECT k.genre, k.cle FROM {keys} k SEMI JOIN res_touche t ON t.rid = k.rid) m
                ON m.genre = k.genre AND m.cle = k.cle)
        ) y ON y.genre = x.genre AND y.cle = x.cle AND y.rid <> x.rid
        WHERE utile
    """


def _blocking(con: duckdb.DuckDBPyConnection, parts: str) -> Blocking:
    dropped = con.execute(
        f"SELECT genre, count(*) FROM ({_blocks(parts)}) WHERE trop GROUP BY genre ORDER BY genre"
    ).fetchall()
    pairs = con.execute("SELECT count(*) FROM res_candidat").fetchone()
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
