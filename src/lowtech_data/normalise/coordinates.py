"""Positions in WGS 84: damage that can be proved is repaired, the rest is refused with its reason.

The inverse Lambert-93 projection follows IGN, *Projection cartographique conique conforme de
    Lambert*
(NT/G 71, algorithms 2 and 4), with the constants of RGF93.
"""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal

_BOXES = (
    (41.2, 51.2, -5.3, 9.7),
    (15.7, 16.7, -62.0, -60.8),
    (14.3, 15.0, -61.4, -60.7),
    (17.8, 18.2, -63.3, -62.7),
    (2.0, 6.0, -54.8, -51.4),
    (-21.6, -20.7, 55.0, 56.0),
    (-13.2, -12.5, 44.9, 45.5),
    (46.6, 47.3, -56.6, -56.0),
    (-23.0, -17.5, 158.0, 172.5),
    (-28.5, -7.5, -155.5, -134.0),
    (-14.7, -13.0, -178.5, -176.0),
)
"""South, north, west, east of metropolitan France and of each overseas territory."""

MAX_KM_TO_COMMUNE = 50
"""Farther from the centre of its commune, a point is wrong, unless its département holds it."""

_DMS = (
    r"^(\d{1,3})\s*°\s*(?:(\d{1,2})\s*['’′]\s*)?"
    r"""(?:([\d.,]+)\s*(?:"|”|″|''|’’)\s*)?([NSEWOnsewo])?$"""
)
_PAIR = r"^\(?\s*(-?\d{1,3}[.]\d+)\s*[,; |]\s*(-?\d{1,3}[.]\d+)\s*\)?$"

_LAMBERT_N = "0.7256077650532670"
_LAMBERT_C = "11754255.4261"
_LAMBERT_X, _LAMBERT_Y = "700000.0", "12655612.0499"
_ECCENTRICITY = "0.0818191910428158"
_LATITUDE_ROUNDS = 6

_PRECISIONS = {
    "numero": "housenumber numero numéro rooftop street_number address adresse interpolation",
    "voie": "street voie rue road way street_center route",
    "lieu_dit": "locality lieu-dit lieu_dit lieudit place hamlet",
    "commune": "municipality commune city town village postcode centroid center ville",
    "inconnue": "inconnue unknown source approximate none",
}


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macros `en_france`, `distance_km`, `nombre` and `degres`."""
    boxes = " OR ".join(
        f"(la BETWEEN {south} AND {north} AND lo BETWEEN {west} AND {east})"
        for south, north, west, east in _BOXES
    )
    con.execute(f"CREATE OR REPLACE TEMP MACRO en_france(la, lo) AS ({boxes})")
    con.execute(
        """CREATE OR REPLACE TEMP MACRO distance_km(a, b, c, d) AS
        111.195 * sqrt((a - c) ** 2 + (cos(radians((a + c) / 2)) * (b - d)) ** 2)"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP MACRO nombre(x) AS
        try_cast(replace(trim(x), ',', '.') AS DOUBLE)"""
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP MACRO degres(x) AS CASE
        WHEN regexp_matches(trim(x), {literal(_DMS)}) THEN
            (CASE WHEN upper(regexp_extract(trim(x), {literal(_DMS)}, 4)) IN ('S', 'W', 'O')
                THEN -1 ELSE 1 END)
            * (try_cast(regexp_extract(trim(x), {literal(_DMS)}, 1) AS DOUBLE)
            + coalesce(try_cast(regexp_extract(trim(x), {literal(_DMS)}, 2) AS DOUBLE), 0) / 60
            + coalesce(nombre(regexp_extract(trim(x), {literal(_DMS)}, 3)), 0) / 3600) END"""
    )


def parse(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_point`: `latitude`, `longitude` in France, or the reason why not (`refus`)."""
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_point AS
        WITH lus AS MATERIALIZED (
            SELECT n, latitude AS sla, longitude AS slo, nombre(latitude) AS la,
                nombre(longitude) AS lo
            FROM n_raw WHERE NOT (vide(latitude) AND vide(longitude))),
        ecrits AS MATERIALIZED (
            SELECT n, sla, slo, CASE
                WHEN la IS NOT NULL THEN la
                WHEN regexp_matches(sla, {literal(_PAIR)})
                THEN try_cast(regexp_extract(sla, {literal(_PAIR)}, 1) AS DOUBLE)
                ELSE degres(sla) END AS la,
            CASE
                WHEN lo IS NOT NULL THEN lo
                WHEN regexp_matches(slo, {literal(_PAIR)})
                THEN try_cast(regexp_extract(slo, {literal(_PAIR)}, 2) AS DOUBLE)
                WHEN slo IS NULL AND regexp_matches(sla, {literal(_PAIR)})
                THEN try_cast(regexp_extract(sla, {literal(_PAIR)}, 2) AS DOUBLE)
                ELSE degres(slo) END AS lo,
            la IS NULL OR lo IS NULL AS en_texte
            FROM lus),
        juges AS MATERIALIZED (
            SELECT *, CASE
                WHEN la IS NULL AND lo IS NULL THEN 'coordonnees_illisibles'
                WHEN la IS NULL OR lo IS NULL THEN 'coordonnees_incompletes'
                WHEN NOT isfinite(la) OR NOT isfinite(lo) THEN 'coordonnees_illisibles'
                WHEN abs(la) < 0.001 AND abs(lo) < 0.001 THEN 'coordonnees_nulles'
                WHEN en_france(la, lo) THEN NULL
                WHEN en_france(lo, la) THEN 'inverse'
                WHEN la BETWEEN 6000000 AND 7200000 AND lo BETWEEN 0 AND 1300000 THEN 'lambert'
                WHEN lo BETWEEN 6000000 AND 7200000 AND la BETWEEN 0 AND 1300000 THEN 'trebmal'
                WHEN abs(la) <= 90 AND abs(lo) <= 180 THEN 'hors_de_france'
                ELSE 'coordonnees_hors_bornes' END AS cas
            FROM ecrits)
        SELECT n, sla, slo, cas AS refus, NULL::VARCHAR AS regle, la AS latitude, lo AS longitude
        FROM juges WHERE cas IS NULL AND NOT en_texte
        UNION ALL
        SELECT n, sla, slo, NULL, 'coordonnees_en_texte', la, lo
        FROM juges WHERE cas IS NULL AND en_texte
        UNION ALL
        SELECT n, sla, slo, NULL, 'coordonnees_inversees', lo, la FROM juges WHERE cas = 'inverse'
        UNION ALL
        SELECT n, sla, slo, CASE WHEN en_france(la, lo) THEN NULL ELSE 'coordonnees_hors_bornes'
            END,
            'lambert_93', la, lo FROM ({_lambert()})
        UNION ALL
        SELECT n, sla, slo, cas, NULL, la, lo FROM juges
        WHERE cas NOT IN ('inverse', 'lambert', 'trebmal')"""
    )


def _lambert() -> str:
    steps = "SELECT *, 2 * atan(exp(iso)) - pi() / 2 AS p0 FROM depart"
    for i in range(_LATITUDE_ROUNDS):
        steps = (
            f"SELECT *, 2 * atan(pow((1 + {_ECCENTRICITY} * sin(p{i})) / (1 - {_ECCENTRICITY}"
            f" * sin(p{i})), {_ECCENTRICITY} / 2) * exp(iso)) - pi() / 2 AS p{i + 1} FROM ({steps})"
        )
    return f"""
        WITH metres AS (
            SELECT n, sla, slo, CASE cas WHEN 'lambert' THEN lo ELSE la END AS x,
                CASE cas WHEN 'lambert' THEN la ELSE lo END AS y
            FROM juges WHERE cas IN ('lambert', 'trebmal')),
        depart AS (
            SELECT n, sla, slo,
                -ln(sqrt((x - {_LAMBERT_X}) ** 2 + (y - {_LAMBERT_Y}) ** 2) / {_LAMBERT_C})
                    / {_LAMBERT_N} AS iso,
                degrees(atan((x - {_LAMBERT_X}) / ({_LAMBERT_Y} - y)) / {_LAMBERT_N}) + 3 AS lo
            FROM metres)
        SELECT n, sla, slo, degrees(p{_LATITUDE_ROUNDS}) AS la, lo FROM ({steps})"""


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Check points against their commune (`n_commune`): makes `n_position`.

    Columns: `latitude`, `longitude` (six decimals, about 10 cm), `precision_geo`. A
        person's place is
    moved to the centre of its commune.
    """
    known = " ".join(
        f"WHEN lower(trim(precision_geo)) IN ({', '.join(map(literal, words.split()))})"
        f" THEN '{code}'"
        for code, words in _PRECISIONS.items()
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_checked AS
        WITH places AS MATERIALIZED (
            SELECT p.*, c.latitude AS cla, c.longitude AS clo, d.sud, d.nord, d.ouest, d.est,
                coalesce(m.personne, false) AS personne
            FROM n_point p
            LEFT JOIN n_commune k ON p.n = k.n
            LEFT JOIN norm_communes c ON k.code_insee = c.code
            LEFT JOIN norm_departements d ON c.code_departement = d.code
            LEFT JOIN n_name m ON p.n = m.n)
        SELECT *, refus IS NULL AND cla IS NOT NULL
                AND distance_km(latitude, longitude, cla, clo) > {MAX_KM_TO_COMMUNE}
                AND NOT (latitude BETWEEN sud AND nord AND longitude BETWEEN ouest AND est) AS loin,
            cla IS NOT NULL AND distance_km(latitude, longitude, cla, clo) < 0.05 AS au_centre
        FROM places"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_position AS
        SELECT p.n,
            round(CASE WHEN p.personne THEN cla WHEN p.refus IS NULL AND NOT loin
                THEN p.latitude END, 6) + 0.0 AS latitude,
            round(CASE WHEN p.personne THEN clo WHEN p.refus IS NULL AND NOT loin
                THEN p.longitude END, 6) + 0.0 AS longitude,
            CASE WHEN p.personne THEN CASE WHEN cla IS NOT NULL THEN 'commune' END
                WHEN p.refus IS NOT NULL OR loin THEN NULL
                WHEN au_centre THEN 'commune'
                ELSE CASE {known} ELSE 'inconnue' END END AS precision_geo
        FROM n_checked p JOIN n_raw r ON p.n = r.n"""
    )
    reject(
        con,
        "latitude",
        regle="coalesce(refus, 'loin_de_la_commune')",
        value="concat_ws(' ', sla, slo)",
        select="FROM n_checked WHERE refus IS NOT NULL OR loin",
    )
    con.execute(
        """INSERT INTO n_rejects SELECT n, 'latitude', 'position_de_personne_possible', NULL
        FROM n_checked WHERE personne AND refus IS NULL AND NOT au_centre"""
    )
    for column, source in (("latitude", "sla"), ("longitude", "slo")):
        change(
            con,
            column,
            regle="regle",
            source=source,
            select="FROM n_checked WHERE regle IS NOT NULL AND refus IS NULL AND NOT loin"
            " AND NOT personne",
        )
    change(
        con,
        "precision_geo",
        regle="""CASE WHEN au_centre THEN 'point_au_centre_de_la_commune'
            ELSE 'code_de_precision' END""",
        source="masque(precision_geo)",
        select="FROM (SELECT r.n, r.precision_geo, p.precision_geo AS propre, c.au_centre"
        " FROM n_raw r JOIN n_position p ON r.n = p.n JOIN n_checked c ON r.n = c.n)"
        " WHERE precision_geo IS NOT NULL AND propre IS NOT NULL AND precision_geo <> propre",
    )
