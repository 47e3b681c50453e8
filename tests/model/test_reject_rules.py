"""Every reason that the code gives for a refusal is explained to those who read it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import lowtech_data
from lowtech_data.model import codes_of

PACKAGE = Path(lowtech_data.__file__).parent
RULE = re.compile(r"[a-z]+(?:_[a-z]+)+")
FIRST, SECOND = 0, 1
PLACES = {"Unreadable": SECOND, "Lost": SECOND, "Broken": FIRST, "RefusedUrlError": FIRST}
"""Which argument of each names the rule."""


def literals(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def rules_of(path: Path) -> Iterator[str]:
    """The rules named in calls that refuse a record, a value or a web address."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if (place := PLACES.get(node.func.id)) is not None and len(node.args) > place:
            yield from filter(RULE.fullmatch, literals(node.args[place]))
        if node.func.id == "reject":
            for keyword in node.keywords:
                if keyword.arg == "regle":
                    for text in literals(keyword.value):
                        yield from re.findall(rf"'({RULE.pattern})'", text)


def test_every_rule_named_in_the_code_is_explained():
    found = {
        (path.name, rule)
        for folder in ("extract", "normalise")
        for path in (PACKAGE / folder).glob("*.py")
        for rule in rules_of(path)
    }
    assert len(found) > 30
    known = codes_of("rejet_regle")
    assert sorted(pair for pair in found if pair[1] not in known) == []
