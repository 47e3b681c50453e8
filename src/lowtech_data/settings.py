"""Where this checkout's folders are, and what the environment says of whoever runs it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
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

MAIL_ENCRYPTIONS = {"starttls": 587, "tls": 465, "aucun": 25}
"""How a mail server is spoken to, and the usual port of each (RFC 6409, RFC 8314)."""


@dataclass(frozen=True, slots=True)
class Mail:
    """The mail server that alerts leave by, and whom they go to."""

    host: str
    port: int
    encryption: str
    """A key of `MAIL_ENCRYPTIONS`."""
    sender: str = field(repr=False)
    recipients: tuple[str, ...] = field(repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def mail(environ: Mapping[str, str] = os.environ) -> Mail | None:
    """The mail server of `LOWTECH_SMTP_*`; `None` when no host is named.

    Raises `ValueError` naming the variable that is missing or wrong, never what it holds.
    """
    host = environ.get("LOWTECH_SMTP_HOTE")
    if not host:
        return None
    encryption = environ.get("LOWTECH_SMTP_CHIFFREMENT", "starttls")
    if encryption not in MAIL_ENCRYPTIONS:
        raise ValueError(f"LOWTECH_SMTP_CHIFFREMENT : attendu {', '.join(MAIL_ENCRYPTIONS)}")
    port = environ.get("LOWTECH_SMTP_PORT", str(MAIL_ENCRYPTIONS[encryption]))
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("LOWTECH_SMTP_PORT : attendu un numéro de port")
    sender, recipients = environ.get("LOWTECH_SMTP_DE"), environ.get("LOWTECH_SMTP_A", "").split()
    if not sender or not recipients:
        raise ValueError("LOWTECH_SMTP_DE et LOWTECH_SMTP_A sont attendus avec LOWTECH_SMTP_HOTE")
    user = environ.get("LOWTECH_SMTP_UTILISATEUR")
    password = environ.get("LOWTECH_SMTP_MOT_DE_PASSE")
    if (user or password) and encryption == "aucun":
        raise ValueError("LOWTECH_SMTP_CHIFFREMENT : un mot de passe ne part pas en clair")
    return Mail(host, int(port), encryption, sender, tuple(recipients), user, password)


def webhook(environ: Mapping[str, str] = os.environ) -> str | None:
    """The address that alerts are posted to (`LOWTECH_WEBHOOK`). It is a secret: never log it."""
    return environ.get("LOWTECH_WEBHOOK") or None
