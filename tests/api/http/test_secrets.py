"""No secret is anywhere but in the answer that shows it: not on disk, not in what is printed."""

import base64
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from api.client import Client
from tests.api.http.harness import Server, Wire, fresh, signed

WALLET = Account.from_key(b"s" * 32)


def spellings(secret: bytes) -> set[bytes]:
    """Return a secret as it is, in hex and in base 64."""
    return {
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
    }


def written(server: Server) -> dict[Path, bytes]:
    """Return every file of the server but the one that holds the master key."""
    files = (each for each in server.folder.rglob("*") if each.is_file())
    return {each: each.read_bytes() for each in files if each.name != "k"}


@pytest.mark.file
def test_secrets_are_nowhere(server: Server) -> None:
    """After keys were made in every way, used, misused and ended, and somebody has logged in."""
    operator = server.operator.operator
    owner = server.wire("sue", "trade", "read")
    assert owner.key is not None
    made = owner.change("POST", "/v1/keys", {"roles": ["read"]}).json()
    rotated = owner.change("POST", "/v1/keys/rotate", {}).json()
    rotated_by_operator = operator.rotate_key(made["id"])
    stranger = Client(server.url, http=server.http, retries=0)
    challenge = stranger.login_challenge(WALLET.address)
    signature = bytes(WALLET.sign_message(encode_defunct(text=challenge.message)).signature)
    login = stranger.log_in(challenge.message, "0x" + signature.hex())
    operator.revoke_key(login.id)

    signatures = []
    for method, target, key in (
        ("GET", "/v1/account", None),
        ("POST", "/v1/keys", fresh("key")),
        ("POST", "/v1/operator/pause", fresh("key")),
        ("GET", "/v1/operator/keys", None),
    ):
        body = b"{}" if key else b""
        headers = signed(owner.key, method, target, body, key)
        signatures.append(headers["EG-Signature"])
        server.http.request(method, server.url + target, content=body, headers=headers)
    # Mistakes of a caller: a secret where the id belongs, and one where the signature does.
    for wrong in ({"EG_Key": owner.key.secret}, {"EG_Signature": owner.key.secret}):
        Wire(server, owner.key).send("POST", "/v1/operator/pause", {}, fresh("key"), **wrong)
    assert signatures[0]

    keys = [server.key, owner.key, rotated_by_operator, login]
    texts = [each.secret or "" for each in keys] + [made["secret"], rotated["secret"]]
    secrets = {bytes.fromhex(each) for each in [*texts, *signatures]} | {signature}
    secrets.add((server.folder / "k").read_bytes())
    assert len(secrets) == len(texts) + len(signatures) + 2
    found = written(server)
    assert {"d.sqlite", "d.sqlite-wal", "log"} <= {each.name for each in found}
    assert any(rotated["id"].encode() in content for content in found.values())
    for secret in secrets:
        for spelling in spellings(secret):
            for path, content in found.items():
                assert spelling not in content, path.name
