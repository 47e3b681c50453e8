"""A map of dots as one small SVG: no tile, no script, no other host."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WEST, SOUTH, EAST, NORTH = -5.3, 41.2, 9.8, 51.25
"""Metropolitan France with Corsica; what is outside is counted, not drawn."""
WIDTH = 400
_SCALE = WIDTH / (EAST - WEST)
_STRETCH = 1 / math.cos(math.radians(46.5))
HEIGHT = round((NORTH - SOUTH) * _SCALE * _STRETCH)

_MAINLAND = """
2.5 51.08 1.85 50.96 1.58 50.73 1.55 50.2 1.08 49.93 .37 49.76 .1 49.49 -.25 49.28 -1.05 49.39
-1.15 49.6 -1.26 49.69 -1.62 49.65 -1.94 49.72 -1.8 49.37 -1.6 48.84 -1.5 48.63 -1.85 48.7 -2.03
48.65 -2.35 48.68 -2.75 48.53 -3.05 48.82 -3.45 48.82 -3.98 48.73 -4.57 48.62 -4.78 48.4 -4.4
48.35 -4.6 48.27 -4.33 48.1 -4.72 48.04 -4.37 47.8 -3.92 47.86 -3.37 47.7 -3.12 47.5 -2.8 47.52
-2.5 47.37 -2.15 47.27 -2.05 47.1 -2.15 46.85 -1.8 46.49 -1.17 46.2 -1.1 45.95 -1.23 45.7 -1.05
45.55 -1.22 45 -1.25 44.62 -1.45 43.65 -1.79 43.37 -1.35 43.05 -.55 42.8 0 42.69 .66 42.7 1.44
42.6 1.73 42.5 1.98 42.36 2.65 42.35 3.17 42.43 3.05 42.9 3.2 43.15 3.5 43.28 3.9 43.52 4.13
43.53 4.43 43.45 4.9 43.4 5.35 43.28 5.6 43.17 5.93 43.07 6.4 43.08 6.68 43.27 7 43.54 7.53
43.78 7.7 44.1 7 44.24 7.02 44.7 6.75 44.93 7.1 45.2 7.15 45.45 6.85 45.83 7.03 45.98 6.82 46.35
6.5 46.42 6.2 46.22 5.98 46.17 6.1 46.5 6.45 46.8 6.75 47.05 7 47.35 7.57 47.58 7.57 48.05 7.8
48.58 8.22 48.97 7.6 49.07 6.9 49.22 6.4 49.46 5.8 49.54 5.35 49.62 4.9 49.8 4.83 50.16 4.15
49.97 4 50.35 3.65 50.45 3.2 50.77 2.65 50.83
"""
_CORSICA = """
9.4 43 9.48 42.7 9.55 42.1 9.37 41.6 9.2 41.38 8.85 41.65 8.6 41.9 8.57 42.35 8.75 42.58 9.25
42.7
"""


def _project(longitude: float, latitude: float) -> tuple[int, int]:
    return (
        round((longitude - WEST) * _SCALE),
        round((NORTH - latitude) * _SCALE * _STRETCH),
    )


def _path(points: Iterable[tuple[int, int]]) -> str:
    """Relative moves: a digit or two each."""
    parts, last_x, last_y = [], 0, 0
    for x, y in points:
        parts.append(f"{x - last_x} {y - last_y}")
        last_x, last_y = x, y
    return "M" + parts[0] + "l" + " ".join(parts[1:]) + "z"


def _outline(text: str) -> str:
    numbers = [float(word) for word in text.split()]
    return _path(_project(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))


OUTLINE = _outline(_MAINLAND) + _outline(_CORSICA)
"""Coast and borders, drawn by hand at the precision of a thumb: a backdrop, not a reference."""


MAX_DOTS = 2_000
"""Dots of one map: with more, near ones are drawn as one, so that a page stays light."""


@dataclass(frozen=True, slots=True)
class DotMap:
    """What a template needs to draw positions."""

    dots: str
    """One path of zero-length strokes, drawn with round caps."""
    drawn: int
    """Positions inside the frame."""
    elsewhere: int
    """Positions outside: overseas départements, neighbours."""

    width: int = WIDTH
    height: int = HEIGHT
    outline: str = OUTLINE


def dot_map(positions: Iterable[tuple[float, float]]) -> DotMap:
    """The map of these (latitude, longitude). Equal pixels are drawn once."""
    pixels: set[tuple[int, int]] = set()
    drawn = elsewhere = 0
    for latitude, longitude in positions:
        if SOUTH <= latitude <= NORTH and WEST <= longitude <= EAST:
            pixels.add(_project(longitude, latitude))
            drawn += 1
        else:
            elsewhere += 1
    parts, last_x, last_y = [], 0, 0
    for y, x in sorted((y, x) for x, y in _thinned(pixels)):
        parts.append(f"m{x - last_x} {y - last_y}h0")
        last_x, last_y = x, y
    return DotMap("".join(parts).replace(" -", "-"), drawn, elsewhere)


def _thinned(pixels: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The pixels, on the finest grid that leaves at most `MAX_DOTS` of them."""
    step = 1
    thinned = pixels
    while len(thinned) > MAX_DOTS:
        step += 1
        thinned = {(x - x % step, y - y % step) for x, y in pixels}
    return thinned
