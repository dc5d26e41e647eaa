"""Where a request comes from: the peer's address, or the one that trusted proxies vouch for."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

Network = IPv4Network | IPv6Network
_FORWARDED: Final = b"x-forwarded-for"


class Sources:
    """Reads addresses; only a trusted proxy's X-Forwarded-For is believed, from its end to the first stranger."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        """Trust the proxies in these networks."""
        self._trusted: Final = tuple(trusted)

    def address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Return the address of the caller, empty where there is none (a Unix socket)."""
        client = scope.get("client")
        peer: str = client[0] if client else ""
        if not self._trusted or _FORWARDED not in headers or not self.is_trusted(peer):
            return peer
        for one in reversed(headers[_FORWARDED].decode("latin-1").split(",")):
            hop = _plain(one.strip())
            if hop is None:
                return peer
            peer = hop
            if not self.is_trusted(hop):
                break
        return peer

    def is_trusted(self, address: str) -> bool:
        """Whether the address is one of a trusted proxy."""
        found = _read(address)
        return found is not None and any(found in one for one in self._trusted)


@lru_cache(1024)
def network_of(address: str, ipv4_bits: int = 24, ipv6_bits: int = 56) -> str | None:
    """Return the network that an address is in, None for what is no address; by default, what one caller can change."""
    found = _read(address)
    if found is None:
        return None
    return str(ip_network((found, ipv4_bits if found.version == 4 else ipv6_bits), strict=False))


def _read(address: str) -> IPv4Address | IPv6Address | None:
    """Return an address without its zone, and an IPv4 one that is written as IPv6 as what it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _plain(text: str) -> str | None:
    """Return an address of X-Forwarded-For without brackets and port, None for what is no address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
