-- titre: État des sources
-- title: State of the sources
-- description: Santé, âge des données et dernière moisson de chaque source, celles qui demandent une action d’abord.
select s.id, s.nom, s.sante, s.etat, s.donnees_du, s.dernier_succes, s.nb_fiches,
  m.statut as derniere_moisson, m.debut as moissonnee_le, m.nb_rejetes, m.message
from sources s
left join moissons m on m.source_id = s.id
  and m.debut = (select max(debut) from moissons where source_id = s.id)
order by case s.sante when 'cassee' then 0 when 'degradee' then 1 when 'ok' then 2 else 3 end,
  s.donnees_du, s.id
