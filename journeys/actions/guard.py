"""Which addresses a URL that somebody typed may lead to. Providers' own base URLs, from settings, don't pass here.

A host is resolved once, every answer is checked, and the connection goes to a checked address: a name that resolves
differently a moment later (DNS rebinding) moves nothing. WEBHOOK_ALLOWED_HOSTS opens the way to inside services.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from ssrfguard import DEFAULT_DENIED, AddressTable, Block, BlockedURLError, Policy, Reach

# What the registries lack. The library's table decodes NAT64, 6to4 and Teredo, and judges the address inside.
_EXTRA: Final = (
    Block(ip_network("168.63.129.16/32"), "Cloud metadata (Azure WireServer)", "public, yet inside", Reach.DENIED),
    Block(ip_network("::ffff:0:0:0/96"), "IPv4-translated", "RFC2765", Reach.DENIED),
    # Of IPv6 only 2000::/3 is given out as global unicast (RFC 4291 §2.4); the longest prefix decides.
    Block(ip_network("::/0"), "Not global unicast", "RFC4291", Reach.DENIED),
    Block(ip_network("2000::/3"), "Global Unicast", "RFC4291", Reach.PERMITTED),
)
DENIED: Final = AddressTable((*DEFAULT_DENIED.blocks, *_EXTRA))

# A POST to a mail or shell port could be read as commands there.
PORTS: Final = frozenset({80, 443, *range(1024, 65536)})

_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class AllowList:
    """WEBHOOK_ALLOWED_HOSTS: hosts that may be reached wherever they resolve to (None is any port), and networks."""

    hosts: frozenset[tuple[str, int | None]]
    networks: tuple[IPv4Network | IPv6Network, ...]

    def names(self, host: str, port: int) -> bool:
        return (host, None) in self.hosts or (host, port) in self.hosts


@lru_cache(maxsize=8)
def parse_allow_list(entries: tuple[str, ...]) -> AllowList:
    """`host`, `host:port` or a network such as 10.0.0.0/8. Raises ImproperlyConfigured naming the wrong entry."""
    hosts: set[tuple[str, int | None]] = set()
    networks: list[IPv4Network | IPv6Network] = []
    for entry in entries:
        try:
            if "/" in entry:
                networks.append(ip_network(entry))
            else:
                hosts.add(_host(entry))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"WEBHOOK_ALLOWED_HOSTS holds {entry!r}, expected host, host:port or a network: {error}"
            ) from error
    return AllowList(frozenset(hosts), tuple(networks))


def allow_list() -> AllowList:
    return parse_allow_list(tuple(settings.WEBHOOK_ALLOWED_HOSTS))


@lru_cache(maxsize=8)
def policy(networks: Sequence[IPv4Network | IPv6Network]) -> Policy:
    """The policy of guarded requests; it is checked again when the socket is opened."""
    try:
        # Two addresses at most: each has the whole connect timeout.
        return Policy(
            denied_networks=DENIED,
            allowed_networks=tuple(networks),
            allowed_ports=PORTS,
            max_connection_attempts=2,
        )
    except ValueError as error:
        raise ImproperlyConfigured(f"WEBHOOK_ALLOWED_HOSTS: {error}") from error


def needs_guard(url: str) -> bool:
    """False when the allow list names the URL's host. Raises an SSRFGuardError if the URL itself is not permitted."""
    parts = urlsplit(url)
    allowed = allow_list()
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError as error:
        raise BlockedURLError(url, str(error)) from error
    if parts.scheme in ("http", "https") and allowed.names(parts.hostname or "", port):
        return False
    if port not in PORTS:
        raise BlockedURLError(url, f"port {port} is not for web requests")
    policy(allowed.networks).check_url(url)
    return True


def _host(entry: str) -> tuple[str, int | None]:
    try:
        return str(ip_address(entry)), None
    except ValueError:
        parts = urlsplit(f"//{entry}")
    if not parts.hostname or not _HOST.fullmatch(entry):
        raise ValueError("this is no host name")
    return parts.hostname, parts.port
