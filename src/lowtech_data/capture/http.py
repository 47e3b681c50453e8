"""Polite, bounded requests to the hosts that a source declares, and to no other machine.

`requests` alone follows redirects anywhere, times out per read only, and unpacks without limit.
Here, every connection goes to an address that was checked when it was opened; a deadline bounds a
whole response, headers included; bodies are streamed and counted after decompression; redirects are
followed by hand; robots.txt, pauses and `Retry-After` are obeyed.
"""

from __future__ import annotations

import http.client
import io
import logging
import random
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError

from lowtech_data.capture import robots as robots_txt
from lowtech_data.capture.address import (
    Network,
    Resolver,
    Target,
    checked_addresses,
    declared_target,
    read_target,
    system_resolver,
)
from lowtech_data.capture.errors import CaptureError, FailureKind, shown
from lowtech_data.extract.base import PAGING_HEADERS, Request
from lowtech_data.registry import Source, TlsException

MAX_REDIRECTS = 5
MAX_HEADER_BYTES = 64 * 1024
MAX_RETRY_AFTER_S = 300.0
"""A host that asks for a longer rest gets it: it is left until the next run."""
BACK_OFF_S = 2.0
MAX_BACK_OFF_S = 60.0
CONNECT_TIMEOUT_S = 15.0
"""Per address, so that one dead address of a host does not use up the deadline."""
CHUNK_BYTES = 64 * 1024
MAX_VALIDATOR_CHARACTERS = 1024
MAX_TLS_EXCEPTION = timedelta(days=366)

# Its debug lines repeat addresses, and an address may hold a person's.
logging.getLogger("urllib3").setLevel(logging.INFO)

_PRINTABLE_ASCII = "".join(map(chr, range(0x20, 0x7F)))
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class Validators:
    """What an earlier response gave to ask whether it still holds (RFC 9110 §8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validators:
        """Those of a response that can be sent back: the others would spoil every next request."""
        return cls(_sendable(headers.get("ETag")), _sendable(headers.get("Last-Modified")))

    @property
    def headers(self) -> dict[str, str]:
        """The conditional request headers."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of an accepted response; the body is read once, by `chunks`."""

    url: str
    """Where the response came from, after redirects."""
    status: int
    """200, or 304 when the earlier response still holds (there is then no body)."""
    validators: Validators
    media_type: str | None
    charset: str | None
    robots: str
    """Verdict of robots.txt: `autorise`, or `absent`."""
    headers: Mapping[str, str]
    """Those of `PAGING_HEADERS` that were sent."""
    chunks: Callable[[], Iterator[bytes]]
    """The body after decompression, in bounded pieces. Raises `CaptureError` (`taille`, `delai`,
    `corps_tronque`, `encodage`): what was read until then must be thrown away."""

    @property
    def unchanged(self) -> bool:
        """Whether the server answered that the earlier response still holds."""
        return self.status == http.HTTPStatus.NOT_MODIFIED


@dataclass(slots=True)
class _Host:
    """What politeness remembers of a host. Times are readings of the monotonic clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    last_end: float = float("-inf")
    rest_until: float = float("-inf")
    """Before this, a try again would come too early, for whatever source."""
    closed_until: float = float("-inf")


class Client:
    """Requests on behalf of sources. One instance serves a whole run, from any number of threads.

    `contact` is the address that the User-Agent gives to those who are harvested.
    `allowed_networks` may be contacted although they are not public (none, but in tests and on
    purpose); `ca_file` replaces the usual authorities.
    `clock` (monotonic seconds), `today`, `sleep`, `resolve` and `jitter` (0 to 1) are the outside
    world.
    """

    def __init__(
        self,
        *,
        contact: str,
        allowed_networks: Sequence[Network] = (),
        ca_file: Path | None = None,
        resolve: Resolver = system_resolver,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Prepare a client; nothing is contacted."""
        # One character that a header cannot hold would fail every request.
        reachable = quote(contact, safe=_PRINTABLE_ASCII)
        self.user_agent = f"{robots_txt.AGENT}/{version('lowtech-data')} (+{reachable})"
        self.clock = clock
        self._today = today
        self._sleep = sleep
        self._jitter = jitter
        self._resolve = resolve
        self._allowed = tuple(allowed_networks)
        self._verify = str(ca_file) if ca_file else True
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._hosts: dict[str, _Host] = {}
        self._robots: dict[str, robots_txt.Robots] = {}

    @contextmanager
    def get(
        self, source: Source, request: Request, previous: Validators | None = None
    ) -> Iterator[Reply]:
        """Request one page of a source; the host is held until the block ends.

        Raises `CaptureError` when it was not obtained, after retries where they make sense.
        """
        headers = {"Accept": request.accept, **(previous.headers if previous else {})}
        asked = requests.Request("GET", request.url, headers)
        with self._answer(source, asked) as (response, target, verdict):
            if response.status_code == http.HTTPStatus.NOT_MODIFIED and not (
                previous and previous.headers
            ):
                raise CaptureError(
                    FailureKind.STATUS,
                    f"{shown(target.url)} : réponse « inchangé » (304) à une demande sans "
                    "condition ; le cache du serveur est en défaut, prévenir l’éditeur",
                )
            session = self._session(source)
            media_type, charset = _content_type(response.headers.get("Content-Type"))
            sent = ((name, response.headers.get(name)) for name in PAGING_HEADERS)
            yield Reply(
                url=target.url,
                status=response.status_code,
                validators=Validators.of(response.headers),
                media_type=media_type,
                charset=charset,
                robots=verdict,
                headers={name: value for name, value in sent if value},
                chunks=lambda: session.body(response, target.url, source.limites.octets),
            )

    def post(
        self, service: Source, fields: Sequence[tuple[str, str]], name: str, content: bytes
    ) -> bytes:
        """Send a form with one CSV file, `name`, to the `url` of a service that is made for it;
        returns the body of its answer. Retries as `get` does; robots.txt speaks of pages and is not
        read. Raises `CaptureError`.
        """
        form = requests.Request(
            "POST",
            service.url,
            {"Accept": "text/csv"},
            data=list(fields),
            files={"data": (name, content, "text/csv")},
        )
        with self._answer(service, form, obey_robots=False) as (response, target, _):
            body = self._session(service).body(response, target.url, service.limites.octets)
            return b"".join(body)

    def look(self, site: Source, url: str, method: str) -> tuple[int, str | None]:
        """The status that an address answers, and where it sends on to; no body is read.

        Asked once, if robots.txt allows it; redirects are not followed. Raises `CaptureError`.
        """
        target = declared_target(site, url)
        rules = self._allowed_by_robots(site, target)
        pause = max(site.limites.pause_s, rules.crawl_delay)
        asked = requests.Request(method, target.url, {"Accept": "text/html, */*;q=0.5"})
        try:
            with self._exchange(site, target, asked, pause) as response:
                if _is_passing(response.status_code):
                    self._rest(target, response, 1)
                return response.status_code, response.headers.get("Location")
        except _ConnectionFailedError as failure:
            raise failure.error from failure

    def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            session.close()

    @contextmanager
    def _answer(
        self, source: Source, asked: requests.Request, *, obey_robots: bool = True
    ) -> Iterator[tuple[requests.Response, Target, str]]:
        """The first response that is neither a redirect nor an overload: 200 or 304."""
        target, redirects, tries, verdict = declared_target(source, asked.url), 0, 1, ""
        while True:
            pause = source.limites.pause_s
            if obey_robots:
                rules = self._allowed_by_robots(source, target)
                verdict = rules.verdict
                pause = max(pause, rules.crawl_delay)
            try:
                with self._exchange(source, target, asked, pause) as response:
                    status = response.status_code
                    if status in {http.HTTPStatus.OK, http.HTTPStatus.NOT_MODIFIED}:
                        yield response, target, verdict
                        return
                    if status in _REDIRECTS:
                        redirects += 1
                        target = _next_hop(source, target, response, redirects)
                        continue
                    if _is_passing(status):
                        self._rest(target, response, tries)
                    if not _is_passing(status) or tries >= source.limites.essais:
                        raise _bad_status(target, response, tries)
            except _ConnectionFailedError as failure:
                if tries >= source.limites.essais:
                    raise failure.error from failure
                self._hosts[target.host].rest_until = self.clock() + self._back_off(tries)
            tries += 1

    @contextmanager
    def _exchange(
        self, source: Source, target: Target, asked: requests.Request, pause: float
    ) -> Iterator[requests.Response]:
        """One request and the head of its response, when it is the host's turn."""
        request = copy(asked)
        request.url = target.url
        session = self._session(source)
        seconds = source.limites.delai_s
        with self._turn(target, pause), closing(session.send(request, seconds)) as response:
            yield response

    @contextmanager
    def _turn(self, target: Target, pause: float) -> Iterator[None]:
        """One request at a time per host, `pause` seconds after the previous one ended."""
        with self._lock:
            host = self._hosts.setdefault(target.host, _Host())
        with host.lock:
            if self.clock() < host.closed_until:
                raise CaptureError(
                    FailureKind.OVERLOAD,
                    f"{shown(target.url)} : {target.host} a demandé une pause plus longue que "
                    "cette exécution ; nouvel essai à la prochaine",
                )
            if (wait := max(host.last_end + pause, host.rest_until) - self.clock()) > 0:
                self._sleep(wait)
            try:
                yield
            finally:
                host.last_end = self.clock()

    def _rest(self, target: Target, response: requests.Response, tries: int) -> None:
        """Leave the host alone before the next try, and until the next run when it asks for it."""
        asked = _retry_after(response)
        # Our turn on this host is held: nobody else reads or writes its state.
        host = self._hosts[target.host]
        if asked is None:
            asked = self._back_off(tries)
        if asked > MAX_RETRY_AFTER_S:
            host.closed_until = self.clock() + asked
            raise CaptureError(
                FailureKind.OVERLOAD,
                f"{shown(target.url)} : HTTP {response.status_code}, le serveur demande d’attendre "
                f"{asked:g} s (au plus {MAX_RETRY_AFTER_S:.0f} s ici) ; "
                "nouvel essai à la prochaine exécution",
            )
        host.rest_until = self.clock() + asked

    def _back_off(self, tries: int) -> float:
        return float(min(BACK_OFF_S * 2 ** (tries - 1), MAX_BACK_OFF_S) * (1 + self._jitter()) / 2)

    def _allowed_by_robots(self, source: Source, target: Target) -> robots_txt.Robots:
        rules = self._robots.get(target.origin)
        if rules is None or self.clock() - rules.read_at > robots_txt.MAX_AGE_S:
            rules = self._robots[target.origin] = self._read_robots(source, target)
        if not rules.allows(target.url):
            raise CaptureError(
                FailureKind.ROBOTS,
                f"{shown(target.url)} : robots.txt de {target.host} l’interdit à "
                f"{robots_txt.AGENT} ; mettre la source en pause, "
                "ou demander l’accord de l’éditeur",
            )
        if rules.crawl_delay > robots_txt.MAX_CRAWL_DELAY_S:
            raise CaptureError(
                FailureKind.ROBOTS,
                f"{shown(target.url)} : robots.txt de {target.host} demande "
                f"{rules.crawl_delay:g} s entre deux requêtes (au plus "
                f"{robots_txt.MAX_CRAWL_DELAY_S:g} s ici) ; demander un export à l’éditeur",
            )
        return rules

    def _read_robots(self, source: Source, target: Target) -> robots_txt.Robots:
        """RFC 9309 §2.3.1: 4xx is no rules; a failure is a refusal, and is not remembered."""
        url = urljoin(target.url, "/robots.txt")
        try:
            asked = requests.Request("GET", url, {"Accept": "text/plain"})
            with self._answer(source, asked, obey_robots=False) as (response, _, _):
                if response.status_code != http.HTTPStatus.OK:
                    raise _bad_status(target, response, 1)
                body = self._session(source).head_of_body(response, url, robots_txt.MAX_BYTES)
        except CaptureError as error:
            if error.status:
                if 400 <= error.status < 500 and error.status != _TOO_MANY_REQUESTS:
                    return robots_txt.Robots(None, self.clock())
                raise CaptureError(
                    FailureKind.ROBOTS,
                    f"{error.message} ; sans robots.txt lisible, rien n’est demandé à"
                    f" {target.host}",
                ) from error
            if error.kind in {FailureKind.REDIRECT, FailureKind.STATUS}:
                raise CaptureError(FailureKind.ROBOTS, error.message) from error
            raise
        return robots_txt.parse(body, self.clock())

    def _session(self, source: Source) -> _Session:
        """The source's own session: nothing is shared between sources but politeness."""
        with self._lock:
            if source.id not in self._sessions:
                line = _Line(self._resolve, self._allowed, self.clock, self._pin(source))
                self._sessions[source.id] = _Session(line, self.user_agent, self._verify)
            return self._sessions[source.id]

    def _pin(self, source: Source) -> _Pin | None:
        """The certificate that a source's exception names, as long as the exception lasts."""
        if source.tls is None:
            return None
        today = self._today()
        if source.tls.jusqu_au > today + MAX_TLS_EXCEPTION:
            raise CaptureError(
                FailureKind.TLS,
                f"source {source.id} : tls.jusqu_au ({source.tls.jusqu_au}) est à plus d’un an ; "
                "une exception est revue chaque année, mettre une date plus proche",
            )
        return _Pin(read_target(source.url).host, source.tls, today > source.tls.jusqu_au)


class _ConnectionFailedError(Exception):
    """A connection that could not be made or was cut before the response: worth another try."""

    def __init__(self, error: CaptureError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class _Pin:
    """A source's TLS exception, for the host of its `url` alone."""

    host: str
    exception: TlsException
    expired: bool


class _Line:
    """What the connections of one session share: who may be reached, how, and until when."""

    def __init__(
        self,
        resolve: Resolver,
        allowed: Sequence[Network],
        clock: Callable[[], float],
        pin: _Pin | None,
    ) -> None:
        self.pin = pin
        self._resolve = resolve
        self._allowed = allowed
        self._clock = clock
        self._expires_at = float("-inf")
        self.surplus = False
        """Whether bytes came after the announced end of the last response."""

    def start(self, seconds: float) -> None:
        self._expires_at = self._clock() + seconds
        self.surplus = False

    @property
    def expired(self) -> bool:
        return self._clock() >= self._expires_at

    def remaining(self) -> float:
        if self.expired:
            raise TimeoutError("deadline of the response")
        return self._expires_at - self._clock()

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to an address that was just checked: no second look-up can deceive."""
        host = host.strip("[]")
        failure: OSError | None = None
        for address in checked_addresses(host, port, self._resolve, self._allowed):
            try:
                timeout = min(self.remaining(), CONNECT_TIMEOUT_S)
                return socket.create_connection((address, port), timeout)
            except OSError as error:
                failure = error
        if self.expired:
            raise _late(f"{host}:{port}")
        raise _ConnectionFailedError(
            CaptureError(
                FailureKind.CONNECTION,
                f"{shown(host)}:{port} : connexion impossible ({failure}) ; "
                "vérifier que le site répond, sinon attendre la prochaine exécution",
            )
        )


class _TimedRaw(io.RawIOBase):
    """Bytes of a socket, each read bounded by what remains of the response's deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, line: _Line) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._line = line
        self.frozen = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.frozen:
            return None
        self._sock.settimeout(self._line.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedReader(io.BufferedReader):
    """Buffered bytes that notice, when the response ends, that more had come than was announced."""

    def __init__(self, raw: _TimedRaw, line: _Line) -> None:
        super().__init__(raw)
        self._timed = raw
        self._line = line

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            # A chunk of negative length (RFC 9112 §7.1) would read without end into memory.
            raise http.client.HTTPException("longueur de morceau négative")
        return super().read(size)

    def close(self) -> None:
        if not self.closed:
            self._timed.frozen = True
            self._line.surplus = bool(self.peek(1))
        super().close()


def _pool_classes(line: _Line) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools whose connections are made and timed by `line`.

    Names are sent and certificates checked against authorities and the name, not the address;
    where a source pins a certificate, against that certificate and nothing else.
    """

    class TimedResponse(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            raw: Any = self.fp.detach()
            self.fp = _TimedReader(_TimedRaw(raw, sock, line), line)

    class Plain(HTTPConnection):
        response_class = TimedResponse

        def _new_conn(self) -> socket.socket:
            return line.connect(self.host, self.port or 80)

    class Secure(HTTPSConnection):
        response_class = TimedResponse

        def __init__(self, host: str, *args: Any, **kwargs: Any) -> None:
            if line.pin and not line.pin.expired and _same_host(host, line.pin.host):
                # An expired or self-signed certificate passes no authority: its bytes are compared
                # at the end of the handshake, which also proves that the server holds its key.
                kwargs |= {
                    "cert_reqs": "CERT_NONE",
                    "assert_fingerprint": line.pin.exception.empreinte,
                }
            super().__init__(host, *args, **kwargs)

        def _new_conn(self) -> socket.socket:
            return line.connect(self.host, self.port or 443)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    def __init__(self, line: _Line) -> None:
        self._line = line
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(self._line)


class _RequestsSession(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: `requests` would read the whole body of a redirect, even when not following it."""
        return None


class _Session:
    """The connections of one source: no environment, no cookie, no credentials."""

    def __init__(self, line: _Line, user_agent: str, verify: str | bool) -> None:
        self._line = line
        self._verify = verify
        self._requests = _RequestsSession()
        self._requests.trust_env = False
        self._requests.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._requests.headers.clear()
        self._requests.headers.update(
            {"User-Agent": user_agent, "Accept-Encoding": "gzip, identity"}
        )
        self._requests.adapters.clear()
        for scheme in ("https://", "http://"):
            self._requests.mount(scheme, _Adapter(line))

    def close(self) -> None:
        self._requests.close()

    def send(self, asked: requests.Request, seconds: float) -> requests.Response:
        """The head of one response. Raises `_ConnectionFailedError` when another try may do."""
        url = asked.url
        prepared = self._requests.prepare_request(asked)
        self._line.start(seconds)
        try:
            response = self._requests.send(
                prepared, stream=True, allow_redirects=False, timeout=seconds, verify=self._verify
            )
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._failure(url, error) from error
        if oddity := _oddity(response.headers):
            response.close()
            raise CaptureError(
                FailureKind.RESPONSE,
                f"{shown(url)} : {oddity} ; ce n’est pas une réponse normale, vérifier l’adresse",
            )
        return response

    def body(self, response: requests.Response, url: str, limit: int) -> Iterator[bytes]:
        """The decoded body, refused as soon as it is over `limit` bytes."""
        total = 0
        for chunk in _decoded(response, url, self._wire_bytes(response, url)):
            total += len(chunk)
            if total > limit:
                raise CaptureError(
                    FailureKind.SIZE,
                    f"{shown(url)} : plus de {limit} octets une fois décompressé ; "
                    "si la liste est vraiment si grande, augmenter limites.octets de la source",
                )
            yield chunk

    def head_of_body(self, response: requests.Response, url: str, limit: int) -> bytes:
        """The start of the decoded body: one byte over `limit` says that there was more."""
        kept = bytearray()
        for chunk in _decoded(response, url, self._wire_bytes(response, url)):
            kept += chunk
            if len(kept) > limit:
                break
        return bytes(kept[: limit + 1])

    def _wire_bytes(self, response: requests.Response, url: str) -> Iterator[bytes]:
        while True:
            try:
                chunk = response.raw.read(CHUNK_BYTES, decode_content=False)
            except (HTTPError, OSError) as error:
                raise self._cut(url, error) from error
            if not chunk:
                break
            yield chunk
        if self._line.surplus:
            raise CaptureError(
                FailureKind.TRUNCATED,
                f"{shown(url)} : le corps est plus long que la taille annoncée ; "
                "réponse écartée, prévenir l’éditeur si cela dure",
            )

    def _failure(self, url: str, error: Exception) -> CaptureError | _ConnectionFailedError:
        reason = _reason(error)
        if self._line.expired or isinstance(error, requests.Timeout):
            return _late(url)
        if isinstance(error, requests.exceptions.SSLError):
            return CaptureError(
                FailureKind.TLS,
                f"{shown(url)} : certificat refusé ({reason}) ; {_tls_advice(self._line.pin)}",
            )
        if _is_malformed(error):
            return CaptureError(
                FailureKind.RESPONSE,
                f"{shown(url)} : réponse HTTP illisible ({reason}) ; vérifier l’adresse",
            )
        return _ConnectionFailedError(
            CaptureError(
                FailureKind.CONNECTION,
                f"{shown(url)} : connexion coupée avant la réponse ({reason}) ; "
                "nouvel essai à la prochaine exécution",
            )
        )

    def _cut(self, url: str, error: Exception) -> CaptureError:
        if self._line.expired or isinstance(error, ReadTimeoutError):
            return _late(url)
        what = (
            "plus court que la taille annoncée"
            if any(isinstance(cause, http.client.IncompleteRead) for cause in _causes(error))
            else f"interrompu ({_reason(error)})"
        )
        return CaptureError(
            FailureKind.TRUNCATED,
            f"{shown(url)} : corps {what} ; réponse écartée, nouvel essai à la prochaine exécution",
        )


def _tls_advice(pin: _Pin | None) -> str:
    if pin is None:
        return "prévenir l’éditeur ; s’il tarde, une exception datée se déclare par tls"
    if pin.expired:
        return f"l’exception tls de la source est échue depuis le {pin.exception.jusqu_au}"
    return "si l’éditeur a changé de certificat, ôter tls de la source ou refaire son empreinte"


def _same_host(one: str, other: str) -> bool:
    return one.strip("[]").rstrip(".").lower() == other.strip("[]")


def _oddity(headers: Mapping[str, str]) -> str | None:
    """What makes the end or the size of a response doubtful, if anything does."""
    size = sum(len(name) + len(value) for name, value in headers.items())
    if size > MAX_HEADER_BYTES:
        return f"{size} octets d’en-têtes (au plus {MAX_HEADER_BYTES})"
    transfer = headers.get("Transfer-Encoding", "chunked").strip()
    if transfer.lower() != "chunked":
        return f"mode de transfert « {shown(transfer)} »"
    length = headers.get("Content-Length", "0")
    # The same length may be given twice (RFC 9110 §8.6).
    lengths = {part.strip() for part in length.split(",")}
    if len(lengths) > 1 or not re.fullmatch(r"[0-9]{1,18}", lengths.pop()):
        return f"taille annoncée « {shown(length)} »"
    return None


def _sendable(validator: str | None) -> str | None:
    fits = validator and len(validator) <= MAX_VALIDATOR_CHARACTERS
    return validator if fits and re.fullmatch(r"[!-~]([ -~]*[!-~])?", validator or "") else None


def _late(url: str) -> CaptureError:
    return CaptureError(
        FailureKind.DEADLINE,
        f"{shown(url)} : réponse incomplète à la fin du délai ; "
        "si le site est lent, augmenter limites.delai_s de la source",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _reason(error: BaseException) -> str:
    """What happened first: libraries wrap it in words that say less."""
    *_, first = _causes(error)
    return shown(str(first) or type(first).__name__)


def _is_malformed(error: BaseException) -> bool:
    """Whether what came back was not acceptable HTTP, as opposed to a connection that was cut."""
    for cause in _causes(error):
        if isinstance(cause, http.client.RemoteDisconnected | ConnectionError):
            return False
        if isinstance(cause, http.client.HTTPException | requests.exceptions.InvalidHeader):
            return True
    return False


def _decoded(response: requests.Response, url: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        yield from chunks
    elif encoding in {"gzip", "x-gzip"}:
        yield from _gunzip(url, chunks)
    else:
        raise CaptureError(
            FailureKind.ENCODING,
            f"{shown(url)} : encodage « {shown(encoding)} » alors que seuls gzip et identity sont "
            "demandés ; prévenir l’éditeur",
        )


def _gunzip(url: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress in pieces of `CHUNK_BYTES` at most, however much one piece of input expands."""
    unpacker = None
    try:
        for chunk in chunks:
            pending = chunk
            while pending:
                unpacker = unpacker or zlib.decompressobj(16 + zlib.MAX_WBITS)
                yield unpacker.decompress(pending, CHUNK_BYTES)
                pending = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                if unpacker.eof:
                    unpacker = None
        while unpacker and (piece := unpacker.decompress(b"", CHUNK_BYTES)):
            yield piece
    except zlib.error as error:
        raise CaptureError(
            FailureKind.ENCODING, f"{shown(url)} : gzip illisible ({error}) ; réponse écartée"
        ) from error
    if unpacker and not unpacker.eof:
        raise CaptureError(
            FailureKind.TRUNCATED,
            f"{shown(url)} : gzip incomplet ; réponse écartée, "
            "nouvel essai à la prochaine exécution",
        )


def _next_hop(
    source: Source, target: Target, response: requests.Response, redirects: int
) -> Target:
    location = response.headers.get("Location")
    if not location:
        raise CaptureError(
            FailureKind.REDIRECT,
            f"{shown(target.url)} : redirection (HTTP {response.status_code}) sans destination ; "
            "vérifier l’adresse de la source",
        )
    if redirects > MAX_REDIRECTS:
        raise CaptureError(
            FailureKind.REDIRECT,
            f"{shown(target.url)} : plus de {MAX_REDIRECTS} redirections ; "
            "corriger l’adresse de la source",
        )
    location = location.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        url = urljoin(target.url, location)
        following = declared_target(source, url)
    except (CaptureError, ValueError) as error:
        raise CaptureError(
            FailureKind.REDIRECT,
            f"redirection depuis {shown(target.url)} vers {shown(location)} refusée : "
            f"{shown(str(error))}",
        ) from error
    if target.scheme == "https" and following.scheme == "http":
        raise CaptureError(
            FailureKind.REDIRECT,
            f"{shown(target.url)} : redirection de https vers http ({shown(url)}) refusée ; "
            "prévenir l’éditeur",
        )
    return following


def _is_passing(status: int) -> bool:
    return status == _TOO_MANY_REQUESTS or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR


def _bad_status(target: Target, response: requests.Response, tries: int) -> CaptureError:
    status = response.status_code
    kind, advice = FailureKind.STATUS, "vérifier l’adresse de la source"
    if status in {_TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE}:
        kind, advice = FailureKind.OVERLOAD, "nouvel essai à la prochaine exécution"
    elif status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = "panne du site : attendre, puis prévenir l’éditeur"
    elif status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
        advice = "l’accès est refusé : demander l’accord de l’éditeur"
    elif status in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE}:
        advice = "la liste a été déplacée ou retirée : chercher sa nouvelle adresse"
    tried = f" après {tries} essais" if tries > 1 else ""
    message = f"{shown(target.url)} : HTTP {status}{tried} ; {advice}"
    return CaptureError(kind, message, status=status)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds asked by `Retry-After`, a number or a date; `None` when it asks for nothing readable.

    A date is compared with the server's own `Date`: both come from the same clock.
    """
    given = response.headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        until = parsedate_to_datetime(given)
        at = parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=UTC) - at.replace(tzinfo=UTC)).total_seconds())


_MEDIA_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*(?:;|$)", re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:+-]{1,40})", re.ASCII | re.IGNORECASE)


def _content_type(header: str | None) -> tuple[str | None, str | None]:
    found = _MEDIA_TYPE.match(header or ""), _CHARSET.search(header or "")
    media_type, charset = (match.group(1).lower() if match else None for match in found)
    return media_type, charset
