"""Wallet logins: what is issued is taken once, signed by its own wallet, and nothing else is."""

from collections.abc import Callable

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from api.access.logins import MESSAGE_MS, STATEMENT, LoginError, Logins, checksummed
from api.access.messages import LoginMessage, MessageError, read_message

NOW_MS = 1_760_000_000_123
WALLET, OTHER = (Account.from_key(bytes([number]) * 32) for number in (1, 2))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def logins() -> Logins:
    """The logins to a public host."""
    return Logins("exchange.example", "https://exchange.example")


def sign(text: str, wallet: object = WALLET) -> str:
    """Return a wallet's signature of a text, as personal_sign gives it."""
    signed = wallet.sign_message(encode_defunct(text=text))  # type: ignore[attr-defined]
    return "0x" + bytes(signed.signature).hex()


def issued(logins: Logins) -> LoginMessage:
    return logins.challenge(WALLET.address, 1, NOW_MS)[0]


def refused(logins: Logins, text: str, signature: str, now_ms: int = NOW_MS) -> str:
    """Return the code of the refusal of a login."""
    with pytest.raises(LoginError) as error:
        logins.use(logins.check(text, signature, now_ms), now_ms)
    return error.value.code


def test_a_message_says_what_the_standard_says(logins: Logins) -> None:
    message, expires_ms = logins.challenge(WALLET.address.lower(), 137, NOW_MS)
    assert expires_ms == NOW_MS + MESSAGE_MS
    assert message.text == (
        "exchange.example wants you to sign in with your Ethereum account:\n"
        f"{WALLET.address}\n\n{STATEMENT}\n\n"
        "URI: https://exchange.example\nVersion: 1\nChain ID: 137\n"
        f"Nonce: {message.nonce}\n"
        "Issued At: 2025-10-09T08:53:20.123Z\nExpiration Time: 2025-10-09T08:58:20.123Z"
    )
    assert read_message(message.text) == message
    assert logins.challenge(WALLET.address, 137, NOW_MS)[0].nonce != message.nonce


def test_a_wallet_logs_in_once_a_message(logins: Logins) -> None:
    text = issued(logins).text
    proof = logins.check(text, sign(text), NOW_MS + MESSAGE_MS - 1)
    assert proof.account == WALLET.address
    logins.use(proof, NOW_MS)
    assert refused(logins, text, sign(text)) == "MESSAGE_USED"
    # The same by another form of the signature: the parity without its offset.
    written = sign(text)
    parity = int(written[-2:], 16) - 27
    assert refused(logins, text, f"{written[:-2]}{parity:02x}") == "MESSAGE_USED"
    again = issued(logins).text
    logins.use(logins.check(again, sign(again), NOW_MS), NOW_MS)


def test_used_messages_are_forgotten_when_they_cannot_be_used_anyway(logins: Logins) -> None:
    text = issued(logins).text
    proof = logins.check(text, sign(text), NOW_MS)
    logins.use(proof, NOW_MS)
    late_ms = NOW_MS + MESSAGE_MS
    other = logins.challenge(WALLET.address, 1, late_ms)[0].text
    logins.use(logins.check(other, sign(other), late_ms), late_ms)
    assert len(logins._used) == 1  # noqa: SLF001 - what is not forgotten piles up
    assert refused(logins, text, sign(text), late_ms) == "MESSAGE_EXPIRED"


ALTERED: dict[str, Callable[[LoginMessage], LoginMessage]] = {
    "domain": lambda m: m._replace(domain="exchange.example.evil"),
    "scheme": lambda m: m._replace(scheme="https"),
    "statement": lambda m: m._replace(statement="Sign in."),
    "no statement": lambda m: m._replace(statement=""),
    "uri": lambda m: m._replace(uri="https://evil.example"),
    "chain": lambda m: m._replace(chain_id="137"),
    "chain spelled otherwise": lambda m: m._replace(chain_id="01"),
    "nonce": lambda m: m._replace(nonce=m.nonce[:-1] + ("0" if m.nonce[-1] != "0" else "1")),
    "short nonce": lambda m: m._replace(nonce="12345678"),
    "issued": lambda m: m._replace(issued_at="2025-10-09T08:53:20.124Z"),
    "expires": lambda m: m._replace(expires_at="2099-10-09T08:58:20.123Z"),
    "never expires": lambda m: m._replace(expires_at=""),
    "not before": lambda m: m._replace(more="\nNot Before: 2025-10-09T08:53:20.123Z"),
    "request id": lambda m: m._replace(more="\nRequest ID: 7"),
    "resources": lambda m: m._replace(more="\nResources:\n- https://evil.example"),
    "address without checksum": lambda m: m._replace(address=m.address.lower()),
    "nonce of another address": lambda m: m._replace(address=OTHER.address),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_not_issued_is_refused(logins: Logins, what: str) -> None:
    """Signed by the wallet of the message, all the same."""
    altered = ALTERED[what](issued(logins))
    wallet = OTHER if altered.address == OTHER.address else WALLET
    assert refused(logins, altered.text, sign(altered.text, wallet)) == "MESSAGE_NOT_ISSUED"


def test_what_another_process_issued_is_refused(logins: Logins) -> None:
    """After a restart nothing that was issued or used before can be used."""
    text = issued(Logins("exchange.example", "https://exchange.example")).text
    assert refused(logins, text, sign(text)) == "MESSAGE_NOT_ISSUED"


def test_a_message_expires(logins: Logins) -> None:
    text = issued(logins).text
    assert refused(logins, text, sign(text), NOW_MS + MESSAGE_MS) == "MESSAGE_EXPIRED"


def test_only_the_wallet_of_the_message_signs_it(logins: Logins) -> None:
    text = issued(logins).text
    assert refused(logins, text, sign(text, OTHER)) == "SIGNATURE_WRONG"
    assert refused(logins, text, sign(text + " ")) == "SIGNATURE_WRONG"


def test_a_signature_has_one_form(logins: Logins) -> None:
    """The mirror image (high s), which verifies as well, and what is no signature."""
    text = issued(logins).text
    good = bytes.fromhex(sign(text)[2:])
    r, s, v = good[:32], int.from_bytes(good[32:64]), good[64]
    mirrored = r + (ORDER - s).to_bytes(32) + bytes([27 + (28 - v)])
    for bad in (
        mirrored,
        r + good[32:64] + bytes([v + 2]),
        bytes(32) + good[32:],
        r + bytes(32) + bytes([v]),
        ORDER.to_bytes(32) + good[32:],
        bytes([255]) * 32 + good[32:],
        (5).to_bytes(32) + good[32:],  # on the curve is no such point
    ):
        assert refused(logins, text, "0x" + bad.hex()) == "SIGNATURE_WRONG"
    for malformed in ("0x", "0x00", "0x" + good[:64].hex(), "0x" + (good + b"1").hex(), "0xzz"):
        assert refused(logins, text, malformed) == "MALFORMED"
    assert logins.check(text, sign(text), NOW_MS).account == WALLET.address


MESSAGE = LoginMessage(
    "h", WALLET.address, "s", "https://h", "1", "abcdefgh", "2025-10-09T08:53:20Z"
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        MESSAGE.text + "\n",
        MESSAGE.text.replace("\n", "\r\n"),
        MESSAGE.text.replace("Version: 1", "Version: 2"),
        MESSAGE.text.replace("Nonce: abcdefgh", "Nonce: abcdefg"),
        MESSAGE.text.replace("Nonce: abcdefgh", "Nonce: abcdefg\u0661"),
        MESSAGE.text.replace("Chain ID: 1", "Chain ID: \u0661"),
        MESSAGE.text.replace("URI: https://h", "URI: h"),
        MESSAGE.text.replace("\n\ns\n", "\ns\n"),
        MESSAGE.text.replace("\n\ns\n", "\n\ns\nt\n"),
        MESSAGE.text.replace("Issued At: 2025", "Issued At: 25"),
        MESSAGE.text.replace("URI: https://h\n", ""),
        MESSAGE.text.replace("0x", ""),
        MESSAGE.text + "\nRequest ID: 1\nNot Before: 2025-10-09T08:53:20Z",
        MESSAGE._replace(statement="s" * 3_000).text,
    ],
)
def test_what_is_no_message_is_refused(logins: Logins, text: str) -> None:
    with pytest.raises(MessageError):
        read_message(text)
    assert refused(logins, text, sign(text)) == "MALFORMED"


@pytest.mark.parametrize("statement", ["s", ""])
@pytest.mark.parametrize("expires_at", ["2025-10-09T08:53:20.5+02:00", ""])
@pytest.mark.parametrize("scheme", ["https", ""])
@pytest.mark.parametrize("more", ["", "\nRequest ID: ", "\nResources:\n- ipfs://a\n- https://b/c"])
def test_every_message_of_the_standard_is_read(
    statement: str, expires_at: str, scheme: str, more: str
) -> None:
    message = MESSAGE._replace(statement=statement, expires_at=expires_at, scheme=scheme, more=more)
    assert read_message(message.text) == message


def test_a_checksum_must_be_right() -> None:
    """The examples of EIP-55."""
    for address in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    ):
        assert checksummed(address) == address
        assert checksummed(address.lower()) == address
        for wrong in (address.swapcase(), address[:-1], address[2:], "0x" + address[2:].swapcase()):
            with pytest.raises(LoginError):
                checksummed(wrong)
