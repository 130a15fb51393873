"""The message a wallet signs to log in: EIP-4361, written and read to the letter."""

import re
from typing import NamedTuple

_URI = r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_MESSAGE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<domain>[A-Za-z0-9._~:\[\]@!$&'()*+,;=%-]+)"
    r" wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n"
    r"\n"
    r"(?:(?P<statement>[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;= -]+)\n)?"
    r"\n"
    rf"URI: (?P<uri>{_URI})\n"
    r"Version: (?P<version>1)\n"
    r"Chain ID: (?P<chain_id>[0-9]{1,18})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,128})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expires_at>{_TIME}))?"
    rf"(?P<more>(?:\nNot Before: {_TIME})?"
    r"(?:\nRequest ID: [A-Za-z0-9._~:@!$&'()*+,;=%-]*)?"
    rf"(?:\nResources:(?:\n- {_URI})*)?)"
)
LENGTH_MAX = 2_000


class MessageError(ValueError):
    """What was signed is not a message of EIP-4361."""


class LoginMessage(NamedTuple):
    """What is said in a message.

    Attributes:
        domain: Host the wallet logs in to.
        address: The wallet's, with its checksum.
        statement: What is agreed to.
        uri: What the login is for.
        chain_id: Network of the wallet.
        nonce: Nobody's but this message's.
        issued_at: RFC 3339.
        expires_at: RFC 3339; empty: never.
        scheme: In front of the domain; empty without one.
        more: Other lines at the end.
    """

    domain: str
    address: str
    statement: str
    uri: str
    chain_id: str
    nonce: str
    issued_at: str
    expires_at: str = ""
    scheme: str = ""
    more: str = ""

    @property
    def text(self) -> str:
        """The message as it is signed."""
        scheme = f"{self.scheme}://" if self.scheme else ""
        statement = f"{self.statement}\n" if self.statement else ""
        expires = f"\nExpiration Time: {self.expires_at}" if self.expires_at else ""
        return (
            f"{scheme}{self.domain} wants you to sign in with your Ethereum account:\n"
            f"{self.address}\n\n{statement}\n"
            f"URI: {self.uri}\nVersion: 1\nChain ID: {self.chain_id}\nNonce: {self.nonce}\n"
            f"Issued At: {self.issued_at}{expires}{self.more}"
        )


def read_message(text: str) -> LoginMessage:
    """Return what a message says.

    Raises:
        MessageError: It is not of EIP-4361.
    """
    found = _MESSAGE.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if found is None:
        raise MessageError("this is not a message of EIP-4361")
    parts = found.groupdict(default="")
    del parts["version"]
    message = LoginMessage(**parts)
    assert message.text == text  # what is compared is all there is
    return message
