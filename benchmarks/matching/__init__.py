"""Matching engines on the same records in one run: accuracy against the truth, and cost.

    python -m benchmarks.matching --count 10000 --write
    python -m benchmarks.matching --set fiches.parquet --engines ours,splink

A set is a Parquet file with columns of `lowtech match` and `verite`, the true group of each record.
Every engine runs in a process of its own, on the same normalised columns, without the truth.
"""
