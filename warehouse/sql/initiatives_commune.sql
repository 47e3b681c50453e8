-- titre: Initiatives d’une commune
-- title: Initiatives of a commune
-- description: Toutes les initiatives d’une commune, par nom officiel ou code INSEE (arrondissements compris).
-- param commune: nom ou code INSEE (exemple : Rennes)
select id, nom, type, adresse, code_postal, commune, site_web, statut
from initiatives
where code_insee = :commune or code_arrondissement = :commune or commune = :commune collate nocase
order by nom collate nocase, id
