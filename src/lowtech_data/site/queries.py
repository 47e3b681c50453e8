"""Named questions: one SQL file each, whose header says what it answers and what it asks.

```sql
-- titre: Initiatives d’une commune
-- title: Initiatives of a commune
-- description: …
-- param commune: nom ou code INSEE de la commune (exemple : 35238)
select …
```
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

QUERIES_DIR = Path(__file__).resolve().parents[3] / "warehouse" / "sql"

_HEADER = re.compile(r"^--\s*(?P<key>titre|title|description|param\s+\w+)\s*:\s*(?P<value>.+)$")
_PARAM = re.compile(r"(?<![:\w]):([a-z_]\w*)")
_EXAMPLE = re.compile(r"\(exemple\s*:\s*([^)]+)\)")


class QueryError(ValueError):
    """A query file whose header does not say what is expected."""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One question of the site."""

    name: str
    title_fr: str
    title_en: str
    description: str
    params: dict[str, str]
    """Each parameter, in the order asked, and what it means."""
    sql: str

    @property
    def examples(self) -> dict[str, str]:
        """A value to try for each parameter that gives one."""
        found = {name: _EXAMPLE.search(text) for name, text in self.params.items()}
        return {name: match[1].strip() for name, match in found.items() if match}


def parse_query(name: str, text: str) -> NamedQuery:
    """One query file. Raises `QueryError` naming what the header lacks."""
    header: dict[str, str] = {}
    params: dict[str, str] = {}
    lines = text.splitlines()
    while lines and (match := _HEADER.match(lines[0])):
        del lines[0]
        key = match["key"]
        if key.startswith("param"):
            params[key.split()[1]] = match["value"]
        else:
            header[key] = match["value"]
    sql = "\n".join(lines).strip().rstrip(";")
    missing = [key for key in ("titre", "title", "description") if key not in header]
    used = set(_PARAM.findall(re.sub(r"'[^']*'", "", sql)))
    if missing or used != set(params):
        raise QueryError(
            f"{name}.sql : en-tête incomplet. Manque : {', '.join(missing) or 'rien'} ; "
            f"paramètres décrits {sorted(params)}, employés {sorted(used)}."
        )
    return NamedQuery(name, header["titre"], header["title"], header["description"], params, sql)


def read_queries(folder: Path) -> dict[str, NamedQuery]:
    """Every query of a folder by name, in alphabetical order."""
    paths = sorted(folder.glob("*.sql"))
    return {path.stem: parse_query(path.stem, path.read_text("utf-8")) for path in paths}
