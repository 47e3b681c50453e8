"""This checkout's definitions, for Dagster: `dagster dev -m pipelines.definitions`."""

from __future__ import annotations

from lowtech_data import settings
from lowtech_data.extract import load_registry
from pipelines.build import build_definitions
from pipelines.resources import Workspace

defs = build_definitions(load_registry(settings.SOURCES), Workspace())
