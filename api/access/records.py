"""A key as it is held in memory, and what narrows what it may do."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, get_args

from api.signing import secret_of
from api.wire import Role

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

ROLES: tuple[str, ...] = get_args(Role)
NETWORKS_MAX = 32
LOGIN = "wallet login"
"""What has made the keys that come of logins."""
FORGET_MS = 10 * 60_000
"""How long a key that comes of a login is remembered after its end."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}")
KEY_ID = re.compile(r"eg_[A-Za-z0-9_-]{20}")


class KeyRingError(ValueError):
    """Keys that cannot be read, or a key that cannot be made; the message is one line."""


class RotatedError(Exception):
    """The key has a successor already."""


class LoginsFullError(Exception):
    """As many keys of logins are known as can be."""


class Limits(NamedTuple):
    """What narrows a key.

    Attributes:
        expires_ms: From when on it is no more good; None: it stays.
        networks: Where it may be used from; none: anywhere.
        may_withdraw: Whether it may take money out, where its roles may.
    """

    expires_ms: int | None = None
    networks: tuple[Network, ...] = ()
    may_withdraw: bool = True

    def is_within(self, other: "Limits") -> bool:
        """Whether these limits leave nothing open that the others do not."""
        lasts = other.expires_ms is None or (
            self.expires_ms is not None and self.expires_ms <= other.expires_ms
        )
        return lasts and self._is_nearer(other) and self.may_withdraw <= other.may_withdraw

    def _is_nearer(self, other: "Limits") -> bool:
        if not other.networks:
            return True
        return bool(self.networks) and all(
            any(_is_part(each, whole) for whole in other.networks) for each in self.networks
        )

    def admit(self, address: Address) -> bool:
        """Whether a key may be used from an address."""
        return not self.networks or any(address in network for network in self.networks)


UNLIMITED = Limits()


def _is_part(part: Network, whole: Network) -> bool:
    if isinstance(part, ipaddress.IPv4Network) and isinstance(whole, ipaddress.IPv4Network):
        return part.subnet_of(whole)
    if isinstance(part, ipaddress.IPv6Network) and isinstance(whole, ipaddress.IPv6Network):
        return part.subnet_of(whole)
    return False


@dataclass(frozen=True)
class KeyRecord:
    """A key: whose it is and what for; times in milliseconds UTC.

    `made_by` is the key that made it, or how it came to be; `of_login` says whether it, or the
    key it descends from, came of a wallet login.
    """

    id: str
    account: str
    roles: frozenset[str]
    label: str | None
    created_ms: int
    revoked_ms: int | None
    master_key: bytes = field(repr=False, compare=False)
    limits: Limits = UNLIMITED
    rotated_from: str | None = None
    made_by: str = ""
    of_login: bool = False

    @cached_property
    def secret(self) -> str:
        """What requests are signed with; derived when first asked for."""
        return secret_of(self.master_key, self.id)

    @cached_property
    def is_narrow(self) -> bool:
        """Whether time and place have a say in whether it is good."""
        has_end = self.revoked_ms is not None or self.limits.expires_ms is not None
        return has_end or bool(self.limits.networks)

    @property
    def maker(self) -> str | None:
        """The key whose holder has its secret; what came of a login may be a successor."""
        return self.rotated_from if self.made_by == LOGIN else self.made_by

    @property
    def forget_ms(self) -> int | None:
        """From when on nobody need know of it; None: it stays for the record."""
        expires_ms = self.limits.expires_ms
        if not self.of_login or expires_ms is None:
            return None
        ended_ms = expires_ms if self.revoked_ms is None else min(self.revoked_ms, expires_ms)
        return ended_ms + FORGET_MS

    def is_good(self, now_ms: int) -> bool:
        """Whether it is neither revoked nor expired."""
        expires_ms = self.limits.expires_ms
        return self.revoked_ms is None and (expires_ms is None or now_ms < expires_ms)


def read_address(text: str) -> Address | None:
    """Return an address, None where it is none; IPv4 written as IPv6 is IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks in a certain order, each once.

    Raises:
        KeyRingError: One of them is none, or there are too many.
    """
    networks: set[Network] = set()
    for text in texts:
        try:
            networks.add(ipaddress.ip_network(text))
        except ValueError:
            raise KeyRingError(f"{text!r} is not a network such as 203.0.113.0/24") from None
    if len(networks) > NETWORKS_MAX:
        raise KeyRingError(f"a key has {NETWORKS_MAX} networks at most")
    return tuple(sorted(networks, key=lambda each: (each.version, str(each))))


def check_named(account: str, label: str | None) -> None:
    """Make sure that account and label are names.

    Raises:
        KeyRingError: One of them is none.
    """
    for name in (account, label):
        if name is not None and not NAME.fullmatch(name):
            raise KeyRingError(f"{name!r} is not a name of letters, digits and ._:@-")


def read_roles(roles: Iterable[str]) -> frozenset[str]:
    """Return roles.

    Raises:
        KeyRingError: One is unknown, or there is none.
    """
    asked = frozenset(roles)
    if not asked or not asked <= set(ROLES):
        raise KeyRingError(f"roles are {', '.join(ROLES)}; a key has one at least")
    return asked
