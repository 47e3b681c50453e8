-- titre: Initiatives dont les sources ne disent pas la même chose
-- title: Initiatives on which sources disagree
-- description: Adresses, sites, téléphones ou types pour lesquels deux sources donnent des valeurs différentes.
select v.entite_id as id, i.nom, v.champ, group_concat(distinct v.valeur) as valeurs,
  count(distinct v.source_id) as nb_sources
from provenances v
join initiatives i on i.id = v.entite_id
where v.champ in ('adresse', 'site_web', 'telephone', 'type')
group by v.entite_id, v.champ
having count(distinct v.valeur) > 1
order by nb_sources desc, v.entite_id, v.champ
limit 500
