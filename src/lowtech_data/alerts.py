"""What is worth telling the people in charge after a run, once per change of state, and telling it.

A source that breaks is told once, again when it stays broken (`REMINDERS`), and when it recovers: a
run that finds the same as the one before says nothing. What was told is kept in the warehouse, and
only once it left: an alert that could not be sent is tried again by the next run. Nothing here ever
makes a run fail.
"""

from __future__ import annotations

import json
import logging
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from email.message import EmailMessage
from typing import Literal

import requests

from lowtech_data import files, settings
from lowtech_data.acceptance import Waiting
from lowtech_data.model import LISTS
from lowtech_data.redact import redacted
from lowtech_data.settings import Mail
from lowtech_data.snapshot import Outcome
from lowtech_data.warehouse import Warehouse

_log = logging.getLogger(__name__)

REMINDERS = (7, 30, 90)
"""Days of one failure after which it is told again."""

RELAPSE_DAYS = 30
"""A source that breaks again this soon after its recovery is said to."""

TIMEOUT_S = 15.0
"""For a mail server or a webhook that does not answer: the run must end."""

STATE_FILE = "alertes.json"

MAX_TEXT = 600
"""Characters of one alert: the rest is in `lowtech diagnose`."""

_STATUS = {code.code: code.label_fr.lower() for code in LISTS["moisson_statut"]}

Kind = Literal["panne", "panne_durable", "rechute", "retablie", "refus", "premiere_moisson"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One change of state worth a person's time. The text holds no personal data."""

    kind: Kind
    source_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Failing:
    """A failure that was told."""

    since: str
    """Day of its first failed harvest (ISO 8601)."""
    reminded: int = 0
    """How many of `REMINDERS` are behind."""


@dataclass(frozen=True, slots=True)
class Told:
    """What people already know."""

    failing: Mapping[str, Failing] = field(default_factory=dict)
    recovered: Mapping[str, str] = field(default_factory=dict)
    """Source → day of its last recovery."""
    refused: str | None = None
    """Why nothing could be published, when the last run that tried could not."""
    waiting: tuple[str, ...] = ()
    """Sources whose first harvest waits."""


@dataclass(slots=True)
class Run:
    """What one run saw, filled as it goes."""

    outcomes: list[Outcome] = field(default_factory=list)
    waiting: Mapping[str, Waiting] | None = None
    """First harvests that wait for a person; `None` when the run did not get that far."""
    problems: list[str] = field(default_factory=list)
    """What kept a release from being published, in words."""
    published: bool = False


def decide(run: Run, told: Told, *, today: date) -> tuple[list[Alert], Told]:
    """What a run changes of what people know: alerts by source in order, then the release.

    Pure: the same run given with the `Told` that it returned gives no alert.
    """
    failing, recovered = dict(told.failing), dict(told.recovered)
    found: list[Alert] = []
    for outcome in sorted(run.outcomes, key=lambda o: o.source_id):
        name = outcome.source_id
        if outcome.failed:
            alert, failing[name] = _broken(outcome, failing.get(name), recovered.get(name), today)
            found += [alert] if alert else []
        elif name in failing:
            since = failing.pop(name).since
            recovered[name] = today.isoformat()
            found.append(Alert("retablie", name, f"rétablie ; en panne depuis le {since}"))
    waiting = told.waiting if run.waiting is None else tuple(sorted(run.waiting))
    for name, first in sorted((run.waiting or {}).items()):
        if name not in told.waiting:
            text = _short(f"{first.what} ; à faire : {first.advice}")
            found.append(Alert("premiere_moisson", name, text))
    refused = _refusal(run, told.refused)
    if refused and refused != told.refused:
        found.append(Alert("refus", None, f"rien n’a été publié : {refused}"))
    return found, Told(failing, recovered, refused, waiting)


def _broken(
    outcome: Outcome, known: Failing | None, recovered: str | None, today: date
) -> tuple[Alert | None, Failing]:
    why = _short(f"{_STATUS[outcome.status]} : {outcome.message or 'sans message'}")
    kept = f" ; données du {outcome.data_date} gardées" if outcome.data_date else ""
    if known is None:
        since = outcome.row.debut[:10] if outcome.row else today.isoformat()
        again = recovered and (today - date.fromisoformat(recovered)).days <= RELAPSE_DAYS
        said = f"de nouveau en panne, rétablie le {recovered}" if again else "en panne"
        alert = Alert("rechute" if again else "panne", outcome.source_id, f"{said} ; {why}{kept}")
        return alert, Failing(since, _passed(since, today))
    days = (today - date.fromisoformat(known.since)).days
    passed = _passed(known.since, today)
    if passed <= known.reminded:
        return None, known
    text = f"en panne depuis {days} jours ({known.since}) ; {why}{kept}"
    return Alert("panne_durable", outcome.source_id, text), replace(known, reminded=passed)


def _passed(since: str, today: date) -> int:
    days = (today - date.fromisoformat(since)).days
    return sum(days >= limit for limit in REMINDERS)


def _refusal(run: Run, before: str | None) -> str | None:
    if run.problems and not run.published:
        return _short(" ; ".join(dict.fromkeys(run.problems)))
    return None if run.published else before


def _short(text: str) -> str:
    clean = redacted(text)
    return clean if len(clean) <= MAX_TEXT else f"{clean[:MAX_TEXT]}…"


def load(warehouse: Warehouse) -> Told:
    """What was told before; nothing when the file is absent or cannot be read, so that an alert is
    sent twice rather than never.
    """
    path = warehouse.root / STATE_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Told(
            {name: Failing(**known) for name, known in found["failing"].items()},
            found["recovered"],
            found["refused"],
            tuple(found["waiting"]),
        )
    except FileNotFoundError:
        return Told()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        _log.warning("alerts: unreadable state, started again: %s", path)
        return Told()


def save(warehouse: Warehouse, told: Told) -> None:
    """Keep what was told."""
    text = json.dumps(asdict(told), ensure_ascii=False, indent=1, sort_keys=True)
    files.write_bytes(warehouse.root / STATE_FILE, text.encode())


Channel = Callable[[str, str, Sequence[Alert]], None]
"""Sends a subject and a text, with the alerts that they come from. Raises `DeliveryError`."""


class DeliveryError(RuntimeError):
    """A message that did not leave; says by which channel and why, without address or secret."""


def channels(environ: Mapping[str, str] | None = None) -> list[Channel]:
    """The ways to tell people that the environment names: mail, webhook, both or none.

    Raises `ValueError` when they are named wrongly.
    """
    given = {} if environ is None else {"environ": environ}
    mail, webhook = settings.mail(**given), settings.webhook(**given)
    found: list[Channel] = []
    if mail:
        found.append(by_mail(mail))
    if webhook:
        found.append(by_webhook(webhook))
    return found


def by_mail(mail: Mail) -> Channel:
    """One plain message to all recipients. Without the encryption asked for, nothing leaves."""

    def send(subject: str, text: str, alerts: Sequence[Alert]) -> None:
        message = EmailMessage()
        message["From"], message["To"] = mail.sender, ", ".join(mail.recipients)
        message["Subject"] = subject
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        try:
            with _connected(mail) as server:
                if mail.encryption == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if mail.user:
                    server.login(mail.user, mail.password or "")
                server.send_message(message)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            # The text of these errors may repeat addresses and credentials.
            code = getattr(error, "smtp_code", "")
            raise DeliveryError(f"mail: {type(error).__name__} {code}".strip()) from None

    return send


def _connected(mail: Mail) -> smtplib.SMTP:
    if mail.encryption == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=TIMEOUT_S, context=context)
    return smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT_S)


def by_webhook(url: str) -> Channel:
    """A JSON object: `text`, which chat services show as it is, and `alertes`, for programs."""

    def send(subject: str, text: str, alerts: Sequence[Alert]) -> None:
        rows = [{"type": a.kind, "source": a.source_id, "texte": a.text} for a in alerts]
        content = {"text": f"{subject}\n\n{text}", "alertes": rows}
        try:
            # A redirect would hand the message to an address that nobody chose.
            with requests.post(
                url, json=content, timeout=TIMEOUT_S, allow_redirects=False
            ) as reply:
                status = reply.status_code
        except (requests.RequestException, ValueError) as error:
            # Its text repeats the address, which is a secret.
            raise DeliveryError(f"webhook: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise DeliveryError(f"webhook: HTTP {status}")

    return send


def deliver(
    ways: Sequence[Channel], subject: str, text: str, alerts: Sequence[Alert] = ()
) -> list[str]:
    """Send by every channel; returns why some did not take it, in words fit for a log."""
    failures = []
    for send in ways:
        try:
            send(redacted(subject), text, alerts)
        except DeliveryError as error:
            failures.append(str(error))
    return failures


def tell(
    run: Run, warehouse: Warehouse, *, today: date, environ: Mapping[str, str] | None = None
) -> list[Alert]:
    """Send what a run changed, and remember it if at least one channel took it.

    Returns the alerts that left. Without a channel nothing is remembered: whoever sets one up later
    learns at once what is then broken. Never raises: a run does not fail for want of a mail.
    """
    try:
        ways = channels(environ)
    except ValueError as error:
        _log.error("alerts: %s", error)
        return []
    if not ways:
        return []
    try:
        told = load(warehouse)
        alerts, now_told = decide(run, told, today=today)
        failures = deliver(ways, subject(alerts), body(alerts), alerts) if alerts else []
        for failure in failures:
            _log.error("alerts: not sent: %s", failure)
        if len(failures) == len(ways):
            return []
        if now_told != told:
            save(warehouse, now_told)
    except Exception as error:
        # The message may hold what was being sent.
        _log.error("alerts: %s", type(error).__name__)
        return []
    return alerts


def subject(alerts: Sequence[Alert]) -> str:
    """One line: how many, and about what."""
    about = list(dict.fromkeys(alert.source_id or "publication" for alert in alerts))
    more = "…" if len(about) > 4 else ""
    plural = "s" if len(alerts) > 1 else ""
    return f"[lowtech-data] {len(alerts)} alerte{plural} : {', '.join(about[:4])}{more}"


def body(alerts: Sequence[Alert]) -> str:
    """One paragraph per alert, then what to do next."""
    told = [f"{alert.source_id or 'publication'} : {alert.text}" for alert in alerts]
    return "\n\n".join([*told, "Détails et marche à suivre : lowtech diagnose [SOURCE]"]) + "\n"
