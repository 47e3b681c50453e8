"""Extractors: one file per platform, each a pure reading of bytes into rows."""

from lowtech_data.extract.base import Extraction, Page, Platform, Request, extract

PLATFORMS: dict[str, Platform] = {}
"""Every platform that can be harvested, by the name used in `sources.yaml`."""

__all__ = ["PLATFORMS", "Extraction", "Page", "Platform", "Request", "extract"]
