"""Keys over HTTP: their limits and successors, what owners may do about them, wallet logins."""

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from api.client import Client
from api.client.errors import ProblemError
from api.wire import Challenge, Key
from tests.api.http.harness import Server, Wire, assert_problem, fresh, now_ms

HERE, ELSEWHERE = "127.0.0.0/8", "203.0.113.0/24"
WALLET = Account.from_key(b"k" * 32)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def make(server: Server, *roles: Any, **limits: Any) -> Wire:
    """Return a new key of Kim's."""
    return Wire(server, server.operator.operator.make_key("kim", roles or ("read",), **limits))


def code_of(wire: Wire) -> str:
    answer = wire.send("GET", "/v1/account")
    return "" if answer.status_code == 200 else str(answer.json()["code"])


def test_a_key_is_good_from_its_networks_alone(server: Server) -> None:
    assert code_of(make(server, networks=[HERE])) == ""
    assert code_of(make(server, networks=[ELSEWHERE, "::/0", HERE])) == ""
    away = make(server, networks=[ELSEWHERE])
    assert_problem(away.send("GET", "/v1/account"), 403, "ADDRESS_NOT_ALLOWED")
    # Nobody is believed to be elsewhere for saying so.
    answer = away.send("GET", "/v1/account", X_Forwarded_For="203.0.113.7")
    assert_problem(answer, 403, "ADDRESS_NOT_ALLOWED")


def test_behind_a_trusted_proxy_a_request_comes_from_where_that_says(
    waiting_server: Server,
) -> None:
    away = make(waiting_server, networks=[ELSEWHERE])
    answer = away.send("GET", "/v1/account", X_Forwarded_For="198.51.100.1, 203.0.113.7")
    assert answer.status_code == 200
    for said in ("203.0.113.7, 198.51.100.1", "203.0.113.7, x", ""):
        answer = away.send("GET", "/v1/account", X_Forwarded_For=said)
        assert_problem(answer, 403, "ADDRESS_NOT_ALLOWED")


def test_wallets_log_in_to_the_public_host(waiting_server: Server) -> None:
    message = waiting_server.operator.login_challenge(WALLET.address).message
    assert message.startswith("exchange.example wants you to sign in")
    assert "\nURI: https://exchange.example\n" in message


def test_a_key_expires(server: Server) -> None:
    wire = make(server, expires_at=now_ms() + 400)
    assert wire.key is not None
    assert wire.key.expires is not None
    assert code_of(wire) == ""
    while code_of(wire) == "":
        assert now_ms() < wire.key.expires + 2_000
    assert_problem(wire.send("GET", "/v1/account"), 401, "KEY_EXPIRED")
    assert now_ms() >= wire.key.expires


@pytest.mark.parametrize(
    "wrong",
    [
        {"networks": ["10.0.0.1/8"]},
        {"networks": ["here"]},
        {"networks": ["10.0.0.0/99"]},
        {"expires_at": 1},
        {"label": "a b"},
    ],
)
def test_limits_that_are_none_are_refused(server: Server, wrong: dict[str, Any]) -> None:
    before = len(list(server.operator.operator.keys()))
    with pytest.raises(ProblemError) as refused:
        server.operator.operator.make_key("kim", ["read"], **wrong)
    assert (refused.value.status, refused.value.code) == (400, "MALFORMED")
    assert len(list(server.operator.operator.keys())) == before


def test_an_owner_makes_keys_of_no_more_rights(server: Server) -> None:
    expires_at = now_ms() + HOUR_MS
    wire = make(
        server, "read", "trade", expires_at=expires_at, networks=["127.0.0.0/16"], withdraw=False
    )
    assert wire.key is not None
    inherited = wire.change("POST", "/v1/keys", {"roles": ["read"]}).json()
    assert inherited["account"] == "kim"
    assert (inherited["expires"], inherited["networks"]) == (expires_at, ["127.0.0.0/16"])
    assert (inherited["withdraw"], inherited["made_by"]) == (False, wire.key.id)
    narrower = {
        "roles": ["trade"],
        "expires_at": expires_at - 1,
        "networks": ["127.0.0.1", "127.0.1.0/24"],
        "withdraw": False,
        "label": "bot",
    }
    made = wire.change("POST", "/v1/keys", narrower)
    assert made.status_code == 201
    assert code_of(Wire(server, Key(**made.json()))) == ""
    for wider in (
        {"roles": ["read", "provide"]},
        {"roles": ["operator"]},
        {"expires_at": expires_at + 1},
        {"networks": [HERE]},
        {"networks": []},
        {"networks": ["127.0.0.1", "::1"]},
        {"withdraw": True},
    ):
        answer = wire.change("POST", "/v1/keys", {"roles": ["trade"]} | wider)
        assert_problem(answer, 403, "RIGHTS_EXCEEDED")


def test_an_operator_makes_no_operator_of_more_rights(server: Server) -> None:
    limits = {"networks": [HERE], "expires_at": now_ms() + HOUR_MS}
    key = server.operator.operator.make_key("desk", ["operator"], withdraw=False, **limits)
    narrow = Client(server.url, key.id, key.secret, http=server.http).operator
    assert narrow.make_key("kim", ["trade"], withdraw=False).networks == []
    assert narrow.make_key("desk", ["operator"], withdraw=False, **limits).networks == [HERE]
    open_key = server.key_of("kim", "trade")
    for wider in (
        lambda: narrow.make_key("kim", ["trade"]),
        lambda: narrow.make_key("desk", ["operator"], withdraw=False),
        lambda: narrow.rotate_key(open_key.id),
        lambda: narrow.rotate_key(server.key.id),
    ):
        with pytest.raises(ProblemError, match=r"right|more"):
            wider()


def test_an_owner_sees_and_ends_own_keys(server: Server) -> None:
    wire, other = make(server, "trade"), server.key_of("kurt", "trade")
    reader = make(server, "read")
    assert wire.key is not None
    assert reader.key is not None
    client = Client(server.url, wire.key.id, wire.key.secret, http=server.http)
    listed = list(client.keys())
    assert {each.account for each in listed} == {"kim"}
    assert {wire.key.id, reader.key.id} <= {each.id for each in listed}
    assert {each.secret for each in listed} == {None}
    # Who only reads ends nobody else; what is another's is not there.
    target = f"/v1/keys/{wire.key.id}"
    assert_problem(reader.change("DELETE", target), 403, "RIGHTS_EXCEEDED")
    assert_problem(wire.change("DELETE", f"/v1/keys/{other.id}"), 404, "NOT_FOUND")
    assert client.revoke_key(reader.key.id).revoked is not None
    assert code_of(reader) == "KEY_REVOKED"
    assert client.revoke_key(wire.key.id).revoked is not None
    assert code_of(wire) == "KEY_REVOKED"


def test_a_key_ends_none_that_may_do_more(server: Server) -> None:
    lesser = make(server, "trade", withdraw=False)
    for more in (make(server, "trade"), make(server, "trade", "operator", withdraw=False)):
        assert more.key is not None
        answer = lesser.change("DELETE", f"/v1/keys/{more.key.id}")
        assert_problem(answer, 403, "RIGHTS_EXCEEDED")
    assert lesser.key is not None
    assert lesser.change("DELETE", f"/v1/keys/{lesser.key.id}").status_code == 200


def test_a_leaked_key_leaves_nothing_behind(server: Server) -> None:
    """What was made with it ends too, but for the key that ends it."""
    leaked = make(server, "trade", "read")
    assert leaked.key is not None
    theirs = Wire(server, Key(**leaked.change("POST", "/v1/keys", {"roles": ["trade"]}).json()))
    nested = Wire(server, Key(**theirs.change("POST", "/v1/keys", {"roles": ["trade"]}).json()))
    ours = Wire(server, Key(**leaked.change("POST", "/v1/keys/rotate", {}).json()))
    answer = ours.change("DELETE", f"/v1/keys/{leaked.key.id}")
    assert (answer.status_code, answer.json()["ended"]) == (200, 2)
    assert {code_of(each) for each in (leaked, theirs, nested)} == {"KEY_REVOKED"}
    assert code_of(ours) == ""
    (line, *_) = server.operator.operator.audit("kim")
    assert line.subject == f"{leaked.key.id} and 2 made with it"


def test_customers_outlive_the_operator_who_made_their_keys(server: Server) -> None:
    key = server.operator.operator.make_key("house", ["operator"])
    operator = Client(server.url, key.id, key.secret, http=server.http).operator
    own, kims = (operator.make_key(account, ["read"]) for account in ("house", "kim"))
    assert server.operator.operator.revoke_key(key.id).ended == 1
    assert [code_of(Wire(server, each)) for each in (own, kims)] == ["KEY_REVOKED", ""]
    assert server.operator.operator.revoke_key(key.id, descendants=True).ended == 1
    assert code_of(Wire(server, kims)) == "KEY_REVOKED"


def test_a_key_is_rotated_once_and_overlaps(server: Server) -> None:
    wire = make(server, "trade", networks=[HERE], label="desk")
    assert wire.key is not None
    key = fresh("rotation")
    answer = wire.send("POST", "/v1/keys/rotate", {"overlap": 60}, key)
    assert answer.status_code == 201
    new = Key(**answer.json())
    assert (new.rotated_from, new.roles, new.networks) == (wire.key.id, ["trade"], [HERE])
    assert (new.label, new.expires) == ("desk", None)
    assert code_of(Wire(server, new)) == code_of(wire) == ""
    assert wire.send("POST", "/v1/keys/rotate", {"overlap": 60}, key).content == answer.content
    again = wire.send("POST", "/v1/keys/rotate", {"overlap": 61}, key)
    assert_problem(again, 409, "IDEMPOTENCY_CONFLICT")
    assert_problem(wire.change("POST", "/v1/keys/rotate", {}), 409, "KEY_ROTATED")
    listed = list(server.operator.operator.keys())
    (old,) = (each for each in listed if each.id == wire.key.id)
    assert old.expires == new.created + 60_000
    for overlap in (59, 86_401):
        answer = wire.change("POST", "/v1/keys/rotate", {"overlap": overlap})
        assert_problem(answer, 400, "MALFORMED")
    # What it makes now lasts no longer than itself: who has stolen it has it for the overlap.
    assert wire.change("POST", "/v1/keys", {"roles": ["trade"]}).json()["expires"] == old.expires
    other = server.operator.operator.rotate_key(new.id, 120)
    assert other.rotated_from == new.id


def test_a_wallet_logs_in(server: Server) -> None:
    """With the client, to trade but not to withdraw."""
    stranger = Client(server.url, http=server.http, retries=0)
    challenge = stranger.login_challenge(WALLET.address.lower())
    assert challenge.account == WALLET.address
    host = server.url.removeprefix("http://")
    assert challenge.message.startswith(f"{host} wants you to sign in with your Ethereum account:")
    signature = signed(challenge)
    key = stranger.log_in(challenge.message, signature)
    assert (key.account, key.roles) == (WALLET.address, ["provide", "read", "trade"])
    assert (key.withdraw, key.made_by, key.rotated_from) == (False, "wallet login", None)
    assert key.expires is not None
    assert key.expires - key.created == DAY_MS
    client = Client(server.url, key.id, key.secret, http=server.http)
    assert client.account().account == WALLET.address
    with pytest.raises(ProblemError) as used:
        stranger.log_in(challenge.message, signature)
    assert (used.value.status, used.value.code) == (401, "MESSAGE_USED")
    # Its successor lasts no longer.
    assert client.rotate_key().expires == key.expires
    other = stranger.login_challenge(WALLET.address, 137)
    with pytest.raises(ProblemError) as wrong:
        stranger.log_in(other.message, signature)
    assert wrong.value.code == "SIGNATURE_WRONG"
    with pytest.raises(ProblemError) as misspelled:
        stranger.login_challenge(WALLET.address.swapcase().replace("0X", "0x"))
    assert (misspelled.value.code, misspelled.value.field) == ("MALFORMED", "address")


def signed(challenge: Challenge) -> str:
    signature = WALLET.sign_message(encode_defunct(text=challenge.message)).signature
    return "0x" + bytes(signature).hex()
