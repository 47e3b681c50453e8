"""What the comparisons of a pair add up to, in bits, and what is decided from them.

A bit doubles the odds that two records are one initiative. Evidence of place (commune, street,
number, distance) says one thing several times, so only the best of it counts; contacts are
discounted by the number of names or addresses that share the value, and each further one counts
half.

The score orders pairs, but does not decide alone: the first rule of `_RULES` that holds decides.
What makes false merges is neighbours, not typos, so a disagreement on distinctive words vetoes
whatever the address and the contacts agree on.
"""

from __future__ import annotations

import duckdb

SAME_BITS = 15.0
"""From here a pair whose names and places agree is merged."""
REVIEW_BITS = 12.0
"""From here a pair goes to people."""
NEAR_BITS = 8.0
"""From here a distinct pair is kept, to be seen; below it is obvious."""

CONTACT_BITS = {"tel": 7.0, "mail": 7.0, "hote": 6.0, "page": 7.0, "siret": 5.0, "rna": 6.0}
"""What a contact shared by one name is worth. A SIRET names the legal body, not the workshop."""
CONTACT_MAX_BITS = 12.0
IDENTIFIER_BITS = 14.0
"""A shared identifier of the thing itself (OpenStreetMap, fablabs.io…)."""

_DISCOUNT = (
    "CASE WHEN {u} <= 2 THEN 1.0 WHEN {u} = 3 THEN 0.7 WHEN {u} = 4 THEN 0.5 "
    "WHEN {u} = 5 THEN 0.35 WHEN {u} <= 8 THEN 0.2 ELSE 0.0 END"
)

_NAME_LEVEL = """
    CASE WHEN noyau_egal AND bits_a > 0 THEN 'egal'
         WHEN propre_egal OR (bits_communs > 0 AND bits_communs = bits_a AND bits_communs = bits_b)
             THEN 'propre_egal'
         WHEN sigle THEN 'sigle'
         WHEN longueur >= 6 AND NOT chiffres
              AND (similarite >= 0.94 OR coalesce(fautes <= 1, false)
                   OR (fautes <= 2 AND longueur >= 9)) THEN 'proche'
         WHEN bits_communs > 0 AND (bits_communs >= bits_a OR bits_communs >= bits_b) THEN 'contenu'
         WHEN bits_communs > 0 AND 10 * bits_communs >= 6 * greatest(bits_a, bits_b) THEN 'partiel'
         WHEN bits_a > 0 AND bits_b > 0 THEN 'desaccord'
         WHEN noyau_egal THEN 'courant_egal'
         WHEN bits_a = 0 AND bits_b = 0 AND genre = 'egal' THEN 'genre_egal'
         WHEN bits_a = 0 AND bits_b = 0 THEN 'courant'
         WHEN genre = 'egal' THEN 'genre_contenu'
         WHEN noyau_contenu THEN 'courant_contenu'
         ELSE 'muet' END
"""
"""How two names stand to each other, the first that holds."""

_NAME_BITS = """
    CASE niveau
         WHEN 'egal' THEN least(16.0, greatest(poids, bits_a) / 100.0)
         WHEN 'propre_egal' THEN least(14.0, bits_a / 100.0)
         WHEN 'sigle' THEN 8.0
         WHEN 'proche' THEN least(12.0, 0.75 * least(bits_a, bits_b) / 100.0)
         WHEN 'contenu' THEN greatest(1.0,
              (bits_communs - 0.3 * (greatest(bits_a, bits_b) - bits_communs)) / 100.0)
         WHEN 'partiel' THEN (bits_communs - 0.5 * (bits_a + bits_b - 2 * bits_communs)) / 100.0
         WHEN 'desaccord' THEN -8.0
         WHEN 'courant_egal' THEN least(7.0, poids / 100.0)
         WHEN 'genre_egal' THEN 4.0
         WHEN 'genre_contenu' THEN 2.0
         WHEN 'courant_contenu' THEN 2.0
         ELSE -2.0 END
"""

_SAME_STREET = "coalesce(meme_voie, false) AND coalesce(meme_commune, true)"

_PLACE = f"""
    CASE WHEN {_SAME_STREET} AND numeros AND ecart_numero <= 0
              AND (meme_commune OR metres < 5000) THEN 'numero'
         WHEN {_SAME_STREET} AND numeros AND ecart_numero <= 4
              AND coalesce(metres < 1000, meme_commune) THEN 'numero_proche'
         WHEN {_SAME_STREET} AND NOT numeros AND coalesce(metres < 1500, meme_commune) THEN 'voie'
         WHEN metres <= 60 AND sigma_max < 3000 THEN 'point'
         WHEN metres <= 250 AND sigma_max < 3000 AND (voie_inconnue OR meme_voie) THEN 'proche'
         WHEN coalesce(NOT meme_commune, false) AND coalesce(metres > 3000, true)
             THEN 'autre_commune'
         WHEN metres > greatest(3000, 3 * sigma) AND coalesce(autre_territoire, true)
              AND NOT coalesce(meme_commune, false)
             THEN 'autre_commune'
         WHEN NOT voie_inconnue AND NOT meme_voie AND coalesce(metres > 150 OR sigma_max >= 3000,
             true)
             THEN 'autre_adresse'
         WHEN metres > greatest(1500, 3 * sigma) THEN 'autre_adresse'
         WHEN meme_commune AND numeros AND meme_voie THEN 'autre_numero'
         WHEN metres <= 250 AND voie_inconnue THEN 'proche'
         WHEN meme_commune THEN 'commune'
         ELSE 'inconnu' END
"""
"""How two places stand to each other, the first that holds."""

PLACE_BITS = {
    "numero": 9.0,
    "numero_proche": 7.0,
    "voie": 6.0,
    "point": 7.0,
    "proche": 5.0,
    "commune": 3.0,
    "autre_numero": 2.0,
    "inconnu": 0.0,
    "autre_adresse": -4.0,
    "autre_commune": -8.0,
}
"""Bits of each place level: the best agreement, or the disagreement, never a sum."""

KIND_BITS = {"egal": 1.0, "inconnu": 0.0, "voisin": -1.5, "oppose": -6.0}
"""Bits of kinds: two different kinds of place are evidence against."""

_STRONG = "niveau IN ('egal', 'propre_egal') AND bits_nom >= 8"
_GOOD = (
    "niveau IN ('egal', 'propre_egal', 'sigle', 'proche', 'contenu', 'partiel') AND bits_nom >= 4"
)
_HERE = "lieu IN ('numero', 'numero_proche', 'voie', 'point', 'proche')"
_ADDRESS = "lieu IN ('numero', 'point')"
_ELSEWHERE = "lieu IN ('autre_adresse', 'autre_commune')"

_RULES: tuple[tuple[str, str, str, str | None], ...] = (
    (
        "identifiant_partage",
        "identifiant AND niveau <> 'desaccord' AND genre <> 'oppose'",
        "identique",
        None,
    ),
    ("identifiant_nom_different", "identifiant", "a_revoir", None),
    (
        "itinerant_ou_fixe",
        f"un_seul_itinerant AND (contacts_surs >= 1 OR {_HERE}) AND niveau <> 'desaccord'",
        "a_revoir",
        None,
    ),
    (
        "memes_contacts_meme_lieu",
        f"(niveau = 'desaccord' OR genre = 'oppose') AND {_HERE} AND contacts_surs >= 2",
        "a_revoir",
        None,
    ),
    (
        "hote_et_invite",
        (
            f"{_ADDRESS} AND hote_probable IS NOT NULL AND genre IN ('oppose', 'voisin')"
            " AND NOT noyau_egal"
        ),
        "lie",
        "heberge_par",
    ),
    (
        "mot_propre_en_commun",
        "niveau = 'desaccord' AND lieu = 'numero' AND genre <> 'oppose' AND bits_communs >= 800",
        "a_revoir",
        None,
    ),
    (
        "meme_adresse_autre_nom",
        f"{_ADDRESS} AND niveau = 'desaccord' AND (genre = 'oppose' OR bits_contact >= 3)",
        "lie",
        "heberge_par",
    ),
    (
        "enseigne_autre_adresse",
        (
            f"{_ELSEWHERE} AND niveau IN ('desaccord', 'partiel') AND bits_communs >= 500"
            " AND (usages_hote IS NOT NULL OR meme_siren OR bits_contact >= 3)"
        ),
        "lie",
        "antenne_de",
    ),
    ("nom_different", "niveau = 'desaccord'", "distinct", None),
    ("genres_opposes_meme_adresse", f"genre = 'oppose' AND {_ADDRESS}", "lie", "heberge_par"),
    ("genres_opposes", "genre = 'oppose'", "distinct", None),
    (
        "enseigne_a_plusieurs_sites",
        (
            f"{_ELSEWHERE} AND ({_STRONG} OR niveau = 'contenu') AND contacts_surs = 0"
            " AND (usages_hote IS NOT NULL OR bits_contact > 0 OR meme_siren)"
        ),
        "lie",
        "antenne_de",
    ),
    (
        "demenagement_possible",
        (
            f"{_ELSEWHERE} AND {_STRONG} AND sites <= 2 AND (contacts_surs >= 1"
            " OR (lieu = 'autre_adresse' AND coalesce(metres < 20000, meme_commune))"
            " OR (bits_nom >= 11 AND metres < 25000))"
        ),
        "a_revoir",
        "demenage",
    ),
    (
        "autre_adresse_nom_complete",
        (
            f"{_ELSEWHERE} AND niveau IN ('egal', 'propre_egal', 'contenu', 'proche', 'sigle')"
            " AND (contacts_surs >= 1 OR (bits_nom >= 12 AND metres < 2000))"
        ),
        "a_revoir",
        "demenage",
    ),
    ("autre_lieu", f"{_ELSEWHERE} AND contacts_surs < 2", "distinct", None),
    ("autre_lieu_memes_contacts", _ELSEWHERE, "a_revoir", None),
    (
        "chez_un_hote",
        f"chez AND niveau = 'propre_egal' AND {_HERE} AND genre = 'inconnu'",
        "a_revoir",
        "heberge_par",
    ),
    (
        "nom_complete_sans_appui",
        (
            f"niveau = 'contenu' AND {_HERE} AND contacts_surs = 0"
            " AND 2 * (greatest(bits_a, bits_b) - bits_communs) > bits_communs"
        ),
        "a_revoir",
        None,
    ),
    ("nom_et_lieu", f"{_GOOD} AND {_HERE} AND score >= {SAME_BITS}", "identique", None),
    (
        "nom_rare_meme_commune",
        (
            f"{_STRONG} AND bits_nom >= 10 AND lieu IN ('commune', 'autre_numero') AND sites <= 2"
            " AND (genre = 'egal' OR sans_genre)"
            f" AND score >= {SAME_BITS - 2}"
        ),
        "identique",
        None,
    ),
    (
        "nom_et_contact",
        f"{_STRONG} AND contacts_surs >= 1 AND score >= {SAME_BITS}",
        "identique",
        None,
    ),
    (
        "genre_lieu_contacts",
        (
            f"niveau IN ('genre_egal', 'courant_egal', 'genre_contenu', 'courant_contenu')"
            f" AND {_HERE}"
            f" AND score >= {SAME_BITS} AND contacts_surs >= 1"
        ),
        "identique",
        None,
    ),
    (
        "genre_et_adresse",
        (
            "niveau IN ('courant_egal', 'genre_egal') AND sites <= 2"
            " AND (lieu = 'numero' OR (lieu = 'voie' AND coalesce(metres <= 250, false)))"
        ),
        "identique",
        None,
    ),
    (
        "meme_genre_meme_adresse",
        f"niveau IN ('genre_contenu', 'courant_contenu') AND {_ADDRESS}",
        "a_revoir",
        None,
    ),
    ("indices_insuffisants", f"score >= {REVIEW_BITS}", "a_revoir", None),
    ("trop_peu", "true", "distinct", None),
)
"""Name, condition, decision, predicate: the first that holds decides."""


def score_pairs(con: duckdb.DuckDBPyConnection) -> None:
    """Make `res_score` from `res_compare`: `score`, `regle`, `decision`, `predicat`, `conflit` and
    the parts, one row per candidate pair. `conflit` says that the two can never be in one cluster.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_score AS
        WITH niveaux AS (
            SELECT *, {_NAME_LEVEL} AS niveau, {_PLACE} AS lieu FROM res_compare
        ), parts AS (
            SELECT *, round({_NAME_BITS}, 2) AS bits_nom,
                   {_bits_of("lieu", PLACE_BITS)} AS bits_lieu,
                   {_bits_of("genre", KIND_BITS)} AS bits_genre,
                   round({_contact_bits()}, 2) AS bits_contact,
                   {_sure_contacts()} AS contacts_surs,
                   meme_identifiant AS identifiant,
                   CASE WHEN coalesce(autre_rna, false) OR coalesce(autre_siren, false) THEN -2.0
                        ELSE 0.0 END
                   + CASE WHEN meme_source THEN -1.0 ELSE 0.0 END AS bits_reserve
            FROM niveaux
        ), totaux AS (
            SELECT *, round(bits_nom + bits_lieu + bits_genre + bits_contact + bits_reserve
                + CASE WHEN identifiant THEN {IDENTIFIER_BITS} ELSE 0.0 END, 2) AS score
            FROM parts
        ), regles AS (SELECT *, {_case(0)} AS regle FROM totaux)
        SELECT a, b, cles, score, regle, {_case(2)} AS decision, {_case(3)} AS predicat,
               niveau, lieu, genre, bits_nom, bits_lieu, bits_genre, bits_contact, bits_reserve,
               metres, hote_probable, identifiant, contacts_surs,
               decision = 'lie' OR regle IN ('nom_different', 'genres_opposes', 'autre_lieu')
                   AS conflit
        FROM regles
        """
    )


def _bits_of(column: str, bits: dict[str, float]) -> str:
    cases = " ".join(f"WHEN '{level}' THEN {value}" for level, value in bits.items())
    return f"CAST(CASE {column} {cases} END AS DOUBLE)"


def _contact_bits() -> str:
    """The best contact, half of the second, a quarter of the third, capped."""
    values = ", ".join(
        f"CASE WHEN usages_{name} IS NULL THEN 0.0 ELSE {bits} * "
        f"{_DISCOUNT.format(u=f'usages_{name}')} END"
        for name, bits in CONTACT_BITS.items()
    )
    ranked = f"list_reverse_sort([{values}])"
    return (
        f"least({CONTACT_MAX_BITS}, {ranked}[1]::DOUBLE + 0.5 * {ranked}[2]::DOUBLE"
        f" + 0.25 * {ranked}[3]::DOUBLE)"
    )


def _sure_contacts() -> str:
    """Independent contacts shared by these names alone: phone, mail, web, legal body."""
    groups = (("tel",), ("mail",), ("hote", "page"), ("siret", "rna"))
    return " + ".join(
        "(CASE WHEN " + " OR ".join(f"usages_{name} <= 2" for name in group) + " THEN 1 ELSE 0 END)"
        for group in groups
    )


def _case(part: int) -> str:
    """SQL of one column of `_RULES`, by the first rule that holds."""
    if part == 0:
        cases = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition, _, _ in _RULES)
        return f"CASE {cases} END"
    cases = " ".join(
        f"WHEN '{rule[0]}' THEN {'NULL' if rule[part] is None else repr(rule[part])}"
        for rule in _RULES
    )
    return f"CASE regle {cases} END"
