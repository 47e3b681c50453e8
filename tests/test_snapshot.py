"""What one source's failures do: its last good fiches stay, with the state and the age said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest

from lowtech_data import capture, snapshot
from lowtech_data.extract.bounded import Reader
from tests.conftest import COLUMNS, Project, place_rows

FIRST = datetime(2026, 11, 1, 3, tzinfo=UTC)
SECOND = datetime(2026, 11, 8, 3, tzinfo=UTC)


class Listing:
    """A listing on the web whose answers a test decides."""

    def __init__(self) -> None:
        self.rows = place_rows("a")
        self.robots = "User-agent: *\nAllow: /\n"
        self.page: str | None = None
        listing = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/robots.txt":
                    self.answer(listing.robots, "text/plain")
                elif listing.page is not None:
                    self.answer(listing.page, "text/html")
                else:
                    lines = [",".join(COLUMNS)]
                    lines += [",".join(row[name] for name in COLUMNS) for row in listing.rows]
                    self.answer("\n".join(lines) + "\n", "text/csv")

            def answer(self, text: str, media_type: str) -> None:
                body = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", f"{media_type}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/liste.csv"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def listing() -> Iterator[Listing]:
    listing = Listing()
    yield listing
    listing.close()


@pytest.fixture
def web(project: Project, listing: Listing) -> Project:
    limits = {"pause_s": 0, "essais": 1, "delai_s": 5, "lecture_s": 3}
    project.listing("web", [], url=listing.url, limites=limits)
    return project


def refresh(project: Project, now: datetime, source_id: str = "web") -> snapshot.Outcome:
    registry = project.registry()
    client = capture.Client(
        contact="mailto:essai@example.org",
        allowed_networks=[ip_network("127.0.0.0/8")],
        sleep=lambda seconds: None,
    )
    try:
        return snapshot.refresh(
            registry[source_id], registry, project.warehouse, now=now, client=client
        )
    finally:
        client.close()


def unreachable(listing: Listing, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.close()


def forbidden(listing: Listing, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.robots = "User-agent: *\nDisallow: /\n"


def html_page(listing: Listing, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.page = "<!doctype html><title>Site en maintenance</title><h1>De retour bientôt</h1>"


def empty(listing: Listing, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.rows = []


def shrunk(listing: Listing, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.rows = listing.rows[: len(listing.rows) * 6 // 10]


def raising(listing: Listing, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.rows = listing.rows[1:]
    monkeypatch.setattr(snapshot, "READER", Reader("tests.extract.hostile_platforms:BROKEN"))


def hanging(listing: Listing, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.rows = listing.rows[1:]
    monkeypatch.setattr(snapshot, "READER", Reader("tests.extract.hostile_platforms:HANGING"))


FAILURES = {
    unreachable: ("erreur_acces", "127.0.0.1"),
    forbidden: ("erreur_acces", "robots"),
    html_page: ("rejetee_qualite", "maintenance"),
    empty: ("rejetee_volume", "aucune fiche"),
    shrunk: ("rejetee_volume", "−50 %"),
    raising: ("rejetee_qualite", "ZeroDivisionError"),
    hanging: ("rejetee_qualite", "lecture arrêtée au bout de 3 s (limites.lecture_s)"),
}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: f.__name__)
def test_a_failing_source_keeps_its_last_good_fiches(
    failure, web: Project, listing: Listing, monkeypatch: pytest.MonkeyPatch
):
    assert refresh(web, FIRST).status == "ok"
    known = snapshot.load(web.warehouse, "web")
    assert known is not None
    before = known.fiches()
    failure(listing, web, monkeypatch)

    outcome = refresh(web, SECOND)

    status, word = FAILURES[failure]
    after = snapshot.load(web.warehouse, "web")
    assert after is not None
    assert outcome.status == status
    assert outcome.failed
    assert word in (outcome.message or "")
    assert after.fiches() == before
    assert after.state.data_date == "2026-11-01"
    assert [row.statut for row in after.state.harvests] == ["ok", status]
    assert snapshot.health(web.registry()["web"], after.state) == "cassee"


def test_a_source_that_never_worked_has_a_state_and_no_fiche(web: Project, listing: Listing):
    listing.close()
    assert refresh(web, FIRST).status == "erreur_acces"
    known = snapshot.load(web.warehouse, "web")
    assert known is not None
    assert known.fiches().num_rows == 0
    assert known.state.data_date is None


def test_a_source_that_comes_back_is_healthy_again(web: Project, listing: Listing):
    refresh(web, FIRST)
    page, listing.page = listing.page, "<html></html>"
    refresh(web, SECOND)
    listing.page = page
    outcome = refresh(web, datetime(2026, 11, 15, 3, tzinfo=UTC))
    known = snapshot.load(web.warehouse, "web")
    assert known is not None
    assert outcome.status == "inchangee"
    assert known.state.data_date == "2026-11-15"
    assert snapshot.health(web.registry()["web"], known.state) == "ok"


def test_absent_fiches_stay_with_the_day_they_went(web: Project, listing: Listing):
    refresh(web, FIRST)
    gone = listing.rows.pop()
    listing.rows[0]["nom"] = "Atelier Vélo du Vieux Port"
    outcome = refresh(web, SECOND)
    known = snapshot.load(web.warehouse, "web")
    assert known is not None
    rows = {row["cle_source"]: row for row in known.fiches().to_pylist()}
    assert outcome.counts == {"nb_nouveaux": 0, "nb_modifies": 1, "nb_absents": 1}
    assert rows[gone["id"]]["absent_depuis"] == "2026-11-08"
    assert rows[gone["id"]]["derniere_vue"] == "2026-11-01"
    assert rows["a0"]["premiere_vue"] == "2026-11-01"
    assert rows["a0"]["derniere_vue"] == "2026-11-08"

    listing.rows.append(gone)
    refresh(web, datetime(2026, 11, 15, 3, tzinfo=UTC))
    known = snapshot.load(web.warehouse, "web")
    assert known is not None
    back = {row["cle_source"]: row for row in known.fiches().to_pylist()}[gone["id"]]
    assert back["absent_depuis"] is None
    assert back["premiere_vue"] == "2026-11-01"


def test_the_same_local_file_twice_changes_nothing(project: Project):
    project.listing("local", place_rows("a"), donnees_du="2026-11-01")
    refresh(project, FIRST, "local")
    link = project.warehouse.snapshot_link("local")
    first = link.resolve().name
    assert refresh(project, SECOND, "local").status == "inchangee"
    assert link.resolve().name == first


def test_growth_beyond_the_bound_is_published_with_a_warning(project: Project):
    project.listing("local", place_rows("a"), donnees_du="2026-11-01", bornes={"max": 3})
    outcome = refresh(project, FIRST, "local")
    known = snapshot.load(project.warehouse, "local")
    assert known is not None
    assert outcome.status == "ok"
    assert outcome.warnings
    assert snapshot.health(project.registry()["local"], known.state) == "degradee"


def test_a_true_loss_is_accepted_by_a_maximum_under_the_former_number(project: Project):
    project.listing("local", place_rows("a"), donnees_du="2026-11-01")
    refresh(project, FIRST, "local")
    project.listing("local", place_rows("a", 3), donnees_du="2026-11-08")
    assert refresh(project, SECOND, "local").status == "rejetee_volume"
    project.listing("local", place_rows("a", 3), donnees_du="2026-11-08", bornes={"max": 5})
    outcome = refresh(project, SECOND, "local")
    assert (outcome.status, outcome.present, outcome.counts["nb_absents"]) == ("ok", 3, 5)


def test_a_loss_under_the_minimum_is_refused(project: Project):
    project.listing("local", place_rows("a", 3), donnees_du="2026-11-01", bornes={"min": 5})
    assert refresh(project, FIRST, "local").status == "rejetee_volume"
