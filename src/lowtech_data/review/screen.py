"""One pair on one screen: 80 columns and 24 lines are enough, colours are not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from lowtech_data.review import words
from lowtech_data.review.desk import Case

MAX_WIDTH = 140
CELL_LINES = 2
"""Lines of a value, unless everything is asked for."""

RULES = 3
"""Lines drawn across the screen."""

_FIELDS = (
    "nom", "autres noms", "type", "adresse", "commune", "site", "courriel", "téléphone", "SIRET",
    "RNA", "horaires", "résumé", "mise à jour", "page",
)  # fmt: skip
_FIRST_TO_GO = ("page", "horaires", "mise à jour", "résumé", "autres noms", "type", "RNA")
_DIFFERENT = "bold underline"
_LABEL_WIDTH = 11

KEYS = "i identique  d distinct  l lié  s passer  u annuler  v tout  ? aide  q quitter"

STALE_KEYS = "c confirmer la décision en vigueur, ou répondre autrement :"

HELP = """\
Ces deux fiches sont-elles la même initiative ? La réponse est écrite aussitôt.

  i  identique  une seule initiative : une activité nommée, à un lieu
  d  distinct   deux initiatives
  l  lié        deux initiatives et un lien : puis lequel, puis dans quel sens
  c  confirmer  la décision en vigueur, quand ses fiches ont changé
  s  passer     sans rien écrire ; la paire revient à la fin
  u  annuler    la dernière réponse de cette séance
  m  motif      dire pourquoi, avant de répondre
  v  tout voir  toutes les valeurs, toutes les parts du score
  q  quitter    ce qui est décidé est gardé ; la séance suivante reprend ici

  =  même valeur    ≈  à l’écriture près    ≠  autre : mots propres soulignés
  !  changée depuis la décision

Un bit double la vraisemblance que les fiches soient la même initiative.
L’ordre : les décisions dont les fiches ont changé ; puis les paires dont la
réponse touche le plus de fiches et de sources, les plus vraisemblables
d’abord ; enfin celles que quelqu’un a laissées à revoir.
Rien ne change avant la prochaine exécution. Guide : docs/relire.md"""


def show(
    console: Console, case: Case, *, title: str, footer: Sequence[str], everything: bool = False
) -> None:
    """Clear the screen and show a pair. `footer` are the lines of keys, at the bottom."""
    width = min(console.width, MAX_WIDTH)
    above = [_header(case, title, width), *_banner(case)]
    below = [*_score(case, everything), *_effects(case)]
    keys = [Text(line, style="bold") for line in footer]
    fixed = RULES + sum(_height(console, line, width) for line in (*above, *below, *keys))
    room = console.size.height - fixed - 1 if console.is_terminal and not everything else None
    if console.is_terminal:
        console.clear()
    for line in above:
        console.print(line, width=width)
    console.print(Rule(style="dim"), width=width)
    console.print(_sheet(console, case, width, room), width=width)
    console.print(Rule(style="dim"), width=width)
    for line in below:
        console.print(line, width=width)
    console.print(Rule(style="dim"), width=width)
    for line in keys:
        console.print(line, width=width)


def values(fiche: Mapping[str, Any]) -> dict[str, str]:
    """What is shown of a fiche, by label."""
    address = [fiche["adresse"], fiche["complement_adresse"]]
    commune = [fiche["code_postal"], fiche["commune"]]
    found = (
        fiche["nom"],
        fiche["noms_alternatifs"],
        words.label("type", fiche["type"]),
        [part for part in address if part],
        " ".join(filter(None, commune)),
        words.address(fiche["site_web"]),
        fiche["courriel"],
        fiche["telephone"],
        fiche["siret"],
        fiche["rna"],
        fiche["horaires"],
        fiche["resume"],
        fiche["date_maj"] or fiche["derniere_vue"],
        words.address(fiche["url"]),
    )
    return dict(zip(_FIELDS, map(words.plain, found), strict=True))


def _header(case: Case, title: str, width: int) -> Text:
    score = f"{words.bits(case.pair.score)} bits"
    left = Text(title, style="bold")
    left.truncate(max(width - len(score) - 1, 1), overflow="ellipsis")
    return left + Text(" " * max(width - left.cell_len - len(score), 1) + score, style="bold")


def _banner(case: Case) -> list[Text]:
    if case.pair.stale is None:
        return []
    line, changes = case.pair.stale
    said = words.label("decision", line.decision)
    link = f" ({words.label('predicat', line.predicat)})" if line.predicat else ""
    return [
        Text(
            f"À REDÉCIDER : {said}{link} le {line.date[:10]}, {words.plain(line.qui)} :"
            f" {words.plain(line.motif)}."
            f" Changé depuis : {words.changed(changes)}. La décision tient en attendant.",
            style="yellow",
        )
    ]


def _sheet(console: Console, case: Case, width: int, room: int | None) -> Table:
    """Both fiches, field by field; the least telling ones go when there is no room for all."""
    left, right = values(case.left), values(case.right)
    cell = max((width - _LABEL_WIDTH - 5) // 2, 8)
    names = [name for name in _FIELDS if left[name] or right[name]]
    kept = None if room is None else CELL_LINES
    rows = {name: _cells(console, left[name], right[name], cell, kept) for name in names}
    heads = [
        _fitted(console, Text(key, style="bold"), cell, 1) for key in (case.pair.a, case.pair.b)
    ]
    for name in _FIRST_TO_GO:
        if room is None or 2 + sum(_lines(row) for row in rows.values()) <= room:
            break
        rows.pop(name, None)
    if room is not None and 2 + sum(_lines(row) for row in rows.values()) > room:
        rows = {n: _cells(console, left[n], right[n], cell, 1) for n in list(rows)[: room - 2]}
    table = Table.grid(padding=(0, 1))
    for column in (2, _LABEL_WIDTH, cell, cell):
        table.add_column(width=column, no_wrap=column <= _LABEL_WIDTH)
    table.add_row("", "", *heads)
    flagged = _flagged(case)
    for name, cells in rows.items():
        sign = words.mark(left[name], right[name]) + ("!" if name in flagged else "")
        table.add_row(Text(sign, style="bold"), Text(name, style="dim"), *cells)
    hidden = len(names) - len(rows)
    table.add_row("", Text("distance", style="dim"), _distance(case),
                  Text(f"v : le reste ({hidden})", style="dim") if hidden else "")  # fmt: skip
    return table


def _flagged(case: Case) -> set[str]:
    if case.pair.stale is None:
        return set()
    labels = {"site": "site", "département": "commune", "position": "commune"}
    names = (words.FIELDS[change.champ] for change in case.pair.stale.changes)
    return {labels.get(name, name) for name in names}


def _cells(
    console: Console, left: str, right: str, width: int, lines: int | None
) -> tuple[Text, Text]:
    return (
        _fitted(console, _marked(left, right), width, lines),
        _fitted(console, _marked(right, left), width, lines),
    )


def _marked(value: str, other: str) -> Text:
    if not value:
        return Text("–", style="dim")
    if not other or words.mark(value, other) != "≠":
        return Text(value)
    found = Text()
    for word, own in words.own_words(value, other):
        found.append(" " if found else "").append(word, style=_DIFFERENT if own else "")
    return found


def _fitted(console: Console, text: Text, width: int, lines: int | None) -> Text:
    wrapped = list(text.wrap(console, width))
    if lines is not None and len(wrapped) > lines:
        wrapped = wrapped[:lines]
        wrapped[-1].truncate(width - 1)
        wrapped[-1].append("…")
    return Text("\n").join(wrapped)


def _lines(cells: tuple[Text, Text]) -> int:
    return max(cell.plain.count("\n") + 1 for cell in cells)


def _distance(case: Case) -> Text:
    if case.metres is None:
        return Text("inconnue", style="dim")
    precisions = [case.left["precision_geo"], case.right["precision_geo"]]
    said = " / ".join(words.label("precision_geo", code) or "?" for code in precisions)
    return Text(f"{words.metres(case.metres)} ({said})")


def _score(case: Case, everything: bool) -> list[Text]:
    details = case.details
    parts = [part for part in details.parts if everything or part.weighs]
    against = f", contre {words.label('histoire', details.against)}" if details.against else ""
    said = Text(f"Score{against} : ", style="dim")
    for rank, part in enumerate(parts):
        said.append(" · " if rank else "", style="dim")
        said.append(f"{part.name} {words.bits(part.bits)}", style="bold" if part.bits < 0 else "")
        said.append(f" ({part.level})" if part.level else "", style="dim")
    rule = Text("Règle : ", style="dim").append(words.sentence(details.rule))
    if case.predicate:
        rule.append(f" Lien pressenti : {words.label('predicat', case.predicate)}.")
    found = [said, rule] if parts else [rule]
    if everything:
        notes = (f"{name} : {value}" for name, value in details.notes)
        found.append(Text("\n".join(notes), style="dim"))
    return found


def _effects(case: Case) -> list[Text]:
    return [
        Text.assemble((f"{effect.answer} → ", "bold"), effect.effect)
        for effect in case.consequences
    ]


def _height(console: Console, text: Text, width: int) -> int:
    return len(text.wrap(console, width))
