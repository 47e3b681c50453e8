"""Where a request may go: the reading of an address, and which machines are public.

An address is read once, by the same reader as the HTTP library, so that what is checked is what is
requested. Machines are judged by the numbers that their name resolves to, never by the name.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from lowtech_data.capture.errors import CaptureError, FailureKind, shown
from lowtech_data.registry import Source

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolver = Callable[[str, int], Sequence[str]]
"""Host name and port → every IP address of the host, as text. Raises `OSError` when it has none."""

DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_PROTOCOL_ASSIGNMENTS = IPv4Network("192.0.0.0/24")
_FORBIDDEN_CHARACTERS = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was read: `url` is what will be requested, the rest says where it goes."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a robots.txt applies to."""
        return f"{self.scheme}://{self.host}:{self.port}"


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet, seen through the forms that hide an IPv4.

    `is_global` alone is not enough: it holds for multicast, and for 6to4 and NAT64 forms of private
    addresses. Sources: IANA special-purpose registries, RFC 6052 (NAT64), RFC 3056 (6to4).
    """
    if isinstance(address, IPv6Address):
        hidden = _hidden_ipv4(address)
        if hidden is not None:
            return is_public(hidden)
        return address in _GLOBAL_UNICAST and address.is_global
    return address.is_global and not address.is_multicast and address not in _PROTOCOL_ASSIGNMENTS


def _hidden_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def checked_addresses(
    host: str, port: int, resolve: Resolver, allowed: Sequence[Network]
) -> list[str]:
    """The addresses of a host, when all of them may be contacted.

    One refused address refuses the host: a name with a public and a private address is a trap.
    Raises `CaptureError` (`dns`, `acces_prive`).
    """
    try:
        answers = list(resolve(host, port))
        addresses = [ip_address(answer) for answer in answers]
    except (OSError, ValueError) as error:
        raise CaptureError(
            FailureKind.DNS,
            f"{shown(host)} : nom introuvable ({error}) ; "
            "vérifier l’adresse de la source et le DNS",
        ) from error
    if not addresses:
        raise CaptureError(
            FailureKind.DNS,
            f"{shown(host)} : ce nom n’a aucune adresse ; vérifier l’adresse de la source",
        )
    refused = [
        str(address)
        for address in addresses
        if not is_public(address) and not any(address in network for network in allowed)
    ]
    if refused:
        raise CaptureError(
            FailureKind.PRIVATE_ADDRESS,
            f"{shown(host)} : mène à une adresse non publique ({', '.join(refused)}) ; "
            "seules les machines publiques sont moissonnées, corriger url ou hotes de la source",
        )
    return answers


def read_target(url: str) -> Target:
    """Read an address as the HTTP library will.

    Raises `CaptureError` (`adresse`) for anything but a plain http or https address.
    """
    given = url.strip(" ").replace(" ", "%20")
    if _FORBIDDEN_CHARACTERS.search(given):
        raise _bad_address(url, "caractère interdit (barre inverse ou caractère de contrôle)")
    try:
        scheme = parse_url(given).scheme
        if scheme not in DEFAULT_PORTS:
            raise _bad_address(url, "attendu : une adresse http ou https")
        prepared = requests.Request("GET", given).prepare().url or ""
        parts = parse_url(prepared.partition("#")[0])
    except (requests.RequestException, HTTPError, ValueError) as error:
        raise _bad_address(url, f"adresse illisible ({shown(str(error))})") from error
    if not parts.host:
        raise _bad_address(url, "adresse sans hôte")
    if parts.auth is not None:
        raise _bad_address(url, "un nom d’utilisateur dans une adresse n’est pas admis")
    return Target(
        url=parts.url,
        scheme=scheme,
        host=parts.host.rstrip(".").lower(),
        port=parts.port or DEFAULT_PORTS[scheme],
    )


def declared_target(source: Source, url: str) -> Target:
    """Read an address and check that the source declares where it goes.

    The host is that of the source's `url` or one of `hotes`; the port 80, 443 or that of `url`.
    Raises `CaptureError` (`adresse`).
    """
    target = read_target(url)
    own = read_target(source.url)
    hosts = {own.host, *(read_target(f"https://{host}/").host for host in source.hotes)}
    if target.host not in hosts:
        raise _bad_address(
            url,
            f"l’hôte {shown(target.host)} n’est pas déclaré par la source {source.id} ; "
            "s’il est légitime, l’ajouter à hotes dans le fichier des sources",
        )
    if target.port not in {*DEFAULT_PORTS.values(), own.port}:
        raise _bad_address(
            url, f"port {target.port} refusé ; admis : 80, 443 et celui de l’url de la source"
        )
    return target


def _bad_address(url: str, reason: str) -> CaptureError:
    without_password = re.sub(r"//[^/?#@]*@", "//…@", url)
    return CaptureError(FailureKind.ADDRESS, f"{shown(without_password)} : {reason}")
