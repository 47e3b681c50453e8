-- titre: Initiatives par département et par type
-- title: Initiatives by département and type
-- description: Combien d’initiatives ouvertes de chaque type dans chaque département.
select i.code_departement, t.nom as departement, i.type, count(*) as nb
from initiatives i
left join territoires t on t.code = i.code_departement and t.niveau = 'departement'
where coalesce(i.statut, 'publie') not in ('ferme', 'archive', 'retire')
group by i.code_departement, i.type
order by i.code_departement, nb desc, i.type
