-- titre: Rejets par règle
-- title: Rejects by rule
-- description: Ce que chaque règle refuse, par source et par champ, pour savoir quoi corriger et chez qui.
select r.regle, r.champ, r.source_id, s.nom as source, count(*) as nb,
  round(100.0 * count(*) / nullif(s.nb_fiches, 0), 1) as pour_cent_des_fiches
from rejets r
left join sources s on s.id = r.source_id
group by r.regle, r.champ, r.source_id
order by nb desc, r.regle, r.champ, r.source_id
