"""Each comparison of a candidate pair, computed once: names, place, contacts, kinds.

Makes `res_compare` from `res_candidat`, `res_fiche` and `res_mot`: one level per comparison, and
the counts from which chance is told; and `res_reste`, what usual words that replace each other are
found to say. Nothing is decided here. A value missing on either side is the level `inconnu`, which
is neither an agreement nor a disagreement.
"""

from __future__ import annotations

from typing import Any, Protocol

from lowtech_data.resolve import vocabulary as v
from lowtech_data.resolve.features import family_mask


class Rows(Protocol):
    """What a statement returned."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first row, if any."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""


class Engine(Protocol):
    """What comparing and scoring ask of a database: to run SQL of DuckDB. A connection does."""

    def execute(self, query: str, /) -> Rows:
        """Run statements; the rows are those of the last."""


CONTACTS = ("tel", "mail", "hote", "page", "siren", "siret", "rna")

LEARNT = (
    *(f"res_usage_{contact}" for contact in CONTACTS), "res_enseigne", "res_type", "res_local",
    "res_sens",
)  # fmt: skip
"""Tables of what all records together teach about the values that two of them share."""

_SIMILAR = 0.92
"""Jaro-Winkler similarity from which two words, or two spaceless names, are one misspelt."""


def _metres(lat: str, lon: str) -> str:
    """SQL: great-circle distance from the point of x to one of y, in metres (haversine)."""
    return f"""12742000 * asin(sqrt(least(1.0, pow(sin(radians({lat} - x_lat) / 2), 2)
        + cos(radians(x_lat)) * cos(radians({lat})) * pow(sin(radians({lon} - x_lon) / 2), 2))))"""


_GUESTS = family_mask(v.GUEST_KINDS - v.HOST_KINDS)
_HOSTS = family_mask(v.HOST_KINDS - v.GUEST_KINDS)
_LODGED = (
    f"((x_genre & {_GUESTS} <> 0) <> (y_genre & {_GUESTS} <> 0)"
    f" AND x_genre & y_genre & {_HOSTS} <> 0)"
)
"""SQL: two names of one host, of which one alone says what is done there (« Repair café du centre
social X », « Centre social X »): an activity, and the body that lodges it.
"""

_LONG_STREET_M = 1000
"""From this distance, and beyond what points are uncertain by, two numbers of streets of one name
are two addresses.
"""

_SWAPPED_M = 300_000
"""From this distance, latitude and longitude may have been swapped in one of the two."""

_METRES = f"""
    CASE WHEN x_lat + x_lon + y_lat + y_lon IS NULL THEN NULL
         WHEN {_metres("y_lat", "y_lon")} < {_SWAPPED_M} THEN {_metres("y_lat", "y_lon")}
         WHEN abs(y_lon) <= 90 THEN least({_metres("y_lat", "y_lon")}, {_metres("y_lon", "y_lat")})
         ELSE {_metres("y_lat", "y_lon")} END
"""


def compare_pairs(con: Engine, *, learn: bool = True) -> None:
    """Make `res_compare`, one row per candidate pair, and `res_reste`. Makes `LEARNT` too, unless
    they are there already.
    """
    if learn:
        for contact in CONTACTS:
            _shared_values(con, contact)
        _sites(con)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE res_type AS"
            " SELECT DISTINCT source, type FROM res_fiche WHERE type IS NOT NULL"
        )
        _local_words(con)
    _shared_words(con)
    con.execute(f"CREATE OR REPLACE TEMP TABLE res_compare AS {_levels()}")
    con.execute("DROP TABLE res_exact; DROP TABLE res_proche")
    _replacements(con)
    if learn:
        _senses(con)
    _substitutions(con)


def _shared_values(con: Engine, contact: str) -> None:
    """How many names, or addresses, use each value: the more, the less it proves."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_usage_{contact} AS
        SELECT {contact} AS valeur,
               greatest(count(DISTINCT coalesce(propre, noyau)),
                        count(DISTINCT coalesce(voie, lieu)))::INTEGER AS usages
        FROM res_fiche WHERE {contact} IS NOT NULL GROUP BY {contact} HAVING count(*) > 1
        """
    )


def _sites(con: Engine) -> None:
    """How many places bear one name: from three, the name is a chain's or a common one."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_enseigne AS
        SELECT coalesce(propre, noyau) AS nom,
               count(DISTINCT coalesce(lieu, '') || coalesce(voie, ''))::INTEGER AS sites
        FROM res_fiche GROUP BY 1 HAVING count(*) > 2
        """
    )


def _local_words(con: Engine) -> None:
    """How many names of one commune hold each word: the name of a quarter or of a valley is rare
    everywhere but there.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_local AS
        SELECT lieu, mot,
               (count(DISTINCT adresse) + count(DISTINCT nullif(genre, 0)) - 1)::INTEGER AS noms
        FROM (SELECT rid, lieu, genre,
                     CASE WHEN voie IS NOT NULL THEN hash(voie, numero) END AS adresse
              FROM res_fiche WHERE lieu IS NOT NULL)
        JOIN (SELECT rid, mot FROM res_mot WHERE role = 'propre') USING (rid)
        GROUP BY lieu, mot HAVING count(*) > 2 AND noms > 2
        """
    )


def _shared_words(con: Engine) -> None:
    """`res_exact`, `res_proche`: bits of the words that both names hold, as written or misspelt."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_exact AS
        WITH de_a AS MATERIALIZED (
            -- Words meet inside a pair: joined by themselves first, they would be millions.
            SELECT c.a, c.b, f.lieu, x.mot, x.role, x.bits FROM res_candidat c
            JOIN res_mot x ON x.rid = c.a JOIN (SELECT rid, lieu FROM res_fiche) f ON f.rid = c.a
        ), communs AS MATERIALIZED (
            SELECT x.a, x.b, x.mot, x.lieu, x.role AS role_a, x.bits AS bits_a,
                   y.role AS role_b, y.bits AS bits_b
            FROM de_a x JOIN res_mot y ON y.rid = x.b AND y.mot = x.mot
        )
        SELECT a, b,
               coalesce(sum(least(bits_a, bits_b)) FILTER (role_a = 'propre' AND role_b = 'propre'),
                        0)::INTEGER AS communs,
               coalesce(max(least(bits_a, bits_b)) FILTER (role_a = 'propre' AND role_b = 'propre'),
                        0)::INTEGER AS commun_max,
               coalesce(sum(bits_a) FILTER (role_a = 'propre'), 0)::INTEGER AS de_a,
               coalesce(sum(bits_b) FILTER (role_b = 'propre'), 0)::INTEGER AS de_b,
               coalesce(sum(bits_a) FILTER (role_a = 'courant'), 0)::INTEGER AS courants_a,
               coalesce(sum(bits_b) FILTER (role_b = 'courant'), 0)::INTEGER AS courants_b,
               coalesce(sum(least(bits_a, bits_b)) FILTER (role_a = 'lieu' OR role_b = 'lieu'), 0)
                   ::INTEGER AS lieux,
               coalesce(min(coalesce(l.noms, 2))
                        FILTER (role_a = 'propre' AND role_b = 'propre'), 2)
                   ::INTEGER AS locaux
        FROM communs c LEFT JOIN res_local l ON l.lieu = c.lieu AND l.mot = c.mot
        GROUP BY a, b
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_proche AS
        WITH reste AS (
            SELECT c.a, c.b
            FROM res_candidat c
            JOIN (SELECT rid, bits_propres + bits_courants AS bits FROM res_fiche) x ON x.rid = c.a
            JOIN (SELECT rid, bits_propres + bits_courants AS bits FROM res_fiche) y ON y.rid = c.b
            LEFT JOIN res_exact e ON e.a = c.a AND e.b = c.b
            WHERE x.bits > coalesce(e.de_a + e.courants_a, 0)
              AND y.bits > coalesce(e.de_b + e.courants_b, 0)
        ), mots AS (
            SELECT rid, mot, bits, role, length(mot) AS l, left(mot, 1) AS i
            FROM res_mot WHERE role <> 'lieu' AND length(mot) >= 3
        -- Words meet inside a pair: joined by their initials first, they would be millions.
        ), de_a AS MATERIALIZED (SELECT r.b, m.*, r.a FROM reste r JOIN mots m ON m.rid = r.a
        ), de_b AS MATERIALIZED (SELECT r.a, m.*, r.b FROM reste r JOIN mots m ON m.rid = r.b
        )
        SELECT a, b, sum(communs)::INTEGER AS communs, max(communs)::INTEGER AS commun_max,
               sum(de_a)::INTEGER AS de_a, sum(de_b)::INTEGER AS de_b,
               sum(courants_a)::INTEGER AS courants_a, sum(courants_b)::INTEGER AS courants_b,
               sum(courants)::INTEGER AS courants
        FROM (
            SELECT x.a, x.b, x.mot,
                   max(CASE WHEN x.role = 'propre' AND y.role = 'propre'
                            THEN least(x.bits, y.bits) * 8 // 10 ELSE 0 END) AS communs,
                   max(CASE WHEN x.role = 'courant' OR y.role = 'courant'
                            THEN least(x.bits, y.bits) * 8 // 10 ELSE 0 END) AS courants,
                   max(CASE WHEN x.role = 'propre' THEN x.bits ELSE 0 END) AS de_a,
                   max(CASE WHEN y.role = 'propre' THEN y.bits ELSE 0 END) AS de_b,
                   max(CASE WHEN x.role = 'courant' THEN x.bits ELSE 0 END) AS courants_a,
                   max(CASE WHEN y.role = 'courant' THEN y.bits ELSE 0 END) AS courants_b
            FROM de_a x JOIN de_b y ON y.a = x.a AND y.b = x.b AND y.i = x.i
            WHERE x.mot <> y.mot
              AND NOT regexp_matches(x.mot || y.mot, '[0-9]')
              AND CASE WHEN x.mot || 's' = y.mot OR y.mot || 's' = x.mot THEN true
                       WHEN starts_with(x.mot, y.mot) OR starts_with(y.mot, x.mot) THEN true
                       WHEN least(x.l, y.l) < 5 THEN false
                       WHEN jaro_winkler_similarity(x.mot, y.mot) >= {_SIMILAR} THEN true
                       WHEN abs(x.l - y.l) > 1 THEN false
                       ELSE levenshtein(x.mot, y.mot) <= 1 END
            GROUP BY x.a, x.b, x.mot)
        GROUP BY a, b
        """
    )


_SIDE = (
    "source", "noyau", "propre", "nombres", "bits_propres", "bits_courants", "genre", "voisins",
    "heberge", "invite", "initiales", "initiales_pleines", "chez", "itinerant", "insee", "cp",
    "ville", "voie", "voie_fin", "voie_texte", "numero", "numero_fin", "lat", "lon",
    "sigma", "type", "n_adresse", "n_voie", "n_numero", "n_cellule", "n_commune", *CONTACTS,
)  # fmt: skip


def _replacements(con: Engine) -> None:
    """`res_echange`: usual words, and families of kinds, of one name that the other name of a pair
    has not, each with each of those that it has instead.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_echange AS
        WITH paires AS (
            SELECT a, b, meme_source FROM res_compare
            WHERE reste = 'deux_cotes' AND nom NOT IN ('desaccord', 'muet')
              AND lieu IN ('numero', 'numero_proche', 'voie', 'point', 'proche', 'point_seul',
                           'proche_seul', 'commune')
        ), mots AS (
            SELECT rid, mot FROM res_mot WHERE role = 'courant'
            UNION ALL SELECT rid, '#' || famille FROM res_famille
        ), seuls AS (
            SELECT p.a, p.b, p.meme_source, x.mot AS mot_a FROM paires p
            JOIN mots x ON x.rid = p.a ANTI JOIN mots y ON y.rid = p.b AND y.mot = x.mot
        ), autres AS (
            SELECT p.a, p.b, y.mot AS mot_b FROM paires p
            JOIN mots y ON y.rid = p.b ANTI JOIN mots x ON x.rid = p.a AND x.mot = y.mot
        )
        SELECT a, b, meme_source, least(mot_a, mot_b) AS un, greatest(mot_a, mot_b) AS deux
        FROM seuls JOIN autres USING (a, b)
        """
    )


def _senses(con: Engine) -> None:
    """`res_sens`: two words known to say the same, or the contrary.

    Two words that replace each other between sources, but never inside one, are two ways to write
    one thing (« Ltd », « Limited »). Two words that replace each other inside one source tell its
    records apart (« Infant », « Junior »). With a single source nothing can be told.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_sens AS
        SELECT un, deux,
               CASE WHEN dedans * (1 - part) < {_SYNONYM} * dehors * part THEN 'meme'
                    ELSE 'contraire' END AS sens
        FROM (SELECT un, deux, count(*) FILTER (meme_source) AS dedans,
                     count(*) FILTER (NOT meme_source) AS dehors
              FROM res_echange GROUP BY un, deux),
             (SELECT dedans AS part FROM res_total)
        WHERE part <= 0.9 AND dedans + dehors >= {_SEEN}
        """
    )


def _substitutions(con: Engine) -> None:
    """`res_reste`: pairs whose usual words differ on both sides, and whether the words are known to
    say the same or the contrary.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_reste AS
        SELECT a, b, CASE WHEN bool_or(coalesce(sens = 'contraire', false)) THEN 'contraire'
                          WHEN bool_and(coalesce(sens = 'meme', false)) THEN 'un_cote'
                          ELSE 'deux_cotes' END AS reste
        FROM res_echange LEFT JOIN res_sens USING (un, deux)
        GROUP BY a, b
        """
    )
    con.execute("DROP TABLE res_echange")


_SEEN = 5
"""Replacements of a word by another from which they tell something."""
_SYNONYM = 0.25
"""Two words are synonyms when replacements inside sources are this rare, beside chance."""


_HOPELESS = """(
    nom IN ('desaccord', 'faible', 'muet', 'courant', 'courant_contenu', 'genre_contenu',
            'genre_egal')
    AND lieu IN ('autre_adresse', 'autre_commune', 'autre_numero', 'loin', 'quartier', 'commune',
                 'inconnu')
    AND NOT (tel = 'egal' OR mail = 'egal' OR web IN ('page', 'hote') OR legal = 'siret'
             OR legal = 'siren' OR rna = 'egal' OR identifiant)
    AND (lieu <> 'commune' OR nom IN ('desaccord', 'muet', 'faible', 'courant')))"""
"""Pairs that nothing but a key brought together: another name, another place, no contact. They are
most of the candidates, and no score of theirs would be near.
"""


def _levels() -> str:
    sides = ", ".join(f"{s}.{name} AS {s}_{name}" for s in "xy" for name in _SIDE)
    usages = ", ".join(
        f"CASE WHEN x_{c} = y_{c} THEN coalesce(u_{c}.usages, 2) END AS usages_{c}"
        for c in CONTACTS
    )
    joins = "\n".join(
        f"LEFT JOIN res_usage_{c} u_{c} ON u_{c}.valeur = CASE WHEN x_{c} = y_{c} THEN x_{c} END"
        for c in CONTACTS
    )
    return f"""
    WITH cotes AS (
        SELECT c.a, c.b, c.cles, {sides}
        FROM res_candidat c JOIN res_fiche x ON x.rid = c.a JOIN res_fiche y ON y.rid = c.b
    ), mesures AS (
        SELECT p.*,
               coalesce(e.communs, 0) + coalesce(w.communs, 0) AS communs,
               greatest(coalesce(e.commun_max, 0), coalesce(w.commun_max, 0)) AS commun_max,
               greatest(0, x_bits_propres - coalesce(e.de_a, 0) - coalesce(w.de_a, 0)) AS seuls_a,
               greatest(0, y_bits_propres - coalesce(e.de_b, 0) - coalesce(w.de_b, 0)) AS seuls_b,
               greatest(0, x_bits_courants - coalesce(e.courants_a, 0) - coalesce(w.courants_a, 0))
                   AS courants_a,
               greatest(0, y_bits_courants - coalesce(e.courants_b, 0) - coalesce(w.courants_b, 0))
                   AS courants_b,
               coalesce(e.courants_a, 0) + coalesce(e.lieux, 0) + coalesce(w.courants, 0)
                   AS courants_communs,
               jaro_winkler_similarity(x_propre, y_propre) AS similarite,
               CASE WHEN x_noyau = y_noyau THEN true
                    WHEN x_genre = y_genre OR abs(length(x_noyau) - length(y_noyau)) > 1
                         OR least(length(x_noyau), length(y_noyau)) < 8
                         OR regexp_matches(x_noyau || y_noyau, '[0-9]') THEN false
                    ELSE levenshtein(x_noyau, y_noyau) <= 1 END AS genre_mal_ecrit,
               {_METRES} AS metres,
               sqrt(x_sigma * x_sigma + y_sigma * y_sigma) AS sigma,
               greatest(x_sigma, y_sigma) AS sigma_max,
               coalesce(s.sites, 1) AS sites, coalesce(e.locaux, 2) AS locaux,
               CASE WHEN x_voie IS NULL OR y_voie IS NULL THEN NULL
                    WHEN x_voie = y_voie THEN true
                    WHEN least(length(x_voie), length(y_voie)) >= 5
                         AND (contains(x_voie, y_voie) OR contains(y_voie, x_voie)) THEN true
                    WHEN strlen(y_voie) >= 6 AND contains(x_voie_texte, y_voie)
                         OR strlen(x_voie) >= 6 AND contains(y_voie_texte, x_voie) THEN true
                    WHEN x_voie_fin = y_voie_fin AND length(x_voie_fin) >= 5 THEN true
                    WHEN abs(length(x_voie) - length(y_voie)) > 4 THEN false
                    WHEN jaro_winkler_similarity(x_voie, y_voie) >= 0.8
                        THEN levenshtein(x_voie, y_voie) <= greatest(2, length(x_voie) // 4)
                    ELSE false END AS meme_voie,
               x_cp = y_cp AS meme_cp,
               x_numero IS NOT NULL AND y_numero IS NOT NULL AS numeros,
               greatest(x_numero, y_numero) - least(x_numero_fin, y_numero_fin) AS ecart_numero,
               CASE WHEN x_insee = y_insee OR x_ville = y_ville THEN true
                    WHEN length(x_ville) >= 5
                         AND jaro_winkler_similarity(x_ville, y_ville) >= {_SIMILAR} THEN true
                    WHEN length(x_ville) >= 4 AND length(y_ville) >= 4
                         AND (contains(x_ville, y_ville) OR contains(y_ville, x_ville))
                         AND coalesce(left(x_cp, 2) = left(y_cp, 2), true) THEN true
                    WHEN x_insee <> y_insee THEN false
                    WHEN x_cp = y_cp THEN CASE WHEN x_ville <> y_ville THEN NULL ELSE true END
                    WHEN left(x_cp, 2) <> left(y_cp, 2) THEN false
                    WHEN x_cp <> y_cp AND x_ville <> y_ville THEN false
                    WHEN x_cp <> y_cp AND (x_ville IS NULL OR y_ville IS NULL) THEN false
                    WHEN x_ville <> y_ville AND (x_cp IS NULL OR y_cp IS NULL) THEN false
                    END AS meme_commune,
               x_insee <> y_insee OR left(x_cp, 2) <> left(y_cp, 2) AS autre_territoire,
               {usages}
        FROM cotes p
        LEFT JOIN res_exact e ON e.a = p.a AND e.b = p.b
        LEFT JOIN res_proche w ON w.a = p.a AND w.b = p.b
        LEFT JOIN res_enseigne s ON s.nom = coalesce(x_propre, x_noyau)
        {joins}
    )
    , niveaux AS (
    SELECT mesures.a, mesures.b, cles, x_source AS source_a, y_source AS source_b,
           x_source = y_source AS meme_source,
           CASE WHEN n_sources < 2 THEN 'inconnu' WHEN x_source = y_source THEN 'meme'
                ELSE 'autre' END AS source,
           communs, commun_max, seuls_a, seuls_b, courants_communs, sites, locaux, metres,
           x_bits_propres AS bits_a, y_bits_propres AS bits_b,
           CASE WHEN communs > 0 AND x_noyau = y_noyau THEN 'egal'
                WHEN communs > 0 AND (x_propre = y_propre OR (seuls_a = 0 AND seuls_b = 0))
                    THEN 'propre_egal'
                WHEN x_noyau = y_noyau AND least(x_bits_propres, y_bits_propres) > 0 THEN 'egal'
                WHEN x_propre = y_propre AND x_bits_propres + y_bits_propres > 0
                     AND length(x_propre) >= 6 THEN 'propre_egal'
                WHEN least(strlen(x_propre), strlen(y_propre)) >= 6
                     AND x_bits_propres > 0 AND y_bits_propres > 0
                     AND NOT regexp_matches(x_propre || y_propre, '[0-9]')
                     AND similarite >= 0.85
                     AND (similarite >= 0.94 OR levenshtein(x_propre, y_propre)
                          <= CASE WHEN least(length(x_propre), length(y_propre)) >= 9 THEN 2
                                  ELSE 1 END) THEN 'proche'
                WHEN genre_mal_ecrit THEN CASE WHEN x_bits_propres > 0 AND y_bits_propres > 0
                    THEN 'proche' ELSE 'courant_egal' END
                WHEN length(coalesce(y_propre, y_noyau)) >= 3
                     AND coalesce(y_propre, y_noyau) IN (x_initiales, x_initiales_pleines)
                     OR length(coalesce(x_propre, x_noyau)) >= 3
                     AND coalesce(x_propre, x_noyau) IN (y_initiales, y_initiales_pleines)
                    THEN 'sigle'
                WHEN communs > 0 AND (seuls_a = 0 OR seuls_b = 0) THEN 'contenu'
                WHEN communs > 0 AND 2 * communs >= greatest(x_bits_propres, y_bits_propres)
                    THEN 'partiel'
                WHEN communs > 0 THEN 'faible'
                WHEN x_bits_propres > 0 AND y_bits_propres > 0 THEN 'desaccord'
                WHEN x_noyau = y_noyau THEN 'courant_egal'
                WHEN x_genre & y_genre = 0 AND x_genre <> 0 AND y_genre <> 0 THEN 'muet'
                WHEN x_bits_propres + y_bits_propres = 0 AND courants_communs > 0
                     AND courants_a = 0 AND courants_b = 0 THEN 'courant_egal'
                WHEN x_genre & y_genre <> 0 AND courants_a + courants_b = 0
                    THEN CASE WHEN x_bits_propres + y_bits_propres = 0
                    THEN 'genre_egal' ELSE 'genre_contenu' END
                WHEN x_genre & y_genre <> 0 THEN 'genre_contenu'
                WHEN least(length(x_noyau), length(y_noyau)) >= 5
                     AND (contains(x_noyau, y_noyau) OR contains(y_noyau, x_noyau))
                    THEN 'courant_contenu'
                WHEN courants_communs > 0 THEN 'courant'
                ELSE 'muet' END AS nom,
           CASE WHEN x_nombres <> y_nombres AND NOT contains(x_nombres, y_nombres)
                     AND NOT contains(y_nombres, x_nombres) THEN 'contraire'
                WHEN genre_mal_ecrit OR courants_a = 0 AND courants_b = 0 THEN 'egal'
                WHEN (courants_a = 0 AND (x_genre = 0 OR y_genre <> 0))
                     OR (courants_b = 0 AND (y_genre = 0 OR x_genre <> 0)) THEN 'un_cote'
                ELSE 'deux_cotes' END AS reste,
           CASE WHEN x_genre = 0 OR y_genre = 0 THEN 'inconnu'
                WHEN x_genre = y_genre THEN 'egal'
                WHEN x_genre & y_genre <> 0 OR x_voisins & y_genre <> 0 THEN 'voisin'
                ELSE 'oppose' END AS genre,
           CASE WHEN meme_voie AND coalesce(meme_commune, true) THEN CASE
                    WHEN numeros AND ecart_numero <= 0
                         AND (meme_commune OR meme_cp OR metres < 5000)
                        THEN 'numero'
                    WHEN numeros AND ecart_numero <= 0 AND metres IS NULL THEN 'adresse_seule'
                    WHEN numeros AND ecart_numero <= 4 AND coalesce(metres < 1000, meme_commune)
                        THEN 'numero_proche'
                    WHEN numeros AND metres > greatest({_LONG_STREET_M}, 3 * sigma)
                        THEN 'autre_adresse'
                    WHEN numeros THEN 'autre_numero'
                    WHEN coalesce(metres < 1500, meme_commune) THEN 'voie'
                    ELSE 'autre_adresse' END
                WHEN meme_voie AND numeros AND ecart_numero <= 0 AND metres IS NULL
                    THEN 'adresse_seule'
                WHEN meme_voie IS NULL AND sigma_max < 3000 AND metres IS NOT NULL THEN CASE
                    WHEN metres <= 60 THEN 'point_seul'
                    WHEN metres <= 250 THEN 'proche_seul'
                    WHEN metres <= 1500 AND meme_commune IS NOT false THEN 'quartier'
                    WHEN metres <= 3000 OR meme_commune THEN 'loin'
                    ELSE 'autre_commune' END
                WHEN metres <= 60 AND sigma_max < 3000 THEN 'point'
                WHEN metres <= 250 AND sigma_max < 3000 AND meme_voie IS NOT false THEN 'proche'
                WHEN NOT meme_commune AND coalesce(metres > 3000, true) THEN 'autre_commune'
                WHEN metres > greatest(3000, 3 * sigma) AND autre_territoire IS NOT false
                     AND meme_commune IS NOT true THEN 'autre_commune'
                WHEN NOT meme_voie AND numeros AND ecart_numero = 0 AND metres IS NULL
                     AND (meme_commune OR meme_cp) THEN 'numero_seul'
                WHEN NOT meme_voie AND coalesce(metres > 60 OR sigma_max >= 3000, true)
                    THEN 'autre_adresse'
                WHEN metres > greatest(1500, 3 * sigma) THEN 'autre_adresse'
                WHEN metres <= 250 AND meme_voie IS NULL THEN 'proche'
                WHEN meme_commune THEN 'commune'
                ELSE 'inconnu' END AS lieu,
           coalesce(meme_commune, false) AS meme_commune,
           greatest(x_n_adresse, y_n_adresse) AS n_adresse,
           greatest(x_n_voie, y_n_voie) AS n_voie,
           greatest(x_n_numero, y_n_numero) AS n_numero,
           greatest(x_n_cellule, y_n_cellule) AS n_cellule,
           greatest(x_n_commune, y_n_commune) AS n_commune,
           CASE WHEN x_tel = y_tel THEN 'egal' WHEN x_tel <> y_tel THEN 'autre' ELSE 'inconnu' END
               AS tel, usages_tel,
           CASE WHEN x_mail = y_mail THEN 'egal' WHEN x_mail <> y_mail THEN 'autre'
                ELSE 'inconnu' END AS mail, usages_mail,
           CASE WHEN x_page = y_page THEN 'page' WHEN x_hote = y_hote THEN 'hote'
                WHEN x_hote <> y_hote THEN 'autre' ELSE 'inconnu' END AS web,
           least(usages_page, usages_hote) AS usages_web,
           CASE WHEN x_siret = y_siret THEN 'siret' WHEN x_siren = y_siren THEN 'siren'
                WHEN x_siren <> y_siren THEN 'autre' ELSE 'inconnu' END AS legal,
           coalesce(usages_siret, usages_siren) AS usages_legal,
           CASE WHEN x_rna = y_rna THEN 'egal' WHEN x_rna <> y_rna THEN 'autre' ELSE 'inconnu' END
               AS rna, usages_rna,
           CASE WHEN x_type = y_type THEN 'egal'
                WHEN x_type <> y_type AND (x_source = y_source
                     OR (ta.type IS NOT NULL AND tb.type IS NOT NULL)) THEN 'autre'
                ELSE 'inconnu' END AS type,
           i.a IS NOT NULL AS identifiant,
           x_itinerant <> y_itinerant AS un_seul_itinerant,
           NOT genre_mal_ecrit AND (
               (x_chez <> y_chez AND x_genre & y_genre = 0)
               OR (seuls_a > 0 AND seuls_b = 0 AND x_genre = 0 AND y_genre <> 0)
               OR (seuls_b > 0 AND seuls_a = 0 AND y_genre = 0 AND x_genre <> 0)) AS chez,
           {_LODGED} AS activite_de_l_hote,
           CASE WHEN {_LODGED} THEN CASE WHEN x_genre & {_GUESTS} = 0 THEN 'a' ELSE 'b' END
                WHEN x_heberge AND y_invite AND NOT y_heberge THEN 'a'
                WHEN y_heberge AND x_invite AND NOT x_heberge THEN 'b' END AS hote_probable
    FROM mesures
    LEFT JOIN (
        SELECT DISTINCT c.a, c.b FROM res_candidat c
        JOIN res_identifiant x ON x.rid = c.a
        JOIN res_identifiant y ON y.rid = c.b AND y.identifiant = x.identifiant
    ) i ON i.a = mesures.a AND i.b = mesures.b
    LEFT JOIN res_type ta ON ta.source = x_source AND ta.type = y_type
    LEFT JOIN res_type tb ON tb.source = y_source AND tb.type = x_type,
         (SELECT sources AS n_sources FROM res_total)
    )
    SELECT * FROM niveaux WHERE NOT {_HOPELESS}
    """
