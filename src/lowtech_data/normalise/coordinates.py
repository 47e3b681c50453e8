"""Positions in WGS 84: damage that can be proved is repaired, the rest is refused with its reason.

The inverse Lambert-93 projection follows IGN, *Projection cartographique conique conforme de
Lambert* (NT/G 71, algorithms 2 and 4), with the constants of RGF93.
"""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change, reject
from lowtech_data.normalise.personal import literal
from lowtech_data.reference import position

_MAPPED_BOXES = (
    (41.2, 51.2, -5.3, 9.7),
    (15.7, 16.7, -62.0, -60.8),
    (14.3, 15.0, -61.4, -60.7),
    (2.0, 6.0, -54.8, -51.4),
    (-21.6, -20.7, 55.0, 56.0),
    (-13.2, -12.5, 44.9, 45.5),
)
"""South, north, west, east of metropolitan France and of the five overseas régions."""

_UNMAPPED_BOXES = (
    (17.8, 18.2, -63.3, -62.7),
    (46.6, 47.3, -56.6, -56.0),
    (-23.0, -17.5, 158.0, 172.5),
    (-28.5, -7.5, -155.5, -134.0),
    (-14.7, -13.0, -178.5, -176.0),
)
"""The same of the overseas collectivities, whose communes have no contour."""

MAX_KM_FROM_LAND = 2.0
"""In a box, a point farther than this from every contour is abroad: coasts are simplified."""

MAX_KM_TO_COMMUNE = 10
"""Farther from the extent of its commune, a point is wrong."""

MAX_KM_TO_CENTRE = 50
"""The same from its centre, for the few communes whose extent is not known."""

MAX_KM_OF_SIGN = 3
"""A lost sign is given back when the point then falls this near the extent of its commune."""

MAX_NAMES_AT_ONE_POINT = 5
"""More fiches of different names and addresses at one point were placed by default."""

_NUMBER = r"\d{1,3}(?:[.,]\d+)?"
_DMS = (
    rf"^([NSEWO])?\s*(-?)({_NUMBER})\s*°?\s*(?:({_NUMBER})\s*['’′]\s*)?"
    rf"""(?:({_NUMBER})\s*(?:"|”|″|''|’’)\s*)?([NSEWO])?$"""
)
_PAIR = r"^\(?\s*(-?\d{1,3}[.,]\d+)\s*[,; |]\s*(-?\d{1,3}[.,]\d+)\s*\)?$"
_WKT = r"(?i)^point\s*\(\s*(-?[\d.]+)\s+(-?[\d.]+)\s*\)$"
_DMS_PAIR = r"(?i)^(.*[NS])[\s,;]+(.*[EWO])$"

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
    every = _boxes((*_MAPPED_BOXES, *_UNMAPPED_BOXES))
    con.execute(f"CREATE OR REPLACE TEMP MACRO en_france(la, lo) AS ({every})")
    con.execute(
        """CREATE OR REPLACE TEMP MACRO distance_km(a, b, c, d) AS
        111.195 * sqrt((a - c) ** 2 + (cos(radians((a + c) / 2)) * (b - d)) ** 2)"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP MACRO nombre(x) AS
        try_cast(replace(trim(x), ',', '.') AS DOUBLE)"""
    )
    degrees, minutes, seconds = (
        f"nombre(regexp_extract(upper(trim(x)), {literal(_DMS)}, {group}))" for group in (3, 4, 5)
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP MACRO degres(x) AS
        CASE WHEN regexp_matches(upper(trim(x)), {literal(_DMS)}) THEN
            (CASE WHEN regexp_extract(upper(trim(x)), {literal(_DMS)}, 1)
                    || regexp_extract(upper(trim(x)), {literal(_DMS)}, 6) IN ('S', 'W', 'O')
                    OR regexp_extract(upper(trim(x)), {literal(_DMS)}, 2) = '-'
                THEN -1 ELSE 1 END)
            * ({degrees} + coalesce({minutes}, 0) / 60
                + coalesce({seconds}, 0) / 3600) END"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP MACRO km_hors_emprise(la, lo, sud, nord, ouest, est) AS
        111.195 * sqrt(greatest(sud - la, la - nord, 0) ** 2
            + (cos(radians(la)) * greatest(ouest - lo, lo - est, 0)) ** 2)"""
    )


def _boxes(boxes: tuple[tuple[float, float, float, float], ...]) -> str:
    return " OR ".join(
        f"(la BETWEEN {south} AND {north} AND lo BETWEEN {west} AND {east})"
        for south, north, west, east in boxes
    )


def parse(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_point`: `latitude`, `longitude` in France, or the reason why not (`refus`).

    `empile` says that too many unrelated fiches of the batch are at that very point.
    """
    _read(con)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_mapped AS SELECT latitude, longitude
        FROM (SELECT latitude, longitude, latitude AS la, longitude AS lo FROM n_parsed
            WHERE refus IS NULL) WHERE {_boxes(_MAPPED_BOXES)}"""
    )
    position.outside(con, "n_mapped", "n_abroad", MAX_KM_FROM_LAND)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_stacks AS
        WITH charges AS (
            SELECT latitude, longitude FROM n_parsed WHERE refus IS NULL
            GROUP BY ALL HAVING count(*) > {MAX_NAMES_AT_ONE_POINT})
        SELECT p.latitude, p.longitude
        FROM n_parsed p JOIN charges USING (latitude, longitude) JOIN n_raw r ON p.n = r.n
        GROUP BY ALL HAVING count(DISTINCT r.nom) > {MAX_NAMES_AT_ONE_POINT}
            AND count(DISTINCT coalesce(r.adresse, r.nom)) > {MAX_NAMES_AT_ONE_POINT}"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_point AS
        SELECT p.n, p.sla, p.slo, p.regle, p.latitude, p.longitude,
            CASE WHEN p.refus IS NULL AND a.latitude IS NOT NULL THEN 'hors_de_france'
                ELSE p.refus END AS refus,
            s.latitude IS NOT NULL AS empile
        FROM n_parsed p
        LEFT JOIN n_abroad a ON p.latitude = a.latitude AND p.longitude = a.longitude
        LEFT JOIN n_stacks s ON p.latitude = s.latitude AND p.longitude = s.longitude"""
    )


def _read(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_parsed`: numbers out of what the source wrote, in degrees."""
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_parsed AS
        WITH lus AS MATERIALIZED (
            SELECT n, latitude AS sla, longitude AS slo, nombre(latitude) AS la,
                nombre(longitude) AS lo
            FROM n_raw WHERE NOT (vide(latitude) AND vide(longitude))),
        seuls AS MATERIALIZED (
            SELECT n, CASE WHEN vide(slo) OR sla = slo THEN sla WHEN vide(sla) THEN slo END AS t
            FROM lus WHERE la IS NULL OR lo IS NULL),
        deux AS MATERIALIZED (
            SELECT n, CASE
                WHEN regexp_matches(t, {literal(_PAIR)})
                THEN regexp_extract(t, {literal(_PAIR)}, ['la', 'lo'])
                WHEN regexp_matches(t, {literal(_WKT)})
                THEN regexp_extract(t, {literal(_WKT)}, ['lo', 'la'])
                WHEN regexp_matches(t, {literal(_DMS_PAIR)})
                THEN regexp_extract(t, {literal(_DMS_PAIR)}, ['la', 'lo']) END AS paire
            FROM seuls WHERE t IS NOT NULL),
        ecrits AS MATERIALIZED (
            SELECT l.n, sla, slo,
                CASE WHEN d.paire IS NOT NULL THEN coalesce(nombre(d.paire.la), degres(d.paire.la))
                    WHEN la IS NOT NULL THEN la ELSE degres(sla) END AS la,
                CASE WHEN d.paire IS NOT NULL THEN coalesce(nombre(d.paire.lo), degres(d.paire.lo))
                    WHEN lo IS NOT NULL THEN lo ELSE degres(slo) END AS lo,
                l.la IS NULL OR l.lo IS NULL AS en_texte
            FROM lus l LEFT JOIN deux d ON l.n = d.n),
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

    Columns: `latitude`, `longitude` (six decimals, about 10 cm), `precision_geo`. A person's place
    is moved to the centre of its commune.
    """
    known = " ".join(
        f"WHEN lower(trim(precision_geo)) IN ({', '.join(map(literal, words.split()))})"
        f" THEN '{code}'"
        for code, words in _PRECISIONS.items()
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_checked AS
        WITH places AS MATERIALIZED (
            SELECT p.*, c.latitude AS cla, c.longitude AS clo, e.sud, e.nord, e.ouest, e.est,
                coalesce(m.personne, false) AS personne, k.code_insee
            FROM n_point p
            LEFT JOIN n_commune k ON p.n = k.n
            LEFT JOIN norm_communes c ON k.code_insee = c.code
            LEFT JOIN ref_emprises e ON k.code_insee = e.code_insee
            LEFT JOIN n_name m ON p.n = m.n),
        juges AS MATERIALIZED (
            SELECT *, refus IS NULL AND coalesce(
                km_hors_emprise(latitude, longitude, sud, nord, ouest, est) > {MAX_KM_TO_COMMUNE},
                distance_km(latitude, longitude, cla, clo) > {MAX_KM_TO_CENTRE}, false) AS ecarte
            FROM places),
        signes AS MATERIALIZED (
            SELECT n, min(a.sa) AS sa, min(a.so) AS so
            FROM juges, (VALUES (-1, 1), (1, -1), (-1, -1)) AS a(sa, so)
            WHERE (ecarte OR refus = 'hors_de_france') AND km_hors_emprise(
                latitude * sa, longitude * so, sud, nord, ouest, est) < {MAX_KM_OF_SIGN}
            GROUP BY n HAVING count(*) = 1)
        SELECT j.n, j.sla, j.slo, j.cla, j.clo, j.personne, j.empile, j.code_insee,
            j.latitude * coalesce(s.sa, 1) AS latitude,
            j.longitude * coalesce(s.so, 1) AS longitude,
            CASE WHEN s.n IS NULL THEN j.refus END AS refus,
            CASE WHEN s.n IS NULL THEN j.regle ELSE 'signe_rendu' END AS regle,
            j.ecarte AND s.n IS NULL AS loin,
            coalesce(distance_km(j.latitude, j.longitude, j.cla, j.clo) < 0.05, false) AS au_centre
        FROM juges j LEFT JOIN signes s ON j.n = s.n"""
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
                WHEN au_centre OR empile THEN 'commune'
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
            WHEN empile THEN 'point_de_plusieurs_fiches'
            ELSE 'code_de_precision' END""",
        source="masque(precision_geo)",
        select="FROM (SELECT r.n, r.precision_geo, p.precision_geo AS propre, c.au_centre, c.empile"
        " FROM n_raw r JOIN n_position p ON r.n = p.n JOIN n_checked c ON r.n = c.n)"
        " WHERE precision_geo IS NOT NULL AND propre IS NOT NULL AND precision_geo <> propre",
    )
