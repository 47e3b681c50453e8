"""What matching says of a pair is explained to those who read it: reasons, stories, levels."""

import ast
import inspect
import json
import re
from pathlib import Path

import duckdb
import pytest

from lowtech_data import resolve
from lowtech_data.model import LISTS, codes_of
from lowtech_data.resolve import cluster, outcome, score
from lowtech_data.resolve.evaluate import RECORDS_FILE, load_records

EVALUATION = Path(__file__).parents[1] / "evaluation"


def reasons_of_sql(module: object, column: str) -> set[str]:
    """The texts that a `CASE … END AS column` of a module may give, however it is wrapped."""
    source = inspect.getsource(module)  # type: ignore[arg-type]
    found = set()
    for end in re.finditer(rf"END AS {column}\b", source):
        start = source.rindex(f" AS {'predicat' if column == 'motif' else 'decision'},",
                              0, end.start())  # fmt: skip
        found |= set(re.findall(r"(?:THEN|ELSE) '(\w+)'", source[start : end.start()]))
    return found


def refusals() -> set[str]:
    """Why two groups are not joined."""
    tree = ast.parse(inspect.getsource(cluster))
    (method,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "_objection"
    )
    return {
        node.value.value
        for node in ast.walk(method)
        if isinstance(node, ast.Return)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def test_every_reason_that_the_engine_can_give_is_explained():
    stories = {*score.STORIES, "hasard"}
    in_score, in_pairs = reasons_of_sql(score, "motif"), reasons_of_sql(outcome, "motif")
    given = {name for name, _ in score.VETOES} | {"mieux_ailleurs"} | in_score | in_pairs
    given |= (stories - {"identique"}) | refusals()
    assert codes_of("motif_paire") == given
    assert codes_of("histoire") == stories


def test_every_level_of_every_comparison_is_named():
    levels = {f"{name}_{level}" for name, levels in score.PRIOR.items() for level in levels}
    assert codes_of("niveau_comparaison") == levels


def test_pairs_of_a_real_run_hold_no_other_words():
    with duckdb.connect() as con:
        found = resolve.match(con, load_records(con, EVALUATION / RECORDS_FILE)).pairs.to_pylist()
    assert {pair["motif"] for pair in found} <= codes_of("motif_paire")
    details = [json.loads(pair["details"]) for pair in found]
    assert {said["contre"] for said in details} <= codes_of("histoire")
    parts = {(k, v.get("niveau")) for said in details for k, v in said.items()
             if isinstance(v, dict)}  # fmt: skip
    assert {name for name, _ in parts} <= codes_of("comparaison")
    assert {f"{name}_{level}" for name, level in parts if level} <= codes_of("niveau_comparaison")
    assert len(parts) > 20


@pytest.mark.parametrize("name", ["motif_paire", "histoire"])
def test_each_reason_is_one_sentence(name):
    for code in LISTS[name]:
        assert code.definition is not None
        assert code.definition.endswith(".")
        assert len(code.definition) < 130
