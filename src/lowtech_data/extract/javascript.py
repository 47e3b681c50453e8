"""Records in an array or object literal that a script assigns to a variable.

Nothing is ever evaluated: only literals are values. An expression (`new Date(…)`, a concatenation,
a template with `${…}`) is a lost value. So is a property with a broken quote, as long as the rest
of its record is certain: no JavaScript string crosses the end of a line, so that damage without a
bracket, a template or a comment stays on its lines. Anything else refuses the record, or the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from lowtech_data.extract.base import (
    Lost,
    Page,
    PayloadError,
    Platform,
    Row,
    Unreadable,
    value_at,
)
from lowtech_data.extract.decode import MAX_DEPTH, decode
from lowtech_data.extract.json_records import KEY
from lowtech_data.registry import Source, Strict

DEFAULT_EXPORT = "default"
"""Name of the variable for `export default …` and `module.exports = …`."""


class Options(Strict):
    """Which variable holds the records."""

    variable: Annotated[str, Field(pattern=r"^[\w$]+(\.[\w$]+)*$")]
    """Its name, assigned once in the script; `default` for `export default`."""
    chemin: str | None = None
    """Dotted path to the records inside the literal."""
    encodage: str | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands in a literal for a value that could not be read."""

    rule: str
    excerpt: str = ""


def read_literal(text: str, variable: str) -> Any:
    """The literal assigned to `variable`: texts, numbers, booleans, `None`, lists, dicts, `Broken`.

    Raises `PayloadError` when the variable is not assigned a literal exactly once, or when the
    literal cannot be read to its end.
    """
    return parse_literal(text, _assignment(text, variable))


def parse_literal(text: str, start: int = 0) -> Any:
    """The array or object literal that begins at a position of a script.

    Raises `PayloadError` when there is none, or when it cannot be read to its end.
    """
    parser = _Parser(text)
    try:
        first = parser.token(start)
        if first.text not in {"{", "["}:
            raise _SyntaxError(start, "attendu un littéral")
        value, end = parser.literal(first, 0)
        parser.check_end(end)
    except _SyntaxError as error:
        line = text.count("\n", 0, error.position) + 1
        raise PayloadError(f"JavaScript illisible, ligne {line} : {error.reason}") from error
    return value


def split_lost(value: Any, path: str = "") -> tuple[Any, list[Lost]]:
    """A value without its `Broken` parts, and what they were."""
    lost: list[Lost] = []
    if isinstance(value, Broken):
        return None, [Lost(path or "*", value.rule, value.excerpt)]
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        for key, item in value.items():
            whole, missing = split_lost(item, f"{path}.{key}" if path else key)
            lost += missing
            if not isinstance(item, Broken):
                kept[key] = whole
        return kept, lost
    if isinstance(value, list):
        items = []
        for item in value:
            whole, missing = split_lost(item, path)
            lost += missing
            if not isinstance(item, Broken):
                items.append(whole)
        return items, lost
    return value, lost


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = Options.model_validate(source.options)
    document = read_literal(decode(page, options.encodage).text, options.variable)
    found = value_at(document, options.chemin) if options.chemin else document
    for key, record in _records(found, options):
        pointer = f"{options.variable}[{key}]"
        if isinstance(record, Broken):
            yield Unreadable(pointer, record.rule)
        elif not isinstance(record, Mapping):
            yield Unreadable(pointer, "enregistrement_inattendu", type(record).__name__)
        else:
            values, lost = split_lost(record)
            yield Row(pointer, {KEY: key, **values} if isinstance(key, str) else values, lost)


def _records(found: Any, options: Options) -> Sequence[tuple[int | str, Any]]:
    if isinstance(found, list):
        return list(enumerate(found))
    if isinstance(found, Mapping):
        return list(found.items())
    where = ".".join(filter(None, (options.variable, options.chemin)))
    raise PayloadError(
        f"attendu une liste ou un objet d’enregistrements dans {where!r}, trouvé : "
        f"{type(found).__name__}"
    )


def _assignment(text: str, variable: str) -> int:
    """Where the value of the variable begins."""
    forms = [rf"(?<![\w$.]){re.escape(variable)}\s*=(?![=>])"]
    if variable == DEFAULT_EXPORT:
        forms = [r"(?<![\w$.])export\s+default(?![\w$])", r"(?<![\w$.])module\.exports\s*=(?!=)"]
    found = [match for form in forms for match in re.finditer(rf"{form}\s*(?=[\[{{])", text)]
    if len(found) != 1:
        names = dict.fromkeys(re.findall(r"(?<![\w$.])([\w$.]{1,60})\s*=\s*[\[{]", text))
        others = ", ".join(names)[:200] or "aucune"
        raise PayloadError(
            f"attendu une seule affectation d’un littéral à {variable!r}, trouvé {len(found)} ;"
            f" variables avec un littéral : {others}"
        )
    return found[0].end()


_TOKEN = re.compile(
    r"""
      (?P<space>(?:[\s\ufeff]+ | //[^\n\r\u2028\u2029]* | /\*(?:[^*]|\*(?!/))*+\*/)++)
    | (?P<string>"(?:[^"\\\n\r]|\\(?:\r\n|[\s\S]))*+" | '(?:[^'\\\n\r]|\\(?:\r\n|[\s\S]))*+')
    | (?P<template>`(?:[^`\\]|\\[\s\S])*+`)
    | (?P<number>0[xX][0-9a-fA-F]+ | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w$])
    | (?P<name>[^\W\d][\w$]*+ | \$[\w$]*+)
    | (?P<open>[\[{(]) | (?P<close>[\]})])
    | (?P<comma>,) | (?P<colon>:)
    | (?P<operator>=> | \?\?|\?\.|\?|\|\||&&|[=!]==?|\*\*|[<>]=?|[-+*%!~.])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|(\r\n|[\s\S]))"
)
_ESCAPES = {
    "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0",
    "\n": "", "\r": "", "\r\n": "", "\u2028": "", "\u2029": "",
}  # fmt: skip
_AFTER = frozenset(",}]")
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}
_PREFIXES = frozenset({"new", "typeof", "void", "await", "async"})
_STRUCTURE = re.compile(r"[\[\]{}`]|/\*|\*/|\\[ \t]*$", re.MULTILINE)
_NEXT_PROPERTY = re.compile(r"""\s*(?:\}|(?:[\w$]+|"[^"\n]*"|'[^'\n]*')\s*:)""")
_PROPERTY = re.compile(r"""\s*["']?([\w$-]+)["']?\s*:""")
_LITERAL_END = re.compile(r"[;,)}]|</script|(?:as|satisfies)\b|\Z")
_CONTINUED = tuple(".[(`+-*/%?&|=<>")
_STRUCTURE_HIDERS = re.compile(r"`|/\*")


class _SyntaxError(Exception):
    """Text at `position` that no literal or expression explains."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Parser:
    """Values of the literal subset of JavaScript, with recovery where the damage is bounded."""

    def __init__(self, text: str) -> None:
        self.text = text

    def token(self, position: int) -> _Token:
        """The next token that is not a space or a comment."""
        match = _TOKEN.match(self.text, position)
        if match and match.lastgroup == "space":
            position = match.end()
            match = _TOKEN.match(self.text, position)
        if match and match.lastgroup:
            return _Token(match.lastgroup, match.group(), *match.span())
        found = "fin du fichier" if position >= len(self.text) else repr(self.text[position])
        raise _SyntaxError(position, f"trouvé {found}")

    def value(self, position: int, depth: int) -> tuple[Any, int]:
        """The value at a position, and where it ends; an expression is `Broken`."""
        first = self.token(position)
        value, end = self.literal(first, depth)
        # The character that nearly always follows, before a whole token is made of it.
        if end and (self.text[end : end + 1] in _AFTER or self.token(end).text in _AFTER):
            return value, end
        end = self._expression(first.start)
        return Broken("expression_refusee", self.text[first.start : end].strip()), end

    def literal(self, first: _Token, depth: int) -> tuple[Any, int]:
        """The literal that begins with a token, and where it ends; end 0 when it is not one."""
        if depth > MAX_DEPTH:
            raise PayloadError(f"JavaScript refusé : plus de {MAX_DEPTH} niveaux d’imbrication")
        match first.text:
            case "{":
                return self._object(first, depth)
            case "[":
                return self._array(first, depth)
        return self._scalar(first)

    def check_end(self, position: int) -> None:
        """Refuse a literal that something else is done with (`.concat(…)`, `.map(…)`)."""
        match = _TOKEN.match(self.text, position)
        after = match.end() if match and match.lastgroup == "space" else position
        is_on_next_line = "\n" in self.text[position:after]
        if _LITERAL_END.match(self.text, after):
            return
        if not is_on_next_line or self.text.startswith(_CONTINUED, after):
            raise _SyntaxError(after, "le littéral est suivi d’un calcul")

    def _scalar(self, first: _Token) -> tuple[Any, int]:
        """A value of one token (or a sign and a number); end 0 when it is not one."""
        if first.kind == "operator" and first.text in {"-", "+"}:
            number = self.token(first.end)
            is_number = number.kind == "number"
            return (_number(first.text + number.text), number.end) if is_number else (None, 0)
        match first.kind:
            case "number":
                value: Any = _number(first.text)
            case "string":
                value = _unescaped(first.text[1:-1])
            case "template" if "${" not in first.text:
                value = _unescaped(first.text[1:-1].replace("\r\n", "\n"))
            case "name" if first.text in _WORDS:
                value = _WORDS[first.text]
            case _:
                return None, 0
        return value, first.end

    def _object(self, opening: _Token, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        position = opening.end
        while (key := self.token(position)).text != "}":
            try:
                name, (value, end) = self._property(key, depth)
                position = self._separator(end, "}")
                found[name] = Broken("propriete_repetee") if name in found else value
            except _SyntaxError as error:
                position = self._after_broken_lines(key, error)
                for line in self.text[key.start : position].splitlines():
                    told = _PROPERTY.match(line)
                    name = told.group(1) if told else "*"
                    found[name] = Broken("propriete_illisible", line.strip())
        return found, key.end

    def _property(self, key: _Token, depth: int) -> tuple[str, tuple[Any, int]]:
        name = _unescaped(key.text[1:-1]) if key.kind == "string" else key.text
        colon = self.token(key.end)
        is_key = key.kind in {"name", "number", "string"} and isinstance(name, str)
        if not is_key or colon.kind != "colon":
            raise _SyntaxError(key.start, "attendu une clé puis « : »")
        return str(name), self.value(colon.end, depth + 1)

    def _array(self, opening: _Token, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        position = opening.end
        while (first := self.token(position)).text != "]":
            if first.kind == "comma":
                # A hole in the list (`[1, , 2]`): nothing was written there.
                position = first.end
                continue
            try:
                value, end = self.value(first.start, depth + 1)
                position = self._separator(end, "]")
            except _SyntaxError as error:
                position = self._after_broken_record(first, error)
                value = Broken("enregistrement_illisible")
            found.append(value)
        return found, first.end

    def _separator(self, position: int, closing: str) -> int:
        if self.text.startswith(",", position):
            return position + 1
        after = self.token(position)
        if after.kind == "comma":
            return after.end
        if after.text != closing:
            raise _SyntaxError(after.start, f"attendu « , » ou « {closing} »")
        return after.start

    def _after_broken_lines(self, key: _Token, error: _SyntaxError) -> int:
        """Where the next property begins, when what is broken is surely on whole lines before."""
        start = self.text.rfind("\n", 0, key.start) + 1
        bad = error.position
        if self.text[self.text.rfind("\n", 0, bad) + 1 : bad].isspace() and bad > key.end:
            bad = self.text.rfind("\n", 0, bad)
        end = self.text.find("\n", bad)
        damaged = self.text[key.start : end]
        is_alone = not self.text[start : key.start].strip()
        if end < 0 or not is_alone or _STRUCTURE.search(damaged):
            raise error
        if not _NEXT_PROPERTY.match(self.text, end):
            raise error
        return end

    def _after_broken_record(self, first: _Token, error: _SyntaxError) -> int:
        """After the line that closes the record, or where another one begins on a line of its own:
        both are told by the indentation of the line that opens it.
        """
        start = self.text.rfind("\n", 0, first.start) + 1
        indentation = self.text[start : first.start]
        if first.text != "{" or indentation.strip():
            raise error
        ends = re.compile(rf"^{indentation}(?:\}}[^\S\n]*,?[^\S\n]*$|(?=\{{))", re.MULTILINE)
        line = self.text.rfind("\n", 0, error.position) + 1
        match = ends.search(self.text, max(line, first.end))
        if not match or _STRUCTURE_HIDERS.search(self.text, first.start, match.end()):
            raise error
        return match.end()

    def _expression(self, position: int) -> int:
        """Where a well-formed expression ends; anything else is a `_SyntaxError`."""
        nested: list[str] = []
        conditions = 0
        is_operand_expected = True
        while True:
            token = self.token(position)
            if not nested and token.text in {",", "}", "]"} and not is_operand_expected:
                return token.start
            if token.kind == "open":
                nested.append(token.text)
                is_operand_expected = True
            elif token.kind == "close":
                if not nested or nested.pop() + token.text not in {"()", "[]", "{}"}:
                    raise _SyntaxError(token.start, f"trouvé {token.text!r}")
                is_operand_expected = False
            elif token.kind == "colon" and not nested and not conditions:
                raise _SyntaxError(token.start, "trouvé « : » après une valeur")
            elif token.kind in {"comma", "colon", "operator"}:
                if not nested:
                    conditions += {"?": 1, ":": -1}.get(token.text, 0)
                is_operand_expected = True
            elif token.text in _PREFIXES:
                is_operand_expected = True
            elif is_operand_expected:
                is_operand_expected = False
            else:
                raise _SyntaxError(token.start, f"trouvé {token.text[:20]!r} après une valeur")
            position = token.end


def _number(written: str) -> int | float | Broken:
    digits = written.lstrip("+-")
    sign = -1 if written.startswith("-") else 1
    if digits[:2].lower() == "0x":
        return sign * int(digits, 16)
    # JavaScript reads 0612 as octal or drops the zero: neither is what was meant.
    if re.match(r"0\d", digits) or len(digits) > 300:
        return Broken("nombre_illisible", written)
    if digits.isdigit():
        return sign * int(digits)
    value = sign * float(digits)
    return Broken("nombre_illisible", written) if math.isinf(value) else value


def _unescaped(body: str) -> str | Broken:
    if "\\" not in body:
        return body
    try:
        text = _ESCAPE.sub(_character, body)
    except ValueError:
        return Broken("echappement_illisible", body)
    # Two halves of a character beyond the first 65,536, written as two escapes.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(match: re.Match[str]) -> str:
    hexadecimal = match.group(1) or match.group(2) or match.group(3)
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    char = match.group(4)
    if char in "xu":
        raise ValueError(match.group())
    return _ESCAPES.get(char, char)


PLATFORM = Platform(
    name="javascript",
    rows=_rows,
    options=Options,
    ignored=frozenset({KEY}),
)
