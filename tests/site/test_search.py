"""The words people type, and the dots that places make."""

from __future__ import annotations

import re
import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.site.france import HEIGHT, WIDTH, dot_map
from lowtech_data.site.search import fts_query


@given(st.text(max_size=80))
def test_any_text_is_a_valid_full_text_question(text: str) -> None:
    query = fts_query(text)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(nom)")
    if query is not None:
        connection.execute("SELECT * FROM t WHERE t MATCH ?", [query]).fetchall()
    connection.close()


def test_words_are_beginnings_and_operators_are_words() -> None:
    assert fts_query("répar NOT café-vélo") == '"répar"* "NOT"* "café"* "vélo"*'
    assert fts_query("🚲 !") is None


def _absolute(path: str) -> list[tuple[int, int]]:
    x = y = 0
    dots = []
    for dx, dy in re.findall(r"m(-?\d+)\s*(-?\d+)h0", path):
        x, y = x + int(dx), y + int(dy)
        dots.append((x, y))
    return dots


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=30))
def test_every_position_is_drawn_inside_or_counted_outside(
    positions: list[tuple[float, float]],
) -> None:
    found = dot_map(positions)
    assert found.drawn + found.elsewhere == len(positions)
    dots = _absolute(found.dots)
    assert len(dots) == len(set(dots)) <= found.drawn
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in dots)
    assert dot_map(reversed(positions)) == found


def test_the_overseas_are_counted_and_the_north_is_up() -> None:
    found = dot_map([(48.85, 2.35), (43.3, 5.4), (-20.88, 55.45)])
    (paris_x, paris_y), (marseille_x, marseille_y) = _absolute(found.dots)
    assert paris_y < marseille_y
    assert paris_x < marseille_x
    assert found.elsewhere == 1


def test_a_map_of_very_many_places_stays_light() -> None:
    spread = [(42 + i * 0.045, -1 + j * 0.045) for i in range(150) for j in range(150)]
    found = dot_map(spread)
    assert found.drawn == len(spread)
    assert 500 < len(_absolute(found.dots)) <= 2_000
