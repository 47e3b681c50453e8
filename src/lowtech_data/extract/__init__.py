"""Extractors: one file per platform, each a pure reading of bytes into rows."""

from pydantic import BaseModel

from lowtech_data.extract import (
    csv_file,
    curated_tsv,
    geojson,
    gogocarto,
    html_listing,
    json_records,
    mediawiki_dokit,
)
from lowtech_data.extract.base import Extraction, Page, Platform, Request, extract

PLATFORMS: dict[str, Platform] = {
    module.PLATFORM.name: module.PLATFORM
    for module in (
        csv_file,
        curated_tsv,
        geojson,
        gogocarto,
        html_listing,
        json_records,
        mediawiki_dokit,
    )
}
"""Every platform that can be harvested, by the name used in `sources.yaml`."""


def option_models() -> dict[str, type[BaseModel]]:
    """The model of the options of each platform, for `registry.load`."""
    return {name: platform.options for name, platform in PLATFORMS.items()}


__all__ = ["PLATFORMS", "Extraction", "Page", "Platform", "Request", "extract", "option_models"]
