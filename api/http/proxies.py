"""Whose address counts, where a proxy stands in between."""

import ipaddress
from collections.abc import Iterable, Sequence


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
        chain = [each.strip() for value in forwarded for each in value.split(",") if each.strip()]
        for each in reversed(chain):
            if not self._is_trusted(each):
                return each
        return chain[0] if chain else peer
