"""Names: kept as the source spells them, but for damage that can be proved; people are flagged.

A record named after a person ("Mme Martin", "Jean Dupont", "Ferme de Jean D.") is kept with the
status `a_verifier`, and its address is read as a home: it is not published, and its position is the
commune's.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from lowtech_data.normalise.journal import change
from lowtech_data.normalise.personal import literal

MAX_CHARACTERS = 200

GIVEN_NAMES = frozenset(
    """
    adele adeline adrien agathe agnes ahmed aicha alain alban albert alexandra alexandre alexis ali
    alice aline alison amandine amelie ana anais andre andrea andree angele angelique anita anna
    annabelle anne annick annie anthony antoine antonin antonio ariane arlette armand arnaud arthur
    astrid aude audrey aurelie aurelien aurore axel axelle baptiste barbara bastien beatrice
    benedicte benjamin benoit bernadette bernard berthe bertrand blandine brigitte bruno camille
    carine carla carole caroline catherine cecile cedric celia celine chantal charlene charles
    charlotte chloe christelle christian christiane christine christophe claire clara claude
    claudette claudine clement clementine clotilde colette coline coralie corentin corinne cyril
    cyrille damien daniel daniele danielle david deborah delphine denis denise diane didier
    dominique dorian dorothee dylan edgar edith edmond edouard elena eliane elie eliott elisa
    elisabeth elise elodie emeline emile emilie emma emmanuel emmanuelle enzo eric erika ernest
    erwan estelle esther etienne eugene eva evelyne fabien fabienne fabrice fanny fatiha fatima
    felix fernand fernande flavie flora florence florent florian francine francis franck
    francois francoise frederic frederique gabriel gabrielle gael gaelle gaetan genevieve geoffrey
    george georges georgette gerald geraldine gerard germaine ghislain ghislaine gilbert gilberte
    gilles ginette gisele gregoire gregory guillaume gustave guy gwenael gwenaelle gwendoline hassan
    helene henri henriette herve hubert hugo hugues ibrahim ines irene iris isabelle ismael jack
    jacky jacqueline jacques jade james jamila janine jean jeanine jeanne jeannine jennifer jeremie
    jeremy jerome jessica joan joel joelle johan johanna john jonathan jordan jose joseph josephine
    josette josiane juan judith jules julia julie julien juliette justine karim karine katia kevin
    khadija laetitia lara laura laure laurence laurent laurine lea leila lena leo leon leonie leslie
    lila liliane lina lionel lisa lise loic lola lorraine louis louise louna luc luca lucas
    lucie lucien lucienne lucile ludivine ludovic lydia lydie madeleine mael maeva magali malika
    manon manuel manuela marc marcel marcelle margaux margot marguerite maria mariam marie marina
    marine marion marjorie marlene martial martin martine mateo mathieu mathilde mathis matthieu
    maud maurice max maxence maxime mehdi melanie melissa melodie mercedes michael michel michele
    micheline michelle mickael mireille mohamed mohammed monique morgan morgane mourad muriel
    mustapha myriam nabil nadege nadia nadine natacha nathalie nathan nicolas nicole nina noah noe
    noel noelle noemie nora norbert oceane odette odile olga olivia olivier omar oscar pascal
    pascale patrice patricia patrick paul paule paulette pauline perrine philippe pierre pierrette
    quentin rachel rachid raoul raphael raphaelle raymond raymonde regine regis remi remy renaud
    rene renee richard robert roberte robin rodolphe roger roland rolande romain romane romuald
    ronan rosa rosalie rose roselyne sabine sabrina said salma salome samia samir samuel sandra
    sandrine sara sarah sebastien segolene selma serge servane severine sidonie simon simone sofia
    solange solene sonia sophie stephane stephanie steven sullivan suzanne suzette sylvain sylvaine
    sylvette sylvia sylviane sylvie tanguy tatiana teddy thea theo theodore therese thibaud thibault
    thibaut thierry thomas tiphaine titouan tom tony tristan ugo ulysse urbain valentin valentine
    valerie vanessa veronique victoire victor victoria vincent violaine violette virginie viviane
    wilfried william xavier yael yann yannick yasmina yasmine yassine yohan yolande youssef yvan
    yves yvette yvon yvonne zelie zoe
    """.split()  # noqa: SIM905 — a list of words reads better as words
)
"""Common given names in France, folded: one before a capitalised word looks like a person.

France and Lou (the article of Provençal) are left out: they begin far more names of places.
"""

_TITLE = (
    r"^(?i:m|mr|mme|mmes|mlle|melle|monsieur|madame|mademoiselle|dr|docteur"
    r"|(?:m|mr|monsieur)\.? (?:et|&) (?:mme|madame)|famille)\.? +\p{Lu}"
)
_AFTER_TITLE = _TITLE.replace(r"\p{Lu}", r"(\p{L}+)")
_ASIDE = r"\s[–—-]\s.*$|\s*[,(|:].*$"
"""What a name says after the person: a trade, a place."""
_AT_HOME = r"^(?i:chez|(?:la )?ferme de) "
_TWO_WORDS = (
    rf"(?:{_AT_HOME}|^)\p{{Lu}}[\p{{L}}’'.-]+ +(?:(?i:de|du|des|le|la|van|von) |d['’]){{0,2}}"
    r"\p{Lu}[\p{L}’'-]*\.?$"
)
"""Two words, with the particles of a surname between them."""

_CAPITALS = r"^(?:LE|LA|DE|DU|VAN|VON) \p{Lu}[\p{Lu}’'-]+ \p{Lu}\p{Ll}[\p{L}-]*$"
"""A surname with its particle, in capitals, and a given name that is not."""

_INITIAL = r"(?:^| )(\p{Lu}[\p{L}-]+) \p{Lu}\.$"

_OF_A_PLACE = "('du', 'des', 'le', 'les', 'saint', 'sainte', 'st', 'ste')"
"""Before a given name, these make it the name of a place."""

_THINGS = (
    "bricol\\w*|recup\\w*|repar\\w*|vrac|ordi\\w*|informatique|velos?|cycles?|fab|fix|lab|pc|mac"
    "|bois|couture|jardin\\w*|nature|net|web|propre|bio|compost|tri|zero|rurale|vintage|fripes?"
)
"""After a title, the thing that a trade name cures or sells."""

_ORDINARY = (
    "atelier|association|asso|cafe|centre|club|collectif|commune|compagnie|cooperative|eco|ecole|espace"
    "|fab|ferme|garage|jardin|jardins|la|labo|le|les|lieu|low|maison|mairie|recup|recyclerie"
    "|repair|reseau|rurale|ressourcerie|tech|tiers|velo|velos|ville|coworking|co|services|service|paysan|bio"
    "|\\w*lab|\\w+theque|place|rue|square|pole|hotel|villa|parc|pimms|ccas|mjc|emmaus"
    "|college|lycee|theatre|chapelle|eglise|chateau|domaine|restaurant|boutique|mediterranee|ocean"
    "|cycles?|librairie|epicerie|brasserie|galerie|studio|groupe|institut|fondation|foyer|residence|gite"
    "|camping|musee|salon|friperie|brocante|resto|fabrique|usine|halle|station|relais|cite|terre"
)
_PUBLIC = "theque|ecole|college|lycee|mairie|centre|ccas"
"""After a person's name, these say that a building has it."""

_REGIONS = "france|lorraine|alsace|bretagne|corse|normandie|picardie|provence|europe|occitanie"
"""Territories that end the names of bodies, some of which are given names too."""


def install(con: duckdb.DuckDBPyConnection, given_names: Collection[str]) -> None:
    """Create the table `n_prenoms` of given names, and the macro `prenom_de(mot)`.

    The macro gives the first name of a compound one: `jean` for `jean-marie` and `m-annick` apart.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE n_prenoms AS SELECT DISTINCT unnest(?::VARCHAR[]) AS prenom",
        [sorted(given_names)],
    )
    con.execute(
        """CREATE OR REPLACE TEMP MACRO prenom_de(mot) AS
        string_split(regexp_replace(rtrim(mot, '.'), '^[a-z]-', ''), '-')[1]"""
    )


def stage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `n_name`: `nom`, `noms_alternatifs`, `personne` (the name looks like a person's)."""
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_names AS
        WITH lignes AS MATERIALIZED (
            SELECT n, nom AS t, replace(nom, chr(10), ' ') AS nom, nom_regle, nom_montre
            FROM n_txt),
        sans_guillemets AS MATERIALIZED (
            SELECT *, CASE WHEN regexp_matches(nom, '^["«“].*["»”]$')
                    AND NOT regexp_matches(substr(nom, 2, length(nom) - 2), '["«»“”]')
                THEN trim(substr(nom, 2, length(nom) - 2)) ELSE nom END AS cite FROM lignes),
        coupes AS MATERIALIZED (
            SELECT *, CASE WHEN length(cite) > {MAX_CHARACTERS}
                THEN trim(regexp_replace(left(cite, {MAX_CHARACTERS}), '\s+\S*$', ''))
                ELSE cite END AS court FROM sans_guillemets)
        SELECT n, nullif(CASE WHEN regexp_matches(court, '[\p{{L}}\p{{N}}]') THEN court END, '')
                AS nom,
            nom_montre,
            nullif(concat_ws('+', nom_regle,
                CASE WHEN t <> nom THEN 'lignes_jointes' END,
                CASE WHEN cite <> nom THEN 'guillemets_retires' END,
                CASE WHEN court <> cite THEN 'nom_coupe' END), '') AS regle,
            CASE WHEN regexp_matches(court, {literal(_TITLE)}) THEN 'titre'
                WHEN regexp_matches(seul, {literal(_TWO_WORDS)}) THEN 'deux_mots'
                WHEN regexp_matches(seul, {literal(_CAPITALS)}) THEN 'majuscules'
                WHEN regexp_matches(court, {literal(_INITIAL)}) THEN 'initiale' END AS forme,
            seul
        FROM (SELECT *, regexp_replace(court, '{_ASIDE}', '') AS seul FROM coupes)"""
    )
    con.execute(
        rf"""CREATE OR REPLACE TEMP TABLE n_people AS
        WITH mots AS MATERIALIZED (
            SELECT n, forme, plie, string_split(plie, ' ') AS mots,
                strip_accents(lower(substr(nom, length(seul) + 1))) AS a_part,
                strip_accents(lower(regexp_extract(nom, {literal(_INITIAL)}, 1))) AS avant,
                strip_accents(lower(regexp_extract(nom, {literal(_AFTER_TITLE)}, 1))) AS titre_de
            FROM (SELECT *, strip_accents(lower(regexp_replace(regexp_replace(
                    seul, '{_AT_HOME}', ''), ' +', ' ', 'g'))) AS plie
                FROM n_names WHERE forme IS NOT NULL)),
        extremes AS MATERIALIZED (
            SELECT *, prenom_de(mots[1]) AS premier, prenom_de(mots[-1]) AS dernier FROM mots)
        SELECT DISTINCT m.n FROM extremes m
        LEFT JOIN n_prenoms p ON m.premier = p.prenom
        LEFT JOIN n_prenoms d ON m.dernier = d.prenom
        LEFT JOIN n_prenoms i ON prenom_de(m.avant) = i.prenom
        WHERE CASE m.forme
            WHEN 'titre' THEN NOT regexp_matches(m.titre_de, '^(?:{_THINGS})$')
            WHEN 'majuscules' THEN d.prenom IS NOT NULL
            WHEN 'deux_mots' THEN (p.prenom IS NOT NULL OR (d.prenom IS NOT NULL
                    AND m.mots[-2] NOT IN {_OF_A_PLACE}))
                AND NOT regexp_matches(m.mots[1] || ' ' || m.mots[-1],
                    '(?:^|[ ’''])(?:{_ORDINARY})(?:$|[ -])| (?:{_REGIONS})$')
                AND NOT regexp_matches(m.a_part, '{_PUBLIC}')
            ELSE i.prenom IS NOT NULL END"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_other_names AS
        WITH vus AS (
            SELECT r.n, a.rang,
                replace(CASE WHEN d.v IS NULL THEN a.v ELSE d.propre END, chr(10), ' ') AS v,
                coalesce(d.courriel, false) AS courriel, coalesce(d.mobile, false) AS mobile
            FROM (SELECT n, unnest(noms_alternatifs) AS v,
                    generate_subscripts(noms_alternatifs, 1) AS rang
                FROM n_raw WHERE len(noms_alternatifs) > 0) a
            JOIN n_raw r ON r.n = a.n LEFT JOIN n_text d ON a.v = d.v)
        SELECT v.n, v.rang, left(v.v, 200) AS v, v.courriel, v.mobile, lower(left(v.v, 200)) AS cle,
            lower(m.nom) AS principal
        FROM vus v JOIN n_names m ON v.n = m.n"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE n_name AS
        WITH uniques AS (
            SELECT n, v, rang FROM n_other_names
            WHERE v IS NOT NULL AND trim(v) <> '' AND cle IS DISTINCT FROM principal
            QUALIFY row_number() OVER (PARTITION BY n, cle ORDER BY rang) = 1),
        listes AS (SELECT n, list(trim(v) ORDER BY rang) AS noms FROM uniques GROUP BY n)
        SELECT m.n, m.nom, coalesce(l.noms, []) AS noms_alternatifs, p.n IS NOT NULL AS personne
        FROM n_names m LEFT JOIN listes l ON m.n = l.n LEFT JOIN n_people p ON m.n = p.n"""
    )
    for flag, shown in (("courriel", "…@…"), ("mobile", "•• •• •• •• ••")):
        con.execute(
            f"""INSERT INTO n_rejects SELECT DISTINCT n, 'noms_alternatifs', '{flag}_retire',
                '{shown}'
            FROM n_other_names WHERE {flag}"""
        )
    con.execute(
        r"""INSERT INTO n_rejects SELECT n, 'nom', 'nom_de_personne_possible',
            regexp_replace(masque(nom), '(\p{L})[\p{L}''’-]*', '\1…', 'g')
        FROM n_name WHERE personne"""
    )
    change(
        con,
        "nom",
        regle="regle",
        source="nom_montre",
        select="FROM n_names WHERE regle IS NOT NULL AND nom IS NOT NULL",
    )
