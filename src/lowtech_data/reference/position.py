"""Which commune a point is in: an index of the communes' contours, cut along rows of latitude.

Every row is described by its middle line: where a commune begins, from west to east. A point is
looked up in its row, so that near a border between two rows the answer may be the neighbour: it is
then said not to be certain. Overseas collectivities have no contour, and are not in the index.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import duckdb

ROWS_PER_DEGREE = 400
"""Rows of latitude of the index: one every 0.0025°, or 278 m."""

UNITS_PER_DEGREE = 10_000
"""Longitudes of the index are whole numbers of this part of a degree: 11 m or less."""

KM_PER_DEGREE = 111.195
"""Along a meridian, on the sphere whose radius is the mean one of the Earth."""

_MARGIN = UNITS_PER_DEGREE // ROWS_PER_DEGREE
_BAND = 20
"""Rows of a band: a band and a slice make a cell, and most cells are wholly inside contours."""

_SLICE = 512
"""Width, in units, of the slices of a row: look-ups are joins by row and slice."""


def install(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Create the temporary tables of the index, from `contours.parquet` and `ref_communes`.

    `ref_tranches`: `rang`, `tranche`, `debut`, `fin`, `code`, one row for each slice that an
    interval touches. `ref_contours_codes`: for each `code`, the commune and district it stands
    for, and whether its contour may also hold a commune that has none (`partage`: a commune of one
    of its postcodes was established since). `ref_emprises`: south, north, west and east of each
    commune. `ref_pleines`: the cells (`bande`, `tranche`) that contours cover wholly.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE ref_tranches AS
        WITH intervalles AS (
            SELECT rang, debut, code,
                lead(debut) OVER (PARTITION BY rang ORDER BY debut) AS fin FROM read_parquet(?))
        SELECT rang, debut, fin, code,
            unnest(range(floor(debut / {_SLICE})::INT, floor((fin - 1) / {_SLICE})::INT + 1))::INT
                AS tranche
        FROM intervalles WHERE code IS NOT NULL""",
        [str(file)],
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE ref_contours_codes AS
        WITH codes AS (
            SELECT c.code, r.code_actuel AS code_insee,
                CASE WHEN r.nature = 'arrondissement' THEN r.code END AS code_arrondissement,
                r.codes_postaux
            FROM (SELECT DISTINCT code FROM ref_tranches) c JOIN ref_communes r ON c.code = r.code
                AND r.nature IN ('commune', 'arrondissement')),
        sans_contour AS (
            SELECT DISTINCT unnest(codes_postaux) AS code_postal FROM ref_communes
            WHERE nature = 'commune' AND code NOT IN (SELECT code_insee FROM codes)),
        partages AS (
            SELECT DISTINCT code FROM (SELECT code, unnest(codes_postaux) AS code_postal FROM codes)
            WHERE code_postal IN (SELECT code_postal FROM sans_contour))
        SELECT code, code_insee, code_arrondissement,
            code IN (SELECT code FROM partages) AS partage
        FROM codes"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE ref_emprises AS
        WITH emprises AS (
            SELECT code, min(rang) AS bas, max(rang) AS haut, min(debut) AS debut, max(fin) AS fin
            FROM ref_tranches GROUP BY code)
        SELECT code_insee, min(bas) / {ROWS_PER_DEGREE} AS sud,
            (max(haut) + 1) / {ROWS_PER_DEGREE} AS nord,
            min(debut) / {UNITS_PER_DEGREE} AS ouest, max(fin) / {UNITS_PER_DEGREE} AS est
        FROM emprises JOIN ref_contours_codes USING (code) GROUP BY code_insee"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE ref_pleines AS
        SELECT floor(rang / {_BAND})::INT AS bande, tranche FROM ref_tranches GROUP BY ALL
        HAVING sum(least(fin, (tranche + 1) * {_SLICE}) - greatest(debut, tranche * {_SLICE}))
            = {_BAND * _SLICE}"""
    )


def locate(con: duckdb.DuckDBPyConnection, points: str, into: str) -> None:
    """Make the temporary table `into`: the commune of each distinct point of `points`.

    `points` is a table or a subquery with `latitude` and `longitude` (WGS 84, degrees). Columns:
    `latitude`, `longitude`, `code_insee`, `code_arrondissement` (empty when no contour holds the
    point), `certain`: the commune, not the district, is the same in the rows above and below, and
    on both sides at the height of a row; and `arrondissement_certain`, the same of the district.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {into} AS
        WITH points AS MATERIALIZED (
            SELECT DISTINCT latitude, longitude, floor(latitude * {ROWS_PER_DEGREE})::INT AS rang,
                longitude * {UNITS_PER_DEGREE} AS x
            FROM ({_relation(points)}) WHERE isfinite(latitude) AND isfinite(longitude)),
        essais AS (
            SELECT latitude, longitude, rang + haut AS rang, haut = 0 AND cote = 0 AS au_point,
                x + cote * {_MARGIN} / cos(radians(latitude)) AS x
            FROM points, (VALUES (-1), (0), (1)) AS h(haut), (VALUES (-1), (0), (1)) AS c(cote)),
        lus AS (
            SELECT e.latitude, e.longitude, e.au_point, k.code_insee, k.code_arrondissement,
                k.partage
            FROM essais e JOIN ref_tranches t ON e.rang = t.rang
                AND floor(e.x / {_SLICE})::INT = t.tranche AND e.x >= t.debut AND e.x < t.fin
            JOIN ref_contours_codes k ON t.code = k.code),
        reunis AS (
            SELECT latitude, longitude, any_value(code_insee) FILTER (au_point) AS code_insee,
                any_value(code_arrondissement) FILTER (au_point) AS code_arrondissement,
                count(code_arrondissement) = 9
                    AND min(code_arrondissement) = max(code_arrondissement)
                    AS arrondissement_certain,
                count(*) = 9 AND min(code_insee) = max(code_insee) AND NOT bool_or(partage)
                    AS certain
            FROM lus GROUP BY latitude, longitude)
        SELECT p.latitude, p.longitude, r.code_insee, r.code_arrondissement,
            coalesce(r.certain, false) AS certain,
            coalesce(r.arrondissement_certain, false) AS arrondissement_certain
        FROM points p LEFT JOIN reunis r ON p.latitude = r.latitude AND p.longitude = r.longitude"""
    )


def around(
    con: duckdb.DuckDBPyConnection, points: str, into: str, km: float | Literal["km"]
) -> None:
    """Make the temporary table `into`: the communes whose contour is within `km` of each point.

    `points` as in `locate`; with `km` itself as the distance, they have a column of that name, and
    each point once. Columns: `latitude`, `longitude`, `code_insee`, `km` (0 inside; right to about
    the height of a row).
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {into} AS
        WITH points AS MATERIALIZED (
            SELECT DISTINCT latitude, longitude, {km} AS rayon,
                floor(latitude * {ROWS_PER_DEGREE})::INT AS rang,
                longitude * {UNITS_PER_DEGREE} AS x,
                {KM_PER_DEGREE} * cos(radians(latitude)) / {UNITS_PER_DEGREE} AS km_par_unite
            FROM ({_relation(points)}) WHERE isfinite(latitude) AND isfinite(longitude)),
        rangs AS (
            SELECT *, unnest(range(
                rang - ceil(rayon / {KM_PER_DEGREE / ROWS_PER_DEGREE})::INT,
                rang + ceil(rayon / {KM_PER_DEGREE / ROWS_PER_DEGREE})::INT + 1))::INT AS ligne
            FROM points),
        lignes AS (
            SELECT *, unnest(range(
                    floor((x - rayon / km_par_unite) / {_SLICE})::INT,
                    floor((x + rayon / km_par_unite) / {_SLICE})::INT + 1))::INT AS tranche,
                greatest(abs(latitude * {ROWS_PER_DEGREE} - (ligne + 0.5)) - 0.5, 0)
                    * {KM_PER_DEGREE / ROWS_PER_DEGREE} AS km_de_la_ligne
            FROM rangs),
        lus AS (
            SELECT l.latitude, l.longitude, c.code,
                sqrt(km_de_la_ligne ** 2
                    + (greatest(c.debut - x, x - c.fin, 0) * km_par_unite) ** 2) AS km
            FROM lignes l JOIN ref_tranches c ON l.ligne = c.rang AND l.tranche = c.tranche
            WHERE sqrt(km_de_la_ligne ** 2
                + (greatest(c.debut - x, x - c.fin, 0) * km_par_unite) ** 2) <= l.rayon)
        SELECT l.latitude, l.longitude, c.code_insee, min(l.km) AS km
        FROM lus l JOIN ref_contours_codes c ON l.code = c.code GROUP BY ALL"""
    )


def outside(con: duckdb.DuckDBPyConnection, points: str, into: str, km: float) -> None:
    """Make the temporary table `into`: the points farther than `km` from every contour.

    `points` as in `locate`. Columns: `latitude`, `longitude`, distinct.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {into}_douteux AS
        SELECT latitude, longitude FROM (
            SELECT DISTINCT latitude, longitude,
                floor(latitude * {ROWS_PER_DEGREE / _BAND})::INT AS bande,
                floor(longitude * {UNITS_PER_DEGREE} / {_SLICE})::INT AS tranche
            FROM ({_relation(points)})) ANTI JOIN ref_pleines USING (bande, tranche)"""
    )
    locate(con, f"{into}_douteux", f"{into}_lieux")
    away = f"SELECT latitude, longitude FROM {into}_lieux WHERE code_insee IS NULL"
    around(con, away, f"{into}_voisins", km)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {into} AS
        FROM ({away}) ANTI JOIN {into}_voisins USING (latitude, longitude)"""
    )


def _relation(points: str) -> str:
    return points if " " in points.strip() else f"FROM {points}"
