"""From clusters of fiches to initiatives: one value per field, every value kept with its origin.

Which value is selected follows a total order, so that the same fiches give the same initiative in
whatever order they come. Everywhere a correction by a person comes first, and a fiche that its
source still lists before one that it dropped. Then:

========================= ==========================================================================
field                     order
========================= ==========================================================================
nom                       not all in capitals; *general order*
type, nature              a kind of activity over a legal form (association, entreprise…); *general*
commune and territories   of one fiche: a known commune; an address with a number, then one without,
                          then none; *general*
adresse                   of that commune, else of a fiche without one; with a number; *general*
complement_adresse        of the selected address alone; its fiche; *general*
code_postal               of the selected address's fiche; else of that commune, district; *general*
latitude, longitude,      of one fiche, of that commune or of none; a precise point over a vague
precision_geo             one; of the selected street; finer precision; *general*
site_web                  an own site over a social page; *general*
statut                    the latest word: a closed one speaks when it was updated, else last seen;
                          `publie`, the default of listings, only when it was updated; *general*
date_maj                  the latest
lists                     all values together; a correction replaces them
others                    *general order*
========================= ==========================================================================

The general order is: official source, network, contributive; most recently updated, undated last;
most recently appeared; smallest (source, key). No date of harvest is in it: it would move selected
values with the calendar of harvests.

Mixing the places of two fiches would invent a third one, hence the groups. Nothing is blanked by
disagreement: values that were not selected are rows of `provenances` all the same.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from lowtech_data import reference
from lowtech_data.model import CLEAN_FIELDS, TABLES, Kind
from lowtech_data.normalise.web import SOCIAL

GRACE_DAYS = 60
"""Days after which an initiative that all its sources dropped is archived."""

SCORED_FIELDS = (
    "nom", "type", "themes", "adresse", "code_insee", "latitude", "site_web", "courriel",
    "telephone", "siret", "horaires", "resume",
)  # fmt: skip
"""`score_completude` is the share of these that an initiative has."""

FRESHNESS_HALF_LIFE_DAYS = 365
"""`score_fraicheur` halves with each year from the last update to the newest data of the base."""

FACTS = frozenset(
    {
        "nom", "noms_alternatifs", "nature", "type", "familles", "themes", "commune", "code_insee",
        "code_arrondissement", "code_epci", "code_departement", "code_region", "statut", "date_maj",
        "licence", "attribution",
    }
)  # fmt: skip
"""What a source under `faits_et_lien` lets be republished; the rest of its fields is dropped."""

_POSITION = ("latitude", "longitude", "precision_geo")
_TERRITORY = (
    "commune", "code_insee", "code_arrondissement", "code_epci", "code_departement", "code_region",
)  # fmt: skip
_ADDRESS = ("adresse", "complement_adresse", "code_postal")
_NOT_FUSED = ("licence", "attribution")
_LEGAL_FORMS = (
    "association", "cooperative", "entreprise", "collectif", "collectivite", "reseau", "projet",
)  # fmt: skip
"""Types that say how a body is organised, not what one does there."""
_PRECISIONS = ("numero", "voie", "lieu_dit", "commune", "inconnue")
_PRECISE = 3
"""How many of `_PRECISIONS` tell a place within its commune."""
_LISTS = tuple(c.name for c in CLEAN_FIELDS if c.kind is Kind.LIST)
_SINGLES = tuple(
    c.name for c in CLEAN_FIELDS if c.kind is not Kind.LIST and c.name not in _NOT_FUSED
)

_KINDS = {column.name: column.kind.duckdb for column in CLEAN_FIELDS}


class CorrectionError(ValueError):
    """A correction by a person cannot be applied; the message names the decision and the field."""


def publishable(con: duckdb.DuckDBPyConnection) -> None:
    """Make `fiches_publiables` from `fiches_brutes` and `registre_sources` (id, republication, …).

    Sources under `interdite` and `comptage` give nothing; `faits_et_lien` gives `FACTS` alone.
    """
    columns = []
    for column in CLEAN_FIELDS:
        if column.name in FACTS:
            columns.append(f'f."{column.name}"')
        else:
            columns.append(
                f"CASE WHEN r.republication = 'complete' THEN f.\"{column.name}\" END "
                f'AS "{column.name}"'
            )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE fiches_publiables AS
        SELECT f.* REPLACE ({", ".join(c for c in columns if " AS " in c)})
        FROM fiches_brutes f JOIN registre_sources r ON r.id = f.source_id
        WHERE r.republication IN ('complete', 'faits_et_lien')
        """
    )


def fuse(con: duckdb.DuckDBPyConnection, *, data_date: str) -> None:
    """Make the tables `initiatives`, `provenances`, `correspondances` and `fiches_liees`.

    Reads `fiches_publiables`, `registre_sources` (id, fiabilite, copie_de, licence, attribution),
    `appartenance` (source_id, cle_source, entite_id), `transformations` and `corrections`
    (entite_id, champ, valeur, decision). `data_date` is the day of the newest bytes of the base.
    A correction without a value empties its field, one of a list has its values between `|`, and
    one of `code_insee` brings the name and the territories of that commune. Raises
    `CorrectionError` for one that cannot be applied.
    """
    _corrections(con)
    _members(con)
    _values(con)
    _select(con)
    _provenances(con)
    _initiatives(con, data_date)
    _correspondences(con)


def _corrections(con: duckdb.DuckDBPyConnection) -> None:
    """Make `mots_fusion`, the corrections with what they bring along."""
    rows = con.execute(
        "SELECT champ, nullif(valeur, ''), decision FROM corrections ORDER BY decision, champ"
    ).fetchall()
    for name, value, decision in rows:
        if name not in (*_SINGLES, *_LISTS):
            raise CorrectionError(f"décision {decision} : le champ « {name} » ne se corrige pas")
        if name in _SINGLES and value is not None:
            read = con.execute(f"SELECT TRY_CAST(? AS {_KINDS[name]})", [value]).fetchone()
            if read is None or read[0] is None:
                raise CorrectionError(
                    f"décision {decision} : « {value} » n’est pas une valeur de {name} "
                    f"({_KINDS[name]} attendu)"
                )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE mots_fusion AS "
        "SELECT entite_id, champ, nullif(valeur, '') AS valeur, decision FROM corrections"
    )
    if not any(name == "code_insee" and value for name, value, _ in rows):
        return
    reference.install(con)
    unknown = con.execute(
        "SELECT decision, valeur FROM mots_fusion m "
        "ANTI JOIN ref_communes c ON c.code = m.valeur AND c.code_actuel = c.code "
        "WHERE champ = 'code_insee' AND valeur IS NOT NULL ORDER BY ALL"
    ).fetchone()
    if unknown:
        raise CorrectionError(
            f"décision {unknown[0]} : « {unknown[1]} » n’est le code INSEE d’aucune commune"
        )
    con.execute(
        """
        INSERT INTO mots_fusion
        SELECT m.entite_id, t.champ, t.valeur, m.decision
        FROM mots_fusion m JOIN ref_communes c ON m.champ = 'code_insee' AND c.code = m.valeur,
            LATERAL (VALUES ('commune', c.nom), ('code_epci', c.code_epci),
                ('code_departement', c.code_departement), ('code_region', c.code_region),
                ('code_arrondissement', NULL)) t(champ, valeur)
        WHERE (m.entite_id, t.champ) NOT IN (SELECT (entite_id, champ) FROM corrections)
        """
    )


def _members(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE fiches_liees AS
        SELECT f.*, a.entite_id,
               coalesce(r.copie_de[1], r.id) AS origine,
               CASE r.fiabilite WHEN 'officielle' THEN 0 WHEN 'reseau' THEN 1 ELSE 2 END AS rang,
               coalesce(f.licence, nullif(r.licence, 'par_fiche'), 'aucune') AS licence_fiche,
               coalesce(f.attribution, r.attribution, r.editeur) AS attribution_fiche
        FROM fiches_publiables f
        JOIN appartenance a USING (source_id, cle_source)
        JOIN registre_sources r ON r.id = f.source_id
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE membres AS
        SELECT *, row_number() OVER (ORDER BY
            absent_depuis IS NOT NULL, rang, date_maj DESC NULLS LAST, premiere_vue DESC,
            source_id, cle_source) AS ordre,
            absent_depuis IS NOT NULL AS absente,
            CASE WHEN adresse IS NULL THEN 2 WHEN adresse SIMILAR TO '.*[0-9].*' THEN 0 ELSE 1 END
                AS adresse_vague,
            {_street("adresse")} AS rue
        FROM fiches_liees WHERE entite = 'initiative'
        """
    )


def _street(address: str) -> str:
    """SQL for the words of an address without its numbers, folded."""
    folded = f"strip_accents(lower({address}))"
    words = f"regexp_replace({folded}, '\\b(bis|ter|quater)\\b|[^a-z]+', ' ', 'g')"
    return f"trim(regexp_replace({words}, ' +', ' ', 'g'))"


def _newest() -> str:
    return "coalesce(date_maj, derniere_vue, '')"


def _values(con: duckdb.DuckDBPyConnection) -> None:
    """Every value of every field, one row each, with the place of its fiche in the order."""
    singles = " UNION ALL ".join(
        f"""SELECT entite_id, '{name}' AS champ, CAST("{name}" AS VARCHAR) AS valeur,
                   source_id, cle_source, capture, ordre FROM membres WHERE "{name}" IS NOT NULL"""
        for name in _SINGLES
    )
    lists = " UNION ALL ".join(
        f"""SELECT entite_id, '{name}', unnest("{name}"), source_id, cle_source, capture, ordre
            FROM membres"""
        for name in _LISTS
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE valeurs AS
        SELECT * FROM ({singles} UNION ALL {lists})
        UNION ALL
        SELECT c.entite_id, c.champ, unnest(CASE WHEN c.champ IN ({_quoted(_LISTS)})
                   THEN string_split(c.valeur, '|') ELSE [c.valeur] END),
               'corrections', c.decision, NULL, 0
        FROM mots_fusion c
        WHERE c.valeur IS NOT NULL AND c.entite_id IN (SELECT entite_id FROM membres)
        """
    )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


_KIND_OF_PLACE = (
    f"CASE WHEN type IS NULL THEN 2 WHEN type IN ({_quoted(_LEGAL_FORMS)}) THEN 1 ELSE 0 END"
)
_OWN_ORDERS = {
    "nom": "nom = upper(nom) AND nom <> lower(nom)",
    "type": _KIND_OF_PLACE,
    "nature": _KIND_OF_PLACE,
    "site_web": "regexp_matches(lower(site_web), "
    f"'^https?://([^/]*[.])?({'|'.join(host.replace('.', '[.]') for host in SOCIAL)})([:/]|$)')",
    "statut": "CASE statut WHEN 'publie' THEN coalesce(date_maj, '') "
    "ELSE coalesce(date_maj, derniere_vue, '') END DESC, statut = 'publie'",
    "date_maj": "date_maj DESC",
}
"""Fields with an order of their own, between presence and the general order."""


def _select(con: duckdb.DuckDBPyConnection) -> None:
    """The fiche that each field is taken from: `choix` (entite_id, champ, ordre)."""
    grouped = {*_TERRITORY, *_POSITION, *_ADDRESS, *_OWN_ORDERS}
    own = " UNION ALL ".join(
        f"(SELECT DISTINCT ON (entite_id) entite_id, '{name}' AS champ, ordre FROM membres "
        f'WHERE "{name}" IS NOT NULL ORDER BY entite_id, absente, {order}, ordre)'
        for name, order in _OWN_ORDERS.items()
    )
    _select_place(con)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE choix AS
        SELECT entite_id, champ, min(ordre) AS ordre FROM valeurs
        WHERE champ IN ({_quoted(n for n in _SINGLES if n not in grouped)}) GROUP BY ALL
        UNION ALL {own}
        UNION ALL SELECT entite_id, unnest([{_quoted(_TERRITORY)}]), ordre FROM lieu
        UNION ALL SELECT entite_id, unnest([{_quoted(_POSITION)}]), ordre FROM point
        UNION ALL SELECT entite_id, 'adresse', ordre FROM rue_retenue
        UNION ALL SELECT entite_id, 'complement_adresse', ordre FROM complement
        UNION ALL SELECT entite_id, 'code_postal', ordre FROM code_postal
        UNION ALL SELECT entite_id, champ, 0 FROM mots_fusion
        """
    )


def _select_place(con: duckdb.DuckDBPyConnection) -> None:
    """The fiches of the commune, of the address and its parts, and of the point."""
    somewhere = ", ".join(_TERRITORY)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE lieu AS
        SELECT DISTINCT ON (entite_id) entite_id, ordre, code_insee, code_arrondissement
        FROM membres WHERE coalesce({somewhere}) IS NOT NULL
        ORDER BY entite_id, absente, code_insee IS NULL, adresse_vague, ordre
        """
    )
    # Fiches of another commune speak of another place.
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE au_lieu AS
        SELECT m.*, l.code_arrondissement AS district,
               m.code_insee IS DISTINCT FROM l.code_insee AS commune_inconnue
        FROM membres m LEFT JOIN lieu l USING (entite_id)
        WHERE m.code_insee IS NULL OR l.code_insee IS NULL OR m.code_insee = l.code_insee
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE rue_retenue AS
        SELECT DISTINCT ON (entite_id) entite_id, ordre, rue, adresse FROM au_lieu
        WHERE adresse IS NOT NULL
        ORDER BY entite_id, absente, commune_inconnue, adresse_vague, ordre
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE complement AS
        SELECT DISTINCT ON (m.entite_id) m.entite_id, m.ordre
        FROM au_lieu m LEFT JOIN rue_retenue r USING (entite_id)
        WHERE m.complement_adresse IS NOT NULL AND m.adresse IS NOT DISTINCT FROM r.adresse
        ORDER BY m.entite_id, m.ordre IS DISTINCT FROM r.ordre, m.ordre
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE code_postal AS
        SELECT DISTINCT ON (m.entite_id) m.entite_id, m.ordre
        FROM au_lieu m LEFT JOIN rue_retenue r USING (entite_id)
        WHERE m.code_postal IS NOT NULL
            AND coalesce(m.code_arrondissement = m.district, true)
        ORDER BY m.entite_id, m.ordre IS DISTINCT FROM r.ordre, m.commune_inconnue, m.ordre
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE point AS
        SELECT entite_id, ordre FROM (
            SELECT m.entite_id, m.ordre, m.absente, m.commune_inconnue,
                   list_position([{_quoted(_PRECISIONS)}], coalesce(precision_geo, 'inconnue'))
                       AS vague,
                   coalesce(m.rue <> r.rue, false) AS autre_rue
            FROM au_lieu m LEFT JOIN rue_retenue r USING (entite_id)
            WHERE m.latitude IS NOT NULL)
        QUALIFY row_number() OVER (PARTITION BY entite_id ORDER BY absente, commune_inconnue,
            vague > {_PRECISE}, autre_rue, vague, ordre) = 1
        """
    )


def _provenances(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE retenues AS
        WITH premier AS (SELECT entite_id, champ, min(ordre) AS ordre FROM choix GROUP BY ALL)
        SELECT v.*, coalesce(p.ordre = v.ordre, v.champ IN ({_quoted(_LISTS)})) AS retenue
        FROM valeurs v LEFT JOIN premier p USING (entite_id, champ)
        """
    )
    # A name that was not selected is still a name people search for.
    con.execute(
        """
        INSERT INTO retenues
        SELECT DISTINCT v.entite_id, 'noms_alternatifs', v.valeur, v.source_id, v.cle_source,
               v.capture, v.ordre, true
        FROM retenues v
        JOIN retenues n ON n.entite_id = v.entite_id AND n.champ = 'nom' AND n.retenue
        WHERE v.champ = 'nom' AND v.valeur <> n.valeur
          AND (v.entite_id, 'noms_alternatifs') NOT IN (SELECT (entite_id, champ) FROM mots_fusion)
          AND NOT EXISTS (
            SELECT 1 FROM retenues a WHERE a.entite_id = v.entite_id
              AND a.champ = 'noms_alternatifs' AND a.valeur = v.valeur
              AND a.source_id = v.source_id AND a.cle_source = v.cle_source)
        """
    )
    con.execute(
        """
        UPDATE retenues a SET retenue = false FROM retenues n
        WHERE a.champ = 'noms_alternatifs' AND n.champ = 'nom' AND n.retenue
            AND n.entite_id = a.entite_id AND n.valeur = a.valeur
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TABLE provenances AS
        SELECT DISTINCT ON (r.entite_id, r.champ, r.source_id, r.cle_source, r.valeur)
               r.entite_id, r.champ, r.valeur, r.source_id, r.cle_source, r.capture,
               t.valeur_source, t.regle, r.retenue
        FROM retenues r
        LEFT JOIN transformations t USING (source_id, cle_source, champ)
        ORDER BY r.entite_id, r.champ, r.source_id, r.cle_source, r.valeur, t.regle
        """
    )


def _initiatives(con: duckdb.DuckDBPyConnection, data_date: str) -> None:
    singles = ", ".join(
        f"CAST(max(valeur) FILTER (champ = '{name}' AND retenue) AS {_KINDS[name]}) AS \"{name}\""
        for name in _SINGLES
    )
    lists = ", ".join(
        f"coalesce(list_sort(list_distinct(list(valeur) "
        f"FILTER (champ = '{name}' AND retenue))), []) AS \"{name}\""
        for name in _LISTS
    )
    filled = " + ".join(
        f"(len({name}) > 0)::INT" if name in _LISTS else f"({name} IS NOT NULL)::INT"
        for name in SCORED_FIELDS
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE champs_fusionnes AS
        SELECT entite_id, {singles}, {lists} FROM provenances GROUP BY entite_id
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE synthese AS
        SELECT entite_id,
               min(premiere_vue) AS premiere_vue, max(derniere_vue) AS derniere_vue,
               max({_newest()}) AS nouvelle_du,
               count(DISTINCT source_id) AS nb_sources,
               count(DISTINCT origine) AS nb_sources_independantes,
               arg_min(regle_selection, ordre) AS regle_selection,
               bool_and(absent_depuis IS NOT NULL) AS absente,
               max(absent_depuis) AS absente_depuis,
               list_sort(list_distinct(list(attribution_fiche))) AS attributions
        FROM membres GROUP BY entite_id
        """
    )
    columns = ", ".join(f'"{name}"' for name in TABLES["initiatives"].names)
    con.execute(
        f"""
        CREATE OR REPLACE TABLE initiatives AS
        SELECT {columns} FROM (
            SELECT c.* EXCLUDE (entite_id, statut), c.entite_id AS id, s.* EXCLUDE (entite_id),
                   left(c.siret, 9) AS siren,
                   CASE WHEN c.statut IN ('ferme', 'retire') THEN c.statut
                        WHEN s.absente AND date_diff('day', CAST(s.absente_depuis AS DATE),
                             CAST($day AS DATE)) > {GRACE_DAYS} THEN 'archive'
                        ELSE coalesce(c.statut, 'publie') END AS statut,
                   CASE WHEN nb_sources_independantes > 1 THEN 'sources_independantes'
                        ELSE 'une_source' END AS verification,
                   round(({filled}) / {len(SCORED_FIELDS)}, 2) AS score_completude,
                   round(pow(0.5, greatest(0, date_diff('day', CAST(s.nouvelle_du AS DATE),
                       CAST($day AS DATE))) / {FRESHNESS_HALF_LIFE_DAYS}), 2) AS score_fraicheur,
                   'odbl-1.0' AS licence,
                   array_to_string(s.attributions, ' ; ') AS attribution
            FROM champs_fusionnes c JOIN synthese s USING (entite_id))
        ORDER BY id
        """,
        {"day": data_date},
    )


def _correspondences(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """
        CREATE OR REPLACE TABLE correspondances AS
        SELECT DISTINCT initiative_id, systeme, valeur FROM (
            SELECT entite_id AS initiative_id, source_id AS systeme, cle_source AS valeur
            FROM membres
            UNION ALL
            SELECT id, unnest(['siret', 'rna']), unnest([siret, rna]) FROM initiatives
            UNION ALL
            SELECT entite_id, split_part(i, '=', 1), substr(i, strpos(i, '=') + 1)
            FROM (SELECT entite_id, unnest(identifiants) AS i FROM membres))
        WHERE valeur IS NOT NULL AND valeur <> ''
        ORDER BY ALL
        """
    )
