-- titre: Départements sans repair café connu
-- title: Départements without a known repair café
-- description: Zéro peut vouloir dire « aucun » ou « pas encore recensé » : le nombre d’initiatives connues aide à trancher.
select t.code, t.nom, t.population,
  (select count(*) from initiatives i where i.code_departement = t.code) as initiatives_connues
from territoires t
where t.niveau = 'departement'
  and not exists (
    select 1 from initiatives i
    where i.code_departement = t.code and i.type = 'repair_cafe'
      and coalesce(i.statut, 'publie') not in ('ferme', 'archive', 'retire')
  )
order by t.population desc, t.code
