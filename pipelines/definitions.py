"""This checkout's definitions, for Dagster: `dagster dev -m pipelines.definitions`."""

from __future__ import annotations

from lowtech_data import registry, settings
from lowtech_data.extract import option_models
from pipelines.build import build_definitions
from pipelines.resources import Workspace

defs = build_definitions(registry.load(settings.SOURCES, option_models()), Workspace())
