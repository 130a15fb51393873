"""Whose address counts behind proxies, and for which limits."""

import pytest
from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.http.gate import caller_of
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
        ("127.0.0.1", ["198.51.100.1:4433"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 10.1.2.3:80"], "198.51.100.1"),
        ("127.0.0.1", ["[2001:db8::1]:4433"], "2001:db8::1"),
        ("127.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_the_last_who_is_no_proxy_counts(peer: str, forwarded: list[str], caller: str) -> None:
    """As uvicorn has it for requests; what is upgraded must not be anybody else's."""
    assert Proxies(HOUSE).caller(peer, forwarded) == caller
    if Proxies(HOUSE).caller(peer, ["there"]) == "there" and forwarded:
        found, _ = _TrustedHosts(list(HOUSE)).get_trusted_client_address(", ".join(forwarded))
        assert found == caller
    assert Proxies().caller(peer, forwarded) == peer


@pytest.mark.parametrize(
    ("address", "other", "is_one"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:198.51.100.1", "198.51.100.1", True),
        ("::ffff:198.51.100.1", "::ffff:198.51.100.2", False),
        ("198.51.100.1", "198.51.100.2", False),
        ("unknown:", "unknown", False),
    ],
)
def test_who_has_a_network_has_one_bucket(address: str, other: str, is_one: bool) -> None:
    """Every subscriber has 2^64 addresses of IPv6."""
    assert (caller_of(None, address) == caller_of(None, other)) is is_one
