"""A small project of its own for each test that runs the whole journey."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from lowtech_data.extract import load_registry
from lowtech_data.registry import Registry
from lowtech_data.warehouse import Warehouse

# The same examples each time, so that only a change makes a test fail; long suites draw others.
settings.register_profile("stable", derandomize=True)
settings.load_profile(os.environ.get("LOWTECH_EXEMPLES", "stable"))

COLUMNS = ("id", "nom", "adresse", "cp", "ville", "lat", "lon", "site", "tel", "genre")

PLACES = tuple(
    tuple(line.split("|"))
    for line in """\
Atelier Vélo du Port|12 rue du Port|29900|Concarneau|47.8722|-3.9187
Repair Café de la Marne|3 rue des Écoles|51000|Châlons-en-Champagne|48.956|4.363
La Recyclerie des Tilleuls|8 avenue des Tilleuls|38000|Grenoble|45.185|5.731
Fabrique Ouverte de Niort|21 rue de la Gare|79000|Niort|46.322|-0.456
Ressourcerie du Moulin Vert|5 chemin du Moulin|81300|Graulhet|43.761|1.989
Hackerspace Bidouille|14 rue Oberkampf|75011|Paris|48.864|2.369
Forge Partagée de Decize|2 quai de Loire|58300|Decize|46.828|3.461
Tiers-lieu Le Grand Chêne|1 place de l'Église|64400|Oloron-Sainte-Marie|43.194|-0.606
""".splitlines()
)
"""Real communes, invented initiatives: enough to be told apart by any matcher."""


def place_rows(prefix: str, count: int = len(PLACES)) -> list[dict[str, str]]:
    """The first places as rows of a listing, with keys of their own."""
    return [
        dict(zip(COLUMNS, (f"{prefix}{n}", *PLACES[n], "", "", "fablab"), strict=True))
        for n in range(count)
    ]


@dataclass
class Project:
    """A registry of local CSV listings, a warehouse and a folder of decisions."""

    root: Path
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def sources(self) -> Path:
        return self.root / "sources.yaml"

    @property
    def curated(self) -> Path:
        return self.root / "curated"

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.root / "entrepot")

    def listing(self, source_id: str, rows: Sequence[dict[str, str]], **overrides: Any) -> None:
        """Declare a source (or change its file)."""
        with (self.root / f"{source_id}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        self.blocks[source_id] = {
            "id": source_id,
            "nom": f"Liste {source_id}",
            "editeur": f"Éditeur {source_id}",
            "plateforme": "csv",
            "url": f"{source_id}.csv",
            "licence": "odbl-1.0",
            "republication": "complete",
            "preuve": "vu",
            "champs": {
                "cle_source": "id", "nom": "nom", "adresse": "adresse", "code_postal": "cp",
                "commune": "ville", "latitude": "lat", "longitude": "lon", "site_web": "site",
                "telephone": "tel", "categories": "genre",
            },
            "codes": {"fablab": {"type": "fablab"}, "repair": {"type": "repair_cafe"}},
            **overrides,
        }  # fmt: skip
        self.write()

    def write(self) -> None:
        text = yaml.safe_dump(
            {"sources": list(self.blocks.values())}, allow_unicode=True, sort_keys=False
        )
        self.sources.write_text(text, encoding="utf-8")

    def registry(self) -> Registry:
        return load_registry(self.sources)

    def run(self, as_of: str = "2026-11-20", only: Sequence[str] = ()) -> Any:
        """The whole journey through the Dagster definitions."""
        from pipelines.run import execute

        loaded = self.registry()
        return execute(
            loaded,
            [source.id for source in loaded.only(only).active],
            warehouse=self.warehouse.root,
            curated=self.curated,
            offline=False,
            as_of=as_of,
            report=lambda event, value: None,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project in a folder of its own."""
    (tmp_path / "curated").mkdir()
    return Project(tmp_path)


@pytest.fixture(scope="session")
def noon() -> datetime:
    """A fixed moment."""
    return datetime(2026, 11, 20, 12, tzinfo=UTC)
