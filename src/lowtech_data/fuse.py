"""From clusters of fiches to initiatives: one value per field, every value kept with its origin.

Which value is selected follows a total order, so that the same fiches give the same initiative:

1. a correction by a person;
2. a fiche still listed by its source over one that no longer is;
3. an official source over a network's, a network's over a contributed one;
4. for places, an address over none, and a precise position over a vague one; for names, one typed
   in small letters over one in capitals, whatever the source;
5. the most recently updated;
6. the smallest (source, key, value).

The place (commune and its territories) is taken from one fiche as a whole, and so is the position:
mixing two fiches' places would invent a third one. Nothing is blanked by disagreement: values that
were not selected are rows of `provenances` all the same.
"""

from __future__ import annotations

import duckdb

from lowtech_data.model import CLEAN_FIELDS, TABLES, Kind

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
_LISTS = tuple(c.name for c in CLEAN_FIELDS if c.kind is Kind.LIST)
_SINGLES = tuple(
    c.name for c in CLEAN_FIELDS if c.kind is not Kind.LIST and c.name not in _NOT_FUSED
)


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
    """
    _members(con)
    _values(con)
    _select(con)
    _provenances(con)
    _initiatives(con, data_date)
    _correspondences(con)


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
            absent_depuis IS NOT NULL, rang, {_newest()} DESC, source_id, cle_source) AS ordre
        FROM fiches_liees WHERE entite = 'initiative'
        """
    )


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
        SELECT c.entite_id, c.champ, c.valeur, 'corrections', c.decision, NULL, 0
        FROM corrections c
        WHERE c.entite_id IN (SELECT entite_id FROM membres)
        """
    )


def _select(con: duckdb.DuckDBPyConnection) -> None:
    """The fiche that each group of fields is taken from: `choix` (entite_id, champ, ordre)."""
    territory = ", ".join(f"('{name}')" for name in _TERRITORY)
    position = ", ".join(f"('{name}')" for name in _POSITION)
    grouped = (*_TERRITORY, *_POSITION, *_ADDRESS)
    alone = ", ".join(f"'{n}'" for n in _SINGLES if n not in grouped and n != "nom")
    address = ", ".join(f"'{name}'" for name in _ADDRESS)
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE lieu AS
        SELECT DISTINCT ON (entite_id) entite_id, ordre, code_insee
        FROM membres WHERE code_insee IS NOT NULL
        ORDER BY entite_id, absent_depuis IS NOT NULL, adresse IS NULL, ordre
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE point AS
        SELECT DISTINCT ON (m.entite_id) m.entite_id, m.ordre
        FROM membres m LEFT JOIN lieu l USING (entite_id)
        WHERE m.latitude IS NOT NULL
        ORDER BY m.entite_id, m.absent_depuis IS NOT NULL,
            m.code_insee IS DISTINCT FROM l.code_insee,
            list_position(['numero', 'voie', 'lieu_dit', 'commune', 'inconnue'],
                          coalesce(m.precision_geo, 'inconnue')),
            m.ordre
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE choix AS
        SELECT entite_id, champ, min(ordre) AS ordre FROM valeurs
        WHERE champ IN ({alone}) GROUP BY ALL
        UNION ALL
        SELECT entite_id, 'nom', arg_min(ordre, (absente, capitales, ordre)) FROM (
            SELECT v.entite_id, v.ordre, m.absent_depuis IS NOT NULL AS absente,
                   v.valeur = upper(v.valeur) AS capitales
            FROM valeurs v JOIN membres m USING (entite_id, source_id, cle_source)
            WHERE v.champ = 'nom')
        GROUP BY ALL
        UNION ALL
        SELECT v.entite_id, v.champ, min(v.ordre)
        FROM valeurs v JOIN membres m USING (entite_id, source_id, cle_source)
        LEFT JOIN lieu l USING (entite_id)
        WHERE v.champ IN ({address}) AND m.code_insee IS NOT DISTINCT FROM l.code_insee
        GROUP BY ALL
        UNION ALL SELECT entite_id, champ, ordre FROM lieu, (VALUES {territory}) t(champ)
        UNION ALL SELECT entite_id, champ, ordre FROM point, (VALUES {position}) p(champ)
        UNION ALL SELECT entite_id, champ, 0 FROM corrections
        """
    )


def _provenances(con: duckdb.DuckDBPyConnection) -> None:
    lists = ", ".join(f"'{name}'" for name in _LISTS)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE retenues AS
        WITH premier AS (SELECT entite_id, champ, min(ordre) AS ordre FROM choix GROUP BY ALL)
        SELECT v.*, p.ordre IS NOT NULL OR v.champ IN ({lists}) AS retenue
        FROM valeurs v LEFT JOIN premier p USING (entite_id, champ, ordre)
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
          AND NOT EXISTS (
            SELECT 1 FROM retenues a WHERE a.entite_id = v.entite_id
              AND a.champ = 'noms_alternatifs' AND a.valeur = v.valeur
              AND a.source_id = v.source_id AND a.cle_source = v.cle_source)
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
    kinds = {column.name: column.kind.duckdb for column in CLEAN_FIELDS}
    singles = ", ".join(
        f"CAST(max(valeur) FILTER (champ = '{name}' AND retenue) AS {kinds[name]}) AS \"{name}\""
        for name in _SINGLES
    )
    lists = ", ".join(
        f"coalesce(list_sort(list_distinct(list(valeur) FILTER (champ = '{name}'))), []) "
        f'AS "{name}"'
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
