-- titre: Doublons possibles, à revoir
-- title: Possible duplicates, to review
-- description: Les paires de fiches que les règles n’ont pas su trancher, des plus probables aux moins probables.
select p.a, fa.nom as nom_a, fa.commune as commune_a, p.b, fb.nom as nom_b, fb.commune as commune_b,
  round(p.score, 2) as score_bits, coalesce(c.libelle_fr, p.motif) as motif,
  c.definition as explication, p.details
from paires p
left join codes c on c.liste = 'motif_paire' and c.code = p.motif
left join fiches fa on fa.source_id || ':' || fa.cle_source = p.a
left join fiches fb on fb.source_id || ':' || fb.cle_source = p.b
where p.decision = 'a_revoir'
order by p.score desc, p.a, p.b
limit 500
