"""Where a request comes from: the peer's address, or the one that trusted proxies vouch for."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

Network = IPv4Network | IPv6Network
_FORWARDED: Final = b"x-forwarded-for"
# What one caller can change of their address at will.
_IPV4_BITS: Final = 24
_IPV6_BITS: Final = 56


class Sources:
    """Reads addresses; only a trusted proxy's X-Forwarded-For is believed, from its end to the first stranger."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        """Trust the proxies in these networks."""
        self._trusted: Final = tuple(trusted)

    def address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Return the address of the caller, empty where there is none (a Unix socket)."""
        client = scope.get("client")
        peer: str = client[0] if client else ""
        if not self._trusted or _FORWARDED not in headers or not self._is_trusted(peer):
            return peer
        for one in reversed(headers[_FORWARDED].decode("latin-1").split(",")):
            hop = _plain(one.strip())
            if hop is None:
                return peer
            peer = hop
            if not self._is_trusted(hop):
                break
        return peer

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found.version == one.version and found in one for one in self._trusted)


@lru_cache(1024)
def network_of(address: str) -> str:
    """Return the /24 or /56 that an address is in, `unknown` for what is no address."""
    try:
        version = ip_address(address).version
    except ValueError:
        return "unknown"
    return str(ip_network(f"{address}/{_IPV4_BITS if version == 4 else _IPV6_BITS}", strict=False))


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
