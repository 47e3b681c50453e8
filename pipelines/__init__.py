"""Dagster's view of the journey: assets, checks, schedules, sensor.

Thin: the work is in the library, which does not know Dagster.
"""
