"""This checkout's definitions, for Dagster: `dagster dev -m pipelines.definitions`."""

from __future__ import annotations

from pathlib import Path

from lowtech_data import registry
from lowtech_data.extract import option_models
from pipelines.build import build_definitions
from pipelines.resources import Workspace

PROJECT = Path(__file__).resolve().parents[1]

defs = build_definitions(
    registry.load(PROJECT / "sources.yaml", option_models()),
    Workspace(
        warehouse_dir=str(PROJECT / "warehouse" / "data"),
        curated_dir=str(PROJECT / "warehouse" / "curated"),
    ),
)
