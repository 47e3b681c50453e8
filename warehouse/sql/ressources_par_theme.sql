-- titre: Ressources d’un thème
-- title: Resources of a theme
-- description: Retours d’expérience, tutoriels, outils et documents d’un thème.
-- param theme: code du thème (exemple : energie)
select r.id, r.titre, r.nature, r.resultat, r.url, r.licence, r.attribution, r.date_publication
from ressources r
where exists (select 1 from json_each(r.themes) where json_each.value = :theme)
order by r.nature, r.titre collate nocase, r.id
