"""Where a request comes from, as far as limits are concerned."""

from __future__ import annotations

import ipaddress
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

#: One client has this many bits of an IPv6 address to itself.
_NETWORK_6 = 64


def source_of(scope: MutableMapping[str, Any]) -> str:
    """The client's address; of an IPv6 address its network. Behind a proxy that is trusted, what that says."""
    client = scope.get("client")
    return network_of(client[0]) if client else ""


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The address that limits count by. Text that cannot be read as an address is kept, at most 64 characters."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _NETWORK_6), strict=False))
