"""Releases: files for people and machines, built from the warehouse's tables."""
