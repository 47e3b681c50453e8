"""Measures of speed and memory, run by hand: a command, and a committed table."""
