"""From a source to its bytes: polite, bounded, kept as received, and replayable without network."""

from lowtech_data.capture.address import Network, Resolver
from lowtech_data.capture.errors import CaptureError, FailureKind
from lowtech_data.capture.harvest import Harvest, HarvestedPage, harvest, replay
from lowtech_data.capture.http import Client
from lowtech_data.capture.store import Attempt, Capture, Store, instant

__all__ = [
    "Attempt",
    "Capture",
    "CaptureError",
    "Client",
    "FailureKind",
    "Harvest",
    "HarvestedPage",
    "Network",
    "Resolver",
    "Store",
    "harvest",
    "instant",
    "replay",
]
