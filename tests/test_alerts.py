"""What is told after a run: once per change of state, by mail or webhook, and nothing personal."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data import alerts, settings
from lowtech_data.acceptance import Waiting
from lowtech_data.alerts import Run, Told
from lowtech_data.snapshot import HarvestRow, Outcome
from lowtech_data.warehouse import Warehouse

DAY = date(2026, 11, 20)
SECRET = "jeton-tres-secret"


def outcome(source_id: str, status: str = "ok", message: str | None = None) -> Outcome:
    row = HarvestRow("2026-11-20T03:17:00Z", "2026-11-20T03:18:00Z", status, message=message)
    return Outcome(source_id, status, 12, row, data_date="2026-11-01")


def broken(source_id: str, message: str = "HTTP 500") -> Outcome:
    return outcome(source_id, "erreur_acces", message)


def kinds(run: Run, told: Told, day: date = DAY) -> tuple[list[tuple[str, str | None]], Told]:
    found, now_told = alerts.decide(run, told, today=day)
    return [(alert.kind, alert.source_id) for alert in found], now_told


def test_a_source_is_told_when_it_breaks_and_when_it_recovers_and_not_between():
    said, told = kinds(Run([outcome("a"), broken("b")]), Told())
    assert said == [("panne", "b")]
    said, told = kinds(Run([outcome("a"), broken("b")]), told, DAY + timedelta(1))
    assert said == []
    said, told = kinds(Run([outcome("a")]), told, DAY + timedelta(2))
    assert said == [], "a run that did not ask b says nothing of it"
    said, told = kinds(Run([outcome("b", "inchangee")]), told, DAY + timedelta(3))
    assert said == [("retablie", "b")]
    said, told = kinds(Run([outcome("b")]), told, DAY + timedelta(4))
    assert said == []


def test_a_source_that_stays_broken_is_told_again_a_few_times():
    told = Told()
    days = []
    for n in range(120):
        said, told = kinds(Run([broken("a")]), told, DAY + timedelta(n))
        days += [n] if said else []
    assert days == [0, 7, 30, 90]


def test_a_relapse_is_named_with_the_day_of_the_recovery():
    _, told = kinds(Run([broken("a")]), Told())
    _, told = kinds(Run([outcome("a")]), told, DAY + timedelta(2))
    (found,), told = alerts.decide(Run([broken("a")]), told, today=DAY + timedelta(5))
    assert found.kind == "rechute"
    assert "rétablie le 2026-11-22" in found.text
    _, told = kinds(Run([outcome("a")]), told, DAY + timedelta(6))
    said, _ = kinds(Run([broken("a")]), told, DAY + timedelta(60))
    assert said == [("panne", "a")]


def test_a_refused_release_is_told_until_one_is_published():
    refused = Run([], problems=["volume : 3 initiatives contre 90"])
    said, told = kinds(refused, Told())
    assert said == [("refus", None)]
    said, told = kinds(refused, told)
    assert said == []
    said, told = kinds(Run([outcome("a")]), told)
    assert said == [], "a harvest that publishes nothing by itself changes nothing"
    said, told = kinds(Run([], problems=["licences : une fiche interdite"]), told)
    assert said == [("refus", None)], "refused for another reason"
    said, told = kinds(Run([], published=True), told)
    assert (said, told.refused) == ([], None)
    assert kinds(refused, told)[0] == [("refus", None)]


def test_a_first_harvest_that_waits_is_told_once():
    run = Run([outcome("a")], waiting={"a": Waiting("a", 12, "2026-11-20")})
    (found,), told = alerts.decide(run, Told(), today=DAY)
    assert (found.kind, found.source_id) == ("premiere_moisson", "a")
    assert "lowtech sources accept a" in found.text
    assert kinds(run, told)[0] == []
    assert kinds(Run([outcome("b")]), told)[1].waiting == ("a",)
    assert kinds(Run([], waiting={}), told)[1].waiting == ()


STATUSES = st.sampled_from(["ok", "inchangee", "erreur_acces", "rejetee_qualite", "rejetee_volume"])
RUNS = st.builds(
    lambda statuses, problems, published: Run(
        [outcome(name, status, "raison") for name, status in statuses.items()],
        problems=problems,
        published=published,
    ),
    st.dictionaries(st.sampled_from("abcd"), STATUSES),
    st.lists(st.sampled_from(["p", "q"]), max_size=2),
    st.booleans(),
)


@given(st.lists(RUNS, max_size=8))
def test_the_same_run_again_never_says_anything(runs: list[Run]):
    told = Told()
    for n, run in enumerate(runs):
        day = DAY + timedelta(days=5 * n)
        _, told = alerts.decide(run, told, today=day)
        assert alerts.decide(run, told, today=day) == ([], told)


@given(st.lists(RUNS, max_size=8))
def test_what_is_failing_is_what_failed_last(runs: list[Run]):
    told, last = Told(), {}
    for run in runs:
        _, told = alerts.decide(run, told, today=DAY)
        last |= {o.source_id: o.failed for o in run.outcomes}
    assert set(told.failing) == {name for name, failed in last.items() if failed}


class _Mailbox(socketserver.StreamRequestHandler):
    """The least of SMTP (RFC 5321): takes every message, offers no encryption."""

    def handle(self) -> None:
        self.wfile.write(b"220 essai\r\n")
        while line := self.rfile.readline().strip():
            command = line[:4].upper()
            if command == b"EHLO":
                self.wfile.write(b"250-essai\r\n250 8BITMIME\r\n")
            elif command == b"DATA":
                self.wfile.write(b"354 dites\r\n")
                content = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    content += part
                self.server.received.append(content)  # type: ignore[attr-defined]
                self.wfile.write(b"250 pris\r\n")
            elif command == b"QUIT":
                self.wfile.write(b"221 adieu\r\n")
                return
            else:
                self.wfile.write(b"250 oui\r\n")


@dataclass
class Listener:
    """A mail server and a webhook on loopback, with the environment that names them."""

    mails: list[bytes]
    posts: list[Any] = field(default_factory=list)
    status: int = 204
    environ: dict[str, str] = field(default_factory=dict)

    def only(self, prefix: str) -> dict[str, str]:
        return {name: value for name, value in self.environ.items() if name.startswith(prefix)}


@pytest.fixture
def listener() -> Iterator[Listener]:
    mailbox = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox)
    mailbox.received = []  # type: ignore[attr-defined]
    found = Listener(mailbox.received)  # type: ignore[attr-defined]

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append((self.path, json.loads(body)))
            self.send_response(found.status)
            self.send_header("Location", "/ailleurs")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    hook = HTTPServer(("127.0.0.1", 0), Hook)
    servers = (mailbox, hook)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    found.environ = {
        "LOWTECH_SMTP_HOTE": "127.0.0.1",
        "LOWTECH_SMTP_PORT": str(mailbox.server_address[1]),
        "LOWTECH_SMTP_CHIFFREMENT": "aucun",
        "LOWTECH_SMTP_DE": "base@exemple.test",
        "LOWTECH_SMTP_A": "equipe@exemple.test veille@exemple.test",
        "LOWTECH_WEBHOOK": f"http://127.0.0.1:{hook.server_port}/{SECRET}",
    }
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def tell(run: Run, warehouse: Warehouse, environ: dict[str, str]) -> list[alerts.Alert]:
    return alerts.tell(run, warehouse, today=DAY, environ=environ)


PERSONAL = "« jeanne.dupont@exemple.org, 06 12 34 56 78 » au lieu d’une liste"


def test_a_mail_and_a_post_leave_once_without_personal_data(
    listener: Listener, warehouse: Warehouse
):
    run = Run([broken("alpha", PERSONAL), outcome("beta")])
    assert len(tell(run, warehouse, listener.environ)) == 1
    assert tell(run, warehouse, listener.environ) == []

    (raw,) = listener.mails
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == "[lowtech-data] 1 alerte : alpha"
    assert mail["To"] == "equipe@exemple.test, veille@exemple.test"
    text = mail.get_content()
    assert "alpha : en panne ; erreur d’accès" in text
    ((path, post),) = listener.posts
    assert path == f"/{SECRET}"
    assert [(a["type"], a["source"]) for a in post["alertes"]] == [("panne", "alpha")]
    for sent in (text, json.dumps(post, ensure_ascii=False)):
        assert "jeanne" not in sent
        assert "56 78" not in sent
        assert "au lieu d’une liste" in sent


def test_what_could_not_be_sent_is_sent_by_the_next_run(
    listener: Listener, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
):
    hook = listener.only("LOWTECH_WEBHOOK")
    run = Run([broken("alpha")])
    listener.status = 500
    assert tell(run, warehouse, hook) == []
    assert "HTTP 500" in caplog.text
    listener.status = 302
    assert tell(run, warehouse, hook) == []
    listener.status = 200
    assert [a.kind for a in tell(run, warehouse, hook)] == ["panne"]
    assert {path for path, _ in listener.posts} == {f"/{SECRET}"}, "a redirect is not followed"
    assert SECRET not in caplog.text


def test_one_channel_that_works_is_enough(listener: Listener, warehouse: Warehouse):
    listener.status = 500
    run = Run([broken("alpha")])
    assert len(tell(run, warehouse, listener.environ)) == 1
    assert tell(run, warehouse, listener.environ) == []
    assert len(listener.mails) == 1


def test_nothing_leaves_without_the_encryption_asked_for(
    listener: Listener, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
):
    environ = listener.only("LOWTECH_SMTP") | {
        "LOWTECH_SMTP_CHIFFREMENT": "starttls",
        "LOWTECH_SMTP_UTILISATEUR": "base@exemple.test",
        "LOWTECH_SMTP_MOT_DE_PASSE": SECRET,
    }
    with caplog.at_level(logging.DEBUG):
        assert tell(Run([broken("alpha")]), warehouse, environ) == []
    assert listener.mails == []
    assert "SMTPNotSupportedError" in caplog.text
    assert SECRET not in caplog.text
    assert "@exemple.test" not in caplog.text


def test_without_a_channel_nothing_is_remembered(listener: Listener, warehouse: Warehouse):
    run = Run([broken("alpha")])
    assert tell(run, warehouse, {}) == []
    assert [a.kind for a in tell(run, warehouse, listener.environ)] == ["panne"]


@pytest.mark.parametrize(
    "environ",
    [
        {"LOWTECH_WEBHOOK": f"http://127.0.0.1:1/{SECRET}"},
        {"LOWTECH_WEBHOOK": f"pas une adresse {SECRET}"},
        {"LOWTECH_SMTP_HOTE": "127.0.0.1", "LOWTECH_SMTP_PORT": "1", "LOWTECH_SMTP_DE": "a@b.test",
         "LOWTECH_SMTP_A": "a@b.test"},
        {"LOWTECH_SMTP_HOTE": "127.0.0.1"},
        {"LOWTECH_SMTP_HOTE": "127.0.0.1", "LOWTECH_SMTP_PORT": SECRET},
    ],
)  # fmt: skip
def test_nobody_to_answer_or_wrong_settings_never_fail_a_run_and_tell_no_secret(
    environ: dict[str, str], warehouse: Warehouse, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG):
        assert tell(Run([broken("alpha")]), warehouse, environ) == []
    assert "alerts: " in caplog.text
    assert SECRET not in caplog.text


def test_a_state_that_cannot_be_read_tells_again(listener: Listener, warehouse: Warehouse):
    run = Run([broken("alpha")])
    tell(run, warehouse, listener.environ)
    (warehouse.root / alerts.STATE_FILE).write_text('{"failing": 3')
    assert len(tell(run, warehouse, listener.environ)) == 1
    assert alerts.load(warehouse).failing["alpha"].since == "2026-11-20"


def test_a_password_is_never_shown_nor_sent_in_the_clear(listener: Listener):
    environ = listener.environ | {"LOWTECH_SMTP_MOT_DE_PASSE": SECRET}
    with pytest.raises(ValueError, match="en clair"):
        settings.mail(environ)
    kept = settings.mail(environ | {"LOWTECH_SMTP_CHIFFREMENT": "tls"})
    assert kept is not None
    assert SECRET not in repr(kept)
