"""A proposal as an entry of `sources.yaml`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from lowtech_data import files
from lowtech_data.extract import load_registry
from lowtech_data.extract.licences import NONE
from lowtech_data.recognise.probe import TO_FILL, Proposal
from lowtech_data.recognise.texts import one_line, printable
from lowtech_data.registry import RegistryError

CODES_SHOWN = 6
MOTIVE = "à vérifier par un responsable avant la première moisson"

LOWER_BOUND, UPPER_BOUND = 0.7, 1.5
"""Proposed `bornes`, as shares of what was found: a listing that loses a third is broken far more
often than it is true, and one that gains half has changed its subject."""


def block(proposal: Proposal, indent: int = 2) -> str:
    """The proposal as an entry of `sources.yaml`, to paste under `sources:` and complete."""
    p = proposal
    # What is not commercial, or not to be changed, does not mix with an open base. Nobody has
    # looked at the listing yet: its first harvest is to wait for a person.
    is_open = p.licence and not re.search(r"-n[cd]\b", p.licence)
    entry: dict[str, Any] = {
        "id": p.source_id, "nom": p.title or urlsplit(p.url).hostname or p.source_id,
        "editeur": p.publisher or TO_FILL, "plateforme": p.platform, "url": p.url,
        "page": p.page if p.page != p.url else None, "etat": "en_pause", "motif_etat": MOTIVE,
        "licence": p.licence or NONE,
        "republication": "complete" if is_open else "faits_et_lien", "preuve": "client",
        "entite": "ressource" if p.resource else None, "options": dict(p.options),
        "champs": dict(p.fields), "ecarter": list(p.personal), "bornes": bounds(p.total),
        "hotes": list(p.hosts),
    }  # fmt: skip
    lines = [f"# reconnue par {one_line(p.evidence)}"]
    lines += [f"# {printable(note)}" for note in p.notes]
    for key, value in entry.items():
        if value not in (None, {}, []):
            lines += _yaml(key, value)
        if key == "champs":
            lines += _comments(p)
    margin, rest = " " * indent + "- ", " " * (indent + 2)
    head = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    comments = [" " * indent + line for line in lines[:head]]
    entries = [margin + lines[head], *(rest + line for line in lines[head + 1 :])]
    return "\n".join([*comments, *entries]) + "\n"


def _comments(p: Proposal) -> Iterator[str]:
    if p.others:
        yield f"# colonnes non lues, à lire ou à ignorer : {_short_list(p.others)}"
    if p.codes:
        yield "# codes vus (nombre de fiches), à traduire :"
        yield "# codes:"
        for code, count in p.codes[:CODES_SHOWN]:
            yield f"#   {_scalar(one_line(code))}: {{}}  # {count}"
        if len(p.codes) > CODES_SHOWN:
            yield f"#   et {len(p.codes) - CODES_SHOWN} autres codes"


def _short_list(names: Sequence[str]) -> str:
    """Names of columns in the form that `ignorer` takes, cut to what can be read."""
    shown = [_scalar(one_line(name)) for name in names[:30]]
    return f"[{', '.join(shown)}{', …' if len(names) > len(shown) else ''}]"


def _dumped(value: Any, **style: Any) -> str:
    """YAML that gives the value back: written as they are, some characters would end a line."""
    text = str(yaml.safe_dump(value, allow_unicode=True, **style))
    if _LINE_ENDS.search(text):
        return str(yaml.safe_dump(value, allow_unicode=False, **style))
    return text


_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def _scalar(text: str) -> str:
    return _dumped([text], default_flow_style=True, width=10_000)[1:-2]


def _yaml(name: str, value: Any) -> list[str]:
    """One key, on as few lines as it takes."""
    plain = json.loads(json.dumps(value, default=_as_yaml))
    if not isinstance(plain, dict | list):
        text = _dumped({name: plain}, width=96)
        return [text.rstrip("\n")] if "\n" not in text[:-1] else [f"{name}: {_scalar(plain)}"]
    flow = _dumped(plain, sort_keys=False, width=92, default_flow_style=True)
    first, *more = flow.rstrip("\n").splitlines()
    return [f"{name}: {first}", *(f"  {line}" for line in more)]


def _as_yaml(spec: Any) -> Any:
    """A mapping of a platform as the file writes it."""
    return spec.model_dump(mode="json")


def bounds(total: int | None) -> dict[str, int] | None:
    """`bornes` around a number of fiches; nothing when it is unknown or none."""
    if not total:
        return None
    return {"min": max(1, math.floor(LOWER_BOUND * total)), "max": math.ceil(UPPER_BOUND * total)}


def append(path: Path, proposal: Proposal) -> None:
    """Add the block at the end of a registry file, made if there is none.

    Raises `RegistryError` when the file is not valid, or has a source of this id.
    """
    if not path.exists():
        files.write_bytes(path, f"sources:\n{block(proposal)}".encode())
        return
    registry = load_registry(path)
    if any(source.id == proposal.source_id for source in registry):
        raise RegistryError(
            [f"{path} : la source {proposal.source_id} y est déjà ; la modifier, ou la renommer"]
        )
    text = path.read_text(encoding="utf-8").rstrip("\n")
    indent = re.search(r"^( *)- ", text, re.MULTILINE)
    added = block(proposal, len(indent[1]) if indent else 2)
    if re.search(r"^sources:\s*\[\s*\]\s*$", text, re.MULTILINE):
        text = re.sub(r"^sources:.*$", "sources:", text, flags=re.MULTILINE)
    files.write_bytes(path, f"{text}\n\n{added}".encode())
