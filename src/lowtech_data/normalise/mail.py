"""E-mails: only the role address of an organisation on its own domain; every other is personal."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data.normalise.journal import change, dictionary
from lowtech_data.normalise.personal import literal
from lowtech_data.normalise.web import SOCIAL
from lowtech_data.redact import decoded

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
    9online aliceadsl aol bbox bluewin caramail cegetel club-internet disroot ecomail fastmail
    free freesbee gmail gmx googlemail hotmail icloud ik inbox laposte libertysurf lilo live mac
    mail mailfence mailo me msn neuf netc netcourrier noos nordnet numericable orange outlook pm
    posteo proton protonmail riseup rocketmail sfr skynet tele2 telenet tuta tutanota vivaldi
    voila wanadoo yahoo yandex ymail zaclys zoho
""".split()  # noqa: SIM905 — a list of words reads better as words
"""Names of free mailboxes: the mailbox of a person, whatever its local part says."""

_AT = r"\s*(?:@|＠|[\[({<]\s*(?:at|arobase|@)\s*[\])}>]|&#0*64;|%40)\s*|\s+(?:at|arobase)\s+"
_DOT = r"\s*[\[({]\s*(?:\.|dot|point)\s*[\])}]\s*|\s+(?:dot|point)\s+"


_FREE = rf"@(?:[a-z0-9-]+\.)*(?:{'|'.join(FREE_MAIL)})\.[a-z.]+$"

_ADDRESS = re.compile(
    r"(?<![\w.%+@-])([a-z0-9][a-z0-9._%+-]{0,63})@((?:[a-z0-9-]{1,63}\.){1,6}[a-z]{2,24})(?![\w@-])"
)
_LINK = re.compile(r"<[^<>]{0,200}?mailto:([^\"'?<>\s]{1,200})[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*(?:>|$)")
_CHARACTERS_READ = 20_000
_SPOKEN = re.compile(_AT, re.IGNORECASE), re.compile(_DOT, re.IGNORECASE)

_SAID_SCHEMA = pa.schema([("v", pa.string()), ("courriel", pa.string())])


def _said(place: str) -> dict[str, Any]:
    """The first role address of a text on the domain of its organisation.

    `place` is the host of its site (or nothing) and the text, with a unit separator between them.
    """
    host, _, text = place.partition("\x1f")
    text = decoded(text[:_CHARACTERS_READ])
    text = _TAG.sub("", _LINK.sub(r" \1 ", text)).lower()
    for pattern, sign in zip(_SPOKEN, "@.", strict=True):
        text = pattern.sub(sign, text)
    for local, domain in _ADDRESS.findall(text):
        is_own = not host or f".{host}".endswith(f".{domain}") or domain.endswith(f".{host}")
        address = f"{local}@{domain}"
        if local in ROLES and is_own and not re.search(_FREE, address):
            return {"courriel": address}
    return {"courriel": None}


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_mail`: `courriel` (a role address), for rows that give or say one.

    When the field gives none, the first one of the description, the hours, the site, the address or
    the name is taken, on the domain of the site, or on any but a free mailbox when there is no
    site; not for a person.
    """
    _given(con)
    _from_texts(con)
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_mail AS
        SELECT n, courriel FROM n_mail_given WHERE courriel IS NOT NULL
        UNION ALL SELECT n, courriel FROM n_mail_said"""
    )


def _given(con: duckdb.DuckDBPyConnection) -> None:
    roles = ", ".join(literal(role) for role in ROLES)
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
                WHEN regexp_matches(t, '{_FREE}') THEN 'messagerie_gratuite'
                WHEN split_part(t, '@', 1) IN ({roles}) THEN NULL
                ELSE 'courriel_nominatif' END AS refus
        FROM nets"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_mail_given AS
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
        select="FROM n_mail_given WHERE courriel <> source AND refuses = 0 AND length(source) < 80"
        " AND NOT contains(source, ';') AND NOT contains(source, ',')",
    )


def _from_texts(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_mail_said`: `courriel`, for rows whose field gives none.

    Cleaning texts has already said which of them hold an address.
    """
    social = "|".join(re.escape(host) for host in SOCIAL)
    held = {
        column: f"JOIN n_text d ON r.{column} = d.v WHERE d.courriel OR contains(d.v, 'mailto:')"
        for column in ("description", "adresse", "complement_adresse", "nom")
    } | {column: f"WHERE contains(r.{column}, '@')" for column in ("horaires", "site_web")}
    texts = " UNION ALL ".join(
        f"SELECT r.n, {rank} AS rang, r.{column} AS v, r.site_web FROM n_raw r {held[column]}"
        for rank, column in enumerate(
            ("description", "horaires", "site_web", "adresse", "complement_adresse", "nom")
        )
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_mail_texts AS
        SELECT n, rang, CASE WHEN regexp_matches(hote, '(?:^|\.)(?:{social})$') THEN ''
            ELSE coalesce(hote, '') END || chr(31) || v AS v
        FROM (SELECT *, regexp_extract(lower(site_web),
            '^(?:\s*https?://)?(?:www\.)?((?:[a-z0-9-]+\.)+[a-z]+)', 1) AS hote FROM ({texts}))
        WHERE n NOT IN (SELECT n FROM n_mail_given WHERE courriel IS NOT NULL)
            AND n NOT IN (SELECT n FROM n_name WHERE personne)"""
    )
    dictionary(con, "n_mails_said", "SELECT v FROM n_mail_texts", _said, _SAID_SCHEMA)
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_mail_said AS
        SELECT t.n, arg_min(d.courriel, t.rang) AS courriel
        FROM n_mail_texts t JOIN n_mails_said d ON t.v = d.v
        WHERE d.courriel IS NOT NULL GROUP BY t.n"""
    )
    change(
        con,
        "courriel",
        regle="'tire_du_texte'",
        source="courriel",
        select="FROM n_mail_said",
    )
