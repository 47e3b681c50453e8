-- titre: Provenance d’une initiative
-- title: Provenance of an initiative
-- description: Chaque valeur connue de chaque champ, sa source, sa licence, la règle appliquée et la capture d’où elle vient.
-- param id: identifiant permanent, qui commence par lt-
select v.champ, v.valeur, v.retenue, v.valeur_source, v.regle, s.nom as source, s.licence,
  f.url as fiche, f.derniere_vue, v.capture
from provenances v
left join sources s on s.id = v.source_id
left join fiches f on f.source_id = v.source_id and f.cle_source = v.cle_source
where v.entite_id = :id
order by v.champ, v.retenue desc, s.nom, v.valeur
