-- titre: Paires liées sans être identiques
-- title: Pairs that are related, not the same
-- description: Même adresse, même organisme ou même site, mais deux initiatives : le lien et son motif.
select p.a, p.b, p.predicat, coalesce(c.libelle_fr, p.motif) as motif, c.definition as explication,
  p.decide_par, round(p.score, 2) as score_bits, p.date
from paires p
left join codes c on c.liste = 'motif_paire' and c.code = p.motif and p.decide_par = 'regle'
where p.decision = 'lie'
order by p.predicat, p.score desc, p.a, p.b
limit 500
