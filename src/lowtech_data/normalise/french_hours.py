"""French opening hours in free text, read into OpenStreetMap syntax, or not at all.

A text is cut into words of time (days, times, ranks in the month, months, closed, by appointment)
and signs. One word that is not known, or a reading that is not the only one, and there is no
answer: half of the hours of a place is worse than none.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_CHARACTERS = 600
APPOINTMENT = '"sur rendez-vous"'
"""The one comment that is published: any other is free text."""

_Range = tuple[int, int]
"""Opening and closing, in minutes after midnight."""
_Months = tuple[int, int]
"""First and last month, January being 0."""
_Day = tuple[int, int]
"""A weekday (0 is Monday), and its rank in the month: 0 for every week, -1 for the last."""

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NOON, _MIDNIGHT = 12 * 60, 24 * 60
_LUNCH_ENDS = 14 * 60
_ALL_DAY = (0, _MIDNIGHT)
_HOLIDAYS = ("PH off", "SH off")
_SEPARATORS = ("comma", "dash", "slash", "colon", "stop", "open", "close", "and")
_DAY_WORDS = ("day", "all", "weekend", "rank", "holidays", "month")
_LATEST_CLOSING = 6 * 60
"""A place that closes before it opens does so the next day, but not later than this."""


def _clock(match: re.Match[str]) -> str:
    return f" {int(match[1]):02}:{match[2] or '00'} "


_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"<[^>]*>|[\n\r;|]", " ; "),
        (r"\b24 ?h? ?(?:/|sur) ?24 ?h?(?![\w])", " continu "),
        (r"\b24/7\b", " continu quotidien "),
        (r"\b7 ?(?:j|jours?)? ?(?:/|sur) ?7 ?j?\b|\btous les jours\b", " quotidien "),
        (r"\b(?:avec ou )?sans (?:rendez(?: ?- ?| )vous|rdv)\b", " "),
        (r"\b(?:sur |prise de )?(?:rendez(?: ?- ?| )vous|rdv)\b", " rdv "),
        (r"\bau public\b|\btoute l'annee\b|\ben continu\b|\bnon[ -]stop\b", " "),
        (r"\bsans interruption\b|\bjournee continue\b", " "),
        (r"\b(?:du|de chaque|chaque) mois\b", " mensuel "),
        (r"\bjours? feries?\b", " feries "),
        (r"\bvacances scolaires\b", " vacances "),
        (r"\bweek[ -]?ends?\b", " weekend "),
        (r"\bpas d'accueil\b", " ferme "),
        (r"\bapres[ -]midi\b", " apresmidi "),
        (r"\bjusqu'(?:a|au)\b", " a "),
        (r"\b[dl]'", " "),
        (r"\b(lun|mar|mer|jeu|ven|sam|dim)\.", r"\1 "),
        (r"(?<!\d)(\d{1,2}h)(?=\d{1,2}h)", r"\1 "),
        (r"\bmidi\b", " 12:00 "),
        (r"\bminuit\b", " 24:00 "),
        (r"\b([1-5]) ?(?:ers?|eres?|nds?|ndes?|emes?|es?)\b", r" rang\1 "),
        (r"(?<!\d)(?<!\d:)([01]?\d|2[0-4]):([0-5]\d)(?::00)?(?![\d:h])", _clock),
        (r"(?<!\d)(?<!\d:)([01]?\d|2[0-4])(?:h| h ?| ?heures? ?)([0-5]\d)(?! ?h|\d)", _clock),
        (r"(?<!\d)(?<!\d:)([01]?\d|2[0-4]) ?(?:h|heures?)()(?![a-z\d])", _clock),
    )
)
_TOKEN = re.compile(r"\d\d:\d\d|\w+|[^\w\s]")

_WORDS: dict[str, tuple[str, int]] = {
    **{
        word: ("day", number)
        for number, words in enumerate(
            (
                "lundi lundis lun lu mo mon",
                "mardi mardis mar ma tu tue",
                "mercredi mercredis mer me we wed",
                "jeudi jeudis jeu je th thu",
                "vendredi vendredis ven ve fr fri",
                "samedi samedis sam sa sat",
                "dimanche dimanches dim di su sun",
            )
        )
        for word in words.split()
    },
    **{
        word: ("month", number)
        for number, word in enumerate(
            (
                *("janvier", "fevrier", "mars", "avril", "mai", "juin", "juillet", "aout"),
                *("septembre", "octobre", "novembre", "decembre"),
            )
        )
    },
    **{
        word: ("rank", rank)
        for rank, words in (
            (1, "rang1 premier premiers premiere"),
            (2, "rang2 deuxieme deuxiemes second seconds"),
            (3, "rang3 troisieme troisiemes"),
            (4, "rang4 quatrieme quatriemes"),
            (5, "rang5 cinquieme cinquiemes"),
            (-1, "dernier derniers"),
        )
        for word in words.split()
    },
    **{
        word: (kind, value)
        for kind, value, words in (
            ("all", 0, "quotidien tlj"),
            ("continuous", 0, "continu"),
            ("weekend", 0, "weekend"),
            ("holidays", 0, "feries ph"),
            ("holidays", 1, "vacances sh"),
            ("monthly", 0, "mensuel"),
            ("half", 0, "matin matins matinee"),
            ("half", 1, "apresmidi soir soirs soiree"),
            ("closed", 0, "ferme fermee fermes fermees fermeture off closed"),
            ("appointment", 0, "rdv"),
            ("except", 0, "sauf hors excepte"),
            ("to", 0, "a au aux"),
            ("and", 0, "et ou &"),
            ("comma", 0, ","),
            ("dash", 0, "-"),
            ("slash", 0, "/"),
            ("colon", 0, ":"),
            ("stop", 0, "; ."),
            ("open", 0, "("),
            ("close", 0, ")"),
        )
        for word in words.split()
    },
}
_NOISE = frozenset(
    """
    de du le la les en chaque tous toutes ouvert ouverte ouverts ouvertes ouverture ouvertures
    horaire horaires public accueil permanence permanences uniquement seulement puis
    """.split()  # noqa: SIM905 — a list of words reads better as words
)
_SHOWN = frozenset(_WORDS) | _NOISE | {"rendez", "vous", "sur", "h", "mois", "jours"}
"""Words that a refused text may show: nothing personal is said with them."""


class _Token(NamedTuple):
    kind: str
    value: int


class _NotUnderstoodError(ValueError):
    """The text has a word or a turn that is not known, or more than one meaning."""


@dataclass(slots=True)
class _Clause:
    """Days and what is said of them, as far as it was read."""

    days: frozenset[_Day] = frozenset()
    months: _Months | None = None
    ranges: tuple[_Range, ...] = ()
    closed: bool = False
    appointment: bool = False
    labelled: bool = False
    """The days are followed by a colon: what comes next is said of them alone."""

    @property
    def is_said(self) -> bool:
        return bool(self.ranges or self.closed or self.appointment)

    @property
    def state(self) -> str:
        if self.closed:
            return "off"
        times = ",".join(f"{_clock_text(start)}-{_clock_text(end)}" for start, end in self.ranges)
        return " ".join(filter(None, (times, APPOINTMENT if self.appointment else "")))


def opening_hours(text: str) -> str | None:
    """The hours that a French text says, in OpenStreetMap syntax, or nothing.

    Days are in the order of the week, the whole text is understood, and what it does not say is not
    filled in: times without a day say nothing.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        return _Reader(_tokens(text)).read()
    except _NotUnderstoodError:
        return None


def shown(text: str) -> str:
    """A text fit to be shown among rejects: its words of time, the others as `xxx`, numbers hidden
    when they are not times."""
    return re.sub(r"\w+", _shown_word, html.unescape(text[:200]))[:80]


def _shown_word(match: re.Match[str]) -> str:
    word = match[0]
    if re.fullmatch(r"\d{1,2}[hH](?:\d\d)?", word) or _folded(word) in _SHOWN:
        return word
    return "".join("•" if c.isdigit() else "x" for c in word)


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return re.sub("[‐‑‒–—−]", "-", plain.replace("’", "'"))


def _tokens(text: str) -> list[_Token]:
    plain = _folded(html.unescape(text))
    for pattern, word in _REWRITES:
        plain = pattern.sub(word, re.sub(" +", " ", plain))
    found = []
    for word in _TOKEN.findall(plain):
        if word in _WORDS:
            found.append(_Token(*_WORDS[word]))
        elif re.fullmatch(r"\d\d:\d\d", word):
            found.append(_Token("time", int(word[:2]) * 60 + int(word[3:])))
        elif re.fullmatch(r"\d{1,2}", word):
            found.append(_Token("number", int(word)))
        elif word not in _NOISE:
            raise _NotUnderstoodError(word)
    return found


@dataclass(slots=True)
class _Reader:
    """Reads tokens from left to right; each method takes what it understands, or nothing."""

    tokens: list[_Token]
    at: int = 0
    clauses: list[_Clause] = field(default_factory=list)
    waiting: _Clause | None = None
    """What was said before the days that it is said of."""
    times_first: bool | None = None
    months: _Months | None = None
    off: set[str] = field(default_factory=set)
    otherwise: bool = False
    """By appointment outside the hours that are said."""

    def read(self) -> str | None:
        while True:
            separators = self._separators()
            if self._peek() == "end":
                return self._result()
            self._item(separators)

    def _peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place].kind if place < len(self.tokens) else "end"

    def _take(self, *kinds: str) -> _Token | None:
        if self._peek() not in kinds:
            return None
        self.at += 1
        return self.tokens[self.at - 1]

    def _separators(self) -> set[str]:
        found = set()
        while token := self._take(*_SEPARATORS):
            found.add(token.kind)
        return found

    def _item(self, separators: set[str]) -> None:
        if months := self._month_range():
            self._on_months(months, separators)
        elif holidays := self._take("holidays"):
            self._on_closed_holidays(holidays.value)
        elif days := self._day_list():
            self._on_days(days, separators)
        elif ranges := self._times():
            self._on_times(ranges)
        elif self._take("closed"):
            self._on_closed(separators)
        elif self._take("appointment"):
            self._on_appointment(separators)
        elif self._take("except"):
            self._on_except()
        else:
            raise _NotUnderstoodError

    @property
    def _last(self) -> _Clause | None:
        return self.clauses[-1] if self.clauses else None

    def _month_range(self) -> _Months | None:
        first = self._take("month")
        if first is None:
            return None
        last = first
        if self._peek() in ("to", "dash") and self._peek(1) == "month":
            self.at += 2
            last = self.tokens[self.at - 1]
        return first.value, last.value

    def _on_months(self, months: _Months, separators: set[str]) -> None:
        last = self._last
        if self.waiting and self.waiting.closed:
            self.waiting = None
            self.off.add(f"{_month_text(months)} off")
        elif last is None or (last.is_said and "stop" in separators and self._peek() != "end"):
            self.months = months
        elif len(self.clauses) == 1 and last.is_said and self._peek() == "end" and not separators:
            last.months = months
        else:
            raise _NotUnderstoodError

    def _on_closed_holidays(self, holidays: int) -> None:
        if not (self.waiting and self.waiting.closed):
            raise _NotUnderstoodError
        self.waiting = None
        self.off.add(_HOLIDAYS[holidays])

    def _day_list(self) -> frozenset[_Day] | None:
        found: set[_Day] = set()
        while True:
            start = self.at
            if found:
                self._take("comma", "slash")
                self._take("and")
            atom = self._day_atom()
            if not atom:
                self.at = start
                break
            found |= atom
        if bool(self._take("monthly")) != any(rank for _, rank in found):
            raise _NotUnderstoodError
        return frozenset(found) or None

    def _day_atom(self) -> set[_Day]:
        if self._take("all"):
            return {(day, 0) for day in range(7)}
        if self._take("weekend"):
            return {(5, 0), (6, 0)}
        ranks = self._ranks()
        first = self._take("day")
        if first is None:
            if ranks:
                raise _NotUnderstoodError
            return set()
        if ranks:
            return {(first.value, rank) for rank in ranks}
        if self._peek() in ("to", "dash") and self._peek(1) == "day":
            self.at += 2
            length = (self.tokens[self.at - 1].value - first.value) % 7 + 1
            return {((first.value + i) % 7, 0) for i in range(length)}
        return {(first.value, 0)}

    def _ranks(self) -> list[int]:
        found = []
        while token := self._take("rank"):
            found.append(token.value)
            if self._peek() in ("comma", "and", "slash") and self._peek(1) == "rank":
                self.at += 1
        return found

    def _on_days(self, days: frozenset[_Day], separators: set[str]) -> None:
        last = self._last
        if self.waiting:
            self.waiting.days, self.waiting.months = days, self.months
            self.clauses.append(self.waiting)
            self.waiting = None
        elif last and not last.is_said:
            # The label of a column, then the day again: "Samedi : 1er samedi du mois".
            same = {day for day, _ in days} <= {day for day, _ in last.days}
            if "colon" not in separators or not same:
                raise _NotUnderstoodError
            last.days = days
        elif self.times_first:
            raise _NotUnderstoodError
        else:
            self.times_first = False
            self.clauses.append(_Clause(days, self.months))
        self.clauses[-1].labelled = self._peek() == "colon"

    def _times(self) -> tuple[_Range, ...]:
        start = self.at
        halves: list[int] = []
        points: list[tuple[str, int]] = []
        while True:
            before = self.at
            joint = self._joint() if points else ""
            if half := self._take("half"):
                halves.append(half.value)
            elif self._take("continuous"):
                points += [("stop", 0), ("dash", _MIDNIGHT)]
            elif point := self._take("time", "number"):
                points.append((joint, point.value * (60 if point.kind == "number" else 1)))
            else:
                self.at = before
                break
        if not points:
            self.at = start
            return ()
        # Bare numbers are hours beside a time only: "9-12h".
        if not any(token.kind in ("time", "continuous") for token in self.tokens[start : self.at]):
            raise _NotUnderstoodError
        ranges = _paired(points)
        if not all(_fits(half, ranges) for half in halves):
            raise _NotUnderstoodError
        return ranges

    def _joint(self) -> str:
        found = []
        while token := self._take("to", "dash", "slash", "comma", "stop", "and"):
            found.append(token.kind)
        return next((kind for kind in ("stop", "comma", "and") if kind in found), "".join(found))

    def _on_times(self, ranges: tuple[_Range, ...]) -> None:
        last = self._last
        if last and not last.ranges and not self.waiting:
            if last.closed and ranges[0][0] < _NOON:
                raise _NotUnderstoodError
            # Closed in the morning, then the hours of the afternoon.
            last.closed, last.ranges = False, ranges
        elif self.times_first is False or (self.waiting and self.waiting.is_said):
            raise _NotUnderstoodError
        else:
            self.times_first = True
            self.waiting = _Clause(ranges=ranges)

    def _on_closed(self, separators: set[str]) -> None:
        half = self._take("half")
        last = self._last
        if self.waiting:
            raise _NotUnderstoodError
        if last and not last.is_said and not half:
            last.closed = True
        elif last and last.ranges and half:
            if not _fits(1 - half.value, last.ranges) or len(last.ranges) > 1:
                raise _NotUnderstoodError
        elif (
            last
            and last.ranges
            and separators <= {"dash", "slash"}
            and self._peek() not in _DAY_WORDS
        ):
            if last.ranges[-1][1] > _LUNCH_ENDS:
                raise _NotUnderstoodError
        elif half:
            raise _NotUnderstoodError
        else:
            self._take("colon")
            self.waiting = _Clause(closed=True)

    def _on_appointment(self, separators: set[str]) -> None:
        last = self._last
        separators = separators - {"colon"}
        if self.waiting:
            raise _NotUnderstoodError
        if last and (not last.is_said or "open" in separators):
            last.appointment = True
        elif last and separators & {"and", "stop"}:
            self._close()
            self.otherwise = True
        elif last:
            alone = len(self.clauses) == 1
            if not last.ranges or not (alone or (last.labelled and not separators)):
                raise _NotUnderstoodError
            last.appointment = True
        else:
            self._before_days()

    def _before_days(self) -> None:
        """By appointment, said first: of the only clause that follows, or of everything."""
        if self._peek() == "end":
            self.otherwise = True
            return
        self._separators()
        days = self._day_list()
        if not days:
            raise _NotUnderstoodError
        self._take("colon")
        ranges = self._times()
        self._close()
        self.clauses.append(_Clause(days, self.months, ranges, appointment=True))

    def _close(self) -> None:
        self._separators()
        if self._peek() != "end":
            raise _NotUnderstoodError

    def _on_except(self) -> None:
        last = self._last
        if last is None or self.waiting:
            raise _NotUnderstoodError
        self._take("closed")
        if holidays := self._take("holidays"):
            self.off.add(_HOLIDAYS[holidays.value])
        elif months := self._month_range():
            self.off.add(f"{_month_text(months)} off")
        elif (days := self._day_list()) and days < last.days:
            last.days -= days
            if last.is_said and (ranges := self._times()):
                self.clauses.append(_Clause(days, last.months, ranges))
        else:
            raise _NotUnderstoodError

    def _result(self) -> str | None:
        if self.waiting:
            always = self.waiting.ranges == (_ALL_DAY,) and not self.clauses and not self.off
            return "24/7" if always else None
        clauses = _merged(self.clauses)
        if any(not clause.is_said for clause in clauses) or _contradict(clauses):
            return None
        if self.months and all(clause.months != self.months for clause in clauses):
            return None
        rules = [*_rules(clauses), *sorted(self.off, key=_off_rank)]
        if rules == ["Mo-Su 00:00-24:00"]:
            rules = ["24/7"]
        if self.otherwise:
            return " || ".join(filter(None, ("; ".join(rules), APPOINTMENT)))
        return "; ".join(rules) if clauses or self.off else None


def _paired(points: list[tuple[str, int]]) -> tuple[_Range, ...]:
    """Times two by two; each pair later than the one before."""
    if len(points) % 2:
        raise _NotUnderstoodError
    found: list[_Range] = []
    for (between, start), (inside, end) in zip(points[::2], points[1::2], strict=True):
        if inside not in ("to", "dash", "slash", "") or (found and between == "to"):
            raise _NotUnderstoodError
        found.append((start, end or _MIDNIGHT))
    return _ordered(found)


def _ordered(ranges: Iterable[_Range]) -> tuple[_Range, ...]:
    found = tuple(sorted(ranges))
    latest = -1
    for rank, (start, end) in enumerate(found):
        overnight = rank == len(found) - 1 and end <= _LATEST_CLOSING and start >= _NOON
        if start <= latest or end > _MIDNIGHT or not (start < end or overnight):
            raise _NotUnderstoodError
        latest = end
    return found


def _fits(half: int, ranges: tuple[_Range, ...]) -> bool:
    """Whether the hours begin in the morning (0), or end with an afternoon (1)."""
    return ranges[-1][0] >= _NOON if half else ranges[0][1] <= _LUNCH_ENDS


def _merged(clauses: list[_Clause]) -> list[_Clause]:
    """Clauses of the same days joined: the morning and the afternoon may be said apart."""
    found: dict[tuple[frozenset[_Day], _Months | None], _Clause] = {}
    for clause in clauses:
        known = found.setdefault((clause.days, clause.months), clause)
        if known is clause or known.state == clause.state:
            continue
        if not (known.ranges and clause.ranges) or known.appointment or clause.appointment:
            raise _NotUnderstoodError
        known.ranges = _ordered(known.ranges + clause.ranges)
    return list(found.values())


def _contradict(clauses: list[_Clause]) -> bool:
    """Whether two clauses speak of one day: nobody knows which one replaces the other."""
    seen: set[tuple[_Months | None, int, int]] = set()
    for clause in clauses:
        for day, rank in clause.days:
            weekly, key = (clause.months, day, 0), (clause.months, day, rank)
            others = {other for other in seen if other[:2] == key[:2]}
            if key in seen or weekly in seen or (rank == 0 and others):
                return True
        seen |= {(clause.months, day, rank) for day, rank in clause.days}
    return False


def _rules(clauses: list[_Clause]) -> list[str]:
    found: list[tuple[tuple[_Months | tuple[()], bool, int, int], str]] = []
    groups: dict[tuple[_Months | None, str, int], set[_Day]] = {}
    for clause in clauses:
        for day, rank in clause.days:
            ranked_day = day if rank else -1
            groups.setdefault((clause.months, clause.state, ranked_day), set()).add((day, rank))
    for (months, state, ranked_day), days in groups.items():
        selector = _ranked_text(days) if ranked_day >= 0 else _days_text({day for day, _ in days})
        words = (_month_text(months) if months else "", selector, state)
        first = min(days)
        key = (months or (), ranked_day >= 0, first[0], first[1])
        found.append((key, " ".join(filter(None, words))))
    return [rule for _, rule in sorted(found)]


def _days_text(days: set[int]) -> str:
    """Days as OpenStreetMap writes them: three or more in a row as a range."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" if len(run) > 2 else ",".join(_DAYS[d] for d in run)
        for run in runs
    )


def _ranked_text(days: set[_Day]) -> str:
    ranks = sorted((rank for _, rank in days), key=lambda rank: (rank < 0, rank))
    return f"{_DAYS[min(days)[0]]}[{','.join(map(str, ranks))}]"


def _month_text(months: _Months) -> str:
    first, last = months
    return _MONTHS[first] if first == last else f"{_MONTHS[first]}-{_MONTHS[last]}"


def _off_rank(rule: str) -> int:
    return _MONTHS.index(rule[:3]) if rule[:3] in _MONTHS else 12 + (rule == _HOLIDAYS[1])


def _clock_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
