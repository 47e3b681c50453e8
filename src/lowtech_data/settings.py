"""Where this checkout's folders are, and what the environment says of whoever runs it."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = PROJECT / "sources.yaml"
WAREHOUSE = PROJECT / "warehouse" / "data"
CURATED = PROJECT / "warehouse" / "curated"
SAMPLE = PROJECT / "warehouse" / "sample"
EVALUATION = PROJECT / "tests" / "evaluation"
"""Labelled pairs that the accuracy of each release is measured on."""

CONTACT = os.environ.get("LOWTECH_CONTACT")
"""E-mail address of whoever runs this: shown on the site, and sent with every request."""

NO_CONTACT = "contact non renseigné"
"""What requests say when `LOWTECH_CONTACT` is not set."""

ALLOWED_NETWORKS = tuple(os.environ.get("LOWTECH_RESEAUX_PERMIS", "").split())
"""Networks that are not public and may be contacted all the same, separated by spaces."""
