"""Extractors: one file per platform, each a pure reading of bytes into rows."""

from pathlib import Path

from pydantic import BaseModel

from lowtech_data import registry
from lowtech_data.extract import (
    communecter,
    csv_file,
    curated_tsv,
    data_fair,
    data_gouv,
    discourse,
    feed,
    geojson,
    gogocarto,
    html_listing,
    javascript,
    json_ld,
    json_records,
    mediawiki_dokit,
    mediawiki_modele,
    okh,
    okw,
    opendatasoft,
    overpass,
    semapps,
    sitemap,
    spaceapi,
    sparql,
    spreadsheet,
    umap,
    wordpress,
    yeswiki_bazar,
)
from lowtech_data.extract.base import TARGETS, Extraction, Page, Platform, Request, extract

PLATFORMS: dict[str, Platform] = {
    module.PLATFORM.name: module.PLATFORM
    for module in (
        communecter,
        csv_file,
        curated_tsv,
        data_fair,
        data_gouv,
        discourse,
        feed,
        geojson,
        gogocarto,
        html_listing,
        javascript,
        json_ld,
        json_records,
        mediawiki_dokit,
        mediawiki_modele,
        okh,
        okw,
        opendatasoft,
        overpass,
        semapps,
        sitemap,
        spaceapi,
        spreadsheet,
        sparql,
        umap,
        wordpress,
        yeswiki_bazar,
    )
}
"""Every platform that can be harvested, by the name used in `sources.yaml`."""


def option_models() -> dict[str, type[BaseModel]]:
    """The model of the options of each platform, for `registry.load`."""
    return {name: platform.options for name, platform in PLATFORMS.items()}


def load_registry(path: Path) -> registry.Registry:
    """Read a registry file, checked against what the extractors know.

    Raises `registry.RegistryError` with every problem found.
    """
    read_by = {name: platform.mapping.keys() for name, platform in PLATFORMS.items()}
    return registry.load(path, option_models(), TARGETS, read_by)


__all__ = [
    "PLATFORMS",
    "Extraction",
    "Page",
    "Platform",
    "Request",
    "extract",
    "load_registry",
    "option_models",
]
