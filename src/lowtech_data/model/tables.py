"""The published tables: the one declaration that DDL, Arrow schemas, checks and documents share.

A column names its type, what it means in both languages, the code list its values belong to and the
column it points to. Everything else (SQLite and DuckDB DDL, Arrow schemas, Datasette metadata,
gates) is derived from here, so that no two places can disagree about a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pyarrow as pa


class Kind(Enum):
    """How a column's values are written, once for every format that carries them."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    DATE = "date"
    """ISO 8601 day, kept as text so that every format reads the same characters."""
    INSTANT = "instant"
    """ISO 8601 instant in UTC, to the second, kept as text."""
    LIST = "list"
    """Several texts: a list in Parquet, a JSON array in SQLite, joined by `|` in CSV."""
    JSON = "json"

    @property
    def sqlite(self) -> str:
        """The SQLite type (STRICT tables)."""
        return {"integer": "INTEGER", "boolean": "INTEGER", "real": "REAL"}.get(self.value, "TEXT")

    @property
    def duckdb(self) -> str:
        """The DuckDB type."""
        return {
            "integer": "BIGINT",
            "boolean": "BOOLEAN",
            "real": "DOUBLE",
            "list": "VARCHAR[]",
        }.get(self.value, "VARCHAR")

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type."""
        return {
            "integer": pa.int64(),
            "boolean": pa.bool_(),
            "real": pa.float64(),
            "list": pa.list_(pa.string()),
        }.get(self.value, pa.string())


@dataclass(frozen=True, slots=True)
class Column:
    """One published column."""

    name: str
    kind: Kind
    fr: str
    en: str
    codes: str | None = None
    """Name of the list in `model.codes` that the value (or each value of a list) belongs to."""
    references: str | None = None
    """`table.column` that the value must exist in."""
    required: bool = False
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One published table, its key, and what readers look it up by."""

    name: str
    fr: str
    en: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    full_text: tuple[str, ...] = ()
    """Columns of the full-text index, when the table has one."""
    label: str | None = None
    """Column that names a row for people."""

    def column(self, name: str) -> Column:
        """The column of that name. Raises `KeyError` when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name}.{name}")

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in published order."""
        return tuple(column.name for column in self.columns)

    @property
    def lists(self) -> tuple[Column, ...]:
        """Columns that hold several values: each has a link table in SQLite."""
        return tuple(column for column in self.columns if column.kind is Kind.LIST)

    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of the table."""
        return pa.schema([pa.field(c.name, c.kind.arrow) for c in self.columns])

    def duckdb_ddl(self, name: str | None = None) -> str:
        """`CREATE TABLE` for DuckDB, without constraints: gates check them with better messages."""
        columns = ", ".join(f'"{c.name}" {c.kind.duckdb}' for c in self.columns)
        return f'CREATE TABLE "{name or self.name}" ({columns})'

    def sqlite_ddl(self) -> str:
        """`CREATE TABLE` for SQLite, with key and foreign keys, so that Datasette links rows."""
        lines = []
        for c in self.columns:
            line = f'"{c.name}" {c.kind.sqlite}'
            if c.required:
                line += " NOT NULL"
            if c.references:
                target, column = c.references.split(".")
                line += f' REFERENCES "{target}"("{column}")'
            lines.append(line)
        key = ", ".join(f'"{name}"' for name in self.key)
        # SQLite makes every column of a primary key NOT NULL in a STRICT table.
        whole = all(self.column(name).required for name in self.key)
        lines.append(f"{'PRIMARY KEY' if whole else 'UNIQUE'} ({key})")
        return f'CREATE TABLE "{self.name}" (\n  ' + ",\n  ".join(lines) + "\n) STRICT"


_T, _I, _R, _B = Kind.TEXT, Kind.INTEGER, Kind.REAL, Kind.BOOLEAN
_D, _S, _L, _J = Kind.DATE, Kind.INSTANT, Kind.LIST, Kind.JSON

_ID = Column("id", _T, "Identifiant permanent", "Permanent identifier", required=True)


_PLACE = (
    Column("adresse", _T, "Numéro et voie", "Number and street"),
    Column("complement_adresse", _T, "Complément d’adresse", "Address complement"),
    Column("code_postal", _T, "Code postal", "Postcode"),
    Column("commune", _T, "Commune (nom officiel)", "Commune (official name)"),
    Column(
        "code_insee",
        _T,
        "Commune (code officiel géographique)",
        "Commune (official geographic code)",
    ),
    Column(
        "code_arrondissement",
        _T,
        "Arrondissement de Paris, Lyon ou Marseille",
        "District of Paris, Lyon or Marseille",
    ),
    Column("code_epci", _T, "Intercommunalité (SIREN)", "Group of communes (SIREN)"),
    Column("code_departement", _T, "Département", "Département"),
    Column("code_region", _T, "Région", "Région"),
    Column("latitude", _R, "Latitude WGS 84", "WGS 84 latitude", unit="degré"),
    Column("longitude", _R, "Longitude WGS 84", "WGS 84 longitude", unit="degré"),
    Column(
        "precision_geo",
        _T,
        "Précision de la position",
        "Precision of the position",
        codes="precision_geo",
    ),
)

_CONTACT = (
    Column("site_web", _T, "Site web", "Website"),
    Column("courriel", _T, "Courriel générique", "Generic e-mail"),
    Column("telephone", _T, "Téléphone fixe (E.164)", "Landline (E.164)"),
    Column("siret", _T, "SIRET de l’organisme", "SIRET of the legal body"),
    Column("rna", _T, "Numéro RNA de l’association", "RNA number of the association"),
    Column("horaires", _T, "Horaires (syntaxe OpenStreetMap)", "Hours (OpenStreetMap syntax)"),
)

_CLASSIFICATION = (
    Column("nature", _T, "Nature", "Nature", codes="nature"),
    Column("type", _T, "Type", "Type", codes="type"),
    Column("familles", _L, "Familles de l’étude régionale", "Families", codes="famille"),
    Column("themes", _L, "Thèmes", "Themes", codes="theme"),
    Column("piliers", _L, "Piliers déclarés", "Declared pillars", codes="pilier"),
    Column("principes", _L, "Principes déclarés", "Declared principles", codes="principe"),
)

_SELECTION_RULE = Column(
    "regle_selection", _T, "Pourquoi la fiche est ici", "Why the record is here"
)
_LICENCE = (
    Column("licence", _T, "Licence", "Licence"),
    Column("attribution", _T, "Attribution", "Attribution"),
)

CLEAN_FIELDS: tuple[Column, ...] = (
    Column("nom", _T, "Nom", "Name", required=True),
    Column("noms_alternatifs", _L, "Autres noms", "Other names"),
    *_CLASSIFICATION,
    Column("resume", _T, "Résumé", "Summary"),
    *_PLACE,
    Column("itinerant", _B, "Itinérant", "Itinerant"),
    *_CONTACT,
    Column("statut", _T, "Statut", "Status", codes="statut"),
    Column("date_maj", _D, "Mise à jour par la source", "Updated by the source"),
    *_LICENCE,
)
"""What normalisation makes of one record about an initiative, and what fusion chooses among."""

INITIATIVES = Table(
    "initiatives",
    "Lieux, organisations et projets qui pratiquent la low-tech",
    "Places, organisations and projects that practise low-tech",
    (
        _ID,
        *(column for column in CLEAN_FIELDS if column.name not in {"licence", "attribution"}),
        _SELECTION_RULE,
        Column("siren", _T, "SIREN de l’organisme", "SIREN of the legal body"),
        Column("premiere_vue", _D, "Première vue", "First seen"),
        Column("derniere_vue", _D, "Dernière vue", "Last seen"),
        Column("nb_sources", _I, "Nombre de sources", "Number of sources"),
        Column(
            "nb_sources_independantes",
            _I,
            "Sources qui ne se copient pas",
            "Sources that do not copy each other",
        ),
        Column("verification", _T, "Vérification", "Verification", codes="verification"),
        Column("score_completude", _R, "Complétude (0 à 1)", "Completeness (0 to 1)"),
        Column("score_fraicheur", _R, "Fraîcheur (0 à 1)", "Freshness (0 to 1)"),
        *_LICENCE,
    ),
    key=("id",),
    indexes=(
        ("code_departement", "type"),
        ("code_region",),
        ("code_insee",),
        ("code_epci",),
        ("type",),
        ("statut",),
        ("siret",),
        ("rna",),
        ("latitude", "longitude"),
    ),
    full_text=("nom", "noms_alternatifs", "type", "themes", "familles", "resume", "commune"),
    label="nom",
)

RESSOURCES = Table(
    "ressources",
    "Retours d’expérience, outils, tutoriels, méthodes et documents",
    "Experience reports, tools, tutorials, methods and documents",
    (
        _ID,
        Column("titre", _T, "Titre", "Title", required=True),
        Column("nature", _T, "Nature", "Nature", codes="nature_ressource"),
        Column("themes", _L, "Thèmes", "Themes", codes="theme"),
        Column("etapes", _L, "Étapes de la démarche", "Steps of the method", codes="etape"),
        Column("resultat", _T, "Résultat d’un retour", "Outcome of a report", codes="resultat"),
        Column("difficulte", _T, "Difficulté", "Difficulty"),
        Column("duree_h", _R, "Durée", "Duration", unit="heure"),
        Column("cout_eur", _R, "Coût", "Cost", unit="euro"),
        Column("licence", _T, "Licence", "Licence"),
        Column("attribution", _T, "Attribution", "Attribution"),
        Column("langue", _T, "Langue (ISO 639-1)", "Language (ISO 639-1)"),
        Column("url", _T, "Adresse", "Address"),
        Column("date_publication", _D, "Publication", "Published"),
        Column("initiative_id", _T, "Initiative", "Initiative", references="initiatives.id"),
        Column("source_id", _T, "Source", "Source", references="sources.id", required=True),
        Column("cle_source", _T, "Clé dans la source", "Key in the source", required=True),
    ),
    key=("id",),
    indexes=(("nature",), ("source_id",), ("initiative_id",)),
    full_text=("titre",),
    label="titre",
)

MACHINES = Table(
    "machines",
    "Machines partageables, ou lots de machines semblables",
    "Machines that can be shared, or sets of like machines",
    (
        _ID,
        Column("categorie", _T, "Catégorie", "Category", codes="machine_categorie"),
        Column("procedes", _L, "Procédés", "Processes"),
        Column("marque", _T, "Marque", "Make"),
        Column("modele", _T, "Modèle", "Model"),
        Column("quantite", _I, "Quantité", "Quantity"),
        Column("etat", _T, "État", "State", codes="machine_etat"),
        Column("origine", _T, "Origine", "Origin"),
        Column("acces", _T, "Accès", "Access", codes="acces"),
        Column("tarif", _T, "Tarif", "Price", codes="tarif"),
        Column("reservation_url", _T, "Réservation", "Booking"),
        Column("initiative_id", _T, "Initiative", "Initiative", references="initiatives.id"),
        Column("date_constat", _D, "Date du constat", "Observed on"),
    ),
    key=("id",),
    indexes=(("categorie",), ("initiative_id",)),
)

RELATIONS = Table(
    "relations",
    "Liens typés entre initiatives",
    "Typed links between initiatives",
    (
        Column("sujet_id", _T, "Sujet", "Subject", references="initiatives.id", required=True),
        Column("predicat", _T, "Prédicat", "Predicate", codes="predicat", required=True),
        Column("objet_id", _T, "Objet", "Object", references="initiatives.id", required=True),
        Column("fiche", _T, "Fiche ou décision qui le dit", "Record or decision that says so"),
    ),
    key=("sujet_id", "predicat", "objet_id"),
    indexes=(("objet_id",),),
)

ETAPES_METHODE = Table(
    "etapes_methode",
    "Étapes d’une méthode",
    "Steps of a method",
    (
        Column(
            "ressource_id", _T, "Ressource", "Resource", references="ressources.id", required=True
        ),
        Column("rang", _I, "Rang", "Rank", required=True),
        Column("etape", _T, "Étape", "Step", codes="etape"),
        Column("titre", _T, "Titre", "Title"),
    ),
    key=("ressource_id", "rang"),
)

CAPTURES = Table(
    "captures",
    "Octets reçus, tels quels",
    "Bytes as received",
    (
        Column("empreinte", _T, "SHA-256 des octets", "SHA-256 of the bytes", required=True),
        Column("source_id", _T, "Source", "Source", references="sources.id", required=True),
        Column("url", _T, "Adresse", "Address", required=True),
        Column("capture_le", _S, "Reçu le", "Received on", required=True),
        Column("octets", _I, "Taille", "Size", unit="octet"),
        Column("type_mime", _T, "Type de contenu", "Media type"),
        Column("robots", _T, "Verdict de robots.txt", "Verdict of robots.txt"),
        Column("etat", _T, "État", "State", codes="capture_etat"),
    ),
    key=("empreinte", "source_id", "url", "capture_le"),
    indexes=(("source_id",),),
)

INDICATEURS = Table(
    "indicateurs",
    "Qualités revendiquées ou mesurées",
    "Claimed or measured qualities",
    (
        Column("entite_id", _T, "Entité", "Entity", required=True),
        Column("dimension", _T, "Dimension", "Dimension", codes="indicateur_dimension"),
        Column("valeur", _T, "Valeur", "Value"),
        Column("unite", _T, "Unité", "Unit"),
        Column("nature", _T, "Nature", "Nature", codes="indicateur_nature"),
        Column("niveau_preuve", _T, "Niveau de preuve", "Level of evidence"),
        Column("methode_url", _T, "Méthode", "Method"),
        Column("preuve_url", _T, "Preuve", "Evidence"),
        Column("date", _D, "Date", "Date"),
    ),
    key=("entite_id", "dimension", "date"),
)

FICHES = Table(
    "fiches",
    "Ce que dit une source d’une entité",
    "What one source says of an entity",
    (
        Column("source_id", _T, "Source", "Source", references="sources.id", required=True),
        Column("cle_source", _T, "Clé dans la source", "Key in the source", required=True),
        Column("entite", _T, "Initiative, ressource ou machine", "Initiative, resource, machine"),
        Column("url", _T, "Page de la fiche", "Page of the record"),
        Column("capture", _T, "SHA-256 de la capture", "SHA-256 of the capture", required=True),
        Column("pointeur", _T, "Place dans la capture", "Place in the capture", required=True),
        Column("empreinte", _T, "SHA-256 de la fiche propre", "SHA-256 of the clean record"),
        Column("premiere_vue", _D, "Première vue", "First seen"),
        Column("derniere_vue", _D, "Dernière vue", "Last seen"),
        Column("absent_depuis", _D, "Absente depuis", "Absent since"),
        Column("initiative_id", _T, "Initiative", "Initiative", references="initiatives.id"),
        _SELECTION_RULE,
        *CLEAN_FIELDS,
    ),
    key=("source_id", "cle_source"),
    indexes=(("initiative_id",), ("capture",)),
    label="nom",
)

PROVENANCES = Table(
    "provenances",
    "Une valeur d’un champ, et d’où elle vient",
    "One value of one field, and where it comes from",
    (
        Column("entite_id", _T, "Entité", "Entity", required=True),
        Column("champ", _T, "Champ", "Field", required=True),
        Column("valeur", _T, "Valeur", "Value", required=True),
        Column("source_id", _T, "Source", "Source", references="sources.id", required=True),
        Column("cle_source", _T, "Clé dans la source", "Key in the source", required=True),
        Column("capture", _T, "SHA-256 de la capture", "SHA-256 of the capture"),
        Column("valeur_source", _T, "Valeur d’origine", "Original value"),
        Column("regle", _T, "Règle", "Rule"),
        Column("retenue", _B, "Retenue", "Selected"),
    ),
    key=("entite_id", "champ", "source_id", "cle_source", "valeur"),
    indexes=(("source_id", "cle_source"),),
)

PAIRES = Table(
    "paires",
    "Paires de fiches comparées",
    "Compared pairs of records",
    (
        Column("a", _T, "Fiche a (source:clé)", "Record a (source:key)", required=True),
        Column("b", _T, "Fiche b (source:clé)", "Record b (source:key)", required=True),
        Column("score", _R, "Score (bits)", "Score (bits)", unit="bit"),
        Column("details", _J, "Parts du score", "Parts of the score"),
        Column("decision", _T, "Décision", "Decision", codes="decision", required=True),
        Column("decide_par", _T, "Décidé par", "Decided by", codes="decide_par"),
        Column("predicat", _T, "Prédicat si liées", "Predicate when related", codes="predicat"),
        Column(
            "motif",
            _T,
            "Motif : d’une personne, ou code (motif_paire)",
            "Reason: a person’s, or a code (motif_paire)",
        ),
        Column("date", _D, "Date", "Date"),
    ),
    key=("a", "b"),
    indexes=(("decision",), ("b",)),
)

IDENTIFIANTS = Table(
    "identifiants",
    "Identifiants publiés un jour",
    "Every identifier ever published",
    (
        _ID,
        Column("etat", _T, "État", "State", codes="identifiant_etat", required=True),
        Column("remplace_par", _T, "Remplacé par", "Replaced by"),
        Column("cree_le", _D, "Créé le", "Created on"),
        Column("etat_depuis", _D, "État depuis", "In this state since"),
        Column("motif", _T, "Motif", "Reason"),
    ),
    key=("id",),
    indexes=(("remplace_par",),),
)

SOURCES = Table(
    "sources",
    "Listes moissonnées",
    "Harvested listings",
    (
        Column("id", _T, "Identifiant", "Identifier", required=True),
        Column("nom", _T, "Nom", "Name"),
        Column("editeur", _T, "Éditeur", "Publisher"),
        Column("url", _T, "Adresse de la liste", "Address of the listing"),
        Column("plateforme", _T, "Plateforme", "Platform"),
        Column("licence", _T, "Licence", "Licence"),
        Column("attribution", _T, "Attribution", "Attribution"),
        Column("republication", _T, "Republication", "Republication", codes="republication"),
        Column("frequence", _T, "Fréquence", "Frequency", codes="frequence"),
        Column("fiabilite", _T, "Fiabilité", "Reliability", codes="fiabilite"),
        Column("copie_de", _L, "Recopie ces sources", "Copies these sources"),
        Column("territoires", _L, "Territoires couverts", "Territories covered"),
        Column("familles_couvertes", _L, "Familles couvertes", "Families", codes="famille"),
        Column("etat", _T, "État", "State", codes="source_etat"),
        Column("motif_etat", _T, "Motif de l’état", "Reason of the state"),
        Column("renommee_de", _T, "Ancien identifiant", "Former identifier"),
        Column(
            "preuve", _T, "Comment sa forme est connue", "How its shape is known", codes="preuve"
        ),
        Column("sante", _T, "Santé", "Health", codes="sante"),
        Column("donnees_du", _D, "Données du", "Data of"),
        Column("dernier_succes", _S, "Dernier succès", "Last success"),
        Column("nb_fiches", _I, "Nombre de fiches", "Number of records"),
    ),
    key=("id",),
    label="nom",
)

MOISSONS = Table(
    "moissons",
    "Moissons d’une source",
    "Harvests of one source",
    (
        Column("source_id", _T, "Source", "Source", references="sources.id", required=True),
        Column("debut", _S, "Début", "Start", required=True),
        Column("fin", _S, "Fin", "End"),
        Column("statut", _T, "Statut", "Status", codes="moisson_statut", required=True),
        Column("nb_lus", _I, "Lus", "Read"),
        Column("nb_valides", _I, "Valides", "Valid"),
        Column("nb_rejetes", _I, "Rejetés", "Rejected"),
        Column("nb_nouveaux", _I, "Nouveaux", "New"),
        Column("nb_modifies", _I, "Modifiés", "Changed"),
        Column("nb_absents", _I, "Absents", "Absent"),
        Column("message", _T, "Message", "Message"),
    ),
    key=("source_id", "debut"),
)

REJETS = Table(
    "rejets",
    "Fiches ou valeurs refusées, et pourquoi",
    "Records or values refused, and why",
    (
        Column("source_id", _T, "Source", "Source", references="sources.id", required=True),
        Column("cle_source", _T, "Clé dans la source", "Key in the source", required=True),
        Column("champ", _T, "Champ", "Field", required=True),
        Column("regle", _T, "Règle", "Rule", required=True),
        Column("valeur_masquee", _T, "Valeur masquée", "Masked value"),
    ),
    key=("source_id", "cle_source", "champ", "regle"),
    indexes=(("regle",),),
)

TERRITOIRES = Table(
    "territoires",
    "Communes, intercommunalités, départements, régions",
    "Communes, groups of communes, départements, régions",
    (
        Column("code", _T, "Code officiel", "Official code", required=True),
        Column("niveau", _T, "Niveau", "Level", codes="niveau", required=True),
        Column("nom", _T, "Nom", "Name", required=True),
        Column("parent", _T, "Territoire parent", "Parent territory"),
        Column("population", _I, "Population municipale", "Municipal population", unit="habitant"),
        Column("annee_cog", _I, "Millésime du code officiel", "Vintage of the official code"),
        Column("latitude", _R, "Latitude du centre", "Latitude of the centre", unit="degré"),
        Column("longitude", _R, "Longitude du centre", "Longitude of the centre", unit="degré"),
    ),
    key=("niveau", "code"),
    indexes=(("code",), ("niveau", "nom"), ("parent",)),
    label="nom",
)

COUVERTURE = Table(
    "couverture",
    "Ce qui existe, ou manque, par territoire",
    "What exists, or is missing, per territory",
    (
        Column("niveau", _T, "Niveau", "Level", codes="niveau", required=True),
        Column("territoire", _T, "Territoire", "Territory", required=True),
        Column("famille", _T, "Famille", "Family", codes="famille"),
        Column("type", _T, "Type", "Type", codes="type"),
        Column("nb", _I, "Nombre", "Number"),
        Column("nb_pour_100k", _R, "Pour 100 000 habitants", "Per 100,000 inhabitants"),
        Column("distance_mediane_km", _R, "Distance médiane", "Median distance", unit="km"),
        Column("nb_sources_couvrant", _I, "Sources couvrantes", "Covering sources"),
        Column("diagnostic", _T, "Diagnostic", "Diagnosis", codes="diagnostic"),
    ),
    key=("niveau", "territoire", "famille", "type"),
)

CODES = Table(
    "codes",
    "Codes de toutes les listes",
    "Codes of every list",
    (
        Column("liste", _T, "Liste", "List", required=True),
        Column("code", _T, "Code", "Code", required=True),
        Column("libelle_fr", _T, "Libellé", "French label"),
        Column("label_en", _T, "Libellé anglais", "English label"),
        Column("definition", _T, "Définition", "Definition"),
        Column("uri", _T, "Adresse du concept", "Address of the concept"),
    ),
    key=("liste", "code"),
    label="libelle_fr",
)

CORRESPONDANCES = Table(
    "correspondances",
    "Autres identifiants d’une initiative",
    "Other identifiers of an initiative",
    (
        Column(
            "initiative_id",
            _T,
            "Initiative",
            "Initiative",
            references="initiatives.id",
            required=True,
        ),
        Column("systeme", _T, "Système", "System", required=True),
        Column("valeur", _T, "Valeur", "Value", required=True),
    ),
    key=("systeme", "valeur", "initiative_id"),
    indexes=(("initiative_id",),),
)

CHANGEMENTS = Table(
    "changements",
    "Changements depuis la version précédente",
    "Changes since the previous release",
    (
        Column("version", _T, "Version", "Release", required=True),
        Column("entite_id", _T, "Entité", "Entity", required=True),
        Column("type", _T, "Type", "Type", codes="changement", required=True),
        Column("champs", _L, "Champs", "Fields"),
        Column("avant", _J, "Avant", "Before"),
        Column("apres", _J, "Après", "After"),
    ),
    key=("version", "entite_id", "type"),
)

VERSIONS = Table(
    "versions",
    "Versions publiées",
    "Releases",
    (
        Column("id", _T, "Version", "Release", required=True),
        Column("schema_version", _T, "Version du schéma", "Schema version"),
        Column("code_version", _T, "Version du code", "Code version"),
        Column("date", _D, "Date", "Date"),
        Column("nb_initiatives", _I, "Initiatives", "Initiatives"),
        Column("nb_ressources", _I, "Ressources", "Resources"),
        Column("nb_fiches", _I, "Fiches", "Records"),
        Column("nb_sources", _I, "Sources", "Sources"),
        Column("precision", _R, "Précision du dédoublonnage", "Precision of deduplication"),
        Column("rappel", _R, "Rappel du dédoublonnage", "Recall of deduplication"),
        Column("sommes", _J, "Sommes SHA-256 des versions antérieures", "SHA-256 of earlier files"),
    ),
    key=("id",),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        SOURCES,
        TERRITOIRES,
        INITIATIVES,
        RESSOURCES,
        MACHINES,
        RELATIONS,
        ETAPES_METHODE,
        CAPTURES,
        INDICATEURS,
        FICHES,
        PROVENANCES,
        PAIRES,
        IDENTIFIANTS,
        MOISSONS,
        REJETS,
        COUVERTURE,
        CODES,
        CORRESPONDANCES,
        CHANGEMENTS,
        VERSIONS,
    )
}
"""Every published table by name, parents before children."""

SCHEMA_VERSION = "1.0"
