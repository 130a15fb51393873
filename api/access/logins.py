"""Logins with a wallet: messages that are issued, and what makes a signed one good.

Nothing is kept of a message until it is used. Its nonce is random and bears the mark, under a
secret of this process, of all else that is said in it; a used one is known until it expires.
Accounts that are contracts (EIP-1271) cannot log in: to ask one takes a node of its chain.
"""

import hmac
import re
import secrets
from datetime import datetime
from typing import NamedTuple

from amm.units import MINUTE_MS
from api.access.messages import LoginMessage, MessageError, read_message
from api.clock import iso_millisecond

STATEMENT = (
    "Sign in to Evergamma. This makes a key that trades, provides and reads for a day; "
    "it cannot withdraw."
)
MESSAGE_MS = 5 * MINUTE_MS
"""How long a message can be used."""
_RANDOM = 16
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the group of secp256k1."""


class LoginError(Exception):
    """A login that is refused, with the code of the problem."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Proof(NamedTuple):
    """A message that was signed by its address; its nonce may have been used."""

    account: str
    nonce: str
    expires_ms: int


class Logins:
    """The logins to one domain."""

    def __init__(self, domain: str, uri: str) -> None:
        self._domain = domain
        self._uri = uri
        self._secret = secrets.token_bytes(32)
        self._used: dict[str, int] = {}

    def challenge(self, address: str, chain_id: int, now_ms: int) -> tuple[LoginMessage, int]:
        """Return a message for a wallet to sign, and when it expires.

        Raises:
            LoginError: The address is none, or its checksum is wrong.
        """
        expires_ms = now_ms + MESSAGE_MS
        message = LoginMessage(
            self._domain,
            checksummed(address),
            STATEMENT,
            self._uri,
            str(chain_id),
            secrets.token_hex(_RANDOM),
            iso_millisecond(now_ms),
            iso_millisecond(expires_ms),
        )
        return self._marked(message), expires_ms

    def _marked(self, message: LoginMessage) -> LoginMessage:
        """Return a message whose nonce bears the mark of all that is said in it."""
        mark = hmac.digest(self._secret, message.text.encode(), "sha256")
        return message._replace(nonce=message.nonce + mark[:_RANDOM].hex())

    def check(self, text: str, signature: str, now_ms: int) -> Proof:
        """Return the proof that somebody holds the wallet of a message; it may take a second.

        Raises:
            LoginError: The message was not issued here, has expired, or is not signed by its
                address.
        """
        try:
            message = read_message(text)
        except MessageError as error:
            raise LoginError("MALFORMED", f"message: {error}.") from None
        for name, expected in (
            ("domain", self._domain),
            ("statement", STATEMENT),
            ("uri", self._uri),
            ("scheme", ""),
            ("more", ""),
        ):
            if getattr(message, name) != expected:
                raise LoginError("MESSAGE_NOT_ISSUED", f"Its {name} is not {expected!r}.")
        unmarked = message._replace(nonce=message.nonce[: 2 * _RANDOM])
        if not hmac.compare_digest(self._marked(unmarked).text.encode(), text.encode()):
            detail = "Ask for a message again and sign it as it is: it is not as it was issued."
            raise LoginError("MESSAGE_NOT_ISSUED", detail)
        expires_ms = _milliseconds(message.expires_at)
        if now_ms >= expires_ms:
            raise LoginError("MESSAGE_EXPIRED", f"The message was good until {expires_ms}.")
        if signer_of(text, signature) != message.address:
            raise LoginError("SIGNATURE_WRONG", "The signature is not the wallet's of the message.")
        return Proof(message.address, message.nonce, expires_ms)

    def use(self, proof: Proof, now_ms: int) -> None:
        """Take a proof, once.

        Raises:
            LoginError: It was taken before.
        """
        if proof.nonce in self._used:
            raise LoginError("MESSAGE_USED", "The message was used; ask for another one.")
        self._used = {nonce: until for nonce, until in self._used.items() if until > now_ms}
        self._used[proof.nonce] = proof.expires_ms


def checksummed(address: str) -> str:
    """Return an address with its checksum (EIP-55); one that has a checksum must have it right.

    Raises:
        LoginError: It is no address, or not the one that was meant.
    """
    from eth_utils.address import to_checksum_address  # noqa: PLC0415 - takes its time

    if _ADDRESS.fullmatch(address):
        right, digits = str(to_checksum_address(address)), address[2:]
        if address == right or digits in (digits.lower(), digits.upper()):
            return right
    raise LoginError("MALFORMED", "address: not an Ethereum address, or its checksum is wrong.")


def signer_of(text: str, signature: str) -> str:
    """Return the address that signed a text (EIP-191), by a signature in its only form.

    Raises:
        LoginError: The signature is none.
    """
    from eth_account import Account  # noqa: PLC0415 - takes the better part of a second
    from eth_account.messages import encode_defunct  # noqa: PLC0415

    try:
        written = bytes.fromhex(signature.removeprefix("0x"))
        r, s = int.from_bytes(written[:32]), int.from_bytes(written[32:64])
        (v,) = written[64:]
    except ValueError:
        raise LoginError("MALFORMED", "signature: not 65 bytes in hex.") from None
    is_canonical = 0 < r < _ORDER and 0 < s <= _ORDER // 2 and v in (0, 1, 27, 28)
    if not is_canonical:
        raise LoginError("SIGNATURE_WRONG", "The signature is not in the form wallets give it.")
    standard = written[:64] + bytes([v % 27 + 27])
    try:
        return str(Account.recover_message(encode_defunct(text=text), signature=standard))
    except Exception:  # noqa: BLE001 - of the library's many, all say that there is no such key
        raise LoginError("SIGNATURE_WRONG", "The signature belongs to no wallet.") from None


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
