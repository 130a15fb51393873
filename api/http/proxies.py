"""Whose address counts, where a proxy stands in between, and which are one caller's."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::.*)?|([^:]*):[0-9]+")
_OWN_BITS = 64
"""Of an IPv6 address: whoever has one has all that begin with the same, and may use each once."""


@lru_cache(4_096)
def place_of(text: str) -> str:
    """Return what limits of an address count: itself, of IPv6 its network of 64 bits."""
    if ":" not in text:
        return text
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return text
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, _OWN_BITS), strict=False))


class Proxies:
    """The proxies that are believed in what `X-Forwarded-For` says.

    uvicorn does the same for requests; what is upgraded to a WebSocket has left it by then.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = [ipaddress.ip_network(each) for each in trusted]

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def caller(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return who asks: the last one of the chain who is no trusted proxy.

        Args:
            peer: The address at the other end of the connection.
            forwarded: Values of the header.
        """
        if not self._is_trusted(peer):
            return peer
        parts = [each.strip() for value in forwarded for each in value.split(",")]
        chain = [_without_port(each) for each in parts if each]
        for each in reversed(chain):
            if not self._is_trusted(each):
                return each
        return chain[0] if chain else peer


def _without_port(text: str) -> str:
    """Return an address without the port that some proxies name too."""
    found = _WITH_PORT.fullmatch(text)
    return (found[1] or found[2] or "") if found else text
