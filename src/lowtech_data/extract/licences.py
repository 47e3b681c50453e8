"""Licence identifiers from what payloads write: the URL of a legal text, or a wiki's own label."""

from __future__ import annotations

import re

_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), identifier)
    for pattern, identifier in (
        (r"opendatacommons\.org/licenses/odbl|\bodbl\b", "odbl-1.0"),
        (r"opendatacommons\.org/licenses/by(?![a-z-])", "odc-by-1.0"),
        (r"etalab.*licence|licence.ouverte|\blov2\b|\betalab-2\.0", "lov2"),
        (r"publicdomain/zero|\bcc0\b", "cc0-1.0"),
        (r"cern[ -]ohl\D*1\.2", "cern-ohl-1.2"),
    )
)

_CC_URL = re.compile(r"creativecommons\.org/licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)")
_CC_LABEL = re.compile(r"\bcc[ -](by(?:-nc)?(?:-sa|-nd)?)(?:[ -](\d\.\d))?(?![\w-])", re.IGNORECASE)


def licence_identifier(text: str | None) -> str | None:
    """An SPDX-like identifier in lower case, such as `odbl-1.0` or `cc-by-sa-4.0`.

    The version is left out when the text does not give one (`cc-by`): it is not ours to guess. A
    text that is not understood is returned as it is, so that nobody takes it for no licence.
    """
    text = (text or "").strip()[:300]
    if not text:
        return None
    if match := _CC_URL.search(text) or _CC_LABEL.search(text):
        return "-".join(filter(None, ("cc", match.group(1).lower(), match.group(2))))
    found = (identifier for pattern, identifier in _PATTERNS if pattern.search(text))
    return next(found, text)
