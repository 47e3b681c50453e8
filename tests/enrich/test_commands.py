"""What the commands say, and that nothing is lost without network."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

from lowtech_data import cli, enrich
from lowtech_data.cli import app
from lowtech_data.model import TABLES
from lowtech_data.warehouse import Warehouse, WarehouseBusyError
from tests.enrich.conftest import Service, always
from tests.enrich.test_addresses import geocoder
from tests.enrich.test_companies import CLOSED, answer, body

PLACE = {
    "entite": "initiative", "source_id": "liste", "nom": "Atelier Vélo du Port",
    "adresse": "12 rue du Port", "code_postal": "29900", "code_insee": "29039",
    "site_web": "https://www.atelier-du-port.fr/", "siret": "12345678200010",
}  # fmt: skip


def filled(root: Path, *rows: dict[str, Any]) -> Path:
    """A warehouse whose last refinement has these fiches."""
    root.mkdir()
    with duckdb.connect(str(Warehouse(root).database)) as con:
        con.execute(TABLES["fiches"].duckdb_ddl())
        for number, row in enumerate(rows):
            said = {**row, "cle_source": str(number)}
            con.execute(
                f"INSERT INTO fiches ({', '.join(said)}) VALUES ({', '.join('?' * len(said))})",
                list(said.values()),
            )
    return root


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """A place without a point; and one that its source lists no more, and a resource."""
    gone = PLACE | {"absent_depuis": "2026-01-01", "adresse": "1 rue Absente", "siret": "1" * 14}
    other = PLACE | {"entite": "ressource", "adresse": "1 rue du Livre", "siret": "2" * 14}
    return filled(tmp_path / "entrepot", PLACE, gone, other)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "ALLOWED_NETWORKS", ("127.0.0.1/32",))


def lowtech(*words: str) -> Result:
    return CliRunner().invoke(app, ["enrich", *words])


def kept(warehouse: Path) -> Iterator[str]:
    return (path.name for path in (warehouse / "enrichissements").glob("*.parquet"))


@pytest.mark.parametrize("what", ["adresses", "entreprises", "liens"])
@pytest.mark.usefixtures("offline")
def test_without_network_it_says_so_and_all_is_well(warehouse: Path, what: str):
    result = lowtech(what, "--warehouse", str(warehouse))
    assert result.exit_code == 0, result.output
    assert "Rien n’a pu être demandé" in result.output
    noun = {"adresses": "adresse", "entreprises": "organisme", "liens": "lien"}[what]
    assert f"1 {noun} à demander, 0 avec réponse, 1 pour" in result.output
    assert not list(kept(warehouse))


@pytest.mark.usefixtures("on_loopback")
def test_addresses_are_placed_once(warehouse: Path, service: Service):
    service.answers["/csv"] = geocoder
    command = (
        "adresses", "--warehouse", str(warehouse), "--service", service.url("/csv", "127.0.0.1"),
    )  # fmt: skip
    first = lowtech(*command)
    assert first.exit_code == 0, first.output
    assert "1 adresse à demander, 1 avec réponse, 0 pour une autre fois" in first.output
    assert "placée au numéro" in first.output
    assert "Fiches qui ont un point de plus : 1" in first.output
    again = lowtech(*command)
    assert "0 adresse à demander" in again.output
    assert "Fiches qui ont un point de plus : 1" in again.output
    assert len(service.asked) == 1


@pytest.mark.usefixtures("on_loopback")
def test_nothing_is_sent_beyond_the_maximum(warehouse: Path, service: Service):
    result = lowtech("adresses", "--warehouse", str(warehouse), "--max", "0",
                     "--service", service.url("/csv", "127.0.0.1"))  # fmt: skip
    assert result.exit_code == 0
    assert not service.asked


@pytest.mark.usefixtures("on_loopback")
def test_a_failing_service_is_no_failure_of_ours(warehouse: Path, service: Service):
    service.answers["/csv"] = always(400)
    result = lowtech("adresses", "--warehouse", str(warehouse),
                     "--service", service.url("/csv", "127.0.0.1"))  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "HTTP 400" in result.output


@pytest.mark.usefixtures("on_loopback")
def test_a_body_that_closed_is_shown(warehouse: Path, service: Service):
    service.answers["/search"] = always(200, answer(body(CLOSED, siege=CLOSED)))
    result = lowtech("entreprises", "--warehouse", str(warehouse),
                     "--service", service.url("/search", "127.0.0.1"))  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "liste:0 : établissement fermé le 2025-03-31, 12345678200010" in result.output


def test_two_passes_do_not_write_together(warehouse: Path):
    with enrich.held(Warehouse(warehouse)):
        result = lowtech("liens", "--warehouse", str(warehouse))
    assert isinstance(result.exception, WarehouseBusyError)


def test_before_the_first_run_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words = ["lowtech", "enrich", "liens", "--warehouse", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == cli.EXIT_NOTHING
    assert "lowtech run" in capsys.readouterr().err
