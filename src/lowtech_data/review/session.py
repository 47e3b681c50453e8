"""The review in a terminal: one key per decision, each written at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lowtech_data.model import LISTS
from lowtech_data.resolve import decisions as decisions_file
from lowtech_data.resolve.decisions import (
    SYMMETRIC,
    Decision,
    DecisionError,
    Decisions,
    PresentKey,
)
from lowtech_data.review import screen, words
from lowtech_data.review.desk import Case, Desk, Pair

_PREDICATES = LISTS["predicat"]
_SHORT_NAME = 26


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the steward is: a screen, one key at a time, a line when words are needed."""

    console: Console
    read_key: Callable[[], str]
    """The next key; raises `KeyboardInterrupt` or `EOFError` to leave."""
    read_line: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one key wrote, to be able to take it back."""

    pair: Pair
    written: Decision
    replaced: tuple[Decision, ...]


@dataclass(slots=True)
class Session:
    """A steward at work on the queue of a warehouse."""

    desk: Desk
    decisions: Decisions
    path: Path
    """The file of decisions."""
    present_key: PresentKey
    who: str
    day: date
    terminal: Terminal
    _answers: list[_Answer] = field(default_factory=list)
    _skipped: list[tuple[str, str]] = field(default_factory=list)
    _again: tuple[str, str] | None = None
    """The pair whose answer was just taken back: asked next."""
    _reason: str = ""
    _status: str = ""

    def run(self) -> int:
        """Ask until the queue is empty or the steward leaves; the number of decisions written."""
        try:
            while pair := self._next():
                if not self._ask(pair):
                    break
        except (KeyboardInterrupt, EOFError):
            pass
        return len(self._answers)

    @property
    def remaining(self) -> int:
        """Pairs that still wait."""
        return len(self.desk.waiting(self.decisions))

    def _next(self) -> Pair | None:
        waiting = self.desk.waiting(self.decisions)
        late = {key: rank for rank, key in enumerate(self._skipped, start=1)}
        rank = {
            pair.key: -1 if pair.key == self._again else late.get(pair.key, 0) for pair in waiting
        }
        self._again = None
        return min(waiting, key=lambda pair: rank[pair.key], default=None)

    def _ask(self, pair: Pair) -> bool:
        """Show one pair until a key settles what becomes of it; whether to go on."""
        case = self.desk.case(pair, self.decisions)
        everything = False
        while True:
            keys = [screen.STALE_KEYS, screen.KEYS] if pair.stale else [screen.KEYS]
            self._show(case, keys, everything)
            key = self._key()
            everything = key == "v"
            if key == "q":
                return False
            if self._settled(case, key):
                return True
            if key == "m":
                self._reason = self.terminal.read_line("Motif : ").strip()[:500]
            elif key == "?":
                self._help()
            elif key not in {"l", "v"}:
                self._status = f"Touche sans effet : {key or 'spéciale'}."

    def _settled(self, case: Case, key: str) -> bool:
        """Do what a key asks for; whether another pair may be shown."""
        pair = case.pair
        match key:
            case "i":
                self._write(case, "identique")
            case "d":
                self._write(case, "distinct")
            case "c" if pair.stale:
                line = pair.stale.decision
                self._write(case, line.decision, a=line.a, b=line.b, predicate=line.predicat)
            case "l" if link := self._link(case):
                a, predicate, b = link
                self._write(case, "lie", a=a, b=b, predicate=predicate)
            case "s":
                self._skipped = [*(k for k in self._skipped if k != pair.key), pair.key]
                self._status = "Passée."
            case "u":
                self._undo()
            case _:
                return False
        return True

    def _show(self, case: Case, footer: list[str], everything: bool = False) -> None:
        title = f"à relire : {self.remaining} · décidées : {len(self._answers)}"
        status = [self._status] if self._status else []
        if self._reason:
            status.append(f"Motif de la prochaine réponse : {self._reason}")
        screen.show(
            self.terminal.console,
            case,
            title=title,
            footer=[*status, *footer],
            everything=everything,
        )

    def _key(self) -> str:
        key = self.terminal.read_key()
        self._status = ""
        # Keys typed ahead of the screen are dropped: nobody decides on a pair not yet seen.
        return "" if key.startswith("\x1b") else words.plain(key[:1]).lower()

    def _help(self) -> None:
        if self.terminal.console.is_terminal:
            self.terminal.console.clear()
        self.terminal.console.print(Text(screen.HELP))
        self.terminal.console.print(Text("\nUne touche pour revenir.", style="bold"))
        self._key()

    def _link(self, case: Case) -> tuple[str, str, str] | None:
        """Which link, and in which direction."""
        choices = [f"{n} {code.label_fr.lower()}" for n, code in enumerate(_PREDICATES, start=1)]
        thirds = -(-len(choices) // 3)
        lines = [
            "".join(f"{choice:<26}" for choice in choices[row::thirds]).rstrip()
            for row in range(thirds)
        ]
        self._show(case, ["Quel lien ? Une autre touche pour revenir.", *lines])
        chosen = self._key()
        if not chosen.isdecimal() or not 1 <= int(chosen) <= len(_PREDICATES):
            return None
        code = _PREDICATES[int(chosen) - 1].code
        pair = case.pair
        if code in SYMMETRIC:
            return pair.a, code, pair.b
        said = words.label("predicat", code)
        left, right = (_shortened(name) for name in pair.names)
        self._show(
            case,
            [
                "Dans quel sens ? Une autre touche pour revenir.",
                f"1  gauche, {left}, {said} {right}",
                f"2  droite, {right}, {said} {left}",
            ],
        )
        match self._key():
            case "1":
                return pair.a, code, pair.b
            case "2":
                return pair.b, code, pair.a
            case _:
                return None

    def _write(
        self,
        case: Case,
        decision: str,
        *,
        a: str | None = None,
        b: str | None = None,
        predicate: str | None = None,
    ) -> None:
        pair = case.pair
        rule = words.label("motif_paire", case.details.rule)
        reason = self._reason or f"fiches vues côte à côte{' ; règle : ' + rule if rule else ''}"
        content = {"a": a or pair.a, "b": b or pair.b, "predicat": predicate}
        written = self._new(decision, reason, empreintes=case.seen, **content)
        replaced = tuple(self._replaced(written))
        undone = [
            self._new("annuler", f"redécidé : {reason}"[:500], annule=line.id) for line in replaced
        ]
        before = self.remaining
        if not self._append(*undone, written):
            return
        more = before - self.remaining - 1
        self._answers.append(_Answer(pair, written, replaced))
        self._reason = ""
        said = words.label("decision", decision)
        link = f" ({words.label('predicat', predicate)})" if predicate else ""
        names = " / ".join(map(_shortened, pair.names))
        self._status = f"{said}{link} : {names} ({written.id})"
        if more > 0:
            self._status += f", et {more} de plus du même coup"

    def _replaced(self, written: Decision) -> Iterator[Decision]:
        """Answers in force on the same pair that say otherwise; a doubt needs no undoing."""
        for line in self.decisions.active:
            same_pair = line.pair == written.pair and line.decision != "a_revoir"
            if same_pair and line.answer != written.answer:
                yield line

    def _undo(self) -> None:
        if not self._answers:
            self._status = "Rien à annuler dans cette séance ; autrement : lowtech review undo ID"
            return
        last = self._answers[-1]
        undone = self._new("annuler", "touche u de la relecture", annule=last.written.id)
        again = [
            decisions_file.new_decision(
                self.decisions, **line.model_dump(exclude={"id"}, exclude_none=True)
            )
            for line in last.replaced
        ]
        if self._append(undone, *again):
            self._answers.pop()
            self._again = last.pair.key
            self._status = f"Annulé : {' / '.join(map(_shortened, last.pair.names))}"

    def _new(self, decision: str, reason: str, **content: object) -> Decision:
        given = {name: value for name, value in content.items() if value is not None}
        return decisions_file.new_decision(
            self.decisions,
            date=self.day.isoformat(),
            qui=self.who,
            decision=decision,
            motif=reason,
            **given,
        )

    def _append(self, *lines: Decision) -> bool:
        try:
            self.decisions = decisions_file.append(self.path, *lines, present_key=self.present_key)
        except DecisionError as error:
            self._status = f"Rien d’écrit. {error}"
            return False
        return True


def _shortened(name: str) -> str:
    plain = words.plain(name)
    return plain if len(plain) <= _SHORT_NAME else f"{plain[: _SHORT_NAME - 1]}…"
