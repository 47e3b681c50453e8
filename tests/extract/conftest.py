"""A local web server and a client that may reach it and nothing else, for whole harvests."""

from collections.abc import Iterator

import pytest

from lowtech_data.capture import Client
from tests.capture.conftest import LOOPBACK, FakeTime, Site, serve, to_loopback


@pytest.fixture
def site() -> Iterator[Site]:
    site = serve()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def time_() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(time_: FakeTime) -> Iterator[Client]:
    client = Client(
        contact="https://exemple.test/contact",
        allowed_networks=[LOOPBACK],
        resolve=to_loopback,
        clock=time_.clock,
        sleep=time_.sleep,
    )
    yield client
    client.close()
