"""E-mails: only the role address of an organisation on its own domain; every other is personal."""

from __future__ import annotations

import duckdb

from lowtech_data.normalise.journal import change
from lowtech_data.normalise.personal import literal

ROLES = """
    accueil adherents adhesion administration admin agence agenda animation asso association
    atelier ateliers bibliotheque bienvenue bonjour boutique bureau cafe centresocial coeur
    collectif com communication contact contacts contactez cooperative coworking devis dons
    ecole equipe espace fablab formation formations hello ici info infos inscription
    inscriptions jardin labo lab lafabrique lieu magasin mairie maison mediatheque mjc
    numerique permanence projet projets recyclerie repaircafe repair-cafe reparation
    reservation reservations reseau ressourcerie salut secretariat services service site
    team tierslieu tiers-lieu velo webmaster
""".split()  # noqa: SIM905 — a list of words reads better as words
"""Local parts that name a role or a place of an organisation."""

FREE_MAIL = """
    9online aliceadsl aol bbox cegetel club-internet ecomail fastmail free freesbee gmail
    gmx googlemail hotmail icloud ik inbox laposte libertysurf lilo live mac mail mailfence
    mailo me msn neuf netc netcourrier noos nordnet numericable orange outlook pm posteo
    proton protonmail rocketmail sfr skynet tutanota voila wanadoo yahoo yandex ymail zaclys
    zoho
""".split()  # noqa: SIM905 — a list of words reads better as words
"""Names of free mailboxes: the mailbox of a person, whatever its local part says."""

_AT = r"\s*(?:@|＠|[\[({<]\s*(?:at|arobase|@)\s*[\])}>]|&#0*64;|%40)\s*|\s+(?:at|arobase)\s+"
_DOT = r"\s*[\[({]\s*(?:\.|dot|point)\s*[\])}]\s*|\s+(?:dot|point)\s+"


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_mail`: `courriel` (a role address or nothing), for rows that give one."""
    roles = ", ".join(literal(role) for role in ROLES)
    free = "|".join(FREE_MAIL)
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_mails AS
        WITH ecrits AS MATERIALIZED (
            SELECT n, courriel AS source, regexp_replace(regexp_replace(
                lower(left(courriel, 500)), {literal(_AT)}, '@', 'g'), {literal(_DOT)}, '.', 'g')
                    AS t
            FROM n_raw WHERE courriel IS NOT NULL AND NOT vide(courriel)),
        morceaux AS (
            SELECT n, source, unnest(regexp_split_to_array(t, '[;,|\s]+')) AS t,
                generate_subscripts(regexp_split_to_array(t, '[;,|\s]+'), 1) AS rang
            FROM ecrits),
        nets AS MATERIALIZED (
            SELECT n, source, rang, regexp_extract(t,
                '^(?:mailto:)?<?([a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{{2,24}})>?[.]?'
                || '(?:\?.*)?$', 1) AS t FROM morceaux WHERE t <> '')
        SELECT n, source, rang, t,
            CASE WHEN t = '' THEN 'courriel_illisible'
                WHEN regexp_matches(t, '@(?:[a-z0-9-]+\.)*(?:{free})\.[a-z.]+$')
                    THEN 'messagerie_gratuite'
                WHEN split_part(t, '@', 1) IN ({roles}) THEN NULL
                ELSE 'courriel_nominatif' END AS refus
        FROM nets"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_mail AS
        SELECT n, min(source) AS source, arg_min(t, rang) FILTER (refus IS NULL) AS courriel,
            count(*) FILTER (refus IS NOT NULL) AS refuses
        FROM n_mails GROUP BY n"""
    )
    con.execute(
        """INSERT INTO n_rejects SELECT DISTINCT n, 'courriel', refus, '…@…'
        FROM n_mails WHERE refus IS NOT NULL"""
    )
    change(
        con,
        "courriel",
        regle="'courriel_remis_en_forme'",
        source="source",
        select="FROM n_mail WHERE courriel <> source AND refuses = 0 AND length(source) < 80"
        " AND NOT contains(source, ';') AND NOT contains(source, ',')",
    )
