"""Addresses: number and street in `adresse`, everything else that helps in `complement_adresse`.

Abbreviations are published as written: they are expanded only when addresses are compared. Most
addresses are a street and nothing else; the others are parted by `normalise.street`, each distinct
one once.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from lowtech_data.normalise import street
from lowtech_data.normalise.journal import change, dictionary, reject
from lowtech_data.normalise.personal import literal

_TAIL = (
    r"(?i)^(.*?)[\s,–-]*\(?\b(?:f-?)?(\d{5})\)?[\s,-]+(\p{L}[\p{L}\s''’.-]*"
    r"(?:\s\d{1,2}(?:er|e|[èe]me)?)?)(?:,\s*france)?[\s.,]*$"
)
_TAIL_PARTS = "['avant', 'cp', 'commune']"
_PERSON = (
    r"\b(?:chez|c/o|a/s|att[a-z]*|bons soins|mr?|mmes?|mlle|melle|monsieur|madame|mademoiselle)\b"
    r"|℅"
)
_SIGN = (
    rf"(?i)\n|^\D*$|\d{{5}}|[;:/()–]|[^\d],\s|,$|^[\s,-]|\s-|-$|{_PERSON}"
    r"|\b(?:bp|cs|b\.p|c\.s|tsa|bo[iî]te|cedex|france|adresse)\b"
)
"""Whether an address may be more than a street, or less: without it, it is published as it is."""

_READ_SCHEMA = pa.schema(
    [
        ("v", pa.string()),
        ("voie", pa.string()),
        ("complement", pa.string()),
        ("regles", pa.string()),
        ("ajoute", pa.bool_()),
        ("tiers_voie", pa.bool_()),
        ("tiers_complement", pa.bool_()),
        ("region", pa.bool_()),
    ]
)
_READ_COLUMNS = (
    "t.adresse",
    "t.complement_adresse",
    "coalesce(c.commune, t.commune)",
    "c.code_postal",
    "c.cp",
)


def place(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_place`: what a fiche says of its commune, also when it is hidden in the address.

    The commune is read from the address only when the commune field is empty: after a postcode, or
    as the last words when a single commune of that name is near the position of the fiche.
    """
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_hidden AS
        WITH muets AS MATERIALIZED (
            SELECT t.n, t.adresse, r.code_postal FROM n_txt t JOIN n_raw r ON t.n = r.n
            WHERE t.commune IS NULL AND t.adresse IS NOT NULL AND vide(r.code_insee)),
        avec_cp AS (
            SELECT n, fin.cp AS cp, trim(fin.commune) AS commune FROM (
                SELECT n, list_filter(list_transform(string_split(adresse, chr(10)),
                        lambda x: regexp_extract(x, '{_TAIL}', {_TAIL_PARTS})),
                    lambda x: x.cp <> '')[-1] AS fin
                FROM muets WHERE regexp_matches(adresse, '\d{{5}}'))
            WHERE fin.cp <> ''),
        mots AS MATERIALIZED (
            SELECT m.n, string_split(trim(replace(m.adresse, chr(10), ' ')), ' ') AS mots,
                p.latitude, p.longitude
            FROM muets m JOIN n_point p ON m.n = p.n AND p.refus IS NULL
            WHERE m.n NOT IN (SELECT n FROM avec_cp)),
        fins AS MATERIALIZED (
            SELECT n, latitude, longitude, k, array_to_string(mots[-k:], ' ') AS commune
            FROM mots, (SELECT unnest([1, 2, 3, 4, 5]) AS k) WHERE len(mots) > k),
        proches AS (
            SELECT f.n, f.k, any_value(f.commune) AS commune FROM fins f
            JOIN norm_noms m ON m.nom_cle = cle_commune(f.commune) AND m.courant
            JOIN norm_communes c ON m.code_actuel = c.code
            WHERE distance_km(f.latitude, f.longitude, c.latitude, c.longitude) < 15
            GROUP BY f.n, f.k HAVING count(*) = 1)
        SELECT n, cp, commune FROM avec_cp
        UNION ALL
        SELECT n, NULL, arg_max(commune, k) FROM proches GROUP BY n"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_place AS
        SELECT n, code_postal, commune, code_insee, concat(code_postal, chr(31), commune, chr(31),
            code_insee) AS cle
        FROM (
            SELECT r.n,
                CASE WHEN vide(r.code_postal) OR regexp_matches(r.code_postal, '^[0 .]+$')
                    THEN h.cp ELSE r.code_postal END AS code_postal,
                coalesce(t.commune, h.commune) AS commune,
                CASE WHEN vide(r.code_insee) THEN NULL ELSE r.code_insee END AS code_insee
            FROM n_raw r JOIN n_txt t ON r.n = t.n LEFT JOIN n_hidden h ON r.n = h.n)"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_address`: `adresse` and `complement_adresse`, once the commune is known.

    A person's address is not kept, nor the name of the person at whose place an address is.
    """
    read = ", chr(31), ".join(f"coalesce({column}, '')" for column in _READ_COLUMNS)
    # Many listings end every address with its postcode and commune: what is left is most often a
    # plain street, and is not read one by one.
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE n_streets AS
        WITH signes AS (
            SELECT t.n, concat({read}) AS v, t.adresse, t.complement_adresse,
                c.code_postal || ' ' || c.commune AS fin
            FROM n_txt t JOIN n_commune c ON t.n = c.n
            WHERE regexp_matches(t.adresse, {literal(_SIGN)})
                OR length(t.adresse) > {street.MAX_CHARACTERS}
                OR t.complement_adresse IS NOT NULL),
        coupes AS (
            SELECT n, v, CASE WHEN complement_adresse IS NULL
                    AND ends_with(lower(adresse), lower(fin))
                THEN rtrim(left(adresse, length(adresse) - length(fin)), ' ,') END AS courte
            FROM signes)
        SELECT n, v, CASE WHEN length(courte) <= {street.MAX_CHARACTERS}
            AND NOT regexp_matches(courte, {literal(_SIGN)}) THEN courte END AS courte
        FROM coupes"""
    )
    given_names: set[str] = set()

    def split(written: str) -> dict[str, Any]:
        if not given_names:
            rows = con.execute("SELECT prenom FROM n_prenoms").fetchall()
            given_names.update(prenom for (prenom,) in rows)
        return _split(written, given_names)

    dictionary(
        con, "n_streets_read", "SELECT v FROM n_streets WHERE courte IS NULL", split, _READ_SCHEMA
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_address AS
        SELECT t.n,
            CASE WHEN m.personne THEN NULL WHEN s.n IS NULL THEN t.adresse
                ELSE coalesce(s.courte, d.voie) END AS adresse,
            CASE WHEN NOT m.personne THEN d.complement END AS complement_adresse,
            m.personne AND coalesce(t.adresse, t.complement_adresse) IS NOT NULL AS cachee,
            d.region, d.ajoute, d.tiers_voie, d.tiers_complement,
            CASE WHEN s.courte IS NULL THEN d.regles ELSE 'commune_retiree' END AS regles,
            CASE WHEN NOT m.personne AND NOT coalesce(d.tiers_voie, false)
                    AND coalesce(t.adresse_regle, '') NOT LIKE '%personnelle%'
                THEN t.adresse_montre END AS ecrite,
            CASE WHEN NOT m.personne AND NOT coalesce(d.tiers_complement, false)
                    AND coalesce(t.complement_adresse_regle, '') NOT LIKE '%personnelle%'
                THEN t.complement_adresse_montre END AS complement_ecrit,
            t.adresse_regle, t.complement_adresse_regle
        FROM n_txt t JOIN n_name m ON t.n = m.n LEFT JOIN n_streets s ON t.n = s.n
        LEFT JOIN n_streets_read d ON s.v = d.v AND s.courte IS NULL"""
    )
    con.execute(
        """INSERT INTO n_rejects
        SELECT n, 'adresse', 'adresse_de_personne_possible', NULL FROM n_address WHERE cachee
        UNION ALL
        SELECT n, 'adresse', 'personne_dans_adresse', NULL FROM n_address
        WHERE tiers_voie AND NOT cachee
        UNION ALL
        SELECT n, 'complement_adresse', 'personne_dans_adresse', NULL FROM n_address
        WHERE tiers_complement AND NOT cachee"""
    )
    reject(
        con,
        "adresse",
        regle="'adresse_sans_voie'",
        value="ecrite",
        select="FROM n_address WHERE region AND NOT cachee",
    )
    change(
        con,
        "adresse",
        regle="coalesce(nullif(concat_ws('+', adresse_regle, regles), ''),"
        " 'adresse_remise_en_forme')",
        source="ecrite",
        select="FROM n_address WHERE adresse IS DISTINCT FROM ecrite AND ecrite IS NOT NULL",
    )
    change(
        con,
        "complement_adresse",
        regle="concat_ws('+', complement_adresse_regle,"
        " CASE WHEN ajoute THEN 'tire_de_l_adresse' END)",
        source="complement_ecrit",
        select="FROM n_address WHERE complement_adresse IS DISTINCT FROM complement_ecrit"
        " AND complement_adresse IS NOT NULL AND NOT coalesce(tiers_complement, false)",
    )


def _split(written: str, given_names: set[str]) -> dict[str, Any]:
    address, complement, commune, *postcodes = written.split("\x1f")
    found = street.split(
        address or None,
        complement or None,
        street.Known(
            frozenset(filter(None, [street.commune_key(commune)])),
            frozenset(filter(None, postcodes)),
            given_names,
        ),
    )
    return {
        "voie": found.street,
        "complement": found.complement,
        "regles": "+".join(found.rules) or None,
        "ajoute": found.added,
        "tiers_voie": found.person_of_street,
        "tiers_complement": found.person_of_complement,
        "region": found.is_region,
    }
