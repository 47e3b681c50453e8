"""The tables that stages hand to each other: raw fiches become clean ones, clean ones are matched.

They are not published as such. Raw fiches are declared by `extract.base`, which makes them.
"""

from __future__ import annotations

import pyarrow as pa

from lowtech_data.model.tables import CLEAN_FIELDS

_IDENTITY = (
    ("source_id", pa.string()),
    ("cle_source", pa.string()),
    ("entite", pa.string()),
    ("url", pa.string()),
    ("capture", pa.string()),
    ("pointeur", pa.string()),
    ("regle_selection", pa.string()),
)

_RESOURCE = (
    ("nature_ressource", pa.string()),
    ("etapes", pa.list_(pa.string())),
    ("difficulte", pa.string()),
    ("duree_h", pa.float64()),
    ("cout_eur", pa.float64()),
    ("langue", pa.string()),
    ("date_publication", pa.string()),
)

CLEAN_SCHEMA = pa.schema(
    [
        *_IDENTITY,
        *((column.name, column.kind.arrow) for column in CLEAN_FIELDS),
        *_RESOURCE,
        ("identifiants", pa.list_(pa.string())),
        ("empreinte", pa.string()),
    ]
)
"""A clean fiche: published values only, no personal data.

`empreinte` is the SHA-256 of everything but `capture` and `pointeur`: it changes when the record
says something else, not when it moves in the payload.
"""

TRANSFORMATION_SCHEMA = pa.schema(
    [
        ("source_id", pa.string()),
        ("cle_source", pa.string()),
        ("champ", pa.string()),
        ("valeur_source", pa.string()),
        ("regle", pa.string()),
    ]
)
"""A value that cleaning changed: what the source wrote, and the rule that changed it.

Values removed as personal data are never here: they are rows of `rejets`, masked.
"""

SNAPSHOT_SCHEMA = pa.schema(
    [
        *CLEAN_SCHEMA,
        ("premiere_vue", pa.string()),
        ("derniere_vue", pa.string()),
        ("absent_depuis", pa.string()),
    ]
)
"""The fiches of one source as last known: present ones, and absent ones with their date."""
