"""What can go wrong between a listing and its stored bytes, by name."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus

SHOWN_CHARACTERS = 200
"""A hostile address or header must not fill a log."""


class FailureKind(StrEnum):
    """Why a capture failed. Values are written in the manifest and shown to stewards."""

    PRIVATE_ADDRESS = "acces_prive"
    """The name leads, at least in part, to an address that is not public."""
    ADDRESS = "adresse"
    """The address itself is refused: scheme, port, or a host that the source does not declare."""
    ROBOTS = "robots"
    REDIRECT = "redirection"
    DEADLINE = "delai"
    SIZE = "taille"
    TLS = "tls"
    DNS = "dns"
    CONNECTION = "connexion"
    TRUNCATED = "corps_tronque"
    """The body is not as long as announced, or stops in the middle."""
    ENCODING = "encodage"
    RESPONSE = "reponse"
    """What was answered is not acceptable HTTP."""
    STATUS = "statut_http"
    OVERLOAD = "surcharge"
    """The server asks to be left alone for longer than a run can wait."""
    FILE = "fichier"
    PAGES = "pages"
    """More pages than the source's limit: stopping there would lose records in silence."""
    CONTENT = "contenu"
    """A page is not what its platform gives, so that the next ones cannot be found."""
    MISSING = "absente"
    """There is nothing stored to read."""
    EXPUNGED = "expurgee"
    """The bytes were erased."""
    CORRUPT = "alteree"
    """Stored bytes are no longer those that were received."""


class CaptureError(Exception):
    """A capture that failed. The message is for stewards: where, what was found, what to do."""

    def __init__(self, kind: FailureKind, message: str, *, status: int | None = None) -> None:
        """State the failure: `kind` for machines, `message` for people, and the HTTP status if one
        was answered that is no success.
        """
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status

    @property
    def gone(self) -> bool:
        """Whether the server says that there is no such page (any more)."""
        return self.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}


def shown(text: str) -> str:
    """Text of other people made fit for a message: on one line, no control character, not long."""
    printable = "".join(c if c.isprintable() else "�" for c in text[: SHOWN_CHARACTERS + 1])
    if len(printable) <= SHOWN_CHARACTERS:
        return printable
    return f"{printable[:SHOWN_CHARACTERS]}…"
