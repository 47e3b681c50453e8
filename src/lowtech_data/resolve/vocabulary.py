"""What French names of places are made of: empty words, kinds, common words, free hosts.

A name is compared by its *distinctive* words. The others are sorted here: an empty word says
nothing, a kind says what a place is (two different kinds are evidence against), a common word says
little. Everything is folded: lower case, no accents, signs turned into spaces.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> list[str]:
    return text.split("|")


EMPTY_WORDS = _words("""
    a au aux avec by chez d dans de des du en et for in l la le les of ou par pour s sous sur the un
    une and und y e i el los las del der die das dem den von zu zum zur im am an mit to at on il lo
    gli di da dei della do dos het een van
    """)
"""Articles, prepositions and conjunctions of several languages: they say nothing."""

LEGAL_FORMS = _words("""
    sarl sas sasu sa eurl sci scop scic scp snc asbl ltd limited plc llc llp lp inc incorporated
    corp corporation company gmbh mbh ag kg ohg ug ev ek haftungsbeschrankt spa srl bv nv ab oy oyj
    as aps sl slu sau lda pty pvt
    """)
"""Legal forms: a listing writes them, another leaves them out."""

KINDS: dict[str, list[str]] = {
    "fabrication": _phrases(
        "fablab|fablabs|fab lab|fab labs|makerspace|maker space|hackerspace|hacker space|makerlab"
        "|living lab|fabrique numerique|atelier de fabrication"
    ),
    "tiers_lieu": _phrases(
        "tiers lieu|tiers lieux|tierslieu|tierslieux|coworking|co working|cowork|telecentre"
        "|espace de travail|espace de coworking|espace coworking"
    ),
    "reemploi": _phrases(
        "ressourcerie|ressourceries|recyclerie|recycleries|ressourcerie recyclerie"
    ),
    "materiautheque": _phrases("materiautheque|matieriotheque|materiotheque"),
    "outiltheque": _phrases(
        "outiltheque|outilotheque|bricotheque|objetheque|bibliotheque d objets"
    ),
    "reparation": _phrases(
        "repair cafe|repair cafes|repaircafe|repar cafe|cafe reparation|cafe repare|cafe bricol"
    ),
    "velo": _phrases(
        "atelier velo|ateliers velo|atelier velos|atelier du velo|atelier participatif velo"
        "|maison du velo|velo ecole|bicycletterie"
    ),
    "bibliotheque": _phrases(
        "bibliotheque|bibliotheques|mediatheque|mediatheques|bibliotheque municipale"
        "|mediatheque municipale"
    ),
    "ludotheque": ["ludotheque"],
    "maternelle": _phrases("ecole maternelle|maternelle"),
    "elementaire": _phrases("ecole elementaire|elementaire|ecole primaire"),
    "college": ["college"],
    "lycee": _phrases("lycee|lycee professionnel"),
    "universite": _phrases("universite|iut|campus"),
    "creche": ["creche"],
    "mairie": _phrases(
        "mairie|hotel de ville|commune de|commune d|ville de|mairie annexe|relais mairie"
        "|municipalite"
    ),
    "ccas": _phrases("ccas|cias|centre communal d action sociale"),
    "intercommunalite": _phrases(
        "communaute de communes|communaute d agglomeration|communaute urbaine|cdc|comcom"
        "|agglomeration|metropole|sivom|syndicat mixte|cc"
    ),
    "departement": _phrases("departement|conseil departemental|departement de"),
    "france_services": _phrases(
        "france services|france service|frances services|msap|maison de services au public"
        "|maison de service au public|maison des services au public|maison des services"
        "|maison france services|maison france service|espace france services"
        "|espace france service|mfs|relais de services publics"
    ),
    "mission_locale": _phrases("mission locale|missions locales"),
    "info_jeunesse": _phrases(
        "pij|bij|crij|point information jeunesse|bureau information jeunesse|information jeunesse"
        "|info jeunes|structure information jeunesse"
    ),
    "centre_social": _phrases(
        "centre social|centre socioculturel|centre socio culturel|centre social et culturel|csc"
        "|espace de vie sociale|evs|espace social|centres sociaux|espace socioculturel"
        "|centre d animation"
    ),
    "quartier": _phrases("maison de quartier|maison des habitants|maison du quartier"),
    "mjc": _phrases("mjc|maison des jeunes|maison des jeunes et de la culture"),
    "foyer": _phrases(
        "foyer rural|maison pour tous|foyer laique|foyer des jeunes travailleurs|fjt"
    ),
    "associations": _phrases("maison des associations|maison de la vie associative|mda"),
    "numerique": _phrases(
        "epn|espace public numerique|cyberbase|cyber base|cyberespace|cyber espace|cybercentre"
        "|espace numerique|espace multimedia|cybercommune"
    ),
    "poste": _phrases("la poste|bureau de poste|agence postale|agence postale communale"),
    "caf": _phrases("caf|caisse d allocations familiales|allocations familiales"),
    "cpam": _phrases("cpam|assurance maladie|caisse primaire d assurance maladie"),
    "emploi": _phrases("pole emploi|france travail|maison de l emploi"),
    "prefecture": _phrases("prefecture|sous prefecture"),
    "solidarites": _phrases(
        "mds|maison des solidarites|maison departementale des solidarites|centre medico social"
        "|maison du departement"
    ),
    "epicerie": _phrases("epicerie|epicerie sociale|epicerie solidaire|supermarche cooperatif"),
    "amap": ["amap"],
    "jardin": _phrases("jardin|jardins|jardin partage|jardin collectif|jardins partages"),
    "pepiniere": _phrases(
        "pepiniere|pepiniere d entreprises|incubateur|hotel d entreprises|maison de l entrepreneur"
    ),
    "sciences": _phrases("ccsti|musee|centre de culture scientifique|maison des sciences"),
    "boutique": _phrases("boutique|boutique solidaire|magasin"),
    "communaute": _phrases("communaute emmaus|communaute"),
}
"""Family of a kind → the words that say it. Two different families are evidence against."""

CLOSE_KINDS: frozenset[tuple[str, str]] = frozenset(
    pair
    for a, b in (
        ("fabrication", "tiers_lieu"),
        ("fabrication", "numerique"),
        ("tiers_lieu", "numerique"),
        ("tiers_lieu", "pepiniere"),
        ("centre_social", "quartier"),
        ("centre_social", "foyer"),
        ("centre_social", "france_services"),
        ("france_services", "numerique"),
        ("mjc", "centre_social"),
        ("reemploi", "boutique"),
    )
    for pair in ((a, b), (b, a))
)
"""Families that one place often carries together: weaker evidence against."""

HOST_KINDS = _words(
    "bibliotheque centre_social quartier mjc foyer associations mairie france_services pepiniere "
    "sciences universite tiers_lieu college lycee intercommunalite ccas"
)
"""Families that lodge other initiatives."""

GUEST_KINDS = _words(
    "fabrication reparation reemploi velo materiautheque outiltheque numerique ludotheque "
    "france_services info_jeunesse tiers_lieu jardin boutique mission_locale amap"
)
"""Families that are often lodged by another body."""

ITINERANT = "bus|itinerance|itinerant|itinerante|mobile|camion|caravane|ambulant|ambulante"
"""Words of what moves, as an alternation: what moves is not what stays, even under one name."""

COMMON_WORDS = _words("""
    accueil action actions agence alternatives amis animation antenne asso assoc association
    associatif associative atelier ateliers bar bureau bureaux bus cafe cantine centre centres
    citoyen citoyens club coop cooperative collectif collective communal communale compagnie
    conseil culture culturel culturelle developpement ecologique ecole emmaus entreprise
    entreprises environnement equipe espace espaces fabrique fabriques fab formation foyer
    groupe habitants hub initiative initiatives insertion intercommunal intercommunale jeunes
    jeunesse lab laboratoire labo lieu lieux local locale maison maisons mobile mouvement
    municipal municipale nord est ouest sud numerique numeriques ouvert partage pays permanence
    point pole projet public publique quartier regie regional relais reseau rural rurale sas
    sarl scic scop sa service services site social sociale sociaux solidaire solidaires
    solidarite solidarites syndicat territoire territorial transition travail ulis unite vie
    ville vivre work working space office
    """)
"""Words so usual in names of places that sharing one says little, whatever the data at hand."""

FREE_HOSTS = _words("""
    facebook.com fr-fr.facebook.com m.facebook.com fb.me on.fb.me fb.com instagram.com twitter.com
    x.com linkedin.com fr.linkedin.com youtube.com youtu.be tiktok.com linktr.ee goo.gl bit.ly
    cutt.ly tinyurl.com g.page maps.google.com google.com google.fr sites.google.com
    maps.app.goo.gl plus.google.com docs.google.com drive.google.com meetup.com helloasso.com
    framaforms.org framasoft.org wikipedia.org fr.wikipedia.org fablabs.io wiki.fablab.fr
    presdecheznous.fr transiscope.org capoupascap.info gogocarto.fr colibris-lemouvement.org
    repaircafe.org ressourcerie.fr pagesjaunes.fr societe.com leboncoin.fr airbnb.fr
    france-services.gouv.fr cohesion-territoires.gouv.fr maisondeservicesaupublic.fr
    """)
"""Hosts where anyone has a page: the host is no evidence, the page may be."""

STREET_TYPES = (
    "rue|avenue|av|ave|boulevard|bd|bld|blvd|bvd|boul|place|pl|route|rte|chemin|chem|allees?|all"
    "|impasse|imp|quai|cours|crs|square|passage|esplanade|faubourg|fbg|ruelle|sentier|voie|mail"
    "|promenade|montee|cote|rond point|zone artisanale|zone industrielle|zone d activites?"
    "|zone activites?|za|zi|zac|parc|residence|hameau|traverse|galerie|villa|parvis|venelle|routre"
)
"""Words that begin the name of a street, as an alternation."""

STREET_WORDS = _words("""
    rue r avenue av ave boulevard bd bld blvd bvd boul place pl plce route rte routre chemin ch che
    chem allee allees all impasse imp quai qu cours crs square sq passage pass esplanade esp
    faubourg fg fbg ruelle sentier promenade montee residence res hameau lot lotissement
    street road rd drive lane ln court ct way terrace crescent close gardens grove row circle
    highway hwy parkway pkwy suite ste apt unit floor flat n s e w north south east west nw ne sw se
    strasse str platz weg gasse allee ring straat plein calle via piazza viale corso rua praca
    """)
"""Kinds of streets and parts of buildings, in several languages, left out where no `STREET_TYPES`
says where the name begins.
"""

STREET_TITLES = _words("""
    saint sainte st ste general gal gral marechal mal docteur dr dc president pdt professeur prof
    commandant cdt lieutenant lt capitaine cap colonel col abbe
    """)
"""Titles in the names of streets: written out, shortened or left out."""

MONTHS = "janvier|fevrier|mars|avril|mai|juin|juillet|aout|septembre|octobre|novembre|decembre"
"""Months, as an alternation: a date in the name of a street is not a number in it."""
