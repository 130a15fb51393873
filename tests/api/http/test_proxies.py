"""Whose address counts behind proxies."""

import pytest

from api.http.proxies import Proxies

HOUSE = ("127.0.0.1", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("203.0.113.1", [], "203.0.113.1"),
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.1, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.1", "198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", ["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        ("127.0.0.1", ["192.0.2.1, unknown"], "unknown"),
        ("unix", ["198.51.100.1"], "unix"),
    ],
)
def test_the_last_who_is_no_proxy_counts(peer: str, forwarded: list[str], caller: str) -> None:
    assert Proxies(HOUSE).caller(peer, forwarded) == caller
    assert Proxies().caller(peer, forwarded) == peer
