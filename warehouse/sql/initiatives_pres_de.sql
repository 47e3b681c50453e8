-- titre: Initiatives près d’un point
-- title: Initiatives near a point
-- description: Les plus proches d’abord, à vol d’oiseau (formule de haversine, rayon terrestre de 6 371 km).
-- param latitude: latitude WGS 84 (exemple : 48.11)
-- param longitude: longitude WGS 84 (exemple : -1.68)
-- param rayon_km: rayon en kilomètres, 200 au plus (exemple : 20)
with point as (
  select
    cast(:latitude as real) as lat,
    cast(:longitude as real) as lon,
    min(max(cast(:rayon_km as real), 0), 200) as rayon
), proches as (
  select
    i.id, i.nom, i.type, i.commune, i.site_web, i.latitude, i.longitude,
    12742 * asin(min(1, sqrt(
      pow(sin(radians(i.latitude - p.lat) / 2), 2)
      + cos(radians(p.lat)) * cos(radians(i.latitude))
        * pow(sin(radians(i.longitude - p.lon) / 2), 2)
    ))) as km,
    p.rayon
  from point p
  join initiatives_rtree r
    on r.min_lat <= p.lat + p.rayon / 111.0 + 0.001
    and r.max_lat >= p.lat - p.rayon / 111.0 - 0.001
    and r.min_lon <= p.lon + p.rayon / (111.0 * max(0.05, cos(radians(p.lat)))) + 0.001
    and r.max_lon >= p.lon - p.rayon / (111.0 * max(0.05, cos(radians(p.lat)))) - 0.001
  join initiatives i on i.rowid = r.rowid
)
select id, nom, type, commune, round(km, 1) as distance_km, site_web, latitude, longitude
from proches
where km <= rayon
order by km, id
