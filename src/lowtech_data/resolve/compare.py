"""Each comparison of a candidate pair, computed once: names, streets, distance, contacts, kinds.

Makes `res_compare` from `res_candidat`, `res_fiche` and `res_mot`. Nothing is decided here. A value
missing on either side gives NULL, never an agreement or a disagreement.
"""

from __future__ import annotations

import duckdb

CONTACTS = ("tel", "mail", "hote", "page", "siret", "rna")

_SIMILAR = 0.92
"""Jaro-Winkler similarity from which two words, or two spaceless names, are one misspelt."""


def compare_pairs(con: duckdb.DuckDBPyConnection) -> None:
    """Make `res_compare`: one row per candidate pair."""
    for contact in CONTACTS:
        _shared_values(con, contact)
    _sites(con)
    _shared_words(con)
    # List functions on the output of a join walk the whole side that was hashed, for each batch of
    # rows: written out first, they cost a hundredth.
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_paire AS
        SELECT c.a, c.b, c.cles, x, y
        FROM res_candidat c
        JOIN (SELECT * EXCLUDE (nom, cle) FROM res_fiche) x ON x.rid = c.a
        JOIN (SELECT * EXCLUDE (nom, cle) FROM res_fiche) y ON y.rid = c.b
        """
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE res_compare AS {_features()}")


def _shared_values(con: duckdb.DuckDBPyConnection, contact: str) -> None:
    """How many names, or addresses, use each value: the more, the less it proves."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_usage_{contact} AS
        SELECT {contact} AS valeur,
               greatest(count(DISTINCT coalesce(noyau_propre, noyau)),
                        count(DISTINCT coalesce(voie_jointe, ville, cp)))::INTEGER AS usages
        FROM res_fiche WHERE {contact} IS NOT NULL GROUP BY {contact} HAVING count(*) > 1
        """
    )


def _sites(con: duckdb.DuckDBPyConnection) -> None:
    """How many addresses bear one name: from three, the name is a chain's."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_enseigne AS
        SELECT coalesce(noyau_propre, noyau) AS nom,
               count(DISTINCT coalesce(ville, cp, '') || voie_jointe)::INTEGER AS sites
        FROM res_fiche WHERE voie_jointe IS NOT NULL
        GROUP BY 1 HAVING sites > 2
        """
    )


def _shared_words(con: duckdb.DuckDBPyConnection) -> None:
    """Bits of the distinctive words that both names hold, as written or misspelt."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_commun AS
        WITH exacts AS (
            SELECT c.a, c.b, sum(least(x.bits, y.bits)) AS bits
            FROM res_candidat c
            JOIN res_mot x ON x.rid = c.a
            JOIN res_mot y ON y.rid = c.b AND y.mot = x.mot
            WHERE x.role = 'propre' AND y.role = 'propre'
            GROUP BY c.a, c.b
        ), reste AS (
            SELECT c.a, c.b, fa.propres AS pa, fb.propres AS pb
            FROM res_candidat c
            JOIN res_fiche fa ON fa.rid = c.a JOIN res_fiche fb ON fb.rid = c.b
            WHERE len(fa.propres) > 0 AND len(fb.propres) > 0
              AND NOT list_has_all(fa.propres, fb.propres)
              AND NOT list_has_all(fb.propres, fa.propres)
        ), proches AS (
            SELECT r.a, r.b, x.mot, max(least(x.bits, y.bits) * 8 // 10) AS bits
            FROM reste r
            JOIN res_mot x ON x.rid = r.a AND x.role = 'propre'
            JOIN res_mot y ON y.rid = r.b AND y.role = 'propre'
            WHERE x.mot <> y.mot AND NOT list_contains(r.pb, x.mot)
              AND NOT list_contains(r.pa, y.mot)
              AND least(length(x.mot), length(y.mot)) >= 4
              AND abs(length(x.mot) - length(y.mot)) <= 3
              AND NOT regexp_matches(x.mot || y.mot, '[0-9]')
              AND (x.mot || 's' = y.mot OR y.mot || 's' = x.mot
                   OR (least(length(x.mot), length(y.mot)) >= 5
                       AND CASE WHEN jaro_winkler_similarity(x.mot, y.mot) >= {_SIMILAR} THEN true
                            WHEN jaro_winkler_similarity(x.mot, y.mot) >= 0.8
                            THEN levenshtein(x.mot, y.mot) <= 1 ELSE false END))
            GROUP BY r.a, r.b, x.mot
        )
        SELECT a, b, sum(bits)::INTEGER AS bits
        FROM (SELECT a, b, bits FROM exacts UNION ALL SELECT a, b, bits FROM proches)
        GROUP BY a, b
        """
    )


def _features() -> str:
    same_contact = ", ".join(
        f"CASE WHEN x.{c} = y.{c} THEN u_{c}.usages END AS usages_{c}, x.{c} <> y.{c} AS autre_{c}"
        for c in CONTACTS
    )
    joins = "\n".join(
        f"LEFT JOIN res_usage_{c} u_{c} ON u_{c}.valeur = CASE WHEN x.{c} = y.{c} THEN x.{c} END"
        for c in CONTACTS
    )
    return f"""
    WITH brut AS (
        SELECT c.a, c.b, c.cles, x.source = y.source AS meme_source,
               coalesce(w.bits, 0) AS bits_communs,
               x.bits_propres AS bits_a, y.bits_propres AS bits_b,
               least(x.poids, y.poids) AS poids,
               x.noyau = y.noyau AS noyau_egal,
               least(length(x.noyau), length(y.noyau)) >= 5
                   AND (contains(x.noyau, y.noyau) OR contains(y.noyau, x.noyau))
                   AS noyau_contenu,
               x.noyau_propre = y.noyau_propre AS propre_egal,
               jaro_winkler_similarity(coalesce(x.noyau_propre, ''), coalesce(y.noyau_propre, ''))
                   AS similarite,
               least(length(coalesce(x.noyau_propre, '')), length(coalesce(y.noyau_propre, '')))
                   AS longueur,
               CASE WHEN jaro_winkler_similarity(x.noyau_propre, y.noyau_propre) >= 0.85
                    THEN levenshtein(left(x.noyau_propre, 40), left(y.noyau_propre, 40)) END
                   AS fautes,
               regexp_matches(coalesce(x.noyau_propre, '') || coalesce(y.noyau_propre, ''), '[0-9]')
                   AS chiffres,
               (list_contains(x.sigles, coalesce(y.noyau_propre, y.noyau))
                OR list_contains(y.sigles, coalesce(x.noyau_propre, x.noyau))) AS sigle,
               x.genres AS genres_a, y.genres AS genres_b, x.voisins AS voisins_a,
               x.heberge AS heberge_a, y.heberge AS heberge_b,
               x.invite AS invite_a, y.invite AS invite_b,
               x.chez <> y.chez AS chez,
               x.itinerant <> y.itinerant AS un_seul_itinerant,
               coalesce(e.sites, 1) AS sites,
               x.voie IS NULL OR y.voie IS NULL AS voie_inconnue,
               x.voie_jointe = y.voie_jointe
                   OR (list_has_all(x.voie, y.voie) AND length(y.voie_jointe) >= 5)
                   OR (list_has_all(y.voie, x.voie) AND length(x.voie_jointe) >= 5)
                   OR CASE WHEN jaro_winkler_similarity(x.voie_jointe, y.voie_jointe) >= {_SIMILAR}
                           THEN levenshtein(x.voie_jointe, y.voie_jointe) <= 3 ELSE false END
                   AS meme_voie,
               x.numero IS NOT NULL AND y.numero IS NOT NULL AS numeros,
               greatest(x.numero, y.numero) - least(x.numero_fin, y.numero_fin) AS ecart_numero,
               CASE WHEN x.insee = y.insee OR x.cp = y.cp OR x.ville = y.ville THEN true
                    WHEN x.insee <> y.insee THEN false
                    WHEN left(x.cp, 2) <> left(y.cp, 2) THEN false
                    WHEN x.cp <> y.cp AND x.ville <> y.ville THEN false END AS meme_commune,
               x.insee <> y.insee OR left(x.cp, 2) <> left(y.cp, 2) AS autre_territoire,
               res_metres(x.lat, x.lon, y.lat, y.lon) AS metres,
               sqrt(x.sigma * x.sigma + y.sigma * y.sigma) AS sigma,
               greatest(x.sigma, y.sigma) AS sigma_max,
               left(x.siret, 9) = left(y.siret, 9) AS meme_siren,
               left(x.siret, 9) <> left(y.siret, 9) AS autre_siren,
               list_has_any(x.ids, y.ids) AS meme_identifiant,
               {same_contact}
        FROM res_paire c
        LEFT JOIN res_commun w ON w.a = c.a AND w.b = c.b
        LEFT JOIN res_enseigne e ON e.nom = coalesce(x.noyau_propre, x.noyau)
        {joins}
    )
    SELECT *,
           CASE WHEN len(genres_a) = 0 OR len(genres_b) = 0 THEN 'inconnu'
                WHEN list_has_any(genres_a, genres_b) THEN 'egal'
                WHEN list_has_any(voisins_a, genres_b) THEN 'voisin'
                ELSE 'oppose' END AS genre,
           len(genres_a) = 0 AND len(genres_b) = 0 AS sans_genre,
           CASE WHEN heberge_a AND invite_b AND NOT heberge_b THEN 'a'
                WHEN heberge_b AND invite_a AND NOT heberge_a THEN 'b' END AS hote_probable
    FROM brut
    """
