"""The local web server and the client of the capture tests, for whole harvests of a platform."""

from tests.capture.conftest import client, site, time_

__all__ = ["client", "site", "time_"]
