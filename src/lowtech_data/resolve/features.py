"""What of a record is compared: words with their rarity, street, locality, point, contacts.

Two tables are made, in the connection, from any table of records:

`res_fiche`, one row per record: `rid` (0, 1… in the order of source and key), `source`, `cle`,
the spaceless name `noyau`, its distinctive part `noyau_propre`, `poids` (bits of the whole name),
`sigles`, `genres`, `insee`, `cp`, `ville`, `voie`, `numero`, `numero_fin`, `lat`, `lon`, `sigma`
(metres), `hote`, `page`, `tel`, `mail`, `siret`, `siren`, `rna`, `ids`.

`res_mot`, one row per word of a name: `rid`, `mot`, `role` (propre, commun, lieu, genre), `bits`
in hundredths. Bits are integers so that sums do not depend on the order of addition.

Rarity is learnt from the data at hand, with a prior so that ten records behave like ten thousand:
bits = log2((N + 20 000) / (df + 1)), at most 12 for a distinctive word, 3 for a common one.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from lowtech_data.resolve import vocabulary as v

COLUMNS: dict[str, str] = {
    "source": "VARCHAR",
    "cle_source": "VARCHAR",
    "nom": "VARCHAR",
    "adresse": "VARCHAR",
    "complement_adresse": "VARCHAR",
    "code_postal": "VARCHAR",
    "commune": "VARCHAR",
    "code_insee": "VARCHAR",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "precision_geo": "VARCHAR",
    "site_web": "VARCHAR",
    "courriel": "VARCHAR",
    "telephone": "VARCHAR",
    "siret": "VARCHAR",
    "rna": "VARCHAR",
    "type": "VARCHAR",
    "identifiants": "VARCHAR[]",
}
"""Columns that matching reads. Only `source`, `cle_source` and `nom` must be there."""

BACKGROUND_RECORDS = 20_000
"""Weight of the prior on word rarity: names not at hand in which a word was not seen."""

MAX_BITS = {"propre": 1200, "commun": 300, "lieu": 200, "genre": 300}
"""Most that one word can weigh, in hundredths of a bit, by what it is."""

SIGMA_M = {"numero": 150, "voie": 600, "lieu_dit": 1200, "commune": 6000, "inconnue": 3000}
"""Uncertainty of a point by its stated precision, in metres. Between two listings the median gap of
one place is 11 m at street level and the 95th percentile 837 m; a commune's centre is far off.
"""

SIGMA_UNSAID_M = 400
"""Uncertainty of a point of unstated precision beside an address; without address, `inconnue`."""

STACKED_NAMES = 5
"""From this many different names and several addresses, one point is a geocoder's default."""


def prepare(con: duckdb.DuckDBPyConnection, records: str) -> int:
    """Make `res_fiche` and `res_mot` from a table of records. Returns the number of records."""
    _macros(con)
    _select(con, records)
    _addresses(con)
    _words(con)
    _records(con)
    row = con.execute("SELECT count(*) FROM res_fiche").fetchone()
    return int(row[0]) if row else 0


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in sorted(words)) + "]"


def _in(words: frozenset[str] | list[str]) -> str:
    return "(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")"


def _replaced(expression: str, replacements: dict[str, str]) -> str:
    """SQL that replaces whole words, in a text that begins and ends with a space."""
    for before, after in replacements.items():
        expression = f"replace({expression}, ' {before} ', ' {after} ')"
    return expression


def _kind_tokens() -> dict[str, str]:
    """Phrase of several words → one token, longest first so that none hides another."""
    phrases = {phrase for family in v.KINDS.values() for phrase in family if " " in phrase}
    ordered = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    return {phrase: phrase.replace(" ", "_") for phrase in ordered}


def _macros(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        r"""
        CREATE OR REPLACE TEMP MACRO res_fold(texte) AS
            trim(regexp_replace(lower(strip_accents(replace(replace(replace(
                regexp_replace(texte, '<[^>]*>|&[a-z#0-9]+;', ' ', 'g'),
                'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'))), '[^a-z0-9]+', ' ', 'g'));
        CREATE OR REPLACE TEMP MACRO res_name(texte) AS
            regexp_replace(res_fold(
                regexp_replace(regexp_replace(texte,
                    '\b([A-Za-z])\.', '\1', 'g'),
                    '([A-Za-z])@([A-Za-z])', '\1a\2', 'g')),
                '(fab ?lab|maker ?space|hacker ?space)s?', ' \1 ', 'g');
        CREATE OR REPLACE TEMP MACRO res_metres(lat1, lon1, lat2, lon2) AS
            CASE WHEN lat1 + lon1 + lat2 + lon2 IS NOT NULL THEN 12742000 * asin(sqrt(least(1.0,
                pow(sin(radians(lat2 - lat1) / 2), 2)
                + cos(radians(lat1)) * cos(radians(lat2))
                * pow(sin(radians(lon2 - lon1) / 2), 2)))) END;
        """
    )


def _select(con: duckdb.DuckDBPyConnection, records: str) -> None:
    """One typed row per record; blank texts become NULL; `rid` follows source and key."""
    present = {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {records}").fetchall()}
    parts = []
    for name, kind in COLUMNS.items():
        if name not in present:
            parts.append(f"CAST(NULL AS {kind}) AS {name}")
        elif kind == "DOUBLE":
            parts.append(
                f"TRY_CAST(replace(CAST({name} AS VARCHAR), ',', '.') AS DOUBLE) AS {name}"
            )
        elif kind == "VARCHAR":
            parts.append(f"nullif(trim(CAST({name} AS VARCHAR)), '') AS {name}")
        else:
            parts.append(f"{name}")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_brut AS
        SELECT (row_number() OVER (ORDER BY source, cle_source) - 1)::BIGINT AS rid, *,
               replace(replace(' ' || res_name(nom) || ' ', ' st ', ' saint '),
                       ' ste ', ' sainte ') AS nom_plie
        FROM (SELECT {", ".join(parts)} FROM {records})
        """
    )


def _addresses(con: duckdb.DuckDBPyConnection) -> None:
    """Street, number and locality of each record, whatever way they are written."""
    folded = (
        r"regexp_replace(' ' || trim(regexp_replace(lower(strip_accents(replace("
        r"regexp_replace(coalesce(adresse, '') || ' | ' || coalesce(complement_adresse, ''),"
        r" '<[^>]*>|[,;–—()]| - ', ' | ', 'g'), 'œ', 'oe'))), '[^a-z0-9|]+', ' ', 'g')) || ' ',"
        r" ' +', ' ', 'g')"
    )
    # A lone letter is an abbreviation only where a street begins: elsewhere it is an initial.
    folded = (
        rf"regexp_replace({folded}, '(^| \|)( (?:[0-9]+ (?:(?:bis|ter|quater|[a-e]) )?)?)r ',"
        r" '\1\2rue ', 'g')"
    )
    # Each blank is doubled while abbreviations are replaced: neighbours must not share one.
    expanded = (
        "replace("
        + _replaced(f"replace({folded}, ' ', '  ')", v.STREET_ABBREVIATIONS)
        + ", '  ', ' ')"
    )
    empty = "|".join(sorted(v.EMPTY_WORDS))
    bis = "(?: ?(?:bis|ter|quater|[a-e]))?"
    con.execute(
        rf"""
        CREATE OR REPLACE TEMP TABLE res_adresse AS
        WITH texte AS (
            SELECT rid, {expanded} AS t, code_postal, commune, code_insee FROM res_brut
        ), morceaux AS (
            SELECT rid, t, code_postal, commune, code_insee,
                   regexp_extract(t,
                     '(?: ([0-9]{{1,4}}))?{bis}(?: (?:et )?([0-9]{{1,4}}))?{bis}(?: \|)?'
                     || ' ({v.STREET_TYPES})((?: [a-z0-9]+){{1,7}})',
                     ['n1', 'n2', 'genre', 'nom']) AS m
            FROM texte
        ), voies AS (
            SELECT rid, t, code_postal, commune, code_insee,
                   TRY_CAST(m.n1 AS INTEGER) AS n1, TRY_CAST(m.n2 AS INTEGER) AS n2,
                   CASE WHEN m.nom <> '' THEN m.nom
                        ELSE regexp_replace(split_part(trim(t, ' |'), '|', 1), '^ *[0-9]+ ', ' ')
                   END AS nom_voie
            FROM morceaux
        )
        SELECT rid, n1 AS numero,
               CASE WHEN n2 > n1 AND n2 - n1 < 60 THEN n2 ELSE n1 END AS numero_fin,
               nullif(list_filter(
                   string_split(trim(regexp_replace(nom_voie, ' [0-9]{{5}} .*$', ' ')), ' '),
                   lambda w: NOT regexp_full_match(w, '{empty}') AND w <> ''), []) AS voie,
               coalesce(
                   CASE WHEN regexp_full_match(code_postal, '[0-9]{{4,5}}')
                        AND TRY_CAST(code_postal AS INTEGER) >= 1000
                        THEN lpad(code_postal, 5, '0') END,
                   nullif(regexp_extract(t, ' ([0-9]{{5}}) ', 1), '')) AS cp,
               nullif(replace(trim(regexp_replace(
                   regexp_replace(replace(replace(' ' || res_fold(commune) || ' ',
                       ' st ', ' saint '), ' ste ', ' sainte '),
                   ' ([0-9]+ ?(er|e|eme)? ?)?(arrondissement|cedex).*$| [0-9]+(er|e|eme)? ',
                   ' ', 'g'),
                   '^ (le|la|les|l) ', ' ')), ' ', ''), '') AS ville,
               CASE WHEN regexp_full_match(upper(code_insee), '[0-9][0-9AB][0-9]{{3}}')
                    THEN CASE
                        WHEN code_insee BETWEEN '13201' AND '13216' THEN '13055'
                        WHEN code_insee BETWEEN '69381' AND '69389' THEN '69123'
                        WHEN code_insee BETWEEN '75101' AND '75120' THEN '75056'
                        ELSE upper(code_insee) END END AS insee
        FROM voies
        """
    )


def _words(con: duckdb.DuckDBPyConnection) -> None:
    """Words of each name with what they are, and how rare they are in these records."""
    tokens = _replaced(
        "replace(nom_plie, ' ', '  ')", {k.replace(" ", "  "): t for k, t in _kind_tokens().items()}
    )
    most = " ".join(f"WHEN '{role}' THEN {bits}" for role, bits in MAX_BITS.items())
    families = ", ".join(
        f"('{phrase.replace(' ', '_')}', '{family}')"
        for family, phrases in v.KINDS.items()
        for phrase in phrases
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE res_genre AS SELECT * FROM (VALUES {families}) t(mot, genre)"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_suite AS
        SELECT rid, u.mot AS mot, u.rang AS rang FROM (
            SELECT rid, unnest(list_transform(
                string_split(trim(regexp_replace({tokens}, ' +', ' ', 'g')), ' '),
                lambda w, i: {{'mot': w, 'rang': i}})) AS u FROM res_brut)
        WHERE u.mot <> '' AND u.mot NOT IN {_in(v.EMPTY_WORDS)}
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_mot AS
        WITH communes AS (
            SELECT rid, unnest(string_split(replace(replace(
                ' ' || res_fold(commune) || ' ', ' st ', ' saint '), ' ste ', ' sainte '), ' '))
                AS mot
            FROM res_brut
        ), lieux AS (SELECT DISTINCT rid, mot FROM communes WHERE length(mot) > 1
        ), frequences AS (
            SELECT mot, count(DISTINCT rid) AS df FROM res_suite GROUP BY mot
        ), total AS (SELECT count(*) AS n FROM res_brut
        ), roles AS (
            SELECT s.rid, s.mot, min(s.rang) AS rang, any_value(g.genre) AS genre,
                   CASE WHEN any_value(g.genre) IS NOT NULL THEN 'genre'
                        WHEN any_value(l.mot) IS NOT NULL THEN 'lieu'
                        WHEN s.mot IN {_in(v.COMMON_WORDS)} THEN 'commun'
                        ELSE 'propre' END AS role
            FROM res_suite s
            LEFT JOIN (SELECT mot, min(genre) AS genre FROM res_genre GROUP BY mot) g
                ON g.mot = s.mot
            LEFT JOIN lieux l ON l.rid = s.rid AND l.mot = s.mot
            GROUP BY s.rid, s.mot
        )
        SELECT r.rid, r.mot, r.rang, r.genre, r.role,
               least(CASE r.role {most} END,
                     greatest(50, round(100 * log2(({BACKGROUND_RECORDS} + n) / (df + 1)))))
                   ::INTEGER AS bits
        FROM roles r JOIN frequences USING (mot), total
        """
    )


def _records(con: duckdb.DuckDBPyConnection) -> None:
    close = " ".join(
        f"WHEN '{kind}' THEN {_list(b for a, b in v.CLOSE_KINDS if a == kind)}"
        for kind in sorted({a for a, _ in v.CLOSE_KINDS})
    )
    sigma = " ".join(f"WHEN '{name}' THEN {metres}" for name, metres in SIGMA_M.items())
    con.execute(
        rf"""
        CREATE OR REPLACE TEMP TABLE res_fiche AS
        WITH noms AS (
            SELECT rid,
                   string_agg(replace(mot, '_', ''), '' ORDER BY rang) AS noyau,
                   string_agg(mot, '' ORDER BY rang) FILTER (role = 'propre') AS noyau_propre,
                   list(mot ORDER BY mot) FILTER (role = 'propre') AS propres,
                   coalesce(sum(bits) FILTER (role = 'propre'), 0)::INTEGER AS bits_propres,
                   sum(bits)::INTEGER AS poids,
                   list_sort(list_distinct(list(genre) FILTER (genre IS NOT NULL))) AS genres,
                   list_distinct(flatten(list(CASE genre {close} END)
                       FILTER (genre IS NOT NULL))) AS voisins
            FROM res_mot GROUP BY rid
        ), initiales AS (
            SELECT rid, list_distinct([
                array_to_string(list_transform(m, lambda w: w[1]), ''),
                array_to_string(list_transform(
                    list_filter(m, lambda w: w NOT IN {_in(v.EMPTY_WORDS)}), lambda w: w[1]), '')
            ]) AS sigles
            FROM (SELECT rid, string_split(trim(regexp_replace(nom_plie, ' +', ' ', 'g')), ' ') AS m
                  FROM res_brut)
        ), points AS (
            SELECT round(latitude, 5) AS la, round(longitude, 5) AS lo
            FROM res_brut JOIN noms USING (rid) JOIN res_adresse USING (rid)
            GROUP BY ALL
            HAVING count(DISTINCT noyau) >= {STACKED_NAMES}
               AND count(DISTINCT coalesce(array_to_string(voie, ' '), rid::VARCHAR)) >= 3
        ), web AS (
            SELECT rid,
                   lower(regexp_extract(site_web,
                       '^\s*(?:[A-Za-z]+:/*)?(?:www[0-9]?\.)?([^/:?#\s;|]+\.[A-Za-z]{{2,}})',
                       1)) AS h,
                   lower(regexp_replace(regexp_extract(site_web,
                       '^\s*(?:[A-Za-z]+:/*)?[^/\s;|]+(/[^\s;|]+)', 1), '/+$', '')) AS chemin
            FROM res_brut
        ), tels AS (
            SELECT rid, regexp_replace(telephone, '[^0-9]', '', 'g') AS chiffres FROM res_brut
        )
        SELECT b.rid, b.source, b.cle_source AS cle, b.nom,
               coalesce(n.noyau, lower(b.nom)) AS noyau, n.noyau_propre,
               coalesce(n.propres, []) AS propres, coalesce(n.bits_propres, 0) AS bits_propres,
               coalesce(n.poids, 100) AS poids, coalesce(n.genres, []) AS genres,
               coalesce(n.voisins, []) AS voisins,
               coalesce(list_has_any(n.genres, {_list(v.HOST_KINDS)}), false) AS heberge,
               coalesce(list_has_any(n.genres, {_list(v.GUEST_KINDS)}), false) AS invite,
               list_filter(i.sigles, lambda s: length(s) >= 3) AS sigles,
               regexp_matches(b.nom_plie,
                   '^ *(fab ?lab|coworking|ressourcerie|recyclerie|repair cafe) '
                   || ' ?(de|du|des|d) ') AS chez,
               a.insee, a.cp, a.ville, a.voie, array_to_string(a.voie, '') AS voie_jointe,
               a.numero, a.numero_fin,
               CASE WHEN p.la IS NULL AND b.latitude BETWEEN -90 AND 90
                    AND b.longitude BETWEEN -180 AND 180
                    AND NOT (b.latitude = 0 AND b.longitude = 0) THEN b.latitude END AS lat,
               CASE WHEN p.la IS NULL AND b.latitude BETWEEN -90 AND 90
                    AND b.longitude BETWEEN -180 AND 180
                    AND NOT (b.latitude = 0 AND b.longitude = 0) THEN b.longitude END AS lon,
               CASE b.precision_geo {sigma}
                    ELSE CASE WHEN a.voie IS NULL THEN {SIGMA_M["inconnue"]}
                              ELSE {SIGMA_UNSAID_M} END END AS sigma,
               CASE WHEN w.h <> '' AND w.h NOT IN {_in(v.FREE_HOSTS)} THEN w.h END AS hote,
               CASE WHEN w.h <> '' AND length(w.chemin) > 2 THEN w.h || w.chemin END AS page,
               CASE WHEN length(t.chiffres) BETWEEN 9 AND 13 THEN right(t.chiffres, 9) END AS tel,
               CASE WHEN regexp_full_match(trim(b.courriel), '[^@\s]+@[^@\s]+\.[^@\s]+')
                    THEN lower(trim(b.courriel)) END AS mail,
               CASE WHEN regexp_full_match(regexp_replace(b.siret, '\s', '', 'g'), '[0-9]{{14}}')
                    THEN regexp_replace(b.siret, '\s', '', 'g') END AS siret,
               CASE WHEN regexp_full_match(upper(b.rna), 'W[0-9A-Z]{{9}}')
                    THEN upper(b.rna) END AS rna,
               b.type,
               regexp_matches(b.nom_plie, ' ({v.ITINERANT}) ') AS itinerant,
               list_filter(coalesce(b.identifiants, []),
                   lambda x: split_part(x, '=', 2) <> ''
                       AND split_part(x, '=', 1) NOT IN ('siret', 'siren', 'rna')) AS ids
        FROM res_brut b
        LEFT JOIN noms n USING (rid)
        LEFT JOIN initiales i USING (rid)
        LEFT JOIN res_adresse a USING (rid)
        LEFT JOIN web w USING (rid)
        LEFT JOIN tels t USING (rid)
        LEFT JOIN points p ON p.la = round(b.latitude, 5) AND p.lo = round(b.longitude, 5)
        ORDER BY b.rid
        """
    )
