"""What of a record is compared: words with their rarity, street, locality, point, contacts.

What one record tells depends on that record and on what all of them together teach (`LEARNT`): how
rare a word is, how many names share an address. The two are kept apart, so that a few records can
be prepared again by what was learnt before. Four tables are made, in the connection:

`res_fiche`, one row per record: `rid` (0, 1… in the order of source and key), `source`, `cle`,
`nom`; the name without spaces and empty words `noyau`, its distinctive part `propre`, its
`nombres`, its `initiales`, what its words weigh (`bits_propres`, `bits_courants`); its kinds
(`genre`, `voisins`: sets of families as bits); the place (`insee`, `cp`, `ville`, `lieu`, `voie`,
`voie_fin`, `voie_texte`, `numero`, `numero_fin`, `lat`, `lon`, `sigma` in metres); the contacts
(`hote`, `page`, `tel`, `mail`, `siret`, `siren`, `rna`) and `type`; and how many names share its
address, street, number, cell and commune (`n_adresse`, `n_voie`, `n_numero`, `n_cellule`,
`n_commune`).

`res_mot`, one row per word of a name: `rid`, `mot`, `role` (propre, courant, lieu), `bits` in
hundredths of a bit: integers, so that sums do not depend on the order of addition.
`res_famille`: the families of kinds of each name. `res_identifiant`: ids in other bases.

Rarity is learnt from the data at hand: bits = log2((N + 2 000) / (df + 1)), df the number of
records that hold the word; the constant stands for names not at hand in which a word was not seen,
so that ten records behave like ten thousand. A record that a source repeats under another key, as
when it changed them all, teaches nothing (`res_copie`): what others are worth stays as it was.
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

BACKGROUND_RECORDS = 2_000
"""Weight of the prior on word rarity."""

MAX_BITS = {"courant": 300, "lieu": 200}
"""Most that one word can weigh, in hundredths of a bit, when it is usual or names the place."""

COMMON_SHARE = 0.006
COMMON_RECORDS = 12
"""A word of a name is usual when this share of the records, and this many, hold it: it then says
what a thing is, or is a first name or a saint's, and does not tell two of them apart alone.
"""

TOWN_RECORDS = 3
"""From this many records in a commune, its name in a name says a place."""

SIGMA_M = {"numero": 150, "voie": 600, "lieu_dit": 1200, "commune": 6000}
"""Uncertainty of a point by its stated precision, in metres. Between two listings the median gap of
one place is 11 m at street level and the 95th percentile 837 m; a commune's centre is far off.
"""

SIGMA_UNSAID_M = 400
"""Uncertainty of a point whose precision is not known; when several names without an address share
it, it is taken for the centre of the commune.
"""

STACKED_NAMES = 5
"""From this many different names and several addresses, one point is a geocoder's default."""

LONGEST_NAME = 300
"""Characters of a name, and of an address, that are compared."""


LEARNT = (
    "res_total", "res_frequence", "res_point", "res_dense_adresse", "res_dense_voie",
    "res_dense_numero", "res_dense_commune", "res_dense_point", "res_dense_cellule",
)  # fmt: skip
"""Tables of what all records together teach about each."""

NUMBER_STEP = 1 << 20
"""Between the numbers of two records, so that others can come between them and keep the order."""


def number(con: duckdb.DuckDBPyConnection, records: str) -> None:
    """Make `res_numero` (source, cle_source, rid): `rid` grows in the order of source and key."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_numero AS
        SELECT CAST(source AS VARCHAR) AS source, CAST(cle_source AS VARCHAR) AS cle_source,
               ((row_number() OVER (ORDER BY CAST(source AS VARCHAR), CAST(cle_source AS VARCHAR))
                 - 1) * {NUMBER_STEP})::BIGINT AS rid
        FROM {records}
        """
    )


def prepare(con: duckdb.DuckDBPyConnection, records: str, *, learn: bool = True) -> None:
    """Make `res_fiche`, `res_mot`, `res_famille` and `res_identifiant` from a table of records.

    `learn` makes `LEARNT` and `res_numero` (see `number`) too; else they must be there, and only
    the records that have a number are prepared.
    """
    if learn:
        number(con, records)
    _select(con, records)
    _names(con)
    _addresses(con)
    if learn:
        _copies(con)
        _total(con)
        _frequencies(con)
        _points(con)
    _words(con)
    if learn:
        _density(con)
    _records(con)
    _identifiers(con)


def _alternation(words: Iterable[str]) -> str:
    """A pattern of words or phrases, the longest first so that none hides another."""
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


def _fold(text: str) -> str:
    """SQL: lower case, no accents, ligatures and sharp s spelt out."""
    return (
        "replace(replace(replace(translate(lower(strip_accents("
        f"{text})), '０１２３４５６７８９－　', '0123456789- '), 'œ', 'oe'), 'æ', 'ae'), 'ß', 'ss')"
    )


def _one_vowel(text: str) -> str:
    """SQL: ae, oe and ue as one vowel, so that a spelt-out umlaut is that umlaut folded."""
    return f"replace(replace(replace({text}, 'ae', 'a'), 'oe', 'o'), 'ue', 'u')"


_SIGNS = r"[^\p{L}\p{N}]+"
_MARKUP = r"<[^>]*>|&[a-zA-Z#0-9]+;"


def _select(con: duckdb.DuckDBPyConnection, records: str) -> None:
    """`res_brut`: one typed row per record that has a number; blank texts become NULL."""
    present = {
        row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM {records}").fetchall()
    }
    parts = []
    for name, kind in COLUMNS.items():
        if name not in present:
            parts.append(f"CAST(NULL AS {kind}) AS {name}")
        elif kind == "DOUBLE":
            parts.append(
                f"TRY_CAST(replace(CAST({name} AS VARCHAR), ',', '.') AS DOUBLE) AS {name}"
            )
        elif name in {"source", "cle_source"}:
            parts.append(f"CAST({name} AS VARCHAR) AS {name}")
        elif kind == "VARCHAR":
            parts.append(f"nullif(trim(CAST({name} AS VARCHAR)), '') AS {name}")
        elif present[name] == "VARCHAR":
            parts.append(f"CASE WHEN {name} IS NOT NULL THEN [{name}] END AS {name}")
        else:
            parts.append(name)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_brut AS
        SELECT rid, r.*
               REPLACE (
                   CASE WHEN abs(latitude) <= 90 AND abs(longitude) <= 180
                        AND NOT (latitude = 0 AND longitude = 0) THEN latitude END AS latitude,
                   CASE WHEN abs(latitude) <= 90 AND abs(longitude) <= 180
                        AND NOT (latitude = 0 AND longitude = 0) THEN longitude END AS longitude)
        FROM (SELECT {", ".join(parts)} FROM {records}) r JOIN res_numero USING (source, cle_source)
        ORDER BY rid
        """
    )


def _names(con: duckdb.DuckDBPyConnection) -> None:
    """`res_nom`, one row per record."""
    kinds = _alternation({phrase for family in v.KINDS.values() for phrase in family})
    empty = _alternation(v.EMPTY_WORDS | v.LEGAL_FORMS)
    usual = _alternation(v.COMMON_WORDS)
    core = rf"replace(regexp_replace(n, '\b(?:{empty})\b', '', 'g'), ' ', '')"
    own = (
        "replace(regexp_replace(replace(regexp_replace(reste, ' +', ' ', 'g'),"
        " CASE WHEN length(c) > 4 THEN c ELSE '  ' END, ' '),"
        rf" '\b(?:{usual})\b', '', 'g'), ' ', '')"
    )
    con.execute(
        rf"""
        CREATE OR REPLACE TEMP TABLE res_nom AS
        WITH lettres AS (
            SELECT rid, {_fold("commune")} AS c,
                   {_fold(f"left(regexp_replace(nom, '{_MARKUP}', ' ', 'g'), {LONGEST_NAME})")} AS n
            FROM res_brut
        ), plies AS (
            SELECT rid,
                   ' ' || trim(regexp_replace(regexp_replace(regexp_replace(regexp_replace(n,
                       '\b(\p{{L}})\.', '\1', 'g'),
                       '(\p{{L}})@(\p{{L}})', '\1a\2', 'g'),
                       '{_SIGNS}', ' ', 'g'),
                       '(fab ?lab|maker ?space|hacker ?space)s?', ' \1 ', 'g')) || ' ' AS n,
                   ' ' || trim(regexp_replace(regexp_replace(c, '{_SIGNS}', ' ', 'g'),
                       '\b(?:ste?|sainte)\b', 'saint', 'g')) || ' ' AS c
            FROM lettres
        ), saints AS (
            SELECT rid, c, regexp_replace(regexp_replace(n, '\b(?:ste?|sainte)\b', 'saint', 'g'),
                                          ' +', ' ', 'g') AS n
            FROM plies
        ), sans AS (
            SELECT rid, n, c, regexp_extract_all(n, '\b(?:{kinds})\b') AS genres,
                   regexp_replace(regexp_replace(n, '\b(?:{kinds})\b', ' ', 'g'),
                                  '\b(?:{empty})\b', ' ', 'g') AS reste
            FROM saints
        )
        SELECT rid, n, c, genres,
               {_one_vowel("reste")} AS reste,
               {_one_vowel(core)} AS noyau,
               {_one_vowel(own)} AS propre,
               nullif(array_to_string(list_sort(regexp_extract_all(n, '[0-9]+')), ' '), '')
                   AS nombres
        FROM sans
        """
    )


def _copies(con: duckdb.DuckDBPyConnection) -> None:
    """`res_copie`: records that say, but for their key, what another of their source says."""
    said = ", ".join(name for name in COLUMNS if name != "cle_source")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_copie AS
        WITH dites AS (SELECT rid, hash({said}) AS dit FROM res_brut
        ), premieres AS (SELECT dit, min(rid) AS rid FROM dites GROUP BY dit HAVING count(*) > 1
        )
        SELECT d.rid FROM dites d JOIN premieres p ON p.dit = d.dit AND p.rid <> d.rid
        """
    )


def _total(con: duckdb.DuckDBPyConnection) -> None:
    """`res_total`: how many records and sources there are, and the share `dedans` of the pairs of
    records, drawn at random, that come from one source.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_total AS
        SELECT coalesce(sum(n), 0)::BIGINT AS fiches, count(*) AS sources,
               coalesce(sum(n * n) / (sum(n) * sum(n)), 1) AS dedans
        FROM (SELECT count(*)::DOUBLE AS n FROM res_brut ANTI JOIN res_copie USING (rid)
              GROUP BY source)
        """
    )


_WORDS = "SELECT DISTINCT rid, c, unnest(string_split(reste, ' ')) AS mot FROM res_nom"


def _frequencies(con: duckdb.DuckDBPyConnection) -> None:
    """`res_frequence`: in how many names each word is met, and whether it names a commune."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_frequence AS
        WITH frequences AS (
            SELECT mot, count(*) AS df FROM ({_WORDS}) ANTI JOIN res_copie USING (rid)
            WHERE mot <> '' GROUP BY mot
        ), villes AS (
            SELECT DISTINCT trim(c) AS mot FROM res_nom WHERE length(c) > 4
            GROUP BY c HAVING count(*) >= {TOWN_RECORDS}
        )
        SELECT mot, df, mot IN (SELECT mot FROM villes) AS ville FROM frequences
        """
    )


def _words(con: duckdb.DuckDBPyConnection) -> None:
    """`res_mot`, one row per distinct word of a name."""
    usual = ", ".join(f"'{word}'" for word in sorted(v.COMMON_WORDS))
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_mot AS
        WITH mots AS (
            SELECT rid, mot, contains(c, ' ' || mot || ' ') AS lieu FROM ({_WORDS}) WHERE mot <> ''
        ), rares AS (
            SELECT m.rid, m.mot, m.lieu, m.mot IN ({usual}) OR coalesce(f.ville, false) AS usuel,
                   coalesce(f.df, 0) AS df, n,
                   greatest(50, round(100 * log2(({BACKGROUND_RECORDS} + n)
                                                 / (coalesce(f.df, 0) + 1))))::INTEGER AS bits
            FROM mots m LEFT JOIN res_frequence f USING (mot), (SELECT fiches AS n FROM res_total)
        )
        SELECT rid, mot,
               CASE WHEN lieu THEN 'lieu'
                    WHEN usuel OR df >= greatest({COMMON_RECORDS}, {COMMON_SHARE} * n)
                        THEN 'courant'
                    ELSE 'propre' END AS role,
               CASE WHEN lieu THEN least(bits, {MAX_BITS["lieu"]})
                    WHEN usuel THEN least(bits, {MAX_BITS["courant"]}) ELSE bits END AS bits
        FROM rares
        """
    )


def _addresses(con: duckdb.DuckDBPyConnection) -> None:
    """`res_adresse`: street, number and locality of each record, whatever way they are written."""
    empty = _alternation({*v.EMPTY_WORDS, *v.STREET_TITLES})
    types = _alternation(v.STREET_WORDS)
    con.execute(
        rf"""
        CREATE OR REPLACE TEMP TABLE res_adresse AS
        WITH lettres AS (
            SELECT rid, code_postal, commune, code_insee, adresse IS NOT NULL AS dite,
                   {
            _fold(
                "left(coalesce(adresse, '') || ' | ' || coalesce(complement_adresse, ''),"
                f" {LONGEST_NAME})"
            )
        } AS a
            FROM res_brut
        ), plies AS (
            SELECT rid, code_postal, commune, code_insee, dite,
                   regexp_replace(regexp_replace(regexp_replace(regexp_replace(
                       ' ' || regexp_replace(a, '<[^>]*>|[,;–—()]| - ', ' | ', 'g') || ' ',
                       '[^\p{{L}}\p{{N}}|]+', ' ', 'g'),
                       ' ([0-9]+) ?(?:bis|ter|quater) ', ' \1 ', 'g'),
                       ' ([0-9]{{1,2}}) ?(?:er)? ({v.MONTHS})( [0-9]{{4}})?', ' \1\2', 'g'),
                       '(strasse|str)\b', ' str ', 'g') AS t
            FROM lettres
        ), morceaux AS (
            SELECT *, regexp_extract(t,
                       '(?: ([0-9]{{1,5}}))?(?: ?(?:bis|ter|quater|[a-e]))?'
                       || '(?: (?:et )?([0-9]{{1,5}}))?(?: ?(?:bis|ter|quater|[a-e]))?(?: \|)?'
                       || ' (?:{v.STREET_TYPES}) ([^|]+)', ['n1', 'n2', 'nom']) AS m
            FROM plies
        ), voies AS (
            SELECT rid, t, code_postal, commune, code_insee, dite,
                   CASE WHEN m.n1 <> '' THEN m.n1
                        WHEN m.nom <> '' THEN regexp_extract(t, '^ *([0-9]{{1,5}})[a-z]? ', 1)
                        ELSE coalesce(
                            nullif(regexp_extract(split_part(trim(t, ' |'), '|', 1),
                                '([0-9]{{1,5}})(?:[^0-9]|$)', 1), ''),
                            regexp_extract(t,
                                '^[^|]*\| (?:n[ºo]? )?([0-9]{{1,5}})[a-z]? ?(?:\||$)', 1))
                        END AS n1,
                   m.n2 AS n2,
                   ' ' || CASE WHEN m.nom <> '' THEN m.nom
                        ELSE regexp_replace(regexp_replace(regexp_extract(t, '[^|]*\p{{L}}[^|]*'),
                            '\b[0-9]+[a-z]?\b', ' ', 'g'), '\b(?:{types})\b', ' ', 'g') END
                   || ' ' AS nom_voie
            FROM morceaux
        ), propres AS (
            SELECT *, trim(regexp_replace(regexp_replace(
                   regexp_replace(nom_voie, ' [0-9]{{5}} .*$', ' '),
                   '\b(?:{empty})\b', ' ', 'g'), ' +', ' ', 'g')) AS mots_voie
            FROM voies
        )
        SELECT rid, TRY_CAST(n1 AS INTEGER) AS numero,
               CASE WHEN TRY_CAST(n2 AS INTEGER) - TRY_CAST(n1 AS INTEGER) BETWEEN 1 AND 59
                    THEN TRY_CAST(n2 AS INTEGER) ELSE TRY_CAST(n1 AS INTEGER) END AS numero_fin,
               CASE WHEN dite THEN nullif(left(replace(mots_voie, ' ', ''), 60), '') END AS voie,
               CASE WHEN dite THEN regexp_replace(t, '[ 0-9|]+', '', 'g') END AS voie_texte,
               CASE WHEN dite THEN nullif(split_part(mots_voie, ' ', -1), '') END AS voie_fin,
               coalesce(
                   CASE WHEN regexp_full_match(trim(code_postal), '[0-9]{{4,5}}')
                             THEN CASE WHEN TRY_CAST(code_postal AS INTEGER) >= 1000
                                       THEN lpad(trim(code_postal), 5, '0') END
                        WHEN regexp_full_match(trim(code_postal), '[0-9]{{5}}-[0-9]{{4}}')
                             THEN left(trim(code_postal), 5)
                        WHEN regexp_matches(code_postal, '[0-9]')
                             AND NOT regexp_full_match(trim(code_postal), '[0-9.]{{1,3}}')
                             THEN regexp_replace(upper(code_postal), '[ -]', '', 'g') END,
                   nullif(regexp_extract(t, ' ([0-9]{{5}}) ', 1), '')) AS cp,
               nullif(replace(trim(regexp_replace(regexp_replace(regexp_replace(c,
                   '\b([0-9]+ ?(?:er|e|eme)? ?)?(?:arrondissement|cedex)\b.*$', ' '),
                   ' [0-9]+(?:er|e|eme)? ', ' ', 'g'),
                   '^ (?:le|la|les|l) ', ' ')), ' ', ''), '') AS ville,
               CASE WHEN regexp_full_match(upper(code_insee), '[0-9][0-9AB][0-9]{{3}}')
                    THEN CASE
                        WHEN code_insee BETWEEN '13201' AND '13216' THEN '13055'
                        WHEN code_insee BETWEEN '69381' AND '69389' THEN '69123'
                        WHEN code_insee BETWEEN '75101' AND '75120' THEN '75056'
                        ELSE upper(code_insee) END END AS insee
        FROM propres JOIN (SELECT rid, c FROM res_nom) USING (rid)
        """
    )


def _points(con: duckdb.DuckDBPyConnection) -> None:
    """`res_point`: points that many names at several addresses share, which say nothing."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_point AS
        SELECT round(latitude, 5) AS la, round(longitude, 5) AS lo
        FROM (SELECT rid, latitude, longitude FROM res_brut WHERE latitude + longitude IS NOT NULL)
        JOIN (SELECT rid, noyau FROM res_nom) USING (rid)
        JOIN (SELECT rid, voie FROM res_adresse) USING (rid)
        GROUP BY ALL
        HAVING count(*) >= {STACKED_NAMES} AND count(DISTINCT noyau) >= {STACKED_NAMES}
           AND count(DISTINCT coalesce(voie, rid::VARCHAR)) >= 3
        """
    )


_SITUATED = """
    SELECT a.rid, coalesce(ville, insee, cp) AS lieu, voie, numero, noyau,
           CASE WHEN s.la IS NULL THEN latitude END AS lat, longitude AS lon
    FROM res_adresse a JOIN res_nom n USING (rid) JOIN res_brut b USING (rid)
    LEFT JOIN res_point s ON s.la = round(latitude, 5) AND s.lo = round(longitude, 5)
"""
_CELL = "floor(lat / 0.005)::INT AS la, floor(lon / 0.007)::INT AS lo"


def _density(con: duckdb.DuckDBPyConnection) -> None:
    """`res_dense_*`: how many names share each address, street, number, commune, point, cell; from
    two, since one is what is not there.
    """
    names = "count(DISTINCT noyau)::INTEGER AS n"
    counted = {
        "adresse": f"SELECT lieu, voie, numero, {names} FROM res_situee WHERE voie IS NOT NULL",
        "voie": f"SELECT lieu, voie, {names} FROM res_situee WHERE voie IS NOT NULL",
        "numero": f"SELECT voie, numero, {names} FROM res_situee"
        " WHERE voie IS NOT NULL AND numero IS NOT NULL",
        "commune": "SELECT lieu, count(*)::INTEGER AS n FROM res_situee WHERE lieu IS NOT NULL",
        "point": f"SELECT lat, lon, {names} FROM res_situee WHERE lat + lon IS NOT NULL",
        "cellule": f"SELECT {_CELL}, count(*)::INTEGER AS n FROM res_situee"
        " WHERE lat + lon IS NOT NULL",
    }
    con.execute(
        "CREATE OR REPLACE TEMP TABLE res_situee AS"
        f" SELECT * FROM ({_SITUATED}) ANTI JOIN res_copie USING (rid)"
    )
    for kind, query in counted.items():
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE res_dense_{kind} AS {query} GROUP BY ALL HAVING n > 1"
        )
    con.execute("DROP TABLE res_situee")


def _families() -> str:
    """SQL values: kind phrase → family."""
    rows: dict[str, str] = {}
    for family, phrases in sorted(v.KINDS.items()):
        for phrase in phrases:
            rows.setdefault(phrase, family)
    return ", ".join(f"('{phrase}', '{family}')" for phrase, family in sorted(rows.items()))


FAMILY_BIT = {family: 1 << rank for rank, family in enumerate(sorted(v.KINDS))}
"""Family of a kind → its bit in `genre`, the set of families that a name says."""


def family_mask(families: Iterable[str]) -> int:
    """The bits of several families."""
    return sum(FAMILY_BIT[family] for family in families)


_CODED = ("insee", "tel", "mail", "hote", "page", "siret", "rna", "type")
"""Columns that are only ever compared whole: a number in their stead is a third of the cost."""


def _code(value: str) -> str:
    """SQL: a number for a value; a million values share none, but once in ten million times."""
    return f"CASE WHEN {value} IS NOT NULL THEN (hash({value}) >> 1)::BIGINT END"


def _records(con: duckdb.DuckDBPyConnection) -> None:
    sigma = " ".join(f"WHEN '{name}' THEN {metres}" for name, metres in SIGMA_M.items())
    hosts = ", ".join(f"'{host}'" for host in sorted(v.FREE_HOSTS))
    empty = _alternation(v.EMPTY_WORDS)
    bits = " ".join(f"WHEN '{family}' THEN {bit}" for family, bit in FAMILY_BIT.items())
    close = " ".join(
        f"WHEN '{family}' THEN {family_mask(b for a, b in v.CLOSE_KINDS if a == family)}"
        for family in sorted({a for a, _ in v.CLOSE_KINDS})
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE res_famille AS
        SELECT DISTINCT rid, famille FROM (
            SELECT rid, unnest(genres) AS phrase FROM res_nom WHERE len(genres) > 0)
        JOIN (VALUES {_families()}) f(phrase, famille) USING (phrase)
        """
    )
    codes = ", ".join(f"{_code(name)} AS {name}" for name in _CODED)
    con.execute(
        rf"""
        CREATE OR REPLACE TEMP TABLE res_fiche AS
        WITH poids AS (
            SELECT rid,
                   coalesce(sum(bits) FILTER (role = 'propre'), 0)::INTEGER AS bits_propres,
                   coalesce(sum(bits) FILTER (role = 'courant'), 0)::INTEGER AS bits_courants
            FROM res_mot GROUP BY rid
        ), familles AS (
            SELECT rid, bit_or(CASE famille {bits} END)::BIGINT AS genre,
                   bit_or(CASE famille {close} ELSE 0 END)::BIGINT AS voisins
            FROM res_famille GROUP BY rid
        ), initiales AS (
            SELECT rid,
                   array_to_string(list_transform(string_split(trim(n), ' '),
                       lambda w: left(w, 1)), '') AS toutes,
                   array_to_string(list_transform(string_split(trim(regexp_replace(
                       regexp_replace(n, '\b(?:{empty})\b', ' ', 'g'), ' +', ' ', 'g')), ' '),
                       lambda w: left(w, 1)), '') AS pleines
            FROM (SELECT rid, n FROM res_nom) WHERE contains(trim(n), ' ')
        ), web AS (
            SELECT rid,
                   lower(regexp_extract(site_web,
                       '^\s*(?:[A-Za-z]+:/*)?(?:www[0-9]?\.)?([^/:?#\s;|]+\.[A-Za-z]{{2,}})',
                       1)) AS h,
                   lower(regexp_replace(regexp_extract(site_web,
                       '^\s*(?:[A-Za-z]+:/*)?[^/\s;|]+(/[^\s;|]+)', 1), '/+$', '')) AS chemin
            FROM res_brut WHERE site_web IS NOT NULL
        ), dense AS (
            SELECT s.rid, coalesce(o.n, 1) AS n_point, coalesce(a.n, 1) AS n_adresse,
                   coalesce(v.n, 1) AS n_voie, coalesce(u.n, 1) AS n_numero,
                   coalesce(c.n, 1) AS n_commune, coalesce(k.n, 1) AS n_cellule
            FROM (SELECT *, {_CELL} FROM ({_SITUATED})) s
            LEFT JOIN res_dense_adresse a
                ON a.lieu = s.lieu AND a.voie = s.voie AND a.numero = s.numero
            LEFT JOIN res_dense_voie v ON v.lieu = s.lieu AND v.voie = s.voie
            LEFT JOIN res_dense_numero u ON u.voie = s.voie AND u.numero = s.numero
            LEFT JOIN res_dense_point o ON o.lat = s.lat AND o.lon = s.lon
            LEFT JOIN res_dense_commune c ON c.lieu = s.lieu
            LEFT JOIN res_dense_cellule k ON k.la = s.la AND k.lo = s.lo
        ), tels AS (
            SELECT rid, regexp_replace(translate(telephone, '０１２３４５６７８９', '0123456789'),
                                       '[^0-9]', '', 'g') AS chiffres
            FROM res_brut WHERE telephone IS NOT NULL
        ), fiches AS (
            SELECT b.rid, b.source, b.cle_source AS cle, b.nom,
                   coalesce(nullif(n.noyau, ''), lower(b.nom)) AS noyau,
                   nullif(n.propre, '') AS propre, n.nombres,
                   coalesce(p.bits_propres, 0) AS bits_propres,
                   coalesce(p.bits_courants, 0) AS bits_courants,
                   coalesce(f.genre, 0)::BIGINT AS genre,
                   coalesce(f.voisins, 0)::BIGINT AS voisins,
                   i.toutes AS initiales, i.pleines AS initiales_pleines,
                   regexp_matches(n.n,
                       '^ *(fab ?lab|coworking|ressourcerie|recyclerie|repair cafe) '
                       || ' ?(de|du|des|d) ') AS chez,
                   regexp_matches(n.n, ' ({v.ITINERANT}) ') AS itinerant,
                   a.insee, a.cp, a.ville, coalesce(a.ville, a.insee, a.cp) AS lieu,
                   a.voie, a.voie_fin, a.voie_texte, a.numero, a.numero_fin,
                   CASE WHEN s.la IS NULL THEN b.latitude END AS lat,
                   CASE WHEN s.la IS NULL THEN b.longitude END AS lon,
                   CASE b.precision_geo {sigma}
                        ELSE CASE WHEN a.voie IS NULL AND d.n_point > 2 THEN {SIGMA_M["commune"]}
                                  ELSE {SIGMA_UNSAID_M} END END AS sigma,
                   CASE WHEN w.h <> '' AND w.h NOT IN ({hosts}) THEN w.h END AS hote,
                   CASE WHEN w.h <> '' AND length(w.chemin) > 2 THEN w.h || w.chemin END AS page,
                   CASE WHEN length(h.chiffres) BETWEEN 7 AND 15 THEN right(h.chiffres, 9) END
                       AS tel,
                   CASE WHEN regexp_full_match(b.courriel, '\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*')
                        THEN lower(trim(b.courriel)) END AS mail,
                   CASE WHEN regexp_full_match(b.siret, '[0-9\s]{{14,20}}')
                        THEN nullif(left(regexp_replace(b.siret, '\s', '', 'g'), 14), '') END
                       AS siret,
                   CASE WHEN regexp_full_match(upper(b.rna), 'W[0-9A-Z]{{9}}')
                        THEN upper(b.rna) END AS rna,
                   d.n_adresse, d.n_voie, d.n_numero, d.n_commune, d.n_cellule,
                   nullif(trim(regexp_replace({_fold("b.type")}, '{_SIGNS}', ' ', 'g')), '')
                       AS type
            FROM res_brut b
            JOIN res_nom n USING (rid)
            LEFT JOIN initiales i USING (rid)
            JOIN res_adresse a USING (rid)
            LEFT JOIN poids p USING (rid)
            LEFT JOIN familles f USING (rid)
            LEFT JOIN web w USING (rid)
            LEFT JOIN tels h USING (rid)
            LEFT JOIN res_point s ON s.la = round(b.latitude, 5) AND s.lo = round(b.longitude, 5)
            JOIN dense d USING (rid)
        )
        SELECT * REPLACE ({codes}),
               genre & {family_mask(v.HOST_KINDS)} <> 0 AS heberge,
               genre & {family_mask(v.GUEST_KINDS)} <> 0 AS invite,
               {_code("left(siret, 9)")} AS siren
        FROM fiches
        ORDER BY rid
        """
    )


def _identifiers(con: duckdb.DuckDBPyConnection) -> None:
    """`res_identifiant`: the ids of a thing in other bases; those of a legal body are columns."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE res_identifiant AS
        SELECT DISTINCT rid, identifiant FROM (
            SELECT rid, unnest(identifiants) AS identifiant FROM res_brut
            WHERE len(identifiants) > 0)
        WHERE split_part(identifiant, '=', 2) <> ''
          AND split_part(identifiant, '=', 1) NOT IN ('siret', 'siren', 'rna')
        """
    )
