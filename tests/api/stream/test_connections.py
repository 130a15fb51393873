"""Connections: who may make one, what they may hold up, and how they end."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from api.wire import Key
from tests.api.http.harness import CALL, Server, now_ms, signature, until
from tests.api.stream.harness import TARGET, Reader

TOKEN = "SOCKET.M"
MANY = 200
OF_KEY_MAX = 100
UPGRADE = (
    f"GET {TARGET} HTTP/1.1\r\nHost: {{}}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return server.list_token(TOKEN)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def gauge(server: Server, name: str) -> int:
    """Return a figure of the stream's from the metrics."""
    text = server.http.get(f"{server.url}/metrics").text
    (line,) = (each for each in text.splitlines() if each.startswith(f"evergamma_stream_{name} "))
    return int(float(line.split()[1]))


def login(key: Key, secret: str | None = None, stamp: int | None = None) -> dict[str, Any]:
    stamp = now_ms() if stamp is None else stamp
    signed = signature(secret or key.secret or "", str(stamp), "GET", TARGET, "", b"")
    return {"key": key.id, "timestamp": stamp, "signature": signed}


def refused(server: Server, key: Key | None = None, target: str = TARGET, **headers: str) -> Any:
    """Return the problem an upgrade is answered with."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(InvalidStatus) as error:
        Reader(server, key, target, given)
    answer = error.value.response
    problem = json.loads(answer.body or b"")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (problem["status"], problem["request_id"]) == (
        answer.status_code,
        answer.headers["EG-Request"],
    )
    return problem


def test_a_login_in_a_message_is_as_good_as_one_in_headers(server: Server) -> None:
    key = server.key_of("socket-login", "read")
    with Reader(server) as reader:
        assert reader.welcome["account"] is None
        for wrong, code in (
            (login(key, secret="00"), "SIGNATURE_WRONG"),
            (login(key, stamp=now_ms() - 60_000), "TIMESTAMP_OUT_OF_WINDOW"),
            (login(key) | {"key": "eg_nobody"}, "KEY_UNKNOWN"),
            (login(key) | {"signature": ""}, "SIGNATURE_MISSING"),
            (login(key) | {"signature": "é"}, "SIGNATURE_WRONG"),
        ):
            assert reader.ask("login", **wrong)["error"]["code"] == code
        assert reader.ask("login", **login(key))["result"] == {"account": "socket-login"}
        reader.subscribe("account", "positions")
        assert reader.ask("login", **login(key))["error"]["code"] == "MALFORMED"
    with Reader(server, key) as reader:
        assert reader.welcome["account"] == "socket-login"
        reader.subscribe("orders", "ledger", "requests")


def test_an_upgrade_that_is_not_good_is_answered_with_a_problem(server: Server) -> None:
    key = server.key_of("socket-upgrade", "read")
    assert refused(server, key, EG_Timestamp="1")["code"] == "TIMESTAMP_OUT_OF_WINDOW"
    assert refused(server, key, EG_Signature="00")["code"] == "SIGNATURE_WRONG"
    assert refused(server, EG_Key=key.id)["code"] == "SIGNATURE_MISSING"
    assert refused(server, target="/v1/orders")["code"] == "NOT_FOUND"


def test_a_revoked_key_ends_its_connections_and_no_others(server: Server, token: str) -> None:
    key, kept = (server.key_of("socket-revoked", "read") for _ in range(2))
    with Reader(server, key) as first, Reader(server) as second, Reader(server, kept) as third:
        assert "result" in second.ask("login", **login(key))
        first.subscribe("account")
        second.subscribe("ledger")
        third.subscribe("account")
        server.operator.operator.revoke_key(key.id)
        for reader in (first, second):
            assert reader.end_code() == 4001
            assert [each["code"] for each in reader.notices] == ["KEY_REVOKED"]
        server.credit("socket-revoked", token, "1")
        third.until(lambda: third.tables["account"])


def test_what_is_malformed_is_answered_and_changes_nothing(server: Server, token: str) -> None:
    with Reader(server) as reader:
        subscribe = {"id": 1, "op": "subscribe", "channels": ["index.BTC"]}
        too_many = [f"ticker.BTC-{token}-{n * 1000}-C" for n in range(1, 1_002)]
        for message, number, code in (
            ("", None, "MALFORMED"),
            ("{", None, "MALFORMED"),
            ("[]", None, "MALFORMED"),
            ('"\x00"', None, "MALFORMED"),
            ({"op": "ping"}, None, "MALFORMED"),
            ({"id": 1}, 1, "MALFORMED"),
            ({"id": 2, "op": "order"}, 2, "MALFORMED"),
            ({"id": 1.5, "op": "ping"}, None, "MALFORMED"),
            ({"id": "a" * 65, "op": "ping"}, "a" * 65, "MALFORMED"),
            ({"id": "x", "op": "ping", "more": 1}, "x", "MALFORMED"),
            (subscribe | {"channels": "index.BTC"}, 1, "MALFORMED"),
            (subscribe | {"channels": []}, 1, "MALFORMED"),
            (subscribe | {"channels": too_many}, 1, "MALFORMED"),
            (subscribe | {"resume": {"index.BTC": -1}}, 1, "MALFORMED"),
            (subscribe | {"channels": ["index.BTC", "index.DOGE"]}, 1, "NOT_FOUND"),
            (subscribe | {"channels": ["ticker.BTC-100000-C"]}, 1, "NOT_FOUND"),
            (subscribe | {"channels": [f"ticker.BTC-{token}-100000.000-C"]}, 1, "NOT_FOUND"),
            (subscribe | {"channels": [f"ticker.BTC-{token}-9999000-C"]}, 1, "NOT_FOUND"),
            (subscribe | {"channels": ["pool."]}, 1, "NOT_FOUND"),
            (subscribe | {"channels": ["index"]}, 1, "NOT_FOUND"),
            (subscribe | {"channels": ["account."]}, 1, "NOT_FOUND"),
            ({"id": 3, "op": "unsubscribe", "channels": ["what"]}, 3, "NOT_FOUND"),
        ):
            assert reader.send(message, number)["error"]["code"] == code, message
        assert reader.tables == {}
        first = [f"ticker.BTC-{token}-{n * 1000}-C" for n in range(100, 1_099)]
        reader.subscribe(*first[:2])
        total = reader.ask(
            "subscribe", channels=[*first[2:], "index.BTC", "index.ETH", f"pool.{token}"]
        )
        assert (total["error"]["limit"], total["error"]["actual"]) == ("1000", "1002")
        reader.ask("unsubscribe", channels=first[:2])
        assert gauge(server, "subscriptions") == 0


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(Opcode.BINARY, b"{}"), 1003),
        (Frame(Opcode.TEXT, b" " * 70_000), 1009),
        (Frame(Opcode.CONT, b"{}"), 1002),
        (Frame(Opcode.TEXT, b"{}", rsv1=True), 1002),
        (Frame(Opcode.PING, b"p" * 126), 1002),
    ],
)
def test_a_frame_against_the_protocol_ends_the_connection(
    server: Server, frame: Frame, code: int
) -> None:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as wire:
        wire.sendall(UPGRADE.format(place.netloc).encode())
        while not wire.recv(4096).endswith(b"}"):
            pass  # until the welcome is complete
        head = 0x80 * frame.fin + 0x40 * frame.rsv1 + frame.opcode
        size = len(frame.data)
        length = bytes([0xFF]) + size.to_bytes(8, "big")
        if size <= 126:
            length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        wire.sendall(bytes([head]) + length + bytes(4) + frame.data)
        wire.shutdown(socket.SHUT_WR)
        read = b""
        while part := wire.recv(4096):
            read += part
    assert (read[0], read[2:4]) == (0x88, code.to_bytes(2, "big"))
    until(lambda: gauge(server, "connections") == 0)


@pytest.mark.parametrize(
    "frame", [b"\x89\x80", b"\x8a\x80", b"\x00\x80"], ids=["ping", "pong", "part"]
)
def test_frames_that_are_no_messages_are_bounded(server: Server, frame: bytes) -> None:
    """They would cost as much as messages, and wait for nobody to read the answers."""
    place = urlsplit(server.url)
    begin = b"\x01\x80" + bytes(4) if frame[0] == 0 else b""
    with socket.create_connection((place.hostname, place.port), timeout=20) as wire:
        wire.sendall(UPGRADE.format(place.netloc).encode())
        while not wire.recv(4096).endswith(b"}"):
            pass
        wire.sendall(begin + (frame + bytes(4)) * 500)
        read = b""
        while part := wire.recv(4096):
            read += part
    assert b"\x0f\xa3too many frames" in read
    until(lambda: gauge(server, "connections") == 0)


def test_a_reader_that_does_not_read_is_cut_off_and_others_go_on(server: Server) -> None:
    cut = gauge(server, "slow_readers_total")
    place = urlsplit(server.url)
    with Reader(server) as other, socket.socket() as slow:
        other.subscribe("index.BTC")
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((place.hostname, place.port))
        reader = Reader(server, sock=slow)
        reader.socket.recv_messages.pause()
        message = json.dumps({"id": "x" * 64, "op": "ping"})
        while gauge(server, "slow_readers_total") == cut:
            for _ in range(2_000):
                reader.socket.send(message)
        reader.socket.recv_messages.resume()
        assert reader.end_code() == 4000
        assert gauge(server, "slow_readers_total") == cut + 1
        count = len(other.heard)
        other.until(lambda: len(other.heard) > count)


def test_hundreds_of_connections_come_and_go(server: Server, stack: ExitStack) -> None:
    readers = [stack.enter_context(Reader(server)) for _ in range(MANY)]
    for reader in readers:
        reader.subscribe("index.BTC")
    assert gauge(server, "connections") == gauge(server, "subscriptions") == MANY
    for reader in readers:
        reader.until(lambda reader=reader: len(reader.heard) > 2)
    told = {
        json.dumps(each.heard[-1])
        for each in readers
        if each.heard[-1]["seq"] == readers[0].heard[-1]["seq"]
    }
    assert len(told) == 1
    stack.close()
    until(lambda: gauge(server, "connections") == gauge(server, "subscriptions") == 0)


def test_a_key_has_so_many_connections(server: Server, stack: ExitStack) -> None:
    key = server.key_of("socket-many", "read")
    for _ in range(OF_KEY_MAX):
        stack.enter_context(Reader(server, key))
    problem = refused(server, key)
    assert (problem["code"], problem["limit"]) == ("RATE_LIMITED", str(OF_KEY_MAX))
    with Reader(server) as reader:
        assert reader.ask("login", **login(key))["error"]["code"] == "RATE_LIMITED"
    assert server.operator.time().time


def test_who_asks_over_http_is_told_what_is_there(server: Server, token: str) -> None:
    assert server.http.get(server.url + TARGET).json()["code"] == "NOT_FOUND"
    assert server.operator.instrument(CALL.format(token)).instrument.can_open
